"""Interface of workflows."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from commensal.llm.config import GridPoint
from commensal.llm.generation import Generation


@runtime_checkable
class Workflow(Protocol):
    """Steps of a generation, made from the workflow's settings, which name the class as ``makes``.

    All that it carries from one generation to the next are the models and what
    :class:`~commensal.llm.generation.Past` gives back, so that a run can go on after a kill.
    """

    def models(self, point: GridPoint) -> int:
        """Return the number of models at the end of every generation."""
        ...

    def reads_web(self, point: GridPoint) -> bool:
        """Return whether anyone trains on what the models write."""
        ...

    def make(self, generation: Generation) -> None:
        """Train the models, measure them, and let them write."""
        ...
