"""Feature matrices for interactive regression: what each party's data look like."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

# Each party draws from its own stream, keyed by (seed, role, index), so that entity 3 has the
# same data in a system of 4 and in one of 32.
_PRIVATE, _PUBLIC, _SYNTHETIC, _TRUTH, _HUMAN = range(5)


class Designs(NamedTuple):
    """Feature matrices of one system; every row is one data point's features.

    Attributes
    ----------
    private : Float[np.ndarray, "K n d"]
        X̃_k, features of each entity's private data.
    public : Float[np.ndarray, "m d"]
        X_*, features of the public data.
    synthetic : Float[np.ndarray, "K n d"] or Float[np.ndarray, "T K n d"]
        X_tk, features that entity k's model is asked to label at each generation: the same
        every time, or one set per generation t = 1..T.
    human : Float[np.ndarray, "h d"] or None
        Features of the human data collected afresh at each generation; None where there are none.
    """

    private: Float[np.ndarray, "K n d"]
    public: Float[np.ndarray, "m d"]
    synthetic: Float[np.ndarray, "*T K n d"]
    human: Float[np.ndarray, "h d"] | None = None

    @property
    def entities(self) -> int:
        """K, the number of models."""
        return self.private.shape[0]

    @property
    def dim(self) -> int:
        """d, the number of features."""
        return self.private.shape[-1]

    def grams(self) -> dict[str, np.ndarray]:
        """Gram matrices XᵀX, as the keyword arguments that ``theory.regression.Workflow`` takes.

        Examples
        --------
        >>> {name: g.shape for name, g in gaussian(entities=3, dim=4, rank=2).grams().items()}
        {'private': (3, 4, 4), 'public': (4, 4), 'synthetic': (3, 4, 4)}
        """
        grams = {
            name: features.swapaxes(-1, -2) @ features
            for name, features in zip(
                ("private", "public", "synthetic", "human"), self, strict=True
            )
            if features is not None
        }
        # the products are symmetric up to rounding; make them so exactly
        return {name: (g + g.swapaxes(-1, -2)) / 2 for name, g in grams.items()}


def gaussian(
    entities: int,
    dim: int,
    rank: int,
    seed: int = 0,
    *,
    public_rank: int | None = None,
    prompts: Literal["private", "fresh"] = "private",
    human_rank: int | None = None,
) -> Designs:
    """Unit-variance Gaussian features of given rank, as in the paper's figures 2 and 4.

    Parameters
    ----------
    entities : int
        K >= 1.
    dim : int
        d >= 1.
    rank : int
        Rows of every private and synthetic design, 1 <= rank <= dim.
    seed : int
        Entity k's features depend on ``seed`` and k alone, not on ``entities``.
    public_rank : int or None
        Rows of the public design, 0 <= public_rank <= dim; None for ``rank``.
    prompts : {"private", "fresh"}
        What models are asked: their own private features (as in the paper's experiments; the
        case of Lemma 1), or features of their own, drawn independently.
    human_rank : int or None
        Rows of the human design, 0 <= human_rank <= dim; None for no human design.

    Returns
    -------
    Designs
        Float64.

    Raises
    ------
    ValueError
        If a size is out of range.

    Examples
    --------
    >>> gaussian(entities=2, dim=15, rank=5).private.shape
    (2, 5, 15)
    """
    public_rank = rank if public_rank is None else public_rank
    if entities < 1 or dim < 1:
        raise ValueError(f"entities and dim must be at least 1, got {entities} and {dim}")
    if not 1 <= rank <= dim:
        raise ValueError(f"rank must lie between 1 and dim = {dim}, got {rank}")
    for name, value in (("public_rank", public_rank), ("human_rank", human_rank or 0)):
        if not 0 <= value <= dim:
            raise ValueError(f"{name} must lie between 0 and dim = {dim}, got {value}")
    if prompts not in ("private", "fresh"):
        raise ValueError(f"prompts must be 'private' or 'fresh', got {prompts!r}")

    def draw(role: int, index: int, rows: int) -> np.ndarray:
        return np.random.default_rng([seed, role, index]).standard_normal((rows, dim))

    private = np.stack([draw(_PRIVATE, k, rank) for k in range(entities)])
    synthetic = private
    if prompts == "fresh":
        synthetic = np.stack([draw(_SYNTHETIC, k, rank) for k in range(entities)])
    human = None if human_rank is None else draw(_HUMAN, 0, human_rank)
    return Designs(private, draw(_PUBLIC, 0, public_rank), synthetic, human)


def misaligned(entities: int, strength: float = 1e4, public: float = 0.0) -> Designs:
    r"""The family that reaches the sharp stability bound (1 + √K)/2 as ``strength`` grows.

    In dimension d = K entity k publishes on the k-th axis alone,
    :math:`S_k = K e_k e_k^\top`, while its private data cover everything but one direction close
    to that axis: :math:`\tilde S_k = c\,(I - v_k v_k^\top)` with :math:`v_{kk} = \sqrt x`,
    :math:`v_{kj} = \sqrt{(1-x)/(K-1)}` and :math:`x = (1 + 1/\sqrt K)/2`. Each model speaks loudest
    where it has seen least. The bound is approached at β = 1 for any α in (0, 1).

    Parameters
    ----------
    entities : int
        K >= 1; also the dimension.
    strength : float
        c >= 0, the size of the private Gram matrices.
    public : float
        s >= 0, with S_* = s I.

    Returns
    -------
    Designs
        With K rows per private design, one per synthetic design. Float64.

    Raises
    ------
    ValueError
        If ``entities`` is below 1, or ``strength`` or ``public`` is negative.

    Notes
    -----
    THEORY 1.3.

    Examples
    --------
    >>> from commensal.theory import regression
    >>> w = regression.Workflow(**misaligned(4).grams(), alpha=0.5, beta=1.0)
    >>> print(f"{float(regression.spectral_radius(w)):.3f} <= 1.5")
    1.500 <= 1.5
    """
    if entities < 1:
        raise ValueError(f"entities must be at least 1, got {entities}")
    if strength < 0 or public < 0:
        raise ValueError(f"strength and public must be >= 0, got {strength} and {public}")
    k = entities
    x = (1 + 1 / np.sqrt(k)) / 2
    blind = np.full((k, k), np.sqrt((1 - x) / max(k - 1, 1)))
    np.fill_diagonal(blind, np.sqrt(x))
    projections = np.eye(k) - blind[:, :, None] * blind[:, None, :]  # idempotent: also roots
    return Designs(
        private=np.sqrt(strength) * projections,
        public=np.sqrt(public) * np.eye(k),
        synthetic=np.sqrt(k) * np.eye(k)[:, None, :],
    )


def truth(dim: int, seed: int = 0) -> Float[np.ndarray, "d"]:
    """True parameter θ, drawn from N(0, I_d) by ``seed``.

    Examples
    --------
    >>> truth(3, seed=0).shape
    (3,)
    """
    return np.random.default_rng([seed, _TRUTH, 0]).standard_normal(dim)
