"""Run Algorithm 1 of `webdynamics`: retrieve, answer, embed, compare, post."""

from __future__ import annotations

import math
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from commensal.llm.config import GridPoint, WebConfig, part
from commensal.llm.experiment import Progress
from commensal.llm.measures import ngrams
from commensal.llm.measures.embeddings import Embedder, base_embedder, sentence_embedder
from commensal.llm.models.loading import context_of
from commensal.llm.records.branch import Branch, jsonl_gz, npy, parquet
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.timing import Clock, as_lines
from commensal.llm.seeds import generator, seed_of
from commensal.llm.web.asking import Answer, Place, Responder, Response, WebQuestion
from commensal.llm.web.cache import AnswerCache
from commensal.llm.web.endpoint import EndpointError, check_endpoints
from commensal.llm.web.languages import language_shares
from commensal.llm.web.measures import distance_matrix, mean_responses, sampling_norm, spreads
from commensal.llm.web.store import Store, described, human_posts
from commensal.llm.web.telling import bad_answers, tell
from commensal.saving import append


class WebExperiment:
    """Experiment of the web, as :class:`~commensal.llm.experiment.Experiment` defines one.

    Parameters
    ----------
    config : WebConfig
    """

    def __init__(self, config: WebConfig) -> None:
        self.config = config
        self._human: list[str] = []

    def read(self, *, download: bool = True) -> list[str]:
        """Read the human posts, and check that the keys of servers are there."""
        self._human = human_posts(self.config)
        check_endpoints(self.config)
        return []

    def check(self, out: Path) -> None:
        """Check every model as its kind needs it."""
        for model in self.config.models:
            part(model.responder).check(self.config, model)

    def described(self) -> dict[str, dict[str, Any]]:
        """Return hash and number of the human posts."""
        return {"posts": described(self._human)}

    def compute(
        self,
        directory: RunDirectory,
        device: torch.device,
        workers: int | None,
        progress: Progress,
    ) -> None:
        """Compute one grid point after the other: they share models and servers."""
        web = _Web(directory, self.config, self._human, device, progress)
        with web.opened:
            for point in self.config.grid():
                web.run(point)


class _Web:
    """Models, embedder and human posts of a run, opened when they are needed."""

    def __init__(
        self,
        directory: RunDirectory,
        config: WebConfig,
        human: list[str],
        device: torch.device,
        progress: Progress,
    ) -> None:
        self.directory = directory
        self.config = config
        self.human = human
        self.device = device
        self.progress = progress
        self.done = 0.0
        taught = [model.taught for model in config.models]
        steps = (config.generations + 1) * len(config.models) * len(config.grid())
        # a model that is taught takes about as long as some generations of it
        self._lesson = 0.1 * steps / max(sum(taught), 1)
        self.total = steps + self._lesson * sum(taught)
        self.opened = ExitStack()
        self._responders: list[Responder] = []
        self._embed: Embedder | None = None
        # answers of servers: one file for each grid point
        kept = Path(config.answers) if config.answers else directory.path / "responses"
        self._kept = cache(lambda name: AnswerCache(kept / f"{name}.jsonl"))

    def run(self, point: GridPoint) -> None:
        """Compute the missing generations of a grid point."""
        branch, store = self.directory.branch(point.name), Store(self.human)
        reads = len(self.config.taking_part(point))
        missing = not all(branch.finished(t) for t in range(self.config.generations + 1))
        for t in range(self.config.generations + 1):
            if not branch.finished(t):
                self._generation(point, branch, t, store)
            else:
                branch.check(t)
                self._advance(reads)
            if missing:
                records = branch.samples(t)
                posts = {r["model"]: r["completion"] for r in records if r["kind"] == "web"}
                store.add([posts.get(i) for i in range(reads)])

    def _advance(self, by: float | int) -> None:
        self.done += by
        self.progress(self.done, self.total)

    def _open(self) -> None:
        """Open models and embedder, in the order in which the configuration names them."""
        if self._responders:
            return
        opened: list[Responder] = []
        for at, model in enumerate(self.config.models):
            before = self.done

            def lesson(share: float | int, before: float = before) -> None:
                self.progress(before + share * self._lesson, self.total)

            place = Place(self.config, at, self.directory.path, self.device, self._kept, lesson)
            responder: Responder = part(model.responder).opened(model, place)
            self.opened.callback(responder.close)
            opened.append(responder)
            if model.taught:
                self._advance(self._lesson)
        self._embed = self._embedder(opened)
        self._responders = opened

    def _embedder(self, opened: list[Responder]) -> Embedder:
        how = self.config.embedding
        if how.model == "base":
            # the configuration has seen to it that there is one
            model, tokenizer = next(r.loaded for r in opened if r.loaded is not None)
            embed = base_embedder(model, tokenizer, self.human, context_of(model))
        else:
            embed = sentence_embedder(how.model, self.device)

        def vectors(texts: list[str]) -> Float[np.ndarray, "N D"]:
            found = embed([how.prefix + text for text in texts])
            if not how.normalised:
                return found
            lengths = np.linalg.norm(found, axis=1, keepdims=True)
            return found / np.where(lengths > 0, lengths, 1.0)

        return vectors  # pyright: ignore[reportReturnType]

    def _generation(self, point: GridPoint, branch: Branch, t: int, store: Store) -> None:
        """Compute one step of Algorithm 1, and write its folder."""
        self._open()
        assert self._embed is not None
        config, seed = self.config, point.seed
        count = config.retrieved(float(point.coordinates["read_share"]), len(store))
        clock = Clock(self.device, t)
        rows: list[dict[str, Any]] = []
        samples: list[dict[str, Any]] = []
        answers: list[Answer] = []
        for i in range(len(config.taking_part(point))):
            positions = store.retrieve(count, generator(seed, "retrieve", t, i))
            question = WebQuestion(
                [store.posts[p].text for p in positions],
                config.responses,
                seed_of(seed, "respond", t, i),
                f"{point.name}/{t}/{i}",
            )
            before = self.done
            with clock("generate", i, 0):
                answer = self._responders[i].respond(
                    question,
                    lambda share, before=before: self.progress(before + 0.99 * share, self.total),
                )
            clock.entries[-1]["tokens"] = answer.tokens
            answers.append(answer)
            read = positions[: answer.read]
            rows += self._varied(i, answer.texts)
            rows += _measured(i, answer.texts, len(positions) - len(read), store.share(read))
            if config.languages is not None:
                shares = language_shares(config.languages, answer.texts)
                rows += [_row("share", p, i, f"language {b + 1}") for b, p in enumerate(shares)]
            if answer.counts is not None:
                rows += [_row(name, value, i) for name, value in bad_answers(answer).items()]
            samples += _records(t, i, config.query, answer.responses, read)
            self._advance(1)
        shown = [model.shown for model in config.taking_part(point)]
        tell(f"{point.name}, generation {t}", shown, answers)
        if not any(answer.texts for answer in answers):
            raise EndpointError(
                f"{point.name}, generation {t}: no model gave a good answer, so there is nothing "
                "to post or to measure; what servers have answered is kept"
            )
        with clock("embed", None, 0):
            flat = self._embed([text for answer in answers for text in answer.texts])
        # what was left out is NaN
        embedded = np.full((len(answers), config.responses, flat.shape[-1]), np.nan, flat.dtype)
        counts = [[not r.left_out for r in answer.responses] for answer in answers]
        embedded[np.array(counts)] = flat
        rows += [_row("retrieved", count), _row("posts", len(store))]
        rows += [_row("web_synthetic_share", store.synthetic_share), *_distances(embedded)]
        with branch.writing(t) as folder:
            (folder / "metrics.parquet").write_bytes(parquet(_table(rows, t)))
            (folder / "samples.jsonl.gz").write_bytes(jsonl_gz(samples))
            (folder / "embeddings.npy").write_bytes(npy(embedded[:, None].astype("f4")))
        append(self.directory.path / "timings.jsonl", as_lines(clock.entries, point.name))

    def _varied(self, model: int, texts: list[str]) -> list[dict[str, Any]]:
        """Measure variety on equally many n-grams for all models and times; ``_all`` takes all."""
        longest = self.config.sampling.max_new_tokens
        rows = []
        for n in (1, 2):
            size = ngrams.compared(self.human, n, self.config.responses, longest)
            rows.append(_row(f"distinct_{n}", ngrams.distinct(texts, n, size), model))
            rows.append(_row(f"distinct_{n}_all", ngrams.distinct(texts, n), model))
        return rows


def _row(
    metric: str,
    value: float | int,
    model: int | None = None,
    dataset: str | None = None,
    other: int | None = None,
) -> dict[str, Any]:
    return {
        "model": model,
        "dataset": dataset,
        "other": other,
        "metric": metric,
        "value": float(value),
    }


def _measured(model: int, texts: list[str], unread: int, share: float) -> list[dict[str, Any]]:
    """Compute the metrics of one model's responses."""
    count = len(texts) or math.nan
    values = {
        "words": sum(len(text.split()) for text in texts) / count,
        "different": len(set(texts)) / count,
        "empty": sum(not text for text in texts) / count,
        "unread": unread,
        "synthetic_share": share,
    }
    return [_row(name, value, model) for name, value in values.items()]


def _distances(embedded: Float[np.ndarray, "n L D"]) -> list[dict[str, Any]]:
    """Compute the distances of eq. (2) and their norm."""
    apart = distance_matrix(mean_responses(embedded))
    rows = [_row("disagreement", float(np.linalg.norm(apart)))]
    rows += [_row("sampling", sampling_norm(embedded))]
    rows += [_row("spread", value, i) for i, value in enumerate(spreads(embedded))]
    n = len(apart)
    rows += [_row("distance", apart[i, j], i, None, j) for i in range(n) for j in range(i + 1, n)]
    return rows


def _records(
    generation: int, model: int, query: str, responses: list[Response], read: list[int]
) -> list[dict[str, Any]]:
    """Record all responses; the first that is not left out is posted, with what its model read."""
    found = []
    posted = next((n for n, response in enumerate(responses) if not response.left_out), None)
    for number, response in enumerate(responses):
        record: dict[str, Any] = {
            "generation": generation,
            "model": model,
            "kind": "left out" if response.left_out else "response",
            "dataset": "web",
            "prompt": query,
            "completion": response.text,
        }
        if number == posted:
            record["kind"] = "web"
        if number == (posted or 0):
            record["retrieved"] = read
        known = {
            "bad": response.bad,
            "finish_reason": response.finish,
            "answered_by": response.model,
        }
        found.append(record | {name: value for name, value in known.items() if value is not None})
    return found


def _table(rows: list[dict[str, Any]], generation: int) -> pd.DataFrame:
    """Make a tidy table with the columns that every workflow has."""
    table = pd.DataFrame(rows, columns=["model", "dataset", "other", "metric", "value"])
    table.insert(0, "generation", generation)
    table["model"] = table["model"].astype("Int64")
    table["other"] = table["other"].astype("Int64")
    table["dataset"] = table["dataset"].astype("string")
    return table
