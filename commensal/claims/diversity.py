"""`diversity`: the measures, eq. (1) to (4), and the budget of the experiment (sec. 3)."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity, stated, symbolic
from commensal.claims._search import attack

known = Register()

MODELS = (1, 2, 4, 16)
BLOCKS, VALIDATION, TEST = 7_500, 1_900, 2_200
"""Numbers of sequences of 128 tokens: training and generation, validation, test (sec. 3.2)."""
WORDS = {"train": 2_088_628, "validation": 217_646, "test": 245_569}
"""Number of words of WikiText-2, as its authors count it (Merity et al. 2016, table 1)."""


@known.claim(
    id="diversity.eq1_maximum",
    where="sec. 3.1, eq. (1)",
    kind="search",
    verdict="holds",
    premises=("none",),
    proof="stated there",
    statement="The Hill-Shannon diversity is an effective number: never more than the number of "
    "models, which it reaches at equal weights.",
    latex=r"D = \exp\left(-\sum_{m=1}^M w_m \ln w_m\right) \le M",
    printed=lambda m: m,
    mutations={"0.97 M": lambda m: 0.97 * m, "√M": lambda m: m**0.5},
    remark="This is Jensen's inequality for the concave logarithm: Σ w ln(1/w) ≤ ln Σ w/w.",
)
def _eq1_maximum(form, trial: Trial) -> Evidence:
    models = 16

    def ratio(x):
        import jax

        logs = jax.nn.log_softmax(x)
        return jax.numpy.exp(-jax.numpy.exp(logs) @ logs) / form(models)

    return attack(
        ratio,
        lambda rng: 3 * rng.standard_normal(models),
        trial.rng(),
        restarts=trial.pick(3, 100),
    )


@known.claim(
    id="diversity.eq2_equal_weights",
    where="sec. 3.1, eq. (1) and (2)",
    kind="symbolic",
    verdict="holds",
    premises=("none",),
    proof="stated there",
    statement="At equal weights the Hill-Shannon diversity is the number of models, and r copies "
    "of an ecosystem side by side have r times its diversity.",
    latex=r"w_m = 1/M \Rightarrow D(M) = M",
    printed=lambda w, log: -w * log(w),
    mutations={
        "factor 1.01": lambda w, log: -1.01 * w * log(w),
        "sign": lambda w, log: w * log(w),
        "binary logarithm": lambda w, log: -w * log(w) / log(2),
    },
    remark="The second half is the replication principle, which makes Hill numbers, of all "
    "functions of entropy, numbers of something.",
)
def _eq2_equal_weights(form, trial: Trial) -> Evidence:
    del trial
    import sympy

    copies, models = sympy.symbols("r M", positive=True)
    w1, w2 = sympy.symbols("w_1 w_2", positive=True)
    weights = (w1, w2, 1 - w1 - w2)
    m = sympy.Symbol("m", integer=True)
    equal = sympy.Sum(form(1 / models, sympy.log), (m, 1, models)).doit()
    once = sum(form(w, sympy.log) for w in weights)
    apart = sum(copies * form(w / copies, sympy.log) for w in weights)

    def logs(expression):
        return sympy.expand(sympy.expand_log(expression, force=True))

    return symbolic(logs(equal - sympy.log(models)), logs(apart - once - sympy.log(copies)))


@known.claim(
    id="diversity.optimum_above_zero",
    where="sec. 1, 4 and 6",
    kind="numerical",
    verdict="holds",
    premises=("none",),
    proof="stated there",
    statement="No ecosystem has a diversity below one, a single model: the finding is a best "
    "diversity above one.",
    latex=r"D^* > 1 = \min_w D",
    printed=1.0,
    reading="The paper says 'greater than zero'. That this means more than a single model is our "
    "reading.",
    remark="On the scale of eq. (1) every optimum is above zero.",
    mutations={"zero": 0.0, "1.01": 1.01, "a half": 0.5},
)
def _optimum_above_zero(form, trial: Trial) -> Evidence:
    rng, lowest = trial.rng(), np.inf
    for _ in range(trial.pick(2_000, 100_000)):
        weights = rng.dirichlet(np.full(rng.integers(1, 17), 10 ** rng.uniform(-3, 1)))
        lowest = min(lowest, float(np.exp(entr(weights).sum())))
    return identity(lowest, form, 1e-6)


def _effective_models(weights: np.ndarray, laws: np.ndarray) -> float:
    """Return how many models the text tells apart: exp of what a token tells about its writer."""
    return float(np.exp(entr(weights @ laws).sum() - weights @ entr(laws).sum(axis=1)))


@known.claim(
    id="diversity.counts_diverse_models",
    where="sec. 1 and 3.1, eq. (1)",
    kind="numerical",
    verdict="holds as corrected",
    premises=("distinct models",),
    breaks=("distinct models",),
    proof="stated there",
    statement="D is the effective number of equally frequent diverse models.",
    latex=r"D = \exp\left(-\sum_m w_m \ln w_m\right)",
    printed=lambda weights, laws: float(np.exp(entr(weights).sum())),
    correction="Eq. (1) knows only weights: identical copies, which all models are before the "
    "first fit, count in full. The number of models that differ needs their laws: Hill's beta "
    "diversity has it, one for copies and D for models that share nothing.",
    correction_latex=r"D_\beta = \exp\left(H\left(\sum_m w_m q^m\right) - \sum_m w_m H(q^m)\right)",
    corrected=_effective_models,
    mutations={
        "factor 1.01": lambda weights, laws: 1.01 * _effective_models(weights, laws),
        "diversity of the pool": lambda weights, laws: float(np.exp(entr(weights @ laws).sum())),
        "sign": lambda weights, laws: 1 / _effective_models(weights, laws),
    },
    remark="D = M is therefore the experiment's setting, not a measurement. In the experiment the "
    "models grow alike as they learn from one pool, while D stays M.",
    fault="wording",
    doubt="solid",
)
def _counts_diverse_models(form, trial: Trial) -> Evidence:
    """Check copies (one), strangers (as many as D) and a model listed twice (no change)."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(20, 500)):
        models, types = int(rng.integers(2, 9)), int(rng.integers(2, 7))
        weights = rng.dirichlet(np.ones(models))
        laws = rng.dirichlet(np.ones(types), models)
        copies = np.broadcast_to(laws[0], laws.shape)
        strangers = np.zeros((models, models, types))
        strangers[np.arange(models), np.arange(models)] = laws
        twice = np.append(weights, weights[-1] / 2)
        twice[-2] /= 2
        found.append(
            [
                form(weights, copies),
                form(weights, strangers.reshape(models, -1)),
                form(twice, np.vstack([laws, laws[-1:]])),
            ]
        )
        expected.append([1.0, np.exp(entr(weights).sum()), form(weights, laws)])
    return identity(found, expected, 1e-9)


@known.claim(
    id="diversity.eq3_alignment",
    where="sec. 3.1, eq. (3)",
    kind="symbolic",
    verdict="holds as corrected",
    premises=("none",),
    breaks=("none",),
    proof="stated there",
    statement="The mean perplexity over test sequences says how well a model's law is aligned with "
    "the true one: no law has less than the truth itself.",
    latex=r"\mu_m = E_{x \sim p}\, q(x)^{-1/L}",
    printed=lambda q, length: q ** (-1 / length),
    correction="The mean belongs on the logarithm. The mean of the sequences' perplexities is "
    "least for the flattened law q ∝ p^(L/(L+1)), not for p; for L = 128 that is a small matter, "
    "but hard sequences dominate the average.",
    correction_latex=r"\mu_m = \exp\left(-\tfrac{1}{L} E_{x \sim p} \ln q(x)\right)",
    corrected=lambda q, length: -_log(q) / length,
    mutations={
        "linear": lambda q, length: -q / length,
        "squared": lambda q, length: _log(q) ** 2 / length,
        "power 1.01": lambda q, length: (-_log(q)) ** 1.01 / length,
    },
    remark="At q = p the Lagrange condition is that p(x) s'(p(x)) does not depend on x, for the "
    "score s of one sequence. The text says a mean of perplexities across sequences; the code may "
    "have taken the other mean.",
    fault="wording",
    doubt="solid",
)
def _eq3_alignment(form, trial: Trial) -> Evidence:
    del trial
    import sympy

    p1, p2, length = sympy.symbols("p_1 p_2 L", positive=True)
    q = sympy.Symbol("q", positive=True)
    slope = sympy.diff(form(q, length), q)
    return symbolic(p1 * slope.subs(q, p1) - p2 * slope.subs(q, p2))


def _log(q):
    import sympy

    return sympy.log(q)


@known.claim(
    id="diversity.eq4_range",
    where="sec. 3.1, eq. (4), and fig. 5",
    kind="published",
    verdict="holds",
    premises=("printed numbers",),
    proof="stated there",
    statement="Eq. (4) averages over the ten iterations of the experiment.",
    latex=r"\mu_T = \frac1T \sum_{t=1}^T \mu_t, \quad T = 10",
    printed=lambda fits: [t - 1 for t in range(1, fits + 1)],
    mutations={
        "t as in fig. 5": lambda fits: range(1, fits + 1),
        "t = 0 left out": lambda fits: range(1, fits),
        "t = 10 added": lambda fits: range(fits + 1),
    },
    remark="Read with the index of fig. 5, the sum would leave out the iteration where a single "
    "model is best. Fig. 7 has t = -1 for the models off the shelf.",
    reading="Eq. (4) sums from t = 1 to T. We take it to count iterations from one; figs. 4 and 5 "
    "count them from t = 0 (on real data) to 9.",
)
def _eq4_range(form, trial: Trial) -> Evidence:
    del trial
    first, last, iterations = 0, 9, 10  # sec. 4, fig. 5, sec. 3
    summed, there = set(form(iterations)), set(range(first, last + 1))
    off = sorted(summed ^ there)
    told = f"t = {off} in one of the two only" if off else f"every t from {first} to {last}, once"
    return stated(not off and len(there) == iterations, told, iterations=len(there))


@known.claim(
    id="diversity.data_points",
    where="sec. 3.2",
    kind="published",
    verdict="holds",
    premises=("printed numbers",),
    proof="stated there",
    statement="Two fifths of WikiText-2's training split, and all of the others, are 7,500, 1,900 "
    "and 2,200 blocks of 128 tokens: one number of tokens per word explains all three.",
    latex=r"\tfrac25 c\, W_{train} = 128 \cdot 7500,\ c\, W_{valid} = 128 \cdot 1900,\ "
    r"c\, W_{test} = 128 \cdot 2200",
    printed=0.4,
    mutations={"half": 0.5, "0.38": 0.38, "0.43": 0.43},
    remark="There are c = 1.14 to 1.15 tokens per word. N is 960,000 tokens; for M = 16 a model's "
    "share is 468.75 blocks, so shares are equal only up to a block.",
)
def _data_points(form, trial: Trial) -> Evidence:
    del trial
    rows = ((BLOCKS, form, "train"), (VALIDATION, 1, "validation"), (TEST, 1, "test"))
    # printed to the nearest hundred
    bounds = [
        [128 * (count + off) / (share * WORDS[split]) for off in (-50, 50)]
        for count, share, split in rows
    ]
    least, most = max(b[0] for b in bounds), min(b[1] for b in bounds)
    told = f"tokens per word at least {least:.4f} and at most {most:.4f}"
    return stated(least <= most, told, **{"at least": least, "at most": most})


@known.claim(
    id="diversity.compute_budget",
    where="sec. 1, 3 and 3.2",
    kind="published",
    verdict="holds",
    premises=("fixed budget",),
    proof="stated there",
    statement="The computation of training and generating in an iteration does not depend on the "
    "number of models.",
    latex=r"M \left(5n\, c_{train} + n\, c_{generate}\right) = N \left(5 c_{train} + "
    r"c_{generate}\right)",
    printed=("train", "generate"),
    mutations={
        "all three": ("train", "generate", "validate"),
        "with validation": ("train", "validate"),
        "validation": ("validate",),
    },
    remark="If each model's best epoch is chosen on the whole validation split, which the text "
    "does not say, that costs M times as much: 9,500 sequences for one model, 152,000 for sixteen, "
    "against 37,500 trained on. How far a model moves is not held fixed: n = N/M tokens give it "
    "1/M of the steps.",
    reading="The paper says that the budget for compute is fixed. That this means training and "
    "generating is our reading.",
)
def _compute_budget(form, trial: Trial) -> Evidence:
    del trial
    epochs, spent = 5, {}
    for models in MODELS:
        work = {"train": 0, "generate": 0, "validate": 0}
        for model in range(models):
            share = BLOCKS // models + (model < BLOCKS % models)
            for _ in range(epochs):
                work["train"] += share
                work["validate"] += VALIDATION
            work["generate"] += share
        spent[models] = sum(work[part] for part in form)
    told = ", ".join(f"M = {m}: {c:,}" for m, c in spent.items()) + " sequences"
    return stated(len(set(spent.values())) == 1, told, **{f"M = {m}": c for m, c in spent.items()})
