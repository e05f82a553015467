"""`commensal figure`: draw the figures of a sweep's or a simulation's file again."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from commensal.cli._console import in_one_line, say_next, wrote
from commensal.cli._sweep import draw_maps, maps_in, pictures

# what no picture shows
_LARGE = ("mspe", "estimate", "covariance", "covariance_standard_error", "weights")


def figure(
    file: Annotated[
        Path,
        typer.Argument(help="Sweep or simulation file to draw (NetCDF).", show_default=False),
    ],
) -> None:
    """Draw the figures of a finished sweep, or of a simulation, beside its file.

    commensal figure sweep.nc
    """
    from pydantic import ValidationError

    from commensal import sweep
    from commensal._checkpoint import check_target, read_netcdf

    dataset = read_netcdf(file, leave_out=_LARGE)
    simulation = "process" in dataset.attrs
    if not simulation:
        sweep.load(file).close()  # which says what is wrong with it
    places = [file.with_suffix(".png")] if simulation else pictures(file, maps_in(dataset))
    for place in places:
        if place == file:
            raise ValueError(
                f"{str(file)!r} is where its picture would go: rename it to end in .nc"
            )
        check_target(place, (".png",))
    paper = "interactive"
    try:
        if simulation:
            paper = _draw_simulation(dataset, file, places[0])
        else:
            draw_maps(dataset, file)
    except ValidationError as error:
        said = in_one_line(error)
        raise ValueError(f"{str(file)!r} has settings that cannot be read: {said}") from None
    except KeyError as error:
        raise ValueError(f"{str(file)!r} lacks what its picture shows: {error}") from None
    for place in places:
        wrote(place)
    say_next("check", "--paper", paper)


def _draw_simulation(runs: Any, file: Path, picture: Path) -> str:
    """Draw a simulation as its process requires, and name the paper that the process is from."""
    from commensal import sims

    process = str(runs.attrs["process"]).split(" ")[0]
    if process not in sims.__all__:
        raise ValueError(f"{str(file)!r} holds nothing that commensal draws")
    import_module(f"commensal.cli._simulate_{process}").draw(runs, picture)
    return str(runs.attrs["paper"]).split(",")[0]
