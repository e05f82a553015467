"""The weights of documents with the smallest error after many generations."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from commensal.planning.advice._plan import DocumentPlan, DocumentWeights, Mixed
from commensal.theory import regression

_NONE = 1e-9  # of the error: a share that gains less than that is not worth having
_STARTS = (-2.0, 2.0)  # ln of what is published, over ln of the rest


def settled(plan: DocumentPlan) -> float:
    """Mean error after many generations, memory "replace"; NaN where there is none, or a bias."""
    try:
        limit = regression.limit(plan.workflow)
    except (regression.UnstableError, regression.UntrustedError):
        return np.nan
    if np.abs(np.asarray(limit.mean_map) - np.eye(plan.workflow.dim)).max() > 1e-6:
        return np.nan
    return float(np.trace(np.asarray(limit.covariance), axis1=-2, axis2=-1).mean())


def best_weights(plan: DocumentPlan) -> DocumentWeights | None:
    """Find the weights with the smallest mean error in the limit; None where there is no limit.

    Where documents cover all directions alike and the network is normal it is the minimum of
    :func:`commensal.theory.regression.isotropic_network`; otherwise that of
    :func:`commensal.theory.regression.optimal_mix`, and of a search over φ if there are newly
    collected human documents.
    """
    w = plan.network
    normal = np.abs(w @ w.T - w.T @ w).max() < 1e-9
    found = _alike(plan) if plan.grams is None and normal else _measured(plan)
    if found is None:
        return None
    if settled(plan) < settled(plan.weighing(found)) * (1 - _NONE):
        found = plan.document_weights  # where the error is flat the search may stop short of them
    # a local search comes close to "none at all", and never there
    without = found._replace(synthetic=0.0)
    errors = [settled(plan.weighing(one)) for one in (found, without)]
    return without if errors[1] <= errors[0] * (1 + _NONE) else found


def _alike(plan: DocumentPlan) -> DocumentWeights | None:
    s = plan.settings
    sizes: dict[str, Any] = {
        "private": plan.private,
        "public": plan.public,
        "synthetic": s.synthetic,
    }
    sizes["human"] = s.fresh
    # the theory's sizes are positive: those that are 0 have no weight
    there = np.array([size > 0 for size in sizes.values()])
    sizes = {name: float(size or 1.0) for name, size in sizes.items()}

    def mixed(logits: np.ndarray) -> Mixed:
        parts = np.zeros(4)
        parts[there] = np.exp(logits - logits.max())
        a, b, r, q = parts / parts.sum() / list(sizes.values())
        total = a + b + r + q
        return Mixed((r + q) / total, a / (a + b), q / (r + q) if r + q else 0.0)

    def error(logits: np.ndarray) -> float:
        if np.abs(logits).max() > 50:
            return np.inf
        a, b, phi = mixed(logits)
        found = regression.isotropic_network(
            plan.network, a, b, human_share=phi, human_data=s.human_data, **sizes
        )
        return found.mse * s.real

    free = int(there.sum())
    if free == 1:
        return plan.weights_of(mixed(np.zeros(1)))
    runs: list[Any] = []
    for web in _STARTS if there[2] else (0.0,):
        start = np.zeros(free)
        if there[2]:
            start[int(there[:2].sum())] = web
        options = {"xatol": 1e-6, "fatol": 1e-13, "maxiter": 4000}
        runs.append(minimize(error, start, method="Nelder-Mead", options=options))
    return plan.weights_of(mixed(min(runs, key=lambda run: run.fun).x))


def _measured(plan: DocumentPlan) -> DocumentWeights | None:
    s, w = plan.settings, plan.workflow
    if not s.synthetic and not s.fresh:
        return plan.document_weights

    def at(share: float) -> regression.Mix:
        return regression.optimal_mix(w.replace(human_share=share))

    try:
        if not s.fresh:
            best, share = at(0.0), 0.0
        elif not s.synthetic:
            best, share = at(1.0), 1.0
        else:
            found: Any = minimize_scalar(
                lambda x: at(1 / (1 + np.exp(-x))).mse.mean(),
                bounds=(-7.0, 7.0),
                method="bounded",
                options={"xatol": 1e-2},  # the error is flat there: to about one part in 1e5
            )
            share = float(1 / (1 + np.exp(-found.x)))
            best = at(share)
    except ValueError:  # no mix is stable
        return None
    return plan.weights_of(Mixed(best.alpha, best.beta, share))
