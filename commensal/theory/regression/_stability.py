"""How far interaction can amplify errors, and how much fresh human data forbids it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._precision import AnyArray, float64
from commensal.theory.regression import _linalg


def stability_bound(synthetic: Any, human_share: Any = 0.0) -> Float[AnyArray, "*b"]:
    r"""Upper bound on ρ(Q) for every α, β, private and public data (THEORY 1.3).

    .. math::
        ρ(Q) \le (1-φ)\,\frac{1 + \lVert \frac1K \sum_k T_k^2 \rVert^{1/2}}{2}
        \le (1-φ)\,\frac{1 + \sqrt K}{2},
        \qquad T_k = \underline S^{+1/2} S_k \underline S^{+1/2}.

    Parameters
    ----------
    synthetic : Float[Array, "K d d"]
        Gram matrices S_k of what each entity publishes; their mean may be rank-deficient.
    human_share : Float[Array, ""]
        φ, for fresh human data whose Gram matrix is at least the mean synthetic one.

    Returns
    -------
    Float[Array, ""]
        The bound, float64. It is sharp: :func:`commensal.designs.misaligned` comes as close to
        (1 + √K)/2 as one likes.

    Notes
    -----
    Stability itself is not guaranteed by `interactive`'s Lemma 1 unless synthetic data follow the
    real data; this bounds what can happen when they do not.

    Examples
    --------
    Everybody publishes on the same features: interaction cannot amplify.

    >>> import numpy as np
    >>> print(round(float(stability_bound(np.stack([np.eye(3)] * 4))), 9))
    1.0
    """
    return _stability_bound(synthetic, human_share)


@float64
@jax.jit
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


def safe_human_share(entities: Any, coverage: Any = 1.0) -> Any:
    r"""Fresh human share above which the system is stable whatever the data look like.

    .. math:: φ_{safe} = \frac{b - 1}{b - 1 + c}, \qquad b = \frac{1 + \sqrt K}{2}

    which is :math:`(\sqrt K - 1)/(\sqrt K + 1)` for c = 1 (THEORY 1.3).

    Parameters
    ----------
    entities : int or array of int
        K.
    coverage : float or array
        c > 0 with F ⪰ c S̲: how well the human data (Gram matrix F) cover every direction in
        which models publish (mean Gram matrix S̲), at full weight. 1 where they are alike.

    Returns
    -------
    float or array
        φ in [0, 1); 0 for K = 1.

    Raises
    ------
    ValueError
        If ``entities`` is below 1 or ``coverage`` is not positive.

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
    k, c = np.asarray(entities, dtype=np.float64), np.asarray(coverage, dtype=np.float64)
    if np.any(k < 1):
        raise ValueError(f"entities must be at least 1, got {entities}")
    if not np.all(c > 0):
        raise ValueError(f"coverage must be positive, got {coverage}")
    excess = (np.sqrt(k) - 1) / 2
    share = excess / (excess + c)
    return float(share) if share.ndim == 0 else share
