"""What the checks are made of: each must be able to say no, and to say that it cannot tell."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import sympy

from commensal.claims import Evidence, Trial, attack, identity, stated, statistical, symbolic


def test_identity_is_relative_to_the_largest_entry():
    assert identity([1e6, 1.0], [1e6, 1.0 + 1e-4]).holds
    assert identity([1e6, 1.0], [1e6, 1.0 + 1e-2]).holds is False


@pytest.mark.parametrize("found", [np.nan, np.inf, [1.0, 1.0], [[1.0]]])
def test_identity_takes_nothing_else_for_equal(found):
    assert identity(found, 1.0).holds is False


def test_each_instance_has_its_own_scale():
    found, expected = [np.array([1e9]), np.array([1.0])], [np.array([1e9]), np.array([1.1])]
    worst = identity(found, expected)
    assert worst.holds is False
    assert worst.numbers["instances"] == 2
    assert worst.numbers["largest deviation"] == pytest.approx(0.1 / 1.1)
    assert identity([np.ones(2), np.ones((2, 1))], [np.ones(2), np.ones(2)]).holds is False


def test_symbolic_says_what_is_left():
    x = sympy.Symbol("x")
    assert symbolic(sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - 1).holds
    wrong = symbolic(sympy.Matrix([0, 2 * x - x]))
    assert wrong.holds is False
    assert wrong.numbers["left over"] == "x"


def test_statistics_that_cannot_see_an_error_decide_nothing():
    seen = statistical([1.0, 2.0], [1.001, 2.0], 1e-3, 100, resolution=0.01)
    assert seen.holds
    assert seen.comparisons == 2
    assert statistical(1.0, 1.0, 2e-3, 100, resolution=0.01).holds is None
    assert statistical(1.0, 1.02, 2e-3, 100, resolution=0.01).holds is False
    assert statistical(np.nan, 1.0, 2e-3, 100, resolution=0.01).holds is False
    # relative to nothing, nothing is seen; relative to a scale, it is
    assert statistical(1e-4, 0.0, 1e-3, 100, resolution=0.01).holds is None
    assert statistical(1e-4, 0.0, 1e-3, 100, resolution=0.01, scale=1.0).holds


def test_ascent_finds_the_one_place_where_a_bound_breaks():
    def ratio(x):  # 1.02 at (3, -2), where none of the starts is
        return 1.02 * jnp.exp(-jnp.sum((x - jnp.array([3.0, -2.0])) ** 2) / 8)

    def start(rng):
        return rng.standard_normal(2)

    broken = attack(ratio, start, np.random.default_rng(0), restarts=3)
    assert broken.holds is False
    assert broken.numbers["largest before climbing"] < 1
    assert broken.numbers["largest ratio to the bound"] == pytest.approx(1.02)
    assert attack(lambda x: ratio(x) / 1.03, start, np.random.default_rng(0), restarts=3).holds


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(True, True, True), (True, False, False), (None, False, False), (True, None, None)],
)
def test_evidence_for_both(first: bool | None, second: bool | None, both: bool | None):
    joined = stated(first, "one", a=1) & stated(second, "two", b=2)
    assert joined.holds is both
    assert joined.numbers == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="share names: a"):
        joined & stated(True, "three", a=3)
    named = Evidence(True, "one", {"a": 1}).named("left") & stated(True, "two", a=2)
    assert named.numbers == {"left: a": 1, "a": 2}


def test_trials_are_reproducible_and_apart():
    one, other = Trial(1), Trial(2)
    assert one.rng().random() == Trial(1).rng().random()
    assert len({t.rng(s).random() for t in (one, other) for s in (0, 1)}) == 4
    assert Trial(1, full=True).pick(10, 1000) == 1000
    assert Trial(1, full=True).resolution == 0.01
