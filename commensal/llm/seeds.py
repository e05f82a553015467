"""Seeds derived from the run's one seed and the name of what is drawn."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(seed: int, *names: str | int) -> int:
    """Return a seed for one purpose, independent of every other purpose's and of the order of use.

    Parameters
    ----------
    seed : int
        The run's seed.
    *names : str or int
        What is drawn: ``"data", generation, model`` and the like.

    Returns
    -------
    int
        Of 63 bits.

    Examples
    --------
    >>> seed_of(0, "data", 1, 0) == seed_of(0, "data", 1, 0)
    True
    >>> seed_of(0, "data", 1, 0) == seed_of(0, "data", 0, 1)
    False
    """
    text = "/".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return NumPy's generator with the seed of :func:`seed_of`."""
    return np.random.default_rng(seed_of(seed, *names))
