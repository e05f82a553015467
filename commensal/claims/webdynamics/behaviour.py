"""`webdynamics`: the behaviour of the simulated systems (sec. 3.1, 3.2, 4.2 and 5, fig. 2 to 6)."""

from __future__ import annotations

import operator

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, stated, statistical
from commensal.claims.webdynamics import _process as process

known = Register()


@known.claim(
    id="webdynamics.web_grows",
    where="sec. 3.1, the set A",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=("distinct answers",),
    breaks=("distinct answers",),
    statement="Each generation adds exactly n answers to the web, one of each model.",
    latex=r"A^{(t+1)} = A^{(t)} \cup \{f_1, \dots, f_n\}, \quad |A^{(t+1)}| = |A^{(t)}| + n",
    printed=lambda web, answers: list(set(web) | set(answers)),
    correction="A is to be a collection with repetitions: a union of sets does not grow by an "
    "answer that is there already.",
    correction_latex=r"A^{(t+1)} = A^{(t)} \uplus \{f_1, \dots, f_n\}",
    corrected=lambda web, answers: [*web, *answers],
    remark="This does not matter to mixtures, whose points never repeat. With language models it "
    "matters just where they collapse (fig. 3 has point masses at the end), and to k_t and "
    "nt/(|A⁽⁰⁾|+nt).",
    fault="wording",
    doubt="solid",
    mutations={
        "first answer only": lambda web, answers: [*web, answers[0]],
        "new answers only": lambda web, answers: [*web, *(x for x in answers if x not in web)],
    },
)
def _web_grows(form, trial: Trial) -> Evidence:
    """Simulate answers from a vocabulary that shrinks."""
    rng = trial.rng()
    web: list[int] = list(range(-20, 0))
    sizes = [len(web)]
    for t in range(60):
        web = form(web, rng.integers(1000 // (t + 1), size=3).tolist())
        sizes.append(len(web))
    expected = 20 + 3 * 60
    text = f"{sizes[-1]} texts after 60 generations of 3 answers, {expected} expected"
    return stated(sizes == list(range(20, expected + 1, 3)), text, texts=sizes[-1])


@known.claim(
    id="webdynamics.retrieval_share",
    where="sec. 3.1",
    kind="statistical",
    proof="stated there",
    verdict="holds",
    premises=("everything kept", "all read alike"),
    statement="At t a retrieved sentence is synthetic with probability nt/(|A⁽⁰⁾|+nt), which "
    "rises to 1.",
    latex=r"\frac{nt}{|A^{(0)}| + nt}",
    printed=lambda n, t, initial: n * t / (initial + n * t),
    remark="The probability is that of each of the k_t = ⌊β|A|⌋ sentences, which are drawn without "
    "replacement. In sec. 4.1 it is 0.9 at t = 60. For mixtures nL stands in the place of n.",
    mutations={
        "n(t+1)": lambda n, t, initial: n * (t + 1) / (initial + n * (t + 1)),
        "1.04 times": lambda n, t, initial: 1.04 * n * t / (initial + n * t),
    },
)
def _retrieval_share(form, trial: Trial) -> Evidence:
    rng = trial.rng()
    n, initial, times = 3, 20, (1, 3, 10, 30, 60)
    found, errors, sample = [], [], 0
    for t in times:
        size = initial + n * t
        runs = trial.pick(16_000, 150_000) * 23 // size
        order = rng.permuted(np.broadcast_to(np.arange(size), (runs, size)), axis=1)
        share = (order[:, : size // 2] >= initial).mean(axis=1)
        found.append(share.mean())
        errors.append(share.std() / np.sqrt(runs))
        sample += runs
    expected = [form(n, t, initial) for t in times]
    picture = Panel(
        times, [("nt/(|A⁽⁰⁾|+nt)", expected)], [("retrieved", found, errors)], "t", "share"
    )
    return statistical(
        found, expected, errors, sample, resolution=trial.resolution, pictures=(picture,)
    )


@known.claim(
    id="webdynamics.fig4_falls",
    where="fig. 4",
    kind="statistical",
    proof="measured there",
    verdict="holds",
    premises=(
        "separated components",
        "falling steps",
        "all read alike",
        "everything kept",
        "named settings",
    ),
    statement="With the settings of fig. 4 the norm of D seems to converge to 0 in every run.",
    latex=r"\lVert D^{(t)} \rVert_F \to 0",
    printed=None,
    remark="The simulation has |A⁽⁰⁾| = 20, which the paper does not give for its mixtures. What "
    "is seen is noise on the way down: ‖D‖ is 0.04 at t = 200, and falls as t^(-1/2).",
    mutations={"a constant α of 0.3": 0.3, "a constant α of 0.1": 0.1},
)
def _fig4_falls(form, trial: Trial) -> Evidence:
    runs, generations = trial.pick((100, 80), (400, 200))
    weights = process.separated(trial.rng(), runs, generations, rate=form).weights
    norms = np.sqrt(process.norm_squared(weights))
    holds, course = process.comes_down(weights, 0.1)
    largest = float(norms[-1].max())
    t = list(range(generations + 1))
    law = np.sqrt(6 * (1 - np.tanh(0.5)) / 3 / np.maximum(0.5 * (20 + 9 * np.arange(-1, t[-1])), 1))
    picture = Panel(
        t[1:],
        [("noise law", law[1:].tolist()), *((f"run {i}", norms[1:, i].tolist()) for i in range(2))],
        [("root mean square", course[1:].tolist(), (course[1:] / np.sqrt(4 * runs)).tolist())],
        "t",
        "‖D‖",
        "xy",
    )
    text = f"from {course[0]:.3g} to {course[-1]:.3g} (rms of {runs}), largest {largest:.3g}"
    return Evidence(holds and largest < 0.4, text, {"largest at T": largest}, 0, (picture,))


@known.claim(
    id="webdynamics.fig5_same_weights",
    where="fig. 5",
    kind="statistical",
    proof="measured there",
    verdict="holds",
    premises=(
        "separated components",
        "falling steps",
        "all read alike",
        "everything kept",
        "named settings",
    ),
    statement="The models of a run start from unlike weights and come to share one weight vector.",
    latex=r"\Pi_i^{(t)} - \Pi_j^{(t)} \to 0",
    printed=2,
    remark="The shared vector is random: it differs between runs even more than the average of n "
    "initial vectors does (commensal.second_moments).",
    mutations={"the same in all runs": 1},
)
def _fig5_same_weights(form, trial: Trial) -> Evidence:
    """Compare the spread over models, or over runs: ``form`` is the axis."""
    runs, generations = trial.pick((300, 60), (2000, 200))
    x = process.separated(trial.rng(), runs, generations).weights[:, 0]
    spreads = [np.sqrt(x.var(axis=axis).mean(axis=1)) for axis in (2, 1)]
    course = spreads[2 - form]
    picture = Panel(
        list(range(generations + 1)),
        [(name, y.tolist()) for name, y in zip(("models", "runs"), spreads, strict=True)],
        xlabel="t",
        ylabel="standard deviation between",
    )
    text = f"standard deviation of a weight from {course[0]:.3g} to {course[-1]:.3g}"
    numbers = {"at the start": float(course[0]), "at T": float(course[-1])}
    return Evidence(bool(course[-1] < 0.1 * course[0]), text, numbers, 0, (picture,))


@known.claim(
    id="webdynamics.more_components_rougher",
    where="sec. 4.2, fig. 6 beside fig. 4",
    kind="statistical",
    proof="measured there",
    verdict="fails",
    premises=("separated components", "falling steps", "named settings"),
    breaks=("none",),
    statement="With 11 components the norm of D goes down less smoothly than with two.",
    latex=r"E\left|\log\frac{\lVert D^{(t+1)}\rVert_F}{\lVert D^{(t)}\rVert_F}\right|"
    r"\text{ is larger for } B = 11",
    printed=operator.gt,
    remark="For separated components it is the other way round: ‖D‖² is a sum of (n-1)(B-1) "
    "squares, two for fig. 4 and up to twenty for B = 11, so it fluctuates less, in proportion as "
    "well as absolutely. What fig. 6 shows is one run on a scale of its own, with means and ε "
    "that the paper does not give; a fall that stands out needs components that overlap and a "
    "weight caught at ε.",
    fault="substantive",
    doubt="solid",
    mutations={"smoother": operator.lt},
)
def _more_components_rougher(form, trial: Trial) -> Evidence:
    runs, first, last = *trial.pick((40,), (400,)), 10, trial.pick(25, 40)
    rng, counts = trial.rng(), (2, 5, 11)
    steps = []
    for b in counts:
        start = np.full((3, b), 1 / b)  # no component dies out, with which ‖D‖ could be 0
        result = process.separated(rng, runs, last, components=b, weights=start, points=40)
        norms = np.sqrt(process.norm_squared(result.weights))
        jumps = [np.diff(np.log(norms[first:]), axis=0), np.diff(norms[first:], axis=0)]
        steps.append([np.abs(jump).mean(axis=0) for jump in jumps])
    found = np.array(steps).mean(axis=2)
    errors = np.array(steps).std(axis=2) / np.sqrt(runs)
    # both in proportion and absolutely, and beyond doubt
    sure = np.abs(found[2] - found[0]) > 5 * np.hypot(errors[2], errors[0])
    holds = bool(np.all(form(found[2], found[0]) & sure))
    text = f"mean change of log ‖D‖ {found[0, 0]:.2f} for B = 2, {found[2, 0]:.2f} for B = 11"
    numbers = {f"change of ‖D‖, B = {b}": x for b, x in zip(counts, found[:, 1], strict=True)}
    dof = 2 * (np.array(counts) - 1)
    lines = [("(n-1)(B-1) to the power -1/2", (found[0, 0] * np.sqrt(2 / dof)).tolist())]
    points = [("mean |Δ log ‖D‖|", found[:, 0].tolist(), errors[:, 0].tolist())]
    return Evidence(holds, text, numbers, 0, (Panel(counts, lines, points, "B", ""),))


@known.claim(
    id="webdynamics.sudden_fall_foretells",
    where="sec. 4.2, fig. 6",
    kind="statistical",
    proof="stated there",
    verdict="fails",
    premises=("separated components", "falling steps", "at rest", "named settings"),
    breaks=("none",),
    statement="A sudden fall of the norm makes it likely that the norm will decrease further.",
    latex=r"E\left[\log\frac{\lVert D^{(t+3)}\rVert}{\lVert D^{(t)}\rVert} \,\middle|\,"
    r" \lVert D^{(t)}\rVert \leq \tfrac12 \lVert D^{(t-1)}\rVert \right] < 0",
    printed=operator.lt,
    remark="After a fall by half in one generation the norm is on average twice as large three "
    "generations later, as noise around a slowly falling level must be; and such falls are as "
    "frequent as rises to the double (commensal.expected_falls). A fall that is the escape of a "
    "caught weight does last, but is the last: models then agree.",
    fault="substantive",
    doubt="solid",
    mutations={"rises again": operator.gt},
)
def _sudden_fall_foretells(form, trial: Trial) -> Evidence:
    runs, lag, last = trial.pick(150, 1500), 3, 30
    rng, counts = trial.rng(), (2, 3, 4)
    means, errors, falls = [], [], []
    for b in counts:
        start = np.full((3, b), 1 / b)
        result = process.separated(rng, runs, last, components=b, weights=start)
        squares = process.norm_squared(result.weights)
        logs = np.log(squares[8:]) / 2
        fallen = logs[1:-lag] - logs[: -lag - 1] <= -np.log(2)
        later = (logs[1 + lag :] - logs[1:-lag])[fallen]
        means.append(later.mean())
        errors.append(later.std() / np.sqrt(later.size))
        falls.append(int(fallen.sum()))
    sure = np.abs(means) > 5 * np.array(errors)
    holds = bool(np.all(form(np.array(means), 0) & sure))
    text = f"log ‖D‖ changes by {means[0]:+.2f} in the {lag} generations after a fall by half"
    numbers = {f"falls, B = {b}": count for b, count in zip(counts, falls, strict=True)}
    picture = Panel(
        counts, [("no change", [0.0] * 3)], [("after a fall", means, errors)], "B", "Δ log ‖D‖"
    )
    return Evidence(holds, text, numbers, len(counts), (picture,))


@known.claim(
    id="webdynamics.fig2_fall",
    where="sec. 4.1, fig. 2",
    kind="published",
    proof="measured there",
    verdict="open",
    premises=("printed numbers",),
    statement="Between three language models the norm of D falls from over 20 to about 5 in 60 "
    "generations.",
    latex=r"\lVert D^{(t)} \rVert_F: \; {>}\,20 \to 5",
    printed=(20.0, 5.0),
    remark="Only the experiment itself, or its embeddings, would decide. Without them one thing "
    "can be said: embeddings were not scaled to unit length, for then ‖D‖_F ≤ n√2 = 4.24, since "
    "Σ_{i<j}‖X_i - X_j‖² = nΣ‖X_i‖² - ‖ΣX_i‖² ≤ n². The numbers therefore depend on how "
    "nomic-embed is called, which the paper does not say; their ratio of 4 does less so.",
)
def _fig2_fall(form, trial: Trial) -> Evidence:
    """Compare with the largest norm of means of unit vectors, at three corners of a triangle."""
    rng, best = trial.rng(), 0.0
    for _ in range(trial.pick(500, 5000)):
        x = rng.standard_normal((3, 2))
        for _ in range(50):  # climb: away from the others, and back to the circle
            x = 3 * x - x.sum(axis=0)
            x /= np.linalg.norm(x, axis=1, keepdims=True)
        best = max(best, float(np.linalg.norm(x[:, None] - x)))
    side = "above" if min(form) > best else "not above"
    text = f"unit embeddings give at most {best:.3f}: both numbers are {side} that"
    return Evidence(None, text, {"most for unit embeddings": best, "norms": str(form)})
