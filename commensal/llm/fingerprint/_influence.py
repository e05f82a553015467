"""Directed influence over release dates: which models say what earlier ones said."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from commensal.llm.fingerprint._bootstrap import Interval, interval, resampled_models


class Asymmetry(NamedTuple):
    """Test of whether newer models have more of older ones' fingerprints than the reverse.

    Attributes
    ----------
    bins : pandas.DataFrame
        Bins of lags: ``low`` and ``high`` edge and ``middle`` of each, ``pairs``, ``mean``;
        ``low_pairs``, ``high_pairs``: mean ± 1.96 standard errors of independent pairs;
        ``low_models``, ``high_models``: percentiles over resampled models.
    difference : Interval
        Mean of I(older → newer) - I(newer → older) over pairs of different families and dates;
        models resampled within families.
    pairs_interval : tuple of float
        Interval of the same difference where pairs are resampled.
    p_value : float
        Two-sided p-value of the difference: how often models' dates in random order give as much.
    explained : float
        Share of the difference that remains when each model has a number of its own, g, and a
        pair's direction is g_A - g_B: the part that needs no tie between two models.
    older_first : float
        Share of these pairs whose influence from older to newer is the greater.
    """

    bins: pd.DataFrame
    difference: Interval
    pairs_interval: tuple[float, float]
    p_value: float
    explained: float
    older_first: float


def directed_pairs(
    influence: Float[np.ndarray, "N N"],
    family: Int[np.ndarray, "N"],
    dates: Float[np.ndarray, "N"],
) -> pd.DataFrame:
    """Return the ordered pairs of models of different families and dates.

    Parameters
    ----------
    influence : Float[np.ndarray, "N N"]
        Directed influence, source by target.
    family : Int[np.ndarray, "N"]
        Number of each model's family, as ``Models.codes`` gives it.
    dates : Float[np.ndarray, "N"]
        Date of each model, in months or generations.

    Returns
    -------
    pandas.DataFrame
        Table of the pairs: ``source``, ``target`` (numbers), ``lag`` = date of target - date of
        source, ``influence``. Each pair is there twice, with opposite lags.
    """
    lag = dates[None, :] - dates[:, None]
    source, target = np.nonzero((family[:, None] != family[None, :]) & (lag != 0))
    return pd.DataFrame(
        {
            "source": source,
            "target": target,
            "lag": lag[source, target],
            "influence": influence[source, target],
        }
    )


def asymmetry(
    influence: Float[np.ndarray, "N N"],
    family: Int[np.ndarray, "N"],
    dates: Float[np.ndarray, "N"],
    *,
    width: float | int = 3,
    resamples: int = 1000,
    seed: int = 0,
) -> Asymmetry:
    """Compute influence by lag, and test whether its direction follows the dates.

    Parameters
    ----------
    influence : Float[np.ndarray, "N N"]
        Directed influence, source by target, as :func:`influence` gives it.
    family : Int[np.ndarray, "N"]
        Number of each model's family, as ``Models.codes`` gives it.
    dates : Float[np.ndarray, "N"]
        Date of each model, in months or generations.
    width : float
        Width of a bin of lags; the bins end at 0, which is in none.
    resamples, seed : int
        Number of resamples, and their seed.

    Returns
    -------
    Asymmetry
        Influence by lag, and the test.

    Raises
    ------
    ValueError
        If ``width`` is not positive, or no two models of different families differ in date.
    """
    if not width > 0:
        raise ValueError(f"the width of a bin must be positive, got {width}")
    pairs = directed_pairs(influence, family, dates)
    if pairs.empty:
        raise ValueError("no two models of different families have different dates")
    lag = pairs["lag"].to_numpy()
    cells, at = np.unique(np.sign(lag) * np.ceil(np.abs(lag) / width), return_inverse=True)
    value = pairs["influence"].to_numpy()
    source, target = pairs["source"].to_numpy(), pairs["target"].to_numpy()

    older = np.flatnonzero(lag > 0)
    # of each unordered pair once: from the older to the newer, and back
    a, b = source[older], target[older]
    direction = influence[a, b] - influence[b, a]

    rng = np.random.default_rng(seed)
    means = np.full((resamples, cells.size), np.nan)
    by_models, by_pairs = np.full((2, resamples), np.nan)
    for r in range(resamples):
        times = resampled_models(family, rng)
        weight = (times[source] * times[target]).astype(float)
        total = np.bincount(at, weight, cells.size)
        with np.errstate(invalid="ignore"):
            means[r] = np.bincount(at, weight * value, cells.size) / total
        if weight[older].any():
            by_models[r] = np.average(direction, weights=weight[older])
        by_pairs[r] = direction[rng.integers(direction.size, size=direction.size)].mean()
    n = np.bincount(at)
    mean = np.bincount(at, value) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(np.bincount(at, (value - mean[at]) ** 2) / (n - 1) / n)
    low, high = np.full((2, cells.size), np.nan)
    for k in range(cells.size):
        low[k], high[k] = interval(mean[k], means[:, k])[1:3]
    edge = cells * width
    bins = pd.DataFrame(
        {
            "low": np.where(cells > 0, edge - width, edge),
            "high": np.where(cells > 0, edge, edge + width),
            "middle": edge - np.sign(cells) * width / 2,
            "pairs": n,
            "mean": mean,
            "low_pairs": mean - 1.96 * error,
            "high_pairs": mean + 1.96 * error,
            "low_models": low,
            "high_models": high,
        }
    )
    quantiles = np.percentile(by_pairs, [2.5, 97.5])
    observed = float(direction.mean())
    return Asymmetry(
        bins,
        interval(observed, by_models),
        (float(quantiles[0]), float(quantiles[1])),
        _shuffled(influence, family, dates, observed, resamples, rng),
        _own(a, b, direction, len(family)),
        float(np.mean(direction > 0)),
    )


def _shuffled(influence, family, dates, observed: float, resamples: int, rng) -> float:
    """Return the two-sided p-value against dates in random order."""
    difference = influence - influence.T
    other = family[:, None] != family[None, :]
    hits = 0
    for _ in range(resamples):
        date = rng.permutation(dates)
        forward = other & (date[None, :] > date[:, None])
        hits += bool(np.abs(difference[forward].mean()) >= abs(observed) - 1e-12)
    return (1 + hits) / (1 + resamples)


def _own(a: np.ndarray, b: np.ndarray, direction: np.ndarray, models: int) -> float:
    """Share of the mean direction that one number per model explains, by least squares."""
    if not np.any(direction):
        return float("nan")
    design = np.zeros((a.size, models))
    design[np.arange(a.size), a] += 1
    design[np.arange(a.size), b] -= 1
    g = np.linalg.lstsq(design, direction, rcond=None)[0]
    return float((design @ g).mean() / direction.mean())
