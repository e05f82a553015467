"""Settings of the human posts on a web before the models post."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from commensal.llm.config._parts import Count, Settings, Share
from commensal.llm.corpora import Markov, MarkovCorpus, read_rows
from commensal.llm.corpora._templates import as_text
from commensal.llm.seeds import generator


class FilePosts(Settings):
    """Posts from a file: one per line of a .txt file, or one per row of another format."""

    kind: Literal["file"] = "file"
    path: str
    column: str = "text"
    """Column of a table that holds the posts."""
    limit: Count | None = None
    """Number of posts to take, from the first on."""

    def written(self, seed: int) -> list[str]:
        """Read the posts.

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
        if self.limit and len(found) < self.limit:
            raise ValueError(f"{self.path!r} has {len(found)} posts, fewer than {self.limit}")
        return found[: self.limit]


class TextPosts(Settings):
    """Posts given as texts in the settings."""

    kind: Literal["texts"] = "texts"
    texts: Annotated[tuple[str, ...], Field(min_length=1)]

    def written(self, seed: int) -> list[str]:
        """Return the posts."""
        return list(self.texts)


class LanguagePosts(Settings):
    """Posts in made-up languages whose laws are known."""

    kind: Literal["languages"] = "languages"
    counts: Annotated[tuple[Count, ...], Field(min_length=2)] = (7, 7, 6)
    """Number of posts in each language."""
    words: Count = 4
    """Number of words of a post."""
    vocabulary: Annotated[int, Field(ge=4)] = 48
    """Number of words of all languages together."""
    successors: Count = 4
    own: Share = 1.0
    """Share of the words that a language has for itself."""
    smoothing: Annotated[float, Field(gt=0, lt=1)] = 0.01
    law_seed: Annotated[int, Field(ge=0)] = 0

    def laws(self) -> list[Markov]:
        """Return the law of each language."""
        points = self.model_dump(exclude={"kind", "counts", "words"})
        count = len(self.counts)
        return [MarkovCorpus(language=b, languages=count, **points).law() for b in range(count)]

    def written(self, seed: int) -> list[str]:
        """Draw posts from each language in turn."""
        found = []
        for b, (law, count) in enumerate(zip(self.laws(), self.counts, strict=True)):
            drawn = law.sample(generator(seed, "posts", b), count, self.words)
            found += [law.decode(row) for row in drawn]
        return found

    @model_validator(mode="after")
    def _possible(self) -> LanguagePosts:
        self.laws()  # says what does not fit
        return self


PostsConfig = Annotated[FilePosts | TextPosts | LanguagePosts, Field(discriminator="kind")]
