"""Closed forms: deterministic, float64, differentiable. Nothing here draws a random number."""
