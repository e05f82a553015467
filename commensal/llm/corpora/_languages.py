"""Made-up languages over one vocabulary, with Zipf frequencies and few successors per word."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float

from commensal.llm.corpora._markov import Markov

_WORDS, _LAW = range(2)  # streams of a law seed
_ONSETS, _VOWELS = "bdfgjklmnprstvwz", "aeiou"
SYLLABLES = len(_ONSETS) * len(_VOWELS)

# Before successors are chosen, log-weights of pairs have this standard deviation: the larger, the
# more a context prefers some words, and the less of its mass is cut off with the rest.
_SPREAD = 2.5
_ROUNDS = 3  # of choosing successors and balancing
# Where the chosen successors cannot carry the frequencies exactly, this share of the weight lets a
# little mass leak to other words.
_LEAK = 1e-3
# Of order 2: a word has this many times the successors of a pair of words.
_BREADTH = 3


def made_up_words(count: int, seed: int) -> tuple[str, ...]:
    """Make pronounceable words of two syllables, all different; a shorter list is a prefix.

    Examples
    --------
    >>> words = made_up_words(96, seed=0)
    >>> words[:3] == made_up_words(3, seed=0), len(set(words)), {len(word) for word in words}
    (True, 96, {4})
    """
    chosen = np.random.default_rng([seed, _WORDS]).permutation(SYLLABLES**2)[:count]
    syllables = [onset + vowel for onset in _ONSETS for vowel in _VOWELS]
    return tuple(syllables[i // SYLLABLES] + syllables[i % SYLLABLES] for i in chosen)


def used_words(
    vocabulary: int, language: int, own: float, languages: int
) -> Bool[np.ndarray, "vocabulary"]:
    """Choose the words that a language uses: those common to all, and its own.

    The vocabulary is c common words and m own words of each language, with m / (c + m) about
    ``own``: the number m is rounded down.

    Examples
    --------
    >>> print(used_words(12, 1, own=0.5, languages=3).astype(int))
    [1 1 1 0 0 0 1 1 1 0 0 0]
    """
    each = int(vocabulary * own / (1 - own + own * languages) + 1e-9)
    common = vocabulary - languages * each
    used = np.zeros(vocabulary, bool)
    used[:common] = True
    if each:
        used[common + language * each : common + (language + 1) * each] = True
    return used


@lru_cache(maxsize=64)
def language_law(
    language: int,
    vocabulary: int,
    order: int,
    successors: int,
    zipf: float,
    own: float,
    languages: int,
    smoothing: float,
    law_seed: int,
    word_seed: int,
) -> Markov:
    r"""Make the law of one language.

    With probability ε = ``smoothing`` the next word is any of the vocabulary's, all alike;
    otherwise it is one of the context's successors,

    .. math:: P(c \mid \text{context}) = (1-ε)\, R(c \mid \text{context}) + ε/V,

    where R is balanced such that the frequencies are Zipf's exactly, up to the smoothing: the
    r-th most frequent word of the language has frequency (1 - ε) r^(-zipf) / Σ_s s^(-zipf) + ε/V.
    Which words are frequent, and what follows what, is another matter in each language.

    Of order 2, P(c | a, b) averages over a to the law of order 1 that a word alone has, so that
    pairs of words occur as in a chain of order 1 with three times the successors.
    """
    rng = np.random.default_rng([law_seed, _LAW, language])
    used = used_words(vocabulary, language, own, languages)
    wanted = np.zeros(vocabulary)
    wanted[rng.permutation(np.flatnonzero(used))] = np.arange(1, used.sum() + 1) ** -float(zipf)
    wanted /= wanted.sum()
    frequencies = (1 - smoothing) * wanted + smoothing / vocabulary

    width = successors if order == 1 else min(_BREADTH * successors, int(used.sum()))
    weights = np.exp(_SPREAD * rng.standard_normal((vocabulary, vocabulary)))
    joint = _sparse_coupling(weights, frequencies, wanted, width)
    transition = (1 - smoothing) * joint / joint.sum(-1, keepdims=True) + smoothing / vocabulary
    if order == 2:
        # Given the word b between them, the words a and c are coupled: a has the law of what
        # comes before b, c that of what follows it.
        before = (frequencies[:, None] * transition).T
        after = before.sum(1, keepdims=True) * joint / joint.sum(-1, keepdims=True)
        weights = np.exp(_SPREAD * rng.standard_normal((vocabulary,) * 3))
        joint = _sparse_coupling(weights, before, after, successors)
        given = joint / joint.sum(-1, keepdims=True)  # axes b, a, c
        transition = (1 - smoothing) * given.swapaxes(0, 1) + smoothing / vocabulary
    return Markov(made_up_words(vocabulary, word_seed), transition, used)


def _sparse_coupling(
    weights: np.ndarray, rows: np.ndarray, columns: np.ndarray, successors: int
) -> Float[np.ndarray, "*batch n n"]:
    """Make a joint law with these marginals, nearly all on ``successors`` entries per row.

    The largest entries of a balanced law can nearly carry the marginals by themselves, which
    entries drawn without regard to frequencies cannot: frequent words need frequent successors.
    """
    joint = _balanced(weights, rows, columns, tolerance=1e-6)
    leak = _LEAK * rows[..., :, None] * columns[..., None, :]
    for last in (*(False,) * (_ROUNDS - 1), True):
        rest = np.argpartition(-joint, successors - 1, axis=-1)[..., successors:]
        np.put_along_axis(joint, rest, 0.0, axis=-1)
        joint = _balanced(joint + leak, rows, columns, tolerance=1e-11 if last else 1e-6)
    return joint


def _balanced(
    kernel: np.ndarray, rows: np.ndarray, columns: np.ndarray, tolerance: float
) -> Float[np.ndarray, "*batch n n"]:
    """Compute diag(u) K diag(v) with the given marginals (Sinkhorn and Knopp), to ``tolerance``."""
    v = np.ones_like(columns)
    u = v
    for _ in range(1000):
        u = rows / (kernel @ v[..., None])[..., 0]
        reached = (u[..., None, :] @ kernel)[..., 0, :]
        if np.abs(reached * v - columns).max() < tolerance:
            break
        # words that are not used are wanted nowhere: 0 / 0
        v = np.divide(columns, reached, out=np.zeros_like(columns), where=columns > 0)
    return u[..., :, None] * kernel * v[..., None, :]
