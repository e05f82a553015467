"""Settings of simulated interactive regression: a system, its mixing weights, replicates."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from commensal._config import MIX, NUMERICS
from commensal._memory import check_memory
from commensal.designs import Amount, DesignConfig


class RegressionConfig(DesignConfig):
    r"""Settings of one system, and of how often it is run.

    Which data it has is said as in :class:`commensal.designs.DesignConfig`. ``seed`` is also
    that of the noise where no key is given.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> RegressionConfig(models=2, alpha=(0.5, 0.9), generations=2).alpha
    (0.5, 0.9)
    """

    models: int = Field(default=4, ge=1)
    """Number of models K, at least 1."""
    human_share: float | tuple[float, ...] = Field(default=0.0, json_schema_extra=MIX)
    """Share φ of fresh human data in what is newly collected, in [0, 1]: one number, or one for
    each generation 1..T."""
    alpha: float | tuple[float, ...] = Field(default=0.5, json_schema_extra=MIX)
    """Weight α of newly collected data, in [0, 1]: one number, or one for each generation 1..T."""
    beta: float | tuple[float, ...] = Field(default=0.5, json_schema_extra=MIX)
    """Weight β of private data within the real data, in [0, 1]: one number, or one for each
    generation 1..T."""
    initial_beta: float | None = Field(default=None, ge=0, le=1, json_schema_extra=MIX)
    """Weight β of private data at generation 0, in [0, 1]. Not given: as ``beta``, the first where
    it varies."""
    memory: Literal["replace", "accumulate", "window"] = Field(
        default="replace", json_schema_extra=MIX
    )
    """Part of the web that is read: "replace", what was published last; "accumulate", everything so
    far, each generation with weight α, so that the share of real data falls; "window", the last
    generations, which have weight α together."""
    window: int | None = Field(default=None, ge=1, json_schema_extra=MIX)
    """Number of generations m ≥ 1 that memory "window" keeps. Not given: all of them."""
    noise: Amount = 1.0
    """Standard deviation σ ≥ 0 of all responses."""
    generations: int = Field(default=15, ge=0)
    """Number of generations T ≥ 0 after the initial fit."""
    # a replicate's key has 32 bits: beyond, replicates would be the same ones again
    replicates: int = Field(default=2000, ge=1, lt=2**32, json_schema_extra=NUMERICS)
    """Number of independent runs of the process, which share features and truth; below 2³²."""
    chunk: int = Field(default=4096, ge=1, json_schema_extra=NUMERICS)
    """Replicates after which progress is reported and a file is added to a resumable run, rounded
    up to whole batches of a fixed size (256 on a CPU, 8192 elsewhere); no result depends on it."""

    @field_validator("alpha", "beta", "human_share", mode="before")
    @classmethod
    def _weight(cls, value: Any) -> float | tuple[float, ...]:
        # by hand, because pydantic reports a bad member of a union once per alternative
        try:
            weights = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise ValueError(f"must be a number or a sequence of numbers, got {value!r}") from None
        if weights.ndim > 1:
            raise ValueError(f"must be one number or one per generation, got {weights.ndim} axes")
        bad = weights[~((weights >= 0) & (weights <= 1))]
        if bad.size:
            raise ValueError(f"must lie in [0, 1], got {bad.flat[0]:g}")
        return tuple(weights.tolist()) if weights.ndim else float(weights)

    @model_validator(mode="before")
    @classmethod
    def _misaligned_dim(cls, values: Any) -> Any:
        misaligned = isinstance(values, dict) and values.get("design") == "misaligned"
        if misaligned and values.get("grams") is None:
            return {"dim": values.get("models", cls.model_fields["models"].default)} | values
        return values

    @property
    def kept(self) -> int:
        """Number of generations whose data are read at most, at least 1."""
        if self.memory == "replace":
            return 1
        return max(1, min(self.window or self.generations, self.generations))

    @classmethod
    def _of_models(cls, count: int) -> dict[str, Any]:
        return {"models": count}

    def _share_of_humans(self) -> Any:
        return self.human_share

    @model_validator(mode="after")
    def _consistent(self) -> RegressionConfig:
        for name in ("alpha", "beta", "human_share"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.generations:
                raise ValueError(
                    f"{name} needs one value per generation, got {len(value)} for "
                    f"generations = {self.generations}"
                )
        check_memory(self.memory, self.window)
        self.network(self.models)  # which raises a ValueError where it does not fit
        if self.design == "misaligned" and self.dim != self.models:
            raise ValueError(
                f"design 'misaligned' has dim = models = {self.models}, got dim = {self.dim}"
            )
        return self
