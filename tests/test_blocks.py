"""Blocks of an accelerator, forced on the CPU: the numbers of the CPU's, within counted memory."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from commensal import _blocks
from commensal._blocks import at_once, forced_blocks
from commensal.sims import ecosystem, gaussian, mixture, selection, words
from commensal.sims import regression as simulated
from commensal.sims.ecosystem import _simulate as ecosystems
from commensal.sims.mixture import _simulate as mixtures
from commensal.sweep import RegressionSweep
from commensal.sweep import regression as sweep
from commensal.theory import regression
from commensal.theory.regression import _grid, _grid_cells

ALPHA, BETA = np.linspace(0, 1, 8), np.linspace(0, 1, 21)
ENOUGH = 2**36


def test_a_cpu_is_told_its_own_block():
    assert at_once(1000, 1e12, on_cpu=13) == 13
    with forced_blocks(ENOUGH), forced_blocks(0):
        assert at_once(1000, 1.0, on_cpu=13) == 13


def test_an_accelerator_takes_what_its_memory_holds(monkeypatch):
    def device(**stats):
        told = SimpleNamespace(memory_stats=lambda: stats or None)
        monkeypatch.setattr(jax, "local_devices", lambda: [told])

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    device(bytes_limit=8000, bytes_in_use=3000)
    assert at_once(100, 10.0, on_cpu=1) == 100
    assert at_once(101, 10.0, on_cpu=1) == 64  # a power of two, where not all fit
    assert at_once(5, 1e9, on_cpu=1) == 1
    device(bytes_limit=8000, bytes_in_use=6000)
    assert at_once(100, 10.0, on_cpu=1) == 32  # less is free than half
    device()
    assert at_once(100, _blocks._UNKNOWN / 8 / 100, on_cpu=1) == 100


def workflow(
    models: int, reads: str = "uniform", **settings: float
) -> regression.RegressionWorkflow:
    config = RegressionSweep(
        alpha=(0.0,), beta=(0.0,), models=(models,), reads=(reads,), **settings
    )  # pyright: ignore[reportArgumentType]
    return config.workflow(models)


@pytest.mark.parametrize(
    "settings",
    [{"models": 4}, {"models": 3, "reads": "ring:0.5", "human_share": 0.2, "human_data": "own"}],
)
def test_a_grid_in_large_blocks_has_the_numbers_of_small_ones(settings):
    w = workflow(dim=6, rank=3, **settings)
    small = regression.grid(w, ALPHA, BETA)
    of_row = _grid_cells.bytes_of_block(w.models, w.dim, w.channels.count, True, 6, 1)
    # all in one; rows in blocks, with one that is filled up; the values of α too
    cases = [(ENOUGH, (6, 21)), (8 * 9 * of_row, (6, 8)), (4 * of_row, (2, 1))]
    for memory, block in cases if w.channels.count == 1 else cases[:1]:
        with forced_blocks(int(memory)):
            assert _grid.block_of(w, 6, 21, True) == block
            large = regression.grid(w, ALPHA, BETA)
        # a sum is taken in another order, and 1 / (1 - ρ) of that is seen; ρ of a power that
        # is not of rank one yet is known to log(condition) / 2³⁶
        for name in ("mse", "mspe", "relative_efficiency"):
            np.testing.assert_allclose(getattr(large, name), getattr(small, name), rtol=1e-11)
        np.testing.assert_allclose(large.spectral_radius, small.spectral_radius, rtol=1e-9)
        # a square is what is computed, by differences of numbers of order one
        squares = large.consensus_distance**2, small.consensus_distance**2
        np.testing.assert_allclose(*squares, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("models", "settings"),
    [
        (32, {"rank": 15, "human_share": 0.3, "human_data": "own"}),
        (8, {"reads": "ring:0.5", "rank": 15, "human_share": 0.3}),
    ],
)
def test_counted_memory_bounds_what_xla_needs(models, settings):
    w = workflow(models, **settings)
    alpha, beta = np.linspace(0.01, 0.99, 40), np.linspace(0.01, 0.99, 8)
    data, system, _ = _grid._prepare(w, tasks=True)
    shares = data.pencil(beta, 1.0, 1.0).shares
    plain = _grid_cells.solve_rows.__wrapped__.__wrapped__
    with jax.enable_x64(True):
        program = jax.jit(plain, static_argnames="whole")
        used = program.lower(system, shares, alpha, beta, whole=True).compile().memory_analysis()
    needed = used.temp_size_in_bytes + used.output_size_in_bytes + used.argument_size_in_bytes
    counted = _grid_cells.bytes_of_block(models, w.dim, w.channels.count, True, 40, 8)
    assert needed < counted < 8 * needed


def test_a_sweep_in_large_blocks_keeps_the_same_chunks(tmp_path):
    config = RegressionSweep(alpha=ALPHA, beta=BETA, models=(2, 3), dim=6, rank=3)
    small, told = sweep(config), []
    with forced_blocks(ENOUGH):
        large = sweep(config, out=tmp_path / "grid.nc", progress=lambda *x: told.append(x))
    assert len(told) == 1 + 4  # two chunks of each K, as on a CPU, in two calls
    np.testing.assert_allclose(large.mspe, small.mspe, rtol=1e-11)
    np.testing.assert_array_equal(large.stable, small.stable)


SIMULATIONS = {
    "lineages": lambda: gaussian.simulate(
        gaussian.GaussianConfig(generations=3, replicates=40_000)
    ),
    "moments": lambda: gaussian.moments(gaussian.GaussianConfig(generations=3, replicates=40_000)),
    "populations": lambda: gaussian.simulate_populations(
        gaussian.PopulationConfig(population=9, generations=3, replicates=500)
    ),
    "mixture": lambda: mixture.simulate(
        mixture.MixtureConfig(generations=4, replicates=200, kernel="xla")
    ),
    "regression": lambda: simulated.simulate(
        simulated.RegressionConfig(models=2, dim=4, rank=2, generations=3, replicates=400)
    ),
    "words": lambda: words.simulate(
        words.WordsConfig(words=50, tokens=100, replicates=100, generations=3)
    ),
    "ecosystem": lambda: ecosystem.simulate(
        ecosystem.EcosystemConfig(types=40, tokens=200, replicates=12, generations=3)
    ),
    "selection": lambda: selection.simulate(
        selection.SelectionConfig(replicates=200, samples=50, generations=3)
    ),
}


@pytest.mark.parametrize("name", SIMULATIONS)
def test_no_random_number_depends_on_the_block(name, monkeypatch):
    monkeypatch.setattr(ecosystems, "chosen", lambda numbers: False)
    small = SIMULATIONS[name]()
    with forced_blocks(ENOUGH):
        large = SIMULATIONS[name]()
    for variable in small.data_vars:
        # other random numbers would differ at order one; other shapes round otherwise, and a
        # difference that should be 0 has no relative error
        np.testing.assert_allclose(large[variable], small[variable], rtol=1e-9, atol=1e-12)


def test_moments_go_on_from_sums_of_another_block(tmp_path):
    """Replicates that a CPU has summed are not summed again by an accelerator's wider batch."""
    config = simulated.RegressionConfig(
        models=2, dim=4, rank=2, generations=2, replicates=1000, chunk=256
    )
    whole, out = simulated.moments(config), tmp_path / "moments.nc"

    def stop(done: int, total: int) -> None:
        if done == 512:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulated.moments(config, progress=stop, out=out)
    with forced_blocks(ENOUGH):
        resumed = simulated.moments(config, out=out)
    np.testing.assert_allclose(resumed.covariance, whole.covariance, rtol=1e-12, atol=1e-12)


def test_batches_of_a_simulation_fit_the_counted_memory():
    config = mixture.MixtureConfig(generations=10, replicates=256, kernel="xla")
    with jax.enable_x64(True):
        key = mixtures.own_stream(False, jax.random.key(0))
        used = (
            mixtures._draw_batches.lower(
                mixtures.rules(config), mixtures.numbers(config), key,
                *mixtures.first_weights(config), np.arange(2), np.array(config.record), True, True,
            ).compile().memory_analysis()
        )  # fmt: skip
    needed = used.temp_size_in_bytes + used.output_size_in_bytes
    assert needed < 2 * mixtures.bytes_of_batch(config) < 8 * needed
