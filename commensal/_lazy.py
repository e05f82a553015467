"""Import the modules of a package only when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def attach(
    package: str, offered: Sequence[str], places: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    package : str
        Its ``__name__``.
    offered : sequence of str
        Its ``__all__``. What is not defined in the package itself is a module within it, imported
        on first use; Tab completes all of them before that.
    places : dict or None
        Modules of functions and classes that are offered, by their names.

    Examples
    --------
    >>> get, names = attach("commensal.theory", ["gaussian"])
    >>> names(), get("gaussian").__name__
    (['gaussian'], 'commensal.theory.gaussian')
    >>> get("gausian")
    Traceback (most recent call last):
    ...
    AttributeError: module 'commensal.theory' has no attribute 'gausian'
    """

    def get(name: str) -> Any:
        if places and name in places:
            return getattr(import_module(places[name]), name)
        if name in offered:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: sorted(offered)
