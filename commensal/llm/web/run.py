"""Run Algorithm 1 of `webdynamics`: retrieve, answer, embed, compare, post."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from commensal.llm.config import GridPoint, WebConfig, part
from commensal.llm.devices import Machines
from commensal.llm.experiment import Progress
from commensal.llm.records.branch import Branch, jsonl_gz, npy, parquet
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.timing import Clock, as_lines
from commensal.llm.seeds import generator, seed_of
from commensal.llm.web.asking import Responses, WebQuestion, together
from commensal.llm.web.cast import Cast, Casts, Steps
from commensal.llm.web.endpoint import EndpointError, check_endpoints
from commensal.llm.web.languages import language_shares, languages_of
from commensal.llm.web.law import answer_law
from commensal.llm.web.records import (
    Row,
    distance_rows,
    posts_of,
    reads_of,
    record_answer,
    response_rows,
    row,
    share_rows,
    tidy,
    variety_rows,
)
from commensal.llm.web.store import Post, Store, described, human_posts
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
        self._human: dict[int, list[list[str]]] = {}

    def read(self, *, download: bool = True) -> list[str]:
        """Read the human posts, and check that the keys of servers are there."""
        made_for = {self.config.made_for(r) for r in range(self.config.replicates)}
        self._human = {r: human_posts(self.config, r) for r in sorted(made_for)}
        check_endpoints(self.config)
        return []

    def check(self, out: Path) -> None:
        """Check every model as its kind needs it."""
        for model in self.config.models:
            part(model.responder).check(self.config, model)

    def described(self) -> dict[str, dict[str, Any]]:
        """Return hash and number of all human posts that differ between replicates."""
        steps = [step for posts in self._human.values() for step in posts]
        return {"posts": described([text for step in steps for text in step])}

    def compute(
        self,
        directory: RunDirectory,
        device: torch.device,
        machines: Machines,
        progress: Progress,
    ) -> None:
        """Compute one grid point after the other: they share models and servers."""
        if machines.part is not None or machines.ray is not None:
            raise ValueError(
                "the grid points of the workflow web share models and servers, and are not divided "
                "over machines: leave --shard and --ray out"
            )
        web = _Web(directory, self.config, self._human, device, progress)
        with web.casts.opened:
            for point in self.config.grid():
                web.run(point)


class _Web:
    """A run of a web in the making."""

    def __init__(
        self,
        directory: RunDirectory,
        config: WebConfig,
        human: dict[int, list[list[str]]],
        device: torch.device,
        progress: Progress,
    ) -> None:
        self.directory = directory
        self.config = config
        self.device = device
        lessons = sum(model.taught for model in config.models) * len(human)
        steps = (config.generations + 1) * len(config.models) * len(config.grid())
        # a model that is taught takes about as long as some generations of it
        lesson = 0.1 * steps / max(lessons, 1)
        self.steps = Steps(progress, steps + lesson * lessons)
        self.casts = Casts(config, directory.path, human, device, lesson, self.steps)

    def run(self, point: GridPoint) -> None:
        """Compute the missing generations of a grid point."""
        replicate = self.config.made_for(int(point.coordinates["replicate"]))
        human = self.casts.human[replicate]
        branch, store = self.directory.branch(point.name), Store(human[0])
        reads = len(self.config.taking_part(point))
        missing = not all(branch.finished(t) for t in range(self.config.generations + 1))
        for t in range(self.config.generations + 1):
            if not branch.finished(t):
                self._generation(point, branch, t, store, self.casts.of(replicate))
            else:
                branch.check(t)
                self.steps.advance(reads)
            if missing and t < self.config.generations:
                records = branch.samples(t)
                store.mark_read(reads_of(records))
                new = [Post(text, author, t + 1) for author, text in posts_of(records)]
                store.add([*new, *(Post(text, None, t + 1) for text in human[t + 1])])

    def _generation(
        self, point: GridPoint, branch: Branch, t: int, store: Store, cast: Cast
    ) -> None:
        """Compute one step of Algorithm 1, and write its folder."""
        config, taking_part = cast.config, cast.config.taking_part(point)
        clock = Clock(self.device, t)
        rows: list[Row] = []
        samples: list[dict[str, Any]] = []
        answers: list[list[Responses]] = []
        counts: list[int] = []
        for i, model in enumerate(taking_part):
            posted = model.posted(t + 1) - model.posted(t)
            retrieved, read, given = [], [], []
            for q in range(len(config.queries)):
                positions = self._retrieve(point, t, i, q, store, cast)
                answer = self._ask(
                    point, t, i, q, [store.posts[p].text for p in positions], cast, clock
                )
                given.append(answer)
                retrieved.append(positions)
                read.append(positions[: answer.read])
                samples += record_answer(t, i, config.queries[q], answer.responses, read[q], posted)
            answers.append(given)
            counts += [len(positions) for positions in retrieved]
            texts = [text for answer in given for text in answer.texts]
            unread = sum(map(len, retrieved)) - sum(map(len, read))
            rows += variety_rows(config, cast.human[0], i, texts)
            rows += response_rows(i, texts, unread, store.share([p for of in read for p in of]))
            if config.languages is not None:
                shares = [language_shares(config.languages, answer.texts) for answer in given]
                rows += share_rows("share", i, shares)
            if model.taught:
                rows += self._taught(i, [[store.posts[p].text for p in of] for of in read], cast)
                if not t:
                    rows += [row(name, value, i) for name, value in cast.calibrated(i).items()]
            whole = together(given)
            if whole.counts is not None:
                rows += [row(name, value, i) for name, value in bad_answers(whole).items()]
        names = [model.shown for model in taking_part]
        tell(f"{point.name}, generation {t}", names, [together(given) for given in answers])
        every = [answer for given in answers for answer in given]
        if not any(answer.texts for answer in every):
            raise EndpointError(
                f"{point.name}, generation {t}: no model gave a good answer, so there is nothing "
                "to post or to measure; what servers have answered is kept"
            )
        with clock("embed", None, 0):
            flat = cast.embed([text for answer in every for text in answer.texts])
        # what was left out is NaN
        size = (len(answers), len(config.queries), config.responses)
        embedded = np.full((*size, flat.shape[-1]), np.nan, flat.dtype)
        good = [[[not r.left_out for r in a.responses] for a in given] for given in answers]
        embedded[np.array(good)] = flat
        rows += [row("retrieved", float(np.mean(counts))), row("posts", len(store))]
        rows += [row("web_synthetic_share", store.synthetic_share), *distance_rows(embedded)]
        with branch.writing(t) as folder:
            (folder / "metrics.parquet").write_bytes(parquet(tidy(rows, t)))
            (folder / "samples.jsonl.gz").write_bytes(jsonl_gz(samples))
            (folder / "embeddings.npy").write_bytes(npy(embedded.astype("f4")))
        append(self.directory.path / "timings.jsonl", as_lines(clock.entries, point.name))

    def _retrieve(
        self, point: GridPoint, t: int, i: int, q: int, store: Store, cast: Cast
    ) -> list[int]:
        """Choose the posts that model i reads for a query."""
        config = cast.config
        among = store.readable(config.reading(len(config.taking_part(point)))[i])
        count = config.retrieved(config.share_read(point, i), len(among))

        def similarities(texts: list[str]) -> Float[np.ndarray, " N"]:
            query = cast.vector(config.queries[q])
            vectors = np.stack([cast.vector(text) for text in texts])
            lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
            return (vectors @ query) / np.where(lengths > 0, lengths, 1.0)

        return store.retrieve(
            count,
            generator(point.seed, "retrieve", t, i, *_further(q)),
            how=config.retrieval,
            among=among,
            step=t,
            similarities=similarities,
        )

    def _ask(
        self,
        point: GridPoint,
        t: int,
        i: int,
        q: int,
        posts: list[str],
        cast: Cast,
        clock: Clock,
    ) -> Responses:
        """Ask model i a query, with the posts that it has retrieved."""
        further = "".join(f",query={number}" for number in _further(q))
        question = WebQuestion(
            posts,
            cast.config.responses,
            seed_of(point.seed, "respond", t, i, *_further(q)),
            f"{point.name}/{t}/{i}{further}",
            q,
        )
        part_of = 1 / len(cast.config.queries)
        with clock("generate", i, 0):
            answer = cast.responders[i].respond(
                question,
                lambda share: self.steps.within(0.99 * share * part_of),
            )
        clock.entries[-1]["tokens"] = answer.tokens
        self.steps.advance(part_of)
        return answer

    def _taught(self, i: int, read: list[list[str]], cast: Cast) -> list[Row]:
        """Compute the shares of languages that a model was taught to answer what it read with."""
        model, languages = cast.config.taught(i)
        counts = [languages_of(languages, posts).sum(axis=0) for posts in read]
        return share_rows("taught", i, [answer_law(model, count) for count in counts])


def _further(query: int) -> tuple[int, ...]:
    """Name of a query where something is drawn for it; the first is as if it were alone."""
    return (query,) if query else ()
