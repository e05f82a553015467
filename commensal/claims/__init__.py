r"""Every claim of the papers as an object that is checked again by one command.

A claim says where it stands, what it states, how it is checked, and what came out. Its check
judges one *form* of the statement (a function, a number): the printed one first and, where that
fails, the corrected one. So a verdict is never written down by hand; what is recorded is only what
the check gave before, and `commensal check` ends with exit code 1 where that has changed.

To add a claim, write in the module of its paper::

    @known.claim(
        id="interactive.thm1_covariance", where="Theorem 1", kind="numerical",
        verdict="holds as corrected", proof="proved there",
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
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from commensal.claims._claim import SYMBOLS, Claim, Kind, Paper, Proof, Register, Trial, Verdict
from commensal.claims._evidence import (
    SEEN,
    Evidence,
    Picture,
    Z,
    at_most,
    identity,
    stated,
    statistical,
    symbolic,
)
from commensal.claims._run import Finding, check, check_one, count, judge, mutated, record
from commensal.claims._search import attack

__all__ = [
    "SEEN",
    "SYMBOLS",
    "Claim",
    "Evidence",
    "Finding",
    "Kind",
    "Paper",
    "Picture",
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
    "count",
    "find",
    "identity",
    "judge",
    "mutated",
    "record",
    "report",
    "stated",
    "statistical",
    "symbolic",
]


@cache
def all_claims() -> tuple[Claim, ...]:
    """All claims, paper by paper.

    Examples
    --------
    >>> sorted({claim.kind for claim in all_claims()})
    ['numerical', 'published', 'search', 'statistical', 'symbolic']
    """
    from commensal.claims import _registry

    return _registry.collect()


def find(name: str) -> Claim:
    """The claim with this id.

    Raises
    ------
    ValueError
        If there is none; it names the nearest.
    """
    import difflib

    known = {claim.id: claim for claim in all_claims()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1, 0.3)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"there is no claim {name!r}{hint} (commensal check lists them all)")


def report(claims: Sequence[Claim], findings: Mapping[str, Finding]) -> str:
    """One HTML page that needs nothing else: formulas, numbers, a figure per statistical claim.

    Parameters
    ----------
    claims : sequence of Claim
    findings : mapping
        By id, of all these claims.
    """
    from commensal.claims._report import html  # matplotlib takes a while

    return html(claims, findings)
