"""What happens when generative models train on each other's output: theory and simulation."""

__version__ = "0.1.0"
