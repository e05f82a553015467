"""Documents of a user's own: read one after the other from files, folders, runs and the Hub."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from commensal.llm.corpora import read_rows
from commensal.llm.corpora._messages import turns_of
from commensal.llm.corpora._opened import SUFFIXES, format_of, lines_of, stem_of

Columns = str | Sequence[str] | None
"""Columns of a table that hold its texts; of several ways to say it, the first that fits."""

_WRITTEN = ("text", "completion")
"""Columns that hold what was written, in the order in which they are looked for."""
_LONGEST = 1_000_000
"""Characters after which a paragraph is cut, so that a file without line ends fits in memory."""
_FIELD = re.compile(r"\{([^{}]+)\}")
_HEADING = "heading:"

Grouped = tuple[str, str]
"""A document, and the name of the group that it is of: empty where it is one of its own."""


def documents(source: str | Path, columns: Columns = None) -> Iterator[str]:
    r"""Yield the documents of one source, none of which is empty; memory holds one at a time.

    Parameters
    ----------
    source : str or Path
        A table (.jsonl, .json, .csv, .tsv, .parquet, compressed or not), whose rows are documents;
        a .txt, whose paragraphs are (they end at an empty line; a line is one where no line is
        empty); a folder, with all such files in it, in the order of their names, where a .txt is
        one document; or ``hf:NAME`` or ``hf:NAME/SUBSET:SPLIT`` for a dataset of the Hugging Face
        Hub.
    columns : str or sequence of str, optional
        Column that holds the text, or several in braces, as in ``"{question}\n{answer}"``; a .txt
        has none. Of a list a table takes the first of which it has all columns. Without it:
        ``text``, else what the assistant says in ``messages``, else ``completion``, else all
        columns that hold texts, one below the other.

    Yields
    ------
    str
        Text of a document, without white space at its ends.

    Raises
    ------
    ValueError
        If the source is not there, holds no text, or is not what its ending says; the message is
        one line that names the file and, where there is one, the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "plays.txt")
    ...     _ = path.write_text("To be,\nor not.\n\nThat is.\n")
    ...     list(documents(path))
    ['To be,\nor not.', 'That is.']
    """
    return (text for text, _ in grouped(source, columns))


def grouped(
    source: str | Path, columns: Columns = None, group: str | None = None
) -> Iterator[Grouped]:
    r"""Yield the documents of one source as :func:`documents` does, each with its group.

    Parameters
    ----------
    source, columns
        As for :func:`documents`.
    group : str, optional
        What documents of one group share, in the sources that have such a thing; in others each
        document is a group of its own. The name of a column of tables; ``"file"``, for the files
        of a folder; or ``"heading:PATTERN"``, for a .txt whose parts begin with a paragraph that
        is, as a whole, like that regular expression.

    Yields
    ------
    tuple of str
        Text of a document, and the name of its group; empty for one of its own.

    Raises
    ------
    ValueError
        As :func:`documents`, and if a table has no such column.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "plays.txt")
    ...     _ = path.write_text("ACT 1\n\nTo be.\n\nACT 2\n\nNot to be.\n")
    ...     [(text, name[-2:]) for text, name in grouped(path, group=r"heading:ACT \d")]
    [('ACT 1', '/1'), ('To be.', '/1'), ('ACT 2', '/2'), ('Not to be.', '/2')]
    """
    found = False
    for text, name in _texts(source, columns, group):
        if text := text.strip():
            found = True
            yield text, name
    if not found:
        raise ValueError(f"{str(source)!r} has no texts")


def by_heading(texts: Iterable[str], group: str | None, name: str = "") -> Iterator[Grouped]:
    """Yield texts that stand in their order, each with the number of headings so far.

    Raises
    ------
    ValueError
        If the pattern is no regular expression.

    Examples
    --------
    >>> list(by_heading(["a", "= A =", "b"], "heading:= .* ="))
    [('a', ''), ('= A =', '/1'), ('b', '/1')]
    """
    if group is None or not group.startswith(_HEADING):
        yield from ((text, "") for text in texts)
        return
    try:
        pattern = re.compile(group.removeprefix(_HEADING))
    except re.error as error:
        raise ValueError(f"group {group!r} is no regular expression: {error}") from None
    count = 0
    for text in texts:
        count += pattern.fullmatch(text.strip()) is not None
        yield text, f"{name}/{count}" if count else ""


def name_of(source: str | Path) -> str:
    """Return a source's name for tables and pictures: a file's without its endings.

    Examples
    --------
    >>> name_of("data/lab.jsonl.gz"), name_of("hf:openai/gsm8k/main:train")
    ('lab', 'gsm8k/main:train')
    """
    source = str(source)
    if source.startswith("hf:"):
        return source.removeprefix("hf:").partition("/")[2] or source.removeprefix("hf:")
    path = Path(source)
    return path.resolve().name if path.is_dir() else stem_of(source)


def _texts(source: str | Path, columns: Columns, group: str | None) -> Iterator[Grouped]:
    if str(source).startswith("hf:"):
        yield from _of_rows(_hub(str(source)), f"{str(source)!r}", columns, group)
        return
    path = Path(source).expanduser()
    if not path.is_dir():
        yield from _file(path, columns, group)
        return
    files = [file for file in sorted(path.rglob("*")) if _readable(file)]
    if not files:
        raise ValueError(f"folder {str(source)!r} has no file that ends in {', '.join(SUFFIXES)}")
    for file in files:
        own = str(file.relative_to(path)) if group == "file" else ""
        if format_of(file) == ".txt":
            yield from ((text, own) for text in _pieces("".join(lines_of(file))))
        else:
            yield from ((text, own or name) for text, name in _file(file, columns, group))


def _readable(file: Path) -> bool:
    try:
        format_of(file)
    except ValueError:
        return False
    return file.is_file()


def _file(path: Path, columns: Columns, group: str | None) -> Iterator[Grouped]:
    if format_of(path) == ".txt":
        yield from by_heading(_paragraphs(path), group, str(path))
    else:
        yield from _of_rows(read_rows(path), f"{str(path)!r}", columns, group)


def _paragraphs(path: Path) -> Iterator[str]:
    """Yield what stands between empty lines, or the lines themselves where none is empty."""
    by_lines = not any(not line.strip() for line in lines_of(path))
    kept: list[str] = []
    length = 0
    for line in lines_of(path):
        if by_lines or not line.strip() or length > _LONGEST:
            yield from _pieces("".join(kept))
            kept, length = [], 0
        kept.append(line)
        length += len(line)
    yield from _pieces("".join(kept))


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _LONGEST):
        yield text[start : start + _LONGEST]


def _hub(source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    from commensal.llm.corpora._hub import rows_of_split

    name, _, split = source.removeprefix("hf:").partition(":")
    local = name.startswith((".", "/", "~"))
    parts = [name] if local else name.split("/")
    subset = parts[2] if len(parts) > 2 else None
    dataset = name if local else "/".join(parts[:2])
    return rows_of_split(dataset, subset, split or "train", None)[1]


def _of_rows(
    rows: Iterator[tuple[str, Mapping[str, Any]]],
    name: str,
    columns: Columns,
    group: str | None,
) -> Iterator[Grouped]:
    own = "" if group is None or group == "file" or group.startswith(_HEADING) else group
    for where, row in rows:
        try:
            yield _written(row, columns), str(_value(row, own)) if own else ""
        except ValueError as error:
            raise ValueError(f"{name}, {where}: {error}") from None


def _value(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise ValueError(f"no column {column!r}; there are {', '.join(map(str, row))}")
    return row[column]


def _written(row: Mapping[str, Any], columns: Columns) -> str:
    if columns is not None:
        ways = [columns] if isinstance(columns, str) else columns
        templates = [way if _FIELD.search(way) else f"{{{way}}}" for way in ways]
        for template in templates:
            if all(column in row for column in _FIELD.findall(template)):
                return _FIELD.sub(lambda match: _text(row[match[1]], match[1]), template)
        for column in _FIELD.findall(templates[-1]):
            _value(row, column)  # what is missing is named
    if "text" not in row and "messages" in row:
        turns = turns_of(row["messages"])
        return "\n".join(turn["content"] for turn in turns if turn["role"] == "assistant")
    for column in _WRITTEN:
        if column in row:
            return _text(row[column], column)
    found = [value for value in row.values() if isinstance(value, str)]
    if not found:
        raise ValueError(f"no column holds a text; there are {', '.join(map(str, row))}")
    return "\n".join(found)


def _text(value: Any, column: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""  # a row without a text is no document
    if not isinstance(value, str):
        raise ValueError(f"column {column!r} holds no text but {type(value).__name__}")
    return value
