"""The report of the interactive workflow."""

from __future__ import annotations

from commensal.llm.config import InteractiveConfig
from commensal.llm.reports import networks
from commensal.llm.reports._contents import Contents
from commensal.llm.reports._own_tasks import losses_first
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._tables import changes
from commensal.llm.reports.findings_interactive import Outcomes, find
from commensal.llm.reports.says_interactive import says


def contents(run: Reading[InteractiveConfig]) -> Contents:
    """Return the contents of the page of an interactive run."""
    if len(run.config.reads) > 1:
        return networks.contents(run)
    generations = run.config.generations
    found = find(run.judged, run.datasets, generations)
    outcomes = Outcomes(run.judged, run.datasets, generations)
    said = says(outcomes, _tests(run), run.config.replicate == "everything")
    subject = "One language model that trains on its own texts"
    if len(run.config.tasks) > 1:
        subject = f"{len(run.config.tasks)} language models that train on each other's texts"
    return losses_first(run, subject, changes(run), found=found, said=list(said))


def _tests(run: Reading[InteractiveConfig]) -> str:
    """Say on how many texts the loss on a task is measured; nothing if that is not known."""
    counts = [task.counts for task in run.config.tasks]
    known = [count[1] for count in counts if count is not None]
    if len(known) < len(counts):  # known once the texts have been read
        known = [run.directory.note()["corpora"][task.name]["test"] for task in run.config.tasks]
    most = run.config.measurement.test
    sizes = {size if most is None else min(size, most) for size in known}
    least = "at least " if len(sizes) > 1 else ""
    return f"{least}{min(sizes):,} test texts of a task"
