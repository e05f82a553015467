"""Settings of simulated interacting Gaussian mixtures."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from commensal._config import MIX, NUMERICS, OUTPUT, Config

_COMPONENTS = 65_535
_RECORDED = 200  # generations that are kept where nothing else is asked for

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


class MixtureConfig(Config):
    r"""Settings of n mixtures of B Gaussians that post on one web and learn from it.

    Arrays may be given as NumPy arrays or nested lists.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> MixtureConfig(components=3).means
    ((-10.0,), (0.0,), (10.0,))
    """

    models: int = Field(default=3, ge=2)
    """Number of models n ≥ 2."""
    components: int = Field(default=2, ge=2, le=_COMPONENTS)
    """Number of components B ≥ 2 of a mixture. Where ``means`` are given it follows from them."""
    # never None in an instance: the validator below fills it in
    means: Matrix = Field(default=None)  # pyright: ignore[reportAssignmentType]
    """Means μ_b of the components, (B,) or (B, d) numbers. Not given: evenly spaced on a line, 10
    apart and centred, which for B = 2 are the paper's -5 and 5."""
    covariance: float | Matrix | tuple[Matrix, ...] = 1.0
    """Covariance Σ: one number, which stands for number × identity, (d, d) numbers for all
    components, or (B, d, d)."""
    posts: int = Field(default=3, ge=1, json_schema_extra=MIX)
    """Number of points L ≥ 1 that each model posts per generation."""
    read_share: float = Field(default=0.5, gt=0, le=1, json_schema_extra=MIX)
    """Share β of the web that a model reads, in (0, 1]: it draws k_t = ⌊β |A^(t)|⌋ points, meant in
    decimal (0.29 × 100 is 29)."""
    points: int = Field(default=20, ge=1)
    """Number of points |A^(0)| on the web before anyone posts; it must give k_0 ≥ 1.

    The paper does not say how many; 20 is what its language models start from (sec. 4.1).
    """
    web: Vector | None = Field(default=None, json_schema_extra=MIX)
    """Weights of the mixture that A^(0) and human posts are drawn from, B numbers. Not given: each
    point of A^(0) comes from one of the n initial models, chosen by chance."""
    weights: Matrix | None = None
    """Initial weights Π_i^(0) of every model, (n, B) numbers, the same in every replicate. Not
    given: drawn from a Dirichlet law, anew in each."""
    concentration: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Concentration a > 0 of the Dirichlet law of initial weights."""
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Learning rate α in (0, 1], constant. Not given: 1/k_t, as in the paper."""
    prior: float | None = Field(default=None, ge=0)
    """Prior c in [0, 1/B), constant. Not given: 1/(k_t B²), as in the paper."""
    epsilon: float = Field(default=1e-6, ge=0, le=1)
    """Size ε of the positivity step, in [0, 1]. The paper gives no value."""
    replacement: bool = False
    """Whether points are drawn with replacement."""
    graph: tuple[tuple[bool, ...], ...] | None = Field(default=None, json_schema_extra=MIX)
    """Graph of who reads whom, (n, n) booleans: with ``graph[i][j]`` model i reads what model j
    posts. A^(0) is read by all. Model i then draws ⌊β × points that it reads⌋. Not given: everyone
    reads everything."""
    human_share: float = Field(default=0.0, ge=0, le=1, json_schema_extra=MIX)
    """Share φ of human posts, in [0, 1]: each new post is with this probability a human's, drawn
    from ``web``, in place of the model's."""
    update: Literal["weights", "full"] = "weights"
    """Parameters that a point moves: "weights", as in `webdynamics`, or "full", means and
    covariances as well.

    "full" is all of the recursive EM that the paper's rule is a part of, each model on its own. It
    needs XLA (``kernel`` "auto" or "xla"), no ``graph``, and at most 4 dimensions.
    """
    rate_cap: float = Field(default=20.0, ge=0, allow_inf_nan=False)
    """Bound on a component's rate, relative to α, for ``update`` "full".

    A component moves at the rate α × min(o_b/π_b, ``rate_cap``), at most 1, so that those of small
    weight do not jump. 20 is what the rule's authors take.
    """
    least_variance: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Floor under variances, or pivots of covariances, for update "full". Not given: 1e-6 of the
    smallest eigenvalue of ``covariance``."""
    generations: int = Field(default=200, ge=1)
    """Number of generations T ≥ 1."""
    replicates: int = Field(default=100, ge=1, json_schema_extra=NUMERICS)
    """Number of independent runs."""
    record: tuple[int, ...] = Field(default=None, json_schema_extra=OUTPUT)  # pyright: ignore[reportAssignmentType]
    """Generations to keep, in rising order. Not given: all up to T = 200, else about 200 evenly
    spaced, 0 and T among them."""
    keep: Literal["weights", "summary"] = Field(default="weights", json_schema_extra=OUTPUT)
    """Content of the dataset: all "weights", or the "summary" that is computed from them."""
    dtype: Literal["float32", "float64"] = Field(default="float64", json_schema_extra=NUMERICS)
    """Precision of likelihoods and weights. In "float32" a step of the prior, α c, is below
    rounding where k > 2000 or so."""
    kernel: Literal["auto", "numba", "xla"] = Field(default="auto", json_schema_extra=NUMERICS)
    """Compiler of the draws: "numba", "xla", or "auto", numba where it can be, else XLA.

    "numba" is machine code for CPUs (the extra ``fast``; with no ``graph``), "xla" a loop. A seed
    gives the same numbers with each, to rounding.
    """
    seed: int = Field(default=0, ge=0, lt=2**32, json_schema_extra=NUMERICS)
    """Seed of everything that is drawn, from 0 to 2³² - 1; not read where a key is given."""
    chunk: int = Field(default=1024, ge=1, json_schema_extra=NUMERICS)
    """Replicates after which progress is reported and a file is added to a resumable run, rounded
    up to whole batches; no result depends on it."""

    @field_validator("covariance", "web", "weights", "graph", "record", mode="before")
    @classmethod
    def _as_lists(cls, value: Any) -> Any:
        return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        if filled.get("means") is not None:
            filled["means"] = _two_axes(filled["means"])
            filled.setdefault("components", len(filled["means"]))
        else:
            count = filled.get("components", cls.model_fields["components"].default)
            # what is no number is left for the field itself to refuse
            count = count if isinstance(count, int) and 0 < count <= _COMPONENTS else 1
            filled["means"] = [[10.0 * (b - (count - 1) / 2)] for b in range(count)]
        if filled.get("record") is None:
            last = filled.get("generations", cls.model_fields["generations"].default)
            last = last if isinstance(last, int) and last >= 1 else 1
            kept = np.linspace(0, last, min(last, _RECORDED) + 1)
            filled["record"] = np.unique(kept.round().astype(int)).tolist()
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> MixtureConfig:
        n, b, d = self.models, self.components, self.dim
        if len(self.means) != b:
            raise ValueError(f"means must be {b} (components), got {len(self.means)}")
        if any(len(mean) != d for mean in self.means) or not np.isfinite(self.means).all():
            raise ValueError(f"means must be finite, of one dimension, got {list(self.means)}")
        self.covariances()
        if draws_of(self.points, self.read_share) < 1:
            raise ValueError(
                f"points must give read_share × points ≥ 1, got {self.points} at read_share "
                f"{self.read_share:g}"
            )
        for name, shape in (("web", (b,)), ("weights", (n, b))):
            value = getattr(self, name)
            if value is not None:
                _check_shares(name, value, shape)
        if self.prior is not None and not self.prior < 1 / b:
            raise ValueError(
                f"prior must be in [0, 1/components) = [0, {1 / b:g}), got {self.prior:g}"
            )
        if self.graph is not None and {len(self.graph), *map(len, self.graph)} != {n}:
            raise ValueError(f"graph must be {n} rows of {n} (models), got {len(self.graph)} rows")
        if self.graph is not None and self.kernel == "numba":
            raise ValueError('kernel must be "auto" or "xla" with a graph, got "numba"')
        if self.human_share > 0 and self.web is None:
            raise ValueError(f"human_share needs web, the law of humans, got {self.human_share:g}")
        if self.update == "full":
            _check_full(self)
        else:
            for name in ("rate_cap", "least_variance"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f'{name} is for update="full", got update="weights"')
        steps = np.diff(self.record)
        inside = all(0 <= t <= self.generations for t in self.record)
        if not self.record or not inside or np.any(steps <= 0):
            raise ValueError(
                f"record must be rising generations from 0 to {self.generations}, got "
                f"{list(self.record)}"
            )
        return self

    @property
    def dim(self) -> int:
        """Dimension d of the points."""
        return len(self.means[0])

    def covariances(self) -> np.ndarray:
        """Return the covariance Σ_b of every component: (B, d, d)."""
        d, shape = self.dim, (self.components, self.dim, self.dim)
        try:
            given = np.asarray(self.covariance, dtype=float)
            full = np.broadcast_to(given * np.eye(d) if given.ndim == 0 else given, shape)
        except ValueError:
            raise ValueError(
                f"covariance must be a number, {shape[1:]} or {shape}, got another shape"
            ) from None
        symmetric = np.allclose(full, full.swapaxes(-1, -2), rtol=1e-12, atol=0)
        if not (np.isfinite(full).all() and symmetric and np.linalg.eigvalsh(full).min() > 0):
            raise ValueError(
                f"covariance must be symmetric and positive definite, got {given.tolist()}"
            )
        return full

    def reads(self) -> np.ndarray:
        """Return who reads whom: (n, n) booleans."""
        if self.graph is None:
            return np.ones((self.models, self.models), dtype=bool)
        return np.array(self.graph, dtype=bool)


def _check_full(config: MixtureConfig) -> None:
    if config.graph is not None:
        raise ValueError('graph must be None with update="full", got a graph')
    if config.kernel == "numba":
        raise ValueError('kernel must be "auto" or "xla" with update="full", got "numba"')
    if config.dim > 4:
        raise ValueError(
            f'means must have at most 4 dimensions with update="full", got {config.dim}'
        )
    smallest = np.linalg.eigvalsh(config.covariances()).min()
    if config.least_variance is not None and config.least_variance > smallest:
        raise ValueError(
            f"least_variance must be at most the smallest eigenvalue of covariance, {smallest:g}, "
            f"got {config.least_variance:g}"
        )


def draws_of(points: Any, read_share: float) -> Any:
    """Compute ⌊β N⌋ in decimal: 0.29 × 100 is 29, though in binary it falls just short."""
    return np.floor(read_share * np.asarray(points) * (1 + 1e-12)).astype(np.int64)


def _two_axes(means: Any) -> Any:
    # numbers are points on a line
    rows = means.tolist() if isinstance(means, np.ndarray) else list(means)
    return [list(row) if np.ndim(row) else [row] for row in rows]


def _check_shares(name: str, value: Any, shape: tuple[int, ...]) -> None:
    rows = value if isinstance(value[0], tuple) else (value,)
    got = (len(value), len(value[0])) if isinstance(value[0], tuple) else (len(value),)
    if got != shape or any(len(row) != shape[-1] for row in rows):
        raise ValueError(f"{name} must have shape {shape}, got {got}")
    for row in rows:
        if min(row) < 0 or not math.isclose(sum(row), 1, abs_tol=1e-9):
            raise ValueError(f"{name} must be ≥ 0 and sum to 1, got {list(row)}")
