"""`pollination`: populations of models (sec. 3, 5 and 6, app. A.2, C and D; fig. 8 and 11)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, identity, stated
from commensal.claims.pollination._process import Population, lineages, population

known = Register()


@known.claim(
    id="pollination.constant_population",
    where="sec. 3 and app. C, selection and crossover",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=("square population",),
    breaks=("square population",),
    statement="With ⌊√N⌋ parents the ordered pairs, each model with itself among them, give N "
    "offspring again.",
    latex=r"k = \lfloor \sqrt{N} \rfloor, \quad k^2 = N",
    printed=lambda size: size,
    correction="N must be a square number (as 4, 9 and 16 are): otherwise a population loses "
    "models, once, to ⌊√N⌋².",
    correction_latex=r"k^2 = \lfloor \sqrt{N} \rfloor^2 \leq N",
    corrected=lambda size: math.isqrt(size) ** 2,
    remark="Sec. 3 has k = √N. A share 1/k of the offspring learns from the data of its own "
    "parent: a quarter at N = 16.",
    fault="wording",
    doubt="solid",
    mutations={
        "pairs of two different models": lambda size: math.isqrt(size) * (math.isqrt(size) - 1),
        "unordered pairs": lambda size: math.isqrt(size) * (math.isqrt(size) + 1) // 2,
    },
)
def _constant_population(form, trial: Trial) -> Evidence:
    """Count offspring one by one; ``form`` is their number after three generations."""
    sizes = range(1, trial.pick(101, 1001))
    left = []
    for size in sizes:
        models = list(range(size))
        for _ in range(3):
            parents = models[: math.isqrt(len(models))]
            models = [(i, j) for i in range(len(parents)) for j in range(len(parents))]
        left.append(len(models))
        # from then on nothing is lost
    return identity([form(size) for size in sizes], left, instances=len(left))


@known.claim(
    id="pollination.model_count",
    where="sec. 5.1",
    kind="published",
    proof="stated there",
    verdict="holds",
    premises=("printed numbers",),
    statement="Four populations of N = 16 over five generations are 320 models.",
    latex=r"4 \cdot 16 \cdot 5 = 320",
    printed=5,
    remark="The count has generation 0 in it for each of the four, although nothing selects before "
    "it: if it is shared they are 272. Populations of 4 and 9 (fig. 9), data-only evolution (fig. "
    "12) and baselines come on top.",
    mutations={"generations after the initial one": 4},
)
def _model_count(form, trial: Trial) -> Evidence:
    made = 4 * 16 * form
    return stated(made == 320, f"4 · 16 · {form} = {made}", models=made)


DEPTH, WIDTH, HIDDEN, VOCABULARY = 12, 768, 3072, 32_000  # table 1


@known.claim(
    id="pollination.parameter_count",
    where="app. D.1 and table 1",
    kind="published",
    proof="stated there",
    verdict="holds",
    premises=("printed numbers",),
    statement="Llama-2-style decoders with the dimensions of table 1 have about 100 million "
    "parameters, embeddings not counted.",
    latex=r"12 \left(4 \cdot 768^2 + 3 \cdot 768 \cdot 3072\right)",
    printed=(3, 0),
    remark="The layers have 113 million. With tied embeddings there are 138 million, and 162 "
    "million with two of them.",
    reading="The paper does not say which parameters it counts. To leave out the embeddings, as is "
    "customary, is our reading; Llama's feed-forward, which is gated, has three matrices.",
    mutations={"with tied embeddings": (3, 1), "with both embeddings": (3, 2)},
)
def _parameter_count(form, trial: Trial) -> Evidence:
    """Check that the count is within a fifth of 100 million; ``form`` sets the matrices counted."""
    matrices, embeddings = form
    layers = DEPTH * (4 * WIDTH**2 + matrices * WIDTH * HIDDEN + 2 * WIDTH) + WIDTH
    total = layers + embeddings * VOCABULARY * WIDTH
    text = f"{total / 1e6:.1f} million, {layers / 1e6:.1f} of them outside the embeddings"
    return stated(abs(total / 1e8 - 1) < 0.2, text, total=total, layers=layers)


@known.claim(
    id="pollination.fig8_drift",
    where="sec. 6.1 and fig. 8",
    kind="statistical",
    proof="measured there",
    verdict="holds",
    premises=(
        "Gaussian laws",
        "unbiased variance",
        "last generation only",
        "no human data later",
        "no signal",
        "named settings",
    ),
    statement="Within 1,000 generations a single lineage's mean drifts to below -2.5 σ.",
    latex=r"\min_{t \leq 1000} \mu_t < -2.5\,\sigma",
    printed=-2.5,
    remark="With n = 100 (the paper gives no n) 11 to 12 % of lineages do, and as many pass +2.5: "
    "the run that is shown is not a typical one, but not a rare one either. For ever and with "
    "large n it would be 13 %, twice the tail of Student's t with 2 degrees of freedom. "
    "Of its standard deviation the text has wild fluctuation: it "
    "widens beyond 1.5 σ at some time in 41 % of lineages, and ends at 0.006 σ in the median.",
    mutations={"below -8 σ": -8.0, "below -5 σ": -5.0},
)
def _fig8_drift(form, trial: Trial) -> Evidence:
    """Check that at least one run in twelve drifts so far, so that it is no odd run to show."""
    n, runs = trial.pick((20, 8000), (100, 20_000))
    t = tuple(range(1, 10 * n + 1))
    mean = lineages(trial.rng(), n, t, runs).mean
    lowest = mean.min(axis=0)
    levels = np.linspace(-5, -0.5, 10)
    reached = [(lowest < level).mean() for level in levels]
    error = [np.sqrt(p * (1 - p) / runs) for p in reached]
    # a symmetric martingale that has passed a level ends beyond it half of the time
    forever = [1 + level / np.sqrt(2 + level**2) for level in levels]
    picture = Panel(
        levels.tolist(),
        [("for ever, large n", forever)],
        [(f"{10 * n} generations, n = {n}", reached, error)],
        "level / σ",
        "P(the mean gets below)",
        "y",
    )
    p = float((lowest < form).mean())
    text = f"{p:.1%} of {runs:,} lineages get below {form} σ in 10 n generations"
    return Evidence(p > 1 / 12, text, {"share": p, "n": n, "runs": runs}, 1, (picture,))


@known.claim(
    id="pollination.w2_grows",
    where="sec. 6.1 and app. A.2",
    kind="statistical",
    proof="stated there",
    verdict="holds as corrected",
    premises=(
        "Gaussian laws",
        "unbiased variance",
        "last generation only",
        "no human data later",
        "no signal",
        "few generations",
    ),
    breaks=("few generations",),
    statement="The W₂ distance of a single lineage to the truth grows steadily over the "
    "generations.",
    latex=r"W^{(t)} \nearrow",
    printed=(20, 40),
    correction="For about 10 n generations. Then σ_t is nearly 0 and nothing moves any more: "
    "each lineage's W settles, near (5/3) σ² in the median. Only the mean over lineages grows for "
    "ever, carried by ever fewer of them.",
    correction_latex=r"W^{(t)} \to \mu_\infty^2 + \sigma^2, \quad "
    r"\mathbb{E}\,W^{(t)} = \sigma^2 \left[t/n + 2(1 - c_4^t)\right]",
    corrected=(1, 2, 4, 8),
    remark="The paper's 1,000 generations are within the growth if n is 100 or more.",
    fault="wording",
    doubt="solid",
    mutations={"later": (15, 30), "falling": (4, 2)},
)
def _w2_grows(form, trial: Trial) -> Evidence:
    """Compare medians of lineages from each of these times (in n generations) to the next."""
    n, runs = trial.pick((20, 4000), (50, 40_000))
    times = (0.25, 0.5, 1, 2, 4, 8, 15, 20, 30, 40)
    course = lineages(trial.rng(), n, tuple(round(t * n) for t in times), runs).distance
    median = np.median(course, axis=1)
    low, high = np.quantile(course, [0.25, 0.75], axis=1)
    at = median[[times.index(t) for t in form]]
    growth = at[1:] / at[:-1]
    mean = np.array(times) + 2 - 2 * np.exp(-np.array(times) / 4)
    picture = Panel(
        times,
        [
            ("mean, exactly", mean.tolist()),
            ("a quarter is below", low.tolist()),
            ("a quarter is above", high.tolist()),
            ("limit of the median, large n", [5 / 3] * len(times)),
        ],
        [("median lineage", median.tolist(), (1.25 * (high - low) / 1.35 / runs**0.5).tolist())],
        "t/n",
        "W₂²/σ²",
        "xy",
    )
    steps = ", ".join(f"{x:.2f}" for x in growth)
    text = f"median W grows {steps} times between {', '.join(map(str, form))} n generations"
    numbers = {f"median at {t} n": float(m) for t, m in zip(times, median, strict=True)}
    return Evidence(bool((growth > 1.05).all()), text, numbers, 0, (picture,))


def end(trial: Trial, signal: str) -> tuple[float, float, Panel]:
    """Return the worst run's distance to the truth, the median W₂² at the end, and a picture."""
    n, generations, runs, every = trial.pick((30, 300, 60, 30), (100, 1000, 400, 50))
    at = list(range(0, generations + 1, every))
    rng = trial.rng()
    evolved = population(rng, Population(samples=n, signal=signal), generations, runs, every)
    alone = lineages(rng, n, tuple(at[1:]), 16 * runs)
    away = np.maximum(
        np.abs(evolved.mean.mean(axis=2)), np.abs(np.sqrt(evolved.variance).mean(axis=2) - 1)
    )
    w = np.median(evolved.distance, axis=2)[1:]
    single = np.median(alone.distance, axis=1)
    errors = (1.25 * w.std(axis=1) / np.sqrt(runs)).tolist()
    name = "16 models, oracle" if signal == "oracle" else "16 models, parents by lot"
    picture = Panel(
        at[1:],
        [("median single lineage", single.tolist())],
        [(name, np.median(w, axis=1).tolist(), errors)],
        "generation",
        "W₂²/σ², median",
        "y",
    )
    return float(away.max()), float(np.median(w[-1])), picture


@known.claim(
    id="pollination.fig8_population",
    where="sec. 6.1, app. A.2, fig. 8 and 11",
    kind="statistical",
    proof="measured there",
    verdict="holds",
    premises=(
        "Gaussian laws",
        "unbiased variance",
        "last generation only",
        "oracle",
        "named settings",
    ),
    statement="A population of 16 whose best 4 are selected keeps mean and standard deviation at "
    "the truth for 1,000 generations.",
    latex=r"\bar\mu_t \approx 0, \quad \bar\sigma_t \approx 1, \quad W_{\min} \text{ bounded}",
    printed="oracle",
    remark="Selection is by the W₂ distance to the truth itself, as in the paper. With n = 100 the "
    "averages are never farther off than about 0.15 σ in 400 runs, and the median of W is 0.0036 "
    "σ².",
    mutations={"parents by lot": "none"},
)
def _fig8_population(form, trial: Trial) -> Evidence:
    away, w, picture = end(trial, form)
    text = f"averages within {away:.2f} σ of the truth in every run, median W {w:.2g} σ²"
    holds = away < trial.pick(0.6, 0.3)
    return Evidence(holds, text, {"farthest": away, "median W": w}, 0, (picture,))


@known.claim(
    id="pollination.diversity_prevents_collapse",
    where="sec. 6.1 and 7, contributions",
    kind="statistical",
    proof="stated there",
    verdict="holds",
    premises=(
        "Gaussian laws",
        "unbiased variance",
        "last generation only",
        "oracle",
        "named settings",
    ),
    statement="Diversity is a prerequisite of resilience: with nothing to choose from, a lineage "
    "collapses although it is judged by the same signal that keeps a population of 16 at the "
    "truth.",
    latex=r"W(N = 1) \gg W(N = 16) \text{, both with the signal}",
    printed=((1, "oracle"), (16, "oracle")),
    remark="Diversity is needed, and is not enough: the same population with parents drawn by lot "
    "collapses, too, about three times more slowly than one lineage. What has to come with it is a "
    "signal that knows the truth. With language models the signal is a benchmark's accuracy, real "
    "data by another name. One lineage that keeps the best of 16 refits "
    "(commensal.selection_alone) has this diversity, for it is app. A.1's population of K "
    "independent estimators.",
    mutations={
        "enough by itself": ((1, "oracle"), (16, "none")),
        "without it and by lot": ((1, "oracle"), (1, "none")),
        "four models are too few": ((4, "oracle"), (16, "oracle")),
    },
)
def _diversity_prevents_collapse(form, trial: Trial) -> Evidence:
    """Check that the first population collapses and that the second does not (models, signal)."""
    n, generations, runs, every = trial.pick((30, 300, 60, 30), (100, 1000, 400, 50))
    at, numbers, points = list(range(every, generations + 1, every)), {}, []
    for stream, (size, signal) in enumerate(form):
        how = Population(size, math.isqrt(size), n, signal, inheritance=0.5 if size > 1 else 0.0)
        course = population(trial.rng(stream), how, generations, runs, every).distance[1:]
        w = np.median(course, axis=2)
        name = f"{size} model{'s' * (size > 1)}, {'selected' if signal == 'oracle' else 'by lot'}"
        numbers[f"{name}: median W"] = float(np.median(w[-1]))
        errors = (1.25 * w.std(axis=1) / np.sqrt(runs)).tolist()
        points.append((name, np.median(w, axis=1).tolist(), errors))
    alone, many = list(numbers.values())
    picture = Panel(at, [], points, "generation", "W₂²/σ², median", "y")
    text = f"median W at the end {alone:.3g} σ² and {many:.3g} σ²"
    return Evidence(alone > 0.5 and many < 0.1, text, numbers, 0, (picture,))


def levels(
    trial: Trial, settings: list[Population], generations: int, runs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean W₂² over models and the later 90 % of generations, with its standard error."""
    found = []
    for stream, how in enumerate(settings):
        w = population(trial.rng(stream), how, generations, runs, 10).distance
        found.append(w[len(w) // 10 :].mean(axis=(0, 2)))
    return np.mean(found, axis=1), np.std(found, axis=1) / np.sqrt(runs)


@known.claim(
    id="pollination.larger_populations",
    where="sec. 6.2, app. A.2",
    kind="statistical",
    proof="measured there",
    verdict="holds",
    premises=(
        "Gaussian laws",
        "unbiased variance",
        "last generation only",
        "oracle",
        "named settings",
    ),
    statement="Larger populations (4, 9, 16) preserve the distribution better.",
    latex=r"N = 4, 9, 16",
    printed=lambda size: Population(size, math.isqrt(size), 30),
    remark="These are Gaussian models with an oracle and n = 30, whose mean W is 0.032, 0.020 and "
    "0.017 σ². There is no threshold, as sec. 6.2 suspects one, and little more to be had: 0.014 "
    "at N = 64. And it takes more points: with N n points in all fixed, few models with many "
    "points are better.",
    mutations={
        "with N n = 480 points in all": lambda size: Population(
            size, math.isqrt(size), 480 // size, shared=False
        ),
        "without a signal, fixed N n": lambda size: Population(
            size, math.isqrt(size), 480 // size, "none"
        ),
    },
)
def _larger_populations(form: Callable[[int], Population], trial: Trial) -> Evidence:
    sizes = (4, 9, 16)
    generations, runs = trial.pick((150, 60), (500, 400))
    w, error = levels(trial, [form(size) for size in sizes], generations, runs)
    gain = (w[:-1] - w[1:]) / np.hypot(error[:-1], error[1:])
    picture = Panel(sizes, [], [("mean over models", w.tolist(), error.tolist())], "N", "W₂²/σ²")
    text = "mean W " + ", ".join(f"{x:.3g}" for x in w) + " σ² at N = 4, 9, 16"
    numbers = {f"N = {size}": float(x) for size, x in zip(sizes, w, strict=True)}
    return Evidence(bool((gain > 3).all()), text, numbers, 2, (picture,))


@known.claim(
    id="pollination.moderate_samples",
    where="app. A.2, sensitivity",
    kind="statistical",
    proof="measured there",
    verdict="fails",
    premises=(
        "Gaussian laws",
        "unbiased variance",
        "last generation only",
        "oracle",
        "fixed budget",
    ),
    breaks=("fixed budget",),
    statement="Moderate sample sizes n preserve the distribution best.",
    latex=r"\arg\min_n W \text{ inside the range of } n",
    printed=[Population(samples=n) for n in (10, 30, 100, 300, 1000)],
    remark="With an oracle W is proportional to 1/n, without one it falls with n as well: the more "
    "the better. The paper shows no numbers. What is true is that for a fixed number N n of points "
    "something between one model with all of them and many with few is best: N = 4 of 1, 4, 16, "
    "64 for N n = 480.",
    fault="substantive",
    doubt="solid",
    mutations={
        "N n = 480 points in all": [
            Population(size, math.isqrt(size), 480 // size, shared=False) for size in (64, 16, 4, 1)
        ],
    },
)
def _moderate_samples(form: list[Population], trial: Trial) -> Evidence:
    """Check, in rising order of n, whether the best one is neither the first nor the last."""
    generations, runs = trial.pick((150, 60), (1000, 300))
    w, error = levels(trial, form, generations, runs)
    sizes = [how.samples for how in form]
    best = int(w.argmin())
    line = (w[0] * sizes[0] / np.array(sizes)).tolist()
    points = [("mean over models", w.tolist(), error.tolist())]
    picture = Panel(sizes, [("∝ 1/n", line)], points, "n", "W₂²/σ²", "xy")
    text = f"best at n = {sizes[best]} of {', '.join(map(str, sizes))}"
    numbers = {f"n = {n}": float(x) for n, x in zip(sizes, w, strict=True)}
    return Evidence(0 < best < len(sizes) - 1, text, numbers, 0, (picture,))
