"""The stochastic processes themselves, drawn in JAX. Nothing here knows a closed form."""
