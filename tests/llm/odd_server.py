"""A server inside the test that answers whatever a test wants it to."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from commensal.llm.config import WebConfig
from commensal.llm.web.asking import Responses, WebQuestion
from commensal.llm.web.cache import AnswerCache
from commensal.llm.web.endpoint import EndpointResponder

KEY = "sk-very-secret/0123456789"
COMPLETION = '{"choices": [{"message": {"content": "hello"}}]}'
Reply = Callable[["Handler", dict[str, Any]], None]


class Server(ThreadingHTTPServer):
    """Each request takes the first of ``replies``; when none is left, ``usual`` answers."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Handler)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.server_address[1]}/v1"
        self.replies: list[Reply] = []
        self.usual: Reply = said("the amber lantern")
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to print."""


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append(asked)
            server.keys.append(self.headers["Authorization"])
            reply = server.replies.pop(0) if server.replies else server.usual
        reply(self, asked)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Server]:
    """A server in a thread of its own."""
    server = Server(host)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def raw(
    body: bytes | str, status: int = 200, type: str = "application/json", **headers: str
) -> Reply:
    """These bytes, of which ``{key}`` becomes what the client sent as its key."""
    content = body.encode() if isinstance(body, str) else body

    def reply(handler: Handler, asked: dict[str, Any]) -> None:
        key = (handler.headers["Authorization"] or "").removeprefix("Bearer ")
        sent = content.replace(b"{key}", key.encode())
        handler.send_response(status, headers.get("reason", "").replace("{key}", key) or None)
        handler.send_header("Content-Type", type)
        handler.send_header("Content-Length", str(len(sent)))
        for name, value in headers.items():
            if name != "reason":
                handler.send_header(name.replace("_", "-"), value.replace("{key}", key))
        handler.end_headers()
        handler.wfile.write(sent)

    return reply


def said(*contents: Any, finish: Any = "stop", usage: Any = (), **more: Any) -> Reply:
    """A completion; ``more`` goes into each message, or in place of the whole's fields."""
    whole = {name: more.pop(name) for name in ("model", "id") if name in more}

    def reply(handler: Handler, asked: dict[str, Any]) -> None:
        texts = list(contents) if len(contents) > 1 else list(contents) * asked.get("n", 1)
        found: dict[str, Any] = {
            "id": "x",
            "model": asked["model"],
            "choices": [
                {
                    "index": i,
                    "message": {"role": "assistant", "content": text} | more,
                    "finish_reason": finish,
                }
                for i, text in enumerate(texts)
            ],
            "usage": {"completion_tokens": 5 * len(texts)},
        }
        if usage != ():
            found["usage"] = usage
        raw(json.dumps(found | whole))(handler, asked)

    return reply


def dripping(pause: float, *, in_headers: bool = False, status: int = 200) -> Reply:
    """A byte at a time, for ever."""

    def reply(handler: Handler, asked: dict[str, Any]) -> None:
        handler.wfile.write(f"HTTP/1.1 {status} So\r\n".encode())
        handler.wfile.write(b"X-Long: " if in_headers else b"Content-Length: 1000000\r\n\r\n")
        while True:
            handler.wfile.write(b"a" if in_headers else b" ")
            time.sleep(pause)

    return reply


def cut_off(handler: Handler, asked: dict[str, Any]) -> None:
    """The connection ends in the middle of the body."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"choices": [{"mess')


def settings(url: str, responses: int = 1, rules: Any = None, **more: Any) -> WebConfig:
    """One model behind a server, whose key is in COMMENSAL_TEST_KEY."""
    endpoint = {
        "kind": "endpoint", "base_url": url, "model": "m", "key": "COMMENSAL_TEST_KEY",
        "timeout": 5, "backoff": 0, "retries": 1, "concurrency": 1,
    }  # fmt: skip
    return WebConfig.model_validate(
        {
            "models": [endpoint | more],
            "posts": {"kind": "texts", "texts": ["a"]},
            "query": "say",
            "responses": responses,
            "embedding": {"model": "none"},
        }
        | (rules or {})
    )


def ask(config: WebConfig, folder: Path, seed: int = 1) -> Responses:
    """One question, with the answers that the folder has."""
    model: Any = config.models[0]
    responder = EndpointResponder(config, model, lambda name: AnswerCache(folder / "kept.jsonl"))
    try:
        question = WebQuestion(["a"], config.responses, seed, "read_share=0.5/3/0")
        return responder.respond(question, lambda share: None)
    finally:
        responder.close()
