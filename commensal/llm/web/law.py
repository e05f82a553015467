"""The known law of a web of taught models: what they answer if they have learnt it perfectly.

Each of B languages is a component; a model's shares of them are its mean response, and ‖D‖_F of
shares is eq. (2) of `webdynamics` for an embedding that tells languages apart and nothing else.
Needs no torch.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from commensal.llm.config import GridPoint, LanguageModel, WebConfig


def answer_law(
    model: LanguageModel, counts: Float[np.ndarray, "*batch B"]
) -> Float[np.ndarray, "*batch B"]:
    """Compute the law of the language in which a model should answer: (s π_b + m_b)/(s + k).

    Parameters
    ----------
    model : LanguageModel
    counts : Float[np.ndarray, "*batch B"]
        m, posts that were read in each language.

    Examples
    --------
    >>> print(answer_law(LanguageModel(prior=(1, 0), strength=2), np.array([1.0, 1.0])))
    [0.75 0.25]
    """
    own = model.strength * np.array(model.shares)
    return (own + counts) / (model.strength + counts.sum(axis=-1, keepdims=True))


def law_known(config: WebConfig) -> bool:
    """Return whether the run's law is known: taught models that draw their posts uniformly."""
    return config.retrieval.known_law and all(model.taught for model in config.models)


def simulate_law(
    config: WebConfig, point: GridPoint, lineages: int, seed: int = 0
) -> Float[np.ndarray, "R T n Q B"]:
    """Simulate a web whose models follow their law exactly.

    Parameters
    ----------
    config : WebConfig
        Settings for which :func:`law_known` is true.
    point : GridPoint
        Point of the run's grid, whose replicate does not matter.
    lineages : int
        Number of independent webs R.
    seed : int

    Returns
    -------
    (R, T + 1, n, Q, B) floats
        Shares of each language among the L answers of each model to each query.
    """
    rng = np.random.default_rng(seed)
    models, queries = len(config.taking_part(point)), len(config.queries)
    taught, languages = zip(*(config.taught(i) for i in range(models)), strict=True)
    human, may_read = languages[0], config.reading(models)
    # by author; the last is human
    web = np.zeros((lineages, models + 1, len(human.counts)), dtype=int)
    web[:, -1] = human.counts
    found = np.zeros((lineages, config.generations + 1, models, queries, len(human.counts)))
    for t in range(config.generations + 1):
        new = np.zeros_like(web)
        for i, model in enumerate(taught):
            readable = web[:, -1] + web[:, :-1][:, may_read[i]].sum(axis=1)
            share = config.share_read(point, i)
            draws = config.retrieved(share, int(readable[0].sum()))
            posts = model.posted(t + 1) - model.posted(t)
            for q in range(queries):
                law = answer_law(model, _drawn(readable, draws, rng).astype(float))
                posted = rng.multinomial(posts, law)
                others = rng.multinomial(config.responses - posts, law)
                found[:, t, i, q] = (posted + others) / config.responses
                new[:, i] += posted
        new[:, -1] += rng.multinomial(human.each_step, human.shares, size=lineages)
        web += new
    return found


def _drawn(
    readable: Int[np.ndarray, "R B"], draws: int, rng: np.random.Generator
) -> Int[np.ndarray, "R B"]:
    """Draw posts without replacement, and count them by language."""
    found = np.zeros_like(readable)
    left = np.full(len(readable), draws)
    for b in range(readable.shape[1]):
        others = readable[:, b + 1 :].sum(axis=1)
        found[:, b] = rng.hypergeometric(readable[:, b], others, left)
        left = left - found[:, b]
    return found


def answered(
    law: Float[np.ndarray, "*batch B"], responses: int, draws: int, rng: np.random.Generator
) -> Float[np.ndarray, "draws *batch B"]:
    """Draw the shares of L answers that follow a law, ``draws`` times."""
    return rng.multinomial(responses, law, size=(draws, *law.shape[:-1])) / responses


def disagreement(shares: Float[np.ndarray, "*batch n Q B"]) -> Float[np.ndarray, "*batch"]:
    """Compute ‖D‖_F of models' shares, the root mean square over queries.

    Examples
    --------
    >>> float(disagreement(np.array([[[1.0, 0.0]], [[0.0, 1.0]]])).round(6))
    2.0
    """
    off = shares - shares.mean(axis=-3, keepdims=True)
    return np.asarray(np.sqrt(2 * shares.shape[-3] * (off**2).sum(axis=(-3, -1)).mean(axis=-1)))


def answers_noise(
    shares: Float[np.ndarray, "*batch n Q B"], responses: int
) -> Float[np.ndarray, "*batch"]:
    """Estimate the part of ‖D‖_F² that comes from seeing each model through L answers only.

    Without bias where every answer is in one language; NaN for L = 1.
    """
    if responses < 2:
        return np.full(shares.shape[:-3], np.nan)
    variances = (shares * (1 - shares)).sum(axis=-1) / (responses - 1)
    return np.asarray(2 * (shares.shape[-3] - 1) * variances.mean(axis=-1).sum(axis=-1))


def ends(values: Float[np.ndarray, "*batch T"]) -> Float[np.ndarray, "*batch 2"]:
    """Return the value at t = 0, and the mean over the last quarter of the generations.

    Examples
    --------
    >>> print(ends(np.array([4.0, 3.0, 2.0, 1.0, 2.0, 2.0, 1.0, 0.0])))
    [4.  0.5]
    """
    quarter = max(values.shape[-1] // 4, 1)
    return np.stack([values[..., 0], values[..., -quarter:].mean(axis=-1)], axis=-1)


def log_ratio(values: Float[np.ndarray, "*batch T"]) -> Float[np.ndarray, "*batch"]:
    """Compute the logarithm of last over first, of :func:`ends`; NaN where either is 0."""
    both = ends(np.asarray(values, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(both[..., 1]) - np.log(both[..., 0])
    return np.where(np.isfinite(found), found, np.nan)
