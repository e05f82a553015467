"""Settings of the human posts on a web: those before the models post, and those at each step."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from commensal.llm.config._parts import Count, Settings, Share
from commensal.llm.corpora import Markov, MarkovCorpus, read_rows
from commensal.llm.corpora._templates import as_text
from commensal.llm.seeds import generator

NewPosts = Annotated[int, Field(ge=0)]


class FilePosts(Settings):
    """Posts from a file: one per line of a .txt file, or one per row of another format."""

    drawn: ClassVar[bool] = False

    kind: Literal["file"] = "file"
    path: str
    """Path of the file."""
    column: str = "text"
    """Column of a table that holds the posts."""
    limit: Count | None = None
    """Number of posts to take, from the first on."""
    each_step: NewPosts = 0
    """Number of new human posts after each step, none in the paper: the file's next ones, so that
    ``limit`` is needed."""

    def written(self, seed: int, generations: int) -> list[list[str]]:
        """Read A^(0), and then the posts that are new after each step but the last.

        Raises
        ------
        ValueError
            If the file cannot be read, or has no posts or too few.
        """
        found = []
        for where, row in read_rows(self.path):
            if self.column not in row:
                raise ValueError(
                    f"{self.path!r} has no column {self.column!r}; it has "
                    f"{', '.join(map(str, row))}"
                )
            value = row[self.column]
            try:
                written = "" if value is None or value != value else as_text(value, self.column)
            except ValueError as error:
                raise ValueError(f"{self.path!r}, {where}: {error}") from None
            text = " ".join(written.split())  # a post is one line of the prompt
            if text:
                found.append(text)
        if not found:
            raise ValueError(f"{self.path!r} has no posts")
        first = self.limit or len(found)
        needed = first + self.each_step * generations
        if len(found) < needed:
            raise ValueError(f"{self.path!r} has {len(found)} posts, fewer than {needed}")
        later = range(first, needed, self.each_step or 1)
        new = [found[at : at + self.each_step] for at in later]
        return [found[:first], *(new or [[]] * generations)]

    @model_validator(mode="after")
    def _some_left(self) -> FilePosts:
        if self.each_step and self.limit is None:
            raise ValueError("each_step takes the posts after the first; set limit to their number")
        return self


class TextPosts(Settings):
    """Posts given as texts in the settings."""

    drawn: ClassVar[bool] = False
    each_step: ClassVar[int] = 0

    kind: Literal["texts"] = "texts"
    texts: Annotated[tuple[str, ...], Field(min_length=1)]
    """Texts of the posts."""

    def written(self, seed: int, generations: int) -> list[list[str]]:
        """Return the posts, and no new ones after each step."""
        return [list(self.texts), *([[]] * generations)]


class LanguagePosts(Settings):
    """Posts in made-up languages whose laws are known."""

    drawn: ClassVar[bool] = True

    kind: Literal["languages"] = "languages"
    counts: Annotated[tuple[Count, ...], Field(min_length=2)] = (7, 7, 6)
    """Number of posts in each language."""
    each_step: NewPosts = 0
    """Number of new human posts after each step, none in the paper. Each is in a language drawn in
    proportion to ``counts``."""
    words: Count = 4
    """Number of words of a post."""
    vocabulary: Annotated[int, Field(ge=4)] = 48
    """Number of words of all languages together."""
    successors: Count = 4
    """Number of words that can follow a word; the others share ``smoothing``."""
    own: Share = 1.0
    """Share of the words that a language has for itself."""
    smoothing: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Probability with which the next word is any of them, all alike."""
    law_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the laws."""

    def laws(self) -> list[Markov]:
        """Return the law of each language."""
        points = self.model_dump(exclude={"kind", "counts", "each_step", "words"})
        count = len(self.counts)
        return [MarkovCorpus(language=b, languages=count, **points).law() for b in range(count)]

    @property
    def shares(self) -> Float[np.ndarray, " B"]:
        """Share of each language among human posts."""
        return np.array(self.counts, dtype=float) / sum(self.counts)

    def written(self, seed: int, generations: int) -> list[list[str]]:
        """Draw A^(0) from each language in turn, then the posts that are new after each step."""
        first, laws = [], self.laws()
        for b, (law, count) in enumerate(zip(laws, self.counts, strict=True)):
            drawn = law.sample(generator(seed, "posts", b), count, self.words)
            first += [law.decode(row) for row in drawn]
        later = []
        for t in range(generations):
            rng = generator(seed, "posts", "after", t)
            chosen = rng.choice(len(laws), size=self.each_step, p=self.shares)
            later.append([laws[b].decode(laws[b].sample(rng, 1, self.words)[0]) for b in chosen])
        return [first, *later]

    @model_validator(mode="after")
    def _possible(self) -> LanguagePosts:
        self.laws()  # says what does not fit
        return self


PostsConfig = Annotated[FilePosts | TextPosts | LanguagePosts, Field(discriminator="kind")]
