"""Settings of models that learn from chosen data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from commensal._config import MIX, NUMERICS, SYSTEM, Config

OF = {
    "verifier": ("initial", "reach", "bias"),
    "reward": ("human_share", "exponent", "span", "near"),
    "filter": ("dim", "right", "true_positive", "false_positive", "errors"),
}
"""Settings that only one way to choose reads."""


class SelectionConfig(Config):
    """Settings of a model that learns from data that the last one wrote and something chose.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range, a name that does not exist, or a setting of another way to choose
        than ``by``. It is a ValueError.

    Examples
    --------
    >>> SelectionConfig(by="filter", right=0.6).false_positive
    0.3
    """

    by: Literal["verifier", "reward", "filter"] = "verifier"
    """Way to choose: "verifier" accepts samples near its own centre, "reward" keeps answers in
    proportion to the exponential of their reward, "filter" lets labels pass."""
    samples: int = Field(default=200, ge=1, lt=2**31)
    """Number n ≥ 1 of samples in a generation: accepted ones of a verifier, answers, or labels
    before the filter."""
    generations: int = Field(default=10, ge=1)
    """Number of generations T ≥ 1 after the start, which is human."""
    initial: int = Field(default=20, ge=1, json_schema_extra=MIX)
    """Number n_0 ≥ 1 of human samples at the start, with a verifier."""
    reach: float = Field(default=1.0, gt=0, allow_inf_nan=False, json_schema_extra=SYSTEM)
    """Reach of a verifier: half the width r > 0 of what it accepts, in standard deviations of a
    sample."""
    bias: float = Field(default=0.1, allow_inf_nan=False, json_schema_extra=SYSTEM)
    """Error b of a verifier's centre, in standard deviations of a sample."""
    human_share: float = Field(default=0.1, ge=0, le=1, json_schema_extra=MIX)
    """Share h in [0, 1] of fresh human answers in each generation, with a reward."""
    exponent: float = Field(default=2.0, ge=0, allow_inf_nan=False, json_schema_extra=SYSTEM)
    """Exponent of the density of human rewards below the highest one, at least 0, with a reward:
    how rare answers near it are."""
    span: float = Field(default=3.0, gt=0, allow_inf_nan=False, json_schema_extra=SYSTEM)
    """Distance of the lowest human reward from the highest one, above 0, with a reward."""
    near: float = Field(default=0.5, gt=0, allow_inf_nan=False, json_schema_extra=SYSTEM)
    """Distance from the highest reward within which answers are counted, above 0, with a reward."""
    dim: int = Field(default=20, ge=2, json_schema_extra=SYSTEM)
    """Number d ≥ 2 of features, with a filter."""
    right: float = Field(default=0.7, ge=0, le=1, json_schema_extra=MIX)
    """Share p in [0, 1] of labels that are right at the start, with a filter."""
    true_positive: float = Field(default=1.0, ge=0, le=1, json_schema_extra=SYSTEM)
    """Rate φ in [0, 1] at which right labels pass a filter."""
    false_positive: float = Field(default=0.3, ge=0, le=1, json_schema_extra=SYSTEM)
    """Rate ψ in [0, 1] at which wrong labels pass a filter."""
    errors: Literal["independent", "model"] = Field(default="independent", json_schema_extra=SYSTEM)
    """Errors of a filter's labels after the start: "independent", as many as the last model makes,
    whatever the features; "model", the last model's own."""
    replicates: int = Field(default=256, ge=1, json_schema_extra=NUMERICS)
    """Number of independent runs."""
    seed: int = Field(default=0, ge=0, lt=2**63, json_schema_extra=NUMERICS)
    """Seed of everything that is drawn, from 0 to 2⁶³ - 1; not read where a key is given."""
    chunk: int = Field(default=256, ge=1, json_schema_extra=NUMERICS)
    """Runs after which progress is reported and a file is added to a resumable run, rounded up to
    whole batches; no result depends on it."""

    @model_validator(mode="after")
    def _of_one_kind(self) -> SelectionConfig:
        for kind, names in OF.items():
            given = [n for n in names if getattr(self, n) != type(self).model_fields[n].default]
            if kind != self.by and given:
                raise ValueError(f"{given[0]} goes with by {kind!r}, got by {self.by!r}")
        return self
