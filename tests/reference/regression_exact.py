"""Interactive regression in 60 digits, from features: mpmath, dense Kd × Kd, slow and plain.

Nothing is shared with the package, and no number passes through float64 after the features.
"""

from __future__ import annotations

from typing import NamedTuple

import mpmath
import numpy as np

DIGITS = 60
# Eigenvalues of a Gram matrix below this share of the largest are zero: weights may be 1e-24.
CUT = mpmath.mpf(10) ** -45


class System(NamedTuple):
    """Features (rows of one data set), and weights as numbers that mpmath reads exactly."""

    private: list  # K of (n, d)
    public: np.ndarray  # (m, d)
    synthetic: list  # K of (n, d)
    alpha: mpmath.mpf
    beta: mpmath.mpf
    scale: mpmath.mpf  # of all features

    @property
    def k(self):
        return len(self.private)

    @property
    def d(self):
        return self.public.shape[1]


class Limit(NamedTuple):
    spectral_radius: float
    variance: np.ndarray | None  # (K,), trace of the covariance, σ = 1; None: no limit
    mspe: np.ndarray | None  # (K, K), of the variance alone
    best: mpmath.mpf  # trace of the (pseudo-)inverse of all real data


def _matrix(a):
    return mpmath.matrix(np.asarray(a, dtype=float).tolist()) if np.size(a) else None


def _gram(x, d, scale):
    m = _matrix(x)
    return mpmath.zeros(d) if m is None else scale**2 * (m.T * m)


def _pinv(g):
    values, vectors = mpmath.eigsy(g)
    largest = max(abs(v) for v in values)
    if largest == 0:
        return mpmath.zeros(g.rows)
    inverse = mpmath.diag([1 / v if v > CUT * largest else mpmath.mpf(0) for v in values])
    return vectors * inverse * vectors.T


def _norm(a):
    return max(abs(x) for x in a)


def _place(blocks, d):
    """Kd × n from K blocks of d × n."""
    out = mpmath.zeros(len(blocks) * d, blocks[0].cols)
    for k, block in enumerate(blocks):
        out[k * d : (k + 1) * d, :] = block
    return out


def limit(s: System) -> Limit:
    """Theorem 3, for σ = 1."""
    with mpmath.workdps(DIGITS):
        k, d = s.k, s.d
        private = [_gram(x, d, s.scale) for x in s.private]
        synthetic = [_gram(x, d, s.scale) for x in s.synthetic]
        public = _gram(s.public, d, s.scale)
        p, q = (1 - s.alpha) * s.beta, (1 - s.alpha) * (1 - s.beta)
        mean = sum(synthetic[1:], synthetic[0]) / k
        gains = [_pinv(p * a + q * public + s.alpha * mean) for a in private]
        Q = mpmath.zeros(k * d)
        for i in range(k):
            for j in range(k):
                Q[i * d : (i + 1) * d, j * d : (j + 1) * d] = s.alpha / k * gains[i] * synthetic[j]
        radius = max(abs(v) for v in mpmath.eig(Q, left=False, right=False))
        best = _trace(_pinv(sum(private, public)))
        if radius >= 1:
            return Limit(float(radius), None, None, best)
        resolvent = (mpmath.eye(k * d) - Q) ** -1
        zero = mpmath.zeros(d)
        covariance = mpmath.zeros(k * d)
        sources = [
            _place([p * gains[i] * private[j] if i == j else zero for i in range(k)], d)
            for j in range(k)
        ]
        sources.append(_place([q * gain * public for gain in gains], d))
        for source, gram in zip(sources, [*private, public], strict=True):
            told = resolvent * source
            covariance += told * _pinv(gram) * told.T
        noise = _place([s.alpha * gain for gain in gains], d)
        noise = noise * (mean / k) * noise.T
        power = Q
        while _norm(power * noise * power.T) > mpmath.mpf(10) ** -40 * _norm(noise):
            noise += power * noise * power.T
            power = power * power
        covariance += noise + power * noise * power.T
        blocks = [covariance[i * d : (i + 1) * d, i * d : (i + 1) * d] for i in range(k)]
        return Limit(
            float(radius),
            np.array([float(_trace(b)) for b in blocks]),
            np.array([[float(_trace(b * a)) for a in private] for b in blocks]),
            best,
        )


def _trace(a):
    return sum(a[i, i] for i in range(a.rows))
