"""Forecast of a run of language models from a pilot of few settings and generations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import norm

from commensal.answers import Answer, Answers
from commensal.pairing import CONSTANT, RunSystem, direction, published_losses, table_of_means
from commensal.planning.forecasts._scalars import PilotFit, error_grid, fit_pilots

if TYPE_CHECKING:
    from commensal.llm.config import InteractiveConfig

SOURCE = "interactive regression with finite training (ours), on features of the base model"
CHECKED = "on runs that decided nothing: docs/how-to/forecast.md"
PREMISES = (
    "hidden states stand for features",
    "five scalars hold for all settings",
    "models learn from scratch or from one base",
)

_OPEN = "whether it rises or falls cannot be told"
_DIM, _TEXTS, _LAYER = 16, 1000, -1


class PilotForecast(NamedTuple):
    """Result of :func:`forecast_pilots` and :func:`forecast_run`.

    Attributes
    ----------
    table : pandas.DataFrame
        ``alpha``, ``beta``, ``generation``, ``model``, ``dataset``, ``pilot`` (whether its loss
        was read), ``measured`` (NaN where there is none), ``predicted``, ``low`` and ``high``:
        changes of the loss since t = 0, nats per token.
    answers : Answers
    fit : PilotFit
    """

    table: pd.DataFrame
    answers: Answers
    fit: PilotFit

    def own(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what was measured and forecast of own losses, mean over models, by setting.

        Returns
        -------
        (pandas.DataFrame, pandas.DataFrame)
            As :func:`commensal.plots.forecast_curves` takes them.
        """
        order = {name: i for i, name in enumerate(dict.fromkeys(self.table["dataset"]))}
        own = self.table["dataset"].map(order.get) == self.table["model"]
        numbers = ["measured", "predicted", "low", "high"]
        by = ["alpha", "beta", "generation"]
        mean = self.table.loc[own].groupby([*by, "pilot"], as_index=False)[numbers].mean()
        marks = mean["pilot"].map({True: " (pilot)", False: ""})
        places = zip(mean["alpha"], mean["beta"], marks, strict=True)
        mean = mean.assign(run=[f"α = {a:g}, β = {b:g}{mark}" for a, b, mark in places])
        measured = mean.rename(columns={"measured": "value"})[["run", "generation", "value"]]
        start = (measured["generation"] == 0) & measured["value"].isna()
        measured.loc[start, "value"] = 0.0
        return measured.dropna(), mean.loc[mean["generation"] > 0]


def forecast_run(
    folder: str | Path,
    *,
    pilots: Sequence[tuple[float, float]] | None = None,
    seen: int = 2,
    alpha: Sequence[float] | None = None,
    beta: Sequence[float] | None = None,
    until: int | None = None,
    replicate: int = 0,
    level: float = 0.8,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> PilotForecast:
    """Forecast settings and generations of a run from a few settings and generations of it.

    Parameters
    ----------
    folder : str or Path
        Of a run of the ``interactive`` workflow, finished or not; with human texts or a memory too.
    pilots : sequence of (float, float) or None
        (α, β) of the settings whose losses are read; by default all that have come to ``seen``.
    seen : int
        Last generation whose losses are read.
    alpha, beta : sequence of float or None
        Grid that is forecast; by default the run's own.
    until : int or None
        Last generation that is forecast; by default the run's own.
    replicate : int
    level : float
        Probability with which intervals should cover.
    seed : int
        Of the posterior's draws.
    progress : callable or None
        Called as ``progress(done, total)``.

    Returns
    -------
    PilotForecast

    Raises
    ------
    ValueError
        If the folder holds no such run, or one of several reading networks, a pilot was not run,
        or nothing is left to forecast.
    """
    from commensal.llm.config import InteractiveConfig
    from commensal.llm.records.results import config_of
    from commensal.llm.records.results import metrics as metrics_of
    from commensal.pairing._grams import system_of
    from commensal.pairing._pair_run import losses_of

    folder = Path(folder)
    config = config_of(folder, InteractiveConfig)
    checked(config, repr(str(folder)))
    axes = {name: tuple(x) for name, x in (("alpha", alpha), ("beta", beta)) if x is not None}
    wanted = {**axes, "generations": until}
    given = {name: value for name, value in wanted.items() if value is not None}
    planned = config.model_copy(update=given)
    points = [point for point in planned.grid() if point.replicate == replicate]
    if not points:
        raise ValueError(f"{str(folder)!r} has {config.replicates} replicates, from 0 on")
    names = tuple(corpus.name for corpus in (*config.tasks, config.public))
    metrics = metrics_of(folder)
    metrics = metrics.loc[
        (metrics["replicate"] == replicate) & (metrics["generation"] <= planned.generations)
    ]
    losses = losses_of(metrics, points, names, planned.generations)
    if not 1 <= seen < planned.generations:
        raise ValueError(f"seen must lie between 1 and {planned.generations - 1}, got {seen}")
    known: Any = np.isfinite(losses[:, : seen + 1]).all(axis=(1, 2, 3))
    at = [tuple(float(point.coordinates[name]) for name in ("alpha", "beta")) for point in points]
    there = [place for place, known_ in zip(at, known.tolist(), strict=True) if known_]
    chosen = there if pilots is None else [(float(a), float(b)) for a, b in pilots]
    missing = [place for place in chosen if place not in there]
    if missing or not chosen:
        told = "(α, β) = ({:g}, {:g})".format(*missing[0]) if missing else "every setting"
        raise ValueError(f"{str(folder)!r}: {told} lacks generations until {seen}")
    system, _ = system_of(
        folder, planned, points, dim=_DIM, layer=_LAYER, texts=_TEXTS, progress=None
    )
    return forecast_pilots(
        system,
        losses,
        [at.index(place) for place in chosen],
        names,
        seen=seen,
        ratio=training_ratio(config),
        level=level,
        seed=seed,
        title=f"Forecast of {folder.name}",
        progress=progress,
    )


def checked(config: InteractiveConfig, where: str) -> None:
    """Raise ValueError if α and β, by which pilots are named, do not name a setting."""
    if len(config.reads) > 1:
        raise ValueError(
            f"{where} has {len(config.reads)} reading networks, and forecasts take one: run it "
            "with --set 'reads=[ring:0.5]', or have one in its file"
        )


def training_ratio(config: InteractiveConfig) -> float:
    """Return step size times steps of a generation, over that at t = 0."""
    later, first = config.training, config.initial_training or config.training
    return later.steps * later.learning_rate / (first.steps * first.learning_rate)


def forecast_pilots(
    system: RunSystem,
    losses: Float[np.ndarray, "points time K datasets"],
    pilots: Sequence[int],
    datasets: Sequence[str],
    *,
    seen: int = 2,
    ratio: float = 1.0,
    level: float = 0.8,
    seed: int = 0,
    title: str = "Forecast from a pilot",
    progress: Callable[[float, float], None] | None = None,
) -> PilotForecast:
    """Forecast losses from those of some grid points, for datasets given by Gram matrices.

    Parameters
    ----------
    system : RunSystem
    losses : Float[numpy.ndarray, "points time K datasets"]
        Nats per token, the public dataset last; NaN where not measured. Only the pilots' until
        ``seen`` are read; the others judge.
    pilots : sequence of int
        Grid points.
    datasets : sequence of str
        Their names.
    seen : int
        Last generation that is read.
    ratio : float
        Step size times steps of a generation, over that at t = 0.
    level, seed, title, progress
        As in :func:`forecast_run`.

    Returns
    -------
    PilotForecast
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level:g}")
    grid = error_grid(system, ratio, progress)
    fit = fit_pilots(grid, losses, pilots, seen, seed=seed)
    told = fit.predicted - fit.predicted[:, :1]
    half = norm.ppf((1 + level) / 2) * fit.spread
    measured = losses - losses[:, :1]
    is_pilot = np.isin(np.arange(len(losses)), list(pilots))
    s, t, k, m = (x.ravel() for x in np.indices(losses.shape))
    table = pd.DataFrame(
        {
            "alpha": system.alpha[s],
            "beta": system.beta[s],
            "generation": t,
            "model": k,
            "dataset": np.array(list(datasets), dtype=object)[m],
            "pilot": is_pilot[s],
            "measured": measured.ravel(),
            "predicted": told.ravel(),
            "low": (told - half).ravel(),
            "high": (told + half).ravel(),
        }
    )
    answers = [_scalars(fit, system, pilots, seen)]
    answers += judged(system, losses, told, half, is_pilot, seen, level)
    answers += _settings(system, told[:, -1], half[:, -1], level)
    settings = {
        "pilots": ", ".join(_named(system, p) for p in pilots),
        "seen": seen,
        "until": system.generations,
        "level": level,
        "seed": seed,
    }
    told_all = Answers(title=title, answers=tuple(answers), settings=settings)
    return PilotForecast(table, told_all, fit)


def _named(system: RunSystem, point: int) -> str:
    return f"α = {system.alpha[point]:g}, β = {system.beta[point]:g}"


def _scalars(fit: PilotFit, system: RunSystem, pilots: Sequence[int], seen: int) -> Answer:
    told = " and ".join(_named(system, p) for p in pilots)
    return Answer(
        question="What do the pilots say of the theory's scalars?",
        sentence=f"From {told} until generation {seen}: training τ = {fit.training:.2g} after "
        f"τ_0 = {fit.initial_training:.2g}, noise ν = {fit.noise:.2g}, {fit.loss_per_error:.2g} "
        f"nats for knowing nothing; theory misses the pilots by {fit.misfit:.2g} nats.",
        name="misfit",
        value=fit.misfit,
        source=SOURCE,
        premises=PREMISES,
        checked=CHECKED,
    )


def _settings(system: RunSystem, told: np.ndarray, half: np.ndarray, level: float) -> list[Answer]:
    """Say of each setting how far own and others' losses change until the end."""
    out = []
    models = np.arange(told.shape[1])
    own = np.zeros(told.shape[1:], bool)
    own[models, models] = True
    other = ~own
    other[:, -1] = False
    for point in range(len(told)):
        for role, cells in (("own", own), ("others'", other)):
            if not cells.any():
                continue
            middle, wide = float(told[point][cells].mean()), float(half[point][cells].mean())
            low, high = middle - wide, middle + wide
            verdict = "it rises" if low > 0 else "it falls" if high < 0 else _OPEN
            out.append(
                Answer(
                    question=f"What happens at {_named(system, point)}?",
                    sentence=f"{_named(system, point)}: the loss on {role} tasks changes by "
                    f"{middle:+.2f} [{low:+.2f}, {high:+.2f}] nats until generation "
                    f"{system.generations}; {verdict}.",
                    name=f"{role.rstrip(chr(39))}:{system.alpha[point]:g},{system.beta[point]:g}",
                    value=middle,
                    low=low,
                    high=high,
                    level=level,
                    source=SOURCE,
                    premises=PREMISES,
                    checked=CHECKED,
                )
            )
    return out


def judged(
    system: RunSystem,
    losses: Float[np.ndarray, "points time K datasets"],
    told: Float[np.ndarray, "points time K datasets"],
    half: Float[np.ndarray, "points time K datasets"],
    pilot: Bool[np.ndarray, "points"],
    seen: int,
    level: float,
) -> list[Answer]:
    """Lay forecasts and baselines beside final changes that were measured, pilots left out."""
    judges = ~pilot & np.isfinite(losses[:, [0, -1]]).all(axis=(1, 2, 3))
    if not judges.any():
        return []
    observed = (losses[:, -1] - losses[:, 0])[judges]
    rivals = {"theory": told[:, -1][judges], **_baselines(system, losses, pilot, judges, seen)}
    r2, right = {}, {}
    for name, change in rivals.items():
        known = np.isfinite(change)
        square = float((observed[known] ** 2).sum())
        missed = float(((observed - change)[known] ** 2).sum())
        r2[name] = 1 - missed / square if square > 0 else np.nan
        alike = direction(change[known], CONSTANT) == direction(observed[known], CONSTANT)
        right[name] = float(alike.mean())
    inside = float((np.abs(observed - told[:, -1][judges]) <= half[:, -1][judges]).mean())
    cells = observed.size
    beside = [name for name in rivals if name != "theory"]
    listed = [", ".join(f"{name} {scores[name]:.2f}" for name in beside) for scores in (r2, right)]
    source = f"changes of {cells} losses at {int(judges.sum())} settings that are no pilots"
    common: Any = {"source": source, "checked": "measured losses, which were not read before"}
    return [
        Answer(
            question="How well were final changes forecast?",
            sentence=f"R² of final changes is {r2['theory']:.2f} ({listed[0]}).",
            name="r_squared",
            value=r2["theory"],
            **common,
        ),
        Answer(
            question="How often was the direction right?",
            sentence=f"Directions are right in {right['theory']:.0%} ({listed[1]}).",
            name="direction",
            value=right["theory"],
            **common,
        ),
        Answer(
            question="Do the intervals cover?",
            sentence=f"{inside:.0%} of final changes lie in their {level:.0%} intervals.",
            name="coverage",
            value=inside,
            **common,
        ),
    ]


def _baselines(
    system: RunSystem, losses: np.ndarray, pilot: np.ndarray, judges: np.ndarray, seen: int
) -> dict[str, np.ndarray]:
    """Return final changes as told without theory; persistence reads each setting's own start."""
    early = losses[:, seen] - losses[:, 0]
    at = np.stack([system.alpha, system.beta], axis=1)
    apart = np.abs(at[judges][:, None] - at[pilot][None]).sum(axis=2)
    count = int(judges.sum())
    models, datasets = losses.shape[2:]
    s, k, m = (x.ravel() for x in np.indices((count, models, datasets)))
    role = np.select([m == k, m == datasets - 1], ["own", "public"], "another's")
    wanted = pd.DataFrame({"role": role, "alpha": at[judges][s, 0], "beta": at[judges][s, 1]})
    printed = published_losses().query("table == 7")
    return {
        "no change": np.zeros((count, models, datasets)),
        "pilots' mean": np.broadcast_to(early[pilot].mean(axis=0), (count, models, datasets)),
        "nearest pilot": early[pilot][apart.argmin(axis=1)],
        f"persistence after generation {seen}": early[judges],
        "table of means of Llama-3.2": table_of_means(printed, wanted).reshape(
            count, models, datasets
        ),
    }
