"""Pairing of two laws of ‖D‖_F with a web of language models (`webdynamics`, eq. 2 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.optimize import least_squares

from commensal.llm.config import WebConfig
from commensal.llm.records.results import config_of
from commensal.llm.records.results import metrics as metrics_of
from commensal.llm.reports._web_law import WebLaw, web_laws
from commensal.llm.reports._web_law_text import law_sentences
from commensal.llm.web.reading import distances
from commensal.pairing._web_curves import mixture_law, retrieval_law

_LAWS = ("mixture", "retrieval")
_ENOUGH = 0.5  # R² that a true law must reach for a comparison to tell
_LEAST = 1e-6  # scale that is searched, over the mean of ‖D‖_F²


class WebCell(NamedTuple):
    """Measurements at one β and number of models, averaged over replicates."""

    name: str
    models: int
    """Number of models n."""
    posts: Int[np.ndarray, " T"]
    """Number of posts on the web, N_t = |A^(t)|."""
    draws: Int[np.ndarray, " T"]
    """Number of draws k_t."""
    squares: Float[np.ndarray, " T"]
    """Mean of ‖D^(t)‖_F² over replicates."""
    sampling: Float[np.ndarray, " T"]
    """Mean of the part of ‖D^(t)‖_F² that L responses of one and the same law would give."""


class FittedLaw(NamedTuple):
    """Fitted scalars of one law, and how well it fits."""

    scale: float
    """Scale S."""
    strength: float
    """Weight w of the mixture law, in (0, 1], or strength s of the retrieval law, in posts."""
    r2: float
    """R² of ‖D‖_F at t ≥ 1, in which predicting the mean scores 0."""
    later_r2: float
    """R² of the later half against its own mean, for a fit to the earlier half."""


class WebPairing(NamedTuple):
    """Laws fitted to a run, and how well they fit."""

    mixture: FittedLaw
    retrieval: FittedLaw
    unchanged_r2: float
    """R² of the baseline that predicts ‖D‖_F of t = 0 for every generation."""
    later_unchanged_r2: float
    """R² of that baseline on the later half."""
    table: pd.DataFrame
    """Values of ‖D‖_F in columns ``measured`` (root mean square over replicates), ``sampling``,
    ``mixture`` and ``retrieval``, by ``point`` and ``generation``."""
    text: str
    laws: Sequence[WebLaw] = ()
    """‖D‖_F of language shares beside the known law, where the models of the run are taught."""


def pair_web(folder: str | Path) -> WebPairing:
    """Lay the mixture law over a run of the workflow ``web``.

    Parameters
    ----------
    folder : str or Path
        The run's; it need not be finished. Replicates are averaged; all β and numbers of models
        share one pair of scalars.

    Returns
    -------
    WebPairing

    Raises
    ------
    ValueError
        If it is no such run, has fewer than 6 generations to compare, or distances in it are not
        all known and finite.

    Notes
    -----
    ‖D‖_F of one run fluctuates, which no law of its mean can follow: with few replicates R² stays
    well below 1 for the true law too. Where the models are taught their law is known, and the text
    says how well it predicts runs of this size that it has made itself.
    """
    config = config_of(folder, WebConfig)
    cells = measured_cells(folder)
    length = max((len(cell.posts) for cell in cells), default=0)
    if length < 6:
        raise ValueError(f"{str(folder)!r} has {length} generations; a law needs 6 or more")
    observed = np.concatenate([np.sqrt(c.squares[1:]) for c in cells])
    late = np.concatenate([np.arange(1, len(c.posts)) > len(c.posts) // 2 for c in cells])
    start = np.concatenate([np.full(len(c.posts) - 1, np.sqrt(c.squares[0])) for c in cells])
    fitted: dict[str, FittedLaw] = {}
    curves: dict[str, list[np.ndarray]] = {}
    for name, law, bounds in (
        ("mixture", mixture_law, (1e-4, 1.0)),
        ("retrieval", retrieval_law, (1e-2, 1e4)),
    ):
        scale, strength = _fit(cells, law, bounds, observed, np.ones_like(late))
        early = _fit(cells, law, bounds, observed, ~late)
        curves[name] = [_norms(cell, law, scale, strength) for cell in cells]
        whole = np.concatenate([curve[1:] for curve in curves[name]])
        ahead = np.concatenate([_norms(cell, law, *early)[1:] for cell in cells])
        fitted[name] = FittedLaw(
            scale, strength, _r2(observed, whole), _r2(observed[late], ahead[late])
        )
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "point": cell.name,
                    "generation": np.arange(len(cell.posts)),
                    "measured": np.sqrt(cell.squares),
                    "sampling": np.sqrt(cell.sampling),
                    **{name: curves[name][at] for name in _LAWS},
                }
            )
            for at, cell in enumerate(cells)
        ],
        ignore_index=True,
    )
    found = WebPairing(
        fitted["mixture"],
        fitted["retrieval"],
        _r2(observed, start),
        _r2(observed[late], start[late]),
        table,
        "",
        web_laws(config, metrics_of(folder), distances(folder)),
    )
    return found._replace(text=_text(found) + _beyond(config))


def measured_cells(folder: str | Path) -> list[WebCell]:
    """Return a run's measurements, with replicates averaged as far as all of them have come."""
    config = config_of(folder, WebConfig)
    table: Any = distances(folder)
    if table.empty:
        return []
    unknown = table["disagreement"].isna() | (table["sampling"].isna() & (config.responses > 1))
    if unknown.any():
        when = int(table.loc[unknown, "generation"].min())
        raise ValueError(
            f"{str(folder)!r}: at generation {when} so many answers of a model are bad and left "
            "out that ‖D‖_F or its noise is not known; no law can be laid over it"
        )
    if "models" not in table:
        table["models"] = float(len(config.models))
    cells = []
    for key, part in table.groupby(["models", "read_share"]):
        models, read_share = (float(value) for value in key)
        if models < 2:
            continue
        reached = int(part.groupby("replicate")["generation"].max().min())
        part = part.loc[part["generation"] <= reached]
        if bad := int((~np.isfinite(part["disagreement"])).sum()):
            raise ValueError(f"{str(folder)!r} has {bad} distances ‖D‖ that are not finite")
        squares = part.assign(d=part["disagreement"] ** 2, s=part["sampling"].fillna(0) ** 2)
        mean = squares.groupby("generation")[["d", "s", "posts", "retrieved"]].mean()
        name = f"β = {read_share:g}" + (f", n = {models:g}" if config.take_part else "")
        cells.append(
            WebCell(
                name,
                int(models),
                mean["posts"].to_numpy().round().astype(int),
                mean["retrieved"].to_numpy().round().astype(int),
                mean["d"].to_numpy(float),
                mean["s"].to_numpy(float),
            )
        )
    return cells


_Path = Callable[..., np.ndarray]


def _norms(cell: WebCell, law: _Path, scale: float, strength: float) -> np.ndarray:
    """Return the expected ‖D‖_F, with the noise of L responses."""
    initial = max(float(cell.squares[0] - cell.sampling[0]), 0.0)
    path = law(initial, cell.models, cell.posts, cell.draws, scale, strength)
    return np.sqrt(path + cell.sampling)


def _fit(
    cells: list[WebCell],
    law: _Path,
    bounds: tuple[float, float],
    observed: np.ndarray,
    used: np.ndarray,
) -> tuple[float, float]:
    """Fit scale and strength by least squares of ‖D‖_F from several starts."""
    size = max(float(np.mean(observed**2)), 1e-300)

    def misfit(logs: np.ndarray) -> np.ndarray:
        scale, strength = np.exp(logs)
        curve = [_norms(c, law, float(scale), float(strength))[1:] for c in cells]
        return (np.concatenate(curve) - observed)[used.astype(bool)]

    low = np.log([_LEAST * size, bounds[0]])
    high = np.log([1e3 * size, bounds[1]])
    best = None
    for share in (0.15, 0.5, 0.85):
        begin = np.array([np.log(size), low[1] + share * (high[1] - low[1])])
        found = least_squares(misfit, begin, bounds=(low, high))
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    scale, strength = np.exp(best.x)
    return float(scale), float(strength)


def _r2(observed: np.ndarray, predicted: np.ndarray) -> float:
    spread = float(((observed - observed.mean()) ** 2).sum())
    if spread <= 1e-20 * float((observed**2).sum()):  # nothing but rounding
        return float("nan")
    return 1 - float(((observed - predicted) ** 2).sum()) / spread


def _text(found: WebPairing) -> str:
    mixture, retrieval = found.mixture, found.retrieval
    ahead = mixture.later_r2 - retrieval.later_r2
    if not np.isfinite(ahead):
        verdict = "Which law does better ahead of its data cannot be told: ‖D‖ does not vary there"
    elif abs(ahead) < 0.005:
        verdict = "Ahead of their data both laws do equally well"
    else:
        verdict = f"Ahead of its data the {'mixture' if ahead > 0 else 'retrieval'} law does better"
    if max(mixture.later_r2, retrieval.later_r2) < 0:
        verdict += ", but neither does as well as the mean of the later half"
    ceilings = [law.expected.r2 for law in found.laws if law.expected is not None]
    if not ceilings:
        verdict += "; how well a true law would do at this size is not known"
    elif (best := max(ceilings))[0] < _ENOUGH:
        verdict = (
            "Which law does better ahead of its data cannot be told at this size: even the law "
            f"that the models were taught has R² {best[0]:.2f} there ({best[1]:.2f} to "
            f"{best[2]:.2f})"
        )
    size = float(np.mean(found.table["measured"] ** 2))
    none = " (the least that was searched: no noise of retrieval at all)"
    edge = {law: none if law.scale < 1.01 * _LEAST * size else "" for law in (mixture, retrieval)}
    lines = [
        f"Mixture law: scale {mixture.scale:.3g}{edge[mixture]}, effective weight of "
        f"retrieved text {mixture.strength:.2f} (the paper's rule: 0.63). R² {mixture.r2:.2f} at "
        f"t ≥ 1; fitted to the earlier half, {mixture.later_r2:.2f} on the later.",
        f"Retrieval law (nothing but the web is carried over): scale "
        f"{retrieval.scale:.3g}{edge[retrieval]}, own opinion worth "
        f"{retrieval.strength:.3g} posts. R² {retrieval.r2:.2f}; on the later half "
        f"{retrieval.later_r2:.2f}.",
        f"Baselines: the mean has R² 0; no change since t = 0 has {found.unchanged_r2:.2f}, on the "
        f"later half {found.later_unchanged_r2:.2f}.",
        f"{verdict}.",
        *law_sentences(found.laws),
    ]
    return "\n".join(lines) + "\n"


def _beyond(config: WebConfig) -> str:
    """Say that both laws are of another process than this run's, where they are."""
    alike = (
        config.retrieval.known_law
        and config.who_reads == "all"
        and all(model.read_share is None for model in config.models)
    )
    if alike:
        return ""
    return (
        "Both fitted laws are of models that all draw uniformly from the whole web, the same share "
        "each; the models of this run do not.\n"
    )
