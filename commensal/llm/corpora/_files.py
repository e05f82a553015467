"""Rows of local files, the one reader of corpora, questions, posts and fingerprints."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from commensal.llm.corpora._opened import file_at, format_of, lines_of
from commensal.llm.corpora._templates import Row

# What a table with a missing number has in its place once it is written as text.
_NOT_A_NUMBER = ("nan", "NaN")
_LONGEST_FIELD = 2**31 - 1  # the csv module's own limit of 131,072 characters is below a book's


def read_rows(path: str | Path) -> Iterator[tuple[str, Row]]:
    r"""Yield the position of each row of a table ("line 7"), and its columns.

    Parameters
    ----------
    path : str or Path
        Table in a file. ``.jsonl``: an object per line. ``.json``: one array of objects. ``.csv``,
        ``.tsv``: names of columns in the first line, where a .csv without a comma may have
        semicolons or tabs instead; quotation marks mean nothing in a .tsv, and a cell "nan" or
        "NaN" is an empty one (None). ``.parquet``. ``.txt``: lines are rows with one
        column, ``text``. All but Parquet may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``)
        and are UTF-8, or begin with a byte order mark.

    Yields
    ------
    tuple of (str, mapping)
        Position of a row, and its columns by name.

    Raises
    ------
    ValueError
        If the file is missing, no such table, cut off, or holds what is no text. The message is one
        line that names the file and, where there is one, the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rows.csv")
    ...     _ = path.write_text("q,a\nwhy?,so\n")
    ...     list(read_rows(path))
    [('line 2', {'q': 'why?', 'a': 'so'})]
    """
    file_at(path)  # a pipe has no ending, and should hear why it is refused
    return _READERS[format_of(path)](path)


def _lines(path: str | Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(lines_of(path), 1):
        yield f"line {number}", {"text": line.removesuffix("\n")}


def _json_lines(path: str | Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(lines_of(path), 1):
        if not line.strip():
            continue
        where = f"{str(path)!r}, line {number}"
        try:
            row = _parsed(line)
        except json.JSONDecodeError as error:
            cut = "" if line.endswith("\n") else ", and the file ends here"
            raise ValueError(f"{where}: not JSON: {error.msg}{cut}") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: {_first_line(error)}") from None
        if not isinstance(row, dict):
            raise ValueError(f"{where}: a JSON object was expected")
        yield f"line {number}", row


def _json(path: str | Path) -> Iterator[tuple[str, Row]]:
    name, text = repr(str(path)), "".join(lines_of(path))
    try:
        rows = _parsed(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}, line {error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: {_first_line(error)}") from None
    if not isinstance(rows, list):
        raise ValueError(f"{name}: a JSON array of objects was expected")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{name}, row {number}: a JSON object was expected")
        yield f"row {number}", row


def _parsed(text: str) -> Any:
    value = json.loads(text, object_pairs_hook=_object)
    if "\\u" in text:  # an escape may name half of a pair, which no encoding can write
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            raise ValueError(f"{half} is half of a surrogate pair, and no character") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _once([name for name, _ in pairs])
    return found


def _once(names: list[str]) -> None:
    for name in names:
        if name and names.count(name) > 1:
            raise ValueError(f"the column {name!r} is there twice; give each a name of its own")


def _first_line(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0]


def _csv(path: str | Path) -> Iterator[tuple[str, Row]]:
    class Separated(csv.excel):
        delimiter = separator_of(next(lines_of(path), ""))

    yield from _delimited(path, Separated)


def separator_of(header: str) -> str:
    r"""Return what separates the columns of a .csv, by its first line.

    Spreadsheets write semicolons in countries where a comma stands in numbers.

    Examples
    --------
    >>> separator_of("text,label"), separator_of("text;label"), separator_of("text")
    (',', ';', ',')
    """
    return next((mark for mark in ",;\t" if mark in header), ",")


def _tsv(path: str | Path) -> Iterator[tuple[str, Row]]:
    class Unquoted(csv.excel_tab):
        quoting = csv.QUOTE_NONE

    yield from _delimited(path, Unquoted)


def _delimited(path: str | Path, dialect: type[csv.Dialect]) -> Iterator[tuple[str, Row]]:
    name = repr(str(path))
    csv.field_size_limit(_LONGEST_FIELD)
    # newline="": a field in quotation marks may hold line breaks
    reader = csv.reader(lines_of(path, newline=""), dialect, strict=True)
    begin = 1
    try:
        columns = next(reader, [])
        try:
            _once(columns)
        except ValueError as error:
            raise ValueError(f"{name}, line 1: {error}") from None
        begin = reader.line_num + 1
        for fields in reader:
            where, begin = f"line {begin}", reader.line_num + 1
            if not fields:
                continue
            if len(fields) != len(columns):
                raise ValueError(
                    f"{name}, {where}: {len(fields)} fields under {len(columns)} columns"
                )
            cells = (None if field in _NOT_A_NUMBER else field for field in fields)
            yield where, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"{name}, line {begin}: {error}") from None


def _parquet(path: str | Path) -> Iterator[tuple[str, Row]]:
    import pyarrow
    import pyarrow.parquet

    name, file, number = repr(str(path)), file_at(path), 0
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            try:
                _once(table.schema_arrow.names)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            for batch in table.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except PermissionError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{name} is not a Parquet file that can be read: {_first_line(error)}"
        ) from None


_READERS: dict[str, Callable[[str | Path], Iterator[tuple[str, Row]]]] = {
    ".txt": _lines,
    ".jsonl": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
}
