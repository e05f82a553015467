"""The theory beside runs of its own making, where it must be found again, and of models."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commensal import cli, designs, pairing, plots
from commensal.pairing import RunSystem, _fit_run, curves, pair_losses, pair_run
from commensal.pairing._fit_run import Fitter
from commensal.pairing._grams import FeatureMoments, truths_about, whitened
from commensal.pairing._judge_run import predictions
from commensal.pairing._pair_run import RunPairing
from tests.llm.runs import interactive, single
from tests.pairing.test_published import simulated

OFFSET, SCALE, NOISE = 1.3, 0.9, 0.35


def system(*, models: int = 2, dim: int = 6, generations: int = 4, start: float = 1.0) -> RunSystem:
    """A whitened design, alpha and beta in {0, 1/2, 1}."""
    rng = np.random.default_rng(7)
    features = [rng.standard_normal((dim, dim)) @ rng.standard_normal((dim, 200)) for _ in range(9)]
    moments = [FeatureMoments(f.mean(axis=1), f @ f.T / 200) for f in features]
    real, written, _ = whitened(moments[: models + 1], moments[-models:], dim)
    alpha, beta = (x.ravel() for x in np.meshgrid([0, 0.5, 1], [0, 0.5, 1], indexing="ij"))
    return RunSystem(
        private=real[:-1],
        public=real[-1],
        synthetic=np.repeat(written[None], 9, axis=0),
        alpha=alpha,
        beta=beta,
        initial_beta=np.full(9, start),
        generations=generations,
        truths=truths_about(models, base_knows_public=True),
    )


def losses_of_theory(s: RunSystem, tau: float, tau_0: float) -> np.ndarray:
    found = curves(s, tau, tau_0)
    return OFFSET + SCALE * (found.expected + NOISE**2 * found.variance)


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """A coarse search, but in what ``own`` does before."""
    monkeypatch.setattr(_fit_run, "_GRID", np.linspace(-0.6, 0.6, 3))


@pytest.fixture(scope="module")
def own() -> tuple[RunSystem, np.ndarray, RunPairing]:
    s = system()
    losses = losses_of_theory(s, 0.7, 1.6)
    return s, losses, pair_losses(s, losses, ["a", "b", "web"], resamples=50)


def test_the_fit_finds_the_scalars_again(own):
    _, losses, found = own
    x = found.fits["finite"].scalars
    given = [0.7, 1.6, NOISE, SCALE, OFFSET]
    np.testing.assert_allclose([*x[:4], *x.offset], given, rtol=0.02)
    np.testing.assert_allclose(found.fits["finite"].predicted, losses, atol=5e-3)
    np.testing.assert_allclose(found.fits["finite_offsets"].scalars.offset, [OFFSET] * 3, rtol=0.03)


def test_a_run_of_the_theory_agrees_with_it_held_out_too(own):
    _, _, found = own
    scores = {one.name: one for one in found.scores}
    for name in ("finite", "finite_held_out", "finite_offsets_held_out"):
        p = scores[name].cells.prediction
        assert p.rank_correlation.value > 0.98, name
        assert p.sign.value > 0.95, name
        assert p.r_squared.value > 0.995, name
        assert scores[name].losses.value > 0.995, name
        assert scores[name].points.prediction.rank_correlation.value > 0.98, name
    # the minimiser describes a run of short training worse, and the text says so
    ahead = found.beside.set_index(["scope", "baseline", "measure"])
    assert set(found.beside.scope) == {"between", "beyond", "later"}
    assert (ahead.xs("rmse", level="measure").lead > 0).all()
    assert "    rmse        minimiser " in found.text
    assert scores["no_change"].cells.prediction.r_squared.value == 0


def test_a_run_of_minimisers_is_described_by_the_minimiser():
    s = system()
    losses = losses_of_theory(s, np.inf, np.inf)
    found = predictions(s, losses)
    for name in ("minimiser", "minimiser_held_out", "minimiser_offsets"):
        np.testing.assert_allclose(found.losses[name], losses, atol=1e-7)
    x = found.fits["minimiser"].scalars
    given = [NOISE, SCALE, OFFSET]
    np.testing.assert_allclose([x.noise, x.loss_per_error, *x.offset], given, rtol=1e-5)
    # and where α = 0 and β = β_0 nothing moves
    still = (s.alpha == 0) & (s.beta == 1)
    np.testing.assert_allclose(losses[still] - losses[still][:, :1], 0, atol=1e-10)


def test_held_out_predictions_do_not_see_what_they_predict():
    s = system(generations=2)
    losses = losses_of_theory(s, 0.7, 1.6)
    changed = losses.copy()
    changed[s.alpha == 1, 1:] += 5.0
    before, after = (predictions(s, x).losses for x in (losses, changed))
    for name in ("finite_held_out", "minimiser_offsets_held_out", "mean_held_out"):
        np.testing.assert_allclose(after[name][s.alpha == 1], before[name][s.alpha == 1])
        assert np.abs(after[name][s.alpha == 0] - before[name][s.alpha == 0]).max() > 0.1


def test_one_alpha_leaves_out_betas_and_one_setting_nothing():
    s = system(generations=2)
    losses = losses_of_theory(s, 0.7, 1.6)

    def part(at: np.ndarray) -> tuple[RunSystem, np.ndarray]:
        rest = {n: getattr(s, n)[at] for n in ("synthetic", "alpha", "beta", "initial_beta")}
        return s._replace(**rest), losses[at]

    assert predictions(*part(s.alpha == 0.5)).left_out == "beta"
    one = pair_losses(*part((s.alpha == 0.5) & (s.beta == 0.5)), ["a", "b", "web"], resamples=10)
    assert not [c for c in one.rows if c.endswith("held_out")]
    assert "held out" not in one.text
    assert np.isnan(one.scores[0].cells.prediction.rank_correlation.value)
    assert one.scores[0].points.prediction.rank_correlation.value > 0.9


def test_errors_are_those_of_models_that_are_trained_on_drawn_data():
    """Against steps taken one by one (errors there are over the base's, here over d).

    24 comparisons at |z| < 4.5: a false alarm once in 6,000 seeds, and the seed is fixed. 100 steps
    are nearly a flow: what that changes is below the 1 % allowed beside it.
    """
    x = designs.gaussian(2, 12, 4, 3).grams()
    for alpha, beta in ((0.0, 1.0), (0.5, 0.5), (1.0, 0.0)):
        mean, error = simulated(alpha, beta, 3, 2, 0.0, seed=5)
        at = {n: np.array([v]) for n, v in (("alpha", alpha), ("beta", beta))}
        s = RunSystem(
            x["private"], x["public"], x["private"][None], **at, initial_beta=np.ones(1),
            generations=3, truths=np.eye(3),
        )  # fmt: skip
        found = curves(s, 0.05, 0.03)
        whole = found.expected + (0.4**2 * 12) * found.variance
        base = np.einsum("maa->m", x["private"]) / 12
        ours = whole[0, [0, 3]][:, :, :2] / base
        assert np.all(np.abs(ours - mean) < 4.5 * error + 0.01 * mean)


def test_public_truth_is_the_bases_own():
    """A base that knows the public data starts without error on them."""
    found = curves(system(), 0.0, 0.0)
    np.testing.assert_allclose(found.expected[..., -1], 0, atol=1e-12)
    assert found.expected[..., 0].min() > 0.1


def test_pooled_features_are_whitened(own):
    s, _, _ = own
    pooled = np.concatenate([s.private, s.public[None]]).mean(axis=0)
    np.testing.assert_allclose(pooled, np.eye(6), atol=1e-12)
    with pytest.raises(ValueError, match=r"dim must lie between 1 and 2, the directions .* got 3"):
        whitened([FeatureMoments(np.zeros(2), np.eye(2))], [], 3)


def test_baselines_of_a_run_by_hand(own):
    s, losses, _ = own
    told = predictions(s, losses)
    change, means = losses - losses[:, :1], told.losses["table_of_means_held_out"] - losses[:, :1]
    own_task = change[:, :, [0, 1], [0, 1]].mean(axis=-1)
    others = change[:, :, [0, 1], [1, 0]].mean(axis=-1)
    for a, seen in ((0.5, (0, 1)), (0, (0.5,)), (1, (0.5,))):  # between, and the nearest beyond
        for b in (0, 0.5, 1):
            at = (s.alpha == a) & (s.beta == b)
            known = np.isin(s.alpha, seen) & (s.beta == b)
            np.testing.assert_allclose(means[at][0, :, 0, 0], own_task[known].mean(axis=0))
            np.testing.assert_allclose(means[at][0, :, 1, 0], others[known].mean(axis=0))
            web = change[known][..., 2].mean(axis=(0, 2))
            np.testing.assert_allclose(means[at][0, :, 0, 2], web, atol=1e-12)
    assert np.isnan(told.losses["rule"][:, 1:, :, 2]).all()
    falls = (told.losses["rule"] - losses[:, :1])[s.alpha > 0][:, -1, 0, 1]
    np.testing.assert_allclose(falls, min(others[s.alpha > 0][:, -1].mean(), -0.11))
    # later generations: up to t = 2 of 4 is read
    assert told.half == 2
    np.testing.assert_allclose(told.later["line"], 2 * (losses[:, 2] - losses[:, 1]))
    np.testing.assert_allclose(told.later["finite"], losses[:, 4] - losses[:, 2], atol=5e-3)


def test_later_generations_are_not_read():
    s = system(generations=3)
    losses = losses_of_theory(s, 0.7, 1.6)
    changed = np.concatenate([losses[:, :3], losses[:, 3:] + 5], axis=1)
    before, after = (predictions(s, x).later for x in (losses, changed))
    assert set(before) == {"finite", "minimiser", "no_change", "line"}
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_a_fit_of_some_settings_reads_only_their_losses():
    s = system(generations=2)
    losses = losses_of_theory(s, 0.7, 1.6)
    other = np.where((s.alpha == 1)[:, None, None, None], 100.0, losses)
    used = s.alpha < 1
    a, b = (Fitter(s, x).fit(used).scalars for x in (losses, other))
    assert a == b


def test_losses_must_be_finite():
    s = system(generations=2)
    losses = losses_of_theory(s, 0.7, 1.6)
    losses[0, 1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="losses must be finite, got 1 that are not"):
        pair_losses(s, losses, ["a", "b", "web"])


def test_figures_show_what_was_measured(own):
    s, losses, found = own
    fig = plots.pairing_curves(found.rows, found.datasets, 0.5)
    assert [ax.get_title() for ax in fig.axes[:3]] == ["on a", "on b", "on web"]
    points = [line for line in fig.axes[1].lines if line.get_marker() == "o"]
    at = np.flatnonzero(s.beta == 0.5)
    drawn = np.array([line.get_ydata() for line in points])
    np.testing.assert_allclose(drawn, losses[at][:, :, 0, 1])
    fig = plots.pairing_changes(found.rows, found.datasets, "finite")
    maps = [np.asarray(ax.images[0].get_array()) for ax in fig.axes if ax.images]
    change = (losses[:, -1] - losses[:, 0])[:, 0, 0].reshape(3, 3).T
    np.testing.assert_allclose(maps[0], change)  # β × α
    fig = plots.pairing_points(found.rows, found.datasets, {"finite": "theory"})
    assert fig.axes[0].get_title() == "theory"
    with pytest.raises(ValueError, match=r"beta must be one of \[0.0, 0.5, 1.0\], got 0.3"):
        plots.pairing_curves(found.rows, found.datasets, 0.3)


def call(monkeypatch, capsys, *args: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["commensal", "pair", *args])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    from commensal.llm import run

    folder = tmp_path_factory.mktemp("pairing") / "small"
    run(interactive(beta=[0.5, 1.0], initial_beta=1.0), folder, workers=1)
    return folder


def test_a_run_end_to_end(run: Path, monkeypatch, capsys):
    monkeypatch.setattr(pairing, "pair_run", partial(pairing.pair_run, resamples=20))
    code, out, err = call(monkeypatch, capsys, str(run), "--dim", "5", "--texts", "20")
    assert code == 0, err
    assert "5 directions of layer -1 hold" in out
    assert f"wrote {run / 'pair' / 'report.html'}" in out
    rows = pd.read_parquet(run / "pair" / "losses.parquet")
    assert len(rows) == 4 * 3 * 2 * 3
    assert set(rows.dataset) == {"language1", "language2", "language0"}
    metrics = pd.read_parquet(run / "metrics.parquet").query("metric == 'loss'")
    both = rows.merge(metrics, on=["alpha", "beta", "generation", "model", "dataset"])
    assert len(both) == len(rows)
    np.testing.assert_array_equal(both.observed, both["value"])
    table = pd.read_csv(run / "pair" / "scores.csv")
    names = {"finite", "minimiser_held_out", "no_change", "mean", "table_of_means", "rule"}
    assert names <= set(table.prediction)
    verdicts = pd.read_csv(run / "pair" / "beside.csv").verdict
    assert set(verdicts) <= {"ahead", "behind", "cannot be told"}
    page = (run / "pair" / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == 5
    assert "<script" not in page
    # the run is as it was: it can still be resumed and read
    assert json.loads((run / "run.json").read_text())["format"] == 2


def test_features_come_from_the_texts_that_models_learn(run: Path):
    from commensal.llm.measures.features import hidden_states
    from commensal.llm.opening import open_resources
    from commensal.llm.records.results import config_of

    resources = open_resources(run, config_of(run))
    encoded = resources.encode(resources.tasks[0].train[:7])
    rows = np.concatenate(
        list(hidden_states(resources.base, encoded, padding=resources.padding, batch_size=3))
    )
    # one by one, without padding; the token that a state predicts is the next one
    import torch

    each = []
    for one in encoded:
        with torch.inference_mode():
            out = resources.base(torch.tensor([one.tokens]), output_hidden_states=True)
        each.append(out.hidden_states[-1][0, :-1].double().numpy())
    np.testing.assert_allclose(rows, np.concatenate(each), atol=1e-5)
    with pytest.raises(ValueError, match="layer must lie between"):
        list(hidden_states(resources.base, encoded, padding=resources.padding, layer=9))


def test_what_cannot_be_paired_is_one_line(run: Path, monkeypatch, capsys, tmp_path: Path):
    from commensal.llm.records.directory import RunDirectory

    def made(name: str, config) -> str:
        RunDirectory(tmp_path / name).create(config.model_dump(mode="json"), {})
        return str(tmp_path / name)

    cases = [
        ((str(tmp_path / "nothing"),), "is not a run: no run.json"),
        ((made("single", single()),), "is a run of workflow single, not interactive"),
        ((made("fresh", interactive()),), "no grid point of"),
        ((made("start", interactive(generations=0)),), "no generation after t = 0"),
        ((str(run), "--dim", "1000"), "dim must lie between 1 and"),
        ((str(run), "--layer", "9"), "layer must lie between"),
        ((str(run), "--designs", "3"), "--designs goes with published"),
        ((str(run), "--refit"), "--refit goes with published"),
        (("published", "--dim", "3"), "--dim goes with a run's folder"),
        (("published", "--designs", "1000"), "designs must lie between 1 and"),
    ]
    for args, said in cases:
        code, _, err = call(monkeypatch, capsys, *args)
        lines = [line for line in err.splitlines() if line.startswith("commensal:")]
        assert code == 2, (args, err)
        assert len(lines) == 1, (args, err)
        assert said in lines[0], (args, err)


def test_an_unfinished_run_is_read_as_far_as_it_has_come(run: Path, tmp_path: Path):
    import shutil

    folder = tmp_path / "part"
    shutil.copytree(run, folder)
    shutil.rmtree(folder / "generations" / "alpha=0.5,beta=1" / "0002")
    found = pair_run(folder, dim=4, texts=10, resamples=5)
    assert found.text.startswith("Unfinished run: 3 grid points")
    assert len(found.rows) == 3 * 3 * 2 * 3


def test_one_model_alone_can_be_paired(tmp_path: Path):
    from commensal.llm import run

    config = interactive(tasks=interactive().model_dump(mode="json")["tasks"][:1], generations=1)
    run(config, tmp_path / "one", workers=1)
    found = pair_run(tmp_path / "one", dim=4, texts=10, resamples=5)
    assert len(found.rows) == 2 * 2 * 1 * 2


def test_published_tables_from_the_command_line(monkeypatch, capsys, tmp_path: Path):
    few = partial(pairing.pair_published, resamples=10)
    monkeypatch.setattr(pairing, "pair_published", few)
    args = ("published", "--designs", "1", "--out", str(tmp_path / "pair"))
    code, out, err = call(monkeypatch, capsys, *args)
    assert code == 0, err
    assert "Four scalars, fitted to the K = 2 runs of one architecture:" in out
    assert (tmp_path / "pair" / "report.html").read_text().count("data:image/webp;base64,") == 2


def test_importing_pairing_loads_no_torch():
    import subprocess

    program = "import sys, commensal.pairing, commensal.plots; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
