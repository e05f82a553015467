"""Settings of advice: documents, models, generations, and what is assumed of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from commensal._config import MIX, NUMERICS, SYSTEM
from commensal._memory import check_memory
from commensal._reading import ReadingConfig

_LARGEST = 10**12  # documents: beyond, squares of sizes lose digits


class AdviseConfig(ReadingConfig):
    """Settings of a plan: K models that train on human documents and on each other's.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> AdviseConfig(real=12_000, synthetic=30_000, models=3, generations=6).private_share
    0.5
    """

    real: int = Field(ge=1, le=_LARGEST, json_schema_extra=MIX)
    """Number of human documents that each model has from the start, at least 1."""
    synthetic: int = Field(ge=0, le=_LARGEST, json_schema_extra=MIX)
    """Number of documents that each model publishes in a generation, at least 0. All read those of
    all models, or those that ``reads`` says."""
    models: int = Field(ge=1, le=1000, json_schema_extra=MIX)
    """Number of models K, at least 1."""
    generations: int = Field(ge=1, le=10_000, json_schema_extra=MIX)
    """Number of generations T, at least 1, after the one that is trained on human documents
    alone."""
    fresh: int = Field(default=0, ge=0, le=_LARGEST, json_schema_extra=MIX)
    """Number of human documents that each model newly collects in every generation, at least 0."""
    human_data: Literal["own", "shared"] = Field(default="own", json_schema_extra=MIX)
    """Whose newly collected human documents are: each model's "own", or "shared" by all."""
    private_share: float = Field(default=0.5, ge=0, le=1, json_schema_extra=MIX)
    """Share of a model's human documents that it alone has, in [0, 1]; all have the others."""
    synthetic_share: float | None = Field(default=None, ge=0, lt=1, json_schema_extra=MIX)
    """Share of a training batch that is drawn from what models published, in [0, 1). Not given:
    every document counts the same."""
    memory: Literal["replace", "accumulate", "window"] = Field(
        default="replace", json_schema_extra=MIX
    )
    """Documents of models that are read: those of the last generation ("replace"), of all so far
    ("accumulate"), or of the last ``window`` generations ("window")."""
    window: int | None = Field(default=None, ge=1, json_schema_extra=MIX)
    """Number of generations that memory "window" keeps, at least 1."""
    system: Path | None = Field(default=None, json_schema_extra=SYSTEM)
    """File (.npz) of Gram matrices per document, XᵀX/n: private, public, synthetic and perhaps
    human. Not given: documents cover all directions alike."""
    dim: int = Field(default=15, ge=1, le=1000, json_schema_extra=SYSTEM)
    """Number of directions d that a model learns, at least 1; a system has its own. The mean error
    does not depend on it, its scatter does."""
    tokens: int = Field(default=500, ge=1, le=10**9, json_schema_extra={"group": "words"})
    """Number of tokens in a document, at least 1."""
    words: int = Field(default=1_000_000, ge=1, le=10**8, json_schema_extra={"group": "words"})
    """Number of words that human documents use, at least 1."""
    exponent: float = Field(
        default=1.0, ge=0, le=10, allow_inf_nan=False, json_schema_extra={"group": "words"}
    )
    """Exponent of Zipf's law of their frequencies, at least 0."""
    counts: Path | None = Field(default=None, json_schema_extra={"group": "words"})
    """Texts, or a table (.csv, .tsv) with a column ``count``, whose word frequencies replace
    ``words`` and ``exponent``."""
    until: float = Field(default=1.5, gt=0, allow_inf_nan=False)
    """Error whose generation is asked for, in units of the error on human documents alone."""
    more: int = Field(default=1000, ge=1, le=_LARGEST)
    """Number of further human documents whose worth is asked for, at least 1."""
    designs: int = Field(default=40, ge=2, le=10_000, json_schema_extra=NUMERICS)
    """Number of random systems of each kind that are compared with the assumed one, at least 2."""
    seed: int = Field(default=0, ge=0, lt=2**32, json_schema_extra=NUMERICS)
    """Seed of everything that is drawn, from 0 to 2³² - 1."""

    @model_validator(mode="after")
    def _consistent(self) -> AdviseConfig:
        check_memory(self.memory, self.window)
        if self.memory == "window" and self.window is None:
            raise ValueError("memory 'window' needs a window: how many generations are kept")
        if self.synthetic == 0 and self.synthetic_share:
            raise ValueError("synthetic_share must be 0 where nothing is published (synthetic 0)")
        self.network(self.models)  # which raises a ValueError where it does not fit
        given = self.model_fields_set
        if self.counts is not None and {"words", "exponent"} & given:
            raise ValueError("counts take the place of words and exponent: leave those out")
        return self

    def varied(self, **changes: Any) -> AdviseConfig:
        """Return a copy with other values, which may be larger than what is accepted as input."""
        return self.model_copy(update=changes)
