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
from commensal.theory import regression

MAPS = [plots.efficiency_map, plots.stability_map, plots.consensus_map]
AXIS = np.linspace(0, 1, 11)


def dataset(entities, alpha, beta, prompts="private") -> xr.Dataset:
    """What a sweep gives, by hand from grids."""
    parts = []
    for k in entities:
        w = regression.Workflow(
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
        parts.append(one.expand_dims(entities=[k]))
    return xr.concat(parts, "entities", join="outer").assign_attrs(title="by hand")


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
    return [*texts, drawn(plots.efficiency_over_alpha(ds, int(np.atleast_1d(ds.entities)[0])))]


def test_efficiency_map_tells_the_best_cell(ds) -> None:
    text = drawn(plots.efficiency_map(ds))
    mean = ds.relative_efficiency.sel(entities=2).isel(model=slice(0, 2)).mean("model")
    best = mean.where(mean == mean.max(), drop=True)
    half = float(mean.sel(alpha=0.5, beta=0.5))
    told = f"best {mean.max():.3f} at ({best.alpha.item():.3g}, {best.beta.item():.3g})"
    assert f"{told}\n{half:.3f} at (0.5, 0.5)" in text
    assert "K = 2" in text
    assert "K = 3" in text
    assert "unstable" in text  # alpha = 1
    assert "the paper's choice" in text


def test_mean_efficiency_is_of_all_models_or_none(ds) -> None:
    one = ds.copy(deep=True)
    one.relative_efficiency.loc[{"entities": 2, "model": 0}] = np.nan
    assert "no efficiency is defined" in drawn(plots.efficiency_map(one.sel(entities=[2])))


def test_models_beyond_k_do_not_count(ds) -> None:
    alone, among = ds.sel(entities=[2]).isel(model=slice(0, 2)), ds.sel(entities=[2])
    assert np.isnan(among.relative_efficiency.isel(model=2)).all()
    assert drawn(plots.efficiency_map(alone)) == drawn(plots.efficiency_map(among))


def test_stability_map_has_a_contour_only_where_there_is_one(ds) -> None:
    assert "ρ = 1: stable" not in drawn(plots.stability_map(ds))
    amplifying = sweep.regression(
        alpha=tuple(AXIS), beta=tuple(AXIS), entities=(2,), design="misaligned", public=1.0
    )
    text = drawn(plots.stability_map(amplifying))
    assert "ρ = 1: stable" in text
    assert f"largest ρ = {amplifying.spectral_radius.max():.3f}" in text


def test_stability_map_over_other_systems_than_entities(ds) -> None:
    systems = ds[["spectral_radius"]].rename(entities="system").assign_coords(system=["one", "two"])
    text = drawn(plots.stability_map(systems.assign(stability_bound=("system", [1.25, 1.5]))))
    assert "one\n" in text
    assert "(bound 1.250)" in text


def test_what_a_sweep_gives_can_be_drawn() -> None:
    shown(sweep.regression(alpha=(0.2, 0.5), beta=(0.3, 0.7), entities=(2,), dim=6, rank=3))


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [([5], slice(None)), (slice(None), [0]), ([3], [9]), ([10], [0])],
)
def test_thin_grids(ds, alpha, beta) -> None:
    shown(ds.isel(entities=[0], alpha=alpha, beta=beta))


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


def test_one_entity_selected(ds) -> None:
    single, listed = (plots.efficiency_map(ds.sel(entities=k)) for k in (3, [3]))
    assert drawn(single) == drawn(listed)


def test_order_along_the_axes_does_not_matter(ds) -> None:
    one = ds.sel(entities=[2])
    shuffled = one.isel(alpha=np.random.default_rng(0).permutation(AXIS.size))
    assert drawn(plots.efficiency_map(shuffled)) == drawn(plots.efficiency_map(one))


@pytest.mark.parametrize("panels", [1, 3, 5])
def test_any_number_of_panels(ds, panels) -> None:
    many = xr.concat([ds.isel(entities=0)] * panels, "entities")
    many = many.assign_coords(entities=np.full(panels, 2))
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
    many = ds.sel(entities=[2]).isel(model=[0, 1] * 4).assign_coords(entities=[8])
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
    entities = np.array([1, 10, 100])
    guaranteed = xr.DataArray(regression.safe_human_share(entities), {"entities": entities})
    needed = xr.DataArray(
        [[[0.1, 0.2], [np.nan, np.nan]], [[0.0, np.nan], [0.3, 0.3]], [[np.nan] * 2] * 2],
        {"family": ["these", "those", "none"], "entities": [2, 4], "seed": [0, 1]},
    )
    text = drawn(plots.human_share(guaranteed, needed))
    assert "these" in text
    assert "those" in text


def test_optimal_mix() -> None:
    names, shape = ("reuse", "efficiency", "at_half"), ("family", "entities", "seed")
    found = xr.Dataset(
        {name: (shape, np.full((2, 2, 1), 0.3)) for name in names},
        {"family": ["these", "those"], "entities": [2, 4]},
    )
    text = drawn(plots.optimal_mix(found, xr.DataArray([0.5, 0.4], {"entities": [2, 4]})))
    assert "best mix: these" in text


def timings(name: str, sizes: list[int], seconds: list[list[float]]) -> xr.DataArray:
    coords = {"program": ["ours", "theirs"], name: sizes}
    return xr.DataArray(seconds, coords, ("program", name), attrs={"title": "panel"})


def test_cost_tells_the_exponents() -> None:
    sizes = [2, 4, 8, 1000]
    seconds = [[k**1.5 for k in sizes], [k**3.0 for k in sizes[:3]] + [np.nan]]
    text = drawn(plots.cost(timings("entities", sizes, seconds), machine="a machine"))
    assert "theirs: exponent 3.00" in text
    assert "ours: exponent" not in text  # one size alone is within a factor of 16 of the largest
    assert "a machine" in text


def test_cost_of_nothing() -> None:
    nothing = timings("entities", [2], [[np.nan], [np.nan]])
    drawn(plots.cost(nothing, timings("dim", [3], [[1.0], [np.nan]])))


def test_no_global_setting_is_changed(ds) -> None:
    before = mpl.rcParams.copy()
    drawn(plots.efficiency_map(ds))
    drawn(plots.trajectories(errors(), errors()))
    assert mpl.rcParams.copy() == before
