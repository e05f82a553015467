"""Simulate ecosystems of models on segmented data: texts are drawn, shuffled and dealt out.

`diversity`, sec. 3, with a law over word types in the place of a language model (new
here). No closed form of :mod:`commensal.theory` is used: each is the other's check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.sims.ecosystem._config import EcosystemConfig
    from commensal.sims.ecosystem._process import init, observe, step
    from commensal.sims.ecosystem._simulate import grid, simulate

__all__ = ["EcosystemConfig", "grid", "init", "observe", "simulate", "step"]

_PLACES = {
    "EcosystemConfig": "commensal.sims.ecosystem._config",
    "grid": "commensal.sims.ecosystem._simulate",
    "init": "commensal.sims.ecosystem._process",
    "observe": "commensal.sims.ecosystem._process",
    "simulate": "commensal.sims.ecosystem._simulate",
    "step": "commensal.sims.ecosystem._process",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
