"""Verdicts of a run on published findings, and where it cannot tell. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Verdict = Literal["reproduces", "in part", "does not", "cannot be told here"]

TIE = "both are equal to the last digit"


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


def higher(where: str, numbers: str, difference: float) -> Instance:
    """Judge whether one number is above another, which a tie does not tell.

    Examples
    --------
    >>> higher("", "2 against 1", 1.0).holds, higher("", "1 against 1", 0.0).holds
    (True, None)
    """
    if difference == 0:
        return Instance(where, numbers, difference, None, TIE)
    return Instance(where, numbers, difference, difference > 0)


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

    @property
    def told(self) -> tuple[Instance, ...]:
        """Return the instances where the finding holds or does not hold."""
        return tuple(one for one in self.instances if one.told)

    @property
    def verdict(self) -> Verdict:
        """Verdict over all places where the finding can be told."""
        holding = sum(bool(one.holds) for one in self.told)
        if not self.told:
            return "cannot be told here"
        if holding == len(self.told):
            return "reproduces"
        return "in part" if holding else "does not"

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


def reproduced(found: Sequence[Found]) -> Iterator[str]:
    """Yield how many of the findings that can be told reproduce; nothing if there are none."""
    told = [one for one in found if one.told]
    untold = len(found) - len(told)
    if told:
        whole = sum(one.verdict == "reproduces" for one in told)
        more = f"; {untold} more cannot be told here" if untold else ""
        yield f"Published findings that reproduce: {whole} of {len(told)}{more}."
    elif any(one.instances for one in found):
        reasons = dict.fromkeys(one.reason for one in found if one.instances)
        yield f"None of {untold} published findings can be told here: {'; '.join(reasons)}."


def arrow(first: float, last: float) -> str:
    """Write both ends of a change.

    Examples
    --------
    >>> arrow(2.5, -1.25)
    '2.50 → −1.25'
    """
    return f"{first:.2f} → {last:.2f}".replace("-", "\N{MINUS SIGN}")


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
