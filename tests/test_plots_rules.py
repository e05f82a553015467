"""What holds of every figure: labelled axes, named colours, nothing cut off or overprinted."""

from __future__ import annotations

import inspect
import itertools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import rgb_to_hsv, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from commensal import plots
from commensal.claims import _picture
from commensal.llm.fingerprint import _plots
from commensal.llm.reports import (
    plots_evolution,
    plots_interactive,
    plots_networks,
    plots_remedies,
    plots_segmented,
    plots_web,
)
from commensal.plots import _style
from tests.plots_gallery import FIGURES

# figures that live beside what they draw
BESIDE = (
    _picture,
    _plots,
    plots_evolution,
    plots_interactive,
    plots_networks,
    plots_remedies,
    plots_segmented,
    plots_web,
)
NO_FIGURES = {"FIG2_BETAS", "PALETTE", "PowerLaw", "power_law"}
ONE_LABEL_A_ROW = {"llm_losses", "pairing_curves"}  # "model 1, loss": of all tasks in the row
NAMED_BY_PLACE = {"mixture_histograms", "ecosystem_perplexities"}  # titles and ticks say it


def test_every_plot_function_is_in_the_gallery() -> None:
    beside = {
        name
        for module in BESIDE
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and value.__annotations__["return"] == "Figure"
        and not name.startswith("_")
    }
    drawn = {name.partition(" ")[0] for name in FIGURES}
    assert drawn == set(plots.__all__) - NO_FIGURES | beside


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_explains_itself(name: str) -> None:
    fig = FIGURES[name]()
    FigureCanvasAgg(fig)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fig.draw_without_rendering()
    faults = [*unlabelled(fig, name in ONE_LABEL_A_ROW), *outside(fig), *overlapping(fig)]
    if name not in NAMED_BY_PLACE:
        faults += unnamed(fig)
    assert not faults, "\n".join(faults)


def panels(fig: Figure) -> list[Axes]:
    return [ax for ax in fig.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]


def unlabelled(fig: Figure, a_row: bool) -> Iterator[str]:
    """Axes that have no label, nor one at the end of their row or column."""
    for ax in panels(fig):
        for which in "xy":
            if not (label_of(ax, which) or named_ticks(ax, which) or shared(ax, which, a_row)):
                yield f"{ax.get_title()!r}: no {which} label"
    for ax in fig.axes:
        if ax.get_label() == "<colorbar>" and not (ax.get_ylabel() or ax.get_xlabel()):
            yield "a colour bar has no label"


def label_of(ax: Axes, which: str) -> str:
    return getattr(ax, f"get_{which}label")()


def shared(ax: Axes, which: str, a_row: bool) -> bool:
    """Whether another panel of the row, or of the column, says it, and has the same scale."""
    part: Any = ax.get_figure(root=False)
    if getattr(part, f"get_sup{which}label")():
        return True
    mine: Any = ax.get_subplotspec()
    span = "colspan" if which == "x" else "rowspan"
    for other in panels(part):
        spec: Any = other.get_subplotspec()
        same = spec.get_gridspec() is mine.get_gridspec()
        said = label_of(other, which) or named_ticks(other, which)
        alike = a_row or getattr(ax, f"get_shared_{which}_axes")().joined(ax, other)
        if said and same and alike and getattr(spec, span) == getattr(mine, span):
            return True
    return False


def named_ticks(ax: Axes, which: str) -> bool:
    """Whether ticks are names, or there are none to read."""
    texts = [t.get_text() for t in getattr(ax, f"get_{which}ticklabels")() if t.get_visible()]
    return bool(texts) and all(re.search(r"[A-Za-z]{2}|M = ", text) for text in texts)


def outside(fig: Figure) -> Iterator[str]:
    """Data beyond the frame that are not cut off on purpose."""
    for ax in panels(fig):
        for artist in ax.get_children():
            if artist.get_gid() == _style.CLIPPED or not artist.get_visible():
                continue
            for points in vertices(ax, artist):
                at = (ax.transData - ax.transAxes).transform(points)
                at = at[np.isfinite(at).all(axis=1)]
                if at.size and (at.min() < -0.005 or at.max() > 1.005):
                    yield f"{ax.get_title()!r}: {artist} goes to {at.min():.2f}, {at.max():.2f}"


def vertices(ax: Axes, artist: Any) -> Iterator[np.ndarray]:
    with np.errstate(all="ignore"):
        if isinstance(artist, Line2D) and artist.get_transform() == ax.transData:
            yield np.column_stack([np.asarray(x, float) for x in artist.get_data()])
        elif isinstance(artist, QuadMesh) or not isinstance(artist, Collection):
            return
        elif artist.get_transform() == ax.transData:
            for path in artist.get_paths():
                if ax.get_yscale() == "log":
                    yield path.vertices[(path.vertices > 0).all(axis=1)]
                else:
                    yield path.vertices


def overlapping(fig: Figure) -> Iterator[str]:
    """Words that are cut off by the picture's edge, or lie upon each other."""
    renderer = fig.canvas.get_renderer()  # pyright: ignore[reportAttributeAccessIssue]
    boxes = []
    for text in words(fig):
        box = text.get_window_extent(renderer)
        boxes.append((text.get_text(), box))
        edge = fig.bbox
        if box.x0 < -1 or box.y0 < -1 or box.x1 > edge.x1 + 1 or box.y1 > edge.y1 + 1:
            yield f"{text.get_text()!r} is cut off"
    for (a, one), (b, other) in itertools.combinations(boxes, 2):
        wide = min(one.x1, other.x1) - max(one.x0, other.x0)
        high = min(one.y1, other.y1) - max(one.y0, other.y0)
        if wide > 1 and high > 1:
            yield f"{a!r} lies on {b!r}"


def words(fig: Figure) -> Iterator[Text]:
    """Titles, labels, legends and ticks that are drawn; not numbers inside a panel."""
    found: list[Any] = [t for part in (fig, *fig.subfigs) for t in part.texts]
    found += [getattr(part, "_suptitle", None) for part in (fig, *fig.subfigs)]
    for ax in fig.axes:
        found += [ax.title, ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis):
            found += [tick.label1 for tick in axis._update_ticks()]  # pyright: ignore
    for legend in legends(fig):
        found += legend.get_texts()
    for text in {id(t): t for t in found}.values():
        if text is not None and text.get_visible() and text.get_text().strip():
            yield text


def legends(fig: Figure) -> list[Any]:
    found: list[Any] = [ax.get_legend() for ax in fig.axes]
    for part in (fig, *fig.subfigs):
        found += part.legends
    return [legend for legend in found if legend is not None]


def unnamed(fig: Figure) -> Iterator[str]:
    """Colours that no legend, and no text of the same colour, gives a name to."""
    handles = [h for legend in legends(fig) for h in legend.legend_handles]
    named = {c for h in handles for c in colours(h)}
    named |= {to_hex(text.get_color()) for text in fig.findobj(Text)}
    used: dict[str, Any] = {}
    for ax in panels(fig):
        for artist in ax.get_children():
            if isinstance(artist, QuadMesh):
                continue
            if isinstance(artist, (Line2D, Collection, Patch)) and artist is not ax.patch:
                used |= dict.fromkeys(colours(artist), artist)
    for colour in used.keys() - named:
        _, saturation, _ = rgb_to_hsv(to_rgb(colour))
        if saturation > 0.2 and not faded(colour, named):
            yield f"nothing says what {colour} means ({used[colour]})"
    for ax in panels(fig):
        maps = [a for a in ax.get_children() if isinstance(a, QuadMesh)] + list(ax.images)
        if maps and not any(a.get_label() == "<colorbar>" for a in fig.axes):
            yield f"{ax.get_title()!r}: a map without a colour bar"


def colours(artist: Any) -> set[str]:
    if artist.get_visible() is False:
        return set()
    if isinstance(artist, Line2D):
        return {to_hex(artist.get_color())} if len(artist.get_xdata()) else set()  # pyright: ignore
    if isinstance(artist, Collection):
        return {to_hex(c) for c in [*artist.get_facecolor(), *artist.get_edgecolor()]}
    if isinstance(artist, Patch):
        return {to_hex(artist.get_facecolor() if artist.get_fill() else artist.get_edgecolor())}
    return {c for child in artist.get_children() for c in colours(child)}


def faded(colour: str, named: set[str]) -> bool:
    """Whether it is a mixture of a named colour and white, as paths that grow darker have it."""
    here = 1 - np.array(to_rgb(colour))
    there = [1 - np.array(to_rgb(name)) for name in named]
    return any(np.linalg.norm(np.cross(here, t)) < 0.02 * np.linalg.norm(t) for t in there)


def named_lines(fig: Figure) -> dict[str, Any]:
    """Handles of the legends by the first word of what they name."""
    found: dict[str, Any] = {}
    for legend in fig.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            found[text.get_text()] = handle
    return found


def test_a_population_and_a_lineage_have_the_same_colours_in_figures_8_and_11() -> None:
    """Those of `pollination` fig. 8: evolution blue, the single lineage orange."""
    fig8, fig11 = FIGURES["populations_over_time"](), FIGURES["populations_by_run"]()
    seen = []
    for fig in (fig8, fig11):
        of = {
            name.split()[0]: to_hex(h.get_color())
            for name, h in named_lines(fig).items()
            if name.split()[0] in ("population", "single")
        }
        drawn = {to_hex(line.get_color()) for ax in fig.axes for line in ax.lines}
        assert set(of.values()) <= drawn
        seen.append(of)
    assert seen[0] == seen[1] == {"population": "#0072b2", "single": "#d55e00"}
    # the curves themselves: σ of the lineage falls, that of the population does not
    for fig in (fig8, fig11):
        ends: dict[str, float] = {}
        for line in fig.axes[1].lines:
            y = np.asarray(line.get_ydata(), float)
            if y.size > 20:
                ends[to_hex(line.get_color())] = y[-1]
        assert ends["#d55e00"] < 0.5 < ends["#0072b2"]


def test_figure_11_keeps_every_distance_within_its_frame() -> None:
    fig = FIGURES["populations_by_run"]()
    for ax in fig.axes:
        low, high = ax.get_ylim()
        for line in ax.lines:
            y = np.asarray(line.get_ydata(), float)
            y = y[np.isfinite(y)]
            assert low <= y.min() <= y.max() <= high


def test_a_weight_of_new_data_has_one_colour_in_all_figures() -> None:
    seen: dict[str, set[str]] = {}
    for name in (
        "llm_losses",
        "llm_diversity",
        "pairing_curves",
        "pairing_points",
        "published_pairing",
        "trajectories",
    ):
        for label, handle in named_lines(FIGURES[name]()).items():
            if found := re.match(r"α = [\d.]+", label):
                seen.setdefault(found[0], set()).update(colours(handle))
    assert seen == {f"α = {a:g}": {to_hex(color)} for a, color in _style.ALPHAS.items()}


def test_who_selects_has_one_colour_in_all_panels() -> None:
    """And curves of one panel, all of one colour, differ in marks."""
    fig = FIGURES["selection_ablation"]()
    seen: dict[str, set[str]] = {}
    for ax in fig.findobj(Axes):
        handles, labels = ax.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            seen.setdefault(label, set()).add(to_hex(handle.get_color()))
    assert all(len(found) == 1 for found in seen.values())
    assert seen["the same for ever"] == seen["held-out real points select"]
    assert seen["n = 100"] == seen["noisy oracle selects"]
    kinds = ("nobody selects", "oracle selects", "noisy oracle selects")
    assert len({*itertools.chain(*(seen[k] for k in kinds))}) == 3


@pytest.mark.parametrize("name", ["populations_over_time", "populations_by_run", "llm_remedies"])
def test_curves_can_be_told_apart_without_colours(name: str) -> None:
    handles = [h for h in named_lines(FIGURES[name]()).values() if isinstance(h, Line2D)]
    looks = [(h.get_linestyle(), h.get_marker(), h.get_linewidth()) for h in handles]
    assert len(set(map(str, looks))) >= len(looks) - 1  # thin light lines beside their own kind
