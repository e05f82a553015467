"""Zipf's law of word frequencies."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from commensal._precision import AnyArray, float64, is_concrete


@float64
def zipf(words: int, exponent: ArrayLike = 1.0) -> Float[AnyArray, " V"]:
    """Return the frequencies of words by Zipf's law, the most frequent one first.

    Parameters
    ----------
    words : int
        Number of words V ≥ 1.
    exponent : float
        Exponent s: the word of rank r has a frequency proportional to r^-s.

    Returns
    -------
    Float[Array, "V"]
        Frequencies that sum to one, float64.

    Raises
    ------
    ValueError
        If there is no word, or the exponent is not finite.

    Examples
    --------
    >>> zipf(4).round(3)
    array([0.48, 0.24, 0.16, 0.12])
    """
    if not np.isfinite(words) or words < 1 or words != int(words):
        raise ValueError(f"words must be an integer >= 1, got {words}")
    if is_concrete(exponent) and not np.isfinite(exponent):
        raise ValueError(f"exponent must be a finite number, got {exponent}")
    law = jnp.arange(1.0, int(words) + 1) ** -jnp.asarray(exponent)
    return law / law.sum()
