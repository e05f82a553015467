"""Settings of the models of a web.

Each kind names its ``responder``, a class as :class:`commensal.llm.web.asking.Responder` has it;
whether it is ``taught`` before the run; whether one core is too few for it (``large``); and which
model a server is ``asked`` for.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from commensal.llm.config._endpoint import EndpointModel
from commensal.llm.config._participant import Participant
from commensal.llm.config._parts import OptimisationConfig


class LocalModel(Participant):
    """A model that transformers loads, with its own tokenizer and chat template, if it has one."""

    responder: ClassVar[str] = "commensal.llm.web.local:LocalResponder"
    taught: ClassVar[bool] = False
    large: ClassVar[bool] = True
    asked: ClassVar[str] = ""

    kind: Literal["local"] = "local"
    name: str
    """Name on the Hub, or a folder."""
    revision: str | None = None
    """Branch, tag or commit on the Hub; by default its main branch."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the weights."""
    label: str = ""
    """Display name in reports; by default the last part of ``name``."""

    @property
    def shown(self) -> str:
        """Display name in reports."""
        return self.label or self.name.rstrip("/").rsplit("/", 1)[-1]

    def described(self) -> str:
        """Describe the model for reports."""
        return f"{self.name}, {self.dtype}"


class LanguageModel(Participant):
    r"""A tiny model that is taught, before the run, to answer from what it reads.

    Of k posts of which :math:`m_b` are in language b, it answers in language b with probability
    :math:`(sπ_b + m_b)/(s + k)`: the posterior mean of a Dirichlet prior. Needs posts of kind
    ``languages``.
    """

    responder: ClassVar[str] = "commensal.llm.web.languages:TaughtResponder"
    taught: ClassVar[bool] = True
    asked: ClassVar[str] = ""

    kind: Literal["scratch"] = "scratch"
    architecture: Literal["llama", "gpt2", "opt"] = "llama"
    """Architecture of the model."""
    size: Literal["tiny", "small", "medium"] = "tiny"
    """Size of the model, as of a model from scratch."""
    prior: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]
    """Weights π of the languages in the model's own opinion; they are made to sum to 1."""
    strength: Annotated[float, Field(gt=0)] = 4.0
    """Strength s of that opinion, in numbers of posts."""
    training: OptimisationConfig = OptimisationConfig(steps=300, batch_size=32, learning_rate=3e-3)
    """Training by which the model is taught, before the run."""
    label: str = ""
    """Display name in reports; by default architecture and size."""

    @property
    def shown(self) -> str:
        """Display name in reports."""
        return self.label or f"{self.architecture}, {self.size}"

    @property
    def large(self) -> bool:
        """Whether one core is too few for the model."""
        return self.size == "medium"

    def described(self) -> str:
        """Describe the model for reports."""
        weights = ", ".join(f"{p:.2g}" for p in self.shares)
        return (
            f"{self.architecture}, {self.size}, taught to answer from what it reads; own opinion "
            f"({weights}) worth {self.strength:g} posts"
        )

    @property
    def shares(self) -> tuple[float, ...]:
        """Weights π of the languages, which sum to 1."""
        return tuple(p / math.fsum(self.prior) for p in self.prior)


WebModel = Annotated[LocalModel | LanguageModel | EndpointModel, Field(discriminator="kind")]
