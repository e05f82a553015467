"""Claims beyond `interactive`: what cross-entropy makes of mixed data, where it is not squared."""

from __future__ import annotations

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity, stated
from commensal.pairing import mixture_loss

known = Register()


def _excess(p: np.ndarray, q: np.ndarray) -> float:
    """Return KL(p ‖ q), how much more than p the law q loses on texts of p."""
    at = p > 0
    return float((p[at] * np.log(p[at] / q[at])).sum())


@known.claim(
    id="commensal.mixture_loss",
    where="new here; pairing.mixture_loss",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("laws are mixed",),
    statement="What a mixture of laws loses on texts of one of them is bounded by that law's share "
    "in the mixture and by the cost of the rest alone, and the bound is sharp: half a share costs "
    "at most log 2, however wrong the other half is.",
    latex=r"\mathrm{KL}(p \,\|\, \omega p + (1 - \omega) r) \le"
    r" -\log\left(\omega + (1 - \omega) e^{-b}\right), \quad b = \mathrm{KL}(p \,\|\, r)",
    printed=mixture_loss,
    remark="log(ω + (1 - ω) eᵘ) is convex in u = log r/p, whose mean under p is -b (Jensen). "
    "Equal if r/p is the same where p > 0: the rest only makes p's texts rarer. "
    "Convexity of KL alone gives (1 - ω) b, which is larger.",
    mutations={
        "(1 - ω) b": lambda share, cost: (1 - share) * cost,
        "-log ω": lambda share, cost: -np.log(share),
        "squared: (1 - ω)² b": lambda share, cost: (1 - share) ** 2 * cost,
    },
)
def _mixture_loss(form, trial: Trial) -> Evidence:
    """Compare with KL where the bound is attained, and bound it elsewhere."""
    rng, found, expected, above = trial.rng(), [], [], 0
    count = trial.pick(200, 5000)
    for _ in range(count):
        words = int(rng.integers(2, 40))
        p, other = rng.dirichlet(np.full(words, rng.choice([0.1, 1.0])), 2) + 1e-12
        p, other = p / p.sum(), other / other.sum()
        share, cost = rng.uniform(0.01, 0.99), rng.uniform(0.1, 8)
        bound = form(share, _excess(p, other))
        lost = _excess(p, share * p + (1 - share) * other)
        above += int(lost > bound * (1 + 1e-9))
        # all that the rest says of p's words is e^(-b); what is left goes to one that p never says
        rest = np.append(np.exp(-cost) * p, 1 - np.exp(-cost))
        law = np.append(p, 0.0)
        found.append(form(share, cost))
        expected.append(_excess(law, share * law + (1 - share) * rest))
    equal = identity(found, expected, 1e-9, count)
    text = f"{above} of {count} random mixtures lose more; where it is attained: {equal.summary}"
    return stated(bool(equal.holds) and above == 0, text, above=above, mixtures=count)


@known.claim(
    id="commensal.mixed_data",
    where="new here; pairing.mixture_loss",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("linear least squares", "contexts told apart"),
    statement="Where contexts are told apart, weighted least squares on answers written as "
    "indicators and weighted cross-entropy have the same minimiser: the mixture of the datasets' "
    "laws of the answer, weighted by how often each has the context.",
    latex=r"\hat q(y \mid c) = \sum_j \omega_j(c)\, p_j(y \mid c), \quad"
    r" \omega_j(c) = \frac{w_j \mu_j(c)}{\sum_i w_i \mu_i(c)}",
    printed=lambda weights, often, laws: np.einsum(
        "jc,jcy->cy", weights[:, None] * often / (weights @ often), laws
    ),
    remark="So the linear theory's estimates are these laws, in coordinates in which Gram matrices "
    "are diagonal (μ_j), and it holds for language models with one change: the loss is -log of a "
    "probability, not a squared distance. Logits are not mixed: their mean would be another law.",
    mutations={
        "logits mixed": lambda weights, often, laws: _normalised(
            np.exp(
                np.einsum("jc,jcy->cy", weights[:, None] * often / (weights @ often), np.log(laws))
            )
        ),
        "contexts alike": lambda weights, often, laws: np.einsum(
            "j,jcy->cy", weights / weights.sum(), laws
        ),
    },
)
def _mixed_data(form, trial: Trial) -> Evidence:
    """Compare with Newton steps on the weighted cross-entropy of logits, and with least squares."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(5, 50)):
        datasets, contexts, words = (int(rng.integers(2, 5)) for _ in range(3))
        laws = rng.dirichlet(np.full(words, 2.0), (datasets, contexts)) + 0.01
        laws = _normalised(laws)
        often = rng.dirichlet(np.ones(contexts), datasets) + 0.01
        weights = rng.uniform(0.1, 1, datasets)
        told = form(weights, often, laws)
        counts = np.einsum("j,jc,jcy->cy", weights, often, laws)
        z = np.zeros((contexts, words))
        for _ in range(60):
            q = _normalised(np.exp(z))
            total = counts.sum(axis=-1)
            slope = total[:, None] * q - counts
            bend = total[:, None, None] * (np.eye(words) * q[:, None] - q[:, :, None] * q[:, None])
            z -= np.einsum("cyw,cw->cy", np.linalg.pinv(bend, hermitian=True), slope)
        # indicators of contexts as features, indicators of answers as responses
        gram = np.diag(weights @ often)
        squares = np.linalg.solve(gram, counts)
        found += [told.ravel(), told.ravel()]
        expected += [_normalised(np.exp(z)).ravel(), squares.ravel()]
    return identity(np.concatenate(found), np.concatenate(expected), 1e-8)


def _normalised(x: np.ndarray) -> np.ndarray:
    return x / x.sum(axis=-1, keepdims=True)
