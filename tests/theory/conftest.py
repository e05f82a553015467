"""Programs of `commensal.theory` bring their own options; those of tests are called once."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _theory_is_called_once(compiled_at_once: None) -> None:
    pass
