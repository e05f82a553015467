"""The law of taught models on a web: its simulation, its noise, its power, and what a run shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from commensal.llm.config import WebConfig
from commensal.llm.presets import read_config
from commensal.llm.reports._power import power, replicates_needed
from commensal.llm.reports._web_law import WebLaw, _later_r2, _pooled, law_power, web_laws
from commensal.llm.reports._web_law_text import law_sentences, law_table, law_tables
from commensal.llm.web.law import (
    answer_law,
    answered,
    answers_noise,
    disagreement,
    ends,
    law_known,
    log_ratio,
    simulate_law,
)
from commensal.llm.web.records import row, share_rows, tidy
from commensal.llm.web.store import Post, Store


def web(**more: Any) -> WebConfig:
    priors = ([8, 1, 1], [1, 8, 1], [1, 1, 8])
    return WebConfig.model_validate(
        {
            "models": [{"kind": "scratch", "prior": p} for p in priors],
            "posts": {"kind": "languages", "counts": [2, 2, 2], "words": 3, "vocabulary": 24},
            "query": "answer :",
            "prompt": "{posts}\n{query}",
            "responses": 40,
            "generations": 11,
            "sampling": {"max_new_tokens": 6},
        }
        | more
    )


def step_by_step(config: WebConfig, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Slow reference: one web by the store that runs use; laws and shares as (T, n, Q, B)."""
    rng, (point, *_) = np.random.default_rng(seed), config.grid()
    models = [config.taught(i)[0] for i in range(len(config.models))]
    human = config.languages
    assert human is not None
    b = len(human.counts)
    store = Store([str(at) for at, count in enumerate(human.counts) for _ in range(count)])
    laws, shares = [], []
    for t in range(config.generations + 1):
        new = []
        for i, model in enumerate(models):
            among = store.readable(config.reading(len(models))[i])
            for _ in config.queries:
                count = config.retrieved(config.share_read(point, i), len(among))
                read = store.retrieve(count, rng, among=among)
                counts = np.bincount([int(store.posts[p].text) for p in read], minlength=b)
                laws.append(answer_law(model, counts.astype(float)))
                said = rng.choice(b, size=config.responses, p=laws[-1])
                shares.append(np.bincount(said, minlength=b) / config.responses)
                posts = model.posted(t + 1) - model.posted(t)
                new += [Post(str(at), i) for at in said[:posts]]
        new += [Post(str(at)) for at in rng.choice(b, size=human.each_step, p=human.shares)]
        store.add(new)
    shape = (config.generations + 1, len(models), len(config.queries), b)
    return np.reshape(laws, shape), np.reshape(shares, shape)


def test_the_first_distance_by_its_formula():
    config = web(generations=0)
    shares = simulate_law(config, config.grid()[0], 20_000)
    # 3 of 6 posts, each language a third; own opinions 0.8, 0.1, 0.1 worth 4 posts
    own = 6 * 2 * 0.7**2 * (4 / 7) ** 2
    reading = 2 * 3 * 2 * (2 / 3) * (3 / 7) ** 2 * (6 - 3) / (3 * (6 - 1))
    squares = disagreement(shares)[:, 0] ** 2 - answers_noise(shares, 40)[:, 0]
    assert squares.mean() == pytest.approx(own + reading, rel=0.02)


@pytest.mark.parametrize(
    "more",
    [
        {"generations": 5},
        {
            "generations": 4,
            "who_reads": "ring",
            "query": ["a", "b"],
            "responses": 5,
            "posts": {"kind": "languages", "counts": [4, 1, 1], "each_step": 2, "vocabulary": 24},
            "models": [
                {"kind": "scratch", "prior": [8, 1, 1], "posting_rate": 2.5},
                {"kind": "scratch", "prior": [1, 8, 1], "read_share": 0.2},
                {"kind": "scratch", "prior": [1, 1, 8], "posting_rate": 0.5, "strength": 1},
            ],
        },
    ],
)
def test_the_simulation_is_that_of_the_store(more: dict[str, Any]):
    config = web(**more)
    fast = simulate_law(config, config.grid()[0], 4000, seed=1)
    slow = np.stack([step_by_step(config, seed)[1] for seed in range(150)])
    for statistic in (lambda s: s, lambda s: s**2, lambda s: disagreement(s) ** 2):
        a, b = statistic(fast), statistic(slow)
        error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
        z = (a.mean(axis=0) - b.mean(axis=0)) / error
        assert np.abs(z).max() < 4.5
        assert np.sqrt((z**2).mean()) < 1.6


def test_distances_and_noise_of_shares():
    shares = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])
    # in one query equal, in the other √2 apart: root mean square 1, in two ordered pairs
    assert disagreement(shares) == pytest.approx(math.sqrt(2))
    law = np.tile([0.7, 0.2, 0.1], (3, 1, 1))
    drawn = answered(law, 10, 20_000, np.random.default_rng(0))
    assert (disagreement(drawn) ** 2).mean() == pytest.approx(2 * 2 * 3 * 0.46 / 10, rel=0.02)
    assert answers_noise(drawn, 10).mean() == pytest.approx(2 * 2 * 3 * 0.46 / 10, rel=0.02)
    assert np.isnan(answers_noise(drawn, 1)).all()


def test_last_over_first():
    assert ends(np.arange(8.0)).tolist() == [0, 6.5]
    assert log_ratio(np.array([2.0, 5, 5, 1])) == pytest.approx(math.log(0.5))
    assert np.isnan(log_ratio(np.zeros(4)))


def test_power_is_that_of_repeated_tests():
    rng, n = np.random.default_rng(0), 5
    values = rng.normal(0.4, 0.3, (20_000, n))
    t = values.mean(axis=1) / (values.std(axis=1, ddof=1) / math.sqrt(n))
    assert power(0.4, 0.3, n) == pytest.approx((np.abs(t) > 2.776).mean(), abs=0.01)
    assert power(0.0, 0.3, n) == pytest.approx(0.05)
    assert power(0.4, 0.3, 1) == power(math.nan, 0.3, 5) == 0
    assert power(100.0, 0.01, 3) == pytest.approx(1)


def test_replicates_needed_are_the_least():
    for difference, sd in ((0.4, 0.3), (0.1, 0.5), (2.0, 0.1)):
        needed = replicates_needed(difference, sd)
        assert needed is not None
        assert power(difference, sd, needed) >= 0.8 > power(difference, sd, needed - 1)
    assert replicates_needed(0.0, 1.0) is None


def test_the_preset_is_large_enough_for_its_question():
    config = read_config("web")
    assert isinstance(config, WebConfig)
    assert config.replicates >= 5
    (point, *_) = config.grid()
    assert law_power(config, point, config.replicates) >= 0.8
    assert law_power(config, point, 4) < 0.6  # as it was
    # what lineages of the law show when they are judged like a run
    found = log_ratio(disagreement(simulate_law(config, point, 3500, seed=9)))
    runs = found.reshape(-1, config.replicates)
    half = stats.t.ppf(0.975, config.replicates - 1) * runs.std(axis=1, ddof=1)
    away = np.abs(runs.mean(axis=1) - found.mean() / 2) > half / math.sqrt(config.replicates)
    assert away.mean() == pytest.approx(law_power(config, point, config.replicates), abs=0.08)


def judged(
    config: WebConfig, heed: float = 1.0, spread: float = 0.0, seed: int = 0
) -> list[WebLaw]:
    """Judge a run of models that heed what they were taught in part, embedded with more spread."""
    rng, tables, norms = np.random.default_rng(seed), [], []
    for number, point in enumerate(config.grid()):
        law, shares = step_by_step(config, 100 * seed + number)
        if heed < 1:
            shares = answered(heed * law + (1 - heed) * law[:1], config.responses, 1, rng)[0]
        seen = disagreement(shares)
        embedded = np.sqrt(seen**2 + spread)
        sampling = np.sqrt(answers_noise(shares, config.responses) + spread)
        for t in range(len(law)):
            rows = [row("calibration_slope", 0.9, 0), row("calibration_error", 0.01, 0)] * (not t)
            for i in range(law.shape[1]):
                rows += share_rows("share", i, list(shares[t, i]))
                rows += share_rows("taught", i, list(law[t, i]))
            tables.append(tidy(rows, t).assign(**point.coordinates))
            norms.append(
                point.coordinates
                | {"generation": t, "disagreement": embedded[t], "sampling": sampling[t]}
            )
    metrics = pd.concat(tables, ignore_index=True)
    return web_laws(config, metrics, pd.DataFrame(norms))


def test_a_run_that_follows_its_law():
    (law,) = judged(web(replicates=10))
    assert law.expected is not None
    assert law.expected.low < law.measured.value < law.expected.high
    assert law.verdict.startswith("as the law says")
    assert not any(part.sign for part in law.parts.values())
    assert law.parts["embedded"].value == 0
    assert law.needed is not None
    assert law.needed <= 10
    assert (law.slope.value, round(law.error, 3)) == (0.9, 0.1)
    assert law.error_in_run < 0.03
    assert law.expected.r2[1] < law.r2 < law.expected.r2[2] + 0.2
    # the noise of answers holds ‖D‖ up
    assert law.expected.noiseless < law.expected.ratio
    text = " ".join(law_sentences([law]))
    assert "beyond chance: none of them" in text
    assert "The ceiling" in text
    half = math.exp(law.half_fall)
    assert f"Power to tell the law from half its fall ({half:.2f}): {law.power:.0%}" in text
    assert len(law_tables([law])[0].rows) == 4
    assert list(law_table([law]).point.unique()) == ["β = 0.5"]


def test_where_a_gap_comes_from():
    (poor,) = judged(web(replicates=8), heed=0.3)
    assert poor.parts["learnt"].sign == 1
    assert poor.parts["embedded"].sign == 0
    assert poor.verdict == "falls less than the law says"
    assert "beyond chance: learning" in " ".join(law_sentences([poor]))
    (wide,) = judged(web(replicates=8), spread=1.0)
    assert wide.parts["learnt"].sign == 0
    assert wide.parts["embedded"].sign == 1
    assert wide.verdict.startswith("as the law says")
    # without the noise the embedding shows what the languages do
    assert wide.embedded_noiseless.value == pytest.approx(wide.noiseless.value)


def test_what_one_replicate_or_too_few_tell():
    (one,) = judged(web())
    assert one.verdict.startswith("cannot be told: one replicate has no interval; ")
    assert "one replicate cannot tell" in " ".join(law_sentences([one]))
    (two,) = judged(web(replicates=2, responses=2))
    assert two.verdict.startswith("cannot be told at this size: half the fall fits as well")
    assert two.expected is not None
    assert f"{two.needed} replicates would do" in two.verdict


def test_no_law_of_what_is_not_drawn_uniformly():
    config = web(retrieval="recent", replicates=2)
    assert not law_known(config)
    (law,) = judged(config)
    assert law.expected is None
    assert math.isnan(law.parts["read"].value)
    assert math.isfinite(law.parts["learnt"].low)
    assert "known for uniform retrieval only" in " ".join(law_sentences([law]))
    assert law_known(web())


def test_several_cells_are_corrected_for():
    config = web(replicates=3, read_share=[0.25, 0.5])
    both = judged(config)
    assert [law.name for law in both] == ["β = 0.25", "β = 0.5"]
    (alone,) = judged(web(replicates=3, read_share=[0.25]))
    assert both[0].measured.value == pytest.approx(alone.measured.value)
    assert both[0].measured.half > 1.2 * alone.measured.half


def test_r2_and_the_jackknife():
    path = np.array([9.0, 3.0, 2.0, 1.0, 1.0])
    assert _later_r2(path, path) != _later_r2(path, path)  # does not vary there
    assert _later_r2(np.array([0.0, 0, 0, 1, 3]), np.full(5, 2.0)) == pytest.approx(0)
    squares = np.array([[4.0, 3, 3, 1.0], [4.0, 3, 3, -0.5]])
    assert _pooled(squares, 1).value == pytest.approx(0.5 * math.log(0.25 / 4))
    assert not math.isfinite(_pooled(squares, 1).low)  # one of them alone is below zero
