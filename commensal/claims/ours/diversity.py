"""`commensal`: ecosystems on segmented data, exactly (new here; extends `diversity`)."""

from __future__ import annotations

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, identity, stated, statistical
from commensal.claims._premises import DEALT
from commensal.claims._search import attack
from commensal.claims.ours._ecosystem import (
    ExactMoments,
    Proxy,
    enumerated,
    island,
    moments,
    recur,
    simulate,
)

known = Register()

WHERE = "new here; extends diversity sec. 3"


def _dealt_back(f, b, m, w, n, k):
    """Recursion with the pool's tokens drawn with replacement: a pair is one model's in 1/M."""
    pair, kept = f / k + (1 - 1 / k) * b, 2 * w * (1 - w) * (f / k + (1 - 1 / k) * b)
    return (
        w**2 * f + kept + (1 - w) ** 2 * (m / n + (1 - 1 / n) * pair),
        w**2 * b + kept + (1 - w) ** 2 * pair,
    )


def _recursion(f, b, m, w, n, k):
    """Recursion with J = aF + (1-a)B_t for two tokens of one text, and B = F/M + (1-1/M)B_t."""
    a = (n - 1) / (n * k - 1)
    j, x = a * f + (1 - a) * b, f / k + (1 - 1 / k) * b
    return (
        w**2 * f + 2 * w * (1 - w) * x + (1 - w) ** 2 * (m / n + (1 - 1 / n) * j),
        w**2 * b + 2 * w * (1 - w) * x + (1 - w) ** 2 * j,
    )


@known.claim(
    id="commensal.island_recursion",
    where=WHERE,
    kind="numerical",
    verdict="holds",
    premises=DEALT,
    proof="proved here",
    statement="The second moments of the models' laws obey a closed recursion, exactly, for every "
    "number of models, of tokens, and weight of what a model already knew.",
    latex=r"F \leftarrow w^2 F + 2w(1-w)B + (1-w)^2\left[\tfrac{m}{n} + (1-\tfrac1n)J\right], "
    r"\quad B_t \leftarrow w^2 B_t + 2w(1-w)B + (1-w)^2 J",
    printed=_recursion,
    mutations={
        "a = 1/M": _dealt_back,
        "J and B swapped": lambda f, b, m, w, n, k: (
            _recursion(f, b, m, w, n, k)[0],
            w**2 * b + (2 * w * (1 - w) + (1 - w) ** 2) * (f / k + (1 - 1 / k) * b),
        ),
    },
    remark="J = aF + (1-a)B_t with a = (n-1)/(N-1), B = F/M + (1-1/M)B_t. The pair (F, B_t) needs "
    "one type at a time, so two types are enough to enumerate.",
)
def _island_recursion(form, trial: Trial) -> Evidence:
    """Compare with every course of events of ecosystems that are small enough to list."""
    rng, found, expected = trial.rng(), [], []
    sizes = [(1, 3, 4), (2, 2, 4), (4, 1, 4), (3, 2, 3), (1, 2, 5)]
    for share, models, generations in sizes + trial.pick([], [(2, 3, 3), (2, 2, 6), (1, 4, 4)]):
        for hold in (0.0, *(10 ** rng.uniform(-1, 2, 2))):
            law, prior = rng.uniform(0.05, 0.6, (2, 1))
            got = recur(law, prior, hold, share, models, generations, form)
            keep = hold / (share + hold)
            truth = enumerated(float(law[0]), float(prior[0]), keep, share, models, generations)
            if models == 1:  # there is no second model to compare
                found.append(got.same[:, 0])
                expected.append(truth[:, 0])
            else:
                found.append(np.stack([got.same[:, 0], got.across[:, 0]], axis=1))
                expected.append(truth)
    return identity(found, expected, 1e-11)


def _chi_square(m: ExactMoments, law: np.ndarray) -> np.ndarray:
    return ((m.same - 2 * m.mean * law + law**2) / law).sum(axis=1)


def _squares(m: ExactMoments, law: np.ndarray) -> np.ndarray:
    return (m.same - 2 * m.mean * law + law**2).sum(axis=1)


@known.claim(
    id="commensal.island_distance",
    where=WHERE,
    kind="statistical",
    verdict="holds",
    premises=(*DEALT, "quadratic distance"),
    proof="proved here",
    statement="The expected χ² distance of a model from the truth follows from its second moments "
    "after every generation.",
    latex=r"E \sum_v \frac{(q_v - p_v)^2}{p_v} = \sum_v \frac{F_v - 2 m_v p_v + p_v^2}{p_v}",
    printed=_chi_square,
    mutations={
        "factor 1.05": lambda m, p: 1.05 * _chi_square(m, p),
        "weighted by the mean": lambda m, p: _chi_square(m, m.mean),
    },
)
def _island_distance(form, trial: Trial) -> Evidence:
    proxy, found, expected, error = Proxy(types=100, tokens=1_600, hold=800.0), [], [], []
    replicates = {m: trial.pick(1, 12) * r for m, r in {1: 2_400, 4: 900, 16: 150}.items()}
    for m, count in replicates.items():
        sample = simulate(
            proxy,
            m,
            trial.rng(m),
            count,
            lambda q: ((q - proxy.law) ** 2 / proxy.law).sum(axis=2).mean(axis=1),
        )
        found.append(sample.mean(axis=0))
        error.append(sample.std(axis=0, ddof=1) / np.sqrt(count))
        expected.append(form(moments(proxy, m, island), proxy.law))
    generations = list(range(proxy.generations))
    picture = Panel(
        generations,
        [(f"M = {m}", e.tolist()) for m, e in zip(replicates, expected, strict=True)],
        [
            (f"simulated, M = {m}", f.tolist(), s.tolist())
            for m, f, s in zip(replicates, found, error, strict=True)
        ],
        "generation",
        "expected χ² distance",
    )
    return statistical(
        found,
        expected,
        error,
        sum(replicates.values()),
        resolution=trial.resolution,
        pictures=(picture,),
    )


@known.claim(
    id="commensal.quadratic_optima",
    where=WHERE,
    kind="numerical",
    verdict="holds",
    premises=(*DEALT, "fixed budget", "named settings", "quadratic distance"),
    proof="proved here",
    statement="The best number of models depends on the distance: two by χ², one by L₂ (four by "
    "perplexity), averaged over the ten generations.",
    latex=r"M^*_{\chi^2} = 2, \quad M^*_{L_2} = 1",
    printed=(2, 1),
    mutations={"χ² like perplexity": (4, 1), "L₂ like χ²": (2, 2)},
    remark="After the tenth fit alone χ² is lowest at M = 8. The distance is that of "
    "the single models; that of their average is lowest at M = 8 either way.",
)
def _quadratic_optima(form, trial: Trial) -> Evidence:
    proxy = Proxy()
    grid = [m for m in range(1, 65) if proxy.tokens % m == 0]
    known = {m: moments(proxy, m, island) for m in grid}
    chi = {m: float(_chi_square(k, proxy.law).mean()) for m, k in known.items()}
    squares = {m: float(_squares(k, proxy.law).mean()) for m, k in known.items()}
    best = (min(chi, key=lambda m: chi[m]), min(squares, key=lambda m: squares[m]))
    numbers = {f"χ², M = {m}": chi[m] for m in (1, 2, 4, 16)}
    numbers |= {f"L₂, M = {m}": squares[m] for m in (1, 2, 4)}
    told = f"lowest at M = {best[0]} by χ², M = {best[1]} by L₂, of {len(grid)} divisors of N"
    return stated(best == tuple(form), told, **numbers)


@known.claim(
    id="commensal.collapse_rate",
    where=WHERE,
    kind="numerical",
    verdict="holds",
    premises=(*DEALT, "many generations", "many points"),
    proof="proved here",
    statement="In the long run an ecosystem loses its variants as slowly as one model that moves "
    "as little per fit: the number of models enters through that alone, up to a share M/N.",
    latex=r"1 - \rho = \frac{1}{N}\left(\frac{n}{n + \lambda}\right)^2 (1 + O(M/N))",
    printed=lambda n, tokens, hold: (n / (n + hold)) ** 2 / tokens,
    mutations={
        "each by itself": lambda n, tokens, hold: (n / (n + hold)) ** 2 / n,
        "moves once": lambda n, tokens, hold: (n / (n + hold)) / tokens,
        "factor 1.01": lambda n, tokens, hold: 1.01 * (n / (n + hold)) ** 2 / tokens,
    },
    remark="ρ is the slower eigenvalue of the recursion of (1 - F, 1 - B_t). With λ = 0 the rate "
    "is (n-1)/(n(N-1)): segments by themselves slow nothing down.",
)
def _collapse_rate(form, trial: Trial) -> Evidence:
    rng, worst, where = trial.rng(), 0.0, ""
    for case in range(trial.pick(200, 2_000)):
        models = int(rng.integers(1, 65))
        # large shares with the weight kept away from one: M/N is what may be missing
        n = int(10 ** rng.uniform(2, 5))
        hold = 0.0 if case % 10 == 0 else n * 10 ** rng.uniform(-2, 1)
        keep = hold / (n + hold)
        zero = np.zeros(1)
        columns = [
            np.ravel(island(np.array([f]), np.array([b]), zero, keep, n, models))
            for f, b in ((1.0, 0.0), (0.0, 1.0))
        ]
        # a type's second moments, less their mean's share: what is left decays with ρ
        slower = np.max(np.linalg.eigvals(np.array(columns).T).real)
        if models == 1:
            slower = columns[0][0] + columns[1][0]
        away = abs(form(n, n * models, hold) / (1 - slower) - 1) / (models / (n * models))
        if away > worst:
            worst, where = float(away), f"M = {models}, n = {n}, λ = {hold:.3g}"
    told = f"at most {worst:.2f} of 1/n away ({where})"
    return stated(worst <= 1.02, told, **{"largest deviation, in 1/n": worst})


@known.claim(
    id="commensal.pool_perplexity",
    where="extends diversity eq. (3)",
    kind="search",
    verdict="holds",
    premises=("none",),
    proof="proved here",
    statement="What the models write together is never further from the truth than eq. (3) says: "
    "the perplexity of their average law is at most the mean of their perplexities, even the "
    "geometric one.",
    latex=r"\exp\left(-\sum_x p_x \ln \tfrac1M \sum_m q^m_x\right) \le \prod_m \mu_m^{1/M} "
    r"\le \frac1M \sum_m \mu_m",
    printed=1.0,
    mutations={"0.97 of the mean": 0.97, "half the mean": 0.5},
    remark="This is Jensen's inequality, with equality where the models are equal. Eq. (3) "
    "therefore judges the average member and cannot see what only the ensemble can express: with "
    "disjoint specialists it is infinite while their pool may be perfect.",
)
def _pool_perplexity(form, trial: Trial) -> Evidence:
    models, types = 3, 4

    def ratio(x):
        import jax
        import jax.numpy as jnp

        p = jax.nn.softmax(x[:types])
        q = jax.nn.softmax(x[types:].reshape(models, types), axis=1)
        pool = -p @ jnp.log(q.mean(axis=0))
        geometric = -(jnp.log(q) @ p).mean()
        return jnp.exp(pool - geometric) / form

    return attack(
        ratio,
        lambda rng: 2 * rng.standard_normal((models + 1) * types),
        trial.rng(),
        restarts=trial.pick(3, 100),
        steps=100,
    )
