"""What one run of the process is: a system, its mixing weights, how often."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Config(BaseModel):
    r"""One system and how often to run it.

    Attributes
    ----------
    entities : int
        K, the number of models.
    dim : int
        d, the number of features; for ``design="misaligned"`` it is K.
    rank : int
        Rows of every private and synthetic design (Gaussian designs only).
    public_rank : int or None
        Rows of the public design; None for ``rank`` (Gaussian designs only).
    design : {"gaussian", "misaligned"}
        Which of :mod:`commensal.designs` makes the features.
    prompts : {"private", "fresh"}
        What models are asked: their private features, or others (Gaussian designs only).
    strength : float
        Size of the private Gram matrices (misaligned designs only).
    human_rank : int or None
        Rows of the fresh human design (Gaussian designs only). None: humans answer as if on the
        mean synthetic design, which has the Gram matrix :math:`\frac1K \sum_j S_{tj}`.
    human_share : float or sequence
        φ in [0, 1], the fraction of the newly collected data that is human.
    alpha : float or sequence
        Weight of newly collected data, in [0, 1].
    beta : float or sequence
        Weight of *private* data within the real data, in [0, 1].
    initial_beta : float or None
        β at t = 0; None for ``beta`` (its first value where it varies).
    noise : float
        Standard deviation σ of all responses.
    generations : int
        T, the number of generations after the initial fit. A sequence for ``alpha``, ``beta`` or
        ``human_share`` has one value for each of t = 1..T.
    replicates : int
        Independent runs of the process; all have the same features and truth.
    seed : int
        Of the designs, the truth and, where no key is given, the noise.
    chunk : int
        Replicates on the device at a time, rounded up to whole batches of a fixed size (256 on a
        CPU, 8192 elsewhere). It bounds memory and sets how often progress is reported; no
        result depends on it.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> Config(entities=2, alpha=(0.5, 0.9), generations=2).alpha
    (0.5, 0.9)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entities: int = Field(default=4, ge=1)
    dim: int = Field(default=15, ge=1)
    rank: int = Field(default=5, ge=1)
    public_rank: int | None = Field(default=None, ge=0)
    design: Literal["gaussian", "misaligned"] = "gaussian"
    prompts: Literal["private", "fresh"] = "private"
    strength: float = Field(default=1e4, ge=0, allow_inf_nan=False)
    human_rank: int | None = Field(default=None, ge=0)
    human_share: float | tuple[float, ...] = 0.0
    alpha: float | tuple[float, ...] = 0.5
    beta: float | tuple[float, ...] = 0.5
    initial_beta: float | None = Field(default=None, ge=0, le=1)
    noise: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    generations: int = Field(default=15, ge=0)
    replicates: int = Field(default=2000, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    chunk: int = Field(default=4096, ge=1)

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
        if isinstance(values, dict) and values.get("design") == "misaligned":
            return {"dim": values.get("entities", cls.model_fields["entities"].default)} | values
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for name in ("alpha", "beta", "human_share"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.generations:
                raise ValueError(
                    f"{name} needs one value per generation, got {len(value)} for "
                    f"generations = {self.generations}"
                )
        if self.design == "gaussian":
            for name in ("rank", "public_rank", "human_rank"):
                if (getattr(self, name) or 0) > self.dim:
                    raise ValueError(
                        f"{name} must be at most dim = {self.dim}, got {getattr(self, name)}"
                    )
            return self
        if self.dim != self.entities:
            raise ValueError(
                f"design 'misaligned' has dim = entities = {self.entities}, got dim = {self.dim}"
            )
        for name, default in (("public_rank", None), ("human_rank", None), ("prompts", "private")):
            if getattr(self, name) != default:
                raise ValueError(f"design 'misaligned' does not take {name}")
        return self
