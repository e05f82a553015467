"""Suggestions for misspelt settings, added to pydantic's errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from commensal._spelling import did_you_mean

Path = tuple[str | int, ...]

# Settings of earlier versions, by workflow: how they are called now.
_RENAMED = {
    "interactive": {"market": "reads"},
    "single": {"scheme": "memory"},
    "web": {"beta": "read_share", "entities": "take_part"},
}


def explained(
    error: ValidationError, given: Mapping[str, Any], kinds: Mapping[str, type[BaseModel]]
) -> ValidationError:
    """Add to an error the name of the setting that may have been meant.

    Parameters
    ----------
    error : ValidationError
        Error of pydantic.
    given : dict
        Settings that were refused.
    kinds : dict
        Class of settings of each workflow, by its name.

    Returns
    -------
    ValidationError
        Error with the suggestion in its message.
    """
    kind = kinds.get(str(given.get("workflow")))
    if kind is None:
        return error
    details: list[InitErrorDetails] = []
    for one in error.errors():
        found = InitErrorDetails(type=one["type"], loc=one["loc"], input=one["input"])
        message = None
        if one["type"] == "extra_forbidden":
            message = f"{one['msg']}{_meant(_path(one['loc'], given), kind, kinds)}"
            found["input"] = {}  # the value says nothing
        elif one["type"] == "union_tag_not_found":
            message = _needed(_path(one["loc"], given), kind, one["msg"])
        if message is not None or one["type"] == "value_error":
            text = message or one["msg"].removeprefix("Value error, ")
            text += _misspelt(_path(one["loc"], given), kind, given) if message is None else ""
            found["type"] = PydanticCustomError(one["type"], "{text}", {"text": text})  # pyright: ignore
        elif "ctx" in one:
            found["ctx"] = one["ctx"]
        details.append(found)
    return ValidationError.from_exception_data(error.title, details, hide_input=True)


def _path(loc: tuple[str | int, ...], given: Any) -> Path:
    """Return the path of an error without the tags that pydantic puts between."""
    path: list[str | int] = []
    for part in loc:
        if (isinstance(given, Mapping) and part in given) or (
            isinstance(given, (list, tuple)) and isinstance(part, int)
        ):
            path.append(part)
            given = given[part]  # pyright: ignore[reportArgumentType, reportCallIssue]
    return tuple(path)


def _meant(path: Path, kind: type[BaseModel], kinds: Mapping[str, type[BaseModel]]) -> str:
    """Write the suggestion that follows the name of an unknown setting."""
    *parents, last = path
    renamed = _RENAMED.get(kind.model_fields["workflow"].default, {})
    if not parents and last in renamed:
        return f"; it is called {renamed[str(last)]} now"
    shown, place = _dotted(path), tuple(p for p in path if isinstance(p, str))
    # of another kind of model, corpus or workflow
    for cls in _at(kind, tuple(parents)):
        if last in cls.model_fields:
            tag = next(n for n in ("kind", "workflow") if n in cls.model_fields)
            return f"; only {tag}: {cls.model_fields[tag].default} has {shown}"
    having = [n for n, other in kinds.items() if other is not kind and place in dict(_names(other))]
    if having:
        return f"; only workflow: {' or '.join(having)} has {shown}"
    known = dict(_names(kind))
    beside = [n[-1] for n in known if n[:-1] == place[:-1]]
    # where the part is known, what is like the whole name is like it for the part's name
    whole = {} if parents and beside else {".".join(n): dotted for n, dotted in known.items()}
    names = {n[-1] for n in known}

    def of_name(name: str) -> str:
        return " or ".join(sorted((known[n] for n in known if n[-1] == name), key=len)[:3])

    return (
        did_you_mean(str(last), beside, written=lambda name: _dotted((*parents, name)))
        or did_you_mean(str(last), names, cutoff=1.0, written=of_name)
        or did_you_mean(".".join(place), whole, written=whole.__getitem__)
        or did_you_mean(str(last), names, cutoff=0.75, written=of_name)
        or (
            f"; {_dotted(tuple(parents))} has {', '.join(dict.fromkeys(beside))}"
            if parents and beside
            else f": there is no setting {shown}"
        )
    )


def _misspelt(path: Path, kind: type[BaseModel], given: Any) -> str:
    """Write a suggestion for settings that refuse unknown names with an error of their own."""
    for part in path:
        given = given[part]
    here = [c for c in _at(kind, path) if isinstance(given, Mapping) and _is(c, given)]
    for cls in here[:1]:
        if unknown := sorted(set(map(str, given)) - set(cls.model_fields)):
            known = cls.model_fields
            return did_you_mean(unknown[0], known, written=lambda near: _dotted((*path, near)))
    return ""


def _is(cls: type[BaseModel], given: Mapping[str, Any]) -> bool:
    return "kind" in cls.model_fields and cls.model_fields["kind"].default == given.get("kind")


def _needed(path: Path, kind: type[BaseModel], message: str) -> str:
    """Write the message of an error that lacks the ``kind`` of a part."""
    tags = [
        str(cls.model_fields["kind"].default)
        for cls in _at(kind, path)
        if "kind" in cls.model_fields
    ]
    return f"needs kind: {', '.join(tags)}" if tags else message


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)


def _at(kind: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    """List the classes of settings that may lie at a path."""
    here = [kind]
    for part in path:
        if isinstance(part, str):
            fields = [cls.model_fields[part] for cls in here if part in cls.model_fields]
            here = [cls for field in fields for cls, _ in _within(field.annotation)]
    return here


def _names(
    kind: type[BaseModel], before: tuple[str, ...] = (), shown: str = ""
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every setting's path without the indices of lists, and with them as one writes it."""
    for name, field in kind.model_fields.items():
        path, dotted = (*before, name), f"{shown}{name}"
        yield path, dotted
        for cls, listed in _within(field.annotation):
            yield from _names(cls, path, f"{dotted}.0." if listed else f"{dotted}.")


def _within(annotation: Any, listed: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    """Yield the classes of settings in an annotation, and whether they are items of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, listed
        return
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        parts = parts[:1]
    for part in parts:
        yield from _within(part, listed or origin in (tuple, list))
