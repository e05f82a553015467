"""Write what a run says, with its interval or without one. Needs no torch."""

from __future__ import annotations

import math

from commensal.llm.reports._intervals import Mean, number


def amount(mean: Mean, times: int = 1, digits: int = 2) -> str:
    """Write how much one number is above another, with the interval if there is one.

    Parameters
    ----------
    mean : Mean
        Of the difference.
    times : int
        -1 where it is the other one that is above.
    digits : int

    Examples
    --------
    >>> amount(Mean(0.5, 0.25, 0.75)), amount(Mean(-0.5, -0.75, -0.25), -1)
    ('0.50 [0.25, 0.75]', '0.50 [0.25, 0.75]')
    >>> amount(Mean(0.5, math.nan, math.nan))
    '0.50'
    """
    value, *ends = (times * part for part in mean)
    text = number(value, digits)
    if math.isfinite(mean.half):
        low, high = (number(end, digits) for end in sorted(ends))
        text += f" [{low}, {high}]"
    return text


def one_replicate(what: str) -> str:
    """Say that one replicate cannot tell something, and what would.

    Examples
    --------
    >>> one_replicate("whether that is chance")
    'One replicate has no interval: whether that is chance cannot be told; --set replicates=5 does.'
    """
    return f"One replicate has no interval: {what} cannot be told; --set replicates=5 does."


def sign_in_words(mean: Mean, above: str, below: str, within: str) -> str:
    """Choose words by the side of zero on which the whole interval lies.

    Parameters
    ----------
    mean : Mean
    above, below : str
        Words for an interval above zero, and for one below.
    within : str
        Words for an interval that holds zero.

    Returns
    -------
    str
        For a mean without an interval, what it leaves open.

    Examples
    --------
    >>> sign_in_words(Mean(1.0, 0.5, 1.5), "more", "less", "cannot be told")
    'more'
    >>> sign_in_words(Mean(1.0, math.nan, math.nan), "more", "less", "cannot be told")
    'one replicate has no interval'
    """
    if not math.isfinite(mean.half):
        return "one replicate has no interval"
    return {1: above, -1: below, 0: within}[mean.sign]
