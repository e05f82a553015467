"""`commensal`: laws of ecosystems on segmented data that follow from its recursion.

Nothing of :mod:`commensal.theory.ecosystem` is called: forms are written out, and moments follow
from a recursion of their own, or from every course of events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Number, at_most, identity, stated, symbolic
from commensal.claims._premises import DEALT
from commensal.claims._search import attack
from commensal.claims.ours._ecosystem import enumerated

known = Register()

WHERE = "new here; extends diversity sec. 3"


def refitted(
    mean: np.ndarray, second: np.ndarray, sizes: np.ndarray, hold: float | int
) -> tuple[np.ndarray, np.ndarray]:
    """Return E q^k (M, X) and E q^k q^l (M, M, X) after one more fit, by total covariance."""
    tokens, keep = sizes.sum(), hold / (sizes + hold)
    move = 1 - keep
    pool = sizes @ mean / tokens
    own = np.einsum("l,klx->kx", sizes, second) / tokens
    # two tokens of the pool, drawn without replacement
    pair = np.einsum("k,l,klx->x", sizes, sizes, second) - np.einsum("k,kkx->x", sizes, second)
    pair = pair / (tokens * (tokens - 1))
    cross = (keep[:, None] * move)[..., None] * own[:, None]
    repeat = (np.eye(len(sizes)) / sizes)[..., None] * (pool - pair)
    moved = np.outer(move, move)[..., None] * (pair + repeat)
    kept = np.outer(keep, keep)[..., None] * second + cross + cross.swapaxes(0, 1)
    return keep[:, None] * mean + move[:, None] * pool, kept + moved


def distances(
    law: np.ndarray,
    prior: np.ndarray,
    weight: np.ndarray,
    sizes: np.ndarray,
    hold: float | int,
    generations: int,
) -> np.ndarray:
    """Return E Σ a (q - p)² of each model and, last, of their pool, (T, M + 1), type by type."""
    keep = (hold / (sizes + hold))[:, None]
    mean = keep * prior + (1 - keep) * law
    noise = np.diag((1 - keep[:, 0]) ** 2 / sizes)
    second = mean[:, None] * mean + noise[..., None] * law * (1 - law)
    share, found = sizes / sizes.sum(), []
    for _ in range(generations):
        own = np.einsum("kkv->kv", second) - 2 * mean * law + law**2
        pool = np.einsum("klv,k,l->v", second, share, share) - 2 * share @ mean * law + law**2
        found.append(np.append(own @ weight, pool @ weight))
        mean, second = refitted(mean, second, sizes, hold)
    return np.array(found)


NUMBERS = {
    "D_0": lambda law, prior: (prior - law) ** 2,
    "H_0": lambda law, prior: law * (1 - law),
    "H_1": lambda law, prior: (prior - law) * (1 - 2 * law),
}
"""Terms that each word type adds to a number, to be multiplied by its weight a."""


def alike(
    names: Sequence[str], vocabularies: Sequence[tuple[np.ndarray, np.ndarray]], cost: np.ndarray
) -> list[np.ndarray] | None:
    """Find weights a >= 0.1 by which two vocabularies agree in the numbers named, or None."""
    from scipy.optimize import linprog

    rows = [[NUMBERS[name](*v) for v in vocabularies] for name in names]
    equal = np.array([np.append(one, -other) for one, other in rows])
    # rows of one scale: the solver's tolerance is absolute
    equal = equal / np.abs(equal).max(axis=1, keepdims=True)
    found = linprog(cost, A_eq=equal, b_eq=np.zeros(len(names)), bounds=(0.1, 1e3))
    if found.x is None:
        return None
    # to rounding, by the least change
    x = found.x - np.linalg.pinv(equal) @ (equal @ found.x)
    return np.split(x, [len(vocabularies[0][0])])


@known.claim(
    id="commensal.three_number_law",
    where=WHERE,
    kind="numerical",
    verdict="holds",
    premises=(
        "word types",
        "random segments",
        "plain sampling",
        "no human data later",
        "quadratic distance",
    ),
    proof="proved here",
    statement="A quadratic distance from the truth, expected after any number of generations for "
    "segments of any sizes, depends on the vocabulary through three numbers only, and needs "
    "all three.",
    latex=r"D_0 = \sum_v a_v (\pi_v - p_v)^2, \quad H_0 = \sum_v a_v p_v (1 - p_v), \quad "
    r"H_1 = \sum_v a_v (\pi_v - p_v)(1 - 2 p_v)",
    printed=tuple(NUMBERS),
    mutations={f"without {name}": tuple(n for n in NUMBERS if n != name) for name in NUMBERS},
    remark="Expected laws lie on the line p + c (π - p), where Σ a m (1 - m) is H_0 + c H_1 - c² "
    "D_0; the recursion of second moments is linear, and the same for all types. The five sums by "
    "which commensal.theory.ecosystem passes a vocabulary on hold these three, and two that "
    "nothing depends on.",
)
def _three_number_law(form, trial: Trial) -> Evidence:
    """Compare two vocabularies of unlike length and weights that agree only in those numbers."""
    rng, found, expected = trial.rng(), [], []
    while len(found) < trial.pick(12, 200):
        types = rng.integers(8, 40, 2)
        drawn = [rng.dirichlet(np.full(t, 0.7), 2) + 1e-4 for t in types]
        laws = [(law / law.sum(), prior / prior.sum()) for law, prior in drawn]
        weights = alike(form, laws, rng.uniform(0, 1, types.sum()))
        if weights is None:
            continue
        sizes = np.round(10 ** rng.uniform(0, 3, rng.integers(1, 5)))
        sizes[0] += 1
        hold = 0.0 if len(found) % 6 == 0 else 10 ** rng.uniform(-1, 4)
        one, other = (
            distances(law, prior, a, sizes, hold, 8)
            for (law, prior), a in zip(laws, weights, strict=True)
        )
        found.append(one)
        expected.append(other)
    return identity(found, expected, 1e-8)


def _pool_after(pool, same, mean, keep, tokens):
    return pool + (1 - keep) ** 2 * (mean - same) / tokens


@known.claim(
    id="commensal.pool_drift",
    where=WHERE,
    kind="symbolic",
    verdict="holds",
    premises=(*DEALT, "quadratic distance"),
    proof="proved here",
    statement="What models with equal segments write together drifts, exactly, by what each of "
    "them still has to lose; so their pool is never further off, after any fit and by any "
    "quadratic distance, than one model on all tokens that holds on to M times as much.",
    latex=r"b \leftarrow b + \frac{(1-w)^2 (H - f)}{N}, \quad f \ge b "
    r"\quad\Rightarrow\quad b_t \le c_t, \quad c \leftarrow c + \frac{(1-w)^2 (H - c)}{N}",
    printed=_pool_after,
    mutations={
        "factor 1.01": lambda b, f, m, w, n: b + 1.01 * (1 - w) ** 2 * (m - f) / n,
        "what the pool has to lose": lambda b, f, m, w, n: b + (1 - w) ** 2 * (m - b) / n,
        "moves once": lambda b, f, m, w, n: b + (1 - w) * (m - f) / n,
    },
    remark="Equal segments are all used up, so the models' average law becomes w times itself and "
    "1 - w times the pool's frequencies, however these are dealt out; they vary by "
    "Σ q^m (1 - q^m)/(M N). f >= b is Jensen's inequality, and c starts where b does. The bias "
    "w² D_0 is common to both.",
)
def _pool_drift(form, trial: Trial) -> Evidence:
    """Compare with moments from the generating function of counts, and with small ecosystems."""
    import sympy

    w, n, s = sympy.symbols("w n s", positive=True)
    left: list[Any] = []
    for models in range(1, trial.pick(3, 4) + 1):
        q = sympy.symbols(f"q:{models}", positive=True)
        counts: Any = sympy.prod([(1 - x + x * s) ** n for x in q])
        first: Any = sympy.diff(counts, s).subs(s, 1)
        square: Any = sympy.diff(counts, s, 2).subs(s, 1) + first
        tokens: Any = models * n
        mean: Any = sum(q) / models
        after: Any = (
            w**2 * mean**2
            + 2 * w * (1 - w) * mean * first / tokens
            + (1 - w) ** 2 * square / tokens**2
        )
        left.append(after - form(mean**2, sum(x**2 for x in q) / models, mean, w, tokens))
    rng, worst, found, expected = trial.rng(), 0.0, [], []
    for share, models, generations in [
        (2, 2, 4),
        (1, 3, 4),
        (3, 2, 3),
        *trial.pick([], [(1, 4, 5)]),
    ]:
        for keep in (0.0, *rng.uniform(0, 1, 2)):
            law, prior = rng.uniform(0.05, 0.95, 2)
            same, across = enumerated(law, prior, keep, share, models, generations).T
            pool = same / models + (1 - 1 / models) * across
            one = enumerated(law, prior, keep, share * models, 1, generations)[:, 0]
            mean = keep * prior + (1 - keep) * law
            found.append(form(pool[:-1], same[:-1], mean, keep, share * models))
            expected.append(pool[1:])
            worst = max(worst, float(((pool - mean**2) / (one - mean**2)).max()))
    nearer = at_most(worst, 1 + 1e-12, "pool's noise, in that of one slower model")
    return symbolic(*left) & identity(found, expected, 1e-12) & nearer


def losses(models: Any, share: Any, keep: Any) -> tuple[Any, Any, Any, Any]:
    """Matrix, row by row with F first, by which the distance still to be lost decays."""
    move, together = 1 - keep, (share - 1) / (share * models - 1)
    own, pair = 2 * keep * move / models, move**2 * together
    rest, other = 2 * keep * move - own, move**2 - pair
    less = 1 - 1 / share
    return keep**2 + own + less * pair, rest + less * other, own + pair, keep**2 + rest + other


def noises(models: Any, share: Any, keep: Any, ratio: Any, generations: int) -> tuple[Any, Any]:
    """Noises f and c per generation, in H, of one of M and of one slower model; ratio is H_0/H."""
    a, b, c, d = losses(models, share, keep)
    move, tokens, t = (1 - keep) ** 2, share * models, np.arange(generations)
    # powers of the matrix by its eigenvalues
    root = ((a - d) ** 2 + 4 * b * c) ** 0.5
    high, low = (a + d + root) / 2, (a + d - root) / 2
    start = 1 - move * ratio / share
    second = a * start + b
    left = ((second - low * start) * high**t + (high * start - second) * low**t) / root
    return 1 - left, 1 - (1 - move * ratio / tokens) * (1 - move / tokens) ** t


@known.claim(
    id="commensal.dealing_out",
    where=WHERE,
    kind="search",
    verdict="holds as corrected",
    premises=(*DEALT, "quadratic distance", "few generations"),
    breaks=("few generations",),
    proof="proved here",
    statement="Dealing text out in equal parts never lowers an expected quadratic distance: one "
    "model on all of the text that holds on to M times as much, which a lower learning rate "
    "gives, is expected at least as near the truth as each of the M.",
    latex=r"D_t(M, \lambda) \ge D_t(1, M\lambda)",
    printed=lambda each, one: (one / each).max(),
    correction="On average over the generations, however many, this is exactly so. After a single "
    "generation it holds only until about the N/(1-w)²-th: by then most of H is lost, and many "
    "models lose the rest more slowly.",
    correction_latex=r"\sum_{t \le T} D_t(M, \lambda) \ge \sum_{t \le T} D_t(1, M\lambda)",
    corrected=lambda each, one: (one.cumsum() / each.cumsum()).max(),
    mutations={
        "3 % below the one": lambda each, one: (one.cumsum() / each.cumsum()).max() / 0.97,
        "the later generations alone": lambda each, one: one[20:].mean() / each[20:].mean(),
    },
    remark="commensal.pool_drift gives (1-w)² Σ (f_t - c_t)/N = c - b one fit later, which is "
    "never negative. To leading order in 1/N the cost of a single fit is (M-1)(1-w)(1-w^{2t}) H/"
    "((1+w) N), and for N tokens in the thousands N/(1-w)² generations are far beyond all "
    "experiments. Perplexity is no quadratic distance: commensal.proxy_matched_movement.",
)
def _dealing_out(form, trial: Trial) -> Evidence:
    """Test the inequality where it is drawn, which costs nothing, then attack it if it survives."""

    def ratio(x, exp):
        return form(*noises(*_cell(x, exp), 40))

    def start(rng):
        return rng.normal([0, 1, -1, 0], [1, 1.5, 1.5, 2])

    def described(x: np.ndarray) -> dict[str, Number]:
        return dict(zip(("M", "n", "w", "H_0/H"), map(float, _cell(x, np.exp)), strict=True))

    crossing = _crossing(trial)
    rng = trial.rng()
    drawn = [start(rng) for _ in range(100)]
    reached = [float(ratio(x, np.exp)) for x in drawn]
    worst = int(np.argmax(reached))
    if reached[worst] > 1 + 1e-9:
        where = described(drawn[worst])
        told = "one slower model's distance, in that of one of M"
        return at_most(reached[worst], 1.0, told, **where) & crossing

    def climbed(x):
        import jax.numpy as jnp

        return ratio(x, jnp.exp)

    searched = attack(
        climbed,
        start,
        rng,
        restarts=trial.pick(3, 60),
        steps=trial.pick(25, 200),
        describe=described,
    )
    return searched & crossing


def _cell(x: Any, exp: Any) -> tuple[Any, Any, Any, Any]:
    """Map x to M >= 2, n >= 1, w, and H_0/H up to 1/(1-w), as Σ a m (1 - m) is concave in m."""
    keep = 1 / (1 + exp(-x[2]))
    return 2 + exp(x[0]), 1 + exp(x[1]), keep, 1 / (1 + exp(-x[3])) / (1 - keep)


def _crossing(trial: Trial) -> Evidence:
    """Find the first generation after which one of M models is nearer, in N/(1-w)²."""
    rng, found = trial.rng(1), []
    for _ in range(trial.pick(10, 200)):
        models, share = int(rng.integers(2, 9)), int(rng.integers(20, 60))
        keep, tokens = rng.uniform(0, 0.6), models * share
        rate, ratio = (1 - keep) ** 2 / tokens, rng.uniform(0, 1) / (1 - keep)
        step = np.reshape(losses(models, share, keep), (2, 2))
        left, one = np.array([1 - models * rate * ratio, 1.0]), 1 - rate * ratio
        for fit in range(1, int(3 / rate)):
            if left[0] > one:
                found.append(fit * rate)
                break
            left, one = step @ left, one * (1 - rate)
        else:
            found.append(3.0)  # or never
    told = f"first fit that pays: {min(found):.3f} to {max(found):.3f} N/(1-w)²"
    numbers = {"first to pay, at least": min(found), "first to pay, at most": max(found)}
    return stated(min(found) >= 1 and max(found) <= 1.1, told, **numbers)


def richness(sizes: np.ndarray, hold: float | int) -> float:
    """Return the richness N/(N + Mλ)²."""
    return sizes.sum() / (sizes.sum() + len(sizes) * hold) ** 2


def hill_shannon(sizes: np.ndarray) -> float:
    """Return exp(-Σ s ln s) of the segments' shares s."""
    share = sizes / sizes.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


@known.claim(
    id="commensal.drift_by_richness",
    where=f"{WHERE}; diversity eq. (1)",
    kind="numerical",
    verdict="holds",
    premises=(
        "word types",
        "random segments",
        "plain sampling",
        "no human data later",
        "many generations",
        "many points",
    ),
    proof="proved here",
    statement="How fast an ecosystem loses its variants does not depend on how unequal segments "
    "are: the number of models enters, not their Hill-Shannon diversity, up to one part in the "
    "smallest segment's tokens.",
    latex=r"1 - \rho = \frac{N}{(N + M\lambda)^2} \left(1 + O(1/\min_m n_m)\right)",
    printed=richness,
    mutations={
        "Hill-Shannon diversity for M": lambda sizes, hold: (
            sizes.sum() / (sizes.sum() + hill_shannon(sizes) * hold) ** 2
        ),
        "factor 1.01": lambda sizes, hold: 1.01 * richness(sizes, hold),
        "mean rate of the models": lambda sizes, hold: (
            ((sizes / (sizes + hold)) ** 2).mean() / sizes.sum()
        ),
    },
    remark="Σ (n_m + λ) q^m keeps its mean in every fit and takes up the pool's noise, whatever "
    "the sizes; models are alike by then but for O(1/n). The rate is always a little smaller than "
    "printed: without memory it is (N - M)/(N (N - 1)). This is of the long run. Before it, and by "
    "perplexity, sizes do matter: bias is each model's own.",
)
def _drift_by_richness(form, trial: Trial) -> Evidence:
    """Compare with the leading eigenvalue of the recursion, segments from even to one giant."""
    rng, worst, where, least = trial.rng(), 0.0, "", 1.0
    for case in range(trial.pick(150, 3_000)):
        models = int(rng.integers(1, trial.pick(5, 8)))
        sizes = np.round(10 ** rng.uniform(1, 5, models))
        if case % 5 == 0:
            sizes[:] = sizes[0]
        hold = 0.0 if case % 10 == 0 else float(np.median(sizes) * 10 ** rng.uniform(-2, 1))
        pairs = np.eye(models**2).reshape(models, models, -1)
        # without a mean: what is left to lose obeys the recursion less its constant
        _, step = refitted(np.zeros((models, models**2)), pairs, sizes, hold)
        rate = 1 - np.linalg.eigvals(step.reshape(models**2, -1)).real.max()
        # rounding, of an eigenvalue near one
        away = max(abs(form(sizes, hold) / rate - 1) - 1e-14 / rate, 0.0) * sizes.min()
        least = min(least, hill_shannon(sizes) / models)
        if away > worst:
            worst = float(away)
            where = f"sizes {', '.join(f'{n:.0f}' for n in sizes)}, λ = {hold:.3g}"
    told = f"at most {worst:.2f} of 1/min n away ({where})"
    numbers = {"largest deviation, in 1/min n": worst, "least Hill-Shannon D / M": least}
    return stated(worst <= 1.1, told, **numbers)
