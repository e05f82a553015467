"""Most programs of simulations are called once or twice in tests.

Those whose bits are compared use `compiled_as_for_users`.
"""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _simulations_are_called_once(compiled_at_once: None) -> None:
    pass
