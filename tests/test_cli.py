"""The command line as a person meets it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from commensal import claims, cli, sweep
from tests.commands import SMALL, run


def test_sweep_writes_what_it_says(monkeypatch, capsys, tmp_path):
    out = tmp_path / "s.nc"
    code, text, _ = run(
        monkeypatch, capsys, "sweep", "regression", *SMALL, "--out", str(out), "--plot"
    )
    assert code == 0
    written = [line.removeprefix("wrote ") for line in text.splitlines() if "wrote" in line]
    assert written[0] == str(out)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(w.split("/")[-1] for w in written)
    assert len(written) == 4
    with sweep.load(out) as dataset:
        assert dict(dataset.sizes) | {"alpha": 5, "beta": 2, "models": 2} == dict(dataset.sizes)
        best = f"{float(dataset.optimal_alpha.sel(models=2, objective='mean')):.2f}"
    assert best in text
    below = text[text.index(best) :]  # the columns are explained under the table
    for word in (
        "stable: share of the grid",
        "efficiency: 1",
        "consensus: how far",
        "-: not defined",
    ):
        assert word in " ".join(below.split())
    # the figures can be drawn again from the file alone
    for path in tmp_path.glob("*.png"):
        path.unlink()
    code, text, _ = run(monkeypatch, capsys, "figure", str(out))
    assert code == 0
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_a_sweep_compares_networks(monkeypatch, capsys, tmp_path):
    out = tmp_path / "n.nc"
    grid = ("--alpha", "0.3,0.6", "--beta", "0.5", "--models", "2,4", "--dim", "8")
    given = (*grid, "--reads", "isolated ring:0.5", "--out", str(out), "--plot")
    code, text, err = run(monkeypatch, capsys, "sweep", "regression", *given)
    assert code == 0
    assert [text.count(name) for name in ("isolated", "ring:0.5", "n_stability_K")] == [2, 2, 2]
    with sweep.load(out) as ds:
        best = ds.sel(models=4, objective="mean")
        assert int(best.optimal_relative_efficiency.fillna(-1).argmax("reads")) == 1
        mix = float(best.optimal_alpha[1]), float(best.optimal_beta[1])
    line = "simulate regression --models 4 --alpha {} --beta {} --dim 8 --reads ring:0.5"
    assert f"next: commensal {line.format(*mix)}" in err
    drawn = sorted(p.name for p in tmp_path.glob("*.png"))
    assert len(drawn) == 6
    for path in tmp_path.glob("*.png"):
        path.unlink()
    assert run(monkeypatch, capsys, "figure", str(out))[0] == 0
    assert sorted(p.name for p in tmp_path.glob("*.png")) == drawn
    code, _, err = run(monkeypatch, capsys, "sweep", "regression", *grid, "--reads", "shares:3,1")
    assert code == 2
    assert err == "commensal: 'shares:3,1' has 2 shares for 4 models\n"


def test_a_sweep_compares_memories(monkeypatch, capsys, tmp_path):
    out = tmp_path / "m.nc"
    grid = ("--alpha", "0.1,0.6", "--beta", "0.5", "--models", "3", "--dim", "6", "--rank", "3")
    kept = ("--memory", "replace,window:2", "--generations", "9", "--reads", "uniform ring:0.5")
    given = (*grid, *kept, "--out", str(out), "--plot")
    code, text, err = run(monkeypatch, capsys, "sweep", "regression", *given)
    assert code == 0
    assert text.count("window:2") == 2  # of two networks
    assert "all have an error in generation 9" in " ".join(text.split())
    with sweep.load(out) as ds:
        assert ds.mse.dims[:3] == ("reads", "memory", "models")
        best = ds.sel(models=3, objective="mean")
        at = best.optimal_relative_efficiency.fillna(-1).argmax(...)
        mix = best.isel(at)
        assert mix.memory == "window:2"
        line = f"--alpha {float(mix.optimal_alpha)} --beta 0.5"
    assert f"next: commensal simulate regression --models 3 {line}" in err
    assert "--generations 9 --memory window --window 2" in err
    drawn = sorted(p.name for p in tmp_path.glob("*.png"))
    assert len(drawn) == 3 * 2
    assert "m_stability_ring-0.5.png" in drawn
    for path in tmp_path.glob("*.png"):
        path.unlink()
    assert run(monkeypatch, capsys, "figure", str(out))[0] == 0
    assert sorted(p.name for p in tmp_path.glob("*.png")) == drawn
    code, _, err = run(monkeypatch, capsys, "sweep", "regression", *grid, "--memory", "window:0")
    assert code == 2
    assert "window:M with M ≥ 1, got 'window:0'" in err


def test_config_file_and_options_that_override_it(monkeypatch, capsys, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("alpha: 0:1:3\nbeta: [0.5]\nmodels: [2]\ndim: 4\nrank: 2\nseed: 7\n")
    out = tmp_path / "s.nc"
    args = ("sweep", "regression", "--config", str(config), "--dim", "5", "--out", str(out))
    assert run(monkeypatch, capsys, *args)[0] == 0
    with sweep.load(out) as dataset:
        assert dataset.sizes["feature"] == 5
        assert dataset.attrs["seed"] == 7
        np.testing.assert_array_equal(dataset.alpha, [0, 0.5, 1])


@pytest.mark.parametrize("memory", ["replace", "accumulate", "window"])
def test_simulation_stands_beside_the_theory(monkeypatch, capsys, tmp_path, memory):
    out = tmp_path / "r.nc"
    args = ("--models", "2", "--dim", "4", "--rank", "2", "--generations", "3", "--alpha", "0.4")
    args += ("--memory", memory, *(("--window", "2") if memory == "window" else ()))
    code, text, _ = run(
        monkeypatch,
        capsys,
        "simulate",
        "regression",
        *args,
        "--replicates",
        "500",
        "--out",
        str(out),
    )
    assert code == 0
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert len(rows) == 4
    # 8 comparisons at |z| < 4.5: fails by chance once in 18,000 seeds, and the seed is fixed
    assert all(float(row.split("│")[-2]) < 4.5 for row in rows)
    with xr.open_dataset(out, engine="h5netcdf") as runs:
        assert runs["mean"].dims == ("generation", "model", "feature")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--alpha", "0:1:0"], "a grid of 0 points is empty"),
        (["--alpha", "0:1.5:3"], "alpha: Input should be less than or equal to 1, got 1.5"),
        (["--beta", "x"], "a grid is start:stop:count or numbers separated by commas, got 'x'"),
        (["--models", "2.5"], "--models takes whole numbers separated by commas, got '2.5'"),
        (["--rank", "16"], "rank must be at most dim = 15, got 16"),
        (["--grams", "bad.npz"], "private: Gram matrix 1 is not positive semidefinite"),
        (["--grams", "crooked.npz"], "public: Gram matrix 0 is not symmetric"),
        (["--out", "no/where.nc"], "output folder 'no' does not exist"),
        (["--out", "other.nc"], "holds something that is not a commensal sweep"),
        (["--nonsense"], "No such option"),
        (["--dim", "three"], "--dim"),
        (["--config", "list.yaml"], "must hold settings by name"),
        (["--config", "bad.yaml"], "is not YAML"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, args, message):
    monkeypatch.chdir(tmp_path)
    eyes = np.stack([np.eye(3)] * 2)
    np.savez("bad.npz", private=np.stack([np.eye(3), -np.eye(3)]), public=np.eye(3), synthetic=eyes)
    np.savez("crooked.npz", private=eyes, public=np.triu(np.ones((3, 3))), synthetic=eyes)
    xr.Dataset({"x": 1.0}).to_netcdf("other.nc", engine="h5netcdf")
    (tmp_path / "list.yaml").write_text("- 1")
    (tmp_path / "bad.yaml").write_text("a: [")
    before = sorted(p.name for p in tmp_path.iterdir())
    code, out, err = run(monkeypatch, capsys, "sweep", "regression", *args)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_file_of_another_version(monkeypatch, capsys, tmp_path):
    out = str(tmp_path / "s.nc")
    assert run(monkeypatch, capsys, "sweep", "regression", *SMALL, "--out", out)[0] == 0
    monkeypatch.setattr("commensal.__version__", "9.9")
    code, _, err = run(monkeypatch, capsys, "sweep", "regression", *SMALL, "--out", out)
    assert code == 2
    assert "a sweep by another version (commensal 0.1.0)" in err
    assert len(err.splitlines()) == 1
    monkeypatch.setattr("commensal._checkpoint.FORMAT", 99)
    code, _, err = run(monkeypatch, capsys, "figure", out)
    assert code == 2
    assert "does not read" in err


def test_interruption_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("commensal.sweep.regression", interrupted)
    code, _, err = run(
        monkeypatch, capsys, "sweep", "regression", *SMALL, "--out", str(tmp_path / "s.nc")
    )
    assert code == 130
    assert "the same command goes on from them" in err


def test_a_simulation_that_is_stopped_leaves_no_traceback(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("commensal.sims.gaussian.simulate", interrupted)
    code, out, err = run(monkeypatch, capsys, "simulate", "gaussian")
    assert (code, out) == (130, "")
    assert "Traceback" not in err


def test_a_file_that_ends_too_early_is_no_interruption(monkeypatch, capsys):
    def cut_off(*_, **__):
        raise EOFError("no data left")

    monkeypatch.setattr("commensal.sims.gaussian.simulate", cut_off)
    code, out, err = run(monkeypatch, capsys, "simulate", "gaussian")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "commensal: a file ends too early: no data left"


def test_lineages_stand_beside_the_theory(monkeypatch, capsys, tmp_path):
    out = tmp_path / "g.nc"
    args = ("--samples", "20", "--generations", "12", "--replicates", "4000", "--seed", "3")
    code, text, _ = run(
        monkeypatch, capsys, "simulate", "gaussian", *args, "--plot", "--out", str(out)
    )
    assert code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.nc", "g.png"]
    last = [part.strip() for part in text.splitlines()[-4].strip("│ \n").split("│")]
    t, median, median_law, mean_log, mean_log_law, z, _ = (float(part) for part in last)
    assert t == 12
    # the law is a median of 4,000: within 5 standard errors; E log σ² within 4.5 (|z| printed)
    assert abs(np.log(median / median_law)) < 5 * 1.2533 * 0.6 / np.sqrt(4000)
    assert abs(z) < 4.5
    assert mean_log == pytest.approx(mean_log_law, abs=0.1)
    with xr.open_dataset(out) as runs:
        assert runs.sizes == {"replicate": 4000, "generation": 13}
        assert np.median(np.exp(0.5 * runs.log_variance[:, -1])) == pytest.approx(median, rel=1e-3)


def test_matrices_and_populations(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    small = ("--generations", "3", "--replicates", "20", "--plot")
    for given, words in (
        (("--dim", "2"), "log_determinant"),
        (("--population", "4"), "median W₂²"),
        (("--truth", "laplace"), "mean log σ²"),
        (("--memory", "accumulate", "--estimator", "mle"), "theory"),
    ):
        code, text, _ = run(monkeypatch, capsys, "simulate", "gaussian", *small, *given)
        assert code == 0
        assert words in text
        assert (tmp_path / "gaussian.png").stat().st_size > 10_000
        (tmp_path / "gaussian.png").unlink()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--samples", "1"), "samples: Input should be greater than or equal to 2, got 1"),
        (("--variance", "-1"), "variance: Input should be greater than 0"),
        (("--population", "15"), "population must be a square number, got 15"),
        (("--population", "4", "--parents", "9"), "parents must be at most population = 4"),
        (("--memory", "forget"), "memory: Input should be 'replace'"),
        (("--signal", "oracle"), "signal is for populations"),
        (("--population", "4", "--dim", "2"), "dim is for single lineages"),
        (("--out", "nowhere/g.nc"), "'nowhere' does not exist"),
    ],
)
def test_bad_gaussian_input_is_one_line(monkeypatch, capsys, tmp_path, given, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(monkeypatch, capsys, "simulate", "gaussian", *given)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert words in err


def test_mixtures_stand_beside_the_theory(monkeypatch, capsys, tmp_path):
    out = tmp_path / "m.nc"
    args = ("--generations", "20", "--replicates", "600", "--seed", "1", "--plot")
    code, text, _ = run(monkeypatch, capsys, "simulate", "mixture", *args, "--out", str(out))
    assert code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.nc", "m.png"]
    last = [part.strip() for part in text.splitlines()[-4].strip("│ \n").split("│")]
    t, simulated, error, law, _ = (float(part) for part in last)
    assert t == 20
    assert abs(simulated - law) < 4.5 * error
    with xr.open_dataset(out) as runs:
        assert runs.sizes["replicate"] == 600
        rms = np.sqrt((runs.disagreement[:, -1] ** 2).mean())
        assert float(rms) == pytest.approx(simulated, rel=1e-3)


def test_mixture_settings_of_a_file(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(
        "models: 3\ngraph: [[1, 1, 0], [0, 1, 1], [1, 0, 1]]\ngenerations: 5\nreplicates: 10\n"
    )
    code, text, _ = run(monkeypatch, capsys, "simulate", "mixture", "--config", "m.yaml", "--plot")
    assert code == 0
    rows = [line.split("│") for line in text.splitlines() if line.startswith("│")]
    assert {row[4].strip() for row in rows} == {"-"}  # no law is known for a graph
    assert (tmp_path / "mixture.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--components", "1"), "components: Input should be greater than or equal to 2, got 1"),
        (("--points", "0"), "points: Input should be greater than or equal to 1, got 0"),
        (("--covariance", "-1"), "covariance must be symmetric and positive definite, got -1.0"),
        (("--learning-rate", "2"), "learning_rate: Input should be less than or equal to 1"),
        (("--prior", "0.6"), "prior must be in [0, 1/components) = [0, 0.5), got 0.6"),
        (("--spacing", "-3"), "spacing must be at least 0, got -3"),
    ],
)
def test_bad_mixture_input_is_one_line(monkeypatch, capsys, given, words):
    code, _, err = run(monkeypatch, capsys, "simulate", "mixture", *given)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert words in err


def test_figures_of_simulations_are_drawn_again(monkeypatch, capsys, tmp_path):
    out, png = tmp_path / "x.nc", tmp_path / "x.png"
    short = ("--generations", "4", "--replicates", "12", "--out", str(out), "--plot", "--overwrite")
    for command in (
        ("gaussian", "--human-share", "0.1"),
        ("gaussian", "--dim", "3"),
        ("gaussian", "--population", "4"),
        ("mixture",),
    ):
        assert run(monkeypatch, capsys, "simulate", *command, *short)[0] == 0
        first = png.read_bytes()
        png.unlink()
        code, text, _ = run(monkeypatch, capsys, "figure", str(out))
        assert (code, text.strip()) == (0, f"wrote {png}")
        assert png.read_bytes() == first


@pytest.mark.parametrize("content", [None, b"not a NetCDF file"])
def test_no_figure_of_what_is_none_of_ours(monkeypatch, capsys, tmp_path, content):
    path = tmp_path / "x.nc"
    if content is not None:
        path.write_bytes(content)
    code, _, err = run(monkeypatch, capsys, "figure", str(path))
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "x.nc" in err


def test_help_tells_the_defaults(monkeypatch, capsys):
    import re

    import typer

    from commensal.sims import gaussian, mixture, regression

    configs = {
        "regression": (regression.RegressionConfig,),
        "gaussian": (gaussian.GaussianConfig, gaussian.PopulationConfig),
        "mixture": (mixture.MixtureConfig,),
    }
    commands = typer.main.get_command(cli.app).commands["simulate"].commands
    told = 0
    for name, kinds in configs.items():
        for option in commands[name].params:
            said = re.search(r"\(default: (-?[\d.e-]+|[a-z0-9_]+)\)$", option.help or "")
            fields = [k.model_fields[option.name] for k in kinds if option.name in k.model_fields]
            if said and fields and fields[0].default is not None:
                assert str(type(fields[0].default)(said[1])) == str(fields[0].default), option.name
                told += 1
    assert told > 25
    monkeypatch.setenv("COLUMNS", "80")
    _, text, _ = run(monkeypatch, capsys, "simulate", "gaussian", "--help")
    assert "(default: 100)" in text  # not taken for markup


def test_check_prints_a_line_per_claim_and_json(monkeypatch, capsys, tmp_path):
    page = tmp_path / "report.html"
    args = ("check", "--id", "interactive.thm1_covariance", "--jobs", "1")
    code, out, _ = run(monkeypatch, capsys, *args, "--html", str(page))
    assert code == 0
    assert "✎ holds as corrected" in out
    assert "1 claim in" in out
    assert "0 substantive, 1 misprint, 0 possibly extraction, 0 wording" in out
    assert "<math" in page.read_text(encoding="utf-8")
    code, out, _ = run(monkeypatch, capsys, *args, "--json")
    (record,) = json.loads(out)
    assert code == 0
    assert record["verdict"] == "holds as corrected"
    assert (record["fault"], record["doubt"]) == ("misprint", "solid")
    assert record["evidence"]["printed"]["holds"] is False
    assert record["evidence"]["corrected"]["holds"] is True


def test_check_exits_with_1_where_a_verdict_differs(monkeypatch, capsys):
    claim = claims.find("interactive.thm1_covariance")
    other = replace(claim, corrected=claim.printed)
    for place in ("commensal.claims", "commensal.claims._registry"):
        monkeypatch.setattr(f"{place}.all_claims", lambda: (other,))
    args = ("check", "--id", claim.id, "--jobs", "1")
    code, out, _ = run(monkeypatch, capsys, *args)
    assert code == 1
    assert "✗ fails" in out
    assert "(recorded: holds as corrected)" in out
    assert f"not as recorded: {claim.id}" in out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--paper", "nature"), "--paper: must be one of interactive, pollination"),
        (("--id", "interactive.thm1_covarianc"), "did you mean interactive.thm1_covariance?"),
        (("--html", "/nowhere/report.html"), "--html: there is no folder /nowhere"),
    ],
)
def test_check_refuses_in_one_line(monkeypatch, capsys, args, said):
    code, out, err = run(monkeypatch, capsys, "check", *args)
    assert code == 2
    assert not out
    assert said in " ".join(err.split())


@pytest.mark.parametrize(
    "given", [(), ("--human-share", "0.1"), ("--memory", "accumulate", "--human-share", "0.1")]
)
def test_words_stand_beside_the_theory(monkeypatch, capsys, tmp_path, given):
    out, png = tmp_path / "words.nc", tmp_path / "words.png"
    options = ("--words", "40", "--tokens", "100", "--generations", "4", "--models", "2", *given)
    code, text, _ = run(
        monkeypatch, capsys, "simulate", "words", *options, "--out", str(out), "--plot"
    )
    assert code == 0
    assert "theory" in text
    first = png.read_bytes()
    png.unlink()
    assert run(monkeypatch, capsys, "figure", str(out))[0] == 0
    assert png.read_bytes() == first


def test_networks_of_words_are_settings_of_a_file(monkeypatch, capsys, tmp_path):
    settings, out = tmp_path / "network.yaml", tmp_path / "network.nc"
    settings.write_text("reads: [[0.5, 0.5], [0.2, 0.8]]\nmodels: 2\ndialects: [[1, 0], [0, 1]]\n")
    options = ("--config", str(settings), "--tokens", "20", "--replicates", "4")
    code, text, _ = run(
        monkeypatch, capsys, "simulate", "words", *options, "--out", str(out), "--plot"
    )
    assert code == 0
    assert "theory" in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--counts", "0,0"), "counts must be finite, at least 0, and not all 0"),
        (("--human-share", "2"), "human_share: Input should be less than or equal to 1"),
    ],
)
def test_bad_input_of_words_is_one_line(monkeypatch, capsys, given, words):
    code, _, err = run(monkeypatch, capsys, "simulate", "words", *given)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert words in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), None),
        (("--bias", "2"), "a bias between -0.5 and 0.5"),
        (("--by", "reward", "--samples", "9000"), None),
        (("--by", "reward", "--samples", "90"), "0.42 are expected within near"),
        (
            (
                "--by",
                "filter",
            ),
            None,
        ),
        (("--by", "filter", "--errors", "model"), "independent of their features"),
        (("--by", "filter", "--right", "0", "--samples", "25"), None),
    ],
)
def test_selection_stands_beside_the_theory(monkeypatch, capsys, tmp_path, given, said):
    """And the closed form is near the runs where nothing is said against it."""
    out, png = tmp_path / "chosen.nc", tmp_path / "chosen.png"
    options = ("--generations", "3", "--replicates", "40", *given)
    code, text, err = run(
        monkeypatch, capsys, "simulate", "selection", *options, "--out", str(out), "--plot"
    )
    assert code == 0, err
    assert "theory" in text
    assert ("closed form" in err) == (said is not None)
    assert said is None or said in " ".join(err.split())
    rows = [line.split("│")[1:5] for line in text.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["0", "1", "2", "3"]
    for _, mean, error, law in rows:
        if said is None and "-" not in (mean.strip(), law.strip()):
            off = abs(float(mean) - float(law))
            assert off < 5 * float(error) + 0.03 * float(law) + 1e-3
    first = png.read_bytes()
    png.unlink()
    assert run(monkeypatch, capsys, "figure", str(out))[0] == 0
    assert png.read_bytes() == first


def test_ecosystems_stand_beside_the_theory(monkeypatch, capsys, tmp_path):
    out, png = tmp_path / "eco.nc", tmp_path / "eco.png"
    given = ("--models", "2", "--tokens", "400", "--types", "40", "--generations", "3")
    code, text, _ = run(
        monkeypatch, capsys, "simulate", "ecosystem", *given, "--out", str(out), "--plot"
    )
    assert code == 0
    assert "theory" in text
    first = png.read_bytes()
    png.unlink()
    assert run(monkeypatch, capsys, "figure", str(out))[0] == 0
    assert png.read_bytes() == first


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--models", "0"), "models: Input should be greater"),
        (("--models", "4", "--sizes", "1,2"), "models must be 2 with these sizes, got 4"),
    ],
)
def test_bad_ecosystem_input_is_one_line(monkeypatch, capsys, given, words):
    code, _, err = run(monkeypatch, capsys, "simulate", "ecosystem", *given)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert words in err
