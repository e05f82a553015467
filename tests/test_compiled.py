"""Functions compiled sooner: the numbers of ``jax.jit``, wherever they are called."""

from __future__ import annotations

import importlib.util
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from commensal import _compiled
from commensal._compiled import compiled


@pytest.fixture(autouse=True, scope="module")
def compiled_at_once() -> None:
    """It is tested here how users' programs are compiled."""


def polynomial(x, power=2, *, shift=0.0):
    return jnp.sum(x**power) + shift


@pytest.mark.parametrize("heavy", [False, True])
def test_numbers_are_those_of_jit(heavy):
    ours = compiled(polynomial, heavy=heavy, static_argnames="power")
    plain = jax.jit(polynomial, static_argnames="power")
    x = jnp.linspace(-1, 2, 7)
    for power in (2, 3):
        np.testing.assert_allclose(ours(x, power=power, shift=1.0), plain(x, power=power) + 1)
        gradient = jax.grad(lambda x, power=power: ours(x, power=power))
        np.testing.assert_allclose(gradient(x), power * x ** (power - 1), rtol=1e-6)
        np.testing.assert_allclose(
            jax.vmap(lambda x, power=power: ours(x, power=power))(x[:, None]), x**power, rtol=1e-6
        )


def test_within_other_functions_it_is_traced():
    ours = compiled(polynomial, static_argnames="power")
    number = np.ones(3, np.float32)  # concrete, but what is made of it here is not
    assert float(jax.jit(lambda x: x * ours(number))(2.0)) == 6
    assert float(jax.jit(lambda x: ours(x))(jnp.ones(3))) == 3
    assert float(jax.jit(jax.grad(lambda x: ours(x * number)))(2.0)) == 12


def test_it_is_traced_once_for_a_shape():
    traces = []

    def counted(x):
        traces.append(x.shape)
        return 2 * x

    ours = compiled(counted)
    for size in (2, 3, 2, 3, 2):
        ours(jnp.ones(size))
    assert traces == [(2,), (3,)]


def test_an_option_that_xla_does_not_have_is_left_out(monkeypatch):
    monkeypatch.setattr(_compiled, "_QUICK", {"xla_no_such_option": True})
    _compiled.accepted.cache_clear()
    try:
        assert _compiled.accepted(True) is None
        assert float(compiled(polynomial, heavy=True)(jnp.ones(3))) == 3
    finally:
        _compiled.accepted.cache_clear()


def test_other_devices_are_left_alone(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert _compiled.accepted.__wrapped__(True) is None


@pytest.mark.parametrize(
    ("cores", "before", "after"), [(256, "", "32"), (256, "4", "4"), (8, "", "")]
)
def test_many_cores_do_not_start_all_threads_of_blas(cores, before, after, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", before)
    if not before:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    spec = importlib.util.spec_from_file_location("compiled_again", _compiled.__file__)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert os.environ.get("OPENBLAS_NUM_THREADS", "") == after
