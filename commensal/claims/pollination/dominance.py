"""`pollination`: Cliff's δ, the Mann-Whitney statistic and overlap (app. B.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity, stated

known = Register()


def _samples(trial: Trial) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw X (across) and Y (within), continuous, or with ties as similarities of sets have."""
    rng = trial.rng()
    for n, m, levels in ((5, 3, 0), (40, 17, 0), (30, 30, 4), (50, 8, 10), (6, 6, 1)):
        x, y = rng.standard_normal(n), rng.standard_normal(m) + 0.4
        yield (np.round(levels * x), np.round(levels * y)) if levels else (x, y)


def _dominance(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Return Pr(X > Y), Pr(X < Y) and Pr(X = Y), by counting."""
    sign = np.sign(x[:, None] - y[None, :])
    return tuple(float(np.mean(sign == s)) for s in (1, -1, 0))  # pyright: ignore[reportReturnType]


@known.claim(
    id="pollination.delta_mann_whitney",
    where="app. B.2",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=("none",),
    statement="Cliff's δ is 2U/(n_c n_w) - 1, with U the Mann-Whitney statistic of X.",
    latex=r"\hat\delta = \frac{2U}{n_c n_w} - 1",
    printed=lambda u, n, m: 2 * u / (n * m) - 1,
    remark="It holds with ties, too, as U counts each of them half.",
    mutations={
        "the U of Y": lambda u, n, m: 2 * (n * m - u) / (n * m) - 1,
        "n of one sample": lambda u, n, m: 2 * u / (n * n) - 1,
    },
)
def _delta_mann_whitney(form, trial: Trial) -> Evidence:
    found, expected = [], []
    for x, y in _samples(trial):
        above, below, _ = _dominance(x, y)
        found.append(form(stats.mannwhitneyu(x, y).statistic, x.size, y.size))
        expected.append(above - below)
    return identity(np.array(found), np.array(expected), instances=len(found))


@known.claim(
    id="pollination.delta_probability",
    where="app. B.2",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=("no ties",),
    breaks=("no ties",),
    statement="δ gives the probabilities that one sample exceeds the other.",
    latex=r"\Pr(Y > X) = \frac{1 - \hat\delta}{2}, \quad \Pr(X > Y) = \frac{1 + \hat\delta}{2}",
    printed=lambda delta, tie: ((1 - delta) / 2, (1 + delta) / 2),
    corrected=lambda delta, tie: ((1 - tie - delta) / 2, (1 - tie + delta) / 2),
    correction="Ties count in neither: take Pr(X = Y) off both.",
    correction_latex=r"\Pr(Y > X) = \frac{1 - \Pr(X = Y) - \hat\delta}{2}, \quad "
    r"\Pr(X > Y) = \frac{1 - \Pr(X = Y) + \hat\delta}{2}",
    remark="Similarities of sets of 1,000 words are tied now and then (in 0.2 % of the comparisons "
    "in sec. 4), so little is lost there.",
    fault="wording",
    doubt="solid",
    mutations={
        "half the ties": lambda delta, tie: ((1 - tie / 2 - delta) / 2, (1 - tie / 2 + delta) / 2),
        "exchanged": lambda delta, tie: ((1 - tie + delta) / 2, (1 - tie - delta) / 2),
    },
)
def _delta_probability(form, trial: Trial) -> Evidence:
    found, expected = [], []
    for x, y in _samples(trial):
        above, below, tie = _dominance(x, y)
        found.append(form(above - below, tie))
        expected.append((below, above))
    return identity(np.array(found), np.array(expected), instances=len(found))


@known.claim(
    id="pollination.delta_and_overlap",
    where="app. B.2",
    kind="numerical",
    proof="stated there",
    verdict="fails",
    premises=("none",),
    breaks=("none",),
    statement="Values of δ near 0 indicate substantial overlap.",
    latex=r"\delta \approx 0 \implies \text{OVL} \gg 0",
    printed=lambda delta, overlap: overlap > 0.25 if abs(delta) < 0.05 else True,
    remark="In the counterexample X lies between two halves of Y: δ = 0, and there is no overlap. "
    "What is true is one direction, |δ| ≤ 1 - OVL²: the mass that both share is exchangeable, so X "
    "and Y exceed each other equally often where both are drawn from it.",
    fault="wording",
    doubt="solid",
    mutations={"|δ| ≤ 1 - OVL²": lambda delta, overlap: abs(delta) <= 1 - overlap**2 + 1e-12},
)
def _delta_and_overlap(form, trial: Trial) -> Evidence:
    """Compare laws on a grid: random ones, shifted ones, and X between two halves of Y."""
    rng, size = trial.rng(), 30
    laws = [(np.eye(size)[15], (np.eye(size)[3] + np.eye(size)[27]) / 2)]
    for _ in range(trial.pick(300, 3000)):
        sharp = rng.choice([0.05, 0.3, 1.0])
        laws.append((rng.dirichlet(np.full(size, sharp)), rng.dirichlet(np.full(size, sharp))))
    broken, most = 0, 0.0
    for x, y in laws:
        # ties within a cell count in neither: as for densities that are constant on the cells
        delta = float(x @ (np.cumsum(y) - y) - y @ (np.cumsum(x) - x))
        overlap = float(np.minimum(x, y).sum())
        if not form(delta, overlap):
            broken += 1
            most = max(most, 1 - overlap)
    text = f"broken by {broken} of {len(laws)} pairs of laws"
    return stated(broken == 0, text, broken=broken, laws=len(laws), largest_gap=most)
