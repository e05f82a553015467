"""Settings of who reads what on a web: which posts a model draws, and whose it may read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import BeforeValidator, Field

from commensal.llm.config._parts import Settings


class Shelf(NamedTuple):
    """Facts about the posts that a model may read, for the choice among them."""

    ages: Int[np.ndarray, " N"]
    """Number of steps since each post was there."""
    reads: Int[np.ndarray, " N"]
    """Number of times that models have read each post."""
    similarities: Callable[[], Float[np.ndarray, " N"]]
    """Function that computes each post's cosine similarity to the query."""


class UniformRetrieval(Settings):
    """Draw posts uniformly without replacement, as Algorithm 1 of the paper does."""

    known_law: ClassVar[bool] = True

    kind: Literal["uniform"] = "uniform"

    def chosen(self, shelf: Shelf, count: int, rng: np.random.Generator) -> Int[np.ndarray, " k"]:
        """Draw the positions of ``count`` posts, in random order."""
        return rng.choice(len(shelf.ages), size=count, replace=False)

    def described(self) -> str:
        """Describe the retrieval for reports."""
        return "uniform"


class RecentRetrieval(Settings):
    """Draw posts without replacement, new ones more often than old ones."""

    known_law: ClassVar[bool] = False

    kind: Literal["recent"] = "recent"
    half_life: Annotated[float, Field(gt=0)] = 2.0
    """Number of steps in which the weight of a post halves."""

    def chosen(self, shelf: Shelf, count: int, rng: np.random.Generator) -> Int[np.ndarray, " k"]:
        """Draw posts one by one in proportion to 2^(-age / half-life)."""
        return _weighted(-shelf.ages / self.half_life * np.log(2), count, rng)

    def described(self) -> str:
        """Describe the retrieval for reports."""
        return f"by recency (weights halve in {self.half_life:g} steps)"


class PopularRetrieval(Settings):
    """Draw posts without replacement, those that were read often more often than others."""

    known_law: ClassVar[bool] = False

    kind: Literal["popular"] = "popular"
    strength: Annotated[float, Field(ge=0)] = 1.0
    """Exponent a of the weight (1 + r)^a of a post that was read r times; 0: uniform."""

    def chosen(self, shelf: Shelf, count: int, rng: np.random.Generator) -> Int[np.ndarray, " k"]:
        """Draw posts one by one in proportion to (1 + r)^a."""
        return _weighted(self.strength * np.log1p(shelf.reads), count, rng)

    def described(self) -> str:
        """Describe the retrieval for reports."""
        return f"by popularity (weight (1 + times read)^{self.strength:g})"


class SimilarRetrieval(Settings):
    """Take the posts whose embeddings are most similar to the query's."""

    known_law: ClassVar[bool] = False

    kind: Literal["similar"] = "similar"

    def chosen(self, shelf: Shelf, count: int, rng: np.random.Generator) -> Int[np.ndarray, " k"]:
        """Return the top ``count`` posts by cosine similarity, ties in random order."""
        order = rng.permutation(len(shelf.ages))
        return order[np.argsort(-shelf.similarities()[order], kind="stable")][:count]

    def described(self) -> str:
        """Describe the retrieval for reports."""
        return "by similarity to the query (the top k)"


def _weighted(
    logs: Float[np.ndarray, " N"], count: int, rng: np.random.Generator
) -> Int[np.ndarray, " k"]:
    """Draw one by one without replacement, in proportion to weights whose logarithms are given.

    The largest of log weights plus Gumbel noise: no weight can be too small for the draw.
    """
    return np.argsort(-(logs + rng.gumbel(size=len(logs))), kind="stable")[:count]


def _as_kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


RetrievalConfig = Annotated[
    Annotated[
        UniformRetrieval | RecentRetrieval | PopularRetrieval | SimilarRetrieval,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_as_kind),
]

WhoReads = Literal["all", "others", "ring"] | tuple[tuple[bool, ...], ...]


def reading_network(who_reads: WhoReads, models: int) -> Bool[np.ndarray, "n n"]:
    """Return whether model i (row) may read the posts of model j (column).

    Examples
    --------
    >>> reading_network("ring", 3).astype(int)
    array([[0, 0, 1],
           [1, 0, 0],
           [0, 1, 0]])
    """
    if who_reads == "all":
        return np.ones((models, models), bool)
    if who_reads == "others":
        return ~np.eye(models, dtype=bool)
    if who_reads == "ring":
        return np.roll(np.eye(models, dtype=bool), -1, axis=1)
    return np.array(who_reads, dtype=bool)[:models, :models]
