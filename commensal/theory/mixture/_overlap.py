r"""Overlapping components: the directions and rates in which models come to agree.

Let all models be near a consensus π, and the web near the mixture g of these weights. A point
u ~ g changes weights π + δ by (o(u) - π - δ)/k. From :math:`o_b = π_b N_b/g`,

.. math::
    \frac{\partial\,E[o_b]}{\partial π_l} = δ_{bl} - π_b M_{bl}, \qquad
    \mathrm{Cov}(o) = D M D - ππ^\top, \qquad
    M_{bl} = \int \frac{N_b N_l}{g}, \quad D = \mathrm{diag}\,π.

In :math:`y = D^{-1/2} δ` the drift is -H y / k with :math:`H = D^{1/2} M D^{1/2}`, and the noise
covariance is :math:`H - \sqrt π \sqrt π^\top`: the *same* matrix, off the direction
:math:`\sqrt π` in which the sum of the weights would change. (Fisher information does this: a
step along the score has the information as both slope and variance.) So H's other eigenvectors v_m,
with eigenvalues λ_m in [0, 1], are independent modes. A generation contracts mode m by
:math:`r_m = (1 - λ_m/k)^k \to e^{-λ_m}`, with :math:`\sum_j w_j^2 = (1 - r^2)/(kλ(2 - λ/k))` and
:math:`\sum_j w_j = (1-r)/λ` in the notation of ``_setup``, and re-injects
:math:`λ\frac{N}{N-1}\big(\sum w^2 - (\sum w)^2/N\big)`. At rest

.. math::
    V_m = \frac{N}{N-1}\Big[\frac{1}{2k - λ} - \frac{1}{λN}\frac{1-r}{1+r}\Big]
    \;\longrightarrow\; \frac{1}{2k}\Big[1 - 2β\,\frac{\tanh(λ_m/2)}{λ_m}\Big].

*Reading.* With replacement (β → 0) V_m does not depend on λ_m: overlap slows agreement down, in
time 1/λ_m, but models end up just as far apart. Without, the bracket moves from
1 - 2β tanh(1/2) = 1 - 0.924β to 1 - β as λ goes from 1 to 0: a few per cent in ‖D‖.

*Limits.* Linear in δ, Gaussian in nothing. The noise law at rest presumes λ_m t ≫ 1; where that
fails (components closer than about one standard deviation) use :func:`disagreement_path`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal.theory.mixture._geometry import Geometry, positive_weights


class Overlap(NamedTuple):
    """Modes of agreement around a consensus: M = B - 1 modes of B components.

    Attributes
    ----------
    weights : Float[np.ndarray, "B"]
        Consensus weights π.
    rates : Float[np.ndarray, "M"]
        Rates λ_m, decreasing: 1 for separated components, 0 for coinciding ones.
    modes : Float[np.ndarray, "B M"]
        Modes, as columns D^{1/2} v_m: displacements of the weights, each of which sums to zero.
    sizes : Float[np.ndarray, "M"]
        Sizes ‖D^{1/2} v_m‖² of the modes; their sum is Σ π_b(1 - π_b), whatever the overlap.
    error : float
        Estimated error of the quadrature behind the rates.
    """

    weights: Float[np.ndarray, "B"]
    rates: Float[np.ndarray, "M"]
    modes: Float[np.ndarray, "B M"]
    sizes: Float[np.ndarray, "M"]
    error: float


def overlap(means: Any, covariance: Any, weights: Any) -> Overlap:
    """Compute the modes and rates of agreement of mixtures with overlapping components.

    Parameters
    ----------
    means : Float[Array, "B"] or Float[Array, "B d"]
        Component means.
    covariance : float, Float[Array, "d d"] or Float[Array, "B d d"]
        Covariance that all components share, or one per component.
    weights : Float[Array, "B"]
        Consensus weights π, all positive.

    Returns
    -------
    Overlap
        Modes and rates; rates to about 1e-10 where the means span one or two dimensions, to
        ``error`` beyond.

    Raises
    ------
    ValueError
        If shapes disagree, weights are not positive shares, or a covariance is not symmetric
        positive definite.

    Notes
    -----
    New here; derivation at the head of the module.

    Examples
    --------
    >>> for separation in (10.0, 4.0, 2.0, 1.0):
    ...     print(separation, overlap([0.0, separation], 1.0, [0.5, 0.5]).rates.round(4))
    10.0 [1.]
    4.0 [0.9314]
    2.0 [0.5504]
    1.0 [0.2041]
    """
    geometry = means if isinstance(means, Geometry) else Geometry(means, covariance)
    pi = positive_weights(weights, geometry.components)
    affinity, error = geometry.affinity(pi)
    root = np.sqrt(pi)
    # an orthonormal basis of what is orthogonal to √π: rates of zero stay apart from that direction
    basis = np.linalg.svd(np.eye(pi.size) - np.outer(root, root))[0][:, :-1]
    rates, vectors = np.linalg.eigh(basis.T @ affinity @ basis)
    modes = root[:, None] * (basis @ vectors)[:, ::-1]
    rates = np.clip(rates[::-1], 0.0, 1.0)
    return Overlap(pi, rates, modes, (modes**2).sum(axis=0), error)
