"""Feature matrices of interactive regression, drawn at random or constructed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal._grams import checked_grams, gram_root
from commensal.networks import dominating_readers

# Each party draws from its own stream, keyed by (seed, role, index), so that model 3 has the
# same data in a system of 4 and in one of 32.
_PRIVATE, _PUBLIC, _SYNTHETIC, _TRUTH, _HUMAN = range(5)


class Designs(NamedTuple):
    """Feature matrices of one system; every row holds one data point's features.

    Attributes
    ----------
    private : Float[np.ndarray, "K n d"]
        X̃_k, features of each model's private data.
    public : Float[np.ndarray, "m d"]
        X_*, features of the public data.
    synthetic : Float[np.ndarray, "K n d"] or Float[np.ndarray, "T K n d"]
        X_tk, features that model k's model is asked to label at each generation: the same
        every time, or one set per generation t = 1..T.
    human : Float[np.ndarray, "h d"] or None
        Features of the human data collected afresh at each generation; None where there are none.
    """

    private: Float[np.ndarray, "K n d"]
    public: Float[np.ndarray, "m d"]
    synthetic: Float[np.ndarray, "*T K n d"]
    human: Float[np.ndarray, "h d"] | None = None

    @property
    def models(self) -> int:
        """Number of models K."""
        return self.private.shape[0]

    @property
    def dim(self) -> int:
        """Number of features d."""
        return self.private.shape[-1]

    def grams(self) -> dict[str, np.ndarray]:
        """Gram matrices XᵀX, as keyword arguments of ``RegressionWorkflow``.

        Examples
        --------
        >>> {name: g.shape for name, g in gaussian(models=3, dim=4, rank=2).grams().items()}
        {'private': (3, 4, 4), 'public': (4, 4), 'synthetic': (3, 4, 4)}
        """
        # in 64 bits, or features in float32 would lose their rank
        given = {n: np.asarray(x, np.float64) for n, x in self._asdict().items() if x is not None}
        grams = {name: x.swapaxes(-1, -2) @ x for name, x in given.items()}
        # the products are symmetric up to rounding; make them so exactly
        return {name: (g + g.swapaxes(-1, -2)) / 2 for name, g in grams.items()}


def gaussian(
    models: int,
    dim: int,
    rank: int,
    seed: int = 0,
    *,
    public_rank: int | None = None,
    prompts: Literal["private", "fresh"] = "private",
    human_rank: int | None = None,
) -> Designs:
    """Draw unit-variance Gaussian features of given rank, as in the paper's figures 2 and 4.

    Parameters
    ----------
    models : int
        Number of models K, at least 1.
    dim : int
        Dimension d of features, at least 1.
    rank : int
        Rows of every private and synthetic design, 1 <= rank <= dim.
    seed : int
        Seed of the features; those of model k depend on it and on k alone, not on ``models``.
    public_rank : int or None
        Rows of the public design, 0 <= public_rank <= dim; None for ``rank``.
    prompts : {"private", "fresh"}
        Features that models are asked to label: their own private ones (as in the paper's
        experiments; the case of Lemma 1), or others, drawn independently.
    human_rank : int or None
        Rows of the human design, 0 <= human_rank <= dim; None for no human design.

    Returns
    -------
    Designs
        Features, float64.

    Raises
    ------
    ValueError
        If a size is out of range.

    Examples
    --------
    >>> gaussian(models=2, dim=15, rank=5).private.shape
    (2, 5, 15)
    """
    public_rank = rank if public_rank is None else public_rank
    if models < 1 or dim < 1:
        raise ValueError(f"models and dim must be at least 1, got {models} and {dim}")
    if not 1 <= rank <= dim:
        raise ValueError(f"rank must lie between 1 and dim = {dim}, got {rank}")
    for name, value in (("public_rank", public_rank), ("human_rank", human_rank or 0)):
        if not 0 <= value <= dim:
            raise ValueError(f"{name} must lie between 0 and dim = {dim}, got {value}")
    if prompts not in ("private", "fresh"):
        raise ValueError(f"prompts must be 'private' or 'fresh', got {prompts!r}")

    def draw(role: int, index: int, rows: int) -> np.ndarray:
        return np.random.default_rng([seed, role, index]).standard_normal((rows, dim))

    private = np.stack([draw(_PRIVATE, k, rank) for k in range(models)])
    synthetic = private
    if prompts == "fresh":
        synthetic = np.stack([draw(_SYNTHETIC, k, rank) for k in range(models)])
    human = None if human_rank is None else draw(_HUMAN, 0, human_rank)
    return Designs(private, draw(_PUBLIC, 0, public_rank), synthetic, human)


def misaligned(
    models: int, strength: float = 1e4, public: float = 0.0, reads: Any = None
) -> Designs:
    r"""Make the features that reach the sharp stability bound (1 + √K)/2 as ``strength`` grows.

    In dimension d = K model k publishes on the k-th axis alone,
    :math:`S_k = K e_k e_k^\top`, while its private data cover everything but one direction close
    to that axis: :math:`\tilde S_k = c\,(I - v_k v_k^\top)` with :math:`v_{kk} = \sqrt x`,
    :math:`v_{kj} = \sqrt{(1-x)/(K-1)}` and :math:`x = (1 + 1/\sqrt K)/2`. Each model speaks loudest
    where it has seen least. The bound is approached at β = 1 for any α in (0, 1).

    On a reading network W its bound (1 + √Λ)/2 is approached by :math:`v_k = e_k` and
    :math:`S_j = c_j c_j^\top`, :math:`c_{jj} = 1`, :math:`c_{kj} = r_j / (2 ρ r_k)`, ρ the bound
    and r² the Perron vector of diag(W)⁻¹ W; models that do not belong to the class of readers that
    dominates publish nothing.

    Parameters
    ----------
    models : int
        Number of models K, at least 1; also the dimension.
    strength : float
        Size c of the private Gram matrices, at least 0.
    public : float
        Size s of the public Gram matrix S_* = s I, at least 0.
    reads : Float[Array, "K K"] or None
        Reading network W; None: everybody reads everybody alike.

    Returns
    -------
    Designs
        Features, float64: K rows in each private design, one row in each synthetic design.

    Raises
    ------
    ValueError
        If ``models`` is below 1, ``strength`` or ``public`` is negative, or ``reads`` is no network
        of ``models`` models or has no bound.

    Notes
    -----
    New here. ρ(Q) tends to the bound (1 + √K)/2 of
    :func:`commensal.theory.regression.stability_bound` as ``strength`` grows;
    ``commensal check --id commensal.bound_attained`` checks it.

    Examples
    --------
    >>> from commensal.theory import regression
    >>> w = regression.RegressionWorkflow(**misaligned(4).grams(), alpha=0.5, beta=1.0)
    >>> print(f"{float(regression.spectral_radius(w)):.3f} <= 1.5")
    1.500 <= 1.5
    """
    if models < 1:
        raise ValueError(f"models must be at least 1, got {models}")
    if strength < 0 or public < 0:
        raise ValueError(f"strength and public must be >= 0, got {strength} and {public}")
    k = models
    if reads is not None:
        return _misaligned_readers(k, strength, public, reads)
    x = (1 + 1 / np.sqrt(k)) / 2
    blind = np.full((k, k), np.sqrt((1 - x) / max(k - 1, 1)))
    np.fill_diagonal(blind, np.sqrt(x))
    projections = np.eye(k) - blind[:, :, None] * blind[:, None, :]  # idempotent: also roots
    return Designs(
        private=np.sqrt(strength) * projections,
        public=np.sqrt(public) * np.eye(k),
        synthetic=np.sqrt(k) * np.eye(k)[:, None, :],
    )


def _misaligned_readers(models: int, strength: float, public: float, reads: Any) -> Designs:
    growth, vector = dominating_readers(reads)
    if len(vector) != models:
        raise ValueError(f"reads is for {len(vector)} models, not {models}")
    if not np.isfinite(growth):
        raise ValueError("reads has no bound: a model in a circle of readers does not read itself")
    size = np.sqrt(vector)
    inside = size > 0
    bound = (1 + np.sqrt(growth)) / 2
    rows = size[:, None] / (2 * bound * np.where(inside, size, 1)) * inside  # (j, k)
    rows[np.diag_indices(models)] = inside
    return Designs(
        private=np.sqrt(strength) * (np.eye(models) - np.eye(models)[:, :, None] * np.eye(models)),
        public=np.sqrt(public) * np.eye(models),
        synthetic=(rows * inside[:, None])[:, None, :],
    )


def truth(dim: int, seed: int = 0) -> Float[np.ndarray, "d"]:
    """Draw the true parameter θ from N(0, I_d) by ``seed``.

    Examples
    --------
    >>> truth(3, seed=0).shape
    (3,)
    """
    return np.random.default_rng([seed, _TRUTH, 0]).standard_normal(dim)


def from_grams(grams: Mapping[str, Any]) -> Designs:
    """Make features with given Gram matrices, on which alone the process depends.

    Parameters
    ----------
    grams : mapping of str to array
        ``private`` (K, d, d), ``public`` (d, d), ``synthetic`` (K, d, d) and perhaps ``human``
        (d, d), as :func:`read_grams` has them from a file.

    Returns
    -------
    Designs
        Features with d rows in each design, float64.

    Raises
    ------
    ValueError
        If a matrix is not symmetric positive semidefinite, or one of the three is missing.

    Examples
    --------
    >>> again = from_grams(gaussian(models=2, dim=4, rank=2).grams()).grams()
    >>> bool(np.allclose(again["private"], gaussian(2, 4, 2).grams()["private"]))
    True
    """
    if missing := {"private", "public", "synthetic"} - set(grams):
        raise ValueError(f"Gram matrices lack {', '.join(sorted(missing))}")
    return Designs(**{k: gram_root(g) for k, g in checked_grams(grams, stacklevel=3).items()})
