"""The grid's own route against the cell-by-cell functions."""

from __future__ import annotations

import numpy as np
import pytest

from commensal import designs
from commensal.theory import regression

ALPHA = np.array([0.0, 0.01, 0.3, 0.5, 0.97, 1.0])
BETA = np.array([0.0, 0.1, 0.5, 0.9, 1.0])

# Most have one of two shapes, because every shape compiles anew.
SYSTEMS = {
    "paper": (designs.gaussian(4, 15, 5), {}),
    "unseen directions": (designs.gaussian(4, 15, 2), {}),
    "full rank, human": (designs.gaussian(3, 6, 6), {"human_share": 0.3}),
    "human of its own": (designs.gaussian(3, 6, 3, human_rank=4), {"human_share": 0.4}),
    "all human": (designs.gaussian(3, 6, 3), {"human_share": 1.0}),
    "no public data": (designs.gaussian(3, 6, 2, public_rank=0), {}),
    "misaligned": (designs.misaligned(4, 10.0, 0.1), {}),
    "fresh prompts": (designs.gaussian(4, 15, 5, prompts="fresh"), {}),
    "alone": (designs.gaussian(1, 3, 2), {}),
    "one dimension": (designs.gaussian(2, 1, 1), {}),
}


@pytest.fixture(autouse=True, scope="module")
def compiled_at_once() -> None:
    """The program of grids is tested here as users have it, optimised."""


@pytest.mark.parametrize("name", SYSTEMS)
def test_grid_is_limit_cell_by_cell(name):
    system, options = SYSTEMS[name]
    w = regression.RegressionWorkflow(**system.grams(), alpha=0.5, beta=0.5, noise=1.3, **options)
    theta = designs.truth(w.dim)
    got = regression.grid(w, ALPHA, BETA, theta)
    for i, a in enumerate(ALPHA):
        for j, b in enumerate(BETA):
            cell = w.replace(alpha=a, beta=b)
            rho = float(regression.spectral_radius(cell))
            assert got.spectral_radius[i, j] == pytest.approx(rho, rel=1e-8, abs=1e-8)
            fields = (got.mse, got.mspe, got.relative_efficiency, got.consensus_distance)
            if rho >= 1 - regression.STABILITY_MARGIN:
                assert all(np.isnan(f[i, j]).all() for f in fields)
                continue
            limit = regression.limit(cell)
            np.testing.assert_allclose(got.mse[i, j], regression.mse(limit, theta), rtol=1e-8)
            mspe = regression.mspe(limit, theta, w.private)
            np.testing.assert_allclose(got.mspe[i, j], mspe, rtol=1e-8, atol=1e-10 * mspe.max())
            efficiency = regression.relative_efficiency(cell)
            np.testing.assert_allclose(got.relative_efficiency[i, j], efficiency, rtol=1e-8)
            distance = regression.consensus_distance(cell)
            # its square is what is computed, by differences of numbers of order one
            np.testing.assert_allclose(
                got.consensus_distance[i, j] ** 2, distance**2, rtol=1e-9, atol=1e-12
            )


def test_rows_do_not_depend_on_their_neighbours():
    w = regression.RegressionWorkflow(**designs.gaussian(3, 6, 3).grams(), alpha=0.5, beta=0.5)
    whole = regression.grid(w, np.linspace(0, 1, 7), np.linspace(0, 1, 19))
    part = regression.grid(w, np.linspace(0, 1, 7), np.linspace(0, 1, 19)[11:12])
    np.testing.assert_allclose(part.mse[:, 0], whole.mse[:, 11], rtol=1e-11)
    np.testing.assert_allclose(part.spectral_radius[:, 0], whole.spectral_radius[:, 11], rtol=1e-10)


def test_without_tasks():
    w = regression.RegressionWorkflow(**designs.gaussian(3, 6, 3).grams(), alpha=0.5, beta=0.5)
    a, b = regression.grid(w, [0.2, 0.5], [0.5]), regression.grid(w, [0.2, 0.5], [0.5], tasks=False)
    assert b.mspe is None
    np.testing.assert_allclose(a.mse, b.mse, rtol=1e-12)


@pytest.mark.parametrize(
    ("alpha", "beta", "message"),
    [
        ([], [0.5], "alpha must be a one-dimensional grid of at least one point"),
        ([0.5], [0.5, 1.5], r"beta must lie in \[0, 1\], got 0.5 to 1.5"),
        (0.5, [0.5], "alpha must be a one-dimensional grid"),
    ],
)
def test_bad_axes(alpha, beta, message):
    w = regression.RegressionWorkflow(
        np.eye(2)[None], np.eye(2), np.eye(2)[None], alpha=0.5, beta=0.5
    )
    with pytest.raises(ValueError, match=message):
        regression.grid(w, alpha, beta)


@pytest.mark.parametrize("objective", ["mean", "worst"])
def test_optimal_mix_is_no_worse_than_a_fine_grid(objective):
    w = regression.RegressionWorkflow(
        **designs.gaussian(4, 15, 5, seed=1).grams(), alpha=0.5, beta=0.5
    )
    best = regression.optimal_mix(w, objective)
    axis = np.linspace(0.01, 0.99, 99)
    mse = regression.grid(w, axis, axis, tasks=False).mse
    reduce = np.mean if objective == "mean" else np.max
    on_grid = reduce(mse, axis=-1)
    assert reduce(best.mse) <= on_grid.min() * (1 + 1e-9)
    assert reduce(best.mse) >= on_grid.min() * (1 - 2e-3)
    i, j = np.unravel_index(on_grid.argmin(), on_grid.shape)
    assert (best.alpha, best.beta) == pytest.approx((axis[i], axis[j]), abs=0.011)
    assert reduce(best.half_mse) > reduce(best.mse) * 1.01


def test_optimal_mix_refuses():
    w = regression.RegressionWorkflow(
        np.eye(2)[None], np.eye(2), np.eye(2)[None], alpha=0.5, beta=0.5
    )
    with pytest.raises(ValueError, match="objective must be"):
        regression.optimal_mix(w, "best")  # type: ignore[arg-type]
