"""Base class of all settings, which gives each field a single description for every reader."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

# Which panel of a help page an option stands in: `Field(json_schema_extra=MIX)`.
MIX: JsonDict = {"group": "mix"}
SYSTEM: JsonDict = {"group": "system"}
OUTPUT: JsonDict = {"group": "output"}
NUMERICS: JsonDict = {"group": "numerics"}

_SECTION = re.compile(r"^(Raises|Notes|References|Examples)\n-+$", re.MULTILINE)


class Config(BaseModel):
    """Base class of the settings of sweeps and simulations.

    The docstring under a field is its description: an editor shows it there, ``help`` in the
    class's "Attributes", the command line in its help pages. It is a sentence and tells symbol,
    unit and range.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if cls.__doc__:  # there is none under -OO
            cls.__doc__ = _with_attributes(cls, inspect.cleandoc(cls.__doc__))


def own_fields_first(config: type[BaseModel]) -> list[str]:
    """List the names of all fields: those of the class itself, then the inherited ones."""
    own = [name for name in inspect.get_annotations(config) if name in config.model_fields]
    return [*own, *(name for name in config.model_fields if name not in own)]


def _with_attributes(config: type[BaseModel], text: str) -> str:
    hints = get_type_hints(config)
    lines = ["Attributes", "----------"]
    for name in own_fields_first(config):
        field = config.model_fields[name]
        kind = inspect.formatannotation(hints[name]).replace("pathlib.", "")
        lines.append(f"{name} : {kind}")
        lines.extend(f"    {line}".rstrip() for line in (field.description or "").splitlines())
    section = "\n".join(lines)
    found = _SECTION.search(text)
    at = found.start() if found else len(text)
    return f"{text[:at].rstrip()}\n\n{section}\n\n{text[at:]}".rstrip() + "\n"
