"""`commensal`: runs of words that survive when models remember the words before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, at_most

known = Register()


def human_texts(
    law: Float[np.ndarray, "c v"], size: int, replicates: int, rng: np.random.Generator
) -> Int[np.ndarray, "r n"]:
    """Texts of a chain: ``law`` has a row per context, the last words as digits of a number."""
    contexts, words = law.shape
    upto = law.cumsum(axis=1)
    now = rng.integers(contexts, size=replicates)
    found = np.empty((replicates, size + 100), np.int64)
    for at in range(found.shape[1]):
        drawn = (rng.random(replicates)[:, None] > upto[now]).sum(axis=1).clip(max=words - 1)
        found[:, at] = drawn
        now = (now * words + drawn) % contexts
    return found[:, 100:]


def next_texts(
    texts: Int[np.ndarray, "r n"], words: int, order: int, rng: np.random.Generator
) -> Int[np.ndarray, "r n"]:
    """Texts of models that remember ``order`` words: each word is one that followed them before.

    The text that was read is closed to a circle, so that every context has a successor.
    """
    replicates, size = texts.shape
    contexts = words**order
    before = np.zeros_like(texts)
    for lag in range(1, order + 1):
        before += np.roll(texts, lag, axis=1) * words ** (lag - 1)
    places = np.argsort(before, axis=1, kind="stable")
    ordered = np.take_along_axis(before, places, axis=1)
    first = np.stack([np.searchsorted(row, np.arange(contexts + 1)) for row in ordered])
    rows = np.arange(replicates)
    now = before[rows, rng.integers(size, size=replicates)]
    found = np.empty_like(texts)
    for at in range(size):
        low, high = first[rows, now], first[rows, now + 1]
        chosen = low + (rng.random(replicates) * (high - low)).astype(np.int64)
        drawn = texts[rows, places[rows, chosen]]
        found[:, at] = drawn
        now = (now * words + drawn) % contexts
    return found


def shares_alive(
    texts: Int[np.ndarray, "r n"], words: int, order: int
) -> Float[np.ndarray, " runs"]:
    """Shares of texts with each context and the word after it, in the order of the law."""
    runs = np.zeros_like(texts)
    for lag in range(order + 1):
        runs += np.roll(texts, lag, axis=1) * words**lag
    there = np.zeros((len(texts), words ** (order + 1)), bool)
    there[np.arange(len(texts))[:, None], runs] = True
    return there.mean(axis=0)


def expected_counts(law: Float[np.ndarray, "c v"], size: int) -> Float[np.ndarray, " runs"]:
    """How often each context and the word after it are expected in a text of the chain."""
    contexts, words = law.shape
    share = np.full(contexts, 1 / contexts)
    follows = (np.arange(contexts)[:, None] * words + np.arange(words)) % contexts
    for _ in range(2000):
        share = np.bincount(follows.ravel(), (share[:, None] * law).ravel(), contexts)
    return (size * share[:, None] * law).ravel()


def exchange(t: int) -> float:
    """u_{t-1}: u_0 = 1 and u_{k+1} = 1 - exp(-u_k)."""
    u = 1.0
    for _ in range(t - 1):
        u = -np.expm1(-u)
    return float(u)


@known.claim(
    id="commensal.words_ngrams",
    where="extends Suresh et al., arXiv 2412.17646 (read as an abstract); words.survival",
    kind="statistical",
    proof="open",
    verdict="holds",
    premises=("repeats frequencies", "last generation only", "no human data later", "many points"),
    statement="Premises: a model that remembers the last k words writes as often as was read which "
    "word follows them; texts have n tokens, humans wrote the first. A run of k + 1 words that is "
    "expected λ times in it is in that of generation t with probability 1 - exp(-λ u_{t-1}), as a "
    "word is whose model remembers nothing: what is repeated whole is lost by one law.",
    latex=r"\Pr(\text{run alive in } t) \to 1 - e^{-\lambda u_{t-1}}",
    printed=lambda expected, t: -np.expm1(-expected * exchange(t)),
    mutations={
        "a generation later": lambda expected, t: -np.expm1(-expected * exchange(t + 1)),
        "the bound 1 - exp(-λ/t)": lambda expected, t: -np.expm1(-expected / t),
        "twice as long, twice as fast": lambda expected, t: -np.expm1(-expected * exchange(2 * t)),
    },
    remark="Each use of a context copies what followed one of its places in the last text. Counts "
    "of a context are Poisson, given its count in the last text, as soon as one of those before it "
    "is frequent; dividing them among what follows leaves Poisson counts. For n tokens it is off "
    "by about the share of runs that follow each other, here below 2 %.",
)
def _words_ngrams(form, trial: Trial) -> Evidence:
    """Draw chains of order one and two; compare runs that are expected one to eight times."""
    worst, pictures = 0.0, []
    times = list(range(1, 8))
    for order, words in ((1, 40), (2, 13)):
        size, replicates = trial.pick((4_000, 40), (8_000, 80))
        rng = trial.rng(order)
        law = rng.dirichlet(np.full(words, 0.3), size=words**order)
        expected = expected_counts(law, size)
        rare = (expected > 1) & (expected < 8)
        texts = human_texts(law, size, replicates, rng)
        found = []
        for _ in times:
            found.append(shares_alive(texts, words, order)[rare].mean())
            texts = next_texts(texts, words, order, rng)
        law_says = np.array([form(expected, t)[rare].mean() for t in times])
        worst = max(worst, float(np.abs(found / law_says - 1).max()))
        drawn = [(f"drawn, {replicates} texts", found, np.zeros(len(times)))]
        what = f"share of runs of {order + 1} words alive"
        pictures.append(Panel(times, [("law of words", law_says)], drawn, "generation", what))
    evidence = at_most(worst, 0.025, "relative error of the share alive")
    return replace(evidence, pictures=tuple(pictures))
