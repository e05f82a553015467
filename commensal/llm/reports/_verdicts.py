"""Verdicts of a run on published findings, and where it cannot tell. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal.llm.reports._intervals import mean_of, number, replicates_to_tell

Verdict = Literal["reproduces", "in part", "does not", "cannot be told here"]

TIE = "both are equal to the last digit"
ONE = "one replicate has no interval"
_ROUNDING = 1e-9  # 2.9 - 2.8 is 0.1


class Instance(NamedTuple):
    """One place in a run where a finding can be seen."""

    where: str
    numbers: str
    value: float
    """Number that is judged."""
    holds: bool | None
    """Whether the finding holds here; None where it cannot be told."""
    why: str = ""
    """Reason why it cannot be told."""
    leans: bool | None = None
    """Whether the bare mean is as published, which tells nothing by itself."""
    each: tuple[float, ...] = ()
    """Number in each replicate, on the scale on which it is judged."""

    @property
    def told(self) -> bool:
        """Whether the finding holds or does not hold here; a number must be finite for that."""
        return self.holds is not None and math.isfinite(self.value)

    @property
    def reason(self) -> str:
        """Reason why the finding cannot be told here."""
        if self.told:
            return ""
        return self.why if math.isfinite(self.value) else "not a finite number"


class Measured(NamedTuple):
    """Number that was measured at one place of a run, in every replicate."""

    where: str
    values: Sequence[float | int] | Float[np.ndarray, " n"]
    """Value in each replicate."""
    numbers: str = ""
    """Text that is shown before the mean and its interval."""


def judged(
    places: Sequence[Measured],
    low: float | int = -math.inf,
    high: float | int = math.inf,
    comparisons: int | None = None,
) -> tuple[Instance, ...]:
    """Judge at each place whether the mean over replicates lies between two bounds.

    It does where its whole interval lies between them, it does not where the whole interval lies
    outside. The intervals hold together with 95 %. A single replicate has none: nothing is told.

    Parameters
    ----------
    places : sequence of Measured
    low, high : float
        Bounds; a mean on a bound lies between them.
    comparisons : int, optional
        Number of comparisons that hold together; by default those of these places.

    Returns
    -------
    tuple of Instance

    Examples
    --------
    >>> places = [Measured("", [1.0, 1.1, 0.9]), Measured("", [1.0, -0.5, 0.1])]
    >>> sure, unsure = judged(places, low=0)
    >>> sure.holds, unsure.holds, unsure.leans
    (True, None, True)
    >>> unsure.why
    'the interval is too wide; about 138 replicates would do'
    """
    return tuple(
        _judged(place, low, high, comparisons or len(places))._replace(
            each=tuple(map(float, place.values))
        )
        for place in places
    )


def _judged(place: Measured, low: float | int, high: float | int, comparisons: int) -> Instance:
    mean = mean_of(place.values, comparisons)
    numbers = ": ".join(filter(None, (place.numbers, mean.text())))
    if not math.isfinite(mean.value):
        return Instance(place.where, numbers, mean.value, None, "not a finite number")
    leans = low - _ROUNDING <= mean.value <= high + _ROUNDING
    if len(place.values) < 2:
        return Instance(place.where, numbers, mean.value, None, ONE, leans)
    if not np.any(place.values) and 0 in (low, high):  # differences, all of them nothing
        return Instance(place.where, numbers, mean.value, None, TIE)
    inside = low - _ROUNDING <= mean.low and mean.high <= high + _ROUNDING
    outside = mean.high < low - _ROUNDING or high + _ROUNDING < mean.low
    if inside or outside:
        return Instance(place.where, numbers, mean.value, inside, "", leans)
    nearest = min((low, high), key=lambda bound: abs(bound - mean.value))
    needed = replicates_to_tell(place.values, nearest, comparisons)
    more = "more than 10,000" if needed is None else f"about {max(needed, len(place.values) + 1)}"
    why = f"the interval is too wide; {more} replicates would do"
    return Instance(place.where, numbers, mean.value, None, why, leans)


class Found(NamedTuple):
    """Verdict of a run on one published finding."""

    id: str
    statement: str
    source: str
    """Place in the paper."""
    instances: tuple[Instance, ...]
    missing: str
    """Reason why it cannot be told, where there are no instances."""
    measure: str
    """Name of what the instances' values measure."""
    remark: str = ""
    stated: str = "published"
    """How the statement came about: ``published`` or ``predicted``."""

    @property
    def told(self) -> tuple[Instance, ...]:
        """Return the instances where the finding holds or does not hold."""
        return tuple(one for one in self.instances if one.told)

    @property
    def verdict(self) -> Verdict:
        """Verdict over all places; it reproduces only if it is told, and holds, at every one."""
        holding = sum(bool(one.holds) for one in self.told)
        if not self.told:
            return "cannot be told here"
        if holding == len(self.instances):
            return "reproduces"
        return "in part" if holding else "does not"

    @property
    def leaning(self) -> str:
        """Number of places whose bare means are as stated, in words; empty if none was judged.

        It tells where more replicates may lead, and nothing else.
        """
        known = [one.leans for one in self.instances if one.leans is not None]
        if not known:
            return ""
        if len(known) == 1:
            return f"the mean is {'' if known[0] else 'not '}as {self.stated}"
        return f"{sum(known)} of {len(known)} means are as {self.stated}"

    @property
    def reason(self) -> str:
        """Reason why the finding cannot be told, if it cannot."""
        if self.told:
            return ""
        return "; ".join(dict.fromkeys(one.reason for one in self.instances)) or self.missing

    @property
    def range(self) -> str:
        """Range from the least value to the largest, in words."""
        values = [one.value for one in self.told]
        if not values:
            return ""
        low, high = signed(min(values)), signed(max(values))
        return f"{self.measure} {low}" + ("" if low == high else f" to {high}")


def reproduced(found: Sequence[Found], heading: str = "Published findings") -> Iterator[str]:
    """Yield how many of the findings that can be told reproduce; nothing if there are none."""
    what = heading[0].lower() + heading[1:]
    told = [one for one in found if one.told]
    untold = len(found) - len(told)
    leaning = [i.leans for one in found for i in one.instances if i.leans is not None]
    if not told and leaning and all(i.why == ONE for one in found for i in one.instances):
        yield (
            f"One replicate: of {len(found)} {what} none can be told. Bare numbers are "
            f"as published at {sum(leaning)} of {len(leaning)} places; --set replicates=5 tells "
            "more."
        )
        return
    if told:
        whole = sum(one.verdict == "reproduces" for one in told)
        more = f"; {untold} more cannot be told here" if untold else ""
        yield f"{heading} that reproduce: {whole} of {len(told)}{more}."
    elif any(one.instances for one in found):
        reasons = dict.fromkeys(one.reason for one in found if one.instances)
        yield f"None of {untold} {what} can be told here: {'; '.join(reasons)}."


def arrow(first: float, last: float) -> str:
    """Write both ends of a change.

    Examples
    --------
    >>> arrow(2.5, -1.25)
    '2.50 → −1.25'
    """
    return f"{number(first)} → {number(last)}"


def signed(value: float) -> str:
    """Write a change with its sign.

    Examples
    --------
    >>> signed(-0.5), signed(0.001), signed(math.nan)
    ('−0.50', '0.00', 'not finite')
    """
    if not math.isfinite(value):
        return "not finite"
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}") if abs(value) >= 0.005 else "0.00"
