"""Squared Wasserstein-2 distance between Gaussian distributions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._precision import AnyArray, float64
from commensal.theory.gaussian._covariance import check_covariance


def w2_gaussian(mean_a: Any, cov_a: Any, mean_b: Any, cov_b: Any) -> Float[AnyArray, ""]:
    r"""Squared W₂ distance between N(a, A) and N(b, B).

    .. math::
        \lVert a - b \rVert^2 + \mathrm{tr}\,A + \mathrm{tr}\,B
        - 2\,\mathrm{tr}\,(A^{1/2} B A^{1/2})^{1/2}

    Parameters
    ----------
    mean_a, mean_b : Float[Array, "d"]
        Means of the two laws.
    cov_a, cov_b : Float[Array, "d d"]
        Covariances of the two laws, positive semidefinite; singular ones are taken.

    Returns
    -------
    Float[Array, ""]
        Squared distance, >= 0, in squared units of the data. Float64.

    Raises
    ------
    ValueError
        If shapes disagree, or a matrix whose values are known is no covariance.

    Notes
    -----
    Computed as :math:`\lVert A^{1/2} - B^{1/2} U \rVert_F^2`, U the orthogonal polar factor of
    :math:`B^{1/2} A^{1/2}`: the smallest over all orthogonal U, never negative, and without the
    cancellation of the traces where A and B are close.

    First derivatives are exact, I - T for A with T the optimal map from N(0, A) to N(0, B),
    also at A = B and where eigenvalues coincide. Where one covariance is singular the distance is
    differentiable only along changes that stay within its range (outwards it behaves as a square
    root), and the derivative given is that one, by a pseudo-inverse. Second derivatives go through
    an eigendecomposition and do not exist where eigenvalues coincide.

    References
    ----------
    Bhatia, Jain and Lim (2019), "On the Bures-Wasserstein distance between positive definite
    matrices", Expositiones Mathematicae 37.

    Examples
    --------
    >>> float(w2_gaussian(np.zeros(1), np.eye(1), np.ones(1), 4 * np.eye(1)).round(12))
    2.0
    """
    d = check_covariance(cov_a, "cov_a")
    if check_covariance(cov_b, "cov_b") != d:
        raise ValueError(f"cov_b must have shape {(d, d)} to match cov_a, got {np.shape(cov_b)}")
    for name, mean in (("mean_a", mean_a), ("mean_b", mean_b)):
        if np.shape(mean) != (d,):
            raise ValueError(f"{name} must have shape {(d,)} to match cov_a, got {np.shape(mean)}")
    return _distance(mean_a, cov_a, mean_b, cov_b)


@float64
def _distance(
    mean_a: Float[Array, "d"],
    cov_a: Float[Array, "d d"],
    mean_b: Float[Array, "d"],
    cov_b: Float[Array, "d d"],
) -> Any:
    difference = jnp.asarray(mean_a) - jnp.asarray(mean_b)
    return difference @ difference + _bures(jnp.asarray(cov_a), jnp.asarray(cov_b))


def _polar(a: Any, b: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Return the square roots of both matrices, and the SVD of their product."""
    # one batched call: two independent ones in one compiled program can deadlock on the CPU
    values, vectors = jnp.linalg.eigh(jnp.stack([(a + a.T) / 2, (b + b.T) / 2]))
    # an eigenvalue of 0 comes out as 1e-16, of which the root would be 1e-8
    noise = a.shape[0] * jnp.finfo(a.dtype).eps * values[:, -1:]
    values = jnp.where(values > noise, values, 0.0)
    scaled = vectors * jnp.sqrt(values)[:, None, :]
    root_a, root_b = jnp.einsum("kij,klj->kil", scaled, vectors)
    left, size, right = jnp.linalg.svd(root_b @ root_a)
    return root_a, root_b, left, size, right


@jax.custom_jvp
def _bures(a: Any, b: Any) -> Any:
    root_a, root_b, left, _, right = _polar(a, b)
    return jnp.sum((root_a - root_b @ left @ right) ** 2)


@_bures.defjvp
def _bures_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b = primals
    root_a, root_b, left, size, right = _polar(a, b)
    value = jnp.sum((root_a - root_b @ left @ right) ** 2)
    # B^{1/2} P D⁺ Pᵀ B^{1/2} maps N(0, A) onto N(0, B), with P D Qᵀ the SVD of B^{1/2} A^{1/2}
    small = size <= a.shape[0] * jnp.finfo(a.dtype).eps * jnp.max(size)
    inverse = jnp.where(small, 0.0, 1 / jnp.where(small, 1.0, size))
    to_b, to_a = root_b @ left, root_a @ right.T
    eye = jnp.eye(a.shape[0], dtype=a.dtype)
    change = jnp.sum((eye - (to_b * inverse) @ to_b.T) * tangents[0])
    return value, change + jnp.sum((eye - (to_a * inverse) @ to_a.T) * tangents[1])
