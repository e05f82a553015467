"""Registry of workflows by name; their parts are imported when they are needed.

What is known of a workflow stands in its config class; see
:class:`~commensal.llm.config.ExperimentConfig`. Its other parts (what a generation does, what its
report shows) need torch or matplotlib, and reading a configuration does not: so the class names
them as ``"package.module:name"``, and :func:`part` loads them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import ConfigDict, Field, TypeAdapter

if TYPE_CHECKING:
    from commensal.llm.config._experiment import ExperimentConfig

WORKFLOWS: dict[str, type[ExperimentConfig]] = {}
"""Config class of each workflow, by name."""


def register(name: str, kind: type[ExperimentConfig]) -> None:
    """Register a workflow's config class by the workflow's name.

    Raises
    ------
    TypeError
        If the name is taken, or the class does not say where the workflow's parts are.
    """
    known = WORKFLOWS.get(name, kind)
    if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        raise TypeError(f"{kind.__name__} is workflow {name!r}, and so is {known.__name__}")
    for needed in kind.parts_needed:
        if not hasattr(kind, needed):
            raise TypeError(f"{kind.__name__} is workflow {name!r} and does not say its {needed}")
    WORKFLOWS[name] = kind


def part(path: str) -> Any:
    """Import the object that a path such as ``"commensal.llm.seeds:seed_of"`` names.

    Raises
    ------
    TypeError
        If there is no such module, or nothing of that name in the module.

    Examples
    --------
    >>> part("commensal.llm.seeds:seed_of").__name__
    'seed_of'
    """
    try:
        return pkgutil.resolve_name(path)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name not in _modules(path):
            raise  # it is there, and needs a package that is not
        raise TypeError(f"{path!r}, which a config class names, is not there: {error}") from error


def _modules(path: str) -> list[str]:
    """List the module of a path, and the packages that it is in."""
    names = path.partition(":")[0].split(".")
    return [".".join(names[: n + 1]) for n in range(len(names))]


def validated(settings: Mapping[str, Any]) -> ExperimentConfig:
    """Validate settings as the configuration of the workflow that they name.

    Raises
    ------
    pydantic.ValidationError
        If the settings describe no workflow. What was given is not shown: a key may be in the wrong
        place.
    """
    return _adapter(tuple(WORKFLOWS.values())).validate_python(settings)


@cache
def _adapter(kinds: tuple[type[ExperimentConfig], ...]) -> TypeAdapter:
    union: Any = Annotated[Union[kinds], Field(discriminator="workflow")]  # noqa: UP007
    return TypeAdapter(union, config=ConfigDict(hide_input_in_errors=True))
