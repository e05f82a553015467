"""Simulate models that learn from chosen data: verified, rated by a reward, or filtered.

Three processes, one setting ``by``: a mean of samples that a verifier accepts, answers that are
kept by the exponential of a reward, and a linear classifier of labels that pass a filter. No closed
form of :mod:`commensal.theory` is used: each is the other's check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.sims.selection._config import SelectionConfig
    from commensal.sims.selection._process import init, observe, step
    from commensal.sims.selection._simulate import simulate

__all__ = ["SelectionConfig", "init", "observe", "simulate", "step"]

_PLACES = {
    "SelectionConfig": "commensal.sims.selection._config",
    "init": "commensal.sims.selection._process",
    "observe": "commensal.sims.selection._process",
    "simulate": "commensal.sims.selection._simulate",
    "step": "commensal.sims.selection._process",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
