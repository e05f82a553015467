"""Texts of one's own: read them, measure them as data of the theory, audit them against human ones.

>>> from commensal import texts
>>> texts.name_of("data/lab.jsonl.gz")
'lab'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.texts._documents import documents, name_of
    from commensal.texts.auditing._audit import Audit, audit, conditions
    from commensal.texts.measuring._measure import Measurement, measure, read_system

__all__ = [
    "Audit",
    "Measurement",
    "audit",
    "conditions",
    "documents",
    "measure",
    "name_of",
    "read_system",
]

_PLACES = {
    "Audit": "commensal.texts.auditing._audit",
    "Measurement": "commensal.texts.measuring._measure",
    "audit": "commensal.texts.auditing._audit",
    "conditions": "commensal.texts.auditing._audit",
    "documents": "commensal.texts._documents",
    "measure": "commensal.texts.measuring._measure",
    "name_of": "commensal.texts._documents",
    "read_system": "commensal.texts.measuring._measure",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
