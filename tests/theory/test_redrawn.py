"""Generations that are drawn at random: second moments, against products and Kronecker squares."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from commensal import designs, networks
from commensal.theory import regression


def workflow(count: int, reads, share: float = 0.0) -> regression.RegressionWorkflow:
    grams = designs.gaussian(3, 4, 2, seed=1).grams()
    x = np.random.default_rng(0).standard_normal((count, 3, 2, 4))
    grams |= {"synthetic": x.swapaxes(-1, -2) @ x}
    return regression.RegressionWorkflow(
        **grams, alpha=0.6, beta=0.7, reads=reads, human_share=share
    )


@pytest.mark.parametrize("reads", [None, networks.ring(3, 0.2)], ids=["uniform", "ring"])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_one_set_of_prompts_has_its_spectral_radius(reads, share):
    w = workflow(1, reads, share)
    fixed = w.replace(synthetic=w.synthetic[0])
    expected = float(regression.spectral_radius(fixed))
    assert regression.mean_square_radius(w) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dense", [True, False])
def test_it_is_the_radius_of_the_kronecker_square(dense, monkeypatch):
    monkeypatch.setattr("commensal.theory.regression._redrawn._DENSE", 12 if dense else 0)
    w, reads = workflow(5, networks.ring(3, 0.2)), networks.ring(3, 0.2)
    squares = 0
    for asked in np.asarray(w.synthetic):
        gram = 0.4 * (0.7 * np.asarray(w.private) + 0.3 * np.asarray(w.public))
        gram = gram + 0.6 * np.einsum("kj,jab->kab", reads, asked)
        q = np.einsum("kab,kj,jbc->kajc", np.linalg.pinv(gram), 0.6 * reads, asked).reshape(12, 12)
        squares = squares + np.kron(q, q) / 5
    expected = np.abs(np.linalg.eigvals(squares)).max() ** 0.5
    assert regression.mean_square_radius(w) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dense", [True, False])
def test_nothing_new_has_no_growth(dense, monkeypatch):
    monkeypatch.setattr("commensal.theory.regression._redrawn._DENSE", 12 if dense else 0)
    assert regression.mean_square_radius(workflow(2, None).replace(alpha=0.0)) == 0.0


def test_it_needs_numbers():
    with pytest.raises(ValueError, match="on the host"):
        jax.jit(regression.mean_square_radius)(workflow(2, None))
