"""The sharp stability bound: never passed, and reached."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from commensal import designs
from commensal.theory import regression


def random_systems(rng, n, k, d):
    """Systems from tame to adversarial: random ranks, scales over decades, weights to the edge."""

    def grams(*shape):
        features = rng.standard_normal((*shape, d, d))
        # rows switched off: random rank; rows stretched: ill-conditioned
        rows = rng.random((*shape, d, 1)) < rng.random((*shape, 1, 1))
        stretch = 10 ** rng.uniform(-2, 2, (*shape, d, 1))
        features = features * rows * stretch
        return features.swapaxes(-1, -2) @ features

    private, synthetic = grams(n, k), grams(n, k)
    # the bound is stated for a mean of full rank
    synthetic += 1e-2 * np.eye(d)
    # a fifth of the systems: the attaining family, blurred, seen from a random direction
    family, m = designs.misaligned(min(k, d)).grams(), min(k, d)
    turn = np.linalg.qr(rng.standard_normal((n // 5, d, d)))[0][:, None, :m, :]
    for name, target, size in (("private", private, 3), ("synthetic", synthetic, 0)):
        strength = 10 ** rng.uniform(-size, size, (n // 5, 1, 1, 1))
        blur = 10 ** rng.uniform(-6, 0, (n // 5, 1, 1, 1)) * target[: n // 5] / 100
        exact = np.zeros((k, m, m))
        exact[:m] = family[name] / (1e4 if name == "private" else 1)
        target[: n // 5] = strength * (turn.swapaxes(-1, -2) @ exact @ turn) + blur
    synthetic[: n // 5] += 1e-4 * np.eye(d)
    one = regression.RegressionWorkflow(private[0], np.eye(d), synthetic[0], 0.5, 0.5)
    batch = (
        private,
        grams(n) * 10 ** rng.uniform(-6, 0, (n, 1, 1)),
        synthetic,
        rng.uniform(0.001, 0.999, n),
        rng.uniform(0, 1, n),
        np.ones(n),
        np.zeros(n),
    )
    return jax.tree.unflatten(jax.tree.structure(one), batch)


@pytest.mark.parametrize(("k", "d"), [(2, 2), (2, 5), (3, 3), (4, 3), (6, 6)])
def test_bound_is_never_passed(k, d):
    """5 × 3,000 random systems; no error rate: the claim is about every one of them.

    Of about one in a hundred, with a condition number above 1e12, no radius is known.
    """
    n = 3000
    w = random_systems(np.random.default_rng([k, d]), n, k, d)
    with jax.enable_x64(True):
        rho = np.asarray(jax.jit(jax.vmap(regression.spectral_radius))(w))
        bound = np.asarray(jax.jit(jax.vmap(regression.stability_bound))(w.synthetic))
    assert rho.shape == (n,)
    known = ~np.isnan(rho)
    assert known.mean() > 0.98
    rho, bound = rho[known], bound[known]
    assert (rho <= bound * (1 + 1e-8)).all()
    assert (bound <= (1 + np.sqrt(k)) / 2 * (1 + 1e-9)).all()
    # the test has teeth: systems come near the bound and some are unstable
    assert rho.max() > 1
    assert (rho / bound).max() > 0.9


@pytest.mark.parametrize("k", [1, 2, 3, 4, 8, 16, 32, 64])
def test_bound_is_attained(k):
    sharp = (1 + np.sqrt(k)) / 2
    g = designs.misaligned(k, 1e5).grams()
    for alpha in (0.1, 0.5, 0.9):
        w = regression.RegressionWorkflow(**g, alpha=alpha, beta=1.0)
        rho = float(regression.spectral_radius(w))
        assert sharp - 1e-3 <= rho <= sharp + 1e-9
    assert float(regression.stability_bound(g["synthetic"])) == pytest.approx(sharp, rel=1e-9)


@pytest.mark.parametrize("k", [2, 4, 9])
def test_safe_human_share_is_enough_and_no_less_is(k):
    share = regression.safe_human_share(k)
    g = designs.misaligned(k, 1e6).grams()

    def rho(phi):
        w = regression.RegressionWorkflow(**g, alpha=0.5, beta=1.0, human_share=phi)
        return float(regression.spectral_radius(w))

    assert rho(share - 1e-3) > 1
    assert rho(share) < 1 + 1e-9
    assert rho(share + 1e-3) < 1


def test_safe_human_share_with_partial_coverage():
    """ρ ≤ (1-φ) b / (1-φ+φc) where the human Gram matrix is at least c times the synthetic."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        k, c, phi = 4, rng.uniform(0.05, 3), rng.uniform(0, 1)
        g = designs.misaligned(k, float(10 ** rng.uniform(-2, 4))).grams()
        extra = rng.standard_normal((k, k))
        human = c * np.eye(k) + extra @ extra.T * rng.choice([0.0, 0.1])
        w = regression.RegressionWorkflow(
            **g, alpha=rng.uniform(0.05, 0.95), beta=1.0, human_share=phi, human=human
        )
        rho = float(regression.spectral_radius(w))
        assert rho <= (1 - phi) * 1.5 / (1 - phi + phi * c) * (1 + 1e-8)
        if phi > regression.safe_human_share(k, coverage=c):
            assert rho < 1


def test_rank_deficient_synthetic_data_obey_the_bound_too():
    """The claim has S̲ ≻ 0; S̲ need not be positive definite."""
    rng = np.random.default_rng(1)
    near = 0.0
    for _ in range(300):
        k = int(rng.integers(2, 4))
        g = designs.misaligned(k, float(10 ** rng.uniform(-1, 4))).grams()
        embed = rng.standard_normal((k, k + 2))
        g = {name: embed.T @ x @ embed for name, x in g.items()}
        g["public"] = np.diag(rng.uniform(0, 0.1, k + 2))
        w = regression.RegressionWorkflow(
            **g, alpha=rng.uniform(0.05, 0.95), beta=rng.uniform(0.5, 1)
        )
        ratio = float(regression.spectral_radius(w) / regression.stability_bound(w.synthetic))
        near = max(near, ratio)
        assert ratio <= 1 + 1e-8
    assert near > 0.8


@pytest.mark.parametrize("lam", [0.2, 0.6, 1.0])
def test_lemma_1_where_synthetic_data_follow_real_data(lam):
    rng = np.random.default_rng(2)
    for _ in range(50):
        g = designs.gaussian(3, 5, int(rng.integers(1, 6)), seed=int(rng.integers(1e6))).grams()
        g["synthetic"] = 3 * (lam * g["private"] + (1 - lam) * g["public"])
        beta = rng.uniform(0.01, lam)
        w = regression.RegressionWorkflow(**g, alpha=rng.uniform(0, 0.99), beta=beta)
        assert float(regression.spectral_radius(w)) < 1


def test_lemma_1_remark_fails_at_beta_zero():
    """The paper's remark covers β = 0; there ρ(Q) = 1 if public data miss a direction."""
    g = designs.gaussian(3, 6, 2, seed=0, public_rank=2).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.0)
    assert float(regression.spectral_radius(w)) == pytest.approx(1, abs=1e-9)
    with pytest.raises(regression.UnstableError):
        regression.limit(w)


def test_plain_gaussian_designs_can_be_unstable():
    """No adversary needed: prompts drawn independently of the private data suffice."""
    g = designs.gaussian(4, 15, 5, seed=0, prompts="fresh").grams()
    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.5)
    assert float(regression.spectral_radius(w)) == pytest.approx(1.0109041, abs=1e-6)


def test_safe_human_share_refuses_nonsense():
    with pytest.raises(ValueError, match="models must be at least 1"):
        regression.safe_human_share(0)
    with pytest.raises(ValueError, match="coverage must be positive"):
        regression.safe_human_share(2, coverage=0.0)


def test_bound_and_share_take_numbers_of_models_and_gram_matrices():
    """(1 + √K)/2 and (√K - 1)/(√K + 1), by hand; of Gram matrices the two agree with each other."""
    assert float(regression.stability_bound(4)) == 1.5
    np.testing.assert_allclose(regression.stability_bound([1, 4, 9]), [1, 1.5, 2], rtol=1e-15)
    np.testing.assert_allclose(regression.stability_bound(np.array([4, 9]), 0.5), [0.75, 1.0])
    g = designs.gaussian(4, 6, 2, prompts="fresh").grams()["synthetic"]
    b = float(regression.stability_bound(g))
    assert 1 < b < 1.5
    for c in (0.3, 1.0):
        share = regression.safe_human_share(g, coverage=c)
        assert share == pytest.approx((b - 1) / (b - 1 + c), rel=1e-12)
    alike = regression.safe_human_share(np.stack([np.eye(3)] * 4))
    assert 0 <= alike < 1e-9
    sharp = designs.misaligned(4).grams()["synthetic"]
    assert regression.safe_human_share(sharp) == pytest.approx(1 / 3, rel=1e-9)


@pytest.mark.parametrize("function", [regression.stability_bound, regression.safe_human_share])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, "models must be at least 1, got 0"),
        (float("nan"), "models must be at least 1, got nan"),
        ([2, 0], "models must be at least 1"),
        (np.ones((3, 2)), r"Gram matrices of shape \(K, d, d\).*got shape \(3, 2\)"),
        (np.ones((3, 3)), "the rows of reads must sum to 1, but row 0 sums to 3"),
        (np.ones((2, 3, 4)), r"got shape \(2, 3, 4\)"),
        (-np.eye(3)[None], "synthetic: Gram matrix 0 is not positive semidefinite"),
    ],
)
def test_bound_and_share_refuse_the_same(function, given, message):
    with pytest.raises(ValueError, match=message):
        function(given)


def test_bound_refuses_shares_that_are_none():
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="human_share must lie in"):
            regression.stability_bound(4, share)
