"""A table of curves: measured values of several runs over their generations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from commensal._spelling import did_you_mean
from commensal.llm.corpora._files import separator_of
from commensal.llm.corpora._opened import lines_of

_NAMED = ("run", "generation", "value", "retained", "known")
_REPEATS = ("seed", "replicate", "repeat")
"""Columns that number repetitions: they say which run it is, not how it was trained."""


class Curves(NamedTuple):
    """Curves of several runs, one row each.

    Attributes
    ----------
    runs : tuple of str
    generations : Int[numpy.ndarray, "time"]
        All generations at which something was measured, in their order.
    values : Float[numpy.ndarray, "runs time"]
        In units of the model: a share of what was known, where counts are given; NaN where nothing
        was measured.
    known : Float[numpy.ndarray, "runs"]
        How many facts the share is of, in the run's last generation; NaN where values are no
        counts.
    settings : pandas.DataFrame
        Other columns, one row per run; those that number repetitions, or never change, left out.
    twins : Bool[numpy.ndarray, "runs runs"]
        Which runs are told alike in all columns and have the same values, four at least, wherever
        both have one: one run under two names, probably.
    quantity : str
        ``retained`` or ``value``.
    assumed : str
        What was assumed of numbers that are absent, in words; empty if nothing was.
    """

    runs: tuple[str, ...]
    generations: Int[np.ndarray, "time"]
    values: Float[np.ndarray, "runs time"]
    known: Float[np.ndarray, "runs"]
    settings: pd.DataFrame
    twins: Bool[np.ndarray, "runs runs"]
    quantity: str
    assumed: str = ""

    @property
    def unit(self) -> Float[np.ndarray, "runs"]:
        """Number that turns the model's units into those of the table."""
        return np.where(np.isnan(self.known), 1.0, self.known)

    @property
    def last(self) -> Int[np.ndarray, "runs"]:
        """Last generation of each run that was measured."""
        seen = ~np.isnan(self.values)
        return self.generations[seen.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)]

    def until(self, generation: int) -> Curves:
        """Forget what was measured after a generation, in all runs.

        Examples
        --------
        >>> told = {"run": ["a", "a", "b", "b"], "generation": [0, 1, 0, 1], "value": [4, 3, 2, 1]}
        >>> read_curves(pd.DataFrame(told)).until(0).values[:, 0]
        array([4., 2.])
        """
        late = self.generations > generation
        return self._replace(values=np.where(late, np.nan, self.values))


def read_curves(table: pd.DataFrame | str | Path) -> Curves:
    """Read and check a table of curves.

    Parameters
    ----------
    table : pandas.DataFrame, str or Path
        Columns ``run``, ``generation``, and ``value``, or ``retained`` and perhaps ``known``
        (counts); all others are settings. A CSV file, or a table.

    Returns
    -------
    Curves

    Raises
    ------
    ValueError
        If a column is missing, a number is not one, a row is there twice, more is retained than
        was known, or there is a single run.

    Examples
    --------
    >>> told = {"run": ["a", "a", "b", "b"], "generation": [0, 1, 0, 1], "retained": [9, 8, 9, 5],
    ...         "known": 10, "rank": [4, 4, 8, 8], "seed": [0, 0, 1, 1]}
    >>> found = read_curves(pd.DataFrame(told))
    >>> found.values
    array([[0.9, 0.8],
           [0.9, 0.5]])
    >>> list(found.settings)
    ['rank']
    """
    rows: Any = table
    where = "the table"
    if not isinstance(table, pd.DataFrame):
        where = str(table)
        try:
            header = next(lines_of(table), "") if Path(table).is_file() else ""
            rows = pd.read_csv(table, sep=separator_of(header))
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise ValueError(f"{where}: no CSV table ({error})") from None
    quantity = _quantity(rows, where)
    rows = rows.assign(run=rows["run"].astype(object)).reset_index(drop=True)
    missing = rows["run"].isna()
    if missing.any():
        raise ValueError(f"{where}: row {_first(missing)} names no run")
    rows["run"] = rows["run"].astype(str)
    for name in ("generation", quantity):
        rows[name] = _numbers(rows, name, where)
    generation = rows["generation"]
    wrong = (generation % 1 != 0) | (generation < 0)
    if wrong.any():
        got = f"got {generation[wrong].iat[0]:g}"
        raise ValueError(f"{where}: row {_first(wrong)}: generations count from 0, {got}")
    rows["generation"] = generation.astype(int)
    twice = rows.duplicated(["run", "generation"])
    if twice.any():
        run, at = rows.loc[twice, ["run", "generation"]].iloc[0]
        raise ValueError(f"{where}: generation {at} of run {run!r} is there twice")
    runs = tuple(dict.fromkeys(rows["run"]))
    if len(runs) < 2:
        raise ValueError(f"{where}: a single run; the spread of runs takes at least two")
    known, assumed = _known(rows, quantity, where)
    rows = rows.assign(share=rows[quantity] / known.fillna(1.0), known=known)
    shares = rows.pivot(index="run", columns="generation", values="share").loc[list(runs)]
    last = rows.sort_values("generation").groupby("run")["known"].last().loc[list(runs)]
    return Curves(
        runs,
        shares.columns.to_numpy(int),
        shares.to_numpy(float),
        last.to_numpy(float),
        _settings(rows, runs, where),
        _twins(rows, shares.to_numpy(float), runs),
        quantity,
        assumed,
    )


def _quantity(rows: Any, where: str) -> str:
    if not len(rows):
        raise ValueError(f"{where}: no rows")
    for name in ("run", "generation"):
        if name not in rows:
            there = [str(c) for c in rows.columns]
            near = did_you_mean(name, there) or f"; there are {', '.join(there)}"
            raise ValueError(f"{where}: no column {name!r}, and a row is a run's generation{near}")
    given = [name for name in ("value", "retained") if name in rows]
    if len(given) != 1:
        raise ValueError(f"{where}: needs a column 'value', or 'retained' and perhaps 'known'")
    return given[0]


def _numbers(rows: Any, name: str, where: str) -> Any:
    read: Any = pd.to_numeric(rows[name], errors="coerce")
    read = read.astype(float)
    wrong = ~np.isfinite(read)
    if wrong.any():
        got = rows.loc[wrong, name].iat[0]
        raise ValueError(f"{where}: row {_first(wrong)}: {name} is no finite number, got {got}")
    return read


def _known(rows: Any, quantity: str, where: str) -> tuple[Any, str]:
    """Return how many facts were known, row by row, and what had to be assumed of them."""
    if quantity == "value":
        return pd.Series(np.nan, rows.index), ""
    negative = rows["retained"] < 0
    if negative.any():
        raise ValueError(f"{where}: row {_first(negative)}: retained is negative")
    if "known" not in rows or rows["known"].isna().all():
        most = float(rows["retained"].max())
        known = pd.Series(max(most, 1.0), rows.index)
        return known, f"known is absent: {most:g}, the most that was retained, is taken for it"
    given = rows["known"].notna()
    read: Any = pd.Series(np.nan, rows.index)
    read[given] = _numbers(rows[given], "known", where)
    wrong = given & ((rows["retained"] > read) | (read <= 0))
    if wrong.any():
        kept, of = rows.loc[wrong, "retained"].iat[0], read[wrong].iat[0]
        raise ValueError(
            f"{where}: row {_first(wrong)}: {kept:g} facts retained of {of:g} that were known"
        )
    if given.all():
        return read, ""
    typical = float(read.median())
    most = rows.groupby("run")["retained"].transform("max")
    of_run = read.groupby(rows["run"]).transform("median").fillna(np.maximum(typical, most))
    count = int(rows.loc[~given, "run"].nunique())
    said = f"known is absent in {count} runs: {typical:g}, the table's median, is taken for it"
    return read.fillna(of_run), said


def _settings(rows: Any, runs: tuple[str, ...], where: str) -> pd.DataFrame:
    names = [str(c) for c in rows.columns if c not in (*_NAMED, "share") and c not in _REPEATS]
    out = {}
    for name in names:
        each = rows.groupby("run")[name]
        if (each.nunique() > 1).any():
            run = each.nunique().idxmax()
            raise ValueError(f"{where}: setting {name!r} changes within run {run!r}")
        column = each.first().loc[list(runs)]
        if column.nunique(dropna=False) > 1:
            out[name] = column
    return pd.DataFrame(out, index=list(runs))


def _twins(rows: Any, values: np.ndarray, runs: tuple[str, ...]) -> np.ndarray:
    names = [c for c in rows.columns if c not in (*_NAMED, "share")]
    told = rows.groupby("run")[names].first().loc[list(runs)]
    recipe = np.array(["|".join(map(str, row)) for row in told.to_numpy()], dtype=object)
    both = ~np.isnan(values[:, None]) & ~np.isnan(values[None])
    equal = (np.abs(values[:, None] - values[None]) < 1e-12) | ~both
    alike = equal.all(axis=2) & (both.sum(axis=2) >= 4) & (recipe[:, None] == recipe[None])
    return alike & ~np.eye(len(runs), dtype=bool)


def _first(wrong: Any) -> int:
    """Return the number of the first row that is wrong, counted from 1 without the heading."""
    return int(np.flatnonzero(wrong.to_numpy())[0]) + 1


def distances(settings: pd.DataFrame) -> Float[np.ndarray, "runs runs"]:
    """Return how far apart the settings of runs are: the sum over settings, each from 0 to 1.

    Numbers are compared by their difference over their range, on a log scale where they are
    positive and span a factor of ten or more; words are alike or not. What is absent is as far
    from a given number as two of those are on average.

    Examples
    --------
    >>> distances(pd.DataFrame({"rank": [4, 16, 64], "method": ["full", "full", None]}))
    array([[0. , 0.5, 1. ],
           [0.5, 0. , 0.5],
           [1. , 0.5, 0. ]])
    """
    total = np.zeros((len(settings), len(settings)))
    for name in settings:
        column: Any = settings[name]
        absent = column.isna().to_numpy()
        numbers: Any = pd.to_numeric(column, errors="coerce")
        if (numbers.notna() | column.isna()).all() and not column.isna().all():
            x = numbers.to_numpy(float)
            least, most = np.nanmin(x), np.nanmax(x)
            if least > 0 and most >= 10 * least:
                x = np.log(x)
            span = np.nanmax(x) - np.nanmin(x)
            apart = np.abs(x[:, None] - x[None, :]) / (span if span > 0 else 1.0)
        else:
            words = column.astype(str).to_numpy()
            apart = (words[:, None] != words[None, :]).astype(float)
        given = ~absent[:, None] & ~absent[None, :] & ~np.eye(len(absent), dtype=bool)
        usual = float(apart[given].mean()) if given.any() else 1.0
        one = absent[:, None] != absent[None, :]
        apart = np.where(one, usual, apart)
        total += np.where(absent[:, None] & absent[None, :], 0.0, apart)
    return total
