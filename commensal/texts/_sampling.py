"""Sample the documents of a source: all are read and counted, a bounded number is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from commensal.texts._documents import Columns, Grouped, by_heading, grouped, name_of

Source = str | Path | Sequence[str]
"""A source as :func:`commensal.texts.documents` reads it, a run's folder, or texts themselves."""
Progress = Callable[[float, float], None]
LONGEST = 10_000
"""Characters of a document that are kept; what follows plays no part."""
_EVERY = 2_000


class SampledTexts(NamedTuple):
    """Random sample of a source's documents, in random order; those of a group stand together.

    Attributes
    ----------
    name : str
        What the source is called.
    texts : list of str
        Documents that were drawn.
    documents : int
        Number of documents that were read.
    groups : Int[numpy.ndarray, "D"]
        Group of each document that was drawn, from 0 on and ascending: 0, 1, 2, ... where each is
        one of its own.
    places : Int[numpy.ndarray, "D"]
        Where each document stood in the source.
    """

    name: str
    texts: list[str]
    documents: int
    groups: Int[np.ndarray, " D"]
    places: Int[np.ndarray, " D"]

    @property
    def units(self) -> int:
        """Number of groups."""
        return int(self.groups[-1]) + 1 if len(self.groups) else 0

    def part(self, start: int, end: int | None = None) -> SampledTexts:
        """Return the documents of some groups, which are counted from 0 on again."""
        at = slice(*np.searchsorted(self.groups, [start, self.units if end is None else end]))
        return self._replace(
            texts=self.texts[at], groups=self.groups[at] - start, places=self.places[at]
        )

    def within(self, characters: int, least: int) -> SampledTexts:
        """Return as many documents as have no more characters, but ``least``; of all groups."""
        rank = np.arange(len(self.texts)) - np.searchsorted(self.groups, self.groups)
        order = np.argsort(rank, kind="stable")  # the first of each group, then the second ...
        ends = np.cumsum([len(self.texts[at]) for at in order])
        at = np.sort(order[: max(int(np.searchsorted(ends, characters, "right")), least)])
        groups = np.unique(self.groups[at], return_inverse=True)[1]
        return self._replace(
            texts=[self.texts[i] for i in at], groups=groups, places=self.places[at]
        )


def sample(
    source: Source,
    most: int,
    rng: np.random.Generator,
    *,
    columns: Columns = None,
    group: str | None = None,
    progress: Progress | None = None,
    name: str | None = None,
) -> SampledTexts:
    """Read all documents once, and keep ``most`` of them, drawn at random without replacement.

    Parameters
    ----------
    source : str, Path or sequence of str
        What :func:`~commensal.texts.documents` reads, the folder of a run, of which the last
        generation is read, or the documents themselves.
    most : int
        Largest number to keep; memory holds no more.
    rng : numpy.random.Generator
    columns : str or sequence of str, optional
        Column that holds the text.
    group : str, optional
        What documents of one group share, as for :func:`~commensal.texts._documents.grouped`.
    progress : callable, optional
        Called with how much of the file is read, where that is known.
    name : str, optional
        Name of the source; by default that of its file.

    Returns
    -------
    SampledTexts
        Where all are kept, their order depends on the texts and ``rng`` alone.

    Raises
    ------
    ValueError
        If the source cannot be read or has no texts.

    Examples
    --------
    >>> found = sample(list("abcdef"), 2, np.random.default_rng(0), name="letters")
    >>> found.documents, len(found.texts), found.units
    (6, 2, 2)
    """
    if name is None:
        name = name_of(source) if isinstance(source, str | Path) else "texts"
    kept: list[tuple[str, str, int]] = []
    count = done = 0
    total = _size(source)
    for text, of in _texts(source, columns, group):
        done += len(text) + 1
        count += 1
        if len(kept) < most:
            kept.append((text[:LONGEST], of, count))
        elif (at := int(rng.integers(count))) < most:  # reservoir sampling
            kept[at] = (text[:LONGEST], of, count)
        if progress and total and count % _EVERY == 0:
            progress(min(done, total), total)
    if not count:
        raise ValueError(f"{name} has no texts")
    kept.sort()  # so that no number depends on the order in which they were written
    # a group stands where its first document does; one without a name is its own
    first: dict[str | int, int] = {}
    order = rng.permutation(len(kept))
    whose = np.array([first.setdefault(kept[at][1] or int(at), len(first)) for at in order])
    order = order[np.argsort(whose, kind="stable")]
    texts, _, places = zip(*(kept[at] for at in order), strict=True)
    return SampledTexts(name, list(texts), count, np.sort(whose), np.array(places))


def _texts(source: Source, columns: Columns, group: str | None) -> Iterator[Grouped]:
    if not isinstance(source, str | Path):
        yield from by_heading(_given(source), group)
    elif Path(source, "run.json").is_file():
        yield from by_heading(_of_run(Path(source)), None)
    else:
        yield from grouped(source, columns, group)


def _given(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a document is no text but {type(text).__name__}")
        if text := text.strip():
            yield text


def _of_run(folder: Path) -> Iterator[str]:
    """Yield what the models of the middle grid point wrote for the web in the last generation."""
    from commensal.llm.config import TrainedConfig
    from commensal.llm.records.directory import RunDirectory
    from commensal.llm.records.results import config_of

    config = config_of(folder, TrainedConfig)
    first = [one.name for one in config.grid() if not one.replicate]
    branch = RunDirectory(folder).branch(first[len(first) // 2])
    finished = [t for t in range(1, config.generations + 1) if branch.finished(t)]
    if not finished:
        raise ValueError(f"{str(folder)!r}: no generation is finished yet")
    for generation in reversed(finished):  # the last one has nobody to write for
        records = [r for r in branch.samples(generation) if r["kind"] == "web"]
        if records:
            break
    else:
        records = branch.samples(finished[-1])
    yield from _given([record["completion"] for record in records])


def _size(source: Source) -> int:
    """Return about how many characters a file has, 0 where that is not known."""
    if not isinstance(source, str | Path) or str(source).startswith("hf:"):
        return 0
    path = Path(source).expanduser()
    packed = path.suffix.lower() in (".gz", ".bz2", ".xz", ".zst", ".parquet")
    return path.stat().st_size if path.is_file() and not packed else 0
