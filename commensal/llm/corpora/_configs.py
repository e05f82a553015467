"""Settings of corpora that are read, checked before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from commensal.llm.corpora._divided import Opened, divided
from commensal.llm.corpora._files import read_rows
from commensal.llm.corpora._hub import rows_of_split
from commensal.llm.corpora._markov_config import Count, MarkovCorpus, Name, Share
from commensal.llm.corpora._messages import Chat
from commensal.llm.corpora._opened import format_of, lines_of, stem_of
from commensal.llm.corpora._settings import CorpusSettings
from commensal.llm.corpora._templates import Template
from commensal.llm.corpora._units import Texts


class TextCorpus(CorpusSettings):
    r"""Settings of texts that are read, and the base class of a new kind of them.

    A subclass says which ``places`` its texts are in, and has them ``opened``; how they are
    divided into training and test data, and cut into examples, is the same for all.

    Attributes
    ----------
    name : str
        Name of the corpus, for messages and reports.
    prompt, completion : str or None
        Parts of an example: a column each, or a template with columns in braces, as in
        ``"{question}\nAnswer:"``. ``{choices[answerKey]}`` is the text of that choice which another
        column names, where choices are given as ``{"text": [...], "label": [...]}`` or as "(A) one
        (B) another"; ``{answer[text]}`` is an entry of an object. Numbers, truth values and dates
        are text too. Without ``prompt``, the rows of ``completion`` (the column "text" if None) are
        running text, one after the other.
    messages : str or None
        Column of chat data, in the place of ``prompt`` and ``completion``: lists of ``{"role": ...,
        "content": ...}``. The assistant's last message is the completion, all before it the prompt;
        what comes after it is left out. A pretrained model's chat template writes them. Models
        without one get "User: ...", a blank line, and "Assistant:".
    prompt_words, completion_words : int
        Lengths to which running text is cut: so many words of prompt, so many of completion, and so
        on. White space stays as it is. A word is what stands between white space; in scripts that
        write none (Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan) it is a character.
    test_share : float
        Share that is held out, in (0, 1), where no test data are named; the same texts whatever is
        read with them, with whatever template, length of the pieces, limit or seed. Of a .txt it is
        the end: the last share of its words, from the border of a paragraph on, so that what is
        held out has no neighbours in the training data. A paragraph is what stands between blank
        lines, or a line where there are none or lines are not wrapped; longer ones than 256 words
        are cut. Of rows a hash of each decides (of all columns that prompt and completion name),
        and the share is met on average. No training text equals a test text, up to white space and
        Unicode's NFKC.
    division : int
        Number of the division into texts to train on and held-out ones; each number holds out
        others: rows by another hash, of a .txt another stretch. Replicates of a run have numbers
        of their own. Of no effect where test data are named.
    split_by : str or None
        Column or template that decides what is held out: rows that share it are on one side. For
        several answers to one question, or corpora that read different columns of one table.
    community : str or None
        Column or template that says which community a row is of: a topic, a language, a group of
        users. The workflow ``segmented`` then deals out whole communities (``deal: community``);
        elsewhere it only keeps running text from being cut across communities. With ``limit``, the
        last row that is read counts in whole.
    max_dropped : float
        Largest share of rows without a text (empty, null, NaN), in [0, 1]; they are left out and
        counted. A larger share is an error.
    limit : int or None
        Number of examples to read, the first ones, of training data and of test data each; where
        test_share is held out, of both together.
    test_setting : str
        Name of the setting that names test data, for messages.
    """

    test_setting: ClassVar[str]

    name: Name = ""
    prompt: str | None = None
    completion: str | None = None
    messages: Name | None = None
    prompt_words: Count = 16
    completion_words: Count = 48
    test_share: Share = 0.1
    division: Annotated[int, Field(ge=0)] = 0
    split_by: str | None = None
    community: str | None = None
    max_dropped: float = Field(default=0.1, ge=0, le=1)
    limit: Annotated[int, Field(ge=2)] | None = None

    @field_validator("prompt", "completion", "split_by", "community")
    @classmethod
    def _check_template(cls, text: str | None) -> str | None:
        if text is not None:
            Template(text)
        return text

    @model_validator(mode="after")
    def _check_both(self) -> TextCorpus:
        if self.prompt is not None and self.completion is None:
            raise ValueError("a prompt needs a completion beside it")
        if self.messages is not None and self.completion is not None:
            raise ValueError("messages are prompt and completion; leave these out")
        return self

    @property
    def running(self) -> bool:
        """Whether the corpus is running text, cut into examples."""
        return self.prompt is None and self.messages is None

    @property
    def divided_by(self) -> str | None:
        """Column or template that says which community a row is of."""
        return self.community

    @property
    def chat(self) -> bool:
        """Whether the corpus is chat data."""
        return self.messages is not None

    def places(self) -> tuple[str, str | None]:
        """Say where training data are, and where test data are if they lie apart.

        A path, a split, or whatever ``opened`` understands.
        """
        raise NotImplementedError

    def opened(self, place: str) -> Opened:
        """Open one place: rows of a table, or lines of running text.

        Raises
        ------
        ValueError
            If there are none or they cannot be read; the message is one line.
        """
        raise NotImplementedError

    @property
    def redrawn(self) -> bool:
        """Whether each replicate has other texts: not where test data are named."""
        return self.places()[1] is None

    def of_replicate(self, replicate: int) -> TextCorpus:
        """Return the settings in a replicate, which holds out other texts; 0 as it is."""
        return self.model_copy(update={"division": self.division + replicate})

    def read(self, chat: Chat) -> Texts:
        """Read all texts, divided into training and test data."""
        return divided(self, chat)


class FileCorpus(TextCorpus):
    """Texts of a local file.

    A .txt is running text. A .jsonl has an object per line, a .json is an array of objects; a
    .csv or .tsv names its columns in the first line (quotation marks mean nothing in a .tsv; a
    cell "nan" or "NaN" is empty).
    All but .parquet may be compressed (.gz, .bz2, .xz, .zst behind the ending). Files are UTF-8,
    or begin with a byte order mark.

    Attributes
    ----------
    path : str
        File of texts.
    test_path : str or None
        Another file with the same columns, which is not trained on. None: ``test_share`` of
        ``path`` is held out.
    name, prompt, completion, messages, prompt_words, completion_words, test_share, split_by
        Settings of :class:`TextCorpus`. The name is by default the file's without its endings.
    community, max_dropped, limit
        Settings of :class:`TextCorpus`.
    """

    test_setting: ClassVar[str] = "test_path"

    kind: Literal["file"] = "file"
    path: str
    test_path: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and "name" not in given and isinstance(given.get("path"), str):
            return given | {"name": stem_of(given["path"])}
        return given

    @model_validator(mode="after")
    def _check_files(self) -> FileCorpus:
        columns = self.completion or self.messages or self.split_by or self.community
        for path in filter(None, (self.path, self.test_path)):
            if format_of(path) == ".txt" and columns is not None:
                raise ValueError(f"{path!r} has no columns for prompt and completion")
        if self.test_path is not None and _same_file(self.path, self.test_path):
            raise ValueError(
                f"test_path {self.test_path!r} is the file to train on; leave it out, and "
                "test_share of the file is held out"
            )
        return self

    def places(self) -> tuple[str, str | None]:
        """Return the paths of the files."""
        return self.path, self.test_path

    def opened(self, place: str) -> Opened:
        """Open lines of a .txt, rows of any other file."""
        if format_of(place) == ".txt":
            return Opened(repr(place), lines=lines_of(place))
        return Opened(repr(place), rows=read_rows(place))

    def described(self) -> str:
        """Return the path."""
        return self.path


def _same_file(one: str, other: str) -> bool:
    paths = [Path(path).expanduser() for path in (one, other)]
    try:
        return paths[0].resolve() == paths[1].resolve() or paths[0].samefile(paths[1])
    except (OSError, RuntimeError):  # not there (yet), or links in a circle
        return False


class HubCorpus(TextCorpus):
    """Texts of a Hugging Face dataset.

    Attributes
    ----------
    dataset : str
        Name on the Hub, such as "openai/gsm8k", or a local folder laid out like one.
    subset : str or None
        Name of one of the dataset's configurations, such as "main".
    split, test_split : str, str or None
        Splits to train and to test on; ``test_split`` is not trained on. Without it, ``test_share``
        of ``split`` is held out.
    revision : str or None
        Branch, tag or commit of the dataset.
    name, prompt, completion, messages, prompt_words, completion_words, test_share, split_by
        Settings of :class:`TextCorpus`. The name is by default the dataset's without its owner.
    community, max_dropped, limit
        Settings of :class:`TextCorpus`.
    """

    test_setting: ClassVar[str] = "test_split"

    kind: Literal["hub"] = "hub"
    dataset: Name
    subset: str | None = None
    split: Name = "train"
    test_split: str | None = None
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

    @model_validator(mode="after")
    def _check_splits(self) -> HubCorpus:
        if self.test_split == self.split:
            raise ValueError(
                f"test_split {self.test_split!r} is the split to train on; leave it out, and "
                "test_share of the split is held out"
            )
        return self

    def places(self) -> tuple[str, str | None]:
        """Return the names of the splits."""
        return self.split, self.test_split

    def opened(self, place: str) -> Opened:
        """Open the rows of a split."""
        source, rows = rows_of_split(self.dataset, self.subset, place, self.revision)
        return Opened(source, rows=rows)

    @property
    def remote(self) -> str | None:
        """Name the dataset, unless it is a folder."""
        return None if self.dataset.startswith((".", "/", "~")) else f"dataset {self.dataset!r}"

    def described(self) -> str:
        """Name the dataset and its subset."""
        return " ".join(filter(None, (self.dataset, self.subset)))


CorpusConfig = Annotated[MarkovCorpus | FileCorpus | HubCorpus, Field(discriminator="kind")]
"""Settings of a corpus of any kind."""

PRESETS: dict[str, HubCorpus] = {
    "sciq": HubCorpus(
        name="sciq",
        dataset="allenai/sciq",
        test_split="test",
        prompt="Question: {question}\nAnswer:",
        completion="{correct_answer}",
    ),
    "gsm8k": HubCorpus(
        name="gsm8k",
        dataset="openai/gsm8k",
        subset="main",
        test_split="test",
        prompt="Question: {question}\nAnswer:",
        completion="{answer}",
    ),
    "arc": HubCorpus(
        name="arc",
        dataset="allenai/ai2_arc",
        subset="ARC-Challenge",
        test_split="test",
        prompt="Question: {question}\nAnswer:",
        completion="{choices[answerKey]}",
    ),
    # The repository itself holds a loading script, which datasets no longer runs; the Hub's own
    # conversion does not need it. Its rows are sentences: running text.
    "bookcorpus": HubCorpus(
        name="bookcorpus",
        dataset="bookcorpus/bookcorpus",
        revision="refs/convert/parquet",
        completion="text",
        limit=20_000,
    ),
}
"""Settings of well-known datasets, by name."""
