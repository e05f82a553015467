"""Split text into words, also in scripts that put no spaces between them."""

from __future__ import annotations

import re
import unicodedata

# Thai, Lao, Tibetan, Myanmar, Khmer, kana and Chinese characters: written without spaces.
_BLOCKS = (
    (0x0E00, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FFF), (0x3003, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x20000, 0x3FFFF),
)  # fmt: skip
_SPACELESS = "".join(f"{chr(first)}-{chr(last)}" for first, last in _BLOCKS)
# Vowels and tones that stand over or under the character before them.
_MARKS = "".join(
    char
    for first, last in _BLOCKS[:5]
    for char in map(chr, range(first, last + 1))
    if unicodedata.category(char)[0] == "M"
)
_WORD = re.compile(rf"[{_SPACELESS}][{_MARKS}\ufe00-\ufe0f]*|[^\s{_SPACELESS}]+")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Yield the beginning and end of each word.

    A word is what stands between white space; in scripts that write none (Chinese, Japanese,
    Thai, Lao, Khmer, Burmese, Tibetan) it is a character with the marks on it.

    Examples
    --------
    >>> text = "两只 cats, ที่นี่"
    >>> [text[start:end] for start, end in word_spans(text)]
    ['两', '只', 'cats,', 'ที่', 'นี่']
    """
    return [match.span() for match in _WORD.finditer(text)]
