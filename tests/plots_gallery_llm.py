"""Figures of language models, of pairing and of fingerprints, drawn small from made-up data."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from commensal import plots
from commensal.llm.fingerprint import _plots
from commensal.llm.reports import (
    plots_evolution,
    plots_interactive,
    plots_networks,
    plots_remedies,
    plots_segmented,
    plots_web,
)

NAMES = ["task1", "task2", "public"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def published_pairing() -> Figure:
    rows, judged = [], []
    score = SimpleNamespace(value=0.8)
    for fit, on in (("OPT-350m", "Llama, K = 2, T = 15"), ("Llama", "OPT-350m, K = 2, T = 15")):
        judged.append(
            SimpleNamespace(
                fitted_to=fit,
                judged_on=on,
                agreement=SimpleNamespace(prediction=[score] * 4),
                baselines={"table_of_means": [score] * 4},
            )
        )
        for alpha, model, task in itertools.product((0.0, 0.5, 1.0), (0, 1), (0, 1)):
            x = rng(int(10 * alpha + 2 * model + task)).normal()
            rows.append((fit, on, alpha, model, task, x, x + 0.2, x - 0.1, x + 0.15, 2))
    names = ["fitted_to", "judged_on", "alpha", "model", "task"]
    names += ["predicted", "observed", "low", "high", "models"]
    return plots.published_pairing(
        SimpleNamespace(rows=pd.DataFrame(rows, columns=names), judged=judged)
    )


def beside() -> Figure:
    names = ["scope", "baseline", "measure", "theory", "other", "verdict"]
    parts = itertools.product(("between", "later"), ("rule", "minimiser"), ("rank", "rmse"))
    rows = [
        (*part, 0.8, 0.5 + 0.3 * rng(n).random(), ("ahead", "cannot be told")[n % 2])
        for n, part in enumerate(parts)
    ]
    return plots.pairing_beside(pd.DataFrame(rows, columns=names))


def pairing_rows() -> pd.DataFrame:
    rows = []
    cells = itertools.product((0.0, 0.5, 1.0), (0.0, 1.0), (0, 1), NAMES, range(4))
    for n, (a, b, k, name, t) in enumerate(cells):
        loss = 3 - a * t * 0.3 + b * (t > 0) * 0.4 + 0.05 * rng(n).normal()
        values = {"observed": loss, "finite": loss + 0.1, "minimiser": loss - 0.3 * (t > 0)}
        values["finite_held_out"] = loss + 0.2 * (t > 0)
        where = {"alpha": a, "beta": b, "model": k, "dataset": name, "generation": t}
        rows.append(where | values)
    return pd.DataFrame(rows)


def llm(alpha=(0.0, 0.5, 1.0), beta=(0.5, 1.0), generations: int = 4) -> pd.DataFrame:
    rows, metrics = [], ("loss", "distinct_2", "entropy_2", "rare_perplexity", "kl")
    for a, b, t in itertools.product(alpha, beta, range(generations + 1)):
        for k, name in itertools.product(range(2), NAMES):
            for metric in metrics:
                value = 2 + 0.3 * a * t - 0.2 * b * (t > 0) + 0.1 * k
                rows.append((a, b, t, k, name, None, metric, value))
        for name in NAMES:
            rows.append((a, b, t, 0, name, 1, "similarity", 0.1 + 0.1 * a * t))
    names = ["alpha", "beta", "generation", "model", "dataset", "other", "metric", "value"]
    return pd.DataFrame(rows, columns=names).astype({"other": "Int64"})


def llm_embeddings() -> Figure:
    clouds = {f"t = {t}": rng(t).normal(size=(2, 3, 12, 5)) + t for t in (0, 5)}
    return plots_interactive.llm_embeddings(clouds, NAMES)


def accuracies(models: int, seed: int) -> pd.DataFrame:
    rows = [
        (m, t, 0.6 - 0.01 * t + 0.01 * rng(seed + m).integers(-3, 3))
        for m in range(models)
        for t in range(5)
    ]
    return pd.DataFrame(rows, columns=["replicate", "generation", "value"])


def llm_populations() -> Figure:
    panels = {f"N = {n}": accuracies(n, n) for n in (4, 16)}
    return plots_evolution.llm_populations(panels, accuracies(2, 9), law=0.65, chance=0.5)


def llm_evolution() -> Figure:
    labels = ["single lineage", "N = 4, by accuracy", "N = 4, by lot", "N = 4, unselected"]
    rows = [
        (label, r, t, metric, "x", 0.5 + 0.02 * i * t + 0.01 * r)
        for (i, label), r, t in itertools.product(enumerate(labels), range(2), range(5))
        for metric in ("accuracy", "kl")
    ]
    names = ["label", "replicate", "generation", "metric", "dataset", "value"]
    measures = {"selected": ("accuracy", "x"), "KL from the law (nats per word)": ("kl", "x")}
    return plots_evolution.llm_evolution(pd.DataFrame(rows, columns=names), measures)


def llm_texts() -> Figure:
    clouds = {f"t = {t}": rng(t).normal(size=(4, 5, 6)) + 3 * np.eye(6)[:5] for t in (0, 4)}
    return plots_evolution.llm_texts(
        {"N = 4": clouds, "single lineage": {t: v[:1] for t, v in clouds.items()}}
    )


def remedies() -> dict[str, np.ndarray]:
    t = np.arange(6)
    curves = np.array([0.1 * (i + 1) * t + 1 for i in (3, 2, 1, 4)])
    values = curves[:, None] + 0.05 * rng().normal(size=(4, 3, 6))
    return {"KL from the law\n(nats per word)": values, "distinct-4": 2 - values / 3}


REMEDIES = ["none", "5 % human", "noise", "diverse"]


def forest() -> Figure:
    told = [(-0.1, -0.2, -0.02), (0.1, -0.1, 0.3), (0.2, 0.1, 0.3)]
    return plots_remedies.llm_remedies_forest(dict.fromkeys(remedies(), told), REMEDIES[1:])


def segmented() -> pd.DataFrame:
    rows = []
    for r, (m, mu) in itertools.product(range(2), ((1, 9.0), (2, 8.0), (4, 7.5))):
        rows.append(("pooled", m, m, r, mu + 0.1 * r))
        if m > 1:
            rows.append(("alone", m, 1, r, mu + 0.5 + 0.1 * r))
    rows.append(("pooled", 4, 2.6, 0, 7.9))
    return pd.DataFrame(rows, columns=["ecosystem", "M", "D", "replicate", "overall"])


def segmented_perplexity() -> Figure:
    rows = [
        (e, m, d, r, t, "mu", mu + 0.4 * t / m + 0.1 * r)
        for e, m, d, r, mu in segmented().itertuples(index=False)
        for t in range(5)
    ]
    rows.append(("pooled", 1, 1, 0, 0, "base_mu", 10.0))
    names = ["ecosystem", "M", "D", "replicate", "generation", "metric", "value"]
    return plots_segmented.segmented_perplexity(pd.DataFrame(rows, columns=names), 6.5)


def segmented_distributions() -> Figure:
    panels = {
        f"t = {t}": {float(m): 8 + (t + m) * rng(m).gamma(2.0, 1.0, 300) for m in (1, 2, 4)}
        for t in (0, 4)
    }
    return plots_segmented.segmented_distributions(panels)


def segmented_split() -> Figure:
    parts = {"gain": 0.1, "fewer_tokens": 0.06, "pooling": 0.04, "moving_less": 0.12}
    parts["segmenting"] = -0.02
    rows = [(m, r, *(m * share for share in parts.values())) for m in (2, 4) for r in range(2)]
    names = ["M", "replicate", *parts]
    return plots_segmented.segmented_split(pd.DataFrame(rows, columns=names))


def web_table() -> pd.DataFrame:
    rows = [
        (n, b, r, t, (3 - b) / (t + 1) + 0.1 * r, 0.5)
        for n, b, r, t in itertools.product((2, 3), (0.25, 1.0), range(2), range(8))
    ]
    names = ["models", "read_share", "replicate", "generation", "disagreement", "sampling"]
    return pd.DataFrame(rows, columns=names)


def web_pairing() -> Figure:
    rows = [
        (f"β = {b}", t, 2.0 / (t + 1) + b, 0.5, 2 / (t + 1), 1.8)
        for b in (0.5, 1)
        for t in range(6)
    ]
    names = ["point", "generation", "measured", "sampling", "mixture", "retrieval"]
    return plots_web.llm_web_pairing(pd.DataFrame(rows, columns=names))


def web_law() -> Figure:
    rows = [
        (f"β = {b}", t, 2.0 / (t + 1) + b, 0.3, 2 / (t + 1) + b, 1.5 / (t + 1), 3 / (t + 1) + b)
        for b in (0.5, 1)
        for t in range(6)
    ]
    names = ["point", "generation", "measured", "noise", "law", "low", "high"]
    return plots_web.llm_web_law(pd.DataFrame(rows, columns=names))


MODELS = ["model A", "model B", "model C"]


def web_responses() -> Figure:
    clouds = {
        f"t = {t}": rng(t).normal(size=(3, 20, 2)) + 2 * np.eye(3)[:, None, :2] for t in (1, 30)
    }
    return plots_web.llm_web_responses(clouds, MODELS)


def web_paths() -> Figure:
    return plots_web.llm_web_paths(rng().normal(size=(12, 3, 2)).cumsum(axis=0), MODELS)


def web_variety() -> Figure:
    rows = [
        (k, t, metric, (1 + 0.1 * k) / (1 + t))
        for k, t, metric in itertools.product(range(3), range(6), ("spread", "synthetic_share"))
    ]
    names = ["model", "generation", "metric", "value"]
    return plots_web.llm_web_variety(pd.DataFrame(rows, columns=names), MODELS)


def fingerprints() -> dict[str, Callable[[], Figure]]:
    from commensal.llm import fingerprint as fp

    models = fp.Models(
        tuple(f"vendor/m{i}" for i in range(12)),
        tuple("abc"[i % 3] for i in range(12)),
        np.arange(12.0),
    )
    near = np.equal.outer(models.codes(), models.codes())
    similarity = 0.2 + 0.2 * near + 0.05 * rng().random((12, 12))
    similarity = (similarity + similarity.T) / 2
    flows = {
        name: similarity + s * np.subtract.outer(-np.arange(12), -np.arange(12)) / 50
        for name, s in (("score", 1), ("equal", 0))
    }
    found = {
        name: fp.asymmetry(flow, models.codes(), models.dates, width=3, resamples=20, seed=0)
        for name, flow in flows.items()
    }
    return {
        "similarity_densities": lambda: _plots.similarity_densities(
            fp.pairs_of(similarity, models.codes())
        ),
        "similarity_matrix": lambda: _plots.similarity_matrix(similarity, models),
        "influence_over_lags": lambda: _plots.influence_over_lags(flows, found, models),
    }


def networks() -> Figure:
    courses = rng().random((4, 3, 6)).cumsum(axis=-1)
    return plots_networks.llm_networks(
        {"own loss": courses, "likeness": -courses}, ["isolated", "ring:0.5", "uniform", "ring:0"]
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "llm_changes": lambda: plots_interactive.llm_changes(llm(), NAMES),
    "llm_diversity": lambda: plots_interactive.llm_diversity(llm(), NAMES),
    "llm_embeddings": llm_embeddings,
    "llm_evolution": llm_evolution,
    "llm_losses": lambda: plots_interactive.llm_losses(llm(), NAMES, {"task1": 1.5}),
    "llm_networks": networks,
    "llm_populations": llm_populations,
    "llm_remedies": lambda: plots_remedies.llm_remedies(remedies(), REMEDIES),
    "llm_remedies_forest": forest,
    "llm_similarity": lambda: plots_interactive.llm_similarity(llm(), NAMES),
    "llm_texts": llm_texts,
    "llm_web_disagreement": lambda: plots_web.llm_web_disagreement(web_table()),
    "llm_web_law": web_law,
    "llm_web_pairing": web_pairing,
    "llm_web_paths": web_paths,
    "llm_web_responses": web_responses,
    "llm_web_variety": web_variety,
    "pairing_beside": beside,
    "pairing_changes": lambda: plots.pairing_changes(pairing_rows(), NAMES),
    "pairing_curves": lambda: plots.pairing_curves(pairing_rows(), NAMES, 1.0),
    "pairing_points": lambda: plots.pairing_points(
        pairing_rows(), NAMES, {"finite": "finite training", "minimiser": "minimiser"}
    ),
    "published_pairing": published_pairing,
    "segmented_distributions": segmented_distributions,
    "segmented_optimum": lambda: plots_segmented.segmented_optimum(segmented()),
    "segmented_perplexity": segmented_perplexity,
    "segmented_split": segmented_split,
} | fingerprints()
