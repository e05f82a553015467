"""`commensal`: networks of models that repeat words: what is conserved, and how fast it is lost."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import stats

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, at_most, identity

known = Register()

PREMISES = (
    "Premises: K models repeat the word frequencies of what they read, and write n tokens each; "
    "model k reads model j with weight W_kj, rows sum to one; no human data after the first text."
)


def networks(rng: np.random.Generator, count: int, models: int) -> list[np.ndarray]:
    """Draw reading networks, uneven ones too."""
    return [rng.dirichlet(np.full(models, rng.uniform(0.3, 2)), models) for _ in range(count)]


def perron(w: np.ndarray) -> np.ndarray:
    """Left vector π W = π with sum one, by powers of the lazy network."""
    return np.linalg.matrix_power((w + np.eye(len(w))) / 2, 2**16)[0]


def moves(w: np.ndarray, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """All counts of one word in the K texts, and the whole matrix of their moves."""
    states = np.array(list(itertools.product(range(tokens + 1), repeat=len(w))))
    mean = states @ w.T / tokens
    # what is settled stays: rounding must not revive a word
    mean = np.where(np.abs(mean - 1) < 1e-12, 1.0, mean)
    chances = stats.binom.pmf(np.arange(tokens + 1), tokens, mean[..., None])
    matrix = np.ones((len(states), len(states)))
    for k in range(len(w)):
        matrix *= chances[:, k, :][:, states[:, k]]
    return states, matrix


def pair_rate(w: np.ndarray, tokens: int, repeat: float = 1.0) -> float:
    """ρ(D (W ⊗ W)), with D = 1 - repeat/n on pairs of one model."""
    count = len(w)
    weight = np.ones((count, count)) - repeat * np.eye(count) / tokens
    return float(np.abs(np.linalg.eigvals(weight.reshape(-1, 1) * np.kron(w, w))).max())


@known.claim(
    id="commensal.words_network_decay",
    where="new here; words.decay_rate",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "repeats frequencies",
        "last generation only",
        "no human data later",
        "many generations",
    ),
    statement=f"{PREMISES} In the long run diversity falls by ρ(D(W⊗W)) a generation, D = 1 - 1/n "
    "on pairs of one model's tokens and one elsewhere.",
    latex=r"H_{kl} \leftarrow D_{kl}\, (W H W^\top)_{kl}, \qquad "
    r"\rho\big(D (W \otimes W)\big), \quad D_{kk} = 1 - \tfrac1n",
    printed=pair_rate,
    mutations={
        "twice the repeats": lambda w, n: pair_rate(w, n, 2.0) if n > 1 else 1.0,
        "1 - 1/(K n)": lambda w, n: 1 - 1 / (len(w) * n),
    },
)
def _words_network_decay(form, trial: Trial) -> Evidence:
    """Compare with all courses of a word in small networks, whole matrices of moves."""
    rng, found, expected = trial.rng(), [], []
    for models, tokens in trial.pick(((2, 3), (3, 2)), ((2, 3), (2, 6), (3, 2), (3, 3))):
        for w in networks(rng, trial.pick(3, 10), models):
            states, matrix = moves(w, tokens)
            q = states / tokens
            # two tokens of all text: one is the word and the other is not
            unlike = q.mean(axis=1) * (1 - q.mean(axis=1))
            far = np.linalg.matrix_power(matrix, 2**9)
            start = np.full(len(states), 1 / len(states))
            late = start @ far
            now = late @ unlike
            if now < 1e-280:  # nothing left to measure a rate by
                late = start @ np.linalg.matrix_power(matrix, 2**6)
                now = late @ unlike
            found.append(form(w, tokens))
            expected.append(late @ matrix @ unlike / now)
    return identity(found, expected, 1e-6, instances=len(found))


@known.claim(
    id="commensal.words_conserved",
    where="new here; words.fixation_shares",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("repeats frequencies", "last generation only", "no human data later"),
    statement=f"{PREMISES} The frequency of a word, averaged with the left Perron vector π of W, "
    "is expected to stay: the one word that is left in the end was model j's with probability π_j. "
    "Being read decides, not reading.",
    latex=r"\sum_k \pi_k\, E q_k = \text{const}, \qquad \pi W = \pi",
    printed=perron,
    mutations={
        "all alike": lambda w: np.full(len(w), 1 / len(w)),
        "shares in one step": lambda w: w.mean(axis=0),
        "W transposed": lambda w: perron(w.T / w.T.sum(axis=1, keepdims=True)),
    },
)
def _words_conserved(form, trial: Trial) -> Evidence:
    """Compare with the chance that a word which one model has alone is left, all courses of it."""
    rng, found, expected = trial.rng(), [], []
    for models, tokens in trial.pick(((2, 3), (3, 2)), ((2, 3), (2, 6), (3, 2), (3, 3))):
        for w in networks(rng, trial.pick(3, 10), models):
            states, matrix = moves(w, tokens)
            ends = np.linalg.matrix_power(matrix, 2**13)[:, -1]  # all texts are the word
            alone = [
                ends[np.flatnonzero((states == tokens * unit).all(axis=1))[0]]
                for unit in np.eye(models, dtype=int)
            ]
            found.append(np.asarray(form(w)))
            expected.append(np.array(alone))
    return identity(found, expected, 1e-6)


@known.claim(
    id="commensal.words_clock",
    where="new here; words.effective_tokens",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("repeats frequencies", "last generation only", "no human data later", "many points"),
    statement=f"{PREMISES} To first order in 1/n a network loses diversity as one corpus of "
    "n/Σπ² tokens, at most K n: slowest where all are read alike.",
    latex=r"-\ln\rho = \frac{\sum_k \pi_k^2}{n} + O(n^{-2}), \qquad n_e = \frac{n}{\sum_k \pi_k^2} "
    r"\le K n",
    printed=lambda w, n: n / (perron(w) ** 2).sum(),
    mutations={
        "K n": lambda w, n: len(w) * n,
        "n": lambda w, n: float(n),
        "the largest share": lambda w, n: n / perron(w).max(),
    },
)
def _words_clock(form, trial: Trial) -> Evidence:
    """Compare with the exact rate for many tokens."""
    rng, worst, largest = trial.rng(), 0.0, 0.0
    for models in trial.pick((2, 4), (2, 4, 8)):
        for w in networks(rng, trial.pick(4, 20), models):
            gap = 1 - np.sort(np.abs(np.linalg.eigvals(w)))[-2]
            tokens = int(1e3 / gap)
            size = form(w, tokens)
            exact = -1 / np.log(pair_rate(w, tokens))
            worst = max(worst, abs(size / exact - 1))
            largest = max(largest, size / (models * tokens))
    error = at_most(worst, 0.01, "relative error").named("rate")
    return error & at_most(largest, 1 + 1e-9, "n_e, in K n").named("size")
