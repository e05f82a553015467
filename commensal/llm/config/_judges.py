"""Judges that prefer one of two answers to a prompt.

Each kind names its ``judges``, a class as
:class:`commensal.llm.measures.preference.Rewards` has it, which says what an answer is worth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from commensal.llm.config._parts import Count, Settings


class PairwiseJudge(Settings):
    """Judge that gives each answer a reward, and prefers by it; the base class of a new kind."""

    judges: ClassVar[str]
    knows_law: ClassVar[bool] = False
    """Whether the judge needs the law of the task."""

    prompts: Count = 64
    """Number of prompts in each generation, which every model answers; drawn anew each time from
    the training texts."""
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Temperature τ of the judge's noise (Bradley and Terry): of two answers with rewards a and b
    the first is preferred with probability 1 / (1 + exp(-(a - b) / τ)). With 0 the higher reward
    wins every time; equal rewards are decided by lot. Rewards are nats per word or token."""

    @property
    def remote(self) -> str | None:
        """Name of the model that would be downloaded; None: there is none."""
        return None

    def described(self) -> str:
        """Describe the judge and its noise, for reports."""
        noise = f"noise of temperature {self.noise:g}" if self.noise else "without noise"
        return f"{self.what()}; {self.prompts} prompts in each generation, {noise}"

    def what(self) -> str:
        """Say what the judge's reward is, for reports."""
        raise NotImplementedError


class LawJudge(PairwiseJudge):
    """Judge that knows the law of a made-up language, and prefers the likelier answer.

    The reward is the mean log-probability of an answer's words under the law, so that short
    answers do not win by being short. An answer that is empty, or has a word that is none of the
    language's, is worth less than any other.
    """

    judges: ClassVar[str] = "commensal.llm.measures.preference:LawRewards"
    knows_law: ClassVar[bool] = True

    kind: Literal["law"] = "law"

    def what(self) -> str:
        """Say what the judge's reward is, for reports."""
        return "the law: mean log-probability of a word"


class ModelJudge(PairwiseJudge):
    """Judge that is a causal language model, and prefers the answer that it finds likelier.

    The reward is the mean log-probability of an answer's tokens given the prompt, by the judge's
    own tokenizer. An empty answer is worth less than any other.
    """

    judges: ClassVar[str] = "commensal.llm.measures.preference:ModelRewards"

    kind: Literal["model"] = "model"
    name: Annotated[str, Field(min_length=1)]
    """Folder of the model, or its name on the Hub."""
    revision: str | None = None
    """Branch, tag or commit of the model on the Hub; none: the newest."""

    @property
    def remote(self) -> str | None:
        """Name the model, unless it is a folder."""
        here = self.name.startswith((".", "/", "~")) or Path(self.name).is_dir()
        return None if here else f"judge {self.name!r}"

    def what(self) -> str:
        """Say what the judge's reward is, for reports."""
        return f"model {self.name}: mean log-probability of a token"


JudgeConfig = Annotated[LawJudge | ModelJudge, Field(discriminator="kind")]
"""Judge of any kind, chosen by ``kind``."""
