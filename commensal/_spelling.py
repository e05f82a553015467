"""Suggestions for misspelt names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches

_BEGUN = 4  # letters from which on a name counts as the beginning of another


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
    >>> did_you_mean("samp", ["stamp", "samples"])
    '; did you mean samples?'
    >>> did_you_mean("lr", ["learning_rate", "seed"])
    '; did you mean learning_rate?'
    >>> did_you_mean("x", ["samples", "seed"])
    ''
    >>> did_you_mean("x", ["x"], cutoff=1.0, written=lambda name: f"system.{name}")
    '; did you mean system.x?'
    """
    names = list(known)
    # what goes on where the name stops is nearer than what differs from it
    begun = sorted((other for other in names if other.startswith(name)), key=len)
    near = begun[:1] if len(name) >= _BEGUN else []
    near = near or [other for other in names if name == _initials(other)][:1]
    near = near or get_close_matches(name, names, n=1, cutoff=cutoff)
    return f"; did you mean {written(near[0])}?" if near else ""


def _initials(name: str) -> str:
    """Return the first letters of a name of several words, or nothing."""
    words = re.split("[-_]", name)
    return "".join(word[:1] for word in words) if len(words) > 1 else ""
