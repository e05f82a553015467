"""Lineages and populations of Gaussian models in NumPy, from σ = 1 and μ = 0, for the checks.

A fit to n points needs their mean and their sum of squares only, which are independent normal and
chi-square variables (that they are is checked from points, in `estimators`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Course(NamedTuple):
    """Means and variances with generations along the first axis, from 0."""

    mean: np.ndarray
    variance: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """Distance W₂² to the truth."""
        return self.mean**2 + (np.sqrt(self.variance) - 1) ** 2


def lineages(
    rng: np.random.Generator, n: int, times: tuple[int, ...], runs: int, divisor: int | None = None
) -> Course:
    """Run ``runs`` lineages; return them at ``times``; variances divide by n - 1 or ``divisor``."""
    mean, variance = np.zeros(runs), np.ones(runs)
    kept, at = [], 0
    for last in times:
        for _ in range(last - at):
            mean += np.sqrt(variance / n) * rng.standard_normal(runs)
            variance *= rng.standard_gamma((n - 1) / 2, runs) * (2 / (divisor or n - 1))
        kept.append((mean.copy(), variance.copy()))
        at = last
    return Course(*(np.array(x) for x in zip(*kept, strict=True)))


class Population(NamedTuple):
    """Settings of a population (sec. 3, app. C)."""

    models: int = 16
    parents: int = 4
    samples: int = 30
    signal: str = "oracle"
    """Signal that selects parents; with "none" they are drawn by lot."""
    inheritance: float = 0.5
    """Weight of the first parent's parameters; the rest is the fit to the second parent's data."""
    shared: bool = True
    """Whether a parent publishes one dataset for all offspring, instead of one for each."""


def population(
    rng: np.random.Generator, how: Population, generations: int, runs: int, every: int = 1
) -> Course:
    """Run populations: models on the last axis, ``runs`` on the second, every so many generations.

    N = k² offspring of all ordered pairs of k parents; otherwise N/k of each parent by itself.
    """
    n, k, h = how.samples, how.parents, how.inheritance
    each = how.models // k

    def noise(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        scatter = rng.standard_gamma((n - 1) / 2, (runs, *shape)) * (2 / (n - 1))
        return rng.standard_normal((runs, *shape)) / np.sqrt(n), np.sqrt(scatter)

    mean, std = noise(how.models)
    kept = [(np.zeros_like(mean), np.ones_like(std))]
    for t in range(1, generations + 1):
        if t > 1:
            # arithmetic in place of many small calls: these arrays are short
            loss = mean**2 + (std - 1) ** 2 if how.signal == "oracle" else rng.random(mean.shape)
            chosen = np.argpartition(loss, k - 1, axis=1)[:, :k]
            m, s = (np.take_along_axis(x, chosen, axis=1) for x in (mean, std))
            pairs = each == k
            location, scale = noise(*((1, k) if how.shared and pairs else (k, each)))
            data_m, data_s = (x[:, None] if pairs else x[:, :, None] for x in (m, s))
            mean = h * m[:, :, None] + (1 - h) * (data_m + data_s * location)
            std = h * s[:, :, None] + (1 - h) * data_s * scale
            mean, std = (x.reshape(runs, -1) for x in (mean, std))
        if t % every == 0:
            kept.append((mean, std))
    means, stds = (np.array(x) for x in zip(*kept, strict=True))
    return Course(means, stds**2)
