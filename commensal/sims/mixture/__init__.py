"""Simulate interacting Gaussian mixtures: posts, draws and updates, point by point.

`webdynamics`, sec. 3.2 (Algorithms 2 and 3) and 4.2: models with the same Gaussian components post
points of their mixtures on one web, and update their weights from random points of it. No closed
form of :mod:`commensal.theory` is used: each is the other's check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.sims.mixture._config import MixtureConfig
    from commensal.sims.mixture._simulate import simulate
    from commensal.sims.mixture._steps import init, observe, step

__all__ = ["MixtureConfig", "init", "observe", "simulate", "step"]

_PLACES = {
    "MixtureConfig": "commensal.sims.mixture._config",
    "init": "commensal.sims.mixture._steps",
    "observe": "commensal.sims.mixture._steps",
    "simulate": "commensal.sims.mixture._simulate",
    "step": "commensal.sims.mixture._steps",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
