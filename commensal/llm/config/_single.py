"""Settings of one model that trains on its own output."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import field_validator

from commensal.llm.config._grid_point import GridPoint, named
from commensal.llm.config._parts import Share
from commensal.llm.config._run import TrainedConfig

Memory = Literal["replace", "accumulate", "accumulate_subsample"]
"""Scheme by which past data are kept, a method of that name of
:class:`commensal.llm.workflows.single.Single`."""


class SingleConfig(TrainedConfig):
    """One model that trains on its own output (Shumailov 2024, Gerstgrasser 2024, Kazdan 2025)."""

    makes: ClassVar[str] = "commensal.llm.workflows.single:Single"
    report: ClassVar[str] = "commensal.llm.reports.single:contents"

    workflow: Literal["single"] = "single"
    memory: tuple[Memory, ...] = ("replace", "accumulate", "accumulate_subsample")
    """Schemes by which past data are kept; each is one grid point."""
    beta: Share = 1.0
    """Weight of private data within the real data."""

    @field_validator("memory", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("tasks")
    @classmethod
    def _one_task(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(value) != 1:
            raise ValueError(f"one model has one task, got {len(value)}")
        return value

    def grid(self) -> list[GridPoint]:
        """List every memory; those of one replicate share generation 0."""
        return [
            GridPoint(
                named(f"memory={memory}", r),
                {"memory": memory, "replicate": float(r)},
                named("start", r),
                self.seed_of_replicate(r),
            )
            for r in range(self.replicates)
            for memory in self.memory
        ]

    def learnt_in(self, point: GridPoint, generation: int) -> int:
        """Return the number of examples of a generation; the steps grow where all is kept."""
        grows = point.coordinates["memory"] == "accumulate"
        return super().learnt_in(point, generation) * (generation + 1 if grows else 1)

    def facts(self) -> list[tuple[str, str]]:
        """Describe the memories and β, for reports."""
        return [("memories", ", ".join(self.memory)), ("β", f"{self.beta:g}")]
