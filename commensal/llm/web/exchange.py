"""Send one request to a server, with a time limit, and mask the key in everything that returns."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from commensal.llm.web.secret import Secret

LARGEST = 2**24
"""Largest answer in bytes; a text of a few thousand tokens has some ten thousand."""


class Reply(NamedTuple):
    """Server's reply, without the key."""

    status: int
    headers: Mapping[str, str]
    body: str
    """Body of the reply; bytes that are not UTF-8 are lone surrogates (Python's
    ``surrogateescape``)."""


class NoReply(Exception):
    """Reason why there is no whole answer, in one line without the key."""

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting
        """Whether it would be no better the next time."""


class Exchange:
    """Connection to one address, used from any thread.

    Redirects are not followed: the key and the posts go to no other address than the one in the
    settings. Proxies of the environment are used, but not for this machine's own addresses.

    Parameters
    ----------
    url : str
    secret : Secret
    timeout : float
        Seconds from the beginning of a request to the last byte of its answer.

    Raises
    ------
    ValueError
        If the proxies of the environment cannot be used.
    """

    def __init__(self, url: str, secret: Secret, timeout: float | int) -> None:
        import httpx2  # only where there are endpoints
        from anyio.from_thread import start_blocking_portal

        self._httpx: Any = httpx2
        self.url = url
        self.secret = secret
        self.timeout = timeout
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            self._client = httpx2.AsyncClient(
                headers=headers | secret.headers(),
                timeout=None,  # ours is of the whole, not of each byte
                follow_redirects=False,
                trust_env=not _is_here(url),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
            )
        except (ValueError, ImportError, httpx2.InvalidURL):
            # without the reason, which may hold a proxy's password
            unusable = True
        else:
            unusable = False
        if unusable:
            raise ValueError(
                "the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) cannot "
                "be used"
            )
        self._opened = ExitStack()
        self._opened.enter_context(secret.out_of_logs())
        self._portal = self._opened.enter_context(start_blocking_portal())
        self._opened.callback(lambda: self._portal.call(self._client.aclose))

    def close(self) -> None:
        """Close the connections."""
        self._opened.close()

    def post(self, content: bytes) -> Reply:
        """Send JSON, and wait for all of the answer.

        Raises
        ------
        NoReply
            If it does not come, or is too long.
        """
        found = self._portal.call(self._post, content)
        if isinstance(found, NoReply):
            # only here, where no other exception is under way that would be chained to it
            raise found
        return found

    async def _post(self, content: bytes) -> Reply | NoReply:
        httpx, body = self._httpx, bytearray()
        try:
            async with (
                asyncio.timeout(self.timeout),
                self._client.stream("POST", self.url, content=content) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST:
                        return NoReply(f"an answer of over {LARGEST:,} bytes", lasting=True)
        except TimeoutError:
            return NoReply(f"no whole answer within {self.timeout:g} seconds")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            what = "no connection" if isinstance(error, httpx.ConnectError) else "no whole answer"
            return NoReply(f"{what} ({self.secret.masked(first_line(error))})")
        headers = {name: self.secret.masked(value) for name, value in response.headers.items()}
        return Reply(response.status_code, headers, self.secret.masked_answer(_text_of(body)))


def _text_of(body: bytes | bytearray) -> str:
    """Decode a body: UTF-8 without loss even of wrong bytes, other Unicode by its first bytes."""
    encoding = json.detect_encoding(body)
    if encoding.startswith("utf-8"):
        return body.decode(encoding, "surrogateescape")
    return body.decode(encoding, "replace")


def _is_here(url: str) -> bool:
    """Return whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def first_line(error: object) -> str:
    """Return the first line of an exception's or a server's message."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
