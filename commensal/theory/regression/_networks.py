"""Reading networks: bounds on stability that depend on who reads whom, and closed forms."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq, minimize

from commensal._grams import checked_grams
from commensal.networks import check_network, check_normal
from commensal.theory.regression import _linalg
from commensal.theory.regression._attained import largest_attained

_ANGLES = 90  # of half a circle, on which a numerical radius is looked for
_STARTS = 64
_ASCENTS = 500


class DesignBound(NamedTuple):
    """Spectral radius that the prompts of a system allow, whatever its real data.

    Attributes
    ----------
    attained : float
        Largest growth found that some real data can produce.
    bound : float
        Upper bound on ρ(Q) for all real data, α and β.
    """

    attained: float
    bound: float


class IsotropicErrors(NamedTuple):
    """Errors in the limit of a network whose data are all isotropic, in squared units of θ.

    Attributes
    ----------
    mse : float
        Mean over models of E‖θ̂_k - θ‖².
    disagreement : float
        Mean over models of E‖θ̂_k - θ̄‖², with θ̄ the mean estimate of all models.
    """

    mse: float
    disagreement: float


def effective_sources(reads: Any) -> float:
    r"""Number of models that a model effectively reads, :math:`n_{src} = K/\lVert W\rVert_F^2`.

    Parameters
    ----------
    reads : Float[Array, "K K"]
        Reading network W.

    Returns
    -------
    float
        Number from 1 (each reads one other) to K (all read all alike).

    Raises
    ------
    ValueError
        If ``reads`` is no network.

    Notes
    -----
    New here. What the noise of the web adds to disagreement is (r²/s)(1/n_src - 1/K) to first
    order in the share r² of the web, see :func:`isotropic_network`.

    Examples
    --------
    >>> from commensal import networks
    >>> [effective_sources(networks.named(name, 4)) for name in ("uniform", "ring", "ring:0.5")]
    [4.0, 1.0, 2.0]
    """
    w = check_network(reads)
    return float(len(w) / (w**2).sum())


def one_step_bound(reads: Any, norms: Any) -> Float[np.ndarray, "K"]:
    r"""Bound on the size of every model's deviation one generation later.

    .. math:: r_k(t+1) \le \tfrac12 \Big( r_k(t) + \sqrt{(B\,r(t)^2)_k} \Big),
        \qquad B = \mathrm{diag}(W)^{-1} W, \quad r_k(t) = \lVert S_k^{1/2} δ_{tk} \rVert,

    for a deviation δ of the estimates, whatever α, β, private and public data of that generation
    are; only the prompts (S_k) must stay the same.

    Parameters
    ----------
    reads : Float[Array, "K K"]
        Reading network W of the generation. Each model reads itself.
    norms : Float[Array, "K"]
        Sizes r_k(t) ≥ 0, in units of the responses.

    Returns
    -------
    Float[np.ndarray, "K"]
        Bounds on r_k(t+1).

    Raises
    ------
    ValueError
        If ``reads`` is no network, some model does not read itself, or ``norms`` has another shape
        or a negative entry.

    Notes
    -----
    New here; claim ``commensal.network_step``. So max_k r_k/√y_k, with y the Perron vector of B,
    grows by at most :func:`stability_bound` of W in each generation, without a constant in front,
    and with networks that change but keep W_kk ≥ s by at most (1 + 1/√s)/2.

    Examples
    --------
    >>> from commensal import networks
    >>> one_step_bound(networks.uniform(4), np.ones(4))
    array([1.5, 1.5, 1.5, 1.5])
    """
    w = check_network(reads)
    r = np.asarray(norms, dtype=np.float64)
    if r.shape != (len(w),) or not np.all(r >= 0):
        raise ValueError(f"norms must be {len(w)} numbers >= 0, got {norms}")
    own = np.diag(w)
    if not np.all(own > 0):
        raise ValueError(f"model {own.argmin()} does not read itself: one step has no bound")
    return (r + np.sqrt(w @ r**2 / own)) / 2


def design_bound(synthetic: Any, reads: Any = None) -> DesignBound:
    r"""Bound on ρ(Q) for given prompts, whatever the real data, α and β.

    If everybody reads everybody alike, with :math:`T_k = \underline S^{+1/2} S_k \underline
    S^{+1/2}`,

    .. math:: M = \max_{\lVert v \rVert = 1} \frac1K \sum_k \lVert T_k v \rVert, \qquad
        M^2 \le Λ^* = \min_p λ_{\max}\Big(\frac{1}{K^2} \sum_k T_k^2/p_k\Big):

    the largest ρ(Q) that some real data produce is exactly (1 + M)/2, complex eigenvalues included,
    and √Λ* bounds M from above. On a network, with
    :math:`P_{kj} = W_{kj} M_k^{-1/2} S_j M_j^{-1/2}`, the bound is the least numerical radius of P
    over scalings of its blocks, and the largest real eigenvalue that some real data produce is

    .. math:: \max_z \min_k z_k^\top (P z)_k / \lVert z_k \rVert^2 .

    Parameters
    ----------
    synthetic : Float[Array, "K d d"]
        Gram matrices S_k of the prompts that each model answers.
    reads : Float[Array, "K K"] or None
        Reading network W; None: everybody reads everybody alike.

    Returns
    -------
    DesignBound
        ``attained`` is the best of an ascent from many starts, so that it may be too small, never
        too large; ``bound`` holds for certain (any p, and any scaling, gives a valid one).

    Raises
    ------
    ValueError
        If a matrix is no Gram matrix, or ``reads`` is no network.

    Notes
    -----
    New here; claims ``commensal.design_bound`` and ``commensal.network_design``. It is sharper than
    :func:`stability_bound`, which has the same form with all p_k = 1/K. M is at most
    √min(K, d). On networks of two models ``attained`` meets the bound, for three it need not. On
    the host, in float64; not differentiable.

    Examples
    --------
    Eight models that are asked the same prompts cannot amplify:

    >>> print(round(design_bound(np.stack([np.eye(3)] * 8)).bound, 6))
    1.0

    Those that are asked thirty prompts of 15 dimensions each, hardly:

    >>> from commensal import designs
    >>> s = designs.gaussian(4, 15, 15, seed=0, prompts="fresh").grams()["synthetic"]
    >>> few = designs.gaussian(4, 15, 5, seed=0, prompts="fresh").grams()["synthetic"]
    >>> bool(design_bound(s).bound < design_bound(few).bound < 1.51)
    True
    """
    s = np.asarray(checked_grams({"synthetic": synthetic}, stacklevel=3)["synthetic"])
    if s.ndim != 3:
        raise ValueError(f"synthetic must have shape (K, d, d), got {s.shape}")
    if reads is not None:
        w = check_network(reads)
        if len(w) != len(s):
            raise ValueError(f"reads is for {len(w)} models, synthetic for {len(s)}")
        return _network_bound(s, w)
    root = _inverse_root(s.mean(axis=0))
    t = root @ s @ root
    m = _largest_sum_of_norms(t)
    return DesignBound((1 + m) / 2, float(1 + np.sqrt(max(_relaxed(t), 1.0))) / 2)


def _inverse_root(gram: np.ndarray) -> np.ndarray:
    """Return S^{+1/2} (symmetric)."""
    values, vectors = np.linalg.eigh(gram)
    keep = values > _linalg.rank_tolerance(len(gram)) * np.abs(values).max()
    scale = np.where(keep, 1 / np.sqrt(np.where(keep, values, 1)), 0)
    return (vectors * scale) @ vectors.T


def _largest_sum_of_norms(t: np.ndarray) -> float:
    """Maximise (1/K) Σ ‖T_k v‖ over unit v: convex, so that a linear minorant's maximum ascends."""
    d = t.shape[-1]
    squares = t @ t
    tops = np.linalg.eigh(t)[1][:, :, -1]  # of each alone
    random = np.random.default_rng(0).standard_normal((_STARTS, d))
    starts = [np.linalg.eigh(squares.sum(axis=0))[1].T, tops, random]
    v = np.concatenate(starts)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    before = value = np.zeros(len(v))
    for _ in range(_ASCENTS):
        norms = np.linalg.norm(np.einsum("kab,nb->nka", t, v), axis=-1)
        value = norms.mean(axis=-1)
        if np.all(value - before <= 1e-14 * value.max()):
            break
        before = value
        v = np.einsum("kab,nb,nk->na", squares, v, 1 / np.where(norms > 0, norms, np.inf))
        size = np.linalg.norm(v, axis=1, keepdims=True)
        v /= np.where(size > 0, size, 1)
    return float(max(value.max(), 1.0))


def _relaxed(t: np.ndarray) -> float:
    """Minimise λ_max((1/K²) Σ T_k²/p_k) over p: convex, and an upper bound of M² at every p."""
    k = len(t)
    squares = t @ t / k**2

    def largest(x: np.ndarray) -> tuple[float, np.ndarray]:
        p = np.exp(x - x.max())
        p /= p.sum()
        values, vectors = np.linalg.eigh(np.einsum("kab,k->ab", squares, 1 / p))
        v = vectors[:, -1]
        slope = -np.einsum("a,kab,b->k", v, squares, v) / p**2  # in p
        return float(values[-1]), p * (slope - p @ slope)

    # the largest eigenvalue has corners: a descent by gradients may stop early, at a valid bound
    best = min(
        (minimize(largest, x, jac=True, method="L-BFGS-B") for x in (np.zeros(k), _traces(t))),
        key=lambda found: found.fun,
    )
    found: Any = minimize(lambda x: largest(x)[0], best.x, method="Nelder-Mead") if k <= 8 else best
    return float(min(best.fun, found.fun, largest(np.zeros(k))[0]))


def _traces(t: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.linalg.norm(t, ord=2, axis=(1, 2)), 1e-6))


def _network_bound(s: np.ndarray, w: np.ndarray) -> DesignBound:
    """Return the least numerical radius of X P X⁻¹ found, rounded up to what is certain."""
    k, d, _ = s.shape
    roots = np.stack([_inverse_root(m) for m in np.einsum("kj,jab->kab", w, s)])
    p = np.einsum("kj,kab,jbc,jcd->kajd", w, roots, s, roots)
    angles = np.exp(1j * np.pi * np.arange(_ANGLES) / (_ANGLES - 1))

    def radius(x: np.ndarray, turns: np.ndarray) -> float:
        scale = np.exp(x - x.mean())
        m = (scale[:, None, None, None] * p / scale[:, None]).reshape(k * d, k * d)
        turned = turns[:, None, None] * m
        return float(np.linalg.eigvalsh((turned + turned.conj().mT) / 2)[:, -1].max())

    few = angles[:: _ANGLES // 9]
    found: Any = minimize(lambda x: radius(x, few), np.zeros(k), method="Nelder-Mead")
    # P is real, so half a circle is enough; between neighbours a support line rises by 1/cos
    bound = float(radius(found.x, angles) / np.cos(np.pi / (_ANGLES - 1) / 2))
    attained = largest_attained(p, np.exp(found.x - found.x.mean()))
    return DesignBound(max(attained, 1.0), max(bound, 1.0))


def aligned_bound(reads: Any, anchor: Any) -> float:
    r"""Bound on ρ(Q) on a network where prompts follow the real data.

    If :math:`γ_k S_k = λ \tilde S_k + (1-λ) S_*` with β ≤ λ, as `interactive`'s Lemma 1 asks, the
    bound is the m ≥ ½ that solves

    .. math:: ρ\big( \mathrm{diag}(W_{kk}(2m-1)^2 + 4 m^2 c_k)^{-1} W \big) = 1,
        \qquad c_k = \barα β γ_k / (α λ).

    For :math:`W_{kk} = s` and :math:`c_k = c` it is
    :math:`\frac{s + \sqrt{s^2 + (s+c)(1-s)}}{2(s+c)}`, below 1 if and only if c > (1-s)/4.

    Parameters
    ----------
    reads : Float[Array, "K K"]
        Reading network W.
    anchor : float or Float[Array, "K"]
        Anchors c_k > 0, the weight of real data over that of the web; :math:`\barαβ/α` if each
        model is asked its own private prompts.

    Returns
    -------
    float
        Bound m, at least ½.

    Raises
    ------
    ValueError
        If ``reads`` is no network, or an anchor is not positive.

    Notes
    -----
    New here; claim ``commensal.aligned_network``. Lemma 1 says that ρ < 1 in this case, which is
    true if all read the same (W = 1pᵀ) and false on other networks.

    Examples
    --------
    Three models on a ring that read half of themselves, with c = 1/8 = (1 - s)/4:

    >>> from commensal import networks
    >>> round(aligned_bound(networks.ring(3, 0.5), 0.125), 9)
    1.0
    """
    w = check_network(reads)
    c = np.broadcast_to(np.asarray(anchor, dtype=np.float64), len(w))
    if not np.all(c > 0):
        raise ValueError(f"anchor must be positive, got {anchor}")

    def excess(m: float) -> float:
        weights = np.diag(w) * (2 * m - 1) ** 2 + 4 * m**2 * c
        return float(np.abs(np.linalg.eigvals(w / weights[:, None])).max()) - 1

    if excess(0.5) <= 0:
        return 0.5
    root: Any = brentq(excess, 0.5, 0.5 + 1 / np.sqrt(c.min()), xtol=1e-14)
    return float(root)


def critical_alpha(beta: Any, self_share: Any) -> Any:
    r"""Largest web weight at which private prompts keep every network stable.

    .. math:: α < \frac{4β}{4β + 1 - s}

    Parameters
    ----------
    beta : float or array
        Weight β of private data, in [0, 1].
    self_share : float or array
        Share s of itself that every model reads at least, in [0, 1].

    Returns
    -------
    float or array
        Weight α below which no network and no data of models that are asked their own private
        prompts (S = S̃) diverge, and above which some do; 1 where none does.

    Raises
    ------
    ValueError
        If a value lies outside [0, 1].

    Notes
    -----
    New here: where :func:`aligned_bound` with c = ᾱβ/α passes one. Attained on directed rings of
    three.

    Examples
    --------
    >>> [round(critical_alpha(0.5, s), 3) for s in (0.0, 0.5, 1.0)]
    [0.667, 0.8, 1.0]
    """
    b, s = np.asarray(beta, dtype=np.float64), np.asarray(self_share, dtype=np.float64)
    for name, value in (("beta", b), ("self_share", s)):
        if not np.all((value >= 0) & (value <= 1)):
            raise ValueError(f"{name} must lie in [0, 1], got {value}")
    # 4β + 1 - s = 0: nothing but a model's own web, which neither grows nor shrinks
    total = 4 * b + 1 - s
    found = np.where(total > 0, 4 * b / np.where(total > 0, total, 1), 1.0)
    return float(found) if found.ndim == 0 else found


def isotropic_network(
    reads: Any,
    alpha: float,
    beta: float,
    *,
    private: float = 1.0,
    public: float = 1.0,
    synthetic: float = 1.0,
    human_share: float = 0.0,
    human: float | None = None,
    human_data: Literal["shared", "own"] = "shared",
    dim: int = 1,
    noise: float = 1.0,
) -> IsotropicErrors:
    r"""Limiting errors on a network when every Gram matrix is a multiple of the identity.

    .. math::
        \frac{\mathrm{MSE}}{σ^2 d} = \frac1K \sum_l \Big[ \frac{a^2}{\tilde s|1 - rλ_l|^2}
        + \frac{r^2|λ_l|^2/s + [q^2/f]_{own}}{1 - r^2|λ_l|^2} \Big] + \frac{b^2}{s_*(1-r)^2}
        + \Big[ \frac{q^2}{f(1-r^2)} \Big]_{shared}

    with λ_l the eigenvalues of W, :math:`g = \barαβ\tilde s + \barα\barβ s_* + α(1-φ)s + αφf`, and
    a, b, r, q its four terms over g; of the two terms with q there is one, by ``human_data``.
    Disagreement is the sum without the eigenvalue 1, without b and without the last term.

    Parameters
    ----------
    reads : Float[Array, "K K"]
        Reading network W, a normal matrix (WWᵀ = WᵀW), as every circulant or symmetric one is.
    alpha, beta : float
        Weights α in [0, 1) of new data and β in [0, 1] of private data.
    private, public, synthetic : float
        Sizes s̃, s_* and s of the Gram matrices, positive.
    human_share : float
        Share φ of fresh human data in what is newly collected, in [0, 1].
    human : float or None
        Size f of the human Gram matrix, positive; None for ``synthetic``.
    human_data : {"shared", "own"}
        Whether all share one draw of human data in each generation, or each collects its own.
    dim : int
        Dimension d of the parameter.
    noise : float
        Standard deviation σ of the responses.

    Returns
    -------
    IsotropicErrors
        Mean squared error and disagreement, in squared units of θ.

    Raises
    ------
    ValueError
        If ``reads`` is no network or not normal, a weight is out of range, a size not positive, or
        nothing but the web is learnt from (α = 1, φ = 0).

    Notes
    -----
    New here; claims ``commensal.isotropic_network`` and ``commensal.isotropic_own_humans``. With W
    uniform, all sizes 1 and no human data it is :func:`isotropic_mse`.

    Examples
    --------
    >>> from commensal import networks
    >>> from commensal.theory.regression import isotropic_mse
    >>> found = isotropic_network(networks.uniform(4), 0.5, 0.5)
    >>> round(found.mse - isotropic_mse(4, 0.5, 0.5), 12)
    0.0
    >>> ring = isotropic_network(networks.ring(4), 0.5, 0.5)
    >>> ring.disagreement > found.disagreement
    True
    """
    w = check_normal(reads, others="limit()")
    human = synthetic if human is None else human
    if not 0 <= human_share <= 1 or human_data not in ("shared", "own"):
        raise ValueError(
            "human_share must lie in [0, 1] and human_data be 'shared' or 'own', "
            f"got {human_share} and {human_data!r}"
        )
    if not (0 <= alpha < 1 or (alpha == 1 and human_share > 0)) or not 0 <= beta <= 1:
        raise ValueError(f"alpha must lie in [0, 1) and beta in [0, 1], got {alpha} and {beta}")
    if min(private, public, synthetic, human) <= 0:
        raise ValueError("private, public, synthetic and human must be positive")
    real, web = (1 - alpha) * np.array([beta * private, (1 - beta) * public]), alpha * synthetic
    parts = np.array([*real, (1 - human_share) * web, human_share * alpha * human])
    a, b, r, q = parts / parts.sum()
    values = np.linalg.eigvals(w)
    # the eigenvector of ones belongs to one eigenvalue 1: what all models share
    shared = np.abs(values - 1).argmin()
    size = np.abs(values) ** 2
    terms = a**2 / private / np.abs(1 - r * values) ** 2
    told = q**2 / human if human_data == "own" else 0.0
    terms += (r**2 * size / synthetic + told) / (1 - r**2 * size)
    unit = noise**2 * dim
    apart = np.delete(terms, shared).sum() / len(w)
    mse = terms.sum() / len(w) + b**2 / public / (1 - r) ** 2
    mse += (q**2 / human - told) / (1 - r**2)
    return IsotropicErrors(float(unit * mse), float(unit * apart))
