"""The folder of a run, whose finished files stay whole whatever happens to the process.

    RUN/
      config.yaml           every grid point, resolved
      run.json              format, identity of the configuration, hashes of the corpora
      environment.json      versions, device, threads, git commit: one entry per session
      tokenizer/  base/     what all models start from; base-model-1/ where each has its own, and
                            base-replicate-1/ where each replicate has
      generations/NAME/0003/   of one grid point, or of a start that grid points share
        metrics.parquet  samples.jsonl.gz  embeddings.npy  model-0.safetensors ...  done.json
        diverged.txt        why the grid point stops here, where it does
      metrics.parquet       all of them, tidy
      .lock                 who works on it, while somebody does

A generation's folder appears under its name in one rename, after all its files are on disk;
``done.json`` holds their sizes and hashes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import commensal
from commensal.llm.records.branch import Branch, RunDirectoryError, jsonl_gz, parquet
from commensal.saving import Unsaved, as_unsaved, staged, write

__all__ = [
    "Branch", "RunDirectory", "RunDirectoryError", "Unsaved", "identity", "jsonl_gz", "parquet",
    "staged", "write",
]  # fmt: skip

# Raised when the meaning or layout of what is written changes.
FORMAT = 2

# What a run writes beside its generations and models.
_OWN = ("run.json", "config.yaml", "environment.json", "metrics.parquet", "tokenizer", "base")


def identity(config: dict[str, Any]) -> str:
    """Return what two runs must share for their generations to be interchangeable."""
    text = json.dumps({"format": FORMAT, "config": config}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RunDirectory:
    """The folder of one run.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(
        self,
        config: dict[str, Any],
        corpora: dict[str, dict[str, Any]],
        identifying: dict[str, Any] | None = None,
    ) -> None:
        """Write the run's description, or check that the folder holds this run.

        Only for who holds the folder (:func:`commensal.llm.records.lock.alone`): what an
        interrupted process left half-written is removed.

        Parameters
        ----------
        config : dict
            The resolved configuration.
        corpora : dict
            By name: ``hash`` of the texts, and numbers of examples as ``train`` and ``test``.
        identifying : dict, optional
            What of the configuration must not change; by default all.

        Raises
        ------
        RunDirectoryError
            If the folder holds something else, or the corpora have changed.
        """
        self.make()
        same = identity(config if identifying is None else identifying)
        if (self.path / "run.json").exists():
            note = self.note()
            if note["identity"] != same:
                different = _differences(note["config"], config)
                raise RunDirectoryError(
                    f"{str(self.path)!r} holds another run ({different}); choose another folder"
                )
            self.check_corpora(corpora)
            self._check_config(note["config"])
            self.sweep()
            if note["config"] != config:  # in what may change
                (self.path / "config.yaml").unlink(missing_ok=True)
                self._write_note(note | {"config": config})
            self._write_config(config)
            return
        note = {
            "format": FORMAT,
            "commensal": commensal.__version__,
            "identity": same,
            "config": config,
            "corpora": corpora,
        }
        # first of all: by it a folder is known as a run
        self._write_note(note)
        self._write_config(config)

    def make(self) -> None:
        """Make the folder where there is none.

        Raises
        ------
        RunDirectoryError
            If there is something else in its place.
        Unsaved
            If it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            strange = not (self.path / "run.json").exists() and any(
                map(_foreign, self.path.iterdir())
            )
        except (FileExistsError, NotADirectoryError):
            strange = True
        except OSError as error:
            raise as_unsaved(self.path, error) from error  # pyright: ignore[reportGeneralTypeIssues]
        if strange:
            raise RunDirectoryError(
                f"{str(self.path)!r} exists and is not a run; choose another folder"
            )

    def check_corpora(self, corpora: dict[str, dict[str, Any]]) -> None:
        """Compare texts, as :meth:`create` has them, with those of the run.

        Raises
        ------
        RunDirectoryError
            Naming the first corpus that has changed.
        """
        known = self.note()["corpora"]
        for name, content in corpora.items():
            if known.get(name, {}).get("hash") != content["hash"]:
                raise RunDirectoryError(
                    f"corpus {name!r} is not what it was when the run in {str(self.path)!r} "
                    "was made"
                )

    def _check_config(self, config: dict[str, Any]) -> None:
        """Raise an error if ``config.yaml`` was edited, as the change would have no effect."""
        path = self.path / "config.yaml"
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError, yaml.YAMLError):
            found = None
        if found != config:
            what = _differences(config, found) if isinstance(found, dict) else "it is damaged"
            raise RunDirectoryError(
                f"{str(path)!r} was changed since the run was made ({what}), and a run keeps its "
                "settings: remove that file and resume, or copy it and start a new run from it"
            )

    def _write_note(self, note: dict[str, Any]) -> None:
        write(self.path / "run.json", json.dumps(note, indent=1, ensure_ascii=False).encode())

    def _write_config(self, config: dict[str, Any]) -> None:
        if not (self.path / "config.yaml").exists():
            text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
            write(self.path / "config.yaml", text.encode())

    def note(self) -> dict[str, Any]:
        """Read ``run.json``.

        Raises
        ------
        RunDirectoryError
            If there is none, or of another format.
        """
        try:
            note = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunDirectoryError(f"{str(self.path)!r} is not a run: no run.json") from None
        except NotADirectoryError:
            raise RunDirectoryError(
                f"{str(self.path)!r} is a file: a run is a folder with a run.json"
            ) from None
        except (ValueError, OSError) as error:
            raise RunDirectoryError(f"{str(self.path / 'run.json')!r} is damaged") from error
        if not isinstance(note, dict):
            raise RunDirectoryError(f"{str(self.path / 'run.json')!r} is damaged")
        if note.get("format") == 1:
            raise RunDirectoryError(
                f"{str(self.path)!r} was written by an earlier version, whose names have changed; "
                "run it again"
            )
        if note.get("format") != FORMAT:
            raise RunDirectoryError(
                f"{str(self.path)!r} was written in format {note.get('format')}, which "
                f"commensal {commensal.__version__} does not read"
            )
        if not {"identity", "config", "corpora"} <= note.keys():
            raise RunDirectoryError(f"{str(self.path / 'run.json')!r} is damaged")
        return note

    def add_environment(self, entry: dict[str, Any]) -> None:
        """Append a description of this session's environment to ``environment.json``."""
        path = self.path / "environment.json"
        try:
            entries = list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []
        except (ValueError, TypeError):
            raise RunDirectoryError(f"{str(path)!r} is damaged; remove it and resume") from None
        if entry not in entries:
            write(path, json.dumps([*entries, entry], indent=1).encode())

    def sweep(self) -> None:
        """Remove files that an interrupted process left half-written, but not those of reports."""
        left = [path for name in _OWN for path in self.path.glob(f".{name}*.partial")]
        for folder in ("generations", "models"):
            left += (self.path / folder).rglob(".*.partial")
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def tokenizer(self, replicate: int = 0) -> Path:
        """Return the folder of a replicate's tokenizer."""
        return self.path / f"tokenizer{_own('replicate', replicate)}"

    def base(self, replicate: int = 0, model: int = 0) -> Path:
        """Return the folder of what a model of a replicate starts from."""
        return self.path / f"base{_own('replicate', replicate)}{_own('model', model)}"

    def bases(self, replicate: int = 0) -> list[Path]:
        """List the folders of all that models of a replicate start from, one or one for each."""
        more = itertools.takewhile(
            Path.exists, (self.base(replicate, k) for k in itertools.count(1))
        )
        return [self.base(replicate), *more]

    def branch(self, name: str) -> Branch:
        """Return the generations of one grid point, or of a start."""
        return Branch(self.path / "generations" / name)

    def write_metrics(self, metrics: pd.DataFrame) -> None:
        """Write the tidy table of the whole run."""
        write(self.path / "metrics.parquet", parquet(metrics))


def _own(of: str, number: int) -> str:
    return f"-{of}-{number}" if number else ""


def _foreign(path: Path) -> bool:
    """Return whether a file cannot come from a run that was killed at its very beginning."""
    return not path.name.endswith(".partial") and path.name != ".lock"


def _differences(old: Any, new: Any, at: str = "") -> str:
    """Describe the first grid point in which two configurations differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*new, *(n for n in old if n not in new)]:
            if old.get(name) != new.get(name):
                return _differences(old.get(name), new.get(name), f"{at}.{name}" if at else name)
    return f"its {at} is {old}, not {new}"
