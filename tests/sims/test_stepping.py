"""Every process stepped by hand, scanned, and interrupted: always the numbers of ``simulate``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import xarray as xr

from commensal._checkpoint import OutputFileError, partial_folder
from commensal.sims import ecosystem, gaussian, mixture, regression, selection, words
from commensal.sims.gaussian import GaussianConfig, PopulationConfig
from commensal.sims.mixture import MixtureConfig

KEY = jax.random.key(3, impl="threefry2x32")
REPLICATES = 32
SHORT = {"samples": 5, "generations": 4, "replicates": REPLICATES}
PAIRS = {"population": 4, "samples": 5, "generations": 4, "replicates": REPLICATES}
WEBS = {"posts": 2, "points": 6, "generations": 4, "replicates": REPLICATES}
ESTIMATES = regression.RegressionConfig(
    models=2, dim=4, rank=3, generations=4, replicates=REPLICATES, alpha=(0.2, 0.4, 0.6, 0.8)
)
TOKENS = ecosystem.EcosystemConfig(
    types=30, tokens=60, hold=20.0, models=3, generations=4, replicates=REPLICATES, chunk=32
)
WORDS = words.WordsConfig(
    words=30, tokens=60, models=3, generations=4, replicates=REPLICATES, human_share=0.1
)


class Process(NamedTuple):
    """A process on one config: what its state is compared by, from a state and from a dataset."""

    config: Any
    init: Callable[..., Any]
    step: Callable[..., Any]
    observe: Callable[..., Any]
    simulate: Callable[..., xr.Dataset]
    of_state: Callable[[Any], dict[str, np.ndarray]]  # of what is observed, replicates last
    first: int = 0  # generation that ``init`` gives
    rounding: float = 0.0


def lineages(**settings: Any) -> Process:
    def of_state(seen: Any) -> dict[str, np.ndarray]:
        if hasattr(seen, "log_variance"):
            return {"mean": seen.mean, "log_variance": seen.log_variance}
        return {"log_determinant": 2 * np.sum(seen.log_diagonal, axis=-2)}

    module = gaussian
    return Process(
        GaussianConfig(**(SHORT | settings)), module.init, module.step, module.observe,
        module.simulate, of_state,
    )  # fmt: skip


def populations(**settings: Any) -> Process:
    return Process(
        PopulationConfig(**(PAIRS | settings)), gaussian.init_populations,
        gaussian.step_populations, gaussian.observe_populations, gaussian.simulate_populations,
        lambda seen: seen, first=1, rounding=1e-12,
    )  # fmt: skip


def replicates_last(seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of one generation, or of several; disagreement has no axis beside."""
    before = seen["disagreement"].ndim - 1
    return {name: np.moveaxis(values, before, -1) for name, values in seen.items()}


def mixtures(rounding: float = 0.0, **settings: Any) -> Process:
    return Process(
        MixtureConfig(**(WEBS | settings)), mixture.init, mixture.step, mixture.observe,
        mixture.simulate, replicates_last,
        rounding=rounding,
    )  # fmt: skip


def estimates(**settings: Any) -> Process:
    return Process(
        ESTIMATES.model_copy(update=settings), regression.init, regression.step,
        regression.observe, regression.simulate,
        lambda seen: {"estimate": seen},
    )  # fmt: skip


def ecosystems() -> Process:
    return Process(
        TOKENS, ecosystem.init, ecosystem.step, ecosystem.observe, ecosystem.simulate,
        lambda seen: {"model_chi_square": np.moveaxis(seen.chi_square, -2, -1)}, rounding=1e-14,
    )  # fmt: skip


def of_words(**settings: Any) -> Process:
    config = WORDS.model_copy(update=settings)
    return Process(
        config, words.init, words.step, words.observe, words.simulate,
        lambda seen: {
            "model_richness": np.moveaxis(seen.model_richness, -2, -1),
            "pool_heterozygosity": seen.pool_heterozygosity,
        },
    )  # fmt: skip


def chosen(**settings: Any) -> Process:
    config = selection.SelectionConfig(samples=40, generations=4, replicates=REPLICATES, **settings)
    return Process(
        config, selection.init, selection.step, selection.observe, selection.simulate,
        lambda seen: {k: v for k, v in seen._asdict().items() if k != "passed"}, rounding=1e-12,
    )  # fmt: skip


# Not to the bit: numba is another program, and sums over the models of a population, or over the
# types of a law, are rounded according to what XLA computes together with them.
PROCESSES = {
    "lineages": lineages(),
    "lineages, float64": lineages(dtype="float64"),
    "lineages, accumulating": lineages(memory="accumulate", estimator="mle"),
    "lineages, human points": lineages(human_share=0.4, method="samples"),
    "lineages, other truth": lineages(truth="laplace"),
    "lineages, a pool": lineages(memory="accumulate_subsample"),
    "lineages of two coordinates": lineages(dim=2),
    "populations": populations(),
    "populations, validation": populations(signal="validation", fresh_held_out=True),
    "regression": estimates(),
    "regression, accumulating": estimates(memory="accumulate"),
    "regression, a window": estimates(memory="window", window=2),
    "mixture": mixtures(kernel="xla"),
    "mixture, moving components": mixtures(update="full"),
    "mixture, numba": mixtures(rounding=1e-12, kernel="auto"),
    "ecosystem": ecosystems(),
    "selection by a verifier": chosen(),
    "selection by a reward": chosen(by="reward"),
    "selection by a filter": chosen(by="filter", dim=5, errors="model"),
    "words": of_words(),
    "words, accumulating": of_words(memory="accumulate"),
    "words, a network": of_words(
        reads=((0.5, 0.5, 0.0), (0.2, 0.2, 0.6), (0.0, 1.0, 0.0)), memory="accumulate"
    ),
}


def of_simulate(process: Process, names: Any, runs: xr.Dataset) -> dict[str, np.ndarray]:
    """(generation, ..., replicate), from the first generation that ``init`` gives."""
    later = runs.sel(generation=slice(max(process.first, int(runs.generation[0])), None))
    return {
        k: later[k].transpose("generation", ..., "replicate").values[..., :REPLICATES]
        for k in names
    }


def same(process: Process, found: dict[str, Any], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in found.items():
        ours = np.asarray(values)[..., :REPLICATES]
        np.testing.assert_allclose(
            ours, expected[name], rtol=process.rounding, atol=process.rounding, err_msg=name
        )


def by_hand(process: Process, key: Any, batch: int = 0) -> dict[str, np.ndarray]:
    state = process.init(process.config, key, batch)
    seen = [process.of_state(process.observe(state))]
    for _ in range(process.config.generations - process.first):
        state = process.step(state, key)
        seen.append(process.of_state(process.observe(state)))
    assert int(state.generation) == process.config.generations
    return {name: np.stack([s[name] for s in seen]) for name in seen[0]}


def recorded_later(process: Process) -> bool:
    """Ecosystems and words are not recorded before the first text."""
    return isinstance(process.config, (ecosystem.EcosystemConfig, words.WordsConfig))


def without_the_start(process: Process, path: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k: v[1:] for k, v in path.items()} if recorded_later(process) else path


# Whose bits are compared as users have them. Not all are, because optimising takes ten times as
# long; in float32 unoptimised programs of lineages have bits of their own each.
OPTIMISED = ("lineages", "regression, a window", "words")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    if request.param in OPTIMISED:
        request.getfixturevalue("compiled_as_for_users")
    return request.param


@functools.cache
def simulated(name: str) -> xr.Dataset:
    return PROCESSES[name].simulate(PROCESSES[name].config, KEY)


@pytest.mark.parametrize("name", PROCESSES, indirect=True)
def test_steps_by_hand_are_what_is_simulated(name: str) -> None:
    process = PROCESSES[name]
    path = without_the_start(process, by_hand(process, KEY))
    same(process, path, of_simulate(process, path, simulated(name)))


@pytest.mark.parametrize("name", PROCESSES, indirect=True)
def test_a_scan_of_steps_is_what_is_simulated(name: str) -> None:
    process = PROCESSES[name]
    with jax.enable_x64(True):

        def generation(state: Any, _: Any) -> Any:
            state = process.step(state, KEY)
            return state, process.observe(state)

        state = process.init(process.config, KEY)
        length = process.config.generations - process.first
        last, seen = jax.lax.scan(generation, state, length=length)
    assert int(last.generation) == process.config.generations
    found = process.of_state(jax.tree.map(np.asarray, seen))
    expected = of_simulate(process, found, simulated(name))
    recorded = not recorded_later(process)
    same(process, found, {k: v[1:] if recorded else v for k, v in expected.items()})


@pytest.mark.parametrize(
    "process",
    [
        lineages(method="samples", samples=2**10, replicates=300),
        estimates(),
        mixtures(kernel="xla"),
    ],
    ids=["lineages", "regression", "mixture"],
)
@pytest.mark.usefixtures("compiled_as_for_users")
def test_batches_are_the_replicates_that_follow(process: Process) -> None:
    width = {GaussianConfig: 256, MixtureConfig: 128}.get(type(process.config), 256)
    config = process.config.model_copy(update={"replicates": width + REPLICATES})
    path = by_hand(process._replace(config=config), KEY, batch=1)
    runs = process.simulate(config, KEY).isel(replicate=slice(width, None))
    same(process, path, of_simulate(process, path, runs))


@pytest.mark.parametrize(
    "name",
    [
        *("lineages", "populations", "regression", "regression, a window", "mixture", "ecosystem"),
        *("selection by a verifier", "selection by a reward", "selection by a filter"),
    ],
)
def test_a_state_goes_on_from_where_it_was_kept(name: str) -> None:
    process = PROCESSES[name]
    kept = process.step(process.init(process.config, KEY), KEY)
    stored, tree = jax.tree.flatten(kept)
    again = jax.tree.unflatten(tree, [np.array(leaf) for leaf in stored])
    one, other = (process.observe(process.step(s, KEY)) for s in (kept, again))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    # and with another key it goes on elsewhere
    elsewhere = process.observe(process.step(kept, jax.random.key(4, impl="threefry2x32")))
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(elsewhere), strict=True)
    assert any(not np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ["lineages, a pool", "regression", "mixture"])
def test_no_step_goes_beyond_what_its_settings_know(name: str) -> None:
    process = PROCESSES[name]
    state = process.init(process.config, KEY)
    for _ in range(process.config.generations):
        state = process.step(state, KEY)
    with pytest.raises(ValueError, match="generation 4 is the last one of this state's settings"):
        process.step(state, KEY)

    def generation(state: Any, _: Any) -> Any:
        state = process.step(state, KEY)
        return state, process.observe(state)

    with jax.enable_x64(True):
        _, path = jax.lax.scan(generation, process.init(process.config, KEY), length=6)
    for leaf in jax.tree.leaves(path):  # where no error can be raised there is no number
        assert np.isfinite(leaf[:4]).all()
        assert np.isnan(leaf[4:]).all()


def test_two_settings_of_one_shape_share_a_program() -> None:
    from commensal.sims.gaussian._process import _step

    before = _step._cache_size()
    for seed, variance in ((0, 1.0), (1, 4.0)):
        config = GaussianConfig(samples=7, seed=seed, variance=variance, replicates=16)
        gaussian.step(gaussian.init(config, KEY), KEY)
    assert _step._cache_size() == before + 1


# Interrupted and resumed.

SMALL = {
    "lineages": (gaussian.simulate, GaussianConfig(samples=2**12, method="samples", generations=2,
                                                   replicates=200, chunk=64)),
    "populations": (gaussian.simulate_populations,
                    PopulationConfig(population=100, generations=3, replicates=50, chunk=16)),
    "regression": (regression.simulate, ESTIMATES.model_copy(
        update={"replicates": 600, "chunk": 256})),
    "regression, accumulating": (regression.simulate, ESTIMATES.model_copy(
        update={"replicates": 600, "chunk": 256, "memory": "accumulate"})),
    "moments": (regression.moments, ESTIMATES.model_copy(
        update={"replicates": 900, "chunk": 256})),
    "mixture": (mixture.simulate, MixtureConfig(**(WEBS | {"replicates": 300}), chunk=128)),
    "ecosystem": (ecosystem.simulate, TOKENS.model_copy(update={"replicates": 7, "chunk": 2})),
    "selection": (selection.simulate, selection.SelectionConfig(
        generations=3, samples=2**14, replicates=300, chunk=64)),
    "words": (words.simulate, WORDS.model_copy(update={"replicates": 7, "chunk": 2})),
}  # fmt: skip


class Killed(BaseException):
    """What a signal raises."""


@pytest.mark.parametrize("name", SMALL)
def test_an_interrupted_simulation_goes_on_where_it_was(name, tmp_path) -> None:
    simulate, config = SMALL[name]
    out, seen = tmp_path / "runs.nc", []

    def kill(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise Killed

    with pytest.raises(Killed):
        simulate(config, progress=kill, out=out)
    assert not out.exists()
    stored = sorted(partial_folder(out).glob("*.npz"))
    assert len(stored) == (1 if name == "moments" else 2)  # sums need one file
    dates = [path.stat().st_mtime_ns for path in stored]
    resumed = []

    def watch(done: int, total: int) -> None:
        if not resumed:  # before anything is computed
            assert dates == [path.stat().st_mtime_ns for path in stored]
        resumed.append(done)

    runs = simulate(config, progress=watch, out=out)
    whole = []
    expected = simulate(config, progress=lambda done, total: whole.append(done))
    xr.testing.assert_identical(runs.drop_attrs(), expected.drop_attrs())
    assert (whole[0], resumed) == (0, whole[2:])
    assert not partial_folder(out).exists()
    # a finished file is read
    again = simulate(config, progress=lambda *counts: whole.append(counts), out=out)
    assert whole[-1] == (config.replicates, config.replicates)
    xr.testing.assert_identical(again.drop_attrs(), expected.drop_attrs())


def test_files_of_others_are_left_alone(tmp_path) -> None:
    config, out = GaussianConfig(**SHORT), tmp_path / "runs.nc"
    gaussian.simulate(config, out=out)
    with pytest.raises(OutputFileError, match="another simulation \\(seed was 0, is now 1"):
        gaussian.simulate(config.model_copy(update={"seed": 1}), out=out)
    with pytest.raises(OutputFileError, match="another simulation"):
        gaussian.simulate(config, KEY, out=out)
    # what changes no number may differ
    gaussian.simulate(config.model_copy(update={"chunk": 1}), out=out)
    other = gaussian.simulate(config, KEY, out=out, overwrite=True)
    assert not np.any(gaussian.simulate(config).log_variance[:, 1:] == other.log_variance[:, 1:])
    with pytest.raises(OutputFileError, match="does not exist"):
        gaussian.simulate(config, out=tmp_path / "nowhere" / "runs.nc")


def test_given_features_are_part_of_what_a_file_holds(tmp_path) -> None:
    out, drawn = tmp_path / "runs.nc", regression.draw_designs(ESTIMATES)
    regression.simulate(ESTIMATES, out=out)
    regression.simulate(ESTIMATES, designs=drawn, out=out)  # the same ones
    with pytest.raises(OutputFileError, match="another simulation"):
        regression.simulate(ESTIMATES, designs=drawn._replace(public=2 * drawn.public), out=out)


def test_settings_may_be_left_out() -> None:
    for module, kind in (
        (gaussian, GaussianConfig),
        (regression, regression.RegressionConfig),
        (mixture, MixtureConfig),
        (ecosystem, ecosystem.EcosystemConfig),
        (selection, selection.SelectionConfig),
    ):
        assert int(module.init().generation) == 0
        assert module.init().now is not None
        assert kind() == kind.model_validate_json(kind().model_dump_json())
    assert int(gaussian.init_populations().generation) == 1
    assert dict(gaussian.simulate().sizes) == {"replicate": 1000, "generation": 101}


def test_an_axis_of_one_value_is_a_number() -> None:
    one = ecosystem.grid(TOKENS, models=2, hold=5.0)
    listed = ecosystem.grid(TOKENS, models=(2,), hold=[5.0])
    xr.testing.assert_identical(one, listed)
    config = GaussianConfig(**SHORT)
    xr.testing.assert_identical(
        gaussian.moments(config, quantiles=0.5), gaussian.moments(config, quantiles=[0.5])
    )


def test_sums_on_disk_go_on_with_chunks_of_another_size(tmp_path) -> None:
    simulate, config = SMALL["moments"]
    out = tmp_path / "runs.nc"

    def kill(done: int, total: int) -> None:
        if done:
            raise Killed

    with pytest.raises(Killed):
        simulate(config, progress=kill, out=out)
    done = []
    other = config.model_copy(update={"chunk": 512})
    runs = simulate(other, progress=lambda *counts: done.append(counts[0]), out=out)
    assert done == [256, 512, 900]
    xr.testing.assert_identical(runs.drop_attrs(), simulate(config).drop_attrs())
