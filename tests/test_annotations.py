"""The quick checks of annotations refuse what those of jaxtyping refuse, and nothing else."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from beartype import beartype
from jaxtyping import Array, Float, Int, TypeCheckError
from jaxtyping._decorator import jaxtyped

from commensal import designs
from tests.annotations import checked

Wrap = Callable[[Callable[..., Any]], Any]


def matrix_product(a: Float[Array, "n m"], b: Float[Array, "m k"], *, scale: float = 1.0):
    return scale * a @ b


def count(x: Float[Array, "n"], give: Any) -> Int[Array, "n"] | str:
    return give


def times(number: int, /, *more: int, unit: str = "s", **rest: float) -> str:
    return f"{number}{unit}" if number else number  # pyright: ignore[reportReturnType]


def unnamed(x, y=3):
    return x, y


def later(n: int) -> Iterator[int]:
    yield from range(n)


def known_elsewhere(x: NotHere) -> int:  # pyright: ignore
    return 3


def doubled(wrap: Wrap) -> Callable[[Any], Any]:
    @wrap
    def half(x: Float[Array, "n"], unit: int = 2) -> Float[Array, "n"]:
        return x[::unit]

    return half


def sums(wrap: Wrap) -> Callable[..., Any]:
    @wrap
    def inner(y: Float[Array, "n"]) -> Float[Array, ""]:
        return y.sum()

    @wrap
    def outer(x: Float[Array, "n"], y: Any) -> Float[Array, "n"]:
        return x + inner(y)

    return outer


VECTOR, FOUR = jnp.ones(3), jnp.ones(4)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (matrix_product, (jnp.ones((2, 3)), jnp.ones((3, 5))), {}),
        (matrix_product, (jnp.ones((2, 3)), jnp.ones((4, 5))), {}),
        (matrix_product, (jnp.ones((2, 3)), jnp.ones(3)), {"scale": 2.0}),
        (matrix_product, (jnp.ones((2, 3)), jnp.ones((3, 5))), {"scale": 2}),
        (matrix_product, (np.ones((2, 3)), jnp.ones((3, 5))), {}),
        (matrix_product, (jnp.ones((2, 3), int), jnp.ones((3, 5))), {}),
        (matrix_product, (jnp.ones((2, 3)),), {}),
        (matrix_product, (jnp.ones((2, 3)), jnp.ones((3, 5))), {"scales": 2.0}),
        (count, (VECTOR, jnp.ones(3, int)), {}),
        (count, (VECTOR, jnp.ones(4, int)), {}),
        (count, (VECTOR, VECTOR), {}),
        (count, (VECTOR, "none"), {}),
        (count, (VECTOR, None), {}),
        (times, (1,), {}),
        (times, (0,), {}),
        (times, (1, 2, "3"), {}),
        (times, (1,), {"unit": 4}),
        (times, (1,), {"rest": 4.0}),
        (times, (1,), {"rest": "4"}),
        (times, (), {"number": 1.0}),
        (unnamed, (1,), {}),
        (unnamed, (), {}),
        (later, (2,), {}),
        (later, ("2",), {}),
        (known_elsewhere, (2,), {}),
        (doubled, (jnp.ones(1),), {}),
        (doubled, (VECTOR,), {}),
        (doubled, (3,), {}),
        (doubled, (VECTOR,), {"unit": 1}),
        (doubled, (VECTOR,), {"unit": 1.0}),
        (sums, (VECTOR, FOUR), {}),
        (sums, (VECTOR, 1), {}),
        (sums, (jnp.ones(()), FOUR), {}),
    ],
)
def test_what_is_refused(function, args, kwargs):
    """Twice, because checks of functions within functions are made by the first call."""
    ways = [lambda f: f, *([jax.jit] if all(isinstance(a, jax.Array) for a in args) else [])]
    for way in ways:
        found = []
        for check in (jaxtyped, checked, checked):
            wrap = check(typechecker=beartype)
            wrapped = function(wrap) if function in (doubled, sums) else wrap(function)
            try:
                out = way(lambda *args, wrapped=wrapped: wrapped(*args, **kwargs))(*args)
                found.append(list(out) if function is later else str(out))
            except TypeError as error:
                found.append(type(error))
        assert found[0] == found[1] == found[2]


def test_sizes_of_one_call_are_not_those_of_the_next():
    for wrapped in (doubled(checked(typechecker=beartype)), designs.truth):
        assert inspect.signature(wrapped).parameters
    half = doubled(checked(typechecker=beartype))
    assert half(jnp.ones(1)).shape == (1,)
    with pytest.raises(TypeCheckError):
        half(VECTOR)
    assert half(jnp.ones(0)).shape == (0,)


def test_a_generator_has_sizes_of_its_own():
    @checked(typechecker=beartype)
    def halves(x: Float[np.ndarray, "n"]) -> Iterator[Float[np.ndarray, "m"]]:
        yield from np.split(x, 2)

    @checked(typechecker=beartype)
    def longest(y: Float[np.ndarray, "n"], x: Any) -> int:
        return max(len(half) for half in halves(x))

    assert longest(np.ones(3), np.ones(8)) == 4
    with pytest.raises(TypeCheckError):
        longest(np.ones(3), np.ones((2, 4)))


def test_functions_stay_what_they_were():
    kept = checked(matrix_product, typechecker=beartype)
    assert inspect.signature(kept) == inspect.signature(matrix_product)
    assert inspect.unwrap(kept) is matrix_product
    assert (kept.__module__, kept.__qualname__) == (__name__, "matrix_product")
    assert checked(unnamed, typechecker=beartype) is unnamed
    assert pickle.loads(pickle.dumps(designs.truth)) is designs.truth
    assert inspect.isgeneratorfunction(inspect.unwrap(checked(later, typechecker=beartype)))
