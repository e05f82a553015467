"""Claims beyond `webdynamics`: the course in time of ‖D‖ and of the consensus of mixtures."""

from __future__ import annotations

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, identity, statistical
from commensal.claims.webdynamics import _process as process

known = Register()


@known.claim(
    id="commensal.disagreement_rate",
    where="new here; extends webdynamics sec. 3.2; mixture.disagreement",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "separated components",
        "falling steps",
        "at rest",
        "draws without replacement",
        "all read alike",
        "many generations",
    ),
    statement="The norm of D falls as the power -1/2 of t, whatever n, B, L and β < 1.",
    latex=r"\lVert D^{(t)}\rVert_F \sim t^{-1/2}",
    printed=-0.5,
    remark="E‖D‖⁴ falls as t^-2, which can be summed: so differences vanish almost surely.",
    mutations={"-0.6": -0.6, "-1": -1.0, "as the power -0.49": -0.49},
)
def _disagreement_rate(form, trial: Trial) -> Evidence:
    """Extrapolate slopes of the exact recursion between T/2 and T from T and T/2."""
    slopes, rng = [], trial.rng()
    last = trial.pick(4000, 40_000)
    for n, b, posts, beta in ((3, 2, 3, 0.5), (2, 5, 1, 0.9), (6, 11, 2, 0.2)):
        points = int(rng.integers(10, 50))
        t = np.arange(last)
        size = points + n * posts * t
        k = np.floor(beta * size + 1e-9)
        c = np.where(k > 1, 1 / (k * b**2), 0)
        with np.errstate(divide="ignore"):
            q = np.exp(k * np.log1p(-1 / k))
        s2 = size / (size - 1) * ((1 - q**2) / (2 * k - 1) - (1 - q) ** 2 / size)
        noise = s2 / (1 - b * c) ** 2
        course, gap = [], 1.0
        for kept, fresh in zip(q, noise, strict=True):
            gap = kept**2 * gap + 2 * fresh
            course.append(gap)
        # averages over windows: k is rounded to integers
        w = last // 50
        level = [np.mean(course[m - w : m]) for m in (last // 4, last // 2, last)]
        one, two = np.diff(np.log(level)) / np.log(2) / 2
        slopes.append(2 * two - one)
    return identity(slopes, np.full(3, form), 0.005, instances=3)


@known.claim(
    id="commensal.consensus_settles",
    where="new here; extends webdynamics sec. 3.2; mixture.disagreement",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("separated components", "falling steps", "all read alike", "everything kept"),
    statement="The prior c_t = 1/(k_t B²) moves the expected consensus away from uniform weights, "
    "by an amount that falls as 1/t² and so can be summed.",
    latex=r"E[a_{t+1} - a_t] \to \frac{B a - 1}{\beta n L B^2 t^2}",
    printed=lambda a, b, n, posts, beta, t: (b * a - 1) / (beta * n * posts * b**2 * t**2),
    remark="c_t alone cannot be summed; that the web moves towards the models by 1/t of their "
    "difference gives the other factor. A constant c never lets the weights settle.",
    mutations={
        "towards uniform weights": lambda a, b, n, posts, beta, t: (
            (1 - b * a) / (beta * n * posts * b**2 * t**2)
        ),
        "B for B²": lambda a, b, n, posts, beta, t: (b * a - 1) / (beta * n * posts * b * t**2),
        "factor 1.02": lambda a, b, n, posts, beta, t: (
            1.02 * (b * a - 1) / (beta * n * posts * b**2 * t**2)
        ),
    },
)
def _consensus_settles(form, trial: Trial) -> Evidence:
    """Follow the mean recursion of eq. (10), web included, for a long time."""
    last = trial.pick(5000, 50_000)
    found, expected = [], []
    for n, b, posts, beta, start in (
        (3, 2, 3, 0.5, 0.8),
        (2, 5, 1, 0.9, 0.05),
        (6, 11, 2, 0.4, 0.3),
    ):
        x = a = np.array(start)
        before = a
        for t in range(last):
            size = 20 + n * posts * t
            k = beta * size
            q, c = (1 - 1 / k) ** k, 1 / (k * b**2)
            x, before, a = (
                q * x + (1 - q) * (a - c) / (1 - b * c),
                a,
                (size * a + n * posts * x) / (size + n * posts),
            )
        found.append(form(a, b, n, posts, beta, last) / (a - before))
        expected.append(1.0)
    return identity(found, expected, trial.pick(0.01, 0.002), instances=3)


@known.claim(
    id="commensal.expected_falls",
    where="commensal.theory.mixture.probability_of_fall",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("separated components", "falling steps", "at rest", "all read alike", "many points"),
    statement="At rest, noise alone makes ‖D‖ fall by a factor f or more within one generation "
    "with the probability that a Gaussian form is negative. For two components this has a closed "
    "formula: with n = 3 the norm halves 33.5 times in 180 generations.",
    latex=r"P\left(\lVert D'\rVert \leq \lVert D\rVert / f\right) = \frac12 \left[1 -"
    r" \frac{f^2 - 1}{\sqrt{(f^2-1)^2 + 4 f^2 (1-e^{-2})}}\right] \quad (n = 3,\, B = 2)",
    printed=lambda f: (
        0.5 * (1 - (f**2 - 1) / np.sqrt((f**2 - 1) ** 2 + 4 * f**2 * (1 - np.exp(-2))))
    ),
    remark="Neither k nor β enters, and rises by f are as frequent. For 11 components with "
    "Dirichlet(1) weights it is 1.3 in 180 generations: one sudden fall in fig. 6 is no sign of "
    "anything. figures/webdynamics_fig6.py counts both in simulated runs (33.8 and 1.33).",
    mutations={
        "independent generations": lambda f: 1 / (1 + f**2),
        "factor 1.05": lambda f: (
            1.05 * 0.5 * (1 - (f**2 - 1) / np.sqrt((f**2 - 1) ** 2 + 4 * f**2 * (1 - np.exp(-2))))
        ),
    },
)
def _expected_falls(form, trial: Trial) -> Evidence:
    """Simulate a web so large that it hardly grows, and compare with the formula for any B too."""
    from commensal.theory import mixture

    factors, first = (1.25, 1.5, 2.0), 5
    size, runs, last = trial.pick((300, 8000, 30), (1000, 31_000, 60))
    web, start = np.array([size // 2, size // 2]), np.full((3, 2), 0.5)
    result = process.separated(
        trial.rng(), runs, last, posts=1, points=size, prior=0.0, weights=start, web=web
    )
    squares = process.norm_squared(result.weights)[first:]
    counts = [(f**2 * squares[1:] <= squares[:-1]).mean(axis=0) for f in factors]
    found, errors = np.mean(counts, axis=1), np.std(counts, axis=1) / np.sqrt(runs)
    expected = [form(f) for f in factors]
    package = [mixture.probability_of_fall(f, [0.5, 0.5], 3, 0.5) for f in factors]
    picture = Panel(
        factors,
        [("closed formula", expected)],
        [("simulated", found.tolist(), errors.tolist())],
        "f",
        "probability of a fall",
    )
    both = statistical(
        found,
        expected,
        errors,
        runs * (last - first),
        resolution=trial.resolution,
        pictures=(picture,),
    )
    return both & identity(expected, package, 1e-9)
