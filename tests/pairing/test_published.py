"""Published losses, their prediction, the fit, and all of it together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commensal import designs
from commensal.pairing import (
    PublishedPairing,
    Scalars,
    fit,
    fitted,
    pair_published,
    predict,
    published_losses,
)
from commensal.pairing._errors import errors
from commensal.plots._pairing import published_pairing
from commensal.theory import regression

SHARED = Path(__file__).parents[3] / "shared" / "published" / "interactive_losses.csv"
SMALL = {"dim": 12, "rank": 4}


@pytest.fixture(autouse=True, scope="module")
def compiled_at_once() -> None:
    """A search calls its program so often that it is optimised, as users have it."""


def test_the_table_is_the_published_one() -> None:
    losses = published_losses()
    counts = losses.groupby(["table", "architecture", "models", "generations"]).size().to_dict()
    assert counts == {
        (2, "Llama-3.2-1B", 2, 15): 12,
        (2, "Llama-3.2-3B", 2, 8): 12,
        (2, "OPT-350m", 2, 15): 12,
        (4, "Llama-3.2-1B", 3, 8): 27,
        (4, "OPT-350m", 3, 15): 27,
        (7, "Llama-3.2-1B", 2, 15): 36,
        (8, "OPT-350m", 2, 15): 36,
    }
    # Table 2 repeats Tables 7 and 8
    names = ["architecture", "alpha", "beta", "model", "task", "initial_loss", "final_loss"]
    repeated = losses[(losses.table == 2) & (losses.generations == 15)][names]
    assert len(repeated.merge(losses[losses.table > 4][names])) == 24
    # what is taken for granted: at t = 0 a cell is one model
    full = losses[losses.table > 4].groupby(["table", "model", "task"])
    assert (full.initial_loss.nunique() == 1).all()


@pytest.mark.skipif(not SHARED.exists(), reason="the collected tables are not beside the project")
def test_the_table_is_the_collected_one() -> None:
    from importlib.resources import files

    shipped = files("commensal.pairing").joinpath("interactive_losses.csv").read_bytes()
    assert shipped == SHARED.read_bytes()


def simulated(
    alpha: float, beta: float, generations: int, models: int, correlation: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Errors at t = 0 and t = T by doing it: data drawn, 100 gradient steps taken, many times.

    Plain loops over steps and generations; runs in the trailing axis. Returns mean and standard
    error of the relative errors, (2, K, K).
    """
    d, rank, runs, noise = 12, 4, 4000, 0.4 * 12**0.5
    x = designs.gaussian(models, d, rank, 3)
    features = [*x.private, x.public]
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((d, runs)) * correlation**0.5
    theta = [shared + rng.standard_normal((d, runs)) * (1 - correlation) ** 0.5 for _ in features]
    y = [
        f @ t + noise * rng.standard_normal((len(f), runs))
        for f, t in zip(features, theta, strict=True)
    ]
    estimates = [np.zeros((d, runs)) for _ in range(models)]

    def train(model, parts, tau):
        for _ in range(100):
            step = sum(w * f.T @ (f @ model - target) for w, f, target in parts)
            model = model - tau / 100 * step
        return model

    def relative() -> np.ndarray:
        return np.array(
            [
                [
                    ((x.private[m] @ (estimates[k] - theta[m])) ** 2).sum(0)
                    / (x.private[m] ** 2).sum()
                    for m in range(models)
                ]
                for k in range(models)
            ]
        )

    estimates = [train(estimates[k], [(1.0, features[k], y[k])], 0.03) for k in range(models)]
    seen = [relative()]
    for _ in range(generations):
        web = [
            (alpha / models, f, f @ m + noise * rng.standard_normal((len(f), runs)))
            for f, m in zip(x.private, estimates, strict=True)
        ]
        estimates = [
            train(
                estimates[k],
                [
                    ((1 - alpha) * beta, features[k], y[k]),
                    ((1 - alpha) * (1 - beta), features[-1], y[-1]),
                    *web,
                ],
                0.05,
            )
            for k in range(models)
        ]
    seen.append(relative())
    both = np.array(seen)
    return both.mean(-1), both.std(-1) / runs**0.5


@pytest.mark.parametrize(
    ("alpha", "beta", "models", "correlation"),
    [(0.0, 1.0, 2, 0.0), (0.5, 0.5, 2, 0.0), (1.0, 0.0, 2, 0.3), (0.5, 0.3, 3, 1.0)],
)
def test_errors_are_those_of_gradient_steps_on_drawn_data(
    alpha: float, beta: float, models: int, correlation: float
) -> None:
    """8 to 18 comparisons a case, 42 in all; |z| < 4.5 leaves a false alarm below 0.03 %."""
    mean, error = simulated(alpha, beta, 3, models, correlation, seed=11)
    found = errors(
        [(alpha, beta)],
        3,
        models,
        3,
        training=0.05,
        initial_training=0.03,
        noise=0.4,
        correlation=correlation,
        **SMALL,
    )[0]
    assert (np.abs(found - mean) / error).max() < 4.5


def test_one_truth_for_all_is_theorem_2() -> None:
    """With correlation 1: the theory's own mspe, its mean over true parameters by quadrature.

    mspe is quadratic in θ, so its mean over N(0, I) is its value at 0 plus the sum over axes of
    what each adds.
    """
    x = designs.gaussian(2, seed=5, **SMALL)
    w = regression.RegressionWorkflow(
        **x.grams(), alpha=0.4, beta=0.7, noise=0.3 * 12**0.5, initial_beta=1.0
    )
    training = regression.RegressionTraining(0.05 / 100, 100, 0.02 / 100)

    def at(theta: np.ndarray) -> np.ndarray:
        moments = regression.trajectory(w, theta, 4, training)
        return np.asarray(regression.mspe(moments, theta, w.private))[[0, -1]]

    nothing = at(np.zeros(12))
    mean = nothing + sum(at(axis) - nothing for axis in np.eye(12))
    mean /= np.trace(w.private, axis1=1, axis2=2)
    found = errors(
        [(0.4, 0.7)],
        4,
        2,
        5,
        training=0.05,
        initial_training=0.02,
        noise=0.3,
        correlation=1.0,
        **SMALL,
    )[0]
    np.testing.assert_allclose(found, mean, rtol=1e-9)


def test_a_law_of_its_own_is_what_makes_a_model_forget() -> None:
    """α = 0, β = 1, hardly any noise: with one θ for all, learning one task cannot harm another."""
    how = {"training": 0.1, "initial_training": 0.02, "noise": 0.01}
    both = [
        [errors([(0.0, 1.0)], 15, 2, s, correlation=c, **how)[0] for s in range(2)]
        for c in (0.0, 1.0)
    ]
    own, common = np.mean(both, axis=1)
    assert own[1, 0, 1] - own[0, 0, 1] > 0.1
    assert common[1, 0, 1] <= common[0, 0, 1]


def test_predictions_do_not_depend_on_company() -> None:
    losses = published_losses()
    x = Scalars(0.05, 0.03, 0.4, 2.0)
    whole = predict(x, losses, range(2), **SMALL)
    assert whole.shape == (2, 162)
    some = losses.iloc[[150, 3, 40, 41, 90]]
    np.testing.assert_array_equal(predict(x, some, [1], **SMALL)[0], whole[1, [150, 3, 40, 41, 90]])
    doubled = predict(x._replace(loss_per_error=4.0), losses, range(2), **SMALL)
    np.testing.assert_allclose(doubled, 2 * whole, rtol=1e-12)
    # α = 1 hears no β
    llama = losses[losses.table == 7].reset_index(drop=True)
    change = predict(x, llama, [0], **SMALL)[0]
    assert (
        llama.assign(c=change)[llama.alpha == 1].groupby(["model", "task"]).c.nunique().max() == 1
    )


def test_steps_that_diverge_are_told_without_a_warning() -> None:
    losses = published_losses().query("table == 7")
    for x in (Scalars(1e6, 0.1, 0.1, 1.0), Scalars(1e6, 1e6, 0.1, 1.0)):
        assert not np.isfinite(predict(x, losses, [0], **SMALL)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scalars": Scalars(0.1, 0.1, -1.0, 1.0)}, "noise must be a positive number, got -1"),
        ({"losses": published_losses().drop(columns="beta")}, "losses lacks the columns beta"),
        ({"losses": published_losses().iloc[:0]}, "nothing to predict"),
        ({"seeds": []}, "at least one design"),
        ({"losses": published_losses().assign(task=4)}, "between 0 and models - 1"),
        ({"correlation": 1.5}, "correlation must lie between 0 and 1, got 1.5"),
    ],
)
def test_bad_input(arguments: dict, message: str) -> None:
    given = {"scalars": Scalars(0.1, 0.1, 0.1, 1.0), "losses": published_losses(), "seeds": [0]}
    with pytest.raises(ValueError, match=message):
        predict(**(given | arguments))


def test_a_fit_finds_what_made_the_losses() -> None:
    """Losses made from known scalars, unrounded: the fit ranks them and has every direction."""
    losses = published_losses().query("table == 7")
    truth = Scalars(0.05, 0.03, 0.4, 2.0)
    change = predict(truth, losses, [500], **SMALL)[0]
    made = losses.assign(final_loss=losses.initial_loss + change)
    begun: list[tuple[float, float]] = []
    found = fit(made, designs=[500], rounds=3, progress=lambda *x: begun.append(x), **SMALL)
    assert found.rank_correlation > 0.95
    assert found.sign > 0.85
    assert begun[-1] == (found.evaluations, 96.0)
    kept = fit(made, designs=[500], rounds=0, start=truth, **SMALL)
    assert kept.scalars[:3] == pytest.approx(truth[:3])
    assert kept.r_squared > 0.995  # b comes from a grid of steps of 6 %
    with pytest.raises(ValueError, match="nothing to fit to"):
        fit(losses.iloc[:0])
    with pytest.raises(ValueError, match="rounds must not be negative"):
        fit(losses, rounds=-1)


@pytest.mark.parametrize("name", ["Llama-3.2-1B", "OPT-350m"])
def test_shipped_scalars_are_kept_by_a_search_from_them(name: str) -> None:
    """On the designs of the fit; one round of 24 others finds nothing better by 0.02."""
    losses = published_losses().query("table > 4 and architecture == @name")
    shipped = fitted()[name]
    from_there = fit(losses, rounds=0, seed=1, start=shipped)
    at = fit_of(losses, shipped)
    assert at - 1e-9 <= from_there.objective < at + 0.02


def fit_of(losses, scalars: Scalars) -> float:
    """The objective, from the public measures."""
    from commensal.pairing import agreement

    change = predict(scalars, losses, range(500, 504))
    cells = list(losses[["model", "task"]].itertuples(index=False, name=None))
    found = agreement(losses.final_loss - losses.initial_loss, change, cells, resamples=0)
    rank, _, sign, r_squared = (s.value for s in found.prediction)
    return min(rank - 0.92, sign - 0.85) + 0.1 * r_squared


@pytest.fixture(scope="module")
def paired() -> tuple[PublishedPairing, list[tuple[float, float]]]:
    steps: list[tuple[float, float]] = []
    return pair_published(0, 3, resamples=50, progress=lambda *x: steps.append(x)), steps


def test_what_the_theory_reaches_on_tables_it_was_not_fitted_to(paired) -> None:
    """Numbers of the README, with room for three designs where it has sixteen."""
    table = paired[0].table.set_index(["fitted_to", "judged_on"])
    assert len(table) == 10
    held_out = {
        ("Llama-3.2-1B", "OPT-350m, K = 2, T = 15"),
        ("OPT-350m", "Llama-3.2-1B, K = 2, T = 15"),
    }
    for key in held_out:
        row = table.loc[key]
        assert row["rank_correlation"] > 0.85
        assert row["sign"] > 0.85
        assert row["sign"] > row["mean_sign"] + 0.2 > row["no_change_sign"] + 0.2
        assert row["rank_correlation"] <= row["ceiling_alike_rank"] + 0.03
        assert (
            row["rank_correlation_low"] <= row["rank_correlation"] <= row["rank_correlation_high"]
        )


def test_the_report_says_what_was_found(paired) -> None:
    found, steps = paired
    assert steps[-1] == (
        42.0,
        42.0,
    )  # 3 designs of 2 fits on 5 tables, and of 4 that leave some out
    assert [s[0] for s in steps] == list(range(1, 43))
    assert len(found.rows) == 2 * (36 + 36 + 12 + 27 + 27)
    assert found.rows.right.between(0, 1).all()
    assert (found.rows.low <= found.rows.predicted + 1e-12).all()
    for name, x in found.scalars.items():
        assert f"{name}: training tau = {x.training:.4g}" in found.text
    wrong = found.rows[found.rows.right < 0.5]
    assert found.text.count("    model ") == len(wrong)
    assert "nan" not in found.text.lower()


def test_same_seed_same_report_other_seed_other_designs(paired) -> None:
    again = pair_published(0, 3, resamples=50)
    assert again.text == paired[0].text
    other = pair_published(1, 3, resamples=0)
    assert not np.allclose(other.rows.predicted, again.rows.predicted)


def test_out_of_range() -> None:
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        pair_published(-1)
    with pytest.raises(ValueError, match="designs must lie between 1 and 400, got 0"):
        pair_published(designs=0)


def test_the_figure(paired) -> None:
    fig = published_pairing(paired[0])
    assert len(fig.axes) == 4
    rows = paired[0].rows
    for ax in fig.axes:
        title = ax.get_title().splitlines()[0]
        judged, fitted_to = title.split("; fitted to ")
        here = rows[(rows.fitted_to == fitted_to) & (rows.judged_on == judged)]
        drawn = np.concatenate([np.asarray(c.lines[0].get_ydata(), float) for c in ax.containers])
        np.testing.assert_allclose(np.sort(drawn), np.sort(here.observed.to_numpy(float)))
    assert len(published_pairing(paired[0], models=2).axes) == 6
    with pytest.raises(ValueError, match=r"models must be one of \[2, 3\], got 5"):
        published_pairing(paired[0], models=5)


def test_torch_is_not_needed() -> None:
    code = "import sys; import commensal.pairing; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_refit_uses_other_designs_and_goes_on_from_what_is_shipped(monkeypatch) -> None:
    from commensal.pairing import _pair_published

    asked = []

    def recorded(losses, *, designs, rounds, seed, start, progress):
        asked.append((set(losses.table), start, set(designs)))
        progress(float(rounds), float(rounds))
        return fit(losses, designs=[0], rounds=0, **SMALL)

    monkeypatch.setattr(_pair_published, "fit", recorded)
    steps: list[tuple[float, float]] = []
    found = pair_published(
        2, 1, refit=True, rounds=3, resamples=0, progress=lambda *x: steps.append(x)
    )
    shipped = fitted()
    assert [(tables, start) for tables, start, _ in asked] == [
        ({7}, shipped["Llama-3.2-1B"]),
        ({8}, shipped["OPT-350m"]),
    ]
    assert all(designs == set(range(2500, 2504)) for *_, designs in asked)
    assert found.scalars.keys() == shipped.keys()
    assert found.scalars != shipped
    assert [s[0] for s in steps] == sorted(s[0] for s in steps)
    assert steps[-1] == (614.0, 614.0)


def test_scales_are_measured_at_the_start():
    """Losses made from the theory with a slope for each task give these slopes back."""
    losses = published_losses().query("table == 7").reset_index(drop=True)
    x, slopes = Scalars(0.04, 0.02, 0.13, 0.8), np.array([2.5, 0.7])
    options: dict = {"seeds": range(2), "dim": 20, "rank": 6}
    points = [(0.0, 1.0)]
    start = np.mean(
        [
            errors(
                points, 15, 2, seed, training=0.04, initial_training=0.02, noise=0.13,
                dim=20, rank=6,
            )[0, 0]
            for seed in range(2)
        ],
        axis=0,
    )  # fmt: skip
    made = losses.assign(initial_loss=1.3 + slopes[losses.task] * start[losses.model, losses.task])
    unit = predict(x._replace(loss_per_error=1.0), losses, **options)
    told = predict(x, made, scale="measured", **options)
    np.testing.assert_allclose(told, unit * slopes[losses.task], rtol=1e-9)
    with pytest.raises(ValueError, match="scale must be fitted or measured, got 'other'"):
        predict(x, losses, scale="other", **options)
    with pytest.raises(ValueError, match="its own model must be ahead of others"):
        predict(x, made.assign(initial_loss=2.0), scale="measured", **options)
    with pytest.raises(ValueError, match="cannot be measured"):
        predict(x, made.query("model == task"), scale="measured", **options)
