"""Distribution of W = (μ - μ̂)² + (σ - σ̂)² of one fit of n points, σ = 1, by quadrature.

W = Z²/n + (s - 1)², s = χ_{n-1}/√(n-1): what lies outside |s - 1| < √δ counts in full, the rest
with P(|Z| >= √(n(δ - (s-1)²))).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

# (banded: a dense eigenvalue problem would keep all cores busy)
_NODES, _WEIGHTS = special.roots_legendre(256)


def log_density(s: Any, n: Any, xp: Any = np) -> Any:
    """Log density of s."""
    k = (n - 1) / 2
    return np.log(2) + k * np.log(k) - special.gammaln(k) + (2 * k - 1) * xp.log(s) - k * s**2


def survival(delta: Any, n: Any) -> np.ndarray:
    """Return P(W >= δ)."""
    return _survival(np.asarray(delta, float), np.asarray(n, float), np, special)


def survival_jax(delta: Any, n: np.ndarray) -> Any:
    """Return P(W >= δ) in JAX, differentiable in δ."""
    import jax.numpy as jnp
    import jax.scipy.special

    return _survival(delta, n, jnp, jax.scipy.special)


def _survival(delta: Any, n: np.ndarray, xp: Any, functions: Any) -> Any:
    x, k = xp.sqrt(delta), (n - 1) / 2
    far = x >= 1  # nothing lies below; the 0.5 is for derivatives, which must be finite there
    below = functions.gammainc(k, k * xp.where(far, 0.5, 1 - x) ** 2)
    outside = functions.gammaincc(k, k * (1 + x) ** 2) + xp.where(far, 0.0, below)
    # s = 1 + x sin θ removes the root at both ends
    first = xp.where(far, -xp.arcsin(xp.where(far, 1 / x, 0.5)), -np.pi / 2)
    half = (np.pi / 2 - first)[..., None] / 2
    theta = first[..., None] + half * (_NODES + 1)
    s = xp.maximum(1 + x[..., None] * xp.sin(theta), 1e-30)
    step = x[..., None] * xp.cos(theta)
    tail = functions.erfc(step * np.sqrt(n / 2)[..., None])
    density = xp.exp(log_density(s, n[..., None], xp))
    return outside + xp.sum(half * _WEIGHTS * step * density * tail, axis=-1)


def moment_of_std(t: Any, n: Any) -> np.ndarray:
    """Return E exp(t(s - 1)²) for t < (n-1)/2."""
    half = 20 / np.sqrt(n - 1) + 0.5
    s = half * (_NODES + 1)
    exponent = log_density(s, float(n)) + np.asarray(t)[..., None] * (s - 1) ** 2
    return half * (np.exp(exponent) * _WEIGHTS).sum(axis=-1)


def survival_of_sum(delta: Any, n: Any) -> np.ndarray:
    """Return P(X/n + Y/2n >= δ), X and Y independent χ²₁: the paper's stand-in for W."""
    a = np.asarray(delta, float)[..., None] * np.asarray(n, float)[..., None]
    y = np.sqrt(2 * a) * np.sin(np.pi / 4 * (_NODES + 1))  # √Y, up to where Y alone is enough
    step = np.sqrt(2 * a) * np.cos(np.pi / 4 * (_NODES + 1)) * np.pi / 4 * _WEIGHTS
    inner = np.exp(-(y**2) / 2) * special.erfc(np.sqrt(np.maximum(a - y**2 / 2, 0) / 2))
    return np.sqrt(2 / np.pi) * (step * inner).sum(axis=-1) + special.erfc(np.sqrt(a[..., 0]))
