"""Claims beyond the papers: how mixtures that read a network disagree."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity

known = Register()


def law(values: np.ndarray, posts: int, share: float) -> float:
    """Return lim t E‖D‖² over Σ_b π_b(1-π_b), for the eigenvalues of W without the 1 of ones."""
    n = len(values) + 1
    archived = np.abs(values) ** 2 / (posts * (1 - 2 * np.real(values)))
    return float(2 * n * (archived + 1 / (2 * share * n * posts)).sum())


def without_archives(values: np.ndarray, posts: int, share: float) -> float:
    """Return the law of one web: draws alone."""
    n = len(values) + 1
    return (n - 1) / (share * posts)


def moduli(values: np.ndarray, posts: int, share: float) -> float:
    """Return the law with moduli of eigenvalues in the place of their real parts."""
    return law(np.abs(values) + 0j, posts, share)


@known.claim(
    id="commensal.mixture_network",
    where="new here; mixture.network_disagreement",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "separated components",
        "falling steps",
        "at rest",
        "normal network",
        "draws with replacement",
        "everything kept",
        "many points",
    ),
    statement="On a network mixtures late in a run disagree as 1/t: by noise of what each drew, "
    "and by that of all that was ever posted, which fades the more slowly the less the groups read "
    "each other, and no longer as 1/t where an eigenvalue of W beside 1 has a real part of ½ or "
    "more. Premises: W normal; draws with replacement, each of a post of model j with probability "
    "W_ij; well-separated components.",
    latex=r"E \lVert D^{(t)} \rVert_F^2 \simeq \frac{2n}{t} \sum_{\lambda_l \neq 1} \Big[ "
    r"\frac{|\lambda_l|^2}{L (1 - 2\,\mathrm{Re}\,\lambda_l)} + \frac{1}{2\beta n L} \Big] "
    r"\sum_b \pi_b (1 - \pi_b)",
    printed=law,
    remark="For W uniform all λ_l are 0, and it is the noise law of one web.",
    mutations={
        "one web": without_archives,
        "moduli": moduli,
        "half the posts": lambda values, posts, share: law(values, 2 * posts, share),
    },
)
def _mixture_network(form: Any, trial: Trial) -> Evidence:
    """Follow the covariances of all weights and archives, generation by generation."""
    rng, found, expected = trial.rng(), [], []
    for n in (2, 3, 5):
        for _ in range(trial.pick(2, 8)):
            # rather much of others than of oneself, so that no mode is slow
            row = np.append(rng.uniform(0, 0.3), rng.dirichlet(np.ones(n - 1)))
            row[1:] *= 1 - row[0]
            w = np.stack([np.roll(row, i) for i in range(n)])
            values = np.asarray(np.linalg.eigvals(w), dtype=np.complex128)
            values = np.delete(values, np.abs(values - 1).argmin())
            if values.real.max() > 0.2:
                continue
            posts, share, p = int(rng.integers(1, 4)), float(rng.uniform(0.3, 1)), 0.21
            state, apart, ends = np.zeros((2 * n, 2 * n)), np.eye(n) - 1 / n, {}
            for t in range(1, trial.pick(4001, 16001)):
                points = posts * (t + 5)
                k = max(1, int(share * n * points))
                kept, old = (1 - 1 / k) ** k, points / (points + posts)
                step = np.kron([[kept, 0], [1 - old, old]], np.eye(n))
                step[:n, n:] = (1 - kept) * w
                noise = np.repeat([(1 - kept**2) / (2 * k - 1), (1 - old) ** 2 / posts], n)
                state = step @ state @ step.T + np.diag(p * noise)
                ends[t] = 2 * n * np.trace(apart @ state[:n, :n]) * t / p
            last = max(ends)
            # what is missing falls as 1/t, or more slowly where an eigenvalue is near ½
            found.append(2 * ends[last] - ends[last // 2])
            expected.append(form(values, posts, share))
    return identity(found, expected, 3e-3, len(found))
