"""How programs of JAX are compiled in tests: most without optimisation, as they are called once.

Half of the time of such tests would go into optimising. Tests of programs as users have them, and
those that compare bits with a process that knows nothing of this, use `compiled_as_for_users`, or
leave out `compiled_at_once` in their module by a fixture of that name which does nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from jax._src import compiler

_OPTIONS = compiler.get_compile_options
_ASKED = "COMMENSAL_TESTS_AT_ONCE"  # tells the processes of tests/forked.py
_MAPPED = 15_000  # areas of memory; Linux allows a process 65,530 (vm.max_map_count)
_kept = {"as for users": True}
_asking = threading.local()  # sweeps compile in several threads


def asked() -> None:
    """Compile in this process as in the one that began it."""
    if os.environ.get(_ASKED):
        compiler.get_compile_options = _quick


def _quick(*args: Any, env_options_overrides: Any = None, **kwargs: Any) -> Any:
    from commensal._compiled import accepted

    if not getattr(_asking, "now", False):  # else it is compiled to see what is accepted
        _asking.now = True
        try:
            env_options_overrides = accepted(False)
        finally:
            _asking.now = False
    return _OPTIONS(*args, env_options_overrides=env_options_overrides, **kwargs)


@pytest.fixture(autouse=True, scope="module")
def compiled_at_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compile without optimisation what a module's tests call, in their own processes too.

    Examples in docstrings are compiled as for users, who are told that some bits are equal.
    """
    if Path(__file__).parent not in request.path.parents:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "get_compile_options", _quick)
        patch.setenv(_ASKED, "1")
        yield


@pytest.fixture
def compiled_as_for_users() -> Iterator[None]:
    """Compile with JAX's own options, and those of `commensal._compiled`."""
    jax.clear_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "get_compile_options", _OPTIONS)
        patch.delenv(_ASKED, raising=False)
        yield
    jax.clear_caches()


@pytest.fixture(autouse=True, scope="module")
def _few_programs(compiled_at_once: None) -> Iterator[None]:
    """Forget compiled programs where they are too many, or compiled in another way.

    Else some of a module's were optimised and some not, by what ran before, and bits differed. Each
    maps memory of its own, some hundreds of them tens of thousands of areas; XLA's compiler crashes
    where it gets none.
    """
    as_for_users = compiler.get_compile_options is _OPTIONS
    if _kept["as for users"] != as_for_users:
        jax.clear_caches()
    _kept["as for users"] = as_for_users
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > _MAPPED:
        jax.clear_caches()
