"""Shared pages: a finished sweep, or a run, to be moved about in without Python or a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from commensal.explore._map import joined, part_of
from commensal.explore._page import render

MOST = 3_000_000
"""Largest size of a shared page, in bytes: what can be mailed, and opens on a phone."""


def sweep_page(
    sweeps: xr.Dataset | Sequence[xr.Dataset], names: Sequence[str] = (), title: str = ""
) -> str:
    """Make one self-contained page in which a reader moves about in a sweep, or in several.

    Parameters
    ----------
    sweeps : xarray.Dataset or sequence of xarray.Dataset
        Sweep that :func:`commensal.sweep.regression` gives; or several of one grid that differ in
        one setting, which has a slider then.
    names : sequence of str
        What errors and the page call them, such as their files.
    title : str
        Heading of the page; by default one that says what it shows.

    Returns
    -------
    str
        A whole HTML document, less than 3 MB long.

    Raises
    ------
    ValueError
        If grids or more than one setting differ, or if the page would be too large.

    Examples
    --------
    >>> from commensal import sweep
    >>> grid = (0.2, 0.5, 0.8)
    >>> ds = sweep.regression(alpha=grid, beta=grid, models=(2, 4), dim=6, rank=3)
    >>> page = sweep_page(ds)
    >>> page.count("<script"), "http-equiv" in page
    (2, False)
    """
    given: list[Any] = [sweeps] if isinstance(sweeps, xr.Dataset) else list(sweeps)
    names = list(names) or [f"sweep {i + 1}" for i in range(len(given))]
    cells, control = joined(given, names)
    configs = [json.loads(one.attrs["config"]) for one in given]
    part = part_of(cells, control, configs)
    shown = {"alpha": "grid of α", "beta": "grid of β"}
    grid = {told: f"{len(part[axis])} values" for axis, told in shown.items()}
    single = {
        name: str(value)
        for name, value in configs[0].items()
        if name not in (*shown, control.name, "tasks") and value is not None
    }
    facts = {
        "file": ", ".join(names),
        **grid,
        control.name: ", ".join(map(str, control.values)),
        **single,
        "numbers": str(cells.attrs["equation"]) + ", of " + str(cells.attrs["paper"]),
        "made by": part["command"],
        "commensal": str(cells.attrs["commensal_version"]),
    }
    counts = [int(k) for k in cells.models.values]
    told = f"K = {', '.join(map(str, counts))} models that train on each other's output"
    page = render(
        title or "When is the loop stable?",
        [part],
        f"{told}, in the limit of many generations. Move a slider, or a cell of the map.",
        [(name, value) for name, value in facts.items() if value not in ("", "None")],
    )
    return _small_enough(page, "fewer models, networks, files or cells")


def run_page(folder: str | Path, title: str = "", *, texts: bool = False) -> str:
    """Make one self-contained page of what a run has measured, by generation.

    Where `commensal pair` has laid the theory over the run, it is drawn beside the measurements.

    Parameters
    ----------
    folder : str or Path
        Folder of a run, or one that holds its ``metrics.parquet`` alone.
    title : str
        Heading of the page; by default the folder's name.
    texts : bool
        Whether to copy some of the texts that the models wrote, by generation.

    Returns
    -------
    str
        A whole HTML document, less than 3 MB long.

    Raises
    ------
    ValueError
        If the folder holds no run, nothing has been measured yet, no texts are there that were
        asked for, a file is damaged, or the page would be too large.
    """
    from commensal.explore._runs import read_run, run_part
    from commensal.explore._theory import theory_of

    folder = Path(folder)
    part = run_part(read_run(folder), folder.resolve().name, theory_of(folder))
    page = render(
        title or f"The run {part['title']}",
        [part, *([_texts_part(folder)] if texts else [])],
        "What the models had measured at each generation. Choose a grid point and a measure.",
    )
    return _small_enough(page, "a run with fewer grid points")


def _texts_part(folder: Path) -> dict[str, Any]:
    from commensal.explore._texts import texts_controls, texts_view

    controls = texts_controls(folder)
    if not controls:
        raise ValueError(f"the run {folder.resolve().name} has kept no texts")
    points, generations = controls
    return {
        "kind": "panel",
        "name": "texts",
        "title": "What the models wrote",
        "controls": [one.record() for one in controls],
        "panels": [
            texts_view(folder, point, t).record()
            for point in points.values
            for t in generations.values
        ],
    }


def page_of(files: Sequence[str | Path], *, texts: bool = False) -> str:
    """Make the shared page of files on disk: sweeps, or the folder of one run.

    Parameters
    ----------
    files : sequence of str or Path
        NetCDF files of sweeps, as :func:`sweep_page` takes them together; or one folder.
    texts : bool
        Whether the page of a run has some of the texts that its models wrote.

    Returns
    -------
    str
        A whole HTML document, less than 3 MB long.

    Raises
    ------
    ValueError
        If a file is neither, or cannot be read, or several do not belong together, or the page
        would be too large.
    """
    from commensal import sweep

    paths = [Path(one) for one in files]
    if folders := [one for one in paths if one.is_dir()]:
        if len(paths) > 1:
            raise ValueError(f"a run has a page of its own: give {str(folders[0])!r} alone")
        return run_page(folders[0], texts=texts)
    if texts:
        raise ValueError("a sweep has no texts: --texts goes with the folder of a run")
    sweeps = []
    for path in paths:
        found = sweep.load(path)
        if "optimal_mse" not in found or "alpha" not in found.dims:
            raise ValueError(f"{str(path)!r} is no sweep: `commensal sweep regression` writes one")
        sweeps.append(found)
    return sweep_page(sweeps, [path.name for path in paths])


def _small_enough(page: str, remedy: str) -> str:
    """Return the page, or raise ValueError where it is too large to be shared."""
    size = len(page.encode())
    if size > MOST:
        raise ValueError(
            f"the page would have {size / 1e6:.1f} MB, and at most {MOST / 1e6:.0f} are shared: "
            f"take {remedy}"
        )
    return page
