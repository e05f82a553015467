"""The setting that says who reads whom, in the same words for every process."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from pydantic import Field, field_validator

from commensal import networks
from commensal._config import MIX, Config

Reads: TypeAlias = str | tuple[tuple[float, ...], ...]
"""A network's name, or its matrix."""


def as_reads(value: Any) -> Reads:
    """Return a network's name as it is, and a matrix with its rows checked.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(value, str):
        return value
    try:
        matrix = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"must be a network's name or a matrix, got {value!r}") from None
    return tuple(map(tuple, networks.check_network(matrix).tolist()))


def network_of(reads: Reads, models: int) -> np.ndarray:
    """Return the reading network of ``models`` models, (K, K).

    Raises
    ------
    ValueError
        If there is no such network, or it is for another K.
    """
    if isinstance(reads, str):
        return networks.named(reads, models)
    if len(reads) != models:
        raise ValueError(f"reads is a network of {len(reads)} models, not {models}")
    return np.array(reads)


class ReadingConfig(Config):
    """Settings of a system whose models may read some and not others.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> ReadingConfig(reads="ring:0.5").network(2)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    reads: Reads = Field(default="uniform", json_schema_extra=MIX)
    """Who reads whom: "uniform", "isolated", "ring:0.5", "star", "self:0.5", "blocs:0.1" or
    "shares:3,1,1", as in ``commensal.networks``; in a file of settings also a matrix, whose row k
    says how model k weighs what each model published."""

    @field_validator("reads", mode="before")
    @classmethod
    def _as_network(cls, value: Any) -> Any:
        return as_reads(value)

    def network(self, models: int) -> np.ndarray | None:
        """Return the reading network of ``models`` models, (K, K); None for the uniform one.

        Raises
        ------
        ValueError
            If there is no such network, or it is for another K.
        """
        found = network_of(self.reads, models)
        return None if self.reads == "uniform" else found
