"""Generations of one grid point on disk; each is complete, and checked by its hashes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from commensal.saving import Unsaved, staged

T = TypeVar("T")


class RunDirectoryError(ValueError):
    """A folder is not a run, belongs to another run, is damaged, or is in use."""


class Branch:
    """The generations of one grid point, or of a start that several grid points share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def folder(self, generation: int) -> Path:
        """Return the folder of a generation, whether or not it exists."""
        return self.path / f"{generation:04d}"

    def finished(self, generation: int) -> bool:
        """Return whether a generation is complete on disk."""
        return (self.folder(generation) / "done.json").is_file()

    def diverged(self, generation: int) -> str:
        """Return why the training of a grid point diverged at a generation; empty if it did not."""
        path = self.folder(generation) / "diverged.txt"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def weights(self, generation: int, model: int) -> Path:
        """Return the file of a model's weights, whether or not it exists."""
        return self.folder(generation) / f"model-{model}.safetensors"

    def drop_weights(self, generation: int) -> None:
        """Delete the weights of a generation; its measurements stay."""
        for path in self.folder(generation).glob("model-*.safetensors"):
            path.unlink()

    def check(self, generation: int) -> None:
        """Compare the files of a generation with what was written.

        Raises
        ------
        RunDirectoryError
            Naming the first file that is missing, cut short or changed. Weights may be absent.
        """
        for name in self._done(generation):
            path = self.folder(generation) / name
            if path.exists() or path.suffix != ".safetensors":
                self._check(generation, name)

    def _check(self, generation: int, name: str) -> None:
        known = self._done(generation)
        path, repair = self.folder(generation) / name, self.repair(generation)
        if name not in known or not path.exists():
            raise RunDirectoryError(f"{str(path)!r} is missing; {repair}")
        size, content = known[name]
        if path.stat().st_size != size:
            raise RunDirectoryError(
                f"{str(path)!r} has {path.stat().st_size} bytes instead of {size}; {repair}"
            )
        if _hash(path) != content:
            raise RunDirectoryError(f"{str(path)!r} has changed; {repair}")

    def repair(self, generation: int) -> str:
        """Describe how to repair a damaged generation."""
        folder, run = self.folder(generation), self.path.parents[1]
        return (
            f"remove the folder {str(folder)!r} and resume: it is computed again by "
            f"commensal llm resume {run}"
        )

    def _done(self, generation: int) -> dict[str, list[Any]]:
        path = self.folder(generation) / "done.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RunDirectoryError(
                f"{str(path)!r} is damaged; {self.repair(generation)}"
            ) from error

    @contextmanager
    def writing(self, generation: int) -> Iterator[Path]:
        """Yield a temporary folder that becomes the generation's folder once all is written.

        Raises
        ------
        Unsaved
            If the disk is full or cannot be written, or the run's folder is gone.
        """
        run = self.path.parents[1]
        if not run.is_dir():
            raise Unsaved(f"the folder {str(run)!r} was removed while the run was going on")
        with staged(self.folder(generation)) as temporary:
            yield temporary
            files = {p.name: (p.stat().st_size, _hash(p)) for p in sorted(temporary.iterdir())}
            (temporary / "done.json").write_text(json.dumps(files, indent=1), encoding="utf-8")

    def metrics(self, generation: int) -> pd.DataFrame:
        """Read the table of metrics of a generation.

        Raises
        ------
        RunDirectoryError
            If the file is damaged; so do all that read here.
        """
        return self._read(generation, "metrics.parquet", _table)

    def samples(self, generation: int) -> list[dict[str, Any]]:
        """Read the samples that the models wrote in a generation."""
        return self._read(generation, "samples.jsonl.gz", _records)

    def embeddings(self, generation: int) -> np.ndarray | None:
        """Read embeddings of the fixed prompts' completions (model, dataset, prompt, dimension)."""
        return self.array("embeddings", generation)

    def array(self, name: str, generation: int) -> np.ndarray | None:
        """Read an array that a workflow keeps beside its metrics; None if there is none."""
        path = self.folder(generation) / f"{name}.npy"
        return self._read(generation, path.name, _array) if path.exists() else None

    def _read(self, generation: int, name: str, parse: Callable[[bytes], T]) -> T:
        path = self.folder(generation) / name
        if path.suffix != ".gz":  # which has a checksum of its own
            self._check(generation, name)
        try:
            return parse(path.read_bytes())
        except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
            self._check(generation, name)
            raise RunDirectoryError(
                f"{str(path)!r} cannot be read ({error}); {self.repair(generation)}"
            ) from error


def parquet(table: pd.DataFrame) -> bytes:
    """Write a table as Parquet; equal tables give equal bytes."""
    return table.to_parquet(index=False, engine="pyarrow")


def jsonl_gz(records: Iterable[dict[str, Any]]) -> bytes:
    """Write records as gzipped JSON lines without a time, so that equal ones give equal bytes."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return gzip.compress(text.encode(), mtime=0)


def npy(values: np.ndarray) -> bytes:
    """Write an array in NumPy's file format."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _table(content: bytes) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(content))


def _records(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(content).decode().split("\n") if line]


def _array(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
