"""Interacting Gaussian mixtures as they happen: posts, draws and updates, point by point.

`webdynamics`, sec. 3.2 (Algorithms 2 and 3) and 4.2: models with the same Gaussian components post
points of their mixtures on one web, and update their weights from random points of it. No closed
form of :mod:`commensal.theory` is used: each is the other's check.
"""

from commensal.sims.mixture._config import Config
from commensal.sims.mixture._simulate import simulate

__all__ = ["Config", "simulate"]
