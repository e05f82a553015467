"""Populations of Gaussian models point by point: every data set drawn, every fit by NumPy.

One population, a loop over generations, a list of models (mean, std), Python's own sort. Nothing
is shared with :mod:`commensal.sims.gaussian`: n points are kept, not their sufficient statistics,
and likelihoods are sums over held-out points. ``Noise`` holds all randomness, as it would come
from a generator, so that both programs can be run on the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats


class Noise(NamedTuple):
    """Of one population. Standard normal points, ±1/2 mutations, the signal's own draws."""

    initial: np.ndarray  # (N, n), real points behind the first fits
    points: np.ndarray  # (T-1, datasets, n)
    mutation: np.ndarray  # (T-1, 2, mutating models)
    signal: np.ndarray  # (T-1, N)
    held_out: np.ndarray  # (T-1, m), or (1, m) where they stay the same


def draw_noise(rng: np.random.Generator, c: Any) -> Noise:
    datasets = c.parents if c.shared_data else c.population
    mutating = c.parents if c.mutate == "parents" else c.population
    steps = c.generations - 1
    shape = (steps, c.population)
    return Noise(
        initial=rng.standard_normal((c.population, c.samples)),
        points=rng.standard_normal((steps, datasets, c.samples)),
        mutation=rng.uniform(-0.5, 0.5, (steps, 2, mutating)),
        signal=rng.uniform(size=shape) if c.signal == "none" else rng.standard_normal(shape),
        held_out=rng.standard_normal((steps if c.fresh_held_out else 1, c.held_out)),
    )


def run(c: Any, noise: Noise) -> list[list[tuple[float, float]]]:
    """Models (mean, std) of generations 0..T; ``c`` has the fields of a PopulationConfig."""
    truth = (c.mean, np.sqrt(c.variance))
    models = [fit(c, truth[0] + truth[1] * u) for u in noise.initial]
    history = [[truth] * c.population, models]
    for t in range(c.generations - 1):
        held_out = noise.held_out[min(t, len(noise.held_out) - 1)]
        held_out = truth[0] + truth[1] * held_out
        order = list(range(c.population))
        if c.parents < c.population:  # else there is nothing to choose
            losses = [badness(c, truth, models[i], noise.signal[t, i], held_out) for i in order]
            order.sort(key=losses.__getitem__)
        parents = [models[i] for i in order[: c.parents]]
        models = offspring(c, parents, noise.points[t], noise.mutation[t])
        history.append(models)
    return history


def badness(c, truth, model, signal, held_out) -> float:
    mean, std = model
    w2 = (mean - truth[0]) ** 2 + (std - truth[1]) ** 2
    if c.signal == "oracle":
        return w2
    if c.signal == "noisy_oracle":
        return np.sqrt(w2) + c.signal_noise * truth[1] * signal
    if c.signal == "validation":
        return -sum(stats.norm.logpdf(held_out, mean, std))
    return signal


def offspring(c, parents, points, mutation) -> list[tuple[float, float]]:
    each = c.population // c.parents
    born = []
    for first in range(c.parents):
        for other in range(each):
            teacher = other if c.crossover == "pairs" else first
            dataset = teacher if c.shared_data else len(born)
            mean, std = parents[teacher]
            fitted = fit(c, mean + std * points[dataset])
            inherited = parents[first]
            if c.mutate == "parents":
                inherited = mutated(c, inherited, mutation[:, first])
            child = between(c, inherited, fitted)
            if c.mutate == "offspring":
                child = mutated(c, child, mutation[:, len(born)])
            born.append(child)
    return born


def fit(c, data) -> tuple[float, float]:
    return np.mean(data), np.std(data, ddof=0 if c.estimator == "mle" else 1)


def mutated(c, model, draw) -> tuple[float, float]:
    mean, std = model
    return mean + c.mutation * std * draw[0], std + c.mutation * std * draw[1]


def between(c, inherited, fitted) -> tuple[float, float]:
    h = c.inheritance
    mean = h * inherited[0] + (1 - h) * fitted[0]
    if c.scale == "log_std":
        return mean, inherited[1] ** h * fitted[1] ** (1 - h)
    return mean, h * inherited[1] + (1 - h) * fitted[1]


def neutral_moments(c: Any, generations: int) -> dict[str, np.ndarray]:
    """E of μ² and σ² (of one model, and of the average over models) without any signal.

    Exact, in units of the truth. Only second moments of one model and of two different ones are
    needed, since without a signal models are exchangeable; products over all pairs of offspring
    are summed one by one.
    """
    k, n_models, h = c.parents, c.population, c.inheritance
    each = n_models // k
    n = c.samples
    shrink = np.sqrt(1 - 1 / n) if c.estimator == "mle" else 1.0
    first = shrink * stats.chi(n - 1).mean() / np.sqrt(n - 1)  # E of the factor of σ
    second = shrink**2
    jitter = c.mutation**2 / 12

    offspring = [
        (i, j if c.crossover == "pairs" else i, (j if c.crossover == "pairs" else i))
        for i in range(k)
        for j in range(each)
    ]
    if not c.shared_data:
        offspring = [(i, j, number) for number, (i, j, _) in enumerate(offspring)]

    mean_own, mean_other = 1 / n, 0.0
    std_own, std_other = second, first**2
    found = {name: [] for name in ("mean", "mean_average", "std", "std_average")}
    for _ in range(generations):
        for name, own, other in (("mean", mean_own, mean_other), ("std", std_own, std_other)):
            found[name].append(own)
            found[f"{name}_average"].append(own / n_models + other * (1 - 1 / n_models))
        totals = np.zeros((2, 2))  # of mean and σ; of a model with itself, with another
        for a, (pa, da, sa) in enumerate(offspring):
            for b, (pb, db, sb) in enumerate(offspring):

                def product(own, other, x, y):
                    return own if x == y else other

                mu = [product(mean_own, mean_other, x, y) for x in (pa, da) for y in (pb, db)]
                sd = [product(std_own, std_other, x, y) for x in (pa, da) for y in (pb, db)]
                same = sa == sb
                of_mean = h * h * mu[0] + h * (1 - h) * (mu[1] + mu[2]) + (1 - h) ** 2 * mu[3]
                if same:
                    of_mean += (1 - h) ** 2 * std_own / n
                of_std = h * h * sd[0] + h * (1 - h) * first * (sd[1] + sd[2])
                of_std += (1 - h) ** 2 * sd[3] * (second if same else first**2)
                if pa == pb and c.mutate == "parents":
                    of_mean += h * h * jitter * std_own
                    of_std += h * h * jitter * std_own
                totals[:, 0 if a == b else 1] += of_mean, of_std
        pairs = max(n_models * (n_models - 1), 1)
        (mean_own, mean_other), (std_own, std_other) = totals / [n_models, pairs]
    return {name: np.array(values) for name, values in found.items()}
