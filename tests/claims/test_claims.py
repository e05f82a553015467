"""Every claim comes out as recorded, and none that is perturbed does."""

from __future__ import annotations

import pytest

from commensal.claims import PREMISES, all_claims, check_one, judge, mutated

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


def test_every_claim_names_premises_and_every_premise_has_a_claim():
    for claim in CLAIMS:
        assert claim.premises == ("none",) or set(claim.premises) <= set(PREMISES), claim.id
        assert len(set(claim.premises)) == len(claim.premises) > 0, claim.id
        wrong = claim.verdict not in ("holds", "open")
        assert bool(claim.breaks) is wrong, claim.id
        assert claim.breaks in ((), ("none",)) or set(claim.breaks) <= set(claim.premises), claim.id
    assert {name for claim in CLAIMS for name in claim.premises} - {"none"} == set(PREMISES)
    for name, said in PREMISES.items():
        assert said.endswith(".")
        assert name.islower() or name.startswith("Gaussian") or "Gram" in name


# what statements say in words
SAID = {
    "fixed prompts": "fixed prompts",
    "everybody reads everybody": "all read alike",
    "each model that is read reads itself": "each rereads itself",
    "W is normal": "normal network",
    "W normal": "normal network",
    "separated components": "separated components",
    "components far apart": "separated components",
    "one number is estimated": "one number",
    "multiples of the identity": "isotropic data",
    "draws with replacement": "draws with replacement",
    "without real data": "no human data later",
    "no human data after": "no human data later",
    "without human data": "no human data later",
    "full rank": "full-rank Gram matrices",
    "repeat the word frequencies": "repeats frequencies",
    "everything is kept": "everything kept",
    "all points are kept": "everything kept",
    "fresh human data": "fresh human data",
    "two gaussian": "Gaussian laws",
    "label the same features": "same features",
}
NOT_SO = {  # where they speak of another case, which the statement is compared with
    ("diversity.specialisation", "two gaussian"),
    ("commensal.redrawn_mean", "fixed prompts"),
    ("commensal.memory_network", "everybody reads everybody"),
    ("commensal.memory_growth", "everything is kept"),
    ("commensal.memory_bounded", "without real data"),
}


def test_premises_that_a_statement_says_are_among_its_premises():
    seen = set()
    for claim in CLAIMS:
        statement = " ".join(claim.statement.lower().split())
        for words, premise in SAID.items():
            if words.lower() in statement and (claim.id, words) not in NOT_SO:
                assert premise in claim.premises, (claim.id, words)
                seen.add(words)
    assert len(seen) > 15


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
