"""The explorer: move a slider, and see a system of models turn unstable.

:func:`page_of` makes one self-contained page of a sweep or a run; :func:`live_server` computes what
a reader asks for in the browser. Both show the same page, and `commensal explore` opens it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.explore._server import live_server
    from commensal.explore._shared import page_of, run_page, sweep_page

__all__ = ["live_server", "page_of", "run_page", "sweep_page"]

_PLACES = {
    "live_server": "commensal.explore._server",
    "page_of": "commensal.explore._shared",
    "run_page": "commensal.explore._shared",
    "sweep_page": "commensal.explore._shared",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
