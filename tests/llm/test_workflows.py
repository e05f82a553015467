"""What models train on, counted."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from commensal.llm.corpora import Example
from commensal.llm.workflows import workflow_of
from commensal.llm.workflows.interactive import Pools
from tests.llm.runs import interactive, single


def pool(kind: str, count: int = 50) -> list[Example]:
    return [Example(kind, f" {i}") for i in range(count)]


def web(generation: int, model: int | None = None) -> list[Example]:
    return pool(f"web{generation}" + ("" if model is None else f" of {model}"))


class Endless(list):
    """As many human texts as are wanted."""

    def __iter__(self):
        return itertools.repeat(self[0])


POOLS = Pools(pool("private"), pool("public"), Endless(pool("human")), web)


def shares(config, generation: int, setting: int = 0) -> dict[str, float]:
    workflow = workflow_of(config)
    drawn = workflow.draw(config.grid()[setting], generation, POOLS, np.random.default_rng(0))
    count = Counter(example.prompt for example in drawn.examples)
    return {kind: n / count.total() for kind, n in count.items()}


@pytest.mark.parametrize("generation", [0, 3])
@pytest.mark.parametrize(("alpha", "beta", "human"), [(0.3, 0.6, 0.0), (0.5, 0.25, 0.4)])
def test_weights_of_the_interactive_workflow(generation, alpha, beta, human):
    """Of 20,000 draws, within four standard errors."""
    training = {"steps": 1, "batch_size": 1, "examples_drawn": 20_000}
    config = interactive(alpha=alpha, beta=beta, human_share=human, training=training)
    a = alpha if generation else 0.0
    expected = {
        "private": (1 - a) * beta,
        "public": (1 - a) * (1 - beta),
        f"web{generation - 1}": a * (1 - human),
        "human": a * human,
    }
    found = shares(config, generation)
    for kind, share in expected.items():
        error = (share * (1 - share) / 20_000) ** 0.5
        assert abs(found.get(kind, 0.0) - share) <= 4 * error, kind
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) <= set(expected)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.5)])
def test_weights_of_zero_draw_nothing(alpha: float, beta: float):
    config = interactive(alpha=alpha, beta=beta, training={"examples_drawn": 500})
    expected = {(0.0, 0.0): "public", (0.0, 1.0): "private", (1.0, 0.5): "web0"}
    assert shares(config, 1) == {expected[alpha, beta]: 1.0}


def test_models_may_have_unequal_shares_of_the_web():
    training = {"examples_drawn": 20_000}
    config = interactive(alpha=0.5, beta=1, reads="shares:3,1", training=training)
    found = shares(config, 1)
    expected = {"private": 0.5, "web0 of 0": 0.375, "web0 of 1": 0.125}
    assert set(found) == set(expected)
    for kind, share in expected.items():
        assert abs(found[kind] - share) <= 4 * (share * (1 - share) / 20_000) ** 0.5
    with pytest.raises(ValidationError, match="has 3 shares for 2 models"):
        interactive(reads="shares:1,1,1")


def test_the_first_mix_can_be_its_own():
    config = interactive(initial_beta=1.0, beta=0.0, training={"examples_drawn": 100})
    assert shares(config, 0) == {"private": 1.0}
    assert {s.start for s in config.grid()} == {"start,beta=1"}


def test_nobody_reads_what_only_humans_write():
    config = interactive(alpha=1, human_share=1.0, training={"examples_drawn": 100})
    assert not workflow_of(config).reads_web(config.grid()[0])
    assert shares(config, 2) == {"human": 1.0}


def test_every_text_of_a_source_is_as_likely():
    config = interactive(alpha=0, beta=1, training={"examples_drawn": 20_000})
    drawn = workflow_of(config).draw(
        config.grid()[0], 1, POOLS, np.random.default_rng(1)
    ).examples  # fmt: skip
    count = np.array(list(Counter(e.completion for e in drawn).values()))
    assert len(count) == 50
    assert np.abs(count - 400).max() < 4.5 * 20


def test_one_model_replaces_or_accumulates():
    config = single(training={"examples_drawn": 50, "steps": 10})
    at = {s.coordinates["memory"]: i for i, s in enumerate(config.grid())}
    assert shares(config, 3, at["replace"]) == {"web2": 1.0}
    assert shares(config, 1, at["accumulate"]) == {"private": 0.5, "web0": 0.5}
    found = shares(config, 3, at["accumulate"])
    assert found == {"private": 0.25, "web0": 0.25, "web1": 0.25, "web2": 0.25}
    workflow = workflow_of(config)
    rng = np.random.default_rng(0)
    drawn = [workflow.draw(s, 3, POOLS, rng) for s in config.grid()]
    assert [len(d.examples) for d in drawn] == [50, 200, 50]
    assert [d.passes for d in drawn] == [1, 4, 1]


def test_a_subsample_weighs_all_generations_alike():
    config = single(memory="accumulate_subsample", training={"examples_drawn": 20_000})
    found = shares(config, 3)
    assert set(found) == {"private", "web0", "web1", "web2"}
    assert all(abs(share - 0.25) < 4.5 * (0.1875 / 20_000) ** 0.5 for share in found.values())
