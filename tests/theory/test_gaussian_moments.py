"""Means per generation: by fractions, by sympy, by mpmath, and by drawing points and refitting."""

from __future__ import annotations

from fractions import Fraction

import jax
import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from scipy import special, stats

from commensal.theory import gaussian
from tests.reference import gaussian as slow

PROCESSES = [
    (w, e) for w in ("replace", "accumulate", "accumulate_subsample") for e in ("unbiased", "mle")
]


def by_fractions(last, n, memory, estimator):
    """(E σ_t², E (μ_t - μ)²), t = 0..last, from pair counts alone."""
    g = Fraction(n - 1, n) if estimator == "mle" else Fraction(1)
    variance, error = [Fraction(1), g], [Fraction(0), Fraction(1, n)]
    pool, centre = Fraction(1), Fraction(1, n)  # the pool's unbiased variance, its mean's error
    for t in range(1, last):
        size, grown = n * t, n * (t + 1)
        if memory == "replace":
            variance.append(variance[-1] * g)
            error.append(error[-1] + variance[-2] / n)
            continue
        fit = pool * (Fraction(size - 1, size) if estimator == "mle" else 1)
        off = Fraction(0)  # squared distance of the model's mean from the pool's
        if memory == "accumulate_subsample":
            fit, off = pool * g, pool * (Fraction(1, n) - Fraction(1, size))
        mixed = (fit + pool * Fraction(size - 1, size) + off) / 2
        pairs = Fraction(size * (size - 1), 2) * pool
        pairs += Fraction(n * (n - 1), 2) * fit + size * n * mixed
        centre += (off + fit / n) / (t + 1) ** 2
        pool = pairs / Fraction(grown * (grown - 1), 2)
        if memory == "accumulate":
            variance.append(pool * (Fraction(grown - 1, grown) if estimator == "mle" else 1))
            error.append(centre)
        else:
            variance.append(pool * g)
            error.append(centre + pool * (Fraction(1, n) - Fraction(1, grown)))
    return np.array(variance, float), np.array(error, float)


@pytest.mark.parametrize(("memory", "estimator"), PROCESSES)
@pytest.mark.parametrize("n", [2, 3, 7, 100])
def test_means_by_pair_counts(n, memory, estimator) -> None:
    t = np.arange(81)
    variance, error = by_fractions(80, n, memory, estimator)
    got = gaussian.expected_variance(t, n, memory, estimator)
    np.testing.assert_allclose(got, variance, rtol=1e-13)
    got = gaussian.expected_squared_error(t, n, memory, estimator)
    np.testing.assert_allclose(got, error, rtol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 10, 10_000])
def test_limits_in_gamma_functions(n) -> None:
    def at(t, *process):
        return gaussian.expected_variance(t, n, *process)

    root = np.pi / np.sqrt(n)
    assert at(np.inf, "accumulate", "mle") == pytest.approx(np.sin(root) / root, rel=1e-13)
    a, b = (mp.mpf(1) + s * mp.sqrt(1 + 4 * n) for s in (1, -1))
    limit = mp.gamma(2 - mp.mpf(1) / n) / mp.gamma(2 - a / (2 * n)) / mp.gamma(2 - b / (2 * n))
    assert at(np.inf, "accumulate", "unbiased") == pytest.approx(float(limit), rel=1e-13)
    c = mp.sqrt(mp.mpf(3) / n)
    constant = mp.gamma(2 - mp.mpf(1) / n) / mp.gamma(2 - c) / mp.gamma(2 + c)
    far = 10**9
    growth = at(far, "accumulate_subsample", "unbiased") / far ** (1 / n)
    assert growth == pytest.approx(float(constant), rel=1e-8)
    assert at(np.inf, "accumulate_subsample", "unbiased") == np.inf
    a, b = (mp.mpf(n) + s * mp.sqrt(n * n + 4 * n * n * (3 * n - 1)) for s in (1, -1))
    ends = mp.gamma(2 - a / (2 * n * n)) * mp.gamma(2 - b / (2 * n * n))
    limit = (1 - mp.mpf(1) / n) * mp.gamma(2 - mp.mpf(1) / n) / ends
    assert at(np.inf, "accumulate_subsample", "mle") == pytest.approx(float(limit), rel=1e-13)
    for process in (("accumulate", "unbiased"), ("accumulate_subsample", "mle")):
        errors = gaussian.expected_squared_error([10**9, np.inf], n, *process)
        assert errors[0] == pytest.approx(errors[1], rel=1e-8)


def test_steps_by_sympy() -> None:
    """The printed factors, from the pool's own recursion."""
    n, i = sp.symbols("n i", positive=True)
    r = n * (i - 1) / (n * (i - 1) - 1)
    grow = [n * (i - 1) + x * (n - 1 + (i - 1) / i) for x in (1, r)]
    mle, unbiased = grow[0] / (n * i), grow[1] / (n * i - 1) / r
    assert sp.simplify(mle - (1 - 1 / (n * i**2))) == 0
    assert sp.simplify(unbiased - (1 - 1 / (i * (n * i - 1)))) == 0
    old, new = n * (i - 1), n * i
    for g, factor in (
        (1, 1 + (i - 3) / (i * (n * i - 1))),
        (1 - 1 / n, 1 - (3 * n - 1) / (new * (new - 1))),
    ):
        pairs = old * (old - 1) + n * (n - 1) * g + old * n * (g + 1 - 1 / old + 1 / n - 1 / old)
        assert sp.simplify(pairs / (new * (new - 1)) - factor) == 0


def test_human_share_by_sympy_and_in_the_limit() -> None:
    n, h = sp.symbols("n h", positive=True)
    s = n - h
    for g, estimator in ((sp.Integer(1), "unbiased"), (1 - 1 / n, "mle")):
        v, e = sp.symbols("v e")
        pairs = s * (s - 1) * v + h * (h - 1) + s * h * (1 + v + e)
        fixed = sp.solve(
            [v - g * pairs / (n * (n - 1)), e - (s**2 * e + s * v + h) / n**2], [v, e], dict=True
        )[0]
        for size, share in ((2, 0.5), (10, 0.1), (100, 0.37), (5, 1.0)):
            at = {n: size, h: round(share * size)}
            got = gaussian.stationary_moments(size, share, estimator)
            np.testing.assert_allclose(got, [float(fixed[x].subs(at)) for x in (v, e)], rtol=1e-13)
            late = [
                f(t, size, "replace", estimator, share)
                for t in (10**5, np.inf)
                for f in (gaussian.expected_variance, gaussian.expected_squared_error)
            ]
            np.testing.assert_allclose(late, [*got, *got], rtol=1e-10)
    one_point = gaussian.stationary_moments(1000, 0.001)
    np.testing.assert_allclose(one_point, [2, 1], rtol=1e-13)


def test_no_human_points_is_no_human_share() -> None:
    t = np.array([0, 1, 5, 50])
    for estimator in ("unbiased", "mle"):
        for f in (gaussian.expected_variance, gaussian.expected_squared_error):
            plain = f(t, 10, "replace", estimator)
            np.testing.assert_allclose(f(t, 10, "replace", estimator, 0.01), plain, rtol=1e-12)
    assert gaussian.expected_squared_error(np.inf, 10, human_share=0.01) == np.inf


def test_against_points_drawn_and_refitted() -> None:
    """Every law at t = 4, n = 5: 8 processes x 2 means, and 4 x 2 of σ_t and log σ_t²."""
    last, n = 4, 5
    zs = []
    for k, (memory, estimator) in enumerate([*PROCESSES, ("human", "unbiased"), ("human", "mle")]):
        human = 2 if memory == "human" else 0
        process = {"memory": "replace" if human else memory, "estimator": estimator}
        fits = slow.lineages(k, 2000, last, n, human=human, **process)
        share = {"human_share": human / n}
        drawn = [fits[:, -1, 1], fits[:, -1, 0] ** 2]
        known = [
            gaussian.expected_variance(last, n, **process, **share),
            gaussian.expected_squared_error(last, n, **process, **share),
        ]
        if not human and memory != "accumulate_subsample":
            drawn += [np.sqrt(drawn[0]), np.log(drawn[0])]
            known += [
                f(last, n, **process)
                for f in (gaussian.expected_std, gaussian.expected_log_variance)
            ]
        for values, mean in zip(drawn, known, strict=True):
            zs.append((values.mean() - mean) / (values.std() / np.sqrt(len(values))))
    assert len(zs) == 24
    # two-sided, Bonferroni: family-wise error 1e-3
    assert np.abs(zs).max() < stats.norm.isf(1e-3 / 2 / len(zs))


@pytest.mark.parametrize("n", [2, 3, 10, 10_000, 10**6])
def test_log_moments_under_replace(n) -> None:
    k = mp.mpf(n - 1) / 2
    with mp.workdps(40):
        drift = mp.digamma(k) - mp.log(k)
        c4 = mp.loggamma(k + mp.mpf(1) / 2) - mp.loggamma(k) - mp.log(k) / 2
        shrink = mp.log1p(-mp.mpf(1) / n)
        for t in (1, 1000):
            for estimator, extra in (("unbiased", 0), ("mle", shrink)):
                process = ("replace", estimator)
                got = gaussian.expected_log_variance(t, n, *process)
                assert got == pytest.approx(float(t * (drift + extra)), rel=1e-13)
                got = np.log(gaussian.expected_std(t, n, *process))
                assert got == pytest.approx(float(t * (c4 + extra / 2)), rel=1e-12, abs=2e-16)
                v = mp.exp(t * extra)
                w2 = (
                    (t / mp.mpf(n) if not extra else 1 - v)
                    + 1
                    + v
                    - 2 * mp.exp(t * (c4 + extra / 2))
                )
                got = float(gaussian.expected_w2(t, n, 1.0, *process))
                assert got == pytest.approx(float(w2), rel=1e-11)
            variance = float(t * mp.polygamma(1, k))
            assert gaussian.variance_log_variance(t, n) == pytest.approx(variance, rel=1e-13)


def accumulation_step(i, n, estimator):
    """(E log, E sqrt) of σ_i²/σ_{i-1}² by integrals of the Laplace transform."""
    n, i = mp.mpf(n), mp.mpf(i)
    r = n * (i - 1) / (n * (i - 1) - 1) if estimator == "unbiased" else mp.mpf(1)
    scale, c = n * i, (i - 1) / i

    def transform(s):
        s = s / scale
        core = mp.exp(-s * n * (i - 1)) * (1 + 2 * r * s) ** (-(n - 1) / 2)
        return core / mp.sqrt(1 + 2 * c * r * s)

    cuts = [0, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 1, 2, 5, 10, 30, 100]
    log = mp.quad(lambda s: (mp.exp(-s) - transform(s)) / s, cuts)
    # s^(-3/2) by parts, and a square in place of the root
    root = mp.quad(lambda q: 2 * (1 - transform(q * q)) / q**2, [*cuts, mp.inf])
    after = mp.log(n * i / (n * i - 1) / r) if estimator == "unbiased" else mp.mpf(0)
    return float(log + after), float(root / (2 * mp.sqrt(mp.pi)) * mp.exp(after / 2))


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
@pytest.mark.parametrize(("i", "n"), [(2, 2), (9, 3), (2, 40)])
def test_accumulation_by_laplace_transforms(i, n, estimator) -> None:
    with mp.workdps(30):  # 1 - transform cancels near 0
        log, root = accumulation_step(i, n, estimator)
    process = ("accumulate", estimator)
    logs = gaussian.expected_log_variance([i - 1, i], n, *process)
    assert np.diff(logs)[0] == pytest.approx(log, abs=3e-14)
    roots = gaussian.expected_std([i - 1, i], n, *process)
    assert roots[1] / roots[0] == pytest.approx(root, abs=1e-12)


def test_late_generations_are_added_up_right() -> None:
    """Beyond the first 32 the sums are by zeta functions: against adding up one by one."""
    from commensal.theory.gaussian import _pool

    for n, estimator in ((2, "unbiased"), (2, "mle"), (50, "unbiased")):
        steps = [_pool.log_ratio(float(i), n, estimator) for i in range(33, 401)]
        added = sum(values @ weights for values, weights in steps)
        got = gaussian.expected_log_variance([32, 400], n, "accumulate", estimator)
        assert np.diff(got)[0] == pytest.approx(added, abs=1e-13)
        added = sum(w @ (v - v @ w) ** 2 for v, w in steps)
        got = gaussian.variance_log_variance([32, 400], n, "accumulate", estimator)
        assert np.diff(got)[0] == pytest.approx(added, abs=1e-13)
        limit = gaussian.expected_log_variance([10**8, np.inf], n, "accumulate", estimator)
        assert limit[0] == pytest.approx(limit[1], abs=2e-8)


def test_w2_scales_and_differentiates() -> None:
    for process in (("replace", "mle"), ("accumulate", "unbiased")):
        one = gaussian.expected_w2(7, 10, 1.0, *process)
        np.testing.assert_allclose(
            gaussian.expected_w2(7, 10, [1.0, 3.0], *process), [one, 9 * one]
        )
        parts = [
            f(7, 10, *process)
            for f in (
                gaussian.expected_squared_error,
                gaussian.expected_variance,
                gaussian.expected_std,
            )
        ]
        assert one == pytest.approx(parts[0] + 1 + parts[1] - 2 * parts[2], rel=1e-12)
    with jax.enable_x64(True):
        slope = jax.grad(lambda s: gaussian.expected_w2(3, 10, s))(2.0)
        assert float(slope) == pytest.approx(4 * float(gaussian.expected_w2(3, 10)), rel=1e-14)


def test_lineages_needed_and_share() -> None:
    k = (20 - 1) / 2
    fourth = special.poch(k, 2) / k**2
    assert gaussian.lineages_needed(3, 20, 0.1) == pytest.approx((fourth**3 - 1) / 0.01, rel=1e-12)
    assert gaussian.lineages_needed(10**6, 2, 0.1) == np.inf
    for n in (2, 3, 100, 10**6 + 1):
        middle = stats.chi2.ppf(0.5, n + 1)  # weighted by itself, χ²_ν is χ²_{ν+2}
        share = stats.chi2.sf(middle, n - 1)
        assert gaussian.share_carrying_mean(1, n) == pytest.approx(share, rel=1e-9)
    # far out, where the lognormal limit is all there is to compare with
    t, n = 10**6, 10**5
    assert gaussian.share_carrying_mean(t, n) == pytest.approx(
        stats.norm.sf(np.sqrt(2 * t / n)), rel=1e-3
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian.expected_variance(1, 1), "n must be a number of samples.*>= 2.*got 1"),
        (lambda: gaussian.expected_variance(-1, 5), "t must be a generation.*got -1"),
        (lambda: gaussian.expected_variance(1.5, 5), "t must be a generation.*got 1.5"),
        (
            lambda: gaussian.expected_variance(1, 5, "replaces"),
            "memory must be one of replace.*'replaces'",
        ),
        (
            lambda: gaussian.expected_variance(1, 5, "replace", "ml"),
            "estimator must be one of.*'ml'",
        ),
        (
            lambda: gaussian.expected_variance(1, 5, human_share=1.1),
            r"human_share must lie in \[0, 1\], got 1.1",
        ),
        (
            lambda: gaussian.expected_variance(1, 5, "accumulate", human_share=0.5),
            "human_share=0.5 is not known under memory 'accumulate'",
        ),
        (
            lambda: gaussian.expected_std(1, 5, "accumulate_subsample"),
            "E σ_t is not known.*simulation",
        ),
        (lambda: gaussian.expected_w2(1, 5, 1.0, "accumulate_subsample"), "E W2² is not known"),
        (
            lambda: gaussian.stationary_moments(10, 0.01),
            "at least one of the n points, got 0.01 of 10",
        ),
        (lambda: gaussian.lineages_needed(1, 5, 0.0), "relative_error must be > 0, got 0"),
        (lambda: gaussian.share_carrying_mean(0, 5), "t must be a finite generation >= 1"),
    ],
)
def test_refuses(call, message) -> None:
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
