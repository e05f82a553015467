"""`commensal explore`: move about in a sweep or a run, in a browser or on a shared page."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from commensal.cli._console import note, out_console, say_next, wrote
from commensal.cli._places import check_page
from commensal.saving import write

_PORT = 7575


def explore(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SWEEP … | RUN]",
            help="Sweep to show (NetCDF), or several that differ in one setting, which has a "
            "slider then; or the folder of a run. Not given: the live explorer, which computes "
            "what is asked for.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE",
            help="Write one self-contained page of the files, and open nothing.",
        ),
    ] = None,
    texts: Annotated[
        bool,
        typer.Option(
            "--texts",
            help="Copy some of the texts that the models of a run wrote into its page.",
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, help="Port of the address in the browser; 0 for any that is free.")
    ] = _PORT,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen at. Another than this machine's own asks for a token, which "
            "is printed."
        ),
    ] = "127.0.0.1",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
) -> None:
    """Move a slider and see a system turn unstable: maps, their numbers, and what they say.

    commensal explore
    commensal explore sweep.nc --html page.html
    commensal explore humans0.nc humans1.nc humans2.nc --html page.html
    commensal explore runs/demo --html run.html
    """
    from commensal import explore

    if html is not None:
        if not files:
            raise ValueError("--html needs a sweep or a run: the live explorer has no page to keep")
        check_page(html, "--html")
        write(html, explore.page_of(files, texts=texts).encode())
        wrote(html)
        say_next("explore")
        return
    if texts and not files:
        raise ValueError("--texts needs the folder of a run: the live explorer shows its texts")
    page = explore.page_of(files, texts=texts) if files else ""
    with explore.live_server(host, port, page) as server:
        only = "from this machine only" if not server.token else "by whoever has the token in it"
        out_console.print(
            f"the explorer is at {server.url} (reached {only}); Ctrl-C ends it",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
        if browser and not webbrowser.open(server.url):
            note("no browser was found: open that address in one")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            note("ended")
    say_next("sweep", "regression", "--prompts", "fresh", "--out", "sweep.nc", "--plot")
