"""A claim: the statement of a document, its check, and the recorded verdict."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from commensal.claims._evidence import Evidence
from commensal.claims._premises import NONE, PREMISES

Paper = Literal["interactive", "pollination", "webdynamics", "diversity", "news", "commensal"]
"""Short name of the document that a claim is in; ``commensal`` is this project itself."""
Kind = Literal["symbolic", "numerical", "statistical", "search", "published"]
"""Kind of a check: algebra in symbols, equality of numbers, samples beside expected values, a
search for a counterexample, or arithmetic on numbers that a paper prints."""
Verdict = Literal["holds", "holds, restricted", "holds as corrected", "fails", "open"]
"""Result of a check: ``holds, restricted`` fails at an edge alone, and ``holds as corrected`` means
that the printed form fails the check which the corrected one passes."""
Proof = Literal[
    "proved there", "sketched there", "stated there", "measured there", "proved here", "open"
]
"""Document in which a claim is proved: ``there`` is the paper, ``here`` this project's
documentation."""

Fault = Literal["", "substantive", "misprint", "wording"]
"""Kind of error in a paper: what it concludes is not so; a formula or number is printed otherwise
than it must be, and no conclusion suffers; a sentence says too much, and what is meant holds."""
Doubt = Literal["", "solid", "may be the text's extraction"]
"""Whether an error is the paper's. ``solid``: it is printed several times, something that follows
is wrong too, or no lost mark explains it. Otherwise one mark (a superscript, an underline, a
bracket, a bold face) that got lost when the text was extracted from the page is enough."""

SYMBOLS: Mapping[Verdict, str] = {
    "holds": "✓",
    "holds, restricted": "◐",
    "holds as corrected": "✎",
    "fails": "✗",
    "open": "?",
}
"""Mark of each verdict, as the command line and the reports print it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """Conditions of one check: its own seed, and whether it may take long."""

    seed: int
    full: bool = False

    def rng(self, stream: int = 0) -> np.random.Generator:
        """Return a NumPy generator for one of the random streams of this trial."""
        return np.random.default_rng([self.seed, stream])

    def key(self, stream: int = 0) -> Any:
        """Return a JAX key for one of the random streams of this trial."""
        import jax

        return jax.random.fold_in(jax.random.key(self.seed), stream)

    def pick(self, quick: T, full: T) -> T:
        """Return ``full`` in a full check, else ``quick``."""
        return full if self.full else quick

    @property
    def resolution(self) -> float:
        """Relative error that statistical checks must be able to see."""
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
    """Verdict that the check gave when the claim was entered."""
    premises: tuple[str, ...]
    """Premises that the claim rests on in the form that holds, by their names in `PREMISES`; or
    "none" alone."""
    check: Callable[[Any, Trial], Evidence] = field(repr=False)
    latex: str = ""
    proof: Proof = "stated there"
    printed: Any = None
    corrected: Any = None
    """Form that holds where the printed one does not: corrected, or restricted."""
    correction: str = ""
    """Error in the printed form, in words."""
    restriction: str = ""
    """Edge at which the printed form fails, in words, and where it holds."""
    correction_latex: str = ""
    remark: str = ""
    reading: str = ""
    """Part of the statement that the paper does not say: what this project read into it."""
    fault: Fault = ""
    """Kind of error found in the paper."""
    doubt: Doubt = ""
    """Whether that error is the paper's, or may be the extracted text's."""
    breaks: tuple[str, ...] = ()
    """Premises that do not hold where the printed form fails; "none" if it fails under all."""
    repeats: str = ""
    """Id of the claim whose error this one repeats, so that it is counted once."""
    mutations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def paper(self) -> Paper:
        """Name of the paper, the first part of the id."""
        return self.id.partition(".")[0]  # pyright: ignore[reportReturnType]

    def trial(self, full: bool = False, seed: int = 0) -> Trial:
        """Return the trial of this claim, with a random stream of its own under each seed."""
        return Trial(zlib.crc32(f"{self.id}/{seed}".encode()), full)


def premises_in_words(claim: Claim) -> list[str]:
    r"""Say what a claim rests on, and what does not hold where its printed form fails.

    Examples
    --------
    >>> from commensal.claims import find
    >>> print(*premises_in_words(find("interactive.alpha_fraction")), sep="\n")
    Rests on: equal sizes (All datasets have the same number of points.)
    Not so where the printed form fails: equal sizes.
    >>> premises_in_words(find("interactive.lemma1_span"))
    ['Rests on no premise.']
    """
    told = "; ".join(f"{name} ({PREMISES[name]})" for name in claim.premises if name in PREMISES)
    lines = [f"Rests on: {told}" if told else "Rests on no premise."]
    if claim.breaks == NONE:
        lines.append("The printed form fails although all of this is so.")
    elif claim.breaks:
        lines.append(f"Not so where the printed form fails: {', '.join(claim.breaks)}.")
    return lines


class Register:
    """Register of the claims of one module, in order.

    >>> known = Register()
    >>> @known.claim(id="news.sum", where="table 1", kind="numerical", verdict="holds",
    ...              premises=("printed numbers",),
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
        """Decorate the check of a claim and enter it; ``fields`` are those of `Claim`."""

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
    for verdict, name in (
        ("holds as corrected", "correction"),
        ("holds, restricted", "restriction"),
    ):
        if (claim.verdict == verdict) != bool(getattr(claim, name)):
            raise ValueError(
                f"{claim.id}: the verdict '{verdict}' needs a {name}, and no other has one"
            )
    _validate_premises(claim)
    _validate_fault(claim)
    if claim.verdict != "open" and not claim.mutations:
        raise ValueError(f"{claim.id}: without a mutation nothing shows that the check can fail")


def _validate_premises(claim: Claim) -> None:
    for name, given, known in (
        ("premises", claim.premises, PREMISES),
        ("breaks", claim.breaks, claim.premises),
    ):
        unknown = [one for one in given if one not in known]
        if unknown and given != NONE:
            source = "PREMISES" if name == "premises" else "the claim's premises"
            raise ValueError(
                f"{claim.id}: {name} must be names of {source}, or 'none' alone, got {unknown}"
            )
    if not claim.premises:
        raise ValueError(f"{claim.id}: premises must name one or more, or 'none'")
    wrong = claim.verdict not in ("holds", "open")
    if wrong != bool(claim.breaks):
        raise ValueError(
            f"{claim.id}: a claim whose printed form fails says in breaks which premise does not "
            "hold there, or 'none'; no other does"
        )


def _validate_fault(claim: Claim) -> None:
    given = {"fault": (claim.fault, Fault), "doubt": (claim.doubt, Doubt)}
    for name, (value, allowed) in given.items():
        if value not in get_args(allowed):
            raise ValueError(
                f"{claim.id}: {name} must be one of {get_args(allowed)}, got {value!r}"
            )
    if bool(claim.fault) != bool(claim.doubt):
        raise ValueError(f"{claim.id}: fault and doubt go together; give both or neither")
    if claim.doubt == "may be the text's extraction":
        if claim.fault != "misprint" or claim.verdict != "holds":
            raise ValueError(
                f"{claim.id}: what may be the text's extraction is a misprint of a claim that "
                "holds; print the form that the paper needs, and make the text's one a mutation"
            )
        return
    wrong = claim.paper != "commensal" and claim.verdict not in ("holds", "open")
    if wrong != bool(claim.fault or claim.repeats) or (claim.fault and claim.repeats):
        raise ValueError(
            f"{claim.id}: a paper's claim that does not hold as printed needs either a fault or "
            "the claim whose fault it repeats; no other has one"
        )
    if claim.reading and claim.fault:
        raise ValueError(f"{claim.id}: what is our reading is no fault of the paper; leave it out")
