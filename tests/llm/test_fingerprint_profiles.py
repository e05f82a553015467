"""Fingerprints from profiles and from texts, and the tables of models: by hand, and malformed."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from commensal.llm import fingerprint as fp

PROFILE = {
    "top_repetitive_words": [{"word": "elara", "score": 9.0}, {"word": "hum", "score": 2.0}],
    "top_bigrams": [{"ngram": "barely whisper", "frequency": 3}],
    "top_trigrams": [],
}


def write(folder: Path, content: object, name: str = "profiles.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_needs_no_torch() -> None:
    program = (
        "import sys, commensal.llm.fingerprint as f; f.deployed();"
        "assert not {'torch', 'transformers', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_profiles_keep_order_and_weights(tmp_path: Path) -> None:
    (one,) = fp.read_profiles(write(tmp_path, {"vendor/a": PROFILE})).values()
    assert one == fp.Fingerprint({"elara": 9.0, "hum": 2.0}, {"barely whisper": 3.0}, {})
    assert one.features(fp.KINDS, top=1) == {"elara": 9.0, "barely whisper": 3.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_repetitive_words": None}, "profile of 'a': no top_repetitive_words"),
        ({"top_bigrams": {}}, "profile of 'a': no list top_bigrams"),
        ({"top_bigrams": [{"word": "x"}]}, r"'a': top_bigrams\[0\] has no 'ngram'"),
        ({"top_trigrams": [{"ngram": "x"}]}, r"top_trigrams\[0\] has no number as 'frequency'"),
        ({"top_bigrams": [{"ngram": "x", "frequency": -1}]}, "must be positive and finite, got -1"),
        (
            {"top_repetitive_words": [{"word": "x", "score": float("nan")}]},
            "score must be positive and finite, got nan",
        ),
        (
            {"top_bigrams": [{"ngram": "x", "frequency": 1}] * 2},
            r"top_bigrams\[1\]: 'x' occurs twice",
        ),
    ],
)
def test_malformed_profiles_name_the_entry(tmp_path: Path, change: dict, message: str) -> None:
    path = write(tmp_path, {"a": {**PROFILE, **change}})
    with pytest.raises(ValueError, match=message):
        fp.read_profiles(path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"a": 3}'])
def test_files_that_are_no_profiles(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match=r"profiles\.json|profile of 'a'"):
        fp.read_profiles(write(tmp_path, content))


def test_models_are_found_by_short_names() -> None:
    known = {"x/a": fp.Fingerprint({"p": 1.0}), "y/b": fp.Fingerprint({"q": 1.0})}
    assert list(fp.choose(known, ["b", "x/a"])) == ["b", "x/a"]
    with pytest.raises(ValueError, match=r"no fingerprint of model 'bb'; did you mean 'b'\?"):
        fp.choose(known, ["bb"])
    with pytest.raises(ValueError, match="model 'a' could be any of x/a, y/a"):
        fp.choose({"x/a": known["x/a"], "y/a": known["y/b"]}, ["a"])
    # an exact name is never ambiguous
    assert list(fp.choose({"a": known["x/a"], "y/a": known["y/b"]}, ["a"])) == ["a"]


def table(**columns: list) -> pd.DataFrame:
    base = {"model": list("abcd"), "family": list("xxyy")}
    return pd.DataFrame(base | columns)


def test_months_and_generations() -> None:
    models = fp.models_of(table(date=["2024-07", "2024-07-23", "2025-01", "2023-03-14"]))
    assert models.dates is not None
    assert (models.dates - models.dates[0]).tolist() == [0, 0, 6, -16]
    assert models.unit == "month"
    by_generation = fp.models_of(table(date=[3, 0, 1, 2]))
    assert by_generation.unit == "generation"
    assert fp.models_of(table()).dates is None
    assert models.codes().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"family": list("xxxx")}, r"one family only \(x\)"),
        ({"model": list("abca"), "family": list("xxyy")}, "'a' has more than one family: x and y"),
        (
            {"model": list("aabb"), "date": [1, 2, 3, 3]},
            "model 'a' has more than one date: 1 and 2",
        ),
        ({"date": ["2024-13"] * 4}, "date of model 'a' must be a month .* got '2024-13'"),
        ({"date": ["2024-07", "", "2024-07", "2024-07"]}, "date of model 'b' .* got ''"),
        ({"date": ["2024-07", "3", "4", "5"]}, "model 'b' is dated by a generation, 'a' by a mon"),
        ({"model": ["a", " ", "c", "d"]}, "row 2 has no model"),
    ],
)
def test_bad_tables_name_the_offender(columns: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fp.models_of(table(**columns))


def test_tables_of_models_from_files(tmp_path: Path) -> None:
    path = write(tmp_path, "model,family\na,x\nb,x\nc,y\n", "families.csv")
    assert fp.read_models(path).families == ("x", "x", "y")
    path = write(tmp_path, "model,family\na,x\nb,x\n", "families.csv")
    with pytest.raises(ValueError, match=r"families\.csv: one family only \(x\)"):
        fp.read_models(path)
    with pytest.raises(ValueError, match="no column 'family'"):
        fp.read_models(write(tmp_path, "model\na\n", "other.csv"))


def test_the_papers_models() -> None:
    models = fp.read_models()
    assert len(models.names) == 27
    sizes = pd.Series(models.families).value_counts().to_dict()
    assert sizes == {"Gemma": 7, "Llama": 7, "GPT": 5, "Claude": 4, "Mistral": 4}
    other = fp.read_models(dates="other_date")
    assert models.dates is not None
    assert other.dates is not None
    assert (models.dates != other.dates).sum() == 6
    assert models.unit == "month"


TOLD = {
    "1": ["The old lantern hummed; the OLD lantern didn't stop.", "Elara’s lantern hummed."],
    "2": ["A lantern hummed. Old Elara ran"],
    "3": ["zzz zzz zzz"],  # often, but under one prompt only
}


def test_fingerprint_by_hand() -> None:
    found = fp.fingerprint(TOLD, baseline=lambda word: 0.5 if word == "lantern" else 0.0)
    total = 6 + 3 + 5 + 3  # stop words and contractions are out, "old" counts
    assert list(found.words) == ["hummed", "elara", "lantern"]  # old has three letters
    assert found.words["lantern"] == pytest.approx(4 / total / 0.5)
    assert found.words["hummed"] == pytest.approx(3 / total / 1e-8)  # unknown: as the rarest
    assert found.bigrams == {"lantern hummed": 3.0, "hummed old": 2.0}
    assert found.trigrams == {"lantern hummed old": 2.0}


def test_words_over_english() -> None:
    pytest.importorskip("wordfreq")
    found = fp.fingerprint({"1": ["the elara whispered"], "2": ["whispered elara house"]})
    assert list(found.words) == ["elara", "whispered"]
    assert found.words["elara"] > found.words["whispered"] > 1


def test_texts_of_several_models() -> None:
    rows = pd.DataFrame(
        {"model": ["a", "b", "a", "b"], "text": ["hum drum", "dust", "drum hum drum", "sand"]}
    )
    with pytest.raises(ValueError, match="fingerprint of 'b' is empty: nothing recurs over 2"):
        fp.fingerprints_of(rows, baseline=fp.pooled(rows["text"]))
    found = fp.fingerprints_of(rows[rows["model"] == "a"], baseline=fp.pooled(rows["text"]))
    assert found["a"].bigrams == {"hum drum": 2.0}
    assert found["a"].words["drum"] == pytest.approx((3 / 5) / (3 / 7))


def test_samples_of_a_run_are_texts(tmp_path: Path) -> None:
    records = [
        {"generation": t, "model": k, "kind": "fixed", "prompt": p, "completion": f"word {k}"}
        for t in (0, 1)
        for k in (0, 1)
        for p in ("p", "q")
    ]
    path = tmp_path / "samples.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in records).encode()))
    texts = fp.read_texts(path)
    models = fp.models_of(texts)
    assert models.names[0] == "model 0, generation 0"
    assert set(models.families) == {"model 0", "model 1"}
    assert models.unit == "generation"
    assert set(texts.columns) == {"model", "family", "date", "prompt", "text"}
    plain = write(tmp_path, "model,family,date,text\na,x,1,hum\n", "texts.csv")
    assert fp.read_texts(plain)["text"].tolist() == ["hum"]
    with pytest.raises(ValueError, match="no column 'text'"):
        fp.read_texts(write(tmp_path, "model\na\n", "none.csv"))
    with pytest.raises(ValueError, match=r"bad\.jsonl', line 1: not JSON"):
        fp.read_texts(write(tmp_path, "{", "bad.jsonl"))


def test_texts_of_every_kind_of_file(tmp_path: Path) -> None:
    rows = [{"model": "a", "text": "hum"}, {"model": "b", "text": 3}]
    array = tmp_path / "texts.json"
    array.write_text(json.dumps(rows), encoding="utf-16")
    assert not fp.holds_profiles(array)
    assert fp.read_texts(array)["text"].tolist() == ["hum", "3"]
    assert fp.holds_profiles(write(tmp_path, "\n {}", "profiles.json"))
    chats = [
        {
            "model": "a",
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "hum"},
                {"role": "user", "content": "y"},
                {"role": "assistant", "content": "drum"},
            ],
        }
    ]
    chat = write(tmp_path, json.dumps(chats[0]) + "\n", "chat.jsonl")
    assert fp.read_texts(chat)["text"].tolist() == ["hum\ndrum"]
    with pytest.raises(ValueError, match=r"chat\.jsonl', line 2: messages must be a list"):
        fp.read_texts(write(tmp_path, json.dumps(chats[0]) + '\n{"model": "b"}', "chat.jsonl"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"model": "a", "text": None}, r"line 2: 'text' is empty \(null\)"),
        ({"model": "a"}, r"line 2: 'text' is empty \(null\)"),
        ({"model": "a", "text": ["x"]}, "line 2: 'text' is a list, not a text"),
        ({"model": None, "text": "x"}, r"line 2: 'model' is empty \(null\)"),
    ],
)
def test_the_row_that_has_no_text_is_named(row: dict, message: str, tmp_path: Path) -> None:
    lines = json.dumps({"model": "a", "text": "hum"}) + "\n" + json.dumps(row)
    with pytest.raises(ValueError, match=rf"texts\.jsonl', {message}"):
        fp.read_texts(write(tmp_path, lines, "texts.jsonl"))


def test_tables_with_cells_that_are_no_texts() -> None:
    for cell, message in (
        (None, r"empty \(null\)"),
        (float("nan"), r"empty \(NaN\)"),
        ([], "a list"),
    ):
        with pytest.raises(ValueError, match=f"row 2: 'text' is {message}"):
            fp.pooled(pd.Series(["hum", cell], dtype=object))
        rows = pd.DataFrame({"model": ["b", "b"], "text": pd.Series(["hum", cell], dtype=object)})
        with pytest.raises(ValueError, match=f"a text of model 'b': 'text' is {message}"):
            fp.fingerprints_of(rows, baseline=lambda word: 0.1)


def test_families_and_profiles_in_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "families.csv"
    text = "model,family\nä,x\nb,x\nc,y\nd,y\n"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert fp.read_models(path).names == ("ä", "b", "c", "d")
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"families\.csv' is not UTF-8 text: line 2 has the byte"):
        fp.read_models(path)
    with pytest.raises(ValueError, match=r"none\.csv' does not exist"):
        fp.read_models(tmp_path / "none.csv")
    profile = {"ä": {"top_repetitive_words": [{"word": "hum", "score": 2.0}]}}
    path = tmp_path / "profiles.json"
    path.write_text(json.dumps(profile, ensure_ascii=False), encoding="utf-16")
    assert fp.read_profiles(path) == {"ä": fp.Fingerprint({"hum": 2.0})}
