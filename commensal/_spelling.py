"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches


def did_you_mean(
    name: str,
    known: Iterable[str],
    cutoff: float = 0.6,
    written: Callable[[str], str] = str,
) -> str:
    """Return the end of a message about an unknown name: the nearest known one, or nothing.

    Parameters
    ----------
    name : str
        Unknown name.
    known : iterable of str
        Names that exist.
    cutoff : float
        Least similarity of a name that is suggested, from 0 to 1, which is the name itself.
    written : callable
        Function from the nearest name to what the message says in its place.

    Returns
    -------
    str
        Suggestion, which continues a sentence; empty where no name is near enough.

    Examples
    --------
    >>> did_you_mean("sampels", ["samples", "seed"])
    '; did you mean samples?'
    >>> did_you_mean("x", ["samples", "seed"])
    ''
    >>> did_you_mean("x", ["x"], cutoff=1.0, written=lambda name: f"system.{name}")
    '; did you mean system.x?'
    """
    near = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {written(near[0])}?" if near else ""
