"""Settings of a model behind a server."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from commensal.llm.config._participant import Participant
from commensal.llm.config._parts import Count

BadAnswer = Literal["empty", "refused", "filtered", "tool_call", "cut"]
"""Reason for which a server's answer is bad: it has no text, the model refuses, the server's filter
took it, the model calls a tool in place of answering, or the answer has not come to its end."""


class EndpointModel(Participant):
    """A model behind a server that speaks OpenAI's chat-completions protocol."""

    # a key that was put in the wrong place must not appear in the error that says so
    model_config = ConfigDict(hide_input_in_errors=True)

    responder: ClassVar[str] = "commensal.llm.web.endpoint:EndpointResponder"
    taught: ClassVar[bool] = False
    large: ClassVar[bool] = False

    kind: Literal["endpoint"] = "endpoint"
    base_url: str
    """Base address of the server's API as its documentation gives it, such as
    https://api.openai.com/v1."""
    model: str
    """Name by which the server knows the model."""
    key: str | None = None
    """Name of the environment variable that holds the API key; none: the server needs no key.
    The key itself is never written anywhere."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    """Seconds for one request, from its beginning to the last byte of the answer, however slowly
    the server sends."""
    retries: Annotated[int, Field(ge=0)] = 6
    """Number of retries of a request that fails for a passing reason: too many requests, an error
    of the server, no answer in time, no connection, an answer that cannot be read."""
    backoff: Annotated[float, Field(ge=0)] = 1.0
    """Seconds before the first retry, twice as many before each further one; a server that says
    how long to wait is obeyed."""
    longest_wait: Annotated[float, Field(gt=0)] = 120.0
    """Longest wait in seconds; a server that asks for more ends the session."""
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    """Largest number of requests in a minute; by default any."""
    concurrency: Count = 4
    """Number of requests under way at once."""
    choices: Count = 1
    """Number of responses asked for in one request (the protocol's ``n``), where the server knows
    that: the prompt is then paid once for all of them."""
    seeded: bool = True
    """Whether to send a seed with each request; some servers refuse it."""
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Server's name for the largest number of tokens of an answer."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """More fields of the request, as the server knows them; they take the place of those that a
    request has anyway. Not for secrets: they are written to the run."""
    label: str = ""
    """Display name in reports; by default the last part of ``model``."""

    @property
    def shown(self) -> str:
        """Display name in reports."""
        return self.label or self.model.rstrip("/").rsplit("/", 1)[-1]

    @property
    def asked(self) -> str:
        """Name of the model that the server is asked for."""
        return self.model

    def described(self) -> str:
        """Describe the model for reports."""
        return f"{self.model} at {self.base_url}"

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, given: Any) -> Any:
        unknown = sorted(set(given) - set(cls.model_fields)) if isinstance(given, dict) else []
        if unknown:
            raise ValueError(
                f"an endpoint has no setting {unknown[0]!r} (it got a value, not shown here)"
            )
        return given

    @field_validator("key")
    @classmethod
    def _a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", value):
            raise ValueError(
                "must be the name of an environment variable, in capitals, not the key itself "
                "(got something else, not shown here)"
            )
        return value

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        # what was given is never shown: a key may be anywhere in it
        if any(sign in value for sign in "@?#\\") or not value.isprintable() or " " in value:
            raise ValueError(
                "must hold no password, no query and no space; it would be written to the run "
                "(got one, not shown here)"
            )
        try:
            parts = urlsplit(value)
            possible = parts.scheme in ("http", "https") and bool(parts.hostname)
            possible = possible and parts.port != 0
        except ValueError:
            possible = False
        if not possible:
            raise ValueError(
                "must begin with http:// or https:// and the name of a server, such as "
                "http://127.0.0.1:8000/v1 (got something else, not shown here)"
            )
        return value.rstrip("/")

    @field_validator("extra")
    @classmethod
    def _not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        ours = {"stream": "answers are read whole", "n": "choices says it", "messages": "prompt"}
        for name, why in ours.items():
            if value.get(name):
                raise ValueError(f"cannot hold {name}: {why}")
        return value


# Of an endpoint, what may change while a run is interrupted: it alters no answer.
TRANSPORT = {
    "key", "timeout", "retries", "backoff", "longest_wait", "requests_per_minute", "concurrency",
}  # fmt: skip
