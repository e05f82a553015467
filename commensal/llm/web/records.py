"""Rows of metrics and records of texts that a web writes, and how they are read again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.llm.config import WebConfig
from commensal.llm.measures import ngrams
from commensal.llm.web.asking import Response
from commensal.llm.web.measures import (
    distance_matrix,
    joined,
    mean_responses,
    sampling_norm,
    spreads,
)

Row = dict[str, Any]


def row(
    metric: str,
    value: float | int,
    model: int | None = None,
    dataset: str | None = None,
    other: int | None = None,
) -> Row:
    """Make one row of the table of metrics."""
    return {
        "model": model,
        "dataset": dataset,
        "other": other,
        "metric": metric,
        "value": float(value),
    }


def tidy(rows: list[Row], generation: int) -> pd.DataFrame:
    """Make a tidy table with the columns that every workflow has."""
    table = pd.DataFrame(rows, columns=["model", "dataset", "other", "metric", "value"])
    table.insert(0, "generation", generation)
    table["model"] = table["model"].astype("Int64")
    table["other"] = table["other"].astype("Int64")
    table["dataset"] = table["dataset"].astype("string")
    return table


def variety_rows(config: WebConfig, human: list[str], model: int, texts: list[str]) -> list[Row]:
    """Measure variety on equally many n-grams for all models and times; ``_all`` takes all."""
    longest = config.sampling.max_new_tokens
    count = config.responses * len(config.queries)
    rows = []
    for n in (1, 2):
        size = ngrams.compared(human, n, count, longest)
        rows.append(row(f"distinct_{n}", ngrams.distinct(texts, n, size), model))
        rows.append(row(f"distinct_{n}_all", ngrams.distinct(texts, n), model))
    return rows


def response_rows(model: int, texts: list[str], unread: int, share: float) -> list[Row]:
    """Compute the metrics of one model's responses."""
    count = len(texts) or math.nan
    values = {
        "words": sum(len(text.split()) for text in texts) / count,
        "different": len(set(texts)) / count,
        "empty": sum(not text for text in texts) / count,
        "unread": unread,
        "synthetic_share": share,
    }
    return [row(name, value, model) for name, value in values.items()]


def share_rows(metric: str, model: int, shares: Sequence[Float[np.ndarray, " B"]]) -> list[Row]:
    """Write the shares of languages in answers to each query."""
    found = []
    for q, of in enumerate(shares):
        asked = f"query {q + 1}, " if len(shares) > 1 else ""
        found += [row(metric, p, model, f"{asked}language {b + 1}") for b, p in enumerate(of)]
    return found


def distance_rows(embedded: Float[np.ndarray, "n Q L D"]) -> list[Row]:
    """Compute the distances of eq. (2) and their norm."""
    one = joined(embedded)
    apart = distance_matrix(mean_responses(one))
    rows = [row("disagreement", float(np.linalg.norm(apart)))]
    rows += [row("sampling", sampling_norm(one))]
    rows += [row("spread", value, i) for i, value in enumerate(spreads(one))]
    n = len(apart)
    rows += [row("distance", apart[i, j], i, None, j) for i in range(n) for j in range(i + 1, n)]
    return rows


def record_answer(
    generation: int,
    model: int,
    query: str,
    responses: list[Response],
    read: list[int],
    posts: int = 1,
) -> list[dict[str, Any]]:
    """Record all responses, and with one of them what its model read.

    The first ``posts`` that are not left out are posted.
    """
    found = []
    posted = [n for n, response in enumerate(responses) if not response.left_out][:posts]
    for number, response in enumerate(responses):
        record: dict[str, Any] = {
            "generation": generation,
            "model": model,
            "kind": "left out" if response.left_out else "response",
            "dataset": "web",
            "prompt": query,
            "completion": response.text,
        }
        if number in posted:
            record["kind"] = "web"
        if number == (posted[0] if posted else 0):
            record["retrieved"] = read
        known = {
            "bad": response.bad,
            "finish_reason": response.finish,
            "answered_by": response.model,
        }
        found.append(record | {name: value for name, value in known.items() if value is not None})
    return found


def posts_of(records: Sequence[dict[str, Any]]) -> list[tuple[int, str]]:
    """Return author and text of each post, in the order in which they go to the web."""
    return [(r["model"], r["completion"]) for r in records if r["kind"] == "web"]


def reads_of(records: Sequence[dict[str, Any]]) -> list[int]:
    """Return the positions of all posts that were read, once for each time."""
    return [p for record in records for p in record.get("retrieved", ())]
