"""Closed forms for the system in which everybody's data cover every direction alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar


def isotropic_mse(models: Any, alpha: Any, beta: Any, dim: int = 1, noise: float = 1.0) -> Any:
    r"""Limiting MSE of every model when all Gram matrices are the identity.

    .. math::
        \frac{\mathrm{MSE}}{σ^2 d} = \frac{β^2}{K} + \barβ^2
        + \frac{α^2}{(1-α^2)\,K} + \barα^2 β^2 \Big(1 - \frac1K\Big)

    In order: what the private data of all models and the public data leave uncertain once
    they are shared; the noise of publishing, generation after generation; and what a model
    keeps believing for having only its own private data before it.

    Parameters
    ----------
    models : int or array
        Number of models K.
    alpha, beta : float or array
        Weights α in [0, 1) of new data and β in [0, 1] of private data.
    dim : int
        Dimension d of the parameter.
    noise : float
        Standard deviation σ of the responses.

    Returns
    -------
    float or array
        Limiting mean squared error, in squared units of θ.

    Notes
    -----
    New here; Theorem 3 with S̃_k = S_* = S_k = I.

    Examples
    --------
    >>> round(isotropic_mse(1, 0.5, 1.0), 12)      # as in the example of `limit`
    1.333333333333
    """
    k, a, b = np.asarray(models, dtype=np.float64), np.asarray(alpha), np.asarray(beta)
    shared = b**2 / k + (1 - b) ** 2 + a**2 / ((1 - a**2) * k)
    mse = noise**2 * dim * (shared + (1 - a) ** 2 * b**2 * (1 - 1 / k))
    return float(mse) if mse.ndim == 0 else mse


def isotropic_mix(models: int) -> tuple[float, float]:
    r"""Find the (α, β) that minimises :func:`isotropic_mse`.

    For many models :math:`1 - α^* \to (4K)^{-1/3}` and :math:`β^* \to 1`: the more models share
    the web, the less real data each should mix in again. Publishing noise falls as 1/K, so
    listening becomes cheap, and what is left of a model's own data only keeps it from
    consensus.

    Parameters
    ----------
    models : int
        Number of models K, at least 1.

    Returns
    -------
    (float, float)
        Best weights: α in [0, 1), β in (0, 1].

    Raises
    ------
    ValueError
        If ``models`` is below 1.

    Notes
    -----
    New here. β follows from α in closed form,
    :math:`β = 1/(1 + 1/K + \barα^2 (1 - 1/K))`; α by a bounded search.

    Examples
    --------
    >>> [round(1 - isotropic_mix(k)[0], 3) for k in (2, 32, 10**6)]
    [0.782, 0.209, 0.006]
    >>> round((4 * 10**6) ** (-1 / 3), 3)
    0.006
    """
    if models < 1:
        raise ValueError(f"models must be at least 1, got {models}")
    k = float(models)

    def best_beta(alpha: float) -> float:
        return 1 / (1 + 1 / k + (1 - alpha) ** 2 * (1 - 1 / k))

    found: Any = minimize_scalar(
        lambda alpha: isotropic_mse(k, alpha, best_beta(alpha)),
        bounds=(0.0, 1 - 1e-9),
        method="bounded",
        options={"xatol": 1e-12},
    )
    alpha = float(found.x) if models > 1 else 0.0  # alone, listening to oneself only adds noise
    return alpha, best_beta(alpha)
