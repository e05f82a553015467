"""Models to compare: their names, families and release dates."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.llm.corpora import read_rows

_RELEASES = files("commensal.llm.fingerprint").joinpath("releases.csv")
_MONTH = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")


class Models(NamedTuple):
    """Names, families and dates of the models that are compared.

    Attributes
    ----------
    names : tuple of str
        Names of the models.
    families : tuple of str
        Family of each model.
    dates : Float[np.ndarray, "N"] or None
        Months since January of year 0, or generations; None where there are none.
    unit : {"month", "generation"}
        Unit of ``dates``.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    dates: Float[np.ndarray, "N"] | None = None
    unit: Literal["month", "generation"] = "month"

    def codes(self) -> np.ndarray:
        """Return families as numbers 0, 1, ... in the order in which they first appear."""
        order = list(dict.fromkeys(self.families))
        return np.array([order.index(family) for family in self.families])


def read_models(path: str | Path | None = None, dates: str = "date") -> Models:
    """Read a table of models.

    Parameters
    ----------
    path : str or Path, optional
        Table such as a CSV with the columns ``model``, ``family`` and, if known, ``date``. By
        default the 27 models of `pollination` with their release dates and the sources of these.
    dates : str
        Name of the column of dates. ``"other_date"`` of the default table takes, where a release
        date is in doubt, the other candidate.

    Returns
    -------
    Models
        Models of the table.

    Raises
    ------
    ValueError
        If a column is missing, or under the conditions of :func:`models_of` and
        :func:`~commensal.llm.corpora.read_rows`.
    """
    if path is None:
        table = read_releases()
    else:
        table = pd.DataFrame([row for _, row in read_rows(path)])
        table.columns = table.columns.astype(str).str.strip()
    if dates != "date" and dates in table and "date" in table:
        table["date"] = table[dates].where(table[dates] != "", table["date"])
    try:
        return models_of(table)
    except ValueError as error:
        raise ValueError(f"{'releases.csv' if path is None else path}: {error}") from None


def read_releases() -> pd.DataFrame:
    """Read the package's table of release dates, with sources.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``family``, ``date`` (month), ``known_to`` ("day", or "unsure"), ``other_date``
        where another is as good, ``source``.

    Examples
    --------
    >>> len(read_releases())
    27
    """
    with _RELEASES.open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def models_of(table: pd.DataFrame) -> Models:
    """Return models, families and dates of a table that has one or more rows per model.

    Parameters
    ----------
    table : pandas.DataFrame
        Table with the columns ``model`` and ``family``, and perhaps ``date``: all months
        ("2024-07", or a day of it), or all whole numbers (generations).

    Returns
    -------
    Models
        Models in the order of first appearance.

    Raises
    ------
    ValueError
        If a model has two families or two dates, or a date that is none, or all are of one family;
        the message names the model or the family.

    Notes
    -----
    A family may have one model only, as human texts beside two generations of a model have.

    Examples
    --------
    >>> rows = {"model": list("abcd"), "family": list("xxyy"), "date": [0, 3, 0, 3]}
    >>> models_of(pd.DataFrame(rows)).dates
    array([0., 3., 0., 3.])
    """
    for column in ("model", "family"):
        if column not in table:
            raise ValueError(f"no column {column!r}")
        empty = table[column].isna() | (table[column].astype(str).str.strip() == "")
        if empty.any():
            raise ValueError(f"row {int(np.argmax(empty)) + 1} has no {column}")
    rows = table.assign(
        model=table["model"].astype(str).str.strip(), family=table["family"].astype(str).str.strip()
    )
    columns = [c for c in ("model", "family", "date") if c in rows]
    found = rows.loc[:, columns].drop_duplicates().to_dict("list")
    names, families = found["model"], found["family"]
    dates = found.get("date", [""] * len(names))
    for name, count in Counter(names).items():
        if count > 1:
            mine = [i for i, other in enumerate(names) if other == name]
            what, of = "family", families
            if len({families[i] for i in mine}) == 1:
                what, of = "date", dates
            values = " and ".join(dict.fromkeys(str(of[i]) for i in mine))
            raise ValueError(f"model {name!r} has more than one {what}: {values}")
    if not names:
        raise ValueError("no models")
    if len(set(families)) == 1:
        raise ValueError(f"one family only ({families[0]}): there are no pairs across")
    if all(str(date).strip() == "" for date in dates):
        return Models(tuple(names), tuple(families))
    read = [_date(name, date) for name, date in zip(names, dates, strict=True)]
    unit = read[0][1]
    for name, (_, other) in zip(names, read, strict=True):
        if other != unit:
            raise ValueError(f"model {name!r} is dated by a {other}, {names[0]!r} by a {unit}")
    return Models(tuple(names), tuple(families), np.array([value for value, _ in read]), unit)


def _date(name: str, given: object) -> tuple[float, Literal["month", "generation"]]:
    if isinstance(given, pd.Timestamp):
        return 12.0 * given.year + given.month - 1, "month"
    text = str(given).strip()
    if re.fullmatch(r"\d{1,3}(\.0)?", text) or isinstance(given, (int, np.integer)):
        return float(text), "generation"
    match = _MONTH.fullmatch(text)
    if not match or not 1 <= int(match[2]) <= 12 or not 1 <= int(match[3] or 1) <= 31:
        raise ValueError(
            f"date of model {name!r} must be a month such as 2024-07 or a generation, got {text!r}"
        )
    return 12.0 * int(match[1]) + int(match[2]) - 1, "month"
