"""`pollination`: one fit of n points, and its distance to the truth (app. A.1, first part)."""

from __future__ import annotations

import numpy as np
from scipy import integrate, special, stats

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, identity, stated, statistical
from commensal.claims.pollination import _law

known = Register()

MEAN, STD = 0.7, 1.9


def fits(trial: Trial, n: int, runs: int, stream: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and unbiased variance of n points each, from the points themselves."""
    points = MEAN + STD * trial.rng(stream).standard_normal((n, runs))
    return points.mean(axis=0), points.var(axis=0, ddof=1)


def share(where: np.ndarray) -> tuple[float, float]:
    """Return the share of true values, with its standard error."""
    p = float(where.mean())
    return p, np.sqrt(p * (1 - p) / where.size)


@known.claim(
    id="pollination.mean_law",
    where="app. A.1, property 1",
    kind="statistical",
    proof="stated there",
    verdict="holds",
    premises=("Gaussian laws",),
    statement="The sample mean of n Gaussian points is Gaussian about μ with variance σ²/n.",
    latex=r"\hat\mu_k \sim \mathcal{N}\left(\mu, \frac{\sigma^2}{n}\right)",
    printed=lambda n: stats.norm(MEAN, STD / np.sqrt(n)),
    mutations={
        "n - 1": lambda n: stats.norm(MEAN, STD / np.sqrt(n - 1)),
        "Laplace of the same variance": lambda n: stats.laplace(MEAN, STD / np.sqrt(2 * n)),
    },
)
def _mean_law(form, trial: Trial) -> Evidence:
    """Compare mean, variance, and the shares within half a standard deviation and within one."""
    runs, sizes = trial.pick(100_000, 900_000), (2, 5, 20)
    found, expected, error, scale = [], [], [], []
    for n in sizes:
        mean, law, std = fits(trial, n, runs, n)[0], form(n), STD / np.sqrt(n)
        found += [mean.mean(), ((mean - MEAN) ** 2).mean()]
        expected += [law.mean(), law.var() + (law.mean() - MEAN) ** 2]
        error += [std / np.sqrt(runs), std**2 * np.sqrt(2 / runs)]
        scale += [std, std**2]
        for width in (0.5 * std, std):
            p, e = share(np.abs(mean - MEAN) <= width)
            found, error = [*found, p], [*error, e]
            expected.append(law.cdf(MEAN + width) - law.cdf(MEAN - width))
            scale.append(p)
    at = slice(1, None, 4)
    picture = Panel(
        sizes,
        [("stated", expected[at])],
        [("drawn", found[at], error[at])],
        "n",
        "variance of the mean",
        "xy",
    )
    kwargs = {"resolution": trial.resolution, "scale": scale, "pictures": (picture,)}
    return statistical(found, expected, error, runs, **kwargs)


@known.claim(
    id="pollination.variance_law",
    where="app. A.1, property 2",
    kind="statistical",
    proof="stated there",
    verdict="holds",
    premises=("Gaussian laws", "unbiased variance"),
    statement="n - 1 times the unbiased sample variance over σ² is chi-square with n - 1 degrees "
    "of freedom.",
    latex=r"(n-1)\frac{\hat\sigma_k^2}{\sigma^2} \sim \chi^2_{n-1}",
    printed=lambda n: stats.chi2(n - 1),
    remark="σ̂² is therefore unbiased, as the paper says, but σ̂ is not: E σ̂ = c₄(n) σ < σ. That "
    "bias is what makes lineages narrow from one generation to the next.",
    mutations={
        "n degrees of freedom": lambda n: stats.chi2(n),
        "1.04 times": lambda n: stats.chi2(n - 1, scale=1.04),
    },
)
def _variance_law(form, trial: Trial) -> Evidence:
    runs, sizes = trial.pick(150_000, 1_300_000), (2, 3, 8)
    found, expected, error = [], [], []
    for n in sizes:
        scaled, law = (n - 1) * fits(trial, n, runs, n)[1] / STD**2, form(n)
        found.append(scaled.mean())
        expected.append(law.mean())
        error.append(np.sqrt(2 * (n - 1) / runs))
        for at in (0.6 * (n - 1), n - 1.0):
            p, e = share(scaled <= at)
            found, error = [*found, p], [*error, e]
            expected.append(law.cdf(at))
    last = slice(2, None, 3)
    picture = Panel(
        sizes,
        [("stated", expected[last])],
        [("drawn", found[last], error[last])],
        "n",
        "P((n-1) σ̂² <= (n-1) σ²)",
    )
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="pollination.independent_estimates",
    where="app. A.1, statistical properties",
    kind="statistical",
    proof="stated there",
    verdict="holds",
    premises=("Gaussian laws",),
    statement="Mean and variance of the same Gaussian points are independent.",
    latex=r"\hat\mu_k \perp \hat\sigma_k^2",
    printed="normal",
    remark="The Gaussian is the only law that has this (Geary 1936): a truth of another shape "
    "changes the first generation, and the first alone.",
    mutations={"Laplace points": "laplace", "exponential points": "exponential"},
)
def _independent_estimates(form, trial: Trial) -> Evidence:
    """Compare joint shares with products of shares, for deviations of the mean on both sides."""
    runs, n, rng = trial.pick(200_000, 1_500_000), 4, trial.rng()
    points = getattr(rng, form)(size=(n, runs)) - (form == "exponential")
    mean, std = points.mean(axis=0), points.std(axis=0, ddof=1)
    spread = np.quantile(std, [0.25, 0.5, 0.75])
    found, expected, error = [], [], []
    for event in (mean <= 0, np.abs(mean) <= np.median(np.abs(mean))):
        for s in spread:
            p, q = event.mean(), (std <= s).mean()
            found.append((event & (std <= s)).mean())
            expected.append(p * q)
            error.append(np.sqrt(p * (1 - p) * q * (1 - q) / runs))
    picture = Panel(
        [0.25, 0.5, 0.75],
        [("product", expected[3:])],
        [("joint", found[3:], error[3:])],
        "quantile of σ̂",
        "P(mean near the truth, σ̂ below)",
    )
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )


def transport(quantile, m1: float, s1: float, m2: float, s2: float) -> float:
    """Return W₂² on the line: the mean squared difference of the two quantile functions."""
    value = integrate.quad(
        lambda u: (m1 - m2 + (s1 - s2) * quantile(u)) ** 2, 0, 1, epsabs=1e-12, epsrel=1e-9
    )
    return value[0]


@known.claim(
    id="pollination.w2_formula",
    where="app. A.1, squared Wasserstein-2 distance",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=("Gaussian laws",),
    statement="Between Gaussians on the line the squared W₂ distance is the squared difference of "
    "the means plus that of the standard deviations.",
    latex=r"\mathcal{W}_2^2 = (\mu_1 - \mu_2)^2 + (\sigma_1 - \sigma_2)^2",
    printed=lambda m1, s1, m2, s2: (m1 - m2) ** 2 + (s1 - s2) ** 2,
    mutations={
        "1.01 times the second term": lambda m1, s1, m2, s2: (m1 - m2) ** 2 + 1.01 * (s1 - s2) ** 2,
        "difference of variances": lambda m1, s1, m2, s2: (m1 - m2) ** 2 + abs(s1**2 - s2**2),
    },
)
def _w2_formula(form, trial: Trial) -> Evidence:
    """Compare with optimal transport of quantiles, point masses among them."""
    rng, count = trial.rng(), trial.pick(20, 300)
    cases = np.column_stack([*rng.normal(size=(2, count)), *rng.exponential(size=(2, count))])
    cases = np.vstack([cases[:, [0, 2, 1, 3]], [[0, 0, 1, 2], [1, 1, 1, 0], [0, 1e-3, 0, 1e3]]])
    expected = [np.array([transport(special.ndtri, *case)]) for case in cases]
    return identity([np.array([form(*case)]) for case in cases], expected, 1e-7)


FAMILIES = {
    "normal": special.ndtri,
    "uniform": lambda u: np.sqrt(12) * (u - 0.5),
    "logistic": lambda u: np.sqrt(3) / np.pi * special.logit(u),
    "exponential": lambda u: -np.log1p(-u) - 1,
}
"""Quantile functions of distributions with mean 0 and variance 1."""


@known.claim(
    id="pollination.w2_formula_only_gaussian",
    where="app. A.1, after the distance",
    kind="numerical",
    proof="stated there",
    verdict="fails",
    premises=("none",),
    breaks=("none",),
    statement="The formula for the squared W₂ distance by means and standard deviations holds for "
    "one-dimensional Gaussians alone.",
    latex=r"\mathcal{W}_2^2 = (\Delta\mu)^2 + (\Delta\sigma)^2 \iff \mathcal{N}",
    printed=lambda family: family == "normal",
    remark="Any two laws of one location-scale family have it, since their quantile functions "
    "differ by a linear function. And in d dimensions Gaussians whose covariances commute have "
    "‖Δμ‖² + ‖ΔΣ^{1/2}‖²_F. Nothing in the paper depends on it.",
    fault="wording",
    doubt="solid",
    mutations={"every location-scale family": lambda family: True},
)
def _w2_formula_only_gaussian(form, trial: Trial) -> Evidence:
    """Test the formula on all families; ``form`` says for which it holds."""
    rng, away = trial.rng(), {}
    for family, quantile in FAMILIES.items():
        m1, m2, s1, s2 = *rng.normal(size=2), *rng.exponential(size=2)
        exact = transport(quantile, m1, s1, m2, s2)
        away[family] = abs(exact / ((m1 - m2) ** 2 + (s1 - s2) ** 2) - 1)
    also = [name for name, x in away.items() if x < 1e-7]
    holds = also == [name for name in away if form(name)]
    numbers = {f"relative deviation, {name}": float(x) for name, x in away.items()}
    return stated(holds, f"the formula holds for {', '.join(also)} laws", **numbers)


@known.claim(
    id="pollination.std_delta",
    where="app. A.1, large n",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=("Gaussian laws", "unbiased variance", "many points"),
    statement="For large n the squared error of the sample standard deviation is σ²/(2n) times a "
    "chi-square variable with one degree of freedom.",
    latex=r"(\sigma - \hat\sigma_k)^2 \sim \frac{\sigma^2}{2n} \chi^2_1",
    printed=lambda n: 1 / (2 * n),
    remark="The error of the distribution function is 0.35/n at the most: the skewness of σ̂, of "
    "order n^(-1/2), cancels between both sides.",
    mutations={"1/n": lambda n: 1 / n, "1.05 times": lambda n: 1.05 / (2 * n)},
)
def _std_delta(form, trial: Trial) -> Evidence:
    """Compute the distance of the distribution functions, exactly, over growing n."""
    sizes = np.array(trial.pick((10, 100, 1000), (10, 30, 100, 1000, 10_000, 100_000)))
    y = np.linspace(0.01, 12, trial.pick(400, 4000))
    distance = []
    for n in sizes:
        root, k = np.sqrt(y * form(n)), (n - 1) / 2
        above = special.gammainc(k, k * (1 + root) ** 2)
        exact = above - special.gammainc(k, k * np.maximum(1 - root, 0) ** 2)
        distance.append(np.max(np.abs(exact - special.gammainc(0.5, y / 2))))
    scaled = np.array(distance) * sizes
    text = f"largest error of the distribution function {distance[-1]:.1e} at n = {sizes[-1]:,}"
    # of order 1/n: what is left at the largest n over what was there at the smallest
    holds = bool(scaled[-1] < 2 * scaled[0])
    numbers = {f"at n = {n}": float(d) for n, d in zip(sizes, distance, strict=True)}
    return stated(holds, text, **numbers)


@known.claim(
    id="pollination.w_two_chi_squares",
    where="app. A.1, tail probability analysis",
    kind="statistical",
    proof="stated there",
    verdict="holds as corrected",
    premises=("Gaussian laws", "unbiased variance", "many points"),
    breaks=("many points",),
    statement="The squared W₂ distance of a fit is a sum of two independent scaled chi-square "
    "variables.",
    latex=r"W_k = \frac{\sigma^2}{n} X + \frac{\sigma^2}{2n} Y, \quad X, Y \sim \chi^2_1",
    printed=_law.survival_of_sum,
    correction="This holds only in the limit of large n, from which the approximation of σ̂ "
    "comes. The second term is σ²(1 - s)², with s² a chi-square variable with n - 1 degrees of "
    "freedom over n - 1.",
    correction_latex=r"W_k = \frac{\sigma^2}{n} X + "
    r"\sigma^2 \left(1 - \sqrt{\chi^2_{n-1}/(n-1)}\right)^2",
    corrected=_law.survival,
    remark="From here on the paper bounds the stand-in, and calls it W. Its mean, 3σ²/2n, is 0.89 "
    "of that of W at n = 3 and 0.99 at n = 50; far out in the tail the ratio of the probabilities "
    "goes to 0 (pollination.chernoff_any_t).",
    fault="substantive",
    doubt="solid",
    mutations={
        "n + 1 for n": lambda delta, n: _law.survival(delta, np.asarray(n) + 1),
        "without the bias of s": lambda delta, n: _law.survival_of_sum(delta, np.asarray(n) - 0.5),
    },
)
def _w_two_chi_squares(form, trial: Trial) -> Evidence:
    """Compare with P(W >= δ) from drawn points."""
    runs = trial.pick(250_000, 2_000_000)
    found, expected, error = [], [], []
    scaled = np.array([0.3, 0.6, 1.0, 1.5, 2.0])
    for n in (2, 3, 4):
        mean, variance = fits(trial, n, runs, n)
        w = ((mean - MEAN) ** 2 + (np.sqrt(variance) - STD) ** 2) / STD**2
        for a in scaled:
            p, e = share(w >= a / n)
            found, error = [*found, p], [*error, e]
        expected += form(scaled / n, np.full(5, n)).tolist()
    picture = Panel(
        scaled.tolist(),
        [
            ("n = 2, this form", expected[:5]),
            ("two chi-squares", _law.survival_of_sum(scaled / 2, np.full(5, 2)).tolist()),
        ],
        [("n = 2, drawn", found[:5], error[:5])],
        "nδ/σ²",
        "P(W >= δ)",
    )
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )
