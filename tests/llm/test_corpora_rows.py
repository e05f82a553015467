"""The reader of rows: every format, compression and encoding, and what is wrong with a file."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from commensal.llm.corpora import CorpusWarning, FileCorpus, load, read_rows
from commensal.llm.corpora._opened import format_of, stem_of
from commensal.llm.corpora._templates import Template
from commensal.llm.fingerprint import read_texts
from tests.llm.test_corpora_files import other

CASES = Path(__file__).parents[3] / "shared" / "cases"
ROWS = [{"model": "a", "text": f"ünï {i} 中"} for i in range(7)]
PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pyarrow.compress(content, codec="zstd", asbytes=True),
}


def content(ending: str, newline: str = "\n") -> str:
    if ending == ".json":
        return json.dumps(ROWS, indent=1)
    if ending == ".jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + newline for row in ROWS)
    between = "\t" if ending == ".tsv" else ","
    lines = [between.join(ROWS[0]), *(between.join(row.values()) for row in ROWS)]
    return "".join(line + newline for line in lines)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_line_ends(ending: str, encoding: str, newline: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{ending}"
    path.write_bytes(content(ending, newline).encode(encoding))
    assert [row for _, row in read_rows(path)] == ROWS
    assert read_texts(path)["text"].tolist() == [row["text"] for row in ROWS]


def test_marks_in_the_middle_and_twice(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content(".jsonl").encode("utf-8-sig") * 2)
    assert [row for _, row in read_rows(path)] == ROWS * 2
    path.write_bytes(("\ufeff" + content(".jsonl")).encode("utf-16"))
    assert [row for _, row in read_rows(path)] == ROWS


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_compressed_files(packed: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.v2{ending}{packed}"
    path.write_bytes(PACK[packed](content(ending).encode("utf-16")))
    assert [row for _, row in read_rows(path)] == ROWS
    config = FileCorpus(path=str(path), prompt="model", completion="text", test_path=other2(path))
    assert config.name == "rows.v2"
    assert len(load(config, 0).train) == 7
    long = "".join(json.dumps({"text": os.urandom(40).hex()}) + "\n" for _ in range(3000))
    broken = tmp_path / f"cut.jsonl{packed}"
    whole = PACK[packed](long.encode())
    for damaged in (whole[: len(whole) // 2], b"no archive at all", whole[:9]):
        broken.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"cut\.jsonl.*, after line \d+: .* cut off, damaged"):
            list(read_rows(broken))


def other2(path: Path) -> str:
    test = path.with_name("test.csv")
    test.write_text("model,text\nother,thing\n")
    return str(test)


def test_where_rows_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('q,a\n"one\ntwo",three\n\nfour,five\n')
    assert [where for where, _ in read_rows(path)] == ["line 2", "line 5"]
    path = tmp_path / "rows.jsonl"
    path.write_text('\n{"q": 1}\n\n{"q": 2}\n')
    assert [where for where, _ in read_rows(path)] == ["line 2", "line 4"]
    path = tmp_path / "rows.txt"
    path.write_text("one\n\nthree")
    rows = [("line 1", {"text": "one"}), ("line 2", {"text": ""}), ("line 3", {"text": "three"})]
    assert list(read_rows(path)) == rows


HALF = b'{"a": "\\ud83d"}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b'{"a": 1}\n{"a": "b', r", line 2: not JSON: .*, and the file ends here"),
        ("x.jsonl", b'{"a": 1}\n' + HALF, r", line 2: \\ud83d is half of a surrogate pair"),
        ("x.json", b"[" + HALF + b"]", r"x\.json': \\ud83d is half of a surrogate pair"),
        ("x.jsonl", b'{"a": 1}\n{"a": 1, "a": 2}', r", line 2: the column 'a' is there twice"),
        ("x.jsonl", b'{"a": 1}\n3\n', r", line 2: a JSON object was expected"),
        ("x.jsonl", b'{"a": 1}\n' + b"[" * 200_000, r", line 2: nested too deep"),
        ("x.jsonl", b'{"a": ' + b"1" * 5000 + b"}", r", line 1: Exceeds the limit"),
        ("x.json", b'[{"a": 1},\n 2\n', r"x\.json', line 3: not JSON"),
        ("x.json", b'[{"a": 1}, 2]', r"row 2: a JSON object was expected"),
        ("x.json", b'{"a": 1}', r"a JSON array of objects was expected"),
        ("x.csv", b"a,b,a\n1,2,3\n", r", line 1: the column 'a' is there twice"),
        ("x.csv", b"a,b\n1,2\n1,2,3\n", r", line 3: 3 fields under 2 columns"),
        ("x.csv", b'a,b\n1,2\n1,"2\n3,4\n5,6\n', r", line 3: unexpected end of data"),
        ("x.csv", b"a,b\n1,2\n\xe9t\xe9,3\n", r"not UTF-8 text: line 3 has the byte 0xe9; convert"),
        ("x.tsv", b"a\tb\n1\t2\n1\t\0\n", r", line 3: a NUL byte; .* UTF-16 without"),
        ("x.jsonl", "{}".encode("utf-16-le"), r", line 1: a NUL byte; .* UTF-16 without"),
        ("x.txt", b"\xff\xfea", r"line 1: not UTF-16, which its byte order mark promises"),
        ("x.parquet", b"PAR1", r"is not a Parquet file that can be read"),
        ("x.doc", b"", r"must end in \.txt, .*\.json \(all but \.parquet may be compressed"),
        ("x.parquet.gz", b"", r"must end in "),
    ],
)
def test_what_is_wrong_with_a_file(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for read in (read_rows, read_texts):
        with pytest.raises(ValueError, match=message) as caught:
            list(read(path))
        assert "\n" not in str(caught.value)
        assert repr(str(path)) in str(caught.value)


def test_two_columns_of_a_parquet_file(tmp_path: Path) -> None:
    table = pyarrow.table([pyarrow.array(["x"]), pyarrow.array(["y"])], names=["a", "a"])
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"x\.parquet': the column 'a' is there twice"):
        list(read_rows(tmp_path / "x.parquet"))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder"):
        read_rows(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        read_rows(tmp_path / "none.csv")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/stdin" if Path("/dev/stdin").exists() else pipe, "/dev/null"):
        if Path(path).is_file():  # the tests' own input may be one
            continue
        with pytest.raises(ValueError, match="is a pipe or a device, and texts are read more"):
            read_rows(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("{}")
    path.chmod(0)
    with pytest.raises(ValueError, match=r"x\.jsonl' cannot be read: Permission denied"):
        list(read_rows(path))


def test_a_field_as_long_as_a_book(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text\n" + "word " * 200_000 + "\n")
    ((_, row),) = read_rows(path)
    assert len(row["text"]) == 1_000_000


def test_empty_files_and_headers_alone(tmp_path: Path) -> None:
    for name, text in (("x.csv", ""), ("x.csv", "a,b\n"), ("x.jsonl", "\n"), ("x.json", "[]")):
        path = tmp_path / name
        path.write_text(text)
        assert list(read_rows(path)) == []
        with pytest.raises(ValueError, match="has no texts"):
            read_texts(path)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_as_spreadsheets_write_them(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f'a{mark}b\n"so{mark} so, no"{mark}1\n')
    assert [row for _, row in read_rows(path)] == [{"a": f"so{mark} so, no", "b": "1"}]


def test_endings() -> None:
    assert format_of("a/b.JSONL.GZ") == ".jsonl"
    assert stem_of("a/b.c.tsv.zst") == "b.c"
    assert FileCorpus(path="x/y.txt.xz").name == "y"
    with pytest.raises(ValueError, match=r"'b\.gz' must end in"):
        format_of("b.gz")


def corpus_of(path: Path, **settings):
    config = {"path": str(path), "prompt": "q", "completion": "a", "test_path": other(path.parent)}
    return load(FileCorpus.model_validate(config | settings), seed=0)


def test_rows_without_a_text_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"q": f"{i}?", "a": f"{i}!"} for i in range(96)]
    rows[3]["a"] = None  # pyright: ignore[reportArgumentType]
    rows[5]["a"] = float("nan")  # pyright: ignore[reportArgumentType]
    rows[9]["a"] = " "
    del rows[11]["q"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = r"x\.jsonl': 4 of 96 rows cannot be used, the first at line 4: 'a' is empty \(null\);"
    with pytest.warns(CorpusWarning, match=told):
        corpus = corpus_of(path)
    assert len(corpus.train) == 92
    assert all("nan" not in "".join(e) and "None" not in "".join(e) for e in corpus.train)
    message = r"line 4: 'a' is empty \(null\) \(4 of 96 rows cannot be used, more than max_dropped"
    with pytest.raises(ValueError, match=message):
        corpus_of(path, max_dropped=0.04)
    words = {"prompt_words": 1, "completion_words": 1}
    with pytest.warns(
        CorpusWarning, match=r"the first at line 12: no column 'q' among 'a'; left out"
    ):
        running = corpus_of(path, prompt=None, completion="{q} x", **words)
    assert running.train == tuple((f"{i}?", " x") for i in range(96) if i != 11)


def test_a_nan_of_a_parquet_file_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pyarrow.table({"q": [f"{i}?" for i in range(20)], "a": [0.5] * 19 + [float("nan")]})
    pyarrow.parquet.write_table(table, path)
    with pytest.warns(CorpusWarning, match=r"1 of 20 rows .* row 20: 'a' is empty \(NaN\)"):
        assert {e.completion for e in corpus_of(path).train} == {" 0.5"}


@pytest.mark.parametrize("cell", ["nan", "NaN"])
def test_a_nan_of_a_csv_file_is_no_text(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("q,a\n" + "".join(f"{i}?,0.5\n" for i in range(19)) + f"nan?,{cell}\n")
    with pytest.warns(CorpusWarning, match=r"1 of 20 rows .* line 21: 'a' is empty"):
        assert len(corpus_of(path).train) == 19


def test_a_misspelt_column_is_missed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"q": "a", "b": "c"}\n' * 1000 + "not read\n")
    with pytest.raises(ValueError, match=r"line 1: no column 'a' among 'q', 'b' \(1,000 of 1,000"):
        corpus_of(path)


def test_cells_that_are_no_texts(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    row = {"q": 3, "a": True, "n": {"deep": [{"er": 0.25}]}}
    path.write_text((json.dumps(row) + "\n") * 2)
    template = "{a} {n[deep][0][er]}"
    assert corpus_of(path, completion=template).train[0] == ("3", " True 0.25")
    with pytest.raises(ValueError, match="'n' is a dict, not a text"):
        corpus_of(path, completion="n")


@pytest.mark.parametrize("odd", [None, True, 3, 0.5, "x", ["x"], {"text": "x"}])
@pytest.mark.parametrize("template", ["c", "{c[a]}"])
def test_odd_choices_are_no_text(odd: object, template: str) -> None:
    message = "'text' and 'label' of choices must be lists of the same length"
    for choices in ({"text": odd, "label": ["0", "1"]}, {"text": ["x", "y"], "label": odd}):
        with pytest.raises(ValueError, match=message):
            Template(template).render({"a": "1", "c": choices})
    with pytest.raises(ValueError, match=r"'c' is empty \(null\)"):
        Template("c").render({"c": {"text": ["x", None], "label": ["0", "1"]}})


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases in {CASES} are not there")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("null", r"null\.jsonl', line 5: 'text' is empty \(null\)"),
        ("nan", r"nan\.jsonl', line 5: 'text' is empty \(NaN\)"),
        ("trunc", r"trunc\.jsonl', line 27: not JSON: .* the file ends here"),
        ("surrogate", r"surrogate\.jsonl', line 1: \\ud83d is half of a surrogate pair"),
        ("bom", None),
    ],
)
def test_inputs_that_have_failed(name: str, message: str | None) -> None:
    path = CASES / f"{name}.jsonl"
    if message is None:
        assert len(read_texts(path)) == len(path.read_bytes().splitlines())
        return
    with pytest.raises(ValueError, match=message):
        read_texts(path)
    if name in ("trunc", "surrogate"):
        with pytest.raises(ValueError, match=message):
            load(FileCorpus(path=str(path), prompt="model", completion="text"), seed=0)
