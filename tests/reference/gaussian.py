"""Recursive Gaussian estimation point by point, and the tail of a fit the other way round.

Slow on purpose: every generation draws its points and refits, and pools are kept as points.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats


def lineage(rng, generations, n, memory="replace", estimator="unbiased", human=0):
    """(μ_t, σ_t²) for t = 1..generations, the truth being N(0, 1)."""
    ddof = 1 if estimator == "unbiased" else 0
    pool = list(rng.normal(0.0, 1.0, n))
    fits = []
    for _ in range(generations):
        if memory == "replace":
            used = pool[-n:]
        elif memory == "accumulate":
            used = pool
        else:
            used = [pool[i] for i in rng.permutation(len(pool))[:n]]
        mean, variance = np.mean(used), np.var(used, ddof=ddof)
        fits.append((mean, variance))
        pool += list(rng.normal(mean, np.sqrt(variance), n - human))
        pool += list(rng.normal(0.0, 1.0, human))
    return fits


def lineages(seed, replicates, generations, n, **process):
    """(replicates, generations, 2)."""
    rng = np.random.default_rng(seed)
    return np.array([lineage(rng, generations, n, **process) for _ in range(replicates)])


def covariance_lineages(seed, replicates, generations, n, covariance, estimator):
    """Fitted means and covariances (replicates, generations, d), (..., d, d)."""
    rng = np.random.default_rng(seed)
    means, covariances = [], []
    for _ in range(replicates):
        mean, cov = np.zeros(len(covariance)), covariance
        row_means, row_covs = [], []
        for _ in range(generations):
            points = rng.multivariate_normal(mean, cov, n)
            mean = points.mean(axis=0)
            cov = np.cov(points.T, ddof=1 if estimator == "unbiased" else 0)
            row_means.append(mean)
            row_covs.append(cov)
        means.append(row_means)
        covariances.append(row_covs)
    return np.array(means), np.array(covariances)


def panels(count=60, nodes=50):
    """Gauss-Legendre nodes and weights on each of so many pieces of (-1, 1)."""
    grid, weights = np.polynomial.legendre.leggauss(nodes)
    left = np.linspace(-1, 1, count + 1)[:-1, None]
    return (left + (grid + 1) / count).ravel(), np.tile(weights / count, count)


def w2_survival(x, n):
    """P(W >= xσ²), integrated over the error of the mean rather than over that of s."""
    grid, weights = panels()
    edge, nu = np.sqrt(n * x), n - 1
    # where the lower border of s reaches 0 the integrand has a kink
    kink = np.arccos(1 / np.sqrt(x)) if x > 1 else 0.0
    total = special.erfc(edge / np.sqrt(2))
    for low, high in ((0.0, kink), (kink, np.pi / 2)):
        angle = low + (high - low) * (grid + 1) / 2
        c = np.sqrt(x) * np.cos(angle)  # |s - 1| at the border
        outside = stats.chi2.sf(nu * (1 + c) ** 2, nu)
        outside += stats.chi2.cdf(nu * np.maximum(1 - c, 0) ** 2, nu)
        integrand = stats.norm.pdf(edge * np.sin(angle)) * edge * np.cos(angle) * outside
        total += (high - low) * (weights @ integrand)
    return total


def bures(mean_a, cov_a, mean_b, cov_b):
    """Squared W2 by matrix square roots, as it is written."""
    from scipy.linalg import sqrtm

    root = sqrtm(cov_a)
    cross = sqrtm(root @ cov_b @ root)
    return float(
        np.sum((mean_a - mean_b) ** 2)
        + np.trace(cov_a)
        + np.trace(cov_b)
        - 2 * np.trace(cross).real
    )
