"""Vocabularies: true probabilities of word types, and those of a pretrained model."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from commensal._precision import AnyArray, float64, is_concrete
from commensal.theory.ecosystem import _arguments


class Vocabulary(NamedTuple):
    """A true law over V word types, and the pretrained law from which all models start."""

    law: Float[AnyArray, " V"]
    """True law p."""
    prior: Float[AnyArray, " V"]
    """Pretrained law π."""


@float64
def zipf(types: int = 2_000, exponent: ArrayLike = 1.0, flatness: ArrayLike = 0.7) -> Vocabulary:
    """Make a vocabulary by Zipf's law, with a pretrained law that is flatter than it.

    Parameters
    ----------
    types : int
        Number of word types V, at least 2.
    exponent : float
        Exponent s: the type of rank r has p proportional to r^-s.
    flatness : float
        Power of p to which the pretrained law is proportional.

    Returns
    -------
    Vocabulary
        True law and pretrained law.

    Raises
    ------
    ValueError
        If there are fewer than two types, or a number is not finite.

    Notes
    -----
    The defaults are those of the claim ``commensal.proxy_u_shape``.

    Examples
    --------
    >>> zipf(4).law.round(3)
    array([0.48, 0.24, 0.16, 0.12])
    """
    if not np.isfinite(types) or types < 2 or types != int(types):
        raise ValueError(f"types must be an integer >= 2, got {types}")
    for name, value in (("exponent", exponent), ("flatness", flatness)):
        if is_concrete(value) and not np.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}")
    law = jnp.arange(1.0, int(types) + 1) ** -jnp.asarray(exponent)
    law = law / law.sum()
    prior = (law / law[0]) ** flatness  # in units of the first: not all underflow
    return Vocabulary(law, prior / prior.sum())


class VocabularySums(NamedTuple):
    """The five sums of a vocabulary on which a quadratic distance Σ_v a_v (q_v - p_v)² depends."""

    law: Float[AnyArray, ""]
    """Sum Σ a p."""
    prior: Float[AnyArray, ""]
    """Sum Σ a π, with π the pretrained law."""
    law_law: Float[AnyArray, ""]
    """Sum Σ a p²."""
    law_prior: Float[AnyArray, ""]
    """Sum Σ a p π."""
    prior_prior: Float[AnyArray, ""]
    """Sum Σ a π²."""


@float64
def sums(vocabulary: Vocabulary, distance: Any = "chi_square") -> VocabularySums:
    """Compute the five sums of a vocabulary on which a quadratic distance depends.

    Parameters
    ----------
    vocabulary : Vocabulary
        True law and pretrained law.
    distance : {"chi_square", "squares"} or (V,) array
        Weights a_v of the distance: 1/p_v, one, or given.

    Returns
    -------
    VocabularySums
        Five sums.

    Raises
    ------
    ValueError
        If a law is no law, the two differ in length, or the distance is unknown.

    Examples
    --------
    For χ² the first is the number of types, and how far the pretrained law is off:

    >>> s = sums(zipf())
    >>> round(float(s.law)), round(float(s.prior_prior - 2 * s.law_prior + s.law_law), 3)
    (2000, 0.456)
    """
    law, prior = checked(vocabulary)
    if isinstance(distance, str):
        _arguments.one_of(distance, "distance", ("chi_square", "squares"))
        a = 1 / law if distance == "chi_square" else jnp.ones_like(law)
    else:
        a = jnp.asarray(distance, dtype=jnp.float64)
        if a.shape != law.shape:
            raise ValueError(f"distance must have shape {law.shape}, got {a.shape}")
    return VocabularySums(
        (a * law).sum(),
        (a * prior).sum(),
        (a * law * law).sum(),
        (a * law * prior).sum(),
        (a * prior * prior).sum(),
    )


def checked(vocabulary: Vocabulary) -> Vocabulary:
    """Return a vocabulary whose two laws are checked and of one length, or raise."""
    law = _arguments.law(vocabulary[0], "law")
    prior = _arguments.law(vocabulary[1], "prior")
    if prior.shape != law.shape:
        raise ValueError(f"law and prior must be of one length, got {law.size} and {prior.size}")
    return Vocabulary(law, prior)


def compressed(
    vocabulary: Vocabulary, nodes: int = 32
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points and weights such that Σ_v p_v f(p_v, π_v) is close to Σ_j W_j f(p_j, π_j).

    For smooth f, and where ln π is a smooth function of ln p: Chebyshev points in ln p. The first
    eight types are points of their own, where a sum is no integral. Other vocabularies are
    returned as they are.
    """
    law, prior = (np.asarray(x, dtype=float) for x in vocabulary)
    order = np.argsort(-law, kind="stable")
    x, y = np.log(law[order]), np.log(prior[order])
    if len(law) <= 2 * nodes or x[0] - x[-1] < 1e-6:
        return law, prior, law
    middle, half = (x[0] + x[-1]) / 2, (x[0] - x[-1]) / 2
    points = np.cos((2 * np.arange(nodes) + 1) * np.pi / (2 * nodes))
    # values of a polynomial at the points, from its values at them: T_k's discrete orthogonality
    basis = np.polynomial.chebyshev.chebvander((x - middle) / half, nodes - 1)
    known = np.polynomial.chebyshev.chebvander(points, nodes - 1) * 2 / nodes
    known[:, 0] /= 2
    interpolation = basis @ known.T
    at = np.polynomial.chebyshev.Chebyshev.fit(x, y, 5, domain=[x[-1], x[0]])
    if np.abs(at(x) - y).max() > 1e-10:
        return law, prior, law
    where = middle + half * points
    return np.exp(where), np.exp(at(where)), law[order] @ interpolation
