"""Reading networks: what each preset promises, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from commensal import networks

NAMES = ("uniform", "isolated", "ring", "ring:0.3", "star", "star:0.2", "self:0.4", "blocs:0.2")


@pytest.mark.parametrize("models", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("name", NAMES)
def test_presets_are_networks(name, models):
    if models == 1 and name.startswith("blocs"):
        with pytest.raises(ValueError, match="two blocs need at least 2 models, got 1"):
            networks.named(name, models)
        return
    w = networks.check_network(networks.named(name, models))
    assert w.shape == (models, models)
    np.testing.assert_allclose(w.sum(axis=1), 1, rtol=1e-15)


def test_shares_of_itself_and_of_the_other_half():
    for name, share in (("ring:0.3", 0.3), ("star:0.2", 0.2), ("self:0.4", 0.4)):
        np.testing.assert_allclose(np.diag(networks.named(name, 5)), share)
    w = networks.blocs(5, 0.2)  # three and two
    np.testing.assert_allclose(w[:3, 3:].sum(axis=1), 0.2)
    np.testing.assert_allclose(w[3:, :3].sum(axis=1), 0.2)
    assert (networks.star(4)[1:, 0] == 0.5).all()
    assert len(np.unique(networks.blocs(6, 0.2), axis=0)) == 2


@pytest.mark.parametrize(
    ("name", "models", "message"),
    [
        ("rings", 3, "there is no network 'rings'; did you mean ring?"),
        ("torus", 3, "there is no network 'torus'; there are uniform, isolated"),
        ("ring:half", 3, "after the colon come numbers, as in ring:0.5"),
        ("ring:0.5,0.5", 3, "ring takes one number"),
        ("uniform:2", 3, "uniform takes no number"),
        ("self:1.5", 3, r"must lie in \[0, 1\], got 1.5"),
        ("blocs:nan", 4, r"bridge must lie in \[0, 1\], got nan"),
        ("shares:1,2", 3, "'shares:1,2' has 2 shares for 3 models"),
        ("shares:1,-2,4", 3, "shares must be numbers >= 0, not all zero"),
        ("uniform", 0, "models must be at least 1, got 0"),
    ],
)
def test_nonsense_is_one_line(name, models, message):
    with pytest.raises(ValueError, match=message) as error:
        networks.named(name, models)
    assert "\n" not in str(error.value)


def test_what_is_no_network():
    for w, message in (
        (np.ones(3), "must be a square matrix"),
        (np.ones((2, 3)), "must be a square matrix"),
        ([[1.5, -0.5], [0, 1]], "negative or not a number"),
        ([[np.nan, 1], [0, 1]], "negative or not a number"),
        ([[1, 0], [0.5, 0.25]], "row 1 sums to 0.75"),
    ):
        with pytest.raises(ValueError, match=message):
            networks.check_network(w)


def test_the_class_that_dominates():
    """Two that read themselves with share 1/4 amplify more than two with 1/2, who read them."""
    w = np.array([[0.25, 0.75, 0, 0], [0.75, 0.25, 0, 0], [0.1, 0, 0.5, 0.4], [0, 0, 0.5, 0.5]])
    growth, vector = networks.dominating_readers(w)
    assert growth == pytest.approx(4)
    np.testing.assert_allclose(vector[:2] / vector[0], 1)
    assert (vector[2:] == 0).all()
    assert networks.dominating_readers(networks.ring(2))[0] == np.inf
    # a chain is no circle: nothing comes back
    chain = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert networks.dominating_readers(chain)[0] == 1
