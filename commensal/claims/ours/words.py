"""`commensal`: words that survive when models repeat words, with one pool of text.

Nothing of :mod:`commensal.theory.words` is called: forms are written out, and compared with the
whole Markov chain of a word's count, or with chains that NumPy draws.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, at_most, identity, statistical

known = Register()

WHERE = "extends Suresh et al., arXiv 2412.17646 (read as an abstract)"


def counts_of(size: int, share: float, human: float, generations: int) -> np.ndarray:
    """Distribution of a word's count among ``size`` tokens per generation, (T, size + 1), exact."""
    counts = np.arange(size + 1)
    path = [stats.binom.pmf(counts, size, share)]
    move = stats.binom.pmf(counts, size, ((1 - human) * counts[:, None] / size + human * share))
    while len(path) < generations:
        path.append(path[-1] @ move)
    return np.array(path)


def many_tokens(expected: float, human: float, generations: int) -> np.ndarray:
    """Distribution of a word's count among many tokens, (T, ...): Poisson, up to a large count."""
    counts = np.arange(int(expected + 40 * np.sqrt(expected + 1) * generations**0.5) + 60)
    path = [stats.poisson.pmf(counts, expected)]
    move = stats.poisson.pmf(counts, (1 - human) * counts[:, None] + human * expected)
    while len(path) < generations:
        path.append(path[-1] @ move)
    return np.array(path)


def iterates(human: float, terms: int) -> np.ndarray:
    """u_0 = 1 and u_{k+1} = 1 - exp(-(1-h) u_k)."""
    u = np.ones(terms)
    for k in range(1, terms):
        u[k] = -np.expm1(-(1 - human) * u[k - 1])
    return u


def rate(human: float, t: int) -> float:
    """Exchange rate C_t(h) of generation t: u_{t-1} + h (u_0 + ... + u_{t-2})."""
    u = iterates(human, t)
    return float(u[-1] + human * u[:-1].sum())


@known.claim(
    id="commensal.words_bound",
    where="Suresh et al., arXiv 2412.17646 (read as an abstract, and in summaries of it)",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=("repeats frequencies", "last generation only", "no human data later"),
    statement="Premises: each model repeats the word frequencies of the last corpus, and writes n "
    "tokens; humans wrote the first. A word that is expected λ times in a corpus is alive in "
    "generation t with a probability of at least 1 - exp(-λ/t).",
    latex=r"\Pr(\text{alive in } t) \ge 1 - e^{-\lambda/t}",
    printed=lambda expected, t: -np.expm1(-expected / t),
    mutations={
        "twice as slow": lambda expected, t: -np.expm1(-2 * expected / t),
        "1/(t - 1/2)": lambda expected, t: -np.expm1(-expected / np.maximum(t - 0.5, 0.5)),
    },
    remark="It is the probability itself at t = 1, and up to a factor two below it for large t: "
    "commensal.words_survival has what it bounds.",
)
def _words_bound(form, trial: Trial) -> Evidence:
    """Compare with the exact chain of counts, for words of all frequencies."""
    t, worst = np.arange(1, trial.pick(30, 120) + 1), 0.0
    for size in trial.pick((20, 100), (20, 100, 400)):
        for expected in (0.2, 1.0, 5.0, size / 3):
            alive = 1 - counts_of(size, expected / size, 0.0, len(t))[:, 0]
            worst = max(worst, float((form(expected, t) / alive).max()))
    return at_most(worst, 1 + 1e-9, "bound, in what it bounds")


@known.claim(
    id="commensal.words_survival",
    where=f"{WHERE}; words.survival",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("repeats frequencies", "last generation only", "same human law", "many points"),
    statement="Premises: as in commensal.words_bound, with many tokens, and a share h of each "
    "later corpus that humans wrote by the same law. A word that is expected λ times is alive in "
    "generation t with probability 1 - exp(-λ C_t), whatever the other words are.",
    latex=r"C_t = u_{t-1} + h \sum_{k<t-1} u_k, \quad u_0 = 1, \quad "
    r"u_{k+1} = 1 - e^{-(1-h) u_k}",
    printed=lambda expected, h, t: -np.expm1(-expected * rate(h, t)),
    mutations={
        "a generation later": lambda expected, h, t: -np.expm1(-expected * rate(h, t + 1)),
        "u_{t-1} alone": lambda expected, h, t: -np.expm1(-expected * iterates(h, t)[-1]),
        "the bound 1 - exp(-λ/t)": lambda expected, h, t: -np.expm1(-expected / t),
    },
    remark="Counts of a rare word are Poisson given those before, with the mean (1-h) N + hλ; "
    "their generating function at 0 is taken back one generation at a time. Without human data "
    "C_t is a little below 2/(t+1): commensal.words_pace. For n tokens it is off by about 1/n.",
)
def _words_survival(form, trial: Trial) -> Evidence:
    """Compare with the distribution of Poisson counts, propagated whole; and with finite n."""
    found, expected = [], []
    for mean in trial.pick((0.5, 2.0), (0.5, 1.0, 2.0, 5.0)):
        for human in (0.0, 0.05, 0.5):
            last = trial.pick(6, 12)
            dead = many_tokens(mean, human, last)[:, 0]
            found.append(np.array([form(mean, human, t) for t in range(1, last + 1)]))
            expected.append(1 - dead)
    limit = identity(found, expected, 1e-8)
    size, worst = 400, 0.0
    for human in (0.0, 0.05):
        alive = 1 - counts_of(size, 2 / size, human, 8)[:, 0]
        away = [abs(form(2.0, human, t) - alive[t - 1]) for t in range(1, 9)]
        worst = max(worst, max(away))
    return limit & at_most(worst, 2 / size, "error for 400 tokens")


@known.claim(
    id="commensal.words_pace",
    where=f"{WHERE}; words.exchange_rate",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("repeats frequencies", "last generation only", "no human data later", "many points"),
    statement="Premises: as in commensal.words_survival, without human data after the first "
    "corpus. The vocabulary of generation t is that of a human corpus of at most 2/(t+1) of the "
    "size, and at least 1/(1 + k/2 + (1/6)(1/2 + ... + 1/(k+1))) of it, k = t - 1.",
    latex=r"\frac{1}{1 + \frac k2 + \frac16 \sum_{j=2}^{k+1} \frac1j} \le u_k \le \frac{2}{k+2}",
    printed=(lambda k: 1 + k / 2, 1 / 6),
    mutations={
        "half the harmonic term": (lambda k: 1 + k / 2, 1 / 12),
        "2/(t+2)": (lambda k: 1.5 + k / 2, 1 / 6),
        "the bound 1/t": (lambda k: 1.0 + k, 1 / 6),
    },
    remark="v = 1/u goes to 1/(1 - exp(-1/v)), which is v + 1/2 and between 0 and 1/(12 v) more, "
    "by the series of Bernoulli, and v_k is at least 1 + k/2. 1/[(t+1)/2 + ln((t+1)/2)/6] is never "
    "further off than 0.92 %, at t = 2.",
)
def _words_pace(form, trial: Trial) -> Evidence:
    """Compare with the iteration over many generations."""
    upper, factor = form
    k = np.arange(trial.pick(3_000, 100_000))
    u = iterates(0.0, len(k))
    harmonic = np.append(0.0, np.cumsum(1 / (k[:-1] + 2.0)))
    low = 1 / (1 + k / 2 + factor * harmonic) / u
    high = u * upper(k)
    half = 1 + k / 2
    near = float(np.abs(1 / (half + np.log(half) / 6) / u - 1).max())
    return (
        at_most(float(low.max()), 1 + 1e-12, "lower bound, in the rate").named("below")
        & at_most(float(high.max()), 1 + 1e-12, "rate, in the upper bound").named("above")
        & at_most(near, 0.0093, "error of the approximation").named("near")
    )


@known.claim(
    id="commensal.words_forgetting_time",
    where="Suresh et al., arXiv 2412.17646 (read as an abstract)",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("repeats frequencies", "last generation only", "no human data later", "many points"),
    statement="Premises: as in commensal.words_pace. The time after which a word is forgotten is "
    "about proportional to how often it occurred in the original corpus: half of the words that "
    "occurred c times are forgotten after 2c/ln 2 generations.",
    latex=r"t_{1/2} \approx \frac{2 c}{\ln 2}",
    printed=lambda c: 2 * c / np.log(2),
    mutations={
        "c/ln 2, from the bound": lambda c: c / np.log(2),
        "2c": lambda c: 2 * c,
        "c log c": lambda c: c * np.log(c),
    },
    remark="The abstract says proportional; the factor is new here, and is that of the median. In "
    "a corpus of n tokens the mean time of words that are forgotten has a logarithm more, about "
    "2c ln(n/c), as in any critical branching: some words are kept for very long.",
)
def _words_forgetting_time(form, trial: Trial) -> Evidence:
    """Compare with the generation at which the exact probability crosses one half."""
    counts = np.array(trial.pick((300, 1_000), (300, 1_000, 10_000)))
    u = iterates(0.0, int(4 * counts[-1]))
    # dead after t further generations with exp(-c u_{t-1}): the first at which it is one half
    found = np.array([np.argmax(c * u <= np.log(2)) + 1 for c in counts])
    away = np.abs(np.array([form(c) for c in counts]) / found - 1)
    return at_most(float(away.max()), 0.01, "relative error")


@known.claim(
    id="commensal.words_exchange",
    where=f"new here; {WHERE}; words.exchange_rate",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "repeats frequencies",
        "last generation only",
        "fresh human data",
        "same human law",
        "many points",
    ),
    statement="Premises: as in commensal.words_survival, for ever. With a small share h of human "
    "tokens the vocabulary that is kept is that of a human corpus of h [2 ln(1/2h) + 0.2006] of "
    "the size: a human token is worth many.",
    latex=r"\frac{C(h)}{h} = \sum_{k \ge 0} u_k = 2 \ln\frac{1}{2h} + 0.2006 + o(1)",
    printed=lambda h: 2 * np.log(0.5 / h) + 0.200645,
    mutations={
        "without the number": lambda h: 2 * np.log(0.5 / h),
        "ln(1/h)": lambda h: 2 * np.log(1 / h) + 0.200645,
        "one logarithm": lambda h: np.log(0.5 / h) + 0.200645,
    },
    remark="u falls as 2/k until k is about 1/h, and then by 1 - h a generation. The number is "
    "the limit of u_0 + ... + u_k + 2 ln u_k for h = 0. x ln(1/x)/(1-h)², x = h(2-h), is within "
    "3 % for every h.",
)
def _words_exchange(form, trial: Trial) -> Evidence:
    """Compare with the sum of all terms; the rest is of the order h ln²(1/h)."""
    worst, off = 0.0, 0.0
    for human in trial.pick((1e-3, 3e-4), (1e-3, 1e-4, 2e-5)):
        u = iterates(human, int(45 / human))
        total = float(u.sum())
        worst = max(worst, abs(total - float(form(human))) / (human * np.log(human) ** 2))
        x = human * (2 - human)
        off = max(off, abs(x * np.log(1 / x) / (1 - human) ** 2 / (human * total) - 1))
    rest = at_most(worst, 0.5, "error, in h ln²(1/h)").named("small h")
    return rest & at_most(off, 0.03, "relative error").named("x ln(1/x)")


def settling(t: np.ndarray, size: int, h: float) -> np.ndarray:
    """Heterozygosity of generation t over that of the law, with human share h."""
    lost = 1 - (1 - 1 / size) * (1 - h) ** 2
    limit = (1 - 1 / size) * h * (2 - h) / lost
    return limit + (1 - 1 / size - limit) * (1 - lost) ** (t - 1)


@known.claim(
    id="commensal.words_heterozygosity",
    where="new here with human data; words.expected_heterozygosity",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("repeats frequencies", "last generation only", "all read alike", "same human law"),
    statement="Premises: as in commensal.words_bound, K models that read everything (N = K n "
    "tokens in all), any N. The chance that two tokens are different words falls by 1 - 1/N a "
    "generation, and settles where a share h of human tokens balances that.",
    latex=r"H_{t+1} = \left(1 - \tfrac1N\right)\left[(1-h)^2 H_t + h(2-h) H_0\right], \quad "
    r"H_1 = \left(1 - \tfrac1N\right) H_0",
    printed=settling,
    mutations={
        "from the law on": lambda t, size, h: settling(t + 1, size, h),
        "1 - h for its square": lambda t, size, h: settling(t, size, 1 - (1 - h) ** 0.5),
        "factor 1.001": lambda t, size, h: 1.001 * settling(t, size, h),
    },
    remark="Without human data it is the drift of population genetics.",
)
def _words_heterozygosity(form, trial: Trial) -> Evidence:
    """Compare with the exact chain of each word of a law."""
    rng, found, expected = trial.rng(), [], []
    for size in trial.pick((3, 24), (2, 3, 24, 90)):
        for human in (0.0, 0.1, 0.7):
            law = rng.dirichlet(np.ones(4))
            square = (np.arange(size + 1) / size) ** 2
            same = sum(counts_of(size, p, human, 8) @ square for p in law)
            expected.append((1 - same) / (1 - (law**2).sum()))
            found.append(form(np.arange(1, 9), size, human))
    return identity(found, expected, 1e-10)


def pools(rng: np.random.Generator, mean: float, last: int, runs: int, human: float) -> np.ndarray:
    """Draw counts of a word in a pool of ``last`` corpora that are all kept; many tokens."""
    pool = rng.poisson(mean, runs).astype(float)
    for t in range(1, last):
        pool += rng.poisson((1 - human) * pool / t + human * mean)
    return pool


@known.claim(
    id="commensal.words_accumulate",
    where=f"new here; {WHERE}; words.exchange_rate",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("repeats frequencies", "everything kept", "no human data later", "many points"),
    statement="Premises: as in commensal.words_survival, but each model is fitted to all corpora "
    "so far, and humans wrote the first alone. Each later corpus shows the vocabulary of a human "
    "corpus of 0.5337 of its size, for ever.",
    latex=r"\Pr(\text{in the corpus of } t) \to 1 - e^{-0.5337\,\lambda}",
    printed=lambda expected: -np.expm1(-0.53373554 * expected),
    mutations={
        "one half": lambda expected: -np.expm1(-0.5 * expected),
        "1 - 1/e, that of the second": lambda expected: -np.expm1(-(1 - np.exp(-1)) * expected),
        "nothing is lost": lambda expected: -np.expm1(-expected),
    },
    remark="θ_s = θ_{s+1} + (1 - exp(-θ_{s+1}))/s, back from θ_T = 1/T; the number is "
    "1 - exp(-θ_1) as T grows. The pool itself loses nothing.",
)
def _words_accumulate(form, trial: Trial) -> Evidence:
    """Draw pools of 200 corpora; the next lacks a word with probability exp(-its mean count)."""
    rng, last, runs = trial.rng(), 200, trial.pick(110_000, 950_000)
    found, error, expected = [], [], []
    for mean in (0.5, 2.0):
        alive = -np.expm1(-pools(rng, mean, last, runs, 0.0) / last)
        found.append(alive.mean())
        error.append(alive.std() / np.sqrt(runs))
        expected.append(float(form(mean)))
    picture = Panel(
        [0.5, 2.0],
        [("limit", expected)],
        [("drawn", found, error)],
        "λ: count expected in the first corpus",
        "chance to be in a late corpus",
    )
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="commensal.words_share_variance",
    where=f"new here; {WHERE}; words.share_variance",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=("repeats frequencies", "everything kept", "no human data later", "many points"),
    statement="Premises: as in commensal.words_accumulate. The mean count per corpus of a word "
    "that occurred c times in the first settles at a random limit, with mean c and variance "
    "c (π²/6 - 1).",
    latex=r"\operatorname{Var} W_t = c \sum_{s=2}^{t} \frac{1}{s^2} "
    r"\to c \left(\frac{\pi^2}{6} - 1\right)",
    printed=lambda t: np.pi**2 / 6 - 1 - special.polygamma(1, t + 1),
    mutations={
        "from s = 1": lambda t: np.pi**2 / 6 - special.polygamma(1, t + 1),
        "1/s": lambda t: special.digamma(t + 1) - special.digamma(2),
        "without the 1": lambda t: np.pi**2 / 6 + 0.0 * t,
    },
)
def _words_share_variance(form, trial: Trial) -> Evidence:
    """Draw pools from one first count on."""
    rng, runs, first = trial.rng(), trial.pick(200_000, 1_500_000), 5.0
    pool, found, error, expected = np.full(runs, first), [], [], []
    for t in range(1, 41):
        if t in (2, 10, 40):
            square = (pool / t - first) ** 2 / first
            found.append(square.mean())
            error.append(square.std() / np.sqrt(runs))
            expected.append(float(form(t)))
        pool += rng.poisson(pool / t)
    picture = Panel(
        [2, 10, 40],
        [("sum of 1/s²", expected)],
        [("drawn", found, error)],
        "t: corpora that are kept",
        "Var W_t / c",
    )
    return statistical(
        found, expected, error, runs, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="commensal.words_human_accumulate",
    where=f"new here; {WHERE}; words.exchange_rate",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "repeats frequencies",
        "everything kept",
        "fresh human data",
        "same human law",
        "many points",
    ),
    statement="Premises: as in commensal.words_accumulate, with a share 0 < h < 1/2 of human "
    "tokens in each later corpus. The vocabulary comes back to that of a whole human corpus; what "
    "is lacking falls as t to the power -2h.",
    latex=r"1 - C_t \sim t^{-2h}",
    printed=lambda h: 2 * h,
    mutations={"t^-h": lambda h: h, "1/t": lambda h: 1.0, "t^-3h": lambda h: 3 * h},
    remark="A deviation of the pool's mean count lives on as t^-h, and so does its standard "
    "deviation; the chance to lack a word is lacking by the variance.",
)
def _words_human_accumulate(form, trial: Trial) -> Evidence:
    """Compare the slope of the recursion, from 1/T back, between two late generations."""
    human = np.array([0.1, 0.2, 0.3])
    lacking = []
    for t in trial.pick((10_000, 40_000), (100_000, 400_000)):
        theta, total = (1 - human) / (t - 1), human.copy()
        for s in range(t - 1, 1, -1):
            new = -np.expm1(-theta)
            theta, total = theta + (1 - human) * new / (s - 1), total + human * new
        lacking.append(np.exp(-theta) - total)
    slope = np.log(lacking[0] / lacking[1]) / np.log(4)
    away = np.abs(slope / form(human) - 1)
    exponent = at_most(float(away.max()), 0.12, "relative error").named("exponent")
    return exponent & at_most(float(lacking[1].max()), 0.2, "lacking at last").named("end")
