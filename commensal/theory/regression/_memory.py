r"""Models that remember what was published before the last generation (new here).

What a model has read so far is a Gram matrix and a moment, :math:`X^\top X` and
:math:`X^\top y` of all that its channel kept; the estimates are linear in the moments. So the
moments of the generations that are kept, one below the other, are the state of a linear system
with independent noise, and its mean and covariance follow exactly. If nothing is thrown away the
moments of all generations are one sum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from commensal._precision import is_concrete
from commensal.theory.regression import _factors
from commensal.theory.regression._linalg import rank_tolerance
from commensal.theory.regression._workflow import (
    GenerationData,
    RegressionWorkflow,
    generations_of,
    initial_generation,
)


class _Kept(NamedTuple):
    """Law of the moments that are kept: n of them, of each channel in each generation."""

    mean: Float[np.ndarray, "n d"]
    from_real: Float[np.ndarray, "n datasets d d"]  # per statistic X'y, the public one last
    noise: Float[np.ndarray, "nd nd"]  # covariance given the real data


class _Estimates(NamedTuple):
    """Law of all models' estimates in one generation."""

    mean: Float[np.ndarray, "K d"]
    from_real: Float[np.ndarray, "K datasets d d"]
    noise: Float[np.ndarray, "Kd Kd"]
    joint: Float[np.ndarray, "Kd nd"]  # covariance with the moments that are kept


class _Fit(NamedTuple):
    """One generation's refit: gains and weights."""

    gain: Float[np.ndarray, "K d d"]  # G⁺
    private: float  # weights of the real data
    public: float
    web: float  # of a generation that is kept


def trajectory(
    w: RegressionWorkflow, theta: Any, generations: int, memory: str, window: int | None
) -> tuple[Float[np.ndarray, "t K d"], Float[np.ndarray, "t K d d"], float]:
    """Return means and covariances at t = 0..T, and an estimate of their rounding."""
    if not is_concrete((w, theta)):
        raise ValueError(f"memory {memory!r} is for known values: take no gradient or trace of it")
    first, later = jax.tree.map(np.asarray, (initial_generation(w), generations_of(w)))
    private, public, noise, theta = map(np.asarray, (w.private, w.public, w.noise, theta))
    channel = np.array(w.channels.of)
    k, d, r = w.models, w.dim, w.channels.count
    if first.human_data.own:  # no two models have the same moments
        first, later = (_apart(g, channel) for g in (first, later))
        r, channel = k, np.arange(k)
    limit = generations if memory == "accumulate" or window is None else window
    added = limit >= generations  # what is never thrown away is one sum
    slots = 1 if added else limit
    grams = np.zeros((slots, r, d, d))
    kept = _Kept(
        np.zeros((slots * r, d)),
        np.zeros((slots * r, k + 1, d, d)),
        np.zeros((slots * r * d,) * 2),
    )
    # one below the other: how a model's moment follows from all that are kept
    reads = np.tile(np.eye(r)[channel], slots)
    means, covariances, condition, told = [], [], 1.0, None
    for t in range(generations + 1):
        g = first if t == 0 else _at(later, t - 1)
        if told is not None:
            slot = (t - 1) % slots
            fresh = _web_gram(g, r, k)
            grams[slot] = grams[slot] + fresh if added else fresh
            kept = _remember(kept, told, g, theta, noise, r, None if added else slot)
        web = float(g.web_weight)
        if memory == "window":
            web /= max(min(t, limit), 1)
        fit, worst = _fit(private, public, grams.sum(axis=0)[channel], g, web)
        condition = max(condition, worst)
        told = _estimates(fit, kept, private, public, theta, reads)
        means.append(told.mean)
        covariances.append(_covariance(told, private, public, float(noise)))
    rounding = 4 * np.finfo(float).eps * condition**2
    return np.stack(means), np.stack(covariances), rounding


def _at(g: GenerationData, t: int) -> GenerationData:
    """Return what generation t + 1 is refitted to, of one or of all of them."""
    return jax.tree.map(lambda x: x[min(t, len(x) - 1)], g)


def _apart(g: GenerationData, channel: np.ndarray) -> GenerationData:
    """Give each model a channel of its own."""
    k = len(channel)
    if g.reads is not None:
        return g._replace(reads=np.asarray(g.reads)[..., channel, :])
    return g._replace(reads=np.full((*np.shape(g.web_weight), k, k), 1 / k))


def _shares(g: GenerationData, r: int, k: int) -> Float[np.ndarray, "r K"]:
    """Weights of what each model published, by channel."""
    reads = np.full((1, k), 1 / k) if g.reads is None else g.reads
    return np.asarray(1 - g.human_share) * reads


def _web_gram(g: GenerationData, r: int, k: int) -> Float[np.ndarray, "r d d"]:
    written = np.einsum("rk,kab->rab", _shares(g, r, k), g.synthetic)
    return written + g.human_share * g.human


def _fit(
    private: np.ndarray, public: np.ndarray, read: np.ndarray, g: GenerationData, web: float
) -> tuple[_Fit, float]:
    p, q = float(g.private_weight), float(g.public_weight)
    values, vectors = np.linalg.eigh(p * private + q * public + web * read)
    seen = values > rank_tolerance(values.shape[-1]) * values.max(axis=-1, keepdims=True)
    inverse = np.where(seen, 1 / np.where(seen, values, 1), 0)
    gain = (vectors * inverse[:, None]) @ vectors.swapaxes(-1, -2)
    return _Fit(gain, p, q, web), float(_factors.condition_of(values).max())


def _remember(
    kept: _Kept,
    told: _Estimates,
    g: GenerationData,
    theta: np.ndarray,
    noise: np.ndarray,
    r: int,
    slot: int | None,
) -> _Kept:
    """Publish with the estimates ``told``, and keep it in a slot; None adds it to what is kept."""
    k, d = told.mean.shape
    shares = _shares(g, r, k)
    asked = np.einsum("rk,kab->rakb", shares, g.synthetic).reshape(r * d, k * d)
    fresh = np.einsum("ik,jk,kab->iajb", shares, shares, g.synthetic)
    same = np.eye(r) if g.human_data.own else np.ones((r, r))
    human = g.human_share**2 * same[:, None, :, None] * g.human[None, :, None]
    fresh = noise**2 * (fresh + human).reshape(r * d, r * d)
    mean = (asked @ told.mean.ravel()).reshape(r, d) + g.human_share * g.human @ theta
    from_real = np.einsum(
        "iakb,kmbc->imac", asked.reshape(r, d, k, d), told.from_real, optimize=True
    )
    row, block = asked @ told.joint, asked @ told.noise @ asked.T + fresh
    if slot is None:
        noise = kept.noise + row + row.T + block
        return _Kept(kept.mean + mean, kept.from_real + from_real, noise)
    place, rows = slice(slot * r, (slot + 1) * r), slice(slot * r * d, (slot + 1) * r * d)
    kept = _Kept(*(x.copy() for x in kept))
    kept.mean[place], kept.from_real[place] = mean, from_real
    kept.noise[rows], kept.noise[:, rows] = row, row.T
    kept.noise[rows, rows] = block
    return kept


def _estimates(
    fit: _Fit,
    kept: _Kept,
    private: np.ndarray,
    public: np.ndarray,
    theta: np.ndarray,
    reads: Float[np.ndarray, "K n"],
) -> _Estimates:
    """Refit all models to the real data and to all that is kept."""
    k, d, _ = fit.gain.shape
    real = fit.private * private @ theta + fit.public * public @ theta
    mean = np.einsum("kab,kb->ka", fit.gain, real + fit.web * reads @ kept.mean)
    from_real = fit.web * np.einsum("kn,nmab->kmab", reads, kept.from_real)
    every = np.arange(k)
    from_real[every, every] += fit.private * np.eye(d)
    from_real[:, k] += fit.public * np.eye(d)
    heard = fit.web * np.einsum("kab,kn->kanb", fit.gain, reads).reshape(k * d, -1)
    joint = heard @ kept.noise
    return _Estimates(mean, fit.gain[:, None] @ from_real, joint @ heard.T, joint)


def _covariance(
    told: _Estimates, private: np.ndarray, public: np.ndarray, noise: float
) -> Float[np.ndarray, "K d d"]:
    k, d = told.mean.shape
    real = np.concatenate([private, public[None]])
    through = np.einsum("kmab,mbc,kmdc->kad", told.from_real, real, told.from_real, optimize=True)
    return noise**2 * through + np.einsum("kakb->kab", told.noise.reshape(k, d, k, d))
