"""The command line: thin, over the functions that the library has."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

import commensal

# Imports of the parts are inside the commands: `commensal --help` should not wait for JAX.

app = typer.Typer(
    help="What happens when generative models train on each other's output?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
sweep_app = typer.Typer(help="Sweep a grid and keep it as named arrays.", no_args_is_help=True)
simulate_app = typer.Typer(
    help="Run the stochastic process itself, beside what the theory says.", no_args_is_help=True
)
app.add_typer(sweep_app, name="sweep")
app.add_typer(simulate_app, name="simulate")

out_console = Console()
err_console = Console(stderr=True)


def main() -> None:
    """Run the command line; bad input ends in one line on stderr and exit code 2."""
    code = None
    try:
        code = app(standalone_mode=False)
    except ValidationError as error:
        _fail(_in_one_line(error))
    except (ValueError, OSError) as error:
        _fail(str(error))
    except Exception as error:
        # typer's usage errors; the class has moved between its versions
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message())  # pyright: ignore[reportAttributeAccessIssue]
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> None:
    if message:
        err_console.print(
            f"[bold red]commensal:[/] {_escape(' '.join(message.split()))}",
            soft_wrap=True,
            highlight=False,
        )
    sys.exit(2)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _in_one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    message = first["msg"].removeprefix("Value error, ")
    given = first.get("input")
    shown = "" if isinstance(given, (dict, list, tuple)) else f", got {given}"
    more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    return f"{where}: {message}{shown}{more}" if where else f"{message}{more}"


def _print_version(wanted: bool) -> bool:
    if wanted:
        out_console.print(f"commensal {commensal.__version__}", highlight=False)
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


def parse_grid(text: str) -> tuple[float, ...]:
    """``start:stop:count`` (both ends included), or numbers separated by commas.

    Raises
    ------
    ValueError
        If the text is neither, or describes no point.

    Examples
    --------
    >>> parse_grid("0:1:5")
    (0.0, 0.25, 0.5, 0.75, 1.0)
    >>> parse_grid("0.1,0.5")
    (0.1, 0.5)
    """
    import numpy as np

    try:
        if ":" in text:
            start, stop, count = text.split(":")
            points = int(count)
            if points < 1:
                raise ValueError(f"a grid of {points} points is empty: {text!r}")
            return tuple(float(x) for x in np.linspace(float(start), float(stop), points))
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        if "is empty" in str(error):
            raise
        raise ValueError(
            f"a grid is start:stop:count or numbers separated by commas, got {text!r}"
        ) from None


def _parse_counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"--entities takes whole numbers separated by commas, got {text!r}"
        ) from None


@contextmanager
def _progress(label: str) -> Iterator[Callable[[float, float], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=err_console)
    task = bar.add_task(label, total=None)

    def update(done: float | int, total: float | int) -> None:
        bar.start()  # only once there is work, so that bad input leaves one line and no bar
        bar.update(task, completed=done, total=total)

    try:
        yield update
    finally:
        if bar.live.is_started:
            bar.stop()


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _settings(config: Path | None, **options: Any) -> dict[str, Any]:
    """The config file's settings, overridden by the options that were given."""
    settings: dict[str, Any] = {}
    if config is not None:
        import yaml

        try:
            settings = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            raise ValueError(f"{str(config)!r} does not exist") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{str(config)!r} is not YAML: {error}") from None
        if not isinstance(settings, dict):
            raise ValueError(f"{str(config)!r} must hold settings by name")
        for name in ("alpha", "beta"):
            if isinstance(settings.get(name), str):
                settings[name] = parse_grid(settings[name])
    return settings | _given(**options)


ConfigFile = Annotated[
    Path | None, typer.Option(help="Settings by name in YAML; options given here override it.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything that is drawn.  [default: 0]")]
Dim = Annotated[int | None, typer.Option(help="Dimension d.  [default: 15]")]
Rank = Annotated[int | None, typer.Option(help="Rank of each private design.  [default: 5]")]
PublicRank = Annotated[
    int | None, typer.Option(help="Rank of the public design.  [default: as --rank]")
]
DesignName = Annotated[
    str | None, typer.Option(help="gaussian, or misaligned (d = K).  [default: gaussian]")
]
Prompts = Annotated[
    str | None,
    typer.Option(help="What models are asked: private or fresh features.  [default: private]"),
]
Strength = Annotated[
    float | None, typer.Option(help="Size of private data, misaligned design.  [default: 10]")
]
Noise = Annotated[float | None, typer.Option(help="Standard deviation of responses.  [default: 1]")]


@sweep_app.command("regression")
def sweep_regression(
    out: Annotated[Path, typer.Option(help="NetCDF file to write.")] = Path("sweep.nc"),
    alpha: Annotated[
        str | None,
        typer.Option(help="Weights of new data: start:stop:count or a,b,c.  [default: 0:1:51]"),
    ] = None,
    beta: Annotated[
        str | None, typer.Option(help="Weights of private data, likewise.  [default: 0:1:51]")
    ] = None,
    entities: Annotated[
        str | None, typer.Option(help="Numbers of models K: a,b,c.  [default: 2,4,8]")
    ] = None,
    dim: Dim = None,
    rank: Rank = None,
    public_rank: PublicRank = None,
    design: DesignName = None,
    prompts: Prompts = None,
    strength: Strength = None,
    noise: Noise = None,
    human_share: Annotated[
        float | None, typer.Option(help="Share of fresh human data in new data.  [default: 0]")
    ] = None,
    grams: Annotated[
        Path | None,
        typer.Option(help="Gram matrices of your own (.npz: private, public, synthetic[, human])."),
    ] = None,
    tasks: Annotated[
        bool | None, typer.Option("--tasks/--no-tasks", help="Keep mspe, model by task.")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw the figures.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Discard what the output holds.")
    ] = False,
) -> None:
    """Stability, error and efficiency of K models that train on each other's output.

    Interrupted sweeps go on where they were when the same command is given again.
    """
    settings = _settings(
        config,
        alpha=None if alpha is None else parse_grid(alpha),
        beta=None if beta is None else parse_grid(beta),
        entities=None if entities is None else _parse_counts(entities),
        dim=dim,
        rank=rank,
        public_rank=public_rank,
        design=design,
        prompts=prompts,
        strength=strength,
        noise=noise,
        human_share=human_share,
        grams=grams,
        tasks=tasks,
        seed=seed,
    )
    from commensal import sweep

    if grams is not None and "entities" not in settings:
        settings["entities"] = (sweep.read_grams(grams)["private"].shape[0],)
    wanted = sweep.RegressionSweep(**settings)
    try:
        with _progress(f"{wanted.cells:,} cells") as progress:
            dataset = sweep.regression(wanted, out, overwrite=overwrite, progress=progress)
    except KeyboardInterrupt:
        err_console.print(
            "stopped; finished chunks are kept, the same command goes on from them",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None
    with dataset:
        out_console.print(_summary(dataset))
        written = [out]
        if plot:
            written += _draw(dataset, out)
    for path in written:
        out_console.print(f"wrote {path}", soft_wrap=True, highlight=False)


def _summary(dataset: Any) -> Table:
    """A line per K: how much of the grid is stable, and where it is best."""
    import numpy as np

    table = Table(title="Where errors are smallest on the grid (mean over models)")
    for name in ("K", "stable", "best α", "best β", "efficiency", "at (½, ½)", "consensus"):
        table.add_column(name, justify="right", no_wrap=True)
    half = dataset.sel(alpha=0.5, beta=0.5, method="nearest")
    near_half = abs(half.alpha - 0.5) < 0.01 and abs(half.beta - 0.5) < 0.01
    for i, k in enumerate(dataset.entities.values):
        of_k = dataset[["stable", "optimal_alpha", "optimal_beta"]].isel(entities=i)
        alpha, beta = (float(of_k[f"optimal_{n}"].sel(objective="mean")) for n in ("alpha", "beta"))
        best = dataset.isel(entities=i)
        row = [str(k), f"{float(of_k.stable.mean()):.0%}"]
        if np.isnan(alpha):
            table.add_row(*row, "-", "-", "-", "-", "-")
            continue
        best = best.sel(alpha=alpha, beta=beta)
        at_half = half.relative_efficiency.isel(entities=i).mean() if near_half else np.nan
        numbers = (best.relative_efficiency.mean(), at_half, best.consensus_distance)
        shown = ["-" if np.isnan(float(x)) else f"{float(x):.3f}" for x in numbers]
        table.add_row(*row, f"{alpha:.2f}", f"{beta:.2f}", *shown)
    return table


def _draw(dataset: Any, out: Path) -> list[Path]:
    from commensal import plots

    drawn = {
        "efficiency": plots.efficiency_map,
        "stability": plots.stability_map,
        "consensus": plots.consensus_map,
    }
    written = []
    for name, draw in drawn.items():
        path = out.with_name(f"{out.stem}_{name}.png")
        draw(dataset).savefig(path)
        written.append(path)
    return written


@app.command("figure")
def figure(
    sweep_file: Annotated[Path, typer.Argument(help="A file that `commensal sweep` wrote.")],
) -> None:
    """Draw the figures of a finished sweep beside its file."""
    from commensal import sweep

    with sweep.load(sweep_file) as dataset:
        for path in _draw(dataset, sweep_file):
            out_console.print(f"wrote {path}", soft_wrap=True, highlight=False)


@simulate_app.command("regression")
def simulate_regression(
    out: Annotated[
        Path | None, typer.Option(help="NetCDF file for means, covariances and errors.")
    ] = None,
    entities: Annotated[int | None, typer.Option(help="K.  [default: 4]")] = None,
    dim: Dim = None,
    rank: Rank = None,
    public_rank: PublicRank = None,
    design: DesignName = None,
    prompts: Prompts = None,
    strength: Annotated[
        float | None, typer.Option(help="Size of private data, misaligned design.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Weight of new data.  [default: 0.5]")] = None,
    beta: Annotated[
        float | None, typer.Option(help="Weight of private data.  [default: 0.5]")
    ] = None,
    initial_beta: Annotated[
        float | None, typer.Option(help="Weight of private data at t = 0.  [default: as --beta]")
    ] = None,
    human_share: Annotated[
        float | None, typer.Option(help="Share of fresh human data in new data.  [default: 0]")
    ] = None,
    noise: Noise = None,
    generations: Annotated[int | None, typer.Option(help="T.  [default: 15]")] = None,
    replicates: Annotated[
        int | None, typer.Option(help="Independent runs.  [default: 2000]")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
) -> None:
    """Draw responses, refit every model, publish, repeat; compare with the closed form."""
    settings = _settings(
        config,
        entities=entities,
        dim=dim,
        rank=rank,
        public_rank=public_rank,
        design=design,
        prompts=prompts,
        strength=strength,
        alpha=alpha,
        beta=beta,
        initial_beta=initial_beta,
        human_share=human_share,
        noise=noise,
        generations=generations,
        replicates=replicates,
        seed=seed,
    )
    from commensal.sims import regression as sims
    from commensal.sweep import SweepFileError

    if out is not None and not out.parent.is_dir():
        raise SweepFileError(f"output folder {str(out.parent)!r} does not exist")
    wanted = sims.Config(**settings)
    with _progress(f"{wanted.replicates:,} replicates") as progress:
        runs = sims.moments(wanted, progress=progress)
    out_console.print(_comparison(wanted, runs))
    if out is not None:
        runs.to_netcdf(out, engine="h5netcdf")
        out_console.print(f"wrote {out}", soft_wrap=True, highlight=False)


def _comparison(config: Any, runs: Any) -> Table:
    """MSE per generation, simulated and in closed form."""
    import numpy as np

    from commensal import designs
    from commensal.sims import regression as sims
    from commensal.theory import regression as theory

    w = theory.Workflow(
        **sims.draw_designs(config).grams(),
        alpha=config.alpha,
        beta=config.beta,
        noise=config.noise,
        initial_beta=config.initial_beta,
        human_share=config.human_share,
    )
    theta = designs.truth(w.dim, config.seed)
    expected = theory.mse(theory.trajectory(w, theta, config.generations), theta)
    simulated, error = runs["mse"].values, runs["mse_standard_error"].values
    table = Table(title="Mean squared error of the models")
    for name in ("t", "simulated", "theory", "largest |z|"):
        table.add_column(name, justify="right", no_wrap=True)
    for t in range(config.generations + 1):
        # no noise, no error to compare with: a difference then is a difference
        apart = np.abs(simulated[t] - expected[t])
        z = np.where(error[t] > 0, apart / np.where(error[t] > 0, error[t], 1), apart)
        table.add_row(
            str(t), f"{simulated[t].mean():.5g}", f"{expected[t].mean():.5g}", f"{z.max():.1f}"
        )
    return table


if __name__ == "__main__":
    main()
