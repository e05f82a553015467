"""The losses of Tables 2, 4, 7 and 8 of `interactive`, as printed (one decimal)."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

CELL = ["table", "architecture", "models", "generations", "model", "task"]
"""Columns that identify a cell: one model's loss on one task, over the (α, β) of a table."""


def published_losses() -> pd.DataFrame:
    """Load the losses before the first generation and after the last, by run, model and task.

    Returns
    -------
    pandas.DataFrame
        Columns ``table``, ``architecture``, ``models`` (K), ``generations`` (T), ``beta``,
        ``alpha``, ``model``, ``task`` (both from 0), ``initial_loss``, ``final_loss`` (nats per
        token, one decimal). 162 rows.

    Notes
    -----
    The runs of Table 2 with K = 2 models of OPT-350m and Llama-3.2-1B stand in Tables 8 and 7
    again, at β = 0.5. The runs of T = 8 generations took batches of 8 sequences, the others of 2
    (Table 9).

    References
    ----------
    H. A. Vu, G. Reeves, E. Wenger, "What happens when generative AI models train recursively on
    each others' outputs?", Tables 2, 4, 7 and 8.

    Examples
    --------
    >>> losses = published_losses()
    >>> len(losses), sorted(losses.architecture.unique())
    (162, ['Llama-3.2-1B', 'Llama-3.2-3B', 'OPT-350m'])
    """
    source = files("commensal.pairing").joinpath("interactive_losses.csv")
    with source.open(encoding="utf-8") as file:
        printed = pd.read_csv(file).rename(columns={"entities": "models"})
    # the paper counts models and tasks from 1
    return printed.assign(model=printed["model"] - 1, task=printed["task"] - 1)
