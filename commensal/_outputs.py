"""Check before a long computation that its results can be written."""

from __future__ import annotations

import tempfile
from pathlib import Path


def takes_files(folder: Path) -> bool:
    """Return whether a file can be made in ``folder``, by making one (not by its permissions).

    Examples
    --------
    >>> takes_files(Path("nowhere"))
    False
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
