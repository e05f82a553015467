"""Tables of curves: what is read, and what is refused in one line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from commensal.planning import read_curves
from commensal.planning.forecasts._curves import distances


def table(**changes) -> pd.DataFrame:
    rows = {
        "run": ["a", "a", "a", "b", "b", "b"],
        "generation": [0, 1, 2, 0, 1, 2],
        "retained": [79, 75, 71, 79, 77, 76],
        "known": [79.0] * 3 + [np.nan] * 3,
        "rank": [256] * 3 + [4] * 3,
        "seed": [1] * 3 + [2] * 3,
    }
    return pd.DataFrame({**rows, **changes})


def test_counts_become_shares_of_what_was_known() -> None:
    found = read_curves(table())
    assert found.runs == ("a", "b")
    np.testing.assert_allclose(found.values[0], np.array([79, 75, 71]) / 79)
    np.testing.assert_array_equal(found.known, 79)
    assert "79" in found.assumed
    assert list(found.settings) == ["rank"]  # a seed is no setting


def test_runs_without_known_counts_take_more_where_more_is_retained() -> None:
    found = read_curves(table(retained=[79, 75, 71, 90, 85, 80]))
    np.testing.assert_array_equal(found.known, [79, 90])


def test_rows_in_any_order_and_generations_with_gaps() -> None:
    rows = pd.DataFrame(
        {"run": list("abab"), "generation": [9, 0, 0, 4], "value": [1.0, 2.0, 3.0, 4.0]}
    )
    found = read_curves(rows)
    assert found.generations.tolist() == [0, 4, 9]
    assert found.last.tolist() == [9, 4]
    np.testing.assert_array_equal(found.values, [[3, np.nan, 1], [2, 4, np.nan]])


def test_a_file_is_read_as_its_table_is(tmp_path) -> None:
    file = tmp_path / "curves.csv"
    table().to_csv(file, index=False)
    one, other = read_curves(file), read_curves(table())
    np.testing.assert_array_equal(one.values, other.values)


def test_one_run_under_two_names_is_noticed() -> None:
    rows = [
        {"run": run, "generation": t, "value": value, "rank": 4}
        for run, end in (("long", 7), ("short", 4), ("other", 7))
        for t, value in enumerate([9.0, 8.0, 8.0, 7.5, 7.0, 6.0, 5.0][:end])
        if not (run == "other" and t == 1)
    ]
    rows[-1]["value"] = 5.5  # other is unlike long, and like short in three places only
    found = read_curves(pd.DataFrame(rows))
    assert found.twins.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (table().drop(columns="run"), "no column 'run'"),
        (table().rename(columns={"generation": "generations"}), "did you mean generations"),
        (table().drop(columns="retained"), "needs a column 'value'"),
        (table(value=1.0), "needs a column 'value'"),
        (table(retained=[79, 75, np.nan, 79, 77, 76]), "row 3: retained is no finite number"),
        (table(retained=[79, "x", 71, 79, 77, 76]), "row 2: retained is no finite number, got x"),
        (table(retained=[79, 75, 71, 79, -1, 76]), "row 5: retained is negative"),
        (table(retained=[80, 75, 71, 79, 77, 76]), "row 1: 80 facts retained of 79"),
        (table(known=[79, 79, 79, 0, 0, 0]), "row 4: 79 facts retained of 0"),
        (table(generation=[0, 1, 1, 0, 1, 2]), "generation 1 of run 'a' is there twice"),
        (table(generation=[0, 1, 1.5, 0, 1, 2]), "row 3: generations count from 0, got 1.5"),
        (table(generation=[-1, 1, 2, 0, 1, 2]), "row 1: generations count from 0, got -1"),
        (table(rank=[256, 4, 4, 4, 4, 4]), "setting 'rank' changes within run 'a'"),
        (table(run=["a"] * 3 + [None] * 3), "row 4 names no run"),
        (table().iloc[:3], "a single run"),
        (table().iloc[:0], "no rows"),
    ],
)
def test_bad_tables_are_refused_in_one_line(rows: pd.DataFrame, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        read_curves(rows)
    assert "\n" not in str(error.value)


def test_what_is_no_table_is_refused(tmp_path) -> None:
    file = tmp_path / "curves.csv"
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="no CSV table"):
        read_curves(file)
    with pytest.raises(FileNotFoundError):
        read_curves(tmp_path / "missing.csv")


def test_distances_are_symmetric_and_on_a_scale_for_each_setting() -> None:
    settings = pd.DataFrame(
        {"rank": [4, 16, 256, None], "method": ["full", "lora", "lora", "lora"], "x": [1, 2, 3, 4]}
    )
    found = distances(settings)
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 0)
    # log 4 / log 64 + 1 + 1/3; what is absent is as far as two are on average, 2/3
    np.testing.assert_allclose(found[0], [0, 1 / 3 + 1 + 1 / 3, 1 + 1 + 2 / 3, 2 / 3 + 1 + 1])
