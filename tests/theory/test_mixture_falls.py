"""The law of ‖D‖_F at rest and its falls: classical distributions, and Gaussian simulation."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import stats

from commensal.theory import mixture
from commensal.theory.mixture import _chi_squares
from commensal.theory.mixture._noise import mode_variance, separated


@pytest.mark.parametrize("freedom", [1, 2, 5, 40])
def test_cdf_of_one_and_of_equal_weights(freedom):
    x = np.array([1e-3, 0.1, 1.0, 5.0, 30.0, 90.0])
    one = _chi_squares.cdf(x, np.array([0.7]), freedom)
    np.testing.assert_allclose(one, stats.chi2.cdf(x / 0.7, freedom), atol=1e-11)
    three = _chi_squares.cdf(x, np.full(3, 0.7), freedom)
    np.testing.assert_allclose(three, stats.chi2.cdf(x / 0.7, 3 * freedom), atol=1e-11)


def test_cdf_of_unequal_weights():
    """h = 2: a sum of exponentials of different means, by partial fractions."""
    kappa = np.array([2.0, 0.9, 0.1])
    x = np.linspace(0.05, 30, 7)
    share = [np.prod([k / (k - j) for j in kappa if j != k]) for k in kappa]
    expected = 1 - sum(s * np.exp(-x / (2 * k)) for s, k in zip(share, kappa, strict=True))
    np.testing.assert_allclose(_chi_squares.cdf(x, kappa, 2), expected, atol=1e-11)


def gamma_tail(x, shape, *, upper):
    with mpmath.workdps(40):
        bounds = (x, mpmath.inf) if upper else (0, x)
        return mpmath.gammainc(mpmath.mpf(shape), *bounds, regularized=True)


@pytest.mark.parametrize(("freedom", "modes"), [(1, 1), (2, 1), (3, 2), (4, 3), (2, 10), (9, 10)])
def test_far_tails_of_equal_weights(freedom, modes):
    """A gamma law of 40 digits: quantiles of both sides, and the survival function far out."""
    kappa, shape = np.full(modes, 0.7e-3), freedom * modes / 2
    for p in (1e-300, 1e-100, 1e-15, 1e-4, 0.3, 0.7, 1 - 1e-4, 1 - 1e-10, 1 - 2**-53):
        log_x = _chi_squares.log_quantile(p, kappa, freedom)
        at, upper = mpmath.exp(mpmath.mpf(log_x)) / mpmath.mpf(1.4e-3), p > 0.5
        known = 1 - mpmath.mpf(p) if upper else mpmath.mpf(p)
        assert abs(gamma_tail(at, shape, upper=upper) / known - 1) < 2e-11
    for x in (0.02, 0.1, 0.5):
        known = gamma_tail(mpmath.mpf(x) / mpmath.mpf(1.4e-3), shape, upper=True)
        assert abs(_chi_squares.tail(x, kappa, freedom, upper=True) / known - 1) < 1e-11


def test_far_tails_of_unequal_weights():
    """A sum of three exponential variables, by partial fractions."""
    kappa = [1.0, 0.5, 0.2]
    for x in (1.0, 7.9, 8.1, 17.0, 40.0, 300.0):
        known = sum(
            np.exp(-x / (2 * a)) * np.prod([a / (a - b) for b in kappa if b != a]) for a in kappa
        )
        assert _chi_squares.tail(x, np.array(kappa), 2, upper=True) == pytest.approx(
            known, rel=1e-11
        )


@pytest.mark.parametrize("freedom", [1, 2, 5, 40])
def test_a_sign_that_is_rare(freedom):
    """aX <= bY for two χ²: the F distribution, which SciPy has to relative precision."""
    for ratio in (0.3, 1e-2, 1e-6, 1e-12):
        got = _chi_squares.probability_of_negative(np.array([1.0, -ratio]), freedom)
        assert got == pytest.approx(stats.f.cdf(ratio, freedom, freedom), rel=1e-11)


def test_a_fall_that_nobody_will_see():
    """One mode: F of (n-1, n-1) degrees of freedom at the ratio of the form's two weights."""
    r2 = np.exp(-2.0)
    for factor, models in ((1.5, 3), (30.0, 3), (1000.0, 3), (1000.0, 12)):
        root = np.sqrt((factor**2 - 1) ** 2 + 4 * factor**2 * (1 - r2))
        larger = (factor**2 - 1 + root) / 2
        known = stats.f.cdf(factor**2 * (1 - r2) / larger**2, models - 1, models - 1)
        got = mixture.probability_of_fall(factor, [0.5, 0.5], models, 0.5)
        assert got == pytest.approx(known, rel=1e-8)
    with pytest.raises(ValueError, match="factor must be at most 1000, got 1001"):
        mixture.probability_of_fall(1001.0, [0.5, 0.5], 3, 0.5)
    with pytest.raises(ValueError, match=r"models must be below 2\*\*31"):
        mixture.probability_of_fall(2.0, [0.5, 0.5], 2**31, 0.5)


@pytest.mark.parametrize("components", [2, 11])
def test_disagreement_at_its_ends(components):
    pi = [1 / components] * components
    p = np.array([1e-200, 1e-15, 1e-4, 0.5, 1 - 1e-9, 1 - 2**-53])
    x = np.array([mixture.disagreement_quantile(q, pi, 3, 100, 0.5) for q in p])
    assert (np.diff(x) > 0).all()
    survival = mixture.disagreement_survival(x, pi, 3, 100, 0.5)
    np.testing.assert_allclose(survival, 1 - p, rtol=1e-10)
    ends = mixture.disagreement_survival([-1.0, 0.0, 1e-300, 1e300, np.inf], pi, 3, 100, 0.5)
    np.testing.assert_array_equal(ends, [1, 1, 1, 0, 0])
    with pytest.raises(ValueError, match="x must be a number, got nan"):
        mixture.disagreement_survival(np.nan, pi, 3, 100, 0.5)


@pytest.mark.parametrize("freedom", [1, 2, 7])
def test_sign_of_two_terms_is_an_f_distribution(freedom):
    for a, b in ((1.0, 1.0), (0.2, 3.0), (50.0, 0.01)):
        expected = stats.f.cdf(b / a, freedom, freedom)  # P(a χ² <= b χ'²)
        got = _chi_squares.probability_of_negative(np.array([a, -b]), freedom)
        assert got == pytest.approx(expected, abs=1e-12)
        got = _chi_squares.probability_of_negative(np.array([a, a, -b]), freedom)
        expected = stats.f.cdf(b / (2 * a), 2 * freedom, freedom)
        assert got == pytest.approx(expected, abs=1e-12)
    assert _chi_squares.probability_of_negative(np.array([1.0, 2.0]), freedom) == 0


@pytest.mark.parametrize(("models", "lag"), [(2, 1), (3, 1), (3, 3), (6, 2)])
def test_fall_with_one_mode_in_closed_form(models, lag):
    r2 = np.exp(-2 * lag)
    for factor in (1.0, 1.5, 4.0):
        f2 = factor**2
        root = np.sqrt((f2 - 1) ** 2 + 4 * f2 * (1 - r2))
        up, down = (f2 - 1 + root) / 2, (root - f2 + 1) / 2
        expected = stats.f.cdf(down / up, models - 1, models - 1)
        got = mixture.probability_of_fall(factor, [0.3, 0.7], models, 0.5, lag=lag)
        assert got == pytest.approx(expected, abs=1e-12)
        # the other component weights say nothing else where there is one mode
        assert got == pytest.approx(
            mixture.probability_of_fall(factor, [0.5, 0.5], models, 0.9, lag=lag), abs=1e-12
        )
        falls = mixture.expected_falls(factor, [0.3, 0.7], models, 0.5, 200, lag=lag)
        assert falls == pytest.approx(200 * got)
    assert mixture.probability_of_fall(1.0, [0.3, 0.7], models, 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("weights", "separation"),
    [([0.6, 0.3, 0.1], None), ([0.6, 0.3, 0.1], 1.0), (np.arange(1, 12) / 66, None)],
)
def test_distribution_and_falls_against_gaussian_models(weights, separation):
    """Weights of n models drawn at two generations; ‖D‖_F by its definition."""
    rng = np.random.default_rng(5)
    pi, n, runs = np.asarray(weights), 3, 60_000
    modes = None
    if separation is not None:
        modes = mixture.overlap(separation * np.arange(pi.size), 1.0, pi)
    law = separated(pi) if modes is None else modes
    scale = np.sqrt(np.asarray(mode_variance(law.rates, 100.0, 0.5, False)))
    r = np.exp(-law.rates)
    first = rng.standard_normal((runs, n, law.rates.size))
    second = r * first + np.sqrt(1 - r**2) * rng.standard_normal(first.shape)

    def norm(y):
        x = (y * scale) @ law.modes.T
        gaps = x[:, :, None] - x[:, None]
        return np.sqrt((gaps**2).sum(axis=(1, 2, 3)))

    before, after = norm(first), norm(second)
    # 3 cases × 6 comparisons at 4.5 standard errors: family-wise error below 2e-4
    mean = float(mixture.disagreement(pi, n, 100, 0.5, overlap=modes))
    error = (before**2).std() / runs**0.5
    assert (before**2).mean() == pytest.approx(mean, abs=4.5 * error)
    for p in (0.02, 0.5, 0.99):
        x = mixture.disagreement_quantile(p, pi, n, 100, 0.5, overlap=modes)
        survival = mixture.disagreement_survival(x, pi, n, 100, 0.5, overlap=modes)
        assert float(survival) == pytest.approx(1 - p, abs=1e-10)
        assert (before < x).mean() == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / runs))
    for factor in (1.2, 1.6):
        p = mixture.probability_of_fall(factor, pi, n, 0.5, overlap=modes)
        seen = (after <= before / factor).mean()
        assert seen == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / runs))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixture.probability_of_fall(0.5, [0.5, 0.5], 3, 0.5), "factor must be at least 1"),
        (
            lambda: mixture.probability_of_fall(2.0, [0.5, 0.5], 3, 0.5, lag=0),
            "lag must be an integer >= 1",
        ),
        (lambda: mixture.probability_of_fall(2.0, [0.5, 0.5], 1, 0.5), "models must be"),
        (
            lambda: mixture.disagreement_quantile(1.0, [0.5, 0.5], 3, 10, 0.5),
            r"probability must lie in \(0, 1\)",
        ),
        (lambda: mixture.disagreement_survival(1.0, [0.5, 0.6], 3, 10, 0.5), "weights must sum"),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
