"""Estimate quantiles of any number of lineages from counts in fixed bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

# in standard deviations; log χ² has its long tail below
_BELOW, _ABOVE, _PER_UNIT = 32, 16, 128
BINS = (_BELOW + _ABOVE) * _PER_UNIT


def counts(units: Float[np.ndarray, "R G"]) -> Int[np.ndarray, "G bins"]:
    """Count lineages per bin; those out of range are in the outermost bins."""
    generations = units.shape[1]
    with np.errstate(invalid="ignore"):  # -inf and NaN, which the clip below puts somewhere
        place = np.clip(np.floor((units + _BELOW) * _PER_UNIT), 0, BINS - 1)
    place = np.nan_to_num(place).astype(np.int64) + BINS * np.arange(generations)
    return np.bincount(place.reshape(-1), minlength=generations * BINS).reshape(generations, BINS)


def quantiles(
    histogram: Int[np.ndarray, "G bins"], probabilities: Sequence[float]
) -> tuple[Float[np.ndarray, "q G"], Float[np.ndarray, "q G"]]:
    """Compute quantiles by interpolation within bins, and their standard errors.

    NaN where an outermost bin would decide. Half the distance between the quantiles one
    binomial standard error to either side is the error's estimate; a bin is 1/128 of a
    standard deviation wide, and a smooth density is linear within it to some 1e-5.
    """
    total = histogram.sum(axis=1)
    p = np.asarray(probabilities, dtype=float)[:, None]
    spread = np.sqrt(p * (1 - p) / total)
    value, low, high = (_inverse(histogram, p + k * spread) for k in (0, -1, 1))
    return value, (high - low) / 2


def _inverse(
    histogram: Int[np.ndarray, "G bins"], probability: Float[np.ndarray, "q G"]
) -> Float[np.ndarray, "q G"]:
    out = np.empty(probability.shape)
    for g, row in enumerate(histogram):
        cumulative = np.cumsum(row)
        wanted = np.clip(probability[:, g], 0, 1) * cumulative[-1]
        at = np.minimum(np.searchsorted(cumulative, wanted), BINS - 1)
        within = (wanted - (cumulative[at] - row[at])) / np.maximum(row[at], 1)
        value = (at + within) / _PER_UNIT - _BELOW
        out[:, g] = np.where((at == 0) | (at == BINS - 1), np.nan, value)
    return out
