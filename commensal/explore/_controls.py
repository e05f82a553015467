"""Controls of the explorer: what a reader can set, and the values that it may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Control(NamedTuple):
    """One setting with a finite list of values: a slider of numbers, or a choice of names."""

    name: str
    """Name in data, in addresses and, with dashes, on the command line."""
    label: str
    values: Sequence[Any]
    start: int = 0
    """Place of the value that is set at first."""

    def record(self) -> dict[str, Any]:
        """Return the control for JSON."""
        values = [getattr(value, "item", lambda v=value: v)() for value in self.values]
        return {"name": self.name, "label": self.label, "values": values, "start": self.start}

    def chosen(self, query: Mapping[str, str]) -> Any:
        """Return the value that a query asks for, or the one that is set at first.

        Raises
        ------
        ValueError
            If it is none of the control's.

        Examples
        --------
        >>> Control("models", "K", (2, 4, 8)).chosen({"models": "8"})
        8
        """
        if (given := query.get(self.name)) is None:
            return self.values[self.start]
        # as a browser writes numbers: 1 for 1.0
        known = {_written(value): value for value in self.values}
        if given not in known:
            raise ValueError(f"{self.name} is one of {', '.join(known)}, got {given!r}")
        return known[given]


LABELS = {
    "models": "K, number of models",
    "reads": "who reads whom",
    "human_share": "φ, share of fresh human data",
    "noise": "σ, noise of the responses",
    "rank": "rank of each model's data",
    "dim": "d, number of features",
    "prompts": "prompts",
    "seed": "seed of the data",
    "memory": "memory: what is read of the web's past",
    "public_rank": "rank of the public data",
    "human_rank": "rank of the human data",
    "human_data": "who collects human data",
    "design": "family of data",
    "strength": "size of the private data",
    "public": "size of the public data",
}
"""Labels of settings, as they stand beside the controls."""


def _written(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
