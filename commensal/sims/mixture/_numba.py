"""Simulate batches on CPUs by numba's machine code, on the noise of the other kernels.

Words of draws are computed where they are used, the same as elsewhere; posts and A^(0) are drawn
by JAX, for some generations at a time. So a seed gives the same numbers, to rounding.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from commensal.sims.mixture import _draws
from commensal.sims.mixture._config import MixtureConfig
from commensal.sims.mixture._points import Posts
from commensal.sims.mixture._process import MixtureNumbers, MixtureRules
from commensal.sims.mixture._schedule import schedule
from commensal.sims.mixture._steps import WIDTH

_AHEAD = 128  # generations whose posts are drawn at once, at most: memory
_GROUP = 1.6e6  # bytes of a group's tables and arrangements, about a core's second-level cache


def chosen(config: MixtureConfig) -> bool:
    """Return whether numba runs this; raise ValueError where it is asked for and cannot."""
    if config.kernel not in ("auto", "numba"):
        return False
    lacking = _lacking(config)
    if config.kernel == "numba" and lacking:
        raise ValueError(f'kernel must be "auto" or "xla" {lacking}, got "numba"')
    return not lacking


def _lacking(config: MixtureConfig) -> str:
    if config.graph is not None or config.update != "weights":
        return "with a graph or full updates"
    if jax.default_backend() != "cpu":
        return f"on {jax.default_backend()} devices"
    try:
        importlib.import_module("commensal.sims.mixture._numba_kernel")
    except ImportError as error:
        return f"without numba (pip install 'commensal[fast]'; {error})"
    return ""


def batches(
    config: MixtureConfig,
    rules: MixtureRules,
    numbers: MixtureNumbers,
    key: PRNGKeyArray,
    law: Float[Array, ""],
    given: Float[Array, "n B"] | None,
) -> Callable[[int, int], dict[str, np.ndarray]]:
    """Return a compiled function of a batch's number and its replicates.

    It gives what XLA does, ``_simulate._draw_batch``.
    """
    from commensal.sims.mixture import _numba_kernel as kernel

    number = np.dtype(config.dtype)
    index = np.dtype(np.uint16 if rules.total < 2**16 else np.uint32)
    width = kernel.padded(rules.components)
    size = _group(rules, width * number.itemsize, index.itemsize)
    spans = -(-config.generations // _AHEAD)
    ahead = -(-config.generations // spans)  # of equal length: one program
    parts = tuple(np.asarray(x) for x in numbers.parts)
    plan = tuple(np.ascontiguousarray(x[:, 0]) for x in schedule(config)[:4])
    web = np.asarray(numbers.web)
    settings = config.human_share, number.type(config.epsilon), config.replacement
    slots = np.full(config.generations + 1, -1)
    slots[list(config.record)] = np.arange(len(config.record))
    count = (0,) * rules.components
    lane = np.arange(rules.models, dtype=np.uint32)[:, None] * np.uint32(WIDTH)

    def batch(which: int, replicates: int) -> dict[str, np.ndarray]:
        groups = -(-replicates // size)
        first = np.arange(groups, dtype=np.uint32)[:, None, None] * np.uint32(size)
        lanes = rules.models * size
        low = (first + lane + np.arange(size, dtype=np.uint32)).reshape(groups, lanes)
        state = (
            np.empty((groups, lanes * width), number),
            np.empty((groups, 0 if rules.replacement else rules.total * lanes), index),
            np.empty((groups, rules.total * size * width), number),
        )
        shape, models = (len(config.record), replicates), rules.models
        kept = (*shape, models, rules.components) if config.keep == "weights" else (0, 0, 0, 0)
        out = np.empty(shape), np.empty((*shape, rules.components)), np.empty(kept)
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            start = _start(rules, numbers, key, which, law, given, config.web is None)
            kernel.begin(state, low, parts, *map(np.asarray, start), slots[0], out, size, count)
            for t in range(0, config.generations, ahead):
                noise = tuple(map(np.asarray, _noise(rules, ahead, key, which, t)))
                kernel.advance(
                    state, low, parts, web, noise, plan, t, slots, out, settings, size, count
                )
        found = {"disagreement": out[0], "consensus": out[1]}
        return found | {"weights": out[2]} if config.keep == "weights" else found

    batch(0, 0)  # no group: it compiles, which threads that start together would each do
    return batch


def _group(rules: MixtureRules, row: int, index: int) -> int:
    """Return the number of replicates of a group, a divisor of WIDTH."""
    each = rules.total * (row + rules.models * index)
    return next((size for size in (16, 8) if size * each <= _GROUP), 4)


@partial(jax.jit, static_argnames=("rules", "written"))
def _start(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    key: PRNGKeyArray,
    which: Any,
    law: Float[Array, ""],
    given: Float[Array, "n B"] | None,
    written: bool,
) -> tuple[Float[Array, "B n R"], Float[Array, "d A R"]]:
    return _draws.start(rules, numbers, jax.random.fold_in(key, which), law, given, written, WIDTH)


@partial(jax.jit, static_argnames=("rules", "length"))
def _noise(rules: MixtureRules, length: int, key: PRNGKeyArray, which: Any, first: Any) -> Any:
    """Draw the posts of some generations, and the keys of their words."""
    key = jax.random.fold_in(key, which)
    lanes = (rules.models, rules.posts, WIDTH)

    def one(t: Any) -> tuple[Posts, Any]:
        drawn = _draws.posts(_draws.post_key(key, t), rules.dim, lanes)
        return drawn, jax.random.key_data(_draws.word_key(key, t))

    (component, human, normal), keys = jax.vmap(one)(first + jnp.arange(length))
    # what nobody reads is not drawn
    return component, human if rules.human else jnp.zeros((0, 0, 0, 0)), normal, keys
