"""Texts made of the columns of a row."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from string import Formatter
from typing import Any

Row = Mapping[str, Any]

_CHOSEN = re.compile(r"(.+)\[([^\[\]]+)\]")


class Template:
    """A column's name, or text with names of columns in braces.

    Parameters
    ----------
    text : str
        Braces that are meant as such are doubled.

    Raises
    ------
    ValueError
        If braces do not match, or hold nothing.

    Examples
    --------
    >>> row = {"question": "Which?", "choices": "(A) this (B) that", "key": "B"}
    >>> Template("Q: {question}").render(row), Template("choices[key]").render(row)
    ('Q: Which?', 'that')
    """

    def __init__(self, text: str) -> None:
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            raise ValueError(f"template {text!r}: {error}") from None
        if not any(name is not None for _, name, _, _ in parts):
            if not text.strip():
                raise ValueError("a column's name is empty")
            parts = [("", text, "", None)]
        for _, name, format_spec, conversion in parts:
            if name == "" or format_spec or conversion:
                raise ValueError(f"template {text!r}: braces must hold a column's name")
        self._parts: list[tuple[str, str | None]] = [(fixed, name) for fixed, name, _, _ in parts]

    def render(self, row: Row) -> str:
        """Write the text of one row.

        Raises
        ------
        ValueError
            If a column is missing, empty (None or NaN), or no text.
        """
        return "".join(
            fixed + ("" if name is None else as_text(value_of(row, name), name))
            for fixed, name in self._parts
        )

    def columns(self, row: Row) -> list[Any]:
        """Collect the values of the columns from which a row's text is made.

        Of ``choices[key]`` it is all choices, whichever the text has. Columns that are not there
        are left out.
        """
        names = (_column(row, name) for _, name in self._parts if name is not None)
        return [row[name] for name in names if name in row]


def leaves(value: Any) -> Iterator[str]:
    """Yield the texts in a value, however deep; those of an object by the order of its keys.

    Examples
    --------
    >>> list(leaves({"label": ["A", "B"], "key": 2, "note": None}))
    ['2', 'A', 'B']
    """
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from leaves(value[key])
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    elif value is not None:
        yield str(value)


def _column(row: Row, name: str) -> str:
    """Return the column that a name in braces begins with."""
    while name not in row and (chosen := _CHOSEN.fullmatch(name)):
        name = chosen[1]
    return name


def value_of(row: Row, name: str) -> Any:
    """Return the value of a name in braces: a column, or a part of one.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name in row:
        return row[name]
    chosen = _CHOSEN.fullmatch(name)
    if chosen is None:
        raise ValueError(f"no column {name!r} among {', '.join(map(repr, row))}")
    column, key = chosen.groups()
    return _choice(value_of(row, column), key, row, column)


def _choice(value: Any, key: str, row: Row, column: str) -> Any:
    """Return the value of ``column[key]``; ``key`` is an entry, or a column that names a choice."""
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    if key not in row:
        raise ValueError(f"{column!r} has no entry {key!r}, and there is no such column")
    label = str(row[key]).strip()
    if (labelled := labelled_choices(value)) is not None:
        choices: dict[str, Any] = dict(labelled)
    elif isinstance(value, list):
        choices = {str(i): choice for i, choice in enumerate(value)}
    elif isinstance(value, str):
        # "(A) this (B) that"
        pieces = re.split(r"(?:^|\s)\((\w)\)\s", value)
        choices = dict(zip(pieces[1::2], map(str.strip, pieces[2::2]), strict=True))
    else:
        choices = {}
    if label not in choices:
        raise ValueError(f"{column!r} has no choice {label!r}")
    return choices[label]


def labelled_choices(value: Any) -> list[tuple[str, Any]] | None:
    """Return label and text of each choice in ``{"text": [...], "label": [...]}``, else None.

    Raises
    ------
    ValueError
        If texts and labels are not as many of each.
    """
    if not isinstance(value, Mapping) or not {"text", "label"} <= value.keys():
        return None
    texts, labels = value["text"], value["label"]
    if not isinstance(texts, list) or not isinstance(labels, list) or len(texts) != len(labels):
        raise ValueError("'text' and 'label' of choices must be lists of the same length")
    return [(str(label), text) for label, text in zip(labels, texts, strict=True)]


def as_text(value: Any, name: str) -> str:
    """Write a cell as text; it holds a text, a number, a truth value, a date, or choices.

    Raises
    ------
    ValueError
        If the cell is empty (None or NaN), or anything else; ``name`` is its column.
    """
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        raise ValueError(f"{name!r} is empty ({'null' if value is None else 'NaN'})")
    if isinstance(value, int | float | Decimal | date):
        return str(value)
    if (choices := labelled_choices(value)) is not None:
        return " ".join(f"({label}) {as_text(text, name)}" for label, text in choices)
    raise ValueError(f"{name!r} is a {type(value).__name__}, not a text")
