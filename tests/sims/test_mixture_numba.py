"""Mixtures by numba against the XLA path, on the same seed: all randomness is the same."""

from __future__ import annotations

import sys

import jax
import numpy as np
import pytest

from commensal.sims._threefry import bits
from commensal.sims.mixture import MixtureConfig, _numba, simulate

kernel = pytest.importorskip("commensal.sims.mixture._numba_kernel")

# few replicates would save nothing: a batch is drawn whole
SMALL = {"models": 3, "posts": 2, "points": 5, "generations": 12, "replicates": 21}
# Dirichlet laws are slow to compile. Round numbers would have weights that meet 0 exactly, which
# rounding then takes for positive or not.
GIVEN = {"weights": [[0.913, 0.087], [0.531, 0.469], [0.217, 0.783]]}
CASES = {
    "as in the paper": {"generations": 50},
    "one post, two models": {
        "models": 2,
        "posts": 1,
        "read_share": 0.29,
        "weights": [[0.9, 0.1], [0.5, 0.5]],
    },
    # weights that are not positive all the time, several at once
    "positivity": {"components": 6, "concentration": 0.2, "epsilon": 0.01},
    "strong prior, wide threshold": GIVEN | {"prior": 0.3, "epsilon": 0.4},
    "replacement": GIVEN | {"replacement": True},
    "humans": GIVEN | {"human_share": 0.4, "web": [0.9, 0.1]},
    "constant rate": GIVEN | {"learning_rate": 0.2, "means": [-1.0, 1.0], "keep": "summary"},
    "rate of one": GIVEN | {"learning_rate": 1.0, "means": [-1.0, 1.0]},
    "plane, a covariance for each": {
        "means": [[0.0, 0.0], [1.0, 2.0], [-2.0, 1.0]],
        "covariance": [[[1.0, 0.4], [0.4, 2.0]], [[0.5, 0.0], [0.0, 0.5]], [[3.0, 1], [1, 1.0]]],
    },
    # weights of 0 and 1; not of 0.5, which meet 0 later on, and grow from 1e-17 where they miss it
    "edges": {"epsilon": 0.0, "weights": [[1.0, 0.0], [0.531, 0.469], [0.0, 1.0]]},
    "beyond 64 bits of a mask": {"components": 67, "concentration": 0.1, "generations": 5},
    "points beyond 16 bits": GIVEN | {"points": 70_000, "read_share": 1e-3, "generations": 2},
}


def both(**settings):
    return [simulate(MixtureConfig(**SMALL | settings, kernel=name)) for name in ("numba", "xla")]


@pytest.mark.parametrize("name", CASES)
def test_same_seed_same_numbers(name):
    ours, theirs = both(**CASES[name])
    assert set(ours.data_vars) == set(theirs.data_vars)
    for variable in ours.data_vars:
        np.testing.assert_allclose(ours[variable], theirs[variable], rtol=0, atol=1e-12)


def test_float32_is_the_same_but_for_rounding():
    # sums of 250 updates, each to 6e-8
    ours, theirs = both(**GIVEN, dtype="float32")
    for variable in ours.data_vars:
        np.testing.assert_allclose(ours[variable], theirs[variable], rtol=0, atol=2e-5)


def test_words_are_those_of_the_generator():
    low = np.array([0, 1, 2, 127, 128, 2**32 - 1], np.uint32)
    for key in ((0, 0), (3, 2**32 - 1)):
        for row in (0, 5, 2**31):
            found = np.empty((2, low.size), np.uint32)
            pair = np.array(key, np.uint32)
            kernel.words(pair[0], pair[1], np.full(low.size, row, np.uint32), low, found)
            theirs = np.array(bits(jax.random.wrap_key_data(pair), 129, np.uint32(row)))
            np.testing.assert_array_equal(found[:, :5], theirs[:, low[:5]])


def test_no_result_depends_on_what_else_is_computed(monkeypatch):
    base = SMALL | GIVEN | {"replicates": 130, "kernel": "numba"}
    runs = simulate(MixtureConfig(**base))
    seen = []
    chunked = simulate(MixtureConfig(**base, chunk=1), progress=lambda *x: seen.append(x))
    np.testing.assert_array_equal(chunked.weights, runs.weights)
    assert seen == [(0, 130), (128, 130), (130, 130)]
    few = simulate(MixtureConfig(**base | {"replicates": 3}))
    np.testing.assert_array_equal(few.weights, runs.weights[:3])
    # generations in turns, groups of other sizes
    monkeypatch.setattr(_numba, "_AHEAD", 5)
    monkeypatch.setattr(_numba, "_GROUP", 1.0)
    other = simulate(MixtureConfig(**base))
    np.testing.assert_array_equal(other.weights, runs.weights)


def test_where_it_cannot_be_it_is_told_in_one_line(monkeypatch):
    with pytest.raises(ValueError, match=r'kernel must be .* with a graph, got "numba"'):
        MixtureConfig(graph=np.ones((3, 3), bool), kernel="numba")
    assert not _numba.chosen(MixtureConfig(graph=np.ones((3, 3), bool)))
    assert _numba.chosen(MixtureConfig())
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, kernel.__name__)
    assert not _numba.chosen(MixtureConfig())
    with pytest.raises(ValueError, match=r"kernel must be .* without numba") as caught:
        simulate(MixtureConfig(kernel="numba"))
    assert "\n" not in str(caught.value)
    assert "commensal[fast]" in str(caught.value)
