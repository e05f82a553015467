"""Check that a command's output can be written before its work starts."""

from __future__ import annotations

import os
from pathlib import Path

from commensal._outputs import takes_files
from commensal.cli._environment import can_be_written


def check_page(page: Path, option: str) -> None:
    """Raise ValueError unless an HTML file can be written there."""
    if page.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{option}: {str(page)!r} is HTML: give a name that ends in .html")
    if not page.parent.is_dir():
        raise ValueError(f"{option}: there is no folder {page.parent}")
    if page.exists() and not page.is_file():
        raise ValueError(f"{option}: {str(page)!r} is a folder, or no regular file")
    if not takes_files(page.parent) or (page.exists() and not os.access(page, os.W_OK)):
        raise ValueError(f"{option}: {str(page)!r} cannot be written")


def check_folder(folder: Path, option: str = "--out") -> None:
    """Raise ValueError unless the folder takes files, or can be made."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{option}: {str(folder)!r} is a file, and a folder is needed")
    if not (takes_files(folder) if folder.exists() else can_be_written(folder)):
        raise ValueError(f"{option}: {str(folder)!r} cannot be written")
