"""Ecosystems of laws over word types on segmented text: simulated, by moments, enumerated.

Model m holds a law q^m over V word types. One generation is q ← (counts + λ q)/(n + λ), with the
counts of its n = N/M tokens; all models' texts are then pooled, shuffled and dealt out again.

The laws and the recursion that the claims put to the test are those of
:mod:`commensal.theory.ecosystem`. The simulation here is NumPy's multinomial draws and a shuffle,
independent of :mod:`commensal.sims.ecosystem`, and takes any function of the models' laws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import comb
from typing import Any, NamedTuple

import numpy as np

Step = Callable[..., tuple[np.ndarray, np.ndarray]]
"""Function from (same, across, mean, keep, share, models) to second moments one fit later."""


@dataclass(frozen=True)
class Proxy:
    """Settings of the proxy for `diversity`: one vocabulary, shared by all models.

    Zipf's exponent is 1, the first fit is to N tokens drawn from the law itself and dealt out,
    and averages are over all ten generations, that first one included.
    """

    types: int = 2_000
    tokens: int = 16_000
    hold: float = 5_000.0
    """Number of tokens λ for which the model's own law counts in a fit."""
    generations: int = 10
    flatness: float = 0.7
    """Power of the true law to which the pretrained law is proportional."""
    sharpening: float = 1.0
    """Power τ of the model's law from which text is generated, after normalising."""

    @cached_property
    def law(self) -> np.ndarray:
        """True law over the word types."""
        return self._vocabulary[0]

    @cached_property
    def prior(self) -> np.ndarray:
        """Pretrained law over the word types."""
        return self._vocabulary[1]

    @cached_property
    def _vocabulary(self) -> tuple[np.ndarray, np.ndarray]:
        from commensal.theory.ecosystem import zipf

        law, prior = zipf(self.types, flatness=self.flatness)
        return np.asarray(law), np.asarray(prior)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Divide weights by their sum over the last axis."""
    return weights / weights.sum(axis=-1, keepdims=True)


def deal(pool: np.ndarray, models: int, rng: np.random.Generator) -> np.ndarray:
    """Shuffle pooled counts, (R, V), and deal them to the models in equal parts, (R, M, V)."""
    replicates, types = pool.shape
    if models == 1:
        return pool[:, None]
    hands = []
    for counts in pool:
        text = np.repeat(np.arange(types), counts)
        rng.shuffle(text)
        text = text.reshape(models, -1) + types * np.arange(models)[:, None]
        hands.append(np.bincount(text.ravel(), minlength=models * types))
    return np.array(hands).reshape(replicates, models, types)


def simulate(
    proxy: Proxy,
    models: int,
    rng: np.random.Generator,
    replicates: int,
    measure: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Simulate the proxy; stack ``measure`` of the laws (R, M, V) per generation along axis 1."""
    share = proxy.tokens // models
    text = rng.multinomial(proxy.tokens, proxy.law, size=replicates)
    laws = np.broadcast_to(proxy.prior, (replicates, models, proxy.types))
    found = []
    for _ in range(proxy.generations):
        laws = (deal(text, models, rng) + proxy.hold * laws) / (share + proxy.hold)
        found.append(measure(laws))
        source = laws if proxy.sharpening == 1 else normalised(laws**proxy.sharpening)
        text = rng.multinomial(share, source).sum(axis=1)
    return np.stack(found, axis=1)


def perplexities(
    proxy: Proxy, models: int, rng: np.random.Generator, replicates: int
) -> np.ndarray:
    """Mean perplexity of the models on the true law after each generation, (R, T)."""

    def measure(laws: np.ndarray) -> np.ndarray:
        return np.exp(-np.log(laws) @ proxy.law).mean(axis=1)

    return simulate(proxy, models, rng, replicates, measure)


class ExactMoments(NamedTuple):
    """Exact moments of the models' laws, by word type."""

    mean: np.ndarray
    """Mean E q, (V,), the same after every generation."""
    same: np.ndarray
    """Second moment E (q^m)², (T, V)."""
    across: np.ndarray
    """Product moment E q^m q^m' of two models, (T, V)."""


def moments(proxy: Proxy, models: int, step: Step) -> ExactMoments:
    """Compute the moments after each generation of the proxy, by a recursion of second moments."""
    laws = (proxy.law, proxy.prior)
    return recur(*laws, proxy.hold, proxy.tokens / models, models, proxy.generations, step)


def recur(
    law: np.ndarray,
    prior: np.ndarray,
    hold: float | int,
    share: float | int,
    models: int,
    generations: int,
    step: Step,
) -> ExactMoments:
    """Iterate the moments from the fit to real text, whose tokens are independent, onwards."""
    keep = hold / (share + hold)
    mean = keep * prior + (1 - keep) * law
    noise = (1 - keep) ** 2 * law * (1 - law) / share
    same, across = [mean**2 + noise], [mean**2]
    for _ in range(generations - 1):
        f, b = step(same[-1], across[-1], mean, keep, share, models)
        same.append(f)
        across.append(b)
    return ExactMoments(mean, np.array(same), np.array(across))


def island(*state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Recursion that the claims put to the test, with the arguments of a :data:`Step`."""
    from commensal.theory import ecosystem

    return ecosystem.island(*state)


def enumerated(
    law: float, prior: float, keep: float, share: int, models: int, generations: int
) -> np.ndarray:
    """Return E (q^m)² and E q^m q^m' of one type, (T, 2), summed over every course of events."""
    hands = np.array(list(product(range(share + 1), repeat=models)))
    totals, tokens = hands.sum(axis=1), share * models
    ways = np.array([np.prod([comb(share, c) for c in hand]) for hand in hands], float)
    dealt = ways / np.array([comb(tokens, k) for k in totals])  # given how many the pool holds
    laws, weights = np.full((1, models), prior), np.ones(1)
    found = []
    for fit in range(generations):
        writes = laws if fit else np.full((1, models), law)
        pool = np.ones((len(writes), 1))
        for m in range(models):
            one = np.stack(
                [
                    comb(share, c) * writes[:, m] ** c * (1 - writes[:, m]) ** (share - c)
                    for c in range(share + 1)
                ],
                axis=1,
            )
            longer = np.zeros((len(writes), pool.shape[1] + share))
            for c in range(share + 1):
                longer[:, c : c + pool.shape[1]] += pool * one[:, [c]]
            pool = longer
        weights = (weights[:, None] * pool[:, totals] * dealt).ravel()
        moved = keep * laws[:, None] + (1 - keep) * hands[None] / share
        laws = moved.reshape(-1, models)
        pair = laws[:, 0] * laws[:, 1] if models > 1 else laws[:, 0] ** 2
        found.append((weights @ laws[:, 0] ** 2, weights @ pair))
    return np.array(found)
