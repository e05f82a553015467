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

SPAN = 16  # numbers that are compared at once
_STEP = 4  # every so many types the guide has an entry
_LAST = _u32(2**32 - 1)
_WHOLE = 2.0**62 * (1 - 2.0**-40)  # what a law adds up to: by rounding to no more than 2^62
_TILE = 512  # types whose laws are fitted at once: what all models share stays in the first cache
_LEAST = 1e-300  # of laws whose logarithms are taken in vector instructions

# sums in any order, so that they are made in vector registers
_FAST: Any = {"fastmath": {"reassoc", "contract", "nsz", "nnan"}}


@no_type_check
@intrinsic
def _compare(typingctx, table, place, word):
    """Count which of ``SPAN`` numbers from ``place`` on are below ``word``, and flag its equals."""

    def generate(context, builder, signature, arguments):
        i32, i64 = ir.IntType(32), ir.IntType(64)
        vector, mask = ir.VectorType(i32, SPAN), ir.IntType(SPAN)
        nothing = ir.Constant(vector, ir.Undefined)
        data = context.make_array(table)(context, builder, arguments[0]).data
        first = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        numbers = builder.load(first, align=4)
        word = builder.insert_element(nothing, arguments[2], ir.Constant(i32, 0))
        words = builder.shuffle_vector(word, nothing, ir.Constant(vector, [0] * SPAN))
        lower = builder.bitcast(builder.icmp_unsigned("<", numbers, words), mask)
        equal = builder.bitcast(builder.icmp_unsigned("==", numbers, words), mask)
        found = [builder.zext(x, i64) for x in (builder.ctpop(lower), equal)]
        return context.make_tuple(builder, signature.return_type, found)

    return kinds.UniTuple(kinds.uint64, 2)(table, kinds.uint64, kinds.uint32), generate


@no_type_check
@intrinsic
def _bits(typingctx, number):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

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
def _cumulate(law, weights, table, guide, shift):
    """Cumulate a law in 2^-32, and note for cells of words how many types are surely below."""
    size, half, one, two = _u64(law.size), _u64(law.size // 2), _u64(0), _u64(0)
    scale = _scale(law)
    for v in range(size):
        weights[v] = _i64(law[v] * scale)
    for v in range(half):
        two += _u64(weights[v])
    for v in range(half):  # two sums, neither of which waits for the other
        one += _u64(weights[v])
        two += _u64(weights[v + half])
        table[v], table[v + half] = _u32(one >> _u64(30)), _u32(two >> _u64(30))
    if size > _u64(2) * half:
        two += _u64(weights[size - _u64(1)])
        table[size - _u64(1)] = _u32(two >> _u64(30))
    guide[:] = 0
    for v in range(_u64(_STEP - 1), size, _u64(_STEP)):
        guide[(_u64(table[v]) >> shift) + _u64(1)] = v + _u64(1)
    most = _u32(0)
    for cell in range(_u64(guide.size)):
        most = max(most, guide[cell])
        guide[cell] = most


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
    weights, table, guide, starts, rows = tables
    types, models, ends = laws.shape[1], sizes.size, np.cumsum(sizes)
    shifts = _shift(guide.size - 1), _shift(starts.size)
    key, more = block(key[0], key[1], _u32(0), _u32(0)), block(key[0], key[1], _u32(0), _u32(1))
    for i in range(_u64(first.size)):
        first[i], second[i] = block(key[0], key[1], _u32(0), _u32(i))
    late = np.empty(_deal(second, ends, types, shifts[1], starts, rows) + 1, np.uint32)
    for m in range(models):
        law, mine = laws[min(m, len(laws) - 1)], slice(ends[m] - sizes[m], ends[m])
        if m < len(laws):
            _cumulate(law, weights, table, guide, shifts[0])
        if not _find(first[mine], second[mine], (table, guide, rows), shifts, found[mine]):
            for i in range(mine.start, mine.stop):
                v = found[i] % types
                if table[v] == first[i]:
                    rest = block(more[0], more[1], _u32(0), _u32(i))[0]
                    found[i] += _search(law, first[i], rest) - v
    _count(found, counts.reshape(-1), models * types, late)
    _settle(more, second, found, late[:-1], starts, shifts[1], ends, counts)


@no_type_check
def _sums(law, truth, inverse):
    """Sum up -p ln q, (q - p)²/p, (q - p)² and q²."""
    nats, chi_square, squares, square = 0.0, 0.0, 0.0, 0.0
    for v in range(_u64(law.size)):
        q = law[v]
        off = (q - truth[v]) * (q - truth[v])
        nats -= log(q) * truth[v]
        chi_square += off * inverse[v]
        squares += off
        square += q * q
    return nats, chi_square, squares, square


@no_type_check
def _learn(law, counts, size, hold, share, pool):
    """Fit one model, clear its counts, and add its part to the pooled law."""
    new = 1.0 / (size + hold)
    for v in range(_u64(law.size)):
        law[v] = (np.float64(counts[v]) + hold * law[v]) * new
        counts[v] = 0
        pool[v] += share * law[v]


_sums, _learn = compiled(_sums, **_FAST), compiled(_learn, **_FAST)


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
def _add(sums, more):
    for i in range(4):
        sums[i] += more[i]


@compiled
@no_type_check
def _fit(laws, counts, sizes, hold, truth, inverse, pool, sums):
    """Fit and measure all models, and the pooled law, which is the last one that is measured."""
    pool[:] = 0.0
    sums[:] = 0.0
    total, models = sizes.sum(), sizes.size
    for start in range(0, truth.size, _TILE):
        part = slice(start, min(start + _TILE, truth.size))
        for m in range(models):
            share = sizes[m] / total
            _learn(laws[m, part], counts[m, part], sizes[m], hold, share, pool[part])
            _add(sums[m], _sums(laws[m, part], truth[part], inverse[part]))
        _add(sums[models], _sums(pool[part], truth[part], inverse[part]))


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
            _fit(laws, counts, sizes[r], hold[r], truth, inverse, pool, out[r, t])
            least *= hold[r] / (hold[r] + sizes[r].max())
            if least < _LEAST:
                for m in range(models):
                    out[r, t, m, 0] = _nats(laws[m], truth)
                out[r, t, models, 0] = _nats(pool, truth)
