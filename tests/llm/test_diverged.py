"""Losses that are not finite stop a setting, and no finding is read off what is not trained."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commensal import cli
from commensal.llm import generation, resume, run
from commensal.llm.measures.scoring import Score, unigram_loss
from commensal.llm.models.tokens import Encoded
from commensal.llm.models.training import Diverged
from commensal.llm.records.results import diverged, metrics
from commensal.llm.reports import contents_of, write_report
from commensal.llm.reports._learning import lessons
from commensal.llm.reports._reading import read_run
from tests.llm.runs import SMALL, evolution, interactive, language, segmented, single
from tests.llm.test_remedies import remedies

TRAINING = SMALL["training"]
HOT = {"training": {**TRAINING, "learning_rate": 1e20}}


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory):
    os.environ["COMMENSAL_CACHE"] = str(tmp_path_factory.mktemp("cache"))


def command(monkeypatch, capsys, *args: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["commensal", *args])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().err.strip().splitlines()
    lines = "\n".join(line for line in said if not line.startswith("generations"))
    return int(stop.value.code or 0), lines


def alarms(path: Path) -> list[str]:
    page = write_report(path).read_text(encoding="utf-8")
    found = re.findall(r'<p class="alarm">(.*?)</p>', page, flags=re.S)
    return [" ".join(unescape(re.sub("<[^>]+>", "", one)).split()) for one in found]


def stopping(when: Callable[[generation.Generation], bool], where: str = "train"):
    """A Generation whose losses are NaN at some settings and generations."""
    whole = getattr(generation.Generation, where)

    def method(self, *args, **options) -> None:
        if when(self):
            raise Diverged("the loss is nan", 1)
        whole(self, *args, **options)

    return method


def test_one_setting_diverges_and_the_others_go_on(tmp_path: Path, monkeypatch, capsys, undrawing):
    path = tmp_path / "run"
    run(interactive(alpha=[0, 0.5, 1]), tmp_path / "whole", workers=1)

    def half(one: generation.Generation) -> bool:
        return one.point.coordinates["alpha"] == 0.5 and one.index == 1

    with monkeypatch.context() as patch:
        patch.setattr(generation.Generation, "train", stopping(half))
        found = run(interactive(alpha=[0, 0.5, 1]), path, workers=1)
    marked = found.loc[found.diverged]
    assert set(zip(marked.alpha, marked.generation, strict=True)) == {(0.5, 1)}
    (row,) = marked.loc[marked.metric == "diverged"].itertuples()
    assert (row.model, row.value) == (1, 1.0)
    assert found.loc[found.alpha == 0.5, "generation"].max() == 1
    others = metrics(tmp_path / "whole").query("alpha != 0.5")
    same = found.query("alpha != 0.5")
    # a generation without losses names no dataset: only the type of that column differs
    pd.testing.assert_frame_equal(
        same.reset_index(drop=True), others.reset_index(drop=True), check_dtype=False
    )
    assert diverged(path) == {"alpha=0.5,beta=0.5": (1, "the loss is nan")}
    # it is not tried again, and it is said again
    before = {p: p.stat().st_mtime_ns for p in (path / "generations").rglob("*")}
    code, said = command(monkeypatch, capsys, "llm", "resume", str(path), "--workers", "1")
    assert code == 1
    assert said.splitlines() == [
        "diverged: alpha=0.5,beta=0.5 stops at generation 1: the loss is nan",
        f"next: commensal llm report {path}",
    ]
    assert {p: p.stat().st_mtime_ns for p in (path / "generations").rglob("*")} == before
    assert alarms(path)[0] == (
        "Diverged: 1 of 3 grid points, which stop there and are left out of the findings: α = 0.5, "
        "β = 0.5 at generation 1. Of α = 0.5, β = 0.5, the loss is nan."
    )
    with undrawing():
        found = {one.id: one for one in contents_of(read_run(path)).found}
    assert found["half-own"].verdict == found["best"].verdict == "cannot be told here"
    assert found["zero-own"].leaning
    assert not found["half-own"].leaning


@pytest.mark.parametrize(
    "config",
    [
        interactive(**HOT),
        single(**HOT),
        evolution(**HOT),
        segmented(training={"batch_size": 4, "learning_rate": 1e20}),
        remedies(**HOT),
    ],
    ids=lambda config: config.workflow,
)
def test_a_rate_of_1e20_ends_in_no_verdict(config, tmp_path: Path, monkeypatch, capsys, undrawing):
    monkeypatch.setattr(
        "commensal.llm.presets.read_config", lambda *_: config
    )  # of a file, without writing one
    args = ("llm", "run", "hot", "--out", str(tmp_path / "run"), "--workers", "1")
    code, said = command(monkeypatch, capsys, *args)
    assert code == 1
    settings = config.grid()
    *lines, last = said.splitlines()
    assert len(lines) == len(settings)
    assert all("at a learning rate of 1e+20; lower it" in line for line in lines)
    assert last == f"next: commensal llm report {tmp_path / 'run'}"
    metrics = resume(tmp_path / "run", workers=1)
    assert metrics.diverged.all()
    assert not (metrics.metric == "loss").any()
    with undrawing():
        shown = contents_of(read_run(tmp_path / "run"))
    assert {one.verdict for one in shown.found} <= {"cannot be told here"}
    assert not any("reproduce" in lead for lead in shown.leads)
    assert alarms(tmp_path / "run")[0].startswith(f"Diverged: {len(settings)} of {len(settings)}")


@pytest.mark.parametrize(
    "config",
    [single(), evolution(), segmented(replicates=2), remedies()],
    ids=lambda config: config.workflow,
)
@pytest.mark.parametrize("at", [0, 1])
def test_a_report_of_what_diverged_in_part(config, at: int, tmp_path: Path, monkeypatch, undrawing):
    """The last start, or one setting at its first generation after the start."""
    name = config.grid()[-1].start if at == 0 else config.grid()[-1].name

    def here(one: generation.Generation) -> bool:
        return one.index == at and name in (one.point.start, one.point.name)

    monkeypatch.setattr(generation.Generation, "train", stopping(here))
    metrics = run(config, tmp_path / "run", workers=1)
    left = [s for s in config.grid() if name in (s.start, s.name)]
    assert set(diverged(tmp_path / "run")) == {s.name for s in left}
    assert set(metrics.loc[metrics.diverged, "generation"]) == {at}
    assert alarms(tmp_path / "run")[0].startswith(f"Diverged: {len(left)} of ")
    with undrawing():
        shown = contents_of(read_run(tmp_path / "run"))
    assert not any("nan" in lead for lead in shown.leads)


def test_a_rate_of_1000_teaches_nothing(tmp_path: Path, undrawing):
    """Models end uniform: all losses are equal, which is no finding."""
    config = interactive(alpha=[0, 0.5], training={**TRAINING, "learning_rate": 1000, "steps": 12})
    metrics = run(config, tmp_path / "run", workers=1)
    assert np.isfinite(metrics.loc[metrics.metric == "loss", "value"]).all()
    with undrawing():
        shown = contents_of(read_run(tmp_path / "run"))
    assert {one.verdict for one in shown.found} == {"cannot be told here"}
    assert alarms(tmp_path / "run")[0].startswith(
        "Not trained: in 2 of 2 grid points a model is no better than guessing after its first"
    )


def test_scores_that_are_not_finite_stop_it_too(tmp_path: Path, monkeypatch):
    """The loss of every step is finite, what comes of the last is not."""
    monkeypatch.setattr(generation, "score", lambda *_, **__: Score(*[math.inf] * 4))
    metrics = run(single(generations=0), tmp_path / "run", workers=1)
    stops = diverged(tmp_path / "run")
    assert set(stops) == {setting.name for setting in single().grid()}
    assert {stop.generation for stop in stops.values()} == {0}
    assert all("after the training the loss on" in stop.why for stop in stops.values())
    assert metrics.diverged.all()


def test_training_together_diverges_alike(tmp_path: Path):
    config = interactive(alpha=[0.5], training=HOT["training"] | {"together": True})
    metrics = run(config, tmp_path / "run", workers=1)
    assert metrics.diverged.all()


def test_the_law_of_single_tokens():
    """Against a slow sum over made-up counts."""
    train = [Encoded((0, 5, 5, 6, 2), 1), Encoded((0, 5, 7, 2), 1)]
    test = [Encoded((0, 5, 8, 2), 1), Encoded((0, 9, 7, 2), 2)]
    counts = {5: 3, 6: 1, 2: 2, 7: 1, 8: 0}  # 9 is in a prompt
    total = sum(n + 1 for n in counts.values())
    expected = -np.mean([math.log((counts[t] + 1) / total) for t in (5, 8, 2, 7, 2)])
    assert unigram_loss(train, test) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(unigram_loss(train, []))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        # uniform law: 3, law of single tokens: 2
        (1.5, 1.5, (False, False, False)),
        (1.95, 1.5, (False, True, False)),
        (2.5, 2.5, (False, True, False)),
        (2.95, 1.0, (True, True, False)),
        (1.5, 2.95, (False, False, True)),
        (1.5, 9.0, (False, False, True)),
    ],
)
def test_what_models_have_learnt(first: float, last: float, expected: tuple[bool, ...]):
    config = interactive(alpha=[0.5])
    rows = [
        (0.5, 0.5, 0.0, t, k, f"language{m}", metric, value)
        for k in (0, 1)
        for m in (1, 2)
        for t, metric, value in (
            (0, "unigram_loss", 2.0),
            (0, "uniform_loss", 3.0),
            # others' tasks do not count
            (0, "loss", first if m == k + 1 else 9.0),
            (2, "loss", last if m == k + 1 else 9.0),
        )
    ]
    columns = ["alpha", "beta", "replicate", "generation", "model", "dataset", "metric", "value"]
    table = pd.DataFrame(rows, columns=columns)
    (one,) = lessons(table, config.grid(), ["language1", "language2"])
    assert (one.nothing, one.hardly, one.lost) == expected
    old = table.loc[table.metric == "loss"]
    assert lessons(old, config.grid(), ["language1", "language2"]) == []


def test_a_diverged_base_is_one_line(tmp_path: Path):
    model = SMALL["model"]
    hot = {**model, "pretraining": {**model["pretraining"], "learning_rate": 1e20}}
    with pytest.raises(
        ValueError, match=r"^model\.pretraining: the loss of .* of 1e\+20; lower it"
    ):
        run(single(model=hot, public=language(3)), tmp_path / "run", workers=1)


def test_a_killed_run_stops_at_the_same_place(tmp_path: Path):
    config = single(**HOT)
    run(config, tmp_path / "run", workers=1)
    kept = (tmp_path / "run" / "metrics.parquet").read_bytes()
    for folder in (tmp_path / "run" / "generations").iterdir():
        shutil.rmtree(folder)
    resume(tmp_path / "run", workers=1)
    assert (tmp_path / "run" / "metrics.parquet").read_bytes() == kept


def test_what_is_not_trained_is_not_paired(tmp_path: Path, monkeypatch, capsys):
    config = interactive(alpha=[0, 0.5], generations=1)
    path = tmp_path / "run"

    def uniform(*_, **__) -> Score:
        return Score(math.log(28), math.log(28), 1.0, 0.1)

    monkeypatch.setattr(generation, "score", uniform)
    run(config, path, workers=1)
    code, said = command(monkeypatch, capsys, "pair", str(path))
    assert code == 2
    assert "a model is no better than guessing after its first training" in said
    assert alarms(path)[0].startswith("Not trained: in 2 of 2 grid points")
    hot = interactive(alpha=[0, 0.5], generations=1, **HOT)
    monkeypatch.setattr(generation.Generation, "train", stopping(lambda _: True))
    run(hot, tmp_path / "hot", workers=1)
    code, said = command(monkeypatch, capsys, "pair", str(tmp_path / "hot"))
    assert code == 2
    assert "all of them have diverged" in said
