"""Interface of the settings of every kind of corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from commensal.llm.corpora._corpus import Corpus
from commensal.llm.corpora._markov import Markov
from commensal.llm.corpora._messages import Chat
from commensal.llm.corpora._units import Texts


class CorpusSettings(BaseModel):
    """Settings of a corpus, and the interface of its kind.

    A new kind is a subclass with a field ``kind`` and a place in ``CorpusConfig``. It either
    draws its texts from a known law, and has ``known``, ``law``, ``counts``, ``draw`` and
    ``of_replicate``; or it
    reads them, and has ``read``, as every :class:`TextCorpus` does.

    Attributes
    ----------
    known : bool
        Whether the law of the texts is known; models can then have a token for each word.
    running : bool
        Whether texts follow each other, rather than stand each for itself.
    chat : bool
        Whether a pretrained model's chat template writes the texts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    known: ClassVar[bool] = False

    if TYPE_CHECKING:
        name: str
        prompt_words: int
        completion_words: int

    @property
    def running(self) -> bool:
        """Whether the corpus's texts follow each other."""
        return True

    @property
    def chat(self) -> bool:
        """Whether a chat template writes the corpus's texts."""
        return False

    @property
    def divided_by(self) -> str | None:
        """Column or template that divides the rows into communities; None: there are none."""
        return None

    @property
    def counts(self) -> tuple[int, int] | None:
        """Numbers of examples to train and to test on, where they are known beforehand."""
        return None

    @property
    def remote(self) -> str | None:
        """Name of the data that would be downloaded, for messages; None if they are here."""
        return None

    def described(self) -> str:
        """Describe the corpus for reports."""
        raise NotImplementedError

    def law(self) -> Markov | None:
        """Return the law from which the corpus's texts are drawn, None where it is not known."""
        return None

    def other_law(self, language: int | None) -> Markov:
        """Return the law of another language over the same words, by default the next one."""
        raise NotImplementedError(f"there is no other law than that of {self.name!r}")

    @property
    def redrawn(self) -> bool:
        """Whether each replicate has other texts."""
        return True

    def of_replicate(self, replicate: int) -> CorpusSettings:
        """Return the settings in a replicate: another law, or other texts that are held out."""
        raise NotImplementedError

    def read(self, chat: Chat) -> Texts | None:
        """Read all texts, to train and to test on; None: they are drawn.

        Raises
        ------
        ValueError
            If data are missing, cannot be read, or are too few; the message is one line.
        """
        return None

    def draw(self, seed: int) -> Corpus:
        """Draw texts of the known law."""
        raise NotImplementedError(f"{self.name!r} is read, not drawn")
