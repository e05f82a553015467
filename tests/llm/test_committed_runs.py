"""The runs that README and the findings quote are of the presets, and say what is quoted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import whole
from commensal.llm.config import (
    EvolutionConfig,
    InteractiveConfig,
    TrainedConfig,
    validated,
)
from commensal.llm.presets import read_config
from commensal.llm.records.directory import RunDirectory
from commensal.llm.reports._intervals import mean_of, replicates_to_tell
from commensal.llm.reports._populations import Populations
from commensal.llm.reports._reading import Reading
from commensal.llm.reports.evolution import effect_means, effects_of
from commensal.llm.reports.findings_networks import find, mixes
from commensal.llm.reports.findings_remedies import curves
from commensal.llm.reports.findings_segmented import (
    advantages,
    by_community,
    gains,
    summarise,
)

ROOT = Path(__file__).parents[2]
WHOLE = ROOT / "runs" / "whole"
# `whole` is an example of one's own texts: of no preset, one replicate, which its page says
RUNS = sorted(
    path.parent for path in (ROOT / "runs").glob("*/metrics.parquet") if path.parent.name != "whole"
)
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
    small = "communities demo evolution networks remedies segmented selection web words"
    assert {path.name for path in RUNS} == set(small.split())


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


def test_what_is_quoted_of_words():
    said = (ROOT / "runs" / "words" / "pair.txt").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "explanation" / "words.md").read_text(encoding="utf-8")
    for quoted in (
        *("0.58 [0.49, 0.67]", "0.69 [0.57, 0.82]", "0.89 [0.73, 1.04]", "0.84 [0.71, 0.97]"),
        *("0.95 [0.87, 1.04]", "0.95 [0.89, 1.01]", "0.93 [0.89, 0.96]", "0.71 [0.64, 0.79]"),
        *("0.80 [0.74, 0.85]", "0.29 [0.25, 0.32]", "0.72 [0.54, 0.90]"),
    ):
        assert quoted in said, quoted
        assert quoted in page, quoted
    rows = pd.read_csv(ROOT / "runs" / "words" / "pair_retention.csv")
    rows = rows.loc[(rows["remedy"] == "none") & (rows["words"] <= 2) & (rows["generation"] == 5)]
    rows = rows.loc[rows["sample"] == rows.groupby("words")["sample"].transform("max")]
    ends = np.log(rows["relative"]).groupby([rows["words"], rows["replicate"]]).mean()
    pairs, words = (np.exp(ends.loc[n].to_numpy()) for n in (2, 1))
    assert mean_of(pairs - words).text() == "+0.03 [−0.02, +0.08]"
    assert "0.03 [−0.02, 0.08]" in page


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


def test_what_is_quoted_of_arithmetics():
    page = (ROOT / "docs" / "explanation" / "language-models.md").read_text(encoding="utf-8")
    keys = ["alpha", "model", "dataset", "generation"]
    rows = pd.read_csv(ROOT / "runs" / "demo" / "arithmetic.csv")
    wide = rows.pivot(index=keys, columns="arithmetic", values="loss")
    run = table("demo").query("metric == 'loss' and beta == 0.5")
    seeds = run.pivot_table("value", keys, "replicate")
    assert np.abs(wide["AVX-512"] - seeds[0]).max() < 1e-6  # as the run was
    assert len(wide) == 3 * 2 * 3 * 6
    places = {"$\\alpha = 0$": "alpha == 0 and generation == 5"}
    places |= {"$\\alpha = \\frac12$": "alpha == 0.5 and generation == 5"}
    places |= {"$\\alpha = 1$": "alpha == 1 and generation == 5"}
    places |= {"all": "generation == 5", "all, generation 0": "generation == 0"}
    for name, where in places.items():
        sds = [np.sqrt(of.query(where).var(axis=1).mean()) for of in (wide, seeds)]
        assert f"| {name} | {sds[0]:.3f} | {sds[1]:.3f} |" in page
    change = wide.xs(5, level="generation") - wide.xs(0, level="generation")
    directions = np.sign(change.where(change.abs() > 0.1, 0))
    other = change.loc[directions.nunique(axis=1) > 1]
    assert [*other.index] == [(1.0, model, "public") for model in (0, 1)]
    for name in other:
        said = ", ".join(f"{value:+.2f}" for value in other[name]).replace("-", "\N{MINUS SIGN}")
        assert f"({said})" in page
    scores = pd.read_csv(ROOT / "runs" / "demo" / "arithmetic_scores.csv")
    assert [*scores["arithmetic"].unique()] == ["AVX-512", "AVX2", "SSE2"]
    for _, of in scores.groupby("prediction"):
        rank, right, squared = (
            " / ".join(f"{value * scale:.{digits}f}" for value in of[name])
            for name, scale, digits in (
                *(("rank_over_points", 1, 2), ("sign", 100, 0)),
                ("r_squared_of_changes", 1, 2),
            )
        )
        row = f"| {rank} | {right} % | {squared} |".replace("-", "\N{MINUS SIGN}")
        assert row in page


def test_what_is_quoted_of_communities():
    page = (ROOT / "docs" / "explanation" / "budget.md").read_text(encoding="utf-8")
    page = " ".join(page.split())
    run = table("communities")
    own = advantages(by_community(run, 2)).set_index(["ecosystem", "replicate"])
    for name in ("pooled", "alone"):
        first, last = (own.loc[name, end].to_numpy(float) for end in ("first", "last"))
        above = mean_of(last - first / 2, 3).text().replace("+", "")
        ends = f"{first.mean():.2f} → {last.mean():.2f}"
        assert f"{ends}; the end is above the half by {above}" in page
    overall = summarise(run, 2).query("M == 4").pivot(index="replicate", columns="ecosystem")
    four = {name: np.log(values) for name, values in overall["overall"].items()}
    for other, said in {"random": "higher by {}", "alone": "lower by {}"}.items():
        sign = 1 if other == "random" else -1
        mean = mean_of(sign * (four["pooled"] - four[other]).to_numpy(), 3).text().replace("+", "")
        assert said.format(mean) in page
        assert other == "alone" or f"{mean} in ln μ_T" in FINDINGS


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
    needed = {
        effect.pairs[0][0].selection: replicates_to_tell(
            effect.differences(known, "kl", "task"), comparisons=2
        )
        for effect in effects
        if "against selection by lot" in effect.name
    }
    assert needed["oracle"] == 17
    assert 570 < (needed["accuracy"] or 0) < 600
    # asked again
    again = read_config("selection")
    known = Populations(table("selection"), again.generations)
    effects = effects_of(known)
    means = effect_means(known, effects, "kl", "task")
    told = {effect.name: mean for effect, mean in zip(effects, means, strict=True)}
    by = [mean for name, mean in told.items() if "against selection by lot" in name]
    assert len(by) == 3
    assert all(mean.text(3) in FINDINGS for mean in by)
    assert min(mean.low for mean in by) > -0.0825
    (oracle,) = [e for e in effects if "by an oracle against" in e.name]
    differences = oracle.differences(known, "kl", "task")
    assert replicates_to_tell(differences, comparisons=len(effects)) == 82
    judged = effect_means(known, effects, "reward", "task")
    (liked,) = [m for e, m in zip(effects, judged, strict=True) if "by preference" in e.name]
    assert liked.text(3) in FINDINGS
    # what the better two of four have less than their mean, over the generations that select
    kl = table("evolution").query("metric == 'kl' and dataset == 'task' and population == 4")
    kl = kl.query("selection == 'random' and generation < 4")
    four = kl.groupby(["reads", "writers", "generation", "replicate"])["value"]
    gap = four.apply(lambda v: v.mean() - np.sort(v)[:2].mean())
    gap = 4 * gap.groupby(level=["reads", "writers"]).mean()
    assert f"{gap.min():.2f} to {gap.max():.2f} nats less" in FINDINGS


@pytest.mark.parametrize("folder", [WHOLE, WHOLE / "again"], ids=["once", "again"])
def test_what_came_of_the_whole_way_follows_from_its_tables(folder: Path):
    tables = (pd.read_csv(folder / name) for name in ("forecast.csv", "audits.csv"))
    run = pd.read_parquet(folder / "metrics.parquet")
    kept = json.loads((folder / "judged.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "how-to" / "whole.md").read_text(encoding="utf-8")
    for row, about, came in zip(kept, whole.ABOUT, whole.judged(run, *tables), strict=True):
        assert row["came"] == whole.one_by_one(came)
        if len(came) > 1:
            assert row["replicates"] == whole.together(came, about)
            assert f"{sum(one.right for one in came)} of {len(came)} |" in page
