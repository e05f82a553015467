"""Rare words of language models: the yardstick, the law's two numbers, and what a run leaves."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from commensal._words import counted, shown, words_of
from commensal.llm import run
from commensal.llm.config import RemediesConfig
from commensal.llm.records import results as records
from commensal.pairing import _pair_words, pair_words
from commensal.pairing._retention import CLASSES, Yardstick
from tests.commands import run as command
from tests.llm.runs import SMALL

LAW = 1 / np.arange(1, 4_001) ** 1.05
LAW /= LAW.sum()
WORDS = np.array([f"w{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10 % 10]}" + "x" * (i // 100)
                  for i in range(len(LAW))])  # fmt: skip


def written(law: np.ndarray, tokens: int, rng: np.random.Generator) -> list[str]:
    """Texts of ten words, drawn independently."""
    drawn = WORDS[rng.choice(len(law), tokens, p=law / law.sum())]
    return [" ".join(row) for row in drawn.reshape(-1, 10)]


def test_the_share_that_a_sample_shows_is_the_mean_over_all_samples() -> None:
    tokens = [0, 0, 0, 1, 1, 2]
    for size in range(len(tokens) + 1):
        samples = list(itertools.combinations(tokens, size))
        mean = np.mean([len(set(sample)) for sample in samples]) / 3
        np.testing.assert_allclose(shown(np.array([3, 2, 1]), 6, size), mean, atol=1e-12)


def test_humans_show_what_humans_show_and_half_as_frequent_counts_half() -> None:
    rng = np.random.default_rng(3)
    human, judge, other = (counted(written(LAW, 60_000, rng), 1, words_of) for _ in range(3))
    yardstick = Yardstick(human, judge)
    whole = yardstick.retention(other, [3_000, 30_000])
    # largest of 9 deviations, 0.12 is four standard errors; frequent words are all in 30,000
    assert np.isnan(whole[1, -1])
    assert np.nanmax(np.abs(whole - 1)) < 0.12
    rare = np.where(LAW * 60_000 < 30, LAW / 2, LAW)
    halved = yardstick.retention(counted(written(rare, 60_000, rng), 1, words_of), [3_000])[0]
    # the common words have more room: 0.5 of rare tokens is a little more of all
    assert np.abs(halved[:3] - 0.5).max() < 0.1


def test_what_cannot_be_compared_is_not_a_number() -> None:
    human = Counter({(w,): 1 for w in range(40)})
    judge = Counter({(w,): 1 for w in range(15)})
    yardstick = Yardstick(human, judge, [(1, 1), (7, 9)])
    found = yardstick.retention(Counter({(w,): 1 for w in range(20)}), [20, 21])
    assert np.isnan(found).all()  # more shown than the judge has; too short; an empty class
    assert np.isnan(yardstick.retention(Counter({(0,): 30}), [20])).all()  # a single word
    assert np.isfinite(yardstick.retention(Counter({(w,): 2 for w in range(12)}), [20])[0, 0])


def settings(text: Path, **more) -> RemediesConfig:
    given = {
        "workflow": "remedies",
        "public": {"kind": "file", "name": "common", "path": str(text), "prompt_words": 2,
                   "completion_words": 8},
        "tasks": [{"kind": "file", "name": "task", "path": str(text), "prompt_words": 2,
                   "completion_words": 8}],
        "remedies": [{"name": "none"}, {"name": "cold", "temperature": 0.9},
                     {"name": "all", "memory": "accumulate"}],
        "replicates": 2,
        "generations": 3,
        "sampling": {"max_new_tokens": 12, "count": 150},
        "model": {"kind": "scratch", "context": 24,
                  "pretraining": {"steps": 60, "batch_size": 8, "learning_rate": 3e-3}},
    }  # fmt: skip
    return RemediesConfig.model_validate(SMALL | given | more)


class Lineages:
    """Stands for the folder of a run whose models copy words with a known law."""

    tokens, copies = 20_000, 0.9

    def __init__(self, path: Path) -> None:
        self.made: dict[str, list[list[str]]] = {}

    def branch(self, name: str) -> SimpleNamespace:
        known = self.made.setdefault(name, self.lineage(name))
        return SimpleNamespace(
            finished=lambda t: True,
            samples=lambda t: [{"kind": "web", "completion": text} for text in known[t]],
        )

    def lineage(self, name: str) -> list[list[str]]:
        rng = np.random.default_rng([5, *name.encode()])
        law, found, pool = LAW, [], rng.multinomial(self.tokens, LAW)  # human texts are kept
        for _ in range(6):
            # what is compared is another draw than what the next model reads
            found.append(written(law, self.tokens, rng))
            read = rng.multinomial(self.tokens, law)
            pool = pool + read if "remedy=all" in name else read
            law = self.copies * pool / pool.sum()
            law[:20] += (1 - self.copies) * LAW[:20] / LAW[:20].sum()
        return found


def test_the_two_numbers_of_a_known_law_are_found(tmp_path: Path, monkeypatch, capsys) -> None:
    text = tmp_path / "human.txt"
    text.write_text("\n".join(written(LAW, 80_000, np.random.default_rng(9))))
    config = settings(text, generations=6, replicates=5)
    for module in (_pair_words, records):
        monkeypatch.setattr(module, "config_of", lambda folder, kind=None: config)
    monkeypatch.setattr(_pair_words, "RunDirectory", Lineages)
    found = pair_words("made up")
    copies = np.array([law.copies for law in found.laws])
    tokens = np.array([law.tokens for law in found.laws])
    # by trial over seeds, a scatters by 0.01 and ln n by 0.3
    assert abs(copies.mean() - 0.9) < 0.03
    assert abs(np.log(tokens.mean() / 20_000)) < 0.8
    assert "more is lost than chance takes" in found.text
    # under the memory that the lineages have, nothing is fitted
    ends = found.curves.query("remedy == 'all' and generation == 5")
    assert abs((ends["relative"] - ends["law"]).mean()) < 0.06
    assert found.curves.query("remedy == 'cold'")["law"].isna().all()
    # the command writes what it is told; that it asks for it, other tests see
    monkeypatch.setattr("commensal.pairing.pair_words", lambda folder, progress: found)
    out = tmp_path / "pair"
    code, said, errors = command(monkeypatch, capsys, "pair", "made up", "--out", str(out))
    assert code == 0, errors
    assert "Rare words in 5 replicates" in said
    names = {path.name for path in out.iterdir()}
    assert names == {"report.html", "findings.txt", "retention.csv", "retention.png"}
    assert len(found.table) == 3 * 5 * 3 * 3 * 6 * len(CLASSES)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    text = folder / "human.txt"
    text.write_text("\n".join(written(LAW, 4_000, np.random.default_rng(1))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENSAL_CACHE", str(folder / "cache"))
        run(settings(text), folder / "run", workers=1)
    return folder / "run"


def test_texts_with_too_few_rare_words_are_refused(finished: Path, monkeypatch, capsys) -> None:
    code, _, errors = command(monkeypatch, capsys, "pair", str(finished))
    assert code == 2
    assert "too few rare words to compare" in errors


def test_runs_that_cannot_be_paired_are_refused_in_one_line(
    finished: Path, monkeypatch, capsys
) -> None:
    human = finished.parent / "human.txt"
    human.rename(human.with_name("moved.txt"))
    code, _, errors = command(monkeypatch, capsys, "pair", str(finished))
    human.with_name("moved.txt").rename(human)
    assert code == 2
    assert "human.txt" in errors
    assert errors.count("\n") == 1
    next(finished.glob("generations/remedy=cold*/0002/done.json")).unlink()
    code, _, errors = command(monkeypatch, capsys, "pair", str(finished))
    assert code == 2
    assert "is not finished; commensal llm resume" in errors
