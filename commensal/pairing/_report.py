"""A pairing as files: a self-contained page, and the tables and figures that are on it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from commensal import page
from commensal.pairing._pair_published import PublishedPairing
from commensal.pairing._pair_run import RunPairing
from commensal.pairing._pair_web import WebPairing
from commensal.pairing._pair_words import WordsPairing
from commensal.pairing._text import verdicts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_pairing(
    found: RunPairing | PublishedPairing | WebPairing | WordsPairing,
    folder: str | Path,
    name: str = "published tables",
) -> list[Path]:
    """Write a pairing to a folder, which is made if it does not exist.

    Parameters
    ----------
    found : RunPairing, PublishedPairing, WebPairing or WordsPairing
    folder : str or Path
    name : str
        Of what the theory was laid over.

    Returns
    -------
    list of Path
        ``report.html`` with all figures in it, ``findings.txt``, the figures as PNG, and tables:
        ``scores.csv``, ``beside.csv`` and ``losses.parquet``; or ``distances.parquet`` of a web;
        or ``retention.csv`` of words.

    Raises
    ------
    Unsaved
        If they cannot be written.
    """
    from commensal.llm.records.directory import Unsaved, parquet, write

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unsaved(f"cannot write {str(folder)!r}: {error.strerror or error}") from error
    subject = "Linear theory"
    if isinstance(found, RunPairing):
        figures, lead = _run_figures(found), _run_lead(found)
    elif isinstance(found, WebPairing):
        figures, lead = _web_figures(found), _WEB_LEAD
        subject = "The mixture law"
    elif isinstance(found, WordsPairing):
        figures, lead = _words_figures(found), _WORDS_LEAD
        subject = "The law of surviving words"
    else:
        figures, lead = (
            _published_figures(found),
            "The losses that the paper `interactive` prints for language models.",
        )
    text = page.render(
        f"{subject} beside {name}",
        [
            page.Prose(lead, "lead"),
            page.Section(
                "figures",
                "Figures",
                [page.picture(figure, heading) for heading, (_, figure) in figures.items()],
            ),
            *([] if isinstance(found, WebPairing | WordsPairing) else [_beside(found.beside)]),
            page.Section("findings", "What was found", [page.Output(found.text)]),
        ],
    )
    files = {
        "report.html": text.encode(),
        "findings.txt": found.text.encode(),
        **_tables(found, parquet),
        **{file: _png(figure) for file, figure in figures.values()},
    }
    for file, content in files.items():
        write(folder / file, content)
    return [folder / file for file in files]


_WEB_LEAD = (
    "How far apart models are that read what all of them post: the mixture process of the paper "
    "`webdynamics`, and retrieval without memory, laid over ‖D‖_F."
)

_WORDS_LEAD = (
    "How many rare words a lineage of language models still shows in samples of two sizes: what "
    "chance takes shows in large samples, what the models' preference takes in all."
)


def _tables(
    found: RunPairing | PublishedPairing | WebPairing | WordsPairing,
    parquet: Callable[[pd.DataFrame], bytes],
) -> dict[str, bytes]:
    if isinstance(found, WebPairing):
        return {"distances.parquet": parquet(found.table)}
    if isinstance(found, WordsPairing):
        return {"retention.csv": found.table.to_csv(index=False, float_format="%.6g").encode()}
    return {
        "scores.csv": found.table.to_csv(index=False).encode(),
        "beside.csv": found.beside.to_csv(index=False).encode(),
        "losses.parquet": parquet(found.rows),
    }


def _beside(together: pd.DataFrame) -> page.Section:
    where = [name for name in ("fitted_to", "judged_on", "scope") if name in together]
    heads = [name.replace("_", " ") for name in (*where, "baseline", "measure")]
    tones: dict[str, Any] = {"ahead": "good", "behind": "bad"}
    rows = []
    for row in together.to_dict("records"):
        names = [str(row[name]).replace("_", " ") for name in (*where, "baseline", "measure")]
        interval = f"{row['lead']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
        verdict = page.Cell(str(row["verdict"]), tones.get(str(row["verdict"]), "soft"))
        numbers = [f"{row['theory']:.2f}", f"{row['other']:.2f}"]
        rows.append([*names, *numbers, interval.replace("[+nan, +nan]", ""), verdict])
    caption = (
        "Means over cells. Lead of the theory, with Student's 95 % interval over cells, corrected "
        "for the number of rows; of rmse (nats) the less the better."
    )
    columns = [*heads, "theory", "baseline's", "lead", "the theory is"]
    numbers = range(len(heads), len(heads) + 3)
    table = page.Table(columns, rows, caption, numbers=list(numbers))
    lines = page.Details(f"All {len(rows)} comparisons", [table])
    lead = page.Prose(" ".join(line.strip() for line in verdicts(together)[:2]))
    return page.Section("beside", "Theory beside baselines", [lead, lines])


def _run_lead(found: RunPairing) -> str:
    said = {one.name: one.cells.prediction for one in found.scores}
    held_out = "finite_held_out" in said
    ending = "_held_out" if held_out else ""
    sign, r_squared, mean_sign, mean_r_squared = (
        getattr(said[f"{name}{ending}"], measure).value
        for name in ("finite", "table_of_means")
        for measure in ("sign", "r_squared")
    )
    known = "that the fit has not seen" if held_out else "that it was fitted to"
    return (
        f"Linear models that learn from each other, given the features of this run's texts and "
        f"fitted by five numbers, have {sign:.0%} of the directions in which losses change on "
        f"grid points {known} (R² of the changes {r_squared:.2f}). A table of mean changes that "
        f"knows no theory{', read between grid points,' * held_out} has {mean_sign:.0%} "
        f"({mean_r_squared:.2f})."
    )


def _run_figures(found: RunPairing) -> dict[str, tuple[str, Figure]]:
    from commensal.plots import pairing_beside, pairing_changes, pairing_curves, pairing_points

    held_out = "finite_held_out" in found.rows
    ending, told = ("_held_out", "held out") if held_out else ("", "fitted")
    titles = {
        f"finite{ending}": f"finite training, {told}",
        f"minimiser{ending}": f"minimiser, {told}",
        f"table_of_means{ending}": f"table of means, {told}",
    }
    figures = {
        "Theory beside baselines": ("beside.png", pairing_beside(found.beside)),
        "Measured against predicted changes": (
            "points.png",
            pairing_points(found.rows, found.datasets, titles),
        ),
    }
    for network, rows in _by_network(found.rows).items():
        where, file = (f" of {network}", f"_reads={network}") if network else ("", "")
        heading = f"Changes over (α, β){where}: measured, and predicted by finite training ({told})"
        drawn = pairing_changes(rows, found.datasets, f"finite{ending}")
        figures[heading] = (f"changes{file}.png", drawn)
        for beta in sorted({float(b) for b in rows["beta"]}):
            figures[f"Losses at β = {beta:g}{where}, theory fitted to all grid points"] = (
                f"curves_beta={beta:g}{file}.png",
                pairing_curves(rows, found.datasets, beta),
            )
    return figures


def _by_network(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Divide the rows of a pairing by reading network; one part without a name if there is one."""
    if "reads" not in rows:
        return {"": rows}
    return {str(name): part for name, part in rows.groupby("reads", sort=False)}


def _published_figures(found: PublishedPairing) -> dict[str, tuple[str, Figure]]:
    from commensal.plots import pairing_beside, published_pairing

    return {
        "Theory beside baselines": ("beside.png", pairing_beside(found.beside)),
        "Published against predicted changes": ("changes.png", published_pairing(found)),
    }


def _web_figures(found: WebPairing) -> dict[str, tuple[str, Figure]]:
    from commensal.llm.reports._web_law_text import law_table
    from commensal.llm.reports.plots_web import llm_web_law, llm_web_pairing

    figures = {"Disagreement over time": ("disagreement.png", llm_web_pairing(found.table))}
    if found.laws:
        drawn = llm_web_law(law_table(found.laws))
        figures["Language shares beside the law that was taught"] = ("law.png", drawn)
    return figures


def _words_figures(found: WordsPairing) -> dict[str, tuple[str, Figure]]:
    from commensal.plots import words_retention

    return {"Rare words over the generations": ("retention.png", words_retention(found.curves))}


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # without the version, so that the same pairing gives the same bytes
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
