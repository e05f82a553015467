r"""Simulate interactive linear regression: responses are drawn, models are refitted.

The process of `interactive`, sec. 5, for thousands of replicates at once. At each generation
every model answers its prompts, :math:`y_{tj} = X_{tj}\hat\theta_{t-1,j} + w_{tj}`, all answers
are pooled, and every model refits by weighted least squares (of minimum norm where deficient) on

.. math::
    \big[\sqrt{\bar\alpha\beta}\,\tilde X_k;\ \sqrt{\bar\alpha\bar\beta}\,X_*;\
    \sqrt{\alpha(1-\varphi)W_{k1}}\,X_{t1};\dots;\sqrt{\alpha(1-\varphi)W_{kK}}\,X_{tK};\
    \sqrt{\alpha\varphi}\,X^h\big].

W says who reads whom (:mod:`commensal.networks`; the paper has 1/K). With another ``memory`` than
"replace" the rows of earlier generations, and their responses, stand below.

Features are the same for all replicates and responses differ, so the pseudo-inverse of that
matrix is taken once, on the host, and refitting all replicates is one product with it. No Gram
matrix, recursion of moments or other formula of :mod:`commensal.theory` is used: each is the
other's check.

:func:`simulate` keeps every estimate; :func:`moments` keeps means, covariances and their
standard errors, however many replicates there are; :func:`replay` runs on noise of your own.
:func:`growth_exponent` measures how fast errors grow if prompts are drawn anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.sims.regression._config import RegressionConfig
    from commensal.sims.regression._designs import draw_designs
    from commensal.sims.regression._growth import GrowthExponent, growth_exponent
    from commensal.sims.regression._moments import moments
    from commensal.sims.regression._process import init, observe, step
    from commensal.sims.regression._simulate import RegressionNoise, replay, simulate

__all__ = [
    "GrowthExponent",
    "RegressionConfig",
    "RegressionNoise",
    "draw_designs",
    "growth_exponent",
    "init",
    "moments",
    "observe",
    "replay",
    "simulate",
    "step",
]

_PLACES = {
    "GrowthExponent": "commensal.sims.regression._growth",
    "RegressionConfig": "commensal.sims.regression._config",
    "RegressionNoise": "commensal.sims.regression._simulate",
    "draw_designs": "commensal.sims.regression._designs",
    "growth_exponent": "commensal.sims.regression._growth",
    "init": "commensal.sims.regression._process",
    "moments": "commensal.sims.regression._moments",
    "observe": "commensal.sims.regression._process",
    "replay": "commensal.sims.regression._simulate",
    "simulate": "commensal.sims.regression._simulate",
    "step": "commensal.sims.regression._process",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
