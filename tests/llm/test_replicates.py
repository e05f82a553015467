"""Replicates: what differs between them, what does not, and who starts from what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from safetensors.torch import load_file

from commensal.llm import run
from commensal.llm.config import TrainedConfig
from commensal.llm.generation import Generation
from commensal.llm.opening import open_resources
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.reports import write_report
from tests.llm.runs import evolution, files_of, interactive, language, segmented
from tests.llm.test_report import text_of

MORE: dict[str, Any] = {"alpha": [0, 0.5], "generations": 1, "replicates": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replicates") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENSAL_CACHE", str(path.parent / "cache"))
        run(interactive(**MORE), path, workers=1)
    return path


def first_weights(path: Path) -> np.ndarray:
    weights = load_file(path / "model.safetensors")
    return next(iter(weights[name] for name in sorted(weights))).numpy()


def test_a_replicate_has_everything_of_its_own(finished: Path):
    directory, config = RunDirectory(finished), config_of(finished, TrainedConfig)
    one, other = (open_resources(finished, config, r) for r in (0, 1))
    for mine, its in zip((one.public, *one.tasks), (other.public, *other.tasks), strict=True):
        assert mine.source is not None
        assert its.source is not None
        assert mine.source.words == its.source.words  # one tokenizer would do for both
        assert not np.allclose(mine.source.transition, its.source.transition)
        assert not set(mine.test) & set(its.test)
    bases = [first_weights(directory.base(r)) for r in (0, 1)]
    assert not np.allclose(*bases)
    assert [s.seed for s in config.grid()][:2] == [config.seed] * 2
    assert len({s.seed for s in config.grid()}) == 2
    table = pd.read_parquet(finished / "metrics.parquet")
    losses = table[(table.metric == "loss") & (table.generation == 1)]
    assert losses.groupby("replicate").size().tolist() == [12, 12]
    assert losses.value.nunique() == 24


def test_only_what_is_drawn_on_the_way_may_differ(tmp_path: Path):
    run(interactive(**MORE, replicate="training"), tmp_path / "run", workers=1)
    config = config_of(tmp_path / "run", TrainedConfig)
    assert {config.resources_of(s) for s in config.grid()} == {0}
    assert not RunDirectory(tmp_path / "run").base(1).exists()
    table = pd.read_parquet(tmp_path / "run" / "metrics.parquet")
    first = table[(table.metric == "unigram_loss") & (table.alpha == 0)]
    assert first.groupby(["model", "dataset"]).value.nunique().max() == 1  # one test
    losses = table[(table.metric == "loss") & (table.generation == 0) & (table.alpha == 0)]
    assert losses.groupby(["model", "dataset"]).value.nunique().min() == 2


def test_a_replicate_does_not_depend_on_how_many_there_are(finished: Path, tmp_path: Path):
    """Nor on the number of workers, nor on which of them computed it."""
    run(interactive(**MORE | {"replicates": 3}), tmp_path / "run", workers=2)
    known = {
        name: content
        for name, content in files_of(finished).items()
        if name.startswith("generations")
    }
    more = files_of(tmp_path / "run")
    assert known
    assert known == {name: more[name] for name in known}
    assert len([name for name in more if "replicate=2" in name]) > 0


def test_the_report_is_over_replicates(finished: Path, tmp_path: Path):
    text = text_of(write_report(finished, tmp_path / "page.html"))
    assert "replicates 2, each with texts, tests and draws of its own, and a base" in text
    assert "Means over replicates, ± half of the interval of the change" in text
    assert "model 1 on language1" in text


@pytest.mark.parametrize("make", [interactive, evolution, segmented])
def test_models_may_start_from_weights_of_their_own(make: Any, tmp_path: Path):
    """With a rate of nearly 0 the losses of generation 0 are those of the bases."""
    still = {"batch_size": 4, "learning_rate": 1e-9}
    if make is not segmented:
        still["steps"] = 1
    losses = {}
    for initial in ("shared", "own"):
        config = make(initial=initial, generations=0, training=still)
        table = run(config, tmp_path / initial, workers=1)
        whole = table[(table.metric == "loss") & (table.dataset == "language1")]
        if "ecosystem" in whole:
            whole = whole[(whole.M == 2) & (whole.ecosystem == "pooled")]
        if "population" in whole:
            whole = whole[(whole.population == 4) & (whole.selection == "accuracy")]
        losses[initial] = whole.sort_values("model").value.to_numpy()
    assert np.ptp(losses["shared"]) < 1e-5 < 1e-2 * np.ptp(losses["own"]) + 1e-9
    assert losses["own"][0] == pytest.approx(losses["shared"][0], abs=1e-5)
    assert RunDirectory(tmp_path / "own").base(0, 1).exists()
    assert not RunDirectory(tmp_path / "shared").base(0, 1).exists()


def test_models_may_be_of_several_architectures(tmp_path: Path):
    mixed: list[dict[str, Any]] = [
        {"kind": "scratch", "context": 24, "architecture": name, "pretraining": {"steps": 1}}
        for name in ("gpt2", "llama")
    ]
    mixed[1]["size"] = "small"
    config = interactive(mixed=mixed, generations=1, alpha=1)
    table = run(config, tmp_path / "run", workers=1)
    assert np.isfinite(table[table.metric == "loss"].value).all()
    resources = open_resources(tmp_path / "run", config_of(tmp_path / "run", TrainedConfig))
    kinds = [resources.start(k).config.model_type for k in (0, 1)]
    sizes = [sum(p.numel() for p in resources.start(k).parameters()) for k in (0, 1)]
    assert kinds == ["gpt2", "llama"]
    assert sizes[1] > 3 * sizes[0]
    with pytest.raises(ValidationError, match=r"whose tokenizer and context \(24\) they share"):
        interactive(mixed=[{"kind": "scratch", "context": 32}])
    with pytest.raises(ValidationError, match="together needs models of one shape"):
        interactive(mixed=mixed, training={"together": True})


def test_a_pretrained_model_has_one_set_of_weights():
    with pytest.raises(ValidationError, match="initial own needs models from scratch"):
        interactive(initial="own", model={"kind": "pretrained", "name": "openai-community/gpt2"})


def test_human_text_that_is_learnt_is_counted(tmp_path: Path):
    """At α = 1 nothing human is learnt, unless prompts are: 3 of 12 tokens, the end counted."""
    shares = {}
    for loss_on in ("completion", "text"):
        training = {"steps": 2, "batch_size": 4, "learning_rate": 1e-3, "loss_on": loss_on}
        config = interactive(
            alpha=[0, 1], beta=1, generations=1, training=training, tasks=[language(1), language(2)]
        )
        table = run(config, tmp_path / loss_on, workers=1)
        found = table[table.metric == "human_share"]
        assert found[found.generation == 0].value.eq(1).all()
        assert found[found.alpha == 0].value.eq(1).all()
        later = found[(found.generation == 1) & (found.alpha == 1)]
        shares[loss_on] = later.value.mean()
    assert shares["completion"] == 0
    assert 0.2 < shares["text"] < 0.35  # completions of the untrained end early or at nine tokens


def test_fresh_human_texts_are_new_and_used_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody has seen them at t = 0, and no two models or generations get the same one."""
    seen: dict[int, list[list[tuple[int, ...]]]] = {}
    train = Generation.train

    def noted(generation: Generation, data: Any, *args: Any, **more: Any) -> None:
        seen[generation.index] = [[e.tokens for e in examples] for examples in data]
        train(generation, data, *args, **more)

    monkeypatch.setattr(Generation, "train", noted)
    tasks = [language(k, train=120) for k in (1, 2)]
    more: dict[str, Any] = {"alpha": 1, "beta": 1, "tasks": tasks, "human_share": 0.5}
    table = run(interactive(**more), tmp_path / "run", workers=1)
    resources = open_resources(tmp_path / "run", config_of(tmp_path / "run", TrainedConfig))
    human = [{e.tokens for e in resources.encode(task.train)} for task in resources.tasks]
    later = [
        tokens
        for t in (1, 2)
        for examples in seen[t]
        for tokens in examples
        if tokens in human[0] | human[1]
    ]
    assert len(later) == len(set(later)) > 8
    assert {next(k for k in (0, 1) if tokens in human[k]) for tokens in later} == {0, 1}
    first = {tokens for examples in seen[0] for tokens in examples}
    assert first.isdisjoint(later)
    share = table[(table.metric == "human_share") & (table.generation > 0)].value.mean()
    assert share == pytest.approx(len(later) / (2 * 2 * 16), abs=0.15)
    with pytest.raises(ValueError, match="to be held back as fresh ones, each used once"):
        run(
            interactive(**more | {"tasks": [language(k, train=4) for k in (1, 2)]}),
            tmp_path / "few",
        )


def test_prompts_may_be_of_another_corpus(tmp_path: Path):
    config = interactive(prompts=language(3), generations=1, alpha=1)
    run(config, tmp_path / "run", workers=1)
    resources = open_resources(tmp_path / "run", config_of(tmp_path / "run", TrainedConfig))
    assert resources.prompts is not None
    own = {e.prompt for task in resources.tasks for e in task.train}
    others = {e.prompt for e in resources.prompts.train}
    records = RunDirectory(tmp_path / "run").branch(config.grid()[0].start).samples(0)
    written = {r["prompt"] for r in records if r["kind"] == "web"}
    assert written <= others
    assert not written <= own
    with pytest.raises(ValidationError, match="two corpora have the name 'language1'"):
        interactive(prompts=language(1))
    with pytest.raises(ValidationError, match="leave prompts out"):
        segmented(prompts=language(3))
