r"""A system of interacting mixtures as one value, and the schedule of its generations.

*What one generation does when components are well separated.* An ownership is then a unit vector,
:math:`o = e(u)`, whatever the weights, and the k points that a model draws enter its weights
linearly. With :math:`\barα = 1-α`,

.. math::
    π' = \barα^k π + \sum_{j=1}^k w_j \frac{e(u_j) - c\mathbf 1}{1 - Bc}, \qquad
    w_j = α\,\barα^{k-j}, \qquad
    S_1 = \sum_j w_j = 1 - \barα^k, \qquad
    S_2 = \sum_j w_j^2 = \frac{α\,(1 - \barα^{2k})}{2 - α}.

The k points are a uniform sample without replacement, in uniform order, of the N points of the
web; let a be the web's composition. Two of them have covariance -1/(N-1) times the variance of
one, so given the web

.. math::
    E\,π' = \barα^k π + S_1 \frac{a - c}{1 - Bc}, \qquad
    \mathrm{Cov}\,π' = \frac{s^2}{(1-Bc)^2} (\mathrm{diag}\,a - aa^\top), \qquad
    s^2 = \frac{N}{N-1} \Big(S_2 - \frac{S_1^2}{N}\Big),

and the draws of different models are independent. With replacement s² = S₂. These lines need no
approximation, for every k; the only step of Algorithm 2 left out is the positivity step (k > 1).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from commensal._precision import AnyArray, float64
from commensal.theory.mixture import _arguments


class MixtureSchedule(NamedTuple):
    """Quantities of generations 0..T-1 that are known beforehand; see :meth:`Setup.schedule`.

    Attributes
    ----------
    points : Int[np.ndarray, "T"]
        Number of points on the web, :math:`N_t = |A^{(0)}| + nLt`.
    draws : Int[np.ndarray, "T"]
        Number of points that each model draws, k_t = ⌊β N_t⌋.
    learning_rate : Float[np.ndarray, "T"]
        Learning rate α_t.
    prior : Float[np.ndarray, "T"]
        Prior c_t; but 0 where α_t = 1, for there the update makes every component but the point's
        own negative, the positivity step lifts them, and its rescaling undoes c exactly: π' = e(u).
    contraction : Float[np.ndarray, "T"]
        Share (1-α_t)^{k_t} of a model's own weights that is left after the generation.
    noise : Float[np.ndarray, "T"]
        Noise s²/(1-Bc)² of the module's docstring.
    model_share : Float[np.ndarray, "T"]
        Share of the web that models wrote, nLt / N_t. (The paper has an empty A^{(0)}, for which it
        is one; but then k_0 = 0.)
    """

    points: Int[np.ndarray, "T"]
    draws: Int[np.ndarray, "T"]
    learning_rate: Float[np.ndarray, "T"]
    prior: Float[np.ndarray, "T"]
    contraction: Float[np.ndarray, "T"]
    noise: Float[np.ndarray, "T"]
    model_share: Float[np.ndarray, "T"]


class Initial(NamedTuple):
    """Means and covariances over runs at t = 0, by component."""

    weights: AnyArray  # (n, B)
    web: AnyArray  # (B,)
    covariance: AnyArray  # (n, n, B), between models
    cross: AnyArray  # (n, B), of a model with the web
    web_variance: AnyArray  # (B,)


class Setup:
    r"""System of n mixtures of B fixed components that post on one web and learn from it.

    Parameters
    ----------
    models : int
        Number of models n, at least 2.
    components : int
        Number of components B, at least 2.
    posts : int
        Number of points L that each model adds to the web per generation, at least 1.
    read_share : float
        Share β of the web that is read, in (0, 1]; a model draws :math:`k_t = \lfloor β|A^{(t)}|
        \rfloor` points.
    points : int
        Number of points :math:`|A^{(0)}|` on the web at first; it must give k_0 >= 1. The paper's
        proof takes an empty A^{(0)}, for which :math:`α_0 = 1/k_0` does not exist.
    weights : Float[Array, "n B"] or None
        Initial weights, the same in every run. None: Dirichlet(``concentration``), independently.
    concentration : float or Float[Array, "B"]
        Concentration a > 0 of the initial Dirichlet law; not used where ``weights`` are given.
    web : Float[Array, "B"] or None
        Composition of A^{(0)}. None: the models wrote it, each of its points an independent draw
        from the average of the initial mixtures.
    web_sampled : bool
        Whether the points of A^{(0)} are independent draws from ``web``, anew in every run. If
        False, A^{(0)} has exactly the composition ``web``.
    replacement : bool
        Whether models draw with replacement; in the paper they do not.
    learning_rate : float or None
        Constant learning rate α in (0, 1]. None, as in the paper: :math:`1/k_t`.
    prior : float or None
        Constant prior c in [0, 1/B). None, as in the paper: :math:`1/(k_t B^2)`.

    Raises
    ------
    ValueError
        If an argument is out of its range or shapes disagree.

    Notes
    -----
    `webdynamics` sec. 3.2, Algorithms 2 and 3. Weights and composition may be traced by JAX;
    everything else is a plain number.

    Examples
    --------
    >>> setup = Setup(models=3, components=2, posts=3, read_share=0.5, points=20, web=[0.5, 0.5])
    >>> schedule = setup.schedule(3)
    >>> schedule.draws
    array([10, 14, 19])
    >>> schedule.model_share.round(3)
    array([0.   , 0.31 , 0.474])
    """

    def __init__(
        self,
        models: Any,
        components: Any,
        posts: Any,
        read_share: Any,
        points: Any,
        *,
        weights: Any = None,
        concentration: Any = 1.0,
        web: Any = None,
        web_sampled: bool = False,
        replacement: bool = False,
        learning_rate: Any = None,
        prior: Any = None,
    ) -> None:
        self.models = _arguments.count(models, "models", 2)
        self.components = _arguments.count(components, "components", 2)
        self.posts = _arguments.count(posts, "posts", 1)
        self.read_share = _as_read_share(read_share)
        self.points = _arguments.count(points, "points", 1)
        if number_of_draws(self.points, self.read_share) < 1:
            raise ValueError(
                f"points must give at least one draw, read_share * points >= 1, got {self.points} "
                f"points at read_share {self.read_share:g}"
            )
        self.weights = self._shares(weights, "weights", (self.models, self.components))
        self.web = self._shares(web, "web", (self.components,))
        self.concentration = np.broadcast_to(
            np.asarray(concentration, dtype=np.float64), (self.components,)
        )
        if not (self.concentration > 0).all():
            raise ValueError(f"concentration must be positive, got {concentration}")
        self.web_sampled = bool(web_sampled)
        self.replacement = bool(replacement)
        self.learning_rate = _arguments.learning_rate(learning_rate)
        self.prior = _arguments.prior(prior, self.components)

    def _shares(self, values: Any, name: str, shape: tuple[int, ...]) -> Any:
        if values is None:
            return None
        values = _simplex(values, name)
        if values.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {values.shape}")
        return values

    def __repr__(self) -> str:
        return (
            f"Setup(models={self.models}, components={self.components}, posts={self.posts}, "
            f"read_share={self.read_share:g}, points={self.points})"
        )

    def schedule(self, generations: Any) -> MixtureSchedule:
        """Return the points, draws, rates and noise of generations 0..T-1.

        Parameters
        ----------
        generations : int
            Number of generations T, at least 1.

        Returns
        -------
        MixtureSchedule
            Schedule, in arrays of length T.
        """
        t = np.arange(_arguments.count(generations, "generations", 1))
        points = self.points + self.models * self.posts * t
        k = number_of_draws(points, self.read_share)
        alpha = 1 / k if self.learning_rate is None else np.full(t.size, self.learning_rate)
        b = self.components
        c = 1 / (k * b**2) if self.prior is None else np.full(t.size, self.prior)
        c = np.where(alpha == 1, 0.0, c)  # see Schedule.prior
        with np.errstate(divide="ignore"):  # α = 1 keeps nothing: log 0 = -inf, exp of it 0
            log_kept = k * np.log1p(-alpha)
        first = -np.expm1(log_kept)
        second = alpha * -np.expm1(2 * log_kept) / (2 - alpha)
        if not self.replacement:
            # N = 1: the one point is drawn, and its ownership has no variance
            second = (points * second - first**2) / np.maximum(points - 1, 1)
        return MixtureSchedule(
            points=points,
            draws=k,
            learning_rate=alpha,
            prior=c,
            contraction=np.exp(log_kept),
            noise=second / (1 - b * c) ** 2,
            model_share=1 - self.points / points,
        )

    @float64
    def initial(self) -> Initial:
        """Return means and covariances over runs of weights and web at t = 0."""
        n = self.models
        if self.weights is None:
            total = self.concentration.sum()
            law = self.concentration / total
            weights = jnp.broadcast_to(jnp.asarray(law), (n, self.components))
            variance = jnp.asarray(law * (1 - law) / (total + 1))
        else:
            weights, variance = jnp.asarray(self.weights), jnp.zeros(self.components)
        covariance = jnp.eye(n)[:, :, None] * variance
        mean = weights.mean(axis=0)
        if self.web is None:
            cross = covariance.mean(axis=1)
            between = cross.mean(axis=0)
            web_variance = between + (mean * (1 - mean) - between) / self.points
            return Initial(weights, mean, covariance, cross, web_variance)
        web = jnp.asarray(self.web)
        web_variance = web * (1 - web) / self.points if self.web_sampled else jnp.zeros_like(web)
        return Initial(weights, web, covariance, jnp.zeros_like(weights), web_variance)


def number_of_draws(points: Any, read_share: float) -> Any:
    """Return k = ⌊β N⌋ with β read as a decimal: 0.29 × 100 gives 29, not 28 as in binary."""
    return np.floor(read_share * np.asarray(points) * (1 + 1e-12)).astype(np.int64)


@float64
def _simplex(values: Any, name: str) -> AnyArray:
    return _arguments.simplex(values, name)


@float64
def _as_read_share(value: Any) -> float:
    return float(_arguments.read_share(value))
