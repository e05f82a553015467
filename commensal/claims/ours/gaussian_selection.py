"""Claims beyond `pollination`: where a lineage ends, one fit, and the effect of selection."""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, identity, statistical
from commensal.claims.pollination._process import Population, population
from commensal.claims.pollination.tails import climb

known = Register()


def student(df: float | int, scale: float | int):
    """Return Student's t with this many degrees of freedom, scaled."""
    return stats.t(df, scale=scale)


@known.claim(
    id="commensal.limit_of_mean",
    where="new here",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "no human data later", "many points"),
    statement="For large n the place at which the mean of a lineage ends has Student's t "
    "distribution: with 2 degrees of freedom (unbiased), or with 4, over √2 (maximum likelihood).",
    latex=r"\frac{\mu_\infty - \mu}{\sigma} \to t_2 \;\text{(unbiased)}, \quad "
    r"\frac{t_4}{\sqrt 2} \;\text{(mle)}",
    printed=[student(2, 1), student(4, 2**-0.5)],
    remark="With u = t/2n, σ_t is σ exp(B_u - νu), ν = 1 or 2, and μ_∞ - μ is normal with variance "
    "2σ² ∫ exp(2(B_u - νu)) du over all u, which is σ² over a gamma variable of shape ν (Dufresne "
    "1990). So W₂² ends at 1 + t₂², 5/3 in the median, with an infinite mean; and a mean ever "
    "passes -2.5 σ with probability 0.13. The error is of order 1/n.",
    mutations={
        "three degrees of freedom": [student(3, 1), student(4, 2**-0.5)],
        "t₄ with its scale": [student(2, 1), student(4, 1)],
        "normal of the same variance": [student(2, 1), stats.norm()],
    },
)
def _limit_of_mean(form, trial: Trial) -> Evidence:
    """Average the normal tail over all σ_t, given which the limit is normal; no mean is drawn."""
    n, runs = trial.pick((40, 11_000), (300, 90_000))
    found, expected, error, pictures = [], [], [], []
    cases = (("unbiased", n - 1, 20, (0.4, 0.6, 0.8)), ("mle", n, 12, (0.3, 0.4, 0.5)))
    for stream, (law, (name, divisor, last, levels)) in enumerate(zip(form, cases, strict=True)):
        rng, variance, total = trial.rng(stream), np.ones(runs), np.zeros(runs)
        for _ in range(last * n):
            total += variance / n
            variance *= rng.standard_gamma((n - 1) / 2, runs) * (2 / divisor)
        x = np.array([*levels, 1.5, 2.5, 5.0])
        beyond = special.erfc(x[:, None] / np.sqrt(2 * total))
        means, errors = beyond.mean(axis=1), beyond.std(axis=1) / np.sqrt(runs)
        limit = 2 * law.sf(x)
        found += means[:3].tolist()
        error += errors[:3].tolist()
        expected += limit[:3].tolist()
        points = [(f"{name}, n = {n}", means.tolist(), errors.tolist())]
        lines = [("Student's t", limit.tolist())]
        pictures.append(Panel(x.tolist(), lines, points, "x", "P(|μ_∞ - μ| > xσ)", "xy"))
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=tuple(pictures)
    )


@known.claim(
    id="commensal.w2_tail",
    where="new here",
    kind="search",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "unbiased variance"),
    statement="The squared W₂ distance of an unbiased fit has a tail below that of an exponential "
    "variable, for every n and δ.",
    latex=r"P(W \geq \delta) \leq \exp\left(-\frac{(n-1)\delta}{2\sigma^2}\right)",
    printed=lambda delta, n, np: np.exp(-(n - 1) * delta / 2),
    remark="It is below each of pollination's bounds, and has the true exponent for δ to infinity. "
    "With r = √(n-1)|s - 1|, the density of r over that of |Z|, Z standard normal, passes 1 once, "
    "from above (it falls in r for n >= 3, and for n = 2 it is 1.21 cosh r up to r = 1, and "
    "exp(-1/2 - r) from there); so r is stochastically smaller than |Z|, and (n-1)W/σ² than "
    "Z₁² + Z₂², which is exponential with mean 2.",
    mutations={
        "n for n - 1": lambda delta, n, np: np.exp(-n * delta / 2),
        "0.98 times": lambda delta, n, np: 0.98 * np.exp(-(n - 1) * delta / 2),
    },
)
def _w2_tail(form, trial: Trial) -> Evidence:
    return climb(form, trial, 1000.0)


def effective(k: int, h: float | int, shared: bool, twice: float | int = 2.0) -> float:
    """Return n_eff/n; if ``shared``, all offspring of a parent are refitted on the same points."""
    c = twice * h * (1 - h)
    return (1 + c * k) / ((1 - h) ** 2 * (1 + (c if shared else c / k)))


@known.claim(
    id="commensal.effective_sample_size",
    where="tests/sims/test_gaussian_populations.py",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "no signal", "many points"),
    statement="Without a signal a population drifts like one lineage of n_eff points, which "
    "depends on n, k, h and c = 2h(1-h), with h the weight of what is inherited.",
    latex=r"n_{\mathrm{eff}} = \frac{n(1 + ck)}{(1-h)^2(1+c)}",
    printed=effective,
    remark="This holds as long as σ stays, that is for large n, and with one dataset per parent; "
    "where each offspring has its own, 1 + c/k is in the place of 1 + c. Refits (h = 0) gain "
    "nothing from the k² models: n_eff = n. With h = 1/2 and k = 4 it is 8n.",
    mutations={
        "c = h(1-h)": lambda k, h, shared: effective(k, h, shared, 1.0),
        "shared or not alike": lambda k, h, shared: effective(k, h, True),
    },
)
def _effective_sample_size(form, trial: Trial) -> Evidence:
    """Iterate the covariance of all means until its growth per generation is constant."""
    found, expected = [], []
    for k in trial.pick((1, 2, 4), (1, 2, 3, 4, 5, 6)):
        for h in (0.0, 0.3, 0.5, 0.8):
            for shared in (True, False):
                found.append(form(k, h, shared))
                expected.append(1 / _drift(k, h, shared))
    return identity(found, expected, 1e-6, len(found))


def _drift(k: int, h: float | int, shared: bool) -> float:
    """Return the growth of E μ² of a model per generation, in σ²/n."""
    size = k * k
    first, second = np.divmod(np.arange(size), k)
    parents = np.eye(k)
    inherit = h * parents[first] + (1 - h) * parents[second]  # offspring of parents' means
    noise = (1 - h) * (parents[second] if shared else np.eye(size))
    own, between = 0.0, 0.0  # second moments of one model, and of two different ones
    growth = 0.0
    for _ in range(200 + 60 * size):
        of_parents = np.full((k, k), between) + (own - between) * parents
        whole = inherit @ of_parents @ inherit.T + noise @ noise.T
        before, own = own, np.trace(whole) / size
        between = (whole.sum() - np.trace(whole)) / max(size * (size - 1), 1)
        growth = own - before
    return growth


@known.claim(
    id="commensal.selection_alone",
    where="README, What it found; pollination fig. 8",
    kind="statistical",
    proof="measured there",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "oracle", "named settings"),
    statement="One lineage that keeps the best of 16 refits, by the distance to the truth, does as "
    "well as 16 models with 4 parents and the same signal: variety within one generation is "
    "enough, and no parents need to live side by side.",
    latex=r"W(k = 1) \leq W(k = 4)",
    printed="oracle",
    remark="Keeping the best of 16 independent refits is what app. A.1 calls a population of K "
    "estimators, in each generation anew; what is not needed are the parents and crossover of sec. "
    "3. Each refit has data of its own, with h = 0 and with h = 1/2 (a lineage that averages with "
    "what it was). W is 0.038 and 0.0099 σ² against 0.043 and 0.0102 at n = 30. It is the signal "
    "that does it, and the signal knows the truth.",
    mutations={"a lineage without the signal": "none"},
)
def _selection_alone(form, trial: Trial) -> Evidence:
    """Compare mean W₂² over models and the later generations; ``form`` is the lineage's signal."""
    generations, runs = trial.pick((200, 50), (1000, 300))
    at, rows = list(range(0, generations + 1, 20)), {}
    for stream, (name, k, h) in enumerate(
        (
            ("one lineage, refits", 1, 0.0),
            ("16 models, refits", 4, 0.0),
            ("one lineage, h = 1/2", 1, 0.5),
            ("16 models, h = 1/2", 4, 0.5),
        )
    ):
        how = Population(
            parents=k, inheritance=h, shared=False, signal=form if k == 1 else "oracle"
        )
        w = population(trial.rng(stream), how, generations, runs, 20).distance
        rows[name] = w.mean(axis=2)
    level = {name: float(w[2:].mean()) for name, w in rows.items()}
    ratios = [level["one lineage, refits"] / level["16 models, refits"]]
    ratios.append(level["one lineage, h = 1/2"] / level["16 models, h = 1/2"])
    points = [
        (name, w[1:].mean(axis=1).tolist(), (w[1:].std(axis=1) / np.sqrt(runs)).tolist())
        for name, w in rows.items()
    ]
    picture = Panel(at[1:], [], points, "generation", "W₂²/σ²", "y")
    text = f"W of the lineage over that of the population: {ratios[0]:.2f}, {ratios[1]:.2f}"
    return Evidence(max(ratios) < 1.05, text, level, 2, (picture,))
