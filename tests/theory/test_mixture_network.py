"""Mixtures on a network: against runs draw by draw, the uniform recursion, and long runs."""

from __future__ import annotations

import numpy as np
import pytest

from commensal import networks
from commensal.theory import mixture
from tests.reference import mixture_network

START = np.array([[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]])
STAR = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.1, 0.0, 0.9]])


@pytest.mark.parametrize("reads", [networks.ring(3, 0.3), STAR], ids=["ring", "uneven"])
@pytest.mark.parametrize("prior", [0.0, None])
def test_moments_are_those_of_runs(reads, prior):
    count, steps = 20_000, 5
    setup = mixture.Setup(
        3, 2, 2, 0.5, 6, weights=START, web=[0.5, 0.5], replacement=True, prior=prior
    )
    found = mixture.network_moments(setup, reads, steps)
    history = mixture_network.runs(
        reads,
        START[:, 0],
        0.5,
        2,
        2,
        0.5,
        steps,
        rate=lambda k: 1 / k,
        prior=lambda k: 0.0 if prior == 0 else 1 / (4 * k),
        count=count,
        rng=np.random.default_rng(0),
    )
    # a weight leaves [0, 1] in few runs, whose posts the runs cut: 1 % where there is a prior
    slack = 0.0 if prior == 0 else 0.01
    error = history.std(axis=1) / count**0.5
    # 36 means and 5 disagreements within 5 standard errors: a right code fails once in 10^5 seeds
    assert np.all(np.abs(history.mean(axis=1) - found.weights[..., 0]) < 5 * error + slack + 1e-12)
    apart = 2 * ((history[:, :, :, None] - history[:, :, None]) ** 2).sum(axis=(2, 3))
    error = apart.std(axis=1) / count**0.5
    difference = np.abs(apart.mean(axis=1) - found.disagreement)
    assert np.all(difference < 5 * error + 1e-12 + 10 * slack * found.disagreement)


@pytest.mark.parametrize("weights", [None, START])
@pytest.mark.parametrize("sampled", [False, True])
def test_a_uniform_network_is_one_web(weights, sampled):
    setup = mixture.Setup(
        3, 2, 2, 0.5, 6, weights=weights, web=[0.6, 0.4], web_sampled=sampled, replacement=True
    )
    one = mixture.second_moments(setup, 30)
    found = mixture.network_moments(setup, networks.uniform(3), 30)
    for name, a, b in zip(one._fields, found, one, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13, err_msg=name)


def test_own_archives_conserve_what_is_read():
    setup = mixture.Setup(3, 2, 2, 0.5, 6, weights=START, replacement=True, prior=0.0)
    moments = mixture.network_moments(setup, STAR, 4000)
    pi = np.linalg.matrix_power(STAR, 500)[0]
    np.testing.assert_allclose(moments.weights[:, :, 0] @ pi, START[:, 0] @ pi, rtol=1e-12)
    assert np.ptp(moments.weights[-1, :, 0]) < 0.02


@pytest.mark.parametrize("name", ["uniform", "ring:0.2", "self:0.4", "self:0"])
def test_the_law_is_where_long_runs_go(name):
    reads = networks.self_share(4, 0.0) if name == "self:0" else networks.named(name, 4)
    setup = mixture.Setup(4, 2, 3, 0.5, 20, web=[0.6, 0.4], replacement=True, prior=0.0)
    found = mixture.network_moments(setup, reads, 3000)
    law = mixture.network_disagreement(reads, [0.6, 0.4], 3, 0.5, np.arange(1, 3001)) / 0.48
    ratio = found.disagreement[1:] / found.heterogeneity[1:] / law
    assert ratio[-1] == pytest.approx(1, abs=0.02)
    assert abs(ratio[299] - 1) > abs(ratio[-1] - 1)


def test_uniform_law_is_that_of_one_web():
    found = mixture.network_disagreement(networks.uniform(3), [0.3, 0.7], 2, 0.5, 100)
    assert found == pytest.approx(
        float(mixture.disagreement([0.3, 0.7], 3, 300, 0.5, replacement=True))
    )


def test_groups_that_read_each_other_little_agree_slowly():
    reads = networks.blocs(4, 0.1)
    slow = np.sort(np.linalg.eigvalsh(reads))[-2]
    assert slow > 0.5
    assert np.isinf(mixture.network_disagreement(reads, [0.5, 0.5], 3, 0.5, 10))
    setup = mixture.Setup(4, 2, 3, 0.5, 20, web=[0.5, 0.5], replacement=True, prior=0.0)
    path = mixture.network_moments(setup, reads, 4000).disagreement
    assert np.log2(path[2000] / path[4000]) == pytest.approx(2 * (1 - slow), abs=0.03)


@pytest.mark.parametrize(
    ("options", "reads", "message"),
    [
        ({}, networks.uniform(2), "reads is for 2 models"),
        ({"replacement": False}, networks.uniform(3), "with replacement"),
        ({"points": 7}, networks.uniform(3), "multiple of models"),
    ],
)
def test_what_moments_refuse(options, reads, message):
    settings = {"models": 3, "components": 2, "posts": 2, "read_share": 0.5, "points": 6}
    setup = mixture.Setup(**(settings | {"replacement": True} | options))
    with pytest.raises(ValueError, match=message):
        mixture.network_moments(setup, reads, 3)


@pytest.mark.parametrize(
    ("reads", "generation", "message"),
    [
        (STAR, 1, "normal matrix"),
        (networks.isolated(3), 1, "fall into parts"),
        (networks.uniform(3), 0, "generation must be positive"),
    ],
)
def test_what_the_law_refuses(reads, generation, message):
    with pytest.raises(ValueError, match=message):
        mixture.network_disagreement(reads, [0.5, 0.5], 2, 0.5, generation)
