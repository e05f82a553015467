"""The theory laid over runs that remember: its curves are those of data that are drawn and kept."""

from __future__ import annotations

import numpy as np

from commensal.pairing import curves
from tests.pairing.test_run_pairing import system


def test_a_window_of_one_generation_is_no_memory():
    s = system(models=3, generations=3)
    one = curves(s, 0.7, 1.6)
    other = curves(s._replace(memory="window", window=1), 0.7, 1.6)
    np.testing.assert_array_equal(one.expected, other.expected)
    np.testing.assert_array_equal(one.variance, other.variance)
    # and with two, the first generation after the start is the same
    two = curves(s._replace(memory="window", window=2), 0.7, 1.6)
    np.testing.assert_allclose(two.expected[:, :2], one.expected[:, :2], rtol=1e-9)
    assert np.abs(two.expected[:, 2:] - one.expected[:, 2:]).max() > 1e-3


def test_everything_kept_raises_the_share_of_the_web():
    s = system(models=3, generations=3)._replace(memory="accumulate")
    alpha = s.alpha[:, None]
    times = np.array([1, 2, 3])
    np.testing.assert_allclose(s.web_shares, times * alpha / (1 - alpha + times * alpha))
    found = curves(s, 0.7, 1.6)
    window = curves(s._replace(memory="window"), 0.7, 1.6)
    mixed = (s.alpha > 0) & (s.alpha < 1)
    np.testing.assert_allclose(found.expected[:, :2], window.expected[:, :2], rtol=1e-9)
    assert np.abs(found.expected[mixed] - window.expected[mixed])[:, 2:].max() > 1e-3
    np.testing.assert_allclose(found.expected[~mixed], window.expected[~mixed], rtol=1e-9)
