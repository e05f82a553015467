"""Compile functions of JAX so that programs are ready sooner, and do not wait for each other."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from commensal._blocks import on_accelerator
from commensal._precision import is_concrete

# Each LAPACK call of a batch starts OpenBLAS's threads, and where these are more than some 32 they
# corrupt memory (github.com/jax-ml/jax/issues/39292, jaxlib 0.10, 0.11). SciPy's OpenBLAS reads
# this when it is loaded, by JAX for its first LAPACK call.
_MOST_THREADS = 32
if (os.cpu_count() or 1) > _MOST_THREADS:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(_MOST_THREADS))

# XLA's older way to turn fused operations into machine code: measured with jaxlib 0.10.2, programs
# of `theory` are compiled in about half the time; grids run as fast, and have the same bits.
_QUICK: dict[str, bool | int] = {"xla_cpu_use_fusion_emitters": False}
# Without LLVM's optimisation in a sixth of the time. Calls then take 1.3 to 1.5 times as long, and
# grids twice: LAPACK and matrix products come compiled, loops over elements do not.
# One module of machine code, not as many as there may be, saves an eighth of what is left.
_AT_ONCE = _QUICK | {
    "xla_backend_optimization_level": 0,
    "xla_cpu_parallel_codegen_split_count": 1,
}
# On a CPU the LAPACK calls of two programs that run at the same time may wait for each other for
# ever (jaxlib 0.10.2): both hold threads of XLA's pool, and want more.
_ONE_AT_A_TIME = threading.RLock()


def compiled(
    function: Callable[..., Any], *, heavy: bool = False, **options: Any
) -> Callable[..., Any]:
    """Compile a function as ``jax.jit`` does, in less time.

    Under a transformation, or within another compiled function, it is plain ``jax.jit``: XLA's
    options belong to a whole program.

    Parameters
    ----------
    function : callable
        Of arrays, pure.
    heavy : bool
        Whether calls take longer than compiling does, so that fast code is worth its time. Threads
        may call such programs at the same time, so they must not call LAPACK; all others are run
        one at a time.
    **options
        As for ``jax.jit``.

    Examples
    --------
    >>> square = compiled(lambda x: x * x)
    >>> float(square(3.0)), float(jax.grad(square)(3.0)), float(jax.jit(square)(3.0))
    (9.0, 6.0, 9.0)
    """
    plain = jax.jit(function, **options)

    @functools.cache
    def quick() -> Any:
        return jax.jit(function, compiler_options=accepted(heavy), **options)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        # what is made within a traced function is traced, whatever its arguments are
        if not is_concrete((args, kwargs)) or isinstance(jnp.zeros(()), Tracer):
            return plain(*args, **kwargs)
        if heavy:
            return quick()(*args, **kwargs)
        with _ONE_AT_A_TIME:
            return jax.block_until_ready(quick()(*args, **kwargs))

    return call


@functools.cache
def accepted(heavy: bool) -> dict[str, bool | int] | None:
    """Return the options, or None where this version of XLA, or the device, has no use for them."""
    options = _QUICK if heavy else _AT_ONCE
    if on_accelerator():
        return None
    try:
        jax.jit(jnp.negative, compiler_options=options)(0)
    except (RuntimeError, ValueError):  # an option that XLA no longer has
        return None
    return options
