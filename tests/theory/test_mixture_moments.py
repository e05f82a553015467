"""Exact moments of interacting mixtures against enumeration, algebra and finite differences."""

from __future__ import annotations

from fractions import Fraction

import jax
import numpy as np
import pytest
import sympy as sp

from commensal.theory import mixture
from tests.reference.mixture_moments import enumerate_runs

HALF, TENTH, THIRD = Fraction(1, 2), Fraction(1, 10), Fraction(1, 3)


def number(value):
    return None if value is None else float(value)


@pytest.mark.parametrize(
    ("prior", "rate", "replacement", "posts", "generations"),
    [
        (Fraction(0), None, False, 1, 3),
        (None, None, False, 1, 2),
        (TENTH, THIRD, False, 1, 2),
        (None, None, True, 2, 2),
        (TENTH, THIRD, True, 1, 2),
    ],
)
def test_moments_are_those_of_every_outcome(prior, rate, replacement, posts, generations):
    history = enumerate_runs(
        [Fraction(3, 5), Fraction(1, 5)], 1, 2, posts, HALF, generations, prior, rate, replacement
    )
    setup = mixture.Setup(
        2,
        2,
        posts,
        0.5,
        2,
        weights=[[0.6, 0.4], [0.2, 0.8]],
        web=[0.5, 0.5],
        replacement=replacement,
        prior=number(prior),
        learning_rate=number(rate),
    )
    got = mixture.second_moments(setup, generations)
    for t, states in enumerate(history):
        total = 2 + 2 * posts * t

        def over(f, states=states):
            return sum(p * f(ones, w) for (ones, w), p in states.items())

        def variance(f, over=over):
            return over(lambda o, w: f(o, w) ** 2) - over(f) ** 2

        assert over(lambda o, w: 1) == 1
        expected = {
            "weights": [over(lambda o, w, i=i: w[i]) for i in (0, 1)],
            "web": over(lambda o, w, total=total: Fraction(o, total)),
            "variance": [variance(lambda o, w, i=i: w[i]) for i in (0, 1)],
            "web_variance": variance(lambda o, w, total=total: Fraction(o, total)),
            "consensus_variance": variance(lambda o, w: (w[0] + w[1]) / 2),
        }
        for name, value in expected.items():
            component = getattr(got, name)[t][..., 0]
            np.testing.assert_allclose(component, np.array(value, float), rtol=0, atol=1e-14)
        # two ordered pairs, two components
        apart = over(lambda o, w: 4 * (w[0] - w[1]) ** 2)
        mixed = over(lambda o, w: 2 * ((w[0] + w[1]) / 2) * (1 - (w[0] + w[1]) / 2))
        assert got.disagreement[t] == pytest.approx(float(apart), abs=1e-13)
        assert got.heterogeneity[t] == pytest.approx(float(mixed), abs=1e-13)


def test_noise_law_by_sympy():
    """The variance at rest from the weights of the draws one by one, and its limit."""
    beta = sp.Symbol("beta", positive=True)
    for k in (2, 3, 7):
        weight = [(sp.Rational(1, k)) * (1 - sp.Rational(1, k)) ** (k - i) for i in range(1, k + 1)]
        kept = (1 - sp.Rational(1, k)) ** k
        points = k / beta
        pairs = sum(weight) ** 2 - sum(w**2 for w in weight)
        noise = sum(w**2 for w in weight) - pairs / (points - 1)  # covariance -1/(N-1)
        rest = sp.lambdify(beta, 2 * noise / (1 - kept**2))
        for value in (0.25, 0.5, 1.0):
            got = mixture.disagreement([0.5, 0.5], 3, k, value, finite=True)
            assert float(got) == pytest.approx(6 * 0.5 * rest(value), rel=1e-12)
    k = sp.Symbol("k", positive=True)
    kept = sp.exp(-1)
    noise = (1 - kept**2) / (2 * k) - (1 - kept) ** 2 * beta / k
    law = (1 - 2 * beta * sp.tanh(sp.Rational(1, 2))) / (2 * k)
    assert sp.simplify((noise / (1 - kept**2) - law).rewrite(sp.exp)) == 0


def test_laws_agree_where_they_should():
    weights = np.array([0.5, 0.3, 0.2])
    setup = mixture.Setup(4, 3, 2, 0.3, 50, web=weights, prior=0.0)
    exact = mixture.second_moments(setup, 2000)
    k = setup.schedule(2000).draws
    law = mixture.disagreement(weights, 4, k, 0.3) / np.sum(weights * (1 - weights))
    finite = mixture.disagreement(weights, 4, k, 0.3, finite=True)
    finite = finite / np.sum(weights * (1 - weights))
    ratio = exact.disagreement[1:] / (law * exact.heterogeneity[1:])
    # what is left is O(1/t): the web grows, and k is finite
    late = np.abs(ratio[[249, 499, 999, 1999]] - 1)
    np.testing.assert_allclose(late[:-1] / late[1:], 2, rtol=0.1)
    assert late[-1] < 1e-3
    np.testing.assert_allclose(finite[-1], law[-1], rtol=1 / k[-1])
    slope = np.polyfit(np.log(np.arange(50, 2001)), np.log(exact.disagreement[50:]) / 2, 1)[0]
    assert abs(slope + 0.5) < 0.02


def test_path_is_the_exact_recursion_at_a_fixed_consensus():
    """c = 0 and a web that hardly moves: both recursions are the same one."""
    weights = np.array([0.6, 0.3, 0.1])
    start = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.6, 0.3, 0.1]])
    setup = mixture.Setup(3, 3, 1, 1e-7, 10**9, weights=start, web=weights, prior=0.0)
    exact = mixture.second_moments(setup, 6).disagreement
    np.testing.assert_allclose(mixture.disagreement_path(setup, weights, 6), exact, rtol=1e-7)


def test_differences_contract_and_the_mean_field_follows_eq_10():
    start = np.array([[0.9, 0.1, 0.0], [0.1, 0.1, 0.8]])
    web = np.array([0.2, 0.3, 0.5])
    setup = mixture.Setup(2, 3, 2, 0.5, 12, weights=start, web=web)
    field = mixture.mean_field(setup, 30)
    schedule = setup.schedule(30)
    apart = field.weights[:, 0] - field.weights[:, 1]
    kept = np.cumprod(mixture.contraction(schedule.draws))
    np.testing.assert_allclose(apart[1:], kept[:, None] * apart[0], atol=1e-14)
    for t in (0, 7, 29):
        k, c = int(schedule.draws[t]), schedule.prior[t]
        one_by_one = field.weights[t]
        for _ in range(k):  # eq. (10), k times
            one_by_one = (1 - 1 / k) * one_by_one + (field.web[t] - c) / (k * (1 - 3 * c))
        np.testing.assert_allclose(field.weights[t + 1], one_by_one, atol=1e-14)
        got = mixture.expected_update(field.weights[t].clip(0), field.web[t].clip(0), k)
        np.testing.assert_allclose(got, one_by_one, atol=1e-14)
        # 1 - ᾱ^{k+1}, as printed, would not leave a sum of one
        printed = (1 - 1 / k) ** k + 1 - (1 - 1 / k) ** (k + 1)
        assert abs(printed - 1) > 0.001
        # the history average: initial points and everything posted before t
        posted = setup.posts * field.weights[:t].sum(axis=(0, 1))
        np.testing.assert_allclose(
            field.web[t], (12 * web + posted) / schedule.points[t], atol=1e-14
        )


def test_consensus_limit():
    setup = mixture.Setup(3, 3, 3, 0.5, 20, web=[0.5, 0.3, 0.2], web_sampled=True)
    end = mixture.consensus_limit(setup)
    short = mixture.consensus_limit(setup, 1024)
    assert end.error < 1e-8
    np.testing.assert_allclose(short.variance, end.variance, atol=3 * float(short.error))
    np.testing.assert_allclose(short.weights, end.weights, atol=3 * float(short.error))
    # not extrapolated: approached like 1/t
    moments = mixture.second_moments(setup, 8000)
    gaps = np.abs(moments.consensus_variance[[2000, 4000, 8000]] - end.variance)
    np.testing.assert_allclose(gaps[:-1] / gaps[1:], 2, rtol=0.02)
    assert end.weights.sum() == pytest.approx(1, abs=1e-9)
    # the prior stretches deviations from uniform weights, all by one factor
    plain = mixture.consensus_limit(
        mixture.Setup(3, 3, 3, 0.5, 20, web=[0.5, 0.3, 0.2], web_sampled=True, prior=0.0)
    )
    stretch = (end.weights - 1 / 3) / (plain.weights - 1 / 3)
    assert stretch[0] > 1.01
    np.testing.assert_allclose(stretch, stretch[0], rtol=1e-7)
    # without prior and with the models' initial weights equal to the web's the mean stays
    same = mixture.Setup(3, 2, 3, 0.5, 20, weights=[[0.7, 0.3]] * 3, web=[0.7, 0.3], prior=0.0)
    np.testing.assert_allclose(mixture.consensus_limit(same).weights, [0.7, 0.3], atol=1e-9)
    random = mixture.Setup(3, 2, 3, 0.5, 20, concentration=[7.0, 3.0], web=[0.7, 0.3], prior=0.0)
    end = mixture.consensus_limit(random)
    np.testing.assert_allclose(end.weights, [0.7, 0.3], atol=1e-9)
    assert (end.variance > mixture.consensus_limit(same).variance).all()


def test_initial_web_of_the_models_is_between_fixed_and_free():
    """Total variance: the points' own, and that of the weights that they were drawn from."""
    rng = np.random.default_rng(0)
    runs = 200_000
    weights = rng.dirichlet([2.0, 1.0], (runs, 3))
    web = rng.binomial(5, weights[..., 0].mean(axis=1)) / 5
    start = mixture.Setup(3, 2, 1, 0.5, 5, concentration=[2.0, 1.0]).initial()
    # five comparisons at 4.5 standard errors: family-wise error 4e-5
    for sample, expected in (
        (weights[:, 0, 0], (start.weights[0, 0], start.covariance[0, 0, 0])),
        (web, (start.web[0], start.web_variance[0])),
    ):
        assert sample.mean() == pytest.approx(
            float(expected[0]), abs=4.5 * sample.std() / runs**0.5
        )
        square = (sample - sample.mean()) ** 2
        assert square.mean() == pytest.approx(
            float(expected[1]), abs=4.5 * square.std() / runs**0.5
        )
    cross = (weights[:, 0, 0] - weights[:, 0, 0].mean()) * (web - web.mean())
    assert cross.mean() == pytest.approx(
        float(start.cross[0, 0]), abs=4.5 * cross.std() / runs**0.5
    )


def test_gradients():
    start = np.array([[0.7, 0.3], [0.2, 0.8]])

    def last(x):
        weights = jax.numpy.stack([x, 1 - x], axis=-1)
        setup = mixture.Setup(2, 2, 1, 0.5, 4, weights=weights, web=[0.5, 0.5])
        return mixture.second_moments(setup, 5).disagreement[-1]

    def law(x):
        return mixture.disagreement(jax.numpy.stack([x, 1 - x]), 3, 10, 0.5)

    with jax.enable_x64(True):
        got = jax.grad(last)(jax.numpy.asarray(start[:, 0]))
        step = 1e-6 * np.eye(2)
        expected = [(last(start[:, 0] + h) - last(start[:, 0] - h)) / 2e-6 for h in step]
        np.testing.assert_allclose(got, expected, rtol=1e-6)
        slope = jax.grad(law)(jax.numpy.asarray(0.3))
        assert slope == pytest.approx(float(law(0.3)) * (1 - 0.6) / 0.21, rel=1e-12)


def test_extremes():
    # one point, one draw: everybody learns the same
    assert mixture.disagreement([0.5, 0.5], 2, 1, 1.0, finite=True) == 0
    alone = mixture.Setup(2, 2, 1, 1.0, 1, web=[0.5, 0.5], prior=0.0)
    assert mixture.second_moments(alone, 1).disagreement[1] == pytest.approx(0, abs=1e-15)
    # all of the web is drawn: what is left is the order of the draws
    full = float(mixture.disagreement([0.5, 0.5], 2, 1000, 1.0))
    assert 0 < full < 0.08 * float(mixture.disagreement([0.5, 0.5], 2, 1000, 1e-9))
    batch = mixture.disagreement([[0.5, 0.5], [0.9, 0.1]], 3, [10, 20], [0.5, 0.25])
    assert batch.shape == (2,)
    assert mixture.Setup(2, 2, 1, 0.29, 100, web=[0.5, 0.5]).schedule(1).draws[0] == 29


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixture.disagreement([0.5, 0.4], 3, 10, 0.5), "weights must sum to one"),
        (lambda: mixture.disagreement([1.5, -0.5], 3, 10, 0.5), "weights must be .* not negative"),
        (lambda: mixture.disagreement([1.0], 3, 10, 0.5), "B >= 2"),
        (lambda: mixture.disagreement([0.5, 0.5], 1, 10, 0.5), "models must be an integer >= 2"),
        (lambda: mixture.disagreement([0.5, 0.5], 3, 0, 0.5), "draws must be integers >= 1"),
        (lambda: mixture.disagreement([0.5, 0.5], 3, 10, 0.0), r"read_share must lie in \(0, 1\]"),
        (lambda: mixture.disagreement([0.5, 0.5], 3, 10, 1.5), r"read_share must lie in \(0, 1\]"),
        (lambda: mixture.contraction(0), "draws must be integers >= 1"),
        (lambda: mixture.Setup(3, 1, 3, 0.5, 20), "components must be an integer >= 2"),
        (lambda: mixture.Setup(3, 2, 0, 0.5, 20), "posts must be an integer >= 1"),
        (lambda: mixture.Setup(3, 2, 3, 0.5, 0), "points must be an integer >= 1"),
        (lambda: mixture.Setup(3, 2, 3, 0.5, 1), "at least one draw"),
        (lambda: mixture.Setup(3, 2, 3, 0.5, 9, learning_rate=2.0), "learning_rate must lie"),
        (lambda: mixture.Setup(3, 2, 3, 0.5, 9, prior=0.5), r"prior must lie in \[0, 1/B\)"),
        (lambda: mixture.Setup(3, 2, 3, 0.5, 9, concentration=0.0), "concentration must be"),
        (lambda: mixture.Setup(3, 2, 3, 0.5, 9, web=[0.2, 0.3, 0.5]), "web must have shape"),
        (lambda: mixture.Setup(3, 2, 3, 0.5, 9, weights=[[0.5, 0.5]]), "weights must have shape"),
        (
            lambda: mixture.consensus_limit(mixture.Setup(3, 2, 3, 0.5, 9, prior=0.1)),
            "prior must be None or 0",
        ),
        (
            lambda: mixture.second_moments(mixture.Setup(3, 2, 3, 0.5, 9), 0),
            "generations must be an integer >= 1",
        ),
        (lambda: mixture.expected_update([0.5, 0.5], [0.2, 0.3, 0.5], 3), "web must have shape"),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
