"""What every test runs under: checked shape annotations, reproducible examples, no display."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

# Programs are compiled once for all workers, and commands that tests start find them too. To be
# set before JAX is imported.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Kernels of numba run for a moment here: compiled with less care, in two thirds of the time, and
# kept apart from those that users run.
os.environ.setdefault("NUMBA_OPT", "1")
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".numba_cache"))

import hypothesis
import jaxtyping
import pytest

from tests import compiling
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


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(compiling)  # for all modules, those with doctests too


def pytest_collection_finish() -> None:
    gc.freeze()


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
