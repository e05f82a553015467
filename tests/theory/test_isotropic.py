"""The readable special case, against the general code and by sympy."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from commensal.theory import regression


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.3), (0.5, 0.5), (0.9, 1.0)])
def test_isotropic_mse_is_the_limit(k, alpha, beta):
    eye = np.stack([np.eye(3)] * k)
    w = regression.RegressionWorkflow(eye, np.eye(3), eye, alpha, beta, noise=0.7)
    expected = regression.mse(regression.limit(w), np.zeros(3))
    got = regression.isotropic_mse(k, alpha, beta, dim=3, noise=0.7)
    np.testing.assert_allclose(expected, got, rtol=1e-11)


def test_closed_form_by_sympy():
    """Mean over models and deviation from it are separate scalar recursions."""
    k, a, b = sp.symbols("K alpha beta", positive=True)
    deviation = ((1 - a) * b) ** 2 * (1 - 1 / k)
    real = b**2 / k + (1 - b) ** 2
    w = sp.Symbol("w")
    # variance w of α-weighted publishing noise: w' = α² (w + 1/K)
    published = sp.solve(sp.Eq(w, a**2 * (w + 1 / k)), w)[0]
    total = sp.lambdify((k, a, b), real + published + deviation)
    for values in ((2, 0.3, 0.8), (7, 0.9, 0.1)):
        assert regression.isotropic_mse(*values) == pytest.approx(total(*values), rel=1e-14)
    alpha = sp.Symbol("alpha", positive=True)
    v = b**2 / k + (1 - b) ** 2 + (1 - alpha) ** 2 * b**2 * (1 - 1 / k)
    best = sp.solve(sp.diff(v, b), b)[0]
    assert sp.simplify(best - 1 / (1 + 1 / k + (1 - alpha) ** 2 * (1 - 1 / k))) == 0


@pytest.mark.parametrize("k", [1, 2, 4, 64, 10**4])
def test_isotropic_mix_is_the_best(k):
    alpha, beta = regression.isotropic_mix(k)
    best = regression.isotropic_mse(k, alpha, beta)
    grid = regression.isotropic_mse(
        k, *np.meshgrid(np.linspace(0, 0.999, 800), np.linspace(0, 1, 801))
    )
    assert best <= grid.min() * (1 + 1e-12)
    assert best >= grid.min() * (1 - 1e-3)


def test_reuse_falls_as_the_cube_root_of_the_number_of_models():
    k = 10.0 ** np.arange(2, 7)
    reuse = np.array([1 - regression.isotropic_mix(int(x))[0] for x in k])
    away = np.abs(reuse / (4 * k) ** (-1 / 3) - 1)
    assert (away[1:] < away[:-1] / 3).all()
    assert away[-1] < 1e-4


def test_isotropic_mix_refuses():
    with pytest.raises(ValueError, match="at least 1"):
        regression.isotropic_mix(0)
