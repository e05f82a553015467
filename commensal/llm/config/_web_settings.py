"""Fields of the settings of a web, and what they must fulfil."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from commensal.llm.config._endpoint import BadAnswer
from commensal.llm.config._experiment import ExperimentConfig
from commensal.llm.config._parts import Count, SamplingConfig, Settings, Share
from commensal.llm.config._posts import LanguagePosts, PostsConfig
from commensal.llm.config._retrieval import (
    RetrievalConfig,
    UniformRetrieval,
    WhoReads,
)
from commensal.llm.config._web_models import LanguageModel, WebModel


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


class WebSettings(ExperimentConfig):
    """Fields of :class:`WebConfig`."""

    # whose errors are those of its models
    model_config = ConfigDict(hide_input_in_errors=True)

    generations: Annotated[int, Field(ge=0)] = 60
    """Last step T; there are T + 1, as at t = 0 the models answer from human posts."""
    models: Annotated[tuple[WebModel, ...], Field(min_length=1)]
    """Models that read and post."""
    posts: PostsConfig
    """Human posts A^(0), and those that are new at each step."""
    query: str | tuple[str, ...]
    """Query that the models answer, one in the paper. Of several, each model answers each at each
    step, from posts retrieved for it, and ‖D‖ is of the root mean square over queries."""
    prompt: str = "{posts}\n\n{query}"
    """Template of a model's prompt, around the posts that it has retrieved."""
    post: str = "- {post}"
    """Template of one retrieved post in the prompt; there is a line break between two."""
    read_share: tuple[Share, ...] = (0.5,)
    """Shares of the web that a model reads: k_t = ⌊β |A^(t)|⌋. Each is a grid point."""
    retrieval: RetrievalConfig = UniformRetrieval()
    """How a model's k_t posts are chosen: uniform (the paper), recent, popular or similar."""
    who_reads: WhoReads = "all"
    """Whose posts a model may read, beside human ones; k_t counts these. all (the paper): those of
    all models, its own too; others: not its own; ring: those of the model before it; or a matrix
    with a row for each reader and a column for each author."""
    take_part: tuple[Count, ...] | None = None
    """Numbers n of models that take part, from the first of the list on; each number is a grid
    point. By default all."""
    replicate: Literal["everything", "sampling"] = "everything"
    """Parts that are new in a replicate. everything: languages, human posts, taught models and all
    draws; sampling: draws of posts and answers only. Posts and models that are given are always
    the same."""
    responses: Count = 40
    """Number of responses L of each model at each step, to the same prompt; the first is posted, or
    as many as the model's ``posting_rate`` says."""
    sampling: SamplingConfig = SamplingConfig(max_new_tokens=64, batch_size=40)
    """Sampling of responses."""
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
    """Embedding of responses, in which the models are compared."""

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

    @field_validator("query")
    @classmethod
    def _some_query(cls, value: Any) -> Any:
        asked = (value,) if isinstance(value, str) else value
        if not asked or "" in asked or len(set(asked)) < len(asked):
            raise ValueError(f"needs one text or more, each once and not empty, got {value!r}")
        return value

    @field_validator("who_reads")
    @classmethod
    def _someone_reads(cls, value: Any, info: Any) -> Any:
        count = len(info.data.get("models", ()))
        if not isinstance(value, str) and [len(row) for row in value] != [count] * count:
            raise ValueError(f"a matrix needs {count} rows of {count} entries, one per model")
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
    def _fits(self) -> WebSettings:
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
        if "scratch" in kinds and any(
            "\0" not in self.ask(["\0"], q).split() for q in range(len(self.queries))
        ):
            raise ValueError(
                f"models of kind scratch need white space around {{post}}, got {self.post!r}"
            )
        if languages and "scratch" in kinds and self.sampling.max_new_tokens <= languages.words:
            raise ValueError(
                f"max_new_tokens must be above the {languages.words} words of a post, "
                f"got {self.sampling.max_new_tokens}"
            )
        for at, model in enumerate(self.models):
            if model.posting_rate > self.responses:
                raise ValueError(
                    f"models.{at}.posting_rate may be at most the {self.responses} responses, "
                    f"got {model.posting_rate:g}"
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

    @property
    def languages(self) -> LanguagePosts | None:
        """Settings of the human posts, if they are in made-up languages; else None."""
        return self.posts if isinstance(self.posts, LanguagePosts) else None

    @property
    def queries(self) -> tuple[str, ...]:
        """Queries that the models answer."""
        return (self.query,) if isinstance(self.query, str) else self.query

    def ask(self, posts: Sequence[str], query: int = 0) -> str:
        """Write the prompt around these posts."""
        listed = "\n".join(self.post.format(post=post) for post in posts)
        return self.prompt.format(posts=listed, query=self.queries[query])
