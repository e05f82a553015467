r"""Largest real growth that some real data produce on a reading network, for given prompts.

In coordinates :math:`z_k = M_k^{1/2} θ_k` the matrix Q is D P, with
:math:`P_{kj} = W_{kj} M_k^{-1/2} S_j M_j^{-1/2}` and :math:`0 \preceq D_k \preceq I` arbitrary.
Some such D_k has :math:`D_k h = μ z_k` if and only if
:math:`μ \lVert z_k\rVert^2 \le z_k^\top h`: the set of all :math:`D h` is the ball whose diameter
runs from 0 to h. So the largest real eigenvalue is

.. math:: \max_z \min_k \frac{z_k^\top (P z)_k}{\lVert z_k \rVert^2} .

Every z gives a growth that is attained, so that an ascent errs on one side only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize

_STARTS = 6
_SHARPNESS = (10.0, 100.0, 1e3, 1e4)  # of the smooth minimum over models


def largest_attained(p: np.ndarray, scale: np.ndarray) -> float:
    """Ascend from random starts, and from the vectors by which the bound at ``scale`` is reached.

    ``p`` has the shape (K, d, K, d), ``scale`` is the bound's x.
    """
    k, d = p.shape[:2]
    flat = p.reshape(k * d, k * d)
    around = np.repeat(scale, d)
    scaled = around[:, None] * flat / around
    tops = np.linalg.eigh((scaled + scaled.T) / 2)[1][:, -3:].T / around
    starts = np.concatenate([tops, np.random.default_rng(0).standard_normal((_STARTS, k * d))])
    found = [_ascend(flat, z, k) for z in starts]
    best = max(found, key=lambda z: _growths(flat, z, k)[0].min())
    return float(_growths(flat, best, k)[0].min())


def _growths(p: np.ndarray, z: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return z_k'(Pz)_k/‖z_k‖² of each model, (Pz)_k, and ‖z_k‖²."""
    heard = (p @ z).reshape(k, -1)
    own = z.reshape(k, -1)
    size = np.maximum((own**2).sum(axis=1), 1e-300)
    return (own * heard).sum(axis=1) / size, heard, size


def _ascend(p: np.ndarray, z: np.ndarray, k: int) -> np.ndarray:
    def down(z: np.ndarray, sharpness: float) -> tuple[float, np.ndarray]:
        growths, heard, size = _growths(p, z, k)
        weights = np.exp(-sharpness * (growths - growths.min()))
        total = weights.sum()
        share = (weights / total / size)[:, None]
        own = z.reshape(k, -1)
        slope = share * (heard - 2 * growths[:, None] * own)
        slope = slope.ravel() + p.T @ (share * own).ravel()
        return float(-(growths.min() - np.log(total) / sharpness)), -slope

    for sharpness in _SHARPNESS:
        found: Any = minimize(down, z, (sharpness,), jac=True, method="L-BFGS-B")
        z = found.x / np.abs(found.x).max()
    return z
