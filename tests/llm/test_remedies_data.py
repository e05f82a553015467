"""What each generation of a remedy is trained on: which human texts, when, and what of the past."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pydantic import ValidationError

from commensal.llm import metrics, run
from commensal.llm.config import Detector, Remedy
from commensal.llm.corpora import load
from commensal.llm.generation import Generation
from commensal.llm.records.directory import RunDirectory
from commensal.llm.reports._reading import facts, read_run
from commensal.llm.seeds import seed_of
from tests.llm.test_remedies import remedies

GIVEN = [
    {"name": "none"},
    {"name": "half", "human_share": 0.5},
    {"name": "quarter", "human_share": 0.25},
    {"name": "late", "human_share": 0.5, "since": 2},
    {"name": "once", "human_share": 0.5, "until": 1},
    {"name": "found", "human_share": 0.5, "filter": {"kind": "detector", "true_positive": 0.75}},
    {"name": "all", "memory": "accumulate"},
    {"name": "some", "memory": "accumulate_subsample"},
    {"name": "all half", "memory": "accumulate", "human_share": 0.5},
]


class Trained(NamedTuple):
    """What was trained on, by remedy and generation, with the human texts by their tokens."""

    path: Path
    data: dict[tuple[str, int], list]
    passes: dict[tuple[str, int], int]
    human: list

    def humans(self, remedy: str, generation: int) -> list:
        return [e for e in self.data[remedy, generation] if e in self.human]


def trained(folder: Path, **more: Any) -> Trained:
    found: dict[str, Any] = {"data": {}, "passes": {}, "human": []}
    train = Generation.train

    def recorded(self: Generation, data, training, *, passes, **options) -> None:
        where = (str(self.point.coordinates["remedy"]), self.index)
        found["data"][where], found["passes"][where] = list(data[0]), passes[0]
        found["human"] = self.resources.encode(self.resources.tasks[0].train)
        train(self, data, training, passes=passes, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENSAL_CACHE", str(folder / "cache"))
        patch.setattr(Generation, "train", recorded)
        run(remedies(remedies=GIVEN, replicates=1, **more), folder / "run", workers=1)
    return Trained(folder / "run", **found)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("seen"), human_texts="seen")


def test_fresh_texts_are_new_and_come_once(fresh: Trained):
    """Of 40 texts 26 are held back for the remedy that needs most: 13 of 16 examples, twice."""
    start = set(fresh.data["none", 0])
    for name, count in {"half": 8, "quarter": 4}.items():
        used = [fresh.humans(name, t) for t in (1, 2)]
        assert [len(texts) for texts in used] == [count, count]
        every = [text for texts in used for text in texts]
        assert len(set(every)) == 2 * count
        assert start.isdisjoint(every)
    assert fresh.humans("none", 1) == fresh.humans("none", 2) == []
    # of a larger share they include those of a smaller one, at the same places
    half, quarter = fresh.data["half", 1], fresh.data["quarter", 1]
    assert all(h == q for h, q in zip(half, quarter, strict=True) if q in fresh.human)


def test_prompts_are_of_texts_that_generation_0_drew_from(fresh: Trained):
    config = read_run(fresh.path).config
    corpus = load(config.tasks[0], seed_of(config.seed, "corpora"))
    held = {e for (_, t), data in fresh.data.items() if t for e in data if e in fresh.human}
    held -= set(fresh.data["none", 0])
    texts = dict(zip(fresh.human, corpus.train, strict=True))
    branch = RunDirectory(fresh.path).branch("remedy=half,replicate=0")
    prompts = {s["prompt"] for s in branch.samples(1) if s["kind"] == "web"}
    assert held
    assert prompts <= {example.prompt for example in corpus.train}
    fresh_prompts = {texts[e].prompt for e in fresh.humans("half", 1) + fresh.humans("half", 2)}
    others = {texts[e].prompt for e in fresh.data["none", 0]}
    assert not prompts & (fresh_prompts - others)


def test_seen_texts_are_those_of_generation_0(seen: Trained):
    used = seen.humans("half", 1) + seen.humans("half", 2)
    assert len(used) > len(set(used))  # drawn with replacement
    assert read_run(seen.path).config.held_back == 0
    # as before: each example by its own lot
    assert len(seen.humans("quarter", 1)) <= len(seen.humans("half", 1))


def test_what_a_report_says_of_human_texts(fresh: Trained, seen: Trained):
    said = [dict(facts(read_run(run.path)))["human texts"] for run in (fresh, seen)]
    assert said[0] == "fresh: 26 held back from generation 0, each used once in a lineage"
    assert said[1] == "the texts that generation 0 drew from, drawn again"


def test_a_remedy_acts_when_it_should(fresh: Trained):
    assert fresh.data["late", 1] == fresh.data["none", 1]
    assert len(fresh.humans("late", 2)) == 8
    assert fresh.data["once", 1] == fresh.data["half", 1]
    assert fresh.humans("once", 2) == []
    table = metrics(fresh.path).query("metric == 'human_examples'")
    shares = table.set_index(["remedy", "generation"])["value"]
    assert [shares["late", t] for t in (0, 1, 2)] == [1, 0, 0.5]
    assert [shares["once", t] for t in (0, 1, 2)] == [1, 0.5, 0]
    schedule = Remedy(name="x", since=2, until=8, every=3)
    assert [t for t in range(12) if schedule.acts(t)] == [2, 5, 8]
    assert schedule.nothing
    assert [t for t in range(4) if Remedy(name="x").acts(t)] == [1, 2, 3]


def test_detectors_change_the_share_and_thin_the_web(fresh: Trained):
    """Of a web half human they let 0.9 of the human and 0.25 of the synthetic texts pass."""
    detector = Detector(true_positive=0.75)
    assert detector.learnt(0.5) == pytest.approx(0.45 / (0.45 + 0.125))
    assert len(fresh.humans("found", 1)) == round(16 * 0.45 / 0.575) == 13
    perfect = Detector(true_positive=1, false_positive=0)
    assert perfect.learnt(0.01) == 1
    blind = Detector(true_positive=0.3, false_positive=0.3)
    assert blind.learnt(0.2) == pytest.approx(0.2)
    rng = np.random.default_rng(0)
    stay = detector.stay(["text"] * 20_000, len, rng)
    assert abs(len(stay) / 20_000 - 0.25) < 4.5 * np.sqrt(0.25 * 0.75 / 20_000)
    assert len(perfect.stay(["text"] * 9, len, rng)) == 1


def test_accumulated_data_are_those_that_were_new(fresh: Trained):
    for name, like in (("all", "none"), ("all half", "half")):
        first, second = fresh.data[name, 1], fresh.data[name, 2]
        assert (len(first), len(second)) == (32, 48)
        assert second[:32] == first
        assert first[16:] == fresh.data[like, 1]
        assert set(first[:16]) <= set(fresh.human)
        assert [fresh.passes[name, t] for t in (1, 2)] == [2, 3]
    assert len(set(fresh.humans("all half", 2)[16:])) == 16
    for t in (1, 2):
        some = fresh.data["some", t]
        assert len(some) == 16
        assert 0 < len([e for e in some if e in fresh.human]) < 16
        assert fresh.passes["some", t] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"steps": 20, "batch_size": 8}}, "has 40 training texts; 250"),
        ({"remedies": [*GIVEN, {"name": "x", "top_p": 0.1, "since": 3}]}, "'x' begins at gen"),
        ({"remedies": [{"name": "x", "since": 3, "until": 2}]}, "'x' ends before it begins"),
        (
            {"remedies": [{"name": "x", "filter": {"kind": "detector", "true_positive": 1}}]},
            "detector of remedy 'x' lets no text pass",
        ),
        ({"remedies": [{"name": "x", "memory": "forget"}]}, "memory"),
    ],
)  # fmt: skip
def test_impossible_settings(change: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        remedies(**{"remedies": GIVEN} | change)
