"""Posts on the web: human ones at first, then those of models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from commensal.llm.config import WebConfig


class Post(NamedTuple):
    """One text on the web."""

    text: str
    author: int | None
    """Index of the model that wrote the post; None: a human."""


class Store:
    """All posts so far, A^(t).

    Parameters
    ----------
    human : sequence of str
        A^(0).

    Examples
    --------
    >>> store = Store(["one", "two"])
    >>> store.add(["three", "four"])
    >>> len(store), store.synthetic_share
    (4, 0.5)
    """

    def __init__(self, human: Sequence[str]) -> None:
        self.posts = [Post(text, None) for text in human]

    def __len__(self) -> int:
        """Return the number of posts |A^(t)|."""
        return len(self.posts)

    def add(self, texts: Sequence[str | None]) -> None:
        """Add one text of each model, in the models' order; None: the model posts nothing."""
        self.posts += [Post(text, i) for i, text in enumerate(texts) if text is not None]

    def retrieve(self, count: int, rng: np.random.Generator) -> list[int]:
        """Draw positions of ``count`` posts uniformly without replacement, in random order."""
        return [int(i) for i in rng.choice(len(self.posts), size=count, replace=False)]

    def share(self, positions: Sequence[int]) -> float:
        """Compute the share of these posts that models wrote; 0 if there are none."""
        if not positions:
            return 0.0
        return sum(self.posts[i].author is not None for i in positions) / len(positions)

    @property
    def synthetic_share(self) -> float:
        """Share of all posts that models wrote, nt / (|A^(0)| + nt)."""
        return self.share(range(len(self.posts)))


def human_posts(config: WebConfig) -> list[str]:
    """Return the first posts on the web, A^(0).

    Raises
    ------
    ValueError
        If a file cannot be read or has no posts.
    """
    return config.posts.written(config.seed)


def described(posts: Sequence[str]) -> dict[str, Any]:
    """Return hash and number of the posts A^(0), for the run directory."""
    text = json.dumps(list(posts), ensure_ascii=False)
    found = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"hash": found, "train": len(posts), "test": 0}
