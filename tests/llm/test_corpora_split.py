"""What is held out: the same texts whatever is read with them, and nothing of them trained on."""

from __future__ import annotations

import json
import os
import random
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from commensal.llm.corpora import CorpusWarning, FileCorpus, HubCorpus, load, load_all
from commensal.llm.corpora._split import held_out, key_of, stretch
from tests.llm.test_corpora_files import DATA, other, real, write

ROWS = [{"q": f"what is {i}?", "a": f"it is {i}.", "id": i} for i in range(200)]
ASKED = {"prompt": "q", "completion": "a"}


def sides(path: str, **settings) -> tuple[set[str], set[str]]:
    """Questions' numbers of the two sides; no number is on both."""
    corpus = load(FileCorpus.model_validate({"path": path} | ASKED | settings), seed=0)
    train, test = (
        {found for e in part for found in re.findall(r"\d+", "".join(e))}
        for part in (corpus.train, corpus.test)
    )
    assert train.isdisjoint(test)
    return train, test


def test_other_settings_hold_out_the_same_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", ROWS)
    train, test = sides(path)
    assert len(train) + len(test) == 200
    assert 5 <= len(test) <= 40
    for settings in (
        {"limit": 60},
        {"limit": 150, "name": "x"},
        {"prompt": "Question: {q}\nAnswer:", "completion": "{a}"},
        {"prompt": "a", "completion": "q"},
    ):
        some_train, some_test = sides(path, **settings)
        assert some_train <= train
        assert some_test <= test
    # a larger share holds out what a smaller one does
    assert test < sides(path, test_share=0.3)[1]
    corpus = load(FileCorpus(path=path, **ASKED), seed=0)
    assert load(FileCorpus(path=path, **ASKED), seed=7) == corpus
    order = [int(e.completion[7:-1]) for e in corpus.train]
    assert order == sorted(order)


@pytest.mark.parametrize("ending", ["tsv", "csv", "parquet", "json"])
def test_other_formats_and_orders_hold_out_the_same_rows(ending: str, tmp_path: Path) -> None:
    first = sides(write(tmp_path, "jsonl", ROWS))
    mixed = random.Random(0).sample(ROWS, len(ROWS))
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(mixed))
    assert sides(str(path) if ending == "json" else write(tmp_path, ending, mixed)) == first


def test_running_text_holds_out_its_end_however_it_is_cut(tmp_path: Path) -> None:
    paragraphs = [" ".join(f"w{100 * i + j}" for j in range(5 + i % 30)) for i in range(300)]
    words = " ".join(paragraphs).split()
    text = tmp_path / "a.txt"
    text.write_text("\n\n".join(paragraphs) + "\n")
    lines = tmp_path / "b.txt"
    lines.write_text("\n".join(paragraphs))
    known: tuple[set[str], set[str]] = (set(), set())
    for path in (text, lines):
        for before, after, limit in ((16, 48, None), (3, 4, None), (1, 1, 500), (5, 90, 20)):
            config = FileCorpus(
                path=str(path), prompt_words=before, completion_words=after, limit=limit
            )
            corpus = load(config, seed=0)
            assert limit is None or len(corpus.train) + len(corpus.test) == limit
            if limit is not None:
                assert len(corpus.test) == limit // 10
            for found, part in zip(known, (corpus.train, corpus.test), strict=True):
                found.update(w for e in part for w in "".join(e).split())
    assert known[0].isdisjoint(known[1])
    # all but what is too short for a piece: the two ends, and nothing jumps
    at = words.index(min(known[1], key=words.index))
    assert known[1] <= set(words[at:])
    assert known[0] <= set(words[:at])
    assert abs(len(words) - at - 0.1 * len(words)) <= 17  # half of the longest paragraph
    assert any(paragraph.startswith(words[at] + " ") for paragraph in paragraphs)
    assert len(known[0] | known[1]) > len(words) - 14


def test_each_replicate_holds_out_another_stretch(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(4000)]
    path = tmp_path / "a.txt"
    path.write_text("\n".join(" ".join(words[at : at + 10]) for at in range(0, 4000, 10)))
    config = FileCorpus(path=str(path), prompt_words=1, completion_words=3)
    seen: set[str] = set()
    for replicate in range(8):
        corpus = load(config.of_replicate(replicate), 0)
        test = [int(word[1:]) for e in corpus.test for word in "".join(e).split()]
        assert test == list(range(test[0], test[0] + 400))
        assert len(corpus.train) == 900
        words_of_test = {f"w{i}" for i in test}
        assert words_of_test.isdisjoint(w for e in corpus.train for w in "".join(e).split())
        assert words_of_test.isdisjoint(seen)
        seen |= words_of_test
    assert load(config.of_replicate(0), 0) == load(config, 0)


def test_each_replicate_holds_out_other_rows(tmp_path: Path) -> None:
    config = FileCorpus(path=write(tmp_path, "jsonl", ROWS), **ASKED, test_share=0.3)
    first, second = (set(load(config.of_replicate(r), 0).test) for r in (0, 1))
    both = len(first & second)
    assert first == set(load(config, 0).test)
    # 0.3 of those of the other one, within 4 standard errors
    assert abs(both - 0.3 * len(first)) < 4 * np.sqrt(0.21 * len(first))
    keys = [key_of([f"text {i}"]) for i in range(20_000)]
    chosen = np.array([[held_out(key, 0.1, r) for key in keys] for r in (1, 2)])
    assert np.abs(chosen.mean(1) - 0.1).max() < 4 * np.sqrt(0.09 / 20_000)
    assert abs(np.corrcoef(chosen)[0, 1]) < 4 / np.sqrt(20_000)
    apart = config.model_copy(update={"test_path": other(tmp_path)})
    assert load(apart.of_replicate(1), 0) == load(apart, 0)


def test_a_text_without_line_breaks_is_divided_too(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(" ".join(f"w{i}" for i in range(10_000)))
    parts = []
    for words in (2, 9, 40):
        corpus = load(FileCorpus(path=str(path), prompt_words=words, completion_words=words), 0)
        both = (corpus.train, corpus.test)
        parts.append([{w for e in part for w in "".join(e).split()} for part in both])
        assert 0 <= 10_000 // (2 * words) - len(corpus.train) - len(corpus.test) <= 1
    for train, _ in parts:
        assert all(train.isdisjoint(test) for _, test in parts)


def test_windows_lie_in_one_stretch_and_what_is_left_is_joined(tmp_path: Path) -> None:
    paragraphs = [" ".join(f"{letter}{i}" for letter in "abcdefg") for i in range(100)]
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(paragraphs))
    config = FileCorpus(path=str(path), prompt_words=1, completion_words=3)
    corpus = load(config.of_replicate(1), 0)
    first, last = stretch([7] * 100, 0.1, 1)
    assert (first, last) == (45, 55)
    expected, rest = [], []
    for part in (paragraphs[:first], paragraphs[last:]):
        words = " ".join(part).split()
        whole = len(words) // 4 * 4
        expected += [words[at : at + 4] for at in range(0, whole, 4)]
        rest += words[whole:]
    assert len(rest) == 6
    assert [("".join(e)).split() for e in corpus.train] == [*expected, rest[:4]]


def test_equal_texts_are_on_one_side(tmp_path: Path) -> None:
    # the same up to white space, full-width and composed characters
    rows = [{"q": f"café {i}?", "a": f"№ {i}", "id": i} for i in range(100)]
    rows += [{"q": f" cafe\u0301\u00a0 {i}？\n", "a": f"No\t{i}", "id": -i} for i in range(100)]
    train, test = sides(write(tmp_path, "jsonl", rows))
    assert len(train) + len(test) == 100
    paragraphs = tmp_path / "a.txt"
    paragraphs.write_text("\n\n".join(f"p{i % 100} and  so\u00a0on" for i in range(400)))
    config = FileCorpus(path=str(paragraphs), prompt_words=1, completion_words=3)
    with pytest.warns(CorpusWarning, match="120 of 360 texts of corpus 'a' are also test texts"):
        corpus = load(config, seed=0)
    assert {e.prompt for e in corpus.train}.isdisjoint({e.prompt for e in corpus.test})
    assert (len(corpus.train), len(corpus.test)) == (240, 40)


def test_the_share_is_met_on_average() -> None:
    drawn = [held_out(key_of([f"text {i}"]), 0.1) for i in range(20_000)]
    assert abs(np.mean(drawn) - 0.1) < 4 * np.sqrt(0.09 / 20_000)


def test_what_rows_are_divided_by_can_be_said(tmp_path: Path) -> None:
    rows = [{"q": f"what is {i // 4}?", "a": f"x{i}", "b": f"y{i}"} for i in range(400)]
    path = write(tmp_path, "jsonl", rows)

    def questions(**settings) -> list[set[str]]:
        corpus = load(FileCorpus.model_validate({"path": path, "prompt": "q"} | settings), 0)
        return [{e.prompt for e in part} for part in (corpus.train, corpus.test)]

    train, test = questions(completion="a")
    assert train & test  # several answers to one question
    train, test = questions(completion="a", split_by="q")
    assert not train & test
    assert questions(completion="b", split_by="{q}") == [train, test]


def test_no_side_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", [{"q": "same", "a": "same"}] * 20)
    message = r"has 20 rows, and with test_share = 0\.1 no example is held out: .* name test_path"
    with pytest.raises(ValueError, match=message):
        load(FileCorpus(path=path, **ASKED), seed=0)
    with pytest.raises(ValueError, match="no example is left to train on"):
        load(FileCorpus(path=path, **ASKED, test_share=0.9999999), seed=0)


def test_the_file_to_train_on_is_no_test_file(tmp_path: Path, monkeypatch) -> None:
    path = Path(write(tmp_path, "jsonl", ROWS))
    (tmp_path / "link.jsonl").symlink_to(path)
    os.link(path, tmp_path / "hard.jsonl")
    monkeypatch.chdir(tmp_path)
    names = (
        str(path),
        "rows.jsonl",
        "./../" + tmp_path.name + "/rows.jsonl",
        "link.jsonl",
        "hard.jsonl",
    )
    for name in names:
        with pytest.raises(ValidationError, match="is the file to train on; leave it out"):
            FileCorpus(path=str(path), test_path=name, **ASKED)
    with pytest.raises(ValidationError, match="is the split to train on"):
        HubCorpus(dataset="a/b", test_split="train")


def test_test_data_are_not_trained_on(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", ROWS)
    test = tmp_path / "test.csv"
    test.write_text('q,a\nwhat is  7?,it is 7.\nwhat is 9?," it is 9."\nand?,so\n')
    config = FileCorpus(path=path, test_path=str(test), **ASKED)
    message = "2 of 200 texts of corpus 'rows' are also test texts (its own); nothing is trained"
    with pytest.warns(CorpusWarning, match=re.escape(message)):
        corpus = load(config, seed=0)
    assert len(corpus.train) == 198
    assert len(corpus.test) == 3
    assert message in corpus.notes[0]
    assert not {e.prompt for e in corpus.train} & {"what is 7?", "what is 9?"}
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(Path(path).read_bytes())
    with pytest.raises(ValueError, match=r"200 of 200 texts .* too little is left to train on"):
        load(config.model_copy(update={"test_path": str(copy)}), seed=0)


def test_test_paragraphs_are_not_trained_on(tmp_path: Path) -> None:
    path, test = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_text("\n\n".join(f"one{i} two{i} three{i}" for i in range(9)))
    test.write_text("four five six\n\none3  two3\nthree3\n")
    config = FileCorpus(path=str(path), test_path=str(test), prompt_words=1, completion_words=1)
    with pytest.warns(CorpusWarning, match="1 of 9 texts of corpus 'a'"):
        corpus = load(config, seed=0)
    words = {w for e in corpus.train for w in "".join(e).split()}
    assert not words & {"one3", "two3", "three3"}
    assert len(corpus.train) == 12


def test_corpora_of_one_run_do_not_train_on_each_others_test_data(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", ROWS)
    config = FileCorpus(path=path, **ASKED)
    whole = config.model_copy(update={"name": "whole", "test_path": other(tmp_path)})
    with pytest.warns(
        CorpusWarning, match=r"of 200 texts of corpus 'whole' .* \(those of 'rows'\)"
    ):
        first, second = load_all([config, whole], seed=0)
    assert set(second.train) == set(first.train)
    # two that divide the same file in the same way lose nothing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = load_all([config, config.model_copy(update={"name": "b", "limit": 50})], 0)
    assert set(second.train) < set(first.train)


@real
def test_real_texts_cut_otherwise() -> None:
    path = str(DATA / "wikitext2_valid.txt")
    whole = Path(path).read_text(encoding="utf-8").split()
    seen = Counter(tuple(whole[i : i + 20]) for i in range(len(whole)))
    parts = []
    for before, after, limit in ((12, 32, None), (16, 48, 1500)):
        config = FileCorpus(path=path, prompt_words=before, completion_words=after, limit=limit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CorpusWarning)  # headings come again
            corpus = load(config, seed=0)
        texts = [["".join(e).split() for e in part] for part in (corpus.train, corpus.test)]
        runs = [{tuple(t[i : i + 20]) for t in part for i in range(len(t) - 19)} for part in texts]
        # the encyclopaedia repeats itself here and there
        parts.append([{run for run in part if seen[run] <= 1} for part in runs])
    (train, test), (other_train, other_test) = parts
    assert len(test) > 5000
    assert not test & other_train
    assert not other_test & train
