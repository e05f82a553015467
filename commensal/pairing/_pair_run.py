"""Pairing of the linear theory with a run of language models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.pairing._curves import RunSystem
from commensal.pairing._fit_run import RunFit, check_loss
from commensal.pairing._judge_run import (
    Predictions,
    RunScores,
    compared,
    judged,
    predictions,
)
from commensal.pairing._text_run import describe_run

if TYPE_CHECKING:
    from commensal.llm.config import GridPoint, InteractiveConfig


class RunPairing(NamedTuple):
    """Result of :func:`pair_run`: the theory's predictions beside the run's losses.

    Attributes
    ----------
    system : RunSystem
        What the theory was given: second moments of features, and the grid points.
    datasets : tuple of str
        The models' own tasks in the models' order, the public dataset last.
    share : float
        Of the variance of the base model's hidden states in the directions that were kept.
    fits : dict of RunFit
        By theory: ``finite`` and ``minimiser``, and both with an offset per dataset
        (``_offsets``); to all grid points.
    scores : tuple of RunScores
        Of each prediction and each baseline.
    beside : pandas.DataFrame
        How much finite training is ahead of the minimiser, the table of means and the rule, on
        grid points held out, and of no change and a straight line on generations after those that
        were fitted to: ``scope``, ``baseline``, ``measure``, ``theory``, ``other``, ``lead``,
        ``spread``, ``cells``, ``low``, ``high`` and ``verdict``.
    table : pandas.DataFrame
        The scores, tidy.
    rows : pandas.DataFrame
        ``alpha``, ``beta``, ``reads`` (of several networks), ``generation``, ``model``,
        ``dataset``, the ``observed`` loss and a column of losses for each prediction, nats per
        token.
    text : str
        What was found, in words.
    """

    system: RunSystem
    datasets: tuple[str, ...]
    share: float
    fits: dict[str, RunFit]
    scores: tuple[RunScores, ...]
    beside: pd.DataFrame
    table: pd.DataFrame
    rows: pd.DataFrame
    text: str


def pair_run(
    folder: str | Path,
    *,
    replicate: int = 0,
    dim: int = 16,
    layer: int = -1,
    texts: int = 1000,
    loss: str = "squared",
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> RunPairing:
    """Lay interactive linear regression over a run of language models.

    Parameters
    ----------
    folder : str or Path
        Of a run of the ``interactive`` workflow. Of an unfinished one, the grid points that have
        come to the last generation are read.
    replicate : int
        Replicate of the run; :func:`pair_replicates` pairs all of them.
    dim : int
        d, how many principal directions of the base model's hidden states are kept.
    layer : int
        Which hidden states, as transformers counts them: 0 are the embeddings, -1 is what the
        output layer reads.
    texts : int
        At most so many texts of each dataset are looked at.
    loss : str
        How errors become losses: ``squared``, b times the squared error, as `interactive` measures
        it; or ``mixture``, the cross-entropy of mixed laws (:func:`mixture_loss`).
    resamples, seed : int
        Of the bootstrap.
    progress : callable or None
        Called as ``progress(done, total)``.

    Returns
    -------
    RunPairing

    Raises
    ------
    ValueError
        If the folder holds no run, or one that cannot be paired; if its losses are not finite;
        if a number is out of range, or ``loss`` has another name.

    Notes
    -----
    Given to the theory: Gram matrices of the base model's hidden states, centred and whitened
    together, for each task's training texts, the public ones and what every model wrote at t = 0;
    α, β, β_0, T, who reads whom, what is kept of the web, and the human texts. Fitted to losses:
    how long training is (τ, and τ_0 at t = 0; no number for the minimiser), noise (ν) and one
    affine map of errors to losses (a and b; or an a per dataset). No τ is fitted per grid point or
    task.
    """
    from commensal.llm.records.results import diverged
    from commensal.llm.records.results import metrics as metrics_of
    from commensal.llm.reports._learning import lessons

    folder = Path(folder)
    for name, value in (("dim", dim), ("texts", texts)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if min(resamples, seed) < 0:
        raise ValueError("resamples and seed must not be negative")
    check_loss(loss)
    config, points, complete = _finished(folder, replicate)
    names = tuple(corpus.name for corpus in (*config.tasks, config.public))
    metrics = metrics_of(folder)
    metrics = metrics.loc[metrics["replicate"] == replicate]
    taught = lessons(metrics, points, [task.name for task in config.tasks])
    blank = {one.point.name for one in taught if one.nothing}
    points = [s for s in points if s.name not in blank]
    if not points:
        raise ValueError(
            f"{str(folder)!r}: in every grid point a model is no better than guessing after its "
            "first "
            "training, so that there is nothing to predict; see commensal llm report"
        )
    losses = losses_of(metrics, points, names, config.generations)

    from commensal.pairing._grams import system_of

    system, share = system_of(
        folder, config, points, dim=dim, layer=layer, texts=texts, progress=_part(progress, 0, 60)
    )
    found = pair_losses(
        system,
        losses,
        names,
        loss=loss,
        resamples=resamples,
        seed=seed,
        progress=_part(progress, 60, 99),
    )
    notes = []
    if not complete:
        notes.append(f"Unfinished run: {len(points)} grid points have come to its last generation.")
    names_here = {point.name for point in _of_replicate(config, replicate)}
    stopped = {name for name in diverged(folder) if name in names_here}
    for what, lost in (("Diverged", stopped), ("Not trained", blank)):
        if lost:
            total = len(_of_replicate(config, replicate))
            notes.append(f"{what}: {len(lost)} of {total} grid points, which are left out.")
    notes.append(
        f"{dim} directions of layer {layer} hold {share:.0%} of the variance of the base model's "
        f"hidden states."
    )
    if progress is not None:
        progress(100.0, 100.0)
    return found._replace(share=share, text="\n".join(notes) + "\n\n" + found.text)


def pair_losses(
    system: RunSystem,
    losses: Float[np.ndarray, "points time K datasets"],
    datasets: Sequence[str],
    *,
    loss: str = "squared",
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> RunPairing:
    """Lay the theory over losses whose datasets are given by their Gram matrices.

    Parameters
    ----------
    system : RunSystem
    losses : Float[numpy.ndarray, "points time K datasets"]
        Measured, nats per token, the public dataset last.
    datasets : sequence of str
        Their names.
    loss : str
        As in :func:`pair_run`.
    resamples, seed : int
        Of the bootstrap.
    progress : callable or None
        Called as ``progress(done, total)`` in fits.

    Returns
    -------
    RunPairing
        Its ``share`` is 1: nothing is known of features that were left out.

    Raises
    ------
    ValueError
        If a loss is not finite, or ``loss`` has another name.
    """
    found = predictions(system, losses, progress, loss=loss)
    scores = judged(found, losses, resamples=resamples, seed=seed)
    together = compared(system, losses, found)
    rows = _rows(system, losses, found, datasets)
    text = describe_run(system, losses, found, scores, together, tuple(datasets), loss=loss)
    return RunPairing(
        system,
        tuple(datasets),
        1.0,
        found.fits,
        tuple(scores),
        together,
        _table(scores),
        rows,
        text,
    )


def losses_of(
    metrics: pd.DataFrame, points: Sequence[GridPoint], datasets: Sequence[str], generations: int
) -> Float[np.ndarray, "points time K datasets"]:
    """Return the losses of a run's tidy table as an array, NaN where one is missing.

    Examples
    --------
    >>> from commensal.llm.config import GridPoint
    >>> rows = [(0.5, 1.0, 0, 0, name, "loss", value) for name, value in (("a", 2.0), ("b", 3.0))]
    >>> names = ["alpha", "beta", "generation", "model", "dataset", "metric", "value"]
    >>> one = GridPoint("", {"alpha": 0.5, "beta": 1.0}, "", 0)
    >>> losses_of(pd.DataFrame(rows, columns=names), [one], ["a", "b"], 0)
    array([[[[2., 3.]]]])
    """
    rows = metrics.loc[(metrics["metric"] == "loss") & metrics["dataset"].isin(list(datasets))]
    by = [name for name in ("alpha", "beta", "reads") if name in rows]
    place = {tuple(s.coordinates[name] for name in by): i for i, s in enumerate(points)}
    out = np.full((len(points), generations + 1, len(datasets) - 1, len(datasets)), np.nan)
    number = {name: m for m, name in enumerate(datasets)}
    columns = ("generation", "model", "dataset", "value", *by)
    for t, k, name, value, *at in zip(*(rows[c] for c in columns), strict=True):
        if tuple(at) in place:
            out[place[tuple(at)], int(t), int(k), number[name]] = value
    return out


def _of_replicate(config: InteractiveConfig, replicate: int) -> list[GridPoint]:
    return [point for point in config.grid() if point.replicate == replicate]


def _finished(folder: Path, replicate: int) -> tuple[InteractiveConfig, list[GridPoint], bool]:
    """Return a run's configuration, a replicate's finished points, and whether these are all."""
    from commensal.llm.config import InteractiveConfig
    from commensal.llm.records.directory import RunDirectory
    from commensal.llm.records.results import config_of, diverged

    config = config_of(folder, InteractiveConfig)
    if config.generations < 1:
        raise ValueError(f"{str(folder)!r} has no generation after t = 0: nothing to predict")
    points = _of_replicate(config, replicate)
    if not points:
        raise ValueError(
            f"{str(folder)!r} has {config.replicates} replicates, from 0 on; got {replicate}"
        )
    run = RunDirectory(folder)
    stopped = diverged(folder).keys() & {point.name for point in points}
    done = [
        s
        for s in points
        if s.name not in stopped
        and run.branch(s.start).finished(0)
        and run.branch(s.name).finished(config.generations)
    ]
    if not done:
        mend = f"go on with: commensal llm resume {folder}"
        if len(stopped) == len(points):
            mend = "all of them have diverged; start a new run with a lower learning rate"
        raise ValueError(
            f"no grid point of {str(folder)!r} has come to its last generation; {mend}"
        )
    return config, done, len(done) + len(stopped) == len(points)


def _part(
    progress: Callable[[float, float], None] | None, begin: float | int, end: float | int
) -> Callable[[float, float], None] | None:
    """Make a callback that reports the progress of one part in percent of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(begin + (end - begin) * done / total, 100.0)


def _rows(
    system: RunSystem, losses: np.ndarray, found: Predictions, datasets: Sequence[str]
) -> pd.DataFrame:
    s, t, k, m = (x.ravel() for x in np.indices(losses.shape))
    rows = {
        "alpha": system.alpha[s],
        "beta": system.beta[s],
        **({"reads": np.array(system.networks, dtype=object)[s]} if system.networks else {}),
        "generation": t,
        "model": k,
        "dataset": np.array(list(datasets), dtype=object)[m],
        "observed": losses.ravel(),
    }
    return pd.DataFrame(rows | {name: told.ravel() for name, told in found.losses.items()})


def _table(scores: Sequence[RunScores]) -> pd.DataFrame:
    out = []
    for one in scores:
        measures = {
            "rank_over_points": one.cells.prediction.rank_correlation,
            "rank_over_cells": one.points.prediction.rank_correlation,
            "rank_of_all": one.cells.prediction.pooled,
            "sign": one.cells.prediction.sign,
            "r_squared_of_changes": one.cells.prediction.r_squared,
            "r_squared_of_losses": one.losses,
        }
        row: dict[str, float | str] = {"prediction": one.name}
        for name, score in measures.items():
            row |= {name: score.value}
            row |= {f"{name}_low": score.interval[0], f"{name}_high": score.interval[1]}
        out.append(row)
    return pd.DataFrame(out)
