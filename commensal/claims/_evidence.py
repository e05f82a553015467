"""Evidence: the finding of a check, and the few kinds of check that yield one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Z = 5.0
"""Largest deviation, in standard errors, of a sound comparison; 5.7e-7 of them exceed it.

A thousand comparisons over all claims raise a false alarm in at most 1 of 1,700 seeds.
"""
SEEN = Z + 1.3
"""Deviation, in standard errors, that a check sees nine times out of ten."""

Number = float | int | str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel of the report: theory as lines, simulated values as points.

    ``lines`` are (label, y), ``points`` (label, y, standard error): arrays of the length of ``x``.
    """

    x: Any
    lines: Sequence[tuple[str, Any]]
    points: Sequence[tuple[str, Any, Any]] = ()
    xlabel: str = ""
    ylabel: str = ""
    log: str = ""
    """Axes with a logarithmic scale, as "", "x", "y" or "xy"."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Result of a check on one form of a claim, and the numbers behind it.

    ``holds`` is None where the check could not tell. ``a & b`` is the evidence for both.
    """

    holds: bool | None
    summary: str
    """Finding in one line."""
    numbers: Mapping[str, Number] = field(default_factory=dict)
    comparisons: int = 0
    """Number of comparisons of a sample with an expectation, each of which chance can break."""
    pictures: tuple[Panel, ...] = ()

    def __and__(self, other: Evidence) -> Evidence:
        both = self.numbers.keys() & other.numbers.keys()
        if both:
            raise ValueError(f"two pieces of evidence share names: {', '.join(sorted(both))}")
        known = (self.holds, other.holds)
        return Evidence(
            False if False in known else None if None in known else True,
            f"{self.summary}; {other.summary}",
            {**self.numbers, **other.numbers},
            self.comparisons + other.comparisons,
            self.pictures + other.pictures,
        )

    def named(self, prefix: str) -> Evidence:
        """Return the evidence with its numbers and summary under a name, to join it by ``&``."""
        numbers = {f"{prefix}: {name}": value for name, value in self.numbers.items()}
        return replace(self, summary=f"{prefix}: {self.summary}", numbers=numbers)


def identity(found: Any, expected: Any, tolerance: float = 1e-9, instances: int = 1) -> Evidence:
    """Check whether two arrays are equal, relative to the largest expected entry.

    Arrays of unlike shapes, and numbers that are not finite, are not equal to anything. For many
    instances give lists of arrays: each is compared on its own scale.

    >>> identity([1.0, 2.0], [1.0, 2.0 + 1e-12]).holds
    True
    >>> identity(np.ones((2, 1)), np.ones(2)).summary
    'shape (2, 1) for (2,)'
    """
    if isinstance(found, list) and isinstance(expected, list):
        pairs = list(zip(found, expected, strict=True))
        if pairs and np.ndim(pairs[0][0]):
            worst = max(
                (identity(f, e, tolerance) for f, e in pairs), key=lambda one: _deviation(one)
            )
            numbers = {**worst.numbers, "instances": len(pairs)}
            return replace(worst, numbers=numbers, summary=_of_many(worst.summary, len(pairs)))
    f, e = np.asarray(found, float), np.asarray(expected, float)
    if f.shape != e.shape:
        return Evidence(
            False, f"shape {f.shape} for {e.shape}", {"shapes": f"{f.shape}, {e.shape}"}
        )
    scale = float(np.max(np.abs(e), initial=0.0)) or 1.0
    away = float(np.max(np.abs(f - e), initial=0.0)) / scale
    holds = bool(away <= tolerance)
    numbers: dict[str, Number] = {"largest deviation": away, "tolerance": tolerance}
    if instances > 1:
        numbers["instances"] = instances
    sign = "≤" if holds else ">"
    summary = f"relative deviation {away:.1e} {sign} {tolerance:.0e}"
    return Evidence(holds, _of_many(summary, instances), numbers)


def _deviation(one: Evidence) -> float:
    value = one.numbers.get("largest deviation", np.inf)
    return np.inf if isinstance(value, str) or np.isnan(value) else float(value)


def _of_many(summary: str, instances: int) -> str:
    return summary if instances == 1 else f"{summary} ({instances:,} instances)"


def symbolic(*differences: Any) -> Evidence:
    """Check whether sympy reduces each expression (or matrix of them) to zero.

    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> symbolic((x + 1) ** 2 - x**2 - 2 * x - 1).holds
    True
    """
    import sympy

    left = []
    for difference in differences:
        entries = list(difference) if hasattr(difference, "shape") else [difference]
        for entry in entries:
            rest = sympy.expand(entry)
            # whole powers of symbols with rational factors are 0 once expanded, or never
            whole = all(power.exp.is_Integer for power in rest.atoms(sympy.Pow))
            if not (whole and rest.is_polynomial()) or rest.has(sympy.Function, sympy.E, sympy.pi):
                rest = sympy.simplify(entry)
            if rest != 0:
                left.append(rest)
    numbers: dict[str, Number] = {"expressions": len(differences)}
    if not left:
        return Evidence(True, "the difference is 0, symbolically", numbers)
    shown = str(left[0])
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return Evidence(False, f"left over: {shown}", {**numbers, "left over": shown})


def statistical(
    found: Any,
    expected: Any,
    error: Any,
    sample: int,
    *,
    resolution: float,
    scale: Any = None,
    pictures: tuple[Panel, ...] = (),
) -> Evidence:
    """Check whether estimates agree with expected values within ``Z`` standard errors.

    ``resolution`` is the relative deviation that must be seen (0.01 in a full check): where the
    standard error is too large for that, nothing is decided. It is relative to ``expected``, or
    to ``scale`` where that is given (for an expectation of 0).

    >>> statistical(1.001, 1.0, 0.001, 10**6, resolution=0.01).holds
    True
    >>> statistical(1.001, 1.0, 0.1, 100, resolution=0.01).holds is None
    True
    """
    f, e, s = np.broadcast_arrays(*(np.asarray(x, float) for x in (found, expected, error)))
    size = np.broadcast_to(np.abs(e if scale is None else np.asarray(scale, float)), f.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(f == e, 0.0, (f - e) / s)
        least = SEEN * s / size
    worst, seen = float(np.max(np.abs(z))), float(np.max(least))
    numbers: dict[str, Number] = {
        "largest |z|": worst,
        "allowed |z|": Z,
        "comparisons": z.size,
        "sample": sample,
        "smallest deviation seen": seen,
    }
    text = f"{z.size} comparison{'s' * (z.size > 1)}, largest |z| {worst:.1f}, sample {sample:,}"
    if not worst <= Z:  # nan counts as a failure
        return Evidence(False, text, numbers, z.size, pictures)
    if not seen <= resolution:
        short = f"; deviations below {seen:.1%} would not be seen"
        return Evidence(None, text + short, numbers, z.size, pictures)
    return Evidence(True, text, numbers, z.size, pictures)


def at_most(found: float, bound: float, what: str, **numbers: Number) -> Evidence:
    """Check whether a number stays below a stated bound."""
    holds = bool(found <= bound)
    sign = "≤" if holds else ">"
    summary = f"{what} {found:.6g} {sign} {bound:.6g}"
    return Evidence(holds, summary, {what: float(found), "bound": float(bound), **numbers})


def stated(holds: bool | None, summary: str, **numbers: Number) -> Evidence:
    """Make evidence from a verdict and a summary in words."""
    # numpy's False is not False, by which a verdict is told
    return Evidence(None if holds is None else bool(holds), summary, numbers)
