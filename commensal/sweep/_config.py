"""Settings of a sweep: its grids, and the data of the systems on them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from commensal._config import MIX, OUTPUT
from commensal._memory import named_memory
from commensal._reading import Network, as_networks, names_of, network_of
from commensal.designs import Amount, DesignConfig

if TYPE_CHECKING:
    from commensal.theory.regression import RegressionWorkflow

Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


USUAL_GENERATION = 100
"""Generation T that a sweep tells of where there is a memory, unless another is asked for."""


def _axis(count: int) -> tuple[float, ...]:
    # the double that is nearest to the fraction: 0.3, not 3 × 0.1
    return tuple(i / (count - 1) for i in range(count))


class RegressionSweep(DesignConfig):
    """Settings of a sweep; a number stands for a grid of one point.

    Which data the systems have is said as in :class:`commensal.designs.DesignConfig`.

    Examples
    --------
    >>> RegressionSweep(alpha=(0.2, 0.4), beta=0.5, models=(2, 4)).cells
    4
    """

    alpha: tuple[Weight, ...] = Field(default=_axis(51), min_length=1, json_schema_extra=MIX)
    """Weights α of newly collected data, a grid in [0, 1] without repetition."""
    beta: tuple[Weight, ...] = Field(default=_axis(51), min_length=1, json_schema_extra=MIX)
    """Weights β of private data within the real data, a grid in [0, 1] without repetition."""
    models: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(2, 4, 8), min_length=1)
    """Numbers of models K, each at least 1, without repetition."""
    noise: Amount = 1.0
    """Standard deviation σ ≥ 0 of all responses."""
    human_share: Weight = Field(default=0.0, json_schema_extra=MIX)
    """Share φ of fresh human data in what is newly collected, in [0, 1]."""
    reads: tuple[Network, ...] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=("uniform",), min_length=1, json_schema_extra=MIX
    )
    """Who reads whom, one network or several with a space between: "uniform", "isolated",
    "ring:0.5", "star", "self:0.5", "blocs:0.1" or "shares:3,1,1", as in ``commensal.networks``; in
    a file of settings also matrices, whose row k says how model k weighs what each model published.
    """
    memory: tuple[str, ...] = Field(default=("replace",), min_length=1, json_schema_extra=MIX)
    """Memory of the web, one or several with a comma between: "replace", what was published
    last; "accumulate", everything, each generation with weight α; "window:3", the last
    three generations, and "window", all of them, with weight α together."""
    generations: int | None = Field(default=None, ge=1)
    """Generation T whose errors are told. Not given: the limit, or where there is any memory but
    "replace", generation 100."""
    tasks: bool = Field(default=True, json_schema_extra=OUTPUT)
    """Whether to keep ``mspe``, the error of each model on each task."""

    @field_validator("alpha", "beta", "models", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        return (value,) if plain else value

    @field_validator("reads", mode="before")
    @classmethod
    def _as_network(cls, value: Any) -> Any:
        return as_networks(value)

    @field_validator("memory", mode="before")
    @classmethod
    def _as_names(cls, value: Any) -> Any:
        value = (value,) if isinstance(value, str) else value
        if not all(isinstance(name, str) for name in value):
            return value
        return tuple(one for name in value for one in name.replace(",", " ").split())

    @field_validator("memory")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            named_memory(name)
        return value

    @field_validator("alpha", "beta", "models", "reads", "memory")
    @classmethod
    def _no_repetition(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same value appears twice")
        return value

    @classmethod
    def _of_models(cls, count: int) -> dict[str, Any]:
        return {"models": (count,)}

    def _share_of_humans(self) -> Any:
        return self.human_share

    @model_validator(mode="after")
    def _networks_fit(self) -> RegressionSweep:
        for count, reads in product(self.models, self.reads):
            network_of(reads, count)  # which raises a ValueError where it does not fit
        return self

    @model_validator(mode="after")
    def _misaligned_dim(self) -> RegressionSweep:
        given = self.dim if "dim" in self.model_fields_set else None
        if self.design == "misaligned" and given and set(self.models) != {given}:
            raise ValueError(
                f"design 'misaligned' has dim = models = {', '.join(map(str, self.models))}, "
                f"got dim = {given}"
            )
        return self

    @property
    def cells(self) -> int:
        """Number of cells: of every network and memory, K, α and β."""
        grid = len(self.alpha) * len(self.beta) * len(self.models)
        return grid * len(self.reads) * len(self.memory)

    @property
    def told(self) -> int | None:
        """Generation whose errors are told; None for the limit."""
        if self.generations is None and self.memory != ("replace",):
            return USUAL_GENERATION
        return self.generations

    def effort(self, which: int = 0) -> float:
        """Work per cell with one of the memories, in units of that of a limit, about."""
        if self.told is None:
            return 1.0
        memory, window = named_memory(self.memory[which])
        slots = 1 if memory == "replace" else min(window or 1, self.told)
        return 1 + self.told * (0.4 if memory == "accumulate" else 0.15 + 0.04 * slots)

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks; matrices are numbered, "matrix 1" the first of them."""
        return names_of(self.reads)

    def network(self, models: int, which: int = 0) -> np.ndarray | None:
        """Return one of the reading networks, (K, K); None for the uniform one.

        Raises
        ------
        ValueError
            If it is for another K.
        """
        return network_of(self.reads[which], models)

    def workflow(self, models: int, which: int = 0) -> RegressionWorkflow:
        """Return the system of ``models`` models with one of the networks (at α = β = 1/2).

        Raises
        ------
        ValueError
            If the file of Gram matrices is missing, malformed, or for another K.
        """
        from commensal.theory.regression import RegressionWorkflow  # which waits for JAX

        alone = self.model_copy(update={"reads": (self.reads[which],)})
        grams = alone.gram_matrices(models)
        return RegressionWorkflow(
            **grams,
            alpha=0.5,
            beta=0.5,
            noise=self.noise,
            human_share=self.human_share,
            human_data=self.human_data,
            reads=self.network(models, which),
        )
