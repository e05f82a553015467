"""Settings of models that repeat words."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from commensal._config import MIX, NUMERICS
from commensal._reading import ReadingConfig

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


class WordsConfig(ReadingConfig):
    """Settings of K models that are fitted to the words of a corpus, and write the next one.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> WordsConfig(counts=(5, 3, 2)).words
    3
    """

    models: int = Field(default=1, ge=1)
    """Number of models K ≥ 1."""
    tokens: int = Field(default=2_000, ge=1, lt=2**31)
    """Number of tokens n ≥ 1 that each model writes in a generation."""
    words: int = Field(default=500, ge=1, lt=2**31)
    """Number of words V ≥ 1 that humans use. Where ``counts`` are given it follows from them."""
    exponent: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Exponent of Zipf's law, at least 0: the word of rank r has a frequency proportional to
    r^-exponent."""
    counts: Vector | None = None
    """Counts of words in a human corpus, numbers ≥ 0, in place of ``words`` and ``exponent``; only
    their ratios count."""
    memory: Literal["replace", "accumulate"] = Field(default="replace", json_schema_extra=MIX)
    """Memory of past corpora: "replace" fits the models to the last one, "accumulate" to all so
    far, which are all kept in memory."""
    human_share: float = Field(default=0.0, ge=0, le=1, json_schema_extra=MIX)
    """Share h of human tokens in [0, 1]: after the first generation each token is with this
    probability a human's."""
    dialects: Matrix | None = None
    """Counts of words of each model's own humans, (K, V) numbers ≥ 0, in place of ``counts``; only
    their ratios count."""
    generations: int = Field(default=10, ge=1)
    """Number of generations T ≥ 1, of which humans write the first."""
    replicates: int = Field(default=8, ge=1, json_schema_extra=NUMERICS)
    """Number of independent runs."""
    seed: int = Field(default=0, ge=0, lt=2**63, json_schema_extra=NUMERICS)
    """Seed of everything that is drawn, from 0 to 2⁶³ - 1; not read where a key is given."""
    chunk: int = Field(default=64, ge=1, json_schema_extra=NUMERICS)
    """Runs after which progress is reported and a file is added to a resumable run, rounded up to
    whole batches; no result depends on it."""

    @field_validator("counts", "dialects", mode="before")
    @classmethod
    def _as_lists(cls, value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else value

    @model_validator(mode="after")
    def _consistent(self) -> WordsConfig:
        if self.counts is not None and self.dialects is not None:
            raise ValueError("counts and dialects exclude each other: give one of them")
        for name in ("counts", "dialects"):
            given = getattr(self, name)
            if given is None:
                continue
            rows = (given,) if name == "counts" else given
            if len({len(row) for row in rows}) != 1 or not rows[0]:
                raise ValueError(f"{name} must have rows of one length, which is not zero")
            known = np.array(rows)
            if not (np.isfinite(known) & (known >= 0)).all() or not known.any(axis=1).all():
                raise ValueError(f"{name} must be finite, at least 0, and not all 0")
            if "words" in self.model_fields_set and self.words != known.shape[1]:
                raise ValueError(
                    f"words must be {known.shape[1]} with these {name}, got {self.words}"
                )
            object.__setattr__(self, "words", known.shape[1])
        if self.dialects is not None and len(self.dialects) != self.models:
            raise ValueError(
                f"dialects must be {self.models} rows (models), got {len(self.dialects)}"
            )
        self.network(self.models)  # which raises a ValueError where it does not fit
        kept = self.generations if self.memory == "accumulate" else 1
        if self.models * self.tokens * kept >= 2**31:
            raise ValueError(
                f"models × tokens{' × generations' * (kept > 1)} must be below 2³¹, got "
                f"{self.models * self.tokens * kept:,}: take fewer tokens, or the closed form"
            )
        return self

    @property
    def laws(self) -> np.ndarray:
        """Compute the humans' laws: one row for all models, or one for each."""
        if self.dialects is not None:
            rows = np.array(self.dialects)
        elif self.counts is not None:
            rows = np.array(self.counts)[None]
        else:
            rows = np.arange(1.0, self.words + 1)[None] ** -self.exponent
        return rows / rows.sum(axis=1, keepdims=True)
