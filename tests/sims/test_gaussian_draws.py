"""The draws that all Gaussian simulations rest on: bits, normals, chi-square."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

from commensal.sims._threefry import bits, fold_in
from commensal.sims.gaussian import GaussianConfig
from commensal.sims.gaussian._blocks import draw_points
from commensal.sims.gaussian._draws import LARGEST_NORMAL, chi_square, normal_pairs, normals

DRAWS = 2**20
DEGREES = (1, 2, 5, 99, 315, 9999)
DTYPES = ("float32", "float64")

# Each p-value below is held against 1e-6. There are 2 x (6 x 5 + 11) = 82 for chi-square and
# normals and 5 x 3 for other truths, so that one sound run in 10,000 would fail somewhere (family
# -wise error below 1e-4), if seeds were not fixed.
LEVEL = 1e-6


@pytest.fixture(scope="module", autouse=True)
def _simulations_are_called_once():
    """Digits and bits are those of optimised programs here."""


@pytest.fixture(scope="module", autouse=True)
def _sixty_four_bits():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module", params=DTYPES)
def pair(request) -> np.ndarray:
    return np.asarray(jax.jit(lambda k: normal_pairs(k, (DRAWS,), request.param))(_key(1)))


def _key(seed: int):
    return jax.random.key(seed, impl="threefry2x32")


def _p_of(sample: np.ndarray, expected: float, error: float) -> float:
    return 2 * scipy.stats.norm.sf(abs(np.mean(sample) - expected) / error)


def test_bits_are_those_of_jax() -> None:
    with jax.threefry_partitionable(True):
        word = np.asarray(jax.random.bits(_key(7), (1000,), jnp.uint64))
    high, low = (np.asarray(w).astype(np.uint64) for w in bits(_key(7), 1000))
    np.testing.assert_array_equal(high << np.uint64(32) | low, word)
    folded = jax.random.key_data(jax.random.fold_in(_key(7), 12345))
    np.testing.assert_array_equal(fold_in(_key(7), 12345), folded)


def test_fewer_columns_are_the_first_ones() -> None:
    for dtype in DTYPES:
        draw = jax.jit(partial(normals, rows=5, dtype=dtype), static_argnames="size")
        many, few = (np.asarray(draw(_key(3), size=size)) for size in (300, 40))
        np.testing.assert_array_equal(few, many[:, :40])
        rows = {tuple(row) for row in many.tolist()}
        assert len(rows) == 5


def test_normals(pair: np.ndarray) -> None:
    first, second = pair.astype(float)
    assert np.abs(pair).max() <= LARGEST_NORMAL[pair.dtype.name]
    assert np.abs(pair).min() > 0
    for z in (first, second):
        assert scipy.stats.kstest(z, "norm").pvalue > LEVEL
        assert _p_of(z, 0, 1 / np.sqrt(DRAWS)) > LEVEL
        assert _p_of(z**2, 1, np.sqrt(2 / DRAWS)) > LEVEL
    # what the transform of a pair could get wrong: dependence, and the tails
    assert _p_of(first * second, 0, 1 / np.sqrt(DRAWS)) > LEVEL
    assert _p_of((first**2 - 1) * (second**2 - 1), 0, 2 / np.sqrt(DRAWS)) > LEVEL
    assert scipy.stats.kstest(np.hypot(first, second), "rayleigh").pvalue > LEVEL
    for cut in (3.0, 4.0):
        beyond = int(np.sum(np.abs(pair) > cut))
        tail = 2 * scipy.stats.norm.sf(cut)
        assert scipy.stats.binomtest(beyond, 2 * DRAWS, tail).pvalue > LEVEL


@pytest.mark.parametrize("df", DEGREES)
def test_chi_square_draws(pair: np.ndarray, df: int) -> None:
    log = np.asarray(jax.jit(chi_square(df, pair.dtype.name).log)(pair[1])).astype(float)
    x = np.exp(log)
    half = df / 2
    assert scipy.stats.kstest(x, scipy.stats.chi2(df).cdf).pvalue > LEVEL
    assert _p_of(x, df, np.sqrt(2 * df / DRAWS)) > LEVEL
    fourth = 12 * df**2 + 48 * df  # central moment of χ²
    assert _p_of((x - df) ** 2, 2 * df, np.sqrt((fourth - (2 * df) ** 2) / DRAWS)) > LEVEL
    mean = scipy.special.digamma(half) + np.log(2)
    variance = scipy.special.polygamma(1, half)
    fourth = scipy.special.polygamma(3, half) + 3 * variance**2
    assert _p_of(log, mean, np.sqrt(variance / DRAWS)) > LEVEL
    error = np.sqrt((fourth - variance**2) / DRAWS)
    assert _p_of((log - mean) ** 2, variance, error) > LEVEL


def _exact_log_ratio(z: float, df: int) -> float:
    """log(χ²/ν) at the quantile of ``z``, by Newton's method in 40 digits."""
    with mpmath.workdps(40):
        half = mpmath.mpf(df) / 2
        start = scipy.stats.chi2(df).ppf if z < 0 else scipy.stats.chi2(df).isf
        x = mpmath.mpf(float(start(scipy.stats.norm.cdf(-abs(z)))) / 2)
        for _ in range(4):
            if z < 0:
                excess = mpmath.gammainc(half, 0, x, regularized=True) - mpmath.ncdf(z)
            else:
                excess = mpmath.ncdf(-z) - mpmath.gammainc(half, x, mpmath.inf, regularized=True)
            x -= excess / mpmath.exp((half - 1) * mpmath.log(x) - x - mpmath.loggamma(half))
        return float(mpmath.log(x / half))


@pytest.mark.parametrize("df", [2, 5, 99, 315, 9999, 10**6])
def test_chi_square_transform_is_the_quantile(df: int) -> None:
    z = np.array([-8.5, -6.7, -5.3, -3, -1, -0.1, 0.2, 1.5, 3, 5, 6.6, 8.4])
    exact = np.array([_exact_log_ratio(float(x), df) for x in z])
    got = np.asarray(jax.jit(chi_square(df).log_ratio)(jnp.asarray(z)))
    # scipy's incomplete gamma function is the limit at a million
    np.testing.assert_allclose(got, exact, rtol=0, atol=3e-14 if df < 10**6 else 3e-12)
    rounded = z[np.abs(z) < 7].astype(np.float32)
    exact = np.array([_exact_log_ratio(float(x), df) for x in rounded])
    got = np.asarray(jax.jit(chi_square(df, "float32").log_ratio)(jnp.asarray(rounded)))
    assert got.dtype == np.float32
    # three units in the last place of the largest value (there are sums of such values in it)
    np.testing.assert_allclose(got, exact, rtol=0, atol=3 * 2.0**-24 * np.abs(exact).max())


@pytest.mark.parametrize("df", [2, 5, 99, 9999])
def test_float32_transform_has_no_bias_that_adds_up(df: int) -> None:
    # A lineage adds one such number per generation, so what counts is the mean error beside the
    # spread: 3e-7 of it is 1e-5 of the sum's spread after 1,000 generations, where even the mean
    # of 10^8 lineages has a standard error of 1e-4.
    z = np.linspace(-6.7, 6.7, 200_001)
    weights = scipy.stats.norm.pdf(z)
    got = np.asarray(chi_square(df, "float32").log_ratio(jnp.asarray(z, jnp.float32)))
    exact = np.asarray(chi_square(df).log_ratio(jnp.asarray(z)))
    bias = np.average(got.astype(float) - exact, weights=weights)
    assert abs(bias) < 3e-7 * np.sqrt(2 / df)


def test_many_degrees_of_freedom_at_once() -> None:
    df = np.array([2.0, 7.0, 40.0])
    z = jnp.linspace(-5, 5, 33).reshape(3, 11)
    together = jax.jit(chi_square(df[:, None]).log_ratio)(z)
    for row, v, got in zip(z, df, np.asarray(together), strict=True):
        alone = jax.jit(chi_square(v).log_ratio)(row)
        np.testing.assert_allclose(got, alone, rtol=1e-13, atol=1e-14)


def test_degrees_of_freedom_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"df must be at least 1, got 0"):
        chi_square([3, 0])


@pytest.mark.parametrize(
    ("law", "reference"),
    [
        ("laplace", scipy.stats.laplace(scale=np.sqrt(0.5))),
        ("student_t", scipy.stats.t(9, scale=np.sqrt(7 / 9))),
        ("exponential", scipy.stats.expon(loc=-1)),
        ("uniform", scipy.stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))),
        ("gaussian", scipy.stats.norm()),
    ],
)
def test_truths_are_standardised(law: str, reference) -> None:
    config = GaussianConfig(truth=law, student_df=9, samples=2, dim=1)
    x = np.asarray(draw_points(config, law, _key(5), 4, DRAWS // 4)).reshape(-1)
    mean, variance, kurtosis = (float(v) for v in reference.stats(moments="mvk"))
    assert abs(mean) < 1e-12
    assert abs(variance - 1) < 1e-12
    assert scipy.stats.kstest(x, reference.cdf).pvalue > LEVEL
    assert _p_of(x, 0, 1 / np.sqrt(DRAWS)) > LEVEL
    assert _p_of(x**2, 1, np.sqrt((kurtosis + 2) / DRAWS)) > LEVEL
