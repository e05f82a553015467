"""Growth of errors where each generation is asked other prompts than the one before."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigs

from commensal._precision import is_concrete
from commensal.theory.regression import _linalg
from commensal.theory.regression._workflow import RegressionWorkflow, generations_of, gram

_DENSE = 12  # numbers K d up to which Q ⊗ Q is made


def mean_square_radius(w: RegressionWorkflow) -> float:
    r"""Growth of the root mean square error if each generation is one of several, drawn at random.

    With :math:`Q_t` drawn independently and uniformly from the T generations that the workflow
    describes,

    .. math:: \sqrt{ρ(E\,Q \otimes Q)}, \qquad
        γ = \lim \frac1t E \log \lVert Q_t \cdots Q_1 \rVert \le \tfrac12 \log ρ(E\,Q \otimes Q) .

    Parameters
    ----------
    w : RegressionWorkflow
        System of models. What varies in time (``synthetic`` above all: one set of prompts for each
        of T generations) is what is drawn from.

    Returns
    -------
    float
        Factor per generation. Below 1 errors die out in mean square, and so almost surely. It is
        ρ(Q) if there is only one generation to draw, and at least e^γ always.

    Raises
    ------
    ValueError
        If the workflow is being traced.

    Notes
    -----
    New here; claim ``commensal.redrawn_bound``. The largest eigenvalue of X → E Q X Qᵀ, by Arnoldi
    iteration; the bound is Jensen's. How large γ itself is,
    :func:`commensal.sims.regression.growth_exponent` measures. On the host, in float64, O(T (Kd)³)
    a step.

    Examples
    --------
    Two models, of which one is asked in each generation. Each set of prompts alone is harmless;
    drawn at random they make errors grow:

    >>> one, other = np.zeros((2, 2)), np.outer([0.2, 1.0], [0.2, 1.0])
    >>> asked = np.stack([np.stack([one, other]), np.stack([other[::-1, ::-1], one])])
    >>> blind = 1e6 * np.stack([np.diag([0.0, 1.0]), np.diag([1.0, 0.0])])
    >>> w = RegressionWorkflow(blind, np.zeros((2, 2)), asked, 0.5, 1.0)
    >>> alone = [w.replace(synthetic=asked[i : i + 1]) for i in range(2)]
    >>> [round(mean_square_radius(x), 3) for x in (*alone, w)]
    [1.0, 1.0, 3.606]
    """
    if not is_concrete(w):
        raise ValueError("mean_square_radius runs on the host: call it outside jit, grad and vmap")
    steps = _steps(w)
    size = steps.shape[-1]
    if size <= _DENSE:
        squares = np.mean([np.kron(q, q) for q in steps], axis=0)
        largest = np.abs(np.linalg.eigvals(squares)).max()
    else:

        def onward(spread: np.ndarray) -> np.ndarray:
            return (steps @ spread.reshape(size, size) @ steps.mT).mean(axis=0).ravel()

        operator = LinearOperator((size**2, size**2), matvec=onward, dtype=float)  # pyright: ignore[reportCallIssue]
        start = np.eye(size).ravel()
        # nothing is carried on: Arnoldi would begin with a vector of zeros
        if not onward(start).any():
            return 0.0
        largest = np.abs(eigs(operator, k=1, v0=start, return_eigenvectors=False)).max()
    return float(np.sqrt(largest))


def _steps(w: RegressionWorkflow) -> np.ndarray:
    """Return Q_t of all generations, (T, Kd, Kd), dense."""
    import jax

    with jax.enable_x64(True):
        rounds = generations_of(w)
        grams = np.asarray(gram(w, rounds))
        written = np.asarray(rounds.web_weight * (1 - rounds.human_share))
    count, k, d, _ = grams.shape
    asked = np.asarray(rounds.synthetic)
    reads = np.full((k, k), 1 / k) if w.reads is None else np.asarray(w.reads)
    reads = np.broadcast_to(reads, (count, k, k))
    inverse = np.linalg.pinv(grams, rcond=_linalg.rank_tolerance(d), hermitian=True)
    found = np.einsum("t,tkab,tkj,tjbc->tkajc", written, inverse, reads, asked, optimize=True)
    return found.reshape(count, k * d, k * d)
