"""Words that survive: against exact Markov chains, mpmath, plain loops and limits."""

from __future__ import annotations

import itertools

import jax
import mpmath
import numpy as np
import pytest
from scipy import stats

from commensal.theory import words as theory


def chain(size: int, share: float, human: float, generations: int) -> np.ndarray:
    """Distribution of a word's count in each generation, (T, N + 1), by the whole matrix."""
    counts = np.arange(size + 1)
    first = stats.binom.pmf(counts, size, share)
    chance = (1 - human) * counts[:, None] / size + human * share
    move = stats.binom.pmf(counts[None], size, chance)
    path = [first]
    for _ in range(generations - 1):
        path.append(path[-1] @ move)
    return np.array(path)


@pytest.mark.parametrize("human", [0.0, 0.03, 0.4, 1.0])
def test_survival_is_the_limit_of_the_exact_chain(human):
    """The Markov chain on counts 0..N, a word of λ = 0.3, 1 and 4: the error falls as 1/N."""
    at = np.array([1, 2, 5, 12])
    for expected in (0.3, 1.0, 4.0):
        known = theory.survival(expected, at, human)
        errors = []
        for size in (100, 400):
            alive = 1 - chain(size, expected / size, human, 12)[:, 0]
            errors.append(np.abs(alive[at - 1] - known).max())
        assert errors[0] < 0.02
        assert errors[1] < errors[0] / 3
        wrong = theory.survival(expected, at + 1, human)  # one generation off is seen
        assert human == 1 or np.abs(wrong - known).max() > errors[1]


@pytest.mark.parametrize("human", [0.0, 0.1, 1.0])
def test_heterozygosity_is_that_of_the_exact_chain(human):
    """Every word of a law on its own, N = 30 tokens: no limit is taken."""
    law = np.array([0.5, 0.3, 0.15, 0.05])
    counts = np.arange(31)
    same = sum(chain(30, p, human, 9) @ (counts / 30) ** 2 for p in law)
    found = theory.expected_heterozygosity(law, 30, np.arange(1, 10), human)
    np.testing.assert_allclose(found, 1 - same, rtol=1e-12)
    three = theory.expected_heterozygosity(law, 10, np.arange(1, 10), human, models=3)
    np.testing.assert_allclose(found, three, rtol=1e-14)
    long = theory.expected_heterozygosity(law, 30, 100_000, human)
    limit = theory.expected_heterozygosity(law, 30, np.inf, human)
    np.testing.assert_allclose(long, limit, rtol=1e-9, atol=1e-300)


def test_accumulated_words_by_every_pool():
    """All pools that five tokens a generation can make, three generations: exact."""
    tokens, share = 5, 0.4
    pools = {0: 1.0}
    for t in range(3):
        after: dict[int, float] = {}
        for count, chance in pools.items():
            p = share if t == 0 else count / (tokens * t)
            for new in range(tokens + 1):
                weight = chance * stats.binom.pmf(new, tokens, p)
                after[count + new] = after.get(count + new, 0.0) + weight
        pools = after
        same = sum(
            chance * ((c / (tokens * (t + 1))) ** 2 + (1 - c / (tokens * (t + 1))) ** 2)
            for c, chance in pools.items()
        )
        law = [share, 1 - share]
        found = theory.expected_heterozygosity(law, tokens, t + 1, memory="accumulate", of="pool")
        assert np.isclose(found, 1 - same, rtol=1e-12)
    text = theory.expected_heterozygosity(law, tokens, 4, memory="accumulate")
    assert np.isclose(text, (1 - same) * (1 - 1 / tokens), rtol=1e-12)


def accumulated(human: float, generation: int) -> mpmath.mpf:
    """Exchange rate of memory "accumulate", by the recursion in 40 digits."""
    if generation == 1:
        return mpmath.mpf(1)
    h = mpmath.mpf(human)
    theta, total = (1 - h) / (generation - 1), h
    for s in range(generation - 1, 1, -1):
        new = 1 - mpmath.exp(-theta)
        theta, total = theta + (1 - h) * new / (s - 1), total + h * new
    return total + 1 - mpmath.exp(-theta)


def test_accumulated_rates_in_forty_digits():
    with mpmath.workdps(40):
        for human, t in itertools.product((0.0, 0.01, 0.3, 1.0), (1, 2, 3, 40)):
            found = theory.exchange_rate(human, [t], "accumulate")[0]
            assert np.isclose(found, float(accumulated(human, t)), rtol=1e-13)
        # Richardson, in 1/t: the limit without human data
        column = [accumulated(0.0, 1 + 25 * 2**k) for k in range(7)]
        for order in range(1, 7):
            pairs = itertools.pairwise(column)
            column = [(2**order * b - a) / (2**order - 1) for a, b in pairs]
        assert abs(column[-1] - mpmath.mpf(theory.ACCUMULATED)) < 1e-14
    assert theory.exchange_rate([0.0, 1e-9], np.inf, "accumulate").tolist() == [
        theory.ACCUMULATED,
        1.0,
    ]
    # what is lacking falls as t^-2h
    lacking = 1 - theory.exchange_rate(0.2, [100_000, 200_000], "accumulate")
    assert abs(np.log2(lacking[0] / lacking[1]) - 0.4) < 0.012


def plain_limit(human: float) -> mpmath.mpf:
    """The whole series, term by term."""
    u, total, h = mpmath.mpf(1), mpmath.mpf(0), mpmath.mpf(human)
    while u > 1e-20 * h:
        total += u
        u = -mpmath.expm1(-(1 - h) * u)
    return h * total


@pytest.mark.parametrize("human", [0.02, 0.05, 0.2, 0.4999, 0.5, 0.9, 1.0])
def test_the_series_is_that_of_every_term(human):
    with mpmath.workdps(30):
        assert np.isclose(theory.exchange_rate(human), float(plain_limit(human)), rtol=3e-13)


def test_the_series_for_small_human_shares():
    """By 10⁵ terms in float64 and a tail of its own order; and from h to h with no seam."""
    for human in (1e-3, 1e-4):
        u, terms = 1.0, []
        for _ in range(int(30 / human)):
            terms.append(u)
            u = -np.expm1(-(1 - human) * u)
        expected = human * (np.sum(np.sort(terms)) + u / human)
        assert np.isclose(theory.exchange_rate(human), expected, rtol=1e-12)
    tiny = np.array([1e-8, 1e-50, 1e-300])
    # C/h - 2 ln(1/2h) tends to a number
    rest = theory.exchange_rate(tiny) / tiny - 2 * np.log(0.5 / tiny)
    assert np.allclose(rest, 0.200645, atol=2e-6)
    assert theory.exchange_rate(0.0) == 0
    assert np.all(np.diff(theory.exchange_rate(np.linspace(0, 1, 401))) > 0)
    # the approximation that the page gives
    share = np.array([1e-4, 0.01, 0.1, 0.5, 0.9])
    x = share * (2 - share)
    found = theory.exchange_rate(share)
    assert np.abs(x * np.log(1 / x) / (1 - share) ** 2 / found - 1).max() < 0.03


def test_bounds_of_the_rate():
    """1/(1 + k/2 + (1/6) Σ 1/(j+2)) <= u_k <= 1/(1 + k/2), and the page's approximation."""
    t = np.arange(1, 3_001)
    rate = theory.exchange_rate(0.0, t)
    k = t - 1
    harmonic = np.append(0.0, np.cumsum(1 / (np.arange(k[-1]) + 2.0)))
    assert np.all(rate <= 2 / (t + 1) * (1 + 1e-12))
    assert np.all(rate >= (1 - 1e-12) / (1 + k / 2 + harmonic / 6))
    half = (t + 1) / 2
    away = np.abs(1 / (half + np.log(half) / 6) / rate - 1)
    assert 0.009 < away.max() < 0.0093
    assert np.all(rate * t >= 1)  # the bound of Suresh et al., of which this is up to twice
    assert 1.99 < rate[-1] * t[-1] < 2


def test_rates_of_arrays_are_those_of_numbers():
    shares, times = np.array([0.0, 0.1, 1.0]), np.array([[1.0], [7.0], [np.inf]])
    for memory in ("replace", "accumulate"):
        both = theory.exchange_rate(shares, times, memory)
        assert both.shape == (3, 3)
        for i, j in itertools.product(range(3), range(3)):
            one = theory.exchange_rate(float(shares[j]), float(times[i, 0]), memory)
            assert np.isclose(both[i, j], one, rtol=1e-14)
    long = theory.exchange_rate(0.2, [3_000, np.inf])
    assert np.isclose(*long, rtol=1e-14)


def test_the_rate_is_differentiable_in_the_human_share():
    with jax.enable_x64(True):
        slope = jax.grad(lambda h: theory.exchange_rate(h))(0.1)
        near = theory.exchange_rate(0.1 + 1e-6) - theory.exchange_rate(0.1 - 1e-6)
        assert np.isclose(slope, near / 2e-6, rtol=1e-6)


def test_richness_of_the_notes():
    """A Zipf law of 500 words on 2,000 tokens; and shares kept of 100,000 words on a million."""
    found = theory.expected_richness(theory.zipf(500), 2_000, [1, 5, 10, 30, 100])
    assert np.allclose(found, [359.1, 202.3, 139.6, 68.5, 27.7], atol=0.05)
    law, shares = theory.zipf(100_000), np.array([0.01, 0.05, 0.1, 0.2, 0.5])
    kept = theory.expected_richness(law, 1e6, np.inf, shares)
    kept = kept / theory.expected_richness(law, 1e6, 1)
    assert np.allclose(kept, [0.26, 0.55, 0.69, 0.82, 0.96], atol=0.005)
    counts = np.array([30, 3, 0, 1])
    pooled = theory.expected_richness(counts, 34, 4, models=5)
    alone = sum(theory.survival(5.0 * c, 4) for c in counts)
    assert np.isclose(pooled, alone, rtol=1e-13)


def test_share_variance_is_the_sum_of_its_steps():
    steps = 4.0 * np.cumsum(1 / np.arange(2, 41) ** 2)
    assert np.allclose(theory.share_variance(4.0, np.arange(2, 41)), steps, rtol=1e-12)
    assert theory.share_variance(4.0, 1) == 0
    assert np.isclose(theory.share_variance(1.0), np.pi**2 / 6 - 1)


def test_conserved_shares_and_the_clock():
    """π W = π, a power of W as the reference; n/Σπ² to first order, K n at most."""
    rng = np.random.default_rng(1)
    for count in (2, 3, 7, 30):
        w = rng.dirichlet(np.full(count, 0.7), count)
        pi = theory.fixation_shares(w)
        power = np.linalg.matrix_power(0.5 * (w + np.eye(count)), 2**14)
        assert np.allclose(power, pi, atol=1e-9)
        tokens = 1e6
        ratio = theory.decay_rate(w, tokens) * theory.effective_tokens(w, tokens)
        assert abs(ratio - 1) < 1e-4
        assert abs(ratio * (pi**2).sum() * count - 1) > 1e-3  # not K n
        assert theory.effective_tokens(w, 100) <= count * 100
    ring = np.roll(np.eye(5), 1, axis=1)
    assert np.isclose(theory.effective_tokens(ring, 100), 500)
    assert np.isclose(theory.decay_rate([[1.0]], 40), -np.log1p(-1 / 40))
    assert np.isclose(theory.decay_rate(np.full((4, 4), 0.25), 10), -np.log1p(-1 / 40))
    assert theory.decay_rate(np.eye(2), 10) == 0  # two that never meet
    assert theory.decay_rate([[1.0]], 1) == np.inf


def test_pairs_of_models_token_by_token():
    """Every text of two models of one token each, four generations: all courses of events."""
    reads, laws, human = np.array([[0.7, 0.3], [0.4, 0.6]]), np.array([[0.8, 0.2], [0.5, 0.5]]), 0.2
    texts = list(itertools.product(range(2), repeat=2))
    chance = {text: laws[0, text[0]] * laws[1, text[1]] for text in texts}
    path = theory.network_heterozygosity(laws, 1, 4, reads, human)
    for t in range(4):
        unlike = sum(p for text, p in chance.items() if text[0] != text[1])
        assert np.isclose(path[t, 0, 1], unlike, rtol=1e-12)
        assert np.allclose(np.diag(path[t]), 0, atol=1e-15)
        after = dict.fromkeys(texts, 0.0)
        for text, p in chance.items():
            said = np.eye(2)[list(text)]  # one token: its law is all there is
            law = (1 - human) * reads @ said + human * laws
            for new in texts:
                after[new] += p * law[0, new[0]] * law[1, new[1]]
        chance = after


def test_a_network_of_equals_is_one_corpus():
    law, everyone = theory.zipf(50), np.full((3, 3), 1 / 3)
    path = theory.network_heterozygosity(law, 40, 6, everyone, 0.1).mean(axis=(1, 2))
    pooled = theory.expected_heterozygosity(law, 40, np.arange(1, 7), 0.1, models=3)
    assert np.allclose(path, pooled, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: theory.exchange_rate(1.2), "human_share must be from 0 to 1, got 1.2"),
        (lambda: theory.exchange_rate(0.1, 0), "integers from 1 to 10⁷, or inf"),
        (lambda: theory.exchange_rate(0.1, 2.5), "integers from 1 to 10⁷, or inf"),
        (lambda: theory.exchange_rate(0.1, 2, "all"), "memory must be one of replace, accumulate"),
        (lambda: theory.survival(-1.0, 2), "expected must be at least 0, got -1"),
        (lambda: theory.expected_richness([0.0, 0.0], 5, 2), "with a sum above 0"),
        (lambda: theory.expected_richness([[1.0]], 5, 2), r"law must have shape \(V,\)"),
        (lambda: theory.expected_richness([1.0], 0, 2), "tokens must be at least 1, got 0"),
        (
            lambda: theory.expected_heterozygosity([1.0], 5, 2, 0.1, "accumulate"),
            'human_share must be 0 with memory "accumulate"',
        ),
        (lambda: theory.zipf(0), "words must be an integer >= 1, got 0"),
        (lambda: theory.zipf(3, np.nan), "exponent must be a finite number"),
        (lambda: theory.fixation_shares(np.eye(2)), "must not fall into parts"),
        (lambda: theory.fixation_shares([[0.5, 0.4], [0, 1.0]]), "row 0 sums to 0.9"),
        (lambda: theory.decay_rate([[1.0]], 0.5), "tokens must be at least 1, got 0.5"),
        (lambda: theory.decay_rate([1.0], 5), r"reads must be a square matrix \(K, K\)"),
        (
            lambda: theory.network_heterozygosity(np.eye(3), 5, 2, np.eye(2)),
            "laws must be one for each of 2 models, got 3",
        ),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
