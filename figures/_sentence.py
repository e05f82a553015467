"""The sentence that a script says of its picture: printed, and kept beside it for the docs."""

from pathlib import Path


def tell(out: Path, sentence: str) -> None:
    """Print the sentence last of all, and write it beside the picture that it describes."""
    out.with_suffix(".txt").write_text(f"{sentence}\n", encoding="utf-8")
    print(sentence)
