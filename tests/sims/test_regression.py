"""The process against the closed forms, and against a plain loop on the same noise.

Monte-Carlo comparisons allow 4.5 standard errors in every entry, 6.8e-6 of a normal law's mass.
The cases below hold 6 140 distinct entries together (the symmetric half of each covariance), so
right code would fail with a chance of at most 6 140 x 6.8e-6 = 4.2 % over all of them (less, as
entries are correlated) if the seeds were not fixed. `ENTRIES` keeps that sum honest.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest
import xarray as xr

from commensal import designs
from commensal.sims import regression as sims
from commensal.theory import regression as theory

STANDARD_ERRORS = 4.5
REPLICATES = 20_000
ENTRIES = 6_140


def redrawn(generations, models, rows, dim, seed=0, human_rows=0):
    """Gaussian designs whose synthetic (and human) features are new at every generation."""
    rng = np.random.default_rng([seed, 99])
    drawn = designs.gaussian(models, dim, rows, seed)
    human = rng.standard_normal((generations, human_rows, dim)) if human_rows else None
    synthetic = rng.standard_normal((generations, models, rows, dim))
    return drawn._replace(synthetic=synthetic, human=human)


def along_axes():
    """Each party sees coordinate axes only, so many entries never vary at all."""
    eye = np.eye(4)
    return designs.Designs(
        private=np.stack([eye[:2], 2 * eye[1:3]]),
        public=eye[:1],
        synthetic=np.stack([eye[:2], eye[1:3]]),
    )


# Settings that need no shapes of their own share these: the process is compiled once for each.
SHARED: dict[str, Any] = {"models": 3, "dim": 4, "rank": 2, "generations": 5}

CASES = {
    "full rank": (SHARED | {"rank": 4, "noise": 2.5}, None),
    "deficient": (SHARED | {"dim": 8, "public_rank": 1}, None),
    "one model": (SHARED | {"models": 1}, None),
    "fresh prompts": (SHARED | {"prompts": "fresh"}, None),
    "initial beta": (SHARED | {"beta": 0.2, "initial_beta": 0.9}, None),
    "alpha = 0": (SHARED | {"alpha": 0.0, "initial_beta": 0.2}, None),
    "alpha = 1": (SHARED | {"alpha": 1.0}, None),
    "unstable": ({"models": 4, "design": "misaligned", "beta": 1.0, "generations": 25}, None),
    "human rank 2": (SHARED | {"human_rank": 2, "human_share": 0.4, "alpha": 0.8}, None),
    "human by prompts": (SHARED | {"human_share": 0.4, "alpha": 0.8}, None),
    "varying": (
        {
            "generations": 5,
            "alpha": (0.2, 1.0, 0.5, 0.5, 0.0),
            "beta": (0.3, 0.5, 1.0, 0.0, 0.7),
            "human_share": (0.0, 0.2, 0.0, 1.0, 0.5),
        },
        redrawn(5, models=2, rows=3, dim=4, human_rows=2),
    ),
    "human by redrawn prompts": (
        {"generations": 3, "human_share": 0.3, "initial_beta": 0.0},
        redrawn(3, models=2, rows=2, dim=3, seed=1),
    ),
    # with noise of their own
    "accumulate": (SHARED | {"memory": "accumulate", "noise": 2.0, "seed": 4}, None),
    "accumulate, a ring and humans": (
        SHARED
        | {
            "memory": "accumulate",
            "reads": "ring:0.3",
            "human_share": 0.3,
            "alpha": 0.8,
            "seed": 5,
        },
        None,
    ),
    "everything, fixed share": (SHARED | {"memory": "window", "prompts": "fresh", "seed": 6}, None),
    "window": (
        SHARED | {"memory": "window", "window": 2, "reads": "star", "beta": 0.9, "seed": 7},
        None,
    ),
    "accumulate, varying": (
        {
            "generations": 5,
            "memory": "accumulate",
            "seed": 8,
            "alpha": (0.2, 1.0, 0.5, 0.5, 0.0),
            "human_share": (0.0, 0.2, 0.0, 1.0, 0.5),
        },
        redrawn(5, models=2, rows=3, dim=4, human_rows=2),
    ),
    "window, varying": (
        {
            "generations": 5,
            "memory": "window",
            "window": 3,
            "human_share": 0.4,
            "alpha": 0.9,
            "seed": 9,
        },
        redrawn(5, models=2, rows=2, dim=3, seed=1, human_rows=1),
    ),
    "along axes": ({"generations": 4, "beta": 0.6, "noise": 0.5}, along_axes()),
}


def set_up(name):
    """Config, designs as given, workflow for the theory, truth."""
    settings, given = CASES[name]
    config = sims.RegressionConfig(**({"seed": 3} | settings), replicates=REPLICATES)
    used = sims.draw_designs(config) if given is None else given
    workflow = theory.RegressionWorkflow(
        **used.grams(),
        alpha=config.alpha,
        beta=config.beta,
        noise=config.noise,
        initial_beta=config.initial_beta,
        human_share=config.human_share,
        reads=config.network(used.models),
    )
    return config, given, workflow, designs.truth(used.dim, config.seed)


def exact_moments(config, workflow, theta):
    past = {"memory": config.memory, "window": config.window}
    return theory.trajectory(workflow, theta, config.generations, **past)


def deviations(found, error, exact):
    """(found - exact) / error, where it varies; where it does not, both must be the same."""
    scale = np.abs(exact).max(axis=tuple(range(1, exact.ndim)), keepdims=True)
    floor = 1e-11 * np.maximum(scale, 1)
    gap = found - exact
    still = error < floor / STANDARD_ERRORS
    assert np.all(np.abs(gap[still]) < np.broadcast_to(floor, gap.shape)[still])
    return gap[~still] / error[~still]


@pytest.fixture(scope="module")
def run():
    """Each case's Monte-Carlo moments, drawn once for all tests that read them."""
    found = {}

    def get(name):
        if name not in found:
            config, given, *_ = set_up(name)
            found[name] = sims.moments(config, designs=given)
        return found[name]

    return get


def test_stated_number_of_entries():
    entries = 0
    for name in CASES:
        config, _, workflow, _ = set_up(name)
        d = workflow.dim
        # mean, half covariance, mse
        entries += (config.generations + 1) * workflow.models * (d + d * (d + 1) // 2 + 1)
    assert entries == ENTRIES


@pytest.mark.parametrize("name", CASES)
def test_every_moment_agrees_with_theory(name, run):
    config, _, workflow, theta = set_up(name)
    exact = exact_moments(config, workflow, theta)
    mean, covariance = np.asarray(exact.mean), np.asarray(exact.covariance)
    mse = np.trace(covariance, axis1=-2, axis2=-1) + np.sum((mean - theta) ** 2, axis=-1)
    runs = run(name)
    for quantity, value in (("mean", mean), ("covariance", covariance), ("mse", mse)):
        z = deviations(runs[quantity].values, runs[f"{quantity}_standard_error"].values, value)
        assert np.abs(z).max() < STANDARD_ERRORS, quantity


def test_standard_errors_are_neither_too_large_nor_too_small(run):
    # Inflated errors would pass any comparison. Over all cases together the deviations must be
    # as large as errors say: root mean square 1, give or take what some 100 independent ones
    # (entries of one case share their noise) would leave, 0.07 each side, times 4.5.
    together = {"mean": [], "covariance": []}
    for name in CASES:
        config, _, workflow, theta = set_up(name)
        exact = exact_moments(config, workflow, theta)
        runs = run(name)
        for quantity, values in together.items():
            z = deviations(
                runs[quantity].values,
                runs[f"{quantity}_standard_error"].values,
                np.asarray(getattr(exact, quantity)),
            )
            values.append(np.mean(z**2))
    for values in together.values():
        assert 0.68 < np.sqrt(np.mean(values)) < 1.32


def test_standard_error_of_a_gaussian_covariance(run):
    # Estimates are Gaussian, so Var(c_ab) = (c_aa c_bb + c_ab²) / (R - 1) (Isserlis). A fourth
    # moment from 20 000 draws is good to sqrt(96 / 20 000) / 2 = 3.5 %, an error to half of
    # that: 8 % are 4.5 of these.
    runs = run("full rank")
    c = runs.covariance.values
    variance = np.diagonal(c, axis1=-2, axis2=-1)
    exact = np.sqrt((variance[..., None] * variance[..., None, :] + c**2) / (REPLICATES - 1))
    np.testing.assert_allclose(runs.covariance_standard_error, exact, rtol=0.08)


def test_deficient_case_is_biased():
    _, _, workflow, theta = set_up("deficient")
    mean = np.asarray(theory.trajectory(workflow, theta, 5).mean)
    assert np.linalg.norm(mean - theta, axis=-1).min() > 0.3


def test_case_along_axes_has_entries_that_never_vary(run):
    still = run("along axes").covariance_standard_error.values < 1e-14
    assert 0.3 < still.mean() < 0.95


def test_without_real_data_variance_grows_by_the_same_amount_each_generation(run):
    # From t = 1 on all models hold one and the same estimate, an unweighted fit to all that
    # was published, so Cov_{t+1} - Cov_t = σ²/K S̲⁻¹ for the mean synthetic Gram matrix S̲.
    config, _, workflow, _ = set_up("alpha = 1")
    increment = config.noise**2 * np.linalg.inv(np.asarray(workflow.synthetic).sum(axis=0))
    runs = run("alpha = 1")
    covariance = runs.covariance.values
    np.testing.assert_allclose(covariance[1:, 0], covariance[1:, 1], rtol=1e-9, atol=1e-9)
    for t in range(1, config.generations):
        # of a difference, at most the sum of both errors
        error = runs.covariance_standard_error.values[[t, t + 1], 0].sum(axis=0)
        gap = np.abs(covariance[t + 1, 0] - covariance[t, 0] - increment)
        assert np.all(gap < STANDARD_ERRORS * error)
    last = covariance[-1, 0] - covariance[1, 0]
    error = runs.covariance_standard_error.values[[1, -1], 0].sum(axis=0)
    steps = config.generations - 1
    assert np.all(np.abs(last - steps * increment) < STANDARD_ERRORS * error)
    # and that is far from no growth at all
    assert steps * np.trace(increment) > 5 * STANDARD_ERRORS * np.trace(error)


def test_unstable_system_grows_by_the_squared_spectral_radius():
    config, *_ = set_up("unstable")
    k, alpha = config.models, 0.5
    # the paper's Kd x Kd matrix Q, from features, so that no line of the theory is involved
    private, _, synthetic, _ = sims.draw_designs(config)
    grams = np.einsum("kna,knb->kab", synthetic, synthetic)
    gain = np.linalg.inv(
        (1 - alpha) * np.einsum("kna,knb->kab", private, private) + alpha * grams.mean(axis=0)
    )
    q = np.block([[alpha / k * g @ s for s in grams] for g in gain])
    rho = np.abs(np.linalg.eigvals(q)).max()
    assert rho > 1.49

    # Both ends of a run share nearly all their noise, so the growth between them is known far
    # better than the variances: its error is taken from 20 independent runs.
    runs = [
        sims.moments(config.model_copy(update={"replicates": REPLICATES // 20}), jax.random.key(n))
        for n in range(20)
    ]
    variance = np.stack([np.diagonal(r.covariance.values, axis1=-2, axis2=-1) for r in runs])
    growth = (variance[:, 25] / variance[:, 15]) ** (1 / 10)
    error = growth.std(axis=0, ddof=1) / np.sqrt(len(runs))
    # By t = 15 the transient is gone, (0.5/ρ)^30 < 1e-12. A generation's new noise is of order
    # one and an estimate's variance above 1e4, so growth exceeds ρ² by less than 1e-4 of itself at
    # first, by 1/ρ² of that at each later step, and by 2e-5 on average over the ten.
    assert variance[:, 15].sum(axis=-1).min() > 1e4
    assert error.max() < 1e-4
    assert np.all(np.abs(growth.mean(axis=0) - rho**2) < 2e-5 * rho**2 + STANDARD_ERRORS * error)


# Draw by draw.


def plain_loop(config, noise, used, theta):
    """The process as sec. 5 tells it: collect data sets, weight them, call least squares."""
    replicates, models = noise.private.shape[:2]
    generations = config.generations
    network = config.network(models)
    reads = np.full((models, models), 1 / models) if network is None else network
    limit = {"replace": 1, "accumulate": None, "window": config.window}[config.memory]
    out = np.empty((replicates, generations + 1, models, used.dim))

    def at(value, t):
        return value[t - 1] if np.ndim(value) else value

    for r in range(replicates):
        y_private = [
            used.private[k] @ theta + config.noise * noise.private[r, k] for k in range(models)
        ]
        y_public = used.public @ theta + config.noise * noise.public[r]
        past = []  # what was collected in each generation: who wrote it, weight, rows, responses
        for t in range(generations + 1):
            if t == 0:
                alpha, share, beta = 0.0, 0.0, config.initial_beta
                if beta is None:
                    beta = at(config.beta, 1)
            else:
                alpha, beta = at(config.alpha, t), at(config.beta, t)
                share = at(config.human_share, t)
                prompts = used.synthetic[t - 1] if used.synthetic.ndim == 4 else used.synthetic
                collected = []
                for j in range(models):
                    y = prompts[j] @ out[r, t - 1, j] + config.noise * noise.synthetic[r, t - 1, j]
                    collected.append((j, 1 - share, prompts[j], y))
                if share:
                    x = used.human[t - 1] if used.human.ndim == 3 else used.human
                    y = x @ theta + config.noise * noise.human[r, t - 1]
                    collected.append((None, share, x, y))
                past.append(collected)
            read = past if limit is None else past[-limit:]
            each = alpha if config.memory == "accumulate" else alpha / max(len(read), 1)
            for k in range(models):
                data = [
                    ((1 - alpha) * beta, used.private[k], y_private[k]),
                    ((1 - alpha) * (1 - beta), used.public, y_public),
                ]
                for writer, part, x, y in (one for collected in read for one in collected):
                    read_by_k = 1.0 if writer is None else reads[k, writer]
                    data.append((each * part * read_by_k, x, y))
                data = [(np.sqrt(w), x, y) for w, x, y in data if w > 0]
                features = np.concatenate([root * x for root, x, _ in data])
                responses = np.concatenate([root * y for root, _, y in data])
                out[r, t, k] = np.linalg.lstsq(features, responses, rcond=None)[0]
    return out


@pytest.mark.parametrize("name", CASES)
def test_replay_is_a_plain_loop_of_least_squares(name):
    config, given, _, theta = set_up(name)
    used = sims.draw_designs(config) if given is None else given
    if used.human is None and np.any(config.human_share):
        # by the words of the interface: features of all prompts, divided by the root of K
        shape = (config.generations, -1, used.dim)
        used = used._replace(human=used.synthetic.reshape(shape) / np.sqrt(used.models))
    rng = np.random.default_rng(5)
    human_rows = used.human.shape[-2] if used.human is not None else 0
    noise = sims.RegressionNoise(
        private=rng.standard_normal((3, *used.private.shape[:2])),
        public=rng.standard_normal((3, len(used.public))),
        synthetic=rng.standard_normal((3, config.generations, *used.synthetic.shape[-3:-1])),
        human=rng.standard_normal((3, config.generations, human_rows)),
    )
    estimate = sims.replay(config, noise, given, theta).estimate.values
    expected = plain_loop(config, noise, used, theta)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(estimate, expected, rtol=0, atol=1e-10 * scale)


def test_moments_are_those_of_the_simulated_estimates():
    config = sims.RegressionConfig(**SHARED, replicates=777, chunk=300)
    estimate = sims.simulate(config)
    runs = sims.moments(config)
    x = estimate.estimate.values
    r = len(x)
    centred = x - x.mean(axis=0)
    pairs = centred[..., :, None] * centred[..., None, :]
    covariance = pairs.sum(axis=0) / (r - 1)
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    # unbiased up to plug-in: the textbook variance of a sample covariance
    of_covariance = np.var(pairs, axis=0) / r + (
        variance[..., :, None] * variance[..., None, :] + covariance**2
    ) / (r * (r - 1))
    error = estimate.squared_error
    for name, expected in {
        "mean": x.mean(axis=0),
        "mean_standard_error": np.sqrt(variance / r),
        "covariance": covariance,
        "covariance_standard_error": np.sqrt(of_covariance),
        "mse": error.mean("replicate"),
        "mse_standard_error": error.std("replicate", ddof=1) / np.sqrt(r),
    }.items():
        np.testing.assert_allclose(runs[name], expected, rtol=1e-10, atol=1e-13, err_msg=name)


def test_squared_error_is_the_distance_to_theta():
    theta = np.array([1.0, -2.0, 0.5, 3.0])
    config = sims.RegressionConfig(**SHARED, replicates=5)
    runs = sims.simulate(config, theta=theta)
    expected = np.linalg.norm(runs.estimate.values - theta, axis=-1) ** 2
    np.testing.assert_allclose(runs.squared_error, expected, rtol=1e-12)
    np.testing.assert_array_equal(runs.theta, theta)


# Numbers that stay put.


@pytest.fixture(scope="module")
def small():
    return sims.RegressionConfig(**SHARED, replicates=700, human_share=0.2)


@pytest.mark.parametrize("memory", ["replace", "accumulate", "window"])
@pytest.mark.parametrize("chunk", [1, 256, 257, 700])
@pytest.mark.usefixtures("compiled_as_for_users")
def test_no_bit_depends_on_the_chunk(small, chunk, memory):
    small = small.model_copy(update={"memory": memory, "window": 2 if memory == "window" else None})
    other = small.model_copy(update={"chunk": chunk})
    assert sims.simulate(small).equals(sims.simulate(other))
    assert sims.moments(small).equals(sims.moments(other))


def test_a_longer_run_begins_with_the_shorter_one(small):
    shorter = sims.simulate(small.model_copy(update={"replicates": 10}))
    assert sims.simulate(small).isel(replicate=slice(10)).equals(shorter)


def test_seed_and_key_decide_the_numbers(small):
    runs = sims.simulate(small)
    assert runs.identical(sims.simulate(small))
    assert runs.identical(sims.simulate(small, jax.random.key(small.seed)))
    assert runs.identical(sims.simulate(small, jax.random.PRNGKey(small.seed)))
    other_key = sims.simulate(small, jax.random.key(small.seed + 1))
    assert not np.any(runs.estimate == other_key.estimate)
    np.testing.assert_array_equal(runs.theta, other_key.theta)
    other_seed = sims.simulate(small.model_copy(update={"seed": 8}))
    assert not np.any(runs.theta == other_seed.theta)


def test_replicates_do_not_share_noise(small):
    first = sims.simulate(small).estimate.values[:, 1, 0, 0]
    assert len(np.unique(first)) == small.replicates


def test_64_bit_is_local(small):
    runs = sims.simulate(small)
    assert all(runs[name].dtype == np.float64 for name in runs.data_vars)
    assert jnp.ones(1).dtype == jnp.float32
    # numbers that 32 bits cannot tell from their rounding
    assert np.mean(runs.estimate.values == runs.estimate.values.astype(np.float32)) < 0.01


def test_data_far_from_the_origin_lose_no_digits():
    # means of 1e8 and variances of order one: a sum of raw squares would keep no digit of them
    config = sims.RegressionConfig(**{**SHARED, "rank": 4}, replicates=3000)
    near = sims.moments(config, theta=np.zeros(4))
    far = sims.moments(config, theta=np.full(4, 1e8))
    # of 1e8, float64 keeps 1e-8
    for name in ("covariance", "covariance_standard_error", "mse", "mse_standard_error"):
        np.testing.assert_allclose(far[name], near[name], rtol=1e-6, atol=1e-7, err_msg=name)


def test_growth_over_69_orders_of_magnitude_is_followed():
    config = sims.RegressionConfig(
        models=4, design="misaligned", beta=1.0, generations=200, replicates=2000
    )
    runs = sims.moments(config)
    workflow = theory.RegressionWorkflow(**sims.draw_designs(config).grams(), alpha=0.5, beta=1.0)
    exact = np.asarray(theory.trajectory(workflow, designs.truth(4), 200).covariance)
    assert exact[-1].max() > 1e69
    z = deviations(runs.covariance.values, runs.covariance_standard_error.values, exact)
    assert np.abs(z).max() < STANDARD_ERRORS


def test_no_noise_no_variance():
    runs = sims.moments(sims.RegressionConfig(**SHARED, noise=0.0, replicates=50))
    assert np.abs(runs.covariance).max() < 1e-24
    assert np.abs(runs.covariance_standard_error).max() < 1e-24
    assert np.isfinite(runs.to_array()).all()


def test_zero_generations():
    runs = sims.simulate(sims.RegressionConfig(generations=0, replicates=4, alpha=()))
    assert runs.estimate.shape == (4, 1, 4, 15)


def test_only_what_is_read_again_is_kept():
    state = sims.init(sims.RegressionConfig(**SHARED))
    assert state.now.kept is None
    for settings, slots in (
        ({"memory": "accumulate"}, 1),  # the sum of all responses
        ({"memory": "window"}, 1),
        ({"memory": "window", "window": 3}, 3),
        ({"memory": "window", "window": 9}, 1),
        ({"memory": "accumulate", "human_share": (0.0, 0.1, 0.2, 0.3, 0.4)}, 5),
    ):
        kept = sims.init(sims.RegressionConfig(**SHARED, **settings)).now.kept
        assert kept.published.shape[:3] == (slots, 3, 2)
        assert not kept.published.any()
    one = sims.RegressionConfig(**SHARED, memory="window", window=1, replicates=9)
    assert sims.init(one).now.kept is None
    replaced = one.model_copy(update={"memory": "replace", "window": None})
    assert sims.simulate(one).equals(sims.simulate(replaced))


# The interface.


def test_progress_counts_replicates(small):
    calls = []
    sims.moments(
        small.model_copy(update={"chunk": 256}), progress=lambda *counts: calls.append(counts)
    )
    assert calls == [(0, 700), (256, 700), (512, 700), (700, 700)]


def test_designs_given_by_the_user_override_those_of_the_config(small):
    used = sims.draw_designs(small)
    assert sims.simulate(small, designs=used).equals(sims.simulate(small))
    assert sims.simulate(small, designs=designs.gaussian(2, 3, 2)).estimate.shape[2:] == (2, 3)


def test_draw_designs_supplies_human_features_with_the_mean_synthetic_gram(small):
    grams = sims.draw_designs(small).grams()
    np.testing.assert_allclose(grams["human"], grams["synthetic"].mean(axis=0), atol=1e-12)
    assert sims.draw_designs(small.model_copy(update={"human_share": 0.0})).human is None


def test_datasets_survive_a_file(small, tmp_path):
    for name, runs in (("estimates", sims.simulate(small)), ("moments", sims.moments(small))):
        path = tmp_path / f"{name}.nc"
        runs.to_netcdf(path, engine="h5netcdf")
        with xr.open_dataset(path, engine="h5netcdf") as again:
            assert again.equals(runs)
            assert sims.RegressionConfig.model_validate_json(again.attrs["config"]) == small
            assert again.estimate.attrs["units"] if name == "estimates" else again.mse.units


def test_config_survives_json():
    for config in (
        sims.RegressionConfig.model_validate({"generations": 2, "alpha": [0.5, 1]}),
        sims.RegressionConfig(models=3, design="misaligned"),
    ):
        assert sims.RegressionConfig.model_validate_json(config.model_dump_json()) == config
    assert sims.RegressionConfig(models=3, design="misaligned").dim == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 1.5}, r"alpha\n.*must lie in \[0, 1\], got 1.5"),
        ({"beta": float("nan")}, r"beta\n.*must lie in \[0, 1\], got nan"),
        ({"human_share": "much"}, "human_share\n.*must be a number or a sequence.*'much'"),
        ({"alpha": [[0.5]]}, "must be one number or one per generation, got 2 axes"),
        ({"alpha": [0.5, 0.5]}, "alpha needs one value per generation, got 2 for .* = 15"),
        ({"rank": 16}, "rank must be at most dim = 15, got 16"),
        ({"window": 3}, "window needs memory 'window', got 3 with 'replace'"),
        ({"memory": "window", "window": 0}, "window\n.*greater than or equal to 1"),
        ({"memory": "keep"}, "memory\n.*'replace', 'accumulate' or 'window'"),
        ({"human_rank": 16}, "human_rank must be at most dim = 15, got 16"),
        ({"design": "misaligned", "dim": 5}, "has dim = models = 4, got dim = 5"),
        ({"design": "misaligned", "prompts": "fresh"}, "'misaligned' does not take prompts"),
        ({"design": "misaligned", "human_rank": 2}, "'misaligned' does not take human_rank"),
        ({"noise": -1}, "noise\n.*greater than or equal to 0"),
        ({"noise": float("inf")}, "noise\n.*finite"),
        ({"replicates": 0}, "replicates\n.*greater than or equal to 1"),
        ({"gamma": 1}, "gamma\n.*Extra inputs are not permitted"),
    ],
)
def test_bad_configs_are_named_in_one_line(settings, message):
    with pytest.raises(pydantic.ValidationError, match=message) as raised:
        sims.RegressionConfig(**settings)
    assert raised.value.error_count() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"private": np.ones((2, 3))}, r"private must have shape \(K, n, d\), got \(2, 3\)"),
        ({"public": np.ones((1, 4))}, r"public must have shape \(n, 3\), got \(1, 4\)"),
        ({"public": np.ones(3)}, r"public must have shape \(n, 3\), got \(3,\)"),
        (
            {"synthetic": np.ones((3, 2, 3))},
            r"synthetic must have shape \(2, n, 3\) or \(T, 2, n, 3\), got \(3, 2, 3\)",
        ),
        ({"synthetic": np.ones((7, 2, 2, 3))}, "synthetic describes 7 gen.*generations = 15"),
        ({"human": np.ones((7, 2, 3))}, "human describes 7 generations"),
        ({"human": np.ones((2, 4))}, r"human must have shape \(n, 3\) or \(T, n, 3\)"),
        ({"public": np.full((1, 3), np.nan)}, "public has entries that are not finite"),
    ],
)
def test_bad_designs_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        sims.simulate(
            sims.RegressionConfig(), designs=designs.gaussian(2, 3, 2)._replace(**changes)
        )


def test_other_bad_input_is_named():
    config = sims.RegressionConfig(replicates=1)
    with pytest.raises(ValueError, match=r"theta must have shape \(15,\), got \(2,\)"):
        sims.simulate(config, theta=[1.0, 2.0])
    with pytest.raises(ValueError, match="theta has entries that are not finite"):
        sims.simulate(config, theta=np.full(15, np.inf))
    with pytest.raises(ValueError, match="at least 2 replicates, got 1"):
        sims.moments(config)
    with pytest.raises(ValueError, match="key must be one threefry key"):
        sims.simulate(config, jax.random.key(0, impl="rbg"))
    noise = sims.RegressionNoise(
        np.zeros((1, 4, 5)), np.zeros((1, 5)), np.zeros((1, 15, 4, 5)), np.zeros((1, 15, 2))
    )
    with pytest.raises(ValueError, match=r"noise.human must have shape \(1, 15, 0\)"):
        sims.replay(config, noise)


def test_the_theory_is_not_imported():
    code = (
        "import sys, commensal.sims.regression; "
        "sys.exit(any(name.startswith('commensal.theory') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
