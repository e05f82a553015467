"""Gaussian components as quadrature rules: expected ownerships for any overlap."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp, ndtri
from scipy.stats import qmc

from commensal.theory.mixture import _arguments

# The trapezoidal rule converges exponentially for functions analytic in a strip. Ownerships of two
# unit components at distance Δ have poles at height π/Δ, but weigh only exp(-Δ²/8) there, so a step
# h leaves exp(-2π²/(hΔ) - Δ²/8): below 1e-11 for every Δ at h = 1/8, and two grids are interleaved.
_STEP = 1 / 8
_REACH = 9.0
_MOST_NODES = 150_000  # per component; beyond, and beyond two dimensions, quasi-Monte Carlo
_POINTS = 2**13
_SHIFTS = 8


class Estimate(NamedTuple):
    """A quadrature and an estimate of its error."""

    value: np.ndarray
    error: float


class Geometry:
    """Fixed Gaussian components of a mixture, and expectations under their densities.

    Parameters
    ----------
    means : Float[Array, "B"] or Float[Array, "B d"]
        Means of the B >= 2 components.
    covariance : float, Float[Array, "d d"] or Float[Array, "B d d"]
        Covariance that all components share, or one per component.

    Raises
    ------
    ValueError
        If shapes disagree, or a covariance is not symmetric positive definite.

    Notes
    -----
    With a shared covariance nothing varies outside the affine span of the means, so the dimension
    of the integrals is at most min(d, B-1). Up to two dimensions they are tensor products of the
    trapezoidal rule, on one grid per component; beyond, Sobol' points under fixed random shifts.

    Examples
    --------
    >>> line = Geometry([-5.0, 5.0], 1.0)
    >>> plane = Geometry([[0.0, 0.0, 1.0], [3.0, 0.0, 1.0]], np.eye(3))
    >>> line.dim, plane.dim  # of the integrals
    (1, 1)
    """

    components: int
    dim: int
    log_densities: Float[np.ndarray, "F B Q B"]
    node_weights: Float[np.ndarray, "F B Q"]

    def __init__(self, means: Any, covariance: Any) -> None:
        means, factors = _whitened(*_checked(means, covariance))
        self.components, self.dim = means.shape
        nodes, weights = _nodes(factors)
        # in coordinates of component c: points μ_c + L_c z
        u = means[:, None] + np.einsum("cij,fcqj->fcqi", factors, nodes)
        offset = u[..., None, :] - means
        inverse = np.linalg.inv(factors)
        z = np.einsum("bij,fcqbj->fcqbi", inverse, offset)
        logdet = np.log(np.abs(np.linalg.det(factors)))
        # constants that all components share cancel in ownerships
        self.log_densities = -0.5 * (z**2).sum(axis=-1) - logdet
        self.node_weights = weights

    def ownership(self, weights: Any, web: Any) -> Estimate:
        r"""Expected ownership, under weights π, of a point drawn from the same components.

        Parameters
        ----------
        weights : Float[Array, "*n B"]
            Weights π of the models that read.
        web : Float[Array, "B"]
            Weights of the components that the point is drawn from.

        Returns
        -------
        Estimate
            Expected ownership :math:`\bar o_b = π_b \int N_b(u)\, \frac{\sum_c a_c N_c(u)}{\sum_l
            π_l N_l(u)}\,du` of shape ``(*n, B)``, `webdynamics` eq. (8); it tends to a
            as components separate.
        """
        weights, web = np.asarray(weights, dtype=np.float64), np.asarray(web, dtype=np.float64)
        flat = weights.reshape(-1, self.components)
        folds = np.stack([self._ownership(row, web) for row in flat], axis=1)
        return _estimate(folds.reshape(-1, *weights.shape))

    def _ownership(self, weights: np.ndarray, web: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            scores = self.log_densities + np.log(weights)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        share = self.node_weights * web[:, None] / scores.sum(axis=-1)
        return np.einsum("fcq,fcqb->fb", share, scores, optimize=True)

    def affinity(self, weights: Any) -> Estimate:
        r"""Affinity matrix: how often points of one component are taken for another's.

        Parameters
        ----------
        weights : Float[Array, "B"]
            Weights π of the mixture, all positive.

        Returns
        -------
        Estimate
            Affinity :math:`H_{bl} = \sqrt{π_b π_l} \int N_b N_l / g`, g the mixture: symmetric,
            positive semidefinite, eigenvalues in [0, 1], :math:`H\sqrt{π} = \sqrt{π}`; the identity
            for separated components, :math:`\sqrt{π}\sqrt{π}^\top` for coinciding ones.
        """
        weights = np.asarray(weights, dtype=np.float64)
        log_weights = np.log(weights)
        mixture = logsumexp(self.log_densities + log_weights, axis=-1, keepdims=True)
        ratios = np.exp(self.log_densities + log_weights / 2 - mixture)
        share = self.node_weights * weights[:, None]
        folds = np.einsum("fcq,fcqb,fcql->fbl", share, ratios, ratios, optimize=True)
        return _estimate(folds)


def _estimate(folds: np.ndarray) -> Estimate:
    """Return the mean over equally good rules and its likely error (three standard errors)."""
    spread = folds.std(axis=0, ddof=1).max() if folds.size else 0.0
    return Estimate(folds.mean(axis=0), float(3 * spread / np.sqrt(folds.shape[0])))


def _checked(means: Any, covariance: Any) -> tuple[np.ndarray, np.ndarray]:
    means = np.asarray(means, dtype=np.float64)
    means = means[:, None] if means.ndim == 1 else means
    if means.ndim != 2 or means.shape[0] < 2 or means.shape[1] < 1:
        raise ValueError(f"means must have shape (B,) or (B, d) with B >= 2, got {means.shape}")
    if not np.isfinite(means).all():
        raise ValueError("means must be finite, got nan or inf")
    b, d = means.shape
    covariance = np.asarray(covariance, dtype=np.float64)
    if covariance.ndim == 0:
        covariance = covariance * np.eye(d)
    if covariance.shape not in ((d, d), (b, d, d)):
        raise ValueError(
            f"covariance must be a number or have shape {(d, d)} or {(b, d, d)}, "
            f"got {covariance.shape}"
        )
    if not np.isfinite(covariance).all() or not np.allclose(covariance, covariance.mT, rtol=1e-9):
        raise ValueError("covariance must be finite and symmetric positive definite")
    smallest = np.linalg.eigvalsh(covariance).min()
    if smallest <= 0:
        raise ValueError(
            f"covariance must be symmetric positive definite, got an eigenvalue of {smallest:g}"
        )
    return means, covariance


def _whitened(means: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and Cholesky factors in as few dimensions as the densities vary in."""
    b = means.shape[0]
    if covariance.ndim == 3:
        return means, np.linalg.cholesky(covariance)
    centred = np.linalg.solve(np.linalg.cholesky(covariance), (means - means.mean(axis=0)).T).T
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    rank = max(1, int((sizes > 1e-12 * max(1.0, sizes[0])).sum()))
    return centred @ axes[:rank].T, np.broadcast_to(np.eye(rank), (b, rank, rank))


def _nodes(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (F, B, Q, s) and weights (F, B, Q) of F equally good normal rules per component."""
    b, dim = factors.shape[:2]
    # a narrow component seen from a wide one needs the narrow one's step
    sizes = np.linalg.svd(factors, compute_uv=False)
    step = _STEP * min(1.0, sizes.min() / sizes.max())
    per_axis = 2 * int(_REACH / step) + 1
    if dim <= 2 and per_axis**dim <= _MOST_NODES:
        grid = step * (np.arange(per_axis) - per_axis // 2)
        axes = np.stack([grid, grid + step / 2])  # (2, per_axis)
        density = np.exp(-0.5 * axes**2)
        density /= density.sum(axis=1, keepdims=True)
        nodes = np.stack([_tensor(row, dim) for row in axes])
        weights = np.stack([_tensor(row, dim).prod(axis=-1) for row in density])
    else:
        sobol: Any = qmc.Sobol(dim, scramble=False).random(_POINTS)
        shifts = np.random.default_rng(0).random((_SHIFTS, 1, dim))
        uniform = (sobol + shifts) % 1
        nodes = ndtri(np.clip(uniform, 1e-16, 1 - 1e-16))
        weights = np.full((_SHIFTS, _POINTS), 1 / _POINTS)
    folds, count = weights.shape
    return (
        np.broadcast_to(nodes[:, None], (folds, b, count, dim)),
        np.broadcast_to(weights[:, None], (folds, b, count)),
    )


def _tensor(axis: np.ndarray, dim: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), axis=-1).reshape(-1, dim)


def positive_weights(weights: Any, components: int) -> np.ndarray:
    """Return consensus weights; raise unless all are positive, since weight 0 has no modes."""
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (components,):
        raise ValueError(f"weights must have shape ({components},), got {weights.shape}")
    if abs(weights.sum() - 1) > _arguments.SIMPLEX_TOLERANCE:
        raise ValueError(f"weights must sum to one, got a sum of {weights.sum():g}")
    if not (weights > 0).all():
        raise ValueError(
            f"weights must be positive where components overlap, got {weights.min():g}"
        )
    return weights / weights.sum()
