"""Every figure of the package, drawn small from made-up data that use all that it can show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from commensal import plots
from commensal.claims import _picture
from tests.plots_gallery_llm import FIGURES as of_language_models
from tests.plots_gallery_llm import rng


def sweep(which: tuple[int, ...] = (2, 4)) -> xr.Dataset:
    """As a sweep gives it: part of the square unstable, part of it biased."""
    axis = np.linspace(0, 1, 11)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    parts = []
    for k in which:
        radius = 0.25 + 1.2 * a * (0.4 + 0.6 * b) ** (1 / k)
        stable = radius < 1
        efficiency = np.where(stable, 0.6 - 0.8 * (a - 0.4) ** 2 - (b - 0.7) ** 2, np.nan)
        efficiency[:2, 0] = np.nan
        models = efficiency[..., None] + 0.02 * np.arange(k)
        cells = ("alpha", "beta")
        one = xr.Dataset(
            {
                "relative_efficiency": ((*cells, "model"), models),
                "spectral_radius": (cells, radius),
                "consensus_distance": (cells, np.where(stable, a, np.nan)),
                "stable": (cells, stable),
                "stability_bound": ((), (1 + k**0.5) / 2),
                "optimal_alpha": ("objective", [0.4, 0.35]),
                "optimal_beta": ("objective", [0.7, 0.75]),
            },
            {"alpha": axis, "beta": axis, "model": np.arange(k), "objective": ["mean", "worst"]},
        )
        parts.append(one.expand_dims(models=[k]))
    return xr.concat(parts, "models", join="outer")


def trajectories() -> Figure:
    dims = ("alpha", "beta", "generation", "model")
    names = {"mse": "error of the estimate (MSE)", "own": "error on the own task (MSPE)"}
    values = rng().uniform(1, 2, (3, 2, 6, 2)).cumsum(axis=2)
    theory = xr.Dataset(
        {
            name: (dims, values * (i + 1), {"long_name": text})
            for i, (name, text) in enumerate(names.items())
        },
        {"alpha": [0.0, 0.5, 1.0], "beta": [0.0, 0.5], "generation": range(6), "model": [0, 1]},
    )
    return plots.trajectories(theory, theory.assign(mse_standard_error=0.05 * theory.mse))


def regression_errors() -> Figure:
    dims, mse = ("generation", "model"), rng().uniform(2, 3, (6, 3))
    runs = xr.Dataset(
        {
            "mse": (dims, mse),
            "mse_standard_error": (dims, 0.05 * mse),
            "mse_theory": (dims, 1.02 * mse),
            "pooled_mse": 1.0,
        },
        {"generation": np.arange(6), "model": np.arange(3)},
    )
    return plots.regression_errors(runs)


def human_share() -> Figure:
    models = np.array([1, 10, 100, 1000])
    k = np.sqrt(models)
    needed = xr.DataArray(
        [[[0.17, 0.17], [0.33, 0.33], [0.77, 0.77]], [[0.0, 0.1], [0.05, 0.2], [0.0, 0.0]]],
        {"family": ["misaligned data", "Gaussian, d = 15"], "models": [2, 4, 64], "seed": [0, 1]},
    )
    return plots.human_share(xr.DataArray((k - 1) / (k + 1), {"models": models}), needed)


def reading_stability() -> Figure:
    share, seeds = np.linspace(0, 1, 5), [0, 1, 2]
    rho = 0.5 + 0.2 * share[:, None] + 0.05 * rng().random((5, 3))
    regimes = {"regime": ["private prompts", "fresh prompts, 5 of 15 directions"]}
    values = [rho, rho + 0.4]
    return plots.reading_stability(
        xr.DataArray(values, {**regimes, "self_share": share, "seed": seeds})
    )


def reading_agreement() -> Figure:
    sources, noise = np.array([6.0, 1.0, 2.0, 3.3]), 0.05 * rng().random((4, 3))
    return plots.reading_agreement(
        xr.Dataset(
            {
                "consensus_distance": (("network", "seed"), 0.7 - 0.05 * sources[:, None] + noise),
                "relative_efficiency": (
                    ("network", "seed"),
                    0.15 + 0.05 * sources[:, None] + noise,
                ),
                "sources": ("network", sources),
            },
            {"network": ["uniform", "ring", "star:0.3", "self:0.5"], "seed": [0, 1, 2]},
        )
    )


def prompts_safety() -> Figure:
    models, prompts, seeds = [2, 4], [5, 30, 300], [0, 1, 2]
    safe = np.array([0.5, 1.0])[:, None, None] / np.array(prompts)[:, None]
    safe = safe + 0.01 * rng().random((2, 3, 3))
    known = {"models": models, "prompts": prompts, "seed": seeds}
    limits = xr.DataArray([0.172, 1 / 3], {"models": models})
    return plots.prompts_safety(xr.DataArray(safe, known), limits)


def memories() -> Figure:
    n = np.array([1, 2, 5, 10, 30, 100])

    def of(**exponents: float) -> xr.Dataset:
        theory = np.stack([n ** float(p) for p in exponents.values()])
        few = np.where(n < 50, theory, np.nan)
        theory[0, -1] = np.nan
        values = {"theory": theory, "simulated": few, "standard_error": 0.05 * few}
        names = [f"everything, real share {name}" for name in exponents]
        coords = {"memory": names, "generation": n}
        return xr.Dataset({k: (("memory", "generation"), v) for k, v in values.items()}, coords)

    return plots.memories(of(a=1.0, b=0.1), of(c=-0.5, d=-1.0, e=-0.9), of(a=4.0, c=1.0, f=0.2))


def redrawn_prompts() -> Figure:
    names = {"network": ["all read all alike", "all read all others"]}
    names["drawn"] = ["asked again", "drawn anew"]
    values = np.array([[0.9, 0.05, -0.06], [0.5, -0.08, -0.07]])[None, :, :, None]
    values = values + 0.02 * rng().random((2, 2, 3, 2))
    return plots.redrawn_prompts(
        xr.DataArray(values, {**names, "prompts": [1, 5, 60], "seed": [0, 1]})
    )


def optimal_mix() -> Figure:
    shape = ("family", "models", "seed")
    values = {
        name: (shape, np.array([[[x], [x / 2]], [[0.9 * x], [0.4 * x]]]))
        for name, x in (("reuse", 0.6), ("efficiency", 0.6), ("at_half", 0.55))
    }
    found = xr.Dataset(values, {"family": ["rank 5", "rank 15"], "models": [4, 64]})
    return plots.optimal_mix(found, xr.DataArray([0.75, 0.3, 0.1], {"models": [2, 16, 500]}))


def cost() -> Figure:
    sizes = [2, 8, 32, 512]
    seconds = [[1e-4 * k**1.2 for k in sizes], [*(1e-3 * k**2 for k in sizes[:3]), np.nan]]
    coords = {"program": ["commensal", "dense formulas"], "models": sizes}
    one = xr.DataArray(seconds, coords, ("program", "models"), attrs={"title": "d = 15"})
    one["models"].attrs["long_name"] = "K: number of models"
    return plots.cost(one, one, machine="a machine")


def lineages(dimensions: int = 1) -> Figure:
    t, steps = np.arange(60), rng().normal(-0.01, 0.14, (40, 60))
    steps[:, 0] = 0
    log_variance = steps.cumsum(axis=1)
    mean = (0.1 * rng(1).standard_normal((40, 60)) * np.exp(log_variance / 2)).cumsum(axis=1)
    w2 = mean**2 + (np.exp(log_variance / 2) - 1) ** 2
    dims = ("replicate", "generation")
    if dimensions == 1:
        values = {"log_variance": log_variance, "mean": mean, "w2": w2}
        theory = {
            "std_median": np.exp(-0.005 * t),
            "std_mean": np.exp(-0.002 * t),
            "mean_deviation": np.sqrt(t) / 10,
            "w2_mean": t / 100,
        }
    else:
        values = {"log_determinant": log_variance, "log_trace": log_variance + 1}
        values |= {"mean_squared_error": mean**2, "w2": w2}
        theory = {"log_determinant_mean": -0.01 * t}
    runs = xr.Dataset({n: (dims, v) for n, v in values.items()}, {"generation": t})
    curves = xr.Dataset({n: ("generation", v) for n, v in theory.items()}, {"generation": t})
    return plots.lineages(runs, curves)


def population(drift: float, replicates: int = 12) -> xr.Dataset:
    t = np.arange(80)
    walk = (drift * rng().standard_normal((replicates, 80))).cumsum(axis=1)
    std = np.exp(-t * drift * 0.2) * (1 + 0.05 * rng(1).standard_normal((replicates, 80)))
    w2 = walk**2 + (std - 1) ** 2
    walk[:, 0], std[:, 0], w2[:, 0] = 0, 1, 0
    values = {"mean_average": walk, "std_average": std, "w2_median": w2, "w2_best": w2 / 50}
    dims = ("replicate", "generation")
    return xr.Dataset({n: (dims, v) for n, v in values.items()}, {"generation": t})


def populations_over_time() -> Figure:
    runs = {"population of 16": population(0.002), "single lineage": population(0.2)}
    return plots.populations_over_time(runs, dict.fromkeys(runs, 0))


def populations_by_run() -> Figure:
    return plots.populations_by_run(population(0.002), population(0.2), range(3))


def selection_ablation() -> Figure:
    w2 = np.array([1.6, 0.5, 0.014, 0.011, 0.1, 0.02, 0.004, 0.015, 0.4])
    families = ["nobody selects"] * 2 + ["oracle selects"] * 2
    families += ["held-out real points select"] * 2 + ["noisy oracle selects"] * 3
    settings = xr.Dataset(
        {n: ("setting", w2 * f) for n, f in (("w2", 1), ("w2_low", 0.3), ("w2_high", 4))}
        | {"family": ("setting", families)},
        {"setting": [f"setting {i}" for i in range(w2.size)]},
    )
    x = np.array([10, 30, 100, 300])

    def curve(names: list[str], label: str, **of: str) -> xr.Dataset:
        values = np.array([0.1 * (i + 1) / x**0.5 for i in range(len(names))])
        dims = ("curve", "x")
        ds = xr.Dataset(
            {n: (dims, values * f) for n, f in (("w2", 1), ("w2_low", 0.3), ("w2_high", 4))},
            {"curve": names, "x": x},
            of,
        )
        ds["x"].attrs["long_name"] = label
        return ds

    curves = {
        "held-out points that select": curve(
            ["the same for ever", "new each generation"], "m", family=families[4]
        ),
        "noise of the oracle": curve(
            ["n = 30", "n = 100", "n = 300"], "noise, in σ", family=families[6]
        ),
        "number of models": curve(["nobody selects", "oracle selects"], "N: models"),
    }
    levels = {"held-out points that select": {"oracle's level": (x, 0.004 + 0 * x)}}
    return plots.selection_ablation(settings, curves, levels)


def tail_bounds() -> Figure:
    from commensal.theory.gaussian import tail_table

    return plots.gaussian_tail_bounds(tail_table(n=(2, 100), scaled=np.linspace(0.5, 200, 60)))


def ecosystem_phases() -> Figure:
    tokens, hold = np.geomspace(1e3, 1e6, 12), np.geomspace(1e2, 1e6, 14)
    best = np.clip(1e6 / np.outer(tokens, hold / 1e4), 1, 64).round()
    ds = xr.Dataset(
        {
            "best_models": (("measure", "tokens", "hold"), [best, best.clip(1, 3), best * 0 + 1]),
            "best_hold": (("measure", "tokens"), [1e4 + 0 * tokens] * 3),
            "window_low": (("measure", "tokens"), [np.nan * tokens, tokens / 10, np.nan * tokens]),
            "window_high": (("measure", "tokens"), [np.nan * tokens, tokens, np.nan * tokens]),
        },
        {"measure": ["perplexity", "chi_square", "squares"], "tokens": tokens, "hold": hold},
        {"most_tried": 64},
    )
    return plots.ecosystem_phases(ds)


def ecosystem_gain() -> Figure:
    models = np.array([1, 2, 4, 8])
    means = {
        "one": [418.0] * 4,
        "alone": [418.0, 402, 371, 353],
        "slower": [418.0, 333, 311, 315],
        "ecosystem": [418.0, 345, 326, 329],
    }
    ds = xr.Dataset({n: ("models", v) for n, v in means.items()}, {"models": models})
    noise = rng().standard_normal((4, 6))
    for name, values in means.items():
        ds[f"simulated_{name}"] = (("models", "replicate"), np.array(values)[:, None] + noise)
    return plots.ecosystem_gain(ds)


def ecosystem_perplexities() -> Figure:
    def run(seed: int) -> xr.Dataset:
        values = 300 + 20 * rng(seed).standard_normal((5, 2, 4)) * np.array([1, 2])[:, None]
        return xr.Dataset(
            {
                "model_perplexity": (("replicate", "generation", "model"), values),
                "pool_perplexity": (("replicate", "generation"), values.mean(axis=-1) - 10),
            },
            {"generation": [1, 10]},
        )

    return plots.ecosystem_perplexities({"M = 4": run(0), "M = 16": run(1)})


def words_retention() -> Figure:
    rows = [
        (remedy, sample, replicate, t, 0.9**t + 0.02 * replicate, 0.9**t, 0.95**t)
        for remedy in ("none", "20 % human")
        for sample in (10_000, 1_000)
        for replicate in range(2)
        for t in range(5)
    ]
    names = ["remedy", "sample", "replicate", "generation", "relative", "law", "chance"]
    return plots.words_retention(pd.DataFrame(rows, columns=names))


def forecast_curves() -> Figure:
    t, names = np.arange(11.0), [f"rank_{rank}_seed_{seed}" for rank in (4, 256) for seed in (1, 2)]
    loss = {name: 0.5 + i for i, name in enumerate(names)}
    rows = [
        {"run": name, "generation": int(g), "value": 79 - rate * g**0.7 + rng().normal()}
        for name, rate in loss.items()
        for g in t
    ]
    told = [
        {
            "run": name,
            "generation": int(g),
            "predicted": 79 - rate * g**0.7,
            "low": 78 - rate * g**0.7 - 0.2 * g,
            "high": 80 - rate * g**0.7 + 0.2 * g,
        }
        for name, rate in loss.items()
        for g in t[4:]
    ]
    measured = pd.DataFrame(rows)
    return plots.forecast_curves(
        measured.loc[measured["generation"] < 4], pd.DataFrame(told), quantity="facts retained"
    )


def selection_course() -> Figure:
    t = np.arange(31)
    law = 0.6 * (1 - 0.8**t)
    told = {"long_name": "share of answers near the highest reward"}
    runs = xr.DataArray(
        law + 0.02 * rng().normal(size=(40, 31)),
        {"generation": t},
        ("replicate", "generation"),
        attrs=told,
    )
    return plots.selection_course(runs, xr.DataArray(law, {"generation": t}), limit=0.6)


def vocabulary() -> Figure:
    law = 1 / np.arange(1.0, 201)
    expected, t = 400 * law / law.sum(), np.arange(1, 21)
    rate = 2 / (t + 1)
    words = np.array([-np.expm1(-expected * c).sum() for c in rate])
    alive = -np.expm1(-expected * rate[-1])
    ds = xr.Dataset(
        {
            "richness": (("replicate", "generation"), rng().poisson(words, (30, 20))),
            "survivors": (("replicate", "word"), rng().uniform(size=(30, 200)) < alive),
            "law": ("word", law / law.sum()),
            "expected": ("word", expected),
        },
        {"generation": t},
    )
    theory = {"richness": ("generation", words), "survival": ("word", alive)}
    return plots.vocabulary(ds, xr.Dataset(theory, {"generation": t}))


def corpus_audit() -> Figure:
    verdicts = ["narrower", "wider", "different", "cannot be told"]
    table = pd.DataFrame(
        {
            "index": ["rare_retention", "entropy_1", "drift", "vendi"],
            "difference": [-0.6, 0.2, 0.1, 0.01],
            "low": [-0.65, 0.15, 0.02, -0.1],
            "high": [-0.55, 0.25, 0.18, 0.12],
            "verdict": verdicts,
        }
    )
    edges = [0.0, 1.0, 2.0, 4.0, 8.0]
    human, ours = [0.3, 0.6, 0.8, 0.95], [0.1, 0.25, 0.45, 0.7]
    survival = pd.DataFrame(
        {
            "above": edges[:-1],
            "up_to": edges[1:],
            "generated": ours,
            "human": human,
            "law": [0.09, 0.26, 0.47, 0.68],
        }
    )
    return plots.corpus_audit(table, survival)


def web_runs(replicates: int = 20) -> xr.Dataset:
    t = np.arange(60)
    norm = np.abs(1 + 0.3 * rng().standard_normal((replicates, 60))) / np.sqrt(t + 1)
    weights = np.full((replicates, 60, 3, 2), 0.5)
    weights[:, :50, 2, 0] = 1e-6
    weights[..., 1] = 1 - weights[..., 0]
    return xr.Dataset(
        {
            "disagreement": (("replicate", "generation"), norm),
            "weights": (("replicate", "generation", "model", "component"), weights),
        },
        {"generation": t, "model": range(3)},
    )


def disagreements() -> Figure:
    t = np.arange(60)
    return plots.disagreements(web_runs(), xr.DataArray(1 / np.sqrt(t + 1), {"generation": t}))


def mixture_histograms() -> Figure:
    x = np.linspace(-8, 8, 81)
    density = np.exp(-((x - 3) ** 2) / 2) / np.sqrt(2 * np.pi)
    at = {"generation": [1, 200], "model": range(3)}
    points = 3 + rng().standard_normal((2, 3, 400))
    return plots.mixture_histograms(
        xr.DataArray(points, at, ("generation", "model", "point")),
        xr.DataArray(
            np.broadcast_to(density, (2, 3, 81)), at | {"x": x}, ("generation", "model", "x")
        ),
    )


def sudden_falls() -> Figure:
    runs = {"far apart": web_runs(), "close: the run that falls most": web_runs()}
    t, factors = np.arange(60), np.array([1.25, 2, 3])
    counts = xr.Dataset(
        {
            name: (("kind", "factor"), np.array([[60, 30, 20], [30, 1, 0.03]]) * f)
            for name, f in (("theory", 1.0), ("simulated", 1.1))
        },
        {"kind": ["B = 2", "B = 11"], "factor": factors},
    )
    law = xr.DataArray(1 / np.sqrt(t + 1), {"generation": t})
    return plots.sudden_falls(runs, dict.fromkeys(runs, 0), law, counts)


def evidence() -> Figure:
    from commensal.claims import Panel

    x = [1, 2, 4, 8]
    points = [("simulated", [1.05, 0.52, 0.24, 0.13], [0.02] * 4)]
    return _picture.evidence(
        Panel(x, [("theory", [1, 0.5, 0.25, 0.125])], points, "models M", "error", "x")
    )


def overlap(sources: int = 5) -> Figure:
    names = [
        "a lab",
        "another lab",
        "plays",
        "sums",
        "public",
        *(f"lab {n}" for n in range(6, 20)),
    ][:sources]
    values = rng().uniform(0.1, 0.9, (sources, sources))
    values = (values + values.T) / 2
    values[0, 1] = values[1, 0] = np.nan
    np.fill_diagonal(values, 1)
    pair = ("source", "other")
    ends = {"overlap_low": (pair, values - 0.05), "overlap_high": (pair, values + 0.05)}
    points = rng().standard_normal((40 * sources, 2)) + 2 * rng(1).standard_normal(
        (sources, 1, 2)
    ).repeat(40, 1).reshape(-1, 2)
    documents = {
        "point": (("document", "direction"), points),
        "whose": ("document", np.repeat(np.arange(sources), 40)),
    }
    coords = {"source": names, "other": names}
    return plots.overlap(xr.Dataset({"overlap": (pair, values)} | ends | documents, coords))


def planned_errors() -> Figure:
    t = np.arange(7)
    mean = 1 + 0.3 * np.sin(t)
    parts = {"mean": mean, "low": 0.4 * mean, "high": 1.8 * mean, "best": 0.8 * mean}
    data = {name: ("generation", values) for name, values in parts.items()}
    return plots.planned_errors(xr.Dataset(data | {"settled": 1.1, "until": 1.5}))


def sensitivities() -> Figure:
    inputs = ["real", "synthetic", "models", "generations", "private_share", "exponent"]
    values = 1 + 0.2 * rng().standard_normal((6, 2))
    values[1] = np.nan
    outcomes = ["error", "settled", "vocabulary"]
    data = dict.fromkeys((*outcomes, "value"), (("input", "side"), values))
    return plots.sensitivities(
        xr.Dataset(
            data | {"base": ("outcome", [1.0, 1.0, 1.0])},
            {"input": inputs, "side": ["low", "high"], "outcome": outcomes},
        )
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "consensus_map": lambda: plots.consensus_map(sweep()),
    "cost": cost,
    "corpus_audit": corpus_audit,
    "disagreements": disagreements,
    "ecosystem_gain": ecosystem_gain,
    "ecosystem_perplexities": ecosystem_perplexities,
    "ecosystem_phases": ecosystem_phases,
    "efficiency_map": lambda: plots.efficiency_map(sweep()),
    "efficiency_over_alpha": lambda: plots.efficiency_over_alpha(sweep(), 2, [sweep()]),
    "evidence": evidence,
    "gaussian_tail_bounds": tail_bounds,
    "human_share": human_share,
    "lineages": lineages,
    "lineages (several dimensions)": lambda: lineages(2),
    "memories": memories,
    "mixture_histograms": mixture_histograms,
    "optimal_mix": optimal_mix,
    "overlap": overlap,
    "overlap (many sources)": lambda: overlap(12),
    "planned_errors": planned_errors,
    "populations_by_run": populations_by_run,
    "populations_over_time": populations_over_time,
    "reading_stability": reading_stability,
    "reading_agreement": reading_agreement,
    "prompts_safety": prompts_safety,
    "redrawn_prompts": redrawn_prompts,
    "regression_errors": regression_errors,
    "selection_ablation": selection_ablation,
    "sensitivities": sensitivities,
    "stability_map": lambda: plots.stability_map(sweep()),
    "sudden_falls": sudden_falls,
    "trajectories": trajectories,
    "forecast_curves": forecast_curves,
    "vocabulary": vocabulary,
    "selection_course": selection_course,
    "words_retention": words_retention,
} | of_language_models
