"""Settings of a web beyond the paper's: what is read, by whom, how often; replicates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from commensal.llm import run
from commensal.llm.config import (
    PopularRetrieval,
    RecentRetrieval,
    SimilarRetrieval,
    UniformRetrieval,
    WebConfig,
)
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import metrics
from commensal.llm.reports import write_report
from commensal.llm.web.asking import Response
from commensal.llm.web.languages import context_needed, most_read
from commensal.llm.web.measures import distance_matrix, joined, mean_responses, spreads
from commensal.llm.web.reading import share_path
from commensal.llm.web.records import posts_of, record_answer
from commensal.llm.web.store import Post, Store, human_posts
from tests.llm.kills import run_through_kills
from tests.llm.runs import files_of
from tests.llm.test_report import text_of
from tests.llm.test_web import web


@pytest.fixture(autouse=True)
def cached(tmp_path_factory):
    os.environ["COMMENSAL_CACHE"] = str(tmp_path_factory.getbasetemp() / "taught")


# what is read


def shelf() -> Store:
    store = Store(["human 0", "human 1"])
    store.add([Post("early", 0, 1), Post("early", 1, 1)])
    store.add([Post("late", 0, 2), Post("late", 1, 2)])
    return store


def shares(store: Store, how: Any, count: int = 1, **more: Any) -> np.ndarray:
    rng = np.random.default_rng(0)
    drawn = [store.retrieve(count, rng, how=how, step=2, **more) for _ in range(1500)]
    assert all(len(set(positions)) == count for positions in drawn)
    return np.bincount(np.ravel(drawn), minlength=len(store)) / len(drawn)


def test_recent_posts_are_drawn_more_often():
    found = shares(shelf(), RecentRetrieval(half_life=1))
    # ages 2, 1, 0
    weights = np.array([1, 1, 2, 2, 4, 4])
    np.testing.assert_allclose(found, weights / weights.sum(), atol=0.04)
    # so old that their weights are below the least number: drawn last, but drawn
    assert shares(shelf(), RecentRetrieval(half_life=1e-5), 6).tolist() == [1] * 6
    assert shares(shelf(), RecentRetrieval(half_life=1e-5), 2).tolist() == [0, 0, 0, 0, 1, 1]


def test_popular_posts_are_drawn_more_often():
    store = shelf()
    store.mark_read([0, 0, 0, 2, 0])
    weights = np.array([5, 1, 2, 1, 1, 1])
    np.testing.assert_allclose(
        shares(store, PopularRetrieval()), weights / weights.sum(), atol=0.04
    )
    flat = shares(store, PopularRetrieval(strength=0))
    np.testing.assert_allclose(flat, 1 / 6, atol=0.04)


def test_the_most_similar_posts_are_taken():
    alike = {"human 0": 0.1, "human 1": 0.9, "early": 0.5, "late": 0.7}

    def similarities(texts: list[str]) -> np.ndarray:
        return np.array([alike[text] for text in texts])

    found = shares(shelf(), SimilarRetrieval(), 2, similarities=similarities)
    assert found[1] == 1
    np.testing.assert_allclose(found[4:], 0.5, atol=0.04)  # a tie
    assert found[[0, 2, 3]].sum() == 0


def test_uniform_draws_are_as_they_were():
    store = shelf()
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    found = store.retrieve(4, rng, how=UniformRetrieval(), among=[0, 1, 3, 4, 5])
    drawn = same.choice(5, size=4, replace=False)
    assert found == [[0, 1, 3, 4, 5][i] for i in drawn]


def test_whose_posts_are_read():
    store = shelf()
    for who, expected in (
        ("all", [0, 1, 2, 3, 4, 5]),
        ("others", [0, 1, 3, 5]),
        ("ring", [0, 1, 3, 5]),
        ([[True, False], [True, True]], [0, 1, 2, 4]),
    ):
        assert store.readable(web(who_reads=who).reading(2)[0]) == expected
    ring = web(who_reads="ring").reading(4)
    assert [row.nonzero()[0].tolist() for row in ring] == [[3], [0], [1], [2]]


# who posts


def test_how_often_a_model_posts():
    (model, *_) = web().models
    for rate, expected in (
        (1, [1, 1, 1, 1]),
        (0.5, [0, 1, 0, 1]),
        (2.5, [2, 3, 2, 3]),
        (0, [0] * 4),
    ):
        one = model.model_copy(update={"posting_rate": rate})
        assert [one.posted(t + 1) - one.posted(t) for t in range(4)] == expected
    assert model.model_copy(update={"posting_rate": 0.1}).posted(30) == 3  # in decimal
    responses = [Response("a", left_out=True), Response("b"), Response("c"), Response("d")]
    records = record_answer(0, 1, "q", responses, [4, 2], posts=2)
    assert posts_of(records) == [(1, "b"), (1, "c")]
    assert [r.get("retrieved") for r in records] == [None, [4, 2], None, None]
    none = record_answer(0, 1, "q", responses, [4, 2], posts=0)
    assert posts_of(none) == []
    assert none[0]["retrieved"] == [4, 2]


def test_human_posts_over_time(tmp_path: Path):
    posts = {"kind": "languages", "counts": [3, 2], "words": 2, "vocabulary": 16}
    first, *later = human_posts(web(posts=posts | {"each_step": 4}))
    assert [first] == human_posts(web(posts=posts, generations=0))
    assert [len(step) for step in later] == [4, 4, 4]
    assert later[0] != later[1]
    (tmp_path / "a.txt").write_text("\n".join("abcdefg"))
    file = {"kind": "file", "path": str(tmp_path / "a.txt"), "limit": 1, "each_step": 2}
    local = [{"kind": "local", "name": "nowhere"}]
    assert human_posts(web(models=local, posts=file)) == [["a"], ["b", "c"], ["d", "e"], ["f", "g"]]
    with pytest.raises(ValueError, match="has 7 posts, fewer than 9"):
        human_posts(web(models=local, posts=file, generations=4))


def test_room_for_all_that_can_be_read():
    plain = web(read_share=1)
    assert most_read(plain) == 5 + 2 * 3
    models = [m.model_dump() for m in plain.models]
    models[0]["posting_rate"], models[1]["read_share"] = 2, 1
    more = web(
        models=models,
        read_share=0.5,
        query=["answer :", "say :"],
        posts=plain.posts.model_dump() | {"each_step": 1},
    )
    assert most_read(more) == 5 + 3 + 2 * (6 + 3)
    assert more.languages is not None
    assert context_needed(more, more.languages) > context_needed(plain, more.languages)


def test_distances_over_several_queries():
    embedded = np.zeros((2, 2, 3, 1))
    embedded[1, 0], embedded[1, 1] = 3, 4
    embedded[0, 0, :, 0] = [-1, 0, 1]
    one = joined(embedded)
    assert one.shape == (2, 3, 2)
    assert distance_matrix(mean_responses(one))[0, 1] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert spreads(one)[0] == pytest.approx(np.sqrt(2 / 3 / 2))


# runs


EVERYTHING: dict[str, Any] = {
    "retrieval": {"kind": "popular", "strength": 2},
    "who_reads": "others",
    "query": ["answer :", "say :"],
    "generations": 3,
    "models": [
        m.model_dump() | more
        for m, more in zip(web().models, ({"posting_rate": 2}, {"read_share": 0.25}), strict=True)
    ],
    "posts": {"kind": "languages", "counts": [3, 2], "words": 2, "vocabulary": 16, "each_step": 1},
}


def test_all_settings_together_survive_kills(tmp_path: Path):
    config = web(**EVERYTHING)
    table = run(config, tmp_path / "whole")
    whole = table[table.metric == "posts"].value.tolist()
    # two queries: of the first model four posts a step, of the other two, and a human one
    assert whole == [5, 12, 19, 26]
    branch = RunDirectory(tmp_path / "whole").branch("read_share=0.5")
    for t in range(4):
        records = branch.samples(t)
        assert [m for m, _ in posts_of(records)] == [0, 0, 0, 0, 1, 1]
        read = [r["retrieved"] for r in records if "retrieved" in r]
        unread = table[(table.metric == "unread") & (table.generation == t)].value.tolist()
        authors = [None] * 5 + ([0] * 4 + [1] * 2 + [None]) * t
        assert [len(a) + len(b) for a, b in (read[:2], read[2:])] == [
            2 * int(0.5 * sum(a != 0 for a in authors)) - unread[0],
            2 * int(0.25 * sum(a != 1 for a in authors)) - unread[1],
        ]
        assert not [p for p in read[0] + read[1] if authors[p] == 0]
        assert not [p for p in read[2] + read[3] if authors[p] == 1]
        assert {r["prompt"] for r in records} == {"answer :", "say :"}
    (point,) = config.grid()
    for name in ("share", "taught"):
        path = share_path(metrics(tmp_path / "whole"), point, name, 3)
        assert path is not None
        assert path.shape == (4, 2, 2, 2)
        np.testing.assert_allclose(path.sum(axis=-1), 1)
    run_through_kills(config, tmp_path / "cut", most=3, pauses=(0.01,), seed=1)
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")
    text = text_of(write_report(tmp_path / "whole"))
    for said in ("by popularity", "1 after each step", "known for uniform retrieval only"):
        assert said in text


def test_similar_posts_are_read_in_a_run(tmp_path: Path):
    run(web(retrieval="similar", generations=1), tmp_path / "run")
    branch = RunDirectory(tmp_path / "run").branch("read_share=0.5")
    # one query, one embedder: both models are given the same posts
    first, second = (r["retrieved"] for r in branch.samples(1) if "retrieved" in r)
    assert first == second


def test_a_replicate_is_a_new_web(tmp_path: Path):
    config = web(replicates=2, generations=1)
    assert config.varies == (
        "new in each: languages and human posts, taught models, draws of posts and answers"
    )
    table = run(config, tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run" / "models").iterdir()) == [
        "0", "0,replicate=1", "1", "1,replicate=1",
    ]  # fmt: skip
    weights = [
        (tmp_path / "run" / "models" / name / "model.safetensors").read_bytes()
        for name in ("0", "0,replicate=1")
    ]
    assert weights[0] != weights[1]
    one, two = (config.of_replicate(r).languages for r in (0, 1))
    assert one is not None
    assert two is not None
    assert not np.allclose(one.laws()[0].transition, two.laws()[0].transition)
    assert human_posts(config, 0) != human_posts(config, 1)
    # the first is what a run without others is
    alone = run(web(generations=1), tmp_path / "alone")
    same = table[table.replicate == 0].reset_index(drop=True)
    assert (alone.replicate == 0).all()
    np.testing.assert_array_equal(same.value, alone.value)
    text = text_of(write_report(tmp_path / "run"))
    assert "new in each: languages and human posts, taught models" in text


def test_a_replicate_of_draws_alone(tmp_path: Path):
    config = web(replicates=2, replicate="sampling", generations=1)
    table = run(config, tmp_path / "run")
    assert config.of_replicate(1) is config
    assert sorted(p.name for p in (tmp_path / "run" / "models").iterdir()) == ["0", "1"]
    first, second = (table[table.replicate == r] for r in (0, 1))
    slopes = [t[t.metric == "calibration_slope"].value.tolist() for t in (first, second)]
    assert slopes[0] == slopes[1]
    drawn = [t[t.metric == "disagreement"].value.tolist() for t in (first, second)]
    assert drawn[0] != drawn[1]
    given = web(models=[{"kind": "local", "name": "x"}], posts={"kind": "texts", "texts": ["x"]})
    assert given.varies == (
        "new in each: draws of posts and answers; the same in all: human posts, given models"
    )
    assert given.made_for(3) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"retrieval": "random"}, "does not match any of the expected tags"),
        ({"retrieval": {"kind": "recent", "half_life": 0}}, "greater than 0"),
        ({"who_reads": [[True]]}, "a matrix needs 2 rows of 2 entries, one per model"),
        ({"query": []}, "needs one text or more"),
        ({"query": ["a", "a"]}, "each once and not empty"),
        ({"query": ""}, "each once and not empty"),
        ({"replicate": "nothing"}, "'everything' or 'sampling'"),
        (
            {
                "posts": {"kind": "file", "path": "x", "each_step": 1},
                "models": [{"kind": "local", "name": "x"}],
            },
            "each_step takes the posts after the first; set limit to their number",
        ),
        (
            {"models": [{"kind": "scratch", "prior": [1, 1], "posting_rate": 5}]},
            "models.0.posting_rate may be at most the 4 responses, got 5",
        ),
        (
            {"models": [{"kind": "scratch", "prior": [1, 1], "read_share": 2}]},
            "less than or equal to 1",
        ),
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any], message: str):
    with pytest.raises(ValidationError) as error:
        web(**change)
    assert message in str(error.value)


def test_defaults_are_the_papers():
    config = WebConfig.model_validate(
        {"models": [{"kind": "local", "name": "x"}], "query": "q",
         "posts": {"kind": "texts", "texts": ["x"]}}
    )  # fmt: skip
    (model,) = config.models
    assert (config.retrieval.kind, config.who_reads, config.read_share) == (
        "uniform",
        "all",
        (0.5,),
    )
    assert (model.posting_rate, model.read_share, config.posts.each_step) == (1, None, 0)
    assert not list(config._beyond_the_paper())
    assert [s for s, _ in config.facts()] == [
        "models (n)", "model 1", "β", "responses (L)", "query", "embedding", "left out of answers",
    ]  # fmt: skip
