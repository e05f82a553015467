"""What `commensal pair` has written of a run: theory to be drawn beside measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from commensal.explore._charts import Series, View

# columns of a pairing, the first that is there: predictions of grid points that the fit has not
# seen come before those that it was fitted to
_LOSSES = {
    "finite_held_out": "theory, of a fit without this grid point",
    "finite": "theory, of a fit to all grid points",
}
_DISTANCES = {"mixture": "mixture law, fitted", "retrieval": "retrieval law, fitted"}
THEORY_OF = ("loss", "disagreement")
"""Measures that have a theory."""
_DESCRIBED = ("alpha", "beta", "reads")


class PairedTheory(NamedTuple):
    """What a pairing says of one run."""

    losses: pd.DataFrame | None
    """Measured and predicted losses by α, β, perhaps network, generation, model and dataset, as
    :func:`commensal.pairing.pair_run` gives them; those of replicates one below the other."""
    distances: pd.DataFrame | None
    """Distances of a web's models by point and generation, as :func:`commensal.pairing.pair_web`
    gives them."""
    findings: str

    def lines(self, table: Any, metric: str, groups: Sequence[tuple[str, Any]]) -> list[Series]:
        """Return the theory's lines beside the measured ones of one grid point."""
        if metric == "loss" and self.losses is not None:
            return self._of_losses(self.losses, table, groups)
        if metric == "disagreement" and self.distances is not None:
            return self._of_distances(self.distances, table)
        return []

    def _of_losses(
        self,
        losses: pd.DataFrame,
        table: Any,
        groups: Sequence[tuple[str, Any]],
    ) -> list[Series]:
        every: Any = losses
        column = next((one for one in _LOSSES if one in losses), None)
        settings = [one for one in _DESCRIBED if one in losses and one in table]
        here = every.merge(table[settings].drop_duplicates(), on=settings) if settings else every
        if column is None or here.empty:
            return []
        found = []
        for place, (name, rows) in enumerate(groups):
            same = here
            for by in ("model", "dataset"):
                same = same[same[by].isin(rows[by].dropna().unique())]
            means = same.groupby("generation")[column].mean()
            if len(means):
                named = f"{name}: {_LOSSES[column]}"
                found.append(Series(named, means.index.to_numpy(), means.to_numpy(), beside=place))
        return found

    def _of_distances(self, distances: Any, table: Any) -> list[Series]:
        names = {f"β = {share:g}" for share in table["read_share"].unique()}
        at = distances["point"].str.split(",").str[0].isin(names)
        if "models" in table:
            counts = {f"n = {count:g}" for count in table["models"].unique()}
            number = distances["point"].str.split(", ").str[1]
            at &= number.isna() | number.isin(counts)
        here = distances[at]
        return [
            Series(told, here["generation"].to_numpy(), here[name].to_numpy())
            for name, told in _DISTANCES.items()
            if name in here and len(here)
        ]

    def view(self) -> View:
        """Return the findings as a panel."""
        rows = [(line,) for line in self.findings.splitlines() if line.strip()]
        said = ("What `commensal pair` has found in this run.",)
        return View(said, (), rows=(("theory beside the run",), *rows))


def theory_of(folder: Path) -> PairedTheory | None:
    """Read what `commensal pair` has written into a run's folder; None where it has not run.

    Raises
    ------
    ValueError
        If a file of it is damaged.
    """
    pair = folder / "pair"
    texts = [one for one in (pair / "findings.txt", folder / "pair.txt") if one.is_file()]
    losses = [pair / "losses.parquet", *sorted(pair.glob("replicate-*/losses.parquet"))]
    tables = [_table(one, ("generation", "model", "dataset")) for one in losses if one.is_file()]
    distances = pair / "distances.parquet"
    kept = _table(distances, ("point", "generation")) if distances.is_file() else None
    if not texts and not tables and kept is None:
        return None
    findings = texts[0].read_text(encoding="utf-8", errors="replace") if texts else ""
    return PairedTheory(pd.concat(tables) if tables else None, kept, findings)


def _table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    try:
        found = pd.read_parquet(path)
    except Exception as error:
        raise ValueError(f"{str(path)!r} is not a table that can be read") from error
    if missing := set(needed) - set(found.columns):
        raise ValueError(f"{str(path)!r} lacks the columns {', '.join(sorted(missing))}")
    return found
