"""What the explorer maps: numbers of cells, sweeps that are joined, commands that repeat them."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest

from commensal import designs, explore, sweep
from commensal.explore._cells import STATUS, bound_of, cells_of
from commensal.explore._command import sweep_command
from commensal.explore._controls import Control
from commensal.explore._live import GRID, growth_with, live_map, settings_of
from commensal.explore._map import joined, part_of
from commensal.explore._pack import packed, unpacked
from commensal.sweep import RegressionSweep
from commensal.theory import regression
from commensal.theory.memory import window_growth
from tests.commands import run

SMALL = {
    "alpha": (0.0, 0.25, 0.5, 0.75, 1.0),
    "beta": (0.2, 0.4, 0.6),
    "models": (2, 3),
    "dim": 6,
    "rank": 3,
    "prompts": "fresh",
}


@pytest.fixture(scope="module")
def small():
    return sweep.regression(**SMALL)


def test_a_generation_is_no_limit() -> None:
    told = sweep.regression(alpha=0.5, beta=0.5, models=2, dim=4, rank=2, memory="accumulate")
    with pytest.raises(ValueError, match="the explorer shows limits: make the sweep without"):
        cells_of(told)


def test_cells_are_means_over_the_models_and_no_others(small) -> None:
    cells = cells_of(small)
    for k in SMALL["models"]:
        one, raw = cells.sel(models=k).isel(reads=0), small.sel(models=k)
        for name, alpha, beta in (("error", 0.25, 0.4), ("efficiency", 0.5, 0.2)):
            at = {"alpha": alpha, "beta": beta}
            of_models = raw["mse" if name == "error" else "relative_efficiency"].sel(at).values[:k]
            np.testing.assert_allclose(one[name].sel(at), of_models.mean(), rtol=1e-12)
        tasks = raw.mspe.sel(alpha=0.25, beta=0.4).values[:k, :k]
        at = {"alpha": 0.25, "beta": 0.4}
        np.testing.assert_allclose(one.error_own.sel(at), np.diag(tasks).mean(), rtol=1e-12)
        others = tasks[~np.eye(k, dtype=bool)].mean()
        np.testing.assert_allclose(one.error_others.sel(at), others, rtol=1e-12)


def test_a_cell_says_why_it_has_no_number(small) -> None:
    cells = cells_of(small)
    kinds = {name: cells.status == i for i, name in enumerate(STATUS)}
    assert bool(kinds["unstable"].any())
    assert bool(kinds["limit"].any())
    np.testing.assert_array_equal(
        kinds["unstable"].isel(reads=0), ~small.stable.transpose("models", "beta", "alpha")
    )
    assert bool(np.isfinite(cells.efficiency.where(kinds["limit"])).sum() == kinds["limit"].sum())
    assert bool(np.isnan(cells.error.where(kinds["unstable"])).all())


def test_the_bound_is_that_of_the_network() -> None:
    assert bound_of("uniform", 4) == 1.5
    assert bound_of("isolated", 4) == pytest.approx(1.0)
    assert bound_of("self:0.5", 8) == pytest.approx((1 + 2**0.5) / 2)
    assert bound_of("ring:0", 3) == np.inf


def test_sweeps_that_differ_in_one_setting_are_joined(small) -> None:
    more = sweep.regression(**SMALL, human_share=0.4)
    cells, control = joined([more, small], ["more", "small"])
    assert (control.name, control.values) == ("human_share", [0.0, 0.4])
    same = cells.sel(human_share=0.4).spectral_radius
    np.testing.assert_array_equal(same, cells_of(more).spectral_radius)
    with pytest.raises(ValueError, match="these in nothing"):
        joined([small, small], ["a", "b"])
    with pytest.raises(ValueError, match="in human_share, noise"):
        joined([small, sweep.regression(**SMALL, human_share=0.4, noise=2)], ["a", "b"])
    with pytest.raises(ValueError, match="b and a have other values of beta"):
        joined([small, sweep.regression(**SMALL | {"beta": 0.5})], ["a", "b"])


def test_the_command_makes_the_same_sweep_again(small, tmp_path, monkeypatch, capsys) -> None:
    command = sweep_command(json.loads(small.attrs["config"]))
    out = tmp_path / "again.nc"
    code, _, _ = run(monkeypatch, capsys, *shlex.split(command)[1:], "--out", str(out))
    assert code == 0
    with sweep.load(out) as again:
        assert again.attrs["fingerprint"] == small.attrs["fingerprint"]


def test_a_matrix_of_readers_goes_into_a_file_of_settings() -> None:
    config = sweep.RegressionSweep(models=2, reads=[[[0.5, 0.5], [0.2, 0.8]]])
    first, *settings = sweep_command(config.model_dump(mode="json")).splitlines()
    assert first == "cat > settings.yaml <<'END'"
    assert sweep.RegressionSweep(**json.loads(settings[0])) == config
    assert settings[-1] == "commensal sweep regression --config settings.yaml"


def test_numbers_survive_packing() -> None:
    values = np.random.default_rng(0).standard_normal((3, 5)) * 1e6
    values[1, 2] = np.nan
    np.testing.assert_array_equal(unpacked(packed(values), (3, 5)), values.astype(np.float32))


def test_a_page_that_is_too_large_is_refused(small, monkeypatch) -> None:
    monkeypatch.setattr("commensal.explore._shared.MOST", 10_000)
    with pytest.raises(ValueError, match=r"would have 0\.\d MB, .* take fewer models"):
        explore.sweep_page(small)


def test_no_text_ends_the_page_early(small) -> None:
    page = explore.sweep_page(small, ["</script><b>.nc"])
    assert "</script><b>" not in page
    assert page.count("</script>") == 2


def test_a_page_needs_nothing_from_elsewhere(small) -> None:
    page = explore.sweep_page(small)
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}


def test_the_part_of_a_page_has_what_the_sweep_has(small) -> None:
    cells, control = joined([small], ["small"])
    part = part_of(cells, control, [json.loads(small.attrs["config"])])
    best = small.sel(models=3, objective="mean")
    assert part["systems"][1]["best"]["alpha"] == float(best.optimal_alpha)
    assert part["systems"][1]["bound"] == pytest.approx((1 + 3**0.5) / 2)
    assert part["systems"][1]["readers"] == 3


def test_a_live_map_is_a_sweep() -> None:
    query = {"models": "2", "prompts": "worst case", "human_share": "0.1", "noise": "2"}
    settings = settings_of(query)
    assert settings["design"] == "misaligned"
    found = live_map(settings)
    ds = sweep.regression(alpha=GRID, beta=GRID, **settings)
    cells = cells_of(ds).isel(reads=0, models=0)
    for name, text in found["quantities"].items():
        # of unit noise, and scaled: float32 may round the last digit otherwise
        np.testing.assert_allclose(unpacked(text, (41, 41)), cells[name], rtol=1e-6, atol=1e-12)
    best = ds.isel(models=0).sel(objective="mean")
    assert found["system"]["best"]["alpha"] == float(best.optimal_alpha)
    assert found["system"]["best"]["error"] == pytest.approx(float(best.optimal_mse))
    draft = live_map(settings, "draft")
    assert draft["alpha"] == draft["beta"] == GRID[::5]
    whole = cells.spectral_radius.values[::5, ::5].astype(np.float32)
    for sooner in (draft, live_map(settings, "sketch")):
        drawn = unpacked(sooner["quantities"]["spectral_radius"], (9, 9))
        np.testing.assert_allclose(drawn, whole, rtol=1e-6, atol=1e-7)

    first = live_map(settings, "stability")
    assert first["status"] == found["status"]
    assert list(first["quantities"]) == ["spectral_radius"]
    np.testing.assert_allclose(
        unpacked(first["quantities"]["spectral_radius"], (41, 41)),
        cells.spectral_radius,
        rtol=1e-6,
        atol=1e-9,
    )


def test_a_window_grows_as_the_largest_root_says() -> None:
    settings = settings_of({"models": "4", "prompts": "fresh"})
    config = RegressionSweep(alpha=GRID, beta=GRID, **settings)
    found = regression.grid_stability(config.workflow(4), GRID, GRID)
    growth = growth_with("window 3", found, alike=True)
    assert not np.isnan(growth[found.trusted]).any()
    # by the matrix of the whole recursion, whose state is what three generations published
    for i, j in ((4, 20), (20, 20), (30, 38), (40, 3)):
        n = found.eigenvalues.shape[-1]
        recursion = np.eye(3 * n, k=-n, dtype=complex)
        recursion[:n] = np.tile(np.diag(found.eigenvalues[i, j]) / 3, 3)
        again = np.abs(np.linalg.eigvals(recursion)).max()
        assert growth[i, j] == pytest.approx(again, rel=1e-6)
    # of complex eigenvalues that turn, some growth is less than ρ's own would be
    assert (growth <= window_growth(found.spectral_radius, 3) + 1e-9).all()
    assert live_map(settings, memory="accumulate")["status"] == packed(np.zeros((41, 41), np.uint8))
    sooner = live_map(settings, "sketch", "window 3")["quantities"]["spectral_radius"]
    np.testing.assert_allclose(unpacked(sooner, (9, 9)), growth.T[::5, ::5], rtol=1e-6)
    with pytest.raises(ValueError, match="only where all models read all alike"):
        growth_with("accumulate", found, alike=False)
    ring = found._replace(eigenvalues=np.full((41, 41, 1), np.nan, dtype=complex))
    bound = growth_with("window 3", ring, alike=False)
    assert np.isnan(bound[found.spectral_radius > 1]).all()


def test_stability_alone_is_that_of_the_grid() -> None:
    axis = (0.0, 0.3, 0.8, 1.0)
    for design, options in (
        (designs.gaussian(3, 6, 6), {"human_share": 0.3}),
        (designs.gaussian(2, 5, 2, public_rank=0), {}),
    ):
        w = regression.RegressionWorkflow(**design.grams(), alpha=0.5, beta=0.5, **options)
        whole, found = regression.grid(w, axis, axis), regression.grid_stability(w, axis, axis)
        np.testing.assert_allclose(found.spectral_radius, whole.spectral_radius, atol=1e-9)
        np.testing.assert_array_equal(found.trusted, whole.trusted)
        stable = whole.spectral_radius < 1 - regression.STABILITY_MARGIN
        known = ~np.isnan(whole.relative_efficiency).any(axis=-1)
        np.testing.assert_array_equal(found.unbiased[stable], known[stable])


def test_a_query_is_checked() -> None:
    with pytest.raises(ValueError, match=r"models is one of 1, 2, .*, got '99'"):
        settings_of({"models": "99"})
    assert Control("noise", "σ", (0.5, 1.0, 2.0)).chosen({"noise": "1"}) == 1.0
