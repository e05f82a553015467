"""A run's models, opened and exported: the weights are those that the run has measured."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from commensal import llm
from commensal.llm.records.branch import RunDirectoryError
from tests.commands import run as command
from tests.llm.runs import interactive

POINT = "alpha=0.5,beta=0.5"
TOKENS = torch.arange(4, 12)[None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "run"
    llm.run(interactive(), path, workers=1)
    return path


def test_opened_models_have_the_weights_of_their_generation(made: Path) -> None:
    found = llm.open_models(made, POINT)
    assert found.generation == 2
    assert llm.kept_generations(made)[POINT] == [0, 2]
    start = llm.open_models(made, POINT, generation=0)
    folder = made / "generations" / POINT / "0002"
    for number, model in enumerate(found.models):
        weights = load_file(folder / f"model-{number}.safetensors")
        for name, p in model.named_parameters():
            assert torch.equal(p, weights[name])
        assert not torch.equal(model(TOKENS).logits, start.models[number](TOKENS).logits)
        assert not model.training


def test_what_is_exported_is_what_transformers_opens(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "models"
    export = ("llm", "export", str(made), "--out", str(out))
    code, told, _ = command(monkeypatch, capsys, *export)
    assert code == 0
    assert "wrote 4 models" in told
    found = llm.open_models(made, POINT)
    for number in (1, 2):
        folder = out / "models" / POINT / f"model-{number}"
        again = AutoModelForCausalLM.from_pretrained(folder)
        assert torch.equal(again(TOKENS).logits, found.models[number - 1](TOKENS).logits)
        known = AutoTokenizer.from_pretrained(folder)
        assert known.get_vocab() == found.tokenizer.get_vocab()
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert f"- `models/{POINT}/model-2`" in card
    assert {"config.yaml", "environment.json", "metrics.parquet"} < {p.name for p in out.iterdir()}
    code, _, told = command(monkeypatch, capsys, *export)
    assert code == 2
    assert "exists already" in told


def test_adapters_are_merged(made: Path, tmp_path: Path) -> None:
    named = shutil.copytree(made / "base", tmp_path / "named")
    shutil.copytree(made / "tokenizer", named, dirs_exist_ok=True)
    config = interactive(alpha=[0.5], threads=1, model={"name": str(named), "lora": {"rank": 2}})
    llm.run(config, tmp_path / "run", workers=1)
    found = llm.open_models(tmp_path / "run")
    base = AutoModelForCausalLM.from_pretrained(named)
    assert set(found.models[0].state_dict()) == set(base.state_dict())
    before, after = base(TOKENS).logits, found.models[0](TOKENS).logits
    assert 1e-4 < float((after - before).detach().abs().max()) < 1
    (_, folder) = llm.export(tmp_path / "run", tmp_path / "out")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / folder)
    assert torch.equal(again(TOKENS).logits, found.models[1](TOKENS).logits)
    assert f"base_model: {named}" in (tmp_path / "out" / "README.md").read_text()


def test_the_hub_is_given_the_folder_and_its_refusals_are_one_line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []

    class Hub:
        refuses: Exception | None = None

        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
            if self.refuses is not None:
                raise self.refuses
            calls.append((repo_id, private))
            assert exist_ok

        def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
            calls.append((repo_id, sorted(p.name for p in folder_path.iterdir())))

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    llm.export(made, tmp_path / "a", hub="user/small")
    files = ["README.md", "config.yaml", "environment.json", "metrics.parquet", "models"]
    assert calls == [("user/small", True), ("user/small", files)]
    card = (tmp_path / "a" / "README.md").read_text()
    assert 'from_pretrained("user/small", **where)' in card
    Hub.refuses = LocalTokenNotFoundError("no token")
    with pytest.raises(ValueError, match=r"log in to the Hub first: hf auth login; .* is written"):
        llm.export(made, tmp_path / "b", hub="user/small")
    Hub.refuses = HFValidationError("too\nmany parts")
    with pytest.raises(
        ValueError, match=r"the Hub did not take 'a/b/c': too many parts; .*hf uplo"
    ):
        llm.export(made, tmp_path / "c", hub="a/b/c", public=True)


def test_what_is_not_there(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ValueError, match="name a grid point of the run: 'alpha=0,beta=0"):
        llm.open_models(made)
    with pytest.raises(RunDirectoryError, match=r"generation 1 at .*; it has those of 0, 2 \(the"):
        llm.open_models(made, POINT, generation=1)
    gone = shutil.copytree(made, tmp_path / "gone")
    for path in gone.rglob("model-*.safetensors"):
        path.unlink()
    with pytest.raises(RunDirectoryError, match="has kept no weights"):
        llm.export(gone, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    options = ("--out", str(tmp_path / "x"), "--public")
    code, _, told = command(monkeypatch, capsys, "llm", "export", str(made), *options)
    assert code == 2
    assert "--public needs --hub" in told
