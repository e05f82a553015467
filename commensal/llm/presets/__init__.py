"""Configurations of runs: presets by name, and YAML files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from commensal.llm.config import WORKFLOWS, ExperimentConfig, explained, validated
from commensal.llm.corpora import PRESETS

_FOLDER = Path(__file__).parent


def preset_names() -> list[str]:
    """List the names of the presets.

    Examples
    --------
    >>> "demo" in preset_names() and "paper" in preset_names()
    True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def description(name: str) -> str:
    """Return a preset's description: the comment at its head, as one paragraph.

    Examples
    --------
    >>> description("demo").split(":")[0]
    'Two tiny models on made-up languages whose laws are known, over the 3 x 3 grid of the paper'
    """
    lines = (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    head = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return " ".join(line.lstrip("# ") for line in head)


def preset_text(name: str) -> str:
    """Return the YAML of a preset as it is in the file.

    Raises
    ------
    ValueError
        If there is none of this name.

    Examples
    --------
    >>> "generations:" in preset_text("demo")
    True
    """
    if name not in preset_names():
        known = ", ".join(preset_names())
        raise ValueError(f"there is no preset {name!r}; presets: {known}")
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def read_config(name: str | Path, changes: Sequence[str] = ()) -> ExperimentConfig:
    """Read a run's configuration from a preset or a YAML file.

    Parameters
    ----------
    name : str or Path
        Name of a preset, or path of a YAML file.
    changes : sequence of str
        Settings to override, each ``path.to.setting=value`` with the value in YAML; a number in
        the path counts entries of a list.

    Returns
    -------
    ExperimentConfig
        Settings of the run.

    Raises
    ------
    ValueError
        If there is no such preset or file, or it is not YAML, or a change is not possible.
        pydantic's ValidationError is one.

    Examples
    --------
    >>> read_config("demo", ["training.steps=7"]).training.steps
    7
    """
    path = _FOLDER / f"{name}.yaml" if str(name) in preset_names() else Path(name)
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        known = ", ".join(preset_names())
        raise ValueError(
            f"there is no preset and no file {str(name)!r}; presets: {known}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(name)!r} is not YAML: {_what(error)}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{str(name)!r} must hold settings by name")
    settings.setdefault("workflow", "interactive")
    for change in changes:
        _apply(settings, change)
    try:
        return validated(settings)
    except ValidationError as error:
        raise explained(error, settings, WORKFLOWS) from None


def _what(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """Describe a YAML error with its line number, without the line itself, which may hold a key."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(getattr(error, "reason", None) or "it cannot be read")
    return f"line {mark.line + 1}: {getattr(error, 'problem', None) or 'it cannot be read'}"


def _apply(settings: dict[str, Any], change: str) -> None:
    path, equals, value = change.partition("=")
    if not equals:
        raise ValueError(f"a change is path.to.setting=value, got {change!r}")
    at: Any = settings
    *parents, name = path.split(".")
    try:
        for parent in parents:
            place: Any = int(parent) if isinstance(at, list) else parent
            inner = at[place] if isinstance(at, list) else at.setdefault(parent, {})
            if isinstance(inner, str) and inner in PRESETS:  # a corpus by its name
                inner = at[place] = PRESETS[inner].model_dump(mode="json")
            at = inner
        if isinstance(at, list):
            at[int(name)] = yaml.safe_load(value)
        else:
            at[name] = yaml.safe_load(value)
    except (ValueError, IndexError, TypeError, AttributeError, yaml.YAMLError):
        # without the value, which may be a key in the wrong place
        raise ValueError(f"cannot change {path!r}: there is no such place") from None
