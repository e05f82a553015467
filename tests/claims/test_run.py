"""Verdicts, processes, reports: on claims made for the purpose."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from jaxtyping import TypeCheckError

from commensal import claims
from commensal.claims import Register, check_one, identity, judge, mutated, stated

EXTRACTION = "may be the text's extraction"
SOLID = {"fault": "wording", "doubt": "solid"}


def register() -> Register:
    known = Register()
    common = {"where": "sec. 1", "kind": "numerical", "statement": "One and one are two."}
    common["premises"] = ("one number",)

    def entered(name, verdict, printed, mutation, **more):
        fields = {"id": f"news.{name}", "verdict": verdict, "printed": printed, **common, **more}
        fields |= {"breaks": ("none",)} if verdict not in ("holds", "open") else {}

        @known.claim(**fields, mutations={"other": mutation})
        def _(form, trial):
            return stated(None, "cannot tell") if form is None else identity(form, 2.0)

    entered("true", "holds", 2.0, 2.1)
    solid = {"fault": "misprint", "doubt": "solid"}
    corrected = {"corrected": 2.0, "correction": "Not three.", **solid}
    entered("misprint", "holds as corrected", 3.0, 2.1, **corrected)
    narrowed = {"corrected": 2.0, "restriction": "But for three.", "repeats": "news.misprint"}
    entered("edge", "holds, restricted", 3.0, 2.1, **narrowed)
    entered("read", "holds", 2.0, 3.0, fault="misprint", doubt="may be the text's extraction")
    entered("ours", "holds", 2.0, 3.0, reading="That one is meant is our reading.")
    entered("false", "fails", 3.0, 2.0, fault="substantive", doubt="solid")
    entered("unknown", "open", None, 2.0)
    return known


@pytest.mark.parametrize("claim", register().claims, ids=lambda claim: claim.id)
def test_verdicts(claim):
    finding = check_one(claim)
    assert finding.verdict == claim.verdict
    assert finding.as_recorded
    assert judge(mutated(claim, "other"), claim.trial())[0] != claim.verdict


def test_a_broken_check_is_no_verdict():
    known = Register()
    common = {"where": "1", "kind": "numerical", "statement": "s", "verdict": "open"}
    common["premises"] = ("none",)

    @known.claim(id="news.broken", **common)
    def _(form, trial):
        raise ZeroDivisionError("by zero")

    finding = check_one(known.claims[0])
    assert finding.error == "ZeroDivisionError: by zero"
    assert not finding.as_recorded  # although "open" is what is recorded


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": "someone.else"}, "paper must be one of"),
        ({"verdict": "true"}, "verdict"),
        ({"mutations": {}}, "without a mutation"),
        ({"correction": "Better so."}, "needs a correction, and no other has one"),
        ({"restriction": "But for three."}, "needs a restriction, and no other has one"),
        ({"fault": "misprint"}, "fault and doubt go together"),
        ({"fault": "misprint", "doubt": "solid"}, "needs either a fault"),
        ({"repeats": "news.false"}, "needs either a fault"),
        ({"verdict": "fails", "breaks": ("none",)}, "needs either a fault"),
        ({"fault": "wording", "doubt": EXTRACTION}, "is a misprint of a claim that holds"),
        (
            {
                "verdict": "fails",
                "breaks": ("none",),
                "fault": "misprint",
                "doubt": EXTRACTION,
            },
            "is a misprint of",
        ),
        (
            {"verdict": "fails", "breaks": ("none",), "reading": "One is meant."} | SOLID,
            "what is our reading is no fault",
        ),
        ({"id": "news.true"}, "two claims have the id"),
        ({"premises": ()}, "premises must name one or more"),
        ({"premises": ("one numbre",)}, r"got \['one numbre'\]"),
        ({"premises": ("none", "one number")}, r"got \['none'\]"),
        ({"breaks": ("none",)}, "no other does"),
        ({"verdict": "fails"} | SOLID, "says in breaks which premise"),
        ({"verdict": "fails", "breaks": ("one model",)} | SOLID, "names of the claim's premises"),
    ],
)
def test_claims_that_are_not_entered(wrong, said):
    fields = {
        "id": "news.new",
        "where": "1",
        "kind": "numerical",
        "statement": "s",
        "verdict": "holds",
        "mutations": {"other": 1},
        "premises": ("one number",),
    }
    # the annotations, checked in tests, may be faster
    with pytest.raises((ValueError, TypeCheckError), match=said):
        register().claim(**(fields | wrong))(lambda form, trial: identity(1, 1))


def test_processes_find_the_same():
    chosen = claims.all_claims()[:3]
    here = {f.id: f for f in claims.check(chosen, jobs=1)}
    there = {f.id: f for f in claims.check(chosen, jobs=2)}
    assert here.keys() == there.keys()
    for name, finding in here.items():
        assert finding.verdict == there[name].verdict
        assert finding.printed == there[name].printed


def test_what_is_found_wrong_counts_once():
    chosen = register().claims
    found = [check_one(claim) for claim in chosen]
    counts = {"substantive": 1, "misprint": 1, "possibly extraction": 1, "wording": 0}
    assert claims.count_faults(chosen, found) == counts
    # an error that the check does not confirm is none
    unlike = [replace(f, verdict="holds") if f.id == "news.false" else f for f in found]
    assert claims.count_faults(chosen, unlike) == counts | {"substantive": 0}


def test_records_are_plain_json():
    for claim in register().claims:
        record = claims.record(claim, check_one(claim))
        again = json.loads(json.dumps(record, allow_nan=False))
        assert again == record
        assert {"id", "paper", "where", "statement", "verdict", "evidence"} <= record.keys()
        assert (record["fault"], record["doubt"]) == (claim.fault or None, claim.doubt or None)


def test_report_stands_alone():
    chosen = register().claims
    page = claims.report(chosen, {c.id: check_one(c) for c in chosen})
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    for claim in chosen:
        assert f'id="{claim.id}"' in page
        assert page.count(f"--id {claim.id} ") == 1
    said_of_premises = ("Rests on: one number", "although all of this is so")
    for said in (
        *("Not three.", "But for three.", "That one is meant is our reading.", "solid"),
        *said_of_premises,
    ):
        assert said in page
    assert "1 substantive, 1 misprint, 1 possibly extraction, 0 wording" in page
    assert page.count(EXTRACTION.replace("'", "&#39;")) == 1
    # one checkbox a tone: three verdicts in two would hide each other's cards
    boxes = re.findall(r"<input[^>]*checkbox[^>]*>", page)
    assert len(boxes) == 4 == len(set(boxes))
    assert "Not as recorded" not in page


def test_report_escapes_what_it_is_given():
    known = Register()
    common = {"id": "news.x", "where": "1", "kind": "numerical", "verdict": "open"}
    common["premises"] = ("none",)

    @known.claim(**common, statement="a < b & <script>")
    def _(form, trial):
        return stated(None, "<b>")

    page = claims.report(known.claims, {"news.x": check_one(known.claims[0])})
    assert "a &lt; b &amp; &lt;script&gt;" in page
    assert "<b>" not in page


def test_unknown_ids_name_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean interactive\.thm1_covariance\?"):
        claims.find("interactive.thm1_covarience")
