"""What is known of the fields of settings: type, bounds, default and sentence, in words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.logging import getLogger

from commensal.cli._options import form_of
from commensal.llm import corpora

log = getLogger(__name__)

_SECTION = re.compile(r"^(Raises|Notes|References|Examples|See Also)\n-+$", re.MULTILINE)
# what the text of a setting is that another class has
_ELSEWHERE = re.compile(r"Settings of :class:`(\w+)`\.\s*(.*)", re.DOTALL)
_WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "file"}


class Field(NamedTuple):
    """One field of a class of settings."""

    name: str
    kind: str
    bounds: str
    default: str
    text: str
    classes: tuple[type[BaseModel], ...]
    option: bool

    def kind_and_default(self) -> str:
        """Write type, bounds and default on one line."""
        kind = f"{self.kind}{', ' if self.bounds else ''}{self.bounds}"
        return f"{kind}; default {self.default}" if self.default else f"{kind}; needed"


def next_section(text: str) -> int:
    """Find where the next section of a docstring begins, or where its text ends."""
    found = _SECTION.search(text)
    return len(text) if found is None else found.start()


@cache
def attribute_docs(module: str) -> Mapping[tuple[str, str], str]:
    """Return the texts under attributes of a module's classes."""
    found = ModuleAnalyzer.for_module(module).find_attr_docs()
    return {where: "\n".join(lines).strip() for where, lines in found.items()}


def fields(config: type[BaseModel]) -> Iterator[Field]:
    """Yield a class's fields, its own first."""
    hints = get_type_hints(config, include_extras=True)
    own = inspect.get_annotations(config)
    for name in sorted(config.model_fields, key=lambda name: name not in own):
        field = config.model_fields[name]
        hint = hints[name]
        whole = Annotated[(hint, *field.metadata)] if field.metadata else hint
        yield Field(
            name,
            _kind(hint),
            ", ".join(dict.fromkeys(_bounds(whole))),
            _default(field),
            field.description or _text(config, name),
            tuple(dict.fromkeys(_classes(hint))),
            form_of(field.annotation, f"--{name}") is not None,
        )


def owner(config: type[BaseModel], name: str) -> type[BaseModel]:
    """Return the class that a field is written in."""
    return next(k for k in config.__mro__ if name in inspect.get_annotations(k))


def _text(config: type[BaseModel], name: str) -> str:
    """Return the sentence of a field: under it, or in its class's section "Attributes"."""
    for kind in (kind for kind in config.__mro__ if kind.__module__.startswith("commensal.")):
        if text := attribute_docs(kind.__module__).get((kind.__qualname__, name)):
            return text
        text = listed(inspect.cleandoc(kind.__dict__.get("__doc__") or "")).get(name, "")
        if other := _ELSEWHERE.fullmatch(text):
            known = {base.__name__: base for base in config.__mro__} | vars(corpora)
            return _text(known[other[1]], name) + (f" {other[2]}" if name == "name" else "")
        if text:
            return text
    if name in ("kind", "workflow"):
        return "Name by which this class of settings is chosen."
    log.warning("%s.%s has no sentence", config.__qualname__, name)
    return ""


@cache
def listed(docstring: str) -> Mapping[str, str]:
    """Return the texts of a docstring's section "Attributes", by name."""
    _, _, section = docstring.partition("Attributes\n----------\n")
    found = {}
    for entry in re.split(r"\n(?=\S)", section[: next_section(section)]):
        head, _, body = entry.partition("\n")
        names, _, _ = head.partition(" : ")
        found |= {name.strip(): inspect.cleandoc("\n" + body).strip() for name in names.split(",")}
    return found


def _classes(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    parts = get_args(hint)
    for part in parts[:1] if get_origin(hint) is Annotated else parts:
        yield from _classes(part)


def _kind(hint: Any, many: bool = False) -> str:
    origin = get_origin(hint)
    parts: tuple[Any, ...] = get_args(hint)
    if origin is Annotated:
        return _kind(parts[0], many)
    if origin is Literal:
        return " or ".join(f'"{part}"' if isinstance(part, str) else str(part) for part in parts)
    if origin in (Union, UnionType):
        kinds = [_kind(part, many) for part in parts if part is not NoneType]
        if NoneType in parts:
            kinds.append("none")
        return " or ".join(dict.fromkeys(kinds))
    if origin in (tuple, list):
        if origin is tuple and len(parts) > 1 and parts[1] is not Ellipsis:
            return f"list of {len(parts)}: {', '.join(_kind(part) for part in parts)}"
        return f"list of {_kind(next(iter(parts)), many=True)}"
    if origin is dict or hint is dict:
        return f"{_kind(parts[1])} by {_kind(parts[0])}" if parts else "names and values"
    if hint in _WORDS:
        plural = many and hint in (int, float, Path)
        return _WORDS[hint] + "s" * plural
    return getattr(hint, "__name__", str(hint))


def _bounds(hint: Any) -> Iterator[str]:
    """Yield the bounds that pydantic checks, of the value or of the items of a list."""
    if get_origin(hint) is Annotated:
        inner, *known = get_args(hint)
        yield from _bounds(inner)
        for one in known:
            yield from _bound(one)
        return
    if get_origin(hint) is not Literal:
        for part in get_args(hint):
            yield from _bounds(part)


def _bound(one: Any) -> Iterator[str]:
    signs = ((Ge, "≥", "ge"), (Gt, ">", "gt"), (Le, "≤", "le"), (Lt, "<", "lt"))
    for kind, sign, name in signs:
        if isinstance(one, kind):
            yield f"{sign} {_number(getattr(one, name))}"
    if isinstance(one, MinLen):
        yield f"at least {one.min_length} of them"
    if isinstance(one, MaxLen):
        yield f"at most {one.max_length} of them"
    for part in getattr(one, "metadata", ()):  # of a Field within Annotated
        yield from _bound(part)


def _number(value: float) -> str:
    if value == 2**32:
        return "2³²"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        made = field.default_factory
        return "" if made is None else written(made())
    return written(field.default)


def written(value: Any) -> str:
    """Write a default as one would type it in YAML, shortened where it is long."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        given = ", ".join(
            f"{name}: {written(v)}" for name, v in value if name in value.model_fields_set
        )
        return f"{{{given}}}"
    if isinstance(value, tuple | list):
        shown = [written(v) for v in value]
        if len(shown) > 6:
            shown = [*shown[:2], "…", shown[-1]]
        return f"[{', '.join(shown)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)
