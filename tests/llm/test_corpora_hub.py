"""Hugging Face datasets, from local folders and from a Hub that cannot be reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from commensal.llm.config import EvolutionConfig
from commensal.llm.corpora import (
    PRESETS,
    CorpusConfig,
    CorpusWarning,
    FileCorpus,
    HubCorpus,
    load,
    load_all,
)
from commensal.llm.presets import read_config

pyarrow = pytest.importorskip("pyarrow")
datasets = pytest.importorskip("datasets")
parquet = pytest.importorskip("pyarrow.parquet")

# Rows as the datasets of the presets have them.
CHOICES = {"text": ["iron", "wood", "wool"], "label": ["A", "B", "C"]}
LIKE = {
    "sciq": {
        "question": "What is hard?",
        "distractor3": "a",
        "distractor1": "b",
        "distractor2": "c",
        "correct_answer": "iron",
        "support": "",
    },
    "gsm8k": {"question": "What is hard?", "answer": "iron"},
    "arc": {"id": "1", "question": "What is hard?", "choices": CHOICES, "answerKey": "A"},
    "bookcorpus": {"text": "usually , he would be tearing around the living room ."},
}


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, whatever the machine has; what is prepared goes to a folder of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def table(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)


ROWS = [{"q": f"what is {i}?", "a": f"it is {i}."} for i in range(10)]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_folder_laid_out_like_a_dataset(ending: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    table(folder / "data" / f"train-00000-of-00001.{ending}", ROWS)
    table(folder / "data" / f"test-00000-of-00001.{ending}", [{"q": "and?", "a": "so."}] * 2)
    config = HubCorpus(dataset=str(folder), prompt="q", completion="{a}", test_split="test")
    corpus = load(config, seed=0)
    assert corpus.name == "mine"
    assert len(corpus.train) == 10
    assert corpus.train[:2] == (("what is 0?", " it is 0."), ("what is 1?", " it is 1."))
    assert corpus.test == (("and?", " so."),) * 2
    changed = {"test_split": None, "limit": 5, "test_share": 0.5}
    held_out = load(config.model_copy(update=changed), seed=0)
    assert len(held_out.train) + len(held_out.test) == 5
    assert set(held_out.train) | set(held_out.test) == set(corpus.train[:5])


def test_subsets_of_a_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    table(folder / "easy" / "train-00000-of-00001.parquet", ROWS)
    table(folder / "hard" / "train-00000-of-00001.parquet", ROWS[5:])
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {name}/train-*\n"
        for name in ("easy", "hard")
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n# Mine\n", encoding="utf-8")
    config = HubCorpus(
        dataset=str(folder), subset="hard", prompt="q", completion="a", test_share=0.5
    )
    corpus = load(config, seed=0)
    assert len(corpus.train) + len(corpus.test) == 5
    with pytest.raises(
        ValueError, match=r"mine' \(soft\), split 'train' cannot be loaded"
    ) as caught:
        load(config.model_copy(update={"subset": "soft"}), seed=0)
    assert "\n" not in str(caught.value)


def test_running_text(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    table(folder / "train.parquet", [{"text": "one two three"}, {"text": "four five"}] * 5)
    table(folder / "test.parquet", [{"text": "six seven eight nine ten"}])
    config = HubCorpus(dataset=str(folder), prompt_words=2, completion_words=3, test_split="test")
    corpus = load(config, seed=0)
    assert corpus.train == (("one two", " three\nfour five"),) * 5
    assert corpus.test == (("six seven", " eight nine ten"),)


def test_a_dataset_is_read_as_a_file_is(tmp_path: Path) -> None:
    rows = [{"q": f"what is {i}?", "a": f"it is {i}.", "x": 0.5} for i in range(200)]
    rows[4]["a"], rows[6]["x"] = None, float("nan")
    table(tmp_path / "mine" / "train.parquet", rows)
    file = tmp_path / "rows.jsonl"
    table(file, rows)
    settings = {"prompt": "q", "completion": "{a} {x}"}
    for more in ({}, {"limit": 70}):
        with pytest.warns(CorpusWarning, match="rows cannot be used, the first at line 5: 'a' is"):
            local = load(FileCorpus.model_validate({"path": str(file)} | settings | more), 0)
        with pytest.warns(CorpusWarning, match="2 of [0-9]+ rows .*, the first at row 5: 'a' is"):
            found = load(
                HubCorpus.model_validate({"dataset": str(tmp_path / "mine")} | settings | more), 0
            )
        assert (found.train, found.test) == (local.train, local.test)
        assert not [e for e in (*found.train, *found.test) if "nan" in e.completion]
    config = {"dataset": str(tmp_path / "mine"), "max_dropped": 0} | settings
    with pytest.raises(ValueError, match=r"split 'train', row 5: 'a' is empty \(null\) \(2 of 200"):
        load(HubCorpus.model_validate(config), 0)


def test_test_data_of_a_dataset_are_not_trained_on(tmp_path: Path) -> None:
    table(tmp_path / "mine" / "train.parquet", ROWS)
    table(tmp_path / "mine" / "test.parquet", [{"q": "what is  3?", "a": "it is 3."}])
    config = HubCorpus(
        dataset=str(tmp_path / "mine"), test_split="test", prompt="q", completion="a"
    )
    with pytest.warns(CorpusWarning, match="1 of 10 texts of corpus 'mine' are also test texts"):
        corpus = load(config, seed=0)
    assert len(corpus.train) == 9
    # a part of the split under another name
    part = config.model_copy(update={"split": "train[:5]", "test_split": "train[3:6]"})
    with pytest.warns(CorpusWarning, match="2 of 5 texts"):
        assert len(load(part, seed=0).train) == 3


def test_a_base_and_a_task_of_one_dataset_have_no_test_text_of_each_other(tmp_path: Path) -> None:
    config = read_config("evolution-paper", [])
    assert isinstance(config, EvolutionConfig)
    texts = [" ".join(f"w{i}x{j}" for j in range(10 + i % 40)) for i in range(400)]
    table(tmp_path / "mine" / "train.parquet", [{"text": text} for text in texts])
    small = {"dataset": str(tmp_path / "mine"), "subset": None, "completion_words": 12}
    public = config.public.model_copy(update=small | {"prompt_words": 4, "limit": 100})
    task = config.tasks[0].model_copy(update=small | {"prompt_words": 4})
    longer = task.model_copy(update={"name": "longer", "completion_words": 30, "limit": 200})
    words = [
        [{word for e in part for word in "".join(e).split()} for part in (one.train, one.test)]
        for one in load_all([public, task, longer], seed=0)
    ]
    for train, _ in words:
        assert all(test and train.isdisjoint(test) for _, test in words)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_their_datasets(name: str, tmp_path: Path) -> None:
    assert set(PRESETS) == set(LIKE)
    preset = PRESETS[name]
    folder = tmp_path / name
    asked = "text" if name == "bookcorpus" else "question"
    for split, count in (("train", 20), ("test", 2)):
        rows = [LIKE[name] | {asked: f"{LIKE[name][asked]} {split} {i}"} for i in range(count)]
        table(folder / f"{split}-00000-of-00001.parquet", rows)
    local = {"dataset": str(folder), "subset": None, "revision": None, "test_split": "test"}
    if name == "bookcorpus":  # the Hub has no test data of it
        local |= {"prompt_words": 4, "completion_words": 9}
    corpus = load(preset.model_copy(update=local), seed=0)
    assert corpus.name == name
    assert len(corpus.train) == 20
    if name != "bookcorpus":
        assert corpus.train[0] == ("Question: What is hard? train 0\nAnswer:", " iron")


def test_presets_are_settings() -> None:
    adapter = TypeAdapter(CorpusConfig)
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert adapter.validate_python(preset.model_dump()) == preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_dataset_that_cannot_be_reached(name: str) -> None:
    dataset = PRESETS[name].dataset
    message = f"dataset '{dataset}'.*, split 'train' cannot be loaded: "
    with pytest.raises(ValueError, match=message) as caught:
        load(PRESETS[name], seed=0)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        load(HubCorpus(dataset=str(tmp_path / "nowhere")), seed=0)
    with pytest.raises(ValueError, match=r"there is no folder '\./nowhere'"):
        load(HubCorpus(dataset="./nowhere"), seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "validation"}, r"split 'validation' cannot be loaded: "),
        ({"test_split": "validation"}, r"split 'validation' cannot be loaded: "),
        ({"completion": "b"}, r"split 'train', row 1: no column 'b' among 'q', 'a'"),
        ({"prompt": None, "completion": None}, r"row 1: no column 'text' among 'q', 'a'"),
        ({"prompt": None, "completion": "a"}, r"has 0 examples of 64 words; at least 2 are needed"),
    ],
)
def test_what_a_dataset_lacks(settings: dict, message: str, tmp_path: Path) -> None:
    table(tmp_path / "mine" / "train.parquet", ROWS)
    config = {"dataset": str(tmp_path / "mine"), "prompt": "q", "completion": "a"} | settings
    with pytest.raises(ValueError, match=message) as caught:
        load(HubCorpus.model_validate(config), seed=0)
    assert "\n" not in str(caught.value)


def test_an_empty_or_broken_dataset(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty', split 'train' cannot be loaded: ") as caught:
        load(HubCorpus(dataset=str(tmp_path / "empty")), seed=0)
    assert "\n" not in str(caught.value)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="broken', split 'train' cannot be loaded: ") as caught:
        load(HubCorpus(dataset=str(tmp_path / "broken")), seed=0)
    assert "\n" not in str(caught.value)


def test_a_bad_line_of_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "train.jsonl").write_text('{"a": 1}\n{"a"\n', encoding="utf-8")
    with pytest.raises(
        ValueError, match="split 'train' cannot be loaded: JSON parse error"
    ) as caught:
        load(HubCorpus(dataset=str(tmp_path / "bad")), seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "dataset"),
        ({"dataset": ""}, "dataset"),
        ({"dataset": "a/b", "column": "x"}, "column"),
        ({"dataset": "a/b", "prompt": "x"}, "a prompt needs a completion"),
        ({"dataset": "a/b", "split": ""}, "split"),
        ({"dataset": "a/b", "test_split": "train"}, "test_split 'train' is the split to train on"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(CorpusConfig).validate_python({"kind": "hub", **settings})
