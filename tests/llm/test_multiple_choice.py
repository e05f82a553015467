"""Questions and answers: read, made up, and scored, against loops over single texts."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from commensal.llm.corpora import CorpusWarning, Example, FileCorpus, MarkovCorpus
from commensal.llm.models.tokens import Encoded, train_tokenizer
from commensal.llm.multiple_choice import (
    QUESTIONS,
    FileQuestions,
    MadeUpQuestions,
    Question,
    Questions,
    QuestionsConfig,
    accuracy_of_law,
    load_questions,
)
from commensal.llm.multiple_choice.answering import accuracy, answers, log_likelihoods, sheet
from tests.llm.runs import language
from tests.llm.test_training import model_of

TASK = MarkovCorpus.model_validate(language(1))
SHARED = Path(__file__).parents[3] / "shared" / "data"


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(path: str, **settings: Any) -> list[Question]:
    config = FileQuestions.model_validate({"path": path, "prompt": "q", "answer": "a", **settings})
    found = load_questions(config, TASK, 0, 0.0)
    return sorted(found.asked, key=lambda question: question.choices[0].prompt)


@pytest.mark.parametrize(
    ("row", "settings", "texts", "right"),
    [
        ({"c": ["x", "y"], "a": 1}, {"choices": "c"}, [" x", " y"], 1),
        ({"c": ["x", "y"], "a": "2"}, {"choices": "c", "first": 1}, [" x", " y"], 1),
        ({"c": "(A) one (B) two", "a": "B"}, {"choices": "c"}, [" one", " two"], 1),
        ({"c": "a ) 3 , b ) 4 , c ) 5", "a": "c"}, {"choices": "c"}, [" 3", " 4", " 5"], 2),
        (
            {"c": {"text": ["x", "y"], "label": ["1", "2"]}, "a": "1"},
            {"choices": "c", "first": 0},
            [" x", " y"],
            0,
        ),
        ({"one": "x", "two": "y", "a": "a"}, {"choices": ["one", "two"]}, [" x", " y"], 0),
    ],
)
def test_every_way_of_giving_choices(tmp_path: Path, row, settings, texts, right):
    rows = [{"q": f"{i}?"} | row for i in range(3)]
    found = read(written(tmp_path / "q.jsonl", rows), **settings)
    assert [c.completion for c in found[0].choices] == texts
    assert {question.answer for question in found} == {right}
    assert found[1].right == Example("1?", texts[right])


def test_a_blank_is_filled_in_and_the_rest_decides(tmp_path: Path):
    row = {"q": "Ann saw Bea because _ was tall.", "x": "Ann", "y": "Bea", "a": "2"}
    path = written(tmp_path / "q.jsonl", [row] * 2)
    (found, _) = read(path, choices=["x", "y"], first=1, blank="_")
    assert found.choices == (
        ("Ann saw Bea because Ann", " was tall."),
        ("Ann saw Bea because Bea", " was tall."),
    )
    assert found.answer == 1


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        ({"c": ["x", "y"], "a": 2}, {"choices": "c"}, "line 1: the answer '2' is none of the 2"),
        ({"c": ["x", "y"], "a": "?"}, {"choices": "c"}, "the answer '\\?' is no label, letter"),
        ({"c": ["x"], "a": 0}, {"choices": "c"}, "'c' has 1 choices"),
        ({"c": ["x", ""], "a": 0}, {"choices": "c"}, "a choice of 'c' is empty"),
        ({"c": 3, "a": 0}, {"choices": "c"}, "'c' is a int, not choices"),
        ({"c": {"text": 3, "label": ["A"]}, "a": 0}, {"choices": "c"}, "lists of the same length"),
        ({"a": 0}, {"choices": "c"}, "no column 'c' among 'q', 'a'"),
        ({"c": ["x", "y"], "a": 0}, {"choices": "c", "blank": "_"}, "there is no '_' in 'what'"),
        ({"c": ["x", "y"], "a": 0}, {"choices": "c", "shots": 2}, "has 2 questions; with 2 shots"),
    ],
)
def test_rows_that_are_no_questions(tmp_path: Path, row, settings, message: str):
    path = written(tmp_path / "q.jsonl", [{"q": "what"} | row] * 2)
    with pytest.raises(ValueError, match=message) as caught:
        read(path, **settings)
    assert "\n" not in str(caught.value)


def test_missing_files_and_endings():
    with pytest.raises(ValueError, match=r"'none\.tsv' does not exist"):
        read("none.tsv", choices="c")
    with pytest.raises(ValidationError, match=r"must end in \.jsonl"):
        read("none.txt", choices="c")


def test_shots_and_held_out_questions_are_asked_nowhere_else(tmp_path: Path):
    rows = [{"q": f"{i}?", "c": ["x", "y"], "a": i % 2} for i in range(11)]
    config = FileQuestions.model_validate(
        {"path": written(tmp_path / "q.jsonl", rows), "prompt": "q", "choices": "c", "answer": "a"}
        | {"shots": 3}
    )
    found = load_questions(config, TASK, 0, 0.25)
    assert len(found.shots) == 3
    assert len(found.asked) + len(found.held_out) == 8
    prompts = [q.choices[0].prompt for q in found.asked + found.held_out]
    assert len({*prompts, *(shot.prompt for shot in found.shots)}) == 11
    for shot in found.shots:
        assert shot.completion == [" x", " y"][int(shot.prompt[:-1]) % 2]
    assert found.chance == 0.5
    assert load_questions(config, TASK, 1, 0.25).asked != found.asked


def test_shots_of_another_file_leave_every_question_to_be_asked(tmp_path: Path):
    rows = [{"q": f"{i}?", "c": ["x", "y"], "a": i % 2} for i in range(20)]
    solved = [{"q": f"{i}?", "c": ["x", "y"], "a": i % 2} for i in (3, 7, *range(100, 108))]
    config = FileQuestions.model_validate(
        {"path": written(tmp_path / "q.jsonl", rows), "prompt": "q", "choices": "c", "answer": "a"}
        | {"shots": 10, "shots_path": written(tmp_path / "s.jsonl", solved)}
    )
    found = load_questions(config, TASK, 0, 0.3)
    shown = {shot.prompt for shot in found.shots}
    assert shown == {row["q"] for row in solved}
    # all but the two that are solved
    prompts = {q.choices[0].prompt for q in found.asked + found.held_out}
    assert prompts == {row["q"] for row in rows} - shown
    few = config.model_copy(update={"shots": 3})
    assert len(load_questions(few, TASK, 0, 0.3).shots) == 3
    assert load_questions(few, TASK, 1, 0.3).shots != load_questions(few, TASK, 0, 0.3).shots
    none = load_questions(config.model_copy(update={"shots": 0}), TASK, 0, 0.3)
    assert len(none.asked + none.held_out) == 20
    with pytest.raises(ValueError, match=r"s.jsonl' has 10 questions, and 11 are to be shots"):
        load_questions(config.model_copy(update={"shots": 11}), TASK, 0, 0.3)
    with pytest.raises(ValidationError, match=r"must end in \.jsonl"):
        FileQuestions.model_validate(config.model_dump() | {"shots_path": "s.txt"})


def test_the_same_questions_are_held_out_whatever_is_read(tmp_path: Path):
    rows = [{"q": f"what is {i}?", "c": ["x", f"y{i}"], "a": i % 2} for i in range(200)]

    def sides(rows: list[dict[str, Any]], seed: int = 0, share: float = 0.3, **settings):
        path = written(tmp_path / "q.jsonl", rows)
        config = {"path": path, "prompt": "q", "choices": "c", "answer": "a", **settings}
        found = load_questions(FileQuestions.model_validate(config), TASK, seed, share)
        asked, back = (
            {re.sub(r"\D", "", q.choices[0].prompt) for q in part}
            for part in (found.asked, found.held_out)
        )
        shown = {re.sub(r"\D", "", shot.prompt) for shot in found.shots}
        assert asked.isdisjoint(back | shown)
        assert back.isdisjoint(shown)
        return asked, back

    asked, back = sides(rows)
    assert len(asked) + len(back) == 200
    assert abs(len(back) - 60) < 4 * np.sqrt(42)
    for other in (
        sides(rows, seed=5),
        sides(rows[::-1]),
        sides(rows, limit=50),
        sides(rows, prompt="Question: {q}\nAnswer:"),
        sides(rows, shots=4),
        # copies, of what is a shot too
        sides([*rows, *({**row, "q": f" {row['q']} \n"} for row in rows)], shots=9),
    ):
        assert other[0] <= asked
        assert other[1] <= back
    assert sides(rows, share=0.1)[1] < back
    with pytest.raises(ValueError, match=r"has 30 questions, .* none is held out: a hash of"):
        sides(rows[:1] * 30)


def test_rows_that_are_no_questions_are_left_out(tmp_path: Path):
    rows: list[dict[str, Any]] = [{"q": f"{i}?", "c": ["x", "y"], "a": i % 2} for i in range(30)]
    rows[7]["c"] = None
    path = written(tmp_path / "q.jsonl", rows)
    with pytest.warns(
        CorpusWarning, match=r"1 of 30 rows cannot be used, the first at line 8: 'c'"
    ):
        assert len(read(path, choices="c")) == 29
    with pytest.raises(ValueError, match=r"line 8: 'c' is a NoneType, not choices \(1 of 30 rows"):
        read(path, choices="c", max_dropped=0)


LIKE = {
    "mmlu": {"question": "Why?", "subject": "x", "choices": ["a", "b", "c", "d"], "answer": 2},
    "winogrande": {"sentence": "So _ did it.", "option1": "A", "option2": "B", "answer": "1"},
    "mathqa": {"Problem": "1 + 1", "options": "a ) 1 , b ) 2 , c ) 3", "correct": "b"},
    "siqa": {"context": "It is.", "question": "Is it?", "answerA": "x", "answerB": "y",
             "answerC": "z", "label": "3"},
    "openbookqa": {"question_stem": "Ice is", "choices": {"text": ["hot", "cold"],
                   "label": ["A", "B"]}, "answerKey": "B"},
}  # fmt: skip
RIGHT = {
    "mmlu": ("Question: Why?\nAnswer:", " c"),
    "winogrande": ("So A", " did it."),
    "mathqa": ("Question: 1 + 1\nAnswer:", " 2"),
    "siqa": ("Q: It is. Is it?\nA:", " z"),
    "openbookqa": ("Ice is", " cold"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_sets_by_name_fit_their_datasets(name: str, tmp_path: Path, monkeypatch):
    parquet, pyarrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    file = tmp_path / name / "validation-00000-of-00001.parquet"
    file.parent.mkdir()
    asked = next(
        key for key in ("question", "sentence", "Problem", "question_stem") if key in LIKE[name]
    )
    # copies of one question would all be on one side
    rows = [LIKE[name] | {asked: f"{i}: {LIKE[name][asked]}"} for i in range(40)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    local = {"dataset": str(file.parent), "subset": None, "revision": None}
    if QUESTIONS[name].shots_split is not None:
        others = [row | {asked: f"x{row[asked]}"} for row in rows[:6]]
        file = file.with_name("train-00000-of-00001.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(others), file)
        local["shots_split"] = "train"  # of a folder, "dev" is but another name of "validation"
    found = load_questions(QUESTIONS[name].model_copy(update=local), TASK, 0, 0.5)
    assert found.name == name
    prompt, completion = found.asked[0].right
    assert (re.sub(r"\d+: (?=\w)", "", prompt, count=1), completion) == RIGHT[name]
    assert len(found.shots) == {"mmlu": 5, "winogrande": 5}.get(name, 0)
    assert all("x" in shot.prompt[:12] for shot in found.shots)
    assert len(found.asked) + len(found.held_out) == 40


def test_sets_by_name_are_settings():
    adapter = TypeAdapter(QuestionsConfig)
    for name, config in QUESTIONS.items():
        assert adapter.validate_python(name) == config
        assert adapter.validate_python(config.model_dump()) == config
    with pytest.raises(ValidationError, match="there are no questions 'quiz'; known: mmlu"):
        adapter.validate_python("quiz")


@pytest.mark.skipif(not SHARED.is_dir(), reason="its data are not beside the project")
def test_the_openbookqa_file():
    settings = {"prompt": "Question Stem", "choices": "Choices", "answer": "Answer Key"}
    config = FileQuestions.model_validate({"path": str(SHARED / "openbookqa_test.tsv"), **settings})
    found = load_questions(config, TASK, 0, 0.5)
    assert len(found.asked) + len(found.held_out) == 500
    assert {len(question.choices) for question in found.asked} == {4}
    counts = np.bincount([q.answer for q in found.asked + found.held_out])
    assert counts.min() > 90


@pytest.mark.parametrize("wrong", ["text", "shuffled", "language"])
def test_made_up_questions(wrong: str):
    config = MadeUpQuestions.model_validate({"wrong": wrong, "words": 4, "count": 60, "choices": 3})
    found = load_questions(config, TASK, 0, 0.5)
    law = TASK.law()
    for question in found.asked + found.held_out:
        assert len({prompt for prompt, _ in question.choices}) == 1
        words = [text.split() for _, text in question.choices]
        assert [len(w) for w in words] == [4] * 3
        assert len(question.right.prompt.split()) == TASK.prompt_words
        others = [w for i, w in enumerate(words) if i != question.answer]
        assert words[question.answer] not in others
        if wrong == "shuffled":
            assert {tuple(sorted(w)) for w in words} == {tuple(sorted(words[0]))}
    counts = np.bincount([q.answer for q in found.asked + found.held_out], minlength=3)
    assert np.abs(counts - 20).max() < 15
    # who knows the law is right much more often than who guesses
    assert accuracy_of_law(law, found.asked) > 0.55
    other = MarkovCorpus.model_validate(language(2)).law()
    assert accuracy_of_law(other, found.asked) < accuracy_of_law(law, found.asked)


def test_what_the_law_says_word_by_word():
    law = TASK.law()
    question = load_questions(MadeUpQuestions(count=2, words=2), TASK, 3, 0.0).asked[0]
    scores = []
    for prompt, completion in question.choices:
        words = law.encode(prompt + completion)
        pairs = list(itertools.pairwise(words))[-2:]
        scores.append(sum(np.log(law.transition[a, b]) for a, b in pairs))
    assert accuracy_of_law(law, [question]) == float(np.argmax(scores) == question.answer)


def test_impossible_questions():
    with pytest.raises(ValidationError, match="one word alone cannot be shuffled"):
        MadeUpQuestions(words=1)
    with pytest.raises(ValidationError, match="language needs wrong: language"):
        MadeUpQuestions(language=2)
    with pytest.raises(ValueError, match="need a task whose law is known, not 'own'"):
        load_questions(MadeUpQuestions(), FileCorpus(path="own.txt"), 0, 0.5)


CONTEXT = 24


def asked(normalise: str = "none", shots: int = 0, count: int = 7) -> tuple[Any, Questions]:
    tokenizer = train_tokenizer([], "bpe", 300)
    texts = ["a", "bb", "ccc", "one two", "or so"]
    questions = tuple(
        Question(tuple(Example(f"{i}?", f" {t[: 1 + i]}") for t in texts[: 2 + i % 3]), 1)
        for i in range(count)
    )
    solved = tuple(Example(f"{i}!", " so") for i in range(shots))
    return tokenizer, Questions("q", questions, (), solved, normalise)


@pytest.mark.parametrize("batch_size", [2, 64])
def test_likelihoods_of_single_choices(batch_size: int):
    tokenizer, questions = asked()
    network = model_of("llama").eval()
    rows = sheet(questions.asked, questions, tokenizer, CONTEXT).rows
    rows = [row._replace(tokens=tuple(t % 20 for t in row.tokens)) for row in rows]
    # and choices of one token, which are read together
    rows += [Encoded((*rows[i].tokens[:4], last), 4) for i in (0, -1) for last in (5, 6, 7)]
    found = log_likelihoods(
        network, rows, padding=0, batch_size=batch_size, precision="float32"
    )  # fmt: skip
    for row, value in zip(rows, found, strict=True):
        with torch.inference_mode():
            logs = network(torch.tensor([row.tokens])).logits[0].log_softmax(-1)
        places = range(row.prompt, len(row.tokens))
        alone = sum(float(logs[at - 1, row.tokens[at]]) for at in places)
        assert value == pytest.approx(alone, rel=1e-5)


def test_what_a_model_reads():
    tokenizer, questions = asked(shots=1)
    (row, *_) = sheet(questions.asked, questions, tokenizer, CONTEXT).rows
    assert tokenizer.decode(row.tokens) == "<s>0! so\n\n0? a"
    assert tokenizer.decode(row.tokens[row.prompt :]) == " a"
    (row, *_) = sheet(questions.asked, questions, tokenizer, 6).rows
    # the beginning of the text is cut, not its mark; the choice is whole
    assert tokenizer.decode(row.tokens) == "<s>\n0? a"[: 3 + 6]
    assert len(row.tokens) == 6


@pytest.mark.parametrize("normalise", ["none", "tokens", "characters"])
def test_lengths_divide(normalise: str, monkeypatch):
    tokenizer, questions = asked(normalise)
    paper = sheet(questions.asked, questions, tokenizer, CONTEXT)
    scores = np.random.default_rng(0).normal(size=len(paper.rows)) - 3
    monkeypatch.setattr(
        "commensal.llm.multiple_choice.answering.log_likelihoods", lambda *_, **__: scores
    )
    options: dict[str, Any] = {"padding": 0, "batch_size": 4, "precision": "float32"}
    given = answers(model_of("llama"), paper, **options)
    at, expected = 0, []
    for question in questions.asked:
        best = []
        for _, text in question.choices:
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            by = {"none": 1, "tokens": len(ids), "characters": len(text.strip())}[normalise]
            best.append(scores[at] / by)
            at += 1
        expected.append(int(np.argmax(best)))
    assert given.tolist() == expected
    right = np.mean([a == q.answer for a, q in zip(expected, questions.asked, strict=True)])
    assert accuracy(model_of("llama"), paper, **options) == right
