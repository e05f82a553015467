r"""Two laws of ‖D‖_F of models that read a common web (`webdynamics`, eqs. 2 and 4).

Both laws are of :math:`V_t = E‖D^{(t)}‖_F^2` without the noise of L responses, which is measured
and added. They have two fitted scalars each, and start from the measured value at t = 0.

*Mixture* (`webdynamics` Algorithm 2, without its prior; new here). A model moves by the weight w
towards the k posts that it draws, one by one at the rate α = 1 - (1-w)^{1/k}, and keeps the rest:

.. math::
    V_{t+1} = (1-w)^2 V_t + 2n(n-1)\,S\,\frac{N}{N-1}\Big[S_2 - \frac{w^2}{N}\Big],
    \qquad S_2 = \frac{α\,(1-(1-w)^2)}{2-α},

with N posts on the web, k = ⌊βN⌋ and S the scale: Σ_b π_b(1-π_b) in the units of the embedding.
The paper's α = 1/k is w = 1-(1-1/k)^k → 0.632.

*Retrieval* (new). Nothing is trained, so nothing but the web is carried over: a model answers from
its own opinion, worth s posts, and from the k posts before it,

.. math::
    V_t = P \Big(\frac{s}{s+k}\Big)^2
        + 2n(n-1)\,S \Big(\frac{k}{s+k}\Big)^2 \frac{N-k}{k(N-1)}.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def mixture_law(
    initial: float,
    models: int,
    posts: Int[np.ndarray, " T"],
    draws: Int[np.ndarray, " T"],
    scale: float,
    weight: float | Float[np.ndarray, " T"],
) -> Float[np.ndarray, " T"]:
    """Return V_t of the mixture process, in which generation t's draws move the models to t + 1.

    Parameters
    ----------
    initial : float
        V_0.
    models : int
        n.
    posts, draws : (T,) integers
        N_t and k_t.
    scale : float
        S.
    weight : float or (T,) floats
        w, of all that is retrieved in one generation.
    """
    total, k = posts.astype(float), draws.astype(float)
    w = np.broadcast_to(np.asarray(weight, dtype=float), total.shape)
    rate = 1 - (1 - w) ** (1 / np.maximum(k, 1))
    second = rate * (1 - (1 - w) ** 2) / (2 - rate)
    fresh = np.where(total > 1, total / np.maximum(total - 1, 1) * (second - w**2 / total), 0.0)
    noise = np.where(k > 0, 2 * models * (models - 1) * scale * fresh, 0.0)
    kept = np.where(k > 0, (1 - w) ** 2, 1.0)
    path = [float(initial)]
    for q, more in zip(kept[:-1], noise[:-1], strict=True):
        path.append(q * path[-1] + more)
    return np.array(path)


def retrieval_law(
    initial: float,
    models: int,
    posts: Int[np.ndarray, " T"],
    draws: Int[np.ndarray, " T"],
    scale: float,
    strength: float,
) -> Float[np.ndarray, " T"]:
    """Return V_t if only the web is carried over; parameters as of :func:`mixture_law`.

    ``strength`` is s, how many posts a model's own opinion counts for. P follows from V_0.
    """
    total, k = posts.astype(float), draws.astype(float)
    own = strength / (strength + k)
    spread = (total - k) / (np.maximum(k, 1) * np.maximum(total - 1, 1))
    noise = 2 * models * (models - 1) * scale * (1 - own) ** 2 * spread
    apart = max(float(initial) - float(noise[0]), 0.0) / own[0] ** 2
    return apart * own**2 + noise
