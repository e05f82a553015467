"""Answers to a reader's questions, each with its source, premises, interval and check.

What `measure`, `advise`, `audit` and `forecast` find is a list of :class:`Answer`, printed in the
terminal, on a page and as JSON in the same words. A number that cannot be trusted is NaN, and its
answer says why.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commensal import page
from commensal.saving import write

__all__ = ["Answer", "Answers"]

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Answer:
    r"""One line of an answer: a sentence, its number, and what the number rests on.

    Attributes
    ----------
    question : str
        Question that a reader would ask, such as "Is this mix stable?".
    sentence : str
        Whole sentence that answers it, with its number.
    name : str
        Name of the number in JSON, such as ``margin``.
    value : float
        Number itself; NaN where it cannot be told.
    low, high : float
        Ends of its interval; NaN where it has none.
    level : float
        Probability with which the interval covers.
    source : str
        Theorem, equation or test from which the number follows.
    premises : tuple of str
        Conditions under which it does.
    claims : tuple of str
        Ids of the claims by which ``commensal check`` tests the source.
    checked : str
        How the source was checked, where no claim does it.
    flag : str
        Reason why the number cannot be trusted, or lies outside the theory; empty if neither.

    Raises
    ------
    ValueError
        If a number that is flagged is not NaN, or one that is not flagged is NaN.

    Examples
    --------
    >>> sure = Answer(question="Is it stable?", sentence="Stable: ρ = 0.83.", name="radius",
    ...               value=0.83, source="`interactive`, Theorem 1")
    >>> sure.text()
    'Stable: ρ = 0.83.\n  from: `interactive`, Theorem 1'
    """

    question: str
    sentence: str
    name: str
    value: float | int = math.nan
    low: float | int = math.nan
    high: float | int = math.nan
    level: float = 0.95
    source: str = ""
    premises: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    checked: str = ""
    flag: str = ""

    def __post_init__(self) -> None:
        """Refuse a number that is flagged and yet given, or missing without a reason."""
        if bool(self.flag) != math.isnan(self.value):
            raise ValueError(f"{self.name}: a number is NaN exactly where a flag says why")

    @property
    def how(self) -> str:
        """How the source was checked, in words; empty if it was not."""
        ids = ", ".join(self.claims)
        by_claims = f"commensal check --id {ids}" if self.claims else ""
        return "; ".join(filter(None, (self.checked, by_claims)))

    @property
    def grounds(self) -> dict[str, str]:
        """What the sentence rests on, by name: those of from, if, checked, cannot be told."""
        named = {
            "from": self.source,
            "if": "; ".join(self.premises),
            "checked": self.how,
            "cannot be told": self.flag,
        }
        return {name: said for name, said in named.items() if said}

    def text(self) -> str:
        """Return the answer for a terminal: its sentence, and its grounds on lines below."""
        below = (f"  {name}: {said}" for name, said in self.grounds.items())
        return "\n".join((self.sentence, *below))

    def record(self) -> dict[str, Any]:
        """Return the answer for JSON; numbers that are not finite are None."""
        return {
            "question": self.question,
            "sentence": self.sentence,
            "name": self.name,
            **{name: _finite(getattr(self, name)) for name in ("value", "low", "high")},
            "level": None if math.isnan(self.low) else self.level,
            "source": self.source,
            "premises": list(self.premises),
            "claims": list(self.claims),
            "checked": self.how,
            "flag": self.flag,
        }


@dataclass(frozen=True, kw_only=True)
class Answers:
    """All that one command answers, with the settings that it was asked with.

    Attributes
    ----------
    title : str
        What was asked about.
    answers : tuple of Answer
    settings : mapping
        What the user gave, and what was assumed, by name.
    notes : tuple of str
        Remarks that hold for all answers.

    Examples
    --------
    >>> told = Answer(question="How far?", sentence="Two.", name="far", value=2, source="counting")
    >>> all_ = Answers(title="A walk", answers=(told,), settings={"steps": 2})
    >>> [answer.value for answer in all_], all_["far"].sentence
    ([2], 'Two.')
    """

    title: str
    answers: tuple[Answer, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Answer]:
        """Go through the answers in their order."""
        return iter(self.answers)

    def __getitem__(self, name: str) -> Answer:
        """Return the answer of that name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for one in self.answers:
            if one.name == name:
                return one
        raise KeyError(name)

    def text(self, grounds: bool = True) -> str:
        """Return all answers for a terminal, with their grounds unless these are not wanted."""
        said = [one.text() if grounds else one.sentence for one in self.answers]
        return ("\n\n" if grounds else "\n").join((*said, *self.notes)) + "\n"

    def record(self) -> dict[str, Any]:
        """Return all answers for JSON."""
        return {
            "title": self.title,
            "settings": dict(self.settings),
            "answers": [one.record() for one in self.answers],
            "notes": list(self.notes),
        }

    def page(
        self, pictures: Mapping[str, Figure], more: Sequence[page.Part] = (), made_by: str = ""
    ) -> str:
        """Return one self-contained page: the sentences, the pictures, and the grounds.

        Parameters
        ----------
        pictures : mapping of str to matplotlib.figure.Figure
            Figures by their captions.
        more : sequence of Part
            Further sections, after those.
        made_by : str
            Command that made the page.

        Returns
        -------
        str
            A whole HTML document.
        """
        rows = [
            [one.question, one.sentence, *(one.grounds.get(name, "") for name in _GROUNDS)]
            for one in self.answers
        ]
        headings = ["question", "answer", "from", "if", "checked", "cannot be told"]
        drawn = [page.picture(figure, caption) for caption, figure in pictures.items()]
        given = {name: str(value) for name, value in self.settings.items()}
        parts: list[page.Part] = [
            page.Items([one.sentence for one in self.answers]),
            *(page.Prose(note, "soft") for note in self.notes),
            *([page.Section("pictures", "Pictures", drawn)] if drawn else []),
            page.Section("grounds", "What each answer rests on", [page.Table(headings, rows)]),
            *more,
            page.Section("settings", "Settings", [page.facts(given)]),
        ]
        return page.render(self.title, parts, made_by)

    def write(
        self,
        folder: str | Path,
        pictures: Mapping[str, Figure] | None = None,
        more: Sequence[page.Part] = (),
        made_by: str = "",
    ) -> list[Path]:
        """Write ``report.html`` and ``answers.json`` to a folder, which is made if need be.

        Returns
        -------
        list of Path
            Both files.

        Raises
        ------
        Unsaved
            If they cannot be written.
        """
        said = json.dumps(self.record(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        files = {"report.html": self.page(pictures or {}, more, made_by), "answers.json": said}
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write(folder / name, content.encode())
        return [folder / name for name in files]


_GROUNDS = ("from", "if", "checked", "cannot be told")


def _finite(value: float | int) -> float | int | None:
    """Return a number for JSON, which knows neither NaN nor infinity: None in their place.

    Examples
    --------
    >>> _finite(2), _finite(math.inf)
    (2, None)
    """
    return value if math.isfinite(value) else None
