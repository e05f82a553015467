"""A server of the explorer that answers in another thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from commensal.explore._server import Server


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Answer until the block ends."""
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
