"""Settings of simulated recursive Gaussian estimation."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from commensal._config import MIX, NUMERICS, OUTPUT, Config

Truth = Literal["gaussian", "laplace", "student_t", "exponential", "uniform"]
_RECORDED = 200  # generations that are kept where nothing else is asked for


class GaussianConfig(Config):
    r"""Settings of one process, and of how often it is run.

    Generation 0 is the truth, generation 1 is fitted to n real points.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> GaussianConfig(samples=100, generations=1000).recorded()[-3:]
    (990, 995, 1000)
    >>> GaussianConfig(memory="accumulate_subsample").resolved_method
    'samples'
    """

    samples: int = Field(default=100, ge=2)
    """Points per generation n ≥ 2 that each model is fitted to; with memory "accumulate", that each
    generation adds."""
    dim: int = Field(default=1, ge=1, le=100)
    """Dimension d of the points, from 1 to 100."""
    generations: int = Field(default=100, ge=0)
    """Number of generations T ≥ 0."""
    replicates: int = Field(default=1000, ge=1, json_schema_extra=NUMERICS)
    """Number of independent lineages."""
    memory: Literal["replace", "accumulate", "accumulate_subsample"] = Field(
        default="replace", json_schema_extra=MIX
    )
    """Data that model t is fitted to: "replace", n points of model t-1; "accumulate", the pool of n
    real points and n of each model 1..t-1; "accumulate_subsample", n points drawn without
    replacement from that pool."""
    estimator: Literal["unbiased", "mle"] = "unbiased"
    """Divisor of the scatter: n - 1 for "unbiased", n for "mle" (of the pool's size, where that is
    what is fitted)."""
    human_share: float = Field(default=0.0, ge=0, le=1, json_schema_extra=MIX)
    """Share φ of real data, in [0, 1]: round(φ n) of each generation's points are fresh from the
    truth; for memory "replace"."""
    method: Literal["auto", "statistics", "samples"] = Field(
        default="auto", json_schema_extra=NUMERICS
    )
    """Method of simulating lineages: "statistics", by sufficient statistics at a cost free of n;
    "samples", by drawing the points; "auto", by statistics wherever they are exact: a Gaussian
    truth, and not "accumulate_subsample"."""
    truth: Truth = "gaussian"
    """Law of the real points: "gaussian", "laplace", "student_t", "exponential" or "uniform",
    independent in each coordinate, with the given mean and variance. The models are Gaussian
    throughout."""
    student_df: float = Field(default=5.0, gt=2, allow_inf_nan=False)
    """Degrees of freedom of truth "student_t", above 2."""
    mean: float = Field(default=0.0, allow_inf_nan=False)
    """Mean of the truth in every coordinate."""
    variance: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Variance of the truth in every coordinate, above 0; its covariance is variance × identity."""
    record: tuple[int, ...] | None = Field(default=None, json_schema_extra=OUTPUT)
    """Generations to keep, in rising order. Not given: all up to T = 200, else about 200 evenly
    spaced, 0 and T among them."""
    full: bool = Field(default=False, json_schema_extra=OUTPUT)
    """Whether to keep all coordinates of means and covariances too; for d > 1."""
    w2: bool = Field(default=True, json_schema_extra=OUTPUT)
    """Whether to compute the distance W₂² for d > 1, where each takes a singular value
    decomposition on the host."""
    dtype: Literal["float32", "float64"] = Field(default="float32", json_schema_extra=NUMERICS)
    """Precision of the random numbers of sufficient statistics; "float32" takes half the time.

    It is also that of their transforms; what is carried from one generation to the next is float64
    in either case, and so are points that are drawn. Float32 has 32 random bits per normal
    (|z| < 6.77, beyond which are 1.4e-11 of the law), and a mean error per generation below 3e-7 of
    the standard deviation of what it adds: neither shows in 10⁸ lineages.
    """
    seed: int = Field(default=0, ge=0, lt=2**32, json_schema_extra=NUMERICS)
    """Seed of everything that is drawn, from 0 to 2³² - 1."""
    chunk: int = Field(default=2**18, ge=1, json_schema_extra=NUMERICS)
    """Lineages after which progress is reported and a file is added to a resumable run, rounded up
    to whole batches; no result depends on it."""

    @field_validator("method", mode="before")
    @classmethod
    def _method(cls, value: Any) -> Any:
        return "auto" if value is None else value

    @model_validator(mode="after")
    def _consistent(self) -> GaussianConfig:
        if self.human_share > 0 and self.memory != "replace":
            raise ValueError(
                f"human_share needs memory 'replace', got {self.human_share:g} with {self.memory!r}"
            )
        if self.method == "statistics":
            if self.memory == "accumulate_subsample":
                raise ValueError(
                    "method 'statistics' does not cover memory 'accumulate_subsample', whose "
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
        """Return ``method``, with "auto" decided."""
        if self.method != "auto":
            return self.method
        exact = self.truth == "gaussian" and self.memory != "accumulate_subsample"
        return "statistics" if exact else "samples"

    @property
    def human_samples(self) -> int:
        """Number of real points per generation, round(φ n), as Python rounds: halves to even."""
        return round(self.human_share * self.samples)

    def recorded(self) -> tuple[int, ...]:
        """Return the generations that are kept."""
        if self.record is not None:
            return self.record
        last = self.generations
        kept = np.linspace(0, last, min(last, _RECORDED) + 1)
        return tuple(np.unique(np.round(kept).astype(int)).tolist())
