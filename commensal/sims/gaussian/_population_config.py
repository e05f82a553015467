"""Settings of simulated populations: number of models, selection, inheritance."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from commensal._config import NUMERICS, OUTPUT, Config

DEFAULT_RECORDS = 200


class PopulationConfig(Config):
    r"""Settings of populations of one-dimensional Gaussian models, and of how often they are run.

    Generation 0 is the truth, which all N models share; models of generation 1 are fitted to n
    real points each. From then on every generation the k best models are the parents of the next.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Notes
    -----
    `pollination`, sec. 3 and app. C, whose models are neural networks; how its Gaussian
    populations (fig. 8 and 11) were run it does not say. A neural network that is trained on keeps
    something of where it started, and one that is refitted does not: ``inheritance`` covers both.

    App. C scales mutation by the standard deviation of all parameters of a network. A Gaussian has
    two, so σ_i takes that place, which keeps the process equivariant under shift and scale.

    Examples
    --------
    >>> PopulationConfig(population=16).parents
    4
    """

    population: int = Field(default=16, ge=1)
    """Number of models N, a square number unless ``crossover`` is "none" with ``parents`` given."""
    # never None in an instance: the validator below puts √N in its place
    parents: int = Field(default=None, ge=1)  # pyright: ignore[reportAssignmentType]
    """Number k of models that are selected. Not given: √N, which crossover "pairs" needs."""
    crossover: Literal["pairs", "none"] = "pairs"
    """Rule by which parents have offspring: "pairs", one (i, j) of every ordered pair, which
    inherits the parameters of i and is fitted to data of j; "none", N/k of every parent, each with
    its own parameters and its own data."""
    samples: int = Field(default=100, ge=2)
    """Points per dataset n ≥ 2 that each model is fitted to."""
    estimator: Literal["unbiased", "mle"] = "unbiased"
    """Divisor of the sum of squares in a fit: n - 1 for "unbiased", n for "mle"."""
    shared_data: bool = True
    """Whether a parent publishes one dataset per generation for all models that are fitted to its
    data, or a new one for each of them. With one parent a shared dataset makes all offspring alike,
    so that nothing is left to select from: choose a new one for each."""
    inheritance: float = Field(default=0.5, ge=0, lt=1)
    """Weight h of inherited parameters, in [0, 1): an offspring is h × inherited parameters + (1 -
    h) × the fit. 0 is a refit, which forgets everything inherited."""
    scale: Literal["std", "log_std"] = "std"
    """Parameter that ``inheritance`` averages beside the mean: σ for "std", log σ for "log_std"."""
    mutation: float = Field(default=0.01, ge=0, lt=2)
    """Size λ of mutations, in [0, 2): parameters of model i move by λ σ_i U, with U uniform on
    (-1/2, 1/2), independently for mean and σ."""
    mutate: Literal["parents", "offspring"] = "parents"
    """Models that mutate: "parents", what parent i hands on moves, once for all its offspring,
    while its data stay what they are (without ``inheritance`` this changes nothing); "offspring",
    every offspring moves after its fit."""
    signal: Literal["oracle", "noisy_oracle", "validation", "none"] = "oracle"
    """Signal by which the best models are selected: "oracle", the W₂ distance to the truth;
    "noisy_oracle", the same plus Gaussian noise, new for each model and generation; "validation",
    the likelihood of held-out real points; "none", chance."""
    signal_noise: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Standard deviation of the noise of signal "noisy_oracle", at least 0, in units of true σ."""
    held_out: int = Field(default=100, ge=2)
    """Number m ≥ 2 of held-out real points for signal "validation"."""
    fresh_held_out: bool = False
    """Whether held-out points are new in every generation, or the same ones for ever."""
    mean: float = Field(default=0.0, allow_inf_nan=False)
    """Mean of the truth."""
    variance: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Variance of the truth, above 0."""
    generations: int = Field(default=1000, ge=1)
    """Number of generations T ≥ 1."""
    replicates: int = Field(default=100, ge=1, json_schema_extra=NUMERICS)
    """Number of independent populations."""
    record: tuple[int, ...] = Field(default=None, json_schema_extra=OUTPUT)  # pyright: ignore[reportAssignmentType]
    """Generations to keep, in rising order. Not given: all up to T = 200, else about 200 evenly
    spaced, 0 and T among them."""
    seed: int = Field(default=0, ge=0, lt=2**32, json_schema_extra=NUMERICS)
    """Seed of everything that is drawn, from 0 to 2³² - 1; not read where a key is given."""
    chunk: int = Field(default=4096, ge=1, json_schema_extra=NUMERICS)
    """Populations after which progress is reported and a file is added to a resumable run, rounded
    up to whole batches; no result depends on it."""

    @field_validator("record", mode="before")
    @classmethod
    def _a_sequence(cls, value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else value

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        filled = {name: value for name, value in values.items() if value is not None}
        # what is no whole number is left for the field itself to refuse
        population, last = (
            _whole(filled.get(name, fields[name].default)) for name in ("population", "generations")
        )
        if "parents" not in filled:
            filled["parents"] = math.isqrt(population)
            if filled["parents"] ** 2 != population:
                raise ValueError(f"population must be a square number, got {population}")
        if "record" not in filled:
            count = min(last, DEFAULT_RECORDS)
            filled["record"] = np.linspace(0, last, count + 1).round().astype(int).tolist()
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> PopulationConfig:
        if self.parents > self.population:
            raise ValueError(
                f"parents must be at most population = {self.population}, got {self.parents}"
            )
        if self.crossover == "pairs" and self.parents**2 != self.population:
            if math.isqrt(self.population) ** 2 != self.population:
                raise ValueError(f"population must be a square number, got {self.population}")
            raise ValueError(
                f"parents must be the square root of population = {self.population} for "
                f"crossover = 'pairs', got {self.parents}"
            )
        if self.population % self.parents:
            raise ValueError(
                f"parents must divide population = {self.population}, got {self.parents}"
            )
        if any(b <= a for a, b in zip(self.record, self.record[1:], strict=False)):
            raise ValueError("record must be increasing, got one that is not")
        if not self.record or self.record[0] < 0 or self.record[-1] > self.generations:
            raise ValueError(
                f"record must name generations from 0 to {self.generations}, "
                f"got {list(self.record[:1] + self.record[-1:])}"
            )
        for name, signal in (
            ("signal_noise", "noisy_oracle"),
            ("held_out", "validation"),
            ("fresh_held_out", "validation"),
        ):
            default = type(self).model_fields[name].default
            if getattr(self, name) != default and self.signal != signal:
                raise ValueError(
                    f"{name} is for signal = '{signal}' only, got signal = '{self.signal}'"
                )
        return self


def _whole(value: Any) -> int:
    """Convert ``value`` to the positive integer that it equals, or to 1 if there is none."""
    try:
        return max(int(value), 1) if int(value) == float(value) else 1
    except (TypeError, ValueError, OverflowError):
        return 1
