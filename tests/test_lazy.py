"""Doors of the package: they open lazily, and Tab completes what stands behind them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import commensal

PROCESSES = [f"commensal.sims.{name}" for name in commensal.sims.__all__]
DOORS = ["commensal", "commensal.theory", "commensal.sims", "commensal.sweep", "commensal.llm"]


@pytest.mark.parametrize("door", DOORS)
def test_a_door_costs_nothing_and_shows_what_it_has(door: str) -> None:
    program = f"""
import sys
import {door}
slow = {{"jax", "torch", "transformers", "matplotlib", "pandas", "xarray"}} & set(sys.modules)
assert not slow, f"imported: {{slow}}"
assert set({door}.__all__) <= set(dir({door})), dir({door})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_of_a_simulation_waits_for_no_simulator() -> None:
    program = "import sys; from commensal.cli import app; app(standalone_mode=False); "
    program += "assert not {'jax', 'xarray'} & set(sys.modules)"
    for process in commensal.sims.__all__:
        args = [sys.executable, "-c", program, "simulate", process, "--help"]
        done = subprocess.run(args, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "--replicates" in done.stdout


@pytest.mark.parametrize("door", [*DOORS, *PROCESSES])
def test_everything_that_is_offered_is_there(door: str) -> None:
    module = sys.modules[door] if door in sys.modules else __import__(door, fromlist=["x"])
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'theorie'"):
        commensal.theorie  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
