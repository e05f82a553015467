"""Tables of all settings, from the pydantic classes that read them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import _fields
from _markdown import code, escaped, markdown, table
from pydantic import BaseModel

_PARAGRAPHS = re.compile(r"\n\s*\n")


def of_processes() -> str:
    """Write the settings of sweeps and simulations."""
    from commensal.planning import AdviseConfig
    from commensal.sims import ecosystem, gaussian, mixture, regression, selection, words
    from commensal.sweep import RegressionSweep

    commands: dict[str, tuple[type[BaseModel], ...]] = {
        "sweep regression": (RegressionSweep,),
        "simulate regression": (regression.RegressionConfig,),
        "simulate gaussian": (gaussian.GaussianConfig, gaussian.PopulationConfig),
        "simulate mixture": (mixture.MixtureConfig,),
        "simulate ecosystem": (ecosystem.EcosystemConfig,),
        "simulate selection": (selection.SelectionConfig,),
        "simulate words": (words.WordsConfig,),
        "advise": (AdviseConfig,),
    }
    parts = []
    for command, classes in commands.items():
        for config in classes:
            more = ", with `--population`" if config is gaussian.PopulationConfig else ""
            parts += [f"### `commensal {command}`{more}", _first(config)]
            parts.append(_table(_fields.fields(config), options=True))
    return "\n\n".join(parts)


def of_workflows() -> str:
    """Write the settings of every workflow, and those that several share."""
    from commensal.llm.config import WORKFLOWS, ExperimentConfig, TrainedConfig

    parts = []
    for name, config in WORKFLOWS.items():
        shared = TrainedConfig if issubclass(config, TrainedConfig) else ExperimentConfig
        fields = _fields.fields(config)
        own = [f for f in fields if not issubclass(shared, _fields.owner(config, f.name))]
        parts += [f"### `workflow: {name}`", _first(config), _table(iter(own))]
        links = ["[every run](#settings-every-run)"]
        if shared is TrainedConfig:
            links.insert(0, "[every run that trains](#settings-every-run-that-trains)")
        parts.append(f"Beside these it has the settings of {' and '.join(links)}.")
    own = [f for f in _fields.fields(TrainedConfig) if f.name not in ExperimentConfig.model_fields]
    parts += ["(settings-every-run-that-trains)=", "### Every run that trains", _table(iter(own))]
    parts += ["(settings-every-run)=", "### Every run", _table(_fields.fields(ExperimentConfig))]
    return "\n\n".join(parts)


def of_parts() -> str:
    """Write the settings of all that a workflow's settings are made of."""
    return "\n\n".join(
        "\n\n".join([f"(settings-{kind.__name__.lower()})=", f"### {kind.__name__}", _first(kind),
                     _table(_fields.fields(kind))])
        for kind in parts()
    )  # fmt: skip


def parts() -> list[type[BaseModel]]:
    """List the classes of settings that lie within those of the workflows."""
    from commensal.llm.config import WORKFLOWS

    found: list[type[BaseModel]] = []
    todo: list[type[BaseModel]] = list(WORKFLOWS.values())
    while todo:
        for field in _fields.fields(todo.pop(0)):
            new = [kind for kind in field.classes if kind not in found]
            found += new
            todo += new
    return found


def _first(config: type[BaseModel]) -> str:
    return markdown((config.__doc__ or "").strip().split("\n\n")[0])


def _table(fields: Iterator[_fields.Field], options: bool = False) -> str:
    rows = []
    for field in fields:
        kind = escaped(f"{field.kind}{', ' if field.bounds else ''}{field.bounds}")
        for part in field.classes:
            link = f"[{part.__name__}](#settings-{part.__name__.lower()})"
            kind = re.sub(rf"\b{part.__name__}s?\b(?!\])", link, kind, count=1)
        name = code(field.name)
        if options and not field.option:
            name += " †"
        said = " ".join(_PARAGRAPHS.sub(" ", markdown(field.text)).split())
        rows.append([name, kind, code(field.default) if field.default else "needed", said])
    return table(["setting", "type", "default", "meaning"], rows)
