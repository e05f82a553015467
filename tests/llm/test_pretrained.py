"""What a model's folder may bring with it unseen, and what is made of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedTokenizerFast,
)

from commensal.llm.checks import dry_run
from commensal.llm.config import OptimisationConfig
from commensal.llm.corpora import Example
from commensal.llm.models.pretrained import dropouts, open_config, open_model, open_tokenizer
from commensal.llm.models.tokens import Encoded, encode
from commensal.llm.models.training import train
from commensal.llm.models.training_vmapped import train_together
from tests.llm.runs import single
from tests.llm.test_training import examples, model_of, tokenizer, weights

SMALL: dict[str, Any] = {
    "vocab_size": 20,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def llama(**more: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**(SMALL | {"pad_token_id": 0} | more)))


def edited(folder: Path, file: str = "config.json", **more: Any) -> str:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
    return str(folder)


def test_half_a_precision_becomes_a_whole_one(tmp_path: Path):
    saved = llama().to(torch.bfloat16)
    saved.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    opened = open_model(str(tmp_path))
    assert {p.dtype for p in opened.parameters()} == {torch.float32}
    assert torch.equal(weights(opened), weights(saved).float())


@pytest.mark.parametrize("tied", [True, False])
def test_what_is_tied_stays_tied(tmp_path: Path, tied: bool):
    llama(tie_word_embeddings=tied).save_pretrained(tmp_path)
    opened = open_model(str(tmp_path))
    before = opened.get_input_embeddings().weight
    assert (before is opened.get_output_embeddings().weight) == tied
    plan = OptimisationConfig(steps=2, batch_size=2, learning_rate=0.1)
    train(opened, examples(4), plan, loss_on="text", precision="float32", seed=0, padding=0)
    same = torch.equal(opened.get_input_embeddings().weight, opened.get_output_embeddings().weight)
    assert same == tied


@pytest.mark.parametrize(
    "settings", [{"return_dict": False}, {"use_cache": False}, {"output_hidden_states": True}]
)
def test_switches_change_nothing(tmp_path: Path, settings: dict):
    llama().save_pretrained(tmp_path)
    clean = open_model(str(tmp_path))
    switched = open_model(edited(tmp_path, **settings))
    tokens = torch.tensor([[1, 5, 6, 7]])
    out = switched(input_ids=tokens, use_cache=False)
    assert torch.equal(out.logits, clean(input_ids=tokens, use_cache=False).logits)
    assert out.hidden_states is None


def test_attention_is_the_machine_s(tmp_path: Path):
    """The package that the model was trained with need not be here."""
    llama().save_pretrained(tmp_path)
    usual = open_model(str(tmp_path)).config._attn_implementation
    named = open_model(edited(tmp_path, attn_implementation="flash_attention_2"))
    assert named.config._attn_implementation == usual
    assert torch.equal(weights(named), weights(llama()))


OF_EACH = {
    "opt": lambda: OPTForCausalLM(
        OPTConfig(
            vocab_size=20, hidden_size=16, word_embed_proj_dim=16, ffn_dim=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=32, dropout=0.1, attention_dropout=0.2,
            layerdrop=0.3,
        )
    ),
    "neox": lambda: GPTNeoXForCausalLM(
        GPTNeoXConfig(**SMALL, hidden_dropout=0.1, attention_dropout=0.2, classifier_dropout=0.4)
    ),
    "llama": lambda: llama(attention_dropout=0.2),
}  # fmt: skip


@pytest.mark.parametrize("kind", OF_EACH)
def test_dropout_by_any_name(tmp_path: Path, kind: str):
    OF_EACH[kind]().save_pretrained(tmp_path)
    own = dropouts(open_config(str(tmp_path)))
    assert own["attention_dropout"] == 0.2
    none = open_model(str(tmp_path), dropout=0.0)
    assert set(dropouts(none.config).values()) == {0.0}
    modules = [m.p for m in none.modules() if isinstance(m, torch.nn.Dropout)]
    numbers = [p for m in none.modules() for p in dropouts(m).values()]
    assert set(modules + numbers) <= {0.0}
    none.train()
    tokens = torch.tensor([[1, 5, 6, 7]])
    once, again = (none(input_ids=tokens).logits for _ in range(2))
    assert torch.equal(once, again)
    some = dropouts(open_config(str(tmp_path), dropout=0.25))
    assert some == {n: 0.3 if n == "layerdrop" else 0.25 for n in own}


@pytest.mark.parametrize("kind", OF_EACH)
def test_dropout_forbids_training_together(tmp_path: Path, kind: str):
    """Of attention, it is a number and no module."""
    torch.manual_seed(0)
    model = OF_EACH[kind]().eval()
    plan = OptimisationConfig(steps=1, batch_size=2, learning_rate=0.1)
    with pytest.raises(ValueError, match="training together needs models without dropout"):
        train_together(
            [model], [examples(4)], plan, loss_on="text", precision="float32", seeds=[0], padding=0
        )
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    config = single(
        model={"kind": "pretrained", "name": str(tmp_path)}, training={"together": True}
    )
    with pytest.raises(ValueError, match=r"without dropout, which .* has; set model.dropout to 0"):
        dry_run(config, tmp_path / "out")


def test_weights_that_are_missing(tmp_path: Path):
    """A bare trunk would get a last layer of random numbers, with no more than a hint in a log."""
    model = llama(tie_word_embeddings=False)
    LlamaModel.save_pretrained(model.model, tmp_path)
    with pytest.raises(ValueError, match=r"lacks weights \(lm_head.weight\), which would be rand"):
        open_model(str(tmp_path))


def test_weights_that_are_cut_off_or_of_another_shape(tmp_path: Path):
    llama().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(ValueError, match=r"model '.*' cannot be loaded: .") as error:
        open_model(str(tmp_path))
    assert "\n" not in str(error.value)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"model '.*' cannot be loaded: .") as error:
        open_model(edited(tmp_path, hidden_size=32))
    assert "\n" not in str(error.value)


def test_a_model_that_looks_ahead(tmp_path: Path):
    """BERT reads both ways unless its configuration says that it is a decoder."""
    torch.manual_seed(0)
    model = BertLMHeadModel(BertConfig(**(SMALL | {"vocab_size": 20, "is_decoder": True})))
    model.save_pretrained(tmp_path)
    assert open_model(str(tmp_path)) is not None
    with pytest.raises(ValueError, match="sees the tokens that it is to predict"):
        open_model(edited(tmp_path, is_decoder=False))


def test_quantised_weights(tmp_path: Path):
    llama().save_pretrained(tmp_path)
    quantised = {"quant_method": "gptq", "bits": 4}
    with pytest.raises(ValueError, match="has quantised weights, which cannot be trained; name"):
        open_model(edited(tmp_path, quantization_config=quantised))


@pytest.mark.parametrize("padding", [0, 2])
def test_the_end_is_learnt_where_it_also_fills(tmp_path: Path, padding: int):
    """Against the same model whose fill is a token of its own: weights and losses are the same."""
    llama(tie_word_embeddings=False, pad_token_id=padding).save_pretrained(tmp_path)
    model = open_model(str(tmp_path))
    for module in model.modules():
        assert getattr(module, "padding_idx", None) is None or not isinstance(
            module, torch.nn.Embedding
        )
    start = copy.deepcopy(model.state_dict())
    before = start["model.embed_tokens.weight"][2]
    # the end stands within these, too, as between the rows of a stream
    texts = [Encoded((2, 5, 2, 6, 7, 2), 1), Encoded((2, 8, 9, 2), 1)]
    plan = OptimisationConfig(steps=30, batch_size=2, learning_rate=0.05)
    losses = train(model, texts, plan, loss_on="text", precision="float32", seed=0, padding=padding)
    other = llama(tie_word_embeddings=False, pad_token_id=None)
    other.load_state_dict(start)
    assert losses == train(
        other, texts, plan, loss_on="text", precision="float32", seed=0, padding=0
    )
    assert not torch.equal(model.get_input_embeddings().weight[2], before)
    for text in texts:
        with torch.inference_mode():
            found = model(torch.tensor([text.tokens[:-1]])).logits[0, -1].argmax()
        assert int(found) == 2


def saved_tokenizer(folder: Path, rules: Tokenizer, **more: Any) -> str:
    marks = {"bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=rules, **marks, **more).save_pretrained(folder)
    return str(folder)


def letters() -> Tokenizer:
    vocabulary = {t: i for i, t in enumerate(["<s>", "</s>", "a", "b", "ab", "abab", "Ġ", "Ġab"])}
    merges = [("a", "b"), ("ab", "ab"), ("Ġ", "ab")]
    rules = Tokenizer(models.BPE(vocabulary, merges))
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return rules


TEXT = "abab ab abab ab a b ab"


def test_words_are_cut_alike_every_time(tmp_path: Path):
    rules = letters()
    rules.model.dropout = 0.5
    opened = open_tokenizer(saved_tokenizer(tmp_path, rules))
    expected = letters().encode(TEXT).ids
    for _ in range(20):
        assert opened(TEXT)["input_ids"] == expected


def test_lengths_and_sides_of_the_tokenizer_do_not_act(tmp_path: Path):
    rules = letters()
    rules.enable_truncation(3)
    rules.enable_padding(length=9, pad_id=0, pad_token="<s>")
    name = saved_tokenizer(
        tmp_path, rules, padding_side="left", truncation_side="left", model_max_length=4
    )
    opened = open_tokenizer(name)
    (found,) = encode(opened, [Example("abab ab", " abab ab")], 100)
    inner = letters().encode("abab ab abab ab").ids
    assert found.tokens == (0, *inner, 1)
    (cut,) = encode(opened, [Example("abab ab", " abab ab")], 5)
    assert cut.tokens == (0, *inner[:4])


def test_marks_in_a_text_are_text(tmp_path: Path):
    """What people write may look like a mark of the tokenizer."""
    rules = Tokenizer(models.BPE({c: i for i, c in enumerate(["<s>", "</s>", *"<>/sab"])}, []))
    opened = open_tokenizer(saved_tokenizer(tmp_path, rules))
    (found,) = encode(opened, [Example("a</s>", "b<s>")], 100)
    assert found.tokens == (0, *(rules.token_to_id(c) for c in "a</s>b<s>"), 1)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path):
    model = model_of("gpt2")
    model.save_pretrained(tmp_path)
    kept = load_file(tmp_path / "model.safetensors")
    opened = dict(open_model(str(tmp_path)).named_parameters())
    for name, value in kept.items():
        assert torch.equal(opened[name], value)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(weights(plain), weights(open_model(str(tmp_path))))
