"""Settings of a web that models read and write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import Formatter
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from commensal.llm.config._endpoint import TRANSPORT, BadAnswer, EndpointModel
from commensal.llm.config._experiment import ExperimentConfig
from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._parts import Count, SamplingConfig, Settings, Share
from commensal.llm.config._posts import LanguagePosts, PostsConfig
from commensal.llm.config._web_models import LanguageModel, WebModel
from commensal.llm.seeds import seed_of

# What may change while a run is interrupted, so that it can go on after a bad answer.
_RULES = ("bad_answers", "ask_again", "on_bad_answer", "answers")


class Embedding(Settings):
    """Settings of the embedding of responses."""

    model: str = "base"
    """Embedder. ``base``: mean hidden states of the first model that is loaded here; else the name
    or folder of a sentence-transformers model."""
    prefix: str = ""
    """Text put before each response, for models that are told their purpose."""
    normalised: bool = False
    """Whether vectors are made to have length 1. The paper's are longer: its ‖D‖_F exceeds 20,
    and of three unit vectors it is at most 4.3."""


class WebConfig(ExperimentConfig):
    """Models that answer one query from a web that they all post on (paper ``webdynamics``)."""

    # whose errors are those of its models
    model_config = ConfigDict(hide_input_in_errors=True)

    experiment: ClassVar[str] = "commensal.llm.web.run:WebExperiment"
    report: ClassVar[str] = "commensal.llm.reports.web:contents"
    process: ClassVar[str | None] = "mixture"

    workflow: Literal["web"] = "web"
    generations: Annotated[int, Field(ge=0)] = 60
    """Last step T; there are T + 1, as at t = 0 the models answer from human posts."""
    models: Annotated[tuple[WebModel, ...], Field(min_length=1)]
    posts: PostsConfig
    """Human posts A^(0)."""
    query: Annotated[str, Field(min_length=1)]
    prompt: str = "{posts}\n\n{query}"
    """Template of a model's prompt, around the posts that it has retrieved."""
    post: str = "- {post}"
    """Template of one retrieved post in the prompt; there is a line break between two."""
    read_share: tuple[Share, ...] = (0.5,)
    """Shares of the web that a model reads: k_t = ⌊β |A^(t)|⌋. Each is a grid point."""
    take_part: tuple[Count, ...] | None = None
    """Numbers n of models that take part, from the first of the list on; each number is a grid
    point. By default all."""
    replicates: Count = 1
    """Number of independent repetitions, each a grid point."""
    responses: Count = 40
    """Number of responses L of each model at each step, to the same prompt; the first is posted."""
    sampling: SamplingConfig = SamplingConfig(max_new_tokens=64, batch_size=40)
    strip: tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")], ...] = ("think",)
    """Tags whose blocks are no part of an answer, such as <think>...</think>. A block that is not
    closed goes to the end of the text; all before a closing tag that nothing opens goes too."""
    bad_answers: tuple[BadAnswer, ...] = ("empty", "refused", "filtered", "tool_call", "cut")
    """Kinds of servers' answers that count as bad. All answers are kept as they came, so a change
    costs no request."""
    ask_again: Annotated[int, Field(ge=0)] = 2
    """Largest number of times that a bad answer is asked for again, at the same price."""
    on_bad_answer: Literal["stop", "skip", "post"] = "stop"
    """Treatment of an answer that stays bad. stop: end the session; skip: neither post nor measure
    it, and post the model's first good one; post: treat it as a good one."""
    answers: str | None = None
    """Folder where answers of servers are kept; by default ``responses`` in the run's. Runs of
    the same seed that share it pay for the same request once."""
    embedding: Embedding = Embedding()

    @field_validator("read_share", "take_part", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, (int, float)) else value

    @field_validator("read_share", "take_part")
    @classmethod
    def _each_once(cls, value: Any) -> Any:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError(f"needs one value or more, each once, got {list(value)}")
        return value

    @field_validator("prompt", "post")
    @classmethod
    def _places(cls, value: str, info: Any) -> str:
        wanted = {"prompt": {"posts", "query"}, "post": {"post"}}[info.field_name]
        try:
            found = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        except ValueError as error:
            raise ValueError(f"is no template: {error}") from None
        if found != wanted:
            names = " and ".join(f"{{{name}}}" for name in sorted(wanted))
            raise ValueError(f"must have the places {names} and no others, got {value!r}")
        return value

    @field_validator("sampling")
    @classmethod
    def _no_count(cls, value: SamplingConfig) -> SamplingConfig:
        if value.count is not None:
            raise ValueError(f"this workflow has responses in place of count, got {value.count}")
        return value

    @model_validator(mode="after")
    def _fits(self) -> WebConfig:
        kinds = {model.kind for model in self.models}
        for count in self.take_part or ():
            if count > len(self.models):
                raise ValueError(f"take_part may be at most {len(self.models)}, got {count}")
        languages = self.languages
        for model in self.models:
            if not isinstance(model, LanguageModel):
                continue
            if languages is None:
                raise ValueError("models of kind scratch need posts of kind languages")
            if len(model.prior) != len(languages.counts) or not sum(model.prior) > 0:
                raise ValueError(
                    f"a prior needs {len(languages.counts)} weights, one per language and not all "
                    f"0, got {list(model.prior)}"
                )
        if "scratch" in kinds and "\0" not in self.ask(["\0"]).split():
            raise ValueError(
                f"models of kind scratch need white space around {{post}}, got {self.post!r}"
            )
        if languages and "scratch" in kinds and self.sampling.max_new_tokens <= languages.words:
            raise ValueError(
                f"max_new_tokens must be above the {languages.words} words of a post, "
                f"got {self.sampling.max_new_tokens}"
            )
        if self.embedding.model == "base" and kinds == {"endpoint"}:
            raise ValueError(
                "embedding model base needs a model that is loaded here; endpoints give no states: "
                "name a sentence-transformers model"
            )
        if self.sampling.top_k is not None and "endpoint" in kinds:
            raise ValueError(
                "top_k is not in the protocol of endpoints; put it into their extra, "
                f"got {self.sampling.top_k}"
            )
        return self

    def grid(self) -> list[GridPoint]:
        """List every combination of β, number of models and replicate."""
        found = []
        for read_share in self.read_share:
            for count in self.take_part or (None,):
                for replicate in range(self.replicates):
                    at: dict[str, float | str] = {"read_share": float(read_share)}
                    if count is not None:
                        at["models"] = float(count)
                    if self.replicates > 1:
                        at["replicate"] = float(replicate)
                    name = ",".join(f"{key}={value:g}" for key, value in at.items())
                    # the first replicate is what a run without others would be
                    seed = seed_of(self.seed, "replicate", replicate) if replicate else self.seed
                    found.append(GridPoint(name, at, name, seed))
        return found

    @property
    def languages(self) -> LanguagePosts | None:
        """Settings of the human posts, if they are in made-up languages; else None."""
        return self.posts if isinstance(self.posts, LanguagePosts) else None

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

    def retrieved(self, read_share: float, posts: int) -> int:
        """Compute k_t = ⌊β |A^(t)|⌋, meant in decimal: 0.29 of 100 is 29."""
        return math.floor(read_share * posts * (1 + 1e-12))

    def ask(self, posts: Sequence[str]) -> str:
        """Write the prompt around these posts."""
        listed = "\n".join(self.post.format(post=post) for post in posts)
        return self.prompt.format(posts=listed, query=self.query)

    def facts(self) -> list[tuple[str, str]]:
        """Describe n, β, L, query and models, for reports."""
        found = [("models (n)", ", ".join(f"{n}" for n in self.take_part or (len(self.models),)))]
        found += [(f"model {i + 1}", m.described()) for i, m in enumerate(self.models)]
        found += [
            ("β", ", ".join(f"{b:g}" for b in self.read_share)),
            ("responses (L)", f"{self.responses} of each model at each step, one posted"),
            ("query", self.query),
            ("embedding", self.embedding.model),
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
            found.append(("replicates", str(self.replicates)))
        return found

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
