"""Ecosystems that share a fixed budget: how data are dealt out, what is measured and said."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from commensal.cli._console import in_one_line
from commensal.llm import resume, run
from commensal.llm.config import OptimisationConfig, hill_shannon, segment_counts, validated
from commensal.llm.generation import Generation, Past
from commensal.llm.models.blocks import as_examples, block_losses
from commensal.llm.models.training import in_batches
from commensal.llm.opening import open_resources
from commensal.llm.presets import read_config
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.reports import write_report
from commensal.llm.reports._reading import read_run
from commensal.llm.reports.segmented import contents
from commensal.llm.workflows.segmented import Segmented, mixed
from tests.llm.kills import run_through_kills
from tests.llm.runs import files_of, language, segmented

SIZES: dict[str, Any] = {"sizes": [[3, 1]], "replicates": 2, "generations": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    os.environ["COMMENSAL_CACHE"] = str(path.parent / "cache")
    run(segmented(), path, workers=1)
    return path


@pytest.fixture(scope="module")
def resources(finished: Path):
    return open_resources(finished, config_of(finished))


def stage_of(resources, setting, generation: int = 0, written=None) -> Generation:
    past = Past(lambda _: written or [], lambda _: pd.DataFrame())
    return Generation(resources, setting, generation, [resources.base], past)


# Settings


def test_every_ecosystem_is_a_setting_and_has_its_controls():
    config = segmented(**SIZES)
    names = [s.name for s in config.grid()]
    assert names[:5] == [
        "pooled,M=1,D=1,replicate=0",
        "pooled,M=2,D=2,replicate=0",
        "pooled,M=2,D=1.755,replicate=0",  # exp(-(3/4 ln 3/4 + 1/4 ln 1/4))
        "alone,M=2,D=2,replicate=0",
        "fewer_steps,M=2,D=1,replicate=0",
    ]
    assert len(names) == len(set(names)) == 10
    assert [config.counts(s) for s in config.grid()[:5]] == [(8,), (4, 4), (6, 2), (4, 4), (8,)]
    assert [config.epoch(s) for s in config.grid()[:5]] == [(8,), (4, 4), (6, 2), (4, 4), (4,)]
    pooled, alone = config.grid()[1], config.grid()[3]
    assert pooled.start == alone.start  # nobody has read anything yet
    assert len({s.start for s in config.grid()}) == 8
    seeds = [s.seed for s in config.grid()]
    assert seeds[:5] == [0] * 5
    assert len(set(seeds[5:])) == 1
    assert seeds[5] != 0
    without = segmented(controls=[]).grid()
    assert [s.coordinates["ecosystem"] for s in without] == ["pooled"] * 2


@pytest.mark.parametrize(
    ("weights", "diversity"),
    [
        ([1], 1.0),
        ([0.25] * 4, 4.0),
        # w = 1/2, 1/4, 1/4: the entropy is 1.5 ln 2
        ([2, 1, 1], 2**1.5),
        ([1, 1e-9], 1.0),
    ],
)
def test_hill_shannon_diversity(weights: list[float], diversity: float):
    assert hill_shannon(weights) == pytest.approx(diversity, rel=1e-6)


def test_all_blocks_are_dealt_out():
    assert segment_counts([1] * 16, 7500) == (469,) * 12 + (468,) * 4
    assert segment_counts([0.1] * 3, 9) == (3, 3, 3)
    assert sum(segment_counts([0.123, 4.5, 0.7], 1001)) == 1001


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tasks": [language(1), language(2)]}, "one corpus is dealt out to all models, got 2"),
        ({"models": []}, "models: needs one number or more, each once, got []"),
        ({"models": [2, 2]}, "models: needs one number or more, each once, got [2, 2]"),
        ({"models": [0]}, "models: Input should be greater than or equal to 1, got 0"),
        ({"models": [9]}, "8 blocks are too few: of models 9 one would get none"),
        ({"sizes": [[100, 1]]}, "8 blocks are too few: of models [100.0, 1.0] one would get none"),
        ({"sizes": [[1, -1]]}, "sizes: Input should be greater than 0"),
        ({"sizes": [[5]]}, "sizes: Tuple should have at least 2 items"),
        ({"sizes": [[2, 2]]}, "are 2 models of diversity 2.0000, which the run has already"),
        ({"sizes": [[3, 1], [1, 3]]}, "are 2 models of diversity 1.7548, which the run has"),
        ({"block": 12}, "a block of 12 tokens and its continuation need a context of 25, got 24"),
        (
            {"blocks": 70},
            "'language1' has 73 blocks of 6 tokens to train on; blocks and validation need 74",
        ),
        ({"tasks": [language(1, test=1)], "block": 11}, None),
        (
            {"tasks": [{**language(1, test=1), "completion_words": 2}]},
            "the test of 'language1' is shorter than a block",
        ),
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1, got 0"),
        ({"beams": 0}, "beams: Input should be greater than or equal to 1, got 0"),
        ({"decoding": "magic"}, "decoding: Input should be 'beam' or 'sample', got magic"),
        ({"training": {"steps": 7}}, "models train for epochs: set epochs, and leave steps out"),
        ({"training": {"examples_drawn": 7}}, "leave examples_drawn out"),
        ({"training": {"together": True}}, "cannot keep the best of the epochs"),
        ({"initial_training": {"steps": 7}}, "set epochs, and leave steps out"),
    ],
)
def test_an_impossible_setting_is_named(more: dict[str, Any], message: str | None):
    if message is None:
        segmented(**more)
        return
    with pytest.raises(ValidationError) as error:
        segmented(**more)
    text = in_one_line(error.value)
    assert message in text
    assert "\n" not in text


def test_what_is_written_down_is_read_again():
    config = segmented(**SIZES)
    again = validated(config.model_dump(mode="json"))
    assert again == config
    assert [s.name for s in again.grid()] == [s.name for s in config.grid()]
    assert segmented(models=4).models == (4,)


def test_the_paper_preset_is_the_paper():
    config = read_config("segmented-paper")
    assert config.model_dump(include={"models", "block", "blocks", "epochs", "beams"}) == {
        "models": (1, 2, 4, 16), "block": 128, "blocks": 7500, "epochs": 5, "beams": 5,
    }  # fmt: skip
    assert config.training.learning_rate == 1e-5


# Data


def test_segments_share_their_blocks(resources):
    config = segmented(**SIZES)
    workflow = Segmented(config)
    real = {s.name: workflow.real(stage_of(resources, s)) for s in config.grid()}
    one, two, unequal, alone, brief, other = list(real.values())[:6]
    assert [len(s) for s in (*one.segments, *two.segments, *unequal.segments)] == [8, 4, 4, 6, 2]
    for ecosystem in (two, unequal):
        np.testing.assert_array_equal(ecosystem.pool, one.pool)
        np.testing.assert_array_equal(ecosystem.validation, one.validation)
        np.testing.assert_array_equal(ecosystem.test, one.test)
    for segment, same in zip(alone.segments, two.segments, strict=True):
        np.testing.assert_array_equal(segment, same)
    np.testing.assert_array_equal(brief.pool, one.pool)
    np.testing.assert_array_equal(alone.validation, one.validation)
    assert one.pool.tolist() != other.pool.tolist()  # another replicate
    everything = [*map(tuple, one.pool.tolist()), *map(tuple, one.validation.tolist())]
    ((train, _),) = workflow._blocks(resources).values()
    whole = Counter(map(tuple, train.tolist()))
    assert not Counter(everything) - whole  # each real block at most once
    assert len(everything) == 12


def test_what_all_wrote_is_dealt_out(resources):
    config = segmented(**SIZES)
    setting = config.grid()[2]  # segments of 6 and 2
    written = [{"kind": "web", "tokens": [i] * 6, "model": i // 6} for i in range(8)]
    other = [{"kind": "fixed", "tokens": [99] * 6}]
    dealt = [
        Segmented(config).dealt(stage_of(resources, setting, t, [*written, *other])) for t in (1, 2)
    ]
    assert [len(part) for part in dealt[0]] == [6, 2]
    orders = [np.concatenate(parts)[:, 0].tolist() for parts in dealt]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(8))
    assert orders[0] != list(range(8))  # shuffled
    assert orders[0] != orders[1]
    alone = config.grid()[3]
    own = Segmented(config).dealt(
        stage_of(resources, alone, 1, [r | {"model": i % 2} for i, r in enumerate(written)])
    )
    assert [part[:, 0].tolist() for part in own] == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_the_data_may_grow_with_the_number_of_models(resources):
    config = segmented(budget="per_model", blocks=4)
    assert [config.counts(s) for s in config.grid()] == [(4,), (4, 4), (4, 4), (8,)]
    real = [Segmented(config).real(stage_of(resources, s)) for s in config.grid()]
    np.testing.assert_array_equal(real[0].pool, real[1].segments[0])
    for one in real:
        np.testing.assert_array_equal(one.validation, real[0].validation)
    with pytest.raises(ValidationError, match="blocks and validation need 74"):
        segmented(budget="per_model", blocks=35)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_an_epoch_has_every_block_once(resources, accumulation: int):
    """24 blocks in batches of 16 are 16 and 8, not 16 and 16: M = 4 trained a third longer."""
    plan = OptimisationConfig(steps=6, batch_size=16 // accumulation, accumulation=accumulation)
    blocks = as_examples(np.arange(24).reshape(24, 1), (1,))
    steps = [
        [row.tokens[1] for batch in step for row in batch]
        for step in in_batches(blocks, plan, 0, epoch=24)
    ]
    assert [len(step) for step in steps] == [16, 8] * 3
    for epoch in range(3):
        assert sorted(steps[2 * epoch] + steps[2 * epoch + 1]) == list(range(24))
    # one model on all data with the steps of one of four: it meets each block once in four epochs
    few = [
        [row.tokens[1] for batch in step for row in batch]
        for step in in_batches(blocks, plan.model_copy(update={"steps": 4}), 0, epoch=6)
    ]
    assert [len(step) for step in few] == [6] * 4
    assert sorted(block for step in few for block in step) == list(range(24))


def test_models_may_start_from_the_base_again(tmp_path: Path):
    """With a rate of nearly 0, who restarts ends at the base, and who goes on where it was."""
    still = {"batch_size": 4, "learning_rate": 1e-9, "warmup_ratio": 0}
    more = {"models": [1], "generations": 1, "training": still}
    first = {"batch_size": 4, "learning_rate": 1e-2, "warmup_ratio": 0}
    for restart in (False, True):
        config = segmented(**more, initial_training=first, restart=restart)
        table = run(config, tmp_path / str(restart), workers=1)
        mu = table[table.metric == "mu"].sort_values("generation").value.to_numpy()
        base = float(table[table.metric == "base_mu"].value.iloc[0])
        assert abs(mu[0] - base) > 1e-3
        assert mu[1] == pytest.approx(base if restart else mu[0], rel=1e-5)


def test_models_write_from_their_own_segments(finished: Path, resources):
    directory = RunDirectory(finished)
    config = config_of(finished)
    workflow = Segmented(config)  # pyright: ignore[reportArgumentType]
    for setting in config.grid():
        segments = workflow.real(stage_of(resources, setting)).segments
        for t, branch in ((0, setting.start), (1, setting.name)):
            records = [r for r in directory.branch(branch).samples(t) if r["kind"] == "web"]
            for model, segment in enumerate(segments):
                own = [r for r in records if r["model"] == model]
                assert len(own) == len(segment)
                assert {len(r["tokens"]) for r in own} == {6}
                prompts = resources.tokenizer.batch_decode(segment, skip_special_tokens=True)
                assert [r["prompt"] for r in own] == prompts
        # nobody reads what the last generation would write
        assert all(r["kind"] == "fixed" for r in directory.branch(setting.name).samples(2))


def test_a_model_with_a_short_context_is_refused_when_it_is_loaded(resources):
    config = segmented(block=6)
    long = config.model_copy(update={"block": 13})
    with pytest.raises(ValueError, match="need a context of 27, the model has 24"):
        Segmented(long).real(stage_of(resources, config.grid()[0]))
    many = config.model_copy(update={"blocks": 70})
    with pytest.raises(ValueError, match=r"'language1' has 73 blocks .* need 74"):
        Segmented(many).real(stage_of(resources, config.grid()[0]))


# Measures


def test_models_mix_as_they_weigh():
    """Values 1, 3 and 10, 10 with weights 3/4 and 1/4: mean 4; squares about it 9, 1 and 36."""
    mean, sd = mixed(np.array([[1.0, 3.0], [10.0, 10.0]]), np.array([0.75, 0.25]))
    assert mean == pytest.approx(4)
    assert sd == pytest.approx((0.75 * 5 + 0.25 * 36) ** 0.5)


def test_perplexities_are_those_of_the_weights_on_disk(finished: Path, resources):
    from safetensors.torch import load_file

    config = config_of(finished)
    setting = next(s for s in config.grid() if s.coordinates["M"] == 2.0)
    branch = RunDirectory(finished).branch(setting.name)
    real = Segmented(config).real(stage_of(resources, setting))  # pyright: ignore[reportArgumentType]
    table = branch.metrics(2).set_index(["metric", "model"])["value"]
    perplexities, kept = [], branch.array("train_perplexity", 2)
    assert kept is not None
    assert kept.shape == (2, 8)
    from copy import deepcopy

    for model in range(2):
        network = deepcopy(resources.base)
        weights = load_file(branch.weights(2, model))
        network.load_state_dict(weights, strict=False)
        losses = block_losses(network, real.test, (1,), batch_size=64, precision="float32")
        perplexities.append(np.exp(losses).mean())
        assert table["block_perplexity", model] == pytest.approx(perplexities[-1], rel=1e-5)
        assert table["stream_perplexity", model] == pytest.approx(np.exp(losses.mean()), rel=1e-5)
        on_train = block_losses(network, real.pool, (1,), batch_size=64, precision="float32")
        np.testing.assert_allclose(kept[model], np.exp(on_train), rtol=1e-4)
    mu = branch.metrics(2).set_index("metric")["value"]["mu"]
    assert mu == pytest.approx(np.mean(perplexities), rel=1e-5)
    values = set(branch.metrics(2)["metric"])
    assert {"mu_sd", "train_mu", "train_sd", "train_log_sd", "kl", "loss"} <= values
    assert "base_mu" not in values
    assert RunDirectory(finished).branch(setting.name).array("train_perplexity", 1) is None


def test_the_best_of_the_epochs_stays(resources, monkeypatch: pytest.MonkeyPatch):
    """The rate is so high that every epoch makes it worse: the first one stays."""
    config = segmented(training={"batch_size": 4, "learning_rate": 0.5, "warmup_ratio": 0})
    setting = config.grid()[0]
    workflow = Segmented(config)
    seen: list[float] = []
    from commensal.llm.workflows import segmented as module

    true = module._losses

    def noted(generation, model, blocks):
        found = true(generation, model, blocks)
        seen.append(float(found.mean()))
        return found

    monkeypatch.setattr(module, "_losses", noted)
    from copy import deepcopy

    generation = stage_of(resources, setting)
    generation.config = config
    generation.models = [deepcopy(resources.base)]
    real = workflow.real(generation)
    module.train(generation, config, real.segments, real.validation)
    assert len(seen) == config.epochs == 2
    kept = true(generation, generation.models[0], real.validation).mean()
    assert kept == pytest.approx(min(seen), rel=1e-6)


# Whole runs


def test_a_run_is_a_tidy_table(finished: Path):
    table = pd.read_parquet(finished / "metrics.parquet")
    assert list(table.columns[:5]) == ["ecosystem", "M", "D", "replicate", "generation"]
    mu = table[table.metric == "mu"]
    assert len(mu) == 4 * 3  # two pooled and two controls, three generations
    assert np.isfinite(mu.value).all()
    assert table[table.ecosystem == "alone"].model.max() == 1
    assert table[table.ecosystem == "fewer_steps"].model.max() == 0
    human = table[table.metric == "human_share"].groupby("generation").value.unique()
    assert [values.tolist() for values in human] == [[1.0], [0.0], [0.0]]
    assert table[(table.M == 2) & (table.ecosystem == "pooled")].model.max() == 1
    assert table[table.metric == "base_mu"].value.nunique() == 1


def test_two_workers_or_one_after_a_kill(finished: Path, tmp_path: Path):
    """SIGKILL at random moments leaves no trace."""
    out = tmp_path / "run"
    run_through_kills(segmented(), out, most=4, least=2)
    assert files_of(out) == files_of(finished)


def test_weights_that_were_not_kept_are_computed_again(finished: Path, tmp_path: Path):
    path = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(path / "generations" / "pooled,M=2,D=2,replicate=0" / "0002")
    resume(path, workers=1)
    assert files_of(path) == files_of(finished)


def test_sampling_instead_of_beams(tmp_path: Path):
    config = segmented(decoding="sample", models=[2], controls=[], generations=1)
    table = run(config, tmp_path / "run", workers=1)
    assert np.isfinite(table[table.metric == "mu"].value).all()


# The report


def text_of(path: Path) -> str:
    page = re.sub(r"<style>.*?</style>|<[^>]*>", " ", path.read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"\s+", " ", page)


def test_the_report(finished: Path, tmp_path: Path):
    path = write_report(finished, tmp_path / "page.html")
    text = text_of(path)
    assert "Ecosystems of 1 to 2 models that learn from all they write, 4 grid points" in text
    assert re.search(
        r"One replicate: of 7 published findings none can be told\. Bare numbers", text
    )
    assert "human share of the learnt tokens (t ≥ 1) 0.0%" in text
    assert "2 epochs, the best kept; batches of 4 examples" in text
    assert "all, in segments" in text
    assert "8 blocks of 6 tokens" in text
    assert "2 models against one:" in text
    for heading in ("Perplexity over diversity", "Gain over one model", "Pooled ecosystems"):
        assert heading in text
    page = path.read_text(encoding="utf-8")
    assert page.count("data:image/webp;base64,") == 4
    assert write_report(finished, tmp_path / "again.html").read_bytes() == path.read_bytes()


def test_the_report_of_an_unfinished_run(finished: Path, tmp_path: Path):
    path = shutil.copytree(finished, tmp_path / "run")
    for name in (
        "pooled,M=2,D=2,replicate=0",
        "alone,M=2,D=2,replicate=0",
        "fewer_steps,M=2,D=1,replicate=0",
    ):
        shutil.rmtree(path / "generations" / name)
    shown = contents(read_run(path))
    assert all(not one.instances for one in shown.found)
    assert [table.caption for table in shown.tables] == ["Pooled ecosystems"]
    text = text_of(write_report(path))
    assert "Unfinished: 1 of 4 grid points" in re.sub(" +", " ", text)
    shutil.rmtree(path / "generations")
    assert "Unfinished" in text_of(write_report(path))
