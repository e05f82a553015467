"""The checks of jaxtyping and beartype for a tenth of the time of a call."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping._decorator import _destring_annotation, _make_fn_with_signature, jaxtyped
from jaxtyping._storage import pop_shape_memo, push_shape_memo

_check = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))


def checked(function: Any = None, *, typechecker: Any) -> Any:
    """Check the annotations of a function on every call, as `jaxtyping.jaxtyped` does.

    That one binds the arguments to the signature before each call, and checks them twice; it does
    so for functions without annotations too, and makes two functions from text for each that is
    wrapped, which is every time for a function within another one. Here a function without
    annotations stays as it is, what is made for a function is made once for its code, and sizes
    are kept apart only for calls of functions whose annotations have shapes.
    """
    if function is None:
        return functools.partial(checked, typechecker=typechecker)
    if not isinstance(function, types.FunctionType) or inspect.isgeneratorfunction(function):
        return jaxtyped(function, typechecker=typechecker)  # beartype checks a generator's later on
    if not function.__annotations__:
        return function
    if "<locals>" in function.__qualname__:
        call = _closure(function)
    else:
        hints = _hints(function)
        call = _check(_annotated(function, hints))
        if _has_shapes(hints):
            call = _in_own_sizes(call)
    return functools.update_wrapper(call, function)


def _hints(function: types.FunctionType) -> dict[str, Any]:
    return {
        name: _destring_annotation(hint, function.__globals__)
        for name, hint in function.__annotations__.items()
    }


def _annotated(function: types.FunctionType, hints: dict[str, Any]) -> types.FunctionType:
    """Return a copy whose annotations are types, not text."""
    same = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    same.__kwdefaults__ = function.__kwdefaults__
    same.__module__, same.__qualname__ = function.__module__, function.__qualname__
    same.__annotations__ = hints
    return same


def _has_shapes(hints: Any) -> bool:
    return "jaxtyping." in repr(hints)


def _in_own_sizes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the names of axes mean sizes of this call only."""

    def call(*args: Any, **kwargs: Any) -> Any:
        push_shape_memo({})
        try:
            return function(*args, **kwargs)
        finally:
            pop_shape_memo()

    return call


def _closure(function: types.FunctionType) -> Callable[..., Any]:
    """Check a function that is made at each call of another one, by checks that are made once."""
    if function.__code__ not in _CHECKS:
        _CHECKS[function.__code__] = _checks(function)
    takes, gives = _CHECKS[function.__code__]

    def call(*args: Any, **kwargs: Any) -> Any:
        takes(*args, **kwargs)
        out = function(*args, **kwargs)
        gives(out)
        return out

    return _in_own_sizes(call)


_CHECKS: dict[types.CodeType, tuple[Callable[..., Any], Callable[[Any], Any]]] = {}


def _checks(function: types.FunctionType) -> tuple[Callable[..., Any], Callable[[Any], Any]]:
    assert all(isinstance(hint, str) for hint in function.__annotations__.values()), (
        f"{function.__module__} lacks `from __future__ import annotations`"
    )
    hints = _hints(function)
    signature = inspect.signature(function)
    takes = signature.replace(
        parameters=[
            p.replace(annotation=hints.get(p.name, p.empty)) for p in signature.parameters.values()
        ],
        return_annotation=signature.empty,
    )
    value = inspect.Parameter(
        "value", inspect.Parameter.POSITIONAL_ONLY, annotation=hints.get("return", Any)
    )
    names = function.__name__, function.__qualname__, function.__module__
    return (
        _check(_make_fn_with_signature(*names, takes, output=False)),
        _check(_make_fn_with_signature(*names, inspect.Signature([value]), output=False)),
    )
