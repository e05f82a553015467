"""Algorithm 3 in NumPy, one draw after another, for all runs at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

START = 20
"""Initial size |A⁽⁰⁾|; the paper has it only for its language models (sec. 4.1)."""


class Runs(NamedTuple):
    """Weights and web at t = 0..T; the last axes are runs and models."""

    weights: np.ndarray  # (T+1, B, R, n)
    web: np.ndarray  # (T+1, B, R), composition; exact labels, not ownerships
    draws: np.ndarray  # (T+1,), k_t
    points: np.ndarray  # (T+1,), N_t


def norm_squared(weights: np.ndarray) -> np.ndarray:
    """Return ‖D‖_F² of eq. (4) by its definition, as (T+1, R)."""
    gaps = weights[..., :, None] - weights[..., None, :]
    return np.einsum("tbrij,tbrij->tr", gaps, gaps)


def separated(
    rng: np.random.Generator,
    runs: int,
    generations: int,
    *,
    models: int = 3,
    components: int = 2,
    posts: int = 3,
    read_share: float = 0.5,
    points: int = START,
    weights: np.ndarray | None = None,
    web: np.ndarray | None = None,
    rate: float | None = None,
    prior: float | None = None,
    epsilon: float = 1e-6,
) -> Runs:
    """Simulate components so far apart that a point says which one it is from.

    Parameters
    ----------
    weights : Float[np.ndarray, "n B"] or None
        None: Dirichlet(1).
    web : Int[np.ndarray, "B"] or None
        How many initial points are of each component. None: the initial models wrote them.
    rate, prior : float or None
        α and c; None: 1/k and 1/(kB²).
    """
    b, n = components, models
    start = rng.dirichlet(np.ones(b), (runs, n)) if weights is None else weights
    x = np.moveaxis(np.broadcast_to(start, (runs, n, b)), -1, 0).copy()
    if web is None:
        counts = rng.multinomial(points, x.mean(axis=2).T).T
    else:
        counts = np.broadcast_to(web[:, None], (b, runs))
    counts = counts.astype(np.float32)
    history, webs, ks, sizes = [x.copy()], [counts / points], [], []
    for t in range(generations + 1):
        size = points + n * posts * t
        k = int(read_share * size + 1e-9)
        ks.append(k)
        sizes.append(size)
        if t == generations:
            break
        shares = np.moveaxis(np.maximum(x, 0), 0, -1)
        posted = rng.multinomial(posts, shares / shares.sum(axis=-1, keepdims=True))
        a = 1 / k if rate is None else rate
        c = 1 / (k * b**2) if prior is None else prior
        gain, push = a / (1 - b * c), a * c / (1 - b * c)
        left = np.repeat(counts[: b - 1, :, None], n, axis=2)
        if not push:
            # nothing can become negative, so that the old weights may be taken off at once
            x *= (1 - a) ** k
        for j in range(k):
            u = rng.random((runs, n), dtype=np.float32) * np.float32(size - j)
            if push:
                x *= 1 - a
                x -= push
            weight = gain if push else gain * (1 - a) ** (k - 1 - j)
            u -= left[0]
            hit = u < 0
            missed = ~hit
            for m in range(b - 1):
                if m:
                    u -= left[m]
                    hit = (u < 0) & missed
                    missed &= ~hit
                left[m] -= hit
                x[m] += weight * hit
            if push:
                x[b - 1] += weight * missed
                if x.min() <= 0:
                    lift(x, epsilon)
        if not push:
            x[b - 1] = 1 - x[: b - 1].sum(axis=0)
        counts = counts + posted.sum(axis=1).T.astype(np.float32)
        history.append(x.copy())
        webs.append(counts / (size + n * posts))
    return Runs(np.stack(history), np.stack(webs), np.array(ks), np.array(sizes))


def overlapping(
    rng: np.random.Generator,
    runs: int,
    generations: int,
    *,
    means: np.ndarray,
    models: int = 3,
    posts: int = 3,
    read_share: float = 0.5,
    points: int = START,
    weights: np.ndarray | None = None,
    web: np.ndarray | None = None,
    prior: float | None = None,
    epsilon: float = 1e-6,
) -> Runs:
    """Simulate components of variance 1 on the line at any means; arguments as for `separated`."""
    b, n = means.size, models
    start = rng.dirichlet(np.ones(b), (runs, n)) if weights is None else weights
    x = np.moveaxis(np.broadcast_to(start, (runs, n, b)), -1, 0).copy()
    last = points + n * posts * generations
    labels = np.zeros((runs, last), int)
    like = np.zeros((last, runs, b))

    def post(at: slice, new: np.ndarray) -> None:
        labels[:, at] = new
        u = means[new] + rng.standard_normal(new.shape)
        like[at] = np.exp(-0.5 * (u[..., None] - means) ** 2).swapaxes(0, 1)

    if web is None:
        post(slice(points), choose(rng, x.mean(axis=2)[:, :, None].repeat(points, axis=2)))
    else:
        post(slice(points), np.broadcast_to(np.repeat(np.arange(b), web), (runs, points)))
    history, ks, sizes = [x.copy()], [], []
    rows = np.arange(runs)[:, None]
    for t in range(generations + 1):
        size = points + n * posts * t
        k = int(read_share * size + 1e-9)
        ks.append(k)
        sizes.append(size)
        if t == generations:
            break
        post(slice(size, size + n * posts), choose(rng, x.repeat(posts, axis=2)))
        a, c = 1 / k, 1 / (k * b**2) if prior is None else prior
        order = rng.permuted(np.broadcast_to(np.arange(size), (runs, n, size)), axis=-1)
        order = np.moveaxis(order[..., :k], -1, 0).copy()
        for drawn in order:
            o = x * np.moveaxis(like[drawn, rows], -1, 0)
            o /= o.sum(axis=0)
            x *= 1 - a
            o -= c
            o *= a / (1 - b * c)
            x += o
            if x.min() <= 0:
                lift(x, epsilon)
        history.append(x.copy())
    webs = [np.stack([(labels[:, :s] == m).mean(axis=1) for m in range(b)]) for s in sizes]
    return Runs(np.stack(history), np.stack(webs), np.array(ks), np.array(sizes))


def choose(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """Draw a component for each entry, by weights on the first axis."""
    upto = np.cumsum(np.maximum(weights, 0), axis=0)
    return (rng.random(weights.shape[1:]) * upto[-1] > upto[:-1]).sum(axis=0)


def lift(x: np.ndarray, epsilon: float) -> None:
    """Apply lines 7 to 14 of Algorithm 2, as printed, in place; components on the first axis."""
    for m in range(x.shape[0]):
        low = x[m] <= 0
        if low.any():
            x /= np.where(low, 1 + epsilon - x[m], 1.0)
            x[m] = np.where(low, epsilon, x[m])


def comes_down(weights: np.ndarray, limit: float) -> tuple[bool, np.ndarray]:
    """Return whether the RMS norm ends below ``limit`` times its start, and its course."""
    course = np.sqrt(norm_squared(weights).mean(axis=1))
    return bool(course[-1] < limit * course[0]), course
