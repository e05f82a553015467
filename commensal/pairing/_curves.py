"""Errors over the generations, for datasets given by the second moments of their features."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._compiled import compiled
from commensal._precision import AnyArray, float64
from commensal.pairing._errors import error_parts
from commensal.theory.regression import Filters, RegressionWorkflow, dependence


class RunSystem(NamedTuple):
    """Inputs that the theory takes from a run; no loss is among them.

    Attributes
    ----------
    private : Float[numpy.ndarray, "K d d"]
        Gram matrices per token of the tasks; their mean with the public one is the identity,
        where features are whitened.
    public : Float[numpy.ndarray, "d d"]
    synthetic : Float[numpy.ndarray, "points K d d"]
        Of what the models wrote at t = 0, for each setting's start.
    alpha, beta, initial_beta : Float[numpy.ndarray, "points"]
        Of each grid point.
    generations : int
        T.
    truths : Float[numpy.ndarray, "datasets datasets"]
        Covariance of the datasets' true parameters about the base, the public dataset last.
    reads : Float[numpy.ndarray, "points K K"] or None
        Reading network of each grid point; None: all read all alike everywhere.
    networks : tuple of str
        Name of each grid point's network; empty where there is one for all.
    """

    private: Float[np.ndarray, "K d d"]
    public: Float[np.ndarray, "d d"]
    synthetic: Float[np.ndarray, "points K d d"]
    alpha: Float[np.ndarray, "points"]
    beta: Float[np.ndarray, "points"]
    initial_beta: Float[np.ndarray, "points"]
    generations: int
    truths: Float[np.ndarray, "datasets datasets"]
    reads: Float[np.ndarray, "points K K"] | None = None
    networks: tuple[str, ...] = ()

    def web(self, point: int) -> Float[np.ndarray, "*K d d"]:
        """Return the Gram matrix of what models read at a grid point, one for all or one each."""
        if self.reads is None:
            return self.synthetic[point].mean(axis=0)
        return np.einsum("kj,jab->kab", self.reads[point], self.synthetic[point])


class ErrorCurves(NamedTuple):
    """Errors per token by grid point, generation, model and dataset (the public one last).

    Attributes
    ----------
    expected : Float[numpy.ndarray, "points time K datasets"]
        Of models that learn from responses without noise.
    variance : Float[numpy.ndarray, "points time K datasets"]
        What noise of unit variance adds.
    shares : Float[numpy.ndarray, "points time K datasets d"] or None
        Share of a dataset's own truth in what the model says, in each principal direction of that
        dataset's features: 1 where it is known, 0 where nothing of it is. None unless asked for.
    frequencies : Float[numpy.ndarray, "datasets d"]
        Share of a dataset's features that lies in each of these directions.
    """

    expected: Float[np.ndarray, "points time K datasets"]
    variance: Float[np.ndarray, "points time K datasets"]
    shares: Float[np.ndarray, "points time K datasets d"] | None
    frequencies: Float[np.ndarray, "datasets d"]


def curves(
    system: RunSystem, training: float, initial_training: float, *, shares: bool = False
) -> ErrorCurves:
    """Compute the errors of every model on every dataset at t = 0..T.

    Parameters
    ----------
    system : RunSystem
    training, initial_training : float
        τ, step size times steps of a generation, at t >= 1 and at t = 0, of gradient steps so
        small that they flow; ``inf`` is the minimiser that `interactive` assumes.
    shares : bool
        Compute the shares too, which only the loss of a mixture reads.

    Returns
    -------
    ErrorCurves
        Over d, so that a base that knows nothing has an error of about 1.

    Examples
    --------
    One model that trains on its own task alone, to the end: nothing is left to learn.

    >>> import numpy as np
    >>> eye, half = np.eye(2), np.array([1.0])
    >>> s = RunSystem(eye[None], eye, eye[None, None], 0 * half, half, half, 1, np.eye(2))
    >>> curves(s, np.inf, 1.0).expected[0, :, 0].round(2)
    array([[0.14, 1.4 ],
           [0.  , 2.  ]])
    """
    rates = np.array([initial_training, training])
    points = [
        _filters_of(system, *at, rates)
        for at in zip(
            system.alpha,
            system.beta,
            system.initial_beta,
            map(system.web, range(len(system.alpha))),
            strict=True,
        )
    ]
    kept, gain = (np.stack(part) for part in zip(*points, strict=True))
    mix = np.stack([system.alpha, system.beta, system.initial_beta], axis=1)
    values, axes = np.linalg.eigh(np.concatenate([system.private, system.public[None]]))
    values = values.clip(0)
    expected, variance, known = _curves(
        system.private,
        system.public,
        system.synthetic,
        mix,
        kept,
        gain,
        system.reads,
        system.truths,
        axes,
        system.generations,
        shares,
    )
    d = system.public.shape[-1]
    return ErrorCurves(
        np.asarray(expected) / d,
        np.asarray(variance) / d,
        None if known is None else np.asarray(known),
        values / values.sum(axis=-1, keepdims=True),
    )


def _filters_of(
    system: RunSystem,
    alpha: float,
    beta: float,
    initial_beta: float,
    web: Float[np.ndarray, "*K d d"],
    rates: Float[np.ndarray, "2"],
) -> tuple[Float[np.ndarray, "2 K d d"], Float[np.ndarray, "2 K d d"]]:
    """Return H = exp(-τG) and (I - H) G⁺ of both rounds, for every model."""
    grams = np.stack(
        [
            initial_beta * system.private + (1 - initial_beta) * system.public,
            (1 - alpha) * (beta * system.private + (1 - beta) * system.public) + alpha * web,
        ]
    )
    values, vectors = np.linalg.eigh(grams)
    seen = values > 1e-9 * values.max(axis=-1, keepdims=True)
    values = np.where(seen, values, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        # what the data say nothing of stays as it was
        kept = np.where(seen, np.exp(-rates[:, None, None] * values), 1.0)
    gain = (1 - kept) / values

    def matrix(spectrum: np.ndarray) -> np.ndarray:
        return (vectors * spectrum[..., None, :]) @ vectors.swapaxes(-1, -2)

    return matrix(kept), matrix(gain)


@float64
def _curves(private, public, synthetic, mix, kept, gain, reads, truths, axes, generations, shares):
    return _curves_jit(
        private, public, synthetic, mix, kept, gain, reads, truths, axes, generations, shares
    )


def _curves_impl(
    private: Array,
    public: Array,
    synthetic: Array,
    mix: Array,
    kept: Array,
    gain: Array,
    reads: Array | None,
    truths: Array,
    axes: Array,
    generations: int,
    shares: bool,
) -> tuple[
    Float[AnyArray, "points time K m"],
    Float[AnyArray, "points time K m"],
    Float[AnyArray, "points time K m d"] | None,
]:
    tests = jnp.concatenate([private, public[None]])
    base_knows_public = truths[-1, -1] == 0

    def one(synthetic: Array, mix: Array, kept: Array, gain: Array, reads: Array | None):
        alpha, beta, initial_beta = mix
        w = RegressionWorkflow(
            private, public, synthetic, alpha, beta, 1.0, initial_beta, reads=reads
        )
        found = dependence(w, Filters(kept, gain), generations)
        parts = error_parts(w, found, truths, tests)
        if not shares:
            return *parts, None
        said = jnp.asarray(found.from_real) @ tests  # E[θ̂_k | θ_1, ..., θ_*] = Σ_j said[k, j] θ_j
        # a base that knows the public data says what they say, wherever nothing else was learnt
        rest = jnp.eye(public.shape[-1]) - said[:, :, :-1].sum(axis=2)
        said = said.at[:, :, -1].set(jnp.where(base_knows_public, rest, said[:, :, -1]))
        return *parts, jnp.einsum("mai,tkmab,mbi->tkmi", axes, said, axes)

    return jax.vmap(one)(synthetic, mix, kept, gain, reads)


# one program per shape: it takes seconds to compile, and hundredths of one to run
_curves_jit = compiled(_curves_impl, static_argnums=(9, 10))
