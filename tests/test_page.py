"""The one page that every report is."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from matplotlib.figure import Figure

from commensal import page

VOID = {"meta", "img", "input", "br"}


class Tags(HTMLParser):
    """Checks that what is opened is closed, in order; collects ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.ids += [known["id"] or ""] if "id" in known else []
        self.links += [(known["href"] or "")[1:]] if tag == "a" else []
        if tag not in VOID:
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def drawn() -> Figure:
    fig = Figure(figsize=(8, 2))
    fig.subplots().plot([1, 2])
    return fig


EVERY_PART: list[page.Part] = [
    page.Prose("a < b", "alarm"),
    page.Items([page.link("two", "<second>")]),
    page.VerdictFilter([("good", page.chip("good", "✓ holds"), 2)]),
    page.Section(
        "one",
        "First & foremost",
        [
            page.Table(
                ["name", "value"], [["x", page.Cell("2.0", "rise")]], "Losses", "grid", (1,)
            ),
            page.Formula(r"\rho \le 1"),
            page.Quote("said\nso", "who"),
            page.WrittenTexts([("model 1", "text"), ("model 2", "")]),
            page.Output("a  b\n"),
        ],
    ),
    page.Section(
        "two",
        "Second",
        [
            page.picture(drawn(), "A line", "A line from 1 to 2"),
            page.Details("more", [page.Card("card", "A claim", [page.Prose("holds")], "good")]),
            page.facts({"seed": "0"}),
        ],
        "2nd",
    ),
]


def test_a_page_is_well_formed_and_escaped() -> None:
    text = page.render("A <run>", EVERY_PART, "sub & title")
    tags = Tags()
    tags.feed(text)
    assert tags.opened == []
    assert len(set(tags.ids)) == len(tags.ids)
    assert set(tags.links) <= set(tags.ids)
    assert "<h1>A &lt;run&gt;</h1>" in text
    assert "a &lt; b" in text
    assert "&lt;second&gt;" in text
    assert "First &amp; foremost" in text
    assert '<a href="#two">2nd</a>' in text
    assert '<td class="rise number">2.0</td>' in text
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML"' in text
    assert "(nothing)" in text  # an empty text is said to be one


def test_a_page_needs_nothing_else() -> None:
    text = page.render("A run", EVERY_PART)
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*", text) == []
    assert "prefers-color-scheme: dark" in text
    # a script is there only where there is something to filter
    assert "<script>" in text
    assert "<script>" not in page.render("A run", EVERY_PART[:2])


def test_every_picture_says_what_it_shows() -> None:
    text = page.render("A run", EVERY_PART)
    assert 'alt="A line from 1 to 2"' in text
    assert "<figcaption>A line</figcaption>" in text
    assert page.picture(drawn(), "A line") == page.picture(drawn(), "A line")
