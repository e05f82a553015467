"""Settings of the interactive workflow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import field_validator, model_validator

from commensal import networks
from commensal._memory import check_memory
from commensal._reading import Network, as_networks, names_of, network_of
from commensal.llm.config._grid_point import GridPoint, named
from commensal.llm.config._parts import Count, Share
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
    """Human texts in the new data. fresh: held back from all private data, each used once, or new
    ones in every generation where several generations are kept, which are read again with it; seen:
    drawn from the private data of all models."""
    reads: tuple[Network, ...] = ("uniform",)
    """Who reads whom, each network one grid point: "uniform", "isolated", "ring:0.5", "star",
    "self:0.5", "blocs:0.1" or "shares:3,1,1", as in ``commensal.networks``; or a matrix, whose row
    k says how model k weighs what each model wrote."""
    memory: Literal["replace", "accumulate", "window"] = "replace"
    """Memory of the web: "replace", what was written last; "accumulate", everything so far,
    each generation with weight α, so that the share of real data falls; "window", the last
    ``window`` generations, with weight α together."""
    window: Count | None = None
    """Number of generations that memory "window" keeps; by default all of them."""

    _as_tuple = field_validator("alpha", "beta", mode="before")(
        lambda value: (value,) if isinstance(value, (int, float)) else value
    )

    @field_validator("alpha", "beta")
    @classmethod
    def _each_once(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError(f"needs one value or more, each once, got {list(value)}")
        return value

    @field_validator("reads", mode="before")
    @classmethod
    def _as_networks(cls, value: Any) -> tuple[Network, ...]:
        found = as_networks(value)
        if not found:
            raise ValueError("needs one network or more")
        return found

    @model_validator(mode="after")
    def _networks_differ(self) -> InteractiveConfig:
        found = [(reads, self._matrix(reads)) for reads in self.reads]
        for (one, first), (other, second) in itertools.combinations(found, 2):
            if np.allclose(first, second):
                both = " and ".join(map(_written, (one, other)))
                raise ValueError(f"reads has one network twice: {both}")
        return self

    @model_validator(mode="after")
    def _memory_fits(self) -> InteractiveConfig:
        check_memory(self.memory, self.window)
        return self

    @property
    def remembers(self) -> bool:
        """Whether more than what was written last is read."""
        return self.memory != "replace" and self.window != 1

    def kept(self, generation: int) -> range:
        """Return the generations whose texts are read in a later one."""
        if self.memory == "replace":
            return range(generation - 1, generation)
        most = generation if self.memory == "accumulate" else self.window or generation
        return range(max(0, generation - most), generation)

    def web_share(self, alpha: float, generation: int) -> float:
        """Return the share of the web in the data of a generation after the first.

        Where everything is kept each of t generations has the weight α, and real data 1 - α.
        """
        if self.memory != "accumulate":
            return alpha
        return generation * alpha / (1 - alpha + generation * alpha)

    @property
    def networks(self) -> dict[str, Float[np.ndarray, "K K"]]:
        """Reading networks by name; matrices are numbered."""
        return dict(zip(names_of(self.reads), map(self._matrix, self.reads), strict=True))

    def _matrix(self, reads: Network) -> Float[np.ndarray, "K K"]:
        found = network_of(reads, len(self.tasks))
        return networks.uniform(len(self.tasks)) if found is None else found

    def network(self, point: GridPoint) -> Float[np.ndarray, "K K"]:
        """Return the reading network of a grid point."""
        return self.networks[str(point.coordinates.get("reads", "uniform"))]

    def grid(self) -> list[GridPoint]:
        """List every (α, β) of every network; those with the same initial β share generation 0."""
        # where all read all alike, as in the paper, nothing is said of it
        read = [f",reads={name}" for name in self.networks] if self.reads != ("uniform",) else [""]
        return [
            GridPoint(
                named(f"alpha={alpha:g},beta={beta:g}{reads}", r),
                {"alpha": float(alpha), "beta": float(beta)}
                | ({"reads": reads.partition("=")[2]} if reads else {})
                | {"replicate": float(r)},
                named(f"start,beta={initial:g}", r),
                self.seed_of_replicate(r),
            )
            for r in range(self.replicates)
            for beta in self.beta
            for initial in (beta if self.initial_beta is None else self.initial_beta,)
            for alpha in self.alpha
            for reads in read
        ]

    def featured(self, reached: Sequence[GridPoint]) -> list[GridPoint]:
        """Choose at most three α, at the β nearest to 0.5; of several networks, these at one α."""
        reached = super().featured(reached)  # of the first replicate
        beta = _middle({float(point.coordinates["beta"]) for point in reached})
        here = [point for point in reached if point.coordinates["beta"] == beta]
        if len(self.reads) > 1:
            alpha = _middle({float(point.coordinates["alpha"]) for point in here})
            return [point for point in here if point.coordinates["alpha"] == alpha][:4]
        some = {point.coordinates["alpha"]: point for point in here}
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
        if self.reads != ("uniform",):
            found.append(("who reads whom", "; ".join(map(_written, self.reads))))
        if self.memory != "replace":
            most = f", the last {self.window} generations" if self.window else ""
            found.append(("memory of the web", self.memory + most))
        if self.human_share:
            kept = (
                "new in each generation, and kept with it" if self.remembers else "each used once"
            )
            which = f"fresh, {kept}" if self.human_texts == "fresh" else "seen before"
            text = f"{self.human_share:g}, {which}"
            found.append(("share of human data in new data", text))
        return found


def _middle(values: set[float]) -> float | None:
    """Return the value nearest to 0.5, the larger one of two."""
    return min(values, key=lambda value: (abs(value - 0.5), -value), default=None)


def _written(reads: Network) -> str:
    if isinstance(reads, str):
        return reads
    return " / ".join(", ".join(f"{weight:g}" for weight in row) for row in reads)
