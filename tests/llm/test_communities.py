"""Segments that are whole communities: how they are dealt out, tested, and what is said of it."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from commensal.cli._console import in_one_line
from commensal.llm import run
from commensal.llm.config import SegmentedConfig
from commensal.llm.config._segments import community_counts
from commensal.llm.corpora import CorpusWarning, FileCorpus, load
from commensal.llm.opening import open_resources
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.reports import write_report
from commensal.llm.reports._learning import lessons
from commensal.llm.reports.findings_segmented import advantages, by_community, shrinking
from commensal.llm.reports.segmented import _tables_of_communities
from commensal.llm.workflows.segmented import Segmented
from tests.llm.kills import run_through_kills
from tests.llm.runs import files_of, language, segmented
from tests.llm.test_segmented import stage_of, text_of

THREE: dict[str, Any] = {
    "deal": "community",
    "tasks": [language(n, own=0.5) for n in (1, 2, 3)],
    "public": language(0, smoothing=0.5, zipf=0.3),  # of all words, and of no language
    "models": [1, 2, 3],
    "blocks": 24,
    "validation": 6,
    "controls": ["alone", "random"],
    "generations": 1,
}
# what is run of it: the rest is looked at without training
SHORT: dict[str, Any] = THREE | {
    "models": [2, 3],
    "controls": ["random"],
    "measurement": {"prompts": 2},
    "model": {
        "kind": "scratch",
        "context": 24,
        "pretraining": {"steps": 40, "batch_size": 8, "learning_rate": 1e-2},
    },
    "training": {"batch_size": 4, "learning_rate": 3e-3},
}
NAMES = ["language1", "language2", "language3"]


def posts(path: Path, topics: dict[str, int], words: int = 12, column: str = "topic") -> str:
    """Write posts whose words are their topic's own."""
    rng = np.random.default_rng(0)
    rows = [
        {column: topic, "text": " ".join(f"{topic}{i}" for i in rng.integers(6, size=words))}
        for topic, count in topics.items()
        for _ in range(count)
    ]
    order = rng.permutation(len(rows))
    path.write_text("".join(json.dumps(rows[i]) + "\n" for i in order), encoding="utf-8")
    return str(path)


def of_file(path: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "file",
        "path": path,
        "completion": "text",
        "community": "topic",
        "prompt_words": 2,
        "completion_words": 4,
        "test_share": 0.3,
        **more,
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    os.environ["COMMENSAL_CACHE"] = str(path.parent / "cache")
    run(segmented(**SHORT), path, workers=1)
    return path


@pytest.fixture(scope="module")
def resources(finished: Path):
    return open_resources(finished, config_of(finished))


# Settings


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"deal": "random"}, "got 3; set deal to community, and each is a community"),
        ({"tasks": [language(1)]}, "deal: community needs communities: name the column that says"),
        ({"models": [1, 4]}, "4 models need as many communities or more, and there are 3"),
        ({"sizes": [[1, 1, 1, 3]]}, "4 models need as many communities or more, and there are 3"),
        ({"models": [1], "blocks": 2, "controls": []}, "of 3 communities one would get none"),
        ({"blocks": 207}, "'language3' has 73 blocks of 6 tokens to train on; blocks and"),
        (
            {"tasks": [language(1), language(2), language(3, train=4)]},
            "'language3' has 7 blocks of 6 tokens to train on; blocks and validation need 14",
        ),
        ({"deal": "topic"}, "deal: Input should be 'random' or 'community', got topic"),
        (
            {"deal": "random", "tasks": [of_file("a.jsonl")]},
            "set deal to community, or leave it out",
        ),
        (
            {"deal": "random", "tasks": [language(1)]},
            "the control random needs deal: community",
        ),
        ({"tasks": [of_file("a.txt", completion=None)]}, "has no columns"),
        ({"tasks": [of_file("a.jsonl", community="{")]}, "template"),
    ],
)
def test_an_impossible_deal_is_named(more: dict[str, Any], message: str):
    with pytest.raises(ValidationError) as error:
        segmented(**THREE | more)
    text = in_one_line(error.value)
    assert message in text
    assert "\n" not in text


def test_communities_are_grouped_evenly():
    config = segmented(**THREE)
    deals = {s.name.split(",D")[0]: config.deals(s, 3) for s in config.grid()}
    assert deals["pooled,M=1"] == ((8, 8, 8),)
    assert deals["pooled,M=2"] == ((6, 6, 0), (0, 0, 12))
    assert deals["pooled,M=3"] == deals["alone,M=3"] == ((8, 0, 0), (0, 8, 0), (0, 0, 8))
    # the largest number of any ecosystem, and as many of each to validate
    assert config.needed_of(3) == (8 + 2, 8 + 2, 12 + 2)
    assert community_counts([5, 5], 5) == ((2, 2, 1, 0, 0), (0, 0, 0, 3, 2))
    assert segmented().needed_of(1) == (12,)
    assert segmented().deals(segmented().grid()[1], 1) == ((4,), (4,))


# Texts of a file


def test_a_column_divides_a_corpus(tmp_path: Path):
    path = posts(tmp_path / "posts.jsonl", {"chess": 20, "art": 40})
    corpus = load(FileCorpus.model_validate(of_file(path)), 0)
    assert [part.name for part in corpus.communities] == ["posts/art", "posts/chess"]
    for part, topic in zip(corpus.communities, ("art", "chess"), strict=True):
        words = " ".join(e.prompt + e.completion for e in (*part.train, *part.test)).split()
        assert {word.rstrip("0123456789") for word in words} == {topic}
        assert len(part.train) > len(part.test) > 0
    whole = [corpus.communities[0].train, corpus.communities[1].train]
    assert corpus.train == whole[0] + whole[1]
    # the same texts, and the same of them held out, as without the column
    plain = load(FileCorpus.model_validate(of_file(path, community=None)), 0)
    assert plain.communities == ()
    for side in ("train", "test"):
        words = [
            sorted(" ".join(e.prompt + e.completion for e in getattr(c, side)).split())
            for c in (corpus, plain)
        ]
        assert words[0] == words[1]
    few = load(FileCorpus.model_validate(of_file(path, limit=90)), 0)
    assert len(few.train) + len(few.test) == 90


@pytest.mark.parametrize(
    ("topics", "more", "message"),
    [
        ({"a": 9}, {"community": "user"}, "line 1: no column 'user' among 'topic', 'text'"),
        ({"a": 30, "b": 1}, {}, "community 'b' of 'posts' has too few texts: "),
        ({"a": 30, " ": 9}, {}, "the community ('topic') is empty"),
        ({"a": 30, "b": 30, "c": 30}, {"models": [4]}, "4 models need as many communities"),
    ],
)
def test_a_column_that_will_not_do_is_named(
    tmp_path: Path, topics: dict[str, int], more: dict[str, Any], message: str
):
    models = more.pop("models", [1])
    path = posts(tmp_path / "posts.jsonl", topics)
    config = segmented(**THREE | {"tasks": [of_file(path, **more)], "models": models})
    with pytest.raises(ValueError, match=r"\w") as error:
        run(config, tmp_path / "run", workers=1)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_rows_without_a_community_are_left_out(tmp_path: Path):
    path = Path(posts(tmp_path / "posts.jsonl", {"a": 30, "b": 30}))
    path.write_text(path.read_text() + '{"topic": null, "text": "lost words of nobody"}\n')
    with pytest.warns(CorpusWarning, match="'topic' is empty"):
        corpus = load(FileCorpus.model_validate(of_file(str(path))), 0)
    assert [part.name for part in corpus.communities] == ["posts/a", "posts/b"]


# Dealing out


def test_models_get_whole_communities(resources):
    config = segmented(**THREE)
    workflow = Segmented(config)
    real = {s.name.split(",D")[0]: workflow.real(stage_of(resources, s)) for s in config.grid()}
    streams = {n: set(map(tuple, t.tolist())) for n, (t, _) in workflow._blocks(resources).items()}
    assert list(streams) == NAMES
    three = real["pooled,M=3"]
    for name, segment, other in zip(NAMES, three.segments, real["alone,M=3"].segments, strict=True):
        assert len(segment) == 8
        assert set(map(tuple, segment.tolist())) <= streams[name]
        np.testing.assert_array_equal(segment, other)
    # one model has the same blocks, and so has the control that a lot mixes
    np.testing.assert_array_equal(real["pooled,M=1"].pool, three.pool)
    lot = real["random,M=3"]
    assert sorted(lot.pool.tolist()) == sorted(three.pool.tolist())
    assert [len(s) for s in lot.segments] == [8, 8, 8]
    whose = [{n for n in NAMES if set(map(tuple, s.tolist())) & streams[n]} for s in lot.segments]
    assert max(map(len, whose)) > 1
    assert not lot.owned.any()
    assert real["pooled,M=2"].owned.tolist() == [[6, 6, 0], [0, 0, 12]]
    for one in real.values():
        np.testing.assert_array_equal(one.validation, three.validation)
        assert [sum(map(len, one.tests.values())), list(one.tests)] == [len(one.test), NAMES]
    assert [len(three.validation), len(three.looked_at)] == [6, 24]
    used = [*map(tuple, real["pooled,M=2"].pool.tolist()), *map(tuple, three.validation.tolist())]
    everything = [
        b for t, _ in workflow._blocks(resources).values() for b in map(tuple, t.tolist())
    ]
    assert all(used.count(block) <= everything.count(block) for block in set(used))


def test_communities_count_alike(resources):
    """Of tests of 1 and 3 blocks, 2 is the mean of 1 and of 3, 3, 3."""
    from commensal.llm.workflows.segmented import Real, mixed

    blocks = np.zeros((4, 6), dtype=np.int64)
    real = Real([blocks], blocks, {"a": blocks[:1], "b": blocks[:3]}, blocks, np.array([[2, 2]]))
    mean, sd = mixed(np.array([[1.0, 3.0, 3.0, 3.0]]), np.array([1.0]), real.weights)
    assert (mean, sd) == pytest.approx((2, 1))
    assert Real([blocks], blocks, {"a": blocks}, blocks, np.array([[4]])).weights is None


# Whole runs


def test_every_model_is_tested_on_every_community(finished: Path, resources):
    from copy import deepcopy

    from safetensors.torch import load_file

    from commensal.llm.models.blocks import block_losses

    table = pd.read_parquet(finished / "metrics.parquet")
    config = config_of(finished)
    rows = table[table.metric == "block_perplexity"]
    assert sorted(rows.dataset.unique()) == ["all communities", *NAMES]
    assert (rows.groupby(["ecosystem", "M", "generation", "model"]).size() == 4).all()
    setting = next(s for s in config.grid() if s.coordinates["M"] == 3)
    branch = RunDirectory(finished).branch(setting.name)
    found = branch.metrics(1)
    found = found[found.metric == "block_perplexity"].set_index(["dataset", "model"]).value
    real = Segmented(config).real(stage_of(resources, setting))  # pyright: ignore[reportArgumentType]
    network = deepcopy(resources.base)
    network.load_state_dict(load_file(branch.weights(1, 1)), strict=False)
    each = []
    for name, blocks in real.tests.items():
        losses = block_losses(network, blocks, (1,), batch_size=64, precision="float32")
        each.append(np.exp(losses).mean())
        assert found[name, 1] == pytest.approx(each[-1], rel=1e-5)
    assert found["all communities", 1] == pytest.approx(np.mean(each), rel=1e-5)
    owned = table[(table.metric == "own_blocks") & (table.ecosystem == "pooled") & (table.M == 2)]
    assert owned.sort_values(["model", "dataset"]).value.tolist() == [6, 6, 0, 0, 0, 12]
    # known laws, each of its own
    kl = table[(table.metric == "kl") & table.dataset.isin(NAMES)]
    assert np.isfinite(kl.value).all()
    assert set(kl.dataset) == set(NAMES)


def test_a_killed_run_ends_as_if_it_had_not_been(finished: Path, tmp_path: Path):
    out = tmp_path / "run"
    run_through_kills(segmented(**SHORT), out, most=3, least=2)
    assert files_of(out) == files_of(finished)


def test_a_run_on_a_column_of_a_file(tmp_path: Path):
    path = posts(tmp_path / "posts.jsonl", {"chess": 40, "art": 60}, words=24)
    config = segmented(
        **THREE
        | {
            "tasks": [of_file(path)],
            "models": [2],
            "controls": [],
            "blocks": 8,
            "validation": 2,
            "model": {
                "kind": "scratch",
                "context": 24,
                "vocabulary": 300,
                "pretraining": {"steps": 2},
            },
        }
    )
    out = tmp_path / "run"
    run_through_kills(config, out, most=1)
    table = run(config, tmp_path / "whole", workers=1)
    assert files_of(out) == files_of(tmp_path / "whole")
    rows = table[table.metric == "block_perplexity"]
    assert sorted(rows.dataset.unique()) == ["posts", "posts/art", "posts/chess"]
    assert np.isfinite(rows.value).all()
    # and the losses of each community, by which a reader is warned
    assert {"posts/art", "posts/chess"} <= set(table[table.metric == "loss"].dataset)
    text = text_of(write_report(out))
    assert "Pooled ecosystems, M = 2: perplexity by community (t = 0 → at the end)" in text
    assert "posts/art posts/chess" in text


def test_the_report_says_what_cannot_be_told(finished: Path, tmp_path: Path):
    text = text_of(write_report(finished, tmp_path / "page.html"))
    assert "communities, grouped evenly" in text
    assert "Pooled ecosystems, M = 3: perplexity by community (t = 0 → at the end)" in text
    assert re.search(r"language1 language2 language3 model 1 \S+ → \S+ \(own\) \S+ → ", text)
    assert re.search(r"in ln of perplexity: pooled, M = 2: \+\d\.\d\d → \S+, cannot be told", text)
    assert "Advantage of models on their own communities (ln of perplexity)" in text
    assert "cannot be told whether it shrinks (one replicate has no interval)" in text
    assert "means count communities alike" in text


# Findings


def made_up(ends: dict[int, list[tuple[list[list[float]], list[list[float]]]]]) -> pd.DataFrame:
    """Make a table of perplexities (model, community) at both ends, by M and replicate."""
    rows = []
    for m, replicates in ends.items():
        for replicate, both in enumerate(replicates):
            key = ("pooled", float(m), float(m), float(replicate))
            for t, values in zip((0, 2), both, strict=True):
                for model, of_model in enumerate(values):
                    for at, value in enumerate(of_model):
                        where = (*key, t, model, f"c{at}")
                        rows.append((*where, "block_perplexity", value))
                        if t == 0:
                            rows.append((*where, "own_blocks", 8.0 * (m == 1 or model == at)))
            rows.append((*key, 2, 0, "all", "block_perplexity", 1.0))
    columns = [
        "ecosystem",
        "M",
        "D",
        "replicate",
        "generation",
        "model",
        "dataset",
        "metric",
        "value",
    ]
    return pd.DataFrame(rows, columns=columns)


def pair(own: float, other: float) -> list[list[float]]:
    """Two models; the second community is twice as hard for everybody."""
    return [[own, 2 * other], [other, 2 * own]]


def test_an_advantage_is_held_against_others_on_the_same_texts():
    table = made_up({1: [([[3.0, 9.0]], [[3.0, 9.0]])], 2: [(pair(4, 8), pair(5, 6))]})
    found = by_community(table, 2)
    assert len(found) == 2 + 4
    assert found.loc[found.M == 2, "own"].tolist() == [True, False, False, True]
    (row,) = advantages(found).to_dict("records")  # one model alone has no others
    assert row["first"] == pytest.approx(math.log(8 / 4))
    assert row["last"] == pytest.approx(math.log(6 / 5))
    assert by_community(table, 3).empty  # not finished
    assert by_community(table[table.metric != "own_blocks"], 2).empty
    assert by_community(pd.DataFrame(), 2).empty


def test_whether_it_shrinks_is_judged_over_replicates():
    def verdict(*replicates: tuple[list[list[float]], list[list[float]]]):
        ((*_, one),) = shrinking(advantages(by_community(made_up({2: list(replicates)}), 2)))
        return one

    falls = [(pair(4, 8), pair(5, 6 + r / 100)) for r in range(3)]
    assert verdict(*falls).holds is True
    assert verdict(*[(last, first) for first, last in falls]).holds is False
    assert verdict(falls[0]).reason == "one replicate has no interval"
    unsure = verdict((pair(4, 8), pair(4, 9)), (pair(4, 8), pair(4, 6)), falls[0])
    assert unsure.holds is None
    assert "the interval is too wide" in unsure.reason
    bad = verdict(falls[0], (pair(4, 8), pair(5, math.inf)))
    assert bad.reason == "not a finite number"


def test_tables_of_communities():
    table = made_up({2: [(pair(4, 8), pair(5, 6 + r / 100)) for r in range(3)]})
    each, judged = _tables_of_communities(by_community(table, 2))
    cells = [[str(getattr(cell, "text", cell)) for cell in row] for row in each.rows]
    assert cells[0][0] == "model 1"
    assert cells[0][1] == "4.00 ± 0.00 → 5.00 ± 0.00 (own)"
    assert cells[0][2].startswith("16.00 ± 0.00 → 12.02 ± ")
    ((name, first, last, change, said),) = [
        [str(getattr(cell, "text", cell)) for cell in row] for row in judged.rows
    ]
    assert (name, said) == ("pooled, M = 2", "it shrinks")
    assert first == "0.69 ± 0.00"
    assert last.startswith("0.18 ±")
    assert change.startswith("\N{MINUS SIGN}0.51 [")


def test_where_a_lot_mixes_communities_no_model_has_its_own():
    table = made_up({2: [(pair(4, 8), pair(5, 6))]})
    table.loc[table.metric == "own_blocks", "value"] = 0.0
    communities = by_community(table.assign(ecosystem="random"), 2)
    assert advantages(communities).empty
    assert shrinking(advantages(communities)) == []
    (only,) = _tables_of_communities(communities)
    assert only.caption.startswith("Control: the same texts, dealt out by lot, M = 2: perplexity")
    assert not any("own" in str(cell) for row in only.rows for cell in row)


def test_a_model_is_judged_by_its_own_communities():
    """Model 1 knows nothing of the second community, which is not its own."""
    config = segmented(**THREE | {"models": [2], "controls": []})
    (point,) = config.grid()
    rows = []
    for model in range(2):
        for name, own in (("c0", model == 0), ("c1", model == 1)):
            for metric, value in (
                ("own_blocks", float(own)), ("loss", 1.0 if own else 5.0),
                ("unigram_loss", 3.0), ("uniform_loss", 4.0),
            ):  # fmt: skip
                rows.append((*point.coordinates.values(), 0, model, name, metric, value))
    columns = [*point.coordinates, "generation", "model", "dataset", "metric", "value"]
    table = pd.DataFrame(rows, columns=columns)
    (one,) = lessons(table, [point], config.learnt)
    assert not one.nothing
    swapped = table.assign(dataset=table.dataset.where(table.metric != "own_blocks", other="c1"))
    (other,) = lessons(swapped, [point], config.learnt)
    assert other.nothing


def test_what_is_written_down_is_read_again():
    config = segmented(**THREE)
    assert SegmentedConfig.model_validate(config.model_dump(mode="json")) == config
