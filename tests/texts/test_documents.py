"""Documents of a user's own: every format, and one line for what is none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from commensal.texts import documents
from commensal.texts._documents import grouped
from commensal.texts._sampling import sample


def test_a_row_is_a_document_and_its_text_is_looked_for(tmp_path: Path) -> None:
    rows = [
        {"text": "one", "label": "x"},
        {"completion": "two", "prompt": "?"},
        {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "three"}]},
        {"question": "four", "answer": "4", "id": 7},
        {"text": None},
        {"text": "  "},
    ]
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert list(documents(path)) == ["one", "two", "three", "four\n4"]


def test_columns_are_named_or_put_together(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("q,a\nwhy?,so\n")
    assert list(documents(path, "a")) == ["so"]
    assert list(documents(path, "{q} {a}!")) == ["why? so!"]
    with pytest.raises(ValueError, match=r"line 2: no column 'b'; there are q, a"):
        list(documents(path, "{b}"))
    assert list(documents(path, ["{q} {b}", "{q}", "a"])) == ["why?"]  # the first that fits
    text = tmp_path / "a.txt"
    text.write_text("to be")
    assert list(documents(text, "a")) == ["to be"]  # beside tables that have columns


def test_paragraphs_of_a_text_and_lines_where_no_line_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\nstill one\n\n\ntwo\n")
    assert list(documents(path)) == ["one\nstill one", "two"]
    path.write_text("one\ntwo\n")
    assert list(documents(path)) == ["one", "two"]


def test_a_folder_has_all_files_and_a_text_there_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("one\n\nstill one")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.jsonl").write_text('{"text": "two"}\n{"text": "three"}\n')
    (tmp_path / "notes.md").write_text("no format that is read")
    assert list(documents(tmp_path)) == ["one\n\nstill one", "two", "three"]


def test_what_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    latin = tmp_path / "latin.txt"
    latin.write_bytes("déjà".encode("latin-1"))
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"a\0b")
    for path, why in (
        (empty, "has no texts"),
        (latin, "convert the file to UTF-8"),
        (binary, "NUL byte"),
        (tmp_path / "none.txt", "does not exist"),
    ):
        with pytest.raises(ValueError, match=why) as caught:
            list(documents(path))
        assert "\n" not in str(caught.value)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="has no file that ends in"):
        list(documents(tmp_path / "nothing"))


def test_documents_have_groups(tmp_path: Path) -> None:
    rows = [{"text": text, "article": at} for text, at in (("a", 1), ("b", 1), ("c", 2))]
    table = tmp_path / "rows.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "more.txt").write_text("d\n\n= E =\n\nf")
    assert [name for _, name in grouped(table, group="article")] == ["1", "1", "2"]
    assert {name for _, name in grouped(table, group="heading:a")} == {""}
    by_file = dict(grouped(tmp_path, group="file"))
    assert (by_file["a"], by_file["c"]) == ("rows.jsonl", "rows.jsonl")
    headed = [name for _, name in grouped(tmp_path / "more.txt", group="heading:= .* =")]
    assert headed[0] == "" != headed[1] == headed[2]
    with pytest.raises(ValueError, match="no column 'artcle'; there are text, article"):
        list(grouped(table, group="artcle"))


def test_a_sample_keeps_groups_together_whatever_the_order() -> None:
    given = [f"{'= A =' if not n % 5 else 'text'} {n}" for n in range(60)]
    rng = np.random.default_rng
    one = sample(given, 100, rng(0), group=r"heading:= A = \d+", name="x")
    assert one.units == 12
    assert np.bincount(one.groups).tolist() == [5] * 12
    assert (np.diff(one.groups) >= 0).all()
    assert len({place // 5 for place in one.places[:5] - 1}) == 1
    assert one.part(3, 5).groups.tolist() == [0] * 5 + [1] * 5
    plain = sample(given, 100, rng(0), name="x")
    assert plain.texts == sample(given[::-1], 100, rng(0), name="x").texts
    assert plain.units == 60
