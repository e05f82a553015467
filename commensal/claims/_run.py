"""Check claims in parallel processes."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from commensal._cores import available_cores
from commensal.claims._claim import Claim, Trial, Verdict
from commensal.claims._evidence import Evidence
from commensal.claims._registry import find


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of checking one claim."""

    id: str
    verdict: Verdict
    recorded: Verdict
    printed: Evidence
    corrected: Evidence | None
    seed: int
    full: bool
    seconds: float
    error: str = ""
    """Reason why there is no verdict, if the check itself broke."""

    @property
    def as_recorded(self) -> bool:
        """Whether the verdict is the recorded one, without an error."""
        return self.verdict == self.recorded and not self.error

    @property
    def evidence(self) -> Evidence:
        """Evidence on which the verdict rests."""
        return self.printed if self.corrected is None else self.corrected

    @property
    def comparisons(self) -> int:
        """Number of comparisons with a sample, on both forms."""
        return self.printed.comparisons + (self.corrected.comparisons if self.corrected else 0)


def judge(claim: Claim, trial: Trial) -> tuple[Verdict, Evidence, Evidence | None]:
    """Return the verdict, and the evidence on the printed and the corrected form."""
    printed = claim.check(claim.printed, trial)
    if printed.holds is not False:
        return ("open" if printed.holds is None else "holds"), printed, None
    if claim.corrected is None:
        return "fails", printed, None
    corrected = claim.check(claim.corrected, trial)
    verdicts: dict[bool | None, Verdict] = {
        True: "holds, restricted" if claim.restriction else "holds as corrected",
        False: "fails",
        None: "open",
    }
    return verdicts[corrected.holds], printed, corrected


def mutated(claim: Claim, name: str) -> Claim:
    """Replace the form on which a claim's verdict rests by one of its mutations."""
    form = claim.mutations[name]
    if claim.corrected is not None:
        return replace(claim, corrected=form)
    return replace(claim, printed=form)


def check_one(claim: Claim, *, full: bool = False, seed: int = 0) -> Finding:
    """Check one claim in this process.

    Parameters
    ----------
    claim : Claim
    full : bool
        Large samples and long searches; otherwise quick ones.
    seed : int
        Other seeds draw other instances and samples.
    """
    trial = claim.trial(full, seed)
    start = time.perf_counter()
    error = ""
    try:
        verdict, printed, corrected = judge(claim, trial)
    except Exception as problem:  # one broken check must not hide the others
        error = f"{type(problem).__name__}: {problem}"
        verdict, printed, corrected = "open", Evidence(None, error), None
    seconds = time.perf_counter() - start
    return Finding(
        claim.id, verdict, claim.verdict, printed, corrected, trial.seed, full, seconds, error
    )


def check(
    claims: Sequence[Claim], *, full: bool = False, seed: int = 0, jobs: int | None = None
) -> Iterator[Finding]:
    """Check claims, and yield each finding as soon as it is ready.

    Parameters
    ----------
    claims : sequence of Claim
        Of `commensal.claims.all_claims`: other processes find them by their ids.
    full : bool
        Large samples and long searches; otherwise all claims take less than a minute.
    seed : int
        The same seed gives the same numbers, whatever else is checked beside.
    jobs : int or None
        Processes; None for as many as there are cores, 1 for none but this one.

    Yields
    ------
    Finding
        In the order in which they end.
    """
    jobs = min(available_cores() if jobs is None else jobs, len(claims))
    if jobs <= 1:
        for claim in claims:
            yield check_one(claim, full=full, seed=seed)
        return
    # spawn: JAX has threads, which do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        todo = {pool.submit(_by_id, claim.id, full, seed): claim for claim in claims}
        try:
            for done in as_completed(todo):
                try:
                    yield done.result()
                except BrokenProcessPool:
                    yield _lost(todo[done], full, seed)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _by_id(name: str, full: bool, seed: int) -> Finding:
    return check_one(find(name), full=full, seed=seed)


def _lost(claim: Claim, full: bool, seed: int) -> Finding:
    error = "a process that checked claims died; check this one by itself (--id)"
    nothing = Evidence(None, error)
    seeded = claim.trial(full, seed).seed
    return Finding(claim.id, "open", claim.verdict, nothing, None, seeded, full, 0.0, error)


def count(findings: Sequence[Finding]) -> list[tuple[Verdict, int]]:
    """Count the claims of each verdict that occurs."""
    counts = Counter(finding.verdict for finding in findings)
    return [(verdict, counts[verdict]) for verdict in get_args(Verdict) if counts[verdict]]


def count_faults(claims: Sequence[Claim], findings: Sequence[Finding]) -> dict[str, int]:
    """Count what is found wrong in the papers, each error once.

    Parameters
    ----------
    claims : sequence of Claim
        Claims that were checked.
    findings : sequence of Finding
        Findings of these claims. One that is not as recorded does not count: its error is in
        question.

    Returns
    -------
    dict
        Numbers of errors that are "substantive", "misprint", "possibly extraction" and "wording".
    """
    sure = {finding.id for finding in findings if finding.as_recorded}
    kinds: tuple[str, ...] = ("substantive", "misprint", "possibly extraction", "wording")
    counts: dict[str, int] = dict.fromkeys(kinds, 0)
    for claim in claims:
        if claim.fault and claim.id in sure:
            counts[claim.fault if claim.doubt == "solid" else "possibly extraction"] += 1
    return counts


def record(claim: Claim, finding: Finding) -> dict[str, Any]:
    """Return a claim as ``commensal check --json`` prints it: plain numbers and words."""
    evidence: dict[str, Any] = {
        "seed": finding.seed,
        "effort": "full" if finding.full else "quick",
        "seconds": round(finding.seconds, 3),
        "printed": _plain(finding.printed),
    }
    if finding.corrected is not None:
        evidence["corrected"] = _plain(finding.corrected)
    if finding.error:
        evidence["error"] = finding.error
    return {
        "id": claim.id,
        "paper": claim.paper,
        "where": claim.where,
        "statement": claim.statement,
        "latex": claim.latex,
        "kind": claim.kind,
        "proof": claim.proof,
        "verdict": finding.verdict,
        "premises": list(claim.premises),
        "breaks": list(claim.breaks),
        "recorded": claim.verdict,
        "correction": claim.correction or None,
        "restriction": claim.restriction or None,
        "correction_latex": claim.correction_latex or None,
        "remark": claim.remark or None,
        "reading": claim.reading or None,
        "fault": claim.fault or None,
        "doubt": claim.doubt or None,
        "repeats": claim.repeats or None,
        "evidence": evidence,
    }


def _plain(evidence: Evidence) -> dict[str, Any]:
    made = asdict(evidence)
    made["numbers"] = {
        name: value if isinstance(value, (str, int)) else _finite(float(value))
        for name, value in evidence.numbers.items()
    }
    del made["pictures"]
    return made


def _finite(value: float) -> float | str:
    """Return a number, or its name as text if JSON cannot write it (infinity and NaN)."""
    return value if value - value == 0 else str(value)
