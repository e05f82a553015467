"""One seed, six processes: none is driven by the noise of another."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import jax
import numpy as np
import pytest
from scipy import stats

from commensal import designs
from commensal.sims import _keys, ecosystem, gaussian, mixture, regression, selection, words
from commensal.sims.ecosystem import _simulate as of_ecosystem
from commensal.sims.gaussian import _batches as of_lineages
from commensal.sims.gaussian import _population_steps as of_populations
from commensal.sims.mixture import _steps as of_mixture
from commensal.sims.regression import _simulate as of_regression
from commensal.sims.selection import _simulate as of_selection
from commensal.sims.words import _simulate as of_words

TOKENS = ecosystem.EcosystemConfig(
    types=30, tokens=60, hold=20.0, models=2, generations=2, replicates=2
)
ESTIMATES = regression.RegressionConfig(models=2, dim=3, rank=2, generations=2, replicates=3)
CHOSEN = selection.SelectionConfig(generations=2, replicates=3)
WORDS = words.WordsConfig(generations=2, replicates=2)
LINEAGES = gaussian.GaussianConfig(samples=5, generations=2, replicates=3)


def mixtures(update: str) -> np.ndarray:
    return mixture.simulate(
        mixture.MixtureConfig(generations=2, replicates=2, update=update, kernel="xla")
    ).weights.values


# where it takes its stream, and numbers that are all drawn
SIMULATORS: dict[str, tuple[object, Callable[[], np.ndarray]]] = {
    "regression": (of_regression, lambda: regression.simulate(ESTIMATES).estimate.values),
    "gaussian lineages": (
        of_lineages,
        lambda: gaussian.simulate(LINEAGES).log_variance.values[:, 1:],
    ),
    "gaussian populations": (
        of_populations,
        lambda: gaussian.simulate_populations(
            gaussian.PopulationConfig(population=4, generations=2, replicates=3)
        ).w2_best.values[:, 1:],
    ),
    "mixture": (of_mixture, lambda: mixtures("weights")),
    "mixture full": (of_mixture, lambda: mixtures("full")),
    "ecosystem": (of_ecosystem, lambda: ecosystem.simulate(TOKENS).perplexity.values),
    "ecosystem grid": (
        of_ecosystem,
        lambda: ecosystem.grid(TOKENS, models=(1, 2)).perplexity.values,
    ),
    "selection": (of_selection, lambda: selection.simulate(CHOSEN).estimate.values),
    "words": (of_words, lambda: words.simulate(WORDS).heterozygosity.values),
}


@pytest.mark.parametrize("name", SIMULATORS)
def test_all_that_is_drawn_comes_from_the_simulators_own_stream(name, monkeypatch):
    """Its name alone decides: with the name of another, every drawn number is another."""
    module, run = SIMULATORS[name]
    ours, asked = run(), []

    def renamed(key, simulator):
        asked.append(simulator)
        return _keys.stream(key, "another")

    monkeypatch.setattr(module, "stream", renamed)
    theirs = run()
    assert asked == [name]
    assert not np.isclose(ours, theirs, rtol=1e-9, atol=0).any()


def test_streams_of_different_simulators_have_nothing_in_common():
    """1,000 words of every pair: none alike, ranks not correlated (28 pairs at 1e-3 in all)."""
    key = jax.random.key(0, impl="threefry2x32")
    keys = [key, *(_keys.stream(key, name) for name in SIMULATORS)]
    words = [np.asarray(jax.random.bits(k, (1000,))) for k in keys]
    for one, other in itertools.combinations(words, 2):
        assert not np.isin(one, other).any()
        assert stats.spearmanr(one, other).pvalue > 1e-3 / 28


def uniforms_of_regression(seed: int) -> np.ndarray:
    """What its normals of generation 1 are made of: at β = 0 and α = 1 nothing else is read."""
    n = 32
    axes = designs.Designs(np.eye(n)[None], np.eye(n), np.eye(n)[None])
    config = regression.RegressionConfig(
        models=1, dim=n, rank=n, generations=1, replicates=2, alpha=1.0, beta=0.0, seed=seed
    )
    runs = regression.simulate(config, designs=axes, theta=np.zeros(n))
    estimate = runs.estimate.values[0]
    return stats.norm.cdf(estimate[1, 0] - estimate[0, 0])


def uniforms_of_lineages(seed: int) -> np.ndarray:
    """Box and Muller's radius, from the mean and from the normal behind χ²_2."""
    config = gaussian.GaussianConfig(
        samples=3, generations=1, replicates=32, seed=seed, dtype="float64"
    )
    runs = gaussian.simulate(config)
    mean = runs["mean"].values[:, 1] * np.sqrt(3)
    other = stats.norm.ppf(stats.chi2.cdf(2 * np.exp(runs.log_variance.values[:, 1]), 2))
    return np.exp(-(mean**2 + other**2) / 2)


@pytest.mark.parametrize("seed", [0, 5])
def test_one_seed_drives_a_regression_and_lineages_apart(seed, monkeypatch):
    """The 32 uniform numbers behind replicate 0 of one and batch 0 of the other."""
    assert stats.spearmanr(uniforms_of_regression(seed), uniforms_of_lineages(seed)).pvalue > 1e-4
    # and with a stream in common the two are seen to be the same
    for module in (of_regression, of_lineages):
        monkeypatch.setattr(module, "stream", lambda key, simulator: key)
    np.testing.assert_allclose(
        uniforms_of_regression(seed), uniforms_of_lineages(seed), rtol=0, atol=1e-6
    )


def test_kept_and_summed_replicates_are_the_same_ones():
    kept = regression.simulate(ESTIMATES).estimate
    np.testing.assert_allclose(
        regression.moments(ESTIMATES)["mean"], kept.mean("replicate"), rtol=1e-9
    )
    lineages = gaussian.simulate(LINEAGES).log_variance
    summed = gaussian.moments(LINEAGES).log_variance
    np.testing.assert_allclose(summed, lineages.mean("replicate"), rtol=1e-9, atol=1e-12)
