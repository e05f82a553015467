"""What one run of recursive Gaussian estimation is."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Truth = Literal["gaussian", "laplace", "student_t", "exponential", "uniform"]
_RECORDED = 200  # generations that are kept where nothing else is asked for


class Config(BaseModel):
    r"""One process and how often to run it.

    Generation 0 is the truth, generation 1 is fitted to n real points.

    Attributes
    ----------
    samples : int
        n ≥ 2, points that each model is fitted to ("accumulate": that each generation adds).
    dim : int
        d, 1 to 100.
    generations : int
        T.
    replicates : int
        Independent lineages.
    workflow : {"replace", "accumulate", "accumulate_subsample"}
        What model t is fitted to: n points of model t-1; the pool of n real points and n of each
        model 1..t-1; n points drawn without replacement from that pool.
    estimator : {"unbiased", "mle"}
        Scatter over n - 1 or over n (the pool's size, where that is what is fitted).
    human_share : float
        φ in [0, 1] ("replace" only): round(φ n) of each generation's points are fresh from the
        truth.
    method : {"auto", "statistics", "samples"}
        How: by sufficient statistics at a cost free of n, or by drawing the points. "auto" takes
        statistics wherever they are exact: a Gaussian truth, not "accumulate_subsample".
    truth : {"gaussian", "laplace", "student_t", "exponential", "uniform"}
        What real points come from, independently in each coordinate, standardised to ``mean``
        and ``variance``. The models are Gaussian throughout.
    student_df : float
        Degrees of freedom of "student_t", above 2.
    mean, variance : float
        Of the truth, in every coordinate; its covariance is variance × identity.
    record : sequence of int or None
        Generations to keep, in rising order. None: all up to T = 200, else about 200 evenly
        spaced, 0 and T among them.
    full : bool
        For d > 1: keep ``mean`` and ``covariance`` too.
    w2 : bool
        Whether to compute W₂² for d > 1, where each takes a singular value decomposition on the
        host.
    dtype : {"float32", "float64"}
        Precision of the random numbers of sufficient statistics and of their transforms; what is
        carried from one generation to the next is float64 in either case, and so are points
        that are drawn. Float32 takes about half the time. It has 32 random bits per normal
        (|z| < 6.77, beyond which are 1.4e-11 of the law), and a mean error per generation below
        3e-7 of the standard deviation of what it adds: neither shows in 10⁸ lineages.
    seed : int
    chunk : int
        Lineages on the way at a time, rounded up to whole batches. It bounds memory and sets
        how often progress is reported; no result depends on it.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> Config(samples=100, generations=1000).recorded()[-3:]
    (990, 995, 1000)
    >>> Config(workflow="accumulate_subsample").resolved_method
    'samples'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=100, ge=2)
    dim: int = Field(default=1, ge=1, le=100)
    generations: int = Field(default=100, ge=0)
    replicates: int = Field(default=1000, ge=1)
    workflow: Literal["replace", "accumulate", "accumulate_subsample"] = "replace"
    estimator: Literal["unbiased", "mle"] = "unbiased"
    human_share: float = Field(default=0.0, ge=0, le=1)
    method: Literal["auto", "statistics", "samples"] = "auto"
    truth: Truth = "gaussian"
    student_df: float = Field(default=5.0, gt=2, allow_inf_nan=False)
    mean: float = Field(default=0.0, allow_inf_nan=False)
    variance: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    record: tuple[int, ...] | None = None
    full: bool = False
    w2: bool = True
    dtype: Literal["float32", "float64"] = "float32"
    seed: int = Field(default=0, ge=0, lt=2**32)
    chunk: int = Field(default=2**18, ge=1)

    @field_validator("method", mode="before")
    @classmethod
    def _method(cls, value: Any) -> Any:
        return "auto" if value is None else value

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.human_share > 0 and self.workflow != "replace":
            raise ValueError(
                f"human_share needs workflow 'replace', got {self.human_share:g} with "
                f"{self.workflow!r}"
            )
        if self.method == "statistics":
            if self.workflow == "accumulate_subsample":
                raise ValueError(
                    "method 'statistics' does not cover workflow 'accumulate_subsample', whose "
                    "pool has no sufficient statistics; use 'samples'"
                )
            if self.truth != "gaussian":
                raise ValueError(
                    f"method 'statistics' needs truth 'gaussian', got {self.truth!r}; use 'samples'"
                )
        if self.full and self.dim == 1:
            raise ValueError("full needs dim > 1: at dim = 1 mean and variance are kept anyway")
        if self.record is not None:
            steps = np.diff(self.record)
            inside = all(0 <= t <= self.generations for t in self.record)
            if not self.record or not inside or np.any(steps <= 0):
                raise ValueError(
                    f"record must be rising generations from 0 to {self.generations}, got "
                    f"{list(self.record)}"
                )
        return self

    @property
    def resolved_method(self) -> Literal["statistics", "samples"]:
        """``method``, with "auto" decided."""
        if self.method != "auto":
            return self.method
        exact = self.truth == "gaussian" and self.workflow != "accumulate_subsample"
        return "statistics" if exact else "samples"

    @property
    def human_samples(self) -> int:
        """round(φ n), halves to even, as Python rounds."""
        return round(self.human_share * self.samples)

    def recorded(self) -> tuple[int, ...]:
        """Generations that are kept."""
        if self.record is not None:
            return self.record
        last = self.generations
        kept = np.linspace(0, last, min(last, _RECORDED) + 1)
        return tuple(np.unique(np.round(kept).astype(int)).tolist())
