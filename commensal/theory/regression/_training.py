r"""Generations that train for a limited number of steps, not to the minimum (new here).

With s steps of size η and θ* the minimiser, θ_t = H θ_{t-1} + (I - H) θ*, H = (I - ηG)^s (claim
``commensal.finite_training``). Such steps, from where the model stood, are linear in
everything that :mod:`._state` keeps, but the d-dimensional reduction is lost: a model's estimate
depends on its own last one, not only on the web. What is carried is, for every model, how its
estimate depends on the sufficient statistics :math:`\tilde X_j^\top \tilde y_j` of all real data,
and the joint covariance given these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._compiled import compiled
from commensal._memory import check_memory
from commensal._precision import AnyArray, float64, is_concrete
from commensal.theory.regression._workflow import (
    GenerationData,
    RegressionWorkflow,
    generations_of,
    gram,
    initial_generation,
)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["rate", "initial_rate", "base"],
    meta_fields=["steps", "initial_steps"],
)
@dataclass(frozen=True)
class RegressionTraining:
    r"""Settings of a generation's training: its rate, its steps and its start.

    From :math:`θ_{t-1,k}`, ``steps`` of gradient descent with step size ``rate`` on half the loss
    of the workflow end at

    .. math::
        θ_{tk} = H_k θ_{t-1,k} + (I - H_k) G_{tk}^+ b_{tk}, \qquad
        H_k = (I - η G_{tk})^s,

    where :math:`G^+ b` is the minimiser that `interactive` assumes. Directions of which a model's
    data say nothing stay as they were.

    Attributes
    ----------
    rate : Float[Array, ""]
        Learning rate η, in units of 1/G; below 2 over the largest eigenvalue of any G_tk, or the
        steps diverge.
    steps : int
        Number of gradient steps s; 100 is what the language models of the paper take (its Table 9).
    initial_rate : Float[Array, ""] or None
        Learning rate η at t = 0; None for ``rate``.
    initial_steps : int or None
        Number of gradient steps s at t = 0; None for ``steps``.
    base : Float[Array, "d"], Float[Array, "K d"] or None
        Pretrained base, where training begins at t = 0; None for 0.

    Raises
    ------
    ValueError
        If a number of steps is below 1 or a rate is negative.

    Examples
    --------
    >>> RegressionTraining(rate=0.01).steps
    100
    """

    rate: Any
    steps: int = 100
    initial_rate: Any = None
    initial_steps: int | None = None
    base: Any = None

    def __post_init__(self) -> None:
        for name in ("steps", "initial_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("rate", "initial_rate"):
            value = getattr(self, name)
            # under a transformation a leaf may be a tracer or a bare object
            if isinstance(value, (int, float, np.ndarray)) and not np.all(np.asarray(value) >= 0):
                raise ValueError(f"{name} must not be negative, got {value}")


class _Law(NamedTuple):
    """Joint law of all estimates of one generation."""

    mean: Float[Array, "K d"]
    from_real: Float[Array, "K datasets d d"]  # per statistic of real data, the public last
    from_human: Float[Array, "K d d"]  # per mean statistic of fresh human data
    noise: Float[Array, "K K d d"]  # covariance given the real data


@float64
def check(training: RegressionTraining, w: RegressionWorkflow) -> None:
    """Raise ValueError if steps diverge or the base has the wrong shape, where values are known."""
    shapes = ((w.dim,), (w.models, w.dim))
    if training.base is not None and jnp.shape(training.base) not in shapes:
        raise ValueError(
            f"base must have shape {shapes[0]} or {shapes[1]}, got {jnp.shape(training.base)}"
        )
    if not is_concrete((training, w)):
        return
    first = training.rate if training.initial_rate is None else training.initial_rate
    rounds = (("initial_rate", first, initial_generation(w)), ("rate", training.rate, None))
    for name, rate, g in rounds:
        g = generations_of(w) if g is None else g
        largest = float(np.linalg.eigvalsh(np.asarray(gram(w, g)))[..., -1].max())
        if float(rate) * largest >= 2:
            shown = name if training.initial_rate is not None else "rate"
            raise ValueError(
                f"{shown} must be below 2 over the largest eigenvalue of G, which is "
                f"{2 / largest:.4g} here, got {float(rate):.4g}: gradient steps would diverge"
            )


class Filters(NamedTuple):
    """Effect of training on estimates: θ_t = kept θ_{t-1} + gain b_t, for any kind of training.

    Attributes
    ----------
    kept : Float[Array, "rounds K d d"]
        Matrix H of each model: at t = 0, and at every t >= 1. With time-varying weights, one round
        for each generation after the first.
    gain : Float[Array, "rounds K d d"]
        Matrix (I - H) G⁺ of each model.
    """

    kept: Float[AnyArray, "rounds K d d"]
    gain: Float[AnyArray, "rounds K d d"]


class Dependence(NamedTuple):
    """Dependence of estimates on data in each generation, for any true parameters.

    Attributes
    ----------
    from_real : Float[Array, "time K datasets d d"]
        E[θ̂_k | real data] = Σ_j from_real[k, j] X_j'y_j + from_human[k] E[X_h'y_h], from a base of
        0; the public dataset last.
    from_human : Float[Array, "time K d d"]
        Dependence of E[θ̂_k] on the mean X_h'y_h of fresh human data, alike in every generation.
    given_real : Float[Array, "time K d d"]
        Covariance of each estimate given the real data, which published and fresh answers cause.
    """

    from_real: Float[AnyArray, "time K datasets d d"]
    from_human: Float[AnyArray, "time K d d"]
    given_real: Float[AnyArray, "time K d d"]


def dependence(
    w: RegressionWorkflow,
    training: RegressionTraining | Filters,
    generations: int,
    memory: str = "replace",
    window: int | None = None,
    *,
    human_noise: Any = 1.0,
) -> Dependence:
    r"""Compute how estimates depend on the data at t = 0..T, if datasets may disagree.

    Theorem 2 of `interactive` has one true parameter for all data; this is what it averages
    over: given the data, estimates are linear in them (Theorem 1 and :class:`RegressionTraining`).

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant or with as many generations as are asked for.
    training : RegressionTraining or Filters
        Training of every generation.
    generations : int
        Number of generations T.
    memory : {"replace", "accumulate", "window"}
        Part of the web that is read, as in :func:`trajectory`; one that is kept needs filters.
    window : int or None
        Generations m that memory "window" keeps; None for all of them.
    human_noise : Float[Array, ""]
        Variance of fresh human answers' noise, over σ²: 1/m where there are m times as many as
        their Gram matrix says, 0 where they are the same answers in every generation.

    Returns
    -------
    Dependence
        Dependence of the estimates on the data, float64. With the same parameter θ for all data the
        mean of an estimate is :math:`\sum_j M_{kj} G_j θ` and its covariance :math:`σ^2 \sum_j
        M_{kj} G_j M_{kj}^\top` more than ``given_real``, for M = ``from_real`` and the datasets'
        Gram matrices G_j, where all new data come from the models. Fresh human data may have a
        parameter of their own, θ_h: their mean is F θ_h.

    Raises
    ------
    ValueError
        If gradient steps would diverge, a base that is not 0 is given, filters have another
        shape, or ``generations`` or ``human_noise`` is negative; for a memory other than "replace"
        with gradient steps.

    Notes
    -----
    With a memory (new here) an estimate is a sum over the noise of all past generations, O(T² K³
    d³) in all; α_t is the weight in generation t of all that is kept, or of each generation of it
    ("accumulate"). Fresh human data are kept as long as what models wrote in their generation.

    Examples
    --------
    Filters that keep nothing and fit each model to its own data, whose Gram matrix is 2 I:

    >>> import numpy as np
    >>> eye = np.eye(2)
    >>> w = RegressionWorkflow(2 * eye[None], eye, eye[None], alpha=0.0, beta=1.0)
    >>> fitted = Filters(np.zeros((2, 1, 2, 2)), np.stack([eye[None] / 2] * 2))
    >>> dependence(w, fitted, generations=1).from_real[:, 0, :, 0, 0]
    array([[0.5, 0. ],
           [0.5, 0. ]])
    """
    if generations < 0:
        raise ValueError(f"generations must not be negative, got {generations}")
    check_memory(memory, window)
    kept = 1 if memory == "replace" else window
    if kept != 1 and isinstance(training, RegressionTraining):
        raise ValueError(f"memory {memory!r} needs filters, not gradient steps")
    if is_concrete(human_noise) and not np.all(np.asarray(human_noise) >= 0):
        raise ValueError(f"human_noise must not be negative, got {human_noise}")
    if isinstance(training, RegressionTraining):
        if training.base is not None:
            raise ValueError("base must be None: estimates are counted from it")
        check(training, w)
    else:
        rest = (w.models, w.dim, w.dim)
        for name, value in training._asdict().items():
            shape = jnp.shape(value)
            if shape[1:] != rest or shape[0] < 2:
                k, d = w.models, w.dim
                raise ValueError(f"{name} must have shape (rounds, {k}, {d}, {d}), got {shape}")
    if kept != 1:
        return _remembering(w, training, human_noise, generations, memory == "accumulate", kept)
    return _dependence(w, training, human_noise, generations)


@float64
def _dependence(
    w: RegressionWorkflow, training: Any, human_noise: Any, generations: int
) -> Dependence:
    return Dependence(*_dependence_jit(w, training, jnp.asarray(human_noise), generations))


@float64
def _remembering(
    w: RegressionWorkflow,
    training: Any,
    human_noise: Any,
    generations: int,
    grows: bool,
    kept: int | None,
) -> Dependence:
    given = (w, training, jnp.asarray(human_noise))
    has_humans = not is_concrete(w.human_share) or bool(np.any(w.human_share))
    return Dependence(*_remembering_jit(*given, generations, grows, kept, has_humans))


def _remembering_impl(
    w: RegressionWorkflow,
    rounds: Filters,
    human_noise: Array,
    generations: int,
    grows: bool,
    kept: int | None,
    has_humans: bool,
) -> Dependence:
    """Follow how estimates depend on real data and on the noise of each past generation."""
    k, d = w.models, w.dim
    people = (k if w.human_data == "own" else 1) if has_humans else 0
    later, known = generations_of(w), jnp.shape(rounds.kept)[0] - 1
    length, eye, every = later.web_weight.shape[0], jnp.eye(d), jnp.arange(k)

    def at(t: int) -> GenerationData:
        if t == 0:
            return initial_generation(w)
        return jax.tree.map(lambda x: x[min(t, length) - 1], later)

    # columns: the real data, K + 1 datasets of d numbers, the mean of human data, and then the
    # noise of what each model, and each draw of human data, brings in each generation
    mean, first = (k + 1) * d, (k + 1 + min(people, 1)) * d
    sources = k + people
    asked, of_humans = (
        jnp.stack([getattr(at(t), name) for t in range(1, max(generations, 1) + 1)])
        for name in ("synthetic", "human")
    )
    estimates = jnp.zeros((k, d, first + len(asked) * sources * d))
    published, collected, told = [], [], []
    for t in range(generations + 1):
        g = at(t)
        own = g.private_weight * jnp.einsum("km,ab->kamb", jnp.eye(k, k + 1), eye)
        own = own.at[:, :, k].add(g.public_weight * eye)
        heard = jnp.zeros_like(estimates).at[..., :mean].set(own.reshape(k, d, mean))
        read = published if kept is None else published[-kept:]
        if read:
            weight = g.web_weight if grows else g.web_weight / len(read)
            heard += w.channels.to_models(weight * sum(read[1:], start=read[0]), axis=0)
            if people:
                humans = collected[-len(read) :]
                heard += weight * sum(humans[1:], start=humans[0])
        place = min(t, known)
        estimates = rounds.kept[place] @ estimates + rounds.gain[place] @ heard
        noise = estimates[..., first:].reshape(k, d, len(asked), sources, d)
        given = jnp.einsum(
            "katjb,tjbc,kdtjc->kad", noise[..., :k, :], asked, noise[..., :k, :]
        ) + human_noise * jnp.einsum(
            "kathb,tbc,kdthc->kad", noise[..., k:, :], of_humans, noise[..., k:, :]
        )
        from_real = estimates[..., :mean].reshape(k, d, k + 1, d).swapaxes(1, 2)
        from_human = estimates[..., mean:first] if people else jnp.zeros((k, d, d))
        told.append((from_real, from_human, w.noise**2 * given))
        if t == generations:
            break
        g = at(t + 1)
        answers = (g.synthetic @ estimates).reshape(k, d, -1)
        columns = first + t * sources * d + jnp.arange(sources)[:, None] * d + jnp.arange(d)
        answers = answers.at[every[:, None], jnp.arange(d), columns[:k]].add(1.0)
        reads = jnp.full((1, k), 1 / k) if g.reads is None else g.reads
        published.append((1 - g.human_share) * jnp.einsum("rj,jac->rac", reads, answers))
        if people:
            fresh = jnp.zeros((people, *estimates.shape[1:])).at[..., mean:first].set(eye)
            fresh = fresh.at[jnp.arange(people)[:, None], jnp.arange(d), columns[k:]].set(1.0)
            collected.append(g.human_share * fresh)
    return Dependence(*(jnp.stack(part) for part in zip(*told, strict=True)))


_remembering_jit = compiled(_remembering_impl, static_argnums=(3, 4, 5, 6))


def _dependence_impl(
    w: RegressionWorkflow,
    training: RegressionTraining | Filters,
    human_noise: Array,
    generations: int,
) -> Dependence:
    def read(law: _Law) -> Dependence:
        noise = jnp.einsum("kkab->kab", law.noise)
        return Dependence(law.from_real, law.from_human, noise)

    nothing = _base(w, RegressionTraining(rate=0.0))
    rounds = training if isinstance(training, Filters) else filters_of(w, training)
    return _each(w, rounds, jnp.zeros(w.dim), nothing, generations, read, human_noise)


_dependence_jit = compiled(_dependence_impl, static_argnums=3)


def trajectory(
    w: RegressionWorkflow, training: RegressionTraining, theta: AnyArray, generations: int
) -> tuple[Float[Array, "time K d"], Float[Array, "time K d d"]]:
    """Means and covariances of the estimates at t = 0..T."""
    start = _base(w, training)
    rounds = filters_of(w, training)

    def read(law: _Law) -> tuple[Array, Array]:
        return law.mean, _covariance(w, law)

    return _each(w, rounds, theta, start, generations, read)


def filters_of(w: RegressionWorkflow, training: RegressionTraining) -> Filters:
    """Filters of gradient steps, at t = 0 and at the weights of each generation t >= 1."""
    first_rate = training.rate if training.initial_rate is None else training.initial_rate
    first_steps = training.initial_steps or training.steps
    first = _filters(gram(w, initial_generation(w))[None], first_rate, first_steps)
    later = _filters(gram(w, generations_of(w)), training.rate, training.steps)
    return Filters(*(jnp.concatenate(pair) for pair in zip(first, later, strict=True)))


def _each(
    w: RegressionWorkflow,
    rounds: Filters,
    theta: Any,
    base: _Law,
    generations: int,
    read: Callable[[_Law], Any],
    human_noise: Any = 1.0,
) -> Any:
    """Stack the values of ``read`` for the law of each generation."""
    later = generations_of(w)
    length, known = later.web_weight.shape[0], jnp.shape(rounds.kept)[0] - 1
    first = initial_generation(w)
    start = _advance(w, first, (rounds.kept[0], rounds.gain[0]), theta, base, human_noise)

    def step(law: _Law, t: Array):
        g = jax.tree.map(lambda x: x[jnp.minimum(t, length - 1)], later)
        at = 1 + jnp.minimum(t, known - 1)
        law = _advance(w, g, (rounds.kept[at], rounds.gain[at]), theta, law, human_noise)
        return law, read(law)

    _, found = jax.lax.scan(step, start, jnp.arange(generations))
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), read(start), found)


def _base(w: RegressionWorkflow, training: RegressionTraining) -> _Law:
    k, d = w.models, w.dim
    base = jnp.zeros(d) if training.base is None else jnp.asarray(training.base)
    nothing = jnp.zeros((k, k, d, d))
    from_real, from_human = jnp.zeros((k, k + 1, d, d)), jnp.zeros((k, d, d))
    return _Law(jnp.broadcast_to(base, (k, d)), from_real, from_human, nothing)


def _filters(
    g: Float[Array, "*T K d d"], rate: Any, steps: int
) -> tuple[Float[Array, "*T K d d"], Float[Array, "*T K d d"]]:
    """Return H = (I - ηG)^s and L = (I - H) G⁺ = η Σ_{i<s} (I - ηG)^i, by matrix products alone.

    No inverse of G, so no decision on its rank; and derivatives exist where eigenvalues coincide.
    """
    eye = jnp.broadcast_to(jnp.eye(g.shape[-1]), g.shape)
    h, gain = eye - rate * g, rate * eye
    for bit in f"{steps:b}"[1:]:
        h, gain = h @ h, gain + h @ gain  # 2s steps from s
        if bit == "1":
            one = eye - rate * g
            h, gain = one @ h, one @ gain + rate * eye
    return h, gain


def _advance(
    w: RegressionWorkflow,
    g: GenerationData,
    filters: tuple[Array, Array],
    theta: Any,
    law: _Law,
    human_noise: Any,
) -> _Law:
    """Advance the law of the estimates by one generation of answers and training."""
    kept, gain = filters
    k, models = w.models, w.channels.to_models
    share, fresh = g.web_weight * (1 - g.human_share), g.web_weight * g.human_share
    # by channel: what its readers read of the answers, and how it depends on estimates
    reads = jnp.full((1, k), 1 / k) if g.reads is None else g.reads
    answered = jnp.einsum("rj,jab,jb->ra", reads, g.synthetic, law.mean)
    real = g.private_weight * w.private + g.public_weight * w.public
    told = (real + fresh * g.human) @ theta + share * models(answered, axis=0)
    mean = _apply(kept, law.mean) + _apply(gain, told)
    # what the web says per statistic of the real data, and what each model sees by itself
    asked = reads[:, :, None, None] * g.synthetic  # (r K d d)
    heard = share * models(jnp.einsum("rjab,jmbc->rmac", asked, law.from_real), axis=0)
    eye = jnp.eye(w.dim)
    own = g.private_weight * jnp.einsum("km,ab->kmab", jnp.eye(k, k + 1), eye)
    own = own.at[:, k].add(g.public_weight * eye)
    from_real = kept[:, None] @ law.from_real + gain[:, None] @ (own + heard)
    heard = share * models(jnp.einsum("rjab,jbc->rac", asked, law.from_human), axis=0)
    from_human = kept @ law.from_human + gain @ (fresh * eye + heard)
    # estimates before -> after: H_k δ_kj + L_k share W_kj S_j
    passed = gain[:, None] @ models(share * asked, axis=0)
    passed = passed.at[jnp.arange(k), jnp.arange(k)].add(kept)
    new = share**2 * jnp.einsum("rj,lj,jab->rlab", reads, reads, g.synthetic)
    human = human_noise * fresh**2 * g.human
    if g.human_data.own:
        new = jnp.broadcast_to(models(models(new, axis=0), axis=1), (k, k, w.dim, w.dim))
        new = w.noise**2 * new.at[jnp.arange(k), jnp.arange(k)].add(human)
    else:
        new = w.noise**2 * models(models(new + human, axis=0), axis=1)
    noise = jnp.einsum("kiab,ijbc->kjac", passed, law.noise)
    noise = jnp.einsum("kiab,jicb->kjac", noise, passed)
    noise += gain[:, None] @ new @ gain.mT[None]
    return _Law(mean, from_real, from_human, noise)


def _apply(matrices: Float[Array, "K d d"], vectors: Float[Array, "K d"]) -> Float[Array, "K d"]:
    return jnp.einsum("kab,kb->ka", matrices, vectors)


def _covariance(w: RegressionWorkflow, law: _Law) -> Float[Array, "K d d"]:
    real = jnp.concatenate([w.private, w.public[None]])
    through = jnp.einsum("kmab,mbc,kmdc->kad", law.from_real, w.noise**2 * real, law.from_real)
    return through + jnp.einsum("kkab->kab", law.noise)
