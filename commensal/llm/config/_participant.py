"""Settings that every model of a web has."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from commensal.llm.config._parts import Settings, Share


class Participant(Settings):
    """How much one model of a web reads and posts."""

    read_share: Share | None = None
    """Share of the web that this model reads; by default the ``read_share`` of the grid point."""
    posting_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Number of its responses to each query that the model posts at a step, 1 in the paper. 0.5:
    one at every second step; 0: the model reads only."""

    def posted(self, steps: int) -> int:
        """Count the posts of the first ``steps`` steps, ⌊rate · steps⌋, meant in decimal."""
        return math.floor(self.posting_rate * steps * (1 + 1e-12))
