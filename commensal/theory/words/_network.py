"""Networks of unigram models: who reads whom decides what survives, and for how long."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from commensal._compiled import compiled
from commensal._precision import AnyArray, float64
from commensal.theory.words import _arguments

_DENSE = 24  # models up to which eigenvalues of pairs are computed densely


def fixation_shares(reads: Any) -> Float[np.ndarray, " K"]:
    r"""Return the share of each model's words in what the network ends up with.

    Parameters
    ----------
    reads : Float[ArrayLike, "K K"]
        Reading shares W: model k reads model j's text with weight W_kj, and rows sum to one.

    Returns
    -------
    Float[ndarray, "K"]
        Left Perron vector π of W, which sums to one.

    Raises
    ------
    ValueError
        If a row is no share, or the network falls into parts that do not read each other, so that
        there is no single end.

    Notes
    -----
    Σ_k π_k E q_k is the same in every generation, whatever the tokens. In the end all models say
    one word, so π_j is the probability that it is one which model j alone had at first. Being read
    decides, not reading. New here.

    Examples
    --------
    Model 2 is read by everybody, and reads everybody:

    >>> fixation_shares([[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.0, 0.5, 0.5]]).round(3)
    array([0.25, 0.5 , 0.25])
    """
    w = _arguments.reads(reads)
    count = len(w)
    values = np.linalg.eigvals(w)
    if (np.abs(values - 1) < 1e-9).sum() > 1:
        raise ValueError(
            "reads must not fall into parts that read only themselves: give each part alone"
        )
    # π (W - I) = 0 with Σ π = 1 in the place of one equation that follows from the others
    system = np.vstack([w.T - np.eye(count), np.ones(count)])
    found = np.linalg.lstsq(system, np.append(np.zeros(count), 1.0))[0]
    return np.clip(found, 0.0, None) / np.clip(found, 0.0, None).sum()


def effective_tokens(reads: Any, tokens: float | int) -> float:
    r"""Return the size of the one corpus that loses diversity as fast as the network, n/Σ π².

    Parameters
    ----------
    reads : Float[ArrayLike, "K K"]
        Reading shares W, rows that sum to one.
    tokens : float or int
        Number of tokens n that each model writes in a generation.

    Returns
    -------
    float
        Effective number n_e of tokens, at most K n: that is reached where all models are read alike
        (doubly stochastic W).

    Raises
    ------
    ValueError
        If an argument is out of range; see :func:`fixation_shares`.

    Notes
    -----
    First order in 1/n; :func:`decay_rate` is the exact rate. New here.

    Examples
    --------
    >>> effective_tokens([[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.0, 0.5, 0.5]], 1_000)
    2666.6...
    """
    n = _arguments.token_number(tokens)
    return n / float((fixation_shares(reads) ** 2).sum())


def decay_rate(reads: Any, tokens: float | int) -> float:
    r"""Return the rate at which a network of models loses diversity, per generation, exactly.

    Parameters
    ----------
    reads : Float[ArrayLike, "K K"]
        Reading shares W, rows that sum to one.
    tokens : float or int
        Number of tokens n that each model writes in a generation.

    Returns
    -------
    float
        Rate -ln ρ(D (W⊗W)): heterozygosities fall as exp(-rate t) in the long run. Infinity if
        they are gone after some generations, and zero if parts of the network never meet.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    H_kl = E[1 - Σ_v q_kv q_lv] goes to D ∘ (W H Wᵀ), with D = 1 - 1/n on the diagonal and one
    elsewhere: two tokens of one model's text, drawn with replacement, are one token with
    probability 1/n. New here.

    Examples
    --------
    Everybody reads everything, two models: as one on 2 n tokens.

    >>> decay_rate([[0.5, 0.5], [0.5, 0.5]], 1_000), -np.log1p(-1 / 2_000)
    (0.000500..., ...0.000500...)
    """
    w = _arguments.reads(reads)
    n, count = _arguments.token_number(tokens), len(w)
    weight = np.ones((count, count)) - np.eye(count) / n

    def onward(pairs: Any) -> Any:
        return (weight * (w @ np.reshape(pairs, (count, count)) @ w.T)).ravel()

    if count <= _DENSE:
        steps = np.array([onward(unit) for unit in np.eye(count**2)]).T
        largest = np.abs(np.linalg.eigvals(steps)).max()
    else:
        from scipy.sparse.linalg import LinearOperator, eigs

        operator = LinearOperator((count**2, count**2), matvec=onward, dtype=float)  # pyright: ignore[reportCallIssue]
        start = np.ones(count**2)
        largest = np.abs(eigs(operator, k=1, v0=start, return_eigenvectors=False)).max()
    return float(-np.log(largest)) if largest > 0 else float("inf")


@float64
def network_heterozygosity(
    laws: Any, tokens: Any, generations: int, reads: Any, human_share: Any = 0.0
) -> AnyArray:
    r"""Return the expected chance that tokens of two models differ, for all pairs, exactly.

    Parameters
    ----------
    laws : Float[ArrayLike, "K V"] or Float[ArrayLike, "V"]
        Frequencies, or counts, of the humans whose words each model had at first; or one for all.
    tokens : float or int
        Number of tokens n that each model writes in a generation.
    generations : int
        Number of generations T.
    reads : Float[ArrayLike, "K K"]
        Reading shares W, rows that sum to one.
    human_share : float
        Share h of each model's later text that its humans wrote.

    Returns
    -------
    Float[Array, "T K K"]
        H_kl = E[1 - Σ_v q_kv q_lv] of generations 1 to T. Their mean over k and l is the
        heterozygosity of all text together. Memory "replace".

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    With C_kl = E Σ_v q_kv q_lv, A_kl = E Σ_v q_kv p_lv and P_kl = Σ_v p_kv p_lv of the laws,
    A ← (1-h) W A + h P and

    .. math:: C \leftarrow D \circ \big[(1-h)^2 W C W^\top + h(1-h)(W A + (W A)^\top) + h^2 P\big]
        + I/n .

    Examples
    --------
    Each model has a word of its own, and reads half of what the other writes:

    >>> path = network_heterozygosity(np.eye(2), 10, 3, [[0.5, 0.5], [0.5, 0.5]])
    >>> path[:, 0, 1].round(3)
    array([1.   , 0.5  , 0.475])
    """
    w = jnp.asarray(_arguments.reads(reads))
    known = np.asarray(laws, dtype=float)
    both = np.broadcast_to(known, (len(w), known.shape[-1])) if known.ndim == 1 else known
    p = _arguments.frequencies(both, "laws", axes=2)
    if len(p) != len(w):
        raise ValueError(f"laws must be one for each of {len(w)} models, got {len(p)}")
    n, h = _arguments.at_least(tokens, "tokens", 1), _arguments.share(human_share)
    steps = int(_arguments.generations(generations))
    return _path(p @ p.T, w, n, h, steps=steps)


def _paths(alike: Any, w: Any, n: Any, h: Any, steps: int) -> Any:
    eye = jnp.eye(len(w))

    def written(mixed: Any) -> Any:
        return (1 - eye / n) * mixed + eye / n

    def step(carry: Any, _: Any) -> Any:
        same, human = carry
        read = w @ human
        mixed = (1 - h) ** 2 * w @ same @ w.T + h * (1 - h) * (read + read.T) + h**2 * alike
        return (written(mixed), (1 - h) * read + h * alike), 1 - same

    return jax.lax.scan(step, (written(alike), alike), length=steps)[1]


_path = compiled(_paths, static_argnames=("steps",))
