"""Simulated models that remember against closed forms, on data that are alike in all directions.

Each comparison allows 4.5 standard errors, which a true formula exceeds once in 150,000. There are
`COMPARISONS`, so that right code would fail with a chance of at most 0.25 % if the seeds were not
fixed; and their root mean square must be near 1, or standard errors too large would pass anything.
"""

from __future__ import annotations

import numpy as np
import pytest

from commensal import designs
from commensal.sims import regression as sims
from commensal.theory import memory

STANDARD_ERRORS = 4.5
REPLICATES = 4_000
AT = [0, 1, 2, 5, 20, 60]

# settings of the process, reading networks of which are normal matrices
CASES = {
    "replace": {"memory": "replace", "alpha": 0.6},
    "accumulate": {"memory": "accumulate", "alpha": 0.5},
    "accumulate, much real data": {"memory": "accumulate", "alpha": 0.1, "beta": 0.8},
    "accumulate, no real data again": {"memory": "accumulate", "alpha": 1.0},
    "accumulate on a ring": {"memory": "accumulate", "alpha": 0.5, "reads": "ring:0.4"},
    "share below one half": {"memory": "window", "alpha": 0.8},
    "share of one half": {"memory": "window", "alpha": 0.5, "beta": 0.6},
    "share above one half": {"memory": "window", "alpha": 0.2},
    "share on a ring": {"memory": "window", "alpha": 0.7, "reads": "ring"},
    "window": {"memory": "window", "window": 4, "alpha": 0.8},
    "window on a network": {"memory": "window", "window": 3, "alpha": 0.9, "reads": "self:0.6"},
    "window, no real data again": {"memory": "window", "window": 5, "alpha": 1.0},
}
COMPARISONS = 2 * len(AT) * len(CASES)


def test_every_error_is_that_of_the_closed_form():
    everything = []
    for n, (name, settings) in enumerate(CASES.items()):
        z = deviations(settings, seed=n)
        assert np.abs(z).max() < STANDARD_ERRORS, name
        everything.append(z)
    z = np.concatenate(everything)
    assert z.size == COMPARISONS
    # of 144, of which those of one case have noise in common: as of some 40 at least
    assert 0.7 < np.sqrt(np.mean(z**2)) < 1.3


@pytest.mark.parametrize(
    "change",
    [{"window": 6}, {"window": None}, {"memory": "accumulate", "window": None}, {"beta": 0.9}],
)
def test_another_memory_would_be_seen(change):
    settings = CASES["window"]
    assert np.abs(deviations(settings, 9, settings | change)).max() > 2 * STANDARD_ERRORS


def deviations(settings, seed, expected=None):
    """(simulated - closed form) / standard error, of errors and of disagreement."""
    k, d, last = 3, 4, AT[-1]
    sizes = {"private": 2.0, "public": 0.5, "synthetic": 1.5}
    eye = np.eye(d)
    grams = {name: np.tile(size * eye, (k, 1, 1)) for name, size in sizes.items()}
    used = designs.from_grams(grams | {"public": sizes["public"] * eye})
    config = sims.RegressionConfig(
        **settings, models=k, noise=1.3, generations=last, replicates=REPLICATES, seed=seed
    )
    runs = sims.simulate(config, designs=used)
    estimate = runs.estimate.sel(generation=AT).values
    centre = estimate.mean(axis=2, keepdims=True)
    found = (
        ((estimate - runs.theta.values) ** 2).sum(axis=-1).mean(axis=-1),
        ((estimate - centre) ** 2).sum(axis=-1).mean(axis=-1),
    )
    how = expected or settings
    how = {"memory": "replace", "beta": 0.5} | {n: v for n, v in how.items() if n != "reads"}
    law = memory.isotropic_errors(
        AT, k, how.pop("alpha"), **how, reads=config.network(k), dim=d, noise=1.3, **sizes
    )
    z = []
    for values, exact in zip(found, law, strict=True):
        error = values.std(axis=0, ddof=1) / np.sqrt(REPLICATES)
        # models that read the same web alone agree to the bit, nearly
        same = error < 1e-12
        np.testing.assert_allclose(values.mean(axis=0)[same], exact[same], atol=1e-12)
        z.append(np.where(same, 0, (values.mean(axis=0) - exact) / np.where(same, 1, error)))
    return np.concatenate(z)
