"""`commensal`: the proxy with a U-shape, and its cause (new here; extends `diversity`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, Z, stated, statistical
from commensal.claims._premises import DEALT
from commensal.claims.ours._ecosystem import Proxy, perplexities

known = Register()

WHERE = "new here; extends diversity sec. 3"
PAPER_GRID = (1, 2, 4, 16)


def estimate(sample: np.ndarray) -> tuple[float, float]:
    """Return mean and standard error over replicates."""
    return float(sample.mean()), float(sample.std(ddof=1) / np.sqrt(len(sample)))


def above(larger: np.ndarray, smaller: np.ndarray) -> float:
    """Return by how many standard errors one mean exceeds another."""
    (a, da), (b, db) = estimate(larger), estimate(smaller)
    return (a - b) / float(np.hypot(da, db))


MEASURED = {1: 420.0, 2: 346.0, 4: 326.0, 16: 337.0, 64: 348.0}
"""Mean perplexities as first measured, from eight seeds, rounded."""


@known.claim(
    id="commensal.proxy_u_shape",
    where=WHERE,
    kind="statistical",
    verdict="holds",
    premises=(*DEALT, "fixed budget", "named settings"),
    proof="measured there",
    statement="Word types with memory show the paper's U-shape: of 1, 2, 4, 16 and 64 models four "
    "have the lowest mean perplexity, with the values given.",
    latex=r"\mu_T = 420,\ 346,\ 326,\ 337,\ 348 \quad (M = 1, 2, 4, 16, 64)",
    printed=MEASURED,
    mutations={
        "4 % more": {m: 1.04 * value for m, value in MEASURED.items()},
        "M = 4 and 16 exchanged": {**MEASURED, 4: MEASURED[16], 16: MEASURED[4]},
    },
    remark="Zipf's exponent is 1, the first text is N draws from the law, the first fit counts. "
    "The values stated are from eight seeds. More seeds give 418.1, 345.0, 325.7, 337.1 and 347.6 "
    "(± 0.2 and less); five models are a little better than four (325.3). With λ = 20,000 one "
    "model is best, with λ = 1,000 the curve falls up to M = 64 at least: the U-shape is a matter "
    "of λ.",
)
def _proxy_u_shape(form, trial: Trial) -> Evidence:
    proxy, replicates = Proxy(), {1: 40, 2: 20, 4: 10, 16: 5, 64: 4}
    replicates = {m: trial.pick(1, 20) * r for m, r in replicates.items()}
    samples = {m: perplexities(proxy, m, trial.rng(m), replicates[m]).mean(axis=1) for m in form}
    found, error = np.array([estimate(s) for s in samples.values()]).T
    values = list(form.values())
    picture = Panel(
        list(form),
        [("stated", values)],
        [("simulated", found.tolist(), error.tolist())],
        "models M",
        "mean perplexity over ten generations",
        "x",
    )
    rounded = np.hypot(error, 0.5)  # those stated are rounded, and from eight seeds
    agree = statistical(
        found,
        values,
        rounded,
        sum(replicates.values()),
        resolution=trial.resolution,
        pictures=(picture,),
    )
    best = min(form, key=lambda m: form[m])
    clear = min(above(s, samples[best]) for m, s in samples.items() if m != best)
    return agree & stated(clear > Z, f"M = {best} is lowest", **{"standard errors below": clear})


@known.claim(
    id="commensal.proxy_sharpened_optimum",
    where=WHERE,
    kind="statistical",
    verdict="holds as corrected",
    premises=(
        "word types",
        "equal segments",
        "random segments",
        "sharpened text",
        "no human data later",
        "fixed budget",
        "named settings",
    ),
    breaks=("none",),
    proof="measured there",
    statement="Sharpening what models write (τ = 1.1) moves the best number of models up.",
    latex=r"M^* = 16 \quad (\tau = 1.1)",
    printed=16,
    correction="It moves up, but only to M = 8: the 16 comes from a grid without 8 (308 against "
    "316).",
    correction_latex=r"M^* = 8 \quad (\tau = 1.1)",
    corrected=8,
    mutations={"M* = 4": 4, "M* = 32": 32},
    remark="The optimum is taken among the powers of two from 1 to 64.",
)
def _proxy_sharpened_optimum(form, trial: Trial) -> Evidence:
    proxy, replicates = Proxy(sharpening=1.1), trial.pick(3, 20)
    grid = (1, 2, 4, 8, 16, 32, 64) if trial.full else (4, 8, 16, 32)
    samples = {m: perplexities(proxy, m, trial.rng(m), replicates).mean(axis=1) for m in grid}
    clear = min(above(s, samples[form]) for m, s in samples.items() if m != form)
    best = min(grid, key=lambda m: samples[m].mean())
    means, errors = zip(*(estimate(samples[m]) for m in grid), strict=True)
    picture = Panel(grid, [], [("simulated", means, errors)], "models M", "mean perplexity", "xy")
    numbers = {f"M = {m}": mean for m, mean in zip(grid, means, strict=True)}
    told = f"lowest at M = {best}, M = {form} is {clear:+.0f} standard errors below the next"
    return Evidence(clear > Z, told, numbers, len(grid) - 1, (picture,))


@known.claim(
    id="commensal.proxy_control",
    where=WHERE,
    kind="statistical",
    verdict="holds",
    premises=(*DEALT, "fixed budget", "named settings"),
    proof="measured there",
    statement="One model alone on a quarter of the tokens, the control that the paper lacks, has "
    "mean perplexity 371: between one on all of them (420) and four that pool (326).",
    latex=r"\mu_T(M = 1, N/4) = 371",
    printed=371.0,
    mutations={"factor 1.05": 1.05 * 371, "factor 0.96": 0.96 * 371},
    remark="It moves as little as each of the four, but on noisier text. The fairer control is "
    "commensal.proxy_matched_movement.",
)
def _proxy_control(form, trial: Trial) -> Evidence:
    proxy, replicates = Proxy(tokens=4_000), trial.pick(16, 300)
    sample = perplexities(proxy, 1, trial.rng(), replicates)
    found, error = estimate(sample.mean(axis=1))
    course = sample.mean(axis=0).tolist()
    spread = (sample.std(axis=0, ddof=1) / np.sqrt(replicates)).tolist()
    picture = Panel(
        range(proxy.generations),
        [("stated mean over generations", [form] * proxy.generations)],
        [("simulated", course, spread)],
        "generation",
        "perplexity",
    )
    error = float(np.hypot(error, 0.5))  # the one stated is rounded, and from eight seeds
    return statistical(
        found, form, error, replicates, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="commensal.proxy_matched_movement",
    where=WHERE,
    kind="statistical",
    verdict="fails",
    premises=(*DEALT, "fixed budget", "named settings"),
    breaks=("none",),
    proof="measured there",
    statement="Half of what four models gain over one is due to pooling: it remains when one model "
    "moves as little in each fit.",
    latex=r"\mu_T(M=4, \lambda) < \mu_T(M=1, \lambda'), \quad "
    r"\tfrac{\lambda'}{N + \lambda'} = \tfrac{\lambda}{N/4 + \lambda}",
    printed=replace(Proxy(), hold=20_000.0),
    mutations={
        "one model on N/4": replace(Proxy(), tokens=4_000),
        "one model that moves more": replace(Proxy(), hold=5_000.0),
    },
    remark="One model on all N tokens with λ' = 4λ, which moves just as little, reaches 311 where "
    "the four reach 325: in the proxy all of the gain, and more, is moving less per fit. A smaller "
    "learning rate would do the same. The control on N/4 (371) also has four times the noise, "
    "which is what pooling takes away again.",
)
def _proxy_matched_movement(form, trial: Trial) -> Evidence:
    replicates = trial.pick(8, 60)
    four = perplexities(Proxy(), 4, trial.rng(4), replicates)
    one = perplexities(form, 1, trial.rng(1), replicates)
    gain = above(one.mean(axis=1), four.mean(axis=1))
    points = []
    for name, sample in (("M = 4", four), ("the control", one)):
        error = sample.std(axis=0, ddof=1) / np.sqrt(replicates)
        points.append((name, sample.mean(axis=0).tolist(), error.tolist()))
    picture = Panel(range(form.generations), [], points, "generation", "mean perplexity")
    numbers = {"M = 4": four.mean(), "the control": one.mean(), "standard errors": gain}
    told = f"four models {four.mean():.1f}, the control {one.mean():.1f}"
    holds = None if abs(gain) < Z else bool(gain > 0)
    return Evidence(holds, told, numbers, 1, (picture,))


@known.claim(
    id="commensal.proxy_shows_fig4",
    where="new here; extends diversity fig. 3 and 4",
    kind="statistical",
    verdict="holds",
    premises=(
        "word types",
        "equal segments",
        "random segments",
        "sharpened text",
        "no human data later",
        "fixed budget",
        "named settings",
    ),
    proof="proved here",
    statement="With slight sharpening (τ = 1.05, in the place of beam search) the proxy has every "
    "trait that the paper reports: one model is best after the first fit and four on average, "
    "perplexity ends rising for one and two models and falling for sixteen.",
    latex=r"\dot\mu_{M=1,2} > 0 > \dot\mu_{M=16}, \quad M^* = 4",
    printed=1.05,
    mutations={"no sharpening": 1.0, "τ = 1.2": 1.2},
    remark="Without sharpening perplexity rises for sixteen models, too. The paper's caption of "
    "fig. 4 (M = 4 lowest early and late) and its text (M = 1 best at t = 0, M = 1 and 2 good "
    "early) do not agree on the early stage; the proxy sides with the text.",
)
def _proxy_shows_fig4(form, trial: Trial) -> Evidence:
    proxy, replicates = Proxy(sharpening=form), trial.pick(8, 60)
    courses = {m: perplexities(proxy, m, trial.rng(m), replicates) for m in PAPER_GRID}
    last = {m: c[:, -1] - c[:, -2] for m, c in courses.items()}
    rise = {m: estimate(c)[0] / estimate(c)[1] for m, c in last.items()}
    average = {m: c.mean(axis=1) for m, c in courses.items()}
    signs = {
        "M = 1 first": min(above(courses[m][:, 0], courses[1][:, 0]) for m in (2, 4, 16)),
        "M = 4 on average": min(above(average[m], average[4]) for m in (1, 2, 16)),
        "M = 1 rises": rise[1],
        "M = 2 rises": rise[2],
        "M = 16 falls": -rise[16],
    }
    points = []
    for m, c in courses.items():
        error = c.std(axis=0, ddof=1) / np.sqrt(replicates)
        points.append((f"M = {m}", c.mean(axis=0).tolist(), error.tolist()))
    picture = Panel(range(proxy.generations), [], points, "generation", "mean perplexity", "y")
    weakest = min(signs, key=lambda name: signs[name])
    told = f"weakest: {weakest}, by {signs[weakest]:.0f} standard errors"
    numbers = {**signs, **{f"mean, M = {m}": a.mean() for m, a in average.items()}}
    return Evidence(signs[weakest] > Z, told, numbers, len(signs), (picture,))
