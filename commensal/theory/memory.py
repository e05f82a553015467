r"""Memory: what keeping past data does to linear models that train on each other's output.

K models publish in every generation, and each is refitted to real data and to what was published:
in the last generation (memory "replace"), in all of them ("accumulate"), or in the last m of them
("window"). With "accumulate" every generation has the weight α that the last one has under
"replace", so that the *weight* of real data stays, and their share falls; with "window" all that is
kept has the weight α together, so that real data keep their *share* 1 - α.

These are closed forms where all Gram matrices are multiples of the identity, and of random designs;
:func:`commensal.theory.regression.trajectory` has any Gram matrices. For one model that
accumulates, the limit π²/6 is that of Gerstgrasser et al. (arXiv 2404.01413, read as an abstract);
the rest is new here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import solve_discrete_lyapunov
from scipy.special import gamma, polygamma, zeta

from commensal._memory import MEMORIES, check_memory
from commensal.networks import check_network, check_normal

__all__ = [
    "MemoryErrors",
    "NoiseDecay",
    "disagreement_exponent",
    "isotropic_errors",
    "noise_decay",
    "refit_error",
    "web_noise",
    "window_drift",
    "window_growth",
]

_LARGEST = 10_000_000  # generations that are counted one by one
_NORMAL = 1e-9  # below which a gap, or an imaginary part, is rounding
_TERMS = 60  # of a series that falls by a half each
_SUMMED = 2_000  # terms of a slow series, before its tail


class MemoryErrors(NamedTuple):
    """Errors of models that remember, by generation, in squared units of θ.

    Attributes
    ----------
    mse : Float[np.ndarray, "..."]
        Mean over models of E‖θ̂_k - θ‖².
    disagreement : Float[np.ndarray, "..."]
        Mean over models of E‖θ̂_k - θ̄‖², with θ̄ the mean estimate of all models.
    """

    mse: Any
    disagreement: Any


class NoiseDecay(NamedTuple):
    """Law by which the noise of the web dies: about factor · n^-exponent, perhaps times ln n.

    Attributes
    ----------
    exponent : float
        Exponent, from 0 to 1.
    factor : float
        Factor, in units of the noise of one generation's web, σ²/(K s).
    logarithmic : bool
        Whether there is a factor ln n besides.
    """

    exponent: float
    factor: float
    logarithmic: bool


def refit_error(
    generations: Any,
    samples: int,
    models: int = 1,
    *,
    dim: int = 1,
    noise: float | int = 1.0,
    memory: str = "accumulate",
    design: str = "gaussian",
) -> Any:
    r"""Mean squared error of models that never see real data again after generation 0.

    K models read everything; a generation brings T responses of each model (of humans in
    generation 0), N = KT in all; and all responses have the same weight. With random designs,
    exactly:

    .. math::
        \mathrm{MSE}_t = σ^2 d \sum_{i=1}^{t+1} \frac{1}{i\,(iN - d - 1)}
        \to \frac{σ^2 d}{N} \cdot \frac{-ψ(1-c) - γ}{c}, \qquad c = \frac{d+1}{N},

    if everything is kept, and :math:`(t+1)\,σ^2 d/(N-d-1)` if the last generation is.

    Parameters
    ----------
    generations : Int[ArrayLike, "..."]
        Generation t >= 0, or infinity for the limit.
    samples : int
        Number T of responses that each model publishes in a generation.
    models : int
        Number of models K, at least 1.
    dim : int
        Dimension d of the parameter.
    noise : float
        Standard deviation σ of the responses.
    memory : {"accumulate", "replace"}
        Whether models are fitted to everything so far, or to what was published last.
    design : {"gaussian", "equal"}
        Features: "gaussian", all fresh and standard normal; "equal", with one Gram matrix T·I in
        every generation, for which d + 1 is to be left out above: the limit is (π²/6) σ²d/(KT).

    Returns
    -------
    float or array
        Mean squared errors, in squared units of θ; infinite in the limit of "replace", and if
        random designs have N <= d + 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Claims ``commensal.memory_designs`` and ``commensal.memory_limit``. `interactive` asks in its
    conclusions whether fixed points like the π²/6 of one model exist for models that interact. They
    do: K models that read everything are one model on K times the data. For one model see
    Gerstgrasser et al. (arXiv 2404.01413, read as an abstract). Features of any covariance Σ have
    tr Σ⁻¹ in the place of the d before the sum; their prediction error has d.

    Examples
    --------
    >>> [round(refit_error(t, samples=100, dim=10), 3) for t in (0, 10, np.inf)]
    [0.112, 0.17, 0.179]
    >>> round(refit_error(10, samples=100, dim=10, memory="replace"), 2)
    1.24
    >>> round(refit_error(np.inf, 100, dim=10, design="equal") / 0.1 - np.pi**2 / 6, 12)
    0.0
    """
    t = _generations(generations)
    _check_counts(samples=samples, models=models, dim=dim)
    if memory not in MEMORIES[:2]:
        raise ValueError(f"memory must be one of {', '.join(MEMORIES[:2])}, got {memory!r}")
    if design not in ("gaussian", "equal"):
        raise ValueError(f"design must be one of gaussian, equal, got {design!r}")
    rows = float(samples) * models
    lost = dim + 1 if design == "gaussian" else 0
    if rows <= lost:
        return _plain(np.full(t.shape, np.inf))
    if memory == "replace":
        sums = (t + 1) / (rows - lost)
    else:
        c = lost / rows
        # 1/(i(i-c)) as a series in c/i from i = 2 on, where it falls by more than a half
        sums = np.where(t >= 0, 1 / (1 - c), 0.0)
        for k in range(_TERMS):
            sums = sums + c**k * (zeta(k + 2, 2) - np.where(np.isinf(t), 0, zeta(k + 2, t + 2)))
        sums = sums / rows
    return _plain(noise**2 * dim * sums)


def isotropic_errors(
    generations: Any,
    models: int,
    alpha: float | int,
    beta: float | int = 1.0,
    *,
    memory: str = "accumulate",
    window: int | None = None,
    reads: Any = None,
    private: float | int = 1.0,
    public: float | int = 1.0,
    synthetic: float | int = 1.0,
    dim: int = 1,
    noise: float | int = 1.0,
) -> MemoryErrors:
    r"""Errors in every generation and in the limit, for multiples of the identity as Gram matrices.

    Everybody reads everybody alike, and β = 1: with the weight
    :math:`c = \barα\tilde s/(αs)` of real data, in units of one generation's web,

    .. math::
        \frac{\mathrm{MSE}_n}{σ^2 d} = \frac{1}{K\tilde s} + \frac{ψ_1(1+c) - ψ_1(1+c+n)}{Ks}
        + \Big(\frac{c}{c+n}\Big)^2 \frac{1 - 1/K}{\tilde s} \qquad \text{(accumulate)},

    and with the shares a and r = 1 - a of real data and of the web, a window of m generations has

    .. math::
        \frac{\mathrm{MSE}_\infty}{σ^2 d} = \frac{1}{K\tilde s} + \frac{a^2 (1 - 1/K)}{\tilde s}
        + \frac{1}{Ks} \cdot \frac{r^2}{(1-r)(m+r)} \qquad \text{(window)}.

    Parameters
    ----------
    generations : Int[ArrayLike, "..."]
        Generation n >= 0 (generation 0 is fitted to real data alone), or infinity for the limit.
    models : int
        Number of models K, at least 1.
    alpha : float
        Weight α in [0, 1] of what is published: of every generation ("accumulate"), or of all that
        is kept together ("replace", "window").
    beta : float
        Weight β in [0, 1] of private data within the real data.
    memory : {"accumulate", "replace", "window"}
        Part of the web that is read: everything so far, what was published last, or the last
        generations.
    window : int or None
        Generations m that memory "window" keeps, at least 1; None for all of them.
    reads : Float[Array, "K K"] or None
        Reading network W, a normal matrix (WWᵀ = WᵀW), as every circulant or symmetric one is.
        None: everybody reads everybody alike.
    private, public, synthetic : float
        Sizes s̃, s_* and s of the Gram matrices, positive.
    dim : int
        Dimension d of the parameter.
    noise : float
        Standard deviation σ of the responses.

    Returns
    -------
    MemoryErrors
        ``mse`` and ``disagreement``, of the shape of ``generations``. The limit is infinite where
        estimates drift for ever: at α = 1, but for memory "accumulate" and a window without end.

    Raises
    ------
    ValueError
        If an argument is out of range, or ``reads`` is no network or not normal.

    Notes
    -----
    New here; claims ``commensal.memory_accumulate``, ``commensal.memory_window`` and
    ``commensal.memory_kept_share``. A step for each generation, so that n = 10⁵ takes seconds. Each
    eigenvector of W moves by itself. For "replace" the limit is
    :func:`commensal.theory.regression.isotropic_network`.

    Examples
    --------
    Real data worth one generation, and everything is kept: π²/6 of the error of all real data
    together, for any number of models.

    >>> found = isotropic_errors([0, 1, 100, np.inf], models=4, alpha=0.5)
    >>> (4 * found.mse).round(3)
    array([4.   , 2.   , 1.635, 1.645])
    >>> found.disagreement.round(6)
    array([7.500e-01, 1.875e-01, 7.400e-05, 0.000e+00])

    A window of three generations:

    >>> float(isotropic_errors(np.inf, 4, 0.5, memory="window", window=3).mse)
    0.473214...
    """
    n = _generations(generations)
    values = _eigenvalues(models, reads)
    if not 0 <= alpha <= 1 or not 0 <= beta <= 1:
        raise ValueError(f"alpha and beta must lie in [0, 1], got {alpha} and {beta}")
    if min(private, public, synthetic) <= 0:
        raise ValueError("private, public and synthetic must be positive")
    _check_counts(dim=dim)
    kept = _kept(memory, window)
    own, common = (1 - alpha) * beta * private, (1 - alpha) * (1 - beta) * public
    start = np.array([beta * private, (1 - beta) * public])
    start /= start.sum()
    web = alpha * synthetic

    def shares(t: int) -> Shares:
        """Shares of private data, of public data and of the web in generation t."""
        if t == 0:
            return float(start[0]), float(start[1]), 0.0
        read = web * (t if memory == "accumulate" else 1)
        whole = own + common + read
        return own / whole, common / whole, read / whole

    flat = n.ravel()
    ends = np.isinf(flat)
    found = np.empty((flat.size, 3, values.size), dtype=complex)
    if ends.any():
        c = (own + common) / web if web else np.inf
        found[ends] = _limit(values, shares(1), start, c, memory == "accumulate", kept)
    if not ends.all():
        path = _path(values, shares, int(flat[~ends].max()), kept)
        found[~ends] = path[flat[~ends].astype(int)]
    real, shared_data, variance = np.moveaxis(found, 1, 0)
    each = np.abs(real) ** 2 / private + np.real(variance) / synthetic
    # the eigenvector of ones belongs to one eigenvalue 1: what all models share
    shared = np.abs(values - 1).argmin()
    unit = noise**2 * dim
    mse = each.sum(axis=1) / models + np.abs(shared_data[:, shared]) ** 2 / public
    apart = np.delete(each, shared, axis=1).sum(axis=1) / models
    return MemoryErrors(*(_plain(unit * x.reshape(n.shape)) for x in (mse, apart)))


def web_noise(generations: Any, share: float | int) -> Any:
    r"""Variance that the web's noise adds to the mean of all that was published.

    Everything is kept, and real data have a fixed share a: with D the deviation that noise causes,

    .. math:: D_n = (1 - a/n)\, D_{n-1} + ε_n/n, \qquad
        v_n = \sum_{i=1}^{n} \frac{1}{i^2} \prod_{j=i+1}^{n} \Big(1 - \frac aj\Big)^2 .

    Parameters
    ----------
    generations : Int[ArrayLike, "..."]
        Generation n >= 0.
    share : float
        Share a of real data, in [0, 1].

    Returns
    -------
    float or array
        Variance v_n, in units of the noise of one generation's web, σ²/(K s). The estimates have
        (1-a)² of it.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; claim ``commensal.memory_kept_share``; :func:`noise_decay` has its law for large n.

    Examples
    --------
    >>> [round(web_noise(1000, a), 4) for a in (0.25, 0.5, 0.75)]
    [0.0884, 0.0079, 0.002]
    """
    n = _generations(generations)
    if not np.all(np.isfinite(n)):
        raise ValueError("generations must be finite: noise_decay has the law of the limit")
    a = _share(share)
    i = np.arange(1.0, n.max(initial=1) + 1)
    left = np.cumprod(np.where(i > 1, 1 - a / i, 1.0))
    path = np.concatenate([[0.0], left**2 * np.cumsum(1 / (i * left) ** 2)])
    return _plain(path[n.astype(int)])


def noise_decay(share: float | int) -> NoiseDecay:
    r"""Law of :func:`web_noise` for many generations: a share of one half is the boundary.

    .. math::
        v_n \simeq \frac{1}{(2a-1)\,n} \;(a > \tfrac12), \qquad \frac{\ln n}{n} \;(a = \tfrac12),
        \qquad n^{-2a} \sum_{i \ge 1} \Big(\frac{Γ(i)}{Γ(i+1-a)}\Big)^2 \;(a < \tfrac12).

    Parameters
    ----------
    share : float
        Share a of real data, in [0, 1], that all generations keep. On a reading network of
        real eigenvalue λ, memory "accumulate": 1 - λ.

    Returns
    -------
    NoiseDecay
        Exponent, factor, and whether there is a logarithm.

    Raises
    ------
    ValueError
        If ``share`` is out of range.

    Notes
    -----
    New here; claim ``commensal.memory_kept_share``. Above one half the web's noise dies as that of
    a mean of n independent generations does; below, the first generations are what is remembered.
    Near one half the law is reached late: at a = 0.45 web_noise is still at 0.77 of it for n = 10⁶.

    Examples
    --------
    >>> noise_decay(0.75)
    NoiseDecay(exponent=1.0, factor=2.0, logarithmic=False)
    >>> noise_decay(0.0).factor - np.pi**2 / 6
    0.0
    """
    a = _share(share)
    if a >= 0.5:
        return NoiseDecay(1.0, 1 / (2 * a - 1) if a > 0.5 else 1.0, a == 0.5)
    # Γ(i)/Γ(i+δ) = y^-δ (1 + δ(δ²-1)/(24 y²) + ...), y = i + (δ-1)/2
    delta, i = 1 - a, np.arange(1.0, _SUMMED)
    y = _SUMMED + (delta - 1) / 2
    left = np.cumprod(np.where(i > 1, 1 - a / i, 1.0))
    first = 1 / gamma(1 + delta) ** 2
    terms = first / (i * left) ** 2
    tail = zeta(2 * delta, y) + delta * (delta**2 - 1) / 12 * zeta(2 * delta + 2, y)
    return NoiseDecay(2 * a, float(terms[::-1].sum() + tail), False)


def window_drift(window: int) -> float:
    r"""Variance by which estimates drift in a generation if there are no real data.

    What m generations agree on in the end is :math:`\sum_j (m-j)\, y_{n-j}` over m(m+1)/2, with
    y_n what was published in generation n: a random walk.

    Parameters
    ----------
    window : int
        Generations m that are kept, at least 1; all of them have the same weight.

    Returns
    -------
    float
        4/(m+1)², in units of the noise of one generation's web, σ² d/(K s).

    Raises
    ------
    ValueError
        If ``window`` is below 1.

    Notes
    -----
    New here; claim ``commensal.memory_drift``. The drift never ends, but m generations of
    memory slow it as (m+1)²/4 times the data in each generation do.

    Examples
    --------
    >>> [round(window_drift(m), 4) for m in (1, 3, 9)]
    [1.0, 0.25, 0.04]
    """
    _check_counts(window=window)
    return 4 / (window + 1) ** 2


def window_growth(rate: Any, window: int | None) -> Any:
    r"""Growth of a disturbance per generation, if the last m generations are read.

    The largest modulus of a root of

    .. math:: m\,x^m = μ\,(x^{m-1} + \dots + x + 1)

    for an eigenvalue μ of Q. If everything is kept a disturbance changes as
    :math:`n^{\Re μ - 1}`, less than geometrically, and this is 1.

    Parameters
    ----------
    rate : Complex[ArrayLike, "..."]
        Eigenvalues μ of Q under memory "replace", for fixed Gram matrices of any kind;
        :func:`commensal.theory.regression.spectral_radius` has the largest modulus.
    window : int or None
        Generations m that memory "window" keeps; None for all of them.

    Returns
    -------
    float or array
        Growth per generation; the absolute value of μ if m = 1.

    Raises
    ------
    ValueError
        If ``window`` is below 1.

    Notes
    -----
    New here; claim ``commensal.memory_growth``. For μ close to 1 about 1 + 2(μ-1)/(m+1). A real μ
    is stable if and only if -m < μ < 1: memory does not tell stable from unstable where μ > 0.

    Examples
    --------
    >>> [round(window_growth(1.5, m), 3) for m in (1, 3, 10, None)]
    [1.5, 1.234, 1.081, 1.0]
    >>> round(window_growth(-1.5, 2), 3)
    0.866
    """
    mu = np.asarray(rate, dtype=complex)
    if window is None:
        return _plain(np.ones(mu.shape))
    _check_counts(window=window)
    companion = np.zeros((*mu.shape, window, window), dtype=complex)
    companion[..., 0, :] = mu[..., None] / window
    companion[..., np.arange(1, window), np.arange(window - 1)] = 1
    return _plain(np.abs(np.linalg.eigvals(companion)).max(axis=-1))


def disagreement_exponent(reads: Any) -> float:
    r"""Exponent p by which disagreement falls as n^-p on a network that accumulates.

    .. math:: p = \min(1,\; 2 - 2 \max_{λ \ne 1} \Re λ),

    over the eigenvalues λ of W but one that is 1; 2 if all others are 0, as where everybody reads
    everybody alike. At p = 1 from both there is a factor ln n besides.

    Parameters
    ----------
    reads : Float[Array, "K K"]
        Reading network W of at least two models.

    Returns
    -------
    float
        Exponent, from 0 (somebody never hears of somebody else) to 1, or 2.

    Raises
    ------
    ValueError
        If ``reads`` is no network, or of a single model.

    Notes
    -----
    New here; claim ``commensal.memory_network``, for isotropic data, memory "accumulate", and W
    with a basis of eigenvectors. Not the moduli of eigenvalues count but their real parts: on a
    ring of two, each of which reads the other alone, λ = -1 slows nothing down.

    Examples
    --------
    >>> from commensal import networks
    >>> [round(disagreement_exponent(networks.ring(4, s)), 3) for s in (0.0, 0.5, 0.9)]
    [1.0, 1.0, 0.2]
    """
    w = check_network(reads)
    if len(w) < 2:
        raise ValueError("one model has nobody to disagree with")
    values = np.linalg.eigvals(w)
    others = np.delete(values, np.abs(values - 1).argmin())
    if np.abs(others).max() < _NORMAL:
        return 2.0
    return float(np.clip(2 - 2 * others.real.max(), 0, 1))


Shares = tuple[float, float, float]  # of private data, public data and the web


def _path(
    values: np.ndarray, shares: Callable[[int], Shares], last: int, kept: float
) -> np.ndarray:
    """Return coefficients of private and public data, and variances of the web's noise, (t, 3, L).

    Those of the estimates, by generation and eigenvalue λ of W: what is published in generation t
    is λ (θ_{t-1} + ε_t).
    """
    found = np.zeros((last + 1, 3, values.size), dtype=complex)
    found[0, 0], found[0, 1], before = shares(0)
    found[0, 2] = 0
    size, slots = np.abs(values) ** 2, int(min(kept, last))
    if kept >= last:  # what is never thrown away is a mean
        mean, variance = np.zeros((2, values.size), dtype=complex), np.zeros(values.size)
        for t in range(1, last + 1):
            mean += (values * found[t - 1, :2] - mean) / t
            step = 1 + (values * before - 1) / t
            variance = np.abs(step) ** 2 * variance + size / t**2
            a, b, before = shares(t)
            found[t] = a + before * mean[0], b + before * mean[1], before**2 * variance
        return found
    past = np.zeros((2, slots, values.size), dtype=complex)
    covariance = np.zeros((values.size, slots, slots), dtype=complex)
    for t in range(1, last + 1):
        new, old, many = (t - 1) % slots, max(min(t - 1, slots), 1), min(t, slots)
        past[:, new] = values * found[t - 1, :2]
        step = values * before / old
        row = step[:, None] * covariance.sum(axis=1)
        own = np.abs(step) ** 2 * covariance.sum(axis=(1, 2)) + size
        covariance[:, new], covariance[:, :, new] = row, row.conj()
        covariance[:, new, new] = own
        a, b, before = shares(t)
        mean = before * past.sum(axis=1) / many
        found[t] = a + mean[0], b + mean[1], (before / many) ** 2 * covariance.sum(axis=(1, 2))
    return found


def _limit(
    values: np.ndarray, settled: Shares, start: np.ndarray, weight: float, adds: bool, kept: float
) -> np.ndarray:
    """Return the same in the limit; ``weight`` is c, that of real data in generations of web."""
    a, b, r = settled
    alike = np.abs(values - 1) < _NORMAL
    if r > 0 and (adds or (r == 1 and np.isinf(kept))):
        # what models do not share dies, and what they share has a sum of squares 1/(c+i)²
        noise = polygamma(1, 1 + weight)
        return np.stack([alike * start[0], alike * start[1], alike * noise]).astype(complex)
    rho = r * values
    lasts = np.abs(1 - rho) < _NORMAL
    gain = np.where(lasts, 0, 1 / np.where(lasts, 1, 1 - rho))
    variance = np.zeros(values.size)
    if np.isfinite(kept):
        variance = np.array([_settled(one, int(kept)) for one in rho])
    return np.stack([a * gain, b * gain, variance])


def _settled(rho: complex, window: int) -> float:
    """Variance that ρ times the mean of the last m has in y_n = ρ mean(y) + ε, of unit noise."""
    if abs(rho.imag) < _NORMAL:
        gap = (1 - rho.real) * (window + rho.real)
        return float(rho.real**2 / gap) if gap > _NORMAL else np.inf
    if window == 1:
        kept = 1 - abs(rho) ** 2
        return abs(rho) ** 2 / kept if kept > _NORMAL else np.inf
    companion = np.eye(window, k=-1, dtype=complex)
    companion[0] = rho / window
    new = np.zeros((window, window))
    new[0, 0] = 1
    return float(solve_discrete_lyapunov(companion, new)[0, 0].real) - 1


def _eigenvalues(models: int, reads: Any) -> np.ndarray:
    """Return the eigenvalues of W, exactly those of the uniform network if none is given."""
    _check_counts(models=models)
    if reads is None:
        return np.eye(1, models)[0].astype(complex)
    w = check_network(reads)
    if len(w) != models:
        raise ValueError(f"reads is a network of {len(w)} models, not {models}")
    return np.linalg.eigvals(check_normal(w, others="regression.trajectory")).astype(complex)


def _kept(memory: str, window: int | None) -> float:
    """Return the number of generations that are kept."""
    check_memory(memory, window)
    if window is not None:
        return float(window)
    return 1.0 if memory == "replace" else np.inf


def _generations(values: Any) -> np.ndarray:
    known = np.asarray(values, dtype=np.float64)
    whole = (known == np.floor(known)) & (known <= _LARGEST)
    bad = ~((known >= 0) & (whole | np.isinf(known)))
    if bad.any():
        raise ValueError(
            "generations must be integers from 0 to 10⁷, or inf for the limit, got "
            f"{known[bad].flat[0]:g}"
        )
    return known


def _share(value: float | int) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"share must lie in [0, 1], got {value}")
    return float(value)


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def _plain(values: Any) -> Any:
    return float(values) if np.ndim(values) == 0 else values
