"""Settings of multiple-choice questions, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from commensal.llm.corpora import CorpusSettings, read_rows
from commensal.llm.corpora._hub import rows_of_split
from commensal.llm.corpora._opened import SUFFIXES, format_of, stem_of
from commensal.llm.corpora._templates import Row, Template
from commensal.llm.multiple_choice._made_up import made_up
from commensal.llm.multiple_choice._rows import Question, questions_of_rows

Count = Annotated[int, Field(ge=1)]
# questions give columns and folders their names
Name = Annotated[str, Field(pattern=r"^[\w.\- ]+$")]


class AskedQuestions(BaseModel):
    """Settings that all kinds of questions have in common.

    Attributes
    ----------
    shots : int
        k: how many solved questions stand before each one. They are never scored: they are of
        another file or split where one is named, and set aside where none is.
    normalise : {"none", "tokens", "characters"}
        A choice's log-likelihood is divided by its length in these; with "none" it is not.
    about_law : bool
        Whether they are made up about the law of a language, rather than read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    about_law: ClassVar[bool] = False

    name: Name = "questions"
    shots: Annotated[int, Field(ge=0)] = 0
    normalise: Literal["none", "tokens", "characters"] = "characters"

    @property
    def remote(self) -> str | None:
        """Name of the dataset that would be downloaded; None: there is none."""
        return None

    def longest(self, prompt_words: int) -> int | None:
        """Tokens of a question about texts with such prompts, where tokens are words."""
        return None

    def ask(self, task: CorpusSettings, seed: int) -> tuple[str, list[int], list[Question]]:
        """Return what questions are called in messages, keys that divide them, and all of them.

        There are no keys where they are drawn, each by itself.

        Parameters
        ----------
        task : CorpusSettings
            Task whose law made-up questions are about.
        seed : int
            Seed of what is drawn.

        Raises
        ------
        ValueError
            If questions cannot be read or drawn; the message is one line.
        """
        raise NotImplementedError

    def ask_apart(self) -> tuple[str, list[int], list[Question]] | None:
        """Return the same of the questions that shots are taken from; None: of those above."""
        return None

    def described(self) -> str:
        """Describe the questions in a few words."""
        per = {"none": "", "tokens": " per token", "characters": " per character"}[self.normalise]
        return f"{self.name} ({self.shots} shots, log-likelihood{per})"


class MadeUpQuestions(AskedQuestions):
    """Questions about a language with a known law, on which text continues a prompt.

    Attributes
    ----------
    count : int
        Number of questions.
    choices : int
        Number of choices of each question, one of them right.
    words : int
        Number of words of each choice: the fewer, the harder.
    wrong : {"text", "shuffled", "language"}
        Kind of wrong choices: the same language's words after other prompts, so that only the first
        word tells; the right words in another order; or another language's.
    language : int or None
        Number of the other language that wrong choices come from, by default the next one.
    name, shots, normalise
        Settings of all kinds of questions. All choices have the same length, so ``normalise`` does
        not matter.
    """

    about_law: ClassVar[bool] = True

    kind: Literal["made-up"] = "made-up"
    count: Annotated[int, Field(ge=2)] = 400
    choices: Annotated[int, Field(ge=2)] = 4
    words: Count = 4
    wrong: Literal["text", "shuffled", "language"] = "shuffled"
    language: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _check_wrong(self) -> MadeUpQuestions:
        if self.wrong == "shuffled" and self.words < 2:
            raise ValueError("one word alone cannot be shuffled; raise words")
        if self.language is not None and self.wrong != "language":
            raise ValueError("language needs wrong: language, or it says nothing")
        return self

    def ask(self, task: CorpusSettings, seed: int) -> tuple[str, list[int], list[Question]]:
        """Draw the questions from the task's law."""
        return f"questions {self.name!r}", [], made_up(self, task, seed)

    def longest(self, prompt_words: int) -> int:
        """Count the tokens of a question with its shots and the mark of the beginning."""
        return (1 + self.shots) * (prompt_words + self.words) + 1

    def described(self) -> str:
        """Describe the questions, the number of their choices, and what wrong choices are."""
        words = "1 word" if self.words == 1 else f"{self.words} words"
        return (
            f"{self.name} ({self.shots} shots, log-likelihood; {self.choices} choices of {words}, "
            f"wrong: {self.wrong})"
        )


class TableQuestions(AskedQuestions):
    r"""Settings that :class:`FileQuestions` and :class:`HubQuestions` have in common.

    Which questions are held out is up to a hash of each (what the columns of ``prompt`` and
    ``choices`` hold), as for :class:`TextCorpus`: the same ones whatever else is read.

    Attributes
    ----------
    prompt : str
        Question: a column, or a template with columns in braces, as in ``"{question}\nAnswer:"``.
    choices : str or list of str
        Choices: a column that holds all of them (a list, ``{"text": [...], "label": [...]}``, "(A)
        one (B) another" or "a ) one , b ) another"), or a column for each.
    answer : str
        Column that says which is right: a label, a letter, or a number.
    first : {0, 1}
        Number of the first choice, where answers are numbers.
    blank : str or None
        Part of the prompt that each choice is put in place of. Then the text up to there is the
        prompt, and how likely the rest is decides (WinoGrande).
    max_dropped : float
        Largest share of rows that are no question, in [0, 1]; they are left out and counted. A
        larger share is an error.
    limit : int or None
        Number of questions to read, the first ones.
    name, shots, normalise
        Settings of all kinds of questions. The name is by default the file's without its ending,
        the dataset's without its owner.
    """

    prompt: str
    choices: Annotated[
        tuple[str, ...],
        Field(min_length=1),
        BeforeValidator(lambda v: (v,) if isinstance(v, str) else v),
    ]
    answer: str
    first: Literal[0, 1] = 0
    blank: Annotated[str, Field(min_length=1)] | None = None
    max_dropped: float = Field(default=0.1, ge=0, le=1)
    limit: Annotated[int, Field(ge=2)] | None = None

    @field_validator("prompt")
    @classmethod
    def _check_template(cls, text: str) -> str:
        Template(text)
        return text

    def places(self) -> tuple[str, str | None]:
        """Say where questions are, and where those for shots are if they lie apart."""
        raise NotImplementedError

    def opened(self, place: str) -> tuple[str, Iterable[tuple[str, Row]]]:
        """Open one place: what it is called in messages; where each row is, and its columns.

        Raises
        ------
        ValueError
            If there is none or it cannot be read; the message is one line.
        """
        raise NotImplementedError

    def ask(self, task: CorpusSettings, seed: int) -> tuple[str, list[int], list[Question]]:
        """Read the questions from the table."""
        return self._read(self.places()[0])

    def ask_apart(self) -> tuple[str, list[int], list[Question]] | None:
        """Read the questions that shots are taken from, if they lie apart."""
        _, apart = self.places()
        return None if apart is None else self._read(apart)

    def _read(self, place: str) -> tuple[str, list[int], list[Question]]:
        source, rows = self.opened(place)
        return source, *questions_of_rows(rows, self, source)


class FileQuestions(TableQuestions):
    """Questions in a local file with columns, of any format that a corpus may have.

    :class:`commensal.llm.corpora.FileCorpus` lists the formats.

    Attributes
    ----------
    path : str
        File of questions.
    shots_path : str or None
        Another file with the same columns, of which shots are taken. None: rows of ``path`` are set
        aside for them and not asked.
    """

    kind: Literal["file"] = "file"
    path: str
    shots_path: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and "name" not in given and isinstance(given.get("path"), str):
            return given | {"name": stem_of(given["path"])}
        return given

    @field_validator("path", "shots_path")
    @classmethod
    def _check_path(cls, path: str | None) -> str | None:
        if path is not None:
            format_of(path, tuple(suffix for suffix in SUFFIXES if suffix != ".txt"))
        return path

    def places(self) -> tuple[str, str | None]:
        """Return the paths of the files."""
        return self.path, self.shots_path

    def opened(self, place: str) -> tuple[str, Iterable[tuple[str, Row]]]:
        """Open a file."""
        return repr(place), read_rows(place)


class HubQuestions(TableQuestions):
    """Questions of a Hugging Face dataset, by name or from a local folder laid out like one.

    Attributes
    ----------
    dataset, subset, revision
        Settings of :class:`HubCorpus`.
    split : str
        Split of the questions that are asked.
    shots_split : str or None
        Split of which shots are taken, such as "train". None: rows of ``split`` are set aside for
        them and not asked.
    """

    kind: Literal["hub"] = "hub"
    dataset: Annotated[str, Field(min_length=1)]
    subset: str | None = None
    split: Annotated[str, Field(min_length=1)] = "validation"
    shots_split: Annotated[str, Field(min_length=1)] | None = None
    revision: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, given: Any) -> Any:
        if (
            isinstance(given, dict)
            and "name" not in given
            and isinstance(given.get("dataset"), str)
        ):
            return given | {"name": given["dataset"].rstrip("/").rsplit("/", 1)[-1]}
        return given

    @property
    def remote(self) -> str:
        """Name the dataset."""
        return self.dataset

    def places(self) -> tuple[str, str | None]:
        """Return the names of the splits."""
        return self.split, self.shots_split

    def opened(self, place: str) -> tuple[str, Iterable[tuple[str, Row]]]:
        """Open a split."""
        return rows_of_split(self.dataset, self.subset, place, self.revision)
