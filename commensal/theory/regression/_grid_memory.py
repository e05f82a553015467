r"""Errors in one generation over an α × β grid, for models that may remember.

In the coordinates of :mod:`._pencil` a model's Gram matrix is a diagonal,
:math:`\barαC^2 + ω n S^2`, whatever the weight ω of a generation that is kept and however many (n)
are: nothing is decomposed again as they become more. What is kept is the state x of a linear
system, the published rows of each channel and the humans' rows; a generation publishes
:math:`A_t \sum x + B_t y` with y the real responses. So the coefficients of y in the state and its
covariance given y are followed by matrix products, many cells at a time. The same numbers as
:mod:`._memory`, which inverts every Gram matrix in every generation.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Complex, Float
from scipy.special import logsumexp, softmax

from commensal._cores import host_cores
from commensal.theory.memory import window_growth
from commensal.theory.regression._grid_cells import GridSystem
from commensal.theory.regression._pencil import Data, Pencil, Shares

_CELLS = 128  # of one block at most; fixed, so that no number depends on how many threads there are
_STATE, _READ = 2**18, 2**22  # numbers of a block's states, and of what is read of them
_STEPS = 100
_NO_GROWTH = 1e-7  # below which an exponent is rounding


class Memory(NamedTuple):
    """How past generations are kept, up to generation T."""

    generations: int
    window: int | None
    """Generations that are kept; None for all of them."""
    grows: bool
    """Whether every generation has the weight α, and not all of them together."""

    @property
    def slots(self) -> int | None:
        """Number of generations that are kept apart; None where all are one sum."""
        thrown = self.window is not None and self.window < self.generations
        return self.window if thrown else None

    def count(self, t: int) -> int:
        """Number of generations that are read in generation t."""
        return t if self.window is None else min(t, self.window)


class MemorySystem(NamedTuple):
    """All that the cells have in common, for responses of unit variance and data of order one."""

    answers: Float[np.ndarray, "K rs d"]
    """What a model's answers add to the published rows of each channel, per its estimate."""
    fresh: Float[np.ndarray, "x x"]
    """Covariance of the noise in what is published in one generation, and in the humans' rows."""
    places: list[np.ndarray]
    """Places in the state that each model reads."""
    human: Float[np.ndarray, "h d"]
    """Rows of fresh human data."""
    human_share: float
    own: list[np.ndarray]
    """Places of each model's real responses, private ones and then the public ones."""
    responses: Float[np.ndarray, "q"]
    """Means of all real responses."""
    sizes: Float[np.ndarray, "q"]
    """Squared lengths of the rows of real data."""
    tasks: Float[np.ndarray, "M d d"]
    theta: Float[np.ndarray, "d"]


class GenerationCells(NamedTuple):
    """Numbers of all cells in generation T, and how their errors grow in the long run."""

    radius: Float[np.ndarray, "A B"]
    exponent: Float[np.ndarray, "A B"]
    traces: Float[np.ndarray, "A B K M"]
    bias: Float[np.ndarray, "A B K d"]
    distance: Float[np.ndarray, "A B"]


class _Mix(NamedTuple):
    alpha: Float[np.ndarray, "n"]
    beta: float
    initial_beta: float


def system_of(data: Data, system: GridSystem, theta: Float[np.ndarray, "d"]) -> MemorySystem:
    """Lay out the state, and what all cells have in common."""
    private, public, web, human = data.roots
    k, rows = private.shape[:2]
    answers, published = np.asarray(system.answers), np.asarray(system.published)
    of = system.channels.of
    if system.channels.count == 1:
        answers = np.sqrt(1 - data.human_share) * answers @ web[0]
    rs, h = len(published), human.shape[1]
    s, humans = rs // system.channels.count, range(k) if system.human_data.own else (0,) * k
    fresh = np.eye(rs + (max(humans) + 1) * h)
    fresh[:rs, :rs] = published
    places = [
        np.concatenate([of[i] * s + np.arange(s), rs + humans[i] * h + np.arange(h)])
        for i in range(k)
    ]
    last = k * rows + np.arange(public.shape[1])
    return MemorySystem(
        answers=answers,
        fresh=fresh,
        places=places,
        human=human[0],
        human_share=data.human_share,
        own=[np.concatenate([i * rows + np.arange(rows), last]) for i in range(k)],
        responses=np.concatenate([private.reshape(-1, len(theta)), public[0]]) @ theta,
        sizes=np.concatenate([np.asarray(system.sizes).ravel(), np.asarray(system.public_sizes)]),
        tasks=np.asarray(system.tasks),
        theta=theta,
    )


def solve(
    data: Data,
    system: MemorySystem,
    alpha: Float[np.ndarray, "A"],
    beta: Float[np.ndarray, "B"],
    initial_beta: Float[np.ndarray, "B"],
    memory: Memory,
    rows: int,
) -> GenerationCells:
    """Solve all cells, ``rows`` values of β in one thread."""
    k, d = len(system.own), len(system.theta)
    shape = (alpha.size, beta.size)
    ends = ((), (), (k, len(system.tasks)), (k, d), ())
    told = GenerationCells(*(np.full((*shape, *end), np.nan) for end in ends))
    kinds = ((alpha > 0) & (alpha < 1), 1.0, 1.0), (alpha == 0, 1.0, 0.0), (alpha == 1, 0.0, 1.0)

    def some(first: int) -> None:
        which = np.arange(first, min(first + rows, beta.size))
        start = data.pencil(initial_beta[which], 1.0, 0.0)
        for mask, real, new in kinds:
            if not mask.any():
                continue
            fits = data.pencil(beta[which], real, new)
            for at in _blocks(np.flatnonzero(mask), system, memory):
                for i, j in enumerate(which):
                    mix = _Mix(alpha[at], beta[j], initial_beta[j])
                    found = _cells(system, _row(start, i), _row(fits, i), mix, memory)
                    for whole, part in zip(told, found, strict=True):
                        whole[at, j] = part

    def quiet(first: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # errors that grow for ever, in the end
            some(first)

    with ThreadPoolExecutor(host_cores()) as pool:
        list(pool.map(quiet, range(0, beta.size, rows)))
    return told


def _blocks(at: np.ndarray, system: MemorySystem, memory: Memory) -> Iterator[np.ndarray]:
    state = len(system.fresh) * (memory.slots or 1)
    read = len(system.own) * len(system.theta) * len(system.responses)
    size = int(np.clip(min(_STATE // state**2, _READ // read), 1, _CELLS))
    for first in range(0, at.size, size):
        yield at[first : first + size]


def _row(pencil: Pencil, i: int) -> Shares:
    return jax.tree.map(lambda x: np.asarray(x)[i], pencil.shares)


class _Refit:
    """Refits of all models at one β and several α, linear in what is read."""

    def __init__(
        self, system: MemorySystem, shares: Shares, alpha: np.ndarray, beta: float
    ) -> None:
        human = np.asarray(shares.private)[:, :0] if shares.human is None else shares.human
        private, public, web = map(np.asarray, (shares.private, shares.public, shares.web))
        read = [web, np.sqrt(system.human_share) * human]
        told = [np.sqrt(beta) * private, np.sqrt(1 - beta) * public]
        self.rows, self.cut = np.concatenate([*read, *told], axis=1), sum(x.shape[1] for x in read)
        self.new = (web**2).sum(axis=1) + (human**2).sum(axis=1)
        self.real = (private**2).sum(axis=1) + (public**2).sum(axis=1)
        self.system, self.alpha = system, alpha
        self.estimates = np.asarray(shares.inverse)
        self.answers = system.answers @ self.estimates

    def linear(
        self, left: Float[np.ndarray, "K i d"], each: np.ndarray, every: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield ``left`` times each model's estimate, per number of the state and per response.

        ``each`` is the weight of what is published in a generation, ``every`` that of all together.
        The estimate is linear in the state at ``places`` (n i x), and in the responses ``own`` (n i
        q); there are none of what has no weight.
        """
        real, new = (1 - self.alpha)[:, None], np.broadcast_to(every, self.alpha.shape)[:, None]
        for k, (places, own) in enumerate(zip(self.system.places, self.system.own, strict=True)):
            size = real * self.real[k] + new * self.new[k]
            scale = np.where(size > 0, 1 / np.where(size > 0, size, 1), 0)
            parts = (left[k] * scale[:, None]).reshape(-1, left.shape[-1]) @ self.rows[k].T
            parts = parts.reshape(len(scale), left.shape[1], -1)
            read, told = each * parts[..., : self.cut], real[..., None] * parts[..., self.cut :]
            yield places[: self.cut], read, own[: told.shape[-1]], told

    def published(self, each: np.ndarray, every: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is published, per number of the state, and per response and for humans."""
        system, rs = self.system, self.answers.shape[1]
        n, x = len(self.alpha), len(system.fresh)
        a, b = np.zeros((n, x, x)), np.zeros((n, x, len(system.responses) + 1))
        for places, read, own, told in self.linear(self.answers, each, every):
            a[:, :rs, places] += read
            b[:, :rs, own] += told
        if x > rs:
            told = system.human @ system.theta
            b[:, rs:, -1] = np.tile(told, (x - rs) // len(told))
        return a, b


class _Kept:
    """State: what is kept, per real response (a last column for humans), and its covariance.

    One sum, or as many slots as there are generations in a window.
    """

    def __init__(self, first: Float[np.ndarray, "n x q"], fresh: np.ndarray, slots: int | None):
        n, x, q = first.shape
        self.fresh, self.apart, m = fresh, slots is not None, slots or 1
        self.mean, self.noise = np.zeros((m, n, x, q)), np.zeros((n, m, x, m, x))
        self.mean[0], self.noise[:, 0, :, 0] = first, fresh
        self.published = 1

    def publish(self, a: Float[np.ndarray, "n x x"], b: Float[np.ndarray, "n x q"]) -> None:
        """Add a generation, which reads the sum of what is kept through A and adds B."""
        if not self.apart:
            through = np.eye(len(self.fresh)) + a
            self.mean[0] = through @ self.mean[0] + b
            noise = through @ self.noise[:, 0, :, 0] @ np.ascontiguousarray(through.mT)
            self.noise[:, 0, :, 0] = noise + self.fresh
            return
        n, m, x = self.noise.shape[:3]
        slot = self.published % m
        row = (a @ self.noise.sum(axis=1).reshape(n, x, m * x)).reshape(n, x, m, x)
        block = row.sum(axis=2) @ np.ascontiguousarray(a.mT) + self.fresh
        self.mean[slot] = a @ self.mean.sum(axis=0) + b
        self.noise[:, slot], self.noise[:, :, :, slot] = row, row.transpose(0, 2, 3, 1)
        self.noise[:, slot, :, slot] = block
        self.published += 1


def _cells(
    system: MemorySystem, start: Shares, fits: Shares, mix: _Mix, memory: Memory
) -> GenerationCells:
    """Follow the cells of one β and several α to generation T."""
    nothing, alpha = np.zeros(1), mix.alpha[:, None, None]
    refit = _Refit(system, fits, mix.alpha, mix.beta)
    _, first = _Refit(system, start, nothing, mix.initial_beta).published(nothing, nothing)
    kept = _Kept(np.repeat(first, len(alpha), axis=0), system.fresh, memory.slots)
    together = None if memory.grows else refit.published(alpha, mix.alpha)
    for t in range(1, memory.generations):
        if together is None:
            kept.publish(*refit.published(alpha, t * mix.alpha))
        else:
            kept.publish(together[0] / memory.count(t), together[1])
    if together is None:
        settled = _Refit(system, fits, np.ones(1), mix.beta).published(np.ones(1), np.ones(1))[0]
    else:
        settled = together[0]
    radius, exponent = _growth(settled[:, : refit.answers.shape[1]], memory)
    count = memory.count(memory.generations)
    each, every = (alpha, count * mix.alpha) if memory.grows else (alpha / count, mix.alpha)
    return GenerationCells(radius, exponent, *_read(system, kept, refit, each, every))


def _read(
    system: MemorySystem, kept: _Kept, refit: _Refit, each: np.ndarray, every: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return traces (n K M), bias (n K d) and distance (n) of estimates that read what is kept."""
    mean, noise = kept.mean.sum(axis=0), kept.noise.sum(axis=(1, 3))
    traces, bias, per_response = [], [], []
    tasks = system.tasks.reshape(len(system.tasks), -1).T
    for places, read, own, said in refit.linear(refit.estimates, each, every):
        found = read @ mean[:, places]
        found[..., own] += said
        told, human = found[..., :-1], found[..., -1]
        covariance = told @ told.mT + read @ noise[:, places[:, None], places] @ read.mT
        traces.append(covariance.reshape(len(covariance), -1) @ tasks)
        bias.append(told @ system.responses + human - system.theta)
        per_response.append(told * np.sqrt(system.sizes))
    every_one = np.stack(per_response, axis=1)
    apart = ((every_one - every_one.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2, 3))
    size = (every_one**2).sum(axis=(1, 2, 3))
    distance = np.sqrt(apart / np.where(size > 0, size, 1))
    return np.stack(traces, axis=1), np.stack(bias, axis=1), distance


def _growth(a: Float[np.ndarray, "n rs x"], memory: Memory) -> tuple[np.ndarray, np.ndarray]:
    """Return growth per generation, and the exponent of growth where everything is kept."""
    values = np.linalg.eigvals(a[..., : a.shape[1]]).astype(complex)
    if memory.window is not None:
        return _largest_growth(values, memory.window), np.full(len(a), np.nan)
    exponent = np.real(values).max(axis=-1) - 1
    return np.ones(len(a)), np.where(np.abs(exponent) < _NO_GROWTH, 0, exponent)


def _largest_growth(values: Complex[np.ndarray, "n i"], window: int) -> np.ndarray:
    """Return the largest growth over eigenvalues (n i).

    None grows faster than a positive one of its size would: only where that could be the largest
    is another one's equation solved.
    """
    size = np.abs(values)
    if window == 1:
        return size.max(axis=-1)
    positive = (np.real(values) > 0) & (np.abs(np.imag(values)) <= 1e-12 * size)
    found = _positive_growth(np.where(positive, size, 0).max(axis=-1), window)
    open_ = np.arange(len(values))
    for i in np.argsort(-size, axis=-1).T:  # the largest of each cell, then the next
        bound = _positive_growth(size[open_, i[open_]], window)
        open_ = open_[~positive[open_, i[open_]] & (bound > found[open_])]
        if not open_.size:
            break
        rates = values[open_, i[open_]]
        found[open_] = np.maximum(found[open_], window_growth(rates, window))
    return found


def _positive_growth(rate: np.ndarray, window: int) -> np.ndarray:
    """Solve m xᵐ = μ (xᵐ⁻¹ + ... + 1) for the positive x, by Newton's method in ln x."""
    lags = np.arange(1, window + 1)
    known = rate > 0
    aim = np.log(np.where(known, rate, 1.0))
    y = np.minimum(aim, 0)  # below the root, from where a convex function leads to it
    for _ in range(_STEPS):
        terms = -y[:, None] * lags
        step = (logsumexp(terms, axis=-1) - np.log(window) + aim) / (softmax(terms, -1) @ lags)
        y = y + step
        if np.all(np.abs(step) < 1e-15):
            break
    return np.where(known, np.exp(y), 0)
