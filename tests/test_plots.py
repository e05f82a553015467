"""Figures of datasets, whole, sparse and empty ones: drawn without a warning, and saying the truth.

Drawing to a buffer is part of each test, because layout and ticks are worked out only then.
"""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from commensal import designs, plots, sweep
from commensal.plots._mixture import _caught_weights
from commensal.theory import regression

MAPS = [plots.efficiency_map, plots.stability_map, plots.consensus_map]
AXIS = np.linspace(0, 1, 11)


def dataset(models, alpha, beta, prompts="private") -> xr.Dataset:
    """What a sweep gives, by hand from grids."""
    parts = []
    for k in models:
        w = regression.RegressionWorkflow(
            **designs.gaussian(k, 6, 3, prompts=prompts).grams(), alpha=0.5, beta=0.5
        )
        g = regression.grid(w, alpha, beta)
        cells = ("alpha", "beta")
        one = xr.Dataset(
            {
                "mse": ((*cells, "model"), g.mse),
                "squared_bias": ((*cells, "model"), g.squared_bias),
                "relative_efficiency": ((*cells, "model"), g.relative_efficiency),
                "mspe": ((*cells, "model", "task"), g.mspe),
                "spectral_radius": (cells, g.spectral_radius),
                "consensus_distance": (cells, g.consensus_distance),
                "stable": (cells, g.spectral_radius < 1 - regression.STABILITY_MARGIN),
                "optimal_alpha": ("objective", [0.4, 0.35]),
                "optimal_beta": ("objective", [0.7, 0.75]),
            },
            {"alpha": alpha, "beta": beta, "model": np.arange(k), "task": np.arange(k)}
            | {"objective": ["mean", "worst"]},
        )
        parts.append(one.expand_dims(models=[k]))
    return xr.concat(parts, "models", join="outer").assign_attrs(title="by hand")


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return dataset((2, 3), AXIS, AXIS)


def unstable(ds: xr.Dataset) -> xr.Dataset:
    """The same with ρ above one everywhere, and hence nothing else."""
    kept = ("stable", "spectral_radius", "optimal_alpha", "optimal_beta")
    values = {name: v if name in kept else v * np.nan for name, v in ds.data_vars.items()}
    values |= {"stable": ds.stable & False, "spectral_radius": ds.spectral_radius * 0 + 1.2}
    return ds.assign(values)


def drawn(fig: Figure) -> str:
    """All text of a figure that could be drawn."""
    assert isinstance(fig, Figure)
    buffer = io.BytesIO()
    fig.savefig(buffer, dpi=40)
    assert buffer.tell() > 3000
    return "\n".join(str(text.get_text()) for text in fig.findobj(mpl.text.Text))


def shown(ds: xr.Dataset) -> list[str]:
    texts = [drawn(draw(ds)) for draw in MAPS]
    return [*texts, drawn(plots.efficiency_over_alpha(ds, int(np.atleast_1d(ds.models)[0])))]


def test_efficiency_map_tells_the_best_cell(ds) -> None:
    text = drawn(plots.efficiency_map(ds))
    mean = ds.relative_efficiency.sel(models=2).isel(model=slice(0, 2)).mean("model")
    best = ds.sel(models=2, objective="mean")
    alpha, beta = float(best.optimal_alpha), float(best.optimal_beta)
    half = float(mean.sel(alpha=0.5, beta=0.5))
    value = mean.sel(alpha=alpha, beta=beta, method="nearest")
    told = f"best {value:.3f} at ({alpha:.3g}, {beta:.3g})"
    assert f"{told}\n{half:.3f} at (0.5, 0.5)" in text
    assert "K = 2" in text
    assert "K = 3" in text
    assert "unstable" in text  # alpha = 1
    assert "the paper's choice" in text


def test_efficiency_map_of_a_part_has_the_best_of_that_part(ds) -> None:
    part = ds.sel(models=[2]).isel(alpha=[8, 9], beta=[2, 3])
    mean = part.relative_efficiency.isel(models=0, model=slice(0, 2)).mean("model")
    assert f"best {mean.max():.3f} at" in drawn(plots.efficiency_map(part))


def test_mean_efficiency_is_of_all_models_or_none(ds) -> None:
    one = ds.copy(deep=True)
    one.relative_efficiency.loc[{"models": 2, "model": 0}] = np.nan
    assert "no efficiency is defined" in drawn(plots.efficiency_map(one.sel(models=[2])))


def test_models_beyond_k_do_not_count(ds) -> None:
    alone, among = ds.sel(models=[2]).isel(model=slice(0, 2)), ds.sel(models=[2])
    assert np.isnan(among.relative_efficiency.isel(model=2)).all()
    assert drawn(plots.efficiency_map(alone)) == drawn(plots.efficiency_map(among))


def test_stability_map_has_a_contour_only_where_there_is_one(ds) -> None:
    assert "ρ = 1: stable" not in drawn(plots.stability_map(ds))
    amplifying = sweep.regression(
        alpha=tuple(AXIS), beta=tuple(AXIS), models=(2,), design="misaligned", public=1.0
    )
    text = drawn(plots.stability_map(amplifying))
    assert "ρ = 1: stable" in text
    assert f"largest ρ = {amplifying.spectral_radius.max():.3f}" in text


def test_stability_map_over_other_systems_than_models(ds) -> None:
    systems = ds[["spectral_radius"]].rename(models="system").assign_coords(system=["one", "two"])
    text = drawn(plots.stability_map(systems.assign(stability_bound=("system", [1.25, 1.5]))))
    assert "one\n" in text
    assert "(bound 1.250)" in text


def test_what_a_sweep_gives_can_be_drawn() -> None:
    shown(sweep.regression(alpha=(0.2, 0.5), beta=(0.3, 0.7), models=(2,), dim=6, rank=3))


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [([5], slice(None)), (slice(None), [0]), ([3], [9]), ([10], [0])],
)
def test_thin_grids(ds, alpha, beta) -> None:
    shown(ds.isel(models=[0], alpha=alpha, beta=beta))


def test_nothing_stable(ds) -> None:
    texts = shown(unstable(ds))
    assert "no efficiency is defined" in texts[0]
    assert "unstable (ρ ≥ 1): no limit" in texts[2]
    assert "no unbiased limit" in texts[3]


def test_nothing_at_all(ds) -> None:
    nothing = unstable(ds)
    shown(nothing.assign(spectral_radius=nothing.spectral_radius * np.nan))


def test_part_of_the_square_unstable() -> None:
    shown(dataset((2,), AXIS, AXIS, prompts="fresh"))


def test_constant_efficiency(ds) -> None:
    constant = ds.assign(relative_efficiency=ds.relative_efficiency * 0 + 0.5)
    drawn(plots.efficiency_over_alpha(constant, 2))


def test_one_model_selected(ds) -> None:
    single, listed = (plots.efficiency_map(ds.sel(models=k)) for k in (3, [3]))
    assert drawn(single) == drawn(listed)


def test_order_along_the_axes_does_not_matter(ds) -> None:
    one = ds.sel(models=[2])
    shuffled = one.isel(alpha=np.random.default_rng(0).permutation(AXIS.size))
    assert drawn(plots.efficiency_map(shuffled)) == drawn(plots.efficiency_map(one))


@pytest.mark.parametrize("panels", [1, 3, 5])
def test_any_number_of_panels(ds, panels) -> None:
    many = xr.concat([ds.isel(models=0)] * panels, "models")
    many = many.assign_coords(models=np.full(panels, 2))
    fig = plots.efficiency_map(many)
    drawn(fig)
    assert len(fig.axes) == panels + 1  # the colour bar


def test_maps_have_one_dimension_of_panels(ds) -> None:
    with pytest.raises(ValueError, match="one dimension beside alpha and beta"):
        plots.stability_map(ds.expand_dims(seed=[0, 1]))


def test_efficiency_over_alpha_takes_the_nearest_beta(ds) -> None:
    text = drawn(plots.efficiency_over_alpha(ds, 3, others=[ds]))
    for beta in ("0.1", "0.2", "0.5", "0.7", "0.9"):  # 0.25 and 0.75 are not on the grid
        assert f"β = {beta}" in text
    assert "model 3" in text
    assert "mean, 1 other designs" in text
    thin = plots.efficiency_over_alpha(ds.sel(beta=[0.5]), 2)
    assert len(thin.axes) == 2  # one β, and where the best mix lies


def test_efficiency_over_alpha_of_many_models(ds) -> None:
    many = ds.sel(models=[2]).isel(model=[0, 1] * 4).assign_coords(models=[8])
    assert "each model" in drawn(plots.efficiency_over_alpha(many, 8))


def test_efficiency_over_alpha_without_optima(ds) -> None:
    drawn(plots.efficiency_over_alpha(ds.drop_vars(["optimal_alpha", "optimal_beta"]), 2))


def test_efficiency_over_alpha_wants_a_known_k(ds) -> None:
    with pytest.raises(ValueError, match=r"one of \[2, 3\], got 4"):
        plots.efficiency_over_alpha(ds, 4)


def errors(alpha=(0.0, 1.0), beta=(0.5,), models=2, generations=3) -> xr.Dataset:
    shape = (len(alpha), len(beta), generations, models)
    values = np.random.default_rng(0).uniform(1, 2, shape)
    dims = ("alpha", "beta", "generation", "model")
    return xr.Dataset(
        {"mse": (dims, values, {"long_name": "error"}), "own": (dims, values)},
        {"alpha": list(alpha), "beta": list(beta), "generation": range(generations)}
        | {"model": range(models)},
    )


@pytest.mark.parametrize(
    "theory",
    [
        errors(),
        errors(alpha=(0.5,), models=1, generations=1),
        errors(alpha=tuple(np.linspace(0, 1, 8)), models=5, generations=2),
        errors() * np.nan,
        errors() * 0,
    ],
)
@pytest.mark.parametrize("simulated", [False, True])
def test_trajectories(theory, simulated) -> None:
    sims = theory.assign(mse_standard_error=0.1 * theory.mse) if simulated else None
    text = drawn(plots.trajectories(theory, sims))
    assert "model 1, theory" in text
    assert ("model 1, simulated" in text) == simulated


def test_human_share() -> None:
    models = np.array([1, 10, 100])
    guaranteed = xr.DataArray(regression.safe_human_share(models), {"models": models})
    needed = xr.DataArray(
        [[[0.1, 0.2], [np.nan, np.nan]], [[0.0, np.nan], [0.3, 0.3]], [[np.nan] * 2] * 2],
        {"family": ["these", "those", "none"], "models": [2, 4], "seed": [0, 1]},
    )
    text = drawn(plots.human_share(guaranteed, needed))
    assert "these" in text
    assert "those" in text


def test_optimal_mix() -> None:
    names, shape = ("reuse", "efficiency", "at_half"), ("family", "models", "seed")
    found = xr.Dataset(
        {name: (shape, np.full((2, 2, 1), 0.3)) for name in names},
        {"family": ["these", "those"], "models": [2, 4]},
    )
    text = drawn(plots.optimal_mix(found, xr.DataArray([0.5, 0.4], {"models": [2, 4]})))
    assert "best mix: these" in text


def timings(name: str, sizes: list[int], seconds: list[list[float]]) -> xr.DataArray:
    coords = {"program": ["ours", "theirs"], name: sizes}
    return xr.DataArray(seconds, coords, ("program", name), attrs={"title": "panel"})


def test_cost_tells_the_exponents() -> None:
    sizes = [2, 4, 8, 1000]
    seconds = [[k**1.5 for k in sizes], [k**3.0 for k in sizes[:3]] + [np.nan]]
    text = drawn(plots.cost(timings("models", sizes, seconds), machine="a machine"))
    assert "theirs: exponent 3.00" in text
    assert "ours: exponent" not in text  # one size alone is within a factor of 16 of the largest
    assert "a machine" in text


def test_cost_of_nothing() -> None:
    nothing = timings("models", [2], [[np.nan], [np.nan]])
    drawn(plots.cost(nothing, timings("dim", [3], [[1.0], [np.nan]])))


def test_no_global_setting_is_changed(ds) -> None:
    before = mpl.rcParams.copy()
    drawn(plots.efficiency_map(ds))
    drawn(plots.trajectories(errors(), errors()))
    assert mpl.rcParams.copy() == before


def moments(models, mse, **more) -> xr.Dataset:
    """What a simulated regression has, by hand."""
    dims = ("generation", "model")
    mse = np.broadcast_to(np.asarray(mse, float)[:, None], (len(mse), models))
    return xr.Dataset(
        {"mse": (dims, mse), "mse_standard_error": (dims, 0.1 * np.abs(mse))} | more,
        {"generation": np.arange(len(mse)), "model": np.arange(models)},
    )


@pytest.mark.parametrize("models", [1, 3, 9])
def test_errors_of_regressions(models):
    dims = ("generation", "model")
    runs = moments(models, [4.0, 2.0, 1.0])
    assert "theory" not in drawn(plots.regression_errors(runs))
    runs["mse_theory"] = dims, runs.mse.values * 1.5
    runs["pooled_mse"] = 0.5
    fig = plots.regression_errors(runs)
    text = drawn(fig)
    assert "theory" in text
    assert ("model 1" in text) == (models <= 6)
    left, right = fig.axes
    lines = {tuple(np.round(line.get_ydata(), 9)) for line in left.lines}
    assert lines == {(4.0, 2.0, 1.0), (6.0, 3.0, 1.5)}
    efficiencies = {tuple(np.round(line.get_ydata(), 9)) for line in right.lines}
    assert efficiencies == {(0.125, 0.25, 0.5), tuple(np.round([0.5 / 6, 0.5 / 3, 0.5 / 1.5], 9))}
    # two standard errors, and of the quotient by the delta method
    bars = [c.get_segments()[0] for c in (left.collections[0], right.collections[0])]
    np.testing.assert_allclose(bars[0][:, 1], [3.2, 4.8])
    np.testing.assert_allclose(bars[1][:, 1], [0.1, 0.15])


def test_errors_of_regressions_that_are_few_large_or_none():
    assert plots.regression_errors(moments(2, [1.0, 10.0, 200.0])).axes[0].get_yscale() == "log"
    assert plots.regression_errors(moments(2, [0.0, 10.0])).axes[0].get_yscale() == "linear"
    assert "no finite error" in drawn(plots.regression_errors(moments(2, [np.nan, np.inf])))
    squares = np.array([[[1.0], [4.0]], [[3.0], [8.0]]])
    runs = xr.Dataset(
        {"squared_error": (("replicate", "generation", "model"), squares)},
        {"generation": [0, 1]},
    )
    (line,) = plots.regression_errors(runs).axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), [2.0, 6.0])
    drawn(plots.regression_errors(runs.isel(replicate=[0])))
    with pytest.raises(ValueError, match="needs mse or squared_error"):
        plots.regression_errors(xr.Dataset())


def test_the_weight_that_was_caught_is_the_one_shown() -> None:
    """Component 3 is lost by model 1 and found again; of component 2 the difference is larger."""
    weights = np.full((21, 3, 3), 1 / 3)
    weights[5:15, 0] = [0.15, 0.85 - 1e-10, 1e-10]
    weights[5:15, 1:] = [0.65, 0.15, 0.2]
    run = xr.Dataset({"weights": (("generation", "model", "component"), weights)})
    run = run.assign_coords(generation=np.arange(21), model=np.arange(3))
    fig = Figure()
    _caught_weights(fig.add_subplot(), run)
    assert fig.axes[0].get_ylabel() == "weight of component 3"
