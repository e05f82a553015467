"""Options that divide a command's work over machines: `--shard`, `--ray`; and `commensal merge`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from commensal.cli._console import out_console, progress_bar, say_next

T = TypeVar("T")

Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Compute only part I of N, beside the output; `commensal merge` joins the parts.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Compute on a Ray cluster, `auto` for the one of this machine."
    ),
]


def in_parts(
    compute: Callable[[bool], T],
    out: Path | None,
    shard: str | None,
    ray: str | None,
    overwrite: bool = False,
) -> T | None:
    """Compute what a command computes: here, one part of it, or on a Ray cluster.

    Parameters
    ----------
    compute : callable
        Computes and writes all, given ``overwrite``.
    out : Path or None
        The command's output.
    shard, ray, overwrite
        Options of that name.

    Returns
    -------
    result or None
        What ``compute`` returns; None where only a part was asked for.

    Raises
    ------
    ValueError
        If the options do not go together.
    """
    from commensal._part import Part, merging, only

    if shard is None and ray is None:
        return compute(overwrite)
    option = "--ray" if shard is None else "--shard"
    if out is None:
        raise ValueError(f"{option} needs --out: the parts are kept beside it")
    if shard is None:
        _on_ray(compute, out, str(ray), overwrite)
        with merging():
            return compute(False)
    if ray is not None:
        raise ValueError("--shard and --ray exclude each other: Ray divides the work by itself")
    if overwrite:
        raise ValueError(
            "--overwrite would discard the other shards' parts: remove the output by hand, or "
            "leave --overwrite out"
        )
    part = Part.parse(shard)
    with only(part, command()):
        compute(False)
        _say(f"{out} is whole")
        return None
    _say(f"part {part} of {out} is done")
    say_next("merge", out)
    return None


def command() -> list[str]:
    """Return the command that runs, without what divides or discards."""
    kept, skip = [], False
    for word in sys.argv[1:]:
        if not skip and word != "--overwrite" and not word.startswith(("--shard", "--ray")):
            kept.append(word)
        skip = not skip and word in ("--shard", "--ray")
    return kept


def again(words: Sequence[str], folder: str | None = None) -> Any:
    """Give a command of commensal, in the folder where it was given first if there is that one."""
    if folder is not None and Path(folder).is_dir():
        os.chdir(folder)
    sys.argv = ["commensal", *words]
    return import_module("commensal.cli").app(list(words), standalone_mode=False)


def compute_part(words: Sequence[str], folder: str, part: str) -> None:
    """Compute a part in silence, in a process of a cluster, which is given one core."""
    os.environ["COMMENSAL_CORES"] = "1"
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        again([*words, "--shard", part], folder)


def _on_ray(compute: Callable[[bool], Any], out: Path, address: str, overwrite: bool) -> None:
    """Have a Ray cluster compute every chunk that is missing, each in a task of its own."""
    from concurrent.futures import as_completed

    from commensal._part import Part, listed
    from commensal._ray import RayPool

    found = listed(lambda: compute(overwrite))
    every = [Part(i, len(found.names)) for i in range(1, len(found.names) + 1)]
    todo = [part for part in every if found.missing & set(part.of(found.names))]
    if not todo:
        return
    with RayPool(address) as pool, progress_bar(f"chunks of {out.name}") as progress:
        done = len(every) - len(todo)
        progress(done, len(every))
        words, here = command(), str(Path.cwd())
        for future in as_completed(
            [pool.submit(compute_part, words, here, str(part)) for part in todo]
        ):
            future.result()
            done += 1
            progress(done, len(every))


def _say(text: str) -> None:
    out_console.print(text, markup=False, highlight=False, soft_wrap=True)


def merge(
    out: Annotated[
        Path, typer.Argument(help="Output whose parts are to be joined.", show_default=False)
    ],
) -> Any:
    """Put together the parts that `--shard` has left beside an output.

    The result is the file that the command without --shard writes, byte for byte. Nothing is
    computed: missing parts are named, with the command that computes them.

    commensal sweep regression --out sweep.nc --shard 1/2
    commensal sweep regression --out sweep.nc --shard 2/2
    commensal merge sweep.nc
    """
    from commensal._part import merging, partial_folder, read_note

    folder = partial_folder(out)
    note = read_note(folder)
    if note is None:
        if not out.exists():
            raise ValueError(f"{str(folder)!r} holds no parts of {str(out)!r} that can be merged")
        _say(f"{out} is whole")
        say_next("figure" if out.is_file() else "llm report", out)
        return 0
    here = str(Path.cwd()) == note["folder"]
    with merging():
        return again(
            [*note["command"], "--out", str(out if here else out.resolve())], note["folder"]
        )
