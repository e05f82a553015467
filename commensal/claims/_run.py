"""Check claims, side by side in processes of their own."""

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


@dataclass(frozen=True, slots=True)
class Finding:
    """What checking one claim gave."""

    id: str
    verdict: Verdict
    recorded: Verdict
    printed: Evidence
    corrected: Evidence | None
    seed: int
    full: bool
    seconds: float
    error: str = ""
    """Why there is no verdict: the check itself broke."""

    @property
    def as_recorded(self) -> bool:
        return self.verdict == self.recorded and not self.error

    @property
    def evidence(self) -> Evidence:
        """That which the verdict rests on."""
        return self.printed if self.corrected is None else self.corrected

    @property
    def comparisons(self) -> int:
        return self.printed.comparisons + (self.corrected.comparisons if self.corrected else 0)


def judge(claim: Claim, trial: Trial) -> tuple[Verdict, Evidence, Evidence | None]:
    """The verdict, and the evidence on the printed and the corrected form."""
    printed = claim.check(claim.printed, trial)
    if printed.holds is not False:
        return ("open" if printed.holds is None else "holds"), printed, None
    if claim.corrected is None:
        return "fails", printed, None
    corrected = claim.check(claim.corrected, trial)
    verdicts: dict[bool | None, Verdict] = {
        True: "holds as corrected",
        False: "fails",
        None: "open",
    }
    return verdicts[corrected.holds], printed, corrected


def mutated(claim: Claim, name: str) -> Claim:
    """The claim with one of its mutations in the place of the form that the verdict rests on."""
    form = claim.mutations[name]
    if claim.corrected is not None:
        return replace(claim, corrected=form)
    return replace(claim, printed=form)


def check_one(claim: Claim, *, full: bool = False, seed: int = 0) -> Finding:
    """Check one claim here and now.

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
    """Check claims, and give each finding as soon as it is there.

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
    from commensal.claims import find

    return check_one(find(name), full=full, seed=seed)


def _lost(claim: Claim, full: bool, seed: int) -> Finding:
    error = "a process that checked claims died; check this one by itself (--id)"
    nothing = Evidence(None, error)
    seeded = claim.trial(full, seed).seed
    return Finding(claim.id, "open", claim.verdict, nothing, None, seeded, full, 0.0, error)


def count(findings: Sequence[Finding]) -> list[tuple[Verdict, int]]:
    """How many claims got which verdict, of those that occur."""
    counts = Counter(finding.verdict for finding in findings)
    return [(verdict, counts[verdict]) for verdict in get_args(Verdict) if counts[verdict]]


def record(claim: Claim, finding: Finding) -> dict[str, Any]:
    """What ``commensal check --json`` prints of a claim: plain numbers and words."""
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
        "recorded": claim.verdict,
        "correction": claim.correction or None,
        "correction_latex": claim.correction_latex or None,
        "remark": claim.remark or None,
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
    """JSON knows neither infinity nor nan."""
    return value if value - value == 0 else str(value)
