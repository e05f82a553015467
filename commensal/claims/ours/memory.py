"""Claims beyond the papers: what is kept of past data, in linear models that read each other.

Nothing of :mod:`commensal.theory` is called. Errors are those of one coordinate, as all Gram
matrices are multiples of the identity unless said otherwise, and come from the coefficients of
every response in every estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import (
    Evidence,
    Panel,
    at_most,
    identity,
    stated,
    statistical,
    symbolic,
)
from commensal.claims._premises import ANSWERS, FIT

known = Register()

PREMISES = (
    "Premises: linear models, responses of equal noise, Gram matrices that are multiples of the "
    "identity and the same in every generation"
)
READ_ALL = f"{PREMISES}; everybody reads everybody alike."


def coefficients(
    reads: np.ndarray, weights: Callable[[int], tuple[float, np.ndarray]], last: int
) -> np.ndarray:
    """Coefficients (T+1, K, K + T K) of all real estimates, and all published noise, in each model.

    ``weights(n)`` are those of real data and of each generation 1..n of published data.
    """
    k = len(reads)
    published = np.zeros((last, k, k * (last + 1)))
    out = np.zeros((last + 1, k, k * (last + 1)))
    out[0, :, :k] = np.eye(k)
    for n in range(1, last + 1):
        published[n - 1] = out[n - 1]
        published[n - 1, :, k * n : k * (n + 1)] += np.eye(k)
        real, web = weights(n)
        out[n] = reads @ np.tensordot(web, published[:n], 1)
        out[n, :, :k] += real * np.eye(k)
        out[n] /= real + web.sum()
    return out


def errors(
    found: np.ndarray, private: float | int = 1.0, synthetic: float | int = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared error of a model, and the part in which models differ, by generation."""
    k = found.shape[1]
    sizes = np.repeat([1 / private, 1 / synthetic], [k, found.shape[2] - k])
    apart = found - found.mean(axis=1, keepdims=True)
    return tuple((x**2 * sizes).sum(axis=(1, 2)) / k for x in (found, apart))  # pyright: ignore[reportReturnType]


def uniform(k: int) -> np.ndarray:
    """Make the network in which everybody reads everybody alike."""
    return np.full((k, k), 1 / k)


def accumulated(
    k: int, c: float, n: np.ndarray, private: float | int, synthetic: float | int
) -> tuple[np.ndarray, np.ndarray]:
    """Return error and disagreement in generation n, in closed form."""
    apart = (c / (c + n)) ** 2 * (1 - 1 / k) / private
    noise = special.polygamma(1, 1 + c) - special.polygamma(1, 1 + c + n)
    return 1 / (k * private) + noise / (k * synthetic) + apart, apart


@known.claim(
    id="commensal.memory_accumulate",
    where="new here; memory.isotropic_errors",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        *ANSWERS,
        "isotropic data",
        "fixed prompts",
        "all read alike",
        "everything kept",
    ),
    statement="If real data keep their weight, c in units of one generation of the web, and "
    "everything that is published is kept, models come to agree as c/(c+n), and the noise of the "
    f"web adds up to no more than a trigamma function of 1 + c. {READ_ALL}",
    latex=r"\frac{\mathrm{MSE}_n}{\sigma^2 d} = \frac{1}{K\tilde s} + \frac{\psi_1(1+c) - "
    r"\psi_1(1+c+n)}{Ks} + \Big(\frac{c}{c+n}\Big)^2 \frac{1 - 1/K}{\tilde s}",
    printed=accumulated,
    remark="The mean of all models moves by ε/(c+n) in generation n, and what is one model's own "
    "is its part c/(c+n) of what it reads.",
    mutations={
        "c for 1 + c": lambda k, c, n, p, s: (
            accumulated(k, c, n, p, s)[0] + (1 / c**2 - 1 / (c + n) ** 2) / (k * s),
            accumulated(k, c, n, p, s)[1],
        ),
        "noise of one model": lambda k, c, n, p, s: accumulated(k, c, n, p, s / k),
        "disagreement not squared": lambda k, c, n, p, s: (
            accumulated(k, c, n, p, s)[0],
            c / (c + n) * (1 - 1 / k) / p,
        ),
    },
)
def _accumulate(form: Any, trial: Trial) -> Evidence:
    found, expected = [], []
    last = trial.pick(25, 80)
    for k in (1, 2, 4):
        for c in trial.rng().uniform(0.1, 8, trial.pick(2, 10)):
            path = coefficients(uniform(k), lambda n, c=c: (c, np.ones(n)), last)
            found += [np.asarray(x) for x in form(k, c, np.arange(last + 1), 2.0, 1.5)][
                : 1 + (k > 1)
            ]
            expected += list(errors(path, 2.0, 1.5))[: 1 + (k > 1)]
    return identity(found, expected, 1e-9)


@known.claim(
    id="commensal.memory_limit",
    where="new here, after interactive's conclusions; memory.refit_error",
    kind="symbolic",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        *ANSWERS,
        "isotropic data",
        "fixed prompts",
        "all read alike",
        "everything kept",
        "equal sizes",
    ),
    statement="The π²/6 of one model that keeps everything is the limit of any number of models: "
    "K models with as much real data as they publish in a generation end at π²/6 of the error of "
    f"all real data together. {READ_ALL} All data are kept.",
    latex=r"\mathrm{MSE} \to \frac{\pi^2}{6} \cdot \frac{\sigma^2 d}{KT}",
    printed=lambda k: f"pi**2 / (6 * {k})",
    remark="`interactive` asks in its conclusions whether fixed points like the π²/6 pathway exist "
    "for models that interact. For one model see Gerstgrasser et al. (arXiv 2404.01413, read as an "
    "abstract).",
    mutations={
        "π²/6 - 1": lambda k: f"(pi**2 / 6 - 1) / {k}",
        "not shared": lambda k: f"pi**2 / 6 + 0 / {k}",
        "2": lambda k: f"2 / {k}",
    },
)
def _limit(form: Any, trial: Trial) -> Evidence:
    """Sum what every generation adds: ε/(1+n) to the mean of all, which is what all end at."""
    import sympy

    i, n = sympy.symbols("i n", positive=True, integer=True)
    k = sympy.Symbol("k", positive=True)
    parsed: Any = sympy.parse_expr
    limit = parsed(form("k"), local_dict={"k": k})
    added = sympy.summation(1 / i**2, (i, 1, sympy.oo)) / k
    apart = sympy.limit((1 - 1 / k) / (1 + n) ** 2, n, sympy.oo)
    path = errors(coefficients(uniform(3), lambda n: (1.0, np.ones(n)), trial.pick(60, 300)))[0]
    # what is left of the sum after n terms is about 1/n
    rest = float(3 * (limit.subs(k, 3) - path[-1]) * len(path))
    return symbolic(added + apart - limit) & stated(
        bool(0.9 < rest < 1.1),
        f"of three models {rest:.3f}/(3n) is left in generation n",
        rest=rest,
    )


def drawn_designs(t: np.ndarray, rows: int, d: int) -> np.ndarray:
    """Return the error in generation t, if every generation has ``rows`` new rows."""
    i = np.arange(1, t.max() + 2)
    return d * np.cumsum(1 / (i * (i * rows - d - 1)))[t]


@known.claim(
    id="commensal.memory_designs",
    where="new here; memory.refit_error",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        *ANSWERS,
        "Gaussian designs",
        "prompts drawn anew",
        "all read alike",
        "equal sizes",
        "everything kept",
    ),
    statement="With features that are drawn anew in every generation, standard normal, the error "
    "of models that keep everything is an exact sum, with a digamma function as its limit: above "
    "π²/6 of σ²d/(KT), and below π²/6 of the first generation's error. Premises: linear models; "
    "N = KT responses of equal weight in a generation, N > d + 1; everybody reads everything.",
    latex=r"\mathrm{MSE}_t = \sigma^2 d \sum_{i=1}^{t+1} \frac{1}{i(iN - d - 1)} \to "
    r"\frac{\sigma^2 d}{N} \cdot \frac{-\psi(1-c) - \gamma}{c}, \quad c = \frac{d+1}{N}",
    printed=drawn_designs,
    remark="Generation i moves the estimate by A⁻¹Xᵀε, with A the Gram matrix of all data so far, "
    "which adds σ² tr A⁻¹XᵀXA⁻¹; the i generations in A are exchangeable, so its mean is "
    "1/i of that of σ² tr A⁻¹, which is σ²d/(iN - d - 1).",
    mutations={
        "fixed designs": lambda t, rows, d: (
            d / rows * np.cumsum(1 / np.arange(1, t.max() + 2) ** 2)[t]
        ),
        "π²/6 of the first": lambda t, rows, d: (
            d / (rows - d - 1) * np.cumsum(1 / np.arange(1, t.max() + 2) ** 2)[t]
        ),
        "replace": lambda t, rows, d: (t + 1) * d / (rows - d - 1),
    },
)
def _designs(form: Any, trial: Trial) -> Evidence:
    """Draw designs; of each the error is known, and is averaged."""
    rng, runs, rows, d = trial.rng(), trial.pick(20_000, 200_000), 16, 3
    t = np.arange(6)
    gram, error = np.zeros((runs, d, d)), np.zeros((runs, t.size))
    total = np.zeros(runs)
    for i in t:
        x = rng.standard_normal((runs, rows, d))
        new = x.swapaxes(1, 2) @ x
        gram = gram + new
        inverse = np.linalg.inv(gram)
        total = total + np.einsum("rab,rbc,rca->r", inverse, new, inverse, optimize=True)
        error[:, i] = total
    found, deviation = error.mean(axis=0), error.std(axis=0, ddof=1) / np.sqrt(runs)
    expected = form(t, rows, d)
    picture = Panel(
        t,
        [("formula", expected)],
        [("drawn designs", found, deviation)],
        "t: generation",
        "mean squared error / σ²",
    )
    c = (d + 1) / rows
    limit = -(special.digamma(1 - c) + np.euler_gamma) / c * d / rows
    late = np.array([20_000])
    return statistical(
        found, expected, deviation, runs, resolution=trial.resolution, pictures=(picture,)
    ) & identity(form(late, rows, d), [limit], 1e-4).named("limit")


def share_law(a: float) -> tuple[float, float]:
    """Return exponent and factor of the web's noise for a share a, apart from ½."""
    if a > 0.5:
        return 1.0, 1 / (2 * a - 1)
    from mpmath import gamma, hyp3f2

    return 2 * a, float(hyp3f2(1, 1, 1, 2 - a, 2 - a, 1) / gamma(2 - a) ** 2)


@known.claim(
    id="commensal.memory_kept_share",
    where="new here; memory.noise_decay",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        *ANSWERS,
        "isotropic data",
        "fixed prompts",
        "all read alike",
        "everything kept",
        "real data count",
    ),
    statement="If everything is kept and real data keep their share a, all noise of the web dies: "
    "as 1/n for a > 1/2, as in a mean of independent generations, but as n to the power -2a for "
    "a < 1/2, where the first generations are what is remembered. One half is the boundary, with "
    f"(ln n)/n. {READ_ALL}",
    latex=r"v_n \simeq \frac{1}{(2a-1)n}, \quad \frac{\ln n}{n}, \quad n^{-2a} \sum_{i \ge 1} "
    r"\Big(\frac{\Gamma(i)}{\Gamma(i+1-a)}\Big)^2",
    printed=(share_law, lambda n: np.log(n) / n),
    remark="v_n is the variance of the mean of all that was published, in units of σ²/(Ks); the "
    "estimates have (1-a)² of it. With D_n = (1 - a/n) D_{n-1} + ε_n/n. Close to 1/2 the law is "
    "reached late.",
    mutations={
        "1/n for every share": (lambda a: (1.0, 1 / abs(2 * a - 1)), lambda n: np.log(n) / n),
        "n^-a below": (
            lambda a: share_law(a) if a > 0.5 else (a, share_law(a)[1]),
            lambda n: np.log(n) / n,
        ),
        "1/(an) above": (
            lambda a: (1.0, 1 / a) if a > 0.5 else share_law(a),
            lambda n: np.log(n) / n,
        ),
        "root of the logarithm": (share_law, lambda n: np.sqrt(np.log(n)) / n),
    },
)
def _kept_share(form: Any, trial: Trial) -> Evidence:
    """Follow the recursion of the variance, and for few generations every response."""
    law, middle = form
    shares = np.array([0.1, 0.25, 0.75, 0.9, 0.5])
    few, last = 40, trial.pick(200_000, 2_000_000)
    v = np.zeros(shares.size)
    early = np.zeros((few + 1, shares.size))
    kept = {}
    for n in range(1, last + 1):
        v = (1 - shares / n) ** 2 * v + 1 / n**2
        if n <= few:
            early[n] = v
        if n in (last // 4, last):
            kept[n] = v
    true = []
    for a in shares:
        path = coefficients(uniform(2), lambda n, a=a: (a, np.full(n, (1 - a) / n)), few)
        noise = path.mean(axis=1)[:, 2:]
        true.append(2 * (noise**2).sum(axis=1) / (1 - a) ** 2)
    recursion = identity(early, np.stack(true, axis=1), 1e-9).named("of every response")
    ratios = []
    for i, a in enumerate(shares[:-1]):
        exponent, factor = law(float(a))
        ratios.append(v[i] / (factor * last**-exponent))
    # at one half a constant comes with the logarithm: take it off
    (one, two), (w, z) = kept, kept.values()
    half = (two * z[-1] - one * w[-1]) / (two * middle(two) - one * middle(one))
    return recursion & at_most(
        float(np.abs(np.append(ratios, half) - 1).max()), 0.01, "largest deviation of the law"
    )


@known.claim(
    id="commensal.memory_window",
    where="new here; memory.isotropic_errors",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        *ANSWERS,
        "isotropic data",
        "fixed prompts",
        "all read alike",
        "constant weights",
        "window kept",
    ),
    statement="With a window of the last m generations, the web's share r and that of real data "
    "1 - r, the noise of the web settles at r²/((1-r)(m+r)) of that of one generation. "
    f"{READ_ALL} The generations in the window have the same weight.",
    latex=r"\frac{r^2}{(1-r)(m+r)} \cdot \frac{\sigma^2 d}{Ks}",
    printed=lambda r, m: r**2 / ((1 - r) * (m + r)),
    remark="What is published has the same covariance with each of the last m generations: equal "
    "covariances solve the equations of Yule and Walker.",
    mutations={
        "1/m of replace": lambda r, m: r**2 / ((1 - r**2) * m),
        "m for m + r": lambda r, m: r**2 / ((1 - r) * m),
        "1 + r for 1 - r": lambda r, m: r**2 / ((1 + r) * (m - r + 1e-9)),
    },
)
def _window(form: Any, trial: Trial) -> Evidence:
    """Sum the squares of a deviation's course: that of one noise over all later generations."""
    found, expected = [], []
    for m in (1, 2, 3, 8, *trial.pick((), (30,))):
        for r in (0.1, 0.5, 0.9, *trial.rng().uniform(0, 0.9, trial.pick(1, 8))):
            course, last = np.zeros(m), 0.0
            course[0] = 1  # what was published, newest first
            for _ in range(trial.pick(4_000, 20_000)):
                heard = r * course.mean()
                last += heard**2
                course = np.append(heard, course[:-1])
            found.append(form(r, m))
            expected.append(last)
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-9, len(found))


@known.claim(
    id="commensal.memory_drift",
    where="new here; memory.window_drift",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        *ANSWERS,
        "isotropic data",
        "fixed prompts",
        "all read alike",
        "window kept",
        "no human data later",
    ),
    statement="Without real data a window of m generations does not stop the drift, but slows it: "
    f"in each generation the variance grows by 4/(m+1)² of what it grows by without. {READ_ALL}",
    latex=r"\frac{4}{(m+1)^2} \cdot \frac{\sigma^2 d}{Ks} \text{ per generation}",
    printed=lambda m: 4 / (m + 1) ** 2,
    remark="A noise is heard again by renewals at 1..m generations, each with 1/m, whose rate is "
    "one in (m+1)/2. What moves as a random walk is the sum of (m-j) y_{n-j}.",
    mutations={
        "1/m²": lambda m: 1 / m**2 * (1 if m > 1 else 1.001),
        "1/m": lambda m: 1 / m * (1 if m > 1 else 1.001),
        "2/(m+1)": lambda m: 2 / (m + 1) * (1 if m > 1 else 1.001),
    },
)
def _drift(form: Any, trial: Trial) -> Evidence:
    """Compare with the growth of the variance when transients have died."""
    found, expected = [], []
    for m in trial.pick((1, 2, 3, 6), (1, 2, 3, 6, 12)):
        early, late = 30 * m, 30 * m + 10

        def weights(n: int, m: int = m) -> tuple[float, np.ndarray]:
            kept = np.arange(1, n + 1) > n - m
            return 0.0, kept / kept.sum()

        path = errors(coefficients(uniform(2), weights, late))[0]
        found.append(form(m) / 2)
        expected.append((path[late] - path[early]) / 10)
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-6, len(found))


def exponent(values: np.ndarray) -> float:
    """Return p of the other eigenvalues of W: min(1, twice the gap), and 2 if all are 0."""
    return 2.0 if np.abs(values).max() < 1e-9 else float(min(1, 2 - 2 * np.real(values).max()))


@known.claim(
    id="commensal.memory_network",
    where="new here; memory.disagreement_exponent",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        *ANSWERS,
        "isotropic data",
        "fixed prompts",
        "everything kept",
        "diagonalisable network",
    ),
    statement="On a reading network whose models keep everything, disagreement falls as a power "
    "of n: 1, or twice the gap between 1 and the largest real part of another eigenvalue of W if "
    "that is less. Where everybody reads everybody alike it falls as n to the power -2. "
    f"{PREMISES}; W has a basis of eigenvectors; real data have a fixed weight.",
    latex=r"E\lVert\hat\theta_k - \bar\theta\rVert^2 \sim n^{-p}, \quad "
    r"p = \min(1, 2 - 2 \max_{\lambda \ne 1} \Re \lambda)",
    printed=exponent,
    remark="Along an eigenvector the mean of what is kept obeys D_n = (1 - (1-λ)/(c+n)) D_{n-1} + "
    "λε/(c+n), as if 1 - λ were a share of real data. Under replace the modulus of λ counts; here "
    "it is the real part.",
    mutations={
        "the modulus": lambda values: (
            2.0 if np.abs(values).max() < 1e-9 else float(min(1, 2 - 2 * np.abs(values).max()))
        ),
        "the gap once": lambda values: (
            exponent(values) if values.real.max() < 0.5 else float(1 - values.real.max())
        ),
        "no more than 1": lambda values: min(1.0, exponent(values)),
    },
)
def _network(form: Any, trial: Trial) -> Evidence:
    """Follow every eigenvalue, between two late generations; and every response for a few."""
    rng, c, k = trial.rng(), 1.0, 4
    ring = np.roll(np.eye(k), 1, axis=1)
    networks = [s * np.eye(k) + (1 - s) * ring for s in (0.3, 0.7, 0.9)]
    networks += [np.roll(np.eye(2), 1, axis=1), uniform(3)]
    while len(networks) < trial.pick(7, 15):
        w = rng.dirichlet(np.ones(k), k) + rng.uniform(0, 3) * np.eye(k)
        w = (w + w.T) / 2
        for _ in range(200):  # symmetric, and rows that sum to one
            root = np.sqrt(w.sum(axis=1))
            w = w / root / root[:, None]
        others = np.sort(np.linalg.eigvalsh(w))[:-1]
        # not near the boundary, where laws are reached late
        networks += [w] if abs(others.max() - 0.5) > 0.25 else []
    last = trial.pick(20_000, 400_000)
    found, expected = [], []
    for w in networks:
        values = np.linalg.eigvals(w)
        others = np.delete(values, np.abs(values - 1).argmin()).astype(complex)
        real, noise, kept = np.ones(others.size, complex), np.zeros(others.size), {}
        for n in range(1, last + 1):
            step = 1 - (1 - others) / (c + n)
            real, noise = step * real, np.abs(step) ** 2 * noise + np.abs(others / (c + n)) ** 2
            if n in (20, last // 2, last):
                kept[n] = (np.abs(real) ** 2 + noise).sum() / len(w)
        path = errors(coefficients(w, lambda n: (c, np.ones(n)), 20))[1]
        if abs(path[20] / kept[20] - 1) > 1e-9:
            return stated(False, "the recursion is not that of every response")
        expected.append(float(np.log2(kept[last // 2] / kept[last])))
        found.append(form(others))
    away = np.abs(np.subtract(found, expected)).max()
    return at_most(float(away), 0.1, "largest deviation of the exponent")


def root_of(mu: complex | float, m: int) -> float:
    """Return the largest modulus of a root of m x^m = μ (x^{m-1} + ... + 1)."""
    return float(np.abs(np.roots([m, *[-mu] * m])).max())


@known.claim(
    id="commensal.memory_growth",
    where="new here; memory.window_growth",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*FIT, "fixed prompts", "constant weights"),
    statement="Where interaction amplifies errors, memory slows it: with a window of m generations "
    "a disturbance grows by the largest root of m x^m = μ (x^{m-1} + ... + 1), and if everything "
    "is kept as n to the power μ - 1, no longer geometrically. Premises: linear models, any Gram "
    "matrices that stay the same; real data keep their share; μ is an eigenvalue of Q, the "
    "growth without memory.",
    latex=r"m\,x^m = \mu\,(x^{m-1} + \dots + x + 1); \qquad n^{\Re\mu - 1}",
    printed=(root_of, lambda mu: mu - 1),
    remark="G stays as it is, so that what is published moves along the eigenvectors of Q. A real "
    "μ is stable if -m < μ < 1: memory makes no system stable that has an eigenvalue above 1.",
    mutations={
        "the m-th root": (lambda mu, m: mu ** (1 / m), lambda mu: mu - 1),
        "1 + (μ-1)/m": (lambda mu, m: 1 + (mu - 1) / m, lambda mu: mu - 1),
        "n^μ": (root_of, lambda mu: mu),
    },
)
def _growth(form: Any, trial: Trial) -> Evidence:
    """Take systems that come close to the bound on growth, and follow a disturbance."""
    root, power = form
    found, expected = [], []
    for k in (2, 4, 9):
        rate, step = amplifying(k, trial.pick(100.0, 1e4))
        for m in (1, 2, 5):
            published = [np.ones(k * k)]
            sizes = []
            for _ in range(trial.pick(600, 3_000)):
                new = step @ np.mean(published[-m:], axis=0)
                sizes.append(np.linalg.norm(new))
                published = [x / sizes[-1] for x in (*published, new)][-m:]
            found.append(root(rate, m))
            expected.append(sizes[-1])
        mean, size, last = np.ones(k * k), {}, trial.pick(20_000, 200_000)
        for n in range(1, last + 1):
            mean = mean + (step @ mean - mean) / n
            if n in (last // 2, last):
                size[n] = np.linalg.norm(mean)
        found.append(power(rate))
        expected.append(np.log2(size[last] / size[last // 2]))
    return identity(np.array(found), np.array(expected), 1e-3, len(found))


def misaligned(k: int, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Real data and prompts of k models that publish about what they do not know."""
    x = (1 + k**-0.5) / 2
    off = np.sqrt((1 - x) / (k - 1))
    v = np.full((k, k), off) + (np.sqrt(x) - off) * np.eye(k)
    real = size * (np.eye(k) - v[:, :, None] * v[:, None, :])
    return real, k * np.eye(k)[:, :, None] * np.eye(k)[:, None, :]


def amplifying(k: int, size: float) -> tuple[float, np.ndarray]:
    """Return ρ(Q) and Q of such models, α = ½ and β = 1."""
    real, prompts = misaligned(k, size)
    q = np.einsum("kab,jbc->kajc", np.linalg.inv(real + np.eye(k)), prompts / k)
    q = q.reshape(k * k, k * k)
    return float(np.abs(np.linalg.eigvals(q)).max()), q


@known.claim(
    id="commensal.memory_bounded",
    where="new here; docs/explanation/memory.md",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*FIT, "fixed prompts", "everything kept", "all read alike", "real eigenvalue"),
    statement="If everything that is published is kept and real data keep their weight, errors "
    "stay bounded for ever where all read the same, whatever the real data and the prompts are: "
    "even where interaction without memory amplifies them in every generation. On other networks "
    "variances grow as n to the power 2(μ-1), μ ≥ 1 the largest growth that there "
    "would be without real data. Premises: linear models; Gram matrices stay the same; μ is real.",
    latex=r"\mathrm{MSE}_n \sim n^{2(\mu - 1)}, \quad \mu = \max \Re\operatorname{eig} P \geq 1, "
    r"\quad P_{kj} = W_{kj} M_k^{-1} S_j; \qquad W = 1p^\top:\; \mu = 1",
    printed=lambda mu, rate: 2 * (mu - 1),
    remark="With b_n the moments of all that was published, b_n = (I + P'/n + O(1/n²)) b_{n-1} + "
    "O(1): real data of a fixed weight count for ever less. P leaves models that agree as they "
    "are, and is idempotent if all read the same.",
    mutations={
        "as if real data kept their share": lambda mu, rate: 2 * (rate - 1),
        "never": lambda mu, rate: 0.0,
        "not squared": lambda mu, rate: mu - 1,
    },
)
def _bounded(form: Any, trial: Trial) -> Evidence:
    """Follow the variance of systems that amplify, and compare it as generations double."""
    rng, last = trial.rng(), trial.pick(6_000, 40_000)
    found, expected, without = [], [], []
    systems = [(uniform(k), *misaligned(k, 10.0)) for k in (2, 4)]
    # six on a circle that read both neighbours, with thin prompts: half of these amplify
    both = sum(np.roll(np.eye(6), step, axis=1) for step in (1, -1)) / 2
    w = 0.05 * np.eye(6) + 0.95 * both
    while len(systems) < trial.pick(4, 10):
        factors = rng.standard_normal((6, 2, 4))
        prompts = factors.swapaxes(-1, -2) @ factors + 0.05 * np.eye(4)
        *_, second, mu = rates(w, np.zeros_like(prompts), prompts)[0]
        # alone soon: what is next falls behind as n to the power -0.6
        if mu.real > max(1.1, second.real + 0.3) and mu.imag == 0:
            systems.append((w, np.tile(0.5 * np.eye(4), (6, 1, 1)), prompts))
    for w, real, prompts in systems:
        k, d, _ = prompts.shape
        read = np.einsum("kj,jab->kab", w, prompts)
        (values, vectors), (slower, _) = (rates(w, r, prompts) for r in (0 * real, real))
        mu, rate = float(values[-1].real), float(slower[-1].real)
        new = np.einsum("ij,lj,jab->ialb", w, w, prompts).reshape(k * d, k * d)
        asked = np.einsum("kj,jab->kajb", w, prompts)
        # a disturbance along what grows most, beside which all other noise is small
        first = np.einsum("kab,kb->ka", read, np.real(vectors[:, -1]).reshape(k, d)).ravel()
        noise, size = 1e8 * np.outer(first, first), {}
        for n in range(1, last + 1):
            if n > 1:
                gain = np.linalg.inv(real + (n - 1) * read)
                step = np.eye(k * d) + np.einsum("kajb,jbc->kajc", asked, gain).reshape(new.shape)
                noise = step @ noise @ step.T
            noise = noise + new
            if n in (last // 2, last):
                gain = np.linalg.inv(real + n * read)
                each = np.einsum("kakb->kab", noise.reshape(k, d, k, d))
                size[n] = np.einsum("kab,kbc,kac->", gain, each, gain)
        found.append(form(mu, rate))
        expected.append(np.log2(size[last] / size[last // 2]))
        without.append(rate)
    away = float(np.abs(np.subtract(found, expected)).max())
    most = max(without)
    return at_most(away, 0.15, "largest deviation of the exponent") & stated(
        most > 1.1, f"without memory errors grow by up to {most:.2f}", growth=most
    )


def rates(w: np.ndarray, real: np.ndarray, prompts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues of Q by their real parts, and eigenvectors, for G_k = real_k + M_k."""
    k, d, _ = prompts.shape
    gram = real + np.einsum("kj,jab->kab", w, prompts)
    q = np.einsum("kab,kj,jbc->kajc", np.linalg.inv(gram), w, prompts)
    values, vectors = np.linalg.eig(q.reshape(k * d, k * d))
    order = np.real(values).argsort()
    return values[order], vectors[:, order]
