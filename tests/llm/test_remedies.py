"""Remedies: what each does to the data, what a run of them leaves, what its report says."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from commensal.llm import run
from commensal.llm.config import Diverse, NearDuplicates, RemediesConfig, Remedy
from commensal.llm.corpora import load
from commensal.llm.measures.filtering import farthest_first, without_near_duplicates
from commensal.llm.measures.ngrams import compared, distinct, divergence, ngram_entropy
from commensal.llm.models.tokens import Encoded
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of, metrics
from commensal.llm.reports import write_report
from commensal.llm.reports._intervals import mean_of, replicates_to_tell
from commensal.llm.reports._reading import read_run
from commensal.llm.reports.findings_remedies import RemedyCurves, curves
from commensal.llm.reports.remedies import findings
from commensal.llm.seeds import seed_of
from commensal.llm.workflows.remedies import with_noise
from tests.llm.kills import run_through_kills
from tests.llm.runs import SMALL, language

REMEDIES = [
    {"name": "none"},
    {"name": "half human", "human_share": 0.5},
    {"name": "noise", "token_noise": 0.3},
    {"name": "apart", "filter": {"kind": "near_duplicates", "words": 1, "threshold": 0.2}},
    {"name": "diverse", "filter": {"kind": "diverse", "keep": 0.25}},
    {"name": "cold", "temperature": 0.2},
]


def remedies(**more) -> RemediesConfig:
    given = {"public": language(0), "tasks": [language(1)], "remedies": REMEDIES, "replicates": 2}
    return RemediesConfig.model_validate(SMALL | {"workflow": "remedies"} | given | more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("remedies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENSAL_CACHE", str(folder / "cache"))
        run(remedies(), folder / "run", workers=1)
        yield folder / "run"


def texts(path: Path, name: str, generation: int, kind: str = "web") -> list[str]:
    reading = read_run(path)
    samples = reading.directory.branch(f"remedy={name},replicate=0").samples(generation)
    return [s["completion"] for s in samples if s["kind"] == kind]


# what remedies do to texts


def test_near_duplicates_against_sets_of_python():
    """Every pair compared, text by text, as the definition has it."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcd"), rng.integers(0, 9))) for _ in range(120)]

    def runs(text: str) -> set:
        words = text.split()
        return {tuple(words)} if len(words) < 2 else set(itertools.pairwise(words))

    for threshold in (0.3, 0.6, 1.0):
        stay: list[int] = []
        for i, text in enumerate(texts):
            mine = runs(text)
            others = [runs(texts[j]) for j in stay]
            if all(len(mine & o) / len(mine | o) < threshold for o in others):
                stay.append(i)
        assert without_near_duplicates(texts, 2, threshold) == stay
        assert 1 < len(stay) < len(texts)


def test_no_texts_stay_of_none():
    assert without_near_duplicates([], 2, 0.5) == []


def test_farthest_first_covers_every_cluster():
    rng = np.random.default_rng(1)
    centres = np.eye(5)
    vectors = np.repeat(centres, [60, 10, 5, 3, 2], axis=0) + 0.01 * rng.standard_normal((80, 5))
    chosen = farthest_first(vectors, 5)
    assert {int(np.argmax(vectors[i])) for i in chosen} == set(range(5))
    assert chosen == sorted(set(chosen))
    assert farthest_first(vectors, 1000) == list(range(80))


def test_lengths_of_vectors_do_not_count():
    vectors = np.random.default_rng(2).standard_normal((30, 4))
    scaled = vectors * np.random.default_rng(3).uniform(0.1, 9, (30, 1))
    assert farthest_first(vectors, 7) == farthest_first(scaled, 7)


def test_noise_hits_completions_alone_and_as_often_as_it_should():
    """Of 60,000 tokens; the share within 4.5 standard errors."""
    example = Encoded((1, 7, 7, *[8] * 60, 2), 3)
    noisy = with_noise([example] * 1000, 0.2, [9, 10], np.random.default_rng(0))
    found = np.array([e.tokens for e in noisy])
    assert (found[:, :3] == [1, 7, 7]).all()
    assert (found[:, -1] == 2).all()
    inside = found[:, 3:-1]
    error = math.sqrt(0.2 * 0.8 / inside.size)
    assert abs((inside != 8).mean() - 0.2) < 4.5 * error
    assert abs((inside == 9).mean() - 0.1) < 4.5 * error
    assert with_noise([example], 0.0, [9], np.random.default_rng(0)) == [example]


def test_divergence_by_hand():
    assert divergence(["a a b"], ["a a b"]) == 0
    # (2.5, 1.5)/4 against (0.5, 3.5)/4
    expected = 0.625 * math.log(2.5 / 0.5) + 0.375 * math.log(1.5 / 3.5)
    assert divergence(["a a b"], ["b b b"]) == pytest.approx(expected)


# a run


def test_a_run_has_every_remedy_and_lineage(finished: Path):
    table = metrics(finished)
    counted = table.loc[table["metric"] == "loss"].groupby(["remedy", "replicate"]).size()
    assert len(counted) == 12
    assert set(counted) == {3 * 2}
    assert set(table["model"]) == {0}
    assert {"kl", "word_kl", "distinct_4", "rare_perplexity"} <= set(table["metric"])


def test_variety_is_of_equal_numbers_of_ngrams(finished: Path):
    """Again from the samples that are kept, and from half of what human texts on them have."""
    table = metrics(finished).query("generation == 1")
    config = config_of(finished)
    corpus = load(config.tasks[0], seed_of(config.seed, "corpora"))
    prompts = config.measurement.prompts
    human = [example.completion for example in corpus.test[:prompts]]
    setting = config.grid()[0]
    written = [
        record["completion"]
        for record in RunDirectory(finished).branch(setting.name).samples(1)
        if record["kind"] == "fixed" and record["dataset"] == corpus.name
    ]
    for name, value in setting.coordinates.items():
        table = table.loc[table[name] == value]
    found = table.loc[table["dataset"] == corpus.name].set_index("metric")["value"]
    for n in (1, 2):
        size = compared(human, n, prompts, config.sampling.max_new_tokens)
        assert 1 < size < sum(max(len(text.split()) - n + 1, 0) for text in written)
        assert found[f"distinct_{n}"] == pytest.approx(distinct(written, n, size))
        assert found[f"distinct_{n}_all"] == pytest.approx(distinct(written, n))
        assert found[f"entropy_{n}"] == pytest.approx(ngram_entropy(written, n, size))
        assert found[f"entropy_{n}_all"] == pytest.approx(ngram_entropy(written, n))
    real = [example.completion for example in corpus.train]
    size = compared(human, 1, prompts, config.sampling.max_new_tokens)
    assert found["word_kl"] == pytest.approx(divergence(real, written, size))
    assert found["word_kl_all"] == pytest.approx(divergence(real, written))


def test_remedies_of_a_seed_share_their_start_and_seeds_do_not(finished: Path):
    first = metrics(finished).query("generation == 0 and metric == 'loss' and dataset != 'x'")
    by_seed = first.groupby(["replicate", "dataset"])["value"]
    assert (by_seed.nunique() == 1).all()
    assert first["value"].nunique() == 4


def test_filters_keep_what_they_say(finished: Path):
    kept = metrics(finished).query("metric == 'kept'").groupby("remedy")["value"]
    assert (kept.get_group("none") == 1).all()
    assert (kept.get_group("diverse") == 0.25).all()
    assert kept.get_group("apart").max() < 1
    written = texts(finished, "apart", 1)
    stay = len(without_near_duplicates(written, 1, 0.2)) / len(written)
    measured = metrics(finished).query(
        "metric == 'kept' and remedy == 'apart' and replicate == 0 and generation == 2"
    )
    assert measured["value"].item() == stay


def test_what_is_looked_at_is_sampled_alike(finished: Path):
    """A cold web is less varied; a remedy that does nothing else learns from the same texts."""
    from commensal.llm.measures.ngrams import ngram_entropy

    cold, usual = (texts(finished, n, 1) for n in ("cold", "none"))
    assert ngram_entropy(cold, 1) < ngram_entropy(usual, 1) - 0.3
    # generation 1 of both trained on the start's web, written at the run's temperature
    assert texts(finished, "cold", 1, "fixed") == texts(finished, "none", 1, "fixed")


def test_a_killed_run_ends_as_if_it_had_not_been(finished: Path, tmp_path: Path):
    run_through_kills(remedies(), tmp_path / "run")
    for path in finished.rglob("metrics.parquet"):
        again = tmp_path / "run" / path.relative_to(finished)
        assert again.read_bytes() == path.read_bytes(), path


def test_all_human_is_a_lineage_without_web(tmp_path: Path):
    given = [{"name": "none"}, {"name": "human", "human_share": 1.0}]
    run(remedies(remedies=given, replicates=1, generations=1), tmp_path / "run", workers=1)
    assert "kept" not in set(metrics(tmp_path / "run").query("remedy == 'human'")["metric"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"remedies": [{"name": "x", "token_noise": 0.1}]}, "one that does nothing"),
        ({"remedies": [{"name": "none"}, {"name": "none"}]}, "two remedies have the name 'none'"),
        ({"remedies": [{"name": "a/b"}]}, "becomes a folder"),
        ({"remedies": [{"name": "none", "token_noise": 1.5}]}, "token_noise"),
        ({"remedies": []}, "at least 1"),
        ({"tasks": [language(1), language(2)]}, "one task, got 2"),
        ({"remedies": [{"name": "none", "filter": {"kind": "other"}}]}, "filter"),
    ],
)
def test_impossible_settings(change, message):
    with pytest.raises(ValidationError, match=message):
        remedies(**change)


# what is said of it


def known(values: dict[str, list[list[float]]]) -> RemedyCurves:
    rows = [
        (name, float(r), t, 0, "task", "loss", v)
        for name, lineages in values.items()
        for r, lineage in enumerate(lineages)
        for t, v in enumerate(lineage)
    ]
    columns = ["remedy", "replicate", "generation", "model", "dataset", "metric", "value"]
    return curves(pd.DataFrame(rows, columns=columns), "loss", "task", "none")


def test_differences_are_paired():
    """Lineages 10 apart, a remedy that lowers each by about 1."""
    found = known({"none": [[0, 10], [0, 20], [0, 30]], "it": [[0, 9], [0, 19.1], [0, 28.9]]})
    mean = found.difference("it", 1)
    assert mean.value == pytest.approx(-1)
    assert mean.sign == -1
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert mean.low == pytest.approx(-1 - half, abs=1e-6)
    assert found.at("none", 1).low < 0


def test_delays_are_generations_to_the_same_level():
    usual = [[0.0, 1, 2, 3, 4]]
    slow = [[0.0, 0.5, 1, 1.5, 2]]
    fine = [[0.0, 0, 0, 0, 0]]
    fast = [[0.0, 4, 4, 4, 4]]
    found = known({"none": usual, "slow": slow, "fine": fine, "fast": fast})
    assert found.delay("slow").mean.value == 2
    assert found.delay("fine").mean.value == 2
    assert [found.delay(name).bounds for name in ("slow", "fine", "fast")] == [0, 1, 0]
    assert found.delay("fast").mean.value == -1.5
    assert math.isnan(known({"none": fine, "slow": usual}).delay("slow").mean.value)


def test_delays_are_of_each_lineage_and_have_an_interval():
    """Half-way is 2 of the first lineage and 20 of the second; delays of 1 and 2 generations."""
    usual = [[0.0, 1, 2, 3, 4], [0.0, 10, 20, 30, 40]]
    slow = [[0.0, 0, 1, 2, 3], [0.0, 0, 0, 10, 20]]
    found = known({"none": usual, "slow": slow}).delay("slow")
    assert found.mean == mean_of([1.0, 2.0])
    assert (found.bounds, found.lineages) == (0, 2)
    never = known({"none": usual, "slow": [slow[0], [0.0] * 5]}).delay("slow")
    assert never.mean.value == 1.5  # at least
    assert math.isnan(never.mean.low)
    assert (never.bounds, never.lineages) == (1, 2)


def test_how_many_lineages_would_do():
    """Runs of that many tell the difference about four times in five, those of half as many not."""
    values = np.array([0.9, -0.5, 1.8, 0.2, 1.1])
    rng = np.random.default_rng(0)
    for comparisons in (1, 6):
        needed = replicates_to_tell(values, comparisons=comparisons)
        assert needed is not None
        shares = []
        for count in (needed, needed // 2):
            drawn = rng.normal(values.mean(), values.std(ddof=1), (2000, count))
            shares.append(np.mean([mean_of(run, comparisons).sign == 1 for run in drawn]))
        assert 0.75 < shares[0] < 0.9
        assert shares[1] < 0.6
    assert replicates_to_tell([1.0]) is replicates_to_tell([1.0, -1.0]) is None
    assert replicates_to_tell([1.0, math.nan]) is replicates_to_tell([0.001, -0.1, 0.1]) is None


def test_a_single_lineage_has_no_interval():
    mean = mean_of([0.5])
    assert mean.value == 0.5
    assert math.isnan(mean.low)
    assert mean.sign == 0


def test_findings_of_made_up_curves():
    """Losses that obey the article, and losses that do not."""
    config = RemediesConfig.model_validate(
        {
            "workflow": "remedies",
            "human_texts": "seen",
            "public": language(0),
            "tasks": [language(1)],
            "remedies": [
                {"name": "none"},
                {"name": "human", "human_share": 0.05},
                {"name": "noise", "token_noise": 0.1},
            ],
        }
    )
    none = [[1.0, 1.2, 1.6, 2.4], [1.0, 1.3, 1.7, 2.5], [1.0, 1.1, 1.5, 2.3]]
    human = [[v - 0.2 * t for t, v in enumerate(lineage)] for lineage in none]
    noise = [[v + 0.2 * t for t, v in enumerate(lineage)] for lineage in none]
    losses = known({"none": none, "human": human, "noise": noise})
    found = {f.id: f.verdict for f in findings({"loss": losses, "kl": losses}, config)}
    assert found["human-delays"] == "reproduces"
    assert found["human-not-entirely"] == "reproduces"
    assert found["noise-delays"] == "does not"
    assert found["noise-costs"] == "reproduces"
    assert found["accelerates"] == "reproduces"
    assert found["rare"] == "cannot be told here"
    slower = [[1.0, 2.0, 2.5, 2.7], [1.0, 2.1, 2.6, 2.8], [1.0, 1.9, 2.4, 2.6]]
    losses = known({"none": slower, "human": none, "noise": none})
    found = {f.id: f.verdict for f in findings({"loss": losses, "kl": losses}, config)}
    assert found["accelerates"] == "does not"


def test_the_report(finished: Path, tmp_path: Path):
    page = write_report(finished, tmp_path / "r.html").read_text()
    for name in ("half human", "Where each remedy ends", "delay", "Against no remedy"):
        assert name in page
    assert page.count("data:image/webp") == 3


@pytest.mark.usefixtures("undrawn")
def test_the_report_of_an_unfinished_run(finished: Path, tmp_path: Path):
    import shutil

    copy = shutil.copytree(finished, tmp_path / "copy")
    shutil.rmtree(copy / "generations" / "remedy=cold,replicate=1")
    assert "Unfinished" in write_report(copy).read_text()
    for folder in (copy / "generations").glob("remedy=*"):
        shutil.rmtree(folder)
    assert "Unfinished" in write_report(copy).read_text()


def test_defaults_are_the_articles():
    small = remedies()
    given = RemediesConfig(tasks=small.tasks, public=small.public, human_texts="seen").remedies
    assert given[0].nothing
    assert {r.human_share for r in given} == {0.0, 0.05, 0.2}
    assert isinstance(given[4].filter, NearDuplicates)
    assert isinstance(given[5].filter, Diverse)
    assert not Remedy(name="x", top_p=0.9).nothing
