"""Operators from responses to estimates, and signals, which all replicates share.

Computed once, on the host. Axis t of an annotation runs over 0..T.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from commensal import networks
from commensal.designs import Designs
from commensal.sims.regression._config import RegressionConfig


class RegressionSystem(NamedTuple):
    """Arrays that all replicates share; ``at[t]`` is the G, S or H set that generation t uses."""

    # estimate of k per response in its private data, and in its own human data
    own_operator: Float[Array, "G K d n"]
    shared_operator: Float[Array, "G Kd N"]  # ... per public, published, shared human response
    operator_at: Int[Array, "t"]
    prompts: Float[Array, "S K s d"]
    prompts_at: Int[Array, "t"]
    human_signal: Float[Array, "H *K h"]  # X^h θ, of each model where it has its own
    human_at: Int[Array, "t"]
    private_signal: Float[Array, "K n"]
    public_signal: Float[Array, "m"]
    theta: Float[Array, "d"]
    noise: Float[Array, ""]


def build_system(
    config: RegressionConfig, designs: Designs, theta: Float[np.ndarray, "d"]
) -> RegressionSystem:
    """Compute operators and signals in NumPy. To be called where 64-bit is on."""
    private, public, synthetic, human = designs
    k, _, d = private.shape
    generations = config.generations
    if human is None or not np.any(np.asarray(config.human_share) > 0):
        human = np.zeros((0, d))  # of no weight: not worth drawing
    synthetic = synthetic if synthetic.ndim == 4 else synthetic[None]
    human = human if human.ndim == 3 else human[None]

    def schedule(value: Any, initial: float) -> Float[np.ndarray, "t"]:
        return np.concatenate([[initial], np.broadcast_to(value, generations)])

    def position(sets: np.ndarray) -> Int[np.ndarray, "t"]:
        return np.maximum(np.arange(generations + 1) - 1, 0) * (len(sets) > 1)

    beta0 = config.initial_beta
    if beta0 is None:
        beta0 = float(np.ravel(config.beta)[0]) if np.size(config.beta) else 1.0
    alpha = schedule(config.alpha, 0.0)
    beta = schedule(config.beta, beta0)
    share = schedule(config.human_share, 0.0)
    # of a row of private, public, published and human data
    real = (1 - alpha) * beta, (1 - alpha) * (1 - beta)
    weights = np.stack([*real, alpha * (1 - share), alpha * share], axis=1)
    network = config.network(k)
    reads = networks.uniform(k) if network is None else network
    prompts_at, human_at = position(synthetic), position(human)

    # one set of operators per distinct generation, not per generation
    found: dict[tuple[float, ...], int] = {}
    operators, operator_at = [], []
    for t in range(generations + 1):
        signature = (*weights[t], prompts_at[t], human_at[t])
        if signature not in found:
            found[signature] = len(operators)
            asked = synthetic[prompts_at[t]].reshape(-1, d)
            parts = (public, asked, human[human_at[t]])
            operators.append(_operators(private, parts, weights[t], reads))
        operator_at.append(found[signature])
    signal = human @ theta
    every = np.stack(operators)
    own, shared = np.split(every, [private.shape[1]], axis=-1)
    if config.human_data == "own":
        shared, told = np.split(shared, [shared.shape[-1] - signal.shape[-1]], axis=-1)
        own = np.concatenate([own, told], axis=-1)
        signal = np.repeat(signal[:, None], k, axis=1)
    system = {
        "own_operator": own,
        "shared_operator": shared.reshape(len(every), k * d, -1),
        "operator_at": np.array(operator_at),
        "prompts": synthetic,
        "prompts_at": prompts_at,
        "human_signal": signal,
        "human_at": human_at,
        "private_signal": private @ theta,
        "public_signal": public @ theta,
        "theta": theta,
        "noise": np.float64(config.noise),
    }
    return RegressionSystem(**{name: jnp.asarray(value) for name, value in system.items()})


def _operators(
    private: Float[np.ndarray, "K n d"],
    shared: tuple[Float[np.ndarray, "_ d"], ...],
    weights: Float[np.ndarray, "4"],
    reads: Float[np.ndarray, "K K"],
) -> Float[np.ndarray, "K d N"]:
    """Compute each model's estimate per response, for one weight per part: private, then shared.

    What was published, the second of the shared parts, is weighed by who reads it besides.
    """
    k, n, _ = private.shape
    rows = np.concatenate([private, *(np.broadcast_to(x, (k, *x.shape)) for x in shared)], axis=1)
    of_row = np.repeat(weights, [n, *(len(x) for x in shared)])
    read = np.repeat(reads, len(shared[1]) // k, axis=1)  # (K, rows of all models)
    before, after = (np.ones((k, size)) for size in (n + len(shared[0]), len(shared[2])))
    root = np.sqrt(of_row * np.concatenate([before, read, after], axis=1))
    # rows of weight zero are zero rows here, and zero columns of the pseudo-inverse
    tolerance = max(rows.shape[1:]) * np.finfo(float).eps
    return np.linalg.pinv(root[:, :, None] * rows, rtol=tolerance) * root[:, None]
