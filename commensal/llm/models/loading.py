"""Language models by name, from folders, or from scratch at three sizes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from commensal._outputs import cache_folder
from commensal.llm.config import PretrainedModel, ScratchModel, TrainedConfig, part
from commensal.llm.corpora import Corpus
from commensal.llm.models.pretrained import (
    add_adapters,
    check_vocabulary,
    dropouts,
    loaded,
    open_config,
    open_model,
    open_tokenizer,
)
from commensal.llm.models.tokens import encode, marks_of, train_tokenizer
from commensal.llm.models.training import Diverged, train
from commensal.llm.records.directory import staged
from commensal.llm.seeds import generator, seed_of

VOCABULARY = {"tiny": 512, "small": 2048, "medium": 8192, None: 8192}


Progress = Callable[[float | int, float | int], None]


@runtime_checkable
class Base(Protocol):
    """Base that all models of a run start from: one class for each kind of ``model``.

    It is made of the run's configuration and of the part ``model`` of it, which names the class
    as its ``base``.
    """

    def shape(self) -> PretrainedConfig:
        """Return the network's configuration, with a usual vocabulary where none is known."""
        ...

    def tokenizer(self, corpora: Sequence[Corpus]) -> tuple[PreTrainedTokenizerBase, int]:
        """Return the tokenizer, and how many tokens the network can see."""
        ...

    def network(
        self,
        tokenizer: PreTrainedTokenizerBase,
        public: Corpus,
        device: torch.device,
        progress: Progress | None,
    ) -> PreTrainedModel:
        """Return the network, in float32 on the device."""
        ...

    def opened(self, folder: Path) -> PreTrainedModel:
        """Return the network again, on the CPU.

        Parameters
        ----------
        folder : Path
            Where the run has kept it, if the run has made it.
        """
        ...

    def check(self, corpora: Sequence[Corpus]) -> None:
        """Refuse what could only fail later on.

        Raises
        ------
        ValueError
            In one line that says how to mend it.
        """
        ...


class PretrainedBase:
    """A model that transformers loads, with its own tokenizer."""

    def __init__(self, config: TrainedConfig, model: PretrainedModel) -> None:
        self.config = config
        self.model = model

    def shape(self) -> PretrainedConfig:
        """Read the network's configuration from its folder."""
        return open_config(self.model.name, self.model.revision)

    def tokenizer(self, corpora: Sequence[Corpus]) -> tuple[PreTrainedTokenizerBase, int]:
        """Open the model's own tokenizer."""
        known = self.shape()
        tokenizer = open_tokenizer(self.model.name, self.model.revision)
        check_vocabulary(self.model.name, tokenizer, known)
        return tokenizer, context_in(known)

    def network(
        self,
        tokenizer: PreTrainedTokenizerBase,
        public: Corpus,
        device: torch.device,
        progress: Progress | None,
    ) -> PreTrainedModel:
        """Load the weights as they were saved."""
        return self.opened(Path()).to(device)  # pyright: ignore[reportArgumentType]

    def opened(self, folder: Path) -> PreTrainedModel:
        """Open it by its name, with adapters that change nothing yet where it has any."""
        given = self.model
        model = open_model(
            given.name, given.revision, dropout=given.dropout, attention=given.attention
        )
        if given.lora is not None:
            add_adapters(model, given.lora, seed_of(self.config.seed, "adapters"))
        return model

    def check(self, corpora: Sequence[Corpus]) -> None:
        """Check that it can be loaded, texts fit into it, and no dropout is in the way."""
        name, revision = self.model.name, self.model.revision
        context = context_in(self.shape())
        begin = marks_of(open_tokenizer(name, revision)).begin
        self.config.check_context(name, context, len(begin))
        tokenizer_for(self.config, corpora)
        left_out = dropouts(open_config(name, revision, self.model.dropout))
        if self.config.training.together and any(left_out.values()):
            raise ValueError(
                f"training together needs a model without dropout, which {name!r} has; "
                "set model.dropout to 0"
            )


class ScratchBase:
    """A small model that is trained on the public data, with a tokenizer of the corpora.

    It is kept in a cache under the hash of all that it depends on (``COMMENSAL_CACHE``, by
    default ``~/.cache/commensal``).
    """

    def __init__(self, config: TrainedConfig, model: ScratchModel) -> None:
        self.config = config
        self.model = model

    def shape(self) -> PretrainedConfig:
        """Give the network as many tokens as a tokenizer has by default."""
        return shaped(self.model, VOCABULARY[self.model.size])

    def tokenizer(self, corpora: Sequence[Corpus]) -> tuple[PreTrainedTokenizerBase, int]:
        """Make a token of each word where every law is known, else train on the corpora."""
        kind = self.model.tokenizer
        if kind == "auto":
            kind = "words" if self.config.known else "bpe"
        vocabulary = self.model.vocabulary or VOCABULARY[self.model.size]
        return train_tokenizer(corpora, kind, vocabulary), self.model.context

    def network(
        self,
        tokenizer: PreTrainedTokenizerBase,
        public: Corpus,
        device: torch.device,
        progress: Progress | None,
    ) -> PreTrainedModel:
        """Train the network on the public data, or take it from the cache."""
        seed = seed_of(self.config.seed, "base")
        folder = cache_folder() / "bases" / _base_hash(self.config, tokenizer, public, device)
        if (folder / "model.safetensors").is_file():
            return load_folder(folder, device)
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(architecture(self.model, tokenizer)).to(device)
        examples = encode(tokenizer, public.train, self.model.context)
        drawn = generator(self.config.seed, "base", "data").integers(
            len(examples), size=self.model.pretraining.examples
        )
        try:
            train(
                model,
                [examples[i] for i in drawn],
                self.model.pretraining,
                loss_on="text",
                precision="float32",
                seed=seed,
                padding=marks_of(tokenizer).padding,
                progress=progress,
            )
        except Diverged as error:
            raise Diverged(f"model.pretraining: {error}") from None
        with staged(folder) as temporary:
            model.save_pretrained(temporary)
        return model

    def opened(self, folder: Path) -> PreTrainedModel:
        """Open what was made in the run's folder."""
        return load_folder(folder, torch.device("cpu"))

    def check(self, corpora: Sequence[Corpus]) -> None:
        """Refuse nothing: settings are checked already, and the tokenizer is made in the run."""


def base_of(config: TrainedConfig) -> Base:
    """Return what a run's models start from, by the kind of its model."""
    return part(config.model.base)(config, config.model)


def tokenizer_for(config: TrainedConfig, corpora: Sequence[Corpus]) -> PreTrainedTokenizerBase:
    """Return the model's own tokenizer, or train one on the corpora.

    Raises
    ------
    ValueError
        If it cannot be loaded, or has tokens that the model lacks, or nothing is left of the
        texts' completions in what the model can see.
    """
    tokenizer, context = base_of(config).tokenizer(corpora)
    _check_texts(config, tokenizer, context, corpora)
    return tokenizer


def _check_texts(
    config: TrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    corpora: Sequence[Corpus],
) -> None:
    """Raise ValueError if truncation leaves no token of any completion to train on or to score."""
    trainings = [config.training, config.first_training]
    limit = min([context, *(t.max_tokens for t in trainings if t.max_tokens is not None)])
    for corpus in corpora:
        for texts, what in ((corpus.test[: config.measurement.test], "test"), (corpus.train, "")):
            if what == "" and all(t.loss_on == "text" for t in trainings):
                continue
            encoded = encode(tokenizer, texts, limit)
            if texts and all(e.prompt >= len(e.tokens) for e in encoded):
                prompts = encode(tokenizer, texts, 1 << 30)
                shortest = min(e.prompt for e in prompts)
                raise ValueError(
                    f"no completion of {corpus.name!r}{what and f' ({what})'} has a token within "
                    f"the first {limit:,} of its text: the shortest prompt has {shortest:,}; "
                    "shorten prompts, or raise training.max_tokens or the model's context"
                )


def base_model(
    config: TrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    public: Corpus,
    device: torch.device,
    progress: Progress | None = None,
) -> PreTrainedModel:
    """Load or make the base model, from which all models start, in float32 on ``device``.

    Raises
    ------
    ValueError
        If a pretrained model cannot be loaded.
    """
    return base_of(config).network(tokenizer, public, device, progress)


def unread(config: TrainedConfig, shape: PretrainedConfig, device: torch.device) -> PreTrainedModel:
    """Make a model of a run's shape, in float32, without reading any weights.

    On the device "meta" it takes no memory, and only shows what a run's model would have.
    """
    attention = "auto" if isinstance(config.model, ScratchModel) else config.model.attention
    options = {} if attention == "auto" else {"attn_implementation": attention}
    with torch.device(device):
        model = loaded(
            lambda _: AutoModelForCausalLM.from_config(shape, dtype=torch.float32, **options),
            shape.model_type,
        )
        if isinstance(config.model, PretrainedModel) and config.model.lora is not None:
            add_adapters(model, config.model.lora, 0)
    return model


def architecture(model: ScratchModel, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """Return the configuration of a model that is trained from scratch."""
    return shaped(
        model,
        len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def shaped(model: ScratchModel, vocabulary: int, **marks: Any) -> PretrainedConfig:
    """Return the configuration of a model from scratch for a vocabulary of this size."""
    width, layers, heads, inner = model.shape
    tokens: dict[str, Any] = {"vocab_size": vocabulary, **marks, "tie_word_embeddings": True}
    if model.architecture == "llama":
        return LlamaConfig(
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=model.context,
            attention_dropout=model.dropout,
            **tokens,
        )
    if model.architecture == "gpt2":
        return GPT2Config(
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            n_inner=inner,
            n_positions=model.context,
            resid_pdrop=model.dropout,
            embd_pdrop=model.dropout,
            attn_pdrop=model.dropout,
            **tokens,
        )
    return OPTConfig(
        hidden_size=width,
        word_embed_proj_dim=width,
        ffn_dim=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=model.context,
        dropout=model.dropout,
        attention_dropout=model.dropout,
        **tokens,
    )


def context_of(model: PreTrainedModel) -> int:
    """Return the number of tokens that the model can see."""
    return context_in(model.config)


def context_in(config: PretrainedConfig) -> int:
    """Return the number of tokens that a model of this configuration can see."""
    text: Any = config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        length = getattr(text, name, None)
        if length is not None:
            return int(length)
    return 1024


def load_folder(folder: Path, device: torch.device) -> PreTrainedModel:
    """Load a saved model in float32.

    Raises
    ------
    ValueError
        If a file of it is missing or damaged.
    """
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"the model in {str(folder)!r} is damaged; remove that folder and run the command "
            "again, which makes the model anew"
        ) from error
    return model.to(device)  # pyright: ignore[reportArgumentType]


def _base_hash(
    config: TrainedConfig, tokenizer: PreTrainedTokenizerBase, public: Corpus, device: torch.device
) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    depends = {
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
        "tokenizer": None if backend is None else backend.to_str(),
        "public": [list(example) for example in public.train],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": device.type,
        "threads": torch.get_num_threads(),
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:24]
