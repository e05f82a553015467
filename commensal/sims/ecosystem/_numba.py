"""Runs of ecosystems on CPUs by numba's machine code, on the random words of the other kernel.

A seed gives the same tokens, and so the same numbers, to rounding.
"""

from __future__ import annotations

import importlib

import jax
import numpy as np

from commensal.sims._simulate import Arrays
from commensal.sims.ecosystem._process import EcosystemNumbers, Measures

_COUNTS = 2**32  # places of counts are numbers of 32 bits


def chosen(numbers: EcosystemNumbers) -> bool:
    """Return whether numba runs this: on CPUs, where it is installed."""
    if jax.default_backend() != "cpu":
        return False
    if (numbers.sizes.shape[1] + 1) * len(numbers.law) >= _COUNTS:
        return False
    try:
        importlib.import_module("commensal.sims.ecosystem._numba_kernel")
    except ImportError:
        return False
    return True


def run(keys: np.ndarray, numbers: EcosystemNumbers, prior: np.ndarray, generations: int) -> Arrays:
    """Run some ecosystems and measure them at every generation: replicates first."""
    from commensal.sims.ecosystem import _numba_kernel as kernel

    (runs, models), types = numbers.sizes.shape, len(prior)
    laws = np.empty((models, types))
    powers = np.empty_like(laws) if (numbers.sharpening != 1).any() else laws
    texts, tables, counts = room(models, types, int(numbers.sizes.sum(axis=1).max()))
    work = laws, powers, np.empty(types), counts, texts, tables
    out = np.empty((runs, generations, models + 1, 4))
    # copies of one layout: one program does
    given = tuple(np.array(x, order="C") for x in (numbers.sizes, numbers.hold, numbers.sharpening))
    kernel.run(np.array(keys), given, numbers.law, prior, work, out)
    out[..., 3] = 1 / out[..., 3]
    of_models, of_pool = np.moveaxis(out[..., :-1, :], -1, 0), np.moveaxis(out[..., -1, :], -1, 0)
    return Measures(*of_models, *of_pool)._asdict()


def room(
    models: int, types: int, tokens: int
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], np.ndarray]:
    """Make the arrays that a generation is written in: texts, tables, and counts."""
    from commensal.sims.ecosystem._numba_kernel import SPAN

    cells = SPAN * 2 ** max(0, (types - 1).bit_length() - 6)  # of the guide: few types in each
    # of second words: few tokens are in one that several readers share
    bins = 2 ** min(16, (models - 1).bit_length() + 7) if models > 1 else 1
    # the last numbers are above all words
    table = np.full(types + SPAN, 2**32 - 1, np.uint32)
    guide, starts, rows = (np.empty(size, np.uint32) for size in (cells + SPAN, bins, bins))
    texts = tuple(np.empty(tokens, np.uint32) for _ in range(3))
    return texts, (table, guide, starts, rows), np.zeros((models + 1, types), np.uint32)
