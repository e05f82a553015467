"""Posts on the web: human ones at first, then those of models, and new human ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from commensal.llm.config import Shelf, UniformRetrieval, WebConfig


class Post(NamedTuple):
    """One text on the web."""

    text: str
    author: int | None = None
    """Index of the model that wrote the post; None: a human."""
    step: int = 0
    """First step t at which the post can be read."""


class Store:
    """All posts so far, A^(t).

    Parameters
    ----------
    human : sequence of str
        A^(0).

    Examples
    --------
    >>> store = Store(["one", "two"])
    >>> store.add([Post("three", 0, 1), Post("four", 1, 1)])
    >>> len(store), store.synthetic_share
    (4, 0.5)
    """

    def __init__(self, human: Sequence[str]) -> None:
        self.posts = [Post(text) for text in human]
        self.reads = [0] * len(self.posts)

    def __len__(self) -> int:
        """Return the number of posts |A^(t)|."""
        return len(self.posts)

    def add(self, posts: Sequence[Post]) -> None:
        """Add the posts of one step, in the models' order, and humans' last."""
        self.posts += posts
        self.reads += [0] * len(posts)

    def mark_read(self, positions: Sequence[int]) -> None:
        """Count that a model has read these posts."""
        for position in positions:
            self.reads[position] += 1

    def readable(self, may_read: Bool[np.ndarray, " n"]) -> list[int]:
        """Return the positions of human posts, and of those of the models that one may read."""
        return [
            p for p, post in enumerate(self.posts) if post.author is None or may_read[post.author]
        ]

    def retrieve(
        self,
        count: int,
        rng: np.random.Generator,
        *,
        how: Any = UniformRetrieval(),  # noqa: B008 - frozen
        among: Sequence[int] | None = None,
        step: int = 0,
        similarities: Callable[[list[str]], Float[np.ndarray, " N"]] | None = None,
    ) -> list[int]:
        """Choose positions of ``count`` posts, without replacement; by default uniformly.

        Parameters
        ----------
        count : int
        rng : numpy.random.Generator
        how : RetrievalConfig
        among : sequence of int or None
            Positions of the posts to choose from; by default all.
        step : int
            Step t, from which posts' ages are counted.
        similarities : callable or None
            Function that computes the similarities of texts to the query.
        """
        places = range(len(self.posts)) if among is None else among

        def near() -> Float[np.ndarray, " N"]:
            assert similarities is not None
            return similarities([self.posts[p].text for p in places])

        shelf = Shelf(
            np.array([step - self.posts[p].step for p in places], dtype=int),
            np.array([self.reads[p] for p in places], dtype=int),
            near,
        )
        return [int(places[i]) for i in how.chosen(shelf, count, rng)]

    def share(self, positions: Sequence[int]) -> float:
        """Compute the share of these posts that models wrote; 0 if there are none."""
        if not positions:
            return 0.0
        return sum(self.posts[i].author is not None for i in positions) / len(positions)

    @property
    def synthetic_share(self) -> float:
        """Share of all posts that models wrote, nt / (|A^(0)| + nt)."""
        return self.share(range(len(self.posts)))


def human_posts(config: WebConfig, replicate: int = 0) -> list[list[str]]:
    """Return A^(0) of a replicate, and the human posts that are new after each step but the last.

    Raises
    ------
    ValueError
        If a file cannot be read or has no posts, or too few.
    """
    made = config.of_replicate(replicate)
    return made.posts.written(made.seed, made.generations)


def described(posts: Sequence[str]) -> dict[str, Any]:
    """Return hash and number of human posts, for the run directory."""
    text = json.dumps(list(posts), ensure_ascii=False)
    found = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"hash": found, "train": len(posts), "test": 0}
