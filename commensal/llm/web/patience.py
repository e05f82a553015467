"""Repeat requests to a server while their failures may pass."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from typing import Any

from commensal.llm.config import EndpointModel
from commensal.llm.web.answers import Unreadable, error_of
from commensal.llm.web.exchange import Exchange, NoReply
from commensal.llm.web.pace import Pace, asked_to_wait
from commensal.llm.web.secret import Secret

# Passing troubles besides those of the server: a conflict, or a request that timed out there.
_PASSING = {408, 409, 425, 429}
_RESUME = "what it has answered is kept: go on with commensal llm resume"


class EndpointError(ValueError):
    """A server gives no answer; the message is one line."""


class PatientServer:
    """Server that is asked again as a model's settings say.

    Parameters
    ----------
    model : EndpointModel
    secret : Secret
    """

    def __init__(self, model: EndpointModel, secret: Secret) -> None:
        self.model = model
        self._secret = secret
        self._exchange = Exchange(f"{model.base_url}/chat/completions", secret, model.timeout)
        self._pace = Pace(model.requests_per_minute)

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def ask(
        self, request: dict[str, Any], keep: Callable[[str], None], stop: threading.Event
    ) -> None:
        """Repeat one request while its failures may pass; the answer goes to ``keep``.

        Raises
        ------
        EndpointError
            If the server refuses, or fails more often than allowed, or ``stop`` is set.
        """
        content, trouble = json.dumps(request).encode(), ""
        for attempt in range(self.model.retries + 1):
            self._pace.wait(stop)
            if stop.is_set():
                raise self.error("stopped")
            asked: float | None = None
            lasting = False
            try:
                reply = self._exchange.post(content)
                asked = asked_to_wait(reply.headers)
                if 200 <= reply.status < 300:
                    keep(reply.body)
                    return
                trouble, lasting = self._judged(reply.status, *_told(reply.body), reply.headers)
            except NoReply as error:
                trouble, lasting = str(error), error.lasting
            except Unreadable as error:
                trouble, lasting = f"an answer that cannot be read ({_short(error)})", error.lasting
                if error.status is not None and 400 <= error.status < 600:
                    trouble, lasting = self._judged(error.status, _short(error), None, {})
            if lasting:
                raise self.error(trouble)
            if asked is not None and asked > self.model.longest_wait:
                raise self.error(
                    f"{trouble}; it asks to wait {asked:g} seconds, longer than longest_wait "
                    f"({self.model.longest_wait:g})"
                )
            if attempt < self.model.retries:
                wait = self.model.backoff * 2**attempt * random.uniform(0.75, 1.0)
                wait = min(wait, self.model.longest_wait)
                stop.wait(max(wait, asked or 0.0))
        raise self.error(f"{trouble}, {times(self.model.retries + 1)}")

    def _judged(self, status: int, said: str, code: Any, headers: Any) -> tuple[str, bool]:
        """Interpret a status, and whether it would be the same the next time."""
        if 300 <= status < 400:
            target = str(headers.get("location", "elsewhere")).split("?")[0]
            return (
                f"it redirects to {target} ({status}), which is not followed, so that nobody else "
                "gets the key; if that is the server, put its address into base_url"
            ), True
        if status in (401, 403):
            which = f"the key in {self.model.key}" if self.model.key else "requests without a key"
            return f"it refuses {which} ({status})", True
        if status == 429 and code == "insufficient_quota":
            return f"the account has no quota left ({said})", True
        if status == 404:
            return f"it knows no such model, or the address is wrong (404: {said})", True
        if status in _PASSING or status >= 500:
            return (
                "too many requests (429)" if status == 429 else f"status {status} ({said})",
                False,
            )
        return f"it refuses the request ({status}: {said})", True

    def error(self, what: str, then: str = _RESUME) -> EndpointError:
        """Build the error that ends a session, without the key."""
        text = f"{self.model.base_url}, model {self.model.model!r}: {what}; {then}"
        # servers like to repeat what they were sent
        return EndpointError(" ".join(self._secret.masked(text).split()))


def _told(body: str) -> tuple[str, Any]:
    """Return the message of an error's body in one line, and its code."""
    try:
        said, code = error_of(json.loads(body))
    except (ValueError, RecursionError):
        said, code = body, None
    return _short(said), code


def _short(said: object) -> str:
    """Shorten a text to one line, of characters that every file and terminal can hold."""
    lines = str(said).strip().splitlines()
    return lines[0][:300].encode("utf-8", "replace").decode() if lines else "no reason given"


def times(count: int) -> str:
    """Write in words how often something went wrong."""
    return f"{count} time{'' if count == 1 else 's'} in a row"
