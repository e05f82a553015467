"""Claims beyond the papers: verifiers, curation by a reward, and filters of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, at_most, identity
from commensal.claims._premises import FIT

known = Register()


def truncated(r: float) -> float:
    """Return the variance of a standard normal between -r and r."""
    from scipy.special import ndtr

    density = np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi)
    return float(1 - 2 * r * density / (2 * ndtr(r) - 1))


def verified(v: float, t: int, b: float, n: int, start: int) -> float:
    """Return the mean squared error after t rounds."""
    lost = b**2 * (1 - v**t) ** 2
    return lost + v ** (2 * t) / start + v / n * (1 - v ** (2 * t)) / (1 - v**2)


@known.claim(
    id="commensal.verified_mean",
    where="new here; selection.verified",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("Gaussian laws", "last generation only", "near centre"),
    statement="A mean that is learnt from samples within reach of a verifier's centre moves to it "
    "by a factor v a round, and its error follows. Premises: normal samples; the centre is "
    "near (first order in the distance from it).",
    latex=r"\mathrm{MSE}_t \approx b^2 (1-v^t)^2 + \frac{v^{2t}}{n_0} + "
    r"\frac{v}{n}\,\frac{1-v^{2t}}{1-v^2}, \quad v = 1 - \frac{2r\phi(r)}{2\Phi(r)-1}",
    printed=verified,
    remark="The slope of a truncated normal's mean is its variance. A verifier with an error of "
    "its own is best used for ln x*/ln v rounds. Compare arXiv 2510.16657, read as an abstract.",
    mutations={
        "no bias": lambda v, t, b, n, start: verified(v, t, 0.0, n, start),
        "v for v²": lambda v, t, b, n, start: verified(np.sqrt(v), t, b, n, start),
        "no noise of rounds": lambda v, t, b, n, start: verified(v, t, b, 10**9, start),
    },
)
def _verified_mean(form: Any, trial: Trial) -> Evidence:
    """Integrate the exact law of the mean over a fine grid, round by round, near the centre."""
    from scipy.stats import norm

    found, expected = [], []
    for r in (0.5, 1.0, 2.0):
        # all lengths small, so that the first order is all there is: samples and start in millions
        b, n, start = 1e-3, 2_000_000, 1_000_000
        v, grid = truncated(r), np.linspace(-8e-3, 8e-3, 4001)
        law = norm.pdf(grid, scale=start**-0.5)
        law /= law.sum()
        for t in range(1, trial.pick(4, 8)):
            low, high = b - r - grid, b + r - grid
            mass = norm.cdf(high) - norm.cdf(low)
            mean = grid + (norm.pdf(low) - norm.pdf(high)) / mass
            spread = 1 + (low * norm.pdf(low) - high * norm.pdf(high)) / mass - (mean - grid) ** 2
            scale = np.sqrt(spread / n)
            law = (norm.pdf(grid[:, None], mean, scale) * law).sum(axis=1)
            law /= law.sum()
            found.append(form(v, t, b, n, start))
            expected.append((law * grid**2).sum())
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-4, len(found))


def condensed(h: float, critical: float) -> float:
    """Return the mass at the highest reward."""
    return max(0.0, 1 - h / critical)


@known.claim(
    id="commensal.curation_condensate",
    where="new here; selection.curated",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "last generation only",
        "fresh human data",
        "same human law",
        "rare best answer",
        "many points",
    ),
    statement="Answers that are kept by the exponential of a reward condense at the highest reward "
    "if the share of human answers is below a critical one, and do not above it. Premises: humans "
    "reach the highest reward with probability zero; many answers.",
    latex=r"h < h_c = \frac{1}{E_{ref}[1/(1-\sigma)]} \;\Rightarrow\; \text{mass } 1 - h/h_c, "
    r"\quad \sigma = e^{r - r_{max}}",
    printed=condensed,
    remark="Kingman's house of cards, with selection e^r and mutation h. Compare arXiv 2407.09499, "
    "read as an abstract.",
    mutations={
        "h_c doubled": lambda h, critical: condensed(h, 2 * critical),
        "square root": lambda h, critical: condensed(h, critical) ** 0.5,
    },
)
def _curation_condensate(form: Any, trial: Trial) -> Evidence:
    """Iterate the law of a reward whose density falls to its top, and look at what comes near."""
    cells = trial.pick(4000, 40_000)
    distance = (np.arange(cells) + 0.5) / cells * 3
    reference = distance**2 / (distance**2).sum()
    weight = np.exp(-distance)
    critical = 1 / (reference / (1 - weight)).sum()
    away = []
    for h in (0.3 * critical, 0.6 * critical, (1 + critical) / 2):
        law = reference.copy()
        for _ in range(trial.pick(2500, 20_000)):
            kept = law * weight
            law = h * reference + (1 - h) * kept / kept.sum()
        near = distance < 0.05
        regular = (h * reference / (1 - weight))[near].sum() if h < critical else law[near].sum()
        away.append(abs(law[near].sum() - regular - form(h, critical)))
    return at_most(max(away), 0.02, "mass at the top, away from what is said")


def accuracy(kappa: float, passed: float, d: int) -> float:
    """Return the expected share of right predictions."""
    s = kappa * np.sqrt(2 / np.pi)
    noise = (1 - s**2) * (d - 1) / (passed - d - 1)
    return float(1 - np.arccos(s / np.sqrt(s**2 + noise)) / np.pi)


@known.claim(
    id="commensal.filtered_labels",
    where="new here; selection.filtered_accuracy",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*FIT, "Gaussian designs", "many dimensions", "many points"),
    statement="What a filter of synthetic labels is worth depends on the balance of right and "
    "wrong labels that pass, and on how many pass; where both are alike nothing is learnt. "
    "Premises: normal features, least squares, many dimensions.",
    latex=r"1 - \frac1\pi \arccos \frac{S}{\sqrt{S^2 + (1-S^2)(d-1)/(m-d-1)}}, \quad S = \kappa "
    r"\sqrt{2/\pi}, \; \kappa = \frac{p\varphi - (1-p)\psi}{p\varphi + (1-p)\psi}",
    printed=accuracy,
    remark="Compare arXiv 2406.07515, read as an abstract.",
    mutations={
        "all labels count": lambda kappa, passed, d: accuracy(kappa, 2 * passed, d),
        "m for m - d - 1": lambda kappa, passed, d: accuracy(kappa, passed + d + 1, d),
        "no √(2/π)": lambda kappa, passed, d: accuracy(kappa * np.sqrt(np.pi / 2), passed, d),
    },
)
def _filtered_labels(form: Any, trial: Trial) -> Evidence:
    """Train on drawn labels, six for each dimension."""
    rng, d, n = trial.rng(), 100, 600
    away = []
    for p, true, false in ((0.7, 1.0, 1.0), (0.8, 0.8, 0.4), (0.65, 0.9, 0.3)):
        found = []
        for _ in range(trial.pick(150, 1500)):
            x = rng.standard_normal((n, d))
            good = rng.random(n) < p
            kept = rng.random(n) < np.where(good, true, false)
            y = np.where(good, 1.0, -1.0) * np.sign(x[:, 0])
            w = np.linalg.lstsq(x[kept], y[kept])[0]
            found.append(1 - np.arccos(w[0] / np.linalg.norm(w)) / np.pi)
        right, wrong = p * true, (1 - p) * false
        told = form((right - wrong) / (right + wrong), n * (right + wrong), d)
        away.append(abs(np.mean(found) - told))
    return at_most(float(max(away)), 0.006, "accuracy, away from what is said")
