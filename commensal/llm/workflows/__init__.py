"""Workflows, each with the training data and the steps of its models' generations.

The settings of a workflow are in :mod:`commensal.llm.config`, and name the class here that goes
with them.
"""

from __future__ import annotations

from commensal.llm.config import TrainedConfig, part
from commensal.llm.workflows._workflow import Workflow

__all__ = ["Workflow", "workflow_of"]


def workflow_of(config: TrainedConfig) -> Workflow:
    """Make the workflow that a configuration names, such as ``Interactive(config)``."""
    return part(config.makes)(config)
