"""Plain-text report of the pairing with the published tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from commensal.pairing._agreement import Agreement, AgreementScore
from commensal.pairing._beside import UNTOLD
from commensal.pairing._prediction import Scalars

if TYPE_CHECKING:
    from commensal.pairing._pair_published import Judged


def describe(
    scalars: dict[str, Scalars],
    judged: Sequence[Judged],
    transfer: dict[str, Agreement],
    together: pd.DataFrame,
    rows: pd.DataFrame,
) -> str:
    """Write a report in plain text: scalars, scores, their baselines and ceilings, failures."""
    lines = ["Four scalars, fitted to the K = 2 runs of one architecture:"]
    for name, x in scalars.items():
        lines.append(
            f"  {name}: training tau = {x.training:.4g}, at t = 0 {x.initial_training:.4g}, "
            f"noise {x.noise:.3g}, {x.loss_per_error:.3g} nats per token"
        )
    for name in scalars:
        lines += ["", *_scores(name, [j for j in judged if j.fitted_to == name])]
    lines += ["", *_together(together), "", *_limits(judged, transfer), "", *_failures(rows)]
    return "\n".join(lines) + "\n"


def _scores(name: str, judged: Sequence[Judged]) -> list[str]:
    designs = judged[0].agreement.designs
    lines = [
        f"Fitted to {name}; mean over {designs} other designs, [95 % over cells and designs]:",
        f"  {'judged on':29} {'rank in cells':20} {'rank, all rows':20} "
        f"{'sign':20} {'R2 of changes':20}",
    ]
    for j in judged:
        scores = " ".join(f"{_shown(s):20}" for s in j.agreement.prediction)
        mark = "*" if j.judged_on.startswith(f"{name}, K = 2") else "°" if j.shared else " "
        lines.append(f" {mark}{j.judged_on:29} {scores}".rstrip())
    shared = "; ".join(
        f"{j.shared} of {j.agreement.rows} on {j.judged_on.split(',')[0]}"
        for j in judged
        if j.shared
    )
    return [
        *lines,
        "  * what it was fitted to",
        f"  ° hardly held out: rows that repeat a K = 2 run, with one more model ({shared})",
    ]


def _together(together: pd.DataFrame) -> list[str]:
    lines = [
        "Beside baselines that know no theory, with numbers of the table that the scalars were",
        "fitted to: its mean changes (18 numbers), and a rule (none; for RMSE three mean sizes).",
        "Means over cells of theory / table of means / rule:",
        f"  {'':55} {'rank in cells':20} {'directions':20} RMSE (nats)",
    ]
    sources = ["fitted_to", "judged_on", "scope"]
    for names, part in together.groupby(sources, sort=False):
        source, table, scope = map(str, names if isinstance(names, tuple) else (names,))
        said = {m: x.set_index("baseline") for m, x in part.groupby("measure")}
        scores = [
            f"{x.theory.iloc[0]:.2f} / {x.other['table_of_means']:.2f} / {x.other['rule']:.2f}"
            for x in (said[m] for m in ("rank", "directions", "rmse"))
        ]
        heading = (
            f"{source} -> {table}" if table.split(",")[0] != source or "K = 3" in table else source
        )
        lines.append(
            f"  {f'{heading}: {scope}':55} " + " ".join(f"{x:20}" for x in scores).rstrip()
        )
    lines += [
        "  new rows: those that no K = 2 run of the same architecture has, of the rows above",
        "  left out: of the fit and of the table, which interpolates between the neighbours",
    ]
    return (
        lines
        + [f"  {line}" for line in verdicts(together)]
        + ["  Neither baseline knows K, T or the data: what they change, only the theory can say."]
    )


def verdicts(together: pd.DataFrame, unit: str = "cells") -> list[str]:
    r"""Return what can be told of all comparisons, and each of those that can.

    Examples
    --------
    >>> one = {"scope": ["later"], "baseline": ["rule"], "measure": ["rank"], "lead": [0.5]}
    >>> ends = {"low": [0.2], "high": [0.8], "cells": [6], "verdict": ["ahead"]}
    >>> print(*verdicts(pd.DataFrame(one | ends)), sep="\n")
    Of 1 comparison the theory is ahead in 1 and behind in 0; the others cannot be told
    (Student's 95 % over 6 cells, corrected for all of them).
      ahead of the rule in rank, later: +0.50 [+0.20, +0.80]
    """
    count = together["verdict"].value_counts()
    numbers = together["cells"].to_numpy()
    few, many = numbers.min(), numbers.max()
    cells = f"{few}" if few == many else f"{few} to {many}"
    said = [
        f"Of {len(together)} comparison{'s' * (len(together) > 1)} the theory is ahead in "
        f"{count.get('ahead', 0)} and behind in {count.get('behind', 0)}; the others {UNTOLD}",
        f"(Student's 95 % over {cells} {unit}, corrected for all of them).",
    ]
    for row in together.loc[together["verdict"] != UNTOLD].to_dict("records"):
        where = " -> ".join(str(row[k]) for k in ("fitted_to", "judged_on", "scope") if k in row)
        of = "ahead of" if row["lead"] > 0 else "behind"
        baseline = str(row["baseline"]).replace("_", " ")
        said.append(
            f"  {of} the {baseline} in {row['measure']}, {where}: {row['lead']:+.2f} "
            f"[{row['low']:+.2f}, {row['high']:+.2f}]"
        )
    return said


def _limits(judged: Sequence[Judged], transfer: dict[str, Agreement]) -> list[str]:
    lines = [
        "To be held against (rank in cells / sign / R2):",
        f"  {'':29} {'no change':18} {'mean over points':18} {'tasks alike':14} rounding",
    ]
    seen = {j.judged_on: j for j in judged}
    for name, j in seen.items():
        still, mean, top = j.agreement.no_change, j.agreement.mean_over_points, j.ceilings
        lines.append(
            f"  {name:29} {_three(still):18} {_three(mean):18} "
            f"{_two(top.alike_rank, top.alike_sign):14} "
            f"{_two(top.rounding_rank, top.rounding_sign)}"
        )
    lines += [
        "  tasks alike: the best that any prediction can do which tells own task from others', but",
        "  not one task from another; rounding: what the unrounded losses themselves are expected",
        "  to reach.",
    ]
    for name, a in transfer.items():
        lines.append(f"  The measured changes of {name} as prediction: {_three(a.prediction)}")
    return lines


def _failures(rows: pd.DataFrame) -> list[str]:
    lines = ["Directions that most designs have wrong (observed, predicted):"]
    for pair in rows[["fitted_to", "judged_on"]].drop_duplicates().to_numpy():
        part = rows.loc[(rows[["fitted_to", "judged_on"]] == pair).all(axis=1)]
        wrong = part.loc[part.right < 0.5]
        lines.append(
            f"  fitted to {pair[0]}, {pair[1]}: {len(wrong)} of {len(part)}, "
            f"{int(wrong.edge.sum())} of them printed as 0.1"
        )
        lines += [
            f"    model {r['model'] + 1} task {r['task'] + 1} alpha {r['alpha']:g} "
            f"beta {r['beta']:g}: "
            f"{r['observed']:+.1f} {r['predicted']:+.2f}"
            for r in wrong.to_dict("records")
        ]
    wrong_by_alpha = 1 - rows.groupby("alpha").right.mean()
    shares = ", ".join(f"{w:.0%} at alpha = {a:g}" for a, w in wrong_by_alpha.items())
    return [*lines, f"Wrong directions over all fits and tables: {shares}."]


def _shown(score: AgreementScore) -> str:
    low, high = score.interval
    return f"{score.value:.2f} [{low:.2f}, {high:.2f}]"


def _three(scores) -> str:
    return " / ".join(
        "-" if x != x else f"{x:.2f}"
        for x in (scores.rank_correlation.value, scores.sign.value, scores.r_squared.value)
    )


def _two(rank: float, sign: float) -> str:
    return f"{rank:.2f} / {sign:.2f}"
