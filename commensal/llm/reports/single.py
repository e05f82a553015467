"""The report of one model that trains on its own output."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from commensal.llm.config import SingleConfig
from commensal.llm.reports._contents import Contents
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports._own_tasks import losses_first
from commensal.llm.reports._reading import Reading, title
from commensal.llm.reports._says import amount, one_replicate, sign_in_words
from commensal.llm.reports._tables import Change, changes


def contents(run: Reading[SingleConfig]) -> Contents:
    """Return the contents of the report's page."""
    losses = changes(run)
    subject = "One language model that trains on its own texts"
    return losses_first(run, subject, losses, said=list(_says(run, losses)))


def _says(run: Reading[SingleConfig], losses: Sequence[Change]) -> Iterator[str]:
    """Say with which memory of past data the model ends best, and by how much."""
    final = [c for c in losses if c.generation and math.isfinite(c.last - c.first)]
    own = [c for c in final if c.dataset == run.datasets[0]]
    if not own:
        return
    # those that have come as far, in as many replicates
    most = max((c.generation, len(c.each)) for c in own)
    own = [c for c in own if (c.generation, len(c.each)) == most]
    own.sort(key=lambda c: c.last)
    if len(own) == 1:
        by = mean_of(own[0].each).text()
        yield f"On its own task the loss changes by {by} nats with {title(own[0].point)}."
    else:
        best, worst = own[0], own[-1]
        # all start from one generation 0: a difference of changes is one of last losses
        apart = [b - a for a, b in zip(best.each, worst.each, strict=True)]
        mean = mean_of(apart, len(own) * (len(own) - 1) // 2)
        if not any(apart):
            told = "to the last digit as with any other memory"
        else:
            untold = "which of them is better cannot be told"
            told = f"{amount(mean)} nats better than with {title(worst.point)}, the worst: " + (
                sign_in_words(mean, "that is beyond noise", untold, untold)
            )
        name = title(best.point)
        yield f"On its own task the model ends best with {name} ({best.last:.2f}), {told}."
    if len(own[0].each) < 2:
        yield one_replicate("how much of it is noise")
