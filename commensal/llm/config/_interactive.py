"""Settings of the interactive workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import field_validator

from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._parts import Share
from commensal.llm.config._run import TrainedConfig


class InteractiveConfig(TrainedConfig):
    """K models that train on each other's output (paper ``interactive``, sec. 4 and 6)."""

    makes: ClassVar[str] = "commensal.llm.workflows.interactive:Interactive"
    report: ClassVar[str] = "commensal.llm.reports.interactive:contents"
    process: ClassVar[str | None] = "regression"

    workflow: Literal["interactive"] = "interactive"
    alpha: tuple[Share, ...] = (0.0, 0.5, 1.0)
    """Weights of new data; every pair with a ``beta`` is one grid point."""
    beta: tuple[Share, ...] = (0.5,)
    """Weights of private data within the real data."""
    initial_beta: Share | None = None
    """Weight β of private data at generation 0; by default that of the grid point."""
    human_share: Share = 0.0
    """Share of fresh human data in the new data."""

    _as_tuple = field_validator("alpha", "beta", mode="before")(
        lambda value: (value,) if isinstance(value, (int, float)) else value
    )

    @field_validator("alpha", "beta")
    @classmethod
    def _each_once(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError(f"needs one value or more, each once, got {list(value)}")
        return value

    def grid(self) -> list[GridPoint]:
        """List every (α, β); those with the same initial β share generation 0."""
        found = []
        for beta in self.beta:
            initial = beta if self.initial_beta is None else self.initial_beta
            for alpha in self.alpha:
                found.append(
                    GridPoint(
                        f"alpha={alpha:g},beta={beta:g}",
                        {"alpha": float(alpha), "beta": float(beta)},
                        f"start,beta={initial:g}",
                        self.seed,
                    )
                )
        return found

    def featured(self, reached: Sequence[GridPoint]) -> list[GridPoint]:
        """Choose at most three α, at the β nearest to 0.5."""
        betas = sorted({float(point.coordinates["beta"]) for point in reached})
        beta = min(betas, key=lambda b: (abs(b - 0.5), -b), default=None)
        some = {p.coordinates["alpha"]: p for p in reached if p.coordinates["beta"] == beta}
        known = sorted(some)
        if len(known) > 3:
            usual = [alpha for alpha in known if alpha in (0.0, 0.5, 1.0)]
            known = usual if len(usual) > 1 else [known[0], known[len(known) // 2], known[-1]]
        return [some[alpha] for alpha in known]

    def facts(self) -> list[tuple[str, str]]:
        """Describe K and the grid, for reports."""
        found = [
            ("models (K)", str(len(self.tasks))),
            ("α", ", ".join(f"{a:g}" for a in self.alpha)),
            ("β", ", ".join(f"{b:g}" for b in self.beta)),
        ]
        if self.initial_beta is not None:
            found.append(("β of generation 0", f"{self.initial_beta:g}"))
        if self.human_share:
            found.append(("share of human data in new data", f"{self.human_share:g}"))
        return found
