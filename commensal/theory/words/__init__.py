"""Words that survive when models repeat what models wrote, in closed form.

Unigram models: each repeats the frequencies of the corpus that it is fitted to, so a corpus of n
tokens is refilled as in a Wright-Fisher population (extends Suresh et al., arXiv 2412.17646, which
was read as an abstract). A word that humans use λ times in a corpus of that size is alive in
generation t with probability 1 - exp(-λ C_t): in the limit of many tokens one number, the
:func:`exchange_rate` C_t, says all of the vocabulary. Diversity Σ p² is exact for every n.
"""

from commensal.theory.words._diversity import expected_heterozygosity, share_variance
from commensal.theory.words._exchange import (
    ACCUMULATED,
    exchange_rate,
    expected_richness,
    survival,
)
from commensal.theory.words._law import zipf
from commensal.theory.words._network import (
    decay_rate,
    effective_tokens,
    fixation_shares,
    network_heterozygosity,
)
from commensal.theory.words._shown import rare_retention

__all__ = [
    "ACCUMULATED",
    "decay_rate",
    "effective_tokens",
    "exchange_rate",
    "expected_heterozygosity",
    "expected_richness",
    "fixation_shares",
    "network_heterozygosity",
    "rare_retention",
    "share_variance",
    "survival",
    "zipf",
]
