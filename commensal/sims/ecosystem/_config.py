"""Settings of a simulated ecosystem on segmented data."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from commensal._config import MIX, NUMERICS, Config

Vector = tuple[float, ...]

_STEEPEST = 600.0  # of logarithms: a double's smallest is about -708


class EcosystemConfig(Config):
    """Settings of M models of a law over V word types that learn from what they write together.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> EcosystemConfig(sizes=(300, 100)).tokens
    400
    """

    models: int = Field(default=4, ge=1, le=65_535)
    """Number of models M ≥ 1, on equal segments. Where ``sizes`` are given it follows from them."""
    tokens: int = Field(default=16_000, ge=2, lt=2**31)
    """Number of tokens N of all models together, a multiple of M. Where ``sizes`` are given it is
    their sum."""
    # never None in an instance: the validator below fills it in
    sizes: tuple[int, ...] = Field(default=None, json_schema_extra=MIX)  # pyright: ignore[reportAssignmentType]
    """Tokens n_m ≥ 1 that each model reads and writes, one number a model. Not given: N/M each."""
    hold: float = Field(default=5_000.0, ge=0, allow_inf_nan=False, json_schema_extra=MIX)
    """Number of tokens λ ≥ 0 that a model's own law counts for in a fit. λ = 0 refits from nothing,
    and perplexities are infinite as soon as a type is lost."""
    sharpening: float = Field(default=1.0, gt=0, allow_inf_nan=False, json_schema_extra=MIX)
    """Power τ > 0 of the law, normalised, that text is drawn from. Above one it stands for beam
    search or a low temperature."""
    generations: int = Field(default=10, ge=1)
    """Number of generations T ≥ 1, of which the first learns from N tokens of the true law, dealt
    out."""
    types: int = Field(default=2_000, ge=2)
    """Number of word types V ≥ 2."""
    exponent: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Exponent of Zipf's law, at least 0: the true law is proportional to rank^-exponent."""
    flatness: float = Field(default=0.7, allow_inf_nan=False)
    """Power of the true law to which the pretrained law is proportional."""
    law: Vector | None = None
    """The true law itself, V numbers above 0, in place of ``types`` and ``exponent``. It is
    normalised."""
    prior: Vector | None = None
    """The pretrained law itself, V numbers above 0, in place of ``flatness``. It is normalised."""
    replicates: int = Field(default=8, ge=1, json_schema_extra=NUMERICS)
    """Number of independent runs."""
    seed: int = Field(default=0, ge=0, lt=2**63, json_schema_extra=NUMERICS)
    """Seed of all noise, from 0 to 2⁶³ - 1; not read where a key is given."""
    chunk: int = Field(default=8, ge=1, json_schema_extra=NUMERICS)
    """Runs that are computed at once per core, after which progress is reported and a file is added
    to a resumable run; no result depends on it."""

    @field_validator("sizes", "law", "prior", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else value

    @field_validator("law", "prior")
    @classmethod
    def _a_law(cls, value: Vector | None) -> Vector | None:
        if value is None:
            return None
        known = np.array(value)
        if len(known) < 2 or not (np.isfinite(known) & (known > 0)).all():
            raise ValueError(
                f"must be two or more numbers above 0, got {len(known)} from {known.min():g}"
                if len(known)
                else "must not be empty"
            )
        return tuple((known / known.sum()).tolist())

    @model_validator(mode="before")
    @classmethod
    def _sizes(cls, data: Any) -> Any:
        """Derive sizes, number of models and number of tokens from each other."""
        if not isinstance(data, dict):
            return data
        sizes = data.get("sizes")
        if sizes is None or len(sizes) == 0:
            return data
        found = {"models": len(sizes), "tokens": int(np.sum(sizes))}
        for name, value in found.items():
            if data.get(name, value) != value:
                raise ValueError(f"{name} must be {value} with these sizes, got {data[name]}")
        return data | found

    @model_validator(mode="after")
    def _fill_in(self) -> EcosystemConfig:
        if self.sizes is None:
            if self.tokens % self.models:
                raise ValueError(
                    f"tokens must be a multiple of models where no sizes are given, got "
                    f"{self.tokens} for {self.models} models"
                )
            share = self.tokens // self.models
            object.__setattr__(self, "sizes", (share,) * self.models)
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"sizes must be at least 1 each, got {self.sizes}")
        steepest = self.exponent * max(abs(self.flatness), 1) * np.log(self.types)
        if self.law is None and steepest > _STEEPEST:
            raise ValueError(
                f"exponent and flatness leave rare types no weight that a number can hold, got "
                f"{self.exponent:g} and {self.flatness:g}"
            )
        lengths = {len(x) for x in (self.law, self.prior) if x is not None}
        if len(lengths) > 1:
            raise ValueError("law and prior must be of one length")
        if lengths:
            object.__setattr__(self, "types", lengths.pop())
        return self

    @property
    def laws(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the true law and the pretrained one."""
        law = np.arange(1.0, self.types + 1) ** -self.exponent if self.law is None else self.law
        law = np.asarray(law) / np.sum(law)
        flat = (law / law.max()) ** self.flatness  # relative to the largest: not all underflow
        prior = flat if self.prior is None else np.asarray(self.prior)
        return law, prior / prior.sum()
