"""The explorer's page: one file with its style, script and numbers inside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup


def render(
    title: str,
    parts: Sequence[dict[str, Any]],
    subtitle: str = "",
    facts: Sequence[tuple[str, str]] = (),
) -> str:
    """Put parts of the explorer on one page that needs no other file and no network.

    Parameters
    ----------
    title : str
    parts : sequence of dict
        Parts as the script takes them, each with a ``kind``.
    subtitle : str
        What the page is about, in small letters under the title.
    facts : sequence of (str, str)
        Settings and sources, in a table at the end.

    Returns
    -------
    str
        A whole HTML document.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("commensal.explore", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    data = json.dumps({"parts": list(parts)}, ensure_ascii=False, allow_nan=False)
    return environment.get_template("explorer.html.jinja").render(
        title=title,
        subtitle=subtitle,
        facts=facts,
        style=_inside("explorer.css"),
        script=_inside("explorer.js"),
        data=Markup(data.replace("<", "\\u003c")),  # no text can end the element that holds it
    )


def _inside(name: str) -> Markup:
    return Markup((files("commensal.explore") / name).read_text(encoding="utf-8").rstrip())
