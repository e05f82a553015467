"""A generation's draws and updates of all lanes as one Pallas kernel.

A scan starts a kernel per point, and on an accelerator starting it costs more than its work. Here
a program takes a block of lanes through all k points: what it carries stays in registers, the
arrangement is exchanged in place, and the words were made before. Elsewhere than on a GPU the
kernel is interpreted, which is for tests.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from commensal.sims.mixture._process import BLOCK, Noise, Numbers, Rules, State, place_of
from commensal.sims.mixture._update import positive

_LANES = 128  # of one program


def learn(rules: Rules, numbers: Numbers, noise: Noise, t: Any, state: State) -> tuple[Any, Any]:
    """As ``_process._learn``."""
    b, n, size = state.weights.shape
    lanes = n * size
    rows, draws, alpha, prior = (
        jnp.broadcast_to(x[t][:, None], (n, size)).reshape(-1) for x in numbers.schedule[:4]
    )
    alpha, prior = alpha.astype(rules.dtype), prior.astype(rules.dtype)
    # all words of the longest generation, whatever this one needs: shapes are fixed
    blocks = -(-rules.most // BLOCK)
    needed = (jnp.max(draws) + BLOCK - 1) // BLOCK

    def fill(number, words):
        new = noise.words(t, number).reshape(BLOCK, lanes)
        return jax.lax.dynamic_update_slice_in_dim(words, new, number * BLOCK, 0)

    words = jnp.zeros((blocks * BLOCK, lanes), jnp.uint32)
    words = jax.lax.fori_loop(0, needed, fill, words)
    width = _LANES if lanes % _LANES == 0 else lanes
    whole = pl.BlockSpec(state.table.shape, lambda i: (0, 0, 0))

    def per_lane(*leading: int) -> pl.BlockSpec:
        return pl.BlockSpec((*leading, width), lambda i: (*(0 for _ in leading), i))

    arrangement = state.arrangement.reshape(rules.total, lanes)
    weights, arrangement = pl.pallas_call(
        partial(_kernel, rules, size, width),
        out_shape=(
            jax.ShapeDtypeStruct((b, lanes), state.weights.dtype),
            jax.ShapeDtypeStruct(arrangement.shape, arrangement.dtype),
        ),
        grid=(lanes // width,),
        in_specs=[
            per_lane(),
            per_lane(),
            per_lane(),
            per_lane(),
            pl.BlockSpec((1,), lambda i: (0,)),
            per_lane(blocks * BLOCK),
            whole,
            per_lane(b),
            per_lane(rules.total),
        ],
        out_specs=(per_lane(b), per_lane(rules.total)),
        input_output_aliases={8: 1},
        interpret=jax.default_backend() == "cpu",
    )(
        rows,
        draws,
        alpha,
        prior,
        numbers.epsilon.astype(rules.dtype)[None],
        words,
        state.table,
        state.weights.reshape(b, lanes),
        arrangement,
    )
    return weights.reshape(b, n, size), arrangement.reshape(-1)


def _kernel(
    rules: Rules,
    size: int,
    width: int,
    rows_ref: Any,
    draws_ref: Any,
    alpha_ref: Any,
    prior_ref: Any,
    epsilon_ref: Any,
    words_ref: Any,
    table_ref: Any,
    weights_ref: Any,
    _: Any,
    out_ref: Any,
    arrangement_ref: Any,
) -> None:
    lane = jnp.arange(width)
    replicate = (pl.program_id(0) * width + lane) % size
    rows, draws = rows_ref[...], draws_ref[...]
    alpha, prior, epsilon = alpha_ref[...], prior_ref[...], epsilon_ref[0]
    rate = alpha / (1 - rules.components * prior)
    keep, shift = 1 - alpha, rate * prior

    def one(p, weights):
        drawn = p < draws
        word = words_ref[p, :]
        if rules.replacement:
            point = arrangement_ref[place_of(word, rows), lane]
        else:
            place = jnp.where(drawn, p + place_of(word, rows - p), p)
            point, here = arrangement_ref[place, lane], arrangement_ref[p, :]
            arrangement_ref[place, lane] = here
            arrangement_ref[p, :] = point
        joint = [
            w * table_ref[point.astype(jnp.int32), replicate, b] for b, w in enumerate(weights)
        ]
        scale = rate / sum(joint[1:], joint[0])
        moved = [w * keep + (scale * x - shift) for w, x in zip(weights, joint, strict=True)]
        new = positive(moved, epsilon)
        return tuple(jnp.where(drawn, a, b) for a, b in zip(new, weights, strict=True))

    start = tuple(weights_ref[b, :] for b in range(rules.components))
    found = jax.lax.fori_loop(0, jnp.max(draws), one, start)
    for b, w in enumerate(found):
        out_ref[b, :] = w
