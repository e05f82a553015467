"""One configuration of designs, read by theory and by simulation alike."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from commensal import designs, sweep
from commensal.sims import regression as sims
from commensal.theory import regression

BOTH = {
    "sweep": lambda models, **given: sweep.RegressionSweep(models=(models,), **given),
    "simulate": lambda models, **given: sims.RegressionConfig(models=models, **given),
}


def radius(config, models):
    grams = config.draw(models).grams()
    return float(
        regression.spectral_radius(regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5))
    )


@pytest.mark.parametrize(
    "given",
    [
        {"design": "misaligned"},
        {"design": "misaligned", "strength": 10.0, "public": 0.1},
        {},
        {"dim": 6, "rank": 2, "public_rank": 4, "prompts": "fresh", "seed": 3},
        {"human_share": 0.3, "human_rank": 4},
        {"human_share": 0.3, "human_data": "own"},
    ],
)
def test_the_same_words_are_the_same_system(given):
    config, process = (BOTH[door](4, **given) for door in ("sweep", "simulate"))
    w, features = config.workflow(4), sims.draw_designs(process)
    for name, gram in features.grams().items():
        kept = getattr(w, name)
        if kept is None:  # the theory's default, which the process draws
            kept = np.asarray(w.synthetic).mean(axis=0)
        np.testing.assert_allclose(kept, gram, rtol=1e-12, atol=1e-12)
    assert w.human_data == process.human_data == given.get("human_data", "shared")
    # settings that do nothing are not written down
    assert ("human_data" in process.model_dump()) == ("human_share" in given)


def test_misaligned_comes_close_to_the_bound_by_default():
    """The sharp bound (1 + √K)/2, as c grows: at β = 1, without public data for any β > 0."""
    for door in BOTH.values():
        for k in (2, 4, 9):
            config = door(k, design="misaligned")
            bound = (1 + k**0.5) / 2
            assert bound * (1 - 1e-3) < radius(config, k) < bound


@pytest.mark.parametrize("door", BOTH)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strength": 3.0}, "design 'gaussian' does not take strength; design 'misaligned' does"),
        ({"design": "gaussian", "public": 0.0}, "'gaussian' does not take public"),
        ({"design": "misaligned", "rank": 5}, "'misaligned' does not take rank; .*'gaussian'"),
        ({"design": "misaligned", "prompts": "private"}, "does not take prompts"),
        ({"design": "misaligned", "dim": 7}, "has dim = models = 4, got dim = 7"),
        ({"human_rank": 3}, "human_rank does nothing without a human_share above 0"),
        ({"human_data": "own"}, "human_data 'own' does nothing without a human_share above 0"),
        ({"grams": "x.npz", "rank": 2}, "grams takes the place of a design: leave out rank"),
        ({"grams": "x.npz"}, "'x.npz' does not exist"),
    ],
)
def test_what_a_design_does_not_use_is_refused(door, given, message):
    with pytest.raises(ValidationError, match=message) as raised:
        BOTH[door](4, **given)
    assert raised.value.error_count() == 1


@pytest.mark.parametrize(
    "given", [{}, {"design": "misaligned", "strength": 3.0}, {"prompts": "fresh", "rank": 2}]
)
def test_what_is_unused_is_not_written_down(given):
    for kind, door in (("sweep", sweep.RegressionSweep), ("simulate", sims.RegressionConfig)):
        config = BOTH[kind](4, **given)
        assert door.model_validate_json(config.model_dump_json()) == config
        written = set(config.model_dump())
        assert ("strength" in written) == (config.design == "misaligned")
        assert ("rank" in written) == (config.design == "gaussian")


def test_settings_that_override_those_of_a_sweep():
    base = sweep.RegressionSweep(alpha=(0.5,), beta=(0.5,), models=(2,))
    found = sweep.regression(base, design="misaligned")
    assert found.spectral_radius.item() == pytest.approx((1 + 2**0.5) / 2, rel=1e-3)


def test_gram_matrices_through_both_doors(tmp_path):
    path = tmp_path / "g.npz"
    grams = designs.gaussian(3, 5, 2, seed=4).grams()
    np.savez(path, **grams)
    config = sweep.RegressionSweep(grams=path)
    assert config.models == (3,)
    process = sims.RegressionConfig(grams=path)
    assert (process.models, process.dim) == (3, 5)
    np.testing.assert_array_equal(config.workflow(3).private, grams["private"])
    drawn = sims.draw_designs(process).grams()
    for name, gram in grams.items():
        np.testing.assert_allclose(drawn[name], gram, atol=1e-12 * np.abs(gram).max())
        assert (np.linalg.matrix_rank(drawn[name]) == np.linalg.matrix_rank(gram)).all()
    with pytest.raises(ValueError, match="describes K = 3, not 4"):
        sims.draw_designs(sims.RegressionConfig(grams=path, models=4))
