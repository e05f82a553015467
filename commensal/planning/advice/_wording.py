"""Words and premises that the answers of a plan share."""

from __future__ import annotations

import numpy as np

from commensal.planning.advice._numbers import Numbers

LINEAR = "linear models, fitted to the minimum in every generation"
ISOTROPIC = "documents of all kinds cover all directions alike, and are equally rich"
MEASURED = "one document of each kind has the system's Gram matrix"
SAME = "prompts and weights stay the same"
REPEAT = "models repeat the word frequencies of what they read; no word is invented"
COVERED = "newly collected documents cover what models publish as well as these do"
BIASED = (
    "human documents of some model, or all documents, leave directions uncovered, where the error "
    "depends on the unknown truth"
)
KEPT = "weights change in every generation where everything is kept"


def premises(found: Numbers) -> tuple[str, str]:
    """Return what the answers of a plan's errors are conditional on."""
    return (LINEAR, ISOTROPIC if found.plan.grams is None else MEASURED)


def why_not_settled(found: Numbers) -> str:
    """Return why there is no error in the long run."""
    if found.plan.settings.memory != "replace":
        return "there is no closed form of the limit for this memory and these settings"
    if not found.radius < 1 - 1e-9:
        return f"errors grow for ever (ρ = {found.radius:.3g})"
    return BIASED


def percent(share: float) -> str:
    """Write a share, with a digit that is not zero."""
    for digits in (0, 1, 2, 3):
        if share == 0 or round(abs(share) * 100, digits) >= 10 ** (1 - digits) / 2:
            break
    text = f"{100 * share:.{digits}f}"
    if text == "100" and share < 1:
        return f"{100 * share:.2f} %" if share < 0.9999 else "over 99.99 %"
    return f"{text} %"


def number(value: float) -> str:
    """Write a number with three digits."""
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def or_none(value: float) -> str:
    """Write a number, or that there is none."""
    return "cannot be told" if np.isnan(value) else number(value)
