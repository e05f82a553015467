"""Contents of a report, whatever the workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from commensal.llm.reports._verdicts import Found
from commensal.page import Cell, Picture, Table

if TYPE_CHECKING:
    from commensal.llm.reports._reading import Reading


class Chapter(NamedTuple):
    """Pictures about one subject, with a heading and a text."""

    id: str
    heading: str
    text: str
    first: list[Picture]
    more: list[Picture]
    """Pictures that are shown on demand."""


class Sample(NamedTuple):
    """One prompt and how it was completed, at first and at last."""

    dataset: str
    prompt: str
    written: list[tuple[str, str, str]]
    """Model, when, text."""


class Contents(NamedTuple):
    """Contents of a report that are particular to its workflow."""

    subject: str
    """Subject of the run, in a few words."""
    leads: Sequence[str]
    """Main results beside what the run says, as sentences with numbers."""
    found: Sequence[Found]
    """Published findings, each judged by this run."""
    source: str
    """Source of the published findings, and how they are judged."""
    tables: Sequence[Table]
    tables_heading: str
    tables_text: str
    changes: bool
    """Whether the kinds of the tables' cells are changes, which the page then explains."""
    chapters: Sequence[Chapter]
    samples: Sequence[Sample] | None = None
    """Kinds of samples that the report shows; by default completions of the fixed prompts."""
    found_heading: str = "Published findings"
    """Heading of the statements that are judged."""
    says: Sequence[str] = ()
    """Answer to the question that such a run asks: the first sentence is shown first of all."""


@runtime_checkable
class Report(Protocol):
    """Contents of the report of one workflow, which the config class names as its ``report``."""

    def __call__(self, run: Reading) -> Contents:
        """Return the page's contents for a run of this workflow, finished or not."""
        ...


def grid(
    caption: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]
) -> Table:
    """Make a table whose cells have a colour.

    Parameters
    ----------
    caption : str
    columns : sequence of str
        Headings, without that of the rows' names.
    rows : sequence of (name, cells)
        A cell is its text and its kind: ``rise``, ``fall``, ``constant`` or nothing.
    """
    return Table(
        ["", *columns],
        [[name, *(Cell(text, kind) for text, kind in cells)] for name, cells in rows],  # pyright: ignore[reportArgumentType]
        caption,
        "grid",
    )
