"""Claims beyond `pollination`: moments of lineages under every memory."""

from __future__ import annotations

import numpy as np
from scipy import special

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, identity, statistical, symbolic
from commensal.claims.pollination._process import lineages

known = Register()


def c4(n: int) -> float:
    """Mean of the standard deviation of n points, unbiased variance, over the true one."""
    return np.sqrt(2 / (n - 1)) * np.exp(special.gammaln(n / 2) - special.gammaln((n - 1) / 2))


def estimated(values: np.ndarray) -> tuple[list[float], list[float]]:
    """Return means over the last axis, with standard errors."""
    means, errors = values.mean(axis=-1), values.std(axis=-1) / np.sqrt(values.shape[-1])
    return means.ravel().tolist(), errors.ravel().tolist()


@known.claim(
    id="commensal.replace_moments",
    where="extends pollination sec. 6; gaussian.expected_variance",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "no human data later"),
    statement="If each model is fitted to the last one's n points, the mean variance stays "
    "(unbiased) or falls as (1-1/n)^t (maximum likelihood). The mean squared error of the mean is "
    "t/n, or what the variance has lost.",
    latex=r"\frac{E\,\sigma_t^2}{\sigma^2} = 1, \; (1-\tfrac1n)^t; \qquad "
    r"\frac{E(\mu_t-\mu)^2}{\sigma^2} = \frac tn, \; 1-(1-\tfrac1n)^t",
    printed=lambda t, n: [1, t / n, (1 - 1 / n) ** t, 1 - (1 - 1 / n) ** t],
    remark="688 published runs of Kazdan et al. (recursive Gaussians, maximum likelihood, n = 10 "
    "to 316, T = 100, replace and accumulate) agree with commensal.theory.gaussian in all 48 "
    "cells: the mean log variance has |z| ≤ 1.08. In one cell the mean of the variance itself is "
    "14 standard errors off, for the reason that theory.gaussian.lineages_needed gives: so few "
    "lineages cannot show it. They were compared by hand, not by this check: the data have no "
    "licence and are not part of this package.",
    mutations={
        "(1-1/n)^t for both": lambda t, n: [
            (1 - 1 / n) ** t,
            t / n,
            (1 - 1 / n) ** t,
            1 - (1 - 1 / n) ** t,
        ],
        "(t-1)/n": lambda t, n: [1, (t - 1) / n, (1 - 1 / n) ** t, 1 - (1 - 1 / n) ** t],
    },
)
def _replace_moments(form, trial: Trial) -> Evidence:
    """Compare at t/n <= 1/2: later on, means over lineages are carried by a few of them."""
    n, times, runs = 20, (1, 4, 10), trial.pick(200_000, 1_800_000)
    unbiased = lineages(trial.rng(0), n, times, runs)
    mle = lineages(trial.rng(1), n, times, runs, n)
    rows = [unbiased.variance, unbiased.mean**2, mle.variance, mle.mean**2]
    found, error = estimated(np.array(rows))
    expected = np.array([form(t, n) for t in times], float).T.ravel()
    names = ("σ², unbiased", "(μ_t - μ)², unbiased", "σ², mle", "(μ_t - μ)², mle")
    at = [slice(3 * i, 3 * i + 3) for i in range(4)]
    picture = Panel(
        times,
        [(name, expected[i].tolist()) for name, i in zip(names, at, strict=True)],
        [(f"{name}, drawn", found[i], error[i]) for name, i in zip(names, at, strict=True)],
        "t",
        "in units of σ²",
        "y",
    )
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="commensal.mean_std",
    where="extends pollination sec. 6; gaussian.expected_std",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "no human data later"),
    statement="The mean standard deviation falls by c₄(n) per generation, and by (1-1/n)^½ more "
    "with maximum likelihood.",
    latex=r"E\,\sigma_t/\sigma = c_4(n)^t, \quad \left((1-\tfrac1n)^{1/2} c_4(n)\right)^t",
    printed=lambda t, n: [c4(n) ** t, ((1 - 1 / n) ** 0.5 * c4(n)) ** t],
    mutations={
        "both alike": lambda t, n: [c4(n) ** t, c4(n) ** t],
        "1 - 1/(2n) for c₄": lambda t, n: [
            (1 - 1 / (2 * n)) ** t,
            ((1 - 1 / n) ** 0.5 * (1 - 1 / (2 * n))) ** t,
        ],
    },
)
def _mean_std(form, trial: Trial) -> Evidence:
    n, times, runs = 10, (1, 3, 6, 10), trial.pick(60_000, 450_000)
    spreads = [
        np.sqrt(lineages(trial.rng(i), n, times, runs, divisor).variance)
        for i, divisor in enumerate((n - 1, n))
    ]
    found, error = estimated(np.array(spreads))
    expected = np.array([form(t, n) for t in times]).T.ravel()
    picture = Panel(
        times,
        [("unbiased", expected[:4].tolist()), ("mle", expected[4:].tolist())],
        [("unbiased, drawn", found[:4], error[:4]), ("mle, drawn", found[4:], error[4:])],
        "t",
        "E σ_t / σ",
    )
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="commensal.expected_w2",
    where="extends pollination sec. 6; gaussian.expected_w2",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "no human data later", "unbiased variance"),
    statement="The mean squared W₂ distance of a lineage to the truth has a closed form "
    "(unbiased, replace).",
    latex=r"E\,W_2^2 = \sigma^2 \left[\frac tn + 2\left(1 - c_4(n)^t\right)\right]",
    printed=lambda t, n: t / n + 2 * (1 - c4(n) ** t),
    remark="E (σ_t - σ)² = E σ_t² - 2σ E σ_t + σ², and E σ_t² = σ². It grows for ever; the median "
    "does not (pollination.w2_grows).",
    mutations={
        "without the 2": lambda t, n: t / n + (1 - c4(n) ** t),
        "3t/2n, the stand-in's mean": lambda t, n: 1.5 * t / n,
    },
)
def _expected_w2(form, trial: Trial) -> Evidence:
    n, times, runs = 12, (1, 2, 4, 6), trial.pick(250_000, 2_200_000)
    found, error = estimated(lineages(trial.rng(), n, times, runs).distance)
    expected = [float(form(t, n)) for t in times]
    picture = Panel(times, [("closed form", expected)], [("drawn", found, error)], "t", "E W₂²")
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )


def mean_log(t: int, n: int) -> list[float]:
    """Return E log σ_t²/σ², for the unbiased and the maximum-likelihood variance."""
    one = special.digamma((n - 1) / 2) - np.log((n - 1) / 2)
    return [t * one, t * (one + np.log1p(-1 / n))]


@known.claim(
    id="commensal.std_vanishes",
    where="extends pollination sec. 6; gaussian.expected_log_variance",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "no human data later"),
    statement="log σ_t² is a random walk with negative drift, so that σ_t tends to 0 almost "
    "surely, also where E σ_t² = σ² for ever.",
    latex=r"E \log \sigma_t^2/\sigma^2 = t\left[\psi\left(\tfrac{n-1}{2}\right) - "
    r"\log\tfrac{n-1}{2}\right] \; \left( + t\log(1-\tfrac1n) \right)",
    printed=mean_log,
    remark="The drift is about -1/n a generation. The numbers have the mean of σ² in this sample "
    "beside its expectation, 1, and the median of σ.",
    mutations={
        "of n degrees of freedom": lambda t, n: mean_log(t, n + 1),
        "no drift without bias": lambda t, n: [0.0, t * np.log1p(-1 / n)],
    },
)
def _std_vanishes(form, trial: Trial) -> Evidence:
    n, times, runs = 10, (60, 100, 150, 200), trial.pick(14_000, 125_000)
    walks = [
        np.log(lineages(trial.rng(i), n, times, runs, divisor).variance)
        for i, divisor in enumerate((n - 1, n))
    ]
    found, error = estimated(np.array(walks))
    expected = np.array([form(t, n) for t in times]).T.ravel()
    medians = np.median(walks[0], axis=1)
    picture = Panel(
        times,
        [("unbiased", expected[:4].tolist()), ("mle", expected[4:].tolist())],
        [
            ("unbiased, drawn", found[:4], error[:4]),
            ("mle, drawn", found[4:], error[4:]),
            ("unbiased, median", medians.tolist(), (1.25 * np.array(error[:4])).tolist()),
        ],
        "t",
        "log σ_t²",
    )
    evidence = statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )
    numbers = {
        "sample mean of σ² at t = 20 n": float(np.exp(walks[0][-1]).mean()),
        "median of σ at t = 20 n": float(np.exp(medians[-1] / 2)),
    }
    return evidence & Evidence(True, f"median σ {numbers['median of σ at t = 20 n']:.1e}", numbers)


def exact(t: int, n: int, memory: str, mle: bool, human: int = 0) -> np.ndarray:
    """Return (E σ_i², E (μ_i - μ)²) for i = 1..t, by the second moments of every pair of points.

    Nothing but: a model's points have its mean, and its variance about it. Works on the whole
    matrix of E x_a x_b, about μ; ``human`` of each generation's points are from the truth.
    """
    moments, rows = np.eye(n), []
    for _ in range(t):
        size = len(moments)
        if memory == "accumulate_subsample":
            off = (moments.sum() - np.trace(moments)) / max(size * (size - 1), 1)
            diagonal = np.trace(moments) / size
            used = n
            second = diagonal / n + (1 - 1 / n) * off  # E of the squared mean of n of them
        else:
            diagonal, used = np.trace(moments) / size, size
            second = moments.mean()
        variance = (diagonal - second) * used / (used if mle else used - 1)
        rows.append((variance, second))
        fresh = np.full((n, n), second) + variance * np.eye(n)
        cross = np.tile(moments.mean(axis=0)[:, None], n)  # E of x_b times the model's mean
        if human:
            fresh[:human], fresh[:, :human] = 0.0, 0.0
            fresh[:human, :human] = np.eye(human)
        whole = np.block([[moments, cross], [cross.T, fresh]])
        moments = fresh if memory == "replace" else whole
    return np.array(rows)


@known.claim(
    id="commensal.accumulate_mle",
    where="Kazdan et al. 2025, arXiv 2410.16713; gaussian.expected_variance",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "everything kept", "maximum likelihood"),
    statement="If all points are kept, the mean maximum-likelihood variance is the product of 1 - "
    "1/(n i²) over i = 1..t, and the mean squared error of the mean is what it lacks to 1.",
    latex=r"\frac{E\,\sigma_t^2}{\sigma^2} = \prod_{i=1}^t \left(1 - \frac{1}{n i^2}\right)",
    printed=lambda t, n: np.prod(1 - 1 / (n * np.arange(1, t + 1) ** 2)),
    remark="The formula is known (Kazdan et al. 2025). The pool's mean moves by variance E "
    "σ_{t-1}²/(n t²). The published runs of that paper agree (commensal.replace_moments).",
    mutations={
        "from i = 2 on": lambda t, n: np.prod(1 - 1 / (n * np.arange(2, t + 1) ** 2)),
        "i for i²": lambda t, n: np.prod(1 - 1 / (n * np.arange(1, t + 1))),
    },
)
def _accumulate_mle(form, trial: Trial) -> Evidence:
    """Compare with lineages fitted to all points, every one of them kept."""
    n, last, runs = 2, 6, trial.pick(300_000, 2_700_000)
    rng, total, squares = trial.rng(), np.zeros(runs), np.zeros(runs)
    mean, std, found, error = np.zeros(runs), np.ones(runs), [], []
    for t in range(1, last + 1):
        for _ in range(n):
            x = mean + std * rng.standard_normal(runs)
            total += x
            squares += x * x
        mean = total / (n * t)
        variance = np.maximum(squares / (n * t) - mean**2, 0)
        std = np.sqrt(variance)
        for value in (variance, mean**2):
            found.append(value.mean())
            error.append(value.std() / np.sqrt(runs))
    of_variance = [float(form(t, n)) for t in range(1, last + 1)]
    expected = np.array([(v, 1 - v) for v in of_variance]).ravel()
    picture = Panel(
        list(range(1, last + 1)),
        [("product", of_variance)],
        [("drawn", found[::2], error[::2])],
        "t",
        "E σ_t² / σ²",
    )
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="commensal.accumulate_limit",
    where="Kazdan et al. 2025, arXiv 2410.16713; gaussian.expected_variance",
    kind="symbolic",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "everything kept", "maximum likelihood"),
    statement="If all points are kept, the mean maximum-likelihood variance tends to "
    "sin(π/√n)/(π/√n): accumulation keeps most of the variance.",
    latex=r"\prod_{i=1}^\infty \left(1 - \frac{1}{n i^2}\right) = "
    r"\frac{\sin(\pi/\sqrt n)}{\pi/\sqrt n}",
    printed=lambda sp, n: sp.sin(sp.pi / sp.sqrt(n)) / (sp.pi / sp.sqrt(n)),
    mutations={
        "n for its root": lambda sp, n: sp.sin(sp.pi / n) / (sp.pi / n),
        "tangent": lambda sp, n: sp.tan(sp.pi / sp.sqrt(n)) / (sp.pi / sp.sqrt(n)),
    },
)
def _accumulate_limit(form, trial: Trial) -> Evidence:
    """Prove the limit in symbols: gamma functions telescope, and the reflection formula applies."""
    import sympy as sp

    t, n = sp.symbols("t n", positive=True)
    x = 1 / sp.sqrt(n)

    def partial(t):
        ends = sp.gamma(t + 1 - x) * sp.gamma(t + 1 + x) / sp.gamma(t + 1) ** 2
        return ends / (sp.gamma(1 - x) * sp.gamma(1 + x))

    step = sp.gammasimp(partial(t) / partial(t - 1)) - (1 - 1 / (n * t**2))
    # Γ(t+1-x) Γ(t+1+x) / Γ(t+1)² -> 1: Stirling's logarithms, to the order that stays
    shifted = [(t + a + sp.Rational(1, 2)) * sp.log(1 + a / t) - a for a in (x, -x)]
    stirling = sp.limit(sum(shifted), t, sp.oo)
    limit = 1 / (sp.gamma(1 - x) * sp.gamma(1 + x))
    return symbolic(step, sp.gammasimp(partial(0) - 1), stirling, sp.gammasimp(limit) - form(sp, n))


GRID = [(t, n) for n in (2, 3, 5, 8) for t in (2, 3, 6, 9)]


@known.claim(
    id="commensal.accumulate_unbiased",
    where="README, expected_variance",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "everything kept", "unbiased variance"),
    statement="If all points are kept and the variance is unbiased, its mean falls by a factor of "
    "1 - 1/(i(ni - 1)) in generation i ≥ 2, to a positive limit.",
    latex=r"\frac{E\,\sigma_t^2}{\sigma^2} = \prod_{i=2}^t \left(1 - \frac{1}{i(ni-1)}\right)",
    printed=lambda i, n: 1 - 1 / (i * (n * i - 1)),
    remark="The limit is Γ(2-1/n)/(Γ(2-a)Γ(2-b)), a and b the roots of x² - x/n - 1/n. So "
    "'unbiased' is not what it says: models of one pool are not independent.",
    mutations={
        "of maximum likelihood": lambda i, n: 1 - 1 / (n * i**2),
        "ni for ni - 1": lambda i, n: 1 - 1.01 / (i * (n * i - 1)),
    },
)
def _accumulate_unbiased(form, trial: Trial) -> Evidence:
    found = [np.prod([form(i, n) for i in range(2, t + 1)]) for t, n in GRID]
    expected = [exact(t, n, "accumulate", False)[-1, 0] for t, n in GRID]
    return identity(found, expected, 1e-12, len(GRID))


@known.claim(
    id="commensal.subsample_grows",
    where="README, What it found",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "everything kept", "unbiased variance"),
    statement="Where models are fitted to n points of the pool of all points, the mean unbiased "
    "variance grows without bound, as t^(1/n).",
    latex=r"\frac{E\,\sigma_t^2}{\sigma^2} = \prod_{i=2}^t \left(1 + \frac{i-3}{i(ni-1)}\right) "
    r"\sim t^{1/n}",
    printed=(lambda i, n: 1 + (i - 3) / (i * (n * i - 1)), lambda n: 1 / n),
    remark="With maximum likelihood it has a positive limit. That collapse is avoided is not that "
    "the variance is kept.",
    mutations={
        "i - 2": (lambda i, n: 1 + (i - 2) / (i * (n * i - 1)), lambda n: 1 / n),
        "t^(1/(n+1))": (
            lambda i, n: 1 + (i - 3) / (i * (n * i - 1)),
            lambda n: 1 / (n + 1),
        ),
    },
)
def _subsample_grows(form, trial: Trial) -> Evidence:
    factor, exponent = form
    found = [np.prod([factor(i, n) for i in range(2, t + 1)]) for t, n in GRID]
    expected = [exact(t, n, "accumulate_subsample", False)[-1, 0] for t, n in GRID]
    sizes = np.array([2, 3, 10, 100])
    i = np.arange(200_001.0, 400_001)
    doubled = [np.log2(np.prod(factor(i, n))) for n in sizes]
    product = identity(found, expected, 1e-12, len(GRID)).named("product")
    return product & identity(doubled, [exponent(n) for n in sizes], 1e-4).named("exponent")


@known.claim(
    id="commensal.mle_conservation",
    where="README, expected_squared_error",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "maximum likelihood"),
    statement="With maximum likelihood the mean squared error of the mean gains what the mean "
    "variance loses, under every memory, with human data or without.",
    latex=r"E\,\sigma_t^2 + E(\mu_t - \mu)^2 = \sigma^2",
    printed=True,
    remark="The sum is the mean square, about μ, of the points in the fit, and every new point has "
    "the mean square of the points that its model was fitted to.",
    mutations={"unbiased": False},
)
def _mle_conservation(form, trial: Trial) -> Evidence:
    found = []
    for t, n in GRID:
        for memory in ("replace", "accumulate", "accumulate_subsample"):
            found.append(exact(t, n, memory, form).sum(axis=1))
        found.append(exact(t, n, "replace", form, human=1).sum(axis=1))
    return identity(found, [np.ones_like(x) for x in found], 1e-12)


def settled(n: int, h: int) -> list[float]:
    """Return v and e, first unbiased, then by maximum likelihood."""
    slack = 2 * h * n - h**2 - n
    mle = n / (2 * h * n - h**2 - h + n)
    return [h * (2 * n - h - 1) / slack, (n - 1) / slack, 1 - mle, mle]


@known.claim(
    id="commensal.one_human_point",
    where="README, stationary_moments",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "fresh human data", "same human law"),
    statement="One fresh human point in each generation suffices for stationary moments, however "
    "large n is: unbiased 2σ² and σ², maximum likelihood about 2σ²/3 and σ²/3.",
    latex=r"v = \frac{h(2n-h-1)}{2hn-h^2-n}, \; e = \frac{n-1}{2hn-h^2-n}; \qquad "
    r"\text{mle: } e = \frac{n}{2hn-h^2-h+n} = 1 - v",
    printed=settled,
    remark="Of n points h are human; v is E σ_∞²/σ² and e is E (μ_∞-μ)²/σ². At h = 1 they are 2 "
    "and 1 exactly. It takes some n generations to get there.",
    mutations={
        "h + 1 points": lambda n, h: settled(n, h + 1),
        "1 for v": lambda n, h: [1.0, *settled(n, h)[1:]],
    },
)
def _one_human_point(form, trial: Trial) -> Evidence:
    """Compare with the exact moments of points, iterated until they stay constant."""
    found, expected = [], []
    for n, h in ((3, 1), (6, 1), (6, 2), (6, 5), trial.pick((12, 1), (60, 1))):
        found.append(np.array(form(n, h)))
        ends = [exact(100 * n, n, "replace", mle, h)[-1] for mle in (False, True)]
        expected.append(np.concatenate(ends))
    return identity(found, expected, 1e-9)
