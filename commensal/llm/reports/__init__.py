"""Reports of runs: one self-contained HTML page, made without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from commensal import page
from commensal.llm.config import part
from commensal.llm.reports._contents import Chapter, Contents, Report, Sample
from commensal.llm.reports._reading import Reading, corpora, facts, read_run
from commensal.llm.reports._tables import samples, timings
from commensal.llm.reports._verdicts import Found, Instance, Verdict
from commensal.saving import Unsaved, write

SYMBOLS: dict[Verdict, tuple[page.Tone, str]] = {
    "reproduces": ("good", "✓"),
    "in part": ("part", "◐"),
    "does not": ("bad", "✗"),
    "cannot be told here": ("open", "?"),
}
_PLURAL = {"reproduces": "reproduce", "does not": "do not"}
_SHOWN_AT_ONCE = 12  # instances of a finding that does not reproduce


def contents_of(run: Reading) -> Contents:
    """Return the contents of a run's page, by its workflow."""
    report: Report = part(run.config.report)
    return report(run)


def write_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write a run's report: one HTML file with all figures in it.

    Parameters
    ----------
    folder : str or Path
        Folder of the run, which need not be finished.
    out : str or Path, optional
        File to write; by default ``report.html`` in the run's folder.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    RunDirectoryError
        If the folder is no run, or a file in it is damaged.
    Unsaved
        If the file cannot be written.
    """
    folder = Path(folder)
    text = html(read_run(folder))
    path = folder / "report.html" if out is None else Path(out)
    try:
        write(path, text.encode())
    except Unsaved as error:
        raise Unsaved(f"{error}; say with --out where the page is to be") from error
    return path


def html(run: Reading) -> str:
    """Make the page of a run as HTML.

    Parameters
    ----------
    run : Reading

    Returns
    -------
    str
    """
    shown = contents_of(run)
    points, generations = len(run.points), run.config.generations
    subtitle = (
        f"{shown.subject}, {points} grid point{'s' * (points != 1)}, "
        f"{generations} generation{'s' * (generations != 1)}."
    )
    parts: list[page.Part] = list(_head(run))
    if said := list(_said(shown)):
        parts.append(page.Section("says", "What this run says", said))
    if shown.found:
        parts.append(page.Section("findings", shown.found_heading, list(_findings(run, shown))))
    parts.append(page.Section("run", "The run", list(_about(run))))
    if shown.tables:
        parts.append(page.Section("tables", shown.tables_heading, list(_tables(shown))))
    parts += [_chapter(one) for one in shown.chapters]
    written = samples(run) if shown.samples is None else shown.samples
    if written:
        parts.append(page.Section("samples", "Samples", list(_samples(run, written))))
    if known := timings(run):
        parts.append(page.Section("timings", "Timings", list(_timings(known))))
    return page.render(run.directory.path.resolve().name, parts, subtitle)


def _verdict(verdict: Verdict, text: str = "") -> Markup:
    tone, symbol = SYMBOLS[verdict]
    return page.chip(tone, f"{symbol} {text or verdict}")


def _head(run: Reading) -> Iterator[page.Part]:
    """Write what the reader must know before anything that the run says."""
    for heading, sentence in run.warnings:
        yield page.Prose(Markup("<strong>{}:</strong> {}").format(heading, sentence), "alarm")
    if run.complete + len(run.stops) < len(run.points):
        nothing = run.metrics.empty
        so_far = ", and nothing is measured yet" if nothing else "; below is what there is"
        text = Markup(
            "<strong>Unfinished:</strong> {} of {} grid points have come to generation {}{}. "
            "Go on with {}."
        )
        command = page.code("commensal llm resume")
        counts = run.complete, len(run.points), run.config.generations
        yield page.Prose(text.format(*counts, so_far, command), "alarm")


def _said(shown: Contents) -> Iterator[page.Part]:
    """Write the answer to the run's own question, and what else it has measured."""
    for sentence in shown.says[:1]:
        yield page.Prose(sentence, "lead")
    if len(shown.says) > 1:
        yield page.Items(shown.says[1:])
    for lead in shown.leads:
        yield page.Prose(lead)


def _notable(shown: Contents) -> Iterator[page.Part]:
    """Point to the findings that do not reproduce."""
    notable = [one for one in shown.found if one.told and one.verdict != "reproduces"]
    if notable:
        these = "those that do" if len(notable) > 1 else "the one that does"
        yield page.Prose(f"Look first at {these} not, or only in part:")
        yield page.Items(
            [
                page.joined(" ", [_verdict(one.verdict), page.link(one.id, one.statement)])
                for one in notable
            ]
        )


def _about(run: Reading) -> Iterator[page.Part]:
    yield page.facts(facts(run))
    if known := corpora(run):
        columns = {
            "name": "name",
            "whose": "known to",
            "what": "what",
            "train": "to train",
            "test": "to test",
            "entropy": "entropy (nats per token)",
        }
        rows = [[one[key] for key in columns] for one in known]
        yield page.Table(list(columns.values()), rows, "Texts", numbers=(3, 4, 5))


def _findings(run: Reading, shown: Contents) -> Iterator[page.Part]:
    counted = Counter(one.verdict for one in shown.found)
    counts = page.joined(
        " · ",
        [
            _verdict(v, f"{counted[v]} {_PLURAL.get(v, v) if counted[v] > 1 else v}")
            for v in SYMBOLS
            if counted[v]
        ],
    )
    left = len(run.left_out)
    more = f" {left} grid point{'s are' if left > 1 else ' is'} left out: diverged, or not trained."
    yield page.Prose(Markup("{}. {}{}").format(counts, shown.source, more if left else ""), "soft")
    yield from _notable(shown)
    untold: list[page.Part] = []
    for one in shown.found:
        if one.told or one.leaning:
            yield page.Card(one.id, one.statement, list(_finding(one)))
        else:
            reason = page.soft(f"{one.source}: {one.reason}")
            untold.append(page.Prose(page.joined(" ", [one.statement, reason])))
    if untold:
        heading = _verdict("cannot be told here")
        yield page.Card("cannot-be-told", heading, untold)


def _finding(one: Found) -> Iterator[page.Part]:
    said = [_verdict(one.verdict)]
    if not one.told:
        said.append(Markup("{}").format(f"{one.leaning}; {one.reason}"))
    elif len(one.instances) > 1:
        holding, untold = sum(bool(i.holds) for i in one.told), len(one.instances) - len(one.told)
        more = f", {untold} cannot be told" if untold else ""
        said.append(Markup("{} of {}{}").format(holding, len(one.told), more))
    yield page.Prose(page.joined(" · ", [*said, one.source]), "soft")
    if one.remark:
        yield page.Prose(one.remark)
    few = len(one.instances) <= _SHOWN_AT_ONCE
    rows = [list(_instance(instance)) for instance in one.instances]
    shown = one.range or "numbers"
    yield page.Details(shown, [page.Table([], rows)], open=one.verdict != "reproduces" and few)


def _instance(one: Instance) -> Iterator[str | page.Cell]:
    if one.told:
        yield page.Cell("✓", "good") if one.holds else page.Cell("✗", "bad")
    else:
        yield page.Cell("?", "open")
    yield one.where
    yield f"{one.numbers} ({one.reason})" if one.reason else one.numbers


def _tables(shown: Contents) -> Iterator[page.Part]:
    text = Markup("{}").format(shown.tables_text)
    if shown.changes:
        text += Markup(
            ' <span class="key fall">falls</span> <span class="key constant">within&nbsp;0.1</span>'
            ' <span class="key rise">rises</span>'
        )
    yield page.Prose(text, "soft")
    yield from shown.tables


def _chapter(one: Chapter) -> page.Section:
    def described(drawn: page.Picture) -> page.Picture:
        alt = f"{one.heading}, {drawn.caption}" if drawn.caption else one.heading
        return drawn._replace(alt=alt)

    parts: list[page.Part] = [page.Prose(one.text, "soft"), *map(described, one.first)]
    parts += [page.Details(drawn.caption, [described(drawn)]) for drawn in one.more]
    return page.Section(one.id, one.heading, parts)


def _samples(run: Reading, written: Sequence[Sample]) -> Iterator[page.Part]:
    if corpora(run):
        text = "The first fixed prompt of each dataset, completed by each model at first and last."
    else:
        text = "What each model posts at first and at last."
    yield page.Prose(text, "soft")
    for sample in written:
        yield page.Quote(sample.prompt, sample.dataset)
        yield page.WrittenTexts(
            [(f"{model}, {when}", text) for model, when, text in sample.written]
        )


def _timings(known: Sequence[dict[str, str]]) -> Iterator[page.Part]:
    text = "Over all grid points and generations; grid points that run side by side count each."
    yield page.Prose(text, "soft")
    columns = {
        "stage": "stage",
        "tokens": "tokens",
        "seconds": "seconds",
        "rate": "tokens per second",
    }
    rows = [[one[key] for key in columns] for one in known]
    yield page.Table(list(columns.values()), rows, numbers=(1, 2, 3))
