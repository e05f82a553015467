"""The published findings are found in the published tables; where a table differs, it is said."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pandas as pd
import pytest

from commensal.llm.reports._verdicts import ONE
from commensal.llm.reports.findings_interactive import Found, find

T = 15
# interactive, Table 3: Llama 3.2 1B at β = 0.5, first and last by α
TABLE_3 = {
    "task1": [(0.73, 0.70), (0.73, 0.88), (0.73, 0.86)],
    "task2": [(0.88, 0.79), (0.88, 0.93), (0.88, 0.94)],
    "public": [(0.50, 0.59), (0.50, 0.64), (0.50, 0.58)],
}


def published(table: int, architecture: str) -> pd.DataFrame:
    """A published table of losses in the form of a run's."""
    source = resources.files("commensal.pairing") / "interactive_losses.csv"
    with resources.as_file(source) as path:
        losses = pd.read_csv(path, comment="#")
    losses = losses.loc[(losses["table"] == table) & (losses["architecture"] == architecture)]
    rows = [
        (r.alpha, r.beta, t, r.model - 1, f"task{r.task}", None, "loss", value)
        for r in losses.itertuples()
        for t, value in ((0, r.initial_loss), (T, r.final_loss))
    ]
    return as_run(rows)


def as_run(rows: list[tuple]) -> pd.DataFrame:
    columns = ["alpha", "beta", "generation", "model", "dataset", "other", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).astype({"other": "Int64"}).assign(replicate=0.0)


def several(metrics: pd.DataFrame, count: int = 3) -> pd.DataFrame:
    """Make replicates that are all alike."""
    return pd.concat([metrics.assign(replicate=float(r)) for r in range(count)])


def likeness() -> pd.DataFrame:
    return as_run(
        [
            (alpha, 0.5, t, 0, name, 1, "similarity", value)
            for name, ends in TABLE_3.items()
            for alpha, pair in zip((0.0, 0.5, 1.0), ends, strict=True)
            for t, value in zip((0, T), pair, strict=True)
        ]
    )


def found_in(metrics: pd.DataFrame, models: int = 2, generations: int = T) -> dict[str, Found]:
    names = [*(f"task{k + 1}" for k in range(models)), "public"]
    return {one.id: one for one in find(metrics, names, generations)}


@pytest.mark.parametrize(
    ("table", "architecture", "unlike"),
    [(7, "Llama-3.2-1B", {"best"}), (8, "OPT-350m", set())],
)
def test_in_the_tables_of_two_models(table: int, architecture: str, unlike: set[str]):
    """The paper has one run of each: nothing is told by it, and the numbers are as it says."""
    found = found_in(published(table, architecture))
    said = {name for name, one in found.items() if one.instances}
    assert said == set(found) - {"homogenisation", "public-homogenisation"}
    assert {one.verdict for one in found.values()} == {"cannot be told here"}
    assert all(i.why == ONE for name in said for i in found[name].instances)
    assert {name for name in said if not all(i.leans for i in found[name].instances)} == unlike


def test_the_best_setting_of_the_llama_runs_is_another_one():
    ahead = [i for i in found_in(published(7, "Llama-3.2-1B"))["best"].instances if not i.leans]
    assert [(i.where, i.numbers) for i in ahead] == [("against α = 0.5, β = 1", "+0.10")]


def test_in_the_table_of_three_models():
    found = found_in(several(published(4, "Llama-3.2-1B")), models=3)
    assert found["one-own"].verdict == "reproduces"
    assert len(found["half-other"].instances) == 6
    assert found["half-other"].verdict == "in part"  # 3.1 → 3.0 counts as none
    assert found["zero-own"].verdict == "in part"  # 2.3 → 2.8


def test_in_the_table_of_similarities():
    found = found_in(several(likeness()))
    assert found["homogenisation"].verdict == "reproduces"
    assert len(found["homogenisation"].instances) == 4
    assert found["public-homogenisation"].verdict == "reproduces"
    assert found["half-own"].verdict == "cannot be told here"


def made(change: dict[tuple[float, int, int], float], beta: float = 0.5) -> pd.DataFrame:
    """Losses that start at 3, from changes by (α, model, task)."""
    rows = [
        (alpha, beta, t, model, f"task{task + 1}", None, "loss", 3 + (t > 0) * value)
        for (alpha, model, task), value in change.items()
        for t in (0, T)
    ]
    return several(as_run(rows))


@pytest.mark.parametrize(
    ("change", "verdicts"),
    [
        # (0.5 other, 0.5 own, 1 own, 0 other, 0 own) where every loss of the run changes so
        (-0.5, ("reproduces", "does not", "does not", "does not", "reproduces")),
        (-0.1, ("does not", "reproduces", "does not", "reproduces", "reproduces")),
        (0.1, ("does not", "reproduces", "does not", "reproduces", "reproduces")),
        (0.5, ("does not", "does not", "reproduces", "reproduces", "does not")),
    ],
)
def test_a_change_of_0_1_counts_as_none(change: float, verdicts: tuple[str, ...]):
    cells = {(a, k, m): change for a in (0.0, 0.5, 1.0) for k in (0, 1) for m in (0, 1)}
    found = found_in(made(cells))
    names = ("half-other", "half-own", "one-own", "zero-other", "zero-own")
    assert tuple(found[name].verdict for name in names) == verdicts


def test_losses_that_still_fall_are_explained():
    found = found_in(made({(0.5, 0, 0): -0.5, (0.5, 1, 1): 0.0}))
    assert found["half-own"].verdict == "in part"
    assert found["half-own"].remark.startswith("1 of 2 losses fall by more")
    assert found["half-own"].range == "change −0.50 to 0.00"


def test_beta_0_is_not_judged():
    found = found_in(made({(0.5, 0, 0): 2.0}, beta=0.0))
    assert found["half-own"].verdict == "cannot be told here"


def test_unfinished_settings_do_not_count():
    rows = several(published(8, "OPT-350m"))
    half = (rows["alpha"] == 0.5) & (rows["generation"] == T)
    found = found_in(rows.loc[~half])
    for name in ("half-other", "half-own", "best"):
        assert found[name].verdict == "cannot be told here"
    assert found["one-own"].verdict == "reproduces"


@pytest.mark.parametrize("metrics", [pd.DataFrame(), as_run([])], ids=["none", "no rows"])
def test_nothing_measured(metrics: pd.DataFrame):
    assert {one.verdict for one in found_in(metrics).values()} == {"cannot be told here"}


def test_public_losses_are_told_apart():
    rows = published(8, "OPT-350m")
    rng = np.random.default_rng(0)
    public = rows.loc[rows["dataset"] == "task1"].assign(dataset="public")
    public["value"] = rng.normal(3, 0.1, len(public))
    remark = found_in(pd.concat([rows, public]))["best"].remark
    assert remark.startswith("With the losses on the public data counted too, α = ")


def test_an_interval_decides_and_a_bare_sign_does_not():
    """Changes of -0.5, -0.4 and 0.0: the mean is -0.3, and the interval holds -0.1."""
    cells = {(0.5, k, m): -0.5 for k in (0, 1) for m in (0, 1)}
    one, *others = (part for _, part in made(cells).groupby("replicate"))
    others[0].loc[others[0]["generation"] == T, "value"] = 2.6
    others[1].loc[others[1]["generation"] == T, "value"] = 3.0
    found = found_in(pd.concat([one, *others]))["half-other"]
    assert found.verdict == "cannot be told here"
    assert all(i.leans for i in found.instances)
    assert "replicates would do" in found.reason
    assert found.leaning == "2 of 2 means are as published"
