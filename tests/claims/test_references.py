"""Claims that a remark names exist."""

from __future__ import annotations

import re

from commensal.claims import Paper, all_claims


def test_named_claims_exist():
    known = {claim.id for claim in all_claims()}
    names = re.compile(rf"\b(?:{'|'.join(Paper.__args__)})\.[a-z][a-z0-9_]+")
    for claim in all_claims():
        said = f"{claim.statement} {claim.correction} {claim.remark}"
        modules = {name for name in names.findall(said) if name.startswith("commensal.theory")}
        assert set(names.findall(said)) - modules <= known, claim.id
