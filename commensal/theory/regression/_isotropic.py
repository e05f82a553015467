"""Closed forms for the system in which everybody's data cover every direction alike."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq, minimize_scalar


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


def isotropic_human_share(
    models: int,
    alpha: float,
    beta: float,
    *,
    private: float = 1.0,
    public: float = 1.0,
    synthetic: float = 1.0,
    human_data: Literal["shared", "own"] = "shared",
) -> float:
    r"""Find the share of fresh human data with the smallest error where all data are isotropic.

    Human data are as rich as the web's, F = S = sI. Let :math:`g = \barα(β\tilde s + \barβs_*) +
    αs`, :math:`r_0 = αs/g` the weight of all new data, :math:`r = (1-φ)r_0` that of the web, and
    :math:`A = (\barαβ)^2 \tilde s/(K g^2) + (\barα\barβ)^2 s_*/g^2`. The best r is the only root in
    (0, r_0) of

    .. math::
        As(1+r)^2 + (1-r)\big[r(1 + \tfrac1K + r_0^2) - r_0(1+r^2)\big] &= 0
        \quad \text{(shared)} \\
        KAs\frac{(1+r)^2}{1-r} + r(2+r_0^2) - r_0(1+r^2) - (K-1)(r_0-r)(1-r^2)^2 &= 0
        \quad \text{(own)}

    and 0, that is φ = 1, where there is none: where As ≥ r_0.

    Parameters
    ----------
    models : int
        Number of models K, at least 1, that all read all alike.
    alpha, beta : float
        Weights α in (0, 1] of new data and β in [0, 1] of private data.
    private, public, synthetic : float
        Sizes s̃, s_* and s of the Gram matrices, positive.
    human_data : {"shared", "own"}
        Whether all share one draw of human data in each generation, or each collects its own.

    Returns
    -------
    float
        Best share φ* in (0, 1]. Some human data always help.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; claim ``commensal.isotropic_human_share``. The error is strictly convex in r, so there
    is one minimum. With α = 1 it is :func:`commensal.theory.fresh.best_weight` at κ = 1. For other
    Gram matrices: :func:`optimal_human_share`.

    Examples
    --------
    >>> [round(isotropic_human_share(k, 1.0, 0.5, human_data="own"), 3) for k in (1, 4, 64)]
    [0.618, 0.389, 0.156]
    >>> round(isotropic_human_share(4, 0.5, 0.5), 3), isotropic_human_share(4, 0.1, 0.5)
    (0.508, 1.0)
    """
    if models < 1:
        raise ValueError(f"models must be at least 1, got {models}")
    if not 0 < alpha <= 1 or not 0 <= beta <= 1:
        raise ValueError(f"alpha must lie in (0, 1] and beta in [0, 1], got {alpha} and {beta}")
    if min(private, public, synthetic) <= 0:
        raise ValueError("private, public and synthetic must be positive")
    if human_data not in ("shared", "own"):
        raise ValueError(f"human_data must be 'shared' or 'own', got {human_data!r}")
    k, s = float(models), synthetic
    real = (1 - alpha) * np.array([beta * private, (1 - beta) * public])
    g = real.sum() + alpha * s
    whole = alpha * s / g  # r_0
    kept = (real[0] ** 2 / (k * private) + real[1] ** 2 / public) / g**2 * s  # As

    def slope(r: float) -> float:
        if human_data == "shared":
            fresh = r * (1 + 1 / k + whole**2) - whole * (1 + r**2)
            return kept * (1 + r) ** 2 + (1 - r) * fresh
        fresh = r * (2 + whole**2) - whole * (1 + r**2)
        apart = (k - 1) * (whole - r) * (1 - r**2) ** 2
        # times 1 - r, which may be 0
        return k * kept * (1 + r) ** 2 + (1 - r) * (fresh - apart)

    if slope(0.0) >= 0:
        return 1.0
    # at α = 1 the slope is 0 at r_0 = 1 too, where the web drifts for ever
    end = whole if whole < 1 else 1 - 1e-9 / k
    found: Any = brentq(slope, 0.0, end, xtol=1e-15)
    return float(1 - found / whole)
