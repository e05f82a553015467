r"""Make a system's Gram matrices of documents' features, and tell how far these are known.

Coordinates are the d main directions of all sources pooled with equal weight, about the pool's
mean, scaled so that the pool's Gram matrix per document is the identity. An error of an estimate,
:math:`\lVert\hat θ - θ\rVert^2`, is then the squared error of prediction on a document of the pool,
and no answer depends on the scale of a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Rows = Sequence[Float[np.ndarray, "_ d"]]

LEVEL = 0.95
"""Probability with which intervals cover."""
_EVERY = 5  # the bound for given prompts takes longer than all else: every fifth resample has it


def coordinates(
    rows: Sequence[Float[np.ndarray, "_ D"]], dim: int
) -> tuple[list[Float[np.ndarray, "_ d"]], float]:
    """Return each source's documents in d main directions of the pool, and the variance in these.

    Raises
    ------
    ValueError
        If the features vary in fewer directions.

    Examples
    --------
    >>> a, b = np.array([[0.0, 1], [0, -1]]), np.array([[2.0, 0], [-2, 0]])
    >>> found, variance = coordinates([a, b], 1)
    >>> (found[1].ravel() ** 2).round(6), variance
    (array([2., 2.]), 2.0)
    """
    centre = np.mean([one.mean(axis=0) for one in rows], axis=0)
    about = [one - centre for one in rows]
    pool = np.mean([one.T @ one / len(one) for one in about], axis=0)
    values, vectors = np.linalg.eigh(pool)
    values, vectors = values[::-1], vectors[:, ::-1]
    known = int((values > 1e-9 * values[0]).sum()) if values[0] > 1e-12 else 0
    if dim > known:
        raise ValueError(
            f"the features vary in {known} directions, and {dim} are needed: the texts are too "
            "few or too much alike"
        )
    # an eigenvector's sign is arbitrary: the largest entry is positive
    top = np.abs(vectors[:, :dim]).argmax(axis=0)
    axes = vectors[:, :dim] * np.sign(vectors[top, range(dim)]) / np.sqrt(values[:dim])
    return [one @ axes for one in about], float(values[:dim].sum())


def gram_of(z: Float[np.ndarray, "n d"], shrinkage: float | int | None) -> tuple[Any, float]:
    """Return a source's Gram matrix per document, drawn towards the pool's, and by how much.

    It is drawn towards the pool's by ``shrinkage``, and by Ledoit and Wolf's for None.
    """
    plain = z.T @ z / len(z)
    if shrinkage is None:
        from sklearn.covariance import ledoit_wolf_shrinkage

        shrinkage = float(ledoit_wolf_shrinkage(z, assume_centered=True))
    pool = np.trace(plain) / len(plain) * np.eye(len(plain))
    return (1 - shrinkage) * plain + shrinkage * pool, float(shrinkage)


def overlaps(rows: Rows, clip: bool = True) -> Float[np.ndarray, "S S"]:
    r"""Return how alike the sources' Gram matrices are, from 0 to 1.

    .. math:: o_{ij} = \operatorname{tr} S_i S_j / \sqrt{\operatorname{tr} S_i^2 \operatorname{tr}
        S_j^2}

    with estimates of the traces that no sample size biases: a document is never compared with
    itself. So sources that are drawn from the same law have an overlap of 1, whatever their
    sizes; an estimate above 1 is given as 1, unless ``clip`` is false.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.standard_normal((2, 50, 3))
    >>> print(round(float(overlaps([a, b])[0, 1]), 1))
    1.0
    """
    grams = np.stack([z.T @ z / len(z) for z in rows])
    products = np.einsum("iab,jab->ij", grams, grams)
    for i, z in enumerate(rows):
        n, fourth = len(z), ((z**2).sum(axis=1) ** 2).sum()
        products[i, i] = (n**2 * products[i, i] - fourth) / (n * (n - 1))
    squares = np.diag(products)
    if (squares <= 0).any():
        return np.full(products.shape, np.nan)
    found = products / np.sqrt(np.outer(squares, squares))
    np.fill_diagonal(found, 1.0)
    return found.clip(0, 1) if clip else found


class Sizes(NamedTuple):
    """How the sources become a system.

    Attributes
    ----------
    weights : Float[np.ndarray, "S"]
        Documents of each source, in units of their mean over the labs and the public texts.
    labs : int
        K; the public source follows the labs, and the human one that.
    prompts : str
        ``"private"``, ``"public"`` or ``"all"``.
    shrinkage : float or None
        None for Ledoit and Wolf's.
    """

    weights: Float[np.ndarray, "S"]
    labs: int
    prompts: str
    shrinkage: float | int | None = 0


def system_of(rows: Rows, sizes: Sizes) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the Gram matrices of a system, and each source's shrinkage."""
    found = [gram_of(z, sizes.shrinkage) for z in rows]
    each = np.stack([gram for gram, _ in found])
    sums = each * sizes.weights[:, None, None]
    k = sizes.labs
    asked = {"private": sums[:k], "public": sums[[k] * k], "all": sums[[0] * k]}[sizes.prompts]
    if sizes.prompts == "all":
        asked = np.broadcast_to(sums[: k + 1].mean(axis=0), asked.shape)
    grams = {"private": sums[:k], "public": sums[k], "synthetic": np.array(asked)}
    if len(rows) > k + 1:  # as many documents as the web has, whatever the file's size
        documents = {"private": sizes.weights[:k].mean(), "public": sizes.weights[k]}
        grams["human"] = each[k + 1] * documents.get(sizes.prompts, sizes.weights[: k + 1].mean())
    return grams, np.array([shrinkage for _, shrinkage in found])


def numbers(grams: Mapping[str, Any], bound: bool = True) -> dict[str, float]:
    """Return what the theory says of a system; NaN where no mix is stable.

    ``bound`` says whether to compute the bound for given prompts, which takes longest.
    """
    from commensal.theory import regression

    data = {name: gram for name, gram in grams.items() if name != "human"}
    w = regression.RegressionWorkflow(**data, alpha=0.5, beta=0.5)
    half = regression.grid(w, [0.5], [0.5], tasks=False)
    found = {"radius": half.spectral_radius, "half_consensus": half.consensus_distance}
    if bound:
        most = max(regression.design_bound(np.asarray(grams["synthetic"])).bound, 1.0)
        share = (most - 1) / (most - 1 + coverage(grams)) if most > 1 else 0.0
        found |= {"bound": most, "safe_share": share}
    try:
        mix = regression.optimal_mix(w)
    except ValueError:  # no mix is stable
        nothing = ("alpha", "beta", "efficiency", "half_efficiency", "gain", "consensus")
        return {name: float(np.mean(x)) for name, x in found.items()} | dict.fromkeys(
            nothing, np.nan
        )
    best = regression.grid(w, [mix.alpha], [mix.beta], tasks=False)
    at, at_half = mix.relative_efficiency.mean(), mix.half_relative_efficiency.mean()
    found |= {"alpha": mix.alpha, "beta": mix.beta, "efficiency": at, "half_efficiency": at_half}
    found |= {"gain": at - at_half, "consensus": best.consensus_distance}
    return {name: float(np.mean(value)) for name, value in found.items()}


def coverage(grams: Mapping[str, Any]) -> float:
    """Return the largest c with F ⪰ c S̲: how well human texts cover what the web writes about.

    Examples
    --------
    >>> print(round(coverage({"synthetic": np.eye(2)[None], "human": np.diag([0.5, 3.0])}), 6))
    0.5
    """
    from scipy.linalg import eigh

    if "human" not in grams:
        return 1.0
    web = np.asarray(grams["synthetic"]).mean(axis=0)
    web = web + 1e-12 * np.trace(web) * np.eye(len(web))  # which may lack a direction
    return max(float(eigh(np.asarray(grams["human"]), web, eigvals_only=True)[0]), 0.0)


def resampled(
    rows: Rows, sizes: Sizes, resamples: int, seed: int, progress: Callable[[float, float], None]
) -> tuple[Float[np.ndarray, "resamples S S"], dict[str, Float[np.ndarray, "resamples"]]]:
    """Draw documents again, of each source as many as it has, and compute all anew each time.

    Directions stay; the Gram matrices, their shrinkage and all that follows are those of the
    documents drawn.
    """
    found: list[dict[str, float]] = []
    alike = []
    for which, again in enumerate(redrawn(rows, resamples, seed)):
        alike.append(overlaps(again))
        found.append(numbers(system_of(again, sizes)[0], bound=which % _EVERY == 0))
        progress(len(found), resamples)
    names = found[0]
    return np.array(alike), {
        name: np.array([one[name] for one in found if name in one]) for name in names
    }


def redrawn(rows: Rows, resamples: int, seed: int) -> Iterator[list[np.ndarray]]:
    """Yield the documents of all sources, drawn with replacement."""
    for which in range(resamples):
        rng = np.random.default_rng([seed, which])
        yield [z[rng.integers(len(z), size=len(z))] for z in rows]


def simultaneous(
    overlap: Float[np.ndarray, "S S"], draws: Float[np.ndarray, "resamples S S"]
) -> tuple[Float[np.ndarray, "S S"], Float[np.ndarray, "S S"]]:
    """Return ends of intervals that cover all pairs at once with probability 95 %.

    Half-widths are the 95 % quantile, over resamples, of the largest deviation of a pair in units
    of its standard deviation, times that.
    """
    error = draws.std(axis=0, ddof=1)
    apart = np.abs(draws - draws.mean(axis=0)) / np.where(error > 0, error, np.inf)
    reach = np.quantile(apart.max(axis=(1, 2)), LEVEL) * error
    return (overlap - reach).clip(0, 1), (overlap + reach).clip(0, 1)
