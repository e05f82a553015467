"""Where results and caches go, and whether files can be written there."""

from __future__ import annotations

import os
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


def cache_folder() -> Path:
    """Return the folder that keeps what this machine has computed (``COMMENSAL_CACHE``)."""
    return Path(os.environ.get("COMMENSAL_CACHE") or "~/.cache/commensal").expanduser()
