"""Models behind a server that speaks OpenAI's chat-completions protocol.

Every answer is kept the moment it is there, so that a killed run asks for nothing twice but what
was under way. The key comes from an environment variable, and goes nowhere but to the server.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any

from commensal.llm.config import BadAnswer, EndpointModel, WebConfig
from commensal.llm.seeds import seed_of
from commensal.llm.web.answers import Said, fault, without_blocks
from commensal.llm.web.asking import Place, Response, Responses, WebQuestion
from commensal.llm.web.cache import AnswerCache, request_id
from commensal.llm.web.patience import EndpointError, PatientServer, times
from commensal.llm.web.secret import Secret
from commensal.llm.web.telling import tell_served

__all__ = ["EndpointError", "EndpointResponder", "check_endpoints"]

_SHOWN: dict[BadAnswer, str] = {
    "cut": "cut off",
    "refused": "a refusal",
    "tool_call": "a call of a tool",
}
_REMEDIES: dict[BadAnswer, str] = {
    "empty": "a larger sampling.max_new_tokens helps models that think first",
    "cut": "use a larger sampling.max_new_tokens, or take cut out of bad_answers",
    "refused": "ask another query",
    "filtered": "ask another query",
    "tool_call": "serve the model without tools",
}


def check_endpoints(config: WebConfig) -> None:
    """Raise an error for missing keys or proxies before anything is written.

    Raises
    ------
    ValueError
        If the package or a key is not there, or a key stands in the settings.
    """
    for model in config.endpoints:
        try:
            importlib.import_module("httpx2")
        except ImportError:
            raise ValueError(
                "endpoints need the package httpx2: pip install 'commensal[llm]'"
            ) from None
        if _key(model).within(config.model_dump_json()):
            raise ValueError(
                f"the key that {model.key} holds also stands in the settings, which are "
                "written to the run; take it out of them"
            )


def _key(model: EndpointModel) -> Secret:
    if model.key is None:
        return Secret(None)
    value = os.environ.get(model.key, "").strip()
    if not value:
        raise ValueError(
            f"the environment variable {model.key} must hold the key of {model.base_url}; "
            "it is not set"
        )
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError(
            f"the environment variable {model.key} holds no key: there are characters in it that "
            "no key has (not shown here)"
        )
    return Secret(value)


class EndpointResponder:
    """A model behind a server.

    Parameters
    ----------
    config : WebConfig
    model : EndpointModel
    cache : callable
        The file of answers of a place (a point), opened once.

    Raises
    ------
    ValueError
        If the key is not in the environment, or the environment's proxy cannot be used.
    """

    def __init__(
        self, config: WebConfig, model: EndpointModel, cache: Callable[[str], AnswerCache]
    ) -> None:
        self.config = config
        self.model = model
        self.cache = cache
        self._secret = _key(model)
        self._server = PatientServer(model, self._secret)
        self._stop = threading.Event()
        self._served: set[str] = set()
        self.loaded = None

    @staticmethod
    def check(config: WebConfig, model: EndpointModel) -> None:
        """Do nothing, as :func:`check_endpoints` has checked the keys."""

    @classmethod
    def opened(cls, model: EndpointModel, place: Place) -> EndpointResponder:
        """Make the responder; it connects at the first request."""
        return cls(place.config, model, place.cache)

    def respond(self, question: WebQuestion, progress: Callable[[float | int], None]) -> Responses:
        """Return all responses; only those that are not in the cache are requested.

        Raises
        ------
        EndpointError
            If the server refuses, or fails more often than allowed, or its answers stay bad.
        """
        request, name = self._request(question)
        cache = self.cache(question.place.split("/")[0])
        cache.refresh()
        tries = partial(cache.tries, name)
        everything = range(question.responses)

        def ask(part: list[int]) -> None:
            missing = part
            while missing := [i for i in missing if self._open(tries(i))]:
                more = self._seed(question.seed, missing[0], len(tries(missing[0])))
                if len(missing) > 1:
                    more["n"] = len(missing)
                self._server.ask(request | more, partial(cache.put, name, missing), self._stop)
            self._refuse_bad(question, part, tries)

        known = [i for i in everything if not self._open(tries(i))]
        self._refuse_bad(question, known, tries)
        missing = [i for i in everything if i not in set(known)]
        size = self.model.choices
        parts = [missing[at : at + size] for at in range(0, len(missing), size)]
        self._all(
            ask, parts, lambda done: progress(min((len(known) + done * size) / len(everything), 1))
        )
        progress(1.0)
        found = Responses(
            [self._response(self._chosen(tries(i))) for i in everything],
            len(question.posts),
            *self._counted([said for i in everything for said in self._allowed(tries(i))]),
        )
        self._tell_served(found)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _request(self, question: WebQuestion) -> tuple[dict[str, Any], str]:
        """Build a request without its seed, and the name under which its answers are kept."""
        sampling = self.config.sampling
        prompt = self.config.ask(question.posts, question.query)
        request = {
            "model": self.model.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self.model.limit: sampling.max_new_tokens,
        } | self.model.extra
        place = {"at": self.model.base_url, "place": question.place, "seeded": self.model.seeded}
        return request, request_id({"request": request, "seed": question.seed} | place)

    def _seed(self, seed: int, number: int, again: int) -> dict[str, Any]:
        """Return a seed for each response and try, below 2³¹ as some servers need it."""
        if not self.model.seeded or "seed" in self.model.extra:
            return {}
        names = ["again", again] if again else []
        return {"seed": seed_of(seed, "response", number, *names) % 2**31}

    def _allowed(self, tries: Sequence[Said]) -> Sequence[Said]:
        return tries[: 1 + self.config.ask_again]

    def _chosen(self, tries: Sequence[Said]) -> Said:
        """Choose the first good answer, or else the last one."""
        allowed = self._allowed(tries)
        return next((said for said in allowed if self._response(said).bad is None), allowed[-1])

    def _open(self, tries: Sequence[Said]) -> bool:
        """Return whether another answer has to be requested."""
        few = len(tries) <= self.config.ask_again
        return not tries or (few and self._response(self._chosen(tries)).bad is not None)

    def _response(self, said: Said) -> Response:
        text = " ".join(without_blocks(said.text, self.config.strip).split())
        bad = fault(said, text, self.config.bad_answers)
        shown = text or " ".join(said.refusal.split())
        left_out = bad is not None and self.config.on_bad_answer == "skip"
        return Response(shown, bad, left_out, said.finish or None, said.model)

    def _counted(self, given: Sequence[Said]) -> tuple[int | None, dict[str, int]]:
        """Count tokens, all answers, and bad answers by kind."""
        kinds = Counter(self._response(said).bad for said in given)
        counts = {"answers": len(given)} | {kind: kinds[kind] for kind in self.config.bad_answers}
        tokens = [said.tokens for said in given if said.tokens is not None]
        return (round(sum(tokens)) if len(tokens) == len(given) else None), counts

    def _refuse_bad(
        self, question: WebQuestion, numbers: Sequence[int], tries: Callable[[int], Sequence[Said]]
    ) -> None:
        """Raise an error at an answer that stays bad, if the settings say so."""
        if self.config.on_bad_answer != "stop":
            return
        for number in numbers:
            said = self._chosen(tries(number))
            bad = self._response(said).bad
            if bad is None:
                continue
            count = len(self._allowed(tries(number)))
            point, generation, _ = question.place.split("/")
            raise self._server.error(
                f"{point}, generation {generation}, response {number + 1}: the answer is "
                f"{_SHOWN.get(bad, bad)} (finish_reason {said.finish or None!r}), {times(count)}; "
                f"{_REMEDIES[bad]}, or go on without such answers (on_bad_answer=skip) or with "
                "them (on_bad_answer=post)",
                "what it has answered is kept",
            )

    def _tell_served(self, answer: Responses) -> None:
        """Tell the user once that a server names another model than the requested one."""
        for response in answer.responses:
            name = response.model
            if name and name != self.model.model and name not in self._served:
                self._served.add(name)
                tell_served(self.model.shown, self.model.model, self._secret.masked(name[:100]))

    def _all(
        self,
        ask: Callable[[list[int]], None],
        parts: Sequence[list[int]],
        report: Callable[[int], None],
    ) -> None:
        """Send several requests at once; after the first failure start no further one."""
        self._stop.clear()
        failures: list[BaseException] = []

        def guarded(part: list[int]) -> None:
            try:
                ask(part)
            except BaseException as error:
                failures.append(error)
                self._stop.set()  # here, as the pool begins the next one at once

        with ThreadPoolExecutor(self.model.concurrency) as pool:
            futures: list[Future[None]] = [pool.submit(guarded, part) for part in parts]
            try:
                for finished, future in enumerate(as_completed(futures), start=1):
                    future.result()
                    if failures:
                        pool.shutdown(wait=False, cancel_futures=True)
                        break
                    report(finished)
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if failures:  # those after the first were stopped by it
            raise failures[0]
