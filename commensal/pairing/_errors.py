r"""Expected errors on every task when each dataset has a law of its own.

Theorem 2 of `interactive` lets all data share one true parameter θ. Its Theorem 1 does not need
that: given the data, estimates are linear in them. Here dataset j answers
:math:`y_j = X_j θ_j + \text{noise}` with :math:`θ_j \sim N(0, I)` independent (or correlated)
around the pretrained base, which is the origin, and errors are averaged over these laws in closed
form. Then training on one dataset can lead away from another, which with one θ for all only noise
could do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal import designs
from commensal._compiled import compiled
from commensal._precision import AnyArray, float64
from commensal.theory.regression import (
    Dependence,
    RegressionTraining,
    RegressionWorkflow,
    dependence,
)

STEPS = 100
"""Number of gradient steps per generation in Table 9 of `interactive`."""

_LONGEST = 15


def errors(
    points: Sequence[tuple[float, float]],
    generations: int,
    models: int,
    seed: int,
    *,
    training: float,
    initial_training: float,
    noise: float,
    correlation: float = 0.0,
    dim: int = 50,
    rank: int = 15,
) -> Float[np.ndarray, "points 2 K K"]:
    r"""Compute the errors of model k on task m before the first generation and after the last.

    Parameters
    ----------
    points : sequence of (alpha, beta)
        Weights of the web and of private data, for t >= 1.
    generations : int
        T.
    models : int
        K; model and task k share a private dataset.
    seed : int
        Of the random design: Gaussian features, ``rank`` rows per dataset (`interactive` fig. 4).
    training, initial_training : float
        τ = η s at t >= 1 and at t = 0, in units of 1/G.
    noise : float
        ν = σ/√d: standard deviation of a response's noise over that of its mean x·θ_j.
    correlation : float
        Between the true parameters of two datasets; 1 is Theorem 2's common θ.
    dim, rank : int
        d, and rows of each dataset.

    Returns
    -------
    Float[np.ndarray, "points 2 K K"]
        :math:`E\lVert X_m (\hat θ_k - θ_m) \rVert^2` over that of the base,
        :math:`E\lVert X_m θ_m \rVert^2`: 1 where nothing is known of the task. Not finite where
        the gradient steps diverge.

    Examples
    --------
    Training on task 1 alone (α = 0, β = 1), model 1 learns it and unlearns task 2:

    >>> e = errors([(0.0, 1.0)], 5, 2, seed=0, training=0.1, initial_training=0.02, noise=0.1)
    >>> bool(e[0, 1, 0, 0] < e[0, 0, 0, 0]), bool(e[0, 1, 0, 1] > e[0, 0, 0, 1] > 1)
    (True, True)
    """
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation must lie between 0 and 1, got {correlation}")
    # α = 1 hears neither dataset, so one β does for all; equal grid points are computed once
    asked = [(float(a), float(b) if a < 1 else 1.0) for a, b in points]
    scalars = np.array([training / STEPS, initial_training / STEPS, noise * dim**0.5, correlation])
    grams = _grams(models, dim, rank, seed)
    found = {(a, b): _errors(grams, np.array([a, b]), scalars, generations) for a, b in set(asked)}
    return np.stack([np.asarray(found[s]) for s in asked])


@lru_cache(maxsize=64)
def _grams(models: int, dim: int, rank: int, seed: int) -> dict[str, np.ndarray]:
    return designs.gaussian(models, dim, rank, seed).grams()


@float64
def _errors(grams, mix, scalars, generations: int) -> Float[AnyArray, "2 K K"]:
    # the published runs have 8 and 15 generations: one program does for both
    return _errors_jit(grams, mix, scalars, generations, max(generations, _LONGEST))


def _errors_impl(
    grams, mix: Array, scalars: Array, generations: int | Array, longest: int
) -> AnyArray:
    rate, initial_rate, noise, correlation = scalars
    # all grid points start from the same models (the initial losses of Tables 7 and 8 do not depend
    # on β), which were tuned to their own tasks: β_0 = 1
    w = RegressionWorkflow(**grams, alpha=mix[0], beta=mix[1], noise=noise, initial_beta=1.0)
    k = w.models
    truths = (1 - correlation) * jnp.eye(k + 1) + correlation
    found = dependence(w, RegressionTraining(rate, STEPS, initial_rate), longest)
    # before the first generation and after the last
    ends = jax.tree.map(lambda x: jnp.stack([x[0], x[generations]]), found)
    expected, variance = error_parts(w, ends, truths, w.private)
    return (expected + variance) / jnp.einsum("maa->m", w.private)


# One program per K and d: fast code costs a second more to compile, and the calls, one for each
# grid point of each design, take a third of the time (9 ms, not 26, at K = 2). It calls no LAPACK.
_errors_jit = compiled(_errors_impl, static_argnums=4, heavy=True)


def error_parts(
    w: RegressionWorkflow,
    found: Dependence,
    truths: AnyArray,
    tests: Float[AnyArray, "M d d"],
    human_tasks: Float[AnyArray, "datasets"] | None = None,
) -> tuple[Float[AnyArray, "time K M"], Float[AnyArray, "time K M"]]:
    """Return model k's squared error on dataset m, averaged over truths, and the part of noise.

    ``truths`` is the covariance of the datasets' true parameters about the base, in each
    direction of the features; test m is about dataset m. Fresh human data are a mixture of all
    datasets with the shares ``human_tasks``, answered with the parameter of each.
    """
    grams = jnp.concatenate([w.private, w.public[None]])
    maps = found.from_real @ grams  # E[θ̂_k | θ_1, ..., θ_*] = Σ_j maps[k, j] θ_j
    if human_tasks is not None:
        maps += found.from_human[:, :, None] @ (human_tasks[:, None, None] * grams)
    mixed = jnp.einsum("ij,tkjab->tkiab", truths, maps)
    m = tests.shape[0]
    # E |X_m (Σ_j maps[k, j] θ_j - θ_m)|²
    expected = jnp.einsum("tkiab,tkicb,mac->tkm", maps, mixed, tests)
    expected -= 2 * jnp.einsum("tkmab,mba->tkm", mixed[:, :, :m], tests)
    expected += jnp.diagonal(truths)[:m] * jnp.einsum("maa->m", tests)
    known = found.from_real @ grams  # fresh answers have noise of their own
    covariance = w.noise**2 * jnp.einsum("tkmab,tkmcb->tkac", known, found.from_real)
    return expected, jnp.einsum("tkab,mba->tkm", covariance + found.given_real, tests)
