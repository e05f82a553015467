"""Settings of the interactive workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from commensal.llm.config._grid_point import GridPoint, named
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
    """Share of human texts, about all tasks, in the new data."""
    human_texts: Literal["fresh", "seen"] = "fresh"
    """Human texts in the new data. fresh: held back from all private data, each used once; seen:
    drawn from the private data of all models."""
    market: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    """Shares of the models in the web, in proportion; by default all have the same."""

    _as_tuple = field_validator("alpha", "beta", mode="before")(
        lambda value: (value,) if isinstance(value, (int, float)) else value
    )

    @field_validator("alpha", "beta")
    @classmethod
    def _each_once(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError(f"needs one value or more, each once, got {list(value)}")
        return value

    @model_validator(mode="after")
    def _one_share_each(self) -> InteractiveConfig:
        if self.market is not None and (
            len(self.market) != len(self.tasks) or not sum(self.market) > 0
        ):
            raise ValueError(
                f"market needs a share for each of {len(self.tasks)} models, not all 0, got "
                f"{list(self.market)}"
            )
        return self

    def grid(self) -> list[GridPoint]:
        """List every (α, β); those with the same initial β share generation 0."""
        return [
            GridPoint(
                named(f"alpha={alpha:g},beta={beta:g}", r),
                {"alpha": float(alpha), "beta": float(beta), "replicate": float(r)},
                named(f"start,beta={initial:g}", r),
                self.seed_of_replicate(r),
            )
            for r in range(self.replicates)
            for beta in self.beta
            for initial in (beta if self.initial_beta is None else self.initial_beta,)
            for alpha in self.alpha
        ]

    def featured(self, reached: Sequence[GridPoint]) -> list[GridPoint]:
        """Choose at most three α, at the β nearest to 0.5."""
        reached = super().featured(reached)  # of the first replicate
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
        if self.market is not None:
            total = sum(self.market)
            shares = ", ".join(f"{share / total:.0%}" for share in self.market)
            found.append(("shares of the models in the web", shares))
        if self.human_share:
            which = "fresh, each used once" if self.human_texts == "fresh" else "seen before"
            text = f"{self.human_share:g}, {which}"
            found.append(("share of human data in new data", text))
        return found
