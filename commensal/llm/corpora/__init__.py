"""Training texts: languages whose law is known, local files, Hugging Face datasets.

`interactive`, sec. 4: each model has a corpus of its own, and all share one. A language drawn
from a known law (:class:`Markov`) has an entropy floor, divergences and tail words that are exact
rather than estimated. Nothing here needs torch.
"""

from commensal.llm.corpora._configs import (
    PRESETS,
    CorpusConfig,
    FileCorpus,
    HubCorpus,
    MarkovCorpus,
)
from commensal.llm.corpora._corpus import Corpus, Example, Marked
from commensal.llm.corpora._files import read_rows
from commensal.llm.corpora._held_back import HeldBack, check_held_back, held_back
from commensal.llm.corpora._load import CorpusWarning, load, load_all
from commensal.llm.corpora._markov import Markov
from commensal.llm.corpora._messages import chat_of
from commensal.llm.corpora._settings import CorpusSettings

__all__ = [
    "PRESETS",
    "Corpus",
    "CorpusConfig",
    "CorpusSettings",
    "CorpusWarning",
    "Example",
    "FileCorpus",
    "HeldBack",
    "HubCorpus",
    "Marked",
    "Markov",
    "MarkovCorpus",
    "chat_of",
    "check_held_back",
    "held_back",
    "load",
    "load_all",
    "read_rows",
]
