"""Simulate models that repeat words: every token is a copy of one that was read before.

Extends Suresh et al., arXiv 2412.17646, which was read as an abstract. No closed form of
:mod:`commensal.theory` is used: each is the other's check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.sims.words._config import WordsConfig
    from commensal.sims.words._process import init, observe, step
    from commensal.sims.words._simulate import simulate

__all__ = ["WordsConfig", "init", "observe", "simulate", "step"]

_PLACES = {
    "WordsConfig": "commensal.sims.words._config",
    "init": "commensal.sims.words._process",
    "observe": "commensal.sims.words._process",
    "simulate": "commensal.sims.words._simulate",
    "step": "commensal.sims.words._process",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
