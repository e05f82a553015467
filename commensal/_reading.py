"""The setting that says who reads whom, in the same words for every process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from commensal import networks
from commensal._config import MIX, Config

Network = str | tuple[tuple[float, ...], ...]


def as_network(value: Any) -> Network:
    """Return a network's name as it is, and a matrix checked and as tuples.

    Raises
    ------
    ValueError
        If it is neither, or no network.
    """
    if isinstance(value, str):
        return value
    try:
        matrix = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"must be a network's name or a matrix, got {value!r}") from None
    return tuple(map(tuple, networks.check_network(matrix).tolist()))


def as_networks(value: Any) -> tuple[Network, ...]:
    """Return one network or several as a tuple of names and checked matrices.

    Raises
    ------
    ValueError
        If one is neither a name nor a matrix, or no network.
    """
    if isinstance(value, str):
        return tuple(value.split())
    try:
        one = np.asarray(value, dtype=float).ndim < 3
    except (TypeError, ValueError):
        one = not isinstance(value, (list, tuple))
    return tuple(map(as_network, [value] if one else value))


def names_of(reads: Sequence[Network]) -> tuple[str, ...]:
    """Return the names of networks; matrices are numbered, "matrix 1" the first of them."""
    matrices = [one for one in reads if not isinstance(one, str)]
    return tuple(
        one if isinstance(one, str) else f"matrix {1 + matrices.index(one)}" for one in reads
    )


def network_of(reads: Network, models: int) -> np.ndarray | None:
    """Return the network of ``models`` models, (K, K); None for the uniform one.

    Raises
    ------
    ValueError
        If there is no such network, or it is for another K.
    """
    if isinstance(reads, str):
        found = networks.named(reads, models)
        return None if reads == "uniform" else found
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

    reads: Network = Field(default="uniform", json_schema_extra=MIX)
    """Who reads whom: "uniform", "isolated", "ring:0.5", "star", "self:0.5", "blocs:0.1" or
    "shares:3,1,1", as in ``commensal.networks``; in a file of settings also a matrix, whose row k
    says how model k weighs what each model published."""

    @field_validator("reads", mode="before")
    @classmethod
    def _as_network(cls, value: Any) -> Any:
        return as_network(value)

    def network(self, models: int) -> np.ndarray | None:
        """Return the reading network of ``models`` models, (K, K); None for the uniform one.

        Raises
        ------
        ValueError
            If there is no such network, or it is for another K.
        """
        return network_of(self.reads, models)
