"""The best number of models, and the effects that make it the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from commensal._precision import float64
from commensal.theory.ecosystem import _arguments
from commensal.theory.ecosystem._distance import expected_distance
from commensal.theory.ecosystem._perplexity import expected_cross_entropy
from commensal.theory.ecosystem._vocabulary import Vocabulary, sums

Measure = Literal["perplexity", "chi_square", "squares"]


_cells = float64(_arguments.cells)


class Gain(NamedTuple):
    """A measure, averaged over the generations, for an ecosystem and its baselines."""

    one: Float[np.ndarray, "..."]
    """Measure of one model on all N tokens."""
    alone: Float[np.ndarray, "..."]
    """Measure of one model on N/M tokens, the control that the paper lacks: it moves as little as
    each of the M, and has no others to pool with."""
    slower: Float[np.ndarray, "..."]
    """Measure of one model on all N tokens with hold Mλ: it moves as little as each of the M."""
    ecosystem: Float[np.ndarray, "..."]
    """Measure of M models."""

    @property
    def total(self) -> Float[np.ndarray, "..."]:
        """Gain of M models over one; negative where they lose."""
        return np.asarray(self.one - self.ecosystem)

    @property
    def fewer_tokens(self) -> Float[np.ndarray, "..."]:
        """Gain of one model on N/M tokens over one on all N: it moves less, on noisier text."""
        return np.asarray(self.one - self.alone)

    @property
    def pooling(self) -> Float[np.ndarray, "..."]:
        """Gain that the texts of the other models add: ``total`` - ``fewer_tokens``."""
        return np.asarray(self.alone - self.ecosystem)

    @property
    def moving_less(self) -> Float[np.ndarray, "..."]:
        """Gain of one model with hold Mλ over one with λ, on the same text: it moves less."""
        return np.asarray(self.one - self.slower)

    @property
    def segmenting(self) -> Float[np.ndarray, "..."]:
        """Gain from dealing the text out to many (``total`` - ``moving_less``); may be negative."""
        return np.asarray(self.slower - self.ecosystem)


def mean_measure(
    vocabulary: Vocabulary,
    tokens: Any,
    models: Any,
    hold: Any,
    generations: int = 10,
    measure: Measure = "perplexity",
) -> Float[np.ndarray, "..."]:
    """Mean over T generations: μ_T of `diversity` eq. (4), or a quadratic distance averaged alike.

    Parameters
    ----------
    vocabulary : Vocabulary
        True law and pretrained law.
    tokens, models, hold : Float[ArrayLike, "..."]
        Budget N, number of models M and hold λ, broadcast against each other.
    generations : int
        Number of generations T.
    measure : {"perplexity", "chi_square", "squares"}
        Measure that is averaged; perplexity is exp of :func:`expected_cross_entropy`.

    Returns
    -------
    Float[np.ndarray, "..."]
        Mean over generations, float64.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from commensal.theory.ecosystem import zipf
    >>> float(mean_measure(zipf(), 16_000, 4, 5_000.0).round(1))
    325.8
    """
    _arguments.one_of(measure, "measure", ("perplexity", "chi_square", "squares"))
    if measure == "perplexity":
        found = expected_cross_entropy(vocabulary, tokens, models, hold, generations)
        return np.asarray(np.exp(found).mean(axis=-1))
    known = sums(vocabulary, measure)
    return np.asarray(expected_distance(known, tokens, models, hold, generations).mean(axis=-1))


def best_models(
    vocabulary: Vocabulary,
    tokens: Any,
    hold: Any,
    generations: int = 10,
    measure: Measure = "perplexity",
    candidates: Sequence[int] = tuple(range(1, 65)),
) -> Int[np.ndarray, "..."]:
    """Find M*, the number of models that is best on average over the generations.

    Parameters
    ----------
    vocabulary : Vocabulary
        True law and pretrained law.
    tokens, hold : Float[ArrayLike, "..."]
        Budget N and hold λ, broadcast against each other. A number of models that does not divide N
        is taken as if segments could have N/M tokens, and one above N/2 is left out.
    generations : int
        Number of generations T.
    measure : {"perplexity", "chi_square", "squares"}
        Distance from the true law that is averaged over the generations.
    candidates : sequence of int
        Numbers of models to choose from.

    Returns
    -------
    Int[np.ndarray, "..."]
        Best number of models.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are no candidates.

    Examples
    --------
    >>> from commensal.theory.ecosystem import zipf
    >>> measures = ("perplexity", "chi_square", "squares")
    >>> [int(best_models(zipf(), 16_000, 5_000.0, measure=m)) for m in measures]
    [5, 2, 1]
    """
    models = np.array(sorted(set(candidates)), dtype=float)
    if not models.size:
        raise ValueError("candidates must name at least one number of models")
    n, h = np.broadcast_arrays(np.asarray(tokens, float), np.asarray(hold, float))
    allowed = (models <= n[..., None] / 2) | (models == models[0])
    tried = np.where(allowed, models, models[0])
    values = mean_measure(vocabulary, n[..., None], tried, h[..., None], generations, measure)
    values = np.where(allowed, values, np.inf)
    return np.asarray(models[values.argmin(axis=-1)].astype(int))


def gain(
    vocabulary: Vocabulary,
    tokens: Any,
    models: Any,
    hold: Any,
    generations: int = 10,
    measure: Measure = "perplexity",
) -> Gain:
    """Split the gain of M models over one into moving less and pooling.

    Parameters
    ----------
    vocabulary : Vocabulary
        True law and pretrained law.
    tokens, models, hold : Float[ArrayLike, "..."]
        Budget N, number of models M <= N/2 and hold λ, broadcast against each other.
    generations : int
        Number of generations T.
    measure : {"perplexity", "chi_square", "squares"}
        Distance from the true law that is averaged over the generations.

    Returns
    -------
    Gain
        Averages of the measure, and their differences.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    Most of what four models gain over one (418 - 326) is that each moves less: one that moves as
    little, on the same text, gains even more.

    >>> from commensal.theory.ecosystem import zipf
    >>> four = gain(zipf(), 16_000, 4, 5_000.0)
    >>> [float(x.round(1)) for x in (four.total, four.fewer_tokens, four.pooling)]
    [92.4, 46.7, 45.7]
    >>> [float(x.round(1)) for x in (four.moving_less, four.segmenting)]
    [107.1, -14.6]
    """
    tokens, models, hold = (np.asarray(x) for x in _cells(tokens, models, hold))
    values = (
        mean_measure(vocabulary, *cell, generations, measure)
        for cell in (
            (tokens, 1.0 + 0 * models, hold),
            (tokens / models, 1.0, hold),
            (tokens, 1.0, hold * models),
            (tokens, models, hold),
        )
    )
    return Gain(*(np.asarray(x) for x in np.broadcast_arrays(*values)))
