"""Numbers of a plan against documents one by one, tokens one by one, and dense searches.

Statistical comparisons: each says how many it makes, and right code fails with a chance of at most
1e-3 in all of them together, if seeds were not fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from commensal import designs, networks
from commensal.planning import AdviseConfig
from commensal.planning.advice._best import best_weights, settled
from commensal.planning.advice._errors import (
    best_in_generation,
    error_with,
    mean_errors,
    planned_errors,
)
from commensal.planning.advice._numbers import numbers
from commensal.planning.advice._plan import DocumentPlan, DocumentWeights
from commensal.planning.advice._vocabulary import corpora, vocabulary
from commensal.theory import regression, words
from tests.reference import plan_documents

ASKED = {"real": 12_000, "synthetic": 30_000, "models": 3, "generations": 6}


def plan(**changes) -> DocumentPlan:
    return DocumentPlan(AdviseConfig(**(ASKED | changes)))


SMALL = {"real": 8, "synthetic": 3, "models": 3, "generations": 4}
CASES = {
    "as asked": ({}, {}),
    "one model": ({"models": 1}, {"models": 1}),
    "nothing published": ({"synthetic": 0}, {"published": 0}),
    "own documents alone": ({"private_share": 1.0}, {"own": 8, "common": 0}),
    "common documents alone": ({"private_share": 0.0}, {"own": 0, "common": 8}),
    "own new documents": ({"fresh": 2}, {"collected": 2}),
    "shared new documents": (
        {"fresh": 2, "human_data": "shared"},
        {"collected": 2, "shared": True},
    ),
    "new documents, nothing published": (
        {"fresh": 2, "synthetic": 0},
        {"collected": 2, "published": 0},
    ),
    # 9 documents of models weigh as much as 10 human ones
    "a share": ({"fresh": 2, "synthetic_share": 0.5}, {"collected": 2, "weight": 10 / 9}),
    "a star": ({"reads": "star", "fresh": 1}, {"reads": networks.star(3), "collected": 1}),
    "everything kept": ({"memory": "accumulate", "fresh": 1}, {"kept": None, "collected": 1}),
    "a window": (
        {"memory": "window", "window": 2, "fresh": 1},
        {"kept": 2, "collected": 1},
    ),
    "a window of a share": (
        {"memory": "window", "window": 2, "synthetic_share": 0.6},
        {"kept": 2, "weight": 8 * 0.6 / 0.4 / 18},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors_are_those_of_documents_one_by_one(case: str) -> None:
    changes, direct = CASES[case]
    asked = {"own": 4, "common": 4, "published": 3, "models": 3, "generations": 4} | direct
    expected = plan_documents.errors(**asked).mean(axis=1)
    found = mean_errors(DocumentPlan(AdviseConfig(**(SMALL | changes))))[0]
    np.testing.assert_allclose(found[:5], expected, rtol=1e-9)


def test_the_reference_sees_a_wrong_weight() -> None:
    right = plan_documents.errors(4, 4, 3, 3, 4)
    wrong = plan_documents.errors(4, 4, 3, 3, 4, weight=1.1)
    assert np.abs(wrong / right - 1)[1:].max() > 1e-3


def test_scatter_is_that_of_draws() -> None:
    # two quantiles in each of two generations: 20,000 draws each, z of 1e-3 / 4
    asked = plan(dim=5, fresh=500)
    found = planned_errors(asked)
    rng = np.random.default_rng(0)
    for t in (0, 6):
        scale = found.mean[t] / 5
        drawn = scale * (rng.standard_normal((20_000, 5)) ** 2).sum(axis=1)
        for end, share in ((found.low[t], 0.025), (found.high[t], 0.975)):
            error = np.sqrt(share * (1 - share) / len(drawn))
            z = ((drawn < end).mean() - share) / error
            assert abs(z) < stats.norm.isf(1e-3 / 8)


def test_scatter_of_a_system_is_that_of_its_covariances() -> None:
    grams = designs.gaussian(2, 4, 4, 0).grams()
    asked = DocumentPlan(AdviseConfig(**(ASKED | {"models": 2})), grams)
    found = planned_errors(asked)
    theta = designs.truth(4, 0)
    moments = regression.trajectory(asked.workflow, theta, 6)
    rng, z = np.random.default_rng(1), stats.norm.isf(1e-3 / 8)
    drawn = np.concatenate(
        [
            (rng.multivariate_normal(np.zeros(4), c, 40_000) ** 2).sum(axis=1)
            for c in np.asarray(moments.covariance)[6]
        ]
    )
    for end, share in ((found.low[6], 0.025), (found.high[6], 0.975)):
        # both are drawn, the package's with 20,000 draws
        error = np.sqrt(share * (1 - share) * (1 / len(drawn) + 1 / 20_000))
        assert abs((drawn < end * asked.real_error).mean() - share) < z * error


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fresh": 500},
        {"fresh": 500, "human_data": "shared"},
        {"private_share": 1.0},
        {"reads": "ring:0.5", "models": 4},
        {"fresh": 40_000, "real": 100},
    ],
)
def test_no_weights_near_the_best_ones_or_far_from_them_are_better(changes) -> None:
    asked = plan(**changes)
    best = best_weights(asked)
    assert best is not None
    least, rng = settled(asked.weighing(best)), np.random.default_rng(0)
    for scale in (0.003, 0.1, 2.0):
        for _ in range(40):
            tried = np.array(best) * np.exp(scale * rng.standard_normal(4))
            assert settled(asked.weighing(DocumentWeights(*tried))) >= least * (1 - 1e-9)


def test_best_weights_of_a_system_are_those_of_the_closed_form() -> None:
    # the same system, once as documents that are alike and once as matrices: two searches
    one = {name: np.ones((3, 1, 1)) for name in ("private", "synthetic")}
    one |= {"public": np.ones((1, 1)), "human": np.ones((1, 1))}
    for changes in ({}, {"fresh": 500}):
        asked = plan(**changes)
        measured = DocumentPlan(asked.settings, one)
        found = [settled(asked.weighing(best_weights(p))) for p in (asked, measured)]
        assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_alone_or_with_common_documents_nothing_of_models_is_best() -> None:
    for changes in ({"models": 1}, {"private_share": 0.0}, {"reads": "isolated"}):
        best = best_weights(plan(**changes))
        assert best is not None
        assert best.synthetic == 0


def test_best_share_in_a_generation_is_that_of_a_dense_scan() -> None:
    asked = plan(memory="accumulate")
    best = best_in_generation(asked)
    assert best is not None
    found = error_with(asked.weighing(best))
    scan = [error_with(asked.varied(synthetic_share=x)) for x in np.linspace(0, 0.99, 60)]
    assert found <= min(scan)
    assert found > min(scan) * 0.999


def test_weights_there_and_back() -> None:
    asked = plan(fresh=300, memory="window", window=3)
    weights = DocumentWeights(1.3, 0.7, 0.2, 2.0)
    back = asked.weights_of(asked.weighing(weights).mixed)
    np.testing.assert_allclose(np.array(back) / back.private * 1.3, weights, rtol=1e-12)
    np.testing.assert_allclose(asked.weighing(back).parts, asked.weighing(weights).parts)


def test_efficiency_is_the_papers() -> None:
    grams = designs.gaussian(3, 6, 6, 0, prompts="fresh").grams()
    asked = DocumentPlan(AdviseConfig(**ASKED), grams)
    found = numbers(asked)
    every = regression.relative_efficiency(asked.workflow)
    # of the mean error, so the harmonic mean of the models' efficiencies
    assert found.efficiency == pytest.approx(1 / np.mean(1 / np.asarray(every)), rel=1e-8)


@pytest.mark.parametrize("models", [2, 3, 7])
def test_safe_documents_bring_the_bound_to_one(models: int) -> None:
    found = numbers(plan(models=models, fresh=100))
    enough = numbers(plan(models=models, fresh=round(found.safe_documents)))
    assert enough.worst == pytest.approx(1, abs=1e-4)
    assert found.safe_share == pytest.approx(regression.safe_human_share(models))


def test_safe_documents_make_the_worst_system_stable_and_no_fewer_do() -> None:
    # the design that attains the bound, as documents: one of models, one of humans, alike
    grams = designs.misaligned(3, strength=1e7).grams()
    grams |= {"public": np.zeros((3, 3)), "human": grams["synthetic"].mean(axis=0)}
    config = {"models": 3, "private_share": 1.0, "real": 10}
    needed = numbers(plan(**config)).safe_documents
    radii = []
    for factor in (0.98, 1.02):
        enough = AdviseConfig(**(ASKED | config | {"fresh": round(factor * needed)}))
        radii.append(float(regression.spectral_radius(DocumentPlan(enough, grams).workflow)))
    assert radii[0] > 1 > radii[1]


WORDS = {"own": 300, "common": 200, "published": 150, "models": 2, "generations": 3}
WORDS |= {"collected": 40}
MIXES = [{}, {"collected": 0}, {"common": 0}, {"own": 0, "models": 3, "shared": True}]


@pytest.mark.parametrize(
    "changes", [{}, {"collected": 0}, {"common": 0}, {"own": 0, "models": 3, "shared": True}]
)
def test_words_are_those_of_tokens_one_by_one(changes) -> None:
    # 4 comparisons of means of 600 runs; the Poisson limit is off by about a word in 300
    direct = WORDS | changes
    law = np.asarray(words.zipf(400, 0.8))
    real = direct["own"] + direct["common"]
    asked = DocumentPlan(
        AdviseConfig(
            real=real,
            synthetic=direct["published"],
            models=direct["models"],
            generations=direct["generations"],
            fresh=direct["collected"],
            private_share=direct["own"] / real,
            human_data="shared" if direct.get("shared") else "own",
            tokens=1,
            words=400,
            exponent=0.8,
        )
    )
    found = vocabulary(asked)
    assert found is not None
    rng = np.random.default_rng(5)
    drawn = np.array([plan_documents.words_left(law, rng=rng, **direct) for _ in range(600)])
    error = drawn.std(ddof=1) / np.sqrt(len(drawn))
    z = stats.norm.isf(1e-3 / 8)
    assert abs(drawn.mean() - found.left) < z * error + found.left / 300
    # tokens are as many in every run, which independent words do not know
    assert 0.65 * found.deviation < drawn.std() < found.deviation


def test_words_of_measured_counts_are_the_claims(tmp_path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("word,count\na,5\nb,3\nc,1\n")
    asked = plan(counts=file, real=20, synthetic=30, tokens=1)
    share = 1 - float(asked.parts[2])
    now, end = corpora(asked)
    assert now == pytest.approx(90 * float(words.exchange_rate(share, 7)), rel=1e-12)
    assert end == pytest.approx(90 * float(words.exchange_rate(share)), rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    real=st.integers(1, 10**6),
    synthetic=st.integers(1, 10**6),
    models=st.integers(1, 3),
    share=st.floats(0, 1),
)
def test_more_human_documents_of_the_same_weight_never_cost_words(real, synthetic, models, share):
    asked = {"synthetic": synthetic, "models": models, "private_share": share, "words": 1000}
    few = vocabulary(plan(real=real, **asked))
    many = vocabulary(plan(real=real + 1 + real // 7, **asked))
    assert few is not None
    assert many is not None
    assert many.left >= few.left * (1 - 1e-9)


@settings(max_examples=15, deadline=None)
@example(real=16581, synthetic=1, fresh=80, share=0.78125)  # flat: a search alone stopped short
@given(
    real=st.integers(1, 10**6),
    synthetic=st.integers(1, 10**6),
    fresh=st.integers(0, 10**6),
    share=st.floats(0, 1),
)
def test_the_best_mix_is_never_worse_than_the_one_in_use_or_human_documents_alone(
    real, synthetic, fresh, share
):
    asked = plan(real=real, synthetic=synthetic, fresh=fresh, private_share=share)
    best = best_weights(asked)
    assert best is not None
    least = settled(asked.weighing(best))
    assert least <= settled(asked) * (1 + 1e-6)
    assert least <= asked.real_error * (1 + 1e-6)
