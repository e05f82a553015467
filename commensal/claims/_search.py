"""Search for violations of a claimed inequality by gradient ascent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from commensal.claims._evidence import Evidence, Number


def attack(
    ratio: Callable[[Any], Any],
    start: Callable[[np.random.Generator], np.ndarray],
    rng: np.random.Generator,
    *,
    restarts: int,
    steps: int = 200,
    tolerance: float = 1e-9,
    describe: Callable[[np.ndarray], dict[str, Number]] | None = None,
) -> Evidence:
    """Check whether ``ratio(x) <= 1`` survives gradient ascent from many starting points.

    Parameters
    ----------
    ratio : callable
        Of a vector x: what the claim bounds, over its bound. Written in `jax.numpy`; it is
        differentiated in float64. Parameters with a range are mapped into it inside.
    start : callable
        Draws the x to begin with.
    rng : numpy.random.Generator
    restarts : int
    steps : int
        Of L-BFGS, at most, from each start.
    tolerance : float
        What rounding may add to 1.
    describe : callable or None
        Numbers that say what the worst x means.

    Returns
    -------
    Evidence
        Its numbers: the largest ratio, before and after climbing.
    """
    import jax
    import jax.numpy as jnp
    from scipy.optimize import minimize

    from commensal._compiled import compiled

    with jax.enable_x64(True):
        climb = compiled(jax.value_and_grad(lambda x: -ratio(x)))

        def down(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = climb(jnp.asarray(x))
            value, slope = float(value), np.asarray(slope, float)
            # a place where nothing is defined repels the search instead of ending it
            return (
                (value, slope)
                if np.isfinite(value) and np.isfinite(slope).all()
                else (
                    0.0,
                    np.zeros_like(slope),
                )
            )

        best, first, where, count = -np.inf, -np.inf, None, 0
        for _ in range(restarts):
            x = np.asarray(start(rng), float)
            before = -down(x)[0]
            first = max(first, before)
            if before > best:  # counts too: the ascent may end where nothing is defined
                best, where = before, x
            end = minimize(down, x, jac=True, method="L-BFGS-B", options={"maxiter": steps})
            count += end.nfev
            if -end.fun > best:
                best, where = float(-end.fun), end.x
    holds = bool(best <= 1 + tolerance)
    numbers: dict[str, Number] = {
        "largest ratio to the bound": best,
        "largest before climbing": first,
        "restarts": restarts,
        "evaluations": count,
    }
    if describe is not None and where is not None:
        numbers |= describe(where)
    found = f"{restarts} ascents reach {best:.6g} of the bound"
    return Evidence(holds, found if holds else f"{found}: broken", numbers)
