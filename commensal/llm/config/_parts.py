"""Settings that several workflows share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_serializer,
    model_validator,
)

Share = Annotated[float, Field(ge=0, le=1)]
"""Type of a setting that is a share, from 0 to 1."""
Count = Annotated[int, Field(ge=1)]
"""Type of a setting that is a whole number of at least 1."""
Gigabytes = Annotated[float, Field(gt=0)]
"""Type of a setting that is an amount of memory, in units of 10⁹ bytes."""


class Settings(BaseModel):
    """Base class of settings that refuses unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class OptimisationConfig(Settings):
    """Number of steps of AdamW, and a learning rate that warms up and then stays or falls.

    The rate rises linearly over the first ``warmup_ratio`` of the steps, rounded to a whole number
    of them (0.025 of 50 is 1); each step sees ``accumulation`` batches of ``batch_size`` examples,
    and weighs all their tokens equally.
    """

    steps: Annotated[int, Field(ge=0)] = 100
    """Number of steps of the optimiser."""
    batch_size: Count = 16
    """Number of examples in a batch."""
    accumulation: Count = 1
    """Number of batches that one step sees."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Largest learning rate, which is reached after warming up."""
    warmup_ratio: Share = 0.025
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate after warming up; cosine: it falls to zero along half a cosine."""
    second_moment: Annotated[float, Field(gt=0, lt=1)] = 0.999
    """Decay rate β₂ of AdamW's second moment."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay of AdamW."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient; longer ones are clipped."""
    logits_memory: Gigabytes = 4.0
    """Gigabytes that the logits of a batch may take; larger batches are computed in parts, with the
    same result up to rounding."""
    checkpointing: bool = False
    """Whether to keep the states between layers alone, and to compute those within a layer again
    for its gradients: a third more time, and memory that hardly grows with the number of layers."""

    @property
    def examples(self) -> int:
        """Number of examples that all steps see."""
        return self.steps * self.batch_size * self.accumulation


class TrainingConfig(OptimisationConfig):
    """Settings of the training of one generation."""

    examples_drawn: Count | None = None
    """Number of examples n drawn i.i.d. each generation; by default as many as the steps see."""
    loss_on: Literal["completion", "text"] = "completion"
    """Part of an example that the loss covers. Prompts are human text, also those that models
    complete: with text, a model that reads the web alone goes on learning from people. In the runs
    of the paper ``interactive`` prompts are learnt too."""
    max_tokens: Annotated[int, Field(ge=2)] | None = None
    """Largest number of tokens of an example; longer ones lose their end. By default the model's
    context."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of training. bfloat16: autocast; auto: bfloat16 on a GPU that has it, float32
    elsewhere."""
    together: bool = False
    """Whether to train all models in one vectorised step (torch.func); they must not use
    dropout."""


class SamplingConfig(Settings):
    """Settings of sampling completions."""

    count: Count | None = None
    """Number of completions that each model adds to the web each generation; by default as many as
    examples are drawn."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Temperature that the logits are divided by; 1: as the model has it."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the probability that tokens are drawn from, the likeliest first; 1: all tokens."""
    top_k: Count | None = None
    """Number of likeliest tokens that are drawn from; by default all."""
    max_new_tokens: Count = 32
    """Largest number of tokens of a completion."""
    batch_size: Count = 128
    """Number of completions that are sampled at once."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of writing. bfloat16: the weights are held in it meanwhile; auto: bfloat16 on a
    GPU that has it, float32 elsewhere."""
    cache: Literal["auto", "dynamic", "static"] = "auto"
    """Memory for the states of what is written. static: of one size, so that a GPU runs each token
    as one compiled graph, and prompts are padded to few lengths; dynamic: it grows with the text;
    auto: static on a GPU, dynamic elsewhere."""
    engine: Literal["batches", "continuous"] = "batches"
    """Engine that writes. batches: a batch lasts until its longest text has ended; continuous:
    transformers' continuous batching, where the next text begins as soon as one has ended. Both
    write the same texts, up to rounding."""

    @model_validator(mode="after")
    def _own_cache(self) -> SamplingConfig:
        if self.engine == "continuous" and self.cache != "auto":
            raise ValueError(
                f"engine continuous has a cache of its own: leave cache out, got {self.cache}"
            )
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Leave out the usual engine, so that runs of earlier versions stay the same."""
        return {k: v for k, v in handler(self).items() if (k, v) != ("engine", "batches")}


class MeasurementConfig(Settings):
    """Measurements of each generation, and their sample sizes."""

    batch_size: Count = 64
    """Number of examples whose loss is computed at once."""
    logits_memory: Gigabytes = 4.0
    """Gigabytes that their logits may take; batches are smaller where they would not fit."""
    test: Count | None = None
    """Largest number of test examples per task; by default all."""
    prompts: Annotated[int, Field(ge=0)] = 200
    """Number of fixed prompts per dataset, whose completions are compared; 0: none."""
    embedder: str = "base"
    """Embedder of completions. ``base``: mean hidden states of the base model; else a
    sentence-transformers model."""
    rare_share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of a task's text that its rare tokens, the least frequent ones, make up together."""


Attention = Literal["auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3"]


class LoraConfig(Settings):
    """Low-rank adapters (LoRA), which are trained in place of a model's own weights."""

    rank: Count = 16
    """Rank of what is added to each matrix."""
    scale: Annotated[float, Field(gt=0)] = 2.0
    """Factor of what is added (the adapters' alpha is this times the rank)."""
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Names of the modules that get adapters; all-linear: every one but the output layer."""


# Width, layers, heads.
SIZES = {"tiny": (64, 3, 4), "small": (128, 5, 4), "medium": (512, 8, 8)}
_NUMBERS = ("width", "layers", "heads", "inner")


class ScratchModel(Settings):
    """A small model of a known architecture, trained on the public data first."""

    base: ClassVar[str] = "commensal.llm.models.loading:ScratchBase"
    pretrained: ClassVar[bool] = False

    kind: Literal["scratch"] = "scratch"
    architecture: Literal["llama", "gpt2", "opt"] = "llama"
    """Architecture of the model."""
    size: Literal["tiny", "small", "medium"] | None = "tiny"
    """Size of the model. tiny, small and medium have about 0.2, 1.3 and 30 million parameters;
    none: ``width``, ``layers``, ``heads`` and ``inner`` give the size."""
    width: Count | None = None
    """Width of the hidden states, in place of ``size``; with ``layers`` and ``heads``."""
    layers: Count | None = None
    """Number of layers, in place of ``size``."""
    heads: Count | None = None
    """Number of attention heads; each has width / heads dimensions."""
    inner: Count | None = None
    """Width of the feed-forward layers; by default 8/3 of ``width`` for llama, which has three
    matrices there, in multiples of 16, and four times ``width`` for the others."""
    context: Annotated[int, Field(ge=8)] = 128
    """Number of tokens that the model can see."""
    tokenizer: Literal["auto", "words", "bpe"] = "auto"
    """Kind of tokenizer. words: one token per word; bpe: trained on the corpora; auto: words where
    every law is known, bpe elsewhere."""
    vocabulary: Annotated[int, Field(ge=300)] | None = None
    """Number of tokens of a bpe tokenizer; by default 512, 2,048 and 8,192 for the three sizes, and
    8,192 for a size in numbers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate."""
    pretraining: OptimisationConfig = OptimisationConfig(
        steps=400, batch_size=32, learning_rate=3e-3
    )
    """Training of the base on the public data, before the first generation."""

    @model_validator(mode="before")
    @classmethod
    def _named_or_numbers(cls, given: Any) -> Any:
        numbers = isinstance(given, dict) and any(given.get(n) is not None for n in _NUMBERS)
        return {"size": None} | given if numbers else given

    @model_validator(mode="after")
    def _one_shape(self) -> ScratchModel:
        numbers = [name for name in _NUMBERS if getattr(self, name) is not None]
        if self.size is not None and numbers:
            raise ValueError(
                f"a model has a named size or one in numbers: set size to null instead of "
                f"{self.size}, or leave out {', '.join(numbers)}"
            )
        if self.size is None and (self.width is None or self.layers is None or self.heads is None):
            raise ValueError("a size in numbers needs width, layers and heads; inner may be added")
        if self.width is not None and self.heads is not None:
            if self.width % self.heads:
                raise ValueError(
                    f"width must be a multiple of heads, got {self.width} and {self.heads}"
                )
            if self.architecture == "llama" and self.width // self.heads % 2:
                raise ValueError(
                    "width / heads must be even, for rotary positions turn dimensions in pairs; "
                    f"got {self.width} / {self.heads}"
                )
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Leave out numbers that are not given, so that runs of earlier versions stay the same."""
        return {k: v for k, v in handler(self).items() if k not in _NUMBERS or v is not None}

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return width, number of layers, number of heads, and width of the feed-forward layers."""
        width, layers, heads = (self.width, self.layers, self.heads)
        if self.size is not None:
            width, layers, heads = SIZES[self.size]
        assert width is not None
        assert layers is not None
        assert heads is not None
        usual = 16 * math.ceil(width / 6) if self.architecture == "llama" else 4 * width
        return width, layers, heads, self.inner or usual

    def described(self) -> str:
        """Describe the model for reports."""
        width, layers, *_ = self.shape
        size = self.size or f"{layers} layers of width {width}"
        return f"{self.architecture}, {size}, from scratch"

    @property
    def large(self) -> bool:
        """Whether one core is too few to train the model."""
        width, layers, *_ = self.shape
        return width * width * layers > 10**6


class PretrainedModel(Settings):
    """A model that transformers loads, by name or from a folder."""

    base: ClassVar[str] = "commensal.llm.models.loading:PretrainedBase"
    pretrained: ClassVar[bool] = True
    large: ClassVar[bool] = True

    kind: Literal["pretrained"] = "pretrained"
    name: str
    """Name on the Hugging Face Hub, or the path of a folder."""
    revision: str | None = None
    """Branch, tag or commit on the Hub; by default its main branch."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Dropout rate; by default the model's own."""
    attention: Attention = "auto"
    """Implementation of attention, as transformers calls it; auto: as it sees fit on this
    machine."""
    lora: LoraConfig | None = None
    """Low-rank adapters to train in place of all weights; none by default."""

    def described(self) -> str:
        """Describe the model for reports."""
        adapters = "" if self.lora is None else f", adapters of rank {self.lora.rank}"
        return f"{self.name}{adapters}"


def _with_kind(given: Any) -> Any:
    """Infer a model's kind: pretrained if it has a name, else from scratch."""
    if isinstance(given, dict) and "kind" not in given:
        return {"kind": "pretrained" if "name" in given else "scratch"} | given
    return given


ModelConfig = Annotated[
    Annotated[ScratchModel | PretrainedModel, Field(discriminator="kind")],
    BeforeValidator(_with_kind),
]
"""Settings of a model; without a kind, one with a name is pretrained, and others from scratch."""
