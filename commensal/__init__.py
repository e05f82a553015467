"""What happens when generative models train on each other's output?"""

__version__ = "0.1.0"
