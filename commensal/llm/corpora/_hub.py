"""Hugging Face datasets, by name or from a local folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commensal.llm.corpora._templates import Row


def rows_of_split(
    name: str, subset: str | None, split: str, revision: str | None
) -> tuple[str, Iterator[tuple[str, Row]]]:
    """Return a split's name for messages, with the position of each row ("row 7") and its columns.

    Raises
    ------
    ValueError
        If the dataset, subset or split does not exist or cannot be had.
    """
    import datasets
    import datasets.exceptions

    dataset = name
    if dataset.startswith((".", "/", "~")):
        dataset = str(Path(dataset).expanduser())
        if not Path(dataset).is_dir():
            raise ValueError(f"there is no folder {name!r}")
    source = f"dataset {name!r}" + (f" ({subset})" if subset else "")
    try:
        table: Any = datasets.load_dataset(dataset, subset, split=split, revision=revision)
    # What loading raises depends on the network, on the Hub and on the format of each file.
    except Exception as error:
        # "An error occurred while generating the dataset" says less than what lies behind it
        generating = isinstance(error, datasets.exceptions.DatasetGenerationError)
        cause = error.__cause__ if generating and error.__cause__ else error
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise ValueError(f"{source}, split {split!r} cannot be loaded: {reason}") from error
    rows = ((f"row {number}", row) for number, row in enumerate(table, 1))
    return f"{source}, split {split!r}", rows
