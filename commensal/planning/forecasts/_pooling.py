"""Empirical Bayes over curves: rates of runs are drawn from a law that the other runs show.

Each run follows A · basis + offset of a law with a rate of its own, plus white noise and a random
walk. Rates live on a grid; the prior of a run's rate is the mean posterior of the other runs, those
with similar settings above all, so that a short curve borrows what long ones have shown. All is
exact given the grid: there is no sampling.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import logsumexp, ndtr

from commensal.planning.forecasts._curves import Curves, distances
from commensal.planning.forecasts._laws import CurveLaw, LawCurves

_HIDDEN = 1e6  # variance of what was not measured, in units of the noise
_ROUNDS = 6  # of the posteriors' mean; more change nothing that is printed
_OWN, _ALL = 1.0, 1.0  # how many runs the prior above counts as
_WALKS = (0.0, 0.1, 0.5, 2.0, 8.0)
_NOISES = (1 / 64, 1 / 16, 0.25, 0.5, 1.0, 2.0)
_REACHES = (np.inf, 1.0, 0.3, 0.1)


class Shared(NamedTuple):
    """Numbers that all runs share.

    Attributes
    ----------
    shape : float
        Parameter of the law.
    jump : bool
        Whether the first generation has a change of its own, which later ones do not go on with.
    walk : float
        Variance of the random walk's step, over that of the noise.
    noise : float
        Variance of the noise, over its first estimate.
    reach : float
        Distance of settings over which runs tell of each other; infinite: settings are not read.
    """

    shape: float
    jump: bool
    walk: float
    noise: float
    reach: float


class Predicted(NamedTuple):
    """Mixture of normal laws, one per rate, for each generation of one run.

    Attributes
    ----------
    weight : Float[numpy.ndarray, "rates"]
    mean, spread : Float[numpy.ndarray, "rates time"]
    """

    weight: Float[np.ndarray, "rates"]
    mean: Float[np.ndarray, "rates time"]
    spread: Float[np.ndarray, "rates time"]

    def quantile(self, level: float | int) -> Float[np.ndarray, "time"]:
        """Return a quantile of each generation's mixture, by bisection."""
        low = (self.mean - 12 * self.spread).min(axis=0)
        high = (self.mean + 12 * self.spread).max(axis=0)
        for _ in range(50):
            middle = (low + high) / 2
            below = self.weight @ ndtr((middle - self.mean) / self.spread) < level
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2


class PooledCurves:
    """Curves of one law, their likelihoods over the grid of rates, and what follows from them.

    Parameters
    ----------
    curves : Curves
        With NaN where a value is to be forecast.
    law : CurveLaw
    until : int
        Last generation that is forecast.
    """

    def __init__(self, curves: Curves, law: CurveLaw, until: int) -> None:
        self.law, self.until = law, until
        self.times = np.union1d(curves.generations, np.arange(curves.generations[0], until + 1))
        self.y = np.full((len(curves.runs), len(self.times)), np.nan)
        self.y[:, np.searchsorted(self.times, curves.generations)] = curves.values
        self.apart = distances(curves.settings)
        self.noise, self.factor = first_noise(self.y, self.times, curves.known)
        span = np.nanmax(self.y, axis=1) - np.nanmin(self.y, axis=1)
        widest = max(float(span.max()), 4 * float(np.sqrt(self.noise.max())))
        sizes = widest * 2.0 ** np.arange(-6, 2.25, 0.25)
        self.changes = np.concatenate([-sizes[::-1], [0.0], sizes])
        self.level = float(np.nanmedian(np.abs(self.y)))
        first = self.y[:, self.times == 0] - self.y[:, self.times == 1]
        first = first[~np.isnan(first)]
        few = len(first) < 3
        self._known: dict[Shared, np.ndarray] = {}
        self._curves: dict[float, LawCurves] = {}
        self.jumps = (0.0, widest**2) if few else (float(first.mean()), float(first.var(ddof=1)))

    def shared(self) -> Shared:
        """Return the shared numbers under which each run is most likely given the others.

        Shape and jump are searched with noise and reach in turn, twice.
        """
        jumps = (False, True) if (~np.isnan(self.y[:, self.times == 0])).any() else (False,)
        reaches = _REACHES if self.apart.any() else (np.inf,)
        best = Shared(self.law.shapes[0], False, _WALKS[2], _NOISES[2], np.inf)
        total = -np.inf
        for _ in range(2):
            kinds = [best._replace(shape=s, jump=j) for s, j in product(self.law.shapes, jumps)]
            for tried in (kinds, list(product(_WALKS, _NOISES))):
                start = best
                for one in tried:
                    at = (
                        one
                        if isinstance(one, Shared)
                        else start._replace(walk=one[0], noise=one[1])
                    )
                    told = self.likelihoods(at)
                    for reach in reaches:
                        found = float(self.priors(told, reach)[1].sum())
                        if found > total + 1e-9:
                            total, best = found, at._replace(reach=reach)
        return best

    def likelihoods(self, shared: Shared) -> Float[np.ndarray, "runs rates"]:
        """Return the logarithm of each run's likelihood at each rate, its level integrated out."""
        return self._fit(shared, self.y, self.noise).told

    def priors(
        self,
        told: Float[np.ndarray, "runs rates"],
        reach: float | int,
        without: Bool[np.ndarray, "runs"] | None = None,
    ) -> tuple[Float[np.ndarray, "runs rates"], Float[np.ndarray, "runs"]]:
        """Return each run's prior from the other runs, and its log-likelihood under it.

        Runs that are marked in ``without`` tell nothing of others.
        """
        count, rates = told.shape
        likelihood = np.exp(told - told.max(axis=1, keepdims=True))
        near = np.exp(-self.apart / reach) if np.isfinite(reach) else np.ones((count, count))
        asked = np.ones(count) if without is None else 1.0 - without
        other = (1.0 - np.eye(count)) * asked
        near = near * other
        flat = np.full((count, rates), 1.0 / rates)
        prior = flat
        for _ in range(_ROUNDS):
            posterior = prior * likelihood
            posterior /= posterior.sum(axis=1, keepdims=True)
            posterior = _blurred(posterior)
            all_ = (other @ posterior + _ALL * flat) / (other.sum(axis=1, keepdims=True) + _ALL)
            prior = (near @ posterior + _OWN * all_) / (near.sum(axis=1, keepdims=True) + _OWN)
        return prior, np.asarray(logsumexp(np.log(prior) + told, axis=1))

    def predict(self, shared: Shared, run: int) -> Predicted:
        """Predict all generations of one run, from its own values and the other runs'."""
        return self.forget(shared, run, int(self.times[-1]), None)

    def forget(
        self, shared: Shared, run: int, after: int, without: Bool[np.ndarray, "runs"] | None
    ) -> Predicted:
        """Predict one run without its values after a generation, and without some other runs."""
        y = np.where(self.times > after, np.nan, self.y[run])[None]
        if shared not in self._known:
            self._known[shared] = self.likelihoods(shared)
        told = self._known[shared].copy()
        fit = self._fit(shared, y, self.noise[run : run + 1])
        told[run] = fit.told[0]
        prior = self.priors(told, shared.reach, without)[0][run]
        weight = prior * np.exp(told[run] - told[run].max())
        mean, variance = fit.new()
        return Predicted(weight / weight.sum(), mean, np.sqrt(variance))

    def _fit(self, shared: Shared, y: np.ndarray, noise: np.ndarray) -> _Fit:
        """Fit the level of each run at each rate, by least squares weighted by the noise."""
        times, seen = self.times, ~np.isnan(y)
        basis, offset = self._of_law(shared.shape)
        white = noise * shared.noise
        walk = white[:, None, None] * shared.walk * np.minimum.outer(times, times)
        cov = walk + white[:, None, None] * np.eye(len(times))
        shift = np.zeros(len(times))
        if shared.jump:
            at = int(np.flatnonzero(times == 0)[0])
            shift[at], variance = self.jumps
            cov[:, at, at] += variance
        hidden = np.where(seen, 0.0, _HIDDEN * white[:, None])
        inverse = np.linalg.inv(cov + hidden[:, :, None] * np.eye(len(times)))
        r = np.where(seen, y - shift, 0.0)[:, None] - np.where(seen[:, None], offset, 0.0)
        b = np.where(seen[:, None], basis, 0.0)
        bv = b @ inverse
        size = np.einsum("nmt,nmt->nm", bv, b)
        level = np.einsum("nmt,nmt->nm", bv, r) / size
        left = r - level[:, :, None] * b
        missed = np.einsum("nmt,nmt->nm", left @ inverse, left)
        told = -0.5 * (np.log(size) + missed - np.linalg.slogdet(inverse)[1][:, None])
        return _Fit(told, basis, offset + shift, b, level, size, left, inverse, walk, white)

    def _of_law(self, shape: float) -> LawCurves:
        if shape not in self._curves:
            self._curves[shape] = self.law.curve(
                self.times, self.until, self.changes, self.level, shape
            )
        return self._curves[shape]


class _Fit(NamedTuple):
    """Levels of runs at each rate, and what predicts new measurements of the first of them."""

    told: np.ndarray
    basis: np.ndarray
    offset: np.ndarray
    seen_basis: np.ndarray
    level: np.ndarray
    size: np.ndarray
    left: np.ndarray
    inverse: np.ndarray
    walk: np.ndarray
    white: np.ndarray

    def new(self) -> tuple[Float[np.ndarray, "rates time"], Float[np.ndarray, "rates time"]]:
        """Return mean and variance of new measurements of the first run, at each rate."""
        gain = self.walk[0] @ self.inverse[0]
        mean = self.level[0][:, None] * self.basis + self.offset + self.left[0] @ gain.T
        own = np.clip(np.diag(self.walk[0] - gain @ self.walk[0]), 0, None)
        lead = self.basis - self.seen_basis[0] @ gain.T
        return mean, own + self.white[0] + lead**2 / self.size[0][:, None]


def first_noise(
    y: Float[np.ndarray, "runs time"], times: np.ndarray, known: Float[np.ndarray, "runs"]
) -> tuple[Float[np.ndarray, "runs"], float]:
    """Return a first estimate of the variance of each run's noise, and its factor.

    Counts have the variance of a binomial law times a factor for all runs, which is below one
    where every generation is asked about the same facts; other values have one variance.
    """
    square, free, binomial = 0.0, 0.0, np.ones(len(y))
    counts = ~np.isnan(known)
    if counts.any():
        share = np.nanmean(y, axis=1)
        of = np.where(counts, known, 1.0)
        binomial = np.where(counts, np.maximum(share * (1 - share), 0.5 / of) / of, 1.0)
    for row, unit in zip(y, binomial, strict=True):
        at = np.flatnonzero(~np.isnan(row) & (times > 0))
        degree = 1 if len(at) > 2 else 0
        if len(at) > degree + 1:
            fit = np.polynomial.Polynomial.fit(times[at], row[at], degree)
            square += float(((row[at] - fit(times[at])) ** 2).sum()) / unit
            free += len(at) - degree - 1
    size = float(np.nanmax(np.abs(y))) or 1.0
    factor = square / free if free else float(np.nanvar(y)) or size**2
    least = (0.05 / np.nanmax(known)) ** 2 / binomial.min() if counts.any() else (1e-4 * size) ** 2
    return binomial * max(factor, least), max(factor, least)


def _blurred(rates: np.ndarray) -> np.ndarray:
    """Spread each posterior over neighbouring rates, so that few runs leave no gaps."""
    if rates.shape[1] < 3:
        return rates
    out = 0.5 * rates
    out[:, 1:] += 0.25 * rates[:, :-1]
    out[:, :-1] += 0.25 * rates[:, 1:]
    out[:, 0] += 0.25 * rates[:, 0]
    out[:, -1] += 0.25 * rates[:, -1]
    return out
