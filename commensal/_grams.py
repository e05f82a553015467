"""Gram matrices given by the user: read, checked, and freed of single-precision rounding."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

GRAMS = ("private", "public", "synthetic", "human")
"""Names of a system's Gram matrices, in the order in which messages list them."""

MEASURED = (
    *("names", "sizes", "kept", "variance_kept", "shrinkage", "noise", "answers"),
    *("overlap", "overlap_low", "overlap_high"),
)
"""Names of what ``commensal measure`` writes beside them; :func:`read_grams` leaves it aside."""

_DOUBLE = 1e-10
_SINGLES = ("float32", "float16", "bfloat16")
_SINGLE = float(np.finfo(np.float32).eps)
# So far below zero, in units of d · eps · the largest entry, rounding to float32 alone may push an
# eigenvalue: sums of products of many rows lose some of their last bits.
_ROUNDING = 32


class SinglePrecisionWarning(UserWarning):
    """Gram matrices were computed in float32, and their rounding was removed."""


def is_single(values: Any) -> bool:
    """Return whether an array's numbers have 32 bits or fewer."""
    # by name: NumPy, JAX and torch have types of their own
    return str(getattr(values, "dtype", "")).rpartition(".")[2] in _SINGLES


def checked_grams(
    grams: Mapping[str, Any],
    single: Collection[str] | None = None,
    *,
    where: str = "",
    stacklevel: int = 2,
) -> dict[str, np.ndarray]:
    r"""Return Gram matrices in float64; raise unless symmetric and positive semidefinite.

    Parameters
    ----------
    grams : mapping of str to array of shape (..., d, d)
        Matrices by name. A matrix that is wrong by less than rounding in its own precision is
        accepted. In float32 an eigenvalue that is zero comes out as :math:`\pm
        d\,\epsilon\,\lambda_{max}` or so: such eigenvalues, of either sign, become zero, so that a
        rank below d stays what it is.
    single : collection of str or None
        Names of those that were computed in float32; None to tell by their dtype.
    where : str
        Text before the names in messages.
    stacklevel : int
        Frame to which a warning points, as for ``warnings.warn``.

    Returns
    -------
    dict of str to Float[np.ndarray, "... d d"]
        Matrices by the same names; those whose rounding was removed are symmetric exactly.

    Raises
    ------
    ValueError
        If a matrix is no Gram matrix; the message names the first.

    Warns
    -----
    SinglePrecisionWarning
        Once, where rounding was removed.

    Examples
    --------
    >>> checked_grams({"public": [[1.0, 2.0], [2.0, 1.0]]})
    Traceback (most recent call last):
        ...
    ValueError: public: Gram matrix 0 is not positive semidefinite (smallest eigenvalue -1)
    """
    checked, cleared = {}, []
    for name, matrices in grams.items():
        of_32_bits = is_single(matrices) if single is None else name in single
        given = np.asarray(matrices, dtype=np.float64)
        _check(given, f"{where}{name}", of_32_bits)
        checked[name] = _without_rounding(given) if of_32_bits else given
        if not np.array_equal(checked[name], given):
            cleared.append(name)
    if cleared:
        warnings.warn(
            f"{where}{', '.join(cleared)}: in float32, where eigenvalues that are zero come out "
            "as rounding of either sign; these were set to zero",
            SinglePrecisionWarning,
            stacklevel=stacklevel,
        )
    return checked


def _check(matrices: Float[np.ndarray, "*K d d"], name: str, single: bool) -> None:
    d = matrices.shape[-1]
    stack = matrices.reshape(-1, d, d)
    if not np.all(np.isfinite(stack)):
        raise ValueError(f"{name}: a Gram matrix has entries that are not finite")
    scale = np.abs(stack).max(axis=(1, 2), initial=0.0)
    asymmetry = np.abs(stack - stack.transpose(0, 2, 1)).max(axis=(1, 2), initial=0.0)
    lowest = np.linalg.eigvalsh(stack)[:, 0]
    for off, unit, said in (
        (asymmetry, scale, "is not symmetric"),
        (-lowest, d * scale, "is not positive semidefinite"),
    ):
        wrong = off > (_ROUNDING * _SINGLE if single else _DOUBLE) * unit
        if not wrong.any():
            continue
        at = int(wrong.argmax())
        if said.endswith("semidefinite"):
            said += f" (smallest eigenvalue {lowest[at]:.3g})"
        if off[at] <= _ROUNDING * _SINGLE * unit[at]:
            said += (
                "; so small a number is rounding of float32: hand the matrix over as float32, or "
                "compute it in float64"
            )
        raise ValueError(f"{name}: Gram matrix {at} {said}")


def _without_rounding(grams: Float[np.ndarray, "*K d d"]) -> Float[np.ndarray, "*K d d"]:
    """Return ``grams`` without those eigenvalues that are float32 rounding."""
    values, vectors = np.linalg.eigh((grams + grams.swapaxes(-1, -2)) / 2)
    d, top = grams.shape[-1], values[..., -1:]
    # the most negative eigenvalue shows how far rounding reaches
    floor = np.maximum(d * _SINGLE * top, -values[..., :1])
    doubtful = (np.abs(values) <= floor) & (np.abs(values) > d * np.finfo(np.float64).eps * top)
    root = vectors * np.sqrt(np.where(values > floor, values, 0))[..., None, :]
    product = root @ root.swapaxes(-1, -2)
    product = (product + product.swapaxes(-1, -2)) / 2
    return np.where(doubtful.any(axis=-1)[..., None, None], product, grams)


def gram_root(gram: Float[np.ndarray, "*K d d"]) -> Float[np.ndarray, "*K d d"]:
    r"""Return features X of d rows, some of them zero, with :math:`X^\top X` equal to ``gram``."""
    values, vectors = np.linalg.eigh(gram)
    # of lower rank than numbers can tell: no row, rather than one of rounding
    floor = gram.shape[-1] * np.finfo(np.float64).eps * values[..., -1:]
    return np.sqrt(np.where(values > floor, values, 0))[..., :, None] * vectors.swapaxes(-1, -2)


def read_grams(path: str | Path, *, stacklevel: int = 2) -> dict[str, np.ndarray]:
    """Read Gram matrices from an .npz file.

    Parameters
    ----------
    path : str or Path
        File with arrays ``private`` (K, d, d), ``public`` (d, d), ``synthetic`` (K, d, d) and
        perhaps ``human`` (d, d). Arrays in float32 may miss being positive semidefinite by the
        rounding of float32. What ``commensal measure`` writes besides is left aside;
        :func:`commensal.texts.read_system` reads it.
    stacklevel : int
        Frame to which a warning points, as for ``warnings.warn``.

    Returns
    -------
    dict of str to numpy.ndarray
        Gram matrices, float64, ready for :class:`commensal.theory.regression.RegressionWorkflow`.

    Raises
    ------
    ValueError
        If the file is missing, cut off, no .npz, or holds anything else; the message is one line.

    Examples
    --------
    >>> read_grams("nowhere.npz")
    Traceback (most recent call last):
        ...
    ValueError: 'nowhere.npz' does not exist
    """
    shown = repr(str(path))
    wanted = (
        "an .npz of Gram matrices has private (K, d, d), public (d, d), synthetic (K, d, d), and "
        "perhaps human (d, d); of features X, a row for each document, it is X.T @ X"
    )
    try:
        # opened here: of a file that is cut off NumPy leaves its own open
        with Path(path).open("rb") as file, np.load(file) as stored:
            read = [name for name in stored.files if name not in MEASURED]
            found = {name: np.asarray(stored[name]) for name in read}
    except FileNotFoundError:
        raise ValueError(f"{shown} does not exist") from None
    except IsADirectoryError:
        raise ValueError(f"{shown} is a folder, not an .npz file") from None
    except (
        *(OSError, ValueError, TypeError, AttributeError, EOFError, KeyError),
        *(zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError, SyntaxError),
    ) as error:
        raise ValueError(f"{shown} is not an .npz file of numbers: {wanted}") from error
    if missing := set(GRAMS[:3]) - set(found):
        raise ValueError(f"{shown} lacks {', '.join(sorted(missing))}: {wanted}")
    if unknown := set(found) - set(GRAMS):
        raise ValueError(f"{shown} has unknown arrays: {', '.join(sorted(unknown))}")
    for name, matrices in found.items():
        if matrices.dtype.kind not in "biuf":
            raise ValueError(f"{shown}: {name} is not of real numbers, but of {matrices.dtype}")
    k, d = found["private"].shape[:2] if found["private"].ndim == 3 else (0, 0)
    shapes = {"private": (k, d, d), "public": (d, d), "synthetic": (k, d, d), "human": (d, d)}
    if k == 0 or d == 0 or found["private"].shape != shapes["private"]:
        raise ValueError(f"{shown}: private has the shape {found['private'].shape}: {wanted}")
    for name, matrices in found.items():
        if matrices.shape != shapes[name]:
            raise ValueError(
                f"{shown}: {name} must have shape {shapes[name]} to match private, "
                f"got {matrices.shape}"
            )
    return checked_grams(found, where=f"{shown}: ", stacklevel=stacklevel + 1)
