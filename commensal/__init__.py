"""Generative models that train on each other's output: theory, simulation, experiment.

Parts are imported when they are first used, so that ``import commensal`` costs nothing:

>>> import commensal
>>> float(commensal.theory.regression.stability_bound(4))
1.5
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal import (
        answers,
        claims,
        designs,
        llm,
        networks,
        page,
        pairing,
        planning,
        plots,
        sims,
        sweep,
        texts,
        theory,
    )

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "answers",
    "claims",
    "designs",
    "llm",
    "networks",
    "page",
    "pairing",
    "planning",
    "plots",
    "sims",
    "sweep",
    "texts",
    "theory",
]

__getattr__, __dir__ = attach(__name__, __all__)
