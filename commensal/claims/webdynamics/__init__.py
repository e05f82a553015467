"""Claims of `webdynamics`."""
