"""The claims and their findings as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import io
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, get_args

import jinja2
import matplotlib
from latex2mathml.converter import convert
from markupsafe import Markup

import commensal
from commensal.claims._claim import SYMBOLS, Claim, Paper
from commensal.claims._evidence import Picture, Z
from commensal.claims._run import Finding, count

TITLES: Mapping[str, str] = {
    "interactive": "Vu, Reeves, Wenger: models that train on each other's outputs",
    "pollination": "Xie et al.: populations of models under synthetic data",
    "webdynamics": "Wang et al.: models around a retrieval database",
    "diversity": "Hodel, West: ecosystems of models on segmented data",
    "news": "A news article on model collapse (unreviewed)",
    "commensal": "Beyond the papers",
}


def html(claims: Sequence[Claim], findings: Mapping[str, Finding]) -> str:
    """A self-contained page: formulas as MathML, figures inside.

    Parameters
    ----------
    claims : sequence of Claim
        In the order of the page.
    findings : mapping
        By id, of all these claims.

    Returns
    -------
    str
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("commensal.claims", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"formula": formula, "number": number}
    found = [findings[claim.id] for claim in claims]
    papers = [p for p in get_args(Paper) if any(claim.paper == p for claim in claims)]
    return environment.get_template("report.html.jinja").render(
        papers=[
            (paper, TITLES[paper], [_card(c, findings[c.id]) for c in claims if c.paper == paper])
            for paper in papers
        ],
        counts=[(v, SYMBOLS[v], n) for v, n in count(found)],
        symbols=SYMBOLS,
        comparisons=sum(one.comparisons for one in found),
        allowed=Z,
        effort="full" if any(one.full for one in found) else "quick",
        seconds=sum(one.seconds for one in found),
        unlike=[one for one in found if not one.as_recorded],
        made=f"{datetime.now(UTC):%Y-%m-%d}",
        versions=_versions(),
    )


def formula(latex: str) -> Markup:
    return Markup(convert(latex, display="block"))


def number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _card(claim: Claim, finding: Finding) -> dict[str, Any]:
    pieces = [("printed", finding.printed)]
    if finding.corrected is not None:
        pieces.append(("corrected", finding.corrected))
    return {
        "claim": claim,
        "finding": finding,
        "pieces": pieces,
        "images": [_svg(picture) for picture in finding.evidence.pictures],
    }


def _svg(picture: Picture) -> str:
    from commensal.plots import evidence

    buffer = io.BytesIO()
    # without a date and with fixed names, so that the same findings give the same page
    with matplotlib.rc_context({"svg.hashsalt": "commensal"}):
        evidence(picture).savefig(buffer, format="svg", metadata={"Date": None})
    return base64.b64encode(buffer.getvalue()).decode()


def _versions() -> str:
    parts = [f"commensal {commensal.__version__}", f"Python {platform.python_version()}"]
    return ", ".join([*parts, *(f"{name} {version(name)}" for name in ("jax", "numpy", "sympy"))])
