"""Kernel of a batch for CPUs, compiled by numba: posts, draws, updates, records.

A lane is one model of one replicate. Some replicates make a group, whose tables fit a core's
second-level cache, and a group goes through many generations before the next one's turn. Within a
draw all lanes exchange places first, and the rows that they will read are fetched ahead; then each
updates its weights, components side by side in vector registers.

All that is compiled stands in this file, but for random words, which do not change: numba's cache
on disk sees changes of no other.
Unsigned integers throughout, since numba spends time on indices that might be negative.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from commensal.sims._numba import block, compiled

_CHUNK = 4  # components in one vector
_PAIRS = 8  # words of 16 draws are made at once: whole vectors, however few lanes there are

_u32, _u64 = np.uint32, np.uint64


@no_type_check
def padded(components):
    """Round the components in a row of weights or likelihoods up to whole vectors."""
    return components if components <= 2 else -(-components // _CHUNK) * _CHUNK


_width = compiled(padded)


@no_type_check
def together(width):
    """Return how many lanes one vector updates, for rows of this width."""
    return 2 * _CHUNK // width if width <= _CHUNK else 1


_together = compiled(together)


@no_type_check
@intrinsic
def _update(typingctx, weights, place, table, at, lane, keep, rate, shift, count):
    """Update the next few lanes by line 5 of Algorithm 2, in vector instructions; flag those ≤ 0.

    ``at[lane:]`` are the rows that they read. Bit b of the result stands for component b, bits of
    the next lane follow; of many components, for b modulo 64. ``count`` is a tuple of B numbers:
    its type tells the compiler B. Padding stays as it is: likelihood 0, weight 1.
    """
    number = weights.dtype
    size, several = padded(len(count)), together(padded(len(count)))
    chunk = min(size, _CHUNK)
    length = chunk * several

    def generate(context, builder, signature, arguments):
        scalar, i1, i32, i64 = context.get_value_type(number), *map(ir.IntType, (1, 32, 64))
        vector, row = ir.VectorType(scalar, length), ir.VectorType(scalar, chunk)
        name = f"v{length}f{number.bitwidth}"
        nothing = ir.Constant(vector, ir.Undefined)

        def load(array, kind, first, result=vector):
            data = context.make_array(kind)(context, builder, array).data
            pointer = builder.bitcast(builder.gep(data, [first]), result.as_pointer())
            return builder.load(pointer, align=number.bitwidth // 8), pointer

        def llvm(function, result, *kinds):
            kind = ir.FunctionType(result, kinds)
            known = builder.module.globals.get(f"llvm.{function}.{name}")
            return known or ir.Function(builder.module, kind, f"llvm.{function}.{name}")

        def order(x, y, places):
            mask = ir.Constant(ir.VectorType(i32, len(places)), places)
            return builder.shuffle_vector(x, y, mask)

        def everywhere(x):
            first = builder.insert_element(nothing, x, ir.Constant(i32, 0))
            return order(first, nothing, [0] * length)

        def rows(c):
            """Load likelihoods of components from c on, of one lane after the other."""
            parts = []
            for j in range(several):
                index = builder.add(lane_, ir.Constant(i64, j))
                data = context.make_array(at)(context, builder, at_).data
                first = builder.load(builder.gep(data, [index]))
                first = builder.add(first, ir.Constant(i64, c))
                parts.append(load(table_, table, first, row)[0])
            while len(parts) > 1:
                places = list(range(2 * parts[0].type.count))
                parts = [order(x, y, places) for x, y in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]

        weights_, place_, table_, at_, lane_, keep_, rate_, shift_, _ = arguments
        firsts = [builder.add(place_, ir.Constant(i64, c)) for c in range(0, size, chunk)]
        old, pointers = zip(*(load(weights_, weights, first) for first in firsts), strict=True)
        likelihood = [rows(c) for c in range(0, size, chunk)]
        joint = [builder.fmul(w, x) for w, x in zip(old, likelihood, strict=True)]
        total = joint[0]
        for x in joint[1:]:
            total = builder.fadd(total, x)
        # each lane's sum in all its places, in pairs
        for step in (2, 1)[chunk == 2 :]:
            total = builder.fadd(total, order(total, nothing, [b ^ step for b in range(length)]))
        scale = builder.fdiv(everywhere(rate_), total)
        factor, less = everywhere(keep_), builder.fneg(everywhere(shift_))
        muladd = llvm("fmuladd", vector, vector, vector, vector)
        low = None
        for c, pointer in enumerate(pointers):
            real = [int(c * chunk + b % chunk < len(count)) for b in range(length)]
            f, s = factor, less
            if not all(real):
                mask = ir.Constant(ir.VectorType(i1, length), real)
                f = builder.select(mask, factor, ir.Constant(vector, [1.0] * length))
                s = builder.select(mask, less, ir.Constant(vector, [0.0] * length))
            # π keep + scale π l - shift
            kept = builder.call(muladd, [old[c], f, s])
            new = builder.call(muladd, [scale, joint[c], kept])
            builder.store(new, pointer, align=number.bitwidth // 8)
            below = builder.fcmp_ordered("<=", new, ir.Constant(vector, [0.0] * length))
            bits = builder.zext(builder.bitcast(below, ir.IntType(length)), i64)
            bits = builder.shl(bits, ir.Constant(i64, c * chunk % 64))
            low = bits if low is None else builder.or_(low, bits)
        return low

    u64 = types.uint64
    return u64(weights, u64, table, at, u64, number, number, number, count), generate


@no_type_check
@intrinsic
def _trailing_zeros(typingctx, bits):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@no_type_check
@intrinsic
def _fetch(typingctx, table, row, count):
    """Prefetch a row of the table, which is read soon."""
    size, width = padded(len(count)), table.dtype.bitwidth // 8

    def generate(context, builder, signature, arguments):
        i8, i32, i64 = map(ir.IntType, (8, 32, 64))
        data = context.make_array(table)(context, builder, arguments[0]).data
        kind = ir.FunctionType(ir.VoidType(), [i8.as_pointer(), i32, i32, i32])
        known = builder.module.globals.get("llvm.prefetch.p0")
        prefetch = known or ir.Function(builder.module, kind, "llvm.prefetch.p0")
        # one per line of the cache that a row may touch, and its end
        for b in sorted({*range(0, size, 64 // width), size - 1}):
            at = builder.add(arguments[1], ir.Constant(i64, b))
            where = builder.bitcast(builder.gep(data, [at]), i8.as_pointer())
            builder.call(prefetch, [where, *(ir.Constant(i32, x) for x in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(table, types.uint64, count), generate


@compiled
@no_type_check
def words(k0, k1, high, low, out):
    """Compute two words per counter (high[w], low[w])."""
    for w in range(_u64(low.size)):
        out[0, w], out[1, w] = block(k0, k1, high[w], low[w])


@compiled
@no_type_check
def _learn(weights, arrangement, table, low, key, plan, epsilon, replacement, size, count):
    """Draw and update for one generation of one group of ``size`` replicates."""
    readable, draws, alpha, prior = plan
    number = weights.dtype.type
    one = number(1)
    lanes, width = _u64(low.size), _u64(weights.size // low.size)
    several = _u64(_together(width))
    rows = _u64(table.size // size)  # from one replicate's table to the next
    alpha, prior = number(alpha), number(prior)
    # as _update.update
    rate = alpha / (one - number(len(count)) * prior)
    keep, shift = one - alpha, rate * prior
    lows = np.empty(_PAIRS * low.size, np.uint32)
    highs = np.empty(lows.size, np.uint32)
    for j in range(_PAIRS):
        lows[j * low.size : (j + 1) * low.size] = low
    random = np.empty((2, lows.size), np.uint32)
    at, hit = np.empty(low.size, np.uint64), np.empty(low.size + 1, np.uint64)
    low_bits = np.empty(low.size + 1, np.uint64)
    for p in range(_u64(0), _u64(draws)):
        ahead = p % _u64(2 * _PAIRS)
        if ahead == _u64(0):
            for j in range(_PAIRS):
                highs[j * low.size : (j + 1) * low.size] = _u32((p >> _u64(1)) + _u64(j))
            words(key[0], key[1], highs, lows, random)
        mine = random[ahead & _u64(1), _u64(ahead >> _u64(1)) * lanes :]
        w = _u64(0)
        if replacement:
            while w < lanes:
                for r in range(_u64(size)):
                    point = (_u64(mine[w]) * _u64(readable)) >> _u64(32)
                    at[w] = r * rows + point * width
                    _fetch(table, at[w], count)
                    w += _u64(1)
        else:
            left, here = _u64(readable) - p, p * lanes
            while w < lanes:
                for r in range(_u64(size)):
                    place = p + ((_u64(mine[w]) * left) >> _u64(32))
                    there = place * lanes + w
                    point = arrangement[there]
                    arrangement[there] = arrangement[here + w]
                    arrangement[here + w] = point
                    at[w] = r * rows + _u64(point) * width
                    _fetch(table, at[w], count)
                    w += _u64(1)
        some, w = _u64(0), _u64(0)
        while w < lanes:
            mask = _update(weights, w * width, table, at, w, keep, rate, shift, count)
            # of those with weights that are not positive: a list, without a branch
            hit[some], low_bits[some] = w, mask
            some += _u64(mask != _u64(0))
            w += several
        for j in range(some):
            first, mask = hit[j] * width, low_bits[j]
            if several == _u64(1):
                _positive(weights, first, mask, epsilon, count)
            else:
                for _ in range(several):
                    its = mask & ((_u64(1) << width) - _u64(1))
                    if its != _u64(0):
                        _positive(weights, first, its, epsilon, count)
                    mask >>= width
                    first += width


@compiled
@no_type_check
def _positive(weights, first, mask, epsilon, count):
    """Apply lines 7 to 14 of Algorithm 2 with one division, as ``_update.positive`` does."""
    zero, one = weights.dtype.type(0), weights.dtype.type(1)
    divisor = one
    if len(count) <= 64:
        while mask != _u64(0):
            b = first + _trailing_zeros(mask)
            divisor = (one + epsilon) * divisor - weights[b]
            weights[b] = epsilon * divisor
            mask &= mask - _u64(1)
    else:
        for b in range(first, first + _u64(len(count))):
            if weights[b] <= zero:
                divisor = (one + epsilon) * divisor - weights[b]
                weights[b] = epsilon * divisor
    scale = one / divisor
    for b in range(_u64(len(count))):
        weights[first + b] *= scale


@compiled
@no_type_check
def _describe(parts, x, table, row, components):
    """Compute likelihoods of one point relative to the largest, as ``_points.likelihoods`` does."""
    means, _, whitening, volume = parts
    dim = means.shape[1]
    log = np.empty(components)
    for b in range(components):
        distance = 0.0
        for i in range(dim):
            white = 0.0
            for j in range(dim):
                white += whitening[b, i, j] * (x[j] - means[b, j])
            distance += white * white
        log[b] = volume[b] - 0.5 * distance
    most = log.max()
    number = table.dtype.type
    least = number(np.sqrt(np.finfo(table.dtype).tiny))
    for b in range(components):
        table[row + b] = max(number(np.exp(log[b] - most)), least)


@compiled
@no_type_check
def _post(parts, law, first, components, uniform, normal, x):
    """Draw one point of the mixture with weights law[first:], as ``_points.post`` does."""
    means, factors, _, _ = parts
    total = 0.0
    for b in range(components):
        total += np.float64(law[first + b])
    upto, chosen = 0.0, 0
    for b in range(components - 1):
        upto += np.float64(law[first + b])
        chosen += uniform * total >= upto
    for i in range(means.shape[1]):
        x[i] = means[chosen, i]
        for j in range(means.shape[1]):
            x[i] += factors[chosen, i, j] * normal[j]


@compiled
@no_type_check
def _record(weights, first, size, slot, out, components):
    """Record ‖D‖_F of eq. (4), the consensus and the weights of one group of replicates."""
    disagreement, consensus, kept = out
    lanes = weights.size // _width(components)
    width, models = _width(components), lanes // size
    for r in range(min(size, disagreement.shape[1] - first)):
        spread = 0.0
        for b in range(components):
            mean = 0.0
            for i in range(models):
                mean += np.float64(weights[(i * size + r) * width + b])
            mean /= models
            consensus[slot, first + r, b] = mean
            for i in range(models):
                weight = np.float64(weights[(i * size + r) * width + b])
                spread += (weight - mean) ** 2
                if kept.size:
                    kept[slot, first + r, i, b] = weight
        disagreement[slot, first + r] = np.sqrt(2 * models * spread)


@compiled
@no_type_check
def begin(state, low, parts, weights, points, slot, out, size, count):
    """Write generation 0 of all groups into ``state``: weights (B, n, R) and points (d, A, R)."""
    lanes, tables = low.shape[1], state[2].shape[1] // size
    width = _width(len(count))
    for g in range(low.shape[0]):
        mine, arrangement, table = state[0][g], state[1][g], state[2][g]
        mine[:] = 1
        for w in range(lanes):
            for b in range(len(count)):
                mine[w * width + b] = weights[b, w // size, g * size + w % size]
        for place in range(arrangement.size):
            arrangement[place] = place // lanes
        table[:] = 0
        for r in range(size):
            for a in range(points.shape[1]):
                row = r * tables + a * width
                _describe(parts, points[:, a, g * size + r], table, row, len(count))
        if slot >= 0:
            _record(mine, g * size, size, slot, out, len(count))


@compiled
@no_type_check
def advance(state, low, parts, web, noise, plan, first, slots, out, rules, size, count):
    """Advance by generations from ``first`` on, as many as ``noise`` has and ``plan`` reaches to.

    ``state`` is (weights, arrangements, tables), one row per group; ``low`` (groups, lanes) are
    the lanes' counters; ``parts`` (means, factors, whitening, log volume); ``web`` the humans'
    law; ``noise`` (component, human, normal, keys), generation first; ``plan`` (readable, draws,
    alpha, prior), of all generations; ``slots`` where t is recorded in ``out``, -1 if nowhere.
    """
    component, human, normal, keys = noise
    readable, draws, alpha, prior = plan
    share, epsilon, replacement = rules
    components, width = len(count), _width(len(count))
    models, posts = component.shape[1], component.shape[2]
    stop = min(first + len(keys), len(draws))
    x = np.empty(parts[0].shape[1])
    for g in range(low.shape[0]):
        weights, arrangement, table = state[0][g], state[1][g], state[2][g]
        tables = table.size // size
        for t in range(first, stop):
            s, row = t - first, readable[t] * width
            for i in range(models):
                for post in range(posts):
                    for r in range(size):
                        lane, to = i * size + r, g * size + r
                        u, z = component[s, i, post, to], normal[s, :, i, post, to]
                        if share > 0 and human[s, i, post, to] < share:
                            _post(parts, web, 0, components, u, z, x)
                        else:
                            _post(parts, weights, lane * width, components, u, z, x)
                        _describe(parts, x, table, r * tables + row, components)
                    row += width
            now = readable[t], draws[t], alpha[t], prior[t]
            _learn(
                weights, arrangement, table, low[g], keys[s], now, epsilon, replacement, size, count
            )
            if slots[t + 1] >= 0:
                _record(weights, g * size, size, slots[t + 1], out, components)
