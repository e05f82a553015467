"""The tail of one fit, integrated the other way round, and attacks on every bound."""

from __future__ import annotations

import io

import jax
import mpmath as mp
import numpy as np
import pytest
from scipy import optimize, stats

from commensal.plots._gaussian_tails import gaussian_tail_bounds
from commensal.theory import gaussian
from tests.reference import gaussian as slow

SIZES = [2, 3, 5, 10, 100, 10_000]
SCALED = np.array([1e-6, 0.01, 0.5, 1.5, 5, 20, 100, 600, 1300])


@pytest.mark.parametrize("n", SIZES)
def test_survival_down_to_1e_minus_280(n) -> None:
    known = np.array([slow.w2_survival(a / n, n) for a in SCALED])
    assert known.min() < 1e-150
    got = gaussian.w2_survival(SCALED / n, n)
    np.testing.assert_allclose(got, known, rtol=2e-11)  # SciPy's chi-square tails limit it
    np.testing.assert_allclose(got[:7], known[:7], rtol=2e-12)
    np.testing.assert_allclose(gaussian.w2_survival(4 * SCALED / n, n, 2.0), got, rtol=1e-13)


def test_survival_beyond_the_smallest_float() -> None:
    n, x = 30, mp.mpf(100)
    with mp.workdps(25):
        nu, root = mp.mpf(n - 1), mp.sqrt(x)
        constant = 2 * (nu / 2) ** (nu / 2) / mp.gamma(nu / 2)
        large = mp.exp(n * x / 2)  # the quadrature's tolerance is absolute

        def integrand(s):
            density = constant * s ** (nu - 1) * mp.exp(-nu * s * s / 2)
            return large * density * mp.erfc(mp.sqrt(n * (x - (s - 1) ** 2) / 2))

        inside = mp.quad(integrand, [0, 0.5, 0.8, 1, 1.2, 1.5, 2, 4, 1 + root]) / large
        above = mp.gammainc(nu / 2, nu / 2 * (1 + root) ** 2, regularized=True)
        known = float(mp.log(inside + above))
    assert known < -1400
    assert float(gaussian.log_w2_survival(100.0, n)) == pytest.approx(known, rel=1e-13)
    assert float(gaussian.w2_survival(100.0, n)) == 0.0


def test_survival_by_simulation() -> None:
    """20 probabilities from 10⁶ fits each: family-wise error 1e-3 by Bonferroni."""
    rng, zs = np.random.default_rng(3), []
    for n in (2, 3, 10, 100):
        error = rng.standard_normal(10**6) ** 2 / n
        w = error + (np.sqrt(rng.chisquare(n - 1, 10**6) / (n - 1)) - 1) ** 2
        for a in (0.1, 0.5, 1.5, 4.0, 8.0):
            p = float(gaussian.w2_survival(a / n, n))
            zs.append((np.mean(w >= a / n) - p) / np.sqrt(p * (1 - p) / 10**6))
    assert np.abs(zs).max() < stats.norm.isf(1e-3 / 2 / len(zs))


def test_survival_at_the_ends() -> None:
    np.testing.assert_array_equal(gaussian.w2_survival([0.0, -1.0], 5), [1, 1])
    np.testing.assert_array_equal(gaussian.w2_survival_approximation([0.0, -1.0], 5), [1, 1])
    # P(W < δ) near 0: n δ/(2σ²) times the densities of Z/√n and s at the truth, over area πδ
    x = 1e-9
    below = -np.expm1(gaussian.log_w2_survival(x, 3))
    density = np.sqrt(3 / (2 * np.pi)) * 2 * np.exp(-1.0)  # of s = χ_2/√2 at 1: 2 s exp(-s²)
    assert float(below) == pytest.approx(np.pi * x * density, rel=1e-6)


@pytest.mark.parametrize("n", [2, 7, 1000])
def test_approximation_is_the_weighted_sum(n) -> None:
    grid, weights = slow.panels()
    for a in (0.01, 1.5, 20.0, 600.0):
        y = np.sqrt(2 * a) * np.sin(grid * np.pi / 2)  # the root of Y, Y/2 < a
        rest = stats.chi2.sf(a - y**2 / 2, 1) * stats.norm.pdf(y)
        known = np.pi / 2 * (weights @ (rest * np.sqrt(2 * a) * np.cos(grid * np.pi / 2)))
        known += 2 * stats.norm.sf(np.sqrt(2 * a))
        got = float(gaussian.w2_survival_approximation(a / n, n))
        assert got == pytest.approx(known, rel=1e-11)


def test_chernoff_bounds_are_those_of_the_paper() -> None:
    delta, n, sigma = 0.3, 20, 1.3
    t = n / (4 * sigma**2)

    def bound(t):
        first, second = 1 - 2 * sigma**2 * t / n, 1 - sigma**2 * t / n
        return np.exp(-t * delta) / np.sqrt(first * second)

    got = {
        c: float(gaussian.chernoff_bound(delta, n, sigma, c))
        for c in ("tight", "printed", "optimal")
    }
    assert got["tight"] == pytest.approx(bound(t), rel=1e-13)
    assert got["printed"] == pytest.approx(2 * np.exp(-t * delta + 0.5), rel=1e-13)
    best = optimize.minimize_scalar(bound, bounds=(0, 2 * t), method="bounded")
    assert got["optimal"] == pytest.approx(best.fun, rel=1e-8)
    assert float(gaussian.chernoff_bound(delta, n, sigma)) == got["tight"]
    below_mean = 1.49 / 20
    assert float(gaussian.chernoff_bound(below_mean, 20, 1.0, "optimal")) == 1.0


def test_bounds_under_attack() -> None:
    """Random n in 2..10⁴ and δ: what is rigorous holds, and what is not fails where we say."""
    rng = np.random.default_rng(0)
    n = np.unique(np.concatenate([np.arange(2, 20), np.exp(rng.uniform(3, 9.3, 30)).astype(int)]))
    scaled = np.concatenate([np.geomspace(1e-4, 1, 60), np.linspace(1, 1300, 300)[1:]])
    table = gaussian.tail_table(n, scaled=scaled)
    seen = table["exact"] > 1e-290
    for name in ("rigorous", "printed", "tight"):  # tight: observed, not proved
        assert float(table[f"{name}_ratio"].where(seen).min()) > 1 - 1e-10
    fails = ((table["optimal_ratio"] < 1) & seen).any("scaled")
    np.testing.assert_array_equal(table["n"].values[fails.values], np.arange(2, 9))
    # far out at n = 2 the tail is that of s: 17.2 σ²
    assert float(table["optimal_ratio"].sel(n=2).interp(scaled=2 * 17.0)) > 1
    assert float(table["optimal_ratio"].sel(n=2).interp(scaled=2 * 17.5)) < 1
    # the paper's approximation is too small, by more the smaller n
    assert float(table["approximation_ratio"].sel(n=2, scaled=scaled[-1])) < 1e-100


def test_constants_of_the_rigorous_bound() -> None:
    constants = gaussian.chernoff_constant(np.arange(2, 2000))
    assert (np.diff(constants) < 0).all()
    assert constants[0] == pytest.approx(2 * np.sqrt(np.e / np.pi), rel=1e-15)
    assert constants[0] < 2 * np.exp(0.5)  # hence the printed bound is a theorem
    assert float(gaussian.chernoff_constant(10**8)) == pytest.approx(2 * np.sqrt(2 / 3), rel=1e-8)
    for n in (10, 500):
        s = stats.chi(n - 1, scale=(n - 1) ** -0.5)
        grid, weights = slow.panels()
        x = 2.5 * (grid + 1) if n < 100 else 1 + grid * 0.5
        width = 2.5 if n < 100 else 0.5
        value = np.sqrt(2) * width * (weights @ (s.pdf(x) * np.exp(n * (x - 1) ** 2 / 4)))
        assert float(gaussian.chernoff_constant(n)) == pytest.approx(value, rel=1e-11)
    c4 = np.sqrt(2 / 9) * np.exp(np.log(24.0) - float(mp.loggamma(4.5)))
    m = np.sqrt(0.1 + 2 * (1 - c4))
    bound = np.exp(-9 / 2 * (np.sqrt(5.0) - m) ** 2)
    assert float(gaussian.w2_bound(5.0, 10)) == pytest.approx(bound, rel=1e-12)


def test_best_of_many() -> None:
    p = float(gaussian.w2_survival(0.02, 100))
    assert float(gaussian.best_of_survival(0.02, 100, 7)) == pytest.approx(p**7, rel=1e-12)
    # 10⁹ fits, of which each comes as near as δ with probability of the order 1e-9
    delta, many = 2e-11, 10**9
    miss = -np.expm1(float(gaussian.log_w2_survival(delta, 100)))
    known = np.exp(many * np.log1p(-miss))
    assert 0.01 < known < 0.99
    assert float(gaussian.best_of_survival(delta, 100, many)) == pytest.approx(known, rel=1e-9)
    density = np.sqrt(100 / (2 * np.pi)) * stats.chi(99, scale=99**-0.5).pdf(1)
    assert miss == pytest.approx(np.pi * delta * density, rel=1e-8)


@pytest.mark.parametrize("delta", [0.002, 0.05, 3.0])
def test_gradients(delta) -> None:
    functions = [
        gaussian.log_w2_survival,
        gaussian.w2_survival,
        gaussian.w2_survival_approximation,
        gaussian.chernoff_bound,
        gaussian.w2_bound,
        lambda d, n, s: gaussian.chernoff_bound(d, n, s, "optimal"),
        lambda d, n, s: gaussian.best_of_survival(d, n, 5, s),
    ]
    with jax.enable_x64(True):
        for f in functions:
            got = jax.grad(lambda d, s, f=f: f(d, 12, s), argnums=(0, 1))(delta, 1.1)
            h = 1e-5
            up, down = f(delta * (1 + h), 12, 1.1), f(delta * (1 - h), 12, 1.1)
            assert float(got[0]) == pytest.approx(float(up - down) / (2 * h * delta), rel=2e-6)
            up, down = f(delta, 12, 1.1 + h), f(delta, 12, 1.1 - h)
            assert float(got[1]) == pytest.approx(float(up - down) / (2 * h), rel=2e-6, abs=1e-12)
        assert float(jax.grad(gaussian.w2_survival)(-1.0, 5)) == 0.0


def test_table_and_figure() -> None:
    by_delta = gaussian.tail_table([2, 10], [0.5, 2.0], sigma=2.0)
    assert by_delta["exact"].dims == ("n", "delta")
    assert float(by_delta["exact"][1, 0]) == float(gaussian.w2_survival(0.5, 10, 2.0))
    table = gaussian.tail_table([2, 100], scaled=np.linspace(1, 60, 30))
    np.testing.assert_allclose(table["delta"][1], table["scaled"] / 100)
    fig = gaussian_tail_bounds(table)
    buffer = io.BytesIO()
    fig.savefig(buffer, dpi=30)
    titles = [ax.get_title() for ax in fig.axes]
    assert titles[:2] == ["n = 2", "n = 2: optimal fails from 17.8 σ²"]
    assert titles[3] == "n = 100: all bounds hold here"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian.w2_survival(0.1, 1), "n must be a number of samples.*got 1"),
        (
            lambda: gaussian.w2_survival(0.1, 5, -1.0),
            "sigma must be a standard deviation > 0, got -1",
        ),
        (lambda: gaussian.w2_survival(np.nan, 5), "delta must be a number, got nan"),
        (lambda: gaussian.best_of_survival(0.1, 5, 0), "population must be an integer >= 1, got 0"),
        (
            lambda: gaussian.chernoff_bound(0.1, 5, 1.0, "loose"),
            "constant must be one of tight.*'loose'",
        ),
    ],
)
def test_refuses(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()


PROBABILITIES = {
    "survival": gaussian.w2_survival,
    "approximation": gaussian.w2_survival_approximation,
    "bound": gaussian.w2_bound,
    "optimal": lambda delta, n, sigma=1.0: gaussian.chernoff_bound(delta, n, sigma, "optimal"),
    "best": lambda delta, n, sigma=1.0: gaussian.best_of_survival(delta, n, 3, sigma),
    "log": lambda *of: np.exp(np.asarray(gaussian.log_w2_survival(*of))),
}


@pytest.mark.parametrize("name", PROBABILITIES)
@pytest.mark.parametrize("n", [2, 10, 10**6])
def test_no_threshold_is_too_small_or_too_large(name, n) -> None:
    """1 at and below 0, 0 at infinity; beyond a float's square, and for any unit of the data."""
    probability = PROBABILITIES[name]
    np.testing.assert_array_equal(probability([-np.inf, -1.0, 0.0], n), 1.0)
    np.testing.assert_array_equal(probability([1e10, 1e155, 1e200, 1e300, np.inf], n), 0.0)
    x = np.array([0.3, 2.0, 9.0]) / n
    for unit in (1e-150, 1e150):
        np.testing.assert_allclose(probability(x * unit**2, n, unit), probability(x, n), rtol=1e-12)
    np.testing.assert_array_equal(probability([1e-300, np.inf], n, 1e-300), 0.0)
    np.testing.assert_array_equal(probability([1e-300, 1e250], n, 1e300), 1.0)


@pytest.mark.parametrize("name", ["survival", "approximation", "bound", "optimal", "best"])
@pytest.mark.parametrize("delta", [-np.inf, -1.0, 0.0, 1e300, np.inf])
def test_where_nothing_changes_derivatives_are_zero(name, delta) -> None:
    with jax.enable_x64(True):
        slopes = jax.grad(PROBABILITIES[name], argnums=(0, 2))(delta, 10, 1.0)
    assert [float(slope) for slope in slopes] == [0.0, 0.0]


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_the_slope_at_nearly_zero_is_that_of_the_density(n) -> None:
    """P(W < δ) = δ π φ(0) √n p(1) + ..., p the density of s: the area of a half-plane's disc."""
    k = (n - 1) / 2
    with mp.workdps(30):
        at_one = 2 * mp.mpf(k) ** k * mp.exp(-k) / mp.gamma(k)
        area = mp.pi * mp.sqrt(mp.mpf(n) / (2 * mp.pi)) * at_one
    with jax.enable_x64(True):
        for delta in (1e-280, 1e-30, 1e-12):
            for probability in (gaussian.w2_survival, gaussian.log_w2_survival):
                slope = float(jax.grad(probability)(delta, n))
                assert slope == pytest.approx(-float(area), rel=1e-5 if delta > 1e-20 else 1e-12)


def test_no_unit_is_infinite() -> None:
    with pytest.raises(ValueError, match="sigma must be a standard deviation > 0, got inf"):
        gaussian.w2_survival(1.0, 10, np.inf)
    with pytest.raises(ValueError, match="delta must be a number, got nan"):
        gaussian.w2_survival([1.0, np.nan], 10)
