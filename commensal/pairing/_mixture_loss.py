r"""Cross-entropy of a model whose answers are a mixture of the datasets' laws.

Linear theory reads an estimate by its squared distance to the truth. Language models are read by
cross-entropy, and there is one place where both meet: write answers as indicators, and contexts
too. Then weighted least squares and weighted cross-entropy have the same minimiser, the mixture
:math:`\sum_j ω_j p_j` of the datasets' laws (claim ``commensal.mixed_data``), with the shares ω_j
that the linear theory computes. On texts of dataset m it loses more than p_m itself by

.. math:: \mathrm{KL}(p_m \| ω_m p_m + (1 - ω_m) r) \le -\log(ω_m + (1 - ω_m) e^{-b}), \quad
          b = \mathrm{KL}(p_m \| r),

r being the rest of the mixture: log(ω + (1 - ω) eᵘ) is convex in u = log r/p_m, whose mean is -b.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float


def mixture_loss(share: Any, cost: Any) -> Float[np.ndarray, "..."]:
    r"""Return the loss of a mixture on one of its laws, over that of the law itself.

    Parameters
    ----------
    share : array
        ω, share of the law in the mixture, 0 to 1.
    cost : array
        b >= 0, in nats: loss of the rest of the mixture alone, over that of the law.

    Returns
    -------
    Float[numpy.ndarray, "..."]
        :math:`-\log(ω + (1 - ω) e^{-b})`, nats: an upper bound, attained where the rest has the
        same odds to the law for all answers that the law gives (claim ``commensal.mixture_loss``).

    Raises
    ------
    ValueError
        If a share is below 0 or above 1, or a cost below 0.

    Examples
    --------
    Half of the truth costs at most log 2, however wrong the other half is; and a tenth takes away
    more than half of what it costs to know nothing:

    >>> mixture_loss([0, 0.1, 0.5, 1], 6.0).round(2)
    array([6.  , 2.28, 0.69, 0.  ])
    """
    share, cost = np.asarray(share, float), np.asarray(cost, float)
    if ((share < 0) | (share > 1)).any():
        raise ValueError("a share is from 0 to 1")
    if (cost < 0).any():
        raise ValueError("a cost is 0 or more")
    return np.asarray(-np.log(share + (1 - share) * np.exp(-cost)) + 0.0)
