"""What one run of interacting Gaussian mixtures is."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_RECORDED = 200  # generations that are kept where nothing else is asked for

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


class Config(BaseModel):
    r"""n mixtures of B Gaussians that post on one web and learn from it, and how often to run them.

    Arrays may be given as NumPy arrays or nested lists.

    Attributes
    ----------
    models : int
        n ≥ 2.
    components : int
        B ≥ 2; where ``means`` are given it follows from them.
    means : (B,) or (B, d) numbers or None
        μ_b. None: evenly spaced on a line, 10 standard deviations of 1 apart and centred, which
        for B = 2 are the paper's -5 and 5.
    covariance : number, (d, d) or (B, d, d) numbers
        Σ, shared or one per component; a number stands for number × identity.
    posts : int
        L ≥ 1, points that each model posts per generation.
    fraction : float
        β in (0, 1]: a model draws k_t = ⌊β |A^(t)|⌋ points, meant in decimal (0.29 × 100 is 29).
    points : int
        |A^(0)|; must give k_0 ≥ 1. The paper does not say how many; 20 is what its language
        models start from (sec. 4.1).
    web : (B,) numbers or None
        Weights of the mixture that A^(0) and human posts are drawn from. None: each point of
        A^(0) comes from one of the n initial models, chosen by chance.
    weights : (n, B) numbers or None
        Π_i^(0), the same in every replicate. None: Dirichlet, anew in each.
    concentration : float
        a > 0 of that Dirichlet law.
    learning_rate : float or None
        α in (0, 1], constant. None: 1/k_t, as in the paper.
    prior : float or None
        c in [0, 1/B), constant. None: 1/(k_t B²), as in the paper.
    epsilon : float
        ε in [0, 1] of the positivity step. The paper gives no value.
    replacement : bool
        Whether points are drawn with replacement.
    graph : (n, n) booleans or None
        ``graph[i][j]``: model i reads what model j posts. A^(0) is read by all. Model i then draws
        ⌊β × points that it reads⌋. None: everyone reads everything.
    human_share : float
        φ in [0, 1]: each new post is with this probability a human's, from ``web``, in place of
        the model's.
    update : {"weights", "full"}
        What a point moves: the weights (`webdynamics`), or means and covariances as well, each
        model its own, by all of the recursive EM that the paper's rule is a part of. "full" needs
        XLA (``kernel`` "auto" or "xla"), no ``graph``, and at most 4 dimensions.
    rate_cap : float
        Of "full": a component moves at the rate α × min(o_b/π_b, ``rate_cap``), at most 1, so
        that those of small weight do not jump. 20 is what the rule's authors take.
    least_variance : float or None
        Of "full": floor under variances, or pivots of covariances. None: 1e-6 of the smallest
        eigenvalue of ``covariance``.
    generations : int
        T ≥ 1.
    replicates : int
        Independent runs.
    record : sequence of int or None
        Generations to keep, rising. None: all where T ≤ 200, else about 200 evenly spaced ones,
        with 0 and T.
    keep : {"weights", "summary"}
        Whether the dataset has all weights, or only what is computed from them.
    dtype : {"float32", "float64"}
        Of likelihoods and weights. In float32 a step of the prior, α c, is below rounding where
        k > 2000 or so.
    kernel : {"auto", "numba", "xla", "pallas"}
        What runs a generation's draws and updates: machine code for CPUs by numba (the extra
        ``fast``; with no ``graph``), a loop that XLA compiles, or one Pallas kernel for
        accelerators (elsewhere interpreted, and slow). "auto" is numba where it can be, else XLA.
        A seed gives the same numbers with each, to rounding.
    seed : int
        Of all noise, where no key is given.
    chunk : int
        Replicates after which progress is reported, rounded up to whole batches.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> Config(components=3).means
    ((-10.0,), (0.0,), (10.0,))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: int = Field(default=3, ge=2)
    components: int = Field(default=2, ge=2)
    # never None in an instance: the validator below fills it in
    means: Matrix = Field(default=None)  # pyright: ignore[reportAssignmentType]
    covariance: float | Matrix | tuple[Matrix, ...] = 1.0
    posts: int = Field(default=3, ge=1)
    fraction: float = Field(default=0.5, gt=0, le=1)
    points: int = Field(default=20, ge=1)
    web: Vector | None = None
    weights: Matrix | None = None
    concentration: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    prior: float | None = Field(default=None, ge=0)
    epsilon: float = Field(default=1e-6, ge=0, le=1)
    replacement: bool = False
    graph: tuple[tuple[bool, ...], ...] | None = None
    human_share: float = Field(default=0.0, ge=0, le=1)
    update: Literal["weights", "full"] = "weights"
    rate_cap: float = Field(default=20.0, ge=0, allow_inf_nan=False)
    least_variance: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    generations: int = Field(default=200, ge=1)
    replicates: int = Field(default=100, ge=1)
    record: tuple[int, ...] = Field(default=None)  # pyright: ignore[reportAssignmentType]
    keep: Literal["weights", "summary"] = "weights"
    dtype: Literal["float32", "float64"] = "float64"
    kernel: Literal["auto", "numba", "xla", "pallas"] = "auto"
    seed: int = Field(default=0, ge=0, lt=2**32)
    chunk: int = Field(default=1024, ge=1)

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
            count = count if isinstance(count, int) and count > 0 else 1
            filled["means"] = [[10.0 * (b - (count - 1) / 2)] for b in range(count)]
        if filled.get("record") is None:
            last = filled.get("generations", cls.model_fields["generations"].default)
            last = last if isinstance(last, int) and last >= 1 else 1
            kept = np.linspace(0, last, min(last, _RECORDED) + 1)
            filled["record"] = np.unique(kept.round().astype(int)).tolist()
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        n, b, d = self.models, self.components, self.dim
        if len(self.means) != b:
            raise ValueError(f"means must be {b} (components), got {len(self.means)}")
        if any(len(mean) != d for mean in self.means) or not np.isfinite(self.means).all():
            raise ValueError(f"means must be finite, of one dimension, got {list(self.means)}")
        self.covariances()
        if draws_of(self.points, self.fraction) < 1:
            raise ValueError(
                f"points must give fraction × points ≥ 1, got {self.points} at fraction "
                f"{self.fraction:g}"
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
            raise ValueError('kernel must be "auto", "xla" or "pallas" with a graph, got "numba"')
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
        """d."""
        return len(self.means[0])

    def covariances(self) -> np.ndarray:
        """Σ_b, one for every component: (B, d, d)."""
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
        """Who reads whom: (n, n) booleans."""
        if self.graph is None:
            return np.ones((self.models, self.models), dtype=bool)
        return np.array(self.graph, dtype=bool)


def _check_full(config: Config) -> None:
    if config.graph is not None:
        raise ValueError('graph must be None with update="full", got a graph')
    if config.kernel not in ("auto", "xla"):
        raise ValueError(
            f'kernel must be "auto" or "xla" with update="full", got "{config.kernel}"'
        )
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


def draws_of(points: Any, fraction: float) -> Any:
    """⌊β N⌋, meant in decimal: 0.29 × 100 is 29, though in binary it falls just short."""
    return np.floor(fraction * np.asarray(points) * (1 + 1e-12)).astype(np.int64)


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
