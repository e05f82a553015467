"""Check claims and keep each finding on disk, so that others can be checked elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from commensal._checkpoint import Chunks, check_target, discard, fingerprint
from commensal._part import leave_part
from commensal.claims._claim import Claim
from commensal.claims._evidence import Evidence, Panel
from commensal.claims._run import Finding, check, record
from commensal.saving import write

_OF_ONE_CALL = "seconds"  # what differs between two calls with the same seed


def check_to_file(
    claims: Sequence[Claim],
    out: Path,
    *,
    full: bool = False,
    seed: int = 0,
    jobs: int | None = None,
    overwrite: bool = False,
) -> Iterator[Finding]:
    """Check claims as :func:`check` does, and write all that was found as JSON.

    Parameters
    ----------
    claims : sequence of Claim
    out : Path
        The file: what :func:`record` returns of each claim, but for the seconds. Until all are
        checked, findings wait in ``<out>.partial``, and the same call goes on from them.
    full, seed, jobs
        As for :func:`check`.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.

    Yields
    ------
    Finding
        Those found on disk, then the others in the order in which they end.

    Raises
    ------
    OutputFileError
        If ``out`` cannot be written, or ``<out>.partial`` holds something else.
    ValueError
        If ``out`` is there already.
    """
    check_target(out, (".json",))
    if overwrite:
        discard(out)
    elif out.exists():
        raise ValueError(f"{str(out)!r} exists: choose another output, or --overwrite it")
    described = {"claims": [claim.id for claim in claims], "full": full, "seed": seed}
    stored = Chunks(out, described, fingerprint(described), "check")
    mine = set(stored.mine(described["claims"]))
    known = [claim for claim in claims if claim.id in mine and claim.id in stored]
    todo = [claim for claim in claims if claim.id in mine and claim.id not in stored]
    found: dict[str, Finding] = {}
    for claim in known:
        found[claim.id] = _from_text(str(stored.read(claim.id)["finding"]))
        yield found[claim.id]
    for finding in check(todo, full=full, seed=seed, jobs=jobs) if todo else ():
        text = json.dumps(asdict(finding), default=_plain)
        if finding.seconds > 0:  # else its process died
            stored.save(finding.id, {"finding": np.array(text)})
        found[finding.id] = _from_text(text)  # what others read from the disk, also here
        yield found[finding.id]
    leave_part()
    records = [record(claim, found[claim.id]) for claim in claims]
    for one in records:
        del one["evidence"][_OF_ONE_CALL]
    write(out, (json.dumps(records, indent=1, allow_nan=False) + "\n").encode())
    stored.remove()


def _plain(value: Any) -> Any:
    """Turn what NumPy or JAX has into what JSON has."""
    return np.asarray(value).tolist()


def _from_text(text: str) -> Finding:
    told = json.loads(text)
    told["printed"] = _evidence(told["printed"])
    told["corrected"] = told["corrected"] and _evidence(told["corrected"])
    return Finding(**told)


def _evidence(told: Mapping[str, Any]) -> Evidence:
    pictures = [Panel(**panel) for panel in told["pictures"]]
    return Evidence(**{**told, "pictures": tuple(pictures)})
