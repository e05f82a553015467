"""Open local text files: find, decompress and decode them, and name the line of an error."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUFFIXES = (".txt", ".jsonl", ".tsv", ".csv", ".parquet", ".json")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")

# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are no UTF-8, as surrogateescape has them


def format_of(path: str | Path, known: tuple[str, ...] = SUFFIXES) -> str:
    """Return the ending that tells a file's format, without that of its compression.

    Raises
    ------
    ValueError
        If the ending is not among ``known``.

    Examples
    --------
    >>> format_of("texts/rows.jsonl.gz")
    '.jsonl'
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = bool(suffixes) and suffixes[-1] in _COMPRESSED
    ending = "".join(suffixes[-2:-1] if packed else suffixes[-1:])
    if ending in known and not (packed and ending == ".parquet"):
        return ending
    raise ValueError(
        f"{str(path)!r} must end in {', '.join(known)} (all but .parquet may be compressed: "
        f"{', '.join(_COMPRESSED)})"
    )


def stem_of(path: str) -> str:
    """Return a file's name without its endings.

    Examples
    --------
    >>> stem_of("texts/v1.2.jsonl.gz")
    'v1.2'
    """
    name = Path(path)
    return Path(name.stem).stem if name.suffix.lower() in _COMPRESSED else name.stem


def file_at(path: str | Path) -> Path:
    """Find a file that exists and can be read more than once.

    Raises
    ------
    ValueError
        If it is not there, a folder, or a pipe.
    """
    file = Path(path).expanduser()
    try:
        if file.is_file():
            return file
        if file.is_dir():
            raise ValueError(f"{str(path)!r} is a folder")
        if file.exists():
            raise ValueError(
                f"{str(path)!r} is a pipe or a device, and texts are read more than once; "
                "write them to a file first"
            )
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    raise ValueError(f"{str(path)!r} does not exist")


def lines_of(path: str | Path, newline: str | None = None) -> Iterator[str]:
    """Yield the lines of a file with their ends.

    UTF-8, or UTF-16 or UTF-32 with a byte order mark; compressed with gzip, bzip2, xz or zstd
    where the name ends so.

    Parameters
    ----------
    path : str or Path
    newline : str, optional
        Treatment of line ends, as that of :func:`open`.

    Raises
    ------
    ValueError
        If a line cannot be read; the message is one line with its number.
    """
    name, file, number = repr(str(path)), file_at(path), 0
    packed = file.suffix.lower() in _COMPRESSED
    encoding = "utf-8"
    try:
        with _bytes(file) as start:
            head = start.read(4)
        for mark, marked in _MARKS.items():
            if head.startswith(mark):
                encoding = marked
                break
        with (
            _bytes(file) as raw,
            io.TextIOWrapper(raw, encoding, "surrogateescape", newline) as lines,
        ):
            for number, line in enumerate(lines, 1):
                if not line.isascii() and (odd := _ESCAPED.search(line)):
                    raise ValueError(
                        f"{name} is not UTF-8 text: line {number} has the byte "
                        f"0x{ord(odd[0]) - 0xDC00:x}; convert the file to UTF-8"
                    )
                if "\0" in line:
                    raise ValueError(
                        f"{name}, line {number}: a NUL byte; this is no text, or UTF-16 without "
                        "its byte order mark"
                    )
                # a mark also stands where files were put one behind the other
                yield line.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name}, line {number + 1}: not {encoding.upper()}, which its byte order mark "
            f"promises: {error.reason}"
        ) from None
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if packed and not isinstance(error, PermissionError):
            raise ValueError(
                f"{name}, after line {number}: the compressed file is cut off, damaged, or not "
                f"{file.suffix.lower()}"
            ) from None
        raise ValueError(f"{name} cannot be read: {getattr(error, 'strerror', error)}") from None


def _bytes(file: Path) -> Any:
    """Yield a file's content, decompressed."""
    ending = file.suffix.lower()
    if ending == ".gz":
        return gzip.open(file)
    if ending == ".bz2":
        return bz2.open(file)
    if ending == ".xz":
        return lzma.open(file)
    if ending == ".zst":
        import pyarrow

        return pyarrow.CompressedInputStream(pyarrow.OSFile(str(file)), "zstd")
    return file.open("rb")
