"""Claims beyond the papers: what a network conserves in regression and in mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, at_most, identity
from commensal.claims._premises import FIT
from commensal.claims.ours.words_network import networks, perron

known = Register()


@known.claim(
    id="commensal.regression_conserved",
    where="new here; docs/explanation/networks.md",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        "equal noise",
        "isotropic data",
        "fixed prompts",
        "last generation only",
        "no human data later",
    ),
    statement="Without real data, and if all models are asked equally much in all directions, the "
    "estimates averaged with the left Perron vector π of W are expected to stay, and drift by "
    "σ²d Σπ²/s per generation in mean square: slowest if all are read alike. In the end all "
    "estimates are that average: being read decides, not reading.",
    latex=r"E \sum_k \pi_k \hat\theta_{t+1,k} = \sum_k \pi_k \hat\theta_{tk}, \quad "
    r"E \Big\lVert \sum_k \pi_k (\hat\theta_{t+1,k} - \hat\theta_{tk}) \Big\rVert^2 = "
    r"\frac{\sigma^2 d}{s} \sum_k \pi_k^2, \qquad \pi W = \pi",
    printed=perron,
    remark="θ̂_{t+1,k} = Σ_j W_kj (θ̂_tj + S⁻¹Xᵀw_j): the noise of what j published reaches all that "
    "read it, and Σ_k π_k W_kj = π_j.",
    mutations={
        "all alike": lambda w: np.full(len(w), 1 / len(w)),
        "shares in one step": lambda w: w.mean(axis=0),
        "by reading": lambda w: perron(w.T / w.T.sum(axis=1, keepdims=True)),
    },
)
def _regression_conserved(form: Any, trial: Trial) -> Evidence:
    """Refit on responses with and without noise, by least squares on the rows themselves."""
    rng, moved, found, expected = trial.rng(), 0.0, [], []
    for models in trial.pick((2, 4), (2, 3, 5, 8)):
        for w in networks(rng, trial.pick(4, 20), models):
            d, rows = int(rng.integers(1, 4)), 6
            # orthogonal columns: as much in all directions
            x = np.stack(
                [np.linalg.qr(rng.standard_normal((rows, d)))[0] * 3 for _ in range(models)]
            )
            before = rng.standard_normal((models, d))
            weighed = np.sqrt(w)[:, :, None, None] * x
            refit = np.linalg.pinv(weighed.reshape(models, models * rows, d))
            # estimates per response, (k, d, j, row)
            refit = refit.reshape(models, d, models, rows) * np.sqrt(w)[:, None, :, None]
            after = np.einsum("kajr,jrb,jb->ka", refit, x, before)
            pi = np.asarray(form(w))
            moved = max(moved, np.abs(pi @ (after - before)).max())
            found.append((np.einsum("k,kajr->ajr", pi, refit) ** 2).sum())
            expected.append(d / 9 * (pi**2).sum())
    drift = identity(found, expected, 1e-6, len(found))
    return drift & at_most(moved, 1e-6, "expected change of the average")


@known.claim(
    id="commensal.mixture_conserved",
    where="new here; mixture.network_moments",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=("separated components", "no prior", "draws with replacement", "everything kept"),
    statement="Mixtures that read a network and began with archives of their own posts keep the "
    "expected weights Σ_k π_k E π_k in every generation, with π W = π: what survives of model j is "
    "π_j. Premises: no prior (c = 0); well-separated components; draws with replacement.",
    latex=r"\sum_k \pi_k\, E\, x_k(t) = \text{const}, \qquad "
    r"\lim_t E\, x_i(t) = \sum_j \pi_j x_j(0)",
    printed=perron,
    remark="Archives and weights have the same π-average at first; each becomes a mix of the two.",
    mutations={
        "all alike": lambda w: np.full(len(w), 1 / len(w)),
        "shares in one step": lambda w: w.mean(axis=0),
        "by reading": lambda w: perron(w.T / w.T.sum(axis=1, keepdims=True)),
    },
)
def _mixture_conserved(form: Any, trial: Trial) -> Evidence:
    """Follow the chance that a point is of the component that one model alone had."""
    rng, found, expected = trial.rng(), [], []
    for models in (2, 4):
        for w in networks(rng, trial.pick(3, 15), models):
            weights, archives = np.eye(models), np.eye(models)  # model j's component is j
            points, posts = float(rng.integers(2, 9)), float(rng.integers(1, 5))
            pi = np.asarray(form(w))
            for _ in range(int(rng.integers(1, 60))):
                # each of k draws moves the weights 1/k of the way
                k = max(1, round(models * points / 2))
                kept = (1 - 1 / k) ** k
                posted = (points * archives + posts * weights) / (points + posts)
                weights = kept * weights + (1 - kept) * w @ archives
                archives, points = posted, points + posts
            found.append(pi @ weights)
            expected.append(pi)
    return identity(found, expected, 1e-6)
