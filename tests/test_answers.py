"""Answers in a terminal, as JSON and on a page: the same words, and never an untrusted number."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from commensal.answers import Answer, Answers

SURE = Answer(
    question="Is it <stable>?",
    sentence="Stable: ρ = 0.83 [0.80, 0.86].",
    name="radius",
    value=0.83,
    low=0.80,
    high=0.86,
    source="`interactive`, Theorem 1",
    premises=("fixed designs", "Gaussian noise"),
    claims=("interactive.stability",),
)
UNSURE = Answer(
    question="Until when?",
    sentence="It cannot be told when the loss is reached.",
    name="until",
    source="extrapolation",
    flag="the loss does not rise",
)


def test_a_number_is_missing_exactly_where_a_flag_says_why() -> None:
    with pytest.raises(ValueError, match="radius: a number is NaN exactly where"):
        Answer(question="", sentence="", name="radius", value=1.0, flag="doubtful")
    with pytest.raises(ValueError, match="radius: a number is NaN exactly where"):
        Answer(question="", sentence="", name="radius")


def test_the_same_words_everywhere(tmp_path: Path) -> None:
    told = Answers(title="A mix", answers=(SURE, UNSURE), settings={"models": 3}, notes=("Note.",))
    text = told.text()
    assert "if: fixed designs; Gaussian noise" in text
    assert "checked: commensal check --id interactive.stability" in text
    assert "cannot be told: the loss does not rise" in text
    assert told.text(grounds=False).splitlines() == [SURE.sentence, UNSURE.sentence, "Note."]
    report, data = told.write(tmp_path / "new", made_by="commensal advise")
    html, record = report.read_text(encoding="utf-8"), json.loads(data.read_text(encoding="utf-8"))
    for one, row in zip(told, record["answers"], strict=True):
        assert one.sentence in text
        assert one.sentence in html
        assert row["sentence"] == one.sentence
    assert "Is it &lt;stable&gt;?" in html
    first, second = record["answers"]
    assert (first["value"], first["low"], first["level"]) == (0.83, 0.80, 0.95)
    assert (second["value"], second["low"], second["level"]) == (None, None, None)
    assert record["settings"] == {"models": 3}
    assert math.isnan(told["until"].value)
    with pytest.raises(KeyError):
        told["nothing"]
