"""The theory laid over runs with human texts: against drawn data, and runs of its own making."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commensal.pairing import RunSystem, _fit_run, curves, pair_losses, pair_run
from tests.llm.runs import interactive, language
from tests.pairing.test_run_pairing import NOISE, OFFSET, SCALE, losses_of_theory, system

TAU, TAU_0, STEPS = 0.7, 1.6, 400


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(_fit_run, "_GRID", np.linspace(-0.6, 0.6, 3))


def with_humans(s: RunSystem, share: float = 0.4, texts: str = "fresh", **more) -> RunSystem:
    tasks = np.append(np.full(len(s.private), 1 / len(s.private)), 0.0)
    if texts == "seen":  # tasks of unequal numbers of texts
        tasks[:-1] = np.arange(1, len(tasks)) / np.arange(1, len(tasks)).sum()
    return s._replace(human_share=share, human_tasks=tasks, human_texts=texts, **more)


def drawn(s: RunSystem, point: int, noise: float, replicates: int, seed: int):
    """Squared errors of models that train by many small steps on data that are drawn.

    A loop over the loss that the run's texts have: no formula of the theory is used.
    """
    rng = np.random.default_rng(seed)
    k, d = s.private.shape[:2]
    grams = np.concatenate([s.private, s.public[None]])
    roots = np.linalg.cholesky(grams + 1e-12 * np.eye(d))
    written = np.linalg.cholesky(s.synthetic[point])
    reads = np.full((k, k), 1 / k) if s.reads is None else s.reads[point]
    a, b, b_0 = s.alpha[point], s.beta[point], s.initial_beta[point]
    assert s.human_tasks is not None
    spread = np.linalg.cholesky(s.truths + 1e-12 * np.eye(k + 1))
    # fresh texts: as many as are drawn of them, so that a mean over them is noisier than one over n
    extra = 1 / np.sqrt(s.human_share * a)
    human = np.einsum("j,jab->ab", s.human_tasks, grams)
    human_root = np.linalg.cholesky(human)
    r, normal = replicates, rng.standard_normal
    truths = np.einsum("ij,rja->ria", spread, normal((r, k + 1, d)))
    means = np.einsum("jab,rjb->rja", grams, truths)
    told = means + noise * np.einsum("jab,rjb->rja", roots, normal((r, k + 1, d)))
    theta, web, path = np.zeros((r, k, d)), [], []
    for t in range(s.generations + 1):
        share = s.web_shares[point, t - 1] if t else 0.0
        beta = b if t else b_0
        g = (1 - share) * (beta * grams[:-1] + (1 - beta) * grams[-1])
        heard = (1 - share) * (beta * told[:, :-1] + (1 - beta) * told[:, -1:])
        if t:
            kept = web[-1:] if s.memory == "replace" else web[-s.window :] if s.window else web
            asked = np.einsum("kj,jab->kab", reads, s.synthetic[point])
            g = g + share * ((1 - s.human_share) * asked + s.human_share * human)
            answers = np.mean([reads @ answered for answered, _ in kept], axis=0)
            humans = np.mean([fresh for _, fresh in kept], axis=0)
            heard = heard + share * ((1 - s.human_share) * answers + s.human_share * humans)
        step = (TAU if t else TAU_0) / STEPS
        for _ in range(STEPS):
            theta = theta - step * (np.einsum("kab,rkb->rka", g, theta) - heard)
        path.append(theta)
        answers = np.einsum("jab,rjb->rja", s.synthetic[point], theta)
        answers = answers + noise * np.einsum("jab,rjb->rja", written, normal((r, k, d)))
        if s.human_texts == "seen":
            fresh = np.einsum("j,rja->ra", s.human_tasks, told)[:, None].repeat(k, axis=1)
        else:
            fresh = np.einsum("j,rja->ra", s.human_tasks, means)[:, None]
            fresh = fresh + noise * extra * normal((r, k, d)) @ human_root.T
        web.append((answers, fresh))
    off = np.stack(path, axis=1)[:, :, :, None] - truths[:, None, None]
    values = np.einsum("rtkma,mab,rtkmb->rtkm", off, grams, off) / d
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(r)


@pytest.mark.parametrize(
    ("texts", "memory", "window"),
    [
        ("fresh", "replace", None),
        ("seen", "replace", None),
        ("fresh", "accumulate", None),
        ("fresh", "window", 2),
        ("seen", "window", 2),
    ],
)
def test_errors_are_those_of_models_that_are_trained_on_drawn_data(texts, memory, window):
    """At α = β = ½. 24 comparisons each at |z| < 4.5: a false alarm once in 1,200 seeds of all
    five, and the seed is fixed. 400 steps are nearly a flow: 0.3 % is allowed beside it.
    """
    s = with_humans(system(dim=3, generations=3), texts=texts, memory=memory, window=window)
    point = int(np.flatnonzero((s.alpha == 0.5) & (s.beta == 0.5))[0])
    noise = 1.2
    found = curves(s, TAU, TAU_0)
    ours = (found.expected + noise**2 * found.variance)[point]
    mean, error = drawn(s, point, noise, 8000, seed=11)
    z = np.abs(ours - mean) / (error + 0.003 * mean / 4.5)
    assert z.max() < 4.5
    # the comparison sees that there are human texts, and how noisy they are
    others = [s._replace(human_share=0.0, human_tasks=None), s._replace(human_share=0.1)]
    others += [s._replace(human_texts={"fresh": "seen", "seen": "fresh"}[texts])]
    for other in others:
        wrong = curves(other, TAU, TAU_0)
        told = (wrong.expected + noise**2 * wrong.variance)[point]
        assert (np.abs(told - mean) / (error + 0.003 * mean / 4.5)).max() > 5.5


def test_own_private_texts_seen_again_are_more_private_data():
    """One model whose human texts are its own private ones has less of the web, α (1 - φ)."""
    s = system(models=1, generations=3)
    at = np.flatnonzero((s.alpha == 0.5) & (s.beta == 1.0))
    only = {name: getattr(s, name)[at] for name in ("alpha", "beta", "initial_beta", "synthetic")}
    s = s._replace(**only)
    again = s._replace(human_share=0.4, human_tasks=np.array([1.0, 0.0]), human_texts="seen")
    less = s._replace(alpha=np.array([0.5 * 0.6]))
    for one, other in zip(curves(again, TAU, TAU_0)[:2], curves(less, TAU, TAU_0)[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("memory", ["replace", "accumulate"])
def test_all_new_data_human_leave_no_web(memory: str):
    """φ = 1: whatever models write changes nothing, and who reads whom neither."""
    s = with_humans(system(models=3, generations=3), share=1.0, memory=memory)
    other = s._replace(
        synthetic=5 * s.synthetic[:, ::-1], reads=np.tile(np.eye(3), (len(s.alpha), 1, 1))
    )
    for one, two in zip(curves(s, TAU, TAU_0)[:2], curves(other, TAU, TAU_0)[:2], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def test_shares_of_knowledge_know_humans():
    """Of the mixture's loss: squared errors without noise are those of the shares, α = 1, φ = 1."""
    s = with_humans(system(models=1, generations=400), share=1.0)
    point = np.flatnonzero(s.alpha == 1.0)
    found = curves(s, TAU, TAU_0, shares=True)
    assert found.shares is not None
    # only human texts of its own task, for long: it knows all of it
    np.testing.assert_allclose(found.shares[point, -1, 0, 0], 1.0, atol=1e-3)
    without = curves(s._replace(human_share=0.0, human_tasks=None), TAU, TAU_0, shares=True)
    assert without.shares is not None
    assert np.abs(without.shares[point, -1, 0, 0] - 1).max() > 0.01


@pytest.mark.parametrize(
    ("texts", "memory"), [("fresh", "replace"), ("seen", "window"), ("fresh", "accumulate")]
)
def test_the_fit_finds_the_scalars_of_a_run_with_humans_again(texts, memory):
    s = with_humans(system(generations=2), texts=texts, memory=memory)
    losses = losses_of_theory(s, TAU, TAU_0)
    found = pair_losses(s, losses, ["a", "b", "web"], resamples=10)
    x = found.fits["finite"].scalars
    given = [TAU, TAU_0, NOISE, SCALE, OFFSET]
    np.testing.assert_allclose([*x[:4], *x.offset], given, rtol=0.03)
    # each α by a fit to the others, beside what the table of means says of it
    off = {
        name: np.sqrt(((found.rows[f"{name}_held_out"] - found.rows["observed"]) ** 2).mean())
        for name in ("finite", "table_of_means", "mean")
    }
    assert off["finite"] < 0.1 * min(off["table_of_means"], off["mean"])
    assert f"Human texts, in the run and in the theory: {s.human_share:.0%}" in found.text
    if memory != "replace":
        return
    # a theory without the humans does not find them
    blind = pair_losses(
        s._replace(human_share=0.0, human_tasks=None), losses, ["a", "b", "web"], resamples=10
    )
    missed = np.sqrt(((blind.rows["finite_held_out"] - blind.rows["observed"]) ** 2).mean())
    assert missed > 3 * off["finite"]
    assert "Human texts" not in blind.text


@pytest.mark.parametrize(
    "more",
    [
        {"human_texts": "fresh"},
        {"human_texts": "seen"},
        {"human_texts": "fresh", "memory": "accumulate"},
    ],
)
def test_a_run_with_humans_end_to_end(tmp_path: Path, monkeypatch, more: dict):
    import pandas as pd

    from commensal.llm import run

    monkeypatch.setenv("COMMENSAL_CACHE", str(tmp_path / "cache"))
    config = interactive(
        tasks=[language(1), language(2)], alpha=[0.25, 0.5], human_share=0.3, **more
    )
    run(config, tmp_path / "run", workers=1)
    found = pair_run(tmp_path / "run", dim=4, texts=20, resamples=5)
    s = found.system
    assert s.human_share == 0.3
    assert s.human_texts == more["human_texts"]
    assert s.human_tasks is not None
    np.testing.assert_allclose(s.human_tasks, [0.5, 0.5, 0.0])  # as many texts in both tasks
    noisier = [1 / (0.3 * a) for a in s.alpha]
    expected = noisier if more["human_texts"] == "fresh" else np.zeros(len(s.alpha))
    np.testing.assert_allclose(s.human_noise, expected)
    table = pd.read_parquet(tmp_path / "run" / "metrics.parquet").query("metric == 'loss'")
    both = found.rows.merge(table, on=["alpha", "beta", "generation", "model", "dataset"])
    assert len(both) == len(found.rows) == 2 * 3 * 2 * 3
    np.testing.assert_array_equal(both["observed"], both["value"])
    assert np.isfinite(found.rows["finite_held_out"]).all()
    said = {
        "fresh": "other ones for each model",
        "seen": "by their numbers",
    }
    assert said[more["human_texts"]] in found.text
