"""`interactive`: the theory's statements on α and β, errors and homogeneity (sec. 4, 5)."""

from __future__ import annotations

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity, stated, symbolic
from commensal.claims._premises import ANSWERS, FIT, UNIFORM
from commensal.claims.interactive import _systems as systems

known = Register()


@known.claim(
    id="interactive.beta_words",
    where="sec. 4, the definition of β",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=("none",),
    breaks=("none",),
    statement="β is the size of the public dataset as a fraction of the private and the public "
    "one together.",
    latex=r"\beta = \frac{|D_*|}{|D_*| + |\tilde D_k|}",
    printed=lambda private, public: public / (private + public),
    correction="It is the other way round: in sec. 5, in Lemma 1 and in all tables β weights the "
    "private data.",
    correction_latex=r"\beta = \frac{|\tilde D_k|}{|D_*| + |\tilde D_k|}",
    corrected=lambda private, public: private / (private + public),
    remark="Table 7 settles it for the experiments, too: at β = 0 models lose their own tasks.",
    fault="wording",
    doubt="solid",
    mutations={
        "a ratio of the two": lambda private, public: private / public,
        "square roots": lambda private, public: 1 / (1 + np.sqrt(public / private)),
    },
)
def _beta_words(form, trial: Trial) -> Evidence:
    """Compare sec. 5's loss at that β with least squares on m private and n public copies."""
    rng = trial.rng()
    found, expected = [], []
    for private, public in ((3, 1), (1, 4), (2, 3)):
        x, xs = rng.standard_normal((2, 6, 4))
        y, ys = rng.standard_normal((2, 6))
        rows = np.vstack([x] * private + [xs] * public)
        responses = np.hstack([y] * private + [ys] * public)
        expected.append(np.linalg.lstsq(rows, responses, rcond=None)[0])
        b = form(private, public)
        gram = b * x.T @ x + (1 - b) * xs.T @ xs
        found.append(np.linalg.solve(gram, b * x.T @ y + (1 - b) * xs.T @ ys))
    return identity(found, expected, 1e-8)


def _weights(private, public, web, alpha, beta):
    """Return the shares of private, public and new data in all that a model is trained on."""
    parts = np.array([(1 - alpha) * beta * private, (1 - alpha) * (1 - beta) * public, alpha * web])
    return parts / parts.sum()


@known.claim(
    id="interactive.alpha_fraction",
    where="sec. 4 and 6, against the loss of sec. 5",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=("equal sizes",),
    breaks=("equal sizes",),
    statement="α is the fraction of new data, and (1-α)β that of private data, in what a model "
    "trains on: the probabilities with which points are sampled from the datasets.",
    latex=r"\bar\alpha\beta, \quad \bar\alpha\bar\beta, \quad \alpha",
    printed=lambda private, public, web, alpha, beta: _weights(1, 1, 1, alpha, beta),
    correction="The loss of sec. 5 sums over points: its weights are fractions only if all "
    "datasets are of one size. In general those of private, public and new data are as ᾱβ times "
    "the private points, ᾱβ̄ times the public ones, α times the points per model.",
    correction_latex=r"\bar\alpha\beta\,\tilde n_k : \bar\alpha\bar\beta\,n_* :"
    r" \frac{\alpha}{K} \sum_j n_{tj}",
    corrected=_weights,
    remark="The experiments sample by fraction, the theory weighs points. It matters where sizes "
    "differ: BookCorpus is far larger than SciQ or GSM8K.",
    fault="wording",
    doubt="solid",
    mutations={
        "all of the web's points": lambda private, public, web, alpha, beta: _weights(
            private, public, 3 * web, alpha, beta
        ),
        "β and its complement exchanged": lambda private, public, web, alpha, beta: _weights(
            private, public, web, alpha, 1 - beta
        ),
    },
)
def _alpha_fraction(form, trial: Trial) -> Evidence:
    """Compare the minimiser of sec. 5 with that of mean losses, mixed in these fractions."""
    rng, k, alpha, beta = trial.rng(), 3, 0.4, 0.3
    found, expected = [], []
    for sizes in ((6, 6, 6), (9, 5, 20), (4, 40, 7)):
        xs = [rng.standard_normal((n, 4)) for n in (sizes[0], sizes[1], k * sizes[2])]
        ys = [rng.standard_normal(len(x)) for x in xs]
        points = ((1 - alpha) * beta, (1 - alpha) * (1 - beta), alpha / k)
        shares = form(*sizes, alpha, beta)
        for out, weights in (
            (expected, points),
            (found, [share / len(x) for share, x in zip(shares, xs, strict=True)]),
        ):
            rows = [np.sqrt(w) * x for w, x in zip(weights, xs, strict=True)]
            responses = [np.sqrt(w) * y for w, y in zip(weights, ys, strict=True)]
            out.append(np.linalg.lstsq(np.vstack(rows), np.hstack(responses), rcond=None)[0])
    return identity(found, expected, 1e-8)


@known.claim(
    id="interactive.sampling_weights",
    where="sec. 6, training",
    kind="symbolic",
    proof="stated there",
    verdict="holds as corrected",
    premises=("none",),
    breaks=("none",),
    statement="Training points are drawn from the private, the public and the newly generated "
    "data with probabilities ᾱβ, ᾱβ and α/K.",
    latex=r"\bar\alpha\beta, \quad \bar\alpha\beta, \quad \frac{\alpha}{K}",
    printed=lambda a, b, k: ((1 - a) * b, (1 - a) * b, a / k),
    correction="These do not add up to one: the public data have ᾱβ̄, and α/K belongs to each "
    "model's data; all of them together have α.",
    correction_latex=r"\bar\alpha\beta, \quad \bar\alpha\bar\beta, \quad \alpha",
    corrected=lambda a, b, k: ((1 - a) * b, (1 - a) * (1 - b), a),
    remark="The bar that is missing over the second β may have been lost in the text's extraction "
    "(two other bars of the same formula have survived). With it the weights still do not add up "
    "to one, because of α/K for the union.",
    fault="misprint",
    doubt="solid",
    mutations={
        "α/K for the union": lambda a, b, k: ((1 - a) * b, (1 - a) * (1 - b), a / k),
        "β̄ for both": lambda a, b, k: ((1 - a) * (1 - b), (1 - a) * (1 - b), a),
    },
)
def _sampling_weights(form, trial: Trial) -> Evidence:
    import sympy as sp

    a, b, k = sp.symbols("alpha beta K", positive=True)
    return symbolic(sum(form(a, b, k)) - 1)


@known.claim(
    id="interactive.alpha_one_linear",
    where="sec. 5, before Lemma 1",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=(*UNIFORM, "equal noise", "no human data later"),
    statement="At α = 1 the variance grows linearly over the generations.",
    latex=r"C_t = t\, C_1 \quad (\alpha = 1)",
    printed=lambda t: t,
    remark="The growth is exactly linear, whatever the designs: Q is idempotent, since the web's "
    "data are all that anyone sees. This is the variance given the real data, C_t; the whole "
    "variance is affine from t = 1 on (commensal.alpha_one_variance). Directions in which nobody "
    "publishes do not grow.",
    mutations={"t + 0.02 t²": lambda t: (t + 0.02 * t**2) / 1.02, "t - 1": lambda t: t - 1},
)
def _alpha_one_linear(form, trial: Trial) -> Evidence:
    """Follow each generation's noise by itself through all later generations."""
    rng = trial.rng()
    found, expected = [], []
    for k, d, rank, own in ((1, 3, 3, True), (3, 4, 2, False), (2, 5, 2, True), (4, 3, 1, False)):
        m = systems.stacked(systems.gaussian(rng, k, d, rank, own_prompts=own), 1.0, 0.5)
        fresh = m.q @ np.linalg.pinv(m.s, hermitian=True) @ m.q.T
        through, total = np.eye(len(m.q)), np.zeros_like(m.q)
        for t in range(1, 7):
            total = total + through @ fresh @ through.T
            through = m.q @ through
            found.append(form(t) * fresh)
            expected.append(total)
    return identity(found, expected, 1e-9)


@known.claim(
    id="interactive.private_blocks",
    where="sec. 5, after Theorem 1",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=(
        *FIT,
        "all read alike",
        "web counts",
        "private data count",
        "prompts touch what is known",
    ),
    statement="At t = 0 no estimate depends on another model's private data; from t = 1 on each "
    "depends on everybody's.",
    latex=r"(M_0)_{kj} = 0, \quad (M_t)_{kj} \neq 0 \quad (j \neq k \leq K, \; t \geq 1)",
    printed=(False, True, True),
    remark="This needs 0 < α, 0 < β and prompts that touch what the models have learned: where "
    "S_j is orthogonal to S̃_j nothing private is ever published.",
    mutations={
        "shared at once": (True, True, True),
        "one generation later": (False, False, True),
    },
)
def _private_blocks(form, trial: Trial) -> Evidence:
    rng, least, most = trial.rng(), np.inf, 0.0
    seen = []
    for k, d, rank, alpha in ((2, 6, 2, 0.5), (3, 4, 2, 0.01), (5, 3, 1, 1.0)):
        system = systems.gaussian(rng, k, d, rank)
        first, later = systems.stacked(system, 0.0, 0.5), systems.stacked(system, alpha, 0.5)
        through = [first.p]
        for _ in range(2):
            through.append(later.p + later.q @ through[-1])
        for t, m in enumerate(through):
            blocks = m[:, : k * d].reshape(k, d, k, d)
            sizes = np.sqrt((blocks**2).sum(axis=(1, 3)))[~np.eye(k, dtype=bool)]
            shared = sizes > 1e-9
            seen.append(bool((shared == form[t]).all()))
            if shared.any():
                least = min(least, float(sizes.min()))
            else:
                most = max(most, float(sizes.max()))
    text = f"others' private data weigh {most:.1g} at t = 0 and at least {least:.2g} later"
    return stated(all(seen), text, **{"at t = 0": most, "smallest later": least})


def _distances(system: systems.StackedFeatures, mixes: list[tuple[float, float]]) -> list[float]:
    """Return the distances of M_t's row blocks from their mean in the limit, relative to M."""
    out = []
    for alpha, beta in mixes:
        m = systems.stacked(system, alpha, beta)
        through = m.p if alpha == 0 else np.linalg.solve(np.eye(len(m.q)) - m.q, m.p)
        rows = through.reshape(system.models, -1)
        out.append(float(np.linalg.norm(rows - rows.mean(axis=0)) / np.linalg.norm(rows)))
    return out


@known.claim(
    id="interactive.homogenization",
    where="sec. 1 (key findings), 5 and 6",
    kind="numerical",
    proof="measured there",
    verdict="holds",
    premises=(*UNIFORM, "Gaussian designs", "stable"),
    statement="Interaction homogenises: the more weight new data have, the nearer the row blocks "
    "of M_t come to being identical.",
    latex=r"\alpha \mapsto \lVert M - (\Pi \otimes I) M \rVert_F \,/\, \lVert M \rVert_F"
    r" \text{ falls}",
    printed=[(a, 0.5) for a in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)],
    remark="This is checked for Gaussian designs (K = 4, d = 15, rank 5) in the limit, where the "
    "distance goes from 0.8 to 0.005. If all data have room at once, consensus is complete for "
    "every α > 0 (commensal.room_for_all).",
    mutations={
        "in 1-α": [(a, 0.5) for a in (0.9, 0.5, 0.1)],
        "in β": [(0.5, b) for b in (0.1, 0.5, 0.9)],
    },
)
def _homogenization(form, trial: Trial) -> Evidence:
    rng = trial.rng()
    courses = np.array(
        [_distances(systems.gaussian(rng, 4, 15, 5), form) for _ in range(trial.pick(4, 40))]
    )
    falls = bool((np.diff(courses, axis=1) < 0).all())
    mean = courses.mean(axis=0)
    shown = ", ".join(f"{x:.3f}" for x in mean)
    text = f"mean distances {shown} over {len(courses)} designs"
    return stated(falls, text, first=float(mean[0]), last=float(mean[-1]), designs=len(courses))


@known.claim(
    id="interactive.unseen_tasks",
    where="sec. 1, 4 and 7",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=(*UNIFORM, *ANSWERS, "Gaussian designs", "named settings"),
    statement="Though private data are never shared, synthetic data let each model's model get "
    "better at the others' tasks.",
    latex=r"E\lVert \tilde X_m(\hat\theta_{Tk} - \theta) \rVert^2"
    r" < E\lVert \tilde X_m(\hat\theta_{0k} - \theta) \rVert^2, \quad m \neq k",
    printed=(0.5, 15, "others"),
    remark="This is checked for θ from N(0, I), σ = 1 and T = 15 at (0.5, 0.5). For K = 2, d = 50, "
    "rank 15 the own task gets worse by a third; for K = 4, d = 15, rank 5 even that gets better.",
    mutations={
        "without interaction": (0.0, 15, "others"),
        "the own task": (0.5, 15, "own"),
    },
)
def _unseen_tasks(form, trial: Trial) -> Evidence:
    alpha, generations, which = form
    rng, worst, ratios = trial.rng(), -np.inf, []
    for k, d, rank in ((2, 50, 15), (4, 15, 5)):
        for _ in range(trial.pick(2, 20)):
            system = systems.gaussian(rng, k, d, rank)
            maps, covariances = systems.moments(system, alpha, 0.5, generations)
            bias = maps - np.eye(d)
            errors = covariances + bias @ bias.swapaxes(-1, -2)  # E θθᵀ = I
            on_task = np.einsum("tkab,mab->tkm", errors, system.real)
            chosen = np.eye(k, dtype=bool) == (which == "own")
            ratio = on_task[-1][chosen] / on_task[0][chosen]
            worst = max(worst, float(ratio.max()))
            ratios.extend(ratio)
    text = f"errors at T against t = 0: {np.mean(ratios):.2f} on average, at most {worst:.2f}"
    return stated(worst < 1 - 1e-9, text, mean=float(np.mean(ratios)), largest=worst)


@known.claim(
    id="interactive.unbiased_persists",
    where="sec. 5, after Theorem 2",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=(*FIT, "one truth", "full-rank Gram matrices"),
    statement="If the initial data identify θ for everybody, all estimates are unbiased at every "
    "generation.",
    latex=r"\operatorname{rank} G_{0k} = d \;\Rightarrow\; E\,\hat\theta_{tk} = \theta",
    printed=(2, 4, 0.5),
    remark="G_t of full rank is needed, too, as Theorem 2 says: a model that later drops the "
    "public data (β = 1) loses directions that nobody publishes, and its estimates their mean.",
    mutations={
        "initial data of low rank": (2, 1, 0.5),
        "public data dropped later": (2, 4, 1.0),
    },
)
def _unbiased_persists(form, trial: Trial) -> Evidence:
    """Check that, without noise, the process is its own mean."""
    rank, public, later = form
    rng = trial.rng()
    found, expected = [], []
    for k in (1, 2, 5) if later < 1 else (1, 2):
        system = systems.gaussian(rng, k, 5, rank, public=public)
        theta = rng.standard_normal(5)
        alphas = [0.3, 0.9, 0.6, 0.99]
        means = np.array(list(systems.run(system, alphas, [0.5, *[later] * 4], theta)))
        found.append(means[:, :, 0].ravel())
        expected.append(np.broadcast_to(theta, means[:, :, 0].shape).ravel())
    return identity(found, expected, 1e-8)


@known.claim(
    id="interactive.bias_vanishes",
    where="sec. 5, after Theorem 2, and Theorem 3",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=(*UNIFORM, "one truth", "Gaussian designs", "named settings", "stable"),
    statement="Even where every initial estimate is biased, all biases may vanish in the course of "
    "the generations.",
    latex=r"E\,\hat\theta_{0k} \neq \theta \;\; \forall k, \quad E\,\hat\theta_{tk} \to \theta",
    printed=(0.5, 5),
    remark="This is checked for the designs of fig. 2 (K = 4, d = 15, rank 5), where everybody "
    "begins with 10 of 15 directions. Bias is that of a θ of unit length on average over "
    "directions.",
    mutations={"without interaction": (0.0, 5), "nobody covers some directions": (0.5, 2)},
)
def _bias_vanishes(form, trial: Trial) -> Evidence:
    alpha, rank = form
    rng, starts, ends = trial.rng(), [], []
    for _ in range(trial.pick(3, 30)):
        system = systems.gaussian(rng, 4, 15, rank)
        first, m = systems.stacked(system, 0.0, 0.5), systems.stacked(system, alpha, 0.5)
        mean = first.p @ first.z_mean
        starts.append(_bias(mean, 4).min())
        for _ in range(60):
            mean = m.p @ m.z_mean + m.q @ mean
        ends.append(_bias(mean, 4).max())
    start, end = float(np.min(starts)), float(np.max(ends))
    text = f"bias of at least {start:.2g} at t = 0, of at most {end:.1e} at t = 60"
    holds = start > 0.1 and end < 1e-6
    return stated(holds, text, **{"smallest at 0": start, "largest at 60": end})


def _bias(mean: np.ndarray, k: int) -> np.ndarray:
    away = mean.reshape(k, -1, mean.shape[-1]) - np.eye(mean.shape[-1])
    return np.sqrt((away**2).sum(axis=(1, 2)) / mean.shape[-1])
