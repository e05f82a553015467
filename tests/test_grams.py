"""Gram matrices of a person's own: accepted for what they are, in the precision they have."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from commensal import designs
from commensal._grams import SinglePrecisionWarning, checked_grams
from commensal.theory import regression


def rows(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def in_float32(rank=5, d=12):
    """Gram matrices of rank below d with all rounding in float32, and the rows in float64."""
    private, public = rows(0, 3, rank, d), rows(1, d, d)
    grams = {
        "private": private.swapaxes(-1, -2) @ private,
        "public": public.T @ public,
        "synthetic": private.swapaxes(-1, -2) @ private,
    }
    return grams, designs.Designs(
        private.astype(float), public.astype(float), private.astype(float)
    )


def test_rank_survives_float32():
    grams, exact = in_float32()
    assert np.linalg.eigvalsh(grams["private"].astype(float)).min() < 0  # there is a negative part
    with pytest.warns(SinglePrecisionWarning, match="private, synthetic: in float32") as told:
        w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5)
    assert len(told) == 1
    for one in (*w.private, *w.synthetic):
        values = np.linalg.eigvalsh(np.asarray(one))
        assert (values > 1e-12 * values[-1]).sum() == 5
        assert values[0] > -1e-12 * values[-1]
    # an answer that 64 bits give, to what 32 bits know of the question
    truth = regression.RegressionWorkflow(**exact.grams(), alpha=0.5, beta=0.5)
    assert float(regression.spectral_radius(w)) == pytest.approx(
        float(regression.spectral_radius(truth)), rel=1e-5
    )
    np.testing.assert_allclose(
        regression.relative_efficiency(w), regression.relative_efficiency(truth), rtol=1e-4
    )
    # features in float32 have Gram matrices in 64 bits: nothing is lost, nothing to be said
    assert (
        designs.Designs(*(x.astype(np.float32) for x in exact[:3])).grams()["private"].dtype
        == np.float64
    )


def test_bound_in_float32():
    grams, exact = in_float32()
    with pytest.warns(SinglePrecisionWarning, match="synthetic"):
        bound = regression.stability_bound(grams["synthetic"])
    assert float(bound) == pytest.approx(
        float(regression.stability_bound(exact.grams()["synthetic"])), rel=1e-5
    )


def test_float32_of_full_rank_is_left_alone():
    gram = (rows(0, 8, 4).T @ rows(0, 8, 4)).astype(np.float32)
    kept = checked_grams({"public": (gram + gram.T) / 2})["public"]
    np.testing.assert_array_equal(kept, ((gram + gram.T) / 2).astype(float))
    zero = checked_grams({"public": np.zeros((2, 2), np.float32)})["public"]
    np.testing.assert_array_equal(zero, np.zeros((2, 2)))


def test_precision_is_what_the_dtype_says():
    grams, _ = in_float32()
    lost = {name: gram.astype(float) for name, gram in grams.items()}
    with pytest.raises(ValueError, match=r"private: Gram matrix 0 is not positive .*float32"):
        regression.RegressionWorkflow(**lost, alpha=0.5, beta=0.5)
    for dtype in (np.float32, np.float64):
        with pytest.raises(ValueError, match=r"not positive semidefinite \(smallest .* -0.01\)$"):
            checked_grams({"public": np.diag([1.0, -0.01]).astype(dtype)})
        with pytest.raises(ValueError, match=r"public: Gram matrix 0 is not symmetric$"):
            checked_grams({"public": np.array([[1.0, 0.3], [0.2, 1.0]], dtype)})


def test_a_file_in_float32(tmp_path):
    grams, exact = in_float32()
    path = tmp_path / "g.npz"
    np.savez(path, **grams)
    with pytest.warns(SinglePrecisionWarning, match=r"g\.npz': private, synthetic"):
        read = designs.read_grams(path)
    with pytest.warns(SinglePrecisionWarning):
        drawn = designs.from_grams(grams)
    for name, matrices in exact.grams().items():
        scale = np.abs(matrices).max()
        np.testing.assert_allclose(read[name], matrices, atol=1e-6 * scale)
        np.testing.assert_allclose(drawn.grams()[name], matrices, atol=1e-6 * scale)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an .npz file of numbers"),
        (b"PK\x03\x04", "is not an .npz file of numbers"),
        ({"private": np.eye(2)[None]}, "lacks public, synthetic"),
        ({}, "lacks private, public, synthetic: an .npz of Gram matrices has private"),
        ({"private": np.array(1.0)}, "private has the shape"),
        ({"private": np.zeros((0, 2, 2))}, "private has the shape"),
        ({"public": np.eye(3)}, r"public must have shape \(2, 2\) to match private, got \(3, 3\)"),
        ({"human": np.eye(3)}, r"human must have shape \(2, 2\)"),
        ({"public": np.eye(2) * 1j}, "public is not of real numbers, but of complex128"),
        ({"public": np.array([["a", "b"], ["c", "d"]])}, "public is not of real numbers"),
        ({"public": np.full((2, 2), np.nan)}, "public: a Gram matrix has entries that are not"),
        ({"public": np.array([[None, 1], [1, 1]])}, "is not an .npz file of numbers"),
    ],
)
def test_files_that_are_none_of_gram_matrices(tmp_path, content, message):
    path = tmp_path / "g.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        whole = {"private": np.eye(2)[None], "public": np.eye(2), "synthetic": np.eye(2)[None]}
        alone = not content or (len(content) == 1 and message.startswith("lacks"))
        np.savez(path, **(content if alone else whole | content))
    with pytest.raises(ValueError, match=message) as raised:
        designs.read_grams(path)
    assert "g.npz" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_are_cut_off_or_folders(tmp_path):
    path = tmp_path / "g.npz"
    np.savez_compressed(path, private=rows(0, 1, 40, 40), public=rows(1, 40, 40))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert not zipfile.is_zipfile(path)
    with pytest.raises(ValueError, match=r"is not an \.npz file"):
        designs.read_grams(path)
    with pytest.raises(ValueError, match="is a folder"):
        designs.read_grams(tmp_path)
