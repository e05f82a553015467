r"""Interactive linear regression as it happens: responses are drawn, models are refitted.

The process of `interactive`, sec. 5, for thousands of replicates at once. At each generation
every model answers its prompts, :math:`y_{tj} = X_{tj}\hat\theta_{t-1,j} + w_{tj}`, all answers
are pooled, and every entity refits by weighted least squares (of minimum norm where deficient) on

.. math::
    \big[\sqrt{\bar\alpha\beta}\,\tilde X_k;\ \sqrt{\bar\alpha\bar\beta}\,X_*;\
    \sqrt{\alpha(1-\varphi)/K}\,X_{t1};\dots;\sqrt{\alpha(1-\varphi)/K}\,X_{tK};\
    \sqrt{\alpha\varphi}\,X^h\big].

Features are the same for all replicates and responses differ, so the pseudo-inverse of that
matrix is taken once, on the host, and refitting all replicates is one product with it. No Gram
matrix, recursion of moments or other formula of :mod:`commensal.theory` is used: each is the
other's check.

:func:`simulate` keeps every estimate; :func:`moments` keeps means, covariances and their
standard errors, however many replicates there are; :func:`replay` runs on noise of your own.
"""

from commensal.sims.regression._config import Config
from commensal.sims.regression._designs import draw_designs
from commensal.sims.regression._moments import moments
from commensal.sims.regression._simulate import Noise, replay, simulate

__all__ = ["Config", "Noise", "draw_designs", "moments", "replay", "simulate"]
