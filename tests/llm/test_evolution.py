"""Populations: who has children, what these inherit, and what the report says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from commensal.llm import run
from commensal.llm.config import EvolutionConfig
from commensal.llm.corpora import Example
from commensal.llm.records.directory import RunDirectory
from commensal.llm.reports import evolution as report_evolution
from commensal.llm.reports import findings_evolution, write_report
from commensal.llm.reports._populations import Kind, Populations, kind_of
from commensal.llm.reports._reading import read_run, title
from commensal.llm.workflows.evolution import Evolution, mutated, pairs, ranked, some
from commensal.page import Picture
from tests.llm.kills import run_through_kills
from tests.llm.runs import evolution, files_of, language
from tests.llm.test_report import text_of
from tests.llm.test_training import model_of

ALL = {
    "arms": [
        {"population": 1, "replicates": 2},
        {"population": 4, "selection": ["accuracy", "oracle", "random"]},
        {"population": 4, "selection": "none", "reads": "pooled"},
        {"population": 4, "inheritance": "data", "noise": 0.1},
    ]
}


def setting_of(config: EvolutionConfig, **coordinates: Any):
    (found,) = [
        s
        for s in config.grid()
        if all(s.coordinates[name] == value for name, value in coordinates.items())
    ]
    return found


def measured(values: list[float], metric: str, dataset: str) -> pd.DataFrame:
    rows = [(k, dataset, metric, value) for k, value in enumerate(values)]
    other = [(k, dataset, "rare_perplexity", 9.0 - k) for k in range(len(values))]
    return pd.DataFrame(rows + other, columns=["model", "dataset", "metric", "value"])


def test_the_best_come_first_and_lots_decide_between_equals():
    assert ranked(np.array([1.0, 3.0, 2.0]), 0.0, np.random.default_rng(0)) == [1, 2, 0]
    firsts = [ranked(np.zeros(4), 0.0, np.random.default_rng(i))[0] for i in range(400)]
    assert np.abs(np.bincount(firsts, minlength=4) - 100).max() < 4 * 75**0.5


def test_noise_makes_mistakes_as_often_as_it_should():
    """P(N(0, 2 s²) > d) = 1 - Φ(1 / √2) = 0.240 for d = s."""
    fitness = np.array([0.0, 0.1])
    wrong = sum(ranked(fitness, 0.1, np.random.default_rng(i))[0] == 0 for i in range(2000))
    assert abs(wrong / 2000 - 0.2398) < 4 * (0.24 * 0.76 / 2000) ** 0.5


def test_pairs_are_ordered():
    assert pairs([2, 0, 1])[:4] == [(2, 2), (2, 0), (2, 1), (0, 2)]
    assert len(pairs([2, 0, 1])) == 9
    assert pairs([0]) == [(0, 0)]


def test_mutation_is_uniform_and_as_large_as_each_tensor_spreads():
    model = model_of("llama")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    child = mutated(model, 0.5, 7)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
    for name, parameter in child.named_parameters():
        old = before[name].double()
        spread = float(((old - old.mean()) ** 2).mean() ** 0.5)
        change = (parameter.detach().double() - old) / 0.5
        assert float(change.abs().max()) <= 0.5 * spread * (1 + 1e-4) + 1e-7
        if spread and change.numel() > 2000:
            # a uniform number between -1/2 and 1/2 has variance 1/12
            assert float(change.std() / spread) == pytest.approx(12**-0.5, rel=0.05)
    again, other = mutated(model, 0.5, 7), mutated(model, 0.5, 8)
    weights = [next(m.parameters()) for m in (child, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    same = mutated(model, 0.0, 7)
    assert torch.equal(next(same.parameters()), next(model.parameters()))


def test_no_text_is_drawn_twice():
    texts = [Example(str(i), "") for i in range(10)]
    assert len(set(some(texts, 6, np.random.default_rng(0)))) == 6
    assert sorted(some(texts, 99, np.random.default_rng(0))) == texts


def test_who_has_children():
    config = evolution(**ALL)
    workflow = Evolution(config)
    right = measured([0.2, 0.9, 0.4, 0.6], "accuracy", "questions")
    by = setting_of(config, selection="accuracy", inheritance="full")
    assert workflow.parents(by, 3, right) == [1, 3]
    far = measured([0.2, 0.9, 0.4, 0.6], "kl", "language1")
    assert workflow.parents(setting_of(config, selection="oracle"), 3, far) == [0, 2]
    alone = setting_of(config, population=1, replicate=0)
    assert workflow.parents(alone, 1, right) == [0]
    everyone = setting_of(config, selection="none", population=4)
    assert workflow.parents(everyone, 1, right) == [0, 1, 2, 3]
    lots = setting_of(config, selection="random")
    assert workflow.parents(lots, 3, right) == workflow.parents(lots, 3, far)
    drawn = {tuple(workflow.parents(lots, t, right)) for t in range(40)}
    assert len(drawn) > 8


def origins(config: EvolutionConfig, **coordinates: Any) -> list[tuple[int, tuple[int, ...]]]:
    right = measured([0.2, 0.9, 0.4, 0.6], "accuracy", "questions")
    found = Evolution(config).children(setting_of(config, **coordinates), 1, right)
    return [(child.weights, child.texts) for child in found]


def test_selecting_pooling_and_writing_are_told_apart():
    """Models 1 and 3 are selected: by whom the others are read is a matter of its own."""
    arm = {"population": 4, "reads": ["one", "pooled"], "writers": ["selected", "all"]}
    config = evolution(arms=[arm, {**arm, "selection": "none"}])
    assert len(config.grid()) == 4 + 2  # where nobody is selected all write
    by = {"selection": "accuracy"}
    assert origins(config, **by, reads="one", writers="selected") == [
        (1, (1,)), (1, (3,)), (3, (1,)), (3, (3,)),
    ]  # fmt: skip
    pooled = origins(config, **by, reads="pooled", writers="selected")
    assert pooled == [(1, (1, 3)), (1, (1, 3)), (3, (1, 3)), (3, (1, 3))]
    everyone = origins(config, **by, reads="pooled", writers="all")
    assert everyone == [(k, (0, 1, 2, 3)) for k in (1, 1, 3, 3)]
    lots = origins(config, **by, reads="one", writers="all")
    assert [weights for weights, _ in lots] == [1, 1, 3, 3]
    assert sorted(texts for _, texts in lots) == [(0,), (1,), (2,), (3,)]  # each is read once
    own = origins(config, selection="none", reads="one")
    assert [weights for weights, _ in own] == [0, 1, 2, 3]
    assert sorted(texts for _, texts in own) == [(0,), (1,), (2,), (3,)]
    assert origins(config, selection="none", reads="pooled")[2] == (2, (0, 1, 2, 3))


def test_any_number_may_be_selected_by_any_questions():
    quiz = {"kind": "made-up", "count": 24, "wrong": "text", "words": 2}
    config = evolution(
        arms=[{"population": 5, "selected": 3, "questions": ["a", "a+b"]}],
        questions=[{**quiz, "name": "a"}, {**quiz, "name": "b"}],
    )
    both = pd.concat(
        [
            measured([0.1, 0.2, 0.3, 0.4, 0.5], "accuracy", "a"),
            measured([0.9, 0.6, 0.4, 0.2, 0.0], "accuracy", "b"),
        ]
    )
    workflow = Evolution(config)
    assert workflow.parents(setting_of(config, questions="a"), 1, both) == [4, 3, 2]
    # sums of 1, 0.8, 0.7, 0.6, 0.5
    assert workflow.parents(setting_of(config, questions="a+b"), 1, both) == [0, 1, 2]
    found = workflow.children(setting_of(config, questions="a"), 1, both)
    assert [child.weights for child in found] == [4, 4, 4, 3, 3]  # the first five of nine pairs


def test_sizes_and_replicates_start_alike():
    config = evolution(
        arms=[{"population": [1, 4], "selection": ["random", "loss"], "replicates": 2}]
    )
    settings = config.grid()
    assert len(settings) == 2 + 2 * 2
    assert {s.start for s in settings if s.coordinates["replicate"] == 1} == {
        "start,population=1,replicate=1",
        "start,population=4,replicate=1",
    }
    seeds = {s.coordinates["replicate"]: s.seed for s in settings}
    assert seeds[0] == config.seed != seeds[1]
    assert {s.seed for s in settings} == set(seeds.values())
    assert {s.coordinates["noise"] for s in settings} == {0.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": []}, "arms: Tuple should have at least 1 item"),
        ({"arms": [{"population": 4, "selected": 5}]}, "of 4 at most as many .* got 5"),
        ({"arms": [{"population": 4, "reads": "some"}]}, "should be 'one' or 'pooled'"),
        ({"arms": [{"population": 4, "questions": "questions+quiz"}]}, "no questions 'quiz'"),
        ({"arms": [{"population": 4, "selection": "luck"}]}, "should be 'accuracy', 'loss'"),
        ({"arms": [{"population": 4, "noise": -1}]}, "greater than or equal to 0"),
        ({"arms": [{"population": 4, "questions": "quiz"}]}, "there are no questions 'quiz' among"),
        ({"questions": "quiz"}, "there are no questions 'quiz'; known: mmlu"),
        ({"questions": {"kind": "made-up", "name": "language1"}}, "questions need a name of their"),
        ({"questions": {"kind": "made-up", "words": 21}}, "need a context of 25 tokens, got 24"),
        ({"tasks": [language(1), language(2)]}, "a population has one task, got 2"),
        ({"tasks": [{"kind": "file", "path": "a.txt"}]}, "about a known law, which the task 'a'"),
        ({"least_tokens": 10}, "no completion of at most 9 tokens .* has 10"),
        ({"mutation": -1}, "greater than or equal to 0"),
    ],
)
def test_impossible_settings(change: dict[str, Any], message: str):
    from commensal.cli._console import in_one_line

    with pytest.raises(ValidationError) as caught:
        evolution(**change)
    import re

    assert re.search(message, in_one_line(caught.value))


def test_missing_questions_are_missed_before_all_else(tmp_path: Path):
    asked = {"kind": "file", "path": "none.tsv", "prompt": "q", "choices": "c", "answer": "a"}
    with pytest.raises(ValueError, match=r"'none\.tsv' does not exist"):
        run(evolution(questions=asked), tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("evolution") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENSAL_CACHE", str(path.parent / "cache"))
        run(evolution(**ALL), path, workers=1)
    return path


def test_a_whole_run(finished: Path):
    config = evolution(**ALL)
    table = pd.read_parquet(finished / "metrics.parquet")
    right = table[table.metric == "accuracy"]
    assert len(right) == 3 * (2 * 1 + 5 * 4)
    assert right.value.between(0, 1).all()
    assert (right.value * 12 % 1 == 0).all()
    last = right[right.generation == 2].groupby(["population", "selection", "inheritance"]).value
    assert last.count().sum() == 22
    kinds = [s.name for s in config.grid()]
    error = table[table.metric == "accuracy_error"].value.to_numpy()
    np.testing.assert_allclose(error**2, right.value * (1 - right.value) / 12)
    kl = table[(table.metric == "kl") & (table.generation == 2) & (table.population == 4)]
    assert kl.groupby(["selection", "inheritance"]).value.mean().nunique() == 5
    assert len(kinds) == 7
    directory = RunDirectory(finished)
    assert directory.branch(kinds[0]).metrics(1).metric.isin(["spread_texts"]).any()


def test_parents_are_those_of_the_metrics_and_only_they_write(finished: Path):
    config = evolution(**ALL)
    workflow, directory = Evolution(config), RunDirectory(finished)
    for setting in config.grid():
        for t in (1, 2):
            before = directory.branch(setting.name if t > 1 else setting.start)
            expected = workflow.parents(setting, t, before.metrics(t - 1))
            now = directory.branch(setting.name).metrics(t)
            found = {
                name: now[now.metric == name].sort_values("model").value.astype(int).tolist()
                for name in ("parent_weights", "parent_texts")
            }
            children = workflow.children(setting, t, before.metrics(t - 1))
            assert found["parent_weights"] == [child.weights for child in children]
            if setting.coordinates["reads"] == "one":
                assert found["parent_texts"] == [child.texts[0] for child in children]
            else:
                assert found["parent_texts"] == []
            written = [r["model"] for r in before.samples(t - 1) if r["kind"] == "web"]
            assert set(written) == (set(expected) if t > 1 else set(range(len(children))))
        written = directory.branch(setting.name).samples(2)
        assert {r["kind"] for r in written} == {"fixed"}


def test_one_alone_starts_like_the_first_of_four(finished: Path):
    directory = RunDirectory(finished)
    one, four = (directory.branch(f"start,population={n},replicate=0").metrics(0) for n in (1, 4))
    pick = [t[(t.metric == "loss") & (t.model == 0)].value.tolist() for t in (one, four)]
    assert pick[0] == pick[1]


def test_short_completions_are_dropped(finished: Path, tmp_path: Path):
    config = evolution(arms=[{"population": 1}], generations=1, least_tokens=9)
    table = run(config, tmp_path / "run", workers=1)
    (dropped,) = table[table.metric == "dropped"].value
    texts = RunDirectory(tmp_path / "run").branch(config.grid()[0].start).samples(0)
    lengths = [len(r["completion"].split()) for r in texts if r["kind"] == "web"]
    assert dropped == pytest.approx(np.mean(np.array(lengths) < 9))


def test_texts_that_are_all_too_short_end_the_run(tmp_path: Path):
    many = {"steps": 60, "batch_size": 8, "learning_rate": 3e-3}
    short = language(1, completion_words=2)
    config = evolution(
        arms=[{"population": 1}], tasks=[short], least_tokens=9, training=many, generations=1,
        questions={"kind": "made-up", "words": 2, "count": 8},
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"all 12 completions that model 1 of generation 0 wrote"):
        run(config, tmp_path / "run", workers=1)


def test_a_killed_run_ends_as_if_it_had_not_been(finished: Path, tmp_path: Path):
    out = tmp_path / "run"
    run_through_kills(evolution(**ALL), out, least=2)
    assert files_of(out) == files_of(finished)


def test_the_report(finished: Path, tmp_path: Path):
    text = text_of(write_report(finished, tmp_path / "page.html"))
    assert "Unfinished" not in text
    for words in (
        "Populations of language models that evolve on their own texts, 7 grid points",
        "of 11 published findings",
        "KL from the law at the end, lower is better: none of the effects can be told.",
        "N = 4: selection by accuracy against selection by lot",
        "What selection can see",
        "standard error of about",
        "Single lineages: accuracy",
        "who inherits weights and texts answers better",
        "What each part does",
        "4 choices of 2 words",
    ):
        assert words in text
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/webp;base64,") == 3


def test_the_report_of_a_part(finished: Path, tmp_path: Path, monkeypatch):
    import shutil

    monkeypatch.setattr(report_evolution, "picture", lambda _, text: Picture(text, "", "", 800))
    path = shutil.copytree(finished, tmp_path / "run")
    for branch in (path / "generations").iterdir():
        if branch.name.startswith("population=4"):
            shutil.rmtree(branch)
    text = text_of(write_report(path))
    assert "Unfinished" in text
    assert "needs single lineages and such a population, finished" in text
    for branch in (path / "generations").iterdir():
        shutil.rmtree(branch)
    assert "nothing is measured yet" in text_of(write_report(path))


def test_names_for_people(finished: Path):
    names = [title(point) for point in read_run(finished).points]
    assert names[:3] == [
        "single lineage",
        "single lineage, replicate 2",
        "N = 4, by accuracy on questions",
    ]
    assert names[-1] == "N = 4, by accuracy on questions, texts alone, noise 0.1"


def invented(curves: dict[tuple[Kind, int], dict[str, list[float]]]) -> pd.DataFrame:
    rows = []
    for (kind, replicate), by_metric in curves.items():
        for metric, values in by_metric.items():
            name = "quiz" if metric.startswith("accuracy") else "task"
            rows += [
                kind._asdict()
                | {"replicate": float(replicate), "generation": t, "model": k, "dataset": name}
                | {"metric": metric, "value": value + (k - 0.5) / 100}
                for t, value in enumerate(values)
                for k in range(2)
            ]
    return pd.DataFrame(rows)


ALONE = Kind(1, "none", 1, "none", "full", "one", "all", 0.0, 0.0)
FOUR = Kind(4, "accuracy", 2, "quiz", "full", "one", "selected", 0.01, 0.0)
NINE = FOUR._replace(population=9, selected=3)
TEXTS = FOUR._replace(inheritance="data")


def invented_several(by_kind: dict[Kind, dict[str, list[float]]], count: int = 3) -> pd.DataFrame:
    """Make replicates that differ by less than any of the changes."""
    return invented(
        {
            (kind, r): {name: [v + r * 1e-4 for v in values] for name, values in metrics.items()}
            for kind, metrics in by_kind.items()
            for r in range(count)
        }
    )


CURVES = {
    ALONE: {"accuracy": [0.5, 0.45, 0.45, 0.45, 0.445], "distinct_2": [0.5] * 5},
    FOUR: {
        "accuracy": [0.5, 0.52, 0.54, 0.56, 0.53],
        "accuracy_held_out": [0.5, 0.5, 0.5, 0.5, 0.44],
        "spread_models": [1.0, 1.0, 1.0, 1.0, 0.4],
        "distinct_2": [0.5, 0.5, 0.5, 0.5, 0.6],
    },
    NINE: {"accuracy": [0.5, 0.5, 0.5, 0.5, 0.51]},
    TEXTS: {"accuracy": [0.5, 0.50, 0.49, 0.48, 0.47]},
}


def test_findings_from_invented_numbers():
    table = invented_several(CURVES)
    found = {one.id: one for one in findings_evolution.find(table, ["quiz"], "task", 4)}
    verdicts = {name: one.verdict for name, one in found.items()}
    assert verdicts == {
        "evolution-above-lineage": "reproduces",
        "lineages-fall": "reproduces",
        "evolution-stays": "reproduces",
        "evolution-improves": "in part",
        "larger-higher": "does not",
        "small-declines": "reproduces",
        "full-above-texts": "reproduces",
        "texts-above-lineage": "reproduces",
        "gap-widens": "reproduces",
        "spread-kept": "does not",
        "texts-more-varied": "reproduces",
    }
    (first, _) = found["evolution-above-lineage"].instances
    assert first.value == pytest.approx(100 * (0.53 - 0.445))
    assert first.numbers == "53.0 % against 44.5 %: +8.50 [+8.50, +8.50]"
    (gap,) = found["gap-widens"].instances
    assert gap.value == pytest.approx(100 * ((0.53 - 0.47) - (0.52 - 0.50)))


def test_one_replicate_of_populations_tells_nothing():
    found = findings_evolution.find(invented_several(CURVES, 1), ["quiz"], "task", 4)
    assert {one.verdict for one in found} == {"cannot be told here"}
    assert {one.reason for one in found} == {"one replicate has no interval"}


def test_an_effect_is_of_one_thing():
    pooled = FOUR._replace(reads="pooled")
    lots = FOUR._replace(selection="random", questions="none")
    both = lots._replace(reads="pooled")
    table = invented_several(
        {kind: {"kl": [0.1] * 5} for kind in (ALONE, FOUR, pooled, lots, both)}
    )
    effects = {e.name: e for e in report_evolution.effects_of(Populations(table, 4))}
    assert {name: set(effect.pairs) for name, effect in effects.items()} == {
        "N = 4: selection by accuracy against selection by lot (2 crossings)": {
            (FOUR, lots), (pooled, both),
        },
        "N = 4: pooled texts against one writer's texts (2 crossings)": {
            (pooled, FOUR), (both, lots),
        },
        "N = 4: all together against one alone": {(FOUR, ALONE)},
    }  # fmt: skip


def test_an_effect_is_a_mean_over_crossings_in_each_replicate():
    lots = FOUR._replace(selection="random", questions="none")
    pooled, both = FOUR._replace(reads="pooled"), lots._replace(reads="pooled")
    ends = {FOUR: [1.0, 2.0], lots: [0.5, 2.5], pooled: [3.0, 1.0], both: [1.0, 0.0]}
    table = invented(
        {
            (kind, replicate): {"kl": [0.0] * 4 + [value]}
            for kind, values in ends.items()
            for replicate, value in enumerate(values)
        }
    )
    known = Populations(table, 4)
    (selection, reads) = report_evolution.effects_of(known)
    assert selection.differences(known, "kl", "task") == pytest.approx([1.25, 0.25])
    assert reads.differences(known, "kl", "task") == pytest.approx([1.25, -1.75])


def test_the_signal_is_what_two_sets_of_questions_agree_on():
    """Scores with a real variance of 1 and an error variance of 3 on either set, in points."""
    rng = np.random.default_rng(0)
    rows = []
    for t, k in np.ndindex(400, 4):
        real = rng.normal()
        for metric in ("accuracy", "accuracy_held_out"):
            value = (real + 3**0.5 * rng.normal()) / 100
            at = {"replicate": float(t), "generation": 1, "model": k, "dataset": "quiz"}
            rows.append(FOUR._asdict() | at | {"metric": metric, "value": value})
    signal = report_evolution._signal(Populations(pd.DataFrame(rows), 1), evolution())
    assert signal is not None
    ((_, *cells),) = signal.rows
    whole, real, error, share = (float(cell.text.rstrip("%")) for cell in cells)  # pyright: ignore
    # four standard errors of variances over 1,200 degrees of freedom
    assert whole**2 == pytest.approx(4, rel=4 * (2 / 2400) ** 0.5 + 0.05)
    assert error**2 == pytest.approx(3, rel=0.2)
    assert real**2 == pytest.approx(1, abs=0.5)
    assert share == pytest.approx(25, abs=4 * 100 * (17 / 16 / 1200) ** 0.5 / 2 + 1)


def test_nothing_can_be_told_of_nothing():
    empty = findings_evolution.find(pd.DataFrame(), ["quiz"], "task", 4)
    assert {one.verdict for one in empty} == {"cannot be told here"}
    short = invented({(FOUR, 0): {"accuracy": [0.5, 0.6]}})
    assert Populations(short, 4).kinds == []


def test_kinds_from_columns():
    coordinates = evolution().grid()[1].coordinates
    four = FOUR._replace(questions="questions")
    assert kind_of(coordinates) == four
    assert json.loads(json.dumps(kind_of(coordinates))) == list(four)
