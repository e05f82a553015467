"""Serve the live explorer to one browser, from the standard library's web server."""

from __future__ import annotations

import errno
import json
import secrets
import select
import socket
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that only this machine reaches; any other asks for a token."""

Reply = Callable[[Mapping[str, str]], Any]
"""Function from a query to something for JSON, or to the bytes of a NetCDF file."""
_JSON = "application/json; charset=utf-8"


class Server(ThreadingHTTPServer):
    """A page, and the answers that it asks for.

    Parameters
    ----------
    host : str
        Address to listen at. With another than one of :data:`LOOPBACK` a token is asked for.
    port : int
        Port; 0 for any that is free.
    page : str
        Whole HTML document.
    answers : mapping
        By path, a function from the query to something for JSON.

    Raises
    ------
    ValueError
        If the port is in use, or there is no such address.
    """

    daemon_threads = True

    def __init__(
        self,
        host: str,
        port: int,
        page: str,
        answers: Mapping[str, Reply],
    ) -> None:
        """Bind to the address; :meth:`serve_forever` answers."""
        self.page, self.answers, self.asked = page.encode(), answers, host
        self.token = "" if host in LOOPBACK else secrets.token_urlsafe(16)
        self.working = {path: Lock() for path in answers}  # one answer of a kind at a time
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OverflowError:
            raise ValueError(f"a port is a number up to 65535, got {port}") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ValueError(
                    f"port {port} is in use: choose another with --port, or any with --port 0"
                ) from None
            raise ValueError(f"cannot listen at {host}, port {port}: {error.strerror}") from None

    @property
    def url(self) -> str:
        """Address to open in a browser."""
        host = f"[{self.asked}]" if ":" in self.asked else self.asked
        return f"http://{host}:{self.server_port}/" + (f"?token={self.token}" if self.token else "")


class _Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Reply one question of the browser."""
        asked = urlsplit(self.path)
        query = dict(parse_qsl(asked.query))
        if (refused := self._refused(query)) is not None:
            self._send(403, _JSON, json.dumps({"error": refused}).encode())
        elif asked.path == "/":
            self._send(200, "text/html; charset=utf-8", self.server.page)
        elif (answer := self.server.answers.get(asked.path)) is None:
            self._send(404, _JSON, json.dumps({"error": f"nothing at {asked.path}"}).encode())
        else:
            self._answer(answer, asked.path, query)

    def _refused(self, query: Mapping[str, str]) -> str | None:
        """Say why a question is not answered: another site's, or one without the token."""
        if self.server.token:
            right = secrets.compare_digest(query.get("token", ""), self.server.token)
            return None if right else "the address lacks the token that the program printed"
        # a page elsewhere may point a name of its own at this machine
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        return None if host in LOOPBACK else "only this machine is answered"

    def _answer(self, answer: Reply, path: str, query: Mapping[str, str]) -> None:
        try:
            with self.server.working[path]:
                if self._gone():
                    return
                found = answer(query)
        except (ValueError, OverflowError, MemoryError) as error:
            found = {"error": _one_line(error)}
        if isinstance(found, bytes):
            self._send(200, "application/x-netcdf", found)
        else:
            self._send(200, _JSON, json.dumps(found, allow_nan=False).encode())

    def _gone(self) -> bool:
        """Return whether the browser has dropped the question, as it does for a newer one."""
        ready, _, _ = select.select([self.connection], [], [], 0)
        return bool(ready) and not self.connection.recv(1, socket.MSG_PEEK)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            if kind == "application/x-netcdf":
                self.send_header("Content-Disposition", 'attachment; filename="sweep.nc"')
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser has gone on

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the terminal keeps the address."""


def _one_line(error: Exception) -> str:
    """Say what is wrong in one line, for pydantic's errors the first of them."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
    else:
        said = str(error)
    return " ".join(said.split()) or "out of memory"


def live_server(host: str = "127.0.0.1", port: int = 0, page: str = "") -> Server:
    """Make the server of the live explorer, or of a page that is finished.

    Parameters
    ----------
    host : str
        Address to listen at. With one that other machines reach a token is asked for.
    port : int
        Port; 0 for any that is free.
    page : str
        Finished page to serve in place of the live one, such as :func:`page_of` gives.

    Returns
    -------
    Server
        Bound to its ``url``; ``serve_forever()`` answers until ``shutdown()``.

    Raises
    ------
    ValueError
        If the port is in use, or there is no such address.

    Examples
    --------
    >>> with live_server(page="<p>finished") as server:
    ...     server.url.startswith("http://127.0.0.1:"), server.token
    (True, '')
    """
    from commensal.explore._live import live_answers, live_parts
    from commensal.explore._page import render

    if page:
        return Server(host, port, page, {})
    title = "What happens when models train on each other's output?"
    subtitle = "Move a slider, or a cell of the map. Computed by the program that serves this page."
    return Server(host, port, render(title, live_parts(), subtitle), live_answers())
