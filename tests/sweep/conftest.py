"""Most programs of grids are called once or twice in tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _sweeps_are_called_once(compiled_at_once: None) -> None:
    pass
