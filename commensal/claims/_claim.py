"""A claim: what a document states, how it is checked, what came out when it was."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from commensal.claims._evidence import Evidence

Paper = Literal["interactive", "pollination", "webdynamics", "diversity", "news", "commensal"]
Kind = Literal["symbolic", "numerical", "statistical", "search", "published"]
Verdict = Literal["holds", "holds as corrected", "fails", "open"]
Proof = Literal[
    "proved there", "sketched there", "stated there", "measured there", "proved here", "open"
]
"""Who has proved it: ``there`` is the document, ``here`` this project's documentation."""

SYMBOLS: Mapping[Verdict, str] = {
    "holds": "✓",
    "holds as corrected": "✎",
    "fails": "✗",
    "open": "?",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """What a check draws from: its own seed, and whether there is time."""

    seed: int
    full: bool = False

    def rng(self, stream: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def key(self, stream: int = 0) -> Any:
        import jax

        return jax.random.fold_in(jax.random.key(self.seed), stream)

    def pick(self, quick: T, full: T) -> T:
        return full if self.full else quick

    @property
    def resolution(self) -> float:
        """The relative error that statistical checks must be able to see."""
        return self.pick(0.03, 0.01)


@dataclass(frozen=True)
class Claim:
    """One statement of a document as an object that can be checked again.

    ``check(form, trial)`` judges one form of the statement, and is given the printed form first:
    it may be a function, a number, whatever the check expects. Where the printed one fails, the
    corrected one is judged the same way. ``mutations`` are forms for which the verdict must come
    out otherwise: false ones of a claim that holds, true ones of a claim that fails.
    """

    id: str
    where: str
    statement: str
    kind: Kind
    verdict: Verdict
    """As recorded: what the check gave when the claim was entered."""
    check: Callable[[Any, Trial], Evidence] = field(repr=False)
    latex: str = ""
    proof: Proof = "stated there"
    printed: Any = None
    corrected: Any = None
    correction: str = ""
    """What is wrong with the printed form, in words."""
    correction_latex: str = ""
    remark: str = ""
    mutations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def paper(self) -> Paper:
        return self.id.partition(".")[0]  # pyright: ignore[reportReturnType]

    def trial(self, full: bool = False, seed: int = 0) -> Trial:
        """What this claim is drawn from: its own stream under each seed."""
        return Trial(zlib.crc32(f"{self.id}/{seed}".encode()), full)


class Register:
    """The claims of one module, in order.

    >>> known = Register()
    >>> @known.claim(id="news.sum", where="table 1", kind="numerical", verdict="holds",
    ...              statement="The parts make up the whole.", printed=sum,
    ...              mutations={"one part left out": lambda parts: sum(parts[1:])})
    ... def _(form, trial):
    ...     return identity(form([1, 2, 3]), 6)
    >>> known.claims[0].paper
    'news'
    """

    def __init__(self) -> None:
        self.claims: list[Claim] = []

    def claim(
        self, **fields: Any
    ) -> Callable[[Callable[[Any, Trial], Evidence]], Callable[[Any, Trial], Evidence]]:
        """A decorator for the check; ``fields`` are those of `Claim`."""

        def enter(check: Callable[[Any, Trial], Evidence]) -> Callable[[Any, Trial], Evidence]:
            made = Claim(check=check, **fields)
            _validate(made)
            if any(made.id == other.id for other in self.claims):
                raise ValueError(f"two claims have the id {made.id}")
            self.claims.append(made)
            return check

        return enter


def _validate(claim: Claim) -> None:
    given = {
        "paper": (claim.id.partition(".")[0], Paper),
        "kind": (claim.kind, Kind),
        "verdict": (claim.verdict, Verdict),
        "proof": (claim.proof, Proof),
    }
    for name, (value, allowed) in given.items():
        if value not in get_args(allowed):
            raise ValueError(
                f"{claim.id}: {name} must be one of {get_args(allowed)}, got {value!r}"
            )
    if (claim.verdict == "holds as corrected") != bool(claim.correction):
        raise ValueError(
            f"{claim.id}: a correction belongs to 'holds as corrected', and to it alone"
        )
    if claim.verdict != "open" and not claim.mutations:
        raise ValueError(f"{claim.id}: without a mutation nobody knows that the check can fail")
