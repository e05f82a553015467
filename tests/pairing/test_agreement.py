"""Measures of agreement against scipy, by hand, and on data of which the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from commensal.pairing import agreement, ceilings, direction, published_losses


def cells_of(losses: pd.DataFrame) -> list[tuple]:
    names = ["table", "architecture", "model", "task"]
    return list(losses[names].itertuples(index=False, name=None))


def table(number: int) -> tuple[pd.DataFrame, np.ndarray]:
    losses = published_losses().query(f"table == {number}")
    return losses, (losses.final_loss - losses.initial_loss).to_numpy()


def test_ranks_are_scipys() -> None:
    losses, observed = table(7)
    rng = np.random.default_rng(0)
    predicted = rng.standard_normal((3, len(losses))).round(1)  # with ties
    found = agreement(observed, predicted, cells_of(losses), resamples=0).prediction
    within = [
        np.mean(
            [
                spearmanr(rows.final_loss, p[rows.index - losses.index[0]]).statistic
                for _, rows in losses.groupby(["model", "task"])
            ]
        )
        for p in predicted
    ]
    assert found.rank_correlation.value == pytest.approx(np.mean(within), abs=1e-12)
    pooled = [spearmanr(observed.round(9), p).statistic for p in predicted]
    assert found.pooled.value == pytest.approx(np.mean(pooled), abs=1e-12)
    low, high = found.pooled.designs
    assert min(pooled) <= low <= np.mean(pooled) <= high <= max(pooled)


def test_by_hand() -> None:
    observed = [0.5, 0.1, -0.3, 0.0, 0.4, -0.2]
    predicted = [0.3, 0.2, -0.3, 0.1, 0.0, -0.1]
    found = agreement(observed, predicted, list("aaabbb"), resamples=0)
    assert found.prediction.sign.value == pytest.approx(3 / 6)  # rows 1, 3, 4
    missed = 0.04 + 0.01 + 0 + 0.01 + 0.16 + 0.01
    assert found.prediction.r_squared.value == pytest.approx(1 - missed / 0.55)
    # ranks in b: (2, 3, 1) against (3, 2, 1)
    assert found.prediction.rank_correlation.value == pytest.approx((1 + 0.5) / 2)
    assert found.no_change.sign.value == pytest.approx(2 / 6)
    assert found.no_change.r_squared.value == 0
    assert np.isnan(found.no_change.rank_correlation.value)
    # cell means are 0.1, which counts as none, and 0.0667
    assert found.mean_over_points.sign.value == pytest.approx(2 / 6)
    left = sum((o - m) ** 2 for o, m in zip(observed, [0.1] * 3 + [0.2 / 3] * 3, strict=True))
    assert found.mean_over_points.r_squared.value == pytest.approx(1 - left / 0.55)
    assert (found.designs, found.cells, found.rows) == (1, 2, 6)


def test_a_tenth_is_none_however_it_is_rounded() -> None:
    change = np.array([2.8 - 2.7, 3.8 - 3.7, 5.1 - 5.0, 0.10001, -0.1, -0.2])
    assert direction(change).tolist() == [0, 0, 0, 1, 0, -1]


def test_intervals_cover_and_repeat() -> None:
    """The share of bootstrap intervals that hold the true value, on many cells drawn alike.

    60 data sets of 30 cells; coverage of a percentile interval is a little below 95 %, and its
    standard error here 3 %: less than 84 %, or all, would be rare.
    Seeds are fixed.
    """
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        observed = rng.standard_normal(120)
        right = rng.random(120) < 0.8
        predicted = np.where(right, observed, -observed)
        where = np.repeat(np.arange(30), 4).tolist()
        found = agreement(observed, predicted, where, constant=0.0, resamples=60, seed=seed)
        low, high = found.prediction.sign.interval
        covered.append(low <= 0.8 <= high)
    assert 0.84 < np.mean(covered) < 1
    again = agreement(observed, predicted, where, constant=0.0, resamples=60, seed=seed)
    assert again.prediction == found.prediction


def test_intervals_are_those_of_resamples_one_by_one() -> None:
    """Designs and cells of unequal sizes, drawn again; each drawn cell counts as its own."""
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(6), [2, 5, 3, 3, 4, 2])
    observed = rng.standard_normal(len(labels))
    predicted = observed + rng.standard_normal((3, len(labels)))
    found = agreement(observed, predicted, labels.tolist(), resamples=40, seed=8)
    draws, drawn = np.random.default_rng(8), []
    for _ in range(40):
        design, cell = draws.choice(3, 3), draws.choice(6, 6)
        rows = [np.flatnonzero(labels == c) for c in cell]
        whole = np.concatenate(rows)
        at = np.repeat(np.arange(6), list(map(len, rows))).tolist()
        one = agreement(observed[whole], predicted[design][:, whole], at, resamples=0)
        drawn.append([score.value for score in one.prediction])
    ends = np.quantile(drawn, [0.025, 0.975], axis=0)
    np.testing.assert_allclose([s.interval for s in found.prediction], ends.T, rtol=1e-12)


def test_undefined_ranks_are_left_out() -> None:
    found = agreement([0.5, 0.2, 0.3, 0.3], [0.4, 0.1, 0.2, 0.9], list("aabb"), resamples=20)
    assert found.prediction.rank_correlation.value == 1  # of the one cell that varies
    still = agreement([0.3, 0.3], [0.4, 0.1], list("aa"), resamples=20).prediction
    assert np.isnan(still.rank_correlation.value)
    assert np.isnan(still.rank_correlation.interval[0])


@pytest.mark.parametrize(
    ("observed", "predicted", "cells", "message"),
    [
        ([0.1, 0.2], [0.1], ["a", "a"], r"predicted must have shape \(2,\) or \(designs, 2\)"),
        ([0.1, 0.2], [0.1, 0.2], ["a"], "cells must have 2 labels, one per change, got 1"),
        ([], [], [], "at least one change"),
        ([[0.1]], [0.1], ["a"], "observed must be one row"),
        ([0.1, 0.2], [0.1, np.nan], ["a", "a"], "predicted must be finite, got 1 changes"),
        ([np.inf, 0.2], [0.1, 0.2], ["a", "a"], "observed must be finite"),
    ],
)
def test_bad_input(observed: list, predicted: list, cells: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agreement(observed, predicted, cells)


def test_no_prediction_that_knows_no_tasks_beats_the_ceiling() -> None:
    """Predictions alike for all own and for all other tasks, at random and improved greedily."""
    losses, observed = table(8)
    top = ceilings(losses, resamples=10)
    own = (losses.model == losses.task).to_numpy()
    setting = losses.groupby(["alpha", "beta"]).ngroup().to_numpy()
    rng = np.random.default_rng(1)
    best = 0.0
    values = rng.standard_normal((2, 9))
    for _ in range(150):
        tried = values + 0.5 * rng.standard_normal((2, 9))
        found = agreement(observed, tried[own.astype(int), setting], cells_of(losses), resamples=0)
        assert found.prediction.sign.value <= top.alike_sign
        if found.prediction.rank_correlation.value > best:
            best, values = found.prediction.rank_correlation.value, tried
    assert 0.9 * top.alike_rank < best <= top.alike_rank + 1e-9
    # directions by majority, counted by hand: all but one of the 18 pairs agree (0.0 and 0.4)
    assert top.alike_sign == pytest.approx(35 / 36)


def test_rounding_turns_half_of_the_edges_and_nothing_else() -> None:
    """A printed change of 0.1 stands for one below and above 0.1 equally often."""
    for number in (4, 7, 8):
        top = ceilings(published_losses().query(f"table == {number}"), resamples=4000)
        # standard error of the mean over draws below 0.001
        assert top.rounding_sign == pytest.approx(1 - top.edge / 2, abs=0.004)
        low, high = top.rounding_sign_interval
        assert low < top.rounding_sign < high <= 1
        assert 0.9 < top.rounding_rank < 1
