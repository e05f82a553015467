"""What a run of populations is: how many models, how they are chosen, how they inherit."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

DEFAULT_RECORDS = 200


class PopulationConfig(BaseModel):
    r"""Populations of one-dimensional Gaussian models, and how often to run them.

    Generation 0 is the truth, which all N models share; models of generation 1 are fitted to n
    real points each. From then on every generation the k best models are the parents of the next.

    Attributes
    ----------
    population : int
        N, the number of models. A square number, unless ``crossover="none"`` and ``parents`` is
        given.
    parents : int or None
        k, how many are selected; None for √N. With ``crossover="pairs"`` k² must be N.
    crossover : {"pairs", "none"}
        "pairs": there is one offspring (i, j) of every ordered pair of parents; it inherits the
        parameters of i and is fitted to data of j. "none": every parent has N/k offspring, each
        with its own parameters and its own data.
    samples : int
        n ≥ 2, points in a dataset.
    estimator : {"unbiased", "mle"}
        Whether a fit divides the sum of squares by n - 1 or by n.
    shared_data : bool
        True: a parent publishes one dataset per generation, which all models that are fitted to
        its data get. False: it publishes a new one for each of them.
    inheritance : float
        h in [0, 1): an offspring is h × inherited parameters + (1 - h) × the fit. 0 is a refit,
        which forgets everything inherited.
    scale : {"std", "log_std"}
        What is averaged by ``inheritance`` beside the mean: σ or log σ.
    mutation : float
        λ in [0, 2): parameters of model i move by λ σ_i U, U uniform on (-1/2, 1/2), independently
        for mean and σ.
    mutate : {"parents", "offspring"}
        "parents": what parent i hands on moves, once for all its offspring, while its data stay
        what they are (without ``inheritance`` this changes nothing). "offspring": every offspring
        moves after its fit.
    signal : {"oracle", "noisy_oracle", "validation", "none"}
        What decides who is best. "oracle": the W₂ distance to the truth; "noisy_oracle": the same
        plus Gaussian noise, new for each model and generation; "validation": the likelihood of
        held-out real points; "none": chance.
    signal_noise : float
        Standard deviation of the noise, in units of the true σ ("noisy_oracle" only).
    held_out : int
        m ≥ 2, number of held-out real points ("validation" only).
    fresh_held_out : bool
        True: new held-out points every generation. False: the same ones for ever.
    mean, variance : float
        Of the truth.
    generations : int
        T ≥ 1.
    replicates : int
        Independent populations.
    record : sequence of int or None
        Generations that are kept, increasing. None: all where T ≤ 200, else about 200 that are
        evenly spaced, with 0 and T.
    seed : int
        Of all noise, where no key is given.
    chunk : int
        Populations after which progress is reported, rounded up to whole batches; no result
        depends on it.

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

    model_config = ConfigDict(frozen=True, extra="forbid")

    population: int = Field(default=16, ge=1)
    # never None in an instance: the validator below puts √N in its place
    parents: int = Field(default=None, ge=1)  # pyright: ignore[reportAssignmentType]
    crossover: Literal["pairs", "none"] = "pairs"
    samples: int = Field(default=100, ge=2)
    estimator: Literal["unbiased", "mle"] = "unbiased"
    shared_data: bool = True
    inheritance: float = Field(default=0.5, ge=0, lt=1)
    scale: Literal["std", "log_std"] = "std"
    mutation: float = Field(default=0.01, ge=0, lt=2)
    mutate: Literal["parents", "offspring"] = "parents"
    signal: Literal["oracle", "noisy_oracle", "validation", "none"] = "oracle"
    signal_noise: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    held_out: int = Field(default=100, ge=2)
    fresh_held_out: bool = False
    mean: float = Field(default=0.0, allow_inf_nan=False)
    variance: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    generations: int = Field(default=1000, ge=1)
    replicates: int = Field(default=100, ge=1)
    record: tuple[int, ...] = Field(default=None)  # pyright: ignore[reportAssignmentType]
    seed: int = Field(default=0, ge=0, lt=2**32)
    chunk: int = Field(default=4096, ge=1)

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
    """``value`` as the positive integer it stands for, 1 where it stands for none."""
    try:
        return max(int(value), 1) if int(value) == float(value) else 1
    except (TypeError, ValueError, OverflowError):
        return 1
