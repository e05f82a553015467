"""Local files: every format, what is wrong with them, and the real texts beside the project."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from pydantic import TypeAdapter, ValidationError

from commensal.llm.corpora import CorpusConfig, Example, FileCorpus, load
from commensal.llm.corpora._words import word_spans

DATA = Path(__file__).parents[3] / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"the texts in {DATA} are not there")

ROWS = [{"q": f"what is {i}?", "a": f"it is {i}.", "n": i} for i in range(10)]


def other(folder: Path, ending: str = "jsonl") -> str:
    """A file of test data that has nothing in common with any other."""
    path = folder / f"other.{ending}"
    row = {"q": "other", "a": "thing", "text": "some other thing", "s": "SOME OTHER THING"}
    row |= {"n": {"deep": [{"er": 1}]}}
    path.write_text(json.dumps(row) if ending == "jsonl" else row["text"], encoding="utf-8")
    return str(path)


def write(folder: Path, ending: str, rows: list[dict]) -> str:
    path = folder / f"rows.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=3)
    else:
        between = {"tsv": "\t", "csv": ","}[ending]
        lines = [between.join(rows[0]), *(between.join(map(str, r.values())) for r in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("ending", ["jsonl", "tsv", "csv", "parquet"])
def test_columns_and_templates(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path, ending, ROWS)
    corpus = load(FileCorpus(path=path, prompt="q", completion="a", test_share=0.5), seed=0)
    assert corpus.name == "rows"
    assert corpus.source is None
    assert corpus.notes == ()
    every = {*corpus.train, *corpus.test}
    assert len(corpus.train) + len(corpus.test) == 10
    assert every == {Example(f"what is {i}?", f" it is {i}.") for i in range(10)}
    config = FileCorpus(
        path=path, prompt="{n}: {q}\nAnswer:", completion="{{{a}}}", name="x", test_share=0.5
    )
    assert load(config, seed=0).train[0].prompt.endswith("?\nAnswer:")
    assert load(config, seed=0).train[0].completion.startswith(" {it is")
    assert load(config, seed=0).name == "x"


def test_a_space_only_where_one_is_needed(tmp_path: Path) -> None:
    rows = [{"q": q, "a": a} for q, a in (("x", "y"), ("x ", "y"), ("x", "\ny"), ("", "y"))]
    config = FileCorpus(
        path=write(tmp_path, "jsonl", rows), test_path=other(tmp_path), prompt="q", completion="a"
    )
    corpus = load(config, seed=0)
    assert corpus.train == (("x", " y"), ("x ", "y"), ("x", "\ny"), ("", "y"))
    assert corpus.test == (("other", " thing"),)


def test_limit(tmp_path: Path) -> None:
    path = write(tmp_path, "csv", ROWS)
    config = FileCorpus(path=path, prompt="q", completion="a", limit=4, test_share=0.5)
    assert {e.prompt for e in (*load(config, 0).train, *load(config, 0).test)} == {
        f"what is {i}?" for i in range(4)
    }
    (tmp_path / "test").mkdir()
    test = write(tmp_path / "test", "csv", [{"q": f"and {i}?", "a": "so"} for i in range(5)])
    both = load(config.model_copy(update={"test_path": test}), 0)
    assert len(both.train) == len(both.test) == 4


def test_running_text_keeps_its_white_space(tmp_path: Path) -> None:
    path = tmp_path / "play.txt"
    path.write_text("\n one two\nthree  four five\n\nsix seven eight nine", encoding="utf-8")
    config = FileCorpus(
        path=str(path), prompt_words=1, completion_words=2, test_path=other(tmp_path, "txt")
    )
    corpus = load(config, seed=0)
    assert corpus.name == "play"
    assert corpus.train == (
        ("one", " two\nthree"),
        ("four", " five\n\nsix"),
        ("seven", " eight nine"),
    )
    assert load(config.model_copy(update={"limit": 2}), 0).train == corpus.train[:2]


def test_running_text_in_a_column(tmp_path: Path) -> None:
    rows = [{"text": t, "s": t.upper()} for t in ("one two\n", "", "three", "four five six")]
    path, test = write(tmp_path, "jsonl", rows), other(tmp_path)
    config = FileCorpus(path=path, prompt_words=1, completion_words=2, test_path=test)
    assert load(config, 0).train == (("one", " two\n\nthree"), ("four", " five six"))
    upper = config.model_copy(update={"completion": "s"})
    assert load(upper, 0).train[1] == ("FOUR", " FIVE SIX")


def test_choices(tmp_path: Path) -> None:
    named = {"text": ["red", "blue (light)"], "label": ["A", "2"]}
    rows = [
        {"q": "q", "named": named, "key": "2", "line": "(A) red (2) blue (light)", "at": 1},
        {"q": "q", "named": named, "key": "A", "line": "(A) red (2) blue (light)", "at": 0},
    ]
    rows = [row | {"listed": ["red", "blue (light)"]} for row in rows]
    path = write(tmp_path, "jsonl", rows)
    test = str(tmp_path / "test.jsonl")
    elsewhere = {"named": {"text": ["x"], "label": ["2"]}, "line": "(2) x", "listed": ["x", "x"]}
    Path(test).write_text(json.dumps({"q": "other", "key": "2", "at": 0} | elsewhere))

    def completions(template: str) -> list[str]:
        config = FileCorpus(path=path, prompt="q", completion=template, test_path=test)
        return [e.completion for e in load(config, 0).train]

    for template in ("named[key]", "{line[key]}", "{listed[at]}"):
        assert completions(template) == [" blue (light)", " red"]
    assert completions("{named}") == [" (A) red (2) blue (light)"] * 2
    assert completions("{listed[0]} {at}") == [" red 1", " red 0"]


def test_columns_with_odd_names(tmp_path: Path) -> None:
    rows = [{"Question Stem": f'a "b{i}', "a.b": "c", "x[y]": "d"} for i in range(9)]
    path = write(tmp_path, "tsv", rows)
    config = FileCorpus(path=path, prompt="Question Stem", completion="{a.b}{x[y]}", test_share=0.5)
    corpus = load(config, 0)
    assert {*corpus.train, *corpus.test} == {(f'a "b{i}', " cd") for i in range(9)}


def test_quoted_fields_with_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('\ufeffq,a\n"one, ""two""\nthree",four\n\nfive,six\n', encoding="utf-8")
    config = FileCorpus(path=str(path), prompt="q", completion="a", test_path=other(tmp_path))
    corpus = load(config, 0)
    assert corpus.train == (('one, "two"\nthree', " four"), ("five", " six"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b'{"q": "a", "a": "b"}\n\n{"q": "a",\n', r"x\.jsonl', line 3: not JSON"),
        ("x.jsonl", b'{"q": "a", "a": "b"}\n[1]\n', r"line 2: a JSON object was expected"),
        ("x.jsonl", b'{"q": "a", "a": "b"}\n{"q": "a"}\n', r"line 2: no column 'a' among 'q'"),
        ("x.jsonl", b'{"q": "a", "a": null}\n', r"line 1: 'a' is empty"),
        ("x.jsonl", b'{"q": "a", "a": [1]}\n', r"line 1: 'a' is a list, not a text"),
        ("x.jsonl", b'{"q": "a", "a": " "}\n', r"line 1: the completion is empty"),
        ("x.jsonl", b"", r"x\.jsonl' has 0 examples; at least 2 are needed, one to train on"),
        ("x.jsonl", b'{"q": "a", "a": "b"}\n', r"has 1 examples; at least 2 are needed"),
        ("x.jsonl", b'{"q": "\xff"}\n', r"x\.jsonl' is not UTF-8 text"),
        ("x.tsv", b"q\ta\n1\t2\n3\n", r"x\.tsv', line 3: 1 fields under 2 columns"),
        ("x.tsv", b"q\tb\n1\t2\n", r"line 2: no column 'a' among 'q', 'b'"),
        ("x.csv", b'q,a\n1,"2\n', r"x\.csv', line 2: unexpected end of data"),
        ("x.csv", b"", r"has 0 examples"),
        ("x.csv", b"q,a\n", r"has 0 examples"),
        ("x.csv", b"q,a\n1,\n", r"line 2: the completion is empty"),
        ("x.csv", b"q,a\n1,\xff\n", r"is not UTF-8 text"),
        ("x.parquet", b"PAR", r"x\.parquet' is not a Parquet file that can be read"),
    ],
)
def test_bad_tables(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load(FileCorpus(path=str(path), prompt="q", completion="a"), seed=0)
    assert "\n" not in str(caught.value)


def test_parquet_without_the_column(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", ROWS)
    with pytest.raises(ValueError, match=r"rows\.parquet', row 1: no column 'b' among 'q', 'a'"):
        load(FileCorpus(path=path, prompt="q", completion="b"), seed=0)


@pytest.mark.parametrize(
    ("completion", "message"),
    [
        ("line[key]", "'line' has no choice 'C'"),
        ("named[key]", "'named' has no choice 'C'"),
        ("key[at]", "'key' has no choice '7'"),
        ("at[key]", "'at' has no choice 'C'"),
        ("line[kay]", "'line' has no entry 'kay', and there is no such column"),
        ("lane[key]", "no column 'lane' among"),
    ],
)
def test_choices_that_are_not_there(completion: str, message: str, tmp_path: Path) -> None:
    named = {"text": ["red"], "label": ["A"]}
    row = {"q": "q", "line": "(A) red (B) blue", "key": "C", "named": named, "at": 7}
    path = write(tmp_path, "jsonl", [row, row])
    with pytest.raises(ValueError, match=message):
        load(FileCorpus(path=path, prompt="q", completion=completion), seed=0)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.txt' does not exist"):
        load(FileCorpus(path=str(tmp_path / "nothing.txt")), seed=0)
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(ValueError, match=r"folder\.txt' is a folder"):
        load(FileCorpus(path=str(tmp_path / "folder.txt")), seed=0)
    path = tmp_path / "some.txt"
    path.write_text("word " * 200, encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.txt' does not exist"):
        load(FileCorpus(path=str(path), test_path=str(tmp_path / "other.txt")), seed=0)


@pytest.mark.parametrize("content", ["", "word " * 127])
def test_too_little_running_text(content: str, tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_text(content, encoding="utf-8")
    message = r"short\.txt' has [01] examples of 64 words; at least 2 are needed"
    with pytest.raises(ValueError, match=message):
        load(FileCorpus(path=str(path)), seed=0)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"short\.txt' is not UTF-8 text"):
        load(FileCorpus(path=str(path)), seed=0)


def test_too_little_test_text(tmp_path: Path) -> None:
    long, short = tmp_path / "long.txt", tmp_path / "short.txt"
    long.write_text("words " * 200, encoding="utf-8")
    short.write_text("word", encoding="utf-8")
    with pytest.raises(ValueError, match=r"short\.txt' has 0 examples of 64 words; at least 1 is"):
        load(FileCorpus(path=str(long), test_path=str(short)), seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "x.doc"}, r"'x\.doc' must end in \.txt, \.jsonl, \.tsv, \.csv, \.parquet"),
        ({"path": "x"}, "must end in"),
        ({"path": "x.txt", "test_path": "y"}, "'y' must end in"),
        ({"path": "x.txt", "prompt": "q", "completion": "a"}, r"'x\.txt' has no columns"),
        ({"path": "x.csv", "prompt": "q"}, "a prompt needs a completion"),
        ({"path": "x.csv", "prompt": "{q", "completion": "a"}, r"template '\{q'"),
        ({"path": "x.csv", "prompt": "{}", "completion": "a"}, "braces must hold a column's name"),
        ({"path": "x.csv", "prompt": "{a:3}", "completion": "a"}, "braces must hold a column"),
        ({"path": "x.csv", "prompt": " ", "completion": "a"}, "a column's name is empty"),
        ({"path": "x.csv", "prompts": "q"}, "prompts"),
        ({"path": "x.csv", "limit": 1}, "limit"),
        ({"path": "x.csv", "test_share": 0.0}, "test_share"),
        ({"path": "x.csv", "test_share": 1.0}, "test_share"),
        ({"path": "x.csv", "prompt_words": 0}, "prompt_words"),
        ({"path": 3}, "path"),
        ({}, "path"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(CorpusConfig).validate_python({"kind": "file", **settings})


@real
def test_gsm8k() -> None:
    path = str(DATA / "gsm8k_train.jsonl")
    corpus = load(FileCorpus(path=path, prompt="{question}\nAnswer:", completion="answer"), seed=0)
    assert len(corpus.train) + len(corpus.test) == 7473
    # binomial: 747 ± 26
    assert abs(len(corpus.test) - 747) < 4 * 26
    assert corpus.train[0].prompt.startswith("Natalia sold clips to 48 of her friends")
    assert corpus.train[0].prompt.endswith("\nAnswer:")
    assert corpus.train[0].completion.startswith(" Natalia sold 48/2 = <<48/2=24>>24 clips")


@real
def test_openbookqa() -> None:
    config = FileCorpus(
        path=str(DATA / "openbookqa_train.tsv"),
        test_path=str(DATA / "openbookqa_test.tsv"),
        prompt="{Question Stem}",
        completion="{Choices[Answer Key]}",
    )
    corpus = load(config, seed=0)
    assert len(corpus.train) == 4957
    assert len(corpus.test) == 500
    assert corpus.train[0] == (
        "The sun is responsible for",
        " plants sprouting, blooming and wilting",
    )


@real
@pytest.mark.filterwarnings("ignore::commensal.llm.corpora.CorpusWarning")  # headings come again
@pytest.mark.parametrize(
    ("name", "words"), [("wikitext2_train_sample.txt", 513_000), ("tinyshakespeare.txt", 202_000)]
)
def test_running_texts(name: str, words: int) -> None:
    corpus = load(FileCorpus(path=str(DATA / name)), seed=0)
    count = len(corpus.train) + len(corpus.test)
    assert abs(count * 64 - words) < 2000
    assert all(len(word_spans(e.prompt + e.completion)) == 64 for e in corpus.test)
    latin = [text for e in corpus.test if not re.search("[\u3000-\u9fff]", text := "".join(e))]
    assert len(latin) > 0.98 * len(corpus.test)
    assert all(len(text.split()) == 64 for text in latin)
    text = (DATA / name).read_text(encoding="utf-8")
    assert all(e.prompt + e.completion in text for e in corpus.test[:20])
    assert abs(len(corpus.test) - 0.1 * count) < 0.01 * count
