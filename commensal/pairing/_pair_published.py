"""Pairing of the theory with the published tables: fitted on one architecture, judged on others."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from commensal.pairing._agreement import Agreement, Scores, agreement, direction
from commensal.pairing._baselines import rule, table_of_means
from commensal.pairing._beside import beside, with_verdicts
from commensal.pairing._ceilings import Ceilings, ceilings
from commensal.pairing._fit import fit, fitted, fitted_without
from commensal.pairing._prediction import Scalars, predict
from commensal.pairing._published import CELL, published_losses
from commensal.pairing._text import describe

_FITTED_TO = {"Llama-3.2-1B": 7, "OPT-350m": 8}
_SIGNS = {"alpha": "α", "beta": "β"}
_MAX_DESIGNS = 400  # the designs of a refit begin at 500


class Judged(NamedTuple):
    """Agreement of one fit with one table.

    Attributes
    ----------
    fitted_to : str
        Architecture (K = 2) whose losses the scalars were fitted to.
    judged_on : str
        Architecture, K and T.
    agreement : Agreement
    baselines : dict of Scores
        Without intervals: ``table_of_means`` and ``rule``, with the sizes of the table that the
        scalars were fitted to.
    shared : int
        Rows that repeat a K = 2 run of the same architecture, with one more model: not held out.
    ceilings : Ceilings
        Of any prediction on this table.
    """

    fitted_to: str
    judged_on: str
    agreement: Agreement
    baselines: dict[str, Scores]
    shared: int
    ceilings: Ceilings


class PublishedPairing(NamedTuple):
    """Result of :func:`pair_published`.

    Attributes
    ----------
    scalars : dict
        By the architecture they were fitted to.
    judged : tuple of Judged
        Every fit on every table.
    transfer : dict
        By architecture: its measured changes, taken as the prediction of the other's (K = 2).
    table : pandas.DataFrame
        A row for every fit and table: scores with intervals, baselines, ceilings.
    beside : pandas.DataFrame
        The theory beside ``table_of_means`` and ``rule``, paired over cells, for every table that
        was not fitted to (``all rows``, and where some are shared the ``new rows`` alone) and for
        grid points that were left out of a fit: ``scope``, ``fitted_to``,
        ``judged_on``, ``baseline``, ``measure``, ``theory``, ``other``, ``lead``, ``spread``,
        ``cells``, ``low``, ``high`` and ``verdict``.
    rows : pandas.DataFrame
        A row for every fit and published number: ``fitted_to``, ``judged_on``, the columns of
        :func:`published_losses`, ``observed``, ``predicted`` (mean over designs), ``low`` and
        ``high`` (middle 95 % of designs), ``right`` (share of designs that have its direction),
        ``edge`` (whether rounding leaves its direction open), ``table_of_means`` and ``rule``
        (what they predict), and ``shared`` (whether a K = 2 run has the same cell and grid point).
    text : str
        All of it in words.
    """

    scalars: dict[str, Scalars]
    judged: tuple[Judged, ...]
    transfer: dict[str, Agreement]
    table: pd.DataFrame
    beside: pd.DataFrame
    rows: pd.DataFrame
    text: str


def pair_published(
    seed: int = 0,
    designs: int = 16,
    *,
    refit: bool = False,
    rounds: int = 16,
    resamples: int = 1000,
    progress: Callable[[float, float], None] | None = None,
) -> PublishedPairing:
    """Lay the theory over the published losses, and judge each fit on all of the tables.

    Parameters
    ----------
    seed : int
        Of the random designs and of the bootstrap.
    designs : int
        How many random designs, none of them used in the fit; 1 to 400.
    refit : bool
        Fit the four scalars again, from the shipped ones on, with designs of this seed (minutes);
        otherwise the shipped ones are used. Fits without some grid points are always as shipped.
    rounds : int
        Of each search, with ``refit``.
    resamples : int
        Of the bootstrap.
    progress : callable or None
        Called as ``progress(done, total)`` in units of work.

    Returns
    -------
    PublishedPairing

    Raises
    ------
    ValueError
        If ``seed`` is negative or ``designs`` out of range.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if not 1 <= designs <= _MAX_DESIGNS:
        raise ValueError(f"designs must lie between 1 and {_MAX_DESIGNS}, got {designs}")
    losses = published_losses()
    tables = _tables(losses)
    scalars, partial_fits = fitted(), {name: fitted_without(name) for name in _FITTED_TO}
    runs = len(_FITTED_TO) * len(tables) + sum(map(len, partial_fits.values()))
    work = _Work(progress, designs * runs + 100 * rounds * refit * len(_FITTED_TO))
    if refit:
        scalars = {
            name: fit(
                losses.loc[losses.table == table],
                designs=range(1000 * seed + 500, 1000 * seed + 504),
                rounds=rounds,
                seed=seed,
                start=scalars[name],
                progress=work.part(100.0 * rounds),
            ).scalars
            for name, table in _FITTED_TO.items()
        }
    limits = {name: ceilings(rows, seed=seed) for name, rows in tables.items()}
    judged, rows, compared = [], [], []
    for fitted_to, x in scalars.items():
        source = losses.loc[losses.table == _FITTED_TO[fitted_to]]

        def each(y: Scalars, table: pd.DataFrame) -> np.ndarray:
            return np.concatenate([predict(y, table, [s]) for s in work.each(1000 * seed, designs)])

        for name, table in tables.items():
            change, others = each(x, table), _baselines(source, table)
            observed, cells, shared = _observed(table), _cells(table), _shared(losses, table)
            found = agreement(observed, change, cells, **_how(resamples, seed))
            scored = {
                baseline: agreement(observed, other, cells, resamples=0).prediction
                for baseline, other in others.items()
            }
            judged.append(Judged(fitted_to, name, found, scored, int(shared.sum()), limits[name]))
            labels = {"fitted_to": fitted_to, "judged_on": name}
            rows.append(_rows(table, change).assign(**others, shared=shared, **labels))
            if name.startswith(f"{fitted_to}, K = 2"):
                continue
            scopes = {"all rows": np.ones(len(table), bool)}
            if shared.any():
                scopes["new rows"] = ~shared
            for scope, at in scopes.items():
                told_there = {baseline: other[at] for baseline, other in others.items()}
                compared.append(
                    _beside(table.loc[at], change[:, at], told_there, scope=scope, **labels)
                )
        for (axis, value), y in partial_fits[fitted_to].items():
            left_out = source[axis] == value
            table = source[left_out]
            labels = {"scope": f"{_SIGNS[axis]} = {value:g} left out", "fitted_to": fitted_to}
            labels |= {"judged_on": fitted_to + ", K = 2, T = 15"}
            others = _baselines(source[~left_out], table)
            compared.append(_beside(table, each(y, table), others, **labels))
    transfer = _transfer(losses, resamples, seed)
    numbers, together = pd.concat(rows, ignore_index=True), with_verdicts(compared)
    text = describe(scalars, judged, transfer, together, numbers)
    return PublishedPairing(
        scalars, tuple(judged), transfer, _summary(judged), together, numbers, text
    )


def _how(resamples: int, seed: int) -> dict[str, int]:
    return {"resamples": resamples, "seed": seed}


class _Work:
    """Progress of several parts, reported as one number."""

    def __init__(self, progress: Callable[[float, float], None] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, float(total), 0.0

    def _say(self, done: float) -> None:
        if self._progress is not None:
            self._progress(done, self._total)

    def part(self, size: float) -> Callable[[float, float], None]:
        begin = self._done
        self._done += size
        return lambda done, total: self._say(begin + size * done / total)

    def each(self, first: int, count: int):
        for i in range(count):
            yield first + i
            self._done += 1
            self._say(self._done)


def _tables(losses: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of every run once: Table 2 repeats Tables 7 and 8, but for Llama-3.2-3B."""
    once = losses.loc[(losses.table != 2) | (losses.architecture == "Llama-3.2-3B")]
    found = {}
    for table in (7, 8, 2, 4):
        for architecture in sorted(set(once.architecture)):
            rows = once.loc[(once.table == table) & (once.architecture == architecture)]
            if len(rows):
                k, t = rows.models.iloc[0], rows.generations.iloc[0]
                found[f"{architecture}, K = {k}, T = {t}"] = rows
    return found


def _observed(table: pd.DataFrame) -> np.ndarray:
    return (table.final_loss - table.initial_loss).to_numpy(float)


def _cells(table: pd.DataFrame) -> list[tuple]:
    return list(table[CELL].itertuples(index=False, name=None))


def _baselines(source: pd.DataFrame, table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {"table_of_means": table_of_means(source, table), "rule": rule(table, source)}


def _beside(
    table: pd.DataFrame, change: np.ndarray, others: dict[str, np.ndarray], **labels: str
) -> pd.DataFrame:
    return beside(_observed(table), change, others, _cells(table), **labels)


def _shared(losses: pd.DataFrame, table: pd.DataFrame) -> np.ndarray:
    """Return which rows of a table of more models a K = 2 run of the same architecture has too."""
    where = ["architecture", "model", "task", "alpha", "beta"]
    two = set(losses.loc[losses.models == 2, where].itertuples(index=False, name=None))
    again = [key in two for key in table[where].itertuples(index=False, name=None)]
    return np.array(again) & (table.models > 2).to_numpy()


def _rows(table: pd.DataFrame, change: np.ndarray) -> pd.DataFrame:
    observed = _observed(table)
    low, high = np.quantile(change, [0.025, 0.975], axis=0)
    return table.assign(
        observed=observed.round(9),
        predicted=change.mean(axis=0),
        low=low,
        high=high,
        right=(direction(change) == direction(observed)).mean(axis=0),
        edge=np.isclose(np.abs(observed), 0.1),
    )


def _transfer(losses: pd.DataFrame, resamples: int, seed: int) -> dict[str, Agreement]:
    by = ["model", "task", "beta", "alpha"]
    llama, opt = (losses.loc[losses.table == t].sort_values(by=by) for t in _FITTED_TO.values())
    return {
        source: agreement(_observed(b), _observed(a), _cells(b), **_how(resamples, seed))
        for source, a, b in (("Llama-3.2-1B", llama, opt), ("OPT-350m", opt, llama))
    }


def _summary(judged: list[Judged]) -> pd.DataFrame:
    out = []
    for j in judged:
        a, row = j.agreement, {"fitted_to": j.fitted_to, "judged_on": j.judged_on}
        row |= {"cells": a.cells, "rows": a.rows, "designs": a.designs}
        for name, score in a.prediction._asdict().items():
            ends = (*score.interval, *score.designs)
            where = ("low", "high", "designs_low", "designs_high")
            row |= {name: score.value}
            row |= {f"{name}_{w}": x for w, x in zip(where, ends, strict=True)}
        row |= {"shared_rows": j.shared}
        for baseline, scores in j.baselines.items():
            row |= {f"{baseline}_{name}": score.value for name, score in scores._asdict().items()}
        row |= {"no_change_sign": a.no_change.sign.value}
        row |= {
            f"mean_{name}": getattr(a.mean_over_points, name).value
            for name in ("pooled", "sign", "r_squared")
        }
        limits = j.ceilings._asdict()
        limits.pop("rounding_sign_interval")
        out.append(row | {f"ceiling_{name}": value for name, value in limits.items()})
    return pd.DataFrame(out)
