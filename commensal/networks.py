r"""Reading networks: which model reads how much of what which other model published.

A network is a row-stochastic matrix W: model k weighs what model j published by W_kj. Its rows may
be market shares, crawlers, languages. Closed forms, simulations and language models take one as
``reads``; where settings are text, one has a name:

=====================  ============================================================================
``uniform``            Everybody reads everybody alike, 1/K.
``isolated``           Everybody reads only itself.
``ring``, ``ring:s``   Model k reads itself with share s (0 if not given) and model k + 1.
``star``, ``star:s``   All read model 0 and themselves with share s (½ if not given); model 0 reads
                       itself with share s, and all others alike.
``self``, ``self:s``   All read themselves with share s (½ if not given), all others alike.
``blocs``, ``blocs:b`` Two halves; a model reads its own half alike, but for a share b (0.1 if not
                       given) of the other half.
``shares:p1,p2,...``   All read alike, model j with weight p_j; weights are divided by their sum.
=====================  ============================================================================

Examples
--------
>>> ring(3, self_share=0.5)
array([[0.5, 0.5, 0. ],
       [0. , 0.5, 0.5],
       [0.5, 0. , 0.5]])
>>> named("shares:3,1", models=2)
array([[0.75, 0.25],
       [0.75, 0.25]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from commensal._spelling import did_you_mean

__all__ = [
    "blocs",
    "check_network",
    "check_normal",
    "dominating_readers",
    "isolated",
    "named",
    "ring",
    "self_share",
    "shares",
    "star",
    "uniform",
]

_ROUNDING = 1e-9  # of a row's sum


def uniform(models: int) -> Float[np.ndarray, "K K"]:
    """Make the network in which everybody reads everybody alike, as in `interactive`.

    Raises
    ------
    ValueError
        If ``models`` is below 1.

    Examples
    --------
    >>> uniform(2)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    return np.full((_counted(models), models), 1 / models)


def isolated(models: int) -> Float[np.ndarray, "K K"]:
    """Make the network in which everybody reads only itself.

    Raises
    ------
    ValueError
        If ``models`` is below 1.

    Examples
    --------
    >>> isolated(2)
    array([[1., 0.],
           [0., 1.]])
    """
    return np.eye(_counted(models))


def self_share(models: int, share: float) -> Float[np.ndarray, "K K"]:
    """Make the network in which all read themselves with one share and all others alike.

    Raises
    ------
    ValueError
        If ``models`` is below 1, or ``share`` outside [0, 1].

    Examples
    --------
    >>> self_share(3, 0.5)
    array([[0.5 , 0.25, 0.25],
           [0.25, 0.5 , 0.25],
           [0.25, 0.25, 0.5 ]])
    """
    others = 1 - np.eye(_counted(models))
    return _mixed(models, share, others / max(models - 1, 1))


def ring(models: int, self_share: float = 0.0) -> Float[np.ndarray, "K K"]:
    """Make the network in which model k reads itself and model k + 1, the last one the first.

    Raises
    ------
    ValueError
        If ``models`` is below 1, or ``self_share`` outside [0, 1].

    Examples
    --------
    >>> ring(2)
    array([[0., 1.],
           [1., 0.]])
    """
    return _mixed(models, self_share, np.roll(np.eye(_counted(models)), 1, axis=1))


def star(models: int, self_share: float = 0.5) -> Float[np.ndarray, "K K"]:
    """Make the network in which all read model 0, which reads all others alike.

    Raises
    ------
    ValueError
        If ``models`` is below 1, or ``self_share`` outside [0, 1].

    Examples
    --------
    >>> star(3)
    array([[0.5 , 0.25, 0.25],
           [0.5 , 0.5 , 0.  ],
           [0.5 , 0.  , 0.5 ]])
    """
    others = np.zeros((_counted(models), models))
    others[1:, 0] = 1
    others[0, 1:] = 1 / max(models - 1, 1)
    return _mixed(models, self_share, others)


def blocs(models: int, bridge: float = 0.1) -> Float[np.ndarray, "K K"]:
    """Make the network of two halves that read mostly among themselves.

    Parameters
    ----------
    models : int
        Number of models K, at least 2; if it is odd the first half has one model more.
    bridge : float
        Share in [0, 1] of what a model reads that comes from the other half.

    Returns
    -------
    Float[np.ndarray, "K K"]
        Network, of two different rows.

    Raises
    ------
    ValueError
        If ``models`` is below 2, or ``bridge`` outside [0, 1].

    Examples
    --------
    >>> blocs(4, bridge=0.2)
    array([[0.4, 0.4, 0.1, 0.1],
           [0.4, 0.4, 0.1, 0.1],
           [0.1, 0.1, 0.4, 0.4],
           [0.1, 0.1, 0.4, 0.4]])
    """
    if models < 2:
        raise ValueError(f"two blocs need at least 2 models, got {models}")
    _in_unit("bridge", bridge)
    first = np.arange(models) < (models + 1) // 2
    same = first[:, None] == first
    own, other = (x.sum(axis=1, keepdims=True) for x in (same, ~same))
    return np.where(same, (1 - bridge) / own, bridge / other)


def shares(weights: Any) -> Float[np.ndarray, "K K"]:
    """Make the network in which all read alike, each model by its market share.

    Parameters
    ----------
    weights : Float[Array, "K"]
        Weights ≥ 0 of the models, in any unit.

    Returns
    -------
    Float[np.ndarray, "K K"]
        Network W = 1pᵀ, with p the weights over their sum.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.

    Examples
    --------
    >>> shares([3, 1])
    array([[0.75, 0.25],
           [0.75, 0.25]])
    """
    p = np.asarray(weights, dtype=np.float64)
    if p.ndim != 1 or not np.all(np.isfinite(p) & (p >= 0)) or not p.sum() > 0:
        raise ValueError(f"shares must be numbers >= 0, not all zero, got {weights}")
    return np.tile(p / p.sum(), (p.size, 1))


def named(text: str, models: int) -> Float[np.ndarray, "K K"]:
    """Make the network that a name stands for; see the table of :mod:`commensal.networks`.

    Parameters
    ----------
    text : str
        Name, and after a colon its number or numbers: "uniform", "ring:0.5", "shares:3,1,1".
    models : int
        Number of models K.

    Returns
    -------
    Float[np.ndarray, "K K"]
        Network, whose rows sum to one.

    Raises
    ------
    ValueError
        If there is no such network, or its numbers do not fit.

    Examples
    --------
    >>> named("self:0.5", models=2)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    >>> named("rings", models=2)
    Traceback (most recent call last):
    ...
    ValueError: there is no network 'rings'; did you mean ring?
    """
    name, _, rest = text.strip().partition(":")
    if name not in _NAMED:
        hint = did_you_mean(name, _NAMED) or f"; there are {', '.join(_NAMED)}"
        raise ValueError(f"there is no network {name!r}{hint}")
    try:
        numbers = [float(part) for part in rest.split(",")] if rest else []
    except ValueError:
        raise ValueError(f"{text!r}: after the colon come numbers, as in {_EXAMPLE}") from None
    if name == "shares":
        if len(numbers) != models:
            raise ValueError(f"{text!r} has {len(numbers)} shares for {models} models")
        return shares(numbers)
    make, most = _NAMED[name]
    if len(numbers) > most:
        raise ValueError(f"{text!r}: {name} takes {'one number' if most else 'no number'}")
    return make(models, *numbers)


_EXAMPLE = "ring:0.5"
_NAMED: dict[str, tuple[Callable[..., np.ndarray], int]] = {
    "uniform": (uniform, 0),
    "isolated": (isolated, 0),
    "ring": (ring, 1),
    "star": (star, 1),
    "self": (lambda models, share=0.5: self_share(models, share), 1),
    "blocs": (blocs, 1),
    "shares": (shares, 0),
}


def check_network(reads: Any, *, varying: bool = False) -> Float[np.ndarray, "*T K K"]:
    """Return a reading network as float64, if it is one: weights ≥ 0 whose rows sum to one.

    Parameters
    ----------
    reads : Float[Array, "K K"] or Float[Array, "T K K"]
        Candidate, dimensionless: row k weighs what each model published, for model k.
    varying : bool
        Whether one network for each generation is taken, too.

    Returns
    -------
    Float[np.ndarray, "K K"] or Float[np.ndarray, "T K K"]
        The same numbers, float64.

    Raises
    ------
    ValueError
        If the matrix is not square, a weight is negative, or a row does not sum to one.

    Examples
    --------
    >>> check_network([[0.5, 0.5], [0.5, 0.4]])
    Traceback (most recent call last):
    ...
    ValueError: the rows of reads must sum to 1, but row 1 sums to 0.9
    """
    w = np.asarray(reads, dtype=np.float64)
    axes = (2, 3) if varying else (2,)
    if w.ndim not in axes or w.shape[-1] != w.shape[-2] or w.size == 0:
        raise ValueError(f"reads must be a square matrix (K, K), got shape {w.shape}")
    if not np.all(w >= 0):  # NaN too
        raise ValueError("reads has weights that are negative or not a number")
    sums = w.sum(axis=-1)
    if not np.allclose(sums, 1, rtol=0, atol=_ROUNDING):
        *_, row = np.unravel_index(np.abs(sums - 1).argmax(), sums.shape)
        found = sums.flat[np.abs(sums - 1).argmax()]
        raise ValueError(f"the rows of reads must sum to 1, but row {row} sums to {found:g}")
    return w


def check_normal(reads: Any, others: str) -> Float[np.ndarray, "K K"]:
    """Return a reading network as float64, if it is a normal matrix: W Wᵀ = Wᵀ W.

    Parameters
    ----------
    reads : Float[Array, "K K"]
        Candidate, dimensionless.
    others : str
        What computes networks that are not normal, for the message.

    Returns
    -------
    Float[np.ndarray, "K K"]
        The same numbers, float64.

    Raises
    ------
    ValueError
        If it is no network, or not normal.

    Examples
    --------
    >>> check_normal(ring(2), others="limit()")
    array([[0., 1.],
           [1., 0.]])
    """
    w = check_network(reads)
    if np.abs(w @ w.T - w.T @ w).max() > _ROUNDING:
        raise ValueError(f"reads must be a normal matrix (W Wᵀ = Wᵀ W): use {others} for others")
    return w


def dominating_readers(reads: Any) -> tuple[float, Float[np.ndarray, "K"]]:
    """Find the class of models whose reading of each other amplifies most.

    A class is a set of models each of which reaches every other by reading.

    Parameters
    ----------
    reads : Float[Array, "K K"]
        Reading network W.

    Returns
    -------
    (float, Float[np.ndarray, "K"])
        Λ, the spectral radius of diag(W)⁻¹ W, at least 1, and its Perron vector y ≥ 0, which is 0
        outside of the class. Λ is infinite (and y not a number in the class) if a model in a class
        of several does not read itself.

    Raises
    ------
    ValueError
        If ``reads`` is no network.

    Examples
    --------
    >>> growth, vector = dominating_readers(self_share(3, 0.5))
    >>> print(round(growth, 9), (vector / vector.sum()).round(3))
    2.0 [0.333 0.333 0.333]
    """
    from scipy.sparse.csgraph import connected_components  # settings are read without it

    w = check_network(reads)
    count, label = connected_components(w > 0, connection="strong")
    best, vector = 0.0, np.zeros(len(w))
    for one in range(count):
        members = np.flatnonzero(label == one)
        part = w[np.ix_(members, members)]
        own = np.diag(part)
        if members.size == 1:
            value, found = float(own[0] > 0), np.ones(1)
        elif not np.all(own > 0):
            value, found = np.inf, np.full(members.size, np.nan)
        else:
            values, vectors = np.linalg.eig(part / own[:, None])
            top = np.real(values).argmax()
            value, found = float(np.real(values[top])), np.abs(np.real(vectors[:, top]))
        if value > best:
            best, vector = value, np.zeros(len(w))
            vector[members] = found
    return max(best, 1.0), vector


def _counted(models: int) -> int:
    if models < 1:
        raise ValueError(f"models must be at least 1, got {models}")
    return models


def _in_unit(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value}")


def _mixed(models: int, share: float, others: np.ndarray) -> np.ndarray:
    """Return the share that each model reads of itself, and of the others what is left."""
    _in_unit("the share that a model reads of itself", share)
    if models == 1:
        return np.ones((1, 1))
    return share * np.eye(models) + (1 - share) * others
