"""Ecosystems in closed form against every course of events, each other, algebra and quadrature.

Simulations are compared with in tests/sims/test_ecosystem.py.
"""

from __future__ import annotations

import jax
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from commensal.claims.ours._ecosystem import enumerated
from commensal.theory import ecosystem
from commensal.theory.ecosystem._vocabulary import compressed

SMALL = ecosystem.zipf(60)
PROXY = ecosystem.zipf()
CELLS = st.tuples(
    st.integers(1, 40),  # M
    st.integers(2, 3_000),  # n
    st.floats(0, 1e5),  # λ
)
# two lengths: each is compiled
SIZES = st.sampled_from([2, 4]).flatmap(
    lambda n: st.lists(st.integers(1, 500), min_size=n, max_size=n)
)
FEW = settings(max_examples=15)


def dense(vocabulary, sizes, hold, generations):
    """E q^m_v and E q^k_v q^l_v by the law of total covariance, token by token and in loops."""
    law, prior = (np.asarray(x) for x in vocabulary)
    sizes, models, tokens = np.array(sizes, float), len(sizes), sum(sizes)
    keep, move = hold / (sizes + hold), sizes / (sizes + hold)
    means, seconds = [], []
    for p, start in zip(law, prior, strict=True):
        mean = keep * start + move * p
        second = np.outer(mean, mean)
        for m in range(models):
            second[m, m] += move[m] ** 2 * p * (1 - p) / sizes[m]
        path = [(mean, second)]
        for _ in range(generations - 1):
            # E of one pool token's indicator, of a pair's, and of a token's with a model's law
            one = pair = 0.0
            with_own = np.zeros(models)
            for k in range(models):
                one += sizes[k] / tokens * mean[k]
                for j in range(models):
                    same = sizes[k] * (sizes[j] - (k == j)) / (tokens * (tokens - 1))
                    pair += same * second[k, j]
                    with_own[k] += sizes[j] / tokens * second[k, j]
            new = np.zeros((models, models))
            for k in range(models):
                for j in range(models):
                    counts = pair if k != j else one / sizes[k] + (1 - 1 / sizes[k]) * pair
                    new[k, j] = (
                        keep[k] * keep[j] * second[k, j]
                        + keep[k] * move[j] * with_own[k]
                        + keep[j] * move[k] * with_own[j]
                        + move[k] * move[j] * counts
                    )
            mean, second = keep * mean + move * one, new
            path.append((mean, second))
        means.append([a for a, _ in path])
        seconds.append([b for _, b in path])
    return np.moveaxis(means, 0, -1), np.moveaxis(seconds, 0, -1)


@pytest.mark.parametrize(
    ("models", "share", "hold"), [(1, 3, 2.0), (2, 2, 5.0), (3, 2, 1.0), (4, 1, 3.0), (2, 3, 0.0)]
)
def test_equal_segments_against_every_course_of_events(models, share, hold):
    vocabulary = ecosystem.Vocabulary(np.array([0.3, 0.7]), np.array([0.55, 0.45]))
    found = ecosystem.second_moments(vocabulary, models * share, models, hold, 3)
    truth = enumerated(0.3, 0.55, hold / (share + hold), share, models, 3)
    assert np.allclose(found.same[:, 0], truth[:, 0], rtol=0, atol=1e-13)
    if models > 1:
        assert np.allclose(found.across[:, 0], truth[:, 1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("sizes", [[5], [3, 3], [1, 7, 4], [20, 1, 1, 9]])
def test_segments_of_any_sizes_against_loops(sizes):
    small = ecosystem.zipf(7)
    found = ecosystem.segment_moments(small, sizes, 6.5, 5)
    mean, second = dense(small, sizes, 6.5, 5)
    assert np.allclose(found.mean, mean, rtol=1e-13)
    assert np.allclose(found.second, second, rtol=1e-12)
    assert np.allclose(np.sum(mean, axis=-1), 1)


@FEW
@given(CELLS, st.sampled_from([1, 7]), st.sampled_from(["chi_square", "squares"]))
def test_sums_over_types_are_enough(cell, generations, distance):
    """The aggregated recursion is the one type by type, of models and of the pool."""
    models, share, hold = cell
    known = ecosystem.sums(SMALL, distance)
    m = ecosystem.second_moments(SMALL, models * share, models, hold, generations)
    law = SMALL.law
    weight = 1 / law if distance == "chi_square" else np.ones_like(law)
    pool = m.same / models + (1 - 1 / models) * m.across
    for of, second in (("models", m.same), ("pool", pool)):
        found = ecosystem.expected_distance(known, models * share, models, hold, generations, of)
        expected = ((second - 2 * m.mean * law + law**2) * weight).sum(axis=-1)
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("distance", ["chi_square", "squares"])
def test_segment_distances_are_those_of_the_moments(distance):
    sizes, hold = [40, 10, 25], 30.0
    weight = 1 / SMALL.law if distance == "chi_square" else np.ones_like(SMALL.law)
    m = ecosystem.segment_moments(SMALL, sizes, hold, 6)
    own = np.einsum("tmmv->tmv", m.second) - 2 * m.mean * SMALL.law + SMALL.law**2
    known = ecosystem.sums(SMALL, distance)
    assert np.allclose(ecosystem.segment_distances(known, sizes, hold, 6), own @ weight, rtol=1e-11)
    share = np.array(sizes) / sum(sizes)
    mean = np.einsum("tmv,m->tv", m.mean, share)
    second = np.einsum("tklv,k,l->tv", m.second, share, share)
    pool = (second - 2 * mean * SMALL.law + SMALL.law**2) @ weight
    found = ecosystem.segment_distances(known, sizes, hold, 6, of="pool")
    assert np.allclose(found, pool, rtol=1e-11)


@FEW
@given(SIZES, st.floats(0.1, 1e4), st.randoms())
def test_segments_in_any_order_and_equal_ones(sizes, hold, random):
    known = ecosystem.sums(SMALL)
    found = ecosystem.segment_distances(known, sizes, hold, 4)
    order = list(range(len(sizes)))
    random.shuffle(order)
    again = ecosystem.segment_distances(known, [sizes[i] for i in order], hold, 4)
    assert np.allclose(found[:, order], again, rtol=1e-10)
    equal = ecosystem.segment_distances(known, [sizes[0]] * 3, hold, 4)
    expected = ecosystem.expected_distance(known, 3 * sizes[0], 3, hold, 4)
    assert np.allclose(equal, expected[:, None], rtol=1e-9)


def test_the_pool_loses_what_its_models_lack():
    """b ← b + (1-w)² (H - f)/N exactly: a line of algebra, from the recursion."""
    f, g, h, w, n, m = sympy.symbols("f g h w n M", positive=True)
    after = ecosystem.island(h - f, h - g, 0, w, n, m)  # what is left to lose, of one and of two
    pool = lambda one, two: one / m + (1 - 1 / m) * two  # noqa: E731
    lost = pool(h - f, h - g) - pool(*after)
    assert sympy.simplify(lost - (1 - w) ** 2 * (h - f) / (n * m)) == 0
    # and one model is its own pool
    assert sympy.simplify((after[0] - (h - f) * (1 - (1 - w) ** 2 / n)).subs({m: 1, g: f})) == 0


@FEW
@given(CELLS, st.sampled_from([3, 30]))
def test_what_an_ecosystem_is_worth(cell, generations):
    """Its pool is never further off than one model that moves as little; its models are further
    than the pool, and nearer than one of them alone."""
    models, share, hold = cell
    known = ecosystem.sums(SMALL)
    tokens = models * share
    one = ecosystem.expected_distance(known, tokens, 1, models * hold, generations)
    pool = ecosystem.expected_distance(known, tokens, models, hold, generations, "pool")
    each = ecosystem.expected_distance(known, tokens, models, hold, generations)
    alone = ecosystem.expected_distance(known, share, 1, hold, generations)
    slack = 1e-9 * np.abs(alone) + 1e-12
    assert (pool <= one + slack).all()
    assert (pool <= each + slack).all()
    assert (each <= alone + slack).all()
    if models == 1:
        assert np.allclose(each, one, rtol=1e-9)


@FEW
@given(st.integers(1, 40), st.integers(200, 20_000), st.floats(1.0, 1e5), st.sampled_from([1, 20]))
def test_leading_order(models, share, hold, generations):
    """Its error is of order T/n, relative to the noise."""
    known, tokens = ecosystem.sums(SMALL), models * share
    parts = ecosystem.leading(known, tokens, models, hold, generations)
    exact = ecosystem.expected_distance(known, tokens, models, hold, generations)
    noise = parts.drift + parts.segments
    assert np.all(np.abs(exact - sum(parts)) <= 2 * generations / share * noise + 1e-12)
    one = ecosystem.expected_distance(known, tokens, 1, models * hold, generations)
    assert np.all(np.abs(one - parts.bias - parts.drift) <= 2 * generations / share * noise + 1e-12)


def test_drift_does_not_depend_on_the_sizes():
    """1 - ρ = N/(N + Mλ)² (1 + O(1/n)) of the second moments' recursion, whatever the sizes."""
    from commensal.theory.ecosystem._island import scan_segments

    rng = np.random.default_rng(7)
    for case in range(9):
        models = 2 + case % 3
        sizes = rng.integers(200, 5_000, models).astype(float)
        hold = float(rng.uniform(50, 5_000))
        pairs = np.eye(models**2).reshape(models, models, -1)
        with jax.enable_x64(True):
            _, found = scan_segments(
                np.zeros((models, models**2)), pairs, sizes, hold / (sizes + hold), 2
            )
            step = np.asarray(found)[1].reshape(models**2, -1)
        rate = 1 - np.linalg.eigvals(step).real.max()
        rule = sizes.sum() / (sizes.sum() + models * hold) ** 2
        assert abs(rate / rule - 1) < 1 / sizes.min()


@FEW
@given(SIZES, st.floats(0, 1e4))
def test_conserved_mean(sizes, hold):
    weights = ecosystem.conserved(sizes, hold)
    mean = ecosystem.segment_moments(SMALL, sizes, hold, 5).mean
    kept = np.einsum("m,tmv->tv", weights, mean)
    assert np.allclose(kept, kept[0], rtol=1e-10)


def test_where_segmenting_pays():
    """The sign of the slope is that of the difference, and the window is where it is, if narrow."""
    known = ecosystem.sums(PROXY)
    hold = np.geomspace(100, 1e5, 60)
    for tokens in (2_000.0, 8_000.0, 15_000.0):
        slope = ecosystem.slope_at_one(known, tokens, hold)
        ends = ecosystem.mean_measure(PROXY, tokens, [[1.0], [1.0001]], hold, measure="chi_square")
        assert np.array_equal(slope < 0, ends[1] < ends[0])
        low, high = ecosystem.paying_window(known, tokens)
        inside = hold[slope < 0]
        assert 0.85 < inside[0] / low < 1.15  # λ/N is small there
        assert 1 < inside[-1] / high < 2.6  # and not there
    # for many more tokens there is no such λ
    assert not (ecosystem.slope_at_one(known, 60_000.0, hold) < 0).any()
    assert np.isnan(ecosystem.paying_window(known, 60_000.0)).all()


def test_best_hold():
    """Where λ/N is small it is the best of one model."""
    hold = np.geomspace(3_000, 60_000, 600)
    best = hold[ecosystem.mean_measure(PROXY, 1e8, 1, hold, measure="chi_square").argmin()]
    assert abs(best / float(ecosystem.best_hold(ecosystem.sums(PROXY))) - 1) < 0.02


def laplace_by_hand(theta, p, prior, tokens, models, hold, generations):
    """E exp(-Σ_m θ_m q^m), the sums over Poisson counts written out, last fit first."""
    share = tokens / models
    keep, n = hold / (share + hold), share + hold
    theta = np.array(theta, float)
    for _ in range(generations - 1):
        # writer l's token goes to model m with probability 1/M: its factor, averaged
        factor = np.mean(np.exp(-theta / n))
        theta = keep * theta + share * (1 - factor)
    return np.exp(-keep * prior * theta.sum() - share * p * (1 - np.exp(-theta / n)).sum())


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("of", ["models", "pool"])
def test_cross_entropy_by_adaptive_quadrature(models, of):
    vocabulary, cell, generations = ecosystem.zipf(12), (300, models, 80.0), 4
    found = ecosystem.expected_cross_entropy(vocabulary, *cell, generations, of)[-1]

    def nats(p, prior):
        def integrand(s):
            t = np.exp(s)
            theta = np.full(models, t / models) if of == "pool" else np.eye(models)[0] * t
            return np.exp(-t) - laplace_by_hand(theta, p, prior, *cell, generations)

        return integrate.quad(integrand, -30, 30, limit=400, epsabs=1e-12)[0]

    terms = [p * nats(p, prior) for p, prior in zip(*vocabulary, strict=True)]
    assert abs(found - (nats(1.0, 1.0) - sum(terms))) < 1e-9


def test_cross_entropy_of_models_that_hardly_move():
    """λ to infinity: the pretrained law; one fit to much text: the true one's entropy."""
    stay = ecosystem.expected_cross_entropy(PROXY, 1_000, 4, 1e12, 3)
    assert np.allclose(stay, -(PROXY.law * np.log(PROXY.prior)).sum(), rtol=1e-8)
    learnt = ecosystem.expected_cross_entropy(PROXY, 1e12, 1, 1.0, 1)
    assert np.allclose(learnt, -(PROXY.law * np.log(PROXY.law)).sum(), rtol=1e-6)


def test_compression_and_segments():
    """A vocabulary of 2,000 types in 32 points, and the general recursion for equal segments."""
    assert compressed(PROXY)[0].size == 32
    shuffled = np.random.default_rng(0).permutation(2_000)
    bent = ecosystem.Vocabulary(PROXY.law[shuffled], PROXY.prior[shuffled])
    cell = (16_000, 4, 5_000.0)
    found = ecosystem.expected_cross_entropy(PROXY, *cell)
    assert np.allclose(found, ecosystem.expected_cross_entropy(bent, *cell), rtol=1e-9)
    # uncompressed: not a smooth function of p
    rough = PROXY.prior * (1 + 1e-7 * (-1.0) ** np.arange(2_000))
    full = ecosystem.Vocabulary(PROXY.law, rough / rough.sum())
    assert compressed(full)[0].size == 2_000
    assert np.allclose(found, ecosystem.expected_cross_entropy(full, *cell), rtol=1e-6)
    segments = ecosystem.segment_cross_entropies(PROXY, [4_000] * 4, 5_000.0)
    assert np.allclose(segments, found[:, None], rtol=1e-11)


def test_a_cell_is_the_same_in_any_grid():
    hold = np.geomspace(100, 1e5, 37)
    together = ecosystem.expected_cross_entropy(SMALL, 1_000, [[1], [4]], hold, 5)
    alone = [ecosystem.expected_cross_entropy(SMALL, 1_000, 4, h, 5) for h in hold[[0, 17, 36]]]
    assert np.allclose(together[1, [0, 17, 36]], alone, rtol=1e-14)


def test_gradients_are_finite_differences():
    known = ecosystem.sums(SMALL)

    def chi_square(models, hold):
        return ecosystem.expected_distance(known, 1_000.0, models, hold).mean()

    def nats(models, hold):
        return ecosystem.expected_cross_entropy(SMALL, 1_000.0, models, hold).mean()

    with jax.enable_x64(True):
        for function in (chi_square, nats):
            slope = jax.grad(function, (0, 1))(3.0, 400.0)
            for i, step in enumerate(([1e-4, 0.0], [0.0, 1e-2])):
                ends = [function(3.0 + s * step[0], 400.0 + s * step[1]) for s in (-1, 1)]
                assert np.allclose(slope[i], (ends[1] - ends[0]) / (2 * max(step)), rtol=1e-5)


def test_the_gain_is_split_without_rest():
    for measure in ("perplexity", "chi_square", "squares"):
        g = ecosystem.gain(PROXY, 16_000, [1, 2, 4], 5_000.0, measure=measure)
        assert np.allclose(g.total, g.fewer_tokens + g.pooling)
        assert np.allclose(g.total, g.moving_less + g.segmenting)
        assert abs(g.total[0]) < 1e-9
        assert (g.pooling[1:] > 0).all()
        assert (g.segmenting[1:] < 0).all()


def test_numbers_of_the_claims():
    """As simulated for commensal.proxy_u_shape: 418.1, 345.0, 325.7, 337.1, 347.6 (± 0.2);
    five 325.3, one on N/4 371, one that moves as little 311."""
    found = ecosystem.mean_measure(PROXY, 16_000, [1, 2, 4, 5, 16, 64], 5_000.0)
    assert np.allclose(found, [418.1, 345.0, 325.7, 325.3, 337.1, 347.6], rtol=0, atol=0.25)
    g = ecosystem.gain(PROXY, 16_000, 4, 5_000.0)
    assert np.allclose([g.alone, g.slower], [371, 311], rtol=0, atol=0.6)
    # by λ: one model of 1, 2, 4, 16 for 20,000, sixteen for 1,000
    for hold, best in ((20_000.0, 1), (5_000.0, 4), (1_000.0, 16)):
        assert ecosystem.best_models(PROXY, 16_000, hold, candidates=(1, 2, 4, 16)) == best


@FEW
@given(st.lists(st.floats(0, 100), min_size=1, max_size=6), st.floats(0, 5), st.floats(0.1, 5))
def test_hill_numbers(weights, order, more):
    if not sum(weights) > 1e-3:
        weights = [1.0]
    some = [w for w in weights if w > 0]
    high, low = (float(ecosystem.hill_number(weights, q)) for q in (order, order + more))
    assert 1 - 1e-9 <= low <= high * (1 + 1e-6)
    assert high <= len(some) * (1 + 1e-6)
    assert np.isclose(float(ecosystem.hill_shannon([2.0] * len(some))), len(some))
    near = float(ecosystem.hill_number(some, 1 + 1e-5))
    assert np.isclose(float(ecosystem.hill_shannon(some)), near, rtol=1e-3)
    assert np.isclose(float(ecosystem.hill_number(some, np.inf)), sum(some) / max(some))


def plain_hill(weights, order):
    """As it is written down, with 40 digits."""
    with mpmath.workdps(40):
        exact = [mpmath.mpf(float(w)) for w in weights if w > 0]
        shares = [w / sum(exact) for w in exact]
        if order == 1:
            return mpmath.exp(-sum(w * mpmath.log(w) for w in shares))
        if order == np.inf:
            return 1 / max(shares)
        q = mpmath.mpf(float(order))
        return mpmath.exp(mpmath.log(sum(w**q for w in shares)) / (1 - q))


@pytest.mark.parametrize("flatness", [0.0, 1.0, 400.0, 1e16])
def test_a_prior_of_any_flatness_is_a_law(flatness):
    law, prior = (np.asarray(x) for x in ecosystem.zipf(40, 1.0, flatness))
    assert np.isclose(prior.sum(), 1, rtol=1e-12)
    with mpmath.workdps(40):
        powers = [mpmath.mpf(float(p)) ** flatness for p in law]
        known = [float(p / sum(powers)) for p in powers]
    assert np.allclose(prior, known, rtol=1e-11, atol=1e-300)


ORDERS = [0.0, 1e-300, 0.5, 0.999, 1.0, 1.001, 1.1, 2.0, 30.0, 999.9, 1000.0, 1e6, 1e16, np.inf]
ORDERS += [1 + s * e for e in (2**-52, 1e-14, 1e-10, 1e-5, 1e-4) for s in (-1, 1)] + [1 - 2**-53]
WEIGHTS = {
    "equal": [1.0] * 4,
    "unequal": [8.0, 4.0, 2.0, 2.0],
    "one": [3.0],
    "a zero": [1.0, 0.0, 3.0],
    "far apart": [1.0, 1e-300, 1e-13],
    "all tiny": [3e-308, 1e-300, 1e-300],
    "below the normal": [1.0, 1e-320],
    "all below the normal": [5e-324, 5e-324],
    "farther apart than floats": [1e308, 1e-300],
    "all huge": [1e308, 1e308, 1e307],
    "many": [*range(1, 41)],
    "one of many": [1.0] + [1e-5] * 20,
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_hill_numbers_of_every_order(name):
    for order in ORDERS:
        found = float(ecosystem.hill_number(WEIGHTS[name], order))
        assert abs(found / plain_hill(WEIGHTS[name], order) - 1) < 1e-13, order


@pytest.mark.parametrize("order", [0.0, 0.5, 1 - 2**-53, 1.0, 1 + 1e-5, 2.0, 1000.0, 1e6, np.inf])
def test_slopes_of_hill_numbers(order):
    """Against differences of 40 digits; finite where a weight is zero; the same when compiled."""

    def hill(weights):
        return ecosystem.hill_number(weights, order)

    at, step = np.array([8.0, 4.0, 3.0, 2.0]), 2.0**-30
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(hill))(at)
        assert np.isfinite(jax.grad(hill)(np.array([1.0, 0.0, 3.0]))).all()
        assert np.isclose(jax.jit(hill)(at), float(plain_hill(at, order)), rtol=1e-13)
    for i, one in enumerate(np.eye(4) * step):
        difference = (plain_hill(at + one, order) - plain_hill(at - one, order)) / (2 * step)
        assert abs(float(slope[i]) - difference) < 1e-13


REFUSED = [
    (lambda: ecosystem.zipf(10, np.nan), "exponent must be a finite number, got nan"),
    (lambda: ecosystem.zipf(10, flatness=np.inf), "flatness must be a finite number, got inf"),
    (lambda: ecosystem.zipf(1), "types must be an integer >= 2, got 1"),
    (lambda: ecosystem.hill_number([1, -1]), "weights must be finite, not negative"),
    (lambda: ecosystem.hill_number([0.0, 0.0]), "not all zero"),
    (lambda: ecosystem.hill_number([1.0, 1.0], np.nan), "order must be at least 0, got nan"),
    (lambda: ecosystem.hill_number([1, 1], -1), "order must be at least 0, got -1"),
    (lambda: ecosystem.sums(SMALL, "l1"), "distance must be one of chi_square, squares"),
    (
        lambda: ecosystem.sums(ecosystem.Vocabulary(np.array([0.5, 0.4]), np.array([0.5, 0.5]))),
        "law must sum to one",
    ),
    (
        lambda: ecosystem.sums(ecosystem.Vocabulary(np.array([0.5, 0.5]), np.ones(3) / 3)),
        "of one length, got 2 and 3",
    ),
    (lambda: ecosystem.second_moments(SMALL, 10, 20, 1.0), "models must be at most tokens, got 20"),
    (lambda: ecosystem.second_moments(SMALL, 10, 2, -1.0), "hold must be at least 0, got -1"),
    (
        lambda: ecosystem.second_moments(SMALL, 10, 2, 1.0, 0),
        "generations must be an integer >= 1, got 0",
    ),
    (lambda: ecosystem.segment_moments(SMALL, [3, 0], 1.0), "sizes must be at least 1, got 0"),
    (
        lambda: ecosystem.expected_cross_entropy(SMALL, 10, 2, 0.0),
        "hold must be above 0: without it types that are lost make perplexity infinite",
    ),
    (lambda: ecosystem.best_models(SMALL, 100, 1.0, candidates=()), "candidates must name"),
    (lambda: ecosystem.mean_measure(SMALL, 10, 2, 1.0, measure="kl"), "measure must be one of"),
]


@pytest.mark.parametrize(("call", "told"), REFUSED)
def test_bad_arguments_are_told_in_one_line(call, told):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    if type(caught.value).__name__.startswith("TypeCheck"):
        pytest.skip("the types already say so")
    assert isinstance(caught.value, ValueError)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
