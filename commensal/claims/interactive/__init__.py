"""Claims of `interactive`."""
