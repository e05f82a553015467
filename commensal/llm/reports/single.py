"""The report of one model that trains on its own output."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from commensal.llm.config import SingleConfig
from commensal.llm.reports._contents import Contents
from commensal.llm.reports._reading import Reading, title
from commensal.llm.reports._tables import Change, changes
from commensal.llm.reports.interactive import losses_first


def contents(run: Reading[SingleConfig]) -> Contents:
    """Return the contents of the report's page."""
    losses = changes(run)
    subject = "One language model that trains on its own texts"
    return losses_first(run, subject, losses, leads=list(_leads(run, losses)))


def _leads(run: Reading[SingleConfig], losses: Sequence[Change]) -> Iterator[str]:
    """Name the best memory and the worst, where a loss has changed."""
    final = [c for c in losses if c.generation and math.isfinite(c.last - c.first)]
    own = [c for c in final if c.dataset == run.datasets[0]]
    own.sort(key=lambda c: c.last)
    if len(own) > 1 and any(c.kind(len(final)) in ("fall", "rise") for c in final):
        yield (
            f"On its own task the model ends best with {title(own[0].point)} "
            f"({own[0].last:.2f}) and worst with {title(own[-1].point)} ({own[-1].last:.2f})."
        )
