"""Selection by preference: what a judge rewards, who wins, and who has children by it."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from scipy.optimize import root
from scipy.special import expit

from commensal.cli._console import in_one_line
from commensal.llm import run
from commensal.llm.config import LawJudge, ModelJudge
from commensal.llm.corpora import MarkovCorpus
from commensal.llm.measures.preference import Given, ModelRewards, compared, law_rewards
from commensal.llm.opening import open_resources
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.reports import write_report
from commensal.llm.workflows.evolution import Evolution
from tests.llm.kills import run_through_kills
from tests.llm.runs import evolution, files_of
from tests.llm.test_evolution import measured, setting_of
from tests.llm.test_report import text_of

BY_LAW: dict[str, Any] = {
    "arms": [
        {"population": 1},
        {"population": 3, "selection": ["preference", "random"], "selected": 2},
    ],
    "judge": {"kind": "law", "noise": 0.2, "prompts": 8},
    "measurement": {"prompts": 2},
}


# What an answer is worth


def test_a_reward_is_the_mean_log_probability_of_the_words():
    law = MarkovCorpus(vocabulary=12, order=2, successors=3).law()
    texts = law.sample(np.random.default_rng(0), 3, 8)
    prompts = [law.decode(text[:3]) for text in texts]
    answers = [" " + law.decode(text[3:end]) for text, end in zip(texts, (8, 8, 5), strict=True)]
    expected = [
        np.mean([math.log(law.transition[t[i - 2], t[i - 1], t[i]]) for i in range(3, end)])
        for t, end in zip(texts, (8, 8, 5), strict=True)
    ]
    assert law_rewards(law, prompts, answers) == pytest.approx(expected)


def test_texts_of_the_law_are_worth_its_entropy():
    law = MarkovCorpus(vocabulary=24, successors=4).law()
    texts = law.sample(np.random.default_rng(0), 400, 24)
    rewards = law_rewards(
        law, [law.decode(t[:4]) for t in texts], [" " + law.decode(t[4:]) for t in texts]
    )
    assert abs(rewards.mean() + law.entropy(4, 24)) < 4 * rewards.std() / 20


@pytest.mark.parametrize("answer", ["", " ", " nonsense", " {} nonsense"])
def test_what_is_no_answer_is_worth_less_than_any(answer: str):
    law = MarkovCorpus(vocabulary=12).law()
    word = law.words[0]
    assert law_rewards(law, [word], [answer.format(word)])[0] == -math.inf


@pytest.fixture(scope="module")
def judge(folder: Path) -> ModelRewards:
    return ModelRewards(ModelJudge(name=str(folder)))


def rewards_of(judge: ModelRewards, prompts: list[str], answers: list[str]) -> np.ndarray:
    return judge(prompts, answers, Given(None, torch.device("cpu"), 2, "float32"))


def test_a_model_rewards_what_it_finds_likely(judge: ModelRewards):
    prompts, answers = ["say alpha", "beta", "gamma"], [" beta gamma delta", " -", ""]
    found = rewards_of(judge, prompts, answers)
    assert found[2] == -math.inf
    assert judge._model is not None
    for prompt, answer, value in list(zip(prompts, answers, found, strict=True))[:2]:
        begin = [judge.tokenizer.bos_token_id]
        ids = begin + judge.tokenizer(prompt + answer, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logs = judge._model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        first = 1 + len(prompt.split())
        each = [float(logs[i - 1, ids[i]]) for i in range(first, len(ids))]
        assert value == pytest.approx(np.mean(each), rel=1e-4)
    # a prompt that is too long for what the judge can see loses its beginning
    long = rewards_of(judge, ["alpha " * 500 + "beta"], [" gamma"])
    assert np.isfinite(long).all()


# Who wins


def test_a_noisy_judge_errs_as_often_as_bradley_and_terry_say():
    rewards = np.array([[0.0] * 4000, [-1.0] * 4000])
    found = compared(rewards, 0.5, np.random.default_rng(0))
    chance = expit(2.0)
    assert abs(found.won[0] - chance) < 4 * (chance * (1 - chance) / 4000) ** 0.5
    assert found.won.sum() == pytest.approx(1)
    assert found.upset == pytest.approx(found.won[1])
    sure = compared(rewards, 0.0, np.random.default_rng(0))
    assert sure.won.tolist() == [1, 0]
    assert sure.upset == 0


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_what_is_no_answer_loses_and_two_of_them_are_decided_by_lot(noise: float):
    nothing = np.full(2000, -math.inf)
    found = compared(
        np.array([np.full(2000, -50.0), nothing, nothing]), noise, np.random.default_rng(1)
    )
    assert found.won[0] == 1
    assert abs(found.won[1] - 0.25) < 4 * 0.5 / 2 / 2000**0.5
    assert found.upset == 0


def test_equal_rewards_are_decided_by_lot():
    won = compared(np.zeros((2, 4000)), 0.0, np.random.default_rng(2)).won
    assert abs(won[0] - 0.5) < 4 * 0.5 / 4000**0.5


def test_shares_of_wins_order_models_as_bradley_terry_strengths_do():
    """At the greatest likelihood each model wins as often as its strength says (Ford 1957)."""
    rng = np.random.default_rng(3)
    rewards = rng.normal(size=(6, 1)) * 0.3 + rng.normal(size=(6, 60)) * 0.2
    won = compared(rewards, 0.7, rng).won

    def misfit(strengths: np.ndarray) -> np.ndarray:
        chance = expit(strengths[:, None] - strengths[None])
        expected = (chance.sum(1) - 0.5) / (len(won) - 1)
        return np.append((expected - won)[1:], strengths[0])  # the sum of all is known

    strengths = root(misfit, np.zeros(6)).x
    assert np.abs(misfit(strengths)).max() < 1e-8
    assert np.argsort(strengths).tolist() == np.argsort(won).tolist()


# Settings


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"judge": None}, "selection by preference needs a judge: set judge to {kind: law}"),
        (
            {"judge": {"kind": "law", "noise": -1}},
            "judge.law.noise: Input should be greater than or",
        ),
        (
            {"judge": {"kind": "law", "prompts": 0}},
            "judge.law.prompts: Input should be greater than",
        ),
        ({"judge": {"kind": "model"}}, "missing: judge.model.name"),
        ({"judge": {"kind": "people"}}, "'law', 'model'"),
        (
            {"tasks": [{"kind": "file", "path": "a.txt"}]},
            "the judge needs a known law, which the task 'a' has not; set judge to {kind: model",
        ),
    ],
)
def test_an_impossible_judge_is_named(more: dict[str, Any], message: str):
    with pytest.raises(ValidationError) as error:
        evolution(**BY_LAW | more)
    assert message in in_one_line(error.value)


def test_a_judge_that_is_not_there_is_missed_before_all_else(tmp_path: Path):
    config = evolution(**BY_LAW | {"judge": {"kind": "model", "name": str(tmp_path / "none")}})
    with pytest.raises(ValueError, match=r"model '.*none' cannot be loaded") as error:
        run(config, tmp_path / "run", workers=1)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_what_would_be_downloaded(folder: Path):
    assert ModelJudge(name=str(folder)).remote is None
    far = evolution(**BY_LAW | {"judge": {"kind": "model", "name": "owner/judge"}})
    assert far.downloads() == ["judge 'owner/judge'"]
    assert LawJudge().remote is None


def test_who_is_preferred_has_children():
    config = evolution(**BY_LAW)
    setting = setting_of(config, selection="preference")
    won = measured([0.2, 0.9, 0.4], "preferred", "language1")
    assert Evolution(config).parents(setting, 1, won) == [1, 2]


# Whole runs


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preference") / "run"
    os.environ["COMMENSAL_CACHE"] = str(path.parent / "cache")
    run(evolution(**BY_LAW), path, workers=1)
    return path


def test_a_run_is_selected_by_what_was_preferred(finished: Path):
    config = evolution(**BY_LAW)
    table = pd.read_parquet(finished / "metrics.parquet")
    won = table[table.metric == "preferred"]
    assert set(won.population) == {3}  # one alone is compared with nobody
    assert won.groupby(["selection", "generation"]).value.mean().to_numpy() == pytest.approx(0.5)
    counts = won.value * 2 * 8
    assert counts.to_numpy() == pytest.approx(counts.round().to_numpy())
    reward = table[table.metric == "reward"]
    assert len(reward) == 3 * (1 + 3 + 3)
    assert (reward.value < 0).all()
    directory, workflow = RunDirectory(finished), Evolution(config)
    setting = setting_of(config, selection="preference")
    for t in (1, 2):
        before = directory.branch(setting.name if t > 1 else setting.start).metrics(t - 1)
        now = directory.branch(setting.name).metrics(t)
        by_share = before[before.metric == "preferred"].set_index("model").value
        parents = workflow.parents(setting, t, before)
        assert min(by_share.loc[parents]) >= max(by_share.drop(parents))
        children = workflow.children(setting, t, before)
        weights = now[now.metric == "parent_weights"].sort_values("model").value.tolist()
        assert weights == [child.weights for child in children]


def test_all_answer_the_same_prompts_and_rewards_are_of_the_answers(finished: Path):
    config = evolution(**BY_LAW)
    branch = RunDirectory(finished).branch(setting_of(config, selection="preference").name)
    resources = open_resources(finished, config_of(finished))
    law = resources.tasks[0].source
    assert law is not None
    records = [r for r in branch.samples(1) if r["kind"] == "judged"]
    each = [[r for r in records if r["model"] == model] for model in range(3)]
    assert {tuple(r["prompt"] for r in of_model) for of_model in each} == {
        tuple(r["prompt"] for r in each[0])
    }
    assert len(each[0]) == 8
    found = branch.metrics(1)
    found = found[found.metric == "reward"].set_index("model").value
    for model, of_model in enumerate(each):
        rewards = law_rewards(
            law, [r["prompt"] for r in of_model], [r["completion"] for r in of_model]
        )
        assert found[model] == pytest.approx(rewards[np.isfinite(rewards)].mean())


def test_a_killed_run_ends_as_if_it_had_not_been(finished: Path, tmp_path: Path):
    out = tmp_path / "run"
    run_through_kills(evolution(**BY_LAW), out, least=2)
    assert files_of(out) == files_of(finished)


def test_the_report(finished: Path, tmp_path: Path):
    text = text_of(write_report(finished, tmp_path / "page.html"))
    for words in (
        "the law: mean log-probability of a word; 8 prompts in each generation, noise of "
        "temperature 0.2",
        "N = 3: selection by preference of 2 against selection by lot",
        "N = 3, by preference, 2 selected",
        "A higher one is not better by itself",
        "texts of the law itself get",
        "of all comparisons went to the lower reward",
    ):
        assert words in text, words


def test_a_model_in_a_folder_judges(finished: Path, tmp_path: Path):
    judge = tmp_path / "judge"
    shutil.copytree(finished / "base", judge)
    shutil.copytree(finished / "tokenizer", judge, dirs_exist_ok=True)
    arms = [{"population": 3, "selection": "preference", "selected": 2}]
    config = evolution(
        arms=arms, judge={"kind": "model", "name": str(judge), "prompts": 4}, generations=1
    )
    table = run(config, tmp_path / "run", workers=1)
    reward = table[table.metric == "reward"]
    assert len(reward) == 6
    assert np.isfinite(reward.value).all()
    assert (table[table.metric == "upset"].value == 0).all()
    text = text_of(write_report(tmp_path / "run"))
    assert "mean log-probability of a token; 4 prompts in each generation, without noise" in text
    assert "texts of the law itself get" not in text
