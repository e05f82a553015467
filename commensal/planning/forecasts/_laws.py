"""Laws that curves over generations may follow, each with one rate per run.

A law gives for each of some total changes D, from generation 1 to the last one asked for, a curve
A · basis(t) + offset(t), where A, the level, is a run's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import roots_hermitenorm


class LawCurves(NamedTuple):
    """Curves of one law, in the form A · basis + offset, each for one total change.

    Attributes
    ----------
    basis, offset : Float[numpy.ndarray, "changes time"]
    """

    basis: Float[np.ndarray, "changes time"]
    offset: Float[np.ndarray, "changes time"]


@dataclass(frozen=True)
class CurveLaw:
    """A law, with what it is called and where it comes from.

    Attributes
    ----------
    name : str
    said : str
        Law in words, for a sentence.
    source : str
    shapes : tuple of float
        Values of the parameter that all runs share, times for a horizon of ten generations; the
        best is taken.
    curve : callable
        ``curve(times, until, changes, level, shape)``.
    positive : bool
        Whether it is of values above zero alone.
    share : bool
        Whether it is of shares alone, between 0 and 1.
    """

    name: str
    said: str
    source: str
    shapes: tuple[float, ...]
    curve: Callable[..., LawCurves]
    positive: bool = False
    share: bool = False


Times = Float[np.ndarray, "time"]


def _added(g: Times, changes: np.ndarray) -> LawCurves:
    offset = changes[:, None] * g
    return LawCurves(np.ones_like(offset), offset)


def _scaled(shape: float, until: int) -> float:
    """Return a time in generations, which grows with the horizon beyond ten of them."""
    return shape * max(1.0, (until - 1) / 9)


def _persistence(times, until, changes, level, shape) -> LawCurves:
    return _added(0.0 * times, 0.0 * changes[:1])


def _linear(times, until, changes, level, shape) -> LawCurves:
    return _added((times - 1) / max(until - 1, 1), changes)


def _floor(times, until, changes, level, shape) -> LawCurves:
    """Approach a floor exponentially: errors under a training that is finite shrink by a factor."""
    scale = _scaled(shape, until)
    span = -np.expm1(-max(until - 1, 1) / scale)
    return _added(-np.expm1(-(times - 1) / scale) / span, changes)


def _growth(times, until, changes, level, shape) -> LawCurves:
    """Grow by a factor per generation: errors of an unstable mix."""
    scale = _scaled(shape, until)
    span = np.expm1(max(until - 1, 1) / scale)
    return _added(np.expm1((times - 1) / scale) / span, changes)


def _power(times, until, changes, level, shape) -> LawCurves:
    ratio = np.clip(1 + changes / level, 0.02, 50.0)
    exponent = np.log(ratio) / np.log1p(max(until - 1, 1) / 2)
    basis = ((1 + times) / 2) ** exponent[:, None]
    return LawCurves(basis, np.zeros_like(basis))


def survival_share(
    expected: Float[np.ndarray, "n"], spread: float | int, generations: Times
) -> Float[np.ndarray, "n time"]:
    r"""Return the share of facts that survive t generations of models that repeat them.

    Parameters
    ----------
    expected : Float[numpy.ndarray, "n"]
        Median expected count of a fact in one generation's texts: proportional to the one
        effective n, the tokens of a generation.
    spread : float
        Standard deviation of the counts' logarithm over facts.
    generations : Float[numpy.ndarray, "time"]
        t >= 0; t = 0 is the first model, which learnt from humans.

    Returns
    -------
    Float[numpy.ndarray, "n time"]
        Mean over facts of :math:`1 - \exp(-\lambda C_{t+1})`, see
        :func:`commensal.theory.words.survival`.

    Examples
    --------
    >>> survival_share(np.array([10.0]), 1.0, np.array([0.0, 1.0, 10.0])).round(2)
    array([[0.98, 0.95, 0.73]])
    """
    from commensal.theory.words import exchange_rate

    z, weight = roots_hermitenorm(21)
    count = expected[:, None] * np.exp(spread * z)
    rate = np.asarray(exchange_rate(0.0, np.asarray(generations) + 1))
    alive = -np.expm1(-count[:, :, None] * rate)
    return np.einsum("w,nwt->nt", weight / weight.sum(), alive)


def _survival(times, until, changes, level, shape) -> LawCurves:
    """Turn total changes into the effective n that make them."""
    counts = np.logspace(-2, 6, 400)
    path = survival_share(counts, shape, np.append(times, [1.0, float(until)]))
    basis = path[:, :-2] / path[:, -2:-1]  # of the level in generation 1
    lost = path[:, -1] / path[:, -2] - 1
    falls = changes[(changes <= 0) & (changes / level > lost[0])]
    order = np.argsort(lost)
    found = np.stack([np.interp(falls / level, lost[order], b[order]) for b in basis.T], axis=1)
    return LawCurves(found, np.zeros_like(found))


LAWS = (
    CurveLaw(
        "persistence",
        "persistence (no change after generation 1)",
        "no law",
        (0.0,),
        _persistence,
    ),
    CurveLaw("linear", "a straight line", "no law", (0.0,), _linear),
    CurveLaw(
        "floor",
        "an exponential with a floor",
        "finite training (ours): what is not yet unlearnt shrinks by a factor per generation",
        (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0, 11.3),
        _floor,
    ),
    CurveLaw(
        "growth",
        "growth by a factor per generation",
        "an unstable mix (`interactive`, Theorem 1): errors grow by ρ > 1 per generation",
        (3.0, 6.0, 12.0),
        _growth,
    ),
    CurveLaw("power", "a power of 1 + t", "no law", (0.0,), _power, positive=True),
    CurveLaw(
        "survival",
        "survival of facts with one effective n",
        "survival of words (ours; extends Suresh et al., arXiv 2412.17646)",
        (0.5, 1.0, 2.0, 3.0),
        _survival,
        positive=True,
        share=True,
    ),
)
"""All laws, the plainest first: of two that err alike the first is taken."""
