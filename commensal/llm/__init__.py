"""Experiments with language models that train on each other's output, in torch.

    >>> from commensal import llm
    >>> config = llm.read_config("demo", ["generations=2"])
    >>> config.generations
    2

:func:`run` a configuration into a folder, :func:`resume` what was interrupted; :func:`metrics`
reads what a run has measured, and :func:`write_report` makes a page of it. :func:`open_models`
opens what it has trained, of the generations that :func:`kept_generations` lists, and
:func:`export` writes it for others. Importing this package loads nothing else: each function is
loaded when it is first used, and only those that train or open models need torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.llm._export import OpenedModels, export, kept_generations, open_models
    from commensal.llm._run import resume, run
    from commensal.llm.presets import read_config
    from commensal.llm.records.results import metrics
    from commensal.llm.reports import write_report

__all__ = [
    "OpenedModels",
    "export",
    "kept_generations",
    "metrics",
    "open_models",
    "read_config",
    "resume",
    "run",
    "write_report",
]

_PLACES = {
    "OpenedModels": "commensal.llm._export",
    "export": "commensal.llm._export",
    "kept_generations": "commensal.llm._export",
    "metrics": "commensal.llm.records.results",
    "open_models": "commensal.llm._export",
    "read_config": "commensal.llm.presets",
    "resume": "commensal.llm._run",
    "run": "commensal.llm._run",
    "write_report": "commensal.llm.reports",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
