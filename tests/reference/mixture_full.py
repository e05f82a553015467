"""Interacting mixtures whose components move: one run, one point at a time, in NumPy and SciPy.

The recursion of Zivkovic and van der Heijden (2004) as it is written down: Cholesky factors are
LAPACK's, ownerships are computed as such and divided by weights, the web is a list of points. It
shares with the plain program of fixed components the draws and lines 4 to 14 of Algorithm 2.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy import integrate, linalg, stats

from tests.reference.mixture import Noise, draws, one_point


class Model(NamedTuple):
    weights: list
    means: np.ndarray  # (B, d)
    covariances: np.ndarray  # (B, d, d)


def run(c: Any, noise: Noise) -> list[list[Model]]:
    """Models of all generations; ``c`` has the fields of a Config."""
    first = np.array(c.means, float), np.array(c.covariances())
    least = c.least_variance
    if least is None:
        least = 1e-6 * np.linalg.eigvalsh(first[1]).min()
    human_law = None if c.web is None else Model(list(c.web), *first)
    points = list(noise.points)
    order = [list(range(len(points))) for _ in range(c.models)]
    models = [Model(list(row), *first) for row in noise.weights]
    history = [models]
    for t in range(c.generations):
        posted = []
        for i in range(c.models):
            for post in range(c.posts):
                human = noise.human[t, i, post] < c.human_share
                law = human_law if human else models[i]
                posted.append(
                    new_point(law, noise.component[t, i, post], noise.normal[t, :, i, post])
                )
        learned = []
        for i in range(c.models):
            k = int(np.floor(round(c.read_share * len(points), 9)))
            drawn = draws(order[i], k, noise.words[t, :, i], c.replacement)
            alpha = 1 / k if c.learning_rate is None else c.learning_rate
            prior = 1 / (k * c.components**2) if c.prior is None else c.prior
            model = models[i]
            for j in drawn:
                model = one_step(model, points[j], alpha, prior, c.epsilon, c.rate_cap, least)
            learned.append(model)
        for x in posted:
            for i in range(c.models):
                order[i].append(len(points))
            points.append(x)
        models = learned
        history.append(models)
    return history


def new_point(law: Model, component: float, normal: np.ndarray) -> np.ndarray:
    upto = np.cumsum(law.weights)
    b = min(np.searchsorted(upto, component * upto[-1], side="right"), len(upto) - 1)
    return law.means[b] + np.linalg.cholesky(law.covariances[b]) @ normal


def one_step(model: Model, u, alpha, prior, epsilon, cap, least) -> Model:
    count = len(model.weights)
    log = [log_density(u, *x) for x in zip(*model[1:], strict=True)]
    # a factor that all densities share does not matter
    density = np.exp(np.array(log) - max(log))
    g = sum(p * x for p, x in zip(model.weights, density, strict=True))
    owned = [p * x / g for p, x in zip(model.weights, density, strict=True)]
    means, covariances = model.means.copy(), model.covariances.copy()
    for b in range(count):
        w = min(alpha * min(owned[b] / model.weights[b], cap), 1)
        delta = u - model.means[b]
        means[b] = model.means[b] + w * delta
        moved = model.covariances[b] + w * (np.outer(delta, delta) - model.covariances[b])
        covariances[b] = lifted(moved, least)
    return Model(one_point(model.weights, owned, alpha, prior, epsilon), means, covariances)


def log_density(u, mean, covariance) -> float:
    """Without a factor that all share; SciPy's own refuses a condition number above 1e10."""
    factor = np.linalg.cholesky(covariance)
    white = linalg.solve_triangular(factor, u - mean, lower=True)
    return -white @ white / 2 - np.log(np.diag(factor)).sum()


def lifted(covariance, least) -> np.ndarray:
    if len(covariance) == 1:
        return np.maximum(covariance, least)
    try:
        if (np.diag(np.linalg.cholesky(covariance)) ** 2 >= least).all():
            return covariance
    except np.linalg.LinAlgError:
        pass
    return covariance + least * np.eye(len(covariance))


def density_distance(models: list[Model]) -> float:
    """On the line, by quadrature."""

    def density(model, x):
        scales = np.sqrt(model.covariances[:, 0, 0])
        return np.dot(model.weights, stats.norm.pdf(x, model.means[:, 0], scales))

    def gap(one, other):
        edges = np.sort(np.concatenate([m.means[:, 0] for m in (one, other)]))
        far = 12 * np.sqrt(max(m.covariances.max() for m in (one, other)))
        edges = np.unique(np.concatenate([np.linspace(edges[0] - far, edges[-1] + far, 41), edges]))
        return sum(
            integrate.quad(
                lambda x: (density(one, x) - density(other, x)) ** 2, a, b, epsabs=1e-13
            )[0]
            for a, b in itertools.pairwise(edges)
        )

    n = len(models)
    return np.sqrt(np.mean([gap(models[i], models[j]) for i in range(n) for j in range(i)]))
