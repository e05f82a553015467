"""Common parts of every process: a state, a step to the next state, and a scan of steps.

A process is three pure functions: ``init(config, key)``, ``step(state, key)`` and
``observe(state)``. The state carries all that a step needs, for two reasons. Its arrays are
arguments of a compiled program, so that runs which differ only in numbers share one; and what
shapes the program is static in it, so that ``jit``, ``scan`` and ``vmap`` take a state as it is.
The key is that of the whole run: which of its draws come next follows from the state's generation.
So stepping by hand, scanning, and going on from a stored state all draw the same numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from commensal._precision import AnyArray, is_concrete

F = TypeVar("F", bound=Callable[..., Any])


class ProcessState(NamedTuple):
    """State of one batch of replicates of a process, after some generations.

    Attributes
    ----------
    generation : integer
        Number of generations t that are behind it.
    now : NamedTuple or array
        Part that a step changes: the models, and the data where they are kept. Replicates are the
        last axis (of an ecosystem the first one).
    given : NamedTuple or None
        Numbers that no step changes.
    rules : hashable
        Settings that shape the compiled program; static under ``jax.jit``.
    batch : integer
        Number of the batch of replicates under a key. ``simulate`` draws batches 0, 1, 2, ...
    """

    generation: Any
    now: Any
    given: Any
    rules: Any
    batch: Any = 0


def trajectory(
    state: ProcessState,
    advance: Callable[[ProcessState], ProcessState],
    observe: Callable[[ProcessState], Any],
    record: Any = None,
    length: int | None = None,
) -> Any:
    """Observe a process at some generations, and stack the results; to be called inside a trace.

    Parameters
    ----------
    state : ProcessState
    advance : callable
        The state of the next generation.
    observe : callable
    record : array or None
        Rising generations to observe at, none before that of ``state``. None: the ``length``
        generations that follow.
    length : int or None
    """

    # what no step changes is not carried: compiled loops are faster where it is a constant
    def at(t: Any, now: Any) -> ProcessState:
        return state._replace(generation=t, now=now)

    def every(carry: Any, _: Any) -> Any:
        after = advance(at(*carry))
        return (after.generation, after.now), observe(after)

    def until(carry: Any, stop: Any) -> Any:
        start, now = carry
        now = jax.lax.fori_loop(start, stop, lambda t, now: advance(at(t, now)).now, now)
        return (stop, now), observe(at(stop, now))

    start = jnp.asarray(state.generation), state.now
    if record is None:
        return jax.lax.scan(every, start, length=length)[1]
    return jax.lax.scan(until, start, record)[1]


def of_batches(one: Callable[[Any], Any], batches: Any) -> Any:
    """Run batches side by side, and return what one with all of their replicates would.

    Parameters
    ----------
    one : callable
        Function of a batch's number, to arrays whose second axis is that of replicates.
    batches : Int[Array, "n"]
        Numbers of the batches.
    """
    if len(batches) == 1:  # not vmapped: conditions stay conditions
        return one(batches[0])

    def joined(x: Array) -> Array:
        x = jnp.moveaxis(x, 0, 1)
        return x.reshape(x.shape[0], -1, *x.shape[3:])

    return jax.tree.map(joined, jax.vmap(one)(batches))


def stepped(
    state: ProcessState, last: Any, advance: Callable[[ProcessState], ProcessState]
) -> ProcessState:
    """Advance a state that can be stepped to generation ``last``, and no further.

    Raises
    ------
    ValueError
        If it is there already. Where it is traced, floats of the next state are NaN instead.
    """
    if is_concrete(state.generation):
        if state.generation >= last:
            raise ValueError(
                f"generation {int(last)} is the last one of this state's settings: "
                "give init settings with more generations"
            )
        return advance(state)

    def known(x: Array) -> Array:
        floats = jnp.issubdtype(x.dtype, jnp.floating)
        return jnp.where(state.generation < last, x, jnp.nan) if floats else x

    after = advance(state)
    return after._replace(now=jax.tree.map(known, after.now))


def in_64_bit(function: F) -> F:
    """Switch on 64-bit arithmetic inside ``function``, whatever the session's setting.

    Concrete results are NumPy arrays where the session is 32-bit, since JAX would cut its own
    arrays to 32 bits at the next operation outside. Floats keep their precision.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        whole = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            result = function(*args, **kwargs)
        return result if whole else jax.tree.map(_to_host, result)

    return wrapped  # pyright: ignore[reportReturnType]


def _to_host(leaf: AnyArray) -> Any:
    key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.device_get(leaf) if is_concrete(leaf) and not key else leaf
