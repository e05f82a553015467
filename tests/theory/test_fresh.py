"""Fresh human data in every generation, against simulated learners."""

from __future__ import annotations

import numpy as np
import pytest

from commensal.theory import fresh

RUNS, GENERATIONS = 20_000, 60


def learners(weight, models, kappa, human, seed):
    """Squared errors of K learners after many generations, (runs, K); weight may be adaptive."""
    rng = np.random.default_rng(seed)
    estimate = rng.standard_normal((RUNS, models))
    w = np.full(models, 0.5 if weight is None else weight)
    for _ in range(GENERATIONS):
        posts = estimate + np.sqrt(kappa) * rng.standard_normal((RUNS, models))
        web = posts.mean(axis=1, keepdims=True)
        if weight is None:  # each measures how wrong the web is, and answers it
            wrong = (web**2).mean()
            w = np.full(models, wrong / (1 + wrong))
        h = rng.standard_normal((RUNS, models if human == "own" else 1))
        estimate = w * h + (1 - w) * web
    return estimate**2, w[0]


@pytest.mark.parametrize("human", ["own", "shared"])
@pytest.mark.parametrize(
    ("models", "kappa", "weight"), [(1, 1.0, 0.6), (4, 1.0, 0.4), (8, 3.0, 0.2)]
)
def test_error_is_that_of_simulated_learners(models, kappa, weight, human):
    """|z| < 4 in each of six cases: a true formula fails once in 2,600 runs of the file."""
    squares, _ = learners(weight, models, kappa, human, seed=models)
    mean = squares.mean(axis=1)
    z = (mean.mean() - fresh.stationary_error(weight, models, kappa, human)) / (
        mean.std(ddof=1) / np.sqrt(RUNS)
    )
    assert abs(z) < 4


@pytest.mark.parametrize("kappa", [1e-6, 0.3, 1.0, 20.0, 1e6])
@pytest.mark.parametrize("models", [1, 2, 5, 1000])
def test_best_weight_is_best(models, kappa):
    for human in ("own", "shared"):
        w = fresh.best_weight(models, kappa, human)
        best = fresh.stationary_error(w, models, kappa, human)
        for other in (w * 0.98, w * 0.999, min(1.0, w * 1.001), min(1.0, w * 1.02)):
            assert best <= fresh.stationary_error(other, models, kappa, human) * (1 + 1e-12)
    assert fresh.stationary_error(w, models, kappa, "shared") == pytest.approx(w, rel=1e-9)


def test_golden_ratio():
    assert fresh.best_weight(1) == pytest.approx((np.sqrt(5) - 1) / 2, rel=1e-15)
    assert fresh.best_weight(1, human_data="shared") == pytest.approx(
        (np.sqrt(5) - 1) / 2, rel=1e-15
    )


def test_learners_that_adapt_end_in_the_tragedy():
    """Measured over 20,000 runs of four models; the weight is known to about 1 %."""
    squares, w = learners(None, 4, 1.0, "own", seed=0)
    found = fresh.human_effort(4)
    assert w == pytest.approx(1 / 3, rel=0.02)
    assert found.selfish.weight == pytest.approx(1 / 3, rel=1e-12)
    assert squares.mean() == pytest.approx(found.selfish.error, rel=0.03)


def test_exponents_for_many_models():
    for k in (10**9, 10**12):
        found = fresh.human_effort(k, 2.0)
        assert found.selfish.error == pytest.approx((2 / (2 * k)) ** 0.5, rel=1e-3)
        assert found.planned.error == pytest.approx(3 * (2 / (4 * k)) ** (2 / 3), rel=1e-3)
        golden = (np.sqrt(4 + 8) - 2) / 2
        assert found.pooled.error == pytest.approx(golden / k, rel=1e-12)
        ratio = 2 ** (5 / 6) / 3 * (k / 2) ** (1 / 6)  # 0.594 (K/κ)^(1/6)
        assert found.price_of_anarchy == pytest.approx(ratio, rel=2e-3)
    alone = fresh.human_effort(1)
    assert alone.price_of_anarchy == pytest.approx(1, rel=1e-12)


def test_nonsense_is_refused():
    assert fresh.stationary_error(0.0, 3) == np.inf
    for call, message in (
        (lambda: fresh.stationary_error(1.5, 3), r"weight must lie in \[0, 1\], got 1\.5"),
        (lambda: fresh.best_weight(0), "models must be at least 1, got 0"),
        (lambda: fresh.best_weight(2, -1.0), r"kappa must be a positive number, got -1\.0"),
        (lambda: fresh.human_effort(2, float("nan")), "kappa must be a positive number, got nan"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
