"""What every test runs under: checked shape annotations, reproducible examples, no display."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

# Programs are compiled once for all workers, and commands that tests start find them too. To be
# set before JAX is imported.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Kernels of numba run for a moment here: compiled with less care, in two thirds of the time, and
# kept apart from those that users run.
os.environ.setdefault("NUMBA_OPT", "1")
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".numba_cache"))

import hypothesis
import jax
import jaxtyping
import pytest
from jax._src import compiler

from tests.annotations import checked

if "commensal" in sys.modules:
    raise RuntimeError("commensal was imported before its shape annotations could be checked")
jaxtyping.jaxtyped = checked  # what the hook puts before each function
jaxtyping.install_import_hook("commensal", "beartype.beartype")

os.environ["MPLBACKEND"] = "Agg"

# Looking for cycles among the millions of objects that imports, traced programs and tests keep
# takes up to an eighth of the time.
gc.set_threshold(100_000, 50, 100)

# The first call of a jitted function compiles it, so the time of an example says nothing. In CI
# the same examples are drawn every time; elsewhere new ones are, and failures are remembered.
hypothesis.settings.register_profile("commensal", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "commensal-ci",
    hypothesis.settings.get_profile("commensal"),
    derandomize=True,
    database=None,
)
hypothesis.settings.load_profile("commensal-ci" if os.environ.get("CI") else "commensal")


def pytest_collection_finish() -> None:
    gc.freeze()


_MAPPED = 15_000  # areas of memory; Linux allows a process 65,530 (vm.max_map_count)
_kept: dict[str, bool] = {"unoptimised": False}


@pytest.fixture(autouse=True, scope="module")
def _few_programs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget compiled programs where they are too many, or compiled in another way.

    Else some of a module's were optimised and some not, by what ran before, and bits differed. Each
    maps memory of its own, some hundreds of them tens of thousands of areas; XLA's compiler crashes
    where it gets none.
    """
    unoptimised = "compiled_at_once" in request.fixturenames
    if _kept["unoptimised"] != unoptimised:
        jax.clear_caches()
    _kept["unoptimised"] = unoptimised
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > _MAPPED:
        jax.clear_caches()


_OPTIONS = compiler.get_compile_options


@pytest.fixture(scope="module")
def compiled_at_once() -> Iterator[None]:
    """Compile without optimisation what a module's tests call once or twice.

    Half of the time of such tests goes into optimising. Most programs of `commensal._compiled` are
    compiled so for users too. Its heavy ones are not: they are tested as users run them, bit for
    bit too, where a module is about them (theory/test_grid.py) and outside tests/theory. Tests
    that compare the bits of other programs use `compiled_as_for_users`.
    """
    from commensal._compiled import accepted

    def quick(*args: Any, env_options_overrides: Any = None, **kwargs: Any) -> Any:
        return _OPTIONS(*args, env_options_overrides=accepted(False), **kwargs)

    accepted(False)  # compiles a program to see whether it may
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "get_compile_options", quick)
        yield


@pytest.fixture
def compiled_as_for_users() -> Iterator[None]:
    """Compile with JAX's own options in a module that uses `compiled_at_once`."""
    jax.clear_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "get_compile_options", _OPTIONS)
        yield
    jax.clear_caches()


@pytest.fixture
def undrawing() -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which figures are made, but not drawn, which takes most of the time.

    For what is drawn once more: each kind of page is drawn whole in some test of its module.
    """
    from matplotlib.figure import Figure

    @contextmanager
    def within() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Figure, "savefig", lambda *_, **__: None)
            yield

    return within


@pytest.fixture
def undrawn(undrawing: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Draw no figure in a test that reads the words of a page."""
    with undrawing():
        yield
