"""Measure texts: Gram matrices of their features, and what the theory says of them."""
