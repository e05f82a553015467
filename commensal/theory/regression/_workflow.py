"""The interactive regression workflow as a value: Gram matrices and mixing weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._grams import GRAMS, checked_grams, is_single
from commensal._precision import is_concrete
from commensal.networks import check_network

_FIELDS = (
    "private",
    "public",
    "synthetic",
    "alpha",
    "beta",
    "noise",
    "initial_beta",
    "human_share",
    "human",
    "reads",
)


@jax.tree_util.register_static
@dataclass(frozen=True)
class HumanData:
    """Who draws the responses of fresh human data; it shapes compiled programs.

    Attributes
    ----------
    own : bool
        Whether each model collects responses of its own, in place of one draw that all share.
    """

    own: bool = False


@jax.tree_util.register_static
@dataclass(frozen=True)
class Channels:
    """Channels of the web: what all models with equal rows of W read, and which models those are.

    Attributes
    ----------
    of : tuple of int
        Channel of each model, counted from 0 in the order of first appearance.
    """

    of: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of channels r."""
        return max(self.of) + 1

    @property
    def first(self) -> list[int]:
        """First model that reads each channel."""
        return [self.of.index(channel) for channel in range(self.count)]

    def to_models(self, heard: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        """Return what each model hears, given what each channel carries along ``axis``.

        One channel is not copied: an axis of length one broadcasts against the models'.
        """
        if self.count == 1:
            return heard
        return heard.take(np.array(self.of), axis=axis)

    def widened(self, heard: Float[Array, "*b K d s"]) -> Float[Array, "*b K d rs"]:
        """Return derivatives in all channels, zero in those that a model does not read."""
        if self.count == 1:
            return heard
        mask = np.eye(self.count)[list(self.of)]  # (K r)
        wide = heard[..., None, :] * mask[:, None, :, None]
        return wide.reshape(*heard.shape[:-1], -1)


def _channels(w: RegressionWorkflow) -> Channels:
    if w.reads is None:
        return Channels((0,) * w.models)
    if not is_concrete(w.reads):
        return Channels(tuple(range(w.models)))
    # a model's row at every generation
    rows = np.moveaxis(np.asarray(w.reads).reshape(-1, w.models, w.models), 1, 0)
    found: dict[bytes, int] = {}
    return Channels(tuple(found.setdefault(row.tobytes(), len(found)) for row in rows))


@jax.tree_util.register_pytree_with_keys_class
class RegressionWorkflow:
    r"""K linear models that train on each other's output (`interactive`, sec. 5).

    At generation :math:`t \geq 1` model k minimises

    .. math::
        \barα β\,\lVert\tilde y_k - \tilde X_k θ\rVert^2
        + \barα \barβ\,\lVert y_* - X_* θ\rVert^2
        + α\Big[(1-φ) \sum_j W_{kj} \lVert y_{tj} - X_{tj} θ\rVert^2
        + φ\,\lVert y^h_t - X^h θ\rVert^2\Big],

    where :math:`y_{tj} = X_{tj}\hat θ_{t-1,j} + w_{tj}` is what model j published, W says how
    much of it model k reads (new here; the paper has 1/K), and :math:`y^h_t` is fresh human data,
    collected anew at each generation (new here; the paper has φ = 0): one draw that all models
    share, or one for each of them on the same features :math:`X^h`. At t = 0 only the first two
    terms are there.

    Attributes
    ----------
    private : Float[Array, "K d d"]
        Gram matrices :math:`\tilde S_k = \tilde X_k^\top \tilde X_k` of the private data.
    public : Float[Array, "d d"]
        Gram matrix :math:`S_*` of the public data that all models share.
    synthetic : Float[Array, "K d d"] or Float[Array, "T K d d"]
        Gram matrices :math:`S_{tk}` of the published data, the same at every generation
        or one set per generation t = 1..T.
    alpha : Float[Array, ""] or Float[Array, "T"]
        Weight of newly collected data, in [0, 1].
    beta : Float[Array, ""] or Float[Array, "T"]
        Weight of *private* data within the real data, in [0, 1]. (Section 4 of the paper
        words it the other way round; its formulas and tables have it this way.)
    noise : Float[Array, ""]
        Standard deviation σ of the responses, of real and of synthetic data alike.
    initial_beta : Float[Array, ""] or None
        β at t = 0; ``None`` means ``beta`` (its first value where it varies).
    human_share : Float[Array, ""] or Float[Array, "T"]
        Fraction φ of the newly collected data that is human, in [0, 1].
    human : Float[Array, "d d"], Float[Array, "T d d"] or None
        Gram matrix F of the fresh human data; ``None`` means the mean synthetic Gram matrix.
    reads : Float[Array, "K K"], Float[Array, "T K K"], Float[Array, "K"] or None
        Reading network W: row k says how model k weighs what each model published, and sums to
        one (see :mod:`commensal.networks`). One vector of K weights stands for readers who all
        read alike. ``None`` means that everybody reads everybody alike, 1/K.
    human_data : {"shared", "own"}
        Whether all models share one draw of fresh human data at each generation, or each collects
        its own. Means and ρ(Q) are the same; errors are not.
    channels : Channels
        Models that read alike, which follows from ``reads``: it shapes compiled programs.

    Raises
    ------
    ValueError
        If shapes disagree, a weight lies outside [0, 1], ``noise`` is negative, a Gram matrix is
        not symmetric positive semidefinite, or a row of ``reads`` does not sum to one. Values are
        checked only where they are known: under jit, grad or vmap just the shapes are.

    Warns
    -----
    SinglePrecisionWarning
        If Gram matrices in float32 have eigenvalues that are rounding: these are set to zero.

    Notes
    -----
    A pytree of float64 JAX arrays: ``jax.vmap``, ``jax.grad`` and ``jax.jit`` take it as an
    argument, and it may be built inside them. Take gradients inside
    ``with jax.enable_x64(True):``, unless the whole session is 64-bit.

    Models that read alike, equal rows of W, hear the same web. So the closed forms work in r·d
    dimensions for r different rows, from d (everybody reads the same) to Kd. Under a
    transformation that makes ``reads`` itself unknown, all K rows count as different.

    Examples
    --------
    >>> import numpy as np
    >>> gram = np.stack([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])
    >>> w = RegressionWorkflow(gram, np.eye(2), gram, alpha=0.5, beta=0.5)
    >>> w.models, w.dim, w.schedule_length
    (2, 2, None)
    """

    private: Float[Array, "K d d"]
    public: Float[Array, "d d"]
    synthetic: Float[Array, "*T K d d"]
    alpha: Float[Array, "*T"]
    beta: Float[Array, "*T"]
    noise: Float[Array, ""]
    initial_beta: Float[Array, ""] | None
    human_share: Float[Array, "*T"]
    human: Float[Array, "*T d d"] | None
    reads: Float[Array, "*T K K"] | None
    human_data: Literal["shared", "own"]
    channels: Channels

    def __init__(
        self,
        private: Any,
        public: Any,
        synthetic: Any,
        alpha: Any,
        beta: Any,
        noise: Any = 1.0,
        initial_beta: Any = None,
        human_share: Any = 0.0,
        human: Any = None,
        reads: Any = None,
        human_data: Any = "shared",
    ) -> None:
        if human_data not in ("shared", "own"):
            raise ValueError(f"human_data must be 'shared' or 'own', got {human_data!r}")
        object.__setattr__(self, "human_data", human_data)
        real = (private, public, synthetic, alpha, beta, noise, initial_beta, human_share, human)
        given = (*real, reads)
        for name, value in zip(_FIELDS, _as_float64(given), strict=True):
            object.__setattr__(self, name, value)
        if self.reads is not None and self.reads.ndim == 1:
            weights = jnp.broadcast_to(self.reads, self.reads.shape * 2)
            object.__setattr__(self, "reads", weights)
        _check_shapes(self)
        object.__setattr__(self, "channels", _channels(self))
        if is_concrete(self):
            single = {name for name, x in zip(_FIELDS, given, strict=True) if is_single(x)}
            _check_values(self, single)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"RegressionWorkflow is immutable; use replace({name}=...)")

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{name}={value if jnp.ndim(value) == 0 else f'<{jnp.shape(value)}>'}"
            for name in _FIELDS
            if (value := getattr(self, name)) is not None
        )
        own = ", human_data='own'" if self.human_data == "own" else ""
        return f"RegressionWorkflow({parts}{own})"

    def replace(self, **changes: Any) -> RegressionWorkflow:
        """Return a copy with some fields changed; everything is checked again."""
        fields = {name: getattr(self, name) for name in (*_FIELDS, "human_data")}
        return RegressionWorkflow(**(fields | changes))

    @property
    def models(self) -> int:
        """Number of models K."""
        return self.private.shape[-3]

    @property
    def dim(self) -> int:
        """Dimension d of the parameter."""
        return self.private.shape[-1]

    @property
    def schedule_length(self) -> int | None:
        """Number of generations t = 1..T that a time-varying field describes; None if constant."""
        lengths = _schedule_lengths(self)
        return max(lengths.values()) if lengths else None

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], tuple[str, Channels]]:
        """Return the fields as keyed leaves, as JAX asks of a pytree."""
        leaves = [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in _FIELDS]
        return leaves, (self.human_data, self.channels)

    @classmethod
    def tree_unflatten(cls, aux: tuple[str, Channels], children: Any) -> RegressionWorkflow:
        """Make a workflow of leaves without checks, as JAX asks of a pytree."""
        # No checks: JAX rebuilds the class around tracers, shapes and placeholders.
        self = object.__new__(cls)
        for name, value in zip(("human_data", "channels"), aux, strict=True):
            object.__setattr__(self, name, value)
        for name, value in zip(_FIELDS, children, strict=True):
            object.__setattr__(self, name, value)
        return self


class GenerationData(NamedTuple):
    """All inputs of one generation's refit (t = 0 has web weight 0)."""

    private_weight: Float[Array, ""]  # (1-alpha) beta
    public_weight: Float[Array, ""]  # (1-alpha)(1-beta)
    web_weight: Float[Array, ""]  # alpha
    human_share: Float[Array, ""]
    synthetic: Float[Array, "K d d"]
    human: Float[Array, "d d"]
    reads: Float[Array, "r K"] | None  # weights by channel; None: one channel of weights 1/K
    human_data: HumanData


def initial_generation(w: RegressionWorkflow) -> GenerationData:
    """Inputs of generation t = 0: real data only, private weight ``initial_beta``."""
    first = generations_of(w)
    first = jax.tree.map(lambda x: x[0], first)
    if w.initial_beta is not None:
        beta0 = w.initial_beta
    else:
        beta0 = w.beta if w.beta.ndim == 0 else w.beta[0]
    return first._replace(
        private_weight=beta0, public_weight=1 - beta0, web_weight=jnp.zeros_like(beta0)
    )


def generations_of(w: RegressionWorkflow) -> GenerationData:
    """Inputs of generations t = 1..T on a leading axis, of length 1 where nothing varies."""
    length = w.schedule_length or 1
    human = w.synthetic.mean(axis=-3) if w.human is None else w.human

    def spread(x: Array, ndim: int) -> Array:
        return x if x.ndim > ndim else jnp.broadcast_to(x, (length, *x.shape))

    alpha, beta, phi = (spread(x, 0) for x in (w.alpha, w.beta, w.human_share))
    return GenerationData(
        private_weight=(1 - alpha) * beta,
        public_weight=(1 - alpha) * (1 - beta),
        web_weight=alpha,
        human_share=phi,
        synthetic=spread(w.synthetic, 3),
        human=spread(human, 2),
        reads=None if w.reads is None else spread(w.reads[..., w.channels.first, :], 2),
        human_data=HumanData(own=w.human_data == "own" and w.models > 1),
    )


def pool(g: GenerationData, published: Float[Array, "*T K d e"]) -> Float[Array, "*T r d e"]:
    """Return what each channel gathers of what the models published: sums weighted by W."""
    if g.reads is None:
        return published.mean(axis=-3, keepdims=True)
    return jnp.einsum("...rk,...kde->...rde", g.reads, published)


def web_gram(g: GenerationData) -> Float[Array, "*T r d d"]:
    """Gram matrix of all newly collected data by channel, (1-φ) Σ_j W_kj S_j + φ F."""
    phi = g.human_share[..., None, None, None]
    return (1 - phi) * pool(g, g.synthetic) + phi * g.human[..., None, :, :]


def gram(w: RegressionWorkflow, g: GenerationData) -> Float[Array, "*T K d d"]:
    """Weighted Gram matrix G_tk of all data that model k trains on."""

    def scale(x: Array) -> Array:
        return x[..., None, None, None]

    return (
        scale(g.private_weight) * w.private
        + scale(g.public_weight) * w.public
        + scale(g.web_weight) * w.channels.to_models(web_gram(g), axis=-3)
    )


def _as_float64(values: Any) -> tuple[Any, ...]:
    with jax.enable_x64(True):
        return tuple(None if v is None else jnp.asarray(v, dtype=jnp.float64) for v in values)


def _schedule_lengths(w: RegressionWorkflow) -> dict[str, int]:
    constant_ndim = {
        "synthetic": 3,
        "alpha": 0,
        "beta": 0,
        "human_share": 0,
        "human": 2,
        "reads": 2,
    }
    return {
        name: value.shape[0]
        for name, ndim in constant_ndim.items()
        if (value := getattr(w, name)) is not None and value.ndim == ndim + 1
    }


def _check_shapes(w: RegressionWorkflow) -> None:
    if w.private.ndim != 3 or w.private.shape[-1] != w.private.shape[-2]:
        raise ValueError(f"private must have shape (K, d, d), got {w.private.shape}")
    k, d, _ = w.private.shape
    if k == 0 or d == 0:
        raise ValueError(f"at least one model and one dimension are needed, got K={k}, d={d}")
    if w.public.shape != (d, d):
        raise ValueError(f"public must have shape {(d, d)} to match private, got {w.public.shape}")
    if w.synthetic.ndim not in (3, 4) or w.synthetic.shape[-3:] != (k, d, d):
        raise ValueError(
            f"synthetic must have shape {(k, d, d)} or (T, {k}, {d}, {d}) to match private, "
            f"got {w.synthetic.shape}"
        )
    if w.human is not None and (w.human.ndim not in (2, 3) or w.human.shape[-2:] != (d, d)):
        raise ValueError(f"human must have shape {(d, d)} or (T, {d}, {d}), got {w.human.shape}")
    if w.reads is not None and (w.reads.ndim not in (2, 3) or w.reads.shape[-2:] != (k, k)):
        raise ValueError(f"reads must have shape {(k, k)} or (T, {k}, {k}), got {w.reads.shape}")
    for name in ("alpha", "beta", "human_share"):
        if getattr(w, name).ndim > 1:
            raise ValueError(f"{name} must be a scalar or one value per generation")
    for name in ("noise", "initial_beta"):
        if (value := getattr(w, name)) is not None and value.ndim != 0:
            raise ValueError(f"{name} must be a scalar, got shape {value.shape}")
    lengths = _schedule_lengths(w)
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"time-varying fields must describe the same generations, got {lengths}")


def _check_values(w: RegressionWorkflow, single: set[str]) -> None:
    for name in ("alpha", "beta", "human_share", "initial_beta"):
        if getattr(w, name) is None:
            continue
        value = np.asarray(getattr(w, name))
        if not np.all((value >= 0) & (value <= 1)):
            raise ValueError(f"{name} must lie in [0, 1], got {value}")
    if w.reads is not None:
        check_network(w.reads, varying=True)
    if not float(w.noise) >= 0:
        raise ValueError(f"noise must be a standard deviation >= 0, got {float(w.noise)}")
    grams = {name: np.asarray(x) for name in GRAMS if (x := getattr(w, name)) is not None}
    for name, found in checked_grams(grams, single, stacklevel=4).items():
        if found is not grams[name]:
            object.__setattr__(w, name, *_as_float64([found]))
