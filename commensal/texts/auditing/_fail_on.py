"""Conditions on an audit's numbers, such as ``rare_retention<0.9``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from commensal._spelling import did_you_mean

_CONDITION = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*([-+0-9.eE]+)\s*")
_HOLDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Condition(NamedTuple):
    """Condition under which an audit fails.

    >>> Condition("rare_retention", "<", 0.9).met(0.85)
    True
    """

    name: str
    sign: str
    limit: float

    def met(self, value: float | int) -> bool:
        """Return whether a number meets it."""
        return bool(_HOLDS[self.sign](value, self.limit))

    def __str__(self) -> str:
        """Write it as it was read."""
        return f"{self.name}{self.sign}{self.limit:g}"


def condition(text: str, known: Collection[str]) -> Condition:
    """Read a condition, a name, ``<``, ``<=``, ``>`` or ``>=``, and a number.

    Raises
    ------
    ValueError
        If it is none, or its name is none of those that are known.

    Examples
    --------
    >>> condition("self_bleu > 0.4", ["self_bleu"])
    Condition(name='self_bleu', sign='>', limit=0.4)
    >>> condition("self_blue>0.4", ["self_bleu", "vendi"])
    Traceback (most recent call last):
    ...
    ValueError: --fail-on: there is no 'self_blue'; did you mean self_bleu?
    """
    match = _CONDITION.fullmatch(text)
    limit = math.nan
    if match:
        try:
            limit = float(match[3])
        except ValueError:
            match = None
    if match is None:
        raise ValueError(f"--fail-on: {text!r} is no condition such as 'rare_retention<0.9'")
    if match[1] not in known:
        near = did_you_mean(match[1], known) or f"; there are {', '.join(known)}"
        raise ValueError(f"--fail-on: there is no {match[1]!r}{near}")
    return Condition(match[1], match[2], limit)


def alarms(
    conditions: Collection[Condition], values: Mapping[str, tuple[float, str]]
) -> tuple[str, ...]:
    """Return a line for each condition that is met, with the number and what is said of it.

    Raises
    ------
    ValueError
        If a condition is on a number that cannot be told.
    """
    found = []
    for one in conditions:
        value, said = values[one.name]
        if math.isnan(value):
            raise ValueError(f"--fail-on {one}: {one.name} cannot be told ({said})")
        if one.met(value):
            found.append(f"{one}: {one.name} is {value:.4g}{said}")
    return tuple(found)
