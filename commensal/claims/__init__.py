r"""Claims of the papers as objects that one command checks again.

A claim says where it stands, what it states, how it is checked, and what came out. Its check
judges one *form* of the statement (a function, a number): the printed one first and, where that
fails, the corrected one. So a verdict is never written down by hand; what is recorded is only what
the check gave before, and `commensal check` ends with exit code 1 where that has changed.

To add a claim, write in the module of its paper::

    @known.claim(
        id="interactive.thm1_covariance", where="Theorem 1", kind="numerical",
        verdict="holds as corrected", proof="proved there", fault="misprint", doubt="solid",
        premises=("linear least squares", "equal noise"), breaks=("none",),
        statement="Given the initial data, the estimates' covariance obeys a linear recursion.",
        latex=r"C_t = Q_t (\sigma^2 S_t^+ + C_{t-1}) Q_t", printed=lambda q, inner: q @ inner @ q,
        correction="The last factor is transposed.", corrected=lambda q, inner: q @ inner @ q.T,
        mutations={"twice": lambda q, inner: 2 * q @ inner @ q.T},
    )
    def _covariance(form, trial):
        q, noise, truth = instance(trial.rng())
        return identity(form(q, noise), truth)

and see what ``commensal check --id interactive.thm1_covariance`` says. `identity`, `symbolic`,
`statistical` and `attack` make the evidence; the tests put each mutation in the place of the form
and see that the verdict changes.

``premises`` names what the claim rests on, in the form that holds (`PREMISES` has a sentence for
each), and ``breaks`` which of them does not hold where the printed form fails: "none" if a formula
is wrong by itself.

A claim that fails only at an edge says so in ``restriction`` and holds, restricted. What is found
wrong in a paper has a ``fault`` (its kind) and a ``doubt`` (the papers were read as extracted text:
is the error theirs?); `count_faults` counts them. An error that another claim has already
(``repeats``) and a statement that is our reading (``reading``) do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from commensal.claims._claim import (
    SYMBOLS,
    Claim,
    Doubt,
    Fault,
    Kind,
    Paper,
    Proof,
    Register,
    Trial,
    Verdict,
    premises_in_words,
)
from commensal.claims._evidence import (
    SEEN,
    Evidence,
    Panel,
    Z,
    at_most,
    identity,
    stated,
    statistical,
    symbolic,
)
from commensal.claims._kept import check_to_file
from commensal.claims._premises import PREMISES
from commensal.claims._registry import all_claims, find
from commensal.claims._run import (
    Finding,
    check,
    check_one,
    count,
    count_faults,
    judge,
    mutated,
    record,
)
from commensal.claims._search import attack

__all__ = [
    "PREMISES",
    "SEEN",
    "SYMBOLS",
    "Claim",
    "Doubt",
    "Evidence",
    "Fault",
    "Finding",
    "Kind",
    "Panel",
    "Paper",
    "Proof",
    "Register",
    "Trial",
    "Verdict",
    "Z",
    "all_claims",
    "at_most",
    "attack",
    "check",
    "check_one",
    "check_to_file",
    "count",
    "count_faults",
    "find",
    "identity",
    "judge",
    "mutated",
    "premises_in_words",
    "record",
    "report",
    "stated",
    "statistical",
    "symbolic",
]


def report(claims: Sequence[Claim], findings: Mapping[str, Finding]) -> str:
    """Make a self-contained HTML page: formulas, numbers, a figure per statistical claim.

    Parameters
    ----------
    claims : sequence of Claim
    findings : mapping
        By id, of all these claims.
    """
    from commensal.claims._report import html  # matplotlib takes a while

    return html(claims, findings)
