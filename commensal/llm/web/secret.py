"""A key that goes to one server and nowhere else."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

_MASK = "***"
# A shorter key is no secret but a word ("none", "EMPTY") that an answer may well contain.
_SHORTEST = 8
# The loggers of the HTTP client, which note what a server sends back.
_TALKATIVE = ("httpx2", *(f"httpcore2.{part}" for part in ("connection", "http11", "proxy")))


class Secret:
    """A key, or none, whose value is not shown.

    Parameters
    ----------
    value : str or None

    Examples
    --------
    >>> key = Secret("sk-0123456789")
    >>> key
    Secret(***)
    >>> key.masked("you sent Bearer sk-0123456789")
    'you sent Bearer ***'
    """

    def __init__(self, value: str | None) -> None:
        self._value = value
        forms = [] if not value else [value, quote(value, safe=""), quote_plus(value)]
        forms += [json.dumps(form)[1:-1] for form in forms] + [html.escape(form) for form in forms]
        # the longest first, so that no rest of a longer one stays
        self._forms = sorted(set(forms), key=lambda form: (-len(form), form))

    def __repr__(self) -> str:
        """Return asterisks."""
        return f"Secret({_MASK})"

    def headers(self) -> dict[str, str]:
        """Headers that tell the server the key."""
        return {} if self._value is None else {"Authorization": f"Bearer {self._value}"}

    def within(self, text: str) -> bool:
        """Return whether a text holds the key."""
        return any(form in text for form in self._forms)

    def masked(self, text: str) -> str:
        """Replace the key by asterisks, also where it is escaped for JSON, a URL or HTML."""
        for form in self._forms:
            text = text.replace(form, _MASK)
        return text

    def masked_answer(self, body: str) -> str:
        """Replace the key by asterisks in a server's answer, unless the key is very short."""
        if self._value is None or len(self._value) < _SHORTEST:
            return body
        body = self.masked(body)
        if "\\" in body:  # characters may be written as \u0061
            try:
                plain = json.dumps(json.loads(body), ensure_ascii=False)
            except (ValueError, RecursionError):
                return body
            if self.within(plain):
                return json.dumps(json.loads(self.masked(plain)))
        return body

    @contextmanager
    def out_of_logs(self) -> Iterator[None]:
        """Put asterisks for the key into the HTTP client's log inside a block."""
        loggers = [logging.getLogger(name) for name in _TALKATIVE]

        def mask(record: logging.LogRecord) -> bool:
            text = record.getMessage()
            if self.within(text):
                record.msg, record.args = self.masked(text), ()
            return True

        for logger in loggers:
            logger.addFilter(mask)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(mask)
