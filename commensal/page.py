"""Build one HTML page from a list of parts; every report of commensal is made this way.

The page needs nothing else: style and pictures are inside, there is no script from elsewhere, and
it reads well in light and dark, on paper and on a phone. Text is escaped unless it is
:class:`markupsafe.Markup`, which :func:`chip`, :func:`code` and :func:`link` return.

Examples
--------
>>> losses = Table(["", "loss"], [["model 1", "2.0"]])
>>> parts = [Prose("Two models.", "lead"), Section("losses", "Losses", [losses])]
>>> page = render("A run", parts)
>>> page.count("<h2"), "<td>2.0</td>" in page
(1, True)
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import jinja2
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tone = Literal["good", "part", "bad", "open"]
"""Colour of a verdict. A symbol stands beside it: nothing is said by colour alone."""


class Prose(NamedTuple):
    """A paragraph."""

    template = "prose"
    text: str
    style: Literal["", "lead", "soft", "alarm"] = ""


class Items(NamedTuple):
    """A list with bullets."""

    template = "items"
    items: Sequence[str]


class Quote(NamedTuple):
    """A quotation from a person or a model, whose line breaks are kept."""

    template = "quote"
    text: str
    caption: str = ""


class WrittenTexts(NamedTuple):
    """Texts under the names of their authors."""

    template = "said"
    texts: Sequence[tuple[str, str]]


class Output(NamedTuple):
    """Lines in a monospaced font, as in a terminal."""

    template = "output"
    text: str


class Formula(NamedTuple):
    """A formula in LaTeX, shown as MathML."""

    template = "formula"
    latex: str

    @property
    def mathml(self) -> Markup:
        """Return the formula as MathML, which browsers show."""
        from latex2mathml.converter import convert

        return Markup(convert(self.latex, display="block"))


class Cell(NamedTuple):
    """A table cell that is coloured, or written in small letters."""

    text: str
    kind: Literal["", "rise", "fall", "constant", "printed", "soft", "good", "bad", "open"] = ""


class Table(NamedTuple):
    """A table of rows under column headings.

    The first cell of a row is its heading. ``numbers`` are the places of columns that are aligned
    to the right. A table that is too wide scrolls by itself.
    """

    template = "table"
    columns: Sequence[str]
    """Headings, or nothing where there are none."""
    rows: Sequence[Sequence[str | Cell]]
    caption: str = ""
    style: Literal["", "facts", "grid"] = ""
    """Style of the table. ``facts``: names in grey; ``grid``: cells apart, for cells with a
    colour."""
    numbers: Sequence[int] = ()


class Picture(NamedTuple):
    """A figure inside the page; :func:`picture` makes one."""

    template = "picture"
    caption: str
    alt: str
    webp: str
    """The image file in base64, a third of the size of PNG."""
    width: int
    """Width on the page, in pixels."""


class Details(NamedTuple):
    """Parts that are shown on demand."""

    template = "details"
    summary: str
    parts: Sequence[Part]
    open: bool = False


class Card(NamedTuple):
    """A box with one judged thing, such as a claim and its verdict."""

    template = "card"
    id: str
    heading: str
    parts: Sequence[Part]
    kind: str = ""
    """Name by which :class:`VerdictFilter` hides and shows the card."""


class VerdictFilter(NamedTuple):
    """Checkboxes that hide and show the cards of a kind: its name, symbol and number of cards."""

    template = "filters"
    kinds: Sequence[tuple[str, str, int]]


class Section(NamedTuple):
    """Parts under a heading, with a link to it at the top of the page."""

    template = "section"
    id: str
    heading: str
    parts: Sequence[Part]
    name: str = ""
    """Text of the link at the top of the page; by default the heading."""


Part = (
    Prose
    | Items
    | Quote
    | WrittenTexts
    | Output
    | Formula
    | Table
    | Picture
    | Details
    | Card
    | VerdictFilter
    | Section
)


def chip(tone: Tone, text: str) -> Markup:
    """Write a verdict in its colour, to be put in front of a text.

    >>> chip("good", "✓ holds")
    Markup('<span class="chip good">✓ holds</span>')
    """
    return Markup('<span class="chip {}">{}</span>').format(tone, text)


def code(text: str) -> Markup:
    """Write a command or a name in a monospaced font.

    >>> code("a < b")
    Markup('<code>a &lt; b</code>')
    """
    return Markup("<code>{}</code>").format(text)


def link(id: str, text: str) -> Markup:
    """Write a link to a part of the same page.

    >>> link("losses", "Losses")
    Markup('<a href="#losses">Losses</a>')
    """
    return Markup('<a href="#{}">{}</a>').format(id, text)


def soft(text: str) -> Markup:
    """Write a remark in small grey letters.

    >>> soft("in the paper")
    Markup('<span class="soft">in the paper</span>')
    """
    return Markup('<span class="soft">{}</span>').format(text)


def joined(between: str, texts: Sequence[str]) -> Markup:
    """Join texts in a row, and escape those that need it.

    >>> joined(" · ", ["a < b", code("c")])
    Markup('a &lt; b · <code>c</code>')
    """
    return Markup(between).join(escape(text) for text in texts)


def picture(figure: Figure, caption: str, alt: str = "") -> Picture:
    """Make a figure a part of the page; equal figures give equal bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    caption : str
    alt : str
        What a screen reader says; by default the caption.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", pil_kwargs={"lossless": True, "method": 4})
    width = round(96 * figure.get_figwidth())
    said = base64.b64encode(buffer.getvalue()).decode()
    return Picture(caption, alt or caption, said, width)


def render(title: str, parts: Sequence[Part], subtitle: str = "") -> str:
    """Put parts on one page.

    Parameters
    ----------
    title : str
    parts : sequence of Part
        In the order of the page. Links to the sections stand before the first of them.
    subtitle : str
        What the page is about and what made it, in small letters under the title.

    Returns
    -------
    str
        A whole HTML document.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("commensal", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    before = [part for part in parts if not isinstance(part, Section)]
    return environment.get_template("page.html.jinja").render(
        title=title,
        subtitle=subtitle,
        before=before,
        sections=[part for part in parts if isinstance(part, Section)],
        filtered=any(isinstance(part, VerdictFilter) for part in parts),
    )


def facts(known: Mapping[str, str] | Sequence[tuple[str, str]]) -> Table:
    """Make a table of names and their values.

    >>> facts({"seed": "0"}).rows
    [['seed', '0']]
    """
    pairs = known.items() if isinstance(known, Mapping) else known
    return Table([], [[name, value] for name, value in pairs], style="facts")
