"""Claims beyond `webdynamics`: mixtures whose components overlap, and weights caught at ε."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, identity, statistical
from commensal.claims.webdynamics import _process as process
from commensal.claims.webdynamics.proof import densities

known = Register()


@known.claim(
    id="commensal.overlap_moments",
    where="commensal.theory.mixture._overlap",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("at rest",),
    statement="Near a consensus the drift of the weights and the covariance of their noise are one "
    "matrix, however components overlap: with M the integrals of N_b N_l / g and D = diag π, "
    "expected ownerships have the derivative I - DM, ownerships the covariance DMD - ππᵀ.",
    latex=r"\frac{\partial E[o]}{\partial \pi} = I - D M, \quad"
    r" \mathrm{Cov}(o) = D M D - \pi\pi^\top, \quad M_{bl} = \int \frac{N_b N_l}{g}",
    printed=lambda pi, m: (np.eye(pi.size) - pi[:, None] * m, m * np.outer(pi, pi)),
    remark="In coordinates D^(-1/2) δ modes are therefore independent and contract by e^(-λ_m) per "
    "generation, λ_m in [0, 1] the eigenvalues of D^(1/2) M D^(1/2): 1 for separated components, "
    "which is eq. (10), and 0.55 for two at a distance of two standard deviations.",
    mutations={
        "MD for DM": lambda pi, m: (np.eye(pi.size) - m * pi, m * np.outer(pi, pi)),
        "separated components": lambda pi, m: (0 * m, np.diag(pi)),
        "factor 1.01": lambda pi, m: (
            np.eye(pi.size) - 1.01 * pi[:, None] * m,
            m * np.outer(pi, pi),
        ),
    },
)
def _overlap_moments(form, trial: Trial) -> Evidence:
    """Differentiate eq. (8) by a complex step, with both sides on a grid."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(10, 100)):
        b = int(rng.integers(2, 6))
        means = np.cumsum(rng.uniform(0.2, 4, b))
        pi = rng.dirichlet(np.full(b, 1.0)) + 1e-3
        pi /= pi.sum()
        _, n = densities(means)
        n /= n.sum(axis=1, keepdims=True)
        g = pi @ n
        owned = pi[:, None] * n / g

        def expectation(weights: np.ndarray, n=n, g=g) -> np.ndarray:
            return (weights[:, None] * n / (weights @ n)) @ g

        steps = [np.imag(expectation(pi + 1e-20j * e)) / 1e-20 for e in np.eye(b)]
        derivative, covariance = form(pi, (n / g) @ n.T)
        found.append(np.stack([derivative, covariance - np.outer(pi, pi)]))
        truth = (owned * g) @ owned.T - np.outer(pi, pi)
        expected.append(np.stack([np.stack(steps, axis=1), truth]))
    return identity(found, expected, 1e-9)


def _variance(rate: Any, k: Any, size: Any) -> float:
    """Return 2k V_m for k draws out of ``size`` points."""
    left = (1 - rate / k) ** k
    inner = 1 / (2 * k - rate) - (1 - left) / (1 + left) / (rate * size)
    return 2 * k * size / (size - 1) * inner


@known.claim(
    id="commensal.overlap_law",
    where="commensal.theory.mixture.disagreement",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=(
        "falling steps",
        "at rest",
        "draws without replacement",
        "all read alike",
        "many points",
        "no positivity step",
    ),
    statement="With overlapping components a mode of rate λ ends up with the variance of the noise "
    "law, tanh(λ/2)/λ in the place of tanh(1/2): overlap slows agreement down, but hardly changes "
    "how far apart models stay.",
    latex=r"V_m = \frac{N}{N-1} \left[\frac{1}{2k-\lambda_m} - \frac{1}{\lambda_m N}"
    r" \frac{1-r}{1+r}\right] \to \frac{1}{2k}"
    r" \left[1 - 2\beta\, \frac{\tanh(\lambda_m/2)}{\lambda_m}\right], \quad"
    r" r = (1-\lambda_m/k)^k",
    printed=_variance,
    remark="The law is linear in the differences: it is for k large, and as long as no weight is "
    "caught at ε.",
    mutations={
        "as for separated components": lambda rate, k, size: _variance(1.0, k, size),
        "as with replacement": lambda rate, k, size: _variance(rate, k, 10**9),
        "factor 1.04": lambda rate, k, size: 1.04 * _variance(rate, k, size),
    },
)
def _overlap_law(form, trial: Trial) -> Evidence:
    """Simulate from the consensus on: points on the line, components of variance 1."""
    rng, n, pi, means = trial.rng(), 6, np.array([0.5, 0.5]), np.array([0.0, 2.0])
    size, blocks, first, last = trial.pick((60, 19, 6, 26), (400, 160, 6, 26))
    _, density = densities(means)
    # of the two modes one is that of the sum and has the eigenvalue 1
    rate = float(np.trace(pi[:, None] * density @ (density / (pi @ density)).T)) - 1
    results = [
        process.overlapping(
            rng,
            100,
            last,
            means=means,
            models=n,
            posts=1,
            points=size,
            prior=0.0,
            weights=np.tile(pi, (n, 1)),
            web=np.array([size // 2] * 2),
        )
        for _ in range(blocks)  # that fit a cache
    ]
    t = np.arange(first, last + 1)
    k, points = results[0].draws[t - 1], results[0].points[t - 1]
    squares = np.concatenate([process.norm_squared(x.weights)[t] for x in results], axis=1)
    # E‖D‖² = 2n(n-1) V Σ π(1-π), the sum being 1/2
    scaled = 2 * k[:, None] * squares / (n * (n - 1))
    runs = scaled.shape[1]
    found, error = scaled.mean(), scaled.mean(axis=0).std() / np.sqrt(runs)
    law = [form(rate, *row) for row in zip(k, points, strict=True)]
    course = scaled.mean(axis=1).tolist(), (scaled.std(axis=1) / np.sqrt(runs)).tolist()
    picture = Panel(t.tolist(), [("law", law)], [("simulated", *course)], "t", "2k V")
    return statistical(
        found, np.mean(law), error, runs, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="commensal.caught_until",
    where="commensal.theory.mixture.escape_probability",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("two components", "positive floor", "falling steps", "many points"),
    statement="With overlapping components a weight caught at ε gets free as soon as c_t falls "
    "below ε a(e^(Δ²)-1), a its component's share of the web (two components of variance 1 at "
    "distance Δ, k large). With c_t = 1/(k_t B²) and ε > 0 that comes sooner or later.",
    latex=r"c^* = \epsilon\, a \left(e^{\Delta^2} - 1\right)",
    printed=lambda epsilon, a, distance: epsilon * a * np.expm1(distance**2),
    remark="A weight p near 0 expects p[1 + a(e^(Δ²)-1)] of a point's ownership, and loses p + c. "
    "So it is caught for ever only if ε = 0 or c does not fall as 1/t (the share a falls more "
    "slowly, see commensal.caught_leads); but at ε = 1e-10, Δ = 1 and a = 1/2 it takes k_t = 3e9. "
    "Before, exceptional points may free it, the more so the larger Δ (escape_probability).",
    mutations={
        "three times": lambda epsilon, a, distance: 3 * epsilon * a * np.expm1(distance**2),
        "a third": lambda epsilon, a, distance: epsilon * a * np.expm1(distance**2) / 3,
        "e^(Δ/2)": lambda epsilon, a, distance: epsilon * a * np.expm1(distance / 2),
    },
)
def _caught_until(form, trial: Trial) -> Evidence:
    """Simulate one caught model in a web that hardly changes, for c below and above the bound."""
    epsilon, distance, generations = 1e-3, 1.0, 14
    size, runs, beside = trial.pick((800, 30, 1.6), (4000, 100, 1.25))
    web = np.array([size // 2, size // 2])
    rng, free, courses = trial.rng(), [], []
    for factor in (1 / beside, beside):
        result = process.overlapping(
            rng,
            runs,
            generations,
            means=np.array([0.0, distance]),
            models=1,
            posts=1,
            points=size,
            weights=np.array([[1 - epsilon, epsilon]]),
            web=web,
            epsilon=epsilon,
            prior=factor * form(epsilon, 0.5, distance),
        )
        weight = result.weights[:, 1, :, 0]
        courses.append((f"c = {factor:.3g} c*", np.median(weight, axis=1).tolist()))
        free.append(float((weight[-1] > 0.1).mean()))
    holds = free[0] > 0.8 and free[1] < 0.2
    text = f"free after {generations} generations: {free[0]:.0%} below c*, {free[1]:.0%} above"
    picture = Panel(
        list(range(generations + 1)), courses, (), "generation", "caught weight, median", "y"
    )
    return Evidence(holds, text, {"free below c*": free[0], "free above": free[1]}, 0, (picture,))


@known.claim(
    id="commensal.caught_leads",
    where="commensal.theory.mixture.escape_probability",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("everything kept", "all read alike", "falling steps", "many points"),
    statement="While m of n models are caught without a component, the others follow them: the "
    "component's expected share of web and weights falls as t^(-m/n), and so does ‖D‖. Only models "
    "caught without different components stay apart.",
    latex=r"E a_t \sim t^{-m/n}",
    printed=lambda m, n: m / n,
    remark="The web gets (n-m)/n of its share per post, and the free models follow the web. So a "
    "caught model does not stay at a fixed distance: in runs with one of three caught (Δ = 2.5, "
    "ε = 1e-10) ‖D‖ is 0.71 at t = 30 and 0.48 at t = 100. "
    "webdynamics.conjecture_5 has two models that are caught at opposite ends.",
    mutations={
        "odds": lambda m, n: m / (n - m),
        "not at all": lambda m, n: 0.0,
        "factor 1.05": lambda m, n: 1.05 * m / n,
    },
)
def _caught_leads(form, trial: Trial) -> Evidence:
    """Follow expected weights of free models and the web's share, generation by generation."""
    last, posts, slopes, expected = trial.pick(5000, 50_000), 3, [], []
    for m, n in ((1, 3), (1, 2), (3, 4), (2, 7)):
        x = a = 0.5
        course = []
        for t in range(last + 1):
            size = process.START + n * posts * t
            kept = (1 - 2 / size) ** (size / 2)
            x, a = (
                kept * x + (1 - kept) * a,
                (size * a + (n - m) * posts * x) / (size + n * posts),
            )
            course.append(a)
        slopes.append(-np.log(course[last] / course[last // 2]) / np.log(2))
        expected.append(form(m, n))
    return identity(slopes, expected, 0.005, instances=4)
