"""Fresh human data of each model's own in the simulated process: theory, and a plain loop.

Monte-Carlo comparisons allow 4.5 standard errors in every entry, 6.8e-6 of a normal law's mass. The
cases below hold 1 008 distinct entries together, and those of models that remember as many, so
right code would fail with a chance of at most 2 016 x 6.8e-6 = 1.4 % over all of them if the seeds
were not fixed.
"""

from __future__ import annotations

import numpy as np
import pytest

from commensal import designs, networks
from commensal.sims import regression as sims
from commensal.theory import regression as theory

STANDARD_ERRORS = 4.5
ENTRIES = 1_008
BASE = {"models": 3, "dim": 4, "rank": 3, "generations": 5, "alpha": 0.8, "human_data": "own"}
CASES = {
    "rank 2": BASE | {"human_rank": 2, "human_share": 0.4},
    "by prompts": BASE | {"human_share": 0.6, "alpha": 1.0},
    "on a ring": BASE | {"human_rank": 3, "human_share": 0.5, "reads": "ring:0.3"},
    "varying": BASE | {"human_share": (0.5, 0.0, 1.0, 0.2, 0.5), "initial_beta": 0.2},
}


def set_up(name, replicates=40_000):
    config = sims.RegressionConfig(**CASES[name], replicates=replicates, seed=2)
    used = sims.draw_designs(config)
    w = theory.RegressionWorkflow(
        **used.grams(), alpha=config.alpha, beta=config.beta, initial_beta=config.initial_beta,
        human_share=config.human_share, human_data=config.human_data,
        reads=config.network(config.models),
    )  # fmt: skip
    return config, used, w, designs.truth(used.dim, config.seed)


def deviations(found, error, exact):
    varies = error > 1e-11
    np.testing.assert_allclose(found[~varies], exact[~varies], atol=1e-9)
    return (found - exact)[varies] / error[varies]


def distinct(covariance):
    return covariance[..., *np.triu_indices(covariance.shape[-1])]


def test_stated_number_of_entries():
    per_case = {name: c["generations"] + 1 for name, c in CASES.items()}
    k, d = BASE["models"], BASE["dim"]
    # means, and the symmetric half of covariances
    assert sum(t * k * (d + d * (d + 1) // 2) for t in per_case.values()) == ENTRIES


@pytest.mark.parametrize("name", CASES)
def test_every_moment_agrees_with_theory(name):
    config, _, w, theta = set_up(name)
    runs = sims.moments(config)
    exact = theory.trajectory(w, theta, config.generations)
    z = deviations(runs["mean"].values, runs["mean_standard_error"].values, np.asarray(exact.mean))
    assert np.abs(z).max() < STANDARD_ERRORS
    parts = (runs["covariance"].values, runs["covariance_standard_error"].values, exact.covariance)
    z = deviations(*(distinct(np.asarray(x)) for x in parts))
    assert np.abs(z).max() < STANDARD_ERRORS
    # the same comparison tells own human data from shared ones
    other = theory.trajectory(w.replace(human_data="shared"), theta, config.generations)
    z = deviations(*(distinct(np.asarray(x)) for x in (*parts[:2], other.covariance)))
    assert np.abs(z).max() > STANDARD_ERRORS


@pytest.mark.parametrize("name", CASES)
def test_replay_is_a_plain_loop_of_least_squares(name):
    config, used, _, theta = set_up(name)
    rng = np.random.default_rng(5)
    k, t = config.models, config.generations
    human = used.human
    noise = sims.RegressionNoise(
        private=rng.standard_normal((2, *used.private.shape[:2])),
        public=rng.standard_normal((2, len(used.public))),
        synthetic=rng.standard_normal((2, t, *used.synthetic.shape[:2])),
        human=rng.standard_normal((2, t, k, len(human))),
    )
    found = sims.replay(config, noise, theta=theta).estimate.values
    reads = config.network(k)
    reads = networks.uniform(k) if reads is None else reads
    shares = np.broadcast_to(config.human_share, t)
    for r in range(2):
        before = None
        for now in range(t + 1):
            alpha, share = (config.alpha, shares[now - 1]) if now else (0.0, 0.0)
            beta = config.initial_beta if now == 0 and config.initial_beta else config.beta
            after = []
            for i in range(k):
                data = [
                    ((1 - alpha) * beta, used.private[i], theta, noise.private[r, i]),
                    ((1 - alpha) * (1 - beta), used.public, theta, noise.public[r]),
                ]
                if now:
                    for j in range(k):
                        web = alpha * (1 - share) * reads[i, j]
                        said = noise.synthetic[r, now - 1, j]
                        data.append((web, used.synthetic[j], before[j], said))
                    data.append((alpha * share, human, theta, noise.human[r, now - 1, i]))
                data = [one for one in data if one[0] > 0]
                x = np.concatenate([np.sqrt(weight) * x for weight, x, *_ in data])
                y = np.concatenate([np.sqrt(weight) * (x @ p + e) for weight, x, p, e in data])
                after.append(np.linalg.lstsq(x, y, rcond=None)[0])
            np.testing.assert_allclose(found[r, now], after, atol=1e-9)
            before = after


def test_stepping_by_hand_is_the_simulation():
    import jax

    config, *_ = set_up("rank 2", replicates=20)
    key = jax.random.key(config.seed)
    state = sims.init(config, key)
    for _ in range(config.generations):
        state = sims.step(state, key)
    runs = sims.simulate(config).estimate
    np.testing.assert_array_equal(
        runs.isel(generation=-1), np.moveaxis(np.asarray(sims.observe(state)), -1, 0)[:20]
    )


def test_noise_of_another_shape_is_refused():
    config, used, *_ = set_up("rank 2")
    shared = sims.RegressionNoise(
        np.zeros((1, *used.private.shape[:2])),
        np.zeros((1, len(used.public))),
        np.zeros((1, 5, *used.synthetic.shape[:2])),
        np.zeros((1, 5, len(used.human))),
    )
    with pytest.raises(ValueError, match=r"noise\.human must have shape \(1, 5, 3, 2\)"):
        sims.replay(config, shared)


@pytest.mark.parametrize("memory", [{"memory": "accumulate"}, {"memory": "window", "window": 2}])
@pytest.mark.parametrize("reads", ["uniform", "ring:0.3"])
def test_what_is_remembered_of_own_human_data(memory, reads):
    """Models keep what their own humans said; |z| < 4.5 in 252 entries of each of four cases."""
    settings = BASE | {"human_rank": 3, "human_share": 0.5, "reads": reads, "replicates": 20_000}
    config = sims.RegressionConfig(**settings, **memory, seed=4)
    w = theory.RegressionWorkflow(
        **sims.draw_designs(config).grams(), alpha=config.alpha, beta=config.beta,
        human_share=0.5, human_data="own", reads=config.network(3),
    )  # fmt: skip
    truth = designs.truth(4, config.seed)
    exact = theory.trajectory(w, truth, 5, **memory)
    runs = sims.moments(config)
    parts = (runs["covariance"].values, runs["covariance_standard_error"].values, exact.covariance)
    z = deviations(*(distinct(np.asarray(x)) for x in parts))
    assert np.abs(z).max() < STANDARD_ERRORS
    z = deviations(runs["mean"].values, runs["mean_standard_error"].values, exact.mean)
    assert np.abs(z).max() < STANDARD_ERRORS
    # a window of one generation is what is known without memory
    one = theory.trajectory(w, truth, 5, memory="window", window=1)
    plain = theory.trajectory(w, truth, 5)
    np.testing.assert_allclose(one.covariance, plain.covariance, rtol=1e-8, atol=1e-10)
