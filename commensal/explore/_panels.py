"""Panels of the live explorer: simulation and closed form side by side, and what they say."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, get_args

import numpy as np

from commensal.claims import PREMISES, Paper, Verdict
from commensal.explore._charts import Chart, Series, View
from commensal.explore._controls import LABELS, Control

_REPLICATES = 400
_WEBS = 40  # simulated webs of mixtures
_DRAWS = 3e7  # points that all of them draw
_SEEDS = Control("seed", "seed", tuple(range(10)))

CELL_CONTROLS = (Control("generations", "generations that are followed", (10, 20, 40, 80), 1),)
"""Controls of the trajectory of one cell."""

MEMORY = Control(
    "memory", LABELS["memory"], ("replace", "window 2", "window 3", "window 5", "accumulate")
)
"""Part of the web that is read, of the map and of the trajectory; a window has the last few."""


class Tab(NamedTuple):
    """One tab of the live explorer: its controls, and what their values show."""

    name: str
    title: str
    controls: tuple[Control, ...]
    panel: Callable[..., View]
    """Called with the control's values by name."""


@lru_cache(maxsize=64)
def cell_panel(
    settings: tuple[tuple[str, Any], ...],
    alpha: float,
    beta: float,
    generations: int,
    memory: str,
) -> View:
    """Follow one cell of the map over the generations, in closed form and simulated.

    Parameters
    ----------
    settings : tuple of (str, value)
        Settings of the system, as for :func:`commensal.explore._live.live_map`.
    alpha, beta : float
        Mix of the cell.
    generations : int
        Number of generations T.
    memory : str
        Part of the web that is read, a value of :data:`MEMORY`.

    Returns
    -------
    View
        Mean squared error by generation, mean over models: closed form, and mean ± 2 s.d. of
        simulated runs.
    """
    from commensal.sims import regression as sims
    from commensal.theory import regression as theory

    given: dict[str, Any] = dict(settings)
    memory, *window = memory.split()
    given |= {"alpha": alpha, "beta": beta, "generations": generations, "memory": memory}
    given |= {"window": int(window[0])} if window else {}
    config = sims.RegressionConfig(**given, replicates=_REPLICATES)
    runs = sims.simulate(config)
    error = runs["squared_error"].mean("model")
    mean, spread = error.mean("replicate").values, 2 * error.std("replicate", ddof=1).values
    w = theory.RegressionWorkflow(
        **config.gram_matrices(config.models),
        alpha=alpha,
        beta=beta,
        noise=config.noise,
        human_share=config.human_share,
        reads=config.network(config.models),
    )
    theta = runs["theta"].values
    law = theory.trajectory(w, theta, generations, memory=memory, window=config.window)
    exact = np.asarray(theory.mse(law, theta)).mean(axis=-1)
    t = np.arange(generations + 1)
    growing = bool(exact.max() > 100 * exact.min())
    band = np.maximum(mean - spread, 0), mean + spread
    lines = (
        Series("closed form", t, exact),
        Series(f"simulated, {_REPLICATES} runs: mean ± 2 s.d.", t, mean, *band),
    )
    change = exact[-1] / exact[0] if exact[0] > 0 else np.inf
    said = (
        f"After {generations} generations the error here is {change:.3g} times the first.",
        f"At the end it is {exact[-1]:.4g} in closed form and {mean[-1]:.4g} ± "
        f"{spread[-1] / np.sqrt(_REPLICATES):.2g} (two standard errors) in simulated runs.",
    )
    chart = Chart(
        "Mean squared error of the estimates", "generation", "squared error", lines, log=growing
    )
    return View(said, (chart,), _command("regression", given))


def _gaussian(samples: int, generations: int, memory: str, human_share: float, seed: int) -> View:
    """Draw quantiles of the standard deviation of a lineage over the generations."""
    from commensal.sims.gaussian import GaussianConfig, simulate
    from commensal.theory import gaussian as theory

    given = {"samples": samples, "generations": generations, "memory": memory, "seed": seed}
    given |= {"human_share": human_share} if human_share else {}
    runs = simulate(GaussianConfig(**given, replicates=2000))
    log_std = 0.5 * runs["log_variance"].values
    t = runs["generation"].values
    low, median, high = np.exp(np.quantile(log_std, [0.05, 0.5, 0.95], axis=0))
    lines = [Series("simulated, 2000 lineages: median, 5 to 95 %", t, median, low, high)]
    said = [f"After {t[-1]} generations half of the lineages have σ below {median[-1]:.3g} σ₀."]
    if human_share == 0:
        at = np.unique(np.round(np.linspace(1, generations, 9)).astype(int))
        lines += [
            Series(f"theory: {q:.0%} quantile", at, theory.std_quantile(q, at, samples, memory))
            for q in (0.05, 0.5, 0.95)
        ]
        exact = float(theory.std_quantile(0.5, generations, samples, memory))
        said.append(f"The exact median is {exact:.3g} σ₀.")
        if memory == "replace":
            said.append(
                "Every lineage dies out in the end: the mean of σ² stays 1, carried by ever fewer."
            )
    else:
        points = round(human_share * samples)
        said.append(
            f"Of the {samples} points of each generation {points} are fresh from the truth"
            + (": the spread does not die." if points else ", too few to help.")
        )
    chart = Chart("Standard deviation of a lineage", "generation", "σ", lines, log=True)
    return View(said, (chart,), _command("gaussian", given | {"replicates": 2000}))


def _mixture(
    models: int, components: int, posts: int, read_share: float, generations: int, seed: int
) -> View:
    """Draw how far mixtures on one web are apart: simulated, exact, and by its law at rest."""
    from commensal.sims.mixture import MixtureConfig, simulate
    from commensal.theory import mixture as theory

    points = 20  # on the web before anyone posts, as in the paper's language models
    setup = theory.Setup(models, components, posts, read_share, points)
    exact = np.sqrt(np.asarray(theory.second_moments(setup, generations).disagreement))
    even = np.full(components, 1 / components)
    at = np.unique(np.geomspace(10, generations, 12).round().astype(int))
    every = np.asarray(setup.schedule(generations).draws)
    draws = every[at - 1]
    # as many generations as can be simulated while a reader waits
    last = max(10, int(np.searchsorted(models * np.cumsum(every, dtype=float), _DRAWS / _WEBS)))
    given = {
        "models": models,
        "components": components,
        "posts": posts,
        "read_share": read_share,
        "generations": min(last, generations),
        "seed": seed,
    }
    runs = simulate(MixtureConfig(**given, replicates=_WEBS, keep="summary"))
    apart = runs["disagreement"].values
    low, high = np.quantile(apart, [0.05, 0.95], axis=0)
    quantiles = {
        q: [theory.disagreement_quantile(q, even, models, int(k), read_share) for k in draws]
        for q in (0.05, 0.5, 0.95)
    }
    lines = (
        Series("root mean square, exact", np.arange(generations + 1), exact),
        Series(
            f"simulated, {_WEBS} webs: root mean square, 5 to 95 %",
            runs["generation"].values,
            np.sqrt((apart**2).mean(axis=0)),
            low,
            high,
        ),
        Series(
            "law at rest, of even weights: median, 5 to 95 %",
            at,
            quantiles[0.5],
            quantiles[0.05],
            quantiles[0.95],
        ),
    )
    tenth = np.flatnonzero(exact < exact[0] / 10)
    when = f"a tenth of it is left at generation {tenth[0]}" if tenth.size else "it stays near that"
    said = (
        f"At first the models are {exact[0]:.3g} apart; {when}, and {exact[-1]:.3g} is left at "
        f"generation {generations}.",
        "They agree in the end, on a mixture that chance has chosen.",
    )
    chart = Chart("Distance between the mixtures, ‖D‖", "generation", "‖D‖", lines, log=True)
    return View(said, (chart,), _command("mixture", given | {"replicates": _WEBS}))


def _ecosystem(tokens: int, hold: int, generations: int, measure: str) -> View:
    """Draw the measure over the number of models that share a budget of tokens."""
    from commensal.theory import ecosystem as theory

    kind: Any = measure.replace(" ", "_")
    vocabulary = theory.zipf()
    models = np.arange(1, 33)
    models = models[models <= tokens / 2]
    values = theory.mean_measure(vocabulary, tokens, models, float(hold), generations, kind)
    best = int(models[np.argmin(values)])
    parts = theory.gain(vocabulary, tokens, models, float(hold), generations, kind)
    lines = (
        Series("M models that pool their texts", models, values),
        Series("one model on N/M tokens", models, np.broadcast_to(parts.alone, models.shape)),
        Series("one on all tokens that moves as little", models, parts.slower),
    )
    at = best - 1
    said = [
        f"The best number of models is {best}: {measure} {values[at]:.4g}, and {values[0]:.4g} "
        "for one model."
    ]
    if best > 1:
        slower = float(np.broadcast_to(parts.slower, models.shape)[at])
        more = "as well or better" if slower <= values[at] else "not as well"
        said.append(
            f"One model that moves as little as each of the {best} does {more}: {slower:.4g}."
        )
    title = f"Mean {measure} over {generations} generations"
    options = {"models": best, "tokens": tokens, "hold": hold, "generations": generations}
    command = _command("ecosystem", options) if tokens % best == 0 else ""
    return View(said, (Chart(title, "number of models M", measure, lines),), command)


def _command(process: str, options: Mapping[str, Any]) -> str:
    from commensal.sims import regression

    words = ["commensal", "simulate", process]
    defaults = regression.RegressionConfig.model_fields if process == "regression" else {}
    for name, value in options.items():
        if name not in defaults or value != defaults[name].default:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    return shlex.join(words)


def _claims(paper: str, verdict: str, premise: str) -> View:
    """List claims, the whole of which `commensal check` checks again."""
    from commensal.claims import all_claims

    shown = [one for one in all_claims() if paper in (_EVERY, one.paper)]
    shown = [one for one in shown if verdict in (_EVERY, one.verdict)]
    shown = [one for one in shown if premise in (_EVERY, *one.premises)]
    rows = [
        (one.verdict, one.statement, ", ".join(one.premises), one.where, one.id) for one in shown
    ]
    said = (
        f"{len(shown)} of {len(all_claims())} claims; each has a check that a computer repeats.",
        "The verdict is the recorded one: the command checks it again.",
    )
    command = "commensal check" + ("" if paper == _EVERY else f" --paper {paper}")
    return View(said, (), command, (("verdict", "claim", "rests on", "where", "id"), *rows))


_EVERY = "all"
_SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)

TABS = (
    Tab(
        "gaussian",
        "Gaussian lineages",
        (
            Control("samples", "n, points of each generation", (5, 10, 20, 50, 100, 200, 500), 3),
            Control("generations", "generations", (20, 50, 100, 200, 500), 2),
            Control("memory", "memory", ("replace", "accumulate")),
            Control("human_share", "φ, share of fresh human points", _SHARES),
            _SEEDS,
        ),
        _gaussian,
    ),
    Tab(
        "mixture",
        "Mixtures",
        (
            Control("models", "n, number of models", (2, 3, 5, 10, 20), 1),
            Control("components", "B, components of a mixture", (2, 3, 5, 10)),
            Control("posts", "L, posts of a model in each generation", (1, 2, 3, 5, 10, 20), 2),
            Control("read_share", "share of the web that is read", (0.1, 0.2, 0.5, 0.8, 1.0), 2),
            Control("generations", "generations", (20, 50, 100, 200, 500, 1000), 3),
            _SEEDS,
        ),
        _mixture,
    ),
    Tab(
        "ecosystem",
        "Ecosystems",
        (
            Control("tokens", "N, tokens of a generation", (1000, 4000, 16000, 64000, 256000), 2),
            Control("hold", "λ, how much a model holds on to", (100, 500, 1000, 5000, 20000), 3),
            Control("generations", "generations", (2, 5, 10, 20, 50), 2),
            Control("measure", "measure", ("perplexity", "chi square", "squares")),
        ),
        _ecosystem,
    ),
    Tab(
        "claims",
        "Claims",
        (
            Control("paper", "paper", (_EVERY, *get_args(Paper))),
            Control("verdict", "recorded verdict", (_EVERY, *get_args(Verdict))),
            Control("premise", "premise", (_EVERY, *PREMISES)),
        ),
        _claims,
    ),
)
"""Tabs of the live explorer beside the map, in their order."""


def tab_panel(tab: Tab, query: Mapping[str, str]) -> View:
    """Compute what a tab shows for the values in a query.

    Raises
    ------
    ValueError
        If a value is none of the control's.

    Examples
    --------
    >>> ecosystems = TABS[2]
    >>> tab_panel(ecosystems, {"tokens": "16000"}).said[0]
    'The best number of models is 5: perplexity 325.3, and 418.2 for one model.'
    """
    return _panel(tab.panel, tuple((one.name, one.chosen(query)) for one in tab.controls))


@lru_cache(maxsize=64)
def _panel(make: Callable[..., View], values: tuple[tuple[str, Any], ...]) -> View:
    return make(**dict(values))
