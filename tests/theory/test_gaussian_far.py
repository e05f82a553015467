"""Far tails of σ_t: against closed forms and slow sums of many digits, and weighted simulation."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import special, stats

from commensal.theory import gaussian
from commensal.theory.gaussian import _law
from commensal.theory.gaussian._far import far

LOWER = [5e-324, 1e-300, 1e-100, 1e-16, 1e-5]
UPPER = [2**-53, 1e-12, 1e-5]


def product_of_two_exponentials(x, *, upper=False):
    """P(σ_2² <= x²) at n = 3: 1 - 2x K_1(2x), by its series where that is nearly 0."""
    with mpmath.workdps(40):
        x = mpmath.mpf(float(x))
        if upper:
            return 2 * x * mpmath.besselk(1, 2 * x)
        if x > 1e-6:
            return 1 - 2 * x * mpmath.besselk(1, 2 * x)
        log = mpmath.log(x) + mpmath.euler
        return -(x**2) * (2 * log - 1) - x**4 * (log - mpmath.mpf(5) / 4)


def test_two_generations_of_three_points_far_out() -> None:
    x = gaussian.std_quantile(LOWER[1:], 2, 3)
    for q, at in zip(LOWER[1:], x, strict=True):
        assert abs(product_of_two_exponentials(at) / mpmath.mpf(q) - 1) < 1e-12
        exact = float(product_of_two_exponentials(at))
        assert gaussian.std_cdf(at, 2, 3) == pytest.approx(exact, rel=1e-12)
    for p in UPPER:
        at = gaussian.std_quantile(1 - p, 2, 3)
        left = product_of_two_exponentials(at, upper=True)
        assert abs(left / (1 - mpmath.mpf(1 - p)) - 1) < 1e-11


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
@pytest.mark.parametrize("q", LOWER)
def test_one_generation_far_out(n, q) -> None:
    """Incomplete gamma functions of 40 digits; σ itself may be below the smallest float."""
    log_x = 2 * gaussian.log_std_quantile(q, 1, n)
    with mpmath.workdps(40):
        k = mpmath.mpf(n - 1) / 2
        half = k * mpmath.exp(mpmath.mpf(float(log_x)))
        found = mpmath.gammainc(k, 0, half, regularized=True)
        assert abs(found / mpmath.mpf(q) - 1) < 1e-11


def test_the_smallest_quantile_of_two_points() -> None:
    """|Z| has density √(2/π) at 0."""
    for q in (1e-300, 1e-200, 1e-20):
        assert gaussian.std_quantile(q, 1, 2) == pytest.approx(q * np.sqrt(np.pi / 2), rel=1e-12)
    assert gaussian.std_quantile(1e-16, 2, 3) > 0


def slow_cdf(y, t, n):
    """P(log σ_t² <= y) under replace, on the imaginary axis with 50 digits."""
    with mpmath.workdps(50):
        k, y = mpmath.mpf(n - 1) / 2, mpmath.mpf(float(y))
        step = mpmath.pi / (20 * mpmath.sqrt(t * mpmath.psi(1, k)) + 200 / k)
        start, total, u = mpmath.loggamma(k), mpmath.mpf(0), step / 2
        while True:
            log = t * (mpmath.loggamma(k + 1j * u) - start - 1j * u * mpmath.log(k))
            total += (mpmath.exp(log - 1j * u * y) / u).imag
            if log.real < -105:
                return mpmath.mpf("0.5") - step / mpmath.pi * total
            u += step


@pytest.mark.parametrize(("t", "n"), [(100, 100), (10, 30), (1000, 50)])
def test_many_generations_with_fifty_digits(t, n) -> None:
    for q in (1e-30, 1e-15, 1e-6):
        y = 2 * gaussian.log_std_quantile(q, t, n)
        assert abs(slow_cdf(y, t, n) / mpmath.mpf(q) - 1) < 1e-11
        assert gaussian.std_cdf(np.exp(y / 2), t, n) == pytest.approx(q, rel=1e-11)
    for p in UPPER:
        y = 2 * gaussian.log_std_quantile(1 - p, t, n)
        assert abs((1 - slow_cdf(y, t, n)) / (1 - mpmath.mpf(1 - p)) - 1) < 1e-11
    shift = t * np.log1p(-1 / n)
    for q in (1e-15, 1 - 1e-12):
        y = 2 * gaussian.log_std_quantile(q, t, n)
        mle = 2 * gaussian.log_std_quantile(q, t, n, estimator="mle")
        assert mle - y == pytest.approx(shift, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [4, 30])
def test_two_generations_of_accumulation_by_dense_sums(n) -> None:
    """P(χ² <= small), which SciPy has to relative precision, summed over all that multiplies it."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    p, w = (nodes + 1) / 2, weights / 2
    p, w = p**2 * (3 - 2 * p), w * 6 * p * (1 - p)
    one, last = stats.chi2.ppf(p, 1), stats.chi2.ppf(p, n - 1)
    for q in (1e-8, 1e-60, 1e-250):
        log_x = 2 * gaussian.log_std_quantile(q, 2, n, "accumulate")
        growth = n + n / (n - 1) * (last[:, None] + one / 2)
        scatter = np.exp(log_x) * (2 * n - 1) * n / growth
        known = w @ stats.chi2.cdf(scatter, n - 1) @ w
        assert known == pytest.approx(q, rel=1e-8)


def test_many_generations_of_accumulation_by_weighted_simulation() -> None:
    """Lower tail: the first χ² drawn from a law of fewer degrees of freedom, and weighted.

    Two comparisons at |z| < 4: one right code in 8,000 would fail, if the seed were not fixed.
    """
    rng, replicates, n, t = np.random.default_rng(3), 200_000, 6, 20
    for q in (1e-6, 1e-14):
        k, log_x = (n - 1) / 2, 2 * gaussian.log_std_quantile(q, t, n, "accumulate")
        s = -k * (1 - 1 / max(2.0, -np.log(q) / 2))
        first = rng.gamma(k + s, size=replicates)
        log_weight = -s * np.log(first) + special.gammaln(k + s) - special.gammaln(k)
        log = np.log(2 * first / n)
        for i in range(2, t + 1):
            chi = rng.chisquare(n - 1, replicates) + (i - 1) / i * rng.chisquare(1, replicates)
            before = n * (i - 1)
            log += np.log((before + before / (before - 1) * chi) / (n * i))
        log += np.log(n * t / (n * t - 1))
        hits = np.where(log <= log_x, np.exp(log_weight), 0.0)
        error = hits.std() / np.sqrt(replicates)
        assert error < 0.03 * q
        assert abs(hits.mean() - q) < 4 * error


@pytest.mark.parametrize(
    ("t", "memory"), [(2, "replace"), (300, "replace"), (np.inf, "accumulate")]
)
@pytest.mark.parametrize("n", [2, 100])
def test_quantiles_rise_without_a_step_where_the_method_changes(t, n, memory) -> None:
    q = np.array([5e-324, 1e-200, 1e-18, 9.99e-4, 1e-3, 1.001e-3])
    q = np.concatenate([q, 1 - q[:2:-1], [1 - 1e-10, 1 - 2**-53]])
    x = gaussian.log_std_quantile(q, t, n, memory)
    assert (np.diff(x) > 0).all()
    of = _law.law(float(t), float(n), memory, "unbiased")
    np.testing.assert_allclose(of.cdf(2 * x[3:9]), q[3:9], rtol=0, atol=3e-13)


@pytest.mark.parametrize("n", [2, 3, 100])
@pytest.mark.parametrize("part", [1e-200, 1e-15, 1e-4, 0.5, 1 - 1e-9])
def test_share_carrying_any_part_of_the_mean(n, part) -> None:
    k = (n - 1) / 2
    known = special.gammaincc(k, special.gammainccinv(k + 1, part))
    assert gaussian.share_carrying_mean(1, n, part) == pytest.approx(known, rel=1e-11)


@pytest.mark.parametrize("n", [2, 5, 100])
def test_the_limit_of_accumulation_is_as_exact_as_its_beginning(n) -> None:
    """The law at t = inf by two lines of integration, which meet its transform at other points."""
    of, tails = (
        _law.law(np.inf, float(n), "accumulate", "unbiased"),
        far(np.inf, float(n), "accumulate", "unbiased"),
    )
    assert float(of.cdf(tails.quantile(0.1))) == pytest.approx(0.1, abs=1e-13)
    assert 1 - float(of.cdf(tails.quantile(0.1, upper=True))) == pytest.approx(0.1, abs=1e-13)
