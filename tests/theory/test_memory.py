"""Memory: closed forms and the exact solver against dense combinations of all responses."""

from __future__ import annotations

from fractions import Fraction

import jax
import mpmath
import numpy as np
import pytest
import sympy

from commensal import designs, networks
from commensal.theory import memory, regression
from tests.reference import regression_memory as reference

MEMORIES = [("accumulate", None), ("window", None), ("window", 1), ("window", 3), ("window", 40)]
SIZES = {"private": 2.0, "public": 0.5, "synthetic": 1.5}


def isotropic(models: int) -> designs.Designs:
    """Features of one dimension."""
    one = np.eye(1)
    each = {name: np.tile(size * one, (models, 1, 1)) for name, size in SIZES.items()}
    return designs.from_grams(each | {"public": SIZES["public"] * one})


# Any Gram matrices.


@pytest.mark.parametrize("reads", ["uniform", "ring:0.3", "shares:5,2,1"])
@pytest.mark.parametrize(("kind", "window"), MEMORIES)
def test_trajectory_is_a_combination_of_all_responses(kind, window, reads):
    rng, last = np.random.default_rng(0), 6
    theta, network = rng.standard_normal(4), networks.named(reads, 3)
    for rank in (2, 4):  # on 2 rows some directions are seen by nobody but through the web
        drawn = designs.gaussian(3, 4, rank, 1, prompts="fresh")
        w = regression.RegressionWorkflow(**drawn.grams(), alpha=0.6, beta=0.4, reads=network)
        found = regression.trajectory(w, theta, last, memory=kind, window=window)
        dense = reference.linear(
            drawn, 0.6, 0.4, last, theta, memory=kind, window=window, reads=network
        )
        compare(found, dense)


@pytest.mark.parametrize(("kind", "window"), MEMORIES)
def test_trajectory_whose_every_part_changes(kind, window):
    """Prompts, human features, α, β and φ are new in every generation; humans alone at φ = 1."""
    rng, last = np.random.default_rng(1), 6
    drawn = designs.gaussian(3, 4, 3, 1)._replace(
        synthetic=rng.standard_normal((last, 3, 2, 4)), human=rng.standard_normal((last, 2, 4))
    )
    alpha, beta = np.linspace(0.1, 1, last), np.linspace(1, 0.1, last)
    share, theta = np.array([0.0, 0.3, 0.2, 0.0, 1.0, 0.5]), rng.standard_normal(4)
    reads = networks.ring(3, 0.3)
    w = regression.RegressionWorkflow(
        **drawn.grams(), alpha=alpha, beta=beta, human_share=share, reads=reads
    )
    found = regression.trajectory(w, theta, last, memory=kind, window=window)
    options = {"memory": kind, "window": window, "reads": reads, "share": share}
    compare(found, reference.linear(drawn, alpha, beta, last, theta, **options), 1e-9)


def compare(found, dense, tolerance=1e-11):
    t, k, d = dense.mean.shape
    blocks = np.einsum("tkakb->tkab", dense.covariance.reshape(t, k, d, k, d))
    np.testing.assert_allclose(found.mean, dense.mean, rtol=0, atol=tolerance)
    scale = np.abs(blocks).max()
    np.testing.assert_allclose(found.covariance, blocks, rtol=0, atol=tolerance * scale)
    assert np.abs(blocks[2:] - blocks[1:-1]).max() > 1e-3 * scale  # and it moves


def test_a_window_of_one_generation_replaces():
    grams = designs.misaligned(4, 10.0).grams()
    theta = np.arange(4.0)
    w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.8, human_share=0.1, noise=2.0)
    one = regression.trajectory(w, theta, 30, memory="window", window=1)
    same = regression.trajectory(w, theta, 30)
    np.testing.assert_allclose(one.covariance, same.covariance, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.mean, same.mean, rtol=1e-9, atol=1e-9)


def test_growth_is_that_of_a_window_of_any_gram_matrices():
    """K = 4 at the bound: under replace errors grow by 1.5 a generation."""
    grams = designs.misaligned(4, 1e4).grams()
    w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=1.0)
    rate = float(regression.spectral_radius(w))
    assert rate > 1.49
    for window in (2, 5):
        path = regression.trajectory(w, np.ones(4), 120, memory="window", window=window)
        size = np.trace(np.asarray(path.covariance), axis1=-2, axis2=-1).mean(axis=1)
        growth = (size[120] / size[80]) ** (1 / 80)
        assert growth == pytest.approx(memory.window_growth(rate, window), rel=1e-6)
    # everything kept: n^(μ - 1), so variances double 2(μ - 1) times as n doubles
    path = regression.trajectory(w, np.ones(4), 4_000, memory="window")
    size = np.trace(np.asarray(path.covariance), axis1=-2, axis2=-1).mean(axis=1)
    assert np.log2(size[4_000] / size[2_000]) == pytest.approx(2 * (rate - 1), abs=2e-3)


def test_nothing_grows_for_ever_if_real_data_keep_a_fixed_weight():
    """The same data: errors grow while real data outweigh the web, 30 generations, no longer."""
    w = regression.RegressionWorkflow(**designs.misaligned(4, 30.0).grams(), alpha=0.5, beta=1.0)
    assert float(regression.spectral_radius(w)) > 1.4
    path = regression.trajectory(w, np.ones(4), 4_000, memory="accumulate")
    size = np.trace(np.asarray(path.covariance), axis1=-2, axis2=-1).mean(axis=1)
    assert size[30] / size[5] > 1.5
    late, later = np.diff(size[[1_000, 2_000, 4_000]])
    assert 0 < later < 0.52 * late  # what is added as n doubles halves


# Multiples of the identity.


@pytest.mark.parametrize("reads", [None, "ring", "ring:0.5", "self:0.5", "blocs:0.2", "isolated"])
@pytest.mark.parametrize(("kind", "window"), [("replace", None), *MEMORIES])
def test_isotropic_errors_are_those_of_the_dense_combination(kind, window, reads):
    known = None if reads is None else networks.named(reads, 4)
    how = {"memory": "window", "window": 1} if kind == "replace" else {}
    for alpha, beta in ((0.0, 0.5), (0.3, 0.7), (0.6, 1.0), (1.0, 0.5)):
        options = {"memory": kind, "window": window, "reads": known}
        found = memory.isotropic_errors(np.arange(9), 4, alpha, beta, **options, **SIZES)
        dense = reference.linear(isotropic(4), alpha, beta, 8, np.ones(1), **(options | how))
        np.testing.assert_allclose(found.mse, dense.mse.mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(found.disagreement, dense.disagreement, rtol=0, atol=1e-13)


@pytest.mark.parametrize("reads", [None, "ring", "ring:0.5", "self:0.5", "blocs:0.2", "isolated"])
@pytest.mark.parametrize(("kind", "window"), [("replace", None), *MEMORIES])
def test_limits_are_those_of_long_paths(kind, window, reads):
    """What is left falls as n^-0.4 or faster; on a ring it turns about 0, and is just small."""
    known = None if reads is None else networks.named(reads, 4)
    for alpha, beta in ((0.0, 0.5), (0.3, 0.7), (0.6, 1.0), (1.0, 0.5)):
        options = {"memory": kind, "window": window, "reads": known} | SIZES
        limit = memory.isotropic_errors(np.inf, 4, alpha, beta, **options)
        path = memory.isotropic_errors([500, 2000], 4, alpha, beta, **options)
        if np.isinf(limit.mse):
            drifts = kind == "replace" or window is not None
            assert (alpha, drifts) == (1.0, True)
            assert path.mse[1] > path.mse[0] + 0.5
            continue
        for name in ("mse", "disagreement"):
            left = abs(getattr(path, name) - getattr(limit, name))
            assert left[1] < max(0.6 * left[0], 2e-4 * (reads == "ring:0.5"), 1e-12), (name, alpha)


def test_replace_has_the_limit_of_the_network():
    for name in ("ring:0.2", "self:0.7", "uniform"):
        w = networks.named(name, 5)
        same = regression.isotropic_network(w, 0.7, 0.6, dim=3, noise=2.0, **SIZES)
        found = memory.isotropic_errors(
            np.inf, 5, 0.7, 0.6, memory="replace", reads=w, dim=3, noise=2.0, **SIZES
        )
        assert found.mse == pytest.approx(same.mse, rel=1e-12)
        assert found.disagreement == pytest.approx(same.disagreement, rel=1e-12)


def test_accumulated_errors_as_they_are_written():
    """The formula of the docstring, in 40 digits."""
    k, alpha = 5, 0.3
    s, synthetic = SIZES["private"], SIZES["synthetic"]
    n = np.array([0, 1, 7, 1000])
    found = memory.isotropic_errors(n, k, alpha, **SIZES)
    with mpmath.workdps(40):
        c = (1 - mpmath.mpf(alpha)) * s / (mpmath.mpf(alpha) * synthetic)
        for i, t in enumerate(n.tolist()):
            noise = mpmath.zeta(2, 1 + c) - mpmath.zeta(2, 1 + c + t)
            apart = (c / (c + t)) ** 2 * (1 - mpmath.mpf(1) / k) / s
            mse = 1 / (k * mpmath.mpf(s)) + noise / (k * synthetic) + apart
            assert found.mse[i] == pytest.approx(float(mse), rel=1e-12)
            assert found.disagreement[i] == pytest.approx(float(apart), rel=1e-11)


def test_what_a_window_leaves_in_symbols():
    """Equal autocovariances g solve the equations of Yule and Walker, for every m."""
    r, m, zero = sympy.symbols("r m gamma_0", positive=True)
    g = r * zero / (m - r * (m - 1))
    # Cov(y_n, y_{n-k}) = (r/m) [γ_0 + (m-1) g] for k = 1..m, and the variance with unit noise
    assert sympy.simplify(r / m * (zero + (m - 1) * g) - g) == 0
    variance = sympy.solve(r * g + 1 - zero, zero)[0]
    left = r**2 / ((1 - r) * (m + r))
    assert sympy.simplify(variance - 1 - left) == 0
    one = memory.isotropic_errors(np.inf, 1, 0.7, memory="window", window=6)
    expected = 1 + float(left.subs({r: sympy.Rational(7, 10), m: 6}))
    assert one.mse == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("window", [1, 2, 7])
def test_drift_is_that_of_a_long_path(window):
    """The transient of a window dies geometrically."""
    path = memory.isotropic_errors([400, 500], 3, 1.0, memory="window", window=window)
    step = (path.mse[1] - path.mse[0]) / 100
    assert step == pytest.approx(memory.window_drift(window) / 3, rel=1e-10)


# Without real data but the first.


def test_refit_error_in_forty_digits():
    with mpmath.workdps(40):
        for samples, models, dim in ((20, 1, 5), (3, 5, 13), (1000, 4, 2), (7, 1, 5)):
            rows, at = samples * models, [0, 1, 2, 50, 3000]
            found = memory.refit_error(at, samples, models, dim=dim, noise=0.5)
            for t, value in zip(at, found, strict=True):
                total = mpmath.fsum(
                    mpmath.mpf(dim) / (4 * i * (i * rows - dim - 1)) for i in range(1, t + 2)
                )
                assert value == pytest.approx(float(total), rel=1e-13)
            c = mpmath.mpf(dim + 1) / rows
            limit = -(mpmath.digamma(1 - c) + mpmath.euler) / c * dim / (4 * rows)
            last = memory.refit_error(np.inf, samples, models, dim=dim, noise=0.5)
            assert last == pytest.approx(float(limit), rel=1e-13)
            # above π²/6 of σ²d/(KT), below it relative to the first error
            assert last > np.pi**2 / 6 * dim / (4 * rows)
            assert last < np.pi**2 / 6 * found[0]
    same = memory.refit_error([0, 3, np.inf], 10, 4, dim=3, design="equal")
    expected = np.array([1, 1 + 1 / 4 + 1 / 9 + 1 / 16, np.pi**2 / 6]) * 3 / 40
    np.testing.assert_allclose(same, expected, rtol=1e-13)
    assert memory.refit_error(0, 5, dim=4) == np.inf
    replaced = memory.refit_error([0, 9, np.inf], 20, 2, dim=9, memory="replace")
    np.testing.assert_allclose(replaced, [0.3, 3.0, np.inf])


def test_refit_error_is_that_of_drawn_designs():
    """|z| < 4.5 at each of 2 x 5 generations: a true formula fails once in 14,000 runs.

    30 rows in 3 dimensions: the error of a design has eleven moments, and a standard error.
    """
    rng, runs, rows, d = np.random.default_rng(3), 20_000, 15, 3
    for kind in ("accumulate", "replace"):
        estimate = np.zeros((runs, d))
        gram, moment = np.zeros((runs, d, d)), np.zeros((runs, d))
        for t in range(5):
            x = rng.standard_normal((runs, 2 * rows, d))
            y = np.einsum("rnd,rd->rn", x, estimate) + rng.standard_normal((runs, 2 * rows))
            new = x.swapaxes(1, 2) @ x, np.einsum("rnd,rn->rd", x, y)
            kept = (gram, moment) if kind == "accumulate" else (0.0, 0.0)
            gram, moment = (before + one for before, one in zip(kept, new, strict=True))
            estimate = np.linalg.solve(gram, moment[..., None])[..., 0]
            square = (estimate**2).sum(axis=1)
            expected = memory.refit_error(t, rows, 2, dim=d, memory=kind)
            z = (square.mean() - expected) / (square.std(ddof=1) / np.sqrt(runs))
            assert abs(z) < 4.5, (kind, t)


# Real data of a fixed share.


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_web_noise_in_fractions(share):
    a, value, path = Fraction(share), Fraction(0), [0.0]
    for n in range(1, 60):
        value = (1 - a / n) ** 2 * value + Fraction(1, n**2)
        path.append(float(value))
    np.testing.assert_allclose(memory.web_noise(np.arange(60), share), path, rtol=1e-13)
    errors = memory.isotropic_errors(np.arange(60), 3, 1 - share, memory="window")
    mse = 1 / 3 + share**2 * 2 / 3 + (1 - share) ** 2 * np.array(path) / 3
    np.testing.assert_allclose(errors.mse[1:], mse[1:], rtol=1e-12)


def test_decay_of_the_noise():
    with mpmath.workdps(25):
        for share in (0.0, 0.1, 0.3, 0.4, 0.47):
            a = mpmath.mpf(share)
            total = mpmath.hyp3f2(1, 1, 1, 2 - a, 2 - a, 1) / mpmath.gamma(2 - a) ** 2
            law = memory.noise_decay(share)
            assert law.factor == pytest.approx(float(total), rel=1e-12)
            assert law.exponent == 2 * share
    n = 1_000_000
    for share, near in ((0.1, 1e-4), (0.3, 5e-3), (0.7, 5e-3), (0.9, 1e-4)):
        law = memory.noise_decay(share)
        ratio = memory.web_noise(n, share) / (law.factor * n**-law.exponent)
        assert ratio == pytest.approx(1, abs=near)
    # at one half 1 + O(1/ln n): the slope in ln n is known better
    two = memory.web_noise([n // 10, n], 0.5) * [n // 10, n]
    assert np.diff(two)[0] / np.log(10) == pytest.approx(memory.noise_decay(0.5).factor, rel=1e-4)
    assert memory.noise_decay(0.5) == (1.0, 1.0, True)


# Networks.


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("ring", 0.15), ("ring:0.5", 0.01), ("self:0.5", 0.02), ("self:0.8", 0.01),
     ("blocs:0.1", 0.01), ("uniform", 0.01), ("isolated", 1e-3)],
)  # fmt: skip
def test_disagreement_falls_by_the_real_parts(name, tolerance):
    """Of K = 6: "ring" has a gap of ½, and there a logarithm besides."""
    w = networks.named(name, 6)
    at = [20_000, 40_000]
    found = memory.isotropic_errors(at, 6, 0.5, reads=w).disagreement
    slope = -np.log2(found[1] / found[0])
    assert slope == pytest.approx(memory.disagreement_exponent(w), abs=tolerance)
    # the exponent of replace is none: what is apart stays apart
    assert memory.isotropic_errors(np.inf, 6, 0.5, memory="replace", reads=w).disagreement > 0.01


def test_a_ring_of_two_that_read_each_other_agrees_as_fast_as_any():
    assert memory.disagreement_exponent(networks.ring(2)) == 1.0
    assert memory.disagreement_exponent(networks.uniform(5)) == 2.0


def test_real_rates_are_stable_from_minus_m_to_one():
    for window in (1, 2, 3, 8):
        inside = memory.window_growth([-0.99 * window, 0.5, 0.99], window)
        outside = memory.window_growth([-1.01 * window, 1.01], window)
        assert np.all(inside < 1)
        assert np.all(outside > 1)
    slope = (memory.window_growth(1 + 1e-6, 9) - 1) / 1e-6
    assert slope == pytest.approx(0.2, rel=1e-4)
    np.testing.assert_array_equal(memory.window_growth([1.5, 2j], None), [1, 1])


# The interface.


def test_nonsense_is_refused():
    w = regression.RegressionWorkflow(np.eye(2)[None], np.eye(2), np.eye(2)[None], 0.5, 0.5)
    theta, training = np.ones(2), regression.RegressionTraining(rate=0.1)
    lopsided = np.array([[0.5, 0.5, 0], [0, 1, 0], [0.2, 0.3, 0.5]])
    star = networks.star(3)
    for call, message in (
        (lambda: regression.trajectory(w, theta, 2, memory="keep"), "one of replace, accumulate"),
        (lambda: regression.trajectory(w, theta, 2, window=3), "window needs memory 'window'"),
        (lambda: regression.trajectory(w, theta, 2, memory="window", window=0), "at least 1"),
        (
            lambda: regression.trajectory(w, theta, 2, training, memory="accumulate"),
            "training needs memory 'replace'",
        ),
        (lambda: memory.isotropic_errors(1, 0, 0.5), "models must be at least 1, got 0"),
        (lambda: memory.isotropic_errors(-1, 2, 0.5), "integers from 0 to 10⁷, or inf.*got -1"),
        (lambda: memory.isotropic_errors(1, 2, 1.5), r"must lie in \[0, 1\], got 1.5"),
        (lambda: memory.isotropic_errors(1, 2, 0.5, memory="all"), "memory must be one of"),
        (lambda: memory.isotropic_errors(1, 2, 0.5, window=2), "window needs memory 'window'"),
        (lambda: memory.isotropic_errors(1, 2, 0.5, public=0.0), "must be positive"),
        (lambda: memory.isotropic_errors(1, 3, 0.5, reads=star), "must be a normal matrix"),
        (lambda: memory.isotropic_errors(1, 2, 0.5, reads=star), "of 3 models, not 2"),
        (lambda: memory.refit_error(1, 5, memory="window"), "must be one of replace, accumulate,"),
        (lambda: memory.refit_error(1, 5, design="fixed"), "design must be one of"),
        (lambda: memory.refit_error(1.5, 5), "generations must be integers"),
        (lambda: memory.web_noise(np.inf, 0.5), "must be finite"),
        (lambda: memory.web_noise(1, 1.5), r"share must lie in \[0, 1\], got 1.5"),
        (lambda: memory.window_drift(0), "window must be at least 1, got 0"),
        (lambda: memory.window_growth(1.2, 0), "window must be at least 1, got 0"),
        (lambda: memory.disagreement_exponent(np.eye(1)), "nobody to disagree with"),
        (lambda: memory.disagreement_exponent(2 * lopsided), "rows of reads must sum to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match="take no gradient or trace"):
        jax.jit(lambda x: regression.trajectory(w, x, 2, memory="window").mean)(theta)


def test_ranks_that_rounding_decides_are_no_numbers():
    # the eigenvalue 1e-14 may be data or rounding
    gram = np.diag([1.0, 5e-14])[None]
    w = regression.RegressionWorkflow(gram, gram[0], gram, 0.5, 0.5)
    with pytest.raises(regression.UntrustedError):
        regression.trajectory(w, np.ones(2), 3, memory="accumulate")
