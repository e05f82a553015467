"""Maps that are computed while a reader moves a slider."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from commensal import designs
from commensal.explore._cells import QUANTITIES, bound_of, reduced
from commensal.explore._controls import LABELS, Control
from commensal.explore._map import options_of, system_of
from commensal.explore._pack import packed
from commensal.explore._panels import CELL_CONTROLS, MEMORY, TABS, Tab, cell_panel, tab_panel
from commensal.sweep import RegressionSweep
from commensal.sweep._dataset import best_cell
from commensal.theory import regression
from commensal.theory.memory import window_growth

GRID = tuple(i / 40 for i in range(41))
"""Values of α, and of β, of a live map."""
_HUNDREDTHS = tuple(i / 50 for i in range(41))
_NOISE = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

CONTROLS = (
    Control("models", LABELS["models"], tuple(range(1, 33)), 3),
    Control("human_share", LABELS["human_share"], _HUNDREDTHS),
    Control("prompts", "prompts", ("private", "fresh", "worst case"), 1),
    Control(
        "reads",
        LABELS["reads"],
        (
            *("uniform", "self:0.25", "self:0.5", "self:0.75", "isolated"),
            *("ring:0.25", "ring:0.5", "ring:0.75", "star", "blocs:0.1", "blocs:0.5"),
        ),
    ),
    Control("rank", LABELS["rank"], tuple(range(1, 16)), 4),
    Control("noise", LABELS["noise"], _NOISE, _NOISE.index(1.0)),
    Control("seed", LABELS["seed"], tuple(range(10))),
    MEMORY,
)
"""Controls of the live map; the data have 15 features, but in the worst case, which has K."""

STAGES = ("sketch", "stability", "draft", "whole")
"""Parts in which a map is asked for: ρ alone, of every fifth value of α and β, or of all; all
numbers of every fifth, or of all."""


def settings_of(query: Mapping[str, str]) -> dict[str, Any]:
    """Read the settings of a sweep from a query, one value for each of :data:`CONTROLS`.

    Raises
    ------
    ValueError
        If a value is none of the control's.

    Examples
    --------
    >>> settings_of({"models": "2", "prompts": "worst case"})
    {'models': 2, 'human_share': 0.0, 'reads': 'uniform', 'noise': 1.0, 'design': 'misaligned'}
    """
    found = {one.name: one.chosen(query) for one in CONTROLS if one is not MEMORY}
    if found["prompts"] == "worst case":
        for unused in ("prompts", "rank", "seed"):
            del found[unused]
        found["design"] = "misaligned"
    return found


def live_map(
    settings: Mapping[str, Any], stage: str = "whole", memory: str = "replace"
) -> dict[str, Any]:
    """Compute the map of one system over α and β, as the page takes it.

    Parameters
    ----------
    settings : mapping
        Settings of a sweep, with one K and one network; see :func:`settings_of`.
    stage : str
        One of :data:`STAGES`: what is there sooner has less.
    memory : str
        One of the values of :data:`MEMORY`. With another than "replace" the map has the growth of
        errors alone.

    Returns
    -------
    dict
        The values of α and β, the packed :data:`QUANTITIES` and ``status`` over (β, α), and the
        best mix and the bound of the system.

    Raises
    ------
    ValueError
        If there is no such system, such as two blocs of one model, or no theorem for its memory.

    Examples
    --------
    >>> found = live_map(settings_of({"models": "2", "rank": "15"}), "draft")
    >>> len(found["alpha"]), found["system"]["best"]["alpha"] > 0
    (9, True)
    """
    key = tuple(sorted(settings.items()))
    axis = GRID[::5] if stage in ("sketch", "draft") else GRID
    if memory != "replace":
        return _remembering(key, axis, memory)
    return (_stability if stage in ("sketch", "stability") else _mapped)(key, axis)


_ROUNDING = 1e-9
_Settings = tuple[tuple[str, Any], ...]
_NO_BEST: dict[str, float] = dict.fromkeys(("alpha", "beta", "error", "efficiency"), np.nan)


@lru_cache(maxsize=256)  # some 60 kB each: a slider that is moved back is there at once
def _mapped(settings: _Settings, axis: tuple[float, ...]) -> dict[str, Any]:
    found, config = _grid_of(settings, axis)
    cells = reduced(
        found.spectral_radius,
        found.trusted,
        found.mse,
        found.relative_efficiency,
        found.consensus_distance,
        found.mspe,
    )
    at = best_cell(cells["error"].T, found.squared_bias.sum(axis=-1))
    best = _NO_BEST
    if at is not None:
        i, j = at
        best = {"alpha": axis[i], "beta": axis[j]}
        best |= {name: float(cells[name][j, i]) for name in ("error", "efficiency")}
    return _answer(axis, {name: cells[name] for name in QUANTITIES}, cells["status"], config, best)


def _grid_of(
    settings: _Settings, axis: tuple[float, ...]
) -> tuple[regression.Grid, RegressionSweep]:
    """Return all numbers of a map: noise only scales variances, so that it is not computed anew."""
    given = dict(settings)
    noise = given.pop("noise")
    known = tuple(given.items())
    unit, config = _computed(known, 1.0, axis)
    if noise == 1:
        return unit, config
    mspe = unit.mspe
    if mspe is not None:  # b + σ² v, of which v follows from another noise where some are biased
        variance = mspe
        if np.nansum(unit.squared_bias) > 0:
            variance = (_computed(known, 2.0, axis)[0].mspe - mspe) / 3
        mspe = mspe + (noise**2 - 1) * variance
    return unit._replace(variance=noise**2 * unit.variance, mspe=mspe), config


@lru_cache(maxsize=64)
def _computed(
    given: _Settings, noise: float, axis: tuple[float, ...]
) -> tuple[regression.Grid, RegressionSweep]:
    config = RegressionSweep(alpha=axis, beta=axis, noise=noise, **dict(given))
    w = config.workflow(config.models[0])
    return regression.grid(w, axis, axis, designs.truth(w.dim, config.seed)), config


def _grown(
    settings: _Settings, axis: tuple[float, ...]
) -> tuple[regression.GridStability, RegressionSweep]:
    """Return how errors grow: noise has no part in it, so that it is not computed anew."""
    return _growth(tuple((name, value) for name, value in settings if name != "noise"), axis)


@lru_cache(maxsize=128)
def _growth(
    given: _Settings, axis: tuple[float, ...]
) -> tuple[regression.GridStability, RegressionSweep]:
    config = RegressionSweep(alpha=axis, beta=axis, **dict(given))
    return regression.grid_stability(config.workflow(config.models[0]), axis, axis), config


def _stability(settings: _Settings, axis: tuple[float, ...]) -> dict[str, Any]:
    found, config = _grown(settings, axis)
    radius = found.spectral_radius
    kind = np.where(found.unbiased, 0, 3)
    kind = np.where(radius < 1 - regression.STABILITY_MARGIN, kind, 1)
    status = np.where(found.trusted, kind, 2).astype(np.uint8)
    return _answer(axis, {"spectral_radius": radius.T}, status.T, config, _NO_BEST)


def _remembering(settings: _Settings, axis: tuple[float, ...], memory: str) -> dict[str, Any]:
    """Map how errors grow where more than the last generation is read."""
    found, config = _grown(settings, axis)
    growth = growth_with(memory, found, str(config.reads[0]) == "uniform")
    kind = np.where(growth < 1 - regression.STABILITY_MARGIN, 0, 1)
    if memory == "accumulate":
        kind = np.zeros_like(kind)  # no growth per generation: bounded
    status = np.where(np.isnan(growth), 2, kind).astype(np.uint8)
    return _answer(axis, {"spectral_radius": growth.T}, status.T, config, _NO_BEST)


def growth_with(
    memory: str, found: regression.GridStability, alike: bool
) -> Float[np.ndarray, "A B"]:
    """Return the growth of errors per generation where past generations are kept.

    Parameters
    ----------
    memory : str
        "window" and the number of generations that are kept, or "accumulate".
    found : GridStability
        Of memory "replace".
    alike : bool
        Whether all models read everybody alike.

    Returns
    -------
    Float[np.ndarray, "A B"]
        Largest :func:`commensal.theory.memory.window_growth` of Q's eigenvalues. Where these are
        not known that of ρ, an upper bound, if ρ < 1, and else NaN. And 1 if everything is kept,
        each generation with the weight α, by models that read all alike.

    Raises
    ------
    ValueError
        If everything is kept and the models read different webs.
    """
    if memory == "accumulate":
        if not alike:
            raise ValueError(
                "what is kept for ever is known only where all models read all alike: choose that "
                "network, or a window"
            )
        return np.where(found.trusted, 1.0, np.nan)
    window = int(memory.split()[1])
    radius, values = found.spectral_radius, found.eigenvalues
    stable = radius < 1 - regression.STABILITY_MARGIN
    # no eigenvalue of that size grows faster than a positive one
    itself = np.abs(values - radius[..., None]).min(axis=-1) <= _ROUNDING * radius
    growth = np.full(radius.shape, np.nan)
    direct = found.trusted & (itself | (stable & np.isnan(values).any(axis=-1)))
    growth[direct] = window_growth(radius[direct], window)
    rest = found.trusted & ~direct & ~np.isnan(values).any(axis=-1)
    growth[rest] = window_growth(values[rest], window).max(axis=-1)
    return growth


def _answer(
    axis: Sequence[float],
    cells: Mapping[str, np.ndarray],
    status: np.ndarray,
    config: RegressionSweep,
    best: Mapping[str, float],
) -> dict[str, Any]:
    return {
        "alpha": axis,
        "beta": axis,
        "quantities": {name: packed(values) for name, values in cells.items()},
        "status": packed(status),
        "system": system_of(best, bound_of(config.reads[0], config.models[0])),
    }


def live_parts() -> list[dict[str, Any]]:
    """Describe the tabs of the live page: the map, and the panels beside it."""
    config = RegressionSweep().model_dump(mode="json")
    the_map = {
        "kind": "map",
        "name": "map",
        "title": "Map",
        "live": "/api/map",
        "alpha": GRID,
        "beta": GRID,
        "controls": [one.record() for one in CONTROLS],
        "followed": [one.record() for one in CELL_CONTROLS],
        "quantities": [{"name": name, "label": label} for name, label in QUANTITIES.items()],
        **options_of(config),
    }
    panels = [
        {
            "kind": "panel",
            "name": tab.name,
            "title": tab.title,
            "live": f"/api/{tab.name}",
            "controls": [one.record() for one in tab.controls],
        }
        for tab in TABS
    ]
    *before, claims = panels
    runs = {"kind": "runs", "name": "runs", "title": "Runs", "live": "/api/run"}
    return [the_map, *before, runs, claims]


def live_answers() -> dict[str, Callable[[Mapping[str, str]], Any]]:
    """Return the functions that answer the live page, by path."""
    panels = {f"/api/{tab.name}": partial(_tab_answer, tab) for tab in TABS}
    return {
        "/api/map": _map_answer,
        "/api/map.nc": _file_answer,
        "/api/cell": _cell_answer,
        "/api/runs": _runs_answer,
        "/api/run": _run_answer,
        "/api/texts": _texts_answer,
    } | panels


def _runs_answer(query: Mapping[str, str]) -> dict[str, Any]:
    from commensal.explore._runs import runs_under

    return {"runs": runs_under(Path.cwd())}


def _run_answer(query: Mapping[str, str]) -> dict[str, Any]:
    from commensal.explore._runs import pairing_of, read_run, run_part
    from commensal.explore._texts import texts_controls
    from commensal.explore._theory import theory_of

    folder = _folder(query)
    measured, theory = read_run(folder), theory_of(folder)
    pairing = "" if theory is not None else pairing_of(folder)
    part = run_part(measured, folder.resolve().name, theory, pairing)
    return part | {"texts": [one.record() for one in texts_controls(folder)]}


def _texts_answer(query: Mapping[str, str]) -> dict[str, Any]:
    from commensal.explore._texts import texts_controls, texts_view

    folder = _folder(query)
    chosen = [one.chosen(query) for one in texts_controls(folder)]
    if not chosen:
        raise ValueError(f"the run {folder.name} has kept no texts")
    return texts_view(folder, *chosen).record()


def _folder(query: Mapping[str, str]) -> Path:
    folder = Path(query.get("path", "")).expanduser()
    if not query.get("path") or not folder.is_dir():
        raise ValueError(f"{query.get('path', '')!r} is no folder that this program can see")
    return folder


def _map_answer(query: Mapping[str, str]) -> dict[str, Any]:
    stage = Control("stage", "stage", STAGES, 2).chosen(query)
    return live_map(settings_of(query), stage, MEMORY.chosen(query))


def _file_answer(query: Mapping[str, str]) -> bytes:
    from commensal import sweep

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.nc"
        sweep.regression(alpha=GRID, beta=GRID, **settings_of(query), out=path).close()
        return path.read_bytes()


def _cell_answer(query: Mapping[str, str]) -> dict[str, Any]:
    settings = tuple(sorted(settings_of(query).items()))
    at = [Control(name, name, GRID).chosen(query) for name in ("alpha", "beta")]
    chosen = [one.chosen(query) for one in (*CELL_CONTROLS, MEMORY)]
    return cell_panel(settings, *at, *chosen).record()


def _tab_answer(tab: Tab, query: Mapping[str, str]) -> dict[str, Any]:
    return tab_panel(tab, query).record()
