"""Who reads whom: what is drawn on a network, what runs share, and what their report judges."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from commensal import networks
from commensal.cli._console import in_one_line
from commensal.llm import metrics, run
from commensal.llm.config import InteractiveConfig
from commensal.llm.presets import read_config
from commensal.llm.reports._verdicts import ONE
from commensal.llm.reports.findings_networks import NetworkMix, find, mixes
from commensal.llm.reports.networks import _says
from commensal.llm.workflows import workflow_of
from commensal.llm.workflows.interactive import mixture
from tests.llm.kills import run_through_kills
from tests.llm.runs import files_of, interactive, language
from tests.llm.test_workflows import POOLS, pool, web

THREE = [language(k) for k in (1, 2, 3)]
FOUR = ("isolated", "ring:0.5", "uniform", "ring:0")
DRAWN = {"examples_drawn": 20_000, "steps": 1, "batch_size": 1}


def draw(config: InteractiveConfig, point: int, model: int, seed: int = 0) -> list[tuple[str, str]]:
    drawn = workflow_of(config).draw(
        config.grid()[point], 1, POOLS._replace(model=model), np.random.default_rng(seed)
    )
    return [(example.prompt, example.completion) for example in drawn.examples]


@pytest.mark.parametrize("name", [*FOUR, "star", "blocs:0.2", "shares:3,1,0"])
def test_models_read_others_by_their_weights(name: str):
    """Of 20,000 draws each of at most 5 shares of 3 models lies within 4.5 standard errors.

    105 comparisons over all networks: a false alarm once in 1,400 seeds, and the seed is fixed.
    """
    config = interactive(alpha=0.5, beta=0.6, tasks=THREE, reads=name, training=DRAWN)
    network = networks.named(name, 3)
    for model in range(3):
        count = Counter(prompt for prompt, _ in draw(config, 0, model))
        expected = {"private": 0.3, "public": 0.2}
        if name == "uniform":
            expected["web0"] = 0.5
        else:
            expected |= {f"web0 of {j}": 0.5 * w for j, w in enumerate(network[model]) if w}
        assert set(count) == set(expected)
        for kind, share in expected.items():
            error = (share * (1 - share) / 20_000) ** 0.5
            assert abs(count[kind] / 20_000 - share) <= 4.5 * error, (model, kind)


@pytest.mark.parametrize(
    "reads", ["uniform", "shares:2,2", [[0.5, 0.5], [0.5, 0.5]], ["self:0.5"], "ring:0.5"]
)
def test_where_all_read_all_alike_the_draws_are_the_papers(reads: Any):
    config = interactive(alpha=0.5, beta=0.25, reads=reads, training={"examples_drawn": 500})
    expected = mixture(
        [pool("private"), pool("public"), web(0), []],
        [0.5 * 0.25, 0.5 * 0.75, 0.5, 0.0],
        500,
        np.random.default_rng(3),
    )
    for model in (0, 1):
        assert draw(config, 0, model, seed=3) == [(e.prompt, e.completion) for e in expected]


def test_networks_share_their_random_numbers():
    """What is not read is drawn alike, and where two networks choose one writer, the same text."""
    config = interactive(alpha=0.5, tasks=THREE, reads=FOUR, training={"examples_drawn": 900})
    isolated, ring, uniform, _ = (draw(config, point, 0) for point in range(4))
    for one, other, third in zip(isolated, ring, uniform, strict=True):
        if not one[0].startswith("web"):
            assert one == other == third
        elif other[0] == one[0]:
            assert one == other
        else:
            assert third[0] == "web0"
    both = [a for a, b in zip(isolated, ring, strict=True) if a[0] == b[0] == "web0 of 0"]
    assert 150 < len(both) < 300  # a quarter of 900


def test_networks_are_grid_points_of_one_start():
    config = interactive(alpha=[0, 0.5], beta=[0.5, 1.0], reads=FOUR, replicates=2, tasks=THREE)
    grid = config.grid()
    assert len(grid) == len({point.name for point in grid}) == 2 * 2 * 4 * 2
    assert len({point.start for point in grid}) == 4  # of each β and replicate
    assert {point.seed for point in grid if point.replicate == 1} == {config.seed_of_replicate(1)}
    assert grid[1].name == "alpha=0,beta=0.5,reads=ring:0.5"
    assert list(grid[1].coordinates) == ["alpha", "beta", "reads", "replicate"]
    np.testing.assert_array_equal(config.network(grid[1]), networks.ring(3, 0.5))
    shown = config.featured(grid)
    assert [point.coordinates["reads"] for point in shown] == list(FOUR)
    assert {point.coordinates["alpha"] for point in shown} == {0.5}
    # and nothing is said of the network where all read all alike
    usual = interactive().grid()
    assert [point.name for point in usual] == ["alpha=0,beta=0.5", "alpha=0.5,beta=0.5"]
    assert "reads" not in usual[0].coordinates


def test_matrices_are_numbered_and_come_back_from_a_file():
    matrix, other = [[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.25, 0.75]]
    config = interactive(reads=[matrix, "uniform", other])
    assert list(config.networks) == ["matrix 1", "uniform", "matrix 2"]
    np.testing.assert_array_equal(config.networks["matrix 2"], other)
    again = InteractiveConfig.model_validate(config.model_dump(mode="json"))
    assert again == config
    alone = interactive(reads=matrix)
    assert alone.reads == (((0.5, 0.5), (0.0, 1.0)),)
    assert InteractiveConfig.model_validate(alone.model_dump(mode="json")) == alone
    assert ("who reads whom", "0.5, 0.5 / 0, 1") in alone.facts()
    assert "who reads whom" not in dict(interactive().facts())


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        ("rings", "there is no network 'rings'; did you mean ring?"),
        (["uniform", "ring:2"], "the share that a model reads of itself must lie in [0, 1]"),
        ("shares:1,1,1", "'shares:1,1,1' has 3 shares for 2 models"),
        ([[0.5, 0.5], [0.5, 0.4]], "the rows of reads must sum to 1, but row 1 sums to 0.9"),
        ([[1.0]], "reads is a network of 1 models, not 2"),
        ([0.5, 0.5], "reads must be a square matrix (K, K), got shape (2,)"),
        ([], "reads must be a square matrix"),
        (3, "reads must be a square matrix"),
        (["uniform", "shares:1,1"], "reads has one network twice: uniform and shares:1,1"),
        (["ring:0.5", "ring:0.5"], "reads has one network twice"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(reads: Any, message: str):
    with pytest.raises(ValidationError) as error:
        interactive(reads=reads)
    said = in_one_line(error.value)
    assert message in said
    assert "\n" not in said


def test_market_is_called_reads():
    with pytest.raises(ValueError, match="it is called reads now"):
        read_config("demo", ["market=[3,1]"])


# runs


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four networks, three models, two replicates."""
    path = tmp_path_factory.mktemp("networks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENSAL_CACHE", str(path / "cache"))
        run(interactive(alpha=0.5, tasks=THREE, reads=FOUR, replicates=2), path / "run", workers=1)
    return path / "run"


def test_the_uniform_network_is_the_run_without_one(ran: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COMMENSAL_CACHE", str(tmp_path / "cache"))
    run(interactive(alpha=0.5, tasks=THREE), tmp_path / "run", workers=1)
    name = "alpha=0.5,beta=0.5"
    usual = files_of(tmp_path / "run" / "generations", weights=True)
    of_networks = files_of(ran / "generations", weights=True)

    def of(found: dict[str, bytes], branch: str) -> dict[str, bytes]:
        start = f"{branch}/"
        return {p.removeprefix(start): data for p, data in found.items() if p.startswith(start)}

    assert len(of(usual, name)) > 4
    assert of(of_networks, f"{name},reads=uniform") == of(usual, name)
    assert of(of_networks, f"{name},reads=ring:0") != of(usual, name)
    assert of(of_networks, "start,beta=0.5") == of(usual, "start,beta=0.5")
    # and so are the numbers of the table, but for the column that names the network
    table, usual_table = metrics(ran), metrics(tmp_path / "run")
    here = table.loc[(table["reads"] == "uniform") & (table["replicate"] == 0)]
    pd.testing.assert_frame_equal(here.drop(columns="reads").reset_index(drop=True), usual_table)


def test_isolated_models_read_their_own_texts_alone(tmp_path: Path, monkeypatch):
    """Whoever else there is, and whatever they learn, changes nothing for a model."""
    monkeypatch.setenv("COMMENSAL_CACHE", str(tmp_path / "cache"))
    found = {}
    for other in (2, 3):
        config = interactive(
            tasks=[language(1), language(other)], alpha=0.5, reads=["isolated", "ring:0.5"]
        )
        run(config, tmp_path / f"{other}", workers=1)
        table = metrics(tmp_path / f"{other}")
        own = table.loc[(table["model"] == 0) & (table["metric"] == "loss")]
        for name, part in own.groupby("reads"):
            mine = part.loc[part["dataset"].isin(["language1", "language0"])]
            found[other, name] = mine["value"].to_numpy()
    np.testing.assert_array_equal(found[2, "isolated"], found[3, "isolated"])
    assert (found[2, "ring:0.5"] != found[3, "ring:0.5"]).any()


def test_fresh_human_texts_are_the_same_on_every_network(tmp_path: Path, monkeypatch):
    config = interactive(
        alpha=0.5, tasks=[language(k, train=200) for k in (1, 2, 3)], reads=FOUR, human_share=0.5
    )
    workflow: Any = workflow_of(config)
    counts = [workflow._humans(point) for point in config.grid()]
    assert counts[0].sum() > 0
    for other in counts[1:]:
        np.testing.assert_array_equal(other, counts[0])


def test_networks_through_kills(ran: Path, tmp_path: Path, monkeypatch):
    """The generations come out the same bytes, whenever the run is killed."""
    monkeypatch.setenv("COMMENSAL_CACHE", str(tmp_path / "cache"))
    config = interactive(alpha=0.5, tasks=THREE, reads=FOUR, replicates=2)
    run_through_kills(config, tmp_path / "run", least=2, most=3)
    again = files_of(tmp_path / "run" / "generations", weights=True)
    assert again == files_of(ran / "generations", weights=True)


# findings


def made(
    ends: dict[str, tuple[float, float, float, float]], scatter: float = 0.003
) -> list[NetworkMix]:
    """Courses of four models in five replicates: own, others', public losses and likeness."""
    rows = []
    for at, (name, (own, others, public, likeness)) in enumerate(ends.items()):
        for replicate in range(5):
            luck = scatter * (replicate - 2)
            for t in (0, 1, 2):
                for model in range(4):
                    for task in (*range(4), "public"):
                        end = public if task == "public" else own if task == model else others
                        # all of the way in the first generation
                        value = (3.0 if t == 0 else end) + luck * (1 + at)
                        rows.append((name, replicate, t, model, f"task{task}", None, "loss", value))
                        for other in range(model + 1, 4):
                            row = (name, replicate, t, model, f"task{task}", other, "similarity")
                            rows.append((*row, likeness if t else 0.0))
    columns = ["reads", "replicate", "generation", "model", "dataset", "other", "metric", "value"]
    table = pd.DataFrame(rows, columns=columns).assign(alpha=0.5, beta=0.5)
    table["dataset"] = table["dataset"].replace("taskpublic", "public")
    names = [*(f"task{k}" for k in range(4)), "public"]
    return mixes(table, names, {name: networks.named(name, 4) for name in ends}, 2)


AS_PREDICTED = {
    "isolated": (2.0, 6.0, 1.90, 0.0),
    "ring:0.5": (2.2, 4.0, 1.90, 0.3),
    "uniform": (2.4, 3.0, 1.92, 0.6),
    "ring:0": (2.6, 3.5, 1.91, 0.2),
}


def test_predictions_that_hold():
    (mix,) = made(AS_PREDICTED)
    assert [round(mix.sources(name), 9) for name in AS_PREDICTED] == [1, 2, 4, 1]
    assert [mix.self_share(name) for name in AS_PREDICTED] == [1, 0.5, 0.25, 0]
    found = {one.id: one for one in find([mix])}
    assert {name: one.verdict for name, one in found.items()} == dict.fromkeys(found, "reproduces")
    places = {name: [i.where for i in one.instances] for name, one in found.items()}
    assert places["own-self"] == [
        "isolated against ring:0.5", "ring:0.5 against uniform", "uniform against ring:0",
    ]  # fmt: skip
    assert places["likeness-sources"] == [
        "uniform against ring:0.5", "ring:0.5 against isolated", "ring:0.5 against ring:0",
    ]  # fmt: skip
    assert places["likeness-others"] == ["ring:0 against isolated"]
    assert len(places["public-same"]) == 6
    assert places["settled"] == list(AS_PREDICTED)


def test_predictions_that_fail():
    ends = {name: AS_PREDICTED[other] for name, other in zip(FOUR, reversed(FOUR), strict=True)}
    ends["uniform"] = (2.1, 5.9, 2.5, -0.5)
    (mix,) = made(ends)
    verdicts = {one.id: one.verdict for one in find([mix])}
    assert verdicts["own-self"] == "does not"
    assert verdicts["likeness-sources"] == "in part"
    assert verdicts["likeness-others"] == "does not"
    assert verdicts["public-same"] == "in part"


def test_what_cannot_be_told():
    (mix,) = made(AS_PREDICTED, scatter=2.0)
    own = next(one for one in find([mix]) if one.id == "own-self")
    assert own.verdict == "cannot be told here"
    assert own.leaning == "3 of 3 means are as predicted"
    single = mix._replace(courses={name: c[:, :1] for name, c in mix.courses.items()})
    assert {i.why for one in find([single]) for i in one.instances} == {ONE}
    assert any("--set replicates=5" in sentence for sentence in _says([single]))
    assert find([])[0].reason == (
        "no two finished networks whose models read different shares of themselves"
    )


def test_a_replicate_that_is_missing_in_one_network_is_left_out():
    (mix,) = made(AS_PREDICTED)
    assert mix.courses["own"].shape == (4, 5, 3)
    np.testing.assert_allclose(mix.at("own", "ring:0").mean(), 2.6)
    np.testing.assert_allclose(mix.at("likeness", "uniform"), 0.6)


def test_what_a_run_says_first():
    said = list(_says(made(AS_PREDICTED)))
    assert said[0].startswith(
        "On their own tasks models end best with isolated (2.00), and worst with ring:0, 0.60 ["
    )
    assert "uniform, ring:0, ring:0.5, isolated" in said[1]
    assert said[3].startswith("Texts on the tasks end most alike with uniform (0.600)")
    assert "these 24 differences" in said[-1]


def test_the_page_of_several_networks(ran: Path, tmp_path: Path, undrawing):
    from commensal.llm.reports import write_report
    from tests.llm.test_report import text_of

    text = text_of(write_report(ran, tmp_path / "page.html"))
    assert "3 language models, 4 ways to read each other, 8 grid points, 2 generations." in text
    assert "What this run says On their own tasks models end best with" in text
    assert "Predictions of the theory" in text
    assert "Published findings" not in text
    assert "Networks over the generations" in text
    assert "α = 0.5, ring:0.5" in text
    # unfinished: the networks that are left are compared
    copy = shutil.copytree(ran, tmp_path / "copy")
    shutil.rmtree(copy / "generations" / "alpha=0.5,beta=0.5,reads=ring:0")
    with undrawing():
        text = text_of(write_report(copy))
    assert "Unfinished: 7 of 8" in text


def test_the_preset_asks_before_it_looks():
    config = read_config("networks")
    assert isinstance(config, InteractiveConfig)
    assert (len(config.tasks), config.reads, config.replicate) == (4, FOUR, "everything")
    w = config.networks
    assert [float(4 / (w[name] ** 2).sum()) for name in FOUR] == [1, 2, 4, 1]
    # what its comment says of stability
    from commensal.theory.regression import critical_alpha

    assert critical_alpha(config.beta[0], 0.0) == pytest.approx(2 / 3)
    assert config.alpha[0] < 2 / 3
