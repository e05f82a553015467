"""Memory of the interactive workflow: which generations are read, and with what share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from commensal.llm import run
from commensal.llm.corpora import Example
from commensal.llm.workflows.interactive import Interactive, Pools
from commensal.pairing import pair_run
from tests.llm.kills import run_through_kills
from tests.llm.runs import files_of, interactive, language

KEPT = {
    "replace": ({}, [[0], [1], [2], [3]], [0.6] * 4),
    "window": ({}, [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]], [0.6] * 4),
    "window of 2": ({"window": 2}, [[0], [0, 1], [1, 2], [2, 3]], [0.6] * 4),
    "accumulate": (
        {},
        [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]],
        [0.6 / 1.0, 1.2 / 1.6, 1.8 / 2.2, 2.4 / 2.8],
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_generations_and_their_share(name: str):
    """Shares of 20,000 draws, 68 of them within 4.5 standard errors: fails for 5e-4 of seeds."""
    more, kept, share = KEPT[name]
    config = interactive(
        alpha=0.6,
        beta=0.5,
        memory=name.split()[0],
        generations=4,
        training={"steps": 2500, "batch_size": 8},
        **more,
    )
    (point,) = config.grid()

    def web(t: int, writer: int | None = None) -> list[Example]:
        return [Example("", f"web {t}") for _ in range(3)]

    pools = Pools([Example("", "own")], [Example("", "public")], (), web)
    for t in range(1, 5):
        drawn = Interactive(config).draw(point, t, pools, np.random.default_rng(t)).examples
        count = Counter(example.completion for example in drawn)
        of_web = {f"web {g}": share[t - 1] / len(kept[t - 1]) for g in kept[t - 1]}
        real = (1 - share[t - 1]) / 2
        expected = {"own": real, "public": real, **of_web}
        assert set(count) == set(expected)
        for source, p in expected.items():
            z = (count[source] - p * len(drawn)) / np.sqrt(len(drawn) * p * (1 - p))
            assert abs(z) < 4.5, (t, source)


def test_a_window_of_one_is_no_memory(tmp_path: Path):
    one = {"alpha": 0.5, "generations": 2}
    run(interactive(**one), tmp_path / "replace", workers=1)
    run(interactive(**one, memory="window", window=1), tmp_path / "window", workers=1)
    run(interactive(**one, memory="accumulate"), tmp_path / "accumulate", workers=1)
    told = {
        name: {
            path: content
            for path, content in files_of(tmp_path / name).items()
            if "generations" in str(path)
        }
        for name in ("replace", "window", "accumulate")
    }
    assert told["replace"]
    assert told["replace"] == told["window"]
    assert told["replace"] != told["accumulate"]
    with pytest.raises(ValueError, match=r"keeps what was written before \(memory accumulate\)"):
        pair_run(tmp_path / "accumulate")


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path: Path):
    config = interactive(alpha=0.5, memory="window", generations=3)
    run(config, tmp_path / "whole", workers=1)
    run_through_kills(config, tmp_path / "run", least=2)
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"window": 2}, "window needs memory 'window', got 2 with 'replace'"),
        ({"memory": "window", "window": 0}, "greater than or equal to 1"),
        (
            {"memory": "accumulate", "human_share": 0.1},
            "keeps what models wrote, and no human texts",
        ),
        ({"memory": "accumulate_subsample"}, "'replace', 'accumulate' or 'window'"),
    ],
)
def test_memories_that_do_not_fit(settings: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        interactive(tasks=[language(1), language(2)], **settings)


def test_a_report_says_what_is_remembered():
    facts = dict(interactive(memory="window", window=3).facts())
    assert facts["memory of the web"] == "window, the last 3 generations"
    assert "memory of the web" not in dict(interactive().facts())
