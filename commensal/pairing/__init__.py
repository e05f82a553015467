"""Theory laid over measured losses: what the linear account says about language models.

:func:`published_losses` are the losses that `interactive` prints; :func:`predict` what interactive
linear regression with finite training says of them, :func:`fit` finds its four scalars,
:func:`agreement` says how good a prediction is against predicting nothing, :func:`ceilings` how
good any could be, :func:`table_of_means` and :func:`rule` what can be said without any theory,
and :func:`pair_published` does all of it. :func:`pair_run` lays the theory over
a run of language models, whose own features it takes for the datasets, and
:func:`pair_replicates` over every replicate of one. :func:`pair_words` lays the law of surviving
words over a lineage.
"""

from commensal.pairing._agreement import (
    CONSTANT,
    Agreement,
    AgreementScore,
    Scores,
    agreement,
    direction,
)
from commensal.pairing._baselines import rule, table_of_means
from commensal.pairing._ceilings import Ceilings, ceilings
from commensal.pairing._curves import ErrorCurves, RunSystem, curves
from commensal.pairing._fit import Fit, fit, fitted
from commensal.pairing._fit_run import RunFit, RunScalars
from commensal.pairing._judge_run import RunScores
from commensal.pairing._mixture_loss import mixture_loss
from commensal.pairing._pair_published import Judged, PublishedPairing, pair_published
from commensal.pairing._pair_replicates import ReplicatesPairing, pair_replicates
from commensal.pairing._pair_run import RunPairing, pair_losses, pair_run
from commensal.pairing._pair_web import WebPairing, pair_web
from commensal.pairing._pair_words import WordsPairing, pair_words
from commensal.pairing._prediction import Scalars, predict
from commensal.pairing._published import published_losses
from commensal.pairing._report import write_pairing

__all__ = [
    "CONSTANT",
    "Agreement",
    "AgreementScore",
    "Ceilings",
    "ErrorCurves",
    "Fit",
    "Judged",
    "PublishedPairing",
    "ReplicatesPairing",
    "RunFit",
    "RunPairing",
    "RunScalars",
    "RunScores",
    "RunSystem",
    "Scalars",
    "Scores",
    "WebPairing",
    "WordsPairing",
    "agreement",
    "ceilings",
    "curves",
    "direction",
    "fit",
    "fitted",
    "mixture_loss",
    "pair_losses",
    "pair_published",
    "pair_replicates",
    "pair_run",
    "pair_web",
    "pair_words",
    "predict",
    "published_losses",
    "rule",
    "table_of_means",
    "write_pairing",
]
