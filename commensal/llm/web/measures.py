"""Distances between models, from their embedded responses (`webdynamics`, eqs. 1 and 2)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist


def joined(embedded: Float[np.ndarray, "n Q L D"]) -> Float[np.ndarray, "n L D_all"]:
    """Put answers to several queries side by side, so that squares are means over queries.

    Distances between vectors are then root mean squares over queries, in which a response counts
    only if it was left out of none.
    """
    n, queries, responses, _ = embedded.shape
    return embedded.transpose(0, 2, 1, 3).reshape(n, responses, -1) / np.sqrt(queries, dtype="f4")


def mean_responses(embedded: Float[np.ndarray, "n L D"]) -> Float[np.ndarray, "n D"]:
    """Compute mean responses X_i = (1/L) Σ_l φ(f_l), eq. (1), in float64.

    Rows of NaN are responses that were left out; of a model that has no others X_i is NaN.
    """
    known = ~np.isnan(embedded).any(axis=-1, keepdims=True)
    total = np.where(known, embedded, 0).sum(axis=1, dtype=np.float64)
    count = known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def distance_matrix(points: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n n"]:
    """Compute D_ij = ‖X_i - X_j‖₂, eq. (2), in float64 and without an n × n × D array.

    Examples
    --------
    >>> distance_matrix(np.array([[0.0, 0.0], [3.0, 4.0]]))
    array([[0., 5.],
           [5., 0.]])
    """
    return cdist(points, points)


def spreads(embedded: Float[np.ndarray, "n L D"]) -> Float[np.ndarray, " n"]:
    """Compute each model's root mean square distance of its responses from X_i.

    Where responses were left out it is made comparable: fewer lie closer to their own mean, so the
    unbiased variance of the others is taken times (L-1)/L, its expectation for all L. NaN where
    less than two are left of several.
    """
    squares = ((embedded - mean_responses(embedded)[:, None]) ** 2).sum(axis=-1)
    total, count = np.nansum(squares, axis=-1), counted(embedded)
    responses = embedded.shape[1]
    if responses == 1:
        return np.where(count > 0, np.sqrt(total), np.nan)
    variances = total / np.maximum(count - 1, 1)
    return np.where(count > 1, np.sqrt(variances * (responses - 1) / responses), np.nan)


def counted(embedded: Float[np.ndarray, "n L D"]) -> Int[np.ndarray, " n"]:
    """Count the responses of each model that were not left out, at most L."""
    return (~np.isnan(embedded).any(axis=-1)).sum(axis=-1)


def sampling_norm(embedded: Float[np.ndarray, "n L D"]) -> float:
    """Estimate ‖D‖_F from sampling L responses alone, when all models answer by the same law.

    The expectation of ‖X_i - X_j‖² exceeds the squared distance of the laws' means by
    (s_i² + s_j²)/L, s² the unbiased variance of a response; the root of the sum of these over
    ordered pairs. Where responses were left out, L is the number of the model's others. NaN for
    L = 1.
    """
    n, responses, _ = embedded.shape
    if responses < 2 or counted(embedded).min() < 2:
        return float("nan")
    variances = spreads(embedded) ** 2 * responses / (responses - 1)
    return float(np.sqrt(2 * (n - 1) * (variances / counted(embedded)).sum()))


def classical_mds(distances: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N 2"]:
    """Place points in the plane with nearly these distances, by classical multidimensional scaling.

    The coordinates of the two largest eigenvalues of -½ J D² J, J = 1 - 11ᵀ/N; fewer than two
    positive ones leave zeros. A point whose distances are NaN stays NaN.

    Examples
    --------
    >>> line = np.abs(np.subtract.outer([0.0, 1.0, 5.0], [0.0, 1.0, 5.0]))
    >>> at = classical_mds(line)
    >>> bool(np.allclose(distance_matrix(at), line))
    True
    """
    squares = np.asarray(distances, dtype=np.float64) ** 2
    known = ~np.isnan(np.diag(squares))
    if not known.all():
        found = np.full((len(squares), 2), np.nan)
        if known.any():
            found[known] = classical_mds(distances[np.ix_(known, known)])
        return found
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    return _coordinates(vectors[:, ::-1], values[::-1])


def planar(points: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N 2"]:
    """Place points in the plane with nearly the distances of these, by classical scaling.

    Equal to ``classical_mds(distance_matrix(points))``, whose coordinates are those of the two
    largest principal components (Gower 1966), but without any N × N array. A point with a NaN stays
    NaN.

    Examples
    --------
    >>> points = np.array([[0.0, 1.0, 0.0], [4.0, 1.0, 0.5], [1.0, 3.0, 2.0], [2.0, 5.0, 0.0]])
    >>> bool(np.allclose(planar(points), classical_mds(distance_matrix(points))))
    True
    """
    known = ~np.isnan(points).any(axis=-1)
    if not known.all():
        found = np.full((len(points), 2), np.nan)
        if known.any():
            found[known] = planar(points[known])
        return found
    centred = points - points.mean(axis=0, dtype=np.float64)
    vectors, values, _ = np.linalg.svd(centred, full_matrices=False)
    return _coordinates(vectors, values**2)


def _coordinates(
    vectors: Float[np.ndarray, "N r"], values: Float[np.ndarray, " r"]
) -> Float[np.ndarray, "N 2"]:
    """Compute √λ v of the first two pairs; zeros where λ is zero but for rounding."""
    found = np.zeros((len(vectors), 2))
    for axis, (value, vector) in enumerate(zip(values[:2], vectors.T, strict=False)):
        if value > 1e-12 * max(values[0], 0.0):
            # eigenvectors have no sign of their own
            sign = np.sign(vector[np.argmax(np.abs(vector))])
            found[:, axis] = sign * np.sqrt(value) * vector
    return found
