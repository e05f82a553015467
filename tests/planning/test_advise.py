"""Answers of a plan: each number by another way, each limit of the theory said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from commensal import claims, designs
from commensal.planning import Advice, AdviseConfig, advise
from commensal.planning.advice._plan import DocumentPlan
from commensal.theory import fresh, regression
from tests.reference import plan_documents

SMALL = {"real": 8, "synthetic": 3, "models": 3, "generations": 4}
DIRECT = {"own": 4, "common": 4, "published": 3, "models": 3, "generations": 4}
QUICK = {"designs": 3, "words": 50, "tokens": 5}


@pytest.fixture(scope="module")
def found() -> Advice:
    return advise(**SMALL, **QUICK, fresh=2, more=2, until=0.9)


def errors(**changes) -> np.ndarray:
    """Mean errors by generation, document by document, of that on human documents alone."""
    found = plan_documents.errors(**(DIRECT | {"collected": 2} | changes)).mean(axis=1)
    return found * (DIRECT["own"] + DIRECT["common"])


def test_errors_and_when_one_is_reached(found) -> None:
    expected = errors()
    assert found.answers["error"].value == pytest.approx(expected[4])
    np.testing.assert_allclose(found.errors["mean"], expected)
    long = errors(generations=60)
    assert found.answers["settled_error"].value == pytest.approx(long[-1], rel=1e-6)
    assert found.answers["generations_until"].value == 0  # it begins at 1
    later = advise(**SMALL, **QUICK, reads="isolated", until=1.2)
    alone = plan_documents.errors(**(DIRECT | {"models": 3}), reads=np.eye(3)).mean(axis=1) * 8
    first = int(np.flatnonzero(alone >= 1.2)[0])
    assert later.answers["generations_until"].value == first > 0
    # models that read only themselves get nothing from it, and stay as far apart as they were
    assert later.answers["best_synthetic_share"].value == 0
    assert later.answers["distance"].value == pytest.approx(later_distance(), rel=1e-9)


def later_distance() -> float:
    """Distance of models that average 4 own and 4 common documents: parts ½ and ½."""
    maps = np.hstack([np.eye(3) / 2, np.full((3, 1), 0.5)])
    apart = maps - maps.mean(axis=0)
    return float(np.sqrt((apart**2).sum() / (maps**2).sum()))


def test_more_documents(found) -> None:
    base = errors()[4]
    # half of two more documents is each model's own
    real = errors(own=5, common=5)[4]
    new = errors(collected=4)[4]
    assert found.answers["more_real_error"].value == pytest.approx(real - base)
    assert found.answers["more_fresh_error"].value == pytest.approx(new - base)


def test_stability_safety_and_efficiency(found) -> None:
    # weights 4 + 4 + 9 + 2 of documents
    assert found.answers["margin"].value == pytest.approx(1 - 9 / 19)
    bound = (1 + np.sqrt(3)) / 2
    assert found.answers["bound"].value == pytest.approx(bound * 9 / 11)
    assert found.answers["safe_documents"].value == pytest.approx((bound - 1) * 9)
    settled = found.answers["settled_error"].value / 8
    assert found.answers["efficiency"].value == pytest.approx(1 / 16 / settled)


def test_collecting_together(found) -> None:
    effort = fresh.human_effort(3, 2 / 3)
    assert found.answers["price_of_anarchy"].value == effort.price_of_anarchy
    rng = np.random.default_rng(0)  # what all would choose together, by runs
    w, errors = effort.planned.weight, []
    theta = np.zeros((4000, 3))
    for _ in range(60):
        web = theta + np.sqrt(2 / 3) * rng.standard_normal(theta.shape)
        theta = w * rng.standard_normal(theta.shape) + (1 - w) * web.mean(axis=1, keepdims=True)
        errors.append((theta**2).mean())
    # one comparison at 1e-3: runs are independent, models of a run and generations are not
    spread = (theta**2).mean(axis=1).std() / np.sqrt(4000)
    assert abs(errors[-1] - effort.planned.error) < stats.norm.isf(5e-4) * spread


def test_random_systems_against_dense_matrices(found) -> None:
    from commensal.planning.advice._variants import _drawn

    plan = DocumentPlan(found.settings)
    a, b, phi = plan.mixed
    for i, prompts in enumerate(("private", "fresh")):
        for j, rows in enumerate(found.designs["rows"].values):
            each = _drawn(plan, prompts, int(rows), [0, 2, j, 1])
            s, f = 3 * each["synthetic"], 2 * each["human"]
            total = np.zeros((3 * 15, 3 * 15))
            for k in range(3):
                g = (1 - a) * (4 * b * each["private"][k] + 4 * (1 - b) * each["public"])
                g += a * ((1 - phi) * s.mean(axis=0) + phi * f)
                for m in range(3):
                    block = a * (1 - phi) / 3 * np.linalg.pinv(g, hermitian=True) @ s[m]
                    total[15 * k : 15 * k + 15, 15 * m : 15 * m + 15] = block
            radius = np.abs(np.linalg.eigvals(total)).max()
            assert float(found.designs["radius"][i, j, 1]) == pytest.approx(radius, abs=1e-6)


def test_interval_of_random_systems_covers(found) -> None:
    low, high, stable = (found.designs[name].values for name in ("low", "high", "stable"))
    assert np.all((low <= stable) & (stable <= high))
    # none of 3 for 6 kinds at 5 % together: (1 - p)³ = 0.05/12
    none = high[stable == 0]
    np.testing.assert_allclose(none, 1 - (0.05 / 12) ** (1 / 3))


def test_sensitivity_is_the_plan_again(found) -> None:
    s = found.sensitivity
    assert {"real", "synthetic", "models", "generations", "fresh", "private_share"} <= set(
        s["input"].values
    )
    for name, answer in (("error", "error"), ("radius", "margin"), ("best_share", None)):
        base = float(s["base"].sel(outcome=name))
        told = found.answers[answer or "best_synthetic_share"].value
        assert base == pytest.approx(1 - told if name == "radius" else told)
    for name in ("models", "generations", "fresh"):
        given = SMALL | {"fresh": 2}
        for side in ("low", "high"):
            value = int(s["value"].sel(input=name, side=side))
            other = DIRECT | {"models": given["models"], "collected": 2}
            key = {"fresh": "collected"}.get(name, name)
            found_ = plan_documents.errors(**(other | {key: value})).mean(axis=1)[-1] * 8
            assert float(s["error"].sel(input=name, side=side)) == pytest.approx(found_)
    real = s.sel(input="real", side="high")
    # in units of the plan's own error on human documents: more of them help
    assert float(real["error"]) < float(s["base"].sel(outcome="error"))


def test_every_answer_says_what_it_rests_on(found) -> None:
    known = {claim.id for claim in claims.all_claims()}
    names = [one.name for one in found.answers]
    assert len(set(names)) == len(names)
    for one in found.answers:
        assert set(one.claims) <= known, one.name
        assert one.source
        assert one.sentence.endswith(".")
        assert "nan" not in one.sentence
        assert one.claims or one.checked or one.flag


FLAGGED = {
    "one model": ({"models": 1}, {"distance", "price_of_anarchy"}),
    "nothing published": ({"synthetic": 0}, {"vocabulary", "price_of_anarchy"}),
    "everything kept": (
        {"memory": "accumulate"},
        {"margin", "bound", "safe_documents", "vocabulary", "distance", "price_of_anarchy"},
    ),
    "a ring without itself": (
        {"reads": "ring"},
        {"bound", "safe_documents", "vocabulary", "price_of_anarchy"},
    ),
    "a window": (
        {"memory": "window", "window": 2},
        {"vocabulary", "distance", "price_of_anarchy"},
    ),
}


@pytest.mark.parametrize("case", FLAGGED)
def test_what_lies_outside_the_theory_is_said(case: str) -> None:
    changes, expected = FLAGGED[case]
    found = advise(**(SMALL | QUICK | changes), until=1e-6)
    assert {one.name for one in found.answers if one.flag} == expected
    text = json.dumps(found.answers.record(), allow_nan=False)
    assert "NaN" not in text
    assert found.errors["mean"].notnull().all()


def test_a_system_in_which_errors_grow() -> None:
    grams = designs.misaligned(3).grams() | {"public": 1e-3 * np.eye(3)}
    found = advise(**SMALL, **QUICK, system=grams, synthetic_share=0.5)
    w = DocumentPlan(found.settings, grams).workflow
    assert found.answers["margin"].value == pytest.approx(1 - float(regression.spectral_radius(w)))
    assert found.answers["margin"].value < 0
    assert "grow" in found.answers["settled_error"].flag
    mean = regression.mse(regression.trajectory(w, np.zeros(3), 4), np.zeros(3)).mean(axis=1)
    assert found.answers["error"].value == pytest.approx(mean[4] / mean[0])
    assert found.answers["generations_until"].value >= 1
    assert any("equally rich" in note for note in found.answers.notes)


def test_a_system_with_uncovered_directions_has_no_error() -> None:
    grams = designs.gaussian(3, 6, 2, 0, prompts="fresh").grams()
    found = advise(**SMALL, **QUICK, system=grams, private_share=1.0)
    for name in ("error", "settled_error", "best_synthetic_share", "generations_until"):
        assert found.answers[name].flag, name
    assert not found.answers["margin"].flag
    assert found.designs is None
    found.pictures()  # which has nothing to draw


@pytest.mark.parametrize(
    ("system", "said"),
    [
        (designs.gaussian(2, 3, 3).grams(), "system describes K = 2, not 3"),
        ({"private": np.ones((3, 1, 1))}, "system lacks public, synthetic"),
        ("nowhere.npz", "'nowhere.npz' does not exist"),
    ],
)
def test_wrong_systems_are_refused(system, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        advise(**SMALL, system=system)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"real": 0}, "greater than or equal to 1"),
        ({"synthetic": -1}, "greater than or equal to 0"),
        ({"models": 0}, "greater than or equal to 1"),
        ({"generations": 0}, "greater than or equal to 1"),
        ({"private_share": 1.5}, "less than or equal to 1"),
        ({"synthetic_share": 1.0}, "less than 1"),
        ({"synthetic": 0, "synthetic_share": 0.5}, "nothing is published"),
        ({"reads": "shares:1,2"}, "2 shares for 3 models"),
        ({"memory": "window"}, "needs a window"),
        ({"window": 2}, "window needs memory 'window'"),
        ({"counts": "a.csv", "words": 5}, "take the place"),
    ],
)
def test_impossible_settings_are_refused(changes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AdviseConfig(**(SMALL | changes))


def test_the_largest_plan_has_numbers() -> None:
    found = advise(10**12, 10**12, 2, 2, fresh=10**12, **QUICK)
    wrong = {one.name for one in found.answers if one.flag}
    assert wrong == {"generations_until"}
    assert found.answers["error"].value == pytest.approx(
        advise(10**6, 10**6, 2, 2, fresh=10**6, **QUICK).answers["error"].value
    )


def test_same_seed_same_numbers() -> None:
    grams = designs.gaussian(2, 4, 4, 0).grams()
    asked = SMALL | {"models": 2} | QUICK | {"system": grams}
    one, two, other = (advise(**asked, seed=seed).answers["error"] for seed in (0, 0, 1))
    assert (one.low, one.high) == (two.low, two.high)
    assert (one.low, one.value) != (other.low, one.value)
    assert one.value == other.value


def test_files_are_whole(found, tmp_path) -> None:
    files = found.write(tmp_path / "plan", "commensal advise")
    assert {file.name for file in files} == {
        "report.html",
        "answers.json",
        "errors.png",
        "sensitivity.png",
    }
    told = json.loads((tmp_path / "plan" / "answers.json").read_text())
    assert [one["name"] for one in told["answers"]] == [one.name for one in found.answers]
    page = (tmp_path / "plan" / "report.html").read_text()
    for one in found.answers:
        assert one.question.replace("'", "&#39;") in page
    assert "http" not in page.split("<body")[1].replace("http://www.w3.org", "")
    assert "Random systems" in page
    assert "Sensitivity to every input" in page
