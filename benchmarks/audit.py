"""Try the audit: false alarms on human text, the smallest share that is found, what warns first.

    python -m benchmarks.audit --kept FOLDER [--human FILE ...] [--model FILE --mixed FILE ...]
        [--wholes FILE ... --group heading:PATTERN] [--run RUN] [--law RUN] [--out FILE.md]

What is finished is kept in the folder, so that the same command goes on where it was stopped. No
text is written anywhere.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.machine import describe
from commensal.llm import metrics
from commensal.llm.config import TrainedConfig
from commensal.llm.corpora import load
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.texts import audit, documents, name_of
from commensal.texts._documents import grouped

SHARES = (0.02, 0.05, 0.1, 0.2)
PIECE = 20  # words of a piece of human text, and of one of a model's, in the trials of power
QUICK: dict[str, Any] = {"tokens": 16_000, "resamples": 79}
ABOUT = (
    "Level 5 %, shared by all tests of an audit. Audits compare 16,000 tokens with 79 permutations "
    "(all tokens in the trials of power)."
)
SPLIT = "Audits of a random half of a corpus's documents against the other half: all is by chance."
MIXED = (
    f"WikiText-2 in pieces of {PIECE} words; a share of them is replaced by pieces of a model of "
    "0.18 million parameters that was trained on it. The reference has three times as many pieces."
)
WHOLES = (
    "Documents are paragraphs, and one audit takes them for independent, another compares whole "
    "articles (`--group`). All articles of the files are dealt out anew in every split, two "
    "thirds of them to the reference. Of the others a share of the paragraphs is replaced by "
    "what a model of 0.2 million parameters wrote that was trained on them (all tokens are "
    "compared then); at 0 % humans wrote all."
)
LINEAGES = (
    "Every generation before the last, audited against human texts, and against generation 0 of "
    "its lineage, by remedy none. Values of an index are those of the audit against human texts."
)


class Kept:
    """Records in a file, each computed once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.known = {tuple(key): value for key, value in map(json.loads, lines)}

    def get(self, key: tuple[Any, ...], of: Callable[[], Any]) -> Any:
        if key not in self.known:
            self.known[key] = of()
            with self.path.open("a") as file:
                file.write(json.dumps([key, self.known[key]]) + "\n")
        return self.known[key]


def found_in(ours: Sequence[str], human: Sequence[str], seed: int, **more: Any) -> dict[str, Any]:
    """What one audit finds."""
    result = audit(ours, human, seed=seed, **{**QUICK, **more})
    verdicts: Any = result.table["verdict"]
    return {
        "narrower": int((verdicts == "narrower").sum()),
        "wider": int((verdicts == "wider").sum()),
        "different": int((verdicts == "different").sum()),
        "apart": "Yes" in result.answers["told_apart"].sentence,
        "share": result.answers["generated_share"].value,
    }


def false_alarms(files: Sequence[Path], kept: Kept, splits: int) -> str:
    """Audits of one random half of human documents against the other."""
    rows = []
    texts = {name_of(file): list(documents(file)) for file in files}
    for split in range(splits):
        for name, all_ in texts.items():
            kept.get(("split", name, split), lambda a=all_, s=split: _halves(a, s))
    for name, all_ in texts.items():
        found: Any = pd.DataFrame([kept.known["split", name, split] for split in range(splits)])
        index = _differs(found)
        alarms = [
            found["narrower"] > 0,
            index,
            found["apart"],
            found["share"] > 0,
            index | found["apart"] | (found["share"] > 0),
        ]
        cells = " | ".join(str(int(alarm.sum())) for alarm in alarms)
        rows.append(f"| {name} | {len(all_):,} | {splits} | {cells} |")
    head = (
        "| human corpus | documents | splits | of them: called narrower | any index differs | told "
        "apart | share above 0 | anything |\n|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *rows])


def _differs(found: Any) -> Any:
    return found[["narrower", "wider", "different"]].sum(axis=1) > 0


def _halves(texts: list[str], split: int) -> dict[str, Any]:
    order = np.random.default_rng(split).permutation(len(texts))
    half = len(texts) // 2
    return found_in([texts[i] for i in order[:half]], [texts[i] for i in order[half:]], split)


def power(model_texts: Sequence[str], human: Sequence[str], kept: Kept, repeats: int) -> str:
    """Audits of human pieces, a share of which is replaced by pieces of a model."""
    pieces, generated = _pieces(human), [" ".join(t.split()[:PIECE]) for t in model_texts]
    rows = []
    for number in (1_000, 10_000):
        for share in SHARES:
            if share * number > len(generated) or 3 * number > len(pieces):
                continue
            runs = repeats if number == 1_000 else max(repeats // 5, 1)
            key = ("power", number, share)
            found: Any = pd.DataFrame(
                [
                    kept.get(
                        (*key, r), lambda n=number, s=share, r=r: _mixed(pieces, generated, n, s, r)
                    )
                    for r in range(runs)
                ]
            )
            cells = f"{int(_differs(found).sum())} | {int(found['apart'].sum())}"
            bound = f"{found['share'].median():.1%}"
            rows.append(f"| {number:,} | {share:.0%} | {runs} | {cells} | {bound} |")
    head = (
        "| documents | share that a model wrote | audits | of them: an index differs | told apart "
        "| bound on the share, median |\n|---|---|---|---|---|---|"
    )
    return "\n".join([head, *rows])


def _pieces(human: Sequence[str]) -> list[str]:
    words = " ".join(human).split()
    return [" ".join(words[i : i + PIECE]) for i in range(0, len(words) - PIECE, PIECE)]


def _mixed(
    human: list[str], generated: list[str], number: int, share: float, seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    pieces = [human[i] for i in rng.permutation(len(human))]
    written = [generated[i] for i in rng.permutation(len(generated))[: round(share * number)]]
    ours = [*pieces[: number - len(written)], *written]
    return found_in(ours, pieces[number : 4 * number], seed, tokens=1_000_000)


def by_wholes(
    files: Sequence[Path], group: str, model_texts: Sequence[str], kept: Kept, repeats: int
) -> str:
    """Audits of some articles against the others, by paragraphs and by articles."""
    texts: dict[str, list[str]] = {}
    for file in files:
        for text, name in grouped(file, group=group):
            if name:
                texts.setdefault(name, []).append(text)
    articles, rows = list(texts.values()), []
    for share in (0.0, 0.2):
        for by in (None, group) if not share else (group,):
            found: Any = pd.DataFrame(
                [
                    kept.get(
                        ("wholes", share, by, r),
                        lambda s=share, b=by, r=r: _dealt(articles, model_texts, s, b, r),
                    )
                    for r in range(repeats if share else 10)
                ]
            )
            counts = [(found["narrower"] > 0), _differs(found), found["apart"], found["share"] > 0]
            cells = " | ".join(str(int(one.sum())) for one in counts)
            what = "articles" if by else "paragraphs"
            indices = found[["narrower", "wider", "different"]].sum(axis=1).median()
            rows.append(f"| {share:.0%} | {what} | {len(found)} | {cells} | {indices:g} |")
    head = (
        f"{len(articles):,} articles of {sum(map(len, articles)):,} paragraphs.\n\n"
        "| share that a model wrote | audit by | audits | of them: called narrower | any index "
        "differs | told apart | share above 0 | indices that differ, median |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *rows])


def _dealt(
    articles: list[list[str]], generated: Sequence[str], share: float, group: str | None, seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(articles))
    third = len(articles) // 3
    written = iter([generated[i] for i in rng.permutation(len(generated))])
    ours = []
    for at in order[:third]:
        ours.append(articles[at][0])  # the heading, by which an article is told
        for text in articles[at][1:]:
            words: list[str] = []
            if rng.random() < share:
                while len(words) < len(text.split()) and (more := str(next(written, ""))):
                    words += more.split()
            ours.append(" ".join(words[: len(text.split())]) or text)
    human = [text for at in order[third:] for text in articles[at]]
    return found_in(ours, human, seed, group=group, tokens=1_000_000 if share else QUICK["tokens"])


def lineages(
    run: Path, metric: str, kept: Kept, most: int, remedies: Sequence[str]
) -> pd.DataFrame:
    """Audit every generation of a run against human texts, and against generation 0.

    Returns
    -------
    pandas.DataFrame
        Row per index, lineage and generation: ``value``, whether it is ``told`` from generation 0,
        and ``metric``, the loss that is known.
    """
    config = config_of(run, TrainedConfig)
    corpus = load(config.tasks[0], seed=0)
    human = [example.completion for example in (*corpus.train, *corpus.test)]
    known: Any = metrics(run)
    known = known[(known["metric"] == metric) & (known["dataset"] == config.tasks[0].name)]
    directory, rows = RunDirectory(run), []
    points = [point for point in config.grid() if point.replicate < most]
    for point in (one for one in points if one.coordinates["remedy"] in remedies):
        mine = known.query("remedy == @point.coordinates['remedy']")
        mine = mine.query("replicate == @point.replicate").set_index("generation")["value"]
        first = _web(directory.branch(point.start), 0)
        for generation in range(config.generations):
            branch = directory.branch(point.name if generation else point.start)
            if not branch.finished(generation) or generation not in mine.index:
                break
            found = kept.get(
                ("lineage", run.name, point.name, generation),
                lambda b=branch, g=generation, f=first: _audited(
                    _web(b, g), human, f if g else None
                ),
            )
            told = {"lineage": point.name, "generation": generation, "metric": mine[generation]}
            rows += [{**row, **told} for row in found]
    return pd.DataFrame(rows)


def _web(branch: Any, generation: int) -> list[str]:
    return [r["completion"] for r in branch.samples(generation) if r["kind"] == "web"]


def _audited(
    texts: Sequence[str], human: Sequence[str], first: Sequence[str] | None
) -> list[dict[str, Any]]:
    result = audit(texts, human, previous=first, **QUICK)
    table: Any = result.table.pivot(index="index", columns="role")
    rows = []
    for index in table.index:
        then = table["verdict"].get("previous", table["verdict"]["reference"])[index]
        told = first is not None and then != "cannot be told"
        rows.append({"index": index, "value": table["generated"]["reference"][index], "told": told})
    for name in ("effective_share", "generated_share", "told_apart"):
        rows.append({"index": name, "value": result.answers[name].value, "told": False})
    return rows


def warns(found: Any) -> str:
    """Write, per index, its rank correlation with the known loss, and its first alarm."""
    rows = []
    lines = found["lineage"].nunique()
    for index, mine in found.groupby("index", sort=False):
        ranks = mine.groupby("lineage")[["value", "metric"]].apply(
            lambda part: (
                part["value"].corr(part["metric"], method="spearman")
                if part["value"].nunique() > 1
                else np.nan
            )
        )
        first = mine[mine["told"]].groupby("lineage")["generation"].min()
        told = f"{first.median():g} ({len(first)} of {lines})" if len(first) else "–"
        if index in ("effective_share", "generated_share", "told_apart"):
            told = "not tested"
        spread = f"{ranks.median():+.2f} | {ranks.min():+.2f} to {ranks.max():+.2f}"
        if ranks.isna().all():
            spread = "does not vary | –"
        rows.append((-abs(ranks.fillna(0).median()), f"| {index} | {spread} | {told} |"))
    losses = found.groupby("generation")["metric"].mean()
    known = f"The loss from generation 0 on, mean of {lines} lineages: " + ", ".join(
        f"{loss:.3g}" for loss in losses
    )
    head = (
        f"{known}.\n\n| index | rank correlation with the loss, median over lineages | range | "
        "first generation told from generation 0, median |\n|---|---|---|---|"
    )
    return "\n".join([head, *(line for _, line in sorted(rows))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--human", type=Path, nargs="*", default=[], help="human corpora to split")
    parser.add_argument("--model", type=Path, help="texts of a model, for the trials of power")
    parser.add_argument("--mixed", type=Path, nargs="*", default=[], help="human texts beside them")
    parser.add_argument("--wholes", type=Path, nargs="*", default=[], help=".txt of articles")
    parser.add_argument("--group", help="heading:PATTERN of the articles")
    parser.add_argument("--run", type=Path, help="run of `remedies`, for its held-out loss")
    parser.add_argument("--law", type=Path, help="run of `remedies` whose law is known, for KL")
    parser.add_argument("--kept", type=Path, help="folder of finished audits")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--replicates", type=int, default=6)
    parser.add_argument("--remedies", nargs="+", default=["none"], help="those of the runs")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.kept is None:
        print("benchmarks.audit: texts and runs are not part of the project; see --help")
        return
    given.kept.mkdir(parents=True, exist_ok=True)

    def kept(name: str) -> Kept:
        return Kept(given.kept / f"{name}.jsonl")

    parts = [f"# The audit on texts whose source is known\n\n{describe()}\n\n{ABOUT}"]
    if given.human:
        table = false_alarms(given.human, kept("splits"), given.splits)
        parts.append(f"## False alarms\n\n{SPLIT}\n\n{table}")
    if given.wholes:
        written = list(documents(given.model))
        table = by_wholes(given.wholes, given.group, written, kept("wholes"), given.repeats)
        parts.append(f"## Articles in place of paragraphs\n\n{WHOLES}\n\n{table}")
    if given.mixed:
        human = [text for file in given.mixed for text in documents(file)]
        table = power(list(documents(given.model)), human, kept("power"), given.repeats)
        parts.append(f"## The smallest share that is found\n\n{MIXED}\n\n{table}")
    for run, metric, name in ((given.run, "loss", "held-out loss"), (given.law, "kl", "exact KL")):
        if run:
            table = warns(lineages(run, metric, kept(metric), given.replicates, given.remedies))
            parts.append(f"## Indices beside the {name}\n\n{LINEAGES}\n\n{table}")
    text = "\n\n".join(parts) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
