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
    memory : {"replace", "accumulate", "window"}
        Part of the web that is read.
    window : int or None
        Generations that memory "window" keeps; None for all of them.
    human_share : float
        Share φ of human texts in the new data.
    human_tasks : Float[numpy.ndarray, "datasets"] or None
        Share of each dataset in the human texts, the public dataset last; None where there are no
        such texts.
    human_texts : {"fresh", "seen"}
        New ones in every generation for every model, or the private data of all models.
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
    memory: str = "replace"
    window: int | None = None
    human_share: float = 0.0
    human_tasks: Float[np.ndarray, "datasets"] | None = None
    human_texts: str = "fresh"

    @property
    def human(self) -> Float[np.ndarray, "d d"] | None:
        """Gram matrix of the human texts per token, or None where there are none."""
        if self.human_tasks is None:
            return None
        known = np.concatenate([self.private, self.public[None]])
        return np.einsum("j,jab->ab", self.human_tasks, known)

    @property
    def human_noise(self) -> Float[np.ndarray, "points"]:
        """Variance of the noise of a generation's human texts, over that of n texts.

        A model gets φα times as many fresh texts as it draws texts; known ones bring no new noise.
        """
        count = self.human_share * self.alpha
        fresh = (count > 0) & (self.human_texts == "fresh")
        return np.where(fresh, 1 / np.where(count > 0, count, 1), 0.0)

    @property
    def web_shares(self) -> Float[np.ndarray, "points T"]:
        """Share of the web in the data of each generation after the first.

        Where everything is kept each of t generations has the weight α, and real data 1 - α.
        """
        times = np.arange(1, self.generations + 1) if self.memory == "accumulate" else 1
        web = times * np.repeat(self.alpha[:, None], self.generations, axis=1)
        return web / (1 - self.alpha[:, None] + web)

    def web(self, point: int) -> Float[np.ndarray, "*K d d"]:
        """Return the Gram matrix of what models read at a grid point, one for all or one each."""
        if self.reads is None:
            written = self.synthetic[point].mean(axis=0)
        else:
            written = np.einsum("kj,jab->kab", self.reads[point], self.synthetic[point])
        human = self.human
        return written if human is None else self.human_share * (human - written) + written


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
    # data are a number of texts, whatever is kept: what changes is the share of the web in them
    varies = system.memory == "accumulate" and system.generations > 0
    shares_of_web = system.web_shares if varies else system.alpha[:, None]
    rates = np.array([initial_training, *[training] * shares_of_web.shape[1]])
    points = [
        _filters_of(system, *at, rates)
        for at in zip(
            shares_of_web,
            system.beta,
            system.initial_beta,
            map(system.web, range(len(system.alpha))),
            strict=True,
        )
    ]
    kept, gain = (np.stack(part) for part in zip(*points, strict=True))
    web = shares_of_web if varies else system.alpha
    mix = web, system.beta, system.initial_beta
    # each share is of all that is kept together
    window = 1 if system.memory == "replace" else system.window
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
        None if system.human is None else (system.human, system.human_tasks, system.human_noise),
        system.human_share,
        system.generations,
        shares,
        window,
        system.human_texts == "seen",
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
    shares: Float[np.ndarray, "later"],
    beta: float,
    initial_beta: float,
    web: Float[np.ndarray, "*K d d"],
    rates: Float[np.ndarray, "rounds"],
) -> tuple[Float[np.ndarray, "rounds K d d"], Float[np.ndarray, "rounds K d d"]]:
    """Return H = exp(-τG) and (I - H) G⁺ of all rounds, for every model.

    There is one after the first for each share of the web.
    """
    real = beta * system.private + (1 - beta) * system.public
    first = initial_beta * system.private + (1 - initial_beta) * system.public
    grams = np.stack([first, *((1 - share) * real + share * web for share in shares)])
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
def _curves(*arguments):
    return _curves_jit(*arguments)


def _curves_impl(
    private: Array,
    public: Array,
    synthetic: Array,
    mix: tuple[Array, Array, Array],
    kept: Array,
    gain: Array,
    reads: Array | None,
    truths: Array,
    axes: Array,
    humans: tuple[Array, Array, Array] | None,
    human_share: Array,
    generations: int,
    shares: bool,
    window: int | None,
    seen: bool,
) -> tuple[
    Float[AnyArray, "points time K m"],
    Float[AnyArray, "points time K m"],
    Float[AnyArray, "points time K m d"] | None,
]:
    tests = jnp.concatenate([private, public[None]])
    base_knows_public = truths[-1, -1] == 0

    memory = {} if window == 1 else {"memory": "window", "window": window}
    human_tasks, of_humans = None, {}
    if humans is not None:
        human, human_tasks, _ = humans
        of_humans = {"human_share": human_share, "human": human, "human_data": "own"}

    def one(
        synthetic: Array,
        mix: tuple[Array, Array, Array],
        kept: Array,
        gain: Array,
        reads: Array | None,
        human_noise: Array | None,
    ):
        alpha, beta, initial_beta = mix
        w = RegressionWorkflow(
            private, public, synthetic, alpha, beta, 1.0, initial_beta, reads=reads, **of_humans
        )
        noise = 1.0 if human_noise is None else human_noise
        found = dependence(w, Filters(kept, gain), generations, human_noise=noise, **memory)
        from_human = jnp.asarray(found.from_human)[:, :, None]
        fresh_tasks = human_tasks
        if seen and human_tasks is not None:  # the texts of the datasets themselves, noise and all
            of_real = found.from_real + human_tasks[:, None, None] * from_human
            found, fresh_tasks = found._replace(from_real=of_real), None
        parts = error_parts(w, found, truths, tests, fresh_tasks)
        if not shares:
            return *parts, None
        said = jnp.asarray(found.from_real) @ tests  # E[θ̂_k | θ_1, ..., θ_*] = Σ_j said[k, j] θ_j
        if fresh_tasks is not None:
            said += from_human @ (fresh_tasks[:, None, None] * tests)
        # a base that knows the public data says what they say, wherever nothing else was learnt
        rest = jnp.eye(public.shape[-1]) - said[:, :, :-1].sum(axis=2)
        said = said.at[:, :, -1].set(jnp.where(base_knows_public, rest, said[:, :, -1]))
        return *parts, jnp.einsum("mai,tkmab,mbi->tkmi", axes, said, axes)

    return jax.vmap(one)(synthetic, mix, kept, gain, reads, None if humans is None else humans[2])


# one program per shape: it takes seconds to compile, and hundredths of one to run
_curves_jit = compiled(_curves_impl, static_argnums=(11, 12, 13, 14))
