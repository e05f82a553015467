"""Figures of language-model runs, whole, sparse and single ones: drawn without a warning."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from commensal.llm.reports import plots_interactive as plots

NAMES = ["task1", "task2", "public"]
METRICS = ("loss", "distinct_2", "entropy_2", "rare_perplexity", "kl")


def table(alpha=(0.0, 0.5, 1.0), beta=(0.5, 1.0), generations=2, models=2) -> pd.DataFrame:
    """A run's tidy table, by hand: losses rise by α a generation, and fall by β at the end."""
    rows = []
    names = [*(f"task{k + 1}" for k in range(models)), "public"]
    for a, b, t in itertools.product(alpha, beta, range(generations + 1)):
        for k, name in itertools.product(range(models), names):
            for metric in METRICS:
                rows.append((a, b, t, k, name, None, metric, 2 + a * t - b * (t > 0)))
        for (j, k), name in itertools.product(itertools.combinations(range(models), 2), names):
            rows.append((a, b, t, j, name, k, "similarity", 0.1 * t))
    columns = ["alpha", "beta", "generation", "model", "dataset", "other", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).astype({"other": "Int64"})


def memories() -> pd.DataFrame:
    one = table((0.0,), (1.0,), models=1).drop(columns=["alpha", "beta"])
    return pd.concat([one.assign(memory=name) for name in ("replace", "accumulate")])


def draw(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png")


def texts(figure: Figure) -> list[str]:
    """What the legend says."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_losses_have_a_panel_for_each_model_and_task():
    figure = plots.llm_losses(table(), NAMES, {"task1": 1.5})
    draw(figure)
    assert len(figure.axes) == 2 * 3
    assert [ax.get_title() for ax in figure.axes[:3]] == ["on task1", "on task2", "on public"]
    # three α times two β, and the entropy on task1
    assert [len(ax.lines) for ax in figure.axes] == [7, 6, 6, 7, 6, 6]
    shaded = [ax.get_facecolor() != figure.axes[1].get_facecolor() for ax in figure.axes]
    assert shaded == [True, False, False, False, True, False]
    curves = ["α = 0", "α = 0.5", "α = 1", "β = 0.5", "β = 1"]
    assert texts(figure) == [*curves, "own task", "entropy of the law"]


def test_a_curve_goes_through_the_losses_in_order_of_generations():
    figure = plots.llm_losses(table((0.5,), (1.0,)).sample(frac=1, random_state=0), NAMES)
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_xydata(), [[0, 2], [1, 1.5], [2, 2]])


def test_generation_0_alone_is_a_point():
    figure = plots.llm_losses(table(generations=0), NAMES)
    draw(figure)
    assert {line.get_marker() for line in figure.axes[0].lines} == {"o"}


def test_memories_have_colours_of_their_own():
    figure = plots.llm_losses(memories(), ["task1", "public"])
    draw(figure)
    assert texts(figure)[:2] == ["accumulate", "replace"]
    assert len({line.get_color() for line in figure.axes[0].lines}) == 2


def test_many_weights_have_as_many_colours():
    figure = plots.llm_losses(table(tuple(np.linspace(0, 1, 11)), (0.5,)), NAMES)
    draw(figure)
    assert len({line.get_color() for line in figure.axes[0].lines}) == 11


def test_a_map_shows_last_minus_first():
    figure = plots.llm_changes(table(), NAMES)
    draw(figure)
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(image, [[-0.5, 0.5, 1.5], [-1, 0, 1]])
    assert figure.axes[0].texts[0].get_text() == "−0.50"
    # no change: grey
    assert figure.axes[0].texts[4].get_text() == "0.00"
    assert figure.axes[0].texts[4].get_color() == "0.45"


def test_settings_that_have_not_begun_stay_empty_on_the_map():
    rows = table()
    begun = (rows["alpha"] < 1) | (rows["generation"] == 0)
    figure = plots.llm_changes(rows.loc[begun], NAMES)
    draw(figure)
    assert np.isnan(np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)[:, 2]).all()
    assert len(figure.axes[0].texts) == 4


@pytest.mark.parametrize("models", [2, 3])
def test_likeness_has_a_row_for_each_pair(models: int):
    rows = table(models=models)
    names = list(dict.fromkeys(rows["dataset"]))
    figure = plots.llm_similarity(rows, names)
    draw(figure)
    pairs = models * (models - 1) // 2
    assert len(figure.axes) == pairs * (models + 1)


def test_variety_is_averaged_over_models_and_tasks():
    rows = table((0.5,), (1.0,), generations=1)
    own = (rows["model"] == 0) & (rows["dataset"] == "task1") & (rows["metric"] == "distinct_2")
    rows.loc[own & (rows["generation"] == 1), "value"] = 0.5  # the other model's: 1.5
    figure = plots.llm_diversity(rows, NAMES)
    draw(figure)
    titles = [ax.get_title() for ax in figure.axes[:3]]
    assert titles == ["own task", "others' tasks", "public"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [2, 1])
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), [2, 1.5])


def test_variety_shows_what_there_is():
    rows = table().loc[lambda r: r["metric"].isin(("loss", "rare_perplexity"))]
    figure = plots.llm_diversity(rows, NAMES)
    draw(figure)
    assert len(figure.axes) == 3
    figure = plots.llm_diversity(memories(), ["task1", "public"])
    draw(figure)
    assert len(figure.axes) == 4 * 2


def test_components_are_of_all_panels_together():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(2, 3, 5, 4)).astype("f4")
    later = first + np.float32(10) * np.eye(4, dtype="f4")[0]  # all moved along one direction
    first[0, 2, 3:] = later[0, 2, 3:] = np.nan  # fewer public prompts
    figure = plots.llm_embeddings({"t = 0": first, "t = 5": later}, NAMES)
    draw(figure)
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("t = 0", "t = 5")
    assert [len(line.get_xdata()) for line in left.lines] == [5, 5, 3, 5, 5, 5]
    moved = [r.get_xdata() - a.get_xdata() for a, r in zip(left.lines, right.lines, strict=True)]
    assert np.abs(np.concatenate(moved)).min() > 9.5


def test_one_point_makes_no_plane():
    with pytest.raises(ValueError, match="two texts and two dimensions"):
        plots.llm_embeddings({"t = 0": np.zeros((1, 1, 1, 4), "f4")}, ["public"])
