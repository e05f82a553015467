"""Plans document by document: every document is a response, every fit a weighted mean of them.

No Gram matrix, α, β or φ enters. A response is a vector of what it owes to each noise that was ever
drawn, so that variances are sums of squares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def errors(
    own: int,
    common: int,
    published: int,
    models: int,
    generations: int,
    *,
    collected: int = 0,
    shared: bool = False,
    weight: float = 1.0,
    reads: Sequence[Sequence[float]] | None = None,
    kept: int | None = 1,
) -> np.ndarray:
    """Return the error of each model in each generation, (T+1, K), for noise of variance one.

    ``weight`` is that of a published document, where a human one has 1; ``kept`` generations are
    read, all if None.
    """
    w = np.full((models, models), 1 / models) if reads is None else np.asarray(reads, float)
    total = models * own + common
    total += generations * models * (published + collected)
    used = 0

    def drawn(count: int) -> np.ndarray:
        nonlocal used
        used += count
        return np.eye(total)[used - count : used]

    private = [drawn(own) for _ in range(models)]
    public = drawn(common)
    estimates = [np.vstack([rows, public]).mean(axis=0) for rows in private]
    found = [[float(e @ e) for e in estimates]]
    web: list[list[np.ndarray]] = []
    people: list[list[np.ndarray]] = []
    for _ in range(generations):
        web.append([e + drawn(published) for e in estimates])
        same = drawn(collected)
        people.append([same if shared or k == 0 else drawn(collected) for k in range(models)])
        read = range(len(web))[-kept:] if kept else range(len(web))
        # a window has its weight from the first generation on, however few there are to read
        times = kept / len(read) if kept else 1.0
        estimates = []
        for k in range(models):
            rows, weights = [private[k], public], [1.0] * (own + common)
            for t in read:
                for j in range(models):
                    rows.append(web[t][j])
                    weights += [times * weight * models * w[k, j]] * published
                rows.append(people[t][k])
                weights += [times] * collected
            stacked = np.vstack(rows)
            estimates.append(np.average(stacked, axis=0, weights=weights))
        found.append([float(e @ e) for e in estimates])
    return np.array(found)


def words_left(
    law: np.ndarray,
    own: int,
    common: int,
    published: int,
    models: int,
    generations: int,
    collected: int,
    rng: np.random.Generator,
    shared: bool = False,
) -> int:
    """Return how many words the last text of one run shows, token by token.

    Each model is fitted to its own human tokens, to common ones, to all that was published last and
    to newly collected ones, all alike.
    """

    def human(count: int) -> np.ndarray:
        return rng.multinomial(count, law)

    private, public = [human(own) for _ in range(models)], human(common)
    read = [rows + public for rows in private]
    for t in range(generations + 1):
        texts = [rng.multinomial(published, counts / counts.sum()) for counts in read]
        whole = np.sum(texts, axis=0)
        if t < generations:
            same = human(collected)
            people = [same if shared else human(collected) for _ in private]
            pairs = zip(private, people, strict=True)
            read = [rows + public + whole + new for rows, new in pairs]
    return int((whole > 0).sum())
