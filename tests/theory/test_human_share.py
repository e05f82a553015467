"""The best share of fresh human data: closed forms of isotropic data, and any Gram matrices."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

from commensal import designs, networks
from commensal._grams import GRAMS
from commensal.theory import fresh, regression
from tests.reference.regression_network import recursion

KINDS = ("shared", "own")


def sizes(rng, k, **more):
    private, public, synthetic = rng.uniform(0.2, 3, 3)
    alpha, beta = rng.uniform(0.05, 0.95, 2)
    return {"alpha": alpha, "beta": beta}, {
        "private": private, "public": public, "synthetic": synthetic, **more,
    }  # fmt: skip


def system(k, mix, size, **more):
    eye = np.eye(2)
    return regression.RegressionWorkflow(
        np.stack([size["private"] * eye] * k),
        size["public"] * eye,
        np.stack([size["synthetic"] * eye] * k),
        **mix,
        **more,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", ["uniform", "ring:0.4", "isolated"])
def test_isotropic_network_is_the_limit(kind, network):
    rng = np.random.default_rng(3)
    for k, share in ((1, 0.3), (2, 0.0), (5, 0.6), (4, 1.0)):
        mix, size = sizes(rng, k)
        reads, human = networks.named(network, k), rng.uniform(0.2, 3)
        humans = {"human_share": share, "human_data": kind}
        w = system(k, mix, size, human=human * np.eye(2), reads=reads, noise=0.7, **humans)
        found = regression.isotropic_network(
            reads, **mix, **size, human=human, dim=2, noise=0.7, **humans
        )
        limit = regression.limit(w)
        expected = np.trace(limit.covariance, axis1=1, axis2=2).mean()
        assert found.mse == pytest.approx(expected, rel=1e-12)
        grams = {name: np.asarray(getattr(w, name)) for name in GRAMS}
        far = recursion(grams, mix["alpha"], mix["beta"], share, reads, 400, kind).covariance[-1]
        apart = np.kron(np.eye(k) - 1 / k, np.eye(2))  # θ̂_k - θ̄
        expected = 0.49 * np.trace(apart @ far @ apart) / k
        assert found.disagreement == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_disagreement_of_own_human_data_alone():
    """With φ = 1 a model of K has q²/f (1 - 1/K) of its own, and what its private data tell."""
    found = regression.isotropic_network(
        networks.uniform(4), 1.0, 0.5, human_share=1.0, human=2.0, human_data="own"
    )
    assert found.disagreement == pytest.approx(0.5 * 3 / 4, rel=1e-12)
    assert found.mse == pytest.approx(0.5, rel=1e-12)


def test_roots_by_sympy():
    r, k, a, s, r0, rest = sp.symbols("r K A s r0 rest", positive=True)
    shared = a / (1 - r) ** 2 + (r**2 / (k * s) + (r0 - r) ** 2 / s) / (1 - r**2) + rest
    root = a * s * (1 + r) ** 2 + (1 - r) * (r * (1 + 1 / k + r0**2) - r0 * (1 + r**2))
    half = (1 - r) ** 3 * (1 + r) ** 2 * s / 2
    assert sp.simplify(sp.diff(shared, r) * half - root) == 0
    own = shared + (1 / k - 1) * (r0 - r) ** 2 / (s * (1 - r**2)) + (1 - 1 / k) * (r0 - r) ** 2 / s
    root = k * a * s * (1 + r) ** 2 / (1 - r) + r * (2 + r0**2) - r0 * (1 + r**2)
    root -= (k - 1) * (r0 - r) * (1 - r**2) ** 2
    assert sp.simplify(sp.diff(own, r) * (1 - r**2) ** 2 * k * s / 2 - root) == 0
    # convex in r: partial fractions with positive numerators, c = 1 + 1/K or 2, r0 <= 1
    c = sp.Symbol("c", positive=True)
    h = (c * r**2 - 2 * r0 * r + r0**2) / (1 - r**2)
    p, m = (c + r0**2 - 2 * r0) / 2, (c + r0**2 + 2 * r0) / 2
    assert sp.simplify(h + c - p / (1 - r) - m / (1 + r)) == 0
    assert sp.expand(2 * p - (c - 1) - (1 - r0) ** 2) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_roots_by_mpmath(kind):
    """The least error of 40 digits, by the derivative of the closed form itself."""
    rng = np.random.default_rng(5)
    edges = 0
    with mpmath.workdps(40):
        for k in (1, 2, 7, 1000):
            for _ in range(8):
                mix, size = sizes(rng, k)
                st, ss, s = (mpmath.mpf(x) for x in size.values())
                al, be = (mpmath.mpf(x) for x in mix.values())
                g = (1 - al) * (be * st + (1 - be) * ss) + al * s
                a, b = (1 - al) * be * st / g, (1 - al) * (1 - be) * ss / g

                def error(phi, a=a, b=b, s=s, st=st, ss=ss, g=g, al=al, k=k):
                    r, q = al * (1 - phi) * s / g, al * phi * s / g
                    real = (a**2 / (k * st) + b**2 / ss) / (1 - r) ** 2
                    if kind == "shared":
                        return real + (r**2 / k + q**2) / s / (1 - r**2)
                    return real + (r**2 + q**2) / (k * s) / (1 - r**2) + q**2 / s * (k - 1) / k

                found = regression.isotropic_human_share(k, **mix, **size, human_data=kind)
                slope = mpmath.diff(error, mpmath.mpf(found))
                if found == 1:
                    edges += 1
                    assert slope <= 1e-12
                else:
                    curve = mpmath.diff(error, mpmath.mpf(found), 2)
                    assert abs(slope / curve) < 1e-13  # how far the zero is, by Newton
    assert 0 < edges < 32


@pytest.mark.parametrize("kind", KINDS)
def test_without_real_data_it_is_one_numbers_best_weight(kind):
    for k in (1, 2, 16, 10**6):
        found = regression.isotropic_human_share(k, 1.0, 0.5, human_data=kind)
        assert found == pytest.approx(fresh.best_weight(k, human_data=kind), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_any_gram_matrices_reach_the_isotropic_root(kind):
    rng, edges = np.random.default_rng(11), 0
    for k in (1, 3, 3, 3, 3, 3):
        mix, size = sizes(rng, k)
        mix |= {"alpha": mix["alpha"] * (0.2 if edges == 0 else 1)}
        w = system(k, mix, size, human_data=kind, human=size["synthetic"] * np.eye(2))
        found = regression.optimal_human_share(w)
        expected = regression.isotropic_human_share(k, **mix, **size, human_data=kind)
        assert found.human_share == pytest.approx(expected, abs=1e-11)
        edges += expected == 1
    assert 0 < edges < 6


def least(w, count=400):
    """Smallest mean variance on a dense scan, even in the logarithm of φ/(1-φ)."""
    shares = 1 / (1 + np.exp(-np.linspace(-13, 13, count)))
    return min(mean(w, share) for share in shares)


def mean(w, share):
    try:
        covariance = regression.limit(w.replace(human_share=share)).covariance
    except regression.UnstableError:
        return np.inf
    return float(np.trace(covariance, axis1=1, axis2=2).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_scan_finds_a_smaller_error(seed, kind):
    g = designs.gaussian(3, 5, 3, seed, human_rank=5, prompts="fresh").grams()
    g["human"] = g["human"] * 10.0**seed
    w = regression.RegressionWorkflow(**g, alpha=0.7, beta=0.6, human_data=kind)
    best = regression.optimal_human_share(w)
    value = mean(w, best.human_share)
    assert best.mse.mean() == pytest.approx(value, rel=1e-10)
    assert value <= least(w) * (1 + 1e-12)
    assert best.mse_without.mean() == pytest.approx(mean(w, 0.0), rel=1e-10, nan_ok=True) or (
        mean(w, 0.0) == np.inf and np.isnan(best.mse_without).all()
    )


def two_minima():
    """Data in which the error over φ falls, rises, falls lower and rises again."""
    rng = np.random.default_rng(12)

    def gram(rank):
        x = rng.standard_normal((rank, 3)) * 10 ** rng.uniform(-1, 1.5, (rank, 1))
        return x.T @ x

    private, synthetic = (np.stack([gram(2), gram(2)]) for _ in range(2))
    return regression.RegressionWorkflow(
        private, gram(1), synthetic, alpha=0.8, beta=0.9, human=gram(2)
    )


def test_the_better_of_two_minima_is_found():
    w = two_minima()
    shares = 1 / (1 + np.exp(-np.linspace(-9, 9, 80)))
    errors = np.array([mean(w, share) for share in shares])
    inner = (errors[1:-1] < errors[:-2]) & (errors[1:-1] < errors[2:])
    assert inner.sum() == 2
    found = regression.optimal_human_share(w)
    assert found.mse.mean() <= errors.min()


def test_unstable_without_human_data():
    g = designs.misaligned(4).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=1.0)
    found = regression.optimal_human_share(w)
    assert np.isnan(found.mse_without).all()
    assert found.human_share > regression.safe_human_share(4)
    assert found.mse.mean() <= least(w, 200) * (1 + 1e-12)


def test_an_edge_where_a_direction_is_lost_is_no_candidate():
    """Human data alone see the second axis: without them there is a bias, which θ decides."""
    one = np.diag([1.0, 0.0])
    w = regression.RegressionWorkflow(
        np.stack([one] * 2), one, np.stack([one] * 2), alpha=0.5, beta=0.5,
        human=np.diag([1e-3, 1.0]),
    )  # fmt: skip
    found = regression.optimal_human_share(w)
    assert 0 < found.human_share < 1
    # half of the data's variance is gone, and with it half of what is to be known
    assert found.mse_without.mean() < found.mse.mean()


def test_nonsense_is_refused():
    g = designs.gaussian(2, 3, 3).grams()
    w = regression.RegressionWorkflow(**g, alpha=np.array([0.5, 0.6]), beta=0.5)
    with pytest.raises(ValueError, match="constant in time"):
        regression.optimal_human_share(w)
    # of the second axis nobody but the models says anything: their errors drift for ever
    one = np.diag([1.0, 0.0])
    both = np.stack([np.eye(2)] * 2)
    w = regression.RegressionWorkflow(np.stack([one] * 2), one, both, 0.5, 0.5, human=one)
    with pytest.raises(ValueError, match="no share of human data"):
        regression.optimal_human_share(w)
    for call, message in (
        (lambda: regression.isotropic_human_share(0, 0.5, 0.5), "models must be at least 1"),
        (lambda: regression.isotropic_human_share(2, 0.0, 0.5), r"alpha must lie in \(0, 1\]"),
        (lambda: regression.isotropic_human_share(2, 0.5, 0.5, public=0.0), "must be positive"),
        (
            lambda: regression.isotropic_network(np.eye(2), 0.5, 0.5, human_share=2.0),
            "human_share must lie in",
        ),
        (
            lambda: regression.isotropic_network(np.eye(2), 1.0, 0.5),
            r"alpha must lie in \[0, 1\)",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
