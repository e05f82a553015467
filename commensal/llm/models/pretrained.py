"""Published models and tokenizers: loaded, checked, and rid of settings that act unseen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from commensal.llm.config import LoraConfig


def open_tokenizer(name: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Open a tokenizer, by name or from a folder, that gives the same tokens every time.

    Raises
    ------
    ValueError
        If it cannot be loaded.
    """
    tokenizer = loaded(AutoTokenizer.from_pretrained, name, revision=revision)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    rules: Any = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    # made to cut words at random while a model is pretrained: from an unseeded generator
    for setting in ("dropout", "nbest_size", "alpha"):
        if getattr(rules, setting, None) is not None:
            setattr(rules, setting, None)
    return tokenizer


def open_config(
    name: str,
    revision: str | None = None,
    dropout: float | None = None,
    attention: str = "auto",
) -> PretrainedConfig:
    """Open a model's configuration, by name or from a folder.

    Parameters
    ----------
    name : str
    revision : str, optional
    dropout : float, optional
        In place of every dropout that the configuration has, whatever the architecture calls it;
        0 keeps layers from being skipped, too.
    attention : str
        Implementation of attention; "auto": as transformers sees fit.

    Raises
    ------
    ValueError
        If it cannot be loaded, or is of a model with quantised weights.
    """
    config = loaded(AutoConfig.from_pretrained, name, revision=revision)
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError(
            f"model {name!r} has quantised weights, which cannot be trained; name the model that "
            "it was made from"
        )
    config.return_dict = True
    config.output_hidden_states = False
    # as this machine can, not the one that saved it
    config._attn_implementation = None if attention == "auto" else attention
    if dropout is not None:
        for part in {id(c): c for c in (config, config.get_text_config())}.values():
            for setting in dropouts(part):
                if setting != "layerdrop" or dropout == 0:
                    setattr(part, setting, dropout)
    return config


def dropouts(holder: object) -> dict[str, float]:
    """Return the dropout rates of a configuration or module, by name.

    Parameters
    ----------
    holder : object
        A configuration, or a module of a model.
    """
    return {
        name: value
        for name, value in vars(holder).items()
        if isinstance(value, (int, float))
        and not isinstance(value, bool)
        and ("dropout" in name or name.endswith("pdrop") or name == "layerdrop")
        and not name.startswith(("classifier", "summary"))
    }


def open_model(
    name: str,
    revision: str | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    dropout: float | None = None,
    attention: str = "auto",
) -> PreTrainedModel:
    """Open a causal language model, by name or from a folder.

    Parameters
    ----------
    name : str
    revision : str, optional
    dtype : torch.dtype
        Of the weights, whatever they were saved in.
    dropout, attention
        See :func:`open_config`.

    Raises
    ------
    ValueError
        If it cannot be loaded, or has not all its weights, or sees the tokens that it is to
        predict.
    """
    model, found = loaded(
        AutoModelForCausalLM.from_pretrained,
        name,
        revision=revision,
        config=open_config(name, revision, dropout, attention),
        dtype=dtype,
        output_loading_info=True,
    )
    missing = sorted(found["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(
            f"model {name!r} lacks weights ({missing[0]}{more}), which would be random; name a "
            "model that was saved as a causal language model"
        )
    for module in model.modules():
        # the embedding of the mark that fills batches gets no gradient; where that mark is also
        # the one of the end, or the beginning, it has to learn (what fills counts in no loss)
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None
    if _looks_ahead(model):
        raise ValueError(
            f"model {name!r} sees the tokens that it is to predict: it is no causal language "
            "model, or its config.json lacks is_decoder: true"
        )
    return model


def add_adapters(model: PreTrainedModel, lora: LoraConfig, seed: int) -> None:
    """Give a model low-rank adapters in place, and freeze all other weights.

    As long as they are not trained they change nothing.

    Parameters
    ----------
    model : PreTrainedModel
    lora : LoraConfig
    seed : int
        Of the adapters' first weights.

    Raises
    ------
    ValueError
        If peft is missing, or the model has no modules of these names.

    References
    ----------
    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.
    """
    try:
        import peft
    except ImportError:
        raise ValueError(
            "model.lora needs the package peft: pip install 'commensal[llm]'"
        ) from None
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    torch.manual_seed(seed)
    adapters = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.scale * lora.rank,  # pyright: ignore[reportArgumentType]
        target_modules=targets,
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        peft.inject_adapter_in_model(adapters, model)
    except ValueError as error:
        raise ValueError(f"model.lora: {str(error).splitlines()[0]}") from None


def trainable(model: PreTrainedModel) -> dict[str, torch.nn.Parameter]:
    """Return the weights that training changes: all, or the adapters alone; by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def fill(model: PreTrainedModel, path: Path) -> None:
    """Give a model the trained weights of a file, in place.

    Parameters
    ----------
    model : PreTrainedModel
    path : Path
        A safetensors file with the weights that :func:`trainable` names.

    Raises
    ------
    ValueError
        If the file is missing or damaged.
    """
    try:
        weights = load_file(path)
    except Exception as error:
        raise ValueError(f"{str(path)!r} is missing or damaged") from error
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter.copy_(weights[name])


def merge_adapters(model: PreTrainedModel) -> PreTrainedModel:
    """Add low-rank adapters to the weights that they change, in place; without any do nothing."""
    if not hasattr(model, "peft_config"):
        return model
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted: list[tuple[str, Any]] = [
        (name, one) for name, one in model.named_modules() if isinstance(one, BaseTunerLayer)
    ]
    for name, module in adapted:
        module.merge()
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, module.get_base_layer())
    del model.peft_config
    return model.requires_grad_(True)


def _looks_ahead(model: PreTrainedModel) -> bool:
    """Return whether logits depend on later tokens."""
    model.eval()
    one = torch.arange(4, 10, device=model.device)[None] % model.config.get_text_config().vocab_size
    other = one.clone()
    other[0, -1] = one[0, 0]
    with torch.inference_mode():
        before, after = (
            model(input_ids=tokens, use_cache=False).logits[0, :-1].float()
            for tokens in (one, other)
        )
    # what is masked counts exactly nothing
    noise = 10 * torch.finfo(model.dtype).eps * float(before.abs().max())
    return float((before - after).abs().max()) > noise


def loaded(load: Callable[..., Any], name: str, **options: Any) -> Any:
    """Call ``load`` for a name or folder, with its failure as an error of one line.

    Raises
    ------
    ValueError
        In one line, if it gives nothing.
    """
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.ERROR)  # or each of its retries would be a line of its own
    try:
        return load(name, **options)
    # what loading raises depends on the network, the Hub, and the format of each file
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"model {name!r} cannot be loaded: {first}") from error
    finally:
        hub.setLevel(level)


def check_vocabulary(name: str, tokenizer: PreTrainedTokenizerBase, config: Any) -> None:
    """Raise ValueError unless the model has a row for every token of the tokenizer.

    Marks beside the beginning and the end do not count, as no text has them; if the one that
    fills batches has no place, another fills them.

    Raises
    ------
    ValueError
        If a token has none.
    """
    size = config.get_text_config().vocab_size
    marks: Any = tokenizer
    idle = set(tokenizer.all_special_ids) - {marks.bos_token_id, marks.eos_token_id}
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id >= size:
        tokenizer.pad_token = tokenizer.eos_token
    highest = max(set(tokenizer.get_vocab().values()) - idle, default=0)
    if highest >= size:
        raise ValueError(
            f"the tokenizer of model {name!r} has tokens up to number {highest:,}, the model has "
            f"{size:,} tokens; put the tokenizer it was trained with beside it, or enlarge it "
            "with resize_token_embeddings"
        )
