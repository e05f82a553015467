"""`webdynamics`: the expected update, the proof of app. A."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import permutations

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity, stated, symbolic

known = Register()

DISTANCE = 10.0
"""Distance of the two components of fig. 4, in standard deviations."""


def densities(means: np.ndarray, step: float = 1 / 64) -> tuple[np.ndarray, np.ndarray]:
    """Return a grid, and the densities of unit normals on it as (B, points), times its step."""
    u = np.arange(means.min() - 10, means.max() + 10, step)
    return u, np.exp(-0.5 * (u - means[:, None]) ** 2) * step / np.sqrt(2 * np.pi)


def line(components: int, distance: float = DISTANCE) -> np.ndarray:
    """Return evenly spaced means."""
    return distance * (np.arange(components) - (components - 1) / 2)


@known.claim(
    id="webdynamics.source_of_a_draw",
    where="app. A, before eq. (8)",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=("everything kept", "all read alike"),
    breaks=("none",),
    statement="If A⁽⁰⁾ is empty, each of the k points comes from any model of any earlier "
    "generation with the same probability, 1/(nt), whichever place in the order it has and "
    "although points are drawn without replacement.",
    latex=r"p_{i'}^{(t')} = (nt)^{-1}, \quad (i', t') \in [n] \times [t-1]",
    printed=lambda n, t: {(i, s): Fraction(1, n * t) for i in range(n) for s in range(1, t)},
    correction="t' runs over 0, ..., t-1, as in the definition of the average below (10). Over "
    "[t-1] = {1, ..., t-1}, read as [n] is in the same line, the probabilities add up to 1 - 1/t.",
    correction_latex=r"p_{i'}^{(t')} = (nt)^{-1}, \quad (i', t') \in [n] \times \{0, \dots, t-1\}",
    corrected=lambda n, t: {(i, s): Fraction(1, n * t) for i in range(n) for s in range(t)},
    remark="This is not so for two points together: without replacement they are correlated by "
    "-1/(N-1), which does not matter to the expectation for separated components, but does to the "
    "variance. With |A⁽⁰⁾| initial points the probability is L/(|A⁽⁰⁾| + nLt). App. A also has N "
    "models where everything else has n.",
    fault="misprint",
    doubt="solid",
    mutations={
        "also the present generation": lambda n, t: {
            (i, s): Fraction(1, n * (t + 1)) for i in range(n) for s in range(t + 1)
        },
        "1/(n(t+1))": lambda n, t: {
            (i, s): Fraction(1, n * (t + 1)) for i in range(n) for s in range(t)
        },
    },
)
def _source_of_a_draw(form, trial: Trial) -> Evidence:
    """Enumerate every ordered draw of k points, one after another."""
    wrong, instances = [], 0
    for n, t, posts, k in ((2, 2, 1, 3), (1, 3, 2, 3), (2, 2, 2, 2), (3, 2, 1, 4)):
        web = [(i, s) for s in range(t) for i in range(n) for _ in range(posts)]
        draws = list(permutations(web, k))
        for place in range(k):
            counts = Counter(draw[place] for draw in draws)
            law = {source: Fraction(c, len(draws)) for source, c in counts.items()}
            instances += 1
            claimed = form(n, t)
            if claimed != law:
                wrong.append(f"n = {n}, t = {t}: total {sum(claimed.values())}")
    text = f"{instances} laws of a draw counted out exactly"
    return stated(not wrong, f"{text}; not so for {wrong[0]}" if wrong else text, laws=instances)


@known.claim(
    id="webdynamics.eq9_ownership",
    where="eq. (8) = (9)",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=("none",),
    statement="The ownership that model i expects of a point from another mixture is its own "
    "weight times the other mixture's density over its own, averaged over the component.",
    latex=r"\int o_{i,b}(u)\,dg_{i'}(u) = \pi_{i,b}"
    r" \int \frac{g_{i'}(u)}{g_i(u)}\,dN(u;\mu_b,\Sigma)",
    printed=lambda pi, own, other: pi * other / own,
    remark="This is an identity for any overlap; weights near zero are among the instances.",
    mutations={
        "ratio upside down": lambda pi, own, other: pi * own / other,
        "factor 1.01": lambda pi, own, other: 1.01 * pi * other / own,
    },
)
def _eq9_ownership(form, trial: Trial) -> Evidence:
    """Compare integrals over points of the other mixture with those over the component's points."""
    rng = trial.rng()
    found, expected = [], []
    for instance in range(trial.pick(20, 200)):
        b = int(rng.integers(2, 6))
        means = np.sort(rng.uniform(0.1, 4, b)).cumsum()
        pi, other = rng.dirichlet(np.full(b, 0.1 if instance % 2 else 1.0), 2) + 1e-12
        _, n = densities(means)
        own, theirs = pi @ n, other @ n
        found.append([np.sum(form(pi[m], own, theirs) * n[m]) for m in range(b)])
        # another grid: nothing but the integral is shared
        n = densities(means, 1 / 50)[1]
        expected.append(pi[:, None] * n / (pi @ n) @ n.T @ other)
    return identity(found, expected, 1e-9)


def _cell(u: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return which mean is nearest."""
    return np.abs(u - means[:, None]).argmin(axis=0)


@known.claim(
    id="webdynamics.density_ratio",
    where="app. A, between eq. (9) and (10)",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=("separated components",),
    statement="For components far apart the ratio of two mixtures' densities is about the ratio "
    "of their weights at each component.",
    latex=r"\frac{g_{i'}(u)}{g_i(u)} \approx"
    r" \sum_\ell \frac{\pi_{i',\ell}}{\pi_{i,\ell}} 1_{(u \approx \mu_\ell)}",
    printed=lambda u, means, ratio: ratio[_cell(u, means)],
    remark="The text has 1_(u = μ_ℓ), which is zero for all but B points, and so is its integral "
    "in the next line. A ≈ may have been read as an =; what the proof goes on with is u near μ_ℓ, "
    "here taken as nearest. The check takes the mean error under every component at the distance "
    "of fig. 4, ten standard deviations.",
    fault="misprint",
    doubt="may be the text's extraction",
    mutations={
        "u = μ, as in the text": lambda u, means, ratio: (
            ratio[:, None] * (u == means[:, None])
        ).sum(axis=0),
        "ratio upside down": lambda u, means, ratio: 1 / ratio[_cell(u, means)],
        "factor 1.01": lambda u, means, ratio: 1.01 * ratio[_cell(u, means)],
    },
)
def _density_ratio(form, trial: Trial) -> Evidence:
    rng = trial.rng()
    found, expected = [], []
    for _ in range(trial.pick(5, 50)):
        b = int(rng.integers(2, 5))
        means = line(b) + rng.uniform(-0.2, 0.2, b)
        own, other = rng.uniform(0.2, 1, (2, b))
        own, other = own / own.sum(), other / other.sum()
        u, n = densities(means)
        truth = (other @ n) / (own @ n)
        found.append(truth @ n.T + np.abs(form(u, means, other / own) - truth) @ n.T)
        expected.append(truth @ n.T)
    return identity(found, expected, 1e-5)


@known.claim(
    id="webdynamics.eq10_expected_update",
    where="eq. (8)-(10)",
    kind="numerical",
    proof="sketched there",
    verdict="holds",
    premises=("separated components", "everything kept", "all read alike"),
    statement="For components far apart one update by a random point of the web moves a model, in "
    "expectation, towards the weights averaged over all models and all past generations.",
    latex=r"(1-\alpha_t)\pi_{i,b} + \alpha_t"
    r" \frac{\bar\pi_b^{(t)} - c_{t,B}}{1 - B c_{t,B}}",
    printed=lambda pi, past, a, c: (
        (1 - a) * pi + a * (past.mean(axis=(0, 1)) - c) / (1 - pi.size * c)
    ),
    remark="The error is the overlap, about e^(-Δ²/8) for components Δ standard deviations apart: "
    "some 1e-6 at the Δ = 10 of fig. 4. At Δ = 2 the pull towards the average is about halved "
    "(commensal.overlap_moments), and the statement fails.",
    mutations={
        "generation 0 left out": lambda pi, past, a, c: (
            (1 - a) * pi + a * (past[1:].mean(axis=(0, 1)) - c) / (1 - pi.size * c)
        ),
        "c not multiplied by B": lambda pi, past, a, c: (
            (1 - a) * pi + a * (past.mean(axis=(0, 1)) - c) / (1 - c)
        ),
    },
)
def _eq10_expected_update(form, trial: Trial) -> Evidence:
    """Integrate the update of Algorithm 2 over the points of every mixture of the past."""
    rng = trial.rng()
    found, expected, close = [], [], 0.0
    for _ in range(trial.pick(4, 40)):
        t, n, b, k = (int(rng.integers(2, top)) for top in (6, 5, 5, 60))
        past = rng.dirichlet(np.full(b, 2.0), (t, n))
        pi, a, c = past[-1, 0], 1 / k, 1 / (k * b**2)
        for distance in (DISTANCE, 2.0):
            _, density = densities(line(b, distance))
            owned = pi[:, None] * density / (pi @ density)
            updated = (1 - a) * pi[:, None] + a * (owned - c) / (1 - b * c)
            truth = np.mean([updated @ (row @ density) for row in past.reshape(-1, b)], axis=0)
            if distance == DISTANCE:
                found.append(form(pi, past, a, c))
                expected.append(truth)
            else:
                close = max(close, float(np.abs(form(pi, past, a, c) - truth).max() / a))
    near = stated(True, f"at Δ = 2 off by up to {close:.2f} α", **{"off at Δ = 2": close})
    return identity(found, expected, 1e-5) & near


@known.claim(
    id="webdynamics.geometric_sum",
    where="app. A, the line after eq. (10)",
    kind="symbolic",
    proof="stated there",
    verdict="holds as corrected",
    premises=("none",),
    breaks=("none",),
    statement="The weights that k updates give to their targets add up as a geometric sum.",
    latex=r"\alpha_t \sum_{s=0}^{k_t-1} \bar\alpha_t^s = 1 - \bar\alpha_t^{k_t+1}",
    printed=lambda kept, k: 1 - kept ** (k + 1),
    correction="The sum of k terms is 1 - ᾱ^k; with the printed one the weights would sum to more "
    "than one.",
    correction_latex=r"\alpha_t \sum_{s=0}^{k_t-1} \bar\alpha_t^s = 1 - \bar\alpha_t^{k_t}",
    corrected=lambda kept, k: 1 - kept**k,
    fault="misprint",
    doubt="solid",
    mutations={
        "one less": lambda kept, k: 1 - kept ** (k - 1),
        "factor 1.01": lambda kept, k: 1.01 * (1 - kept**k),
    },
)
def _geometric_sum(form, trial: Trial) -> Evidence:
    """Prove by induction over k: nothing for k = 0, and one term more for each k."""
    import sympy as sp

    kept = sp.Symbol("q", positive=True)
    k = sp.Symbol("k", integer=True, nonnegative=True)
    step = form(kept, k + 1) - form(kept, k) - (1 - kept) * kept**k
    return symbolic(form(kept, sp.Integer(0)), sp.expand(step))


@known.claim(
    id="webdynamics.convex_combination",
    where="app. A, after eq. (10)",
    kind="symbolic",
    proof="stated there",
    verdict="holds as corrected",
    premises=("separated components", "no positivity step"),
    breaks=("none",),
    statement="After k updates the expected weight is a convex combination of the old one, "
    "scaled, and of the value in brackets, which is the same for all models.",
    latex=r"\bar\alpha^{k+1} \frac{\pi_{i,b}}{1-\alpha} + (1 - \bar\alpha^{k+1}) [\,\cdot\,]",
    printed=lambda pi, kept, k: (kept ** (k + 1), pi / kept),
    correction="This follows from the wrong sum: the old weight itself is combined, not a scaled "
    "one.",
    correction_latex=r"\bar\alpha^k \pi_{i,b} + (1 - \bar\alpha^k) [\,\cdot\,]",
    corrected=lambda pi, kept, k: (kept**k, pi),
    repeats="webdynamics.geometric_sum",
    mutations={
        "ᾱ^(k+1) of the old": lambda pi, kept, k: (kept ** (k + 1), pi),
        "old weight scaled": lambda pi, kept, k: (kept**k, pi / kept),
    },
)
def _convex_combination(form, trial: Trial) -> Evidence:
    """Compare with eq. (10) applied k times; the bracket is ``m``."""
    import sympy as sp

    pi, m, a = sp.symbols("pi m alpha", positive=True)
    left, x = [], pi
    for k in range(1, 6):
        x = (1 - a) * x + a * m
        share, old = form(pi, 1 - a, sp.Integer(k))
        left.append(sp.expand(share * old + (1 - share) * m - x))
    return symbolic(*left)


@known.claim(
    id="webdynamics.difference_in_expectation",
    where="app. A, last display",
    kind="symbolic",
    proof="sketched there",
    verdict="holds",
    premises=("separated components", "no positivity step", "all read alike"),
    statement="For separated components and without the positivity step the expected difference "
    "of two models that draw from one web shrinks by (1-α)^k in a generation. With α = 1/k this "
    "factor tends to 1/e.",
    latex=r"E(\pi_{i,b}' - \pi_{i',b}') = (1-\alpha_t)^{k_t} (\pi_{i,b} - \pi_{i',b}), \quad"
    r" \lim_{k \to \infty} (1 - 1/k)^k = e^{-1}",
    printed=lambda a, k: (1 - a) ** k,
    remark="The statement is exact there, not approximate, for every k and whatever is on the "
    "web. It is about the expectation of the difference and not the difference itself "
    "(webdynamics.differences_contract).",
    mutations={
        "ᾱ^(k+1)": lambda a, k: (1 - a) ** (k + 1),
        "1 - αk": lambda a, k: 1 - a * k,
        "contraction squared": lambda a, k: (1 - a) ** (2 * k),
    },
)
def _difference_in_expectation(form, trial: Trial) -> Evidence:
    """Enumerate all ordered draws from a web of four points, each taken through Algorithm 2."""
    import sympy as sp

    a, c = sp.symbols("alpha c", positive=True)
    web, left = (0, 0, 1, 2), []
    for k in (1, 2, 3):
        draws = list(permutations(web, k))
        after = []
        for name in ("pi", "rho"):
            start = sp.symbols(f"{name}:3")
            total = [sp.Integer(0)] * 3
            for draw in draws:
                x = list(start)
                for label in draw:
                    x = [(1 - a) * x[b] + a * (int(label == b) - c) / (1 - 3 * c) for b in range(3)]
                total = [y + z for y, z in zip(total, x, strict=True)]
            after.append((start, [y / len(draws) for y in total]))
        (pi, first), (rho, second) = after
        gaps = (x - y for x, y in zip(first, second, strict=True))
        left += [
            sp.expand(sp.together(gap) - form(a, k) * (p - q))
            for gap, p, q in zip(gaps, pi, rho, strict=True)
        ]
    k = sp.Symbol("k", positive=True)
    return symbolic(*left, sp.limit(form(1 / k, k), k, sp.oo) - sp.exp(-1))
