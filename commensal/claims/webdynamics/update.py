"""`webdynamics`: the update of the weights, Algorithm 2 (sec. 3.2)."""

from __future__ import annotations

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity, stated, symbolic

known = Register()


@known.claim(
    id="webdynamics.update_sum",
    where="eq. (7)",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=("no positivity step",),
    statement="One update by one point leaves the weights a vector that sums to one.",
    latex=r"\pi_b \leftarrow (1-\alpha_t)\pi_b"
    r" + \alpha_t \frac{o_b - c_{t,B}}{1 - B c_{t,B}}",
    printed=lambda pi, o, a, b, c, _: (1 - a) * pi + a * (o - c) / (1 - b * c),
    remark="The text has c_B in the place of the c_{t,B} of the denominator; a lost index is all "
    "the difference, and Algorithm 2 has it right. The sum is that before the positivity step.",
    fault="misprint",
    doubt="may be the text's extraction",
    mutations={
        "c_B, as in the text": lambda pi, o, a, b, c, other: (
            (1 - a) * pi + a * (o - other) / (1 - b * c)
        ),
        "denominator without B": lambda pi, o, a, b, c, _: (1 - a) * pi + a * (o - c) / (1 - c),
        "prior added": lambda pi, o, a, b, c, _: (1 - a) * pi + a * (o + c) / (1 - b * c),
    },
)
def _update_sum(form, trial: Trial) -> Evidence:
    import sympy as sp

    a, c, other = sp.symbols("alpha c c_B", positive=True)
    left = []
    for count in (2, 3, 5):
        pi, o = (list(sp.symbols(f"{name}:{count - 1}")) for name in ("pi", "o"))
        pi, o = ([*x, 1 - sum(x)] for x in (pi, o))
        left.append(sum(form(p, q, a, count, c, other) for p, q in zip(pi, o, strict=True)) - 1)
    return symbolic(*left)


@known.claim(
    id="webdynamics.prior_as_map",
    where="sec. 3.2, the update and its source",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=("separated components", "falling steps"),
    statement="With α_j = 1/j the update gives what k ownerships and a prior make most probable: "
    "the prior ∏ π_b^(-kc) takes kc points from each component. With α = 1/k throughout, as the "
    "experiment has it, it is instead an average that forgets: the j-th of k points has weight "
    "α(1-α)^(k-j), the old weights keep (1-α)^k.",
    latex=r"\frac{\sum_j o_b(u_j) - k c}{k - B k c}",
    printed=lambda total, k, b, c: (total - k * c) / (k - b * k * c),
    remark="The earliest of the k points therefore counts e times less than the last, and the "
    "result depends on their order, which is random. Ownerships are held fixed here, as they are "
    "for components that do not overlap.",
    mutations={
        "prior given": lambda total, k, b, c: (total + k * c) / (k + b * k * c),
        "one point's prior": lambda total, k, b, c: (total - c) / (k - b * c),
    },
)
def _prior_as_map(form, trial: Trial) -> Evidence:
    """Check the maximum of Σ_b (total_b - kc) log π_b: its gradient is the same for all b there."""
    import sympy as sp

    c, a = sp.symbols("c alpha")
    left = []
    for b, k in ((2, 3), (3, 4)):
        o = [[*row, 1 - sum(row)] for row in (sp.symbols(f"o{j}_:{b - 1}") for j in range(k))]
        old = [*sp.symbols(f"pi:{b - 1}")]
        old.append(1 - sum(old))
        recursive, constant = list(old), list(old)
        for j, point in enumerate(o, 1):
            for x, rate in ((recursive, sp.Rational(1, j)), (constant, a)):
                for m in range(b):
                    x[m] = (1 - rate) * x[m] + rate * (point[m] - c) / (1 - b * c)
        totals = [sum(point[m] for point in o) for m in range(b)]
        best = [form(total, k, b, c) for total in totals]
        # stationary under Σ π = 1: (total_b - kc)/π_b does not depend on b
        slopes = [(totals[m] - k * c) * best[0] - (totals[0] - k * c) * best[m] for m in range(b)]
        left += [sum(best) - 1, *slopes, *(x - y for x, y in zip(best, recursive, strict=True))]
        for m in range(b):
            seen = sum(a * (1 - a) ** (k - j) * p[m] for j, p in enumerate(o, 1))
            pull = (seen - c * (1 - (1 - a) ** k)) / (1 - b * c)
            left.append((1 - a) ** k * old[m] + pull - constant[m])
    return symbolic(*left)


def _positivity(rescale):
    """Make lines 7 to 14 with another rescaling of the other weights."""

    def step(pi: np.ndarray, epsilon: float) -> np.ndarray:
        pi = pi.copy()
        for b in range(pi.size):
            if pi[b] <= 0:
                pi = pi * rescale(pi[b], epsilon)
                pi[b] = epsilon
        return pi

    return step


@known.claim(
    id="webdynamics.positivity_sum",
    where="Algorithm 2, lines 7-14",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=("none",),
    breaks=("none",),
    statement="The positivity step leaves a probability vector.",
    latex=r"\pi_{b'} \leftarrow \frac{\pi_{b'}}{1 + \epsilon - \pi_b}\ (b' \neq b),"
    r"\quad \pi_b \leftarrow \epsilon",
    printed=_positivity(lambda low, e: 1 / (1 + e - low)),
    correction="The other weights must be multiplied by (1-ε)/(1-π_b). The printed step leaves a "
    "sum of 1 + ε(ε+x)/(1+ε+x), x = -π_b ≤ αc/(1-Bc).",
    correction_latex=r"\pi_{b'} \leftarrow \pi_{b'} \frac{1-\epsilon}{1 - \pi_b}",
    corrected=_positivity(lambda low, e: (1 - e) / (1 - low)),
    remark="This does not matter for small ε: the excess is O(ε(ε+αc)), and each further point "
    "leaves 1-α of it. It is O(ε²) only where αc = 1/(kB)² is below ε. But Algorithm 2 admits ε up "
    "to 1, and there one lifted weight makes the sum 3/2.",
    fault="misprint",
    doubt="solid",
    mutations={
        "only the negative part": _positivity(lambda low, e: 1 / (1 - low)),
        "ε added": _positivity(lambda low, e: (1 + e) / (1 - low)),
    },
)
def _positivity_sum(form, trial: Trial) -> Evidence:
    rng = trial.rng()
    sums, formula = [], []
    for instance in range(trial.pick(200, 2000)):
        b, k = int(rng.integers(2, 12)), int(rng.integers(2, 50))
        pi = rng.dirichlet(np.full(b, 0.05 if instance % 2 else 1.0))
        a, c = 1 / k, 1 / (k * b**2)
        epsilon = (1e-6, 0.01, 0.3, 1.0)[instance % 4]
        owned = np.eye(b)[rng.integers(b)]
        before = (1 - a) * pi + a * (owned - c) / (1 - b * c)
        after = form(before, epsilon)
        sums.append(after.sum())
        if (before <= 0).sum() == 1:
            x = -before.min()
            formula.append(sums[-1] - 1 - epsilon * (epsilon + x) / (1 + epsilon + x))
    numbers = {"largest sum": max(sums), "off 1 + ε(ε+x)/(1+ε+x)": np.abs(formula).max()}
    evidence = identity(sums, np.ones(len(sums)), 1e-12, instances=len(sums))
    return evidence & stated(True, f"largest sum {max(sums):.4g}", **numbers)


@known.claim(
    id="webdynamics.empty_web",
    where="app. A, with Algorithms 2 and 3",
    kind="numerical",
    proof="stated there",
    verdict="holds, restricted",
    premises=("initial web",),
    breaks=("initial web",),
    statement="A⁽⁰⁾ may be taken as empty, with k_t = ⌊β|A⁽ᵗ⁾|⌋ and α_t = 1/k_t in (0, 1).",
    latex=r"A^{(0)} = \emptyset, \quad \alpha_t = k_t^{-1} \in (0, 1)",
    printed=((0, 0),),
    restriction="Generation 0 must post and not learn, or the web must have 2/β points to start "
    "from.",
    # all learn from t = 1 on; or there are 2/β points; or twenty, as in sec. 4.1
    corrected=((0, 1), (4, 0), (20, 0)),
    remark="At t = 0 the printed k_0 is 0, so that α_0 and c_0 are 1/0. (With one draw α is 1, "
    "which forgets everything.) If all learn from t = 1 on, it begins with a web that the models "
    "wrote.",
    fault="wording",
    doubt="solid",
    mutations={
        "one point from the start": ((1, 0),),
        "three points, one draw": ((3, 0),),
    },
)
def _empty_web(form, trial: Trial) -> Evidence:
    """Count the draws; ``form`` has pairs of |A⁽⁰⁾| and the generation that learns first."""
    least, parts, holds = [], [], True
    for points, first in form:
        draws = {t: int(0.5 * (points + 9 * t)) for t in range(first, 200)}
        bad = [(t, k) for t, k in draws.items() if k < 2]
        holds &= not bad
        least.append(min(draws.values()))
        told = f"k_{bad[0][0]} = {bad[0][1]}" if bad else f"k_t ≥ {least[-1]}"
        parts.append(f"|A⁽⁰⁾| = {points}, from t = {first} on: {told}")
    return stated(holds, f"β = 1/2, nL = 9; {'; '.join(parts)}", **{"smallest k": min(least)})
