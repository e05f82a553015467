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
from commensal.pairing import _fit_run, pair_run
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


def test_a_window_of_one_is_no_memory_and_theory_is_laid_over_each(tmp_path: Path, monkeypatch):
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
    monkeypatch.setattr(_fit_run, "_GRID", np.linspace(-0.6, 0.6, 3))
    found = pair_run(tmp_path / "accumulate", dim=4, texts=20, resamples=5)
    assert found.text.count("Memory of the web, in the run and in the theory: all generations") == 1
    config = interactive(**one, memory="accumulate")
    shares = [config.web_share(0.5, t) for t in (1, 2)]
    np.testing.assert_allclose(found.system.web_shares, [shares])
    before = pair_run(tmp_path / "replace", dim=4, texts=20, resamples=5)
    assert "Memory" not in before.text
    told = [x.rows.set_index("generation")["minimiser"] for x in (found, before)]
    assert np.abs(told[0][2] - told[1][2]).max() > 1e-6


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path: Path):
    config = interactive(alpha=0.5, memory="window", human_share=0.3, generations=3)
    run(config, tmp_path / "whole", workers=1)
    run_through_kills(config, tmp_path / "run", least=2)
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"window": 2}, "window needs memory 'window', got 2 with 'replace'"),
        ({"memory": "window", "window": 0}, "greater than or equal to 1"),
        ({"memory": "accumulate_subsample"}, "'replace', 'accumulate' or 'window'"),
    ],
)
def test_memories_that_do_not_fit(settings: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        interactive(tasks=[language(1), language(2)], **settings)


HUMAN = {"alpha": 0.6, "human_share": 0.5, "generations": 3, "memory": "window"}


@pytest.mark.parametrize("window", [None, 1, 2])
def test_human_texts_are_kept_as_long_as_what_models_wrote(tmp_path: Path, window: int | None):
    """Each generation brings the same number of new texts to each model, no text to two."""
    config = interactive(**HUMAN, window=window)
    workflow = Interactive(config)
    (point,) = config.grid()
    counts = workflow._humans(point)
    seen: list[list[set[str]]] = []
    draw = Interactive.draw

    def watched(self, point, generation, pools, rng):
        found = draw(self, point, generation, pools, rng)
        if generation:
            pool = {"".join(one) for one in pools.human}
            read = {"".join(one) for one in found.examples}
            assert len(pool) == len(pools.human)  # nothing twice
            assert read & pool
            seen.append([pool, read])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Interactive, "draw", watched)
        run(config, tmp_path / "run", workers=1)
    k, t = 2, config.generations
    pools = [[seen[g * k + model][0] for g in range(t)] for model in range(k)]
    for model, of_model in enumerate(pools):
        for g, pool in enumerate(of_model):
            kept = config.kept(g + 1)
            assert len(pool) == counts[list(kept), model].sum()
            if window == 1:  # as without a memory: all are read, once
                assert pool <= seen[g * k + model][1]
            elif g:
                assert of_model[g - 1] & pool
                assert (of_model[0] <= pool) == (0 in kept)
        assert not (pools[0][-1] & pools[1][-1])
    if window != 1:
        assert len({int(n) for n in counts.ravel()}) == 1


def test_shares_with_human_texts_and_everything_kept():
    """20,000 draws, five shares within 4.5 standard errors: fails for 4e-5 of seeds."""
    config = interactive(
        alpha=0.6,
        beta=0.5,
        memory="accumulate",
        human_share=0.25,
        generations=4,
        training={"steps": 2500, "batch_size": 8},
    )
    (point,) = config.grid()
    pools = Pools(
        [Example("", "own")],
        [Example("", "public")],
        [Example("", f"human {g}") for g in range(3)],
        lambda t, writer=None: [Example("", f"web {t}")],
    )
    drawn = Interactive(config).draw(point, 3, pools, np.random.default_rng(3)).examples
    count = Counter(example.completion for example in drawn)
    web = 1.8 / 2.2
    expected = {"own": (1 - web) / 2, "public": (1 - web) / 2}
    expected |= {f"web {g}": 0.75 * web / 3 for g in range(3)}
    expected |= {f"human {g}": 0.25 * web / 3 for g in range(3)}
    assert set(count) == set(expected)
    for source, p in expected.items():
        z = (count[source] - p * len(drawn)) / np.sqrt(len(drawn) * p * (1 - p))
        assert abs(z) < 4.5, source


def test_a_report_says_what_is_remembered():
    both = dict(interactive(memory="accumulate", human_share=0.1).facts())
    told = "0.1, fresh, new in each generation, and kept with it"
    assert both["share of human data in new data"] == told
    alone = dict(interactive(human_share=0.1).facts())
    assert alone["share of human data in new data"] == "0.1, fresh, each used once"
    facts = dict(interactive(memory="window", window=3).facts())
    assert facts["memory of the web"] == "window, the last 3 generations"
    assert "memory of the web" not in dict(interactive().facts())
