"""Settings of a web that models read and write."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from commensal.llm.config._endpoint import TRANSPORT, EndpointModel
from commensal.llm.config._grid_point import GridPoint, named
from commensal.llm.config._posts import LanguagePosts
from commensal.llm.config._retrieval import reading_network
from commensal.llm.config._web_models import LanguageModel, WebModel
from commensal.llm.config._web_settings import WebSettings
from commensal.llm.seeds import seed_of

# What may change while a run is interrupted, so that it can go on after a bad answer.
_RULES = ("bad_answers", "ask_again", "on_bad_answer", "answers")


class WebConfig(WebSettings):
    """Models that answer one query from a web that they all post on (paper ``webdynamics``)."""

    experiment: ClassVar[str] = "commensal.llm.web.run:WebExperiment"
    report: ClassVar[str] = "commensal.llm.reports.web:contents"
    process: ClassVar[str | None] = "mixture"

    workflow: Literal["web"] = "web"

    def grid(self) -> list[GridPoint]:
        """List every combination of β, number of models and replicate."""
        found = []
        for read_share in self.read_share:
            for count in self.take_part or (None,):
                for replicate in range(self.replicates):
                    at: dict[str, float | str] = {"read_share": float(read_share)}
                    if count is not None:
                        at["models"] = float(count)
                    name = named(",".join(f"{key}={v:g}" for key, v in at.items()), replicate)
                    at["replicate"] = float(replicate)
                    found.append(GridPoint(name, at, name, self.seed_of_replicate(replicate)))
        return found

    def made_for(self, replicate: int) -> int:
        """Return the replicate whose languages, human posts and taught models this one has."""
        return replicate if self.replicate == "everything" and self.posts.drawn else 0

    def of_replicate(self, replicate: int) -> WebConfig:
        """Return these settings with seed and languages of a replicate."""
        made_for = self.made_for(replicate)
        if not made_for or self.languages is None:
            return self
        seed = self.seed_of_replicate(made_for)
        law_seed = seed_of(self.languages.law_seed, "replicate", made_for)
        posts = self.languages.model_copy(update={"law_seed": law_seed})
        return self.model_copy(update={"seed": seed, "posts": posts})

    @property
    def varies(self) -> str:
        """Description of what is new in each replicate, and what is the same in all."""
        drawn = self.posts.drawn
        parts = {"languages and human posts" if drawn else "human posts": drawn}
        parts |= {f"{'taught' if m.taught else 'given'} models": m.taught for m in self.models}
        everything = self.replicate == "everything"
        new = [name for name, can in parts.items() if can and everything]
        same = [name for name in parts if name not in new]
        kept = f"; the same in all: {', '.join(same)}" if same else ""
        return f"new in each: {', '.join([*new, 'draws of posts and answers'])}{kept}"

    @property
    def endpoints(self) -> list[EndpointModel]:
        """Models behind servers."""
        return [model for model in self.models if isinstance(model, EndpointModel)]

    @property
    def embedder(self) -> str:
        """Embedder of responses."""
        return self.embedding.model

    @property
    def large(self) -> bool:
        """Whether one core is too few for one of the models."""
        return any(model.large for model in self.models)

    def taught(self, at: int) -> tuple[LanguageModel, LanguagePosts]:
        """Return the taught model number ``at``, and the languages that it is taught in.

        Raises
        ------
        TypeError
            If the model is of another kind.
        """
        model = self.models[at]
        if not isinstance(model, LanguageModel) or self.languages is None:
            raise TypeError(f"model {at + 1} of the web is not taught")
        return model, self.languages

    def taking_part(self, point: GridPoint) -> tuple[WebModel, ...]:
        """Return the models of a grid point."""
        return self.models[: int(point.coordinates.get("models", len(self.models)))]

    def share_read(self, point: GridPoint, at: int) -> float:
        """Return the share of the web that model number ``at`` reads."""
        own = self.models[at].read_share
        return float(point.coordinates["read_share"]) if own is None else own

    def reading(self, models: int) -> Bool[np.ndarray, "n n"]:
        """Return whether model i (row) may read the posts of model j (column)."""
        return reading_network(self.who_reads, models)

    def retrieved(self, read_share: float, posts: int) -> int:
        """Compute ``k_t = ⌊β |A^(t)|⌋``, meant in decimal: 0.29 of 100 is 29."""
        return math.floor(read_share * posts * (1 + 1e-12))

    def facts(self) -> list[tuple[str, str]]:
        """Describe n, β, L, query and models, for reports."""
        found = [("models (n)", ", ".join(f"{n}" for n in self.take_part or (len(self.models),)))]
        found += [(f"model {i + 1}", m.described()) for i, m in enumerate(self.models)]
        found += [
            ("β", ", ".join(f"{b:g}" for b in self.read_share)),
            ("responses (L)", f"{self.responses} of each model at each step, one posted"),
            ("query", "; ".join(self.queries)),
            ("embedding", self.embedding.model),
            *self._beyond_the_paper(),
        ]
        if self.strip:
            found.append(("left out of answers", ", ".join(f"<{tag}>" for tag in self.strip)))
        if self.endpoints:
            then = {"stop": "then stop", "skip": "then left out", "post": "then posted"}
            kinds = ", ".join(kind.replace("_", " ") for kind in self.bad_answers) or "none"
            times = (
                f"up to {self.ask_again} more requests each" if self.ask_again else "not repeated"
            )
            found.append(("bad answers", f"{kinds}; {times}, {then[self.on_bad_answer]}"))
        if self.replicates > 1:
            found.append(("replicates", f"{self.replicates}; {self.varies}"))
        return found

    def _beyond_the_paper(self) -> Iterator[tuple[str, str]]:
        """Yield what differs from Algorithm 1 of the paper."""
        if self.retrieval.kind != "uniform":
            yield "retrieval", self.retrieval.described()
        if self.who_reads != "all":
            rows = self.who_reads
            yield (
                "who reads whom",
                rows
                if isinstance(rows, str)
                else "; ".join("".join(str(int(one)) for one in row) for row in rows),
            )
        if self.posts.each_step:
            yield "new human posts", f"{self.posts.each_step} after each step"
        for model in self.models:
            if model.read_share is not None:
                yield f"β of {model.shown}", f"{model.read_share:g}"
            if model.posting_rate != 1:
                yield f"posts of {model.shown}", f"{model.posting_rate:g} a step and query"

    def identifying(self) -> dict[str, Any]:
        """Return all settings but the access to endpoints and the treatment of bad answers.

        A run that stopped at a bad answer can so go on under another rule; what each generation
        left out or posted is in its records.
        """
        config = self.model_dump(mode="json")
        taught = all(model.taught for model in self.models)
        for name in (*_RULES, "strip") if taught else _RULES:  # such a model writes no tags
            del config[name]
        for model in config["models"]:
            if model["kind"] == "endpoint":
                for name in TRANSPORT:
                    del model[name]
        return config
