"""Kernel of runs for CPUs, compiled by numba: tokens are written, dealt out, counted, learned from.

A token takes two random words of 32 bits, of one counter. The first one finds its type in its
writer's cumulated law: a guide leads near it, and 16 comparisons at once to it. The second one
finds its reader, by its rank among all second words. The first bits of both decide nearly always;
where they do not, another counter has more. Laws are fitted and measured in vector instructions.
"""

from __future__ import annotations

from typing import Any, no_type_check

import numpy as np
from llvmlite import ir
from numba import types as kinds
from numba.extending import intrinsic

from commensal.sims._numba import block, compiled

_u32, _u64, _i64 = np.uint32, np.uint64, np.int64
_I32, _I64 = ir.IntType(32), ir.IntType(64)

SPAN = 16  # numbers that are compared, or added up, at once
_STEP = 4  # every so many types the guide has an entry
_WHOLE = 2.0**62 * (1 - 2.0**-40)  # what a law adds up to: by rounding to no more than 2^62
_LEAST = 1e-300  # of laws whose logarithms are taken in vector instructions

# sums in any order, so that they are made in vector registers
_FAST: Any = {"fastmath": {"reassoc", "contract", "nsz", "nnan"}}


def _at(context, builder, kind, array, place, vector):
    """Point to the numbers of an array from ``place`` on, as a vector."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), vector.as_pointer())


def _everywhere(builder, number, vector):
    nothing = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(_I32, 0))
    lanes = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, nothing, lanes)


def _running(builder, numbers, combine):
    """Combine each number of a vector with all that are before it, of which none is below zero."""
    count, step = numbers.type.count, 1
    zeros = ir.Constant(numbers.type, [0] * count)
    while step < count:
        lanes = [max(count + lane - step, count - 1) for lane in range(count)]
        mask = ir.Constant(ir.VectorType(_I32, count), lanes)
        numbers = combine(numbers, builder.shuffle_vector(zeros, numbers, mask))
        step *= 2
    return numbers


@no_type_check
@intrinsic
def _compare(typingctx, table, place, word):
    """Count which of ``SPAN`` numbers from ``place`` on are below ``word``, and flag its equals."""

    def generate(context, builder, signature, arguments):
        table_, place_, word_ = arguments
        vector, mask = ir.VectorType(_I32, SPAN), ir.IntType(SPAN)
        numbers = builder.load(_at(context, builder, table, table_, place_, vector), align=4)
        words = _everywhere(builder, word_, vector)
        lower = builder.bitcast(builder.icmp_unsigned("<", numbers, words), mask)
        equal = builder.bitcast(builder.icmp_unsigned("==", numbers, words), mask)
        found = [builder.zext(x, _I64) for x in (builder.ctpop(lower), equal)]
        return context.make_tuple(builder, signature.return_type, found)

    return kinds.UniTuple(kinds.uint64, 2)(table, kinds.uint64, kinds.uint32), generate


@no_type_check
@intrinsic
def _add_up(typingctx, law, place, scale, total, table):
    """Cumulate the next ``SPAN`` weights, scaled; their first 32 of 62 bits go into a table."""

    def generate(context, builder, signature, arguments):
        law_, place_, scale_, total_, table_ = arguments
        real, whole = ir.VectorType(ir.DoubleType(), SPAN), ir.VectorType(_I64, SPAN)
        weights = builder.load(_at(context, builder, law, law_, place_, real), align=8)
        weights = builder.fptosi(builder.fmul(weights, _everywhere(builder, scale_, real)), whole)
        sums = _running(builder, weights, builder.add)
        words = builder.add(sums, _everywhere(builder, total_, whole))
        words = builder.lshr(words, ir.Constant(whole, [30] * SPAN))
        words = builder.trunc(words, ir.VectorType(_I32, SPAN))
        builder.store(words, _at(context, builder, table, table_, place_, words.type), align=4)
        # the next weights wait for this one addition only
        return builder.add(total_, builder.extract_element(sums, ir.Constant(_I32, SPAN - 1)))

    return kinds.uint64(law, kinds.uint64, kinds.float64, kinds.uint64, table), generate


@no_type_check
@intrinsic
def _rise(typingctx, guide, place, most):
    """Replace the next ``SPAN`` numbers by the largest so far."""

    def generate(context, builder, signature, arguments):
        def larger(x, y):
            return builder.select(builder.icmp_unsigned("<", x, y), y, x)

        guide_, place_, most_ = arguments
        vector = ir.VectorType(_I32, SPAN)
        pointer = _at(context, builder, guide, guide_, place_, vector)
        numbers = _running(builder, builder.load(pointer, align=4), larger)
        builder.store(larger(numbers, _everywhere(builder, most_, vector)), pointer, align=4)
        return larger(most_, builder.extract_element(numbers, ir.Constant(_I32, SPAN - 1)))

    return kinds.uint32(guide, kinds.uint64, kinds.uint32), generate


@no_type_check
@intrinsic
def _bits(typingctx, number):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], _I64)

    return kinds.uint64(kinds.float64), generate


@no_type_check
@intrinsic
def _number(typingctx, bits):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return kinds.float64(kinds.uint64), generate


@compiled
@no_type_check
def log(x):
    """Compute the logarithm of a number that is not subnormal, without a branch (fdlibm's way)."""
    bits = _bits(x)
    exponent = _i64(bits - _u64(0x3FE6A09E667F3BCD)) >> _i64(52)  # relative to √½
    m = _number(bits - (_u64(exponent) << _u64(52)))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    r = 0.1531383769920937332 + z * 0.1479819860511658591
    r = 0.2222219843214978396 + z * (0.1818357216161805012 + z * r)
    r = 0.3999999999940941908 + z * (0.2857142874366239149 + z * r)
    r = 2.0 + z * (0.6666666666666735130 + z * r)
    return np.float64(exponent) * 0.6931471805599453 + s * r


@compiled
@no_type_check
def exp(x):
    """Compute the exponential of a number from -700 to 700, without a branch."""
    k = np.floor(x * 1.4426950408889634 + 0.5)
    x = x - k * 0.6931471803691238 - k * 1.9082149292705877e-10
    r = 1 / 3628800 + x * (1 / 39916800 + x * (1 / 479001600 + x * (1 / 6227020800)))
    r = 1 / 5040 + x * (1 / 40320 + x * (1 / 362880 + x * r))
    r = 1 / 24 + x * (1 / 120 + x * (1 / 720 + x * r))
    r = 1.0 + x * (1.0 + x * (0.5 + x * (1 / 6 + x * r)))
    return r * _number(_u64(_i64(k) + _i64(1023)) << _u64(52))


@no_type_check
def _power(source, law, power):
    """Write a law's powers, relative to the largest, into ``source``."""
    most = 0.0
    for v in range(_u64(law.size)):
        most = law[v] if law[v] > most else most
    top = log(most)
    for v in range(_u64(law.size)):
        x = law[v] if law[v] > _LEAST else _LEAST
        x = power * (log(x) - top)
        x = exp(x if x > -700.0 else -700.0)
        source[v] = x if law[v] > 0.0 else 0.0


@no_type_check
def _scale(law):
    """Return the factor that makes integers of weights: the sum is then ``_WHOLE``."""
    total = 0.0
    for v in range(_u64(law.size)):
        total += law[v]
    return _WHOLE / total


_power, _scale = compiled(_power, **_FAST), compiled(_scale, **_FAST)


@compiled
@no_type_check
def _cumulate(law, table, guide, shift):
    """Cumulate a law in 2^-32, and note for cells of words how many types are surely below."""
    scale, total, v = _scale(law), _u64(0), _u64(0)
    while v + _u64(SPAN) <= _u64(law.size):
        total = _add_up(law, v, scale, total, table)
        v += _u64(SPAN)
    for rest in range(v, _u64(law.size)):
        total += _u64(_i64(law[rest] * scale))
        table[rest] = _u32(total >> _u64(30))
    guide[:] = 0
    for v in range(_u64(_STEP - 1), _u64(law.size), _u64(_STEP)):
        guide[(_u64(table[v]) >> shift) + _u64(1)] = v + _u64(1)
    most = _u32(0)
    for cell in range(_u64(0), _u64(guide.size), _u64(SPAN)):
        most = _rise(guide, cell, most)


@compiled
@no_type_check
def _search(law, word, rest):
    """Find the type at a random number of 64 bits."""
    wanted, total, scale = (_u64(word) << _u64(30)) | (_u64(rest) >> _u64(2)), _u64(0), _scale(law)
    for v in range(law.size):
        total += _u64(_i64(law[v] * scale))
        if total > wanted:
            return v
    return law.argmax()  # what rounding leaves


@compiled
@no_type_check
def _find(first, second, tables, shifts, found):
    """Find the place of each token's count, by its reader and type; return whether 32 bits do."""
    table, guide, rows = tables
    equal = _u64(0)
    for i in range(_u64(first.size)):
        v = _u64(guide[_u64(first[i]) >> shifts[0]])
        below, same = _compare(table, v, first[i])
        v, equal = v + below, equal | same
        while below == _u64(SPAN):
            below, same = _compare(table, v, first[i])
            v, equal = v + below, equal | same
        found[i] = _u64(rows[_u64(second[i]) >> shifts[1]]) + v
    return equal == _u64(0)


@compiled
@no_type_check
def _deal(second, ends, types, shift, starts, rows):
    """Find the row of counts for each bin of second words; return how many tokens have to wait.

    Bins that several readers share are counted in the row after the last one, at first. ``starts``
    become the ranks of each bin's first token.
    """
    starts[:] = 0
    for i in range(_u64(second.size)):
        starts[_u64(second[i]) >> shift] += _u32(1)
    rank = _u32(0)
    for b in range(_u64(starts.size)):
        here = starts[b]
        starts[b] = rank
        rank += here
    at, several, last = 0, 0, ends.size - 1
    for m in range(last):
        b = np.searchsorted(starts, ends[m], side="right") - 1  # where the next reader begins
        rows[at:b] = m * types
        if starts[b] == ends[m]:
            at = b
        elif at <= b:
            rows[b] = ends.size * types
            several += (starts[b + 1] if b + 1 < starts.size else second.size) - starts[b]
            at = b + 1
    rows[at:] = last * types
    return several


@compiled
@no_type_check
def _count(found, counts, size, late):
    """Count tokens; list those that are counted beyond ``size``, in the row after the last."""
    some = _u64(0)
    for i in range(_u64(found.size)):
        counts[_u64(found[i])] += 1
        late[some] = i
        some += _u64(found[i] >= size)


@compiled
@no_type_check
def _shift(size):
    """Return how far a word is shifted to number ``size`` bins, a power of two."""
    shift = _u64(32)
    while (_u64(1) << (_u64(32) - shift)) < _u64(size):
        shift -= _u64(1)
    return shift


@compiled
@no_type_check
def _settle(more, second, found, late, starts, shift, ends, counts):
    """Deal out the tokens in bins that several readers share, in the order of their words."""
    order, models = np.empty(late.size, np.uint64), ends.size
    for j in range(late.size):
        rest = block(more[0], more[1], _u32(0), late[j])[1]
        order[j] = (_u64(second[late[j]]) << _u64(32)) | _u64(rest)
    m, before, rank = 0, -1, -1
    for j in np.argsort(order):
        here = _i64(_u64(second[late[j]]) >> shift)
        rank = rank + 1 if here == before else _i64(starts[here])
        before = here
        while ends[m] <= rank:
            m += 1
        counts[m, found[late[j]] - models * counts.shape[1]] += 1


@compiled
@no_type_check
def write(key, sizes, laws, texts, tables, counts):
    """Draw, deal out and count all tokens of a generation; ``laws`` has one law, or one a writer.

    The reader of a token follows from the rank of its second word among all: a shuffle.
    """
    first, second, found = texts
    table, guide, starts, rows = tables
    types, models, ends = laws.shape[1], sizes.size, np.cumsum(sizes)
    shifts = _shift(guide.size - SPAN), _shift(starts.size)
    key, more = block(key[0], key[1], _u32(0), _u32(0)), block(key[0], key[1], _u32(0), _u32(1))
    for i in range(_u64(first.size)):
        first[i], second[i] = block(key[0], key[1], _u32(0), _u32(i))
    late = np.empty(_deal(second, ends, types, shifts[1], starts, rows) + 1, np.uint32)
    for m in range(models):
        law, mine = laws[min(m, len(laws) - 1)], slice(ends[m] - sizes[m], ends[m])
        if m < len(laws):
            _cumulate(law, table, guide, shifts[0])
        if not _find(first[mine], second[mine], (table, guide, rows), shifts, found[mine]):
            for i in range(mine.start, mine.stop):
                v = found[i] % types
                if table[v] == first[i]:
                    rest = block(more[0], more[1], _u32(0), _u32(i))[0]
                    found[i] += _search(law, first[i], rest) - v
    _count(found, counts.reshape(-1), models * types, late)
    _settle(more, second, found, late[:-1], starts, shifts[1], ends, counts)


@no_type_check
def _learn(law, counts, size, hold, share, pool):
    """Fit one model, clear its counts, and add its part to the pooled law."""
    new = 1.0 / (size + hold)
    for v in range(_u64(law.size)):
        law[v] = (np.float64(counts[v]) + hold * law[v]) * new
        counts[v] = 0
        pool[v] += share * law[v]


@no_type_check
def _measure(law, truth, inverse, sums):
    """Sum up -p ln q, (q - p)²/p, (q - p)² and q²."""
    nats, chi_square, squares, square = 0.0, 0.0, 0.0, 0.0
    for v in range(_u64(law.size)):
        q = law[v]
        off = (q - truth[v]) * (q - truth[v])
        nats -= log(q) * truth[v]
        chi_square += off * inverse[v]
        squares += off
        square += q * q
    sums[0], sums[1], sums[2], sums[3] = nats, chi_square, squares, square


_learn, _measure = compiled(_learn, **_FAST), compiled(_measure, **_FAST)


@compiled
@no_type_check
def _nats(law, truth):
    """Sum up -p ln q, where some q are zero or subnormal."""
    found = 0.0
    for v in range(law.size):
        found -= np.log(law[v]) * truth[v]
    return found


@compiled
@no_type_check
def run(keys, numbers, truth, prior, work, out):
    """Run ecosystems one after the other, and measure each at every generation.

    ``out`` (replicate, generation, model or pool, measure): -Σ p ln q, χ², Σ (q - p)², Σ q².
    """
    sizes, hold, sharpening = numbers
    laws, power, pool, counts, words, tables = work
    first, second, found = words
    inverse, models = 1.0 / truth, sizes.shape[1]
    for r in range(len(keys)):
        some, least = sizes[r].sum(), prior.min()
        laws[:] = prior
        texts = first[:some], second[:some], found[:some]
        for t in range(out.shape[1]):
            key = block(keys[r, 0], keys[r, 1], _u32(0), _u32(t))
            source = laws
            if t == 0:
                source = truth.reshape(1, -1)
            elif sharpening[r] != 1:
                for m in range(models):
                    _power(power[m], laws[m], sharpening[r])
                source = power
            write(key, sizes[r], source, texts, tables, counts)
            least *= hold[r] / (hold[r] + sizes[r].max())
            pool[:] = 0.0
            for m in range(models + 1):
                law = pool
                if m < models:
                    law = laws[m]
                    _learn(law, counts[m], sizes[r, m], hold[r], sizes[r, m] / some, pool)
                _measure(law, truth, inverse, out[r, t, m])
                if least < _LEAST:
                    out[r, t, m, 0] = _nats(law, truth)
