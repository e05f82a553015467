"""Sweeps over memories: the slow trajectories' numbers, growth, and files that go on."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr

from commensal import designs, networks, plots, sweep
from commensal.theory import memory as closed
from commensal.theory import regression

MEMORIES = (
    ("replace", None),
    ("window", 3),
    ("window", 40),
    ("window", None),
    ("accumulate", None),
)
ALPHA, BETA, LAST = (0.0, 0.4, 1.0), (0.0, 0.3, 1.0), 7
SMALL: dict[str, Any] = {
    "alpha": (0.0, 0.5, 0.9),
    "beta": tuple(np.linspace(0, 1, 15).tolist()),
    "models": (3, 2),
    "dim": 4,
    "rank": 2,
    "memory": "replace,accumulate,window:2",
    "generations": 6,
}


@pytest.fixture(scope="module")
def small() -> xr.Dataset:
    return sweep.regression(**SMALL)


@pytest.mark.parametrize("reads", [None, networks.ring(3, 0.4)], ids=["uniform", "ring"])
@pytest.mark.parametrize(
    ("share", "data"), [(0.0, "shared"), (0.2, "shared"), (0.2, "own")], ids=str
)
def test_every_cell_is_that_of_the_slow_trajectory(reads, share, data):
    """Data of rank 2 in 5 dimensions: some directions are heard of from others alone, or never."""
    theta = np.array([1.0, -0.5, 0.3, 2.0, 0.1])
    grams = designs.gaussian(3, 5, 2, 3).grams()
    mix = {"alpha": 0.5, "beta": 0.5, "noise": 0.7, "initial_beta": 0.6, "reads": reads}
    w = regression.RegressionWorkflow(**grams, **mix, human_share=share, human_data=data)
    for memory, window in MEMORIES:
        kept = {"memory": memory, "window": window}
        found = regression.grid(w, ALPHA, BETA, theta, generations=LAST, **kept)
        assert found.trusted.all()
        for (i, alpha), (j, beta) in product(enumerate(ALPHA), enumerate(BETA)):
            if (i + j) % 2 or i == j == 0:  # some cells, of all edges
                continue
            cell = w.replace(alpha=alpha, beta=beta)
            slow = regression.trajectory(cell, theta, LAST, **kept)
            last = regression.RegressionMoments(slow.mean[-1], slow.covariance[-1])
            bias = ((np.asarray(last.mean) - theta) ** 2).sum(axis=-1)
            np.testing.assert_allclose(found.squared_bias[i, j], bias, atol=1e-12)
            np.testing.assert_allclose(found.mse[i, j], regression.mse(last, theta), rtol=1e-10)
            mspe = regression.mspe(last, theta, w.private)
            np.testing.assert_allclose(found.mspe[i, j], mspe, rtol=1e-9, atol=1e-12)
            if memory == "replace":
                apart = regression.consensus_distance(cell, LAST)[-1]
                assert found.consensus_distance[i, j] == pytest.approx(float(apart), abs=1e-9)
                radius = float(regression.spectral_radius(cell))
                assert found.spectral_radius[i, j] == pytest.approx(radius, abs=1e-9)


def test_growth_is_that_of_long_paths():
    """Data that amplify errors, and a network on which they grow even with a fixed real weight."""
    grams = designs.misaligned(3, 1e3, 0.1).grams()
    w = regression.RegressionWorkflow(**grams, alpha=0.6, beta=0.9)
    rate = float(regression.spectral_radius(w))
    assert rate > 1.1
    assert not regression.grid(w, [0.6], [0.9], generations=9).stable.any()
    for window in (2, 3, 30):
        found = regression.grid(w, [0.6], [0.9], generations=9, memory="window", window=window)
        assert found.spectral_radius.item() == pytest.approx(closed.window_growth(rate, window))
        assert not found.stable.any()
    of_all = regression.grid(w, [0.6], [0.9], generations=9, memory="window")
    assert of_all.growth_exponent is not None
    assert of_all.growth_exponent.item() == pytest.approx(rate - 1, abs=1e-6)
    assert not of_all.stable.any()
    bounded = regression.grid(w, [0.6], [0.9], generations=9, memory="accumulate")
    assert bounded.growth_exponent is not None
    assert bounded.growth_exponent.item() == 0
    assert bounded.stable.all()
    # on a ring without self-reading they grow as a power of n, which long paths show
    ring = w.replace(reads=networks.ring(3))
    far = [
        regression.grid(ring, [0.9], [0.9], generations=t, memory="accumulate", tasks=False)
        for t in (300, 600)
    ]
    assert far[0].growth_exponent is not None
    power = np.log2(far[1].variance.mean() / far[0].variance.mean()) / 2
    assert power == pytest.approx(far[0].growth_exponent.item(), rel=0.01)
    assert power > 1
    assert not far[0].stable.any()
    settled = w.replace(reads=networks.ring(3, 0.1))
    assert regression.grid(settled, [0.9], [0.9], generations=9, memory="accumulate").stable.all()


def test_complex_rates_have_the_growth_of_their_own_equation():
    from commensal.theory.regression._grid_memory import _largest_growth

    rng = np.random.default_rng(0)
    values = rng.standard_normal((30, 5)) + 1j * rng.standard_normal((30, 5))
    values[::3] = np.abs(values[::3])
    for window in (1, 2, 7):
        expected = closed.window_growth(values, window).max(axis=-1)
        np.testing.assert_allclose(_largest_growth(values, window), expected, rtol=1e-12)


def test_layout_and_the_best_mix(small):
    assert small.mse.dims == ("memory", "models", "alpha", "beta", "model")
    assert list(small.memory.values) == ["replace", "accumulate", "window:2"]
    assert small.attrs["generations"] == 6
    assert np.isfinite(small.growth_exponent.sel(memory="accumulate")).all()
    assert np.isnan(small.growth_exponent.sel(memory=["replace", "window:2"])).all()
    assert small.mse.attrs["long_name"].startswith("generation 6: mean squared error")
    one = small.sel(memory="window:2", models=3, objective="mean")
    known = np.isfinite(one.relative_efficiency).all("model")
    assert known.any()
    assert float(one.optimal_mse) == float(one.mse.mean("model").where(known).min())
    # one memory is no dimension, and the numbers are the same
    alone = sweep.regression(**SMALL | {"memory": "window:2", "models": 3, "tasks": False})
    of_three = small.mse.sel(memory="window:2", models=3)
    np.testing.assert_allclose(alone.mse[0], of_three, rtol=1e-12)
    assert "growth_exponent" not in alone


def test_a_file_that_was_interrupted_ends_with_the_same_bits(small, tmp_path, monkeypatch):
    out, calls, solve = tmp_path / "s.nc", [], regression.grid

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return solve(*args, **kwargs)

    monkeypatch.setattr(regression, "grid", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep.regression(**SMALL, out=out)
    kept = len(list((tmp_path / "s.nc.partial").glob("*.npz")))
    assert kept
    calls.clear()
    monkeypatch.setattr(regression, "grid", lambda *a, **k: calls.append(1) or solve(*a, **k))
    with sweep.regression(**SMALL, out=out) as resumed:
        xr.testing.assert_identical(resumed.load(), small)
    assert len(calls) == 3 * 2 * 2 - kept  # memories, values of K, blocks of β


def test_a_memory_means_generation_100_and_no_memory_the_limit():
    assert sweep.RegressionSweep().told is None
    assert sweep.RegressionSweep(memory="accumulate").told == 100
    assert sweep.RegressionSweep(generations=7).told == 7
    far = sweep.regression(alpha=0.5, beta=0.5, models=2, dim=4, rank=2, generations=200)
    limit = sweep.regression(alpha=0.5, beta=0.5, models=2, dim=4, rank=2)
    np.testing.assert_allclose(far.mse, limit.mse, rtol=1e-9)
    np.testing.assert_allclose(far.relative_efficiency, limit.relative_efficiency, rtol=1e-9)
    np.testing.assert_allclose(far.consensus_distance, limit.consensus_distance, rtol=1e-7)


def test_maps_have_a_panel_for_each_memory(small):
    for draw in (plots.stability_map, plots.efficiency_map, plots.consensus_map):
        titles = [ax.get_title() for ax in draw(small.sel(models=3)).axes[:3]]
        assert [title.split("\n")[0] for title in titles] == list(small.memory.values)


def test_what_cannot_be_told_is_refused_or_flagged():
    w = regression.RegressionWorkflow(np.eye(2)[None], np.eye(2), np.eye(2)[None], 0.5, 0.5)
    with pytest.raises(ValueError, match="memory 'accumulate' needs generations"):
        regression.grid(w, [0.5], [0.5], memory="accumulate")
    with pytest.raises(ValueError, match="generations must be at least 1, got 0"):
        regression.grid(w, [0.5], [0.5], generations=0)
    # weights that differ by more than 10⁴, and errors beyond what a float64 holds
    edge = regression.grid(w, [0.5], [1e-6], generations=3, memory="window", window=2)
    grams = designs.misaligned(3, 1e3, 0.1).grams()
    far = regression.grid(
        regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5), [0.6], [0.9], generations=9999
    )
    for found in (edge, far):
        assert not found.trusted.any()
        assert not found.stable.any()
        assert np.isnan(found.mse).all()
        assert np.isnan(found.spectral_radius).all()
