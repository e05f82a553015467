"""Designs of interactive regression: the feature matrices of private, public and web data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_serializer, model_validator

from commensal._config import NUMERICS
from commensal._features import Designs, from_grams, gaussian, misaligned, truth
from commensal._grams import read_grams
from commensal._reading import ReadingConfig

__all__ = ["DesignConfig", "Designs", "from_grams", "gaussian", "misaligned", "read_grams", "truth"]

# far from where squares of estimates overflow
Amount = Annotated[float, Field(ge=0, le=1e70, allow_inf_nan=False)]

# Which design uses an option; what belongs to none of them is not here.
_USED_BY = {
    "rank": "gaussian",
    "public_rank": "gaussian",
    "human_rank": "gaussian",
    "prompts": "gaussian",
    "strength": "misaligned",
    "public": "misaligned",
}


class DesignConfig(ReadingConfig):
    """Data of a system of interactive regression, in the same words for theory and process.

    Sweeps and simulations inherit from it. An option that the chosen design does not use is
    refused, not ignored; and it is not written down where settings are kept.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range, a name that does not exist, or an option that is not used.

    Examples
    --------
    >>> DesignConfig(dim=6, rank=3).draw(models=2).private.shape
    (2, 3, 6)
    >>> DesignConfig(design="gaussian", strength=3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for DesignConfig
      Value error, design 'gaussian' does not take strength; design 'misaligned' does ...
    """

    design: Literal["gaussian", "misaligned"] = "gaussian"
    """Family of feature matrices: "gaussian" draws them at random, "misaligned" makes the one that
    comes close to the bound on efficiency and has d = K."""
    dim: int = Field(default=15, ge=1)
    """Dimension d of features and parameter, at least 1; for Gaussian designs."""
    rank: int = Field(default=5, ge=1)
    """Rows of every private and every synthetic design, from 1 to d; for Gaussian designs."""
    public_rank: int | None = Field(default=None, ge=0)
    """Rows of the public design, from 0 to d; for Gaussian designs. Not given: as ``rank``."""
    human_rank: int | None = Field(default=None, ge=0)
    """Rows of the design of fresh human data, from 0 to d; for Gaussian designs. Not given: humans
    answer the same prompts as all models."""
    human_data: Literal["shared", "own"] = "shared"
    """Who collects the fresh human data: "shared" by all models, or each its "own" answers to the
    same questions."""
    prompts: Literal["private", "fresh"] = "private"
    """Features that models are asked to label: "private", their own private features, or "fresh"
    ones; for Gaussian designs."""
    strength: Amount = 1e4
    """Size c ≥ 0 of the private Gram matrices; for the misaligned design, which with the default
    comes within 0.01 % of the bound (1 + √K)/2."""
    public: Amount = 0.0
    """Size s ≥ 0 of the public Gram matrix; for the misaligned design."""
    grams: Path | None = None
    """File of Gram matrices in place of a design: .npz with private, public, synthetic and perhaps
    human. It sets K and d."""
    seed: int = Field(default=0, ge=0, lt=2**32, json_schema_extra=NUMERICS)
    """Seed of everything that is drawn, from 0 to 2³² - 1."""

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_used(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = {name for name, value in values.items() if value is not None}
        design = values.get("design", cls.model_fields["design"].default)
        path = values.get("grams")
        if path is not None:
            if unused := [n for n in ("design", "dim", *_USED_BY) if n in given]:
                raise ValueError(
                    f"grams takes the place of a design: leave out {', '.join(unused)}"
                )
            if isinstance(path, (str, Path)):
                k, d, _ = read_grams(path, stacklevel=3)["private"].shape
                return {"dim": d, **cls._of_models(k)} | values
            return values
        for name, owner in _USED_BY.items():
            if name in given and design in ("gaussian", "misaligned") and owner != design:
                raise ValueError(f"design {design!r} does not take {name}; design {owner!r} does")
        return values

    @classmethod
    def _of_models(cls, count: int) -> dict[str, Any]:
        """Return the field that sets the number of models, where Gram matrices do."""
        return {}

    @model_validator(mode="after")
    def _ranks_fit(self) -> DesignConfig:
        if self.grams is None and self.design == "gaussian":
            for name in ("rank", "public_rank", "human_rank"):
                if (getattr(self, name) or 0) > self.dim:
                    raise ValueError(
                        f"{name} must be at most dim = {self.dim}, got {getattr(self, name)}"
                    )
        if self.human_rank is not None and not self._has_humans():
            raise ValueError("human_rank does nothing without a human_share above 0")
        if self.human_data == "own" and not self._has_humans():
            raise ValueError("human_data 'own' does nothing without a human_share above 0")
        return self

    def _share_of_humans(self) -> Any:
        return 1.0

    def _has_humans(self) -> bool:
        return bool(np.any(np.greater(self._share_of_humans(), 0)))

    @model_serializer(mode="wrap")
    def _without_what_is_unused(self, handler: Any) -> dict[str, Any]:
        used = None if self.grams is not None else self.design
        unused = {name for name, owner in _USED_BY.items() if owner != used}
        unused |= {"grams"} if used else {"design"}
        unused |= set() if used == "gaussian" else {"dim"}
        unused |= set() if self._has_humans() else {"human_data"}
        return {name: value for name, value in handler(self).items() if name not in unused}

    def gram_matrices(self, models: int) -> dict[str, np.ndarray]:
        """Return the Gram matrices of a system of ``models`` models, as ``theory`` takes them.

        Raises
        ------
        ValueError
            If the file of Gram matrices is missing, malformed, or for another K.
        """
        if self.grams is None:
            return self.draw(models).grams()
        grams = read_grams(self.grams, stacklevel=3)
        if models != (found := len(grams["private"])):
            raise ValueError(f"{str(self.grams)!r} describes K = {found}, not {models}")
        return grams

    def draw(self, models: int) -> Designs:
        """Draw the features of a system of ``models`` models.

        Raises
        ------
        ValueError
            If the file of Gram matrices is missing, malformed, or for another K.
        """
        if self.grams is not None:
            return from_grams(self.gram_matrices(models))
        if self.design == "misaligned":
            return misaligned(models, self.strength, self.public, self.network(models))
        return gaussian(
            models,
            self.dim,
            self.rank,
            self.seed,
            public_rank=self.public_rank,
            prompts=self.prompts,
            human_rank=self.human_rank,
        )
