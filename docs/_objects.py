"""Directives of the reference: entries of public objects, and the table of a page's objects."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import _fields
from docutils import nodes
from pydantic import BaseModel
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

log = getLogger(__name__)


class Objects(SphinxDirective):
    """Entries of the named objects of a module: ``{objects} commensal.designs``, a name a line."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        lines = ["```{eval-rst}"]
        for name in " ".join(self.content).split():
            lines += [*_entry(module, name), ""]
        return self.parse_text_to_nodes("\n".join([*lines, "```"]))


class Overview(SphinxDirective):
    """Table of all entries of a page, and the check that it has all public names of the modules."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        modules = self.arguments[0].split()
        # a page of several modules says itself where each begins
        target = f"```{{py:module}} {modules[0]}\n```" if len(modules) == 1 else ""
        place = nodes.comment("", self.arguments[0], overview=modules)
        return [*self.parse_text_to_nodes(target), place]


def _entry(module: str, name: str) -> list[str]:
    """Write autodoc's directive for one object."""
    home = import_module(module)
    thing, path = getattr(home, name), f"{module}.{name}"
    if inspect.isclass(thing) and thing.__module__.startswith("commensal"):
        shown = f"{path}(**settings)" if issubclass(thing, BaseModel) else path
        members = list(_members(thing))
        return [f".. autoclass:: {shown}"] + (
            [f"   :members: {', '.join(members)}"] if members else []
        )
    if inspect.isfunction(thing):
        if "__signature__" in vars(thing):  # not that of the source
            given = inspect.signature(thing)
            bare = [p.replace(annotation=p.empty) for p in given.parameters.values()]
            path += str(given.replace(parameters=bare, return_annotation=given.empty))
        return [f".. autofunction:: {path}"]
    if callable(thing) and getattr(thing, "__wrapped__", None) is not None:  # jitted
        return [f".. autofunction:: {path}"]
    text = _said(module, name)
    options = [f"   :module: {module}"]
    if isinstance(thing, int | float | str):
        options.append(f"   :value: {thing!r}")
    return [f".. py:data:: {name}", *options, "", *(f"   {line}" for line in text.splitlines())]


def _members(kind: type) -> Iterator[str]:
    """Yield what is documented within a class: its own methods, and fields that have a text."""
    texts = _fields.attribute_docs(kind.__module__)
    model = issubclass(kind, BaseModel)
    for name, thing in vars(kind).items():
        if name.startswith(("_", "tree_")):  # tree_...: what JAX asks of a pytree
            continue
        if isinstance(thing, property | classmethod | staticmethod) or inspect.isfunction(thing):
            made_by_pydantic = hasattr(thing, "decorator_info") or name.startswith("model_")
            if not made_by_pydantic and inspect.getdoc(thing):
                yield name
    if not model:
        for owner, name in texts:
            if owner == kind.__qualname__ and not name.startswith("_"):
                yield name


@cache
def _said(module: str, name: str) -> str:
    """Find the text under the assignment of a public constant, anywhere in its package."""
    folder = Path(import_module(module).__file__ or "").parent
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if name not in text:
            continue
        body = ast.parse(text).body
        for before, node in itertools.pairwise(body):
            targets = getattr(before, "targets", [getattr(before, "target", None)])
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                value = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    return inspect.cleandoc(value.value)
    log.warning("%s.%s has no text under it", module, name)
    return ""


def fill_overviews(app: Sphinx, doctree: nodes.document) -> None:
    """Put the table of a page's entries where the page asks for it, a group for each section."""
    for place in list(doctree.findall(nodes.comment)):
        if "overview" not in place:
            continue
        seen: set[str] = set()
        rows = list(_rows(doctree, seen))
        for module in place["overview"]:
            home = import_module(module)
            for name in home.__all__:
                if not inspect.ismodule(getattr(home, name)) and f"{module}.{name}" not in seen:
                    log.warning("%s.%s is not on this page", module, name, location=place)
        place.replace_self(_table(rows) if rows else [])


def _rows(doctree: nodes.document, seen: set[str]) -> Iterator[tuple[str, list[nodes.row]]]:
    for section in doctree.findall(nodes.section):
        rows = []
        for entry in section.children:
            if not isinstance(entry, addnodes.desc):
                continue
            signature = next(entry.findall(addnodes.desc_signature))
            if not signature["ids"]:
                continue
            seen.add(f"{signature['module']}.{signature['fullname']}")
            link = nodes.reference(
                "", "", nodes.literal("", signature["fullname"]), refid=signature["ids"][0],
                internal=True,
            )  # fmt: skip
            text = next(entry.findall(nodes.paragraph), nodes.paragraph())
            rows.append(
                nodes.row(
                    "",
                    nodes.entry("", nodes.paragraph("", "", link)),
                    nodes.entry("", nodes.paragraph("", "", *(c.deepcopy() for c in text))),
                )
            )
        if rows:
            yield section[0].astext(), rows


def _table(groups: list[tuple[str, list[nodes.row]]]) -> list[nodes.Node]:
    body = nodes.tbody()
    for title, rows in groups:
        heading = nodes.entry("", nodes.paragraph("", "", nodes.strong("", title)), morecols=1)
        body += nodes.row("", heading)
        body += rows
    columns = [nodes.colspec(colwidth=30), nodes.colspec(colwidth=70)]
    group = nodes.tgroup("", *columns, body, cols=2)
    return [nodes.table("", group, classes=["overview"])]


_ARRAY = re.compile(r'\b(Float|Int|Bool|UInt32|Num|Complex)\[[\w.]+, "([^"]*)"\]')
_KINDS = {"Float": "", "Int": "int ", "UInt32": "int ", "Bool": "bool ", "Num": "", "Complex": ""}


def plain_types(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Write jaxtyping's annotations in sections of docstrings as words: ``array (K, d)``."""

    def words(found: re.Match[str]) -> str:
        kind, shape = _KINDS[found[1]], found[2].split()
        if not shape:
            return f"{kind}scalar"
        axes = ", ".join("..." if axis.startswith("*") else axis for axis in shape)
        return f"{kind}array ({axes}{',' if len(shape) == 1 and axes != '...' else ''})"

    for at, line in enumerate(lines):
        lines[at] = _ARRAY.sub(words, line)
    if what in ("attribute", "data", "property"):
        # an empty comment: napoleon takes what stands before a colon on the first line for a type
        lines[:0] = ["..", ""]


def _bars(text: str) -> str:
    """Escape bars, as in |A|, which would name a substitution."""
    return re.sub(r"(``.*?``)|\|", lambda found: found[1] or r"\|", text, flags=re.DOTALL)


def settings_section(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Give each class of settings a section with types, bounds, defaults and sentences."""
    if what != "class" or not (isinstance(thing, type) and issubclass(thing, BaseModel)):
        return
    text = "\n".join(lines)
    before, _, after = text.partition("\nAttributes\n----------\n")
    rest = after[_fields.next_section(after) :]
    if not after:
        at = _fields.next_section(before)
        before, rest = before[:at], before[at:]
    section = ["Settings", "--------"]
    for field in _fields.fields(thing):
        section.append(f"{field.name} : {field.kind_and_default()}")
        section += [f"    {line}".rstrip() for line in _bars(field.text).splitlines()]
    lines[:] = [*before.rstrip().splitlines(), "", *section, "", *rest.splitlines(), ""]


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("objects", Objects)
    app.add_directive("overview", Overview)
    app.connect("doctree-read", fill_overviews)
    # before napoleon
    app.connect("autodoc-process-docstring", settings_section, priority=400)
    app.connect("autodoc-process-docstring", plain_types, priority=401)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
