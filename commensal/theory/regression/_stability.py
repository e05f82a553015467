"""Bounds on how far interaction amplifies errors, and the human share that prevents it."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._compiled import compiled
from commensal._grams import checked_grams
from commensal._precision import AnyArray, float64, is_concrete
from commensal.networks import dominating_readers
from commensal.theory.regression import _linalg


def stability_bound(synthetic: Any, human_share: Any = 0.0) -> Float[AnyArray, "*b"]:
    r"""Upper bound on ρ(Q) for every α, β, private and public data (new here).

    .. math::
        ρ(Q) \le (1-φ)\,\frac{1 + \lVert \frac1K \sum_k T_k^2 \rVert^{1/2}}{2}
        \le (1-φ)\,\frac{1 + \sqrt K}{2},
        \qquad T_k = \underline S^{+1/2} S_k \underline S^{+1/2}.

    Parameters
    ----------
    synthetic : Float[Array, "K d d"], int, array of int, or Float[Array, "K K"]
        Gram matrices S_k of what each model publishes; their mean may be rank-deficient. Or K,
        or a vector of them: the second bound, whatever is published. Or a reading network W:
        (1 + √Λ)/2 with Λ the spectral radius of diag(W)⁻¹ W, whatever is published.
    human_share : Float[Array, ""]
        Share φ in [0, 1] of fresh human data whose Gram matrix is at least the mean synthetic one.

    Returns
    -------
    Float[Array, ""]
        The bound, float64. It is sharp: :func:`commensal.designs.misaligned` comes as close to
        (1 + √K)/2, or to (1 + √Λ)/2 of a network, as one likes. Infinite for a network in which
        a model of a circle of readers does not read itself: a ring of two can diverge at any rate.

    Raises
    ------
    ValueError
        If K is below 1, ``human_share`` outside [0, 1], or a matrix no Gram matrix or network.

    Notes
    -----
    Stability itself is not guaranteed by `interactive`'s Lemma 1 unless synthetic data follow the
    real data; this bounds what can happen when they do not.

    Proof. In coordinates where S̲ = I, Q has the nonzero eigenvalues of D P with 0 ⪯ D ⪯ I and P
    idempotent, and ρ(D P) = ρ(D^½ P D^½) is at most the numerical radius of P, (1 + ‖P‖)/2. Here
    ‖P‖² = ‖(1/K) Σ_k T_k²‖ <= K, because T_k ⪯ K I. Claims ``commensal.stability_bound`` and
    ``commensal.idempotent_radius`` check it; ``commensal.network_bound`` that of networks, whose
    proof is in the docs. If all read the same, W = 1pᵀ, Λ is the number of models that are read;
    if each reads itself with share s it is 1/s, whatever the network.

    Examples
    --------
    Everybody publishes on the same features: interaction cannot amplify.

    >>> import numpy as np
    >>> print(round(float(stability_bound(np.stack([np.eye(3)] * 4))), 9))
    1.0

    Four models, whatever they publish:

    >>> print(float(stability_bound(4)))
    1.5

    A ring of models that read half of themselves, and half of the next one:

    >>> from commensal import networks
    >>> print(f"{float(stability_bound(networks.ring(8, self_share=0.5))):.4f}")
    1.2071
    """
    if is_concrete(human_share):
        share = np.asarray(human_share)
        if not np.all((share >= 0) & (share <= 1)):
            raise ValueError(f"human_share must lie in [0, 1], got {human_share}")
    return _bound(_published(synthetic), human_share)


def _published(given: Any) -> Any:
    """Return checked Gram matrices, or numbers of models K as float64."""
    if not is_concrete(given):
        return given
    if np.ndim(given) in (0, 1):
        k = np.asarray(given, dtype=np.float64)
        if not np.all(k >= 1):
            raise ValueError(f"models must be at least 1, got {given}")
        return k
    shape = np.shape(given)
    if len(shape) == 2 and shape[0] == shape[1]:
        return np.float64(dominating_readers(given)[0])  # as many models that all read alike
    if len(shape) < 3 or shape[-1] != shape[-2] or 0 in shape:
        raise ValueError(
            "synthetic must be K, a vector of them, Gram matrices of shape (K, d, d), or a network "
            f"of shape (K, K), got shape {shape}"
        )
    return checked_grams({"synthetic": given}, stacklevel=4)["synthetic"]


def _bound(published: Any, human_share: Any) -> AnyArray:
    of = _bound_of_counts if np.ndim(published) < 2 else _stability_bound
    return of(published, human_share)


@float64
@compiled
def _bound_of_counts(models: Array, human_share: Array) -> Array:
    return (1 - human_share) * (1 + jnp.sqrt(models)) / 2


@float64
@compiled
def _stability_bound(synthetic: Array, human_share: Array) -> Array:
    mean = synthetic.mean(axis=-3)
    eigenvalues, vectors = jnp.linalg.eigh(mean)
    keep = eigenvalues > _linalg.rank_cutoff(eigenvalues)[..., None]
    scale = jnp.where(keep, 1 / jnp.sqrt(jnp.where(keep, eigenvalues, 1)), 0)
    whiten = (vectors * scale[..., None, :]).mT[..., None, :, :]
    t = whiten @ synthetic @ whiten.mT
    # symmetric and positive semidefinite: its norm is its spectral radius
    norm = _linalg.spectral_radius((t @ t).mean(axis=-3))
    return (1 - human_share) * (1 + jnp.sqrt(norm)) / 2


def safe_human_share(models: Any, coverage: Any = 1.0) -> Any:
    r"""Share of fresh human data above which the system is stable for any data.

    .. math:: φ_{safe} = \frac{b - 1}{b - 1 + c}, \qquad b = \frac{1 + \sqrt K}{2}

    which is :math:`(\sqrt K - 1)/(\sqrt K + 1)` for c = 1. New here: for c = 1 it
    solves (1 - φ)(1 + √K)/2 = 1, the bound of :func:`stability_bound`; ``commensal.human_share`` is
    the claim that checks it.

    Parameters
    ----------
    models : int or array of int or Float[Array, "K d d"]
        Number of models K, or a vector of such numbers. Or Gram matrices of what each model
        publishes, for which b is their own :func:`stability_bound` and the share holds whatever the
        *real* data look like. Or a reading network, Float[Array, "K K"], and its bound.
    coverage : float or array
        Coverage c > 0 with F ⪰ c S̲: how well the human data (Gram matrix F) cover every direction
        in which models publish (mean Gram matrix S̲), at full weight. 1 where they are alike.

    Returns
    -------
    float or array
        Share φ in [0, 1); 0 for K = 1; 1 for a network without a bound.

    Raises
    ------
    ValueError
        If ``models`` is below 1 or no Gram matrices, or ``coverage`` is not positive.

    Notes
    -----
    New here. :math:`G_k \succeq α[(1-φ) + φc]\,\underline S` makes
    :math:`ρ(Q) \le (1-φ)\,b / (1-φ+φc)`. For c = 1 no smaller share will do, since
    :func:`commensal.designs.misaligned` attains b.

    Examples
    --------
    >>> [round(safe_human_share(k), 3) for k in (2, 4, 9)]
    [0.172, 0.333, 0.5]
    """
    c = np.asarray(coverage, dtype=np.float64)
    if not np.all(c > 0):
        raise ValueError(f"coverage must be positive, got {coverage}")
    # rounding may take the bound of identical publications below one
    excess = np.maximum(np.asarray(_bound(_published(models), 0.0)) - 1, 0)
    with np.errstate(invalid="ignore"):
        share = np.where(np.isinf(excess), 1.0, excess / (excess + c))
    return float(share) if share.ndim == 0 else share
