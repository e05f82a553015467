"""The runs that README and the findings quote are of the presets, and say what is quoted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from commensal.llm.config import (
    EvolutionConfig,
    InteractiveConfig,
    TrainedConfig,
    validated,
)
from commensal.llm.presets import read_config
from commensal.llm.records.directory import RunDirectory
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports._populations import Populations
from commensal.llm.reports._reading import Reading
from commensal.llm.reports.evolution import effect_means, effects_of
from commensal.llm.reports.findings_networks import find, mixes
from commensal.llm.reports.findings_remedies import curves
from commensal.llm.reports.findings_segmented import gains, summarise

ROOT = Path(__file__).parents[2]
RUNS = sorted(path.parent for path in (ROOT / "runs").glob("*/metrics.parquet"))
README, FINDINGS = (
    " ".join((ROOT / page).read_text(encoding="utf-8").split())
    for page in ("README.md", "docs/findings.md")
)


def table(name: str) -> pd.DataFrame:
    return pd.read_parquet(ROOT / "runs" / name / "metrics.parquet")


def reading(name: str) -> Reading:
    """Return a committed run as a report reads it; its weights and samples are not kept."""
    folder = ROOT / "runs" / name
    config = validated(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    points = config.grid()
    reached = {point.name: config.generations for point in points}
    return Reading(RunDirectory(folder), config, points, table(name), reached)


def test_all_small_presets_have_been_run():
    small = {"demo", "evolution", "networks", "remedies", "segmented", "web"}
    assert {path.name for path in RUNS} == small


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: path.name)
def test_a_run_is_of_its_preset(folder: Path):
    """The command beside it gives its settings, and there are five replicates or more."""
    commands = (ROOT / "runs" / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"`commensal llm run {folder.name}((?: --set \S+)*)`", commands)
    changes = found.split(" --set ")[1:]
    made = validated(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    assert made.model_copy(update={"threads": None}) == read_config(folder.name, changes)
    metrics = table(folder.name)
    assert metrics["replicate"].nunique() == made.replicates >= 5  # pyright: ignore
    assert metrics.groupby("replicate")["generation"].max().eq(made.generations).all()
    if isinstance(made, TrainedConfig):
        assert made.replicate == "everything"
        assert np.isfinite(metrics.loc[metrics["metric"] == "loss", "value"]).all()


def test_what_is_quoted_of_remedies():
    kl = curves(table("remedies"), "kl", "task", "none")
    quoted = {"5 % human": "−0.15 [−0.22, −0.08]", "10 % noise": "+0.33 [+0.24, +0.41]"}
    for name, said in quoted.items():
        assert mean_of(kl.differences(name, 5), 6).text() == said
        assert said in FINDINGS
    ends = [f"{kl.at(name, 5).value:.2f}" for name in ("5 % human", "none")]
    assert f"KL ends at {ends[0]} instead of {ends[1]}" in FINDINGS
    assert f"KL ends 0.15 [0.08, 0.22] lower, at {ends[0]}" in README


def test_what_is_quoted_of_networks():
    page = (ROOT / "docs" / "explanation" / "networks.md").read_text(encoding="utf-8")
    page = " ".join(page.split())
    run = reading("networks")
    assert isinstance(run.config, InteractiveConfig)
    (mix,) = mixes(run.judged, run.datasets, run.config.networks, run.config.generations)
    for name in mix.networks:
        ends = [mix.at(q, name).mean() for q in ("own", "others", "public", "likeness")]
        row = [f"{mix.self_share(name):g}", f"{mix.sources(name):g}"]
        row += [f"{end:.2f}" for end in ends[:3]] + [f"{ends[3]:.3f}"]
        assert f"| `{name}` | {' | '.join(row)} |" in page
    found = {one.id: one for one in find([mix])}
    assert {one.verdict for one in found.values()} == {"reproduces", "in part"}
    for name in ("own-self", "others-read", "likeness-sources", "likeness-others"):
        for instance in found[name].instances:
            interval = instance.numbers.split(": ")[1]
            assert interval in page, (name, instance)
            assert instance.holds is True or "cannot be told" in page
    assert sum(one.verdict == "in part" for one in found.values()) == 2


def test_what_is_quoted_of_segments():
    split = gains(summarise(table("segmented"), 2))
    four = split.loc[split["M"] == 4]
    for name in ("gain", "moving_less", "segmenting"):
        mean = mean_of(four[name].to_numpy(float), 10)
        said = f"{mean.value:.2f} ± {mean.half:.2f}".replace("-", "−")
        assert said in FINDINGS, name
        assert name == "segmenting" or said in README, name


def test_what_is_quoted_of_populations():
    config = read_config("evolution")
    assert isinstance(config, EvolutionConfig)
    known = Populations(table("evolution"), config.generations)
    effects = effects_of(known)
    means = effect_means(known, effects, "kl", "task")
    for what in ("accuracy", "an oracle"):
        wanted = f"selection by {what} against selection by lot"
        (mean,) = [m for effect, m in zip(effects, means, strict=True) if wanted in effect.name]
        assert mean.text() in FINDINGS
