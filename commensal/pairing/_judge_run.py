"""Predictions of a run's losses by theory and baselines, and how well they agree with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from commensal.pairing._agreement import CONSTANT, Agreement, AgreementScore, agreement, direction
from commensal.pairing._baselines import rule, table_of_means
from commensal.pairing._beside import beside, with_verdicts
from commensal.pairing._curves import RunSystem
from commensal.pairing._fit_run import Fitter, RunFit

THEORIES = {"finite": False, "minimiser": True}
"""Theories by name, and whether each trains to the minimiser, as `interactive` assumes."""

RIVALS = ("minimiser", "table_of_means", "rule")
"""What finite training is compared with; later generations also with a straight line."""

Losses = Float[np.ndarray, "points time K datasets"]
Changes = Float[np.ndarray, "points K datasets"]


class Predictions(NamedTuple):
    """Predictions of every loss of a run, by theory and baseline.

    Attributes
    ----------
    losses : dict of Float[numpy.ndarray, "points time K datasets"]
        By name: ``finite``, ``minimiser``, the same with an offset per dataset (``_offsets``),
        ``no_change``, ``mean`` (each cell's own mean over grid points), ``table_of_means`` (own
        tasks, others' and the public data apart) and ``rule`` (NaN on public data). Names that end
        in ``_held_out`` are predictions of grid points that the fit, or the table, has not seen.
    fits : dict of RunFit
        To all grid points.
    left_out : str or None
        What held-out grid points differ in from all that their fit has seen: ``alpha``, ``beta``,
        ``networks``, or None where there is one grid point, and nothing is held out.
    half : int
        Generation up to which the predictions of ``later`` read losses.
    later : dict of Float[numpy.ndarray, "points K datasets"]
        Changes from there to the last generation: ``finite``, ``minimiser``, ``no_change`` and
        ``line`` (through the last two losses read). Empty if there is one generation.
    """

    losses: dict[str, Losses]
    fits: dict[str, RunFit]
    left_out: str | None
    half: int
    later: dict[str, Changes]


class RunScores(NamedTuple):
    """Agreement of one prediction with a run.

    Attributes
    ----------
    name : str
        Name of the prediction: one of both theories, or a baseline.
    losses : AgreementScore
        R² of all losses at t >= 1, against their mean; NaN for the rule.
    cells : Agreement
        Of the changes from t = 0 to t = T; ranks over the grid points of a cell (a model on a
        dataset). Intervals draw cells.
    points : Agreement
        The same changes, with ranks over the cells of a grid point. Intervals draw grid points.
    """

    name: str
    losses: AgreementScore
    cells: Agreement
    points: Agreement


def predictions(
    system: RunSystem,
    losses: Losses,
    progress: Callable[[float, float], None] | None = None,
    *,
    loss: str = "squared",
) -> Predictions:
    """Fit both theories to a run, to all of its grid points and to parts of them.

    Parameters
    ----------
    system : RunSystem
    losses : Float[numpy.ndarray, "points time K datasets"]
        Measured, nats per token, the public dataset last.
    progress : callable or None
        Called as ``progress(done, total)`` in fits.
    loss : str
        How errors become losses, ``squared`` or ``mixture``; see :class:`Fitter`.

    Returns
    -------
    Predictions
        Held out are the grid points of each α in turn (of each β where there is one α, of each
        reading network where there is one of both); the table of means is then interpolated. Later
        generations are predicted by fits to the first half.

    Raises
    ------
    ValueError
        If a loss is not finite.
    """
    if bad := int((~np.isfinite(losses)).sum()):
        raise ValueError(f"losses must be finite, got {bad} that are not")
    left_out, folds = _folds(system)
    half = -(-system.generations // 2)
    total = len(THEORIES) * (2 * (1 + len(folds)) + (half < system.generations))
    done = 0

    def counted(fit: RunFit) -> RunFit:
        nonlocal done
        done += 1
        if progress is not None:
            progress(float(done), float(total))
        return fit

    told, fits, later = {}, {}, {}
    for theory, minimiser in THEORIES.items():
        fitter = Fitter(system, losses, minimiser=minimiser, loss=loss)
        for per_dataset in (False, True):
            name = theory + "_offsets" * per_dataset
            fits[name] = counted(fitter.fit(per_dataset=per_dataset))
            told[name] = fits[name].predicted
            parts = [counted(fitter.fit(~f, per_dataset=per_dataset)).predicted for f in folds]
            told |= _held_out(name, folds, parts)
        if half < system.generations:
            early = counted(fitter.fit(generations=half)).predicted
            later[theory] = early[:, -1] - early[:, half]
    if later:
        step = losses[:, half] - losses[:, half - 1]
        later |= {"no_change": 0 * step, "line": (system.generations - half) * step}
    told["no_change"] = np.broadcast_to(losses[:, :1], losses.shape)
    told["mean"] = np.broadcast_to(losses.mean(axis=0), losses.shape)
    others = [np.broadcast_to(losses[~f].mean(axis=0), losses.shape) for f in folds]
    told |= _held_out("mean", folds, others)
    everywhere = np.ones(len(losses), bool)
    for name, predict in (("table_of_means", table_of_means), ("rule", _rule)):
        told[name] = _baseline(predict, system, losses, everywhere)
        parts = [_baseline(predict, system, losses, ~fold) for fold in folds]
        told |= _held_out(name, folds, parts)
    return Predictions(told, fits, left_out, half, later)


def _rule(measured: pd.DataFrame, wanted: pd.DataFrame) -> np.ndarray:
    return rule(wanted, measured)


def _baseline(
    predict: Callable[[pd.DataFrame, pd.DataFrame], np.ndarray],
    system: RunSystem,
    losses: Losses,
    known: Bool[np.ndarray, "points"],
) -> Losses:
    """Predict every loss from the changes of the known grid points, generation by generation."""
    points, _, models, datasets = losses.shape
    s, k, m = (x.ravel() for x in np.indices((points, models, datasets)))
    role = np.select([m == k, m == datasets - 1], ["own", "public"], "another's")
    rows = pd.DataFrame({"role": role, "alpha": system.alpha[s], "beta": system.beta[s]})
    out = np.array(losses[:, :1].repeat(losses.shape[1], axis=1))
    for t in range(1, losses.shape[1]):
        here = rows.assign(change=(losses[:, t] - losses[:, 0]).ravel())
        out[:, t] += predict(here.loc[known[s]], here).reshape(points, models, datasets)
    return out


def _folds(system: RunSystem) -> tuple[str | None, list[Bool[np.ndarray, "points"]]]:
    for name in ("alpha", "beta", "networks"):
        values = np.array(getattr(system, name))
        known = list(dict.fromkeys(values.tolist()))  # networks have no order
        if len(known) > 1:
            return name, [values == value for value in known]
    return None, []


def _held_out(name: str, folds: list, parts: list) -> dict[str, Losses]:
    if not folds:
        return {}
    out = np.empty_like(parts[0])
    for fold, part in zip(folds, parts, strict=True):
        out[fold] = part[fold]
    return {f"{name}_held_out": out}


def judged(
    found: Predictions, losses: Losses, *, resamples: int = 1000, seed: int = 0
) -> list[RunScores]:
    """Compare every prediction with what was measured.

    Parameters
    ----------
    found : Predictions
        Predictions of these losses.
    losses : Float[numpy.ndarray, "points time K datasets"]
        Measured losses in nats per token.
    resamples, seed : int
        Number of resamples of the bootstrap over cells, and its seed.
    """
    points, _, models, datasets = losses.shape
    rows = list(np.ndindex(points, models, datasets))
    observed = change_of(losses).ravel()
    out = []
    for name, told in found.losses.items():
        change = change_of(told).ravel()
        known = np.isfinite(change)  # the rule has nothing to say of public data
        both = observed[known], change[known]
        cells, each = zip(
            *(((k, m), s) for (s, k, m), ok in zip(rows, known, strict=True) if ok), strict=True
        )
        out.append(
            RunScores(
                name,
                _r_squared(losses[:, 1:], told[:, 1:], resamples, seed),
                agreement(*both, cells, resamples=resamples, seed=seed),
                agreement(*both, each, resamples=resamples, seed=seed),
            )
        )
    return out


def change_of(losses: Losses) -> Changes:
    """Return the change of each loss from t = 0 to t = T."""
    return losses[:, -1] - losses[:, 0]


def compared(system: RunSystem, losses: Losses, found: Predictions) -> pd.DataFrame:
    """Lay finite training beside the minimiser and baselines, paired over cells.

    Returns
    -------
    pandas.DataFrame
        As :func:`commensal.pairing._beside.with_verdicts` gives it, with a ``scope``: grid points
        ``between`` those fitted to, ``beyond`` their ends, or ``elsewhere`` (another network;
        ``fitted`` where nothing is held out), and the change after the generations that were
        fitted to (``later``).
    """
    ending, scopes = "", {"fitted": np.ones(len(losses), bool)}
    if found.left_out is not None:
        at = np.array(getattr(system, found.left_out))
        ending, scopes = "_held_out", {"elsewhere": np.ones(len(losses), bool)}
        if found.left_out != "networks":  # these have no order
            inside = (at > at.min()) & (at < at.max())
            scopes = {"between": inside, "beyond": ~inside}
    changes = {name: change_of(told) for name, told in found.losses.items()}
    parts = [
        _beside(
            change_of(losses)[points],
            {name: changes[name + ending][points] for name in ("finite", *RIVALS)},
            scope=scope,
        )
        for scope, points in scopes.items()
        if points.any()
    ]
    if found.left_out == "networks":  # baselines know none: held out, they rank in reverse
        known = parts[0]["baseline"] == "minimiser"
        parts = [parts[0].loc[known | (parts[0]["measure"] != "rank")]]
    if found.later:
        start = losses[:, found.half]
        parts.append(_beside(losses[:, -1] - start, found.later, scope="later"))
    return with_verdicts(parts)


def _beside(observed: Changes, predicted: dict[str, Changes], scope: str) -> pd.DataFrame:
    finite, *rivals = (change.ravel() for change in predicted.values())
    cells = [(k, m) for _, k, m in np.ndindex(*observed.shape)]
    others = dict(zip(list(predicted)[1:], rivals, strict=True))
    return beside(observed.ravel(), finite, others, cells, scope=scope)


def wrong_directions(
    losses: Losses, told: Losses, constant: float = CONSTANT
) -> Bool[np.ndarray, "points K datasets"]:
    """Return a mask of the changes from t = 0 to t = T whose direction was predicted wrongly."""
    return direction(change_of(told), constant) != direction(change_of(losses), constant)


def _r_squared(losses: Losses, told: Losses, resamples: int, seed: int) -> AgreementScore:
    observed, predicted = (np.moveaxis(x, (2, 3), (0, 1)) for x in (losses, told))
    observed, predicted = (x.reshape(x.shape[0] * x.shape[1], -1) for x in (observed, predicted))
    missed = ((observed - predicted) ** 2).sum(axis=1)
    if not np.isfinite(missed).all():
        return AgreementScore(np.nan, (np.nan, np.nan), (np.nan, np.nan))
    count, first, second = observed.shape[1], observed.sum(axis=1), (observed**2).sum(axis=1)

    def value(at: np.ndarray) -> float:
        spread = second[at].sum() - first[at].sum() ** 2 / (count * at.size)
        return float(1 - missed[at].sum() / spread) if spread > 1e-12 else np.nan

    drawn = [value(at) for at in _draws(len(missed), resamples, seed)]
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if drawn else (np.nan, np.nan)
    return AgreementScore(
        value(np.arange(len(missed))), (float(low), float(high)), (np.nan, np.nan)
    )


def _draws(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield rng.choice(count, count)
