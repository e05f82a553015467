"""Operators from responses to estimates, and signals, which all replicates share.

Computed once, on the host. Axis t of an annotation runs over 0..T.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from commensal import networks
from commensal.designs import Designs
from commensal.sims.regression._config import RegressionConfig


class RegressionSystem(NamedTuple):
    """Arrays that all replicates share; ``at[t]`` is the G, S or H set that generation t uses.

    Of what was published, and of human data, there are the responses of some generations, one slot
    behind the other: generation t is in slot (t - 1) mod slots. If everything is kept and all
    generations are alike, there is one slot, which has the sum of all responses.
    """

    # estimate of k per response in its private data, and in its own human data
    own_operator: Float[Array, "G K d n"]
    shared_operator: Float[Array, "G Kd N"]  # ... per public, published, shared human response
    operator_at: Int[Array, "t"]
    renewed: Bool[Array, "t slots"]  # slots in which something new is put; none if nothing is kept
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
    network = config.network(k)
    reads = networks.uniform(k) if network is None else network
    prompts_at, human_at = position(synthetic), position(human)
    slots = _slots(config, len(synthetic), len(human))

    # one set of operators per distinct generation, not per generation
    found: dict[tuple[float, ...], int] = {}
    operators, operator_at = [], []
    for t in range(generations + 1):
        age = (t - 1 - np.arange(slots)) % slots  # of what a slot has, in generations
        there = age < max(t, 1)  # before the first generation there is none, of no weight
        of = np.maximum(t - age, 0) * there
        # of a row of private, public, published and human data
        real = (1 - alpha[t]) * beta[t], (1 - alpha[t]) * (1 - beta[t])
        many = max(min(t, config.kept), 1)
        web = alpha[t] * (many if config.memory == "accumulate" else 1)
        added = many if slots == 1 else 1  # responses to a prompt whose sum is kept
        web = web * added / many * there
        weights = np.concatenate([real, web * (1 - share[of]), web * share[of]])
        signature = (*weights, added, *prompts_at[of], *human_at[of])
        if signature not in found:
            found[signature] = len(operators)
            parts = (public, synthetic[prompts_at[of]], human[human_at[of]])
            operator = _operators(private, parts, weights, reads)
            operator[..., private.shape[1] + len(public) :] /= added  # the mean of a sum
            operators.append(operator)
        operator_at.append(found[signature])
    signal = human @ theta
    every = np.stack(operators)
    own, shared = np.split(every, [private.shape[1]], axis=-1)
    if config.human_data == "own":
        shared, told = np.split(shared, [shared.shape[-1] - slots * signal.shape[-1]], axis=-1)
        own = np.concatenate([own, told], axis=-1)
        signal = np.repeat(signal[:, None], k, axis=1)
    system = {
        "own_operator": own,
        "shared_operator": shared.reshape(len(every), k * d, -1),
        "operator_at": np.array(operator_at),
        "renewed": _renewed(generations, slots if config.kept > 1 else 0),
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


def _renewed(generations: int, slots: int) -> Bool[np.ndarray, "t slots"]:
    t = np.arange(generations + 1)[:, None]
    return (t > 0) & ((t - 1) % max(slots, 1) == np.arange(slots))


def _slots(config: RegressionConfig, prompts: int, human: int) -> int:
    """Return how many generations of responses are held apart, for so many sets of features."""
    alike = prompts == human == 1 and np.unique(config.human_share).size <= 1
    everything = config.memory != "replace" and config.kept == config.generations
    return 1 if everything and alike else config.kept


def _operators(
    private: Float[np.ndarray, "K n d"],
    shared: tuple[
        Float[np.ndarray, "m d"], Float[np.ndarray, "slots K s d"], Float[np.ndarray, "slots h d"]
    ],
    weights: Float[np.ndarray, "W"],
    reads: Float[np.ndarray, "K K"],
) -> Float[np.ndarray, "K d N"]:
    """Compute each model's estimate per response, for one weight per part: private, then shared.

    Every slot of what was published, the second of the shared parts, has a weight, and each model's
    is weighed by who reads it besides; then every slot of human data has one.
    """
    k, n, d = private.shape
    public, asked, human = shared
    slots, _, each, _ = asked.shape
    common = np.concatenate([public, asked.reshape(-1, d), human.reshape(-1, d)])
    rows = np.concatenate([private, np.broadcast_to(common, (k, *common.shape))], axis=1)
    sizes = [n, len(public), *[k * each] * slots, *[human.shape[1]] * slots]
    read = np.tile(np.repeat(reads, each, axis=1), slots)  # (K, rows of all models)
    before, after = (np.ones((k, size)) for size in (n + len(public), human[..., 0].size))
    root = np.sqrt(np.repeat(weights, sizes) * np.concatenate([before, read, after], axis=1))
    # rows of weight zero are zero rows here, and zero columns of the pseudo-inverse
    tolerance = max(rows.shape[1:]) * np.finfo(float).eps
    return np.linalg.pinv(root[:, :, None] * rows, rtol=tolerance) * root[:, None]
