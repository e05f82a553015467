"""Judge what was expected of the run `whole`, whose texts are not part of the project.

    python -m benchmarks.whole RUN --out FOLDER

Reads the run, and runs/whole/predictions.json, which was written before it; writes audits.csv,
forecast.csv and judged.json to the folder, those that are not there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from commensal.llm import metrics
from commensal.llm.config import InteractiveConfig
from commensal.llm.corpora import load
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.planning import forecast_run
from commensal.texts import audit
from commensal.theory.words import exchange_rate

INDICES = ("rare_retention", "bigram_retention", "distinct_2", "entropy_1", "vendi")
QUICK: dict[str, Any] = {"tokens": 16_000, "resamples": 99}
CONSTANT = 0.1  # nats; a smaller change is none, as in `commensal pair`
EXPECTED = Path(__file__).parents[1] / "runs" / "whole" / "predictions.json"


class Came(NamedTuple):
    """What came of an expectation in one replicate."""

    said: str
    right: bool
    value: float  # what the expectation is about, if it is one number


def audits(folder: Path, config: InteractiveConfig) -> pd.DataFrame:
    """Audit what each model wrote last, at β = ½, against human texts of its task."""
    rows, directory = [], RunDirectory(folder)
    for point in config.grid():
        if point.coordinates["beta"] != 0.5:
            continue
        replicate = int(point.coordinates["replicate"])
        branch, last = directory.branch(point.name), config.generations - 1
        if not branch.finished(last):
            continue
        for model, task in enumerate(config.of_replicate(replicate).tasks):
            corpus = load(task, seed=0)
            human = [one.completion for one in (*corpus.train, *corpus.test)]
            ours = [
                record["completion"]
                for record in branch.samples(last)
                if record["kind"] == "web" and record["model"] == model
            ]
            if not ours:  # at α = 0 nobody reads, and nothing is written
                continue
            found = audit(ours, human, **QUICK)
            about = {
                "task": task.name,
                "alpha": point.coordinates["alpha"],
                "replicate": replicate,
                "generation": last,
            }
            table = found.table.set_index("index")
            for index in (*INDICES, "unknown_words"):
                row: Any = table.loc[index]
                half = row["high"] - row["difference"]
                ends = (row["generated"] - half, row["generated"] + half)
                rows.append((*about.values(), index, row["generated"], *ends, row["verdict"]))
            for name in ("effective_share", "told_apart", "generated_share"):
                one = found.answers[name]
                rows.append((*about.values(), name, one.value, one.low, one.high, one.flag))
            print(about, flush=True)
    columns = ["task", "alpha", "replicate", "generation", "index", "value", "low", "high", "said"]
    return pd.DataFrame(rows, columns=columns)


def forecasts(folder: Path, replicates: int) -> pd.DataFrame:
    """Forecast every replicate from its own pilots."""
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    rules: Any = {"pilots": expected["pilots"], "seen": expected["seen"]}
    found = [forecast_run(folder, **rules, replicate=r).table for r in range(replicates)]
    return pd.concat([table.assign(replicate=r) for r, table in enumerate(found)])


def changes(run: pd.DataFrame, forecast: pd.DataFrame, replicate: int) -> pd.DataFrame:
    """Return the forecast beside the changes of a replicate's losses since generation 0."""
    losses: Any = run[(run["metric"] == "loss") & (run["replicate"] == replicate)]
    key = ["alpha", "beta", "model", "dataset"]
    start = losses[losses["generation"] == 0].set_index(key)["value"]
    found = losses.set_index([*key, "generation"])["value"]
    found = found - start.reindex(found.index.droplevel("generation")).to_numpy()
    told: Any = forecast
    if "replicate" in forecast:
        told = told[told["replicate"] == replicate].drop(columns="replicate")
    known = told.set_index([*key, "generation"]).drop(columns="measured")
    return known.assign(measured=found.reindex(known.index)).reset_index()


def of_forecast(run: pd.DataFrame, forecast: pd.DataFrame, replicate: int) -> dict[str, float]:
    """Return how good the forecast was at the settings that were no pilots."""
    rows: Any = changes(run, forecast, replicate)
    end = rows[(rows["generation"] == rows["generation"].max()) & ~rows["pilot"]]
    measured, predicted = end["measured"].to_numpy(), end["predicted"].to_numpy()

    def side(change: np.ndarray) -> np.ndarray:
        return np.sign(change) * (np.abs(change) > CONSTANT)

    return {
        "r2": float(1 - ((measured - predicted) ** 2).sum() / (measured**2).sum()),
        "directions": float((side(measured) == side(predicted)).mean()),
        "coverage": float(end["measured"].between(end["low"], end["high"]).mean()),
    }


def judged(run: pd.DataFrame, forecast: pd.DataFrame, audited: pd.DataFrame) -> list[list[Came]]:
    """Return what came of each expectation, replicate by replicate."""
    out: list[list[Came]] = [[] for _ in range(7)]
    last, replicates = run["generation"].max(), sorted(run["replicate"].unique())
    for replicate in replicates:
        losses: Any = run[(run["metric"] == "loss") & (run["replicate"] == replicate)]
        mean = losses.groupby(["generation", "alpha", "beta"])["value"].mean()
        ranked = mean[last].sort_values()
        (best, second), lead = ranked.index[:2], ranked.iloc[1] - ranked.iloc[0]
        told = "({:g}, {:g}) does, {:.3f} nats below ({:g}, {:g})".format(*best, lead, *second)
        behind = float(ranked[(0.25, 0.5)] - ranked.drop((0.25, 0.5)).min())
        out[0].append(Came(told, best == (0.25, 0.5), behind))
        step = float(mean[last][(0.5, 0.5)] - mean[last - 1][(0.5, 0.5)])
        out[1].append(Came(f"{step:+.3f}", abs(step) <= CONSTANT, step))
        rise = {a: float((mean[last] - mean[0])[a].mean()) for a in (0, 0.25, 0.5, 1)}
        more = rise[1] - max(rise[a] for a in (0, 0.25, 0.5))
        out[2].append(Came(", ".join(f"{x:+.2f}" for x in rise.values()), more > 0, more))
        good = of_forecast(run, forecast, int(replicate))
        out[3].append(Came(f"R² {good['r2']:.2f}", good["r2"] >= 0.8, good["r2"]))
        told = f"{good['directions']:.2f}; intervals cover {good['coverage']:.2f}"
        right = good["directions"] >= 0.8 and 0.7 <= good["coverage"] <= 0.9
        out[4].append(Came(told, right, good["directions"]))
        mine: Any = audited[audited["replicate"] == replicate]
        kept = mine[mine["index"] == "rare_retention"].pivot(
            index="task", columns="alpha", values="value"
        )
        said = "; ".join(
            f"{task}: " + ", ".join(f"{x:.2f}" for x in row) for task, row in kept.iterrows()
        )
        fall = float((kept[0.25] - kept[1.0]).mean())
        out[5].append(Came(said, bool((np.diff(kept.to_numpy(), axis=1) < 0).all()), fall))
        share = mine[(mine["index"] == "effective_share") & (mine["alpha"] == 1)]
        law = float(np.asarray(exchange_rate(0.0, np.array([last + 1])))[0])
        said = "; ".join(
            f"{r['task']}: {r['value']:.2f} ({r['low']:.2f} to {r['high']:.2f})"
            for r in share.to_dict("records")
        )
        held = bool(((share["low"] <= law) & (law <= share["high"])).all())
        out[6].append(Came(f"{said}; the law: {law:.2f}", held, float(share["value"].mean())))
    return out


ABOUT = (
    "nats that (0.25, 0.5) ends above the best of the others",
    "nats in the last generation",
    "nats that the mean loss rises more at α = 1 than elsewhere",
    "R²",
    "share of directions",
    "rare words kept at α = 0.25, less those at α = 1",
    "effective share",
)


def one_by_one(came: list[Came]) -> str:
    """Return what came of an expectation, replicate by replicate."""
    return " | ".join(f"{one.said}: {'right' if one.right else 'wrong'}" for one in came)


def together(came: list[Came], about: str) -> str:
    """Return in how many replicates an expectation was right, and the mean with its interval."""
    x, n = np.array([one.value for one in came]), len(came)
    half = t.ppf(0.975, n - 1) * x.std(ddof=1) / n**0.5
    right, mean = sum(one.right for one in came), x.mean()
    interval = f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]"
    return f"right in {right} of {n}; {about}: {interval}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, dest="folder")
    given = parser.parse_args()
    if given.run is None or given.folder is None:
        print("benchmarks.whole: texts and runs are not part of the project; see --help")
        return
    run, config = metrics(given.run), config_of(given.run, InteractiveConfig)
    given.folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "forecast.csv": lambda: forecasts(given.run, config.replicates).round(4),
        "audits.csv": lambda: audits(given.run, config).round(4),
    }
    for name, compute in tables.items():
        if not (given.folder / name).exists():
            compute().to_csv(given.folder / name, index=False)
    forecast, audited = (pd.read_csv(given.folder / name) for name in tables)
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))["expected"]
    rows = []
    for sentence, about, came in zip(expected, ABOUT, judged(run, forecast, audited), strict=True):
        row = {"expected": sentence, "came": one_by_one(came)}
        rows.append(row | ({"replicates": together(came, about)} if len(came) > 1 else {}))
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    (given.folder / "judged.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
