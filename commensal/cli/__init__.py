"""Command line of commensal, a thin layer over the library's functions."""

# Imports of the parts are inside the commands: `commensal --help` should not wait for JAX.

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

import commensal
from commensal import sims
from commensal._spelling import did_you_mean
from commensal.cli._advise import add_advise
from commensal.cli._audit import audit
from commensal.cli._check import check
from commensal.cli._console import (
    ending_with_the_next,
    err_console,
    fail,
    in_one_line,
    out_console,
)
from commensal.cli._doctor import doctor
from commensal.cli._environment import prepared
from commensal.cli._explore import explore
from commensal.cli._figure import figure
from commensal.cli._fingerprint import fingerprint
from commensal.cli._forecast import forecast
from commensal.cli._help import Command, Group
from commensal.cli._llm import llm_app
from commensal.cli._measure import measure
from commensal.cli._pair import pair
from commensal.cli._parts import merge
from commensal.cli._settings import parse_grid
from commensal.cli._simulate import simulate_app
from commensal.cli._sweep import sweep_app

__all__ = ["app", "main", "parse_grid"]

app = typer.Typer(
    cls=Group,
    help="""What happens when generative models train on each other's output?

    commensal sweep regression --plot
    commensal simulate gaussian --plot
    commensal measure a.jsonl b.txt --public c.txt
    commensal check --list
    commensal llm presets
    """,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for process in sims.__all__:  # each of which has its command in a file of that name
    import_module(f"commensal.cli._simulate_{process}")
app.add_typer(sweep_app, name="sweep")
app.add_typer(simulate_app, name="simulate")
app.add_typer(llm_app, name="llm")
add_advise(app)
for command in (measure, audit, forecast, explore, check, figure, pair, fingerprint, merge, doctor):
    app.command(cls=Command)(command)

# the papers' symbols, and the options that they may stand for
_SYMBOLS = {
    **dict.fromkeys(("--k", "--K", "--M"), "--models"),
    **dict.fromkeys(("--t", "--T"), "--generations"),
    "--n": "--samples",
}


def main() -> None:
    """Run the command line; bad input ends in one line on stderr and exit code 2."""
    with prepared():
        with ending_with_the_next():
            code = _run()
        sys.exit(code)


def _run() -> int:
    code = None
    try:
        code = app(standalone_mode=False)
    except BrokenPipeError:
        # the reader, perhaps `head`, has enough: what is left must not be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # the system's own errors bring a number and a name, the project's a sentence
        known = error.filename is not None and error.strerror
        fail(f"{str(error.filename)!r}: {error.strerror}" if known else str(error))
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "commensal":
            raise
        fail(f"{error}: `commensal doctor` says what is missing, and what brings it")
    except MemoryError as error:
        fail(str(error) or "out of memory")
    except OverflowError as error:
        fail(f"a number is too large: {error.args[-1] if error.args else error}")
    except ValueError as error:
        from pydantic import ValidationError  # a third of the time that a help page takes

        fail(in_one_line(error) if isinstance(error, ValidationError) else str(error))
    except Exception as error:
        # typer's word for Ctrl-C, and for the end of a file
        if isinstance(error.__context__, EOFError):
            fail(f"a file ends too early: {error.__context__}")
        if type(error).__name__ == "Abort":
            err_console.print("stopped")
            return 130
        # typer's usage errors; the class has moved between its versions
        if not hasattr(error, "format_message"):
            raise
        if (near := getattr(error, "possibilities", None)) is not None:
            name = error.option_name  # pyright: ignore[reportAttributeAccessIssue]
            # without the dashes, which all have in common: --n is not near to --rank
            near = {option.lstrip("-"): option for option in near if option != "--help"}
            hint = _of_symbol(name, error) or did_you_mean(
                name.lstrip("-"), near, written=near.__getitem__
            )
            fail(f"No such option: {name}{hint}")
        message: str = error.format_message()  # pyright: ignore[reportAttributeAccessIssue]
        if (missing := getattr(error, "param", None)) is not None and message.startswith("Missing"):
            told = " ".join((getattr(missing, "help", None) or "").split())
            message = f"{message.removesuffix('.')}{told and f': {told}'}"
        if message.startswith("Invalid value") and hasattr(error.__context__, "errors"):
            given = error.__context__.errors()[0]["input"]  # pyright: ignore
            message += f", got {given!r}"
        if message.startswith("No such command") and "Did you mean" not in message:
            there = error.ctx.command.commands  # pyright: ignore[reportAttributeAccessIssue]
            message += f" There are {', '.join(there)}."
        if "unexpected extra argument" in message:
            message += ": values of one option are separated by commas, as in 2,4,8"
        fail(message)
    return code if isinstance(code, int) else 0


def _of_symbol(name: str, error: Any) -> str:
    """Suggest the option that a paper's symbol stands for, if the command has it."""
    option = _SYMBOLS.get(name)
    known = [opt for parameter in error.ctx.command.params for opt in parameter.opts]
    return f"; did you mean {option}?" if option in known else ""


def _print_version(wanted: bool) -> bool:
    if wanted:
        out_console.print(f"commensal {commensal.__version__}", highlight=False)
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass
