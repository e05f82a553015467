"""Every claim comes out as recorded, and none that is perturbed does."""

from __future__ import annotations

import pytest

from commensal.claims import all_claims, check_one, judge, mutated

CLAIMS = all_claims()
PERTURBED = [(claim, name) for claim in CLAIMS for name in claim.mutations]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_as_recorded(claim):
    finding = check_one(claim)
    assert not finding.error
    assert finding.verdict == claim.verdict, finding
    if claim.kind == "statistical":
        assert finding.evidence.pictures
    assert finding.evidence.numbers


@pytest.mark.parametrize(
    ("claim", "name"), PERTURBED, ids=[f"{claim.id}: {name}" for claim, name in PERTURBED]
)
def test_perturbed_claims_come_out_otherwise(claim, name):
    verdict, printed, corrected = judge(mutated(claim, name), claim.trial())
    assert verdict != claim.verdict
    # because the check said no (or, of what fails, yes): not because it could not tell
    evidence = corrected or printed
    assert evidence.holds is (claim.verdict == "fails")


def test_there_is_one_of_each_kind():
    assert {claim.kind for claim in CLAIMS} == {
        "symbolic",
        "numerical",
        "statistical",
        "search",
        "published",
    }
    assert {claim.verdict for claim in CLAIMS} == {
        "holds",
        "holds, restricted",
        "holds as corrected",
        "fails",
        "open",
    }


def test_corrections_and_restrictions_are_shown_failing_first():
    for claim in CLAIMS:
        if claim.verdict in ("holds as corrected", "holds, restricted"):
            assert claim.check(claim.printed, claim.trial()).holds is False
