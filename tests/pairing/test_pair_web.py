"""The mixture law laid over webs: against the theory's own recursion, and runs made by a law."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commensal.llm.config import WebConfig
from commensal.llm.records.directory import RunDirectory, jsonl_gz, parquet
from commensal.llm.reports import plots_web
from commensal.llm.web.records import row, tidy
from commensal.pairing._pair_web import mixture_law, pair_web, retrieval_law
from commensal.theory import mixture


def test_the_law_is_that_of_the_theory():
    """At α = 1/k and without a prior it is the exact recursion for separated components."""
    setup = mixture.Setup(3, 2, 1, 0.5, 20, weights=[[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], prior=0)
    expected = mixture.disagreement_path(setup, [0.6, 0.4], 40)
    schedule = setup.schedule(41)
    posts, draws = np.asarray(schedule.points), np.asarray(schedule.draws)
    weight = 1 - (1 - 1 / draws) ** draws
    found = mixture_law(float(expected[0]), 3, posts, draws, 2 * 0.6 * 0.4, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_retrieval_by_simulation():
    rng = np.random.default_rng(0)
    posts, draws, s, p = np.array([20]), np.array([8]), 4.0, 0.3
    on_web = rng.random((20_000, 20)) < p
    opinions = np.array([0.9, 0.2, 0.4])
    order = rng.random((20_000, 3, 20)).argsort(axis=-1)[..., :8]
    read = np.take_along_axis(on_web[:, None], order, axis=-1).mean(axis=-1)
    first = (s * opinions + 8 * read) / (s + 8)
    # two components: weights differ by as much in the second
    apart = 2 * ((first[:, :, None] - first[:, None]) ** 2).sum(axis=(1, 2)).mean()
    own = 2 * ((opinions[:, None] - opinions) ** 2).sum() * (s / (s + 8)) ** 2
    noise = retrieval_law(0.0, 3, posts, draws, 2 * p * (1 - p), s)[0]
    assert apart == pytest.approx(own + noise, rel=0.02)


def test_nothing_read_changes_nothing():
    posts, none = np.arange(20, 60, 3), np.zeros(14, int)
    np.testing.assert_allclose(mixture_law(2.0, 3, posts, none, 1.0, 0.5), 2.0)


def made(path: Path, law, scale: float, strength: float, generations: int = 40) -> Path:
    """A run whose ‖D‖_F is a law's own."""
    local = {"kind": "local", "name": "nowhere"}
    config = WebConfig.model_validate(
        {
            "models": [local] * 3, "posts": {"kind": "texts", "texts": ["x"] * 20}, "query": "q",
            "read_share": [0.25, 0.5], "generations": generations,
        }
    )  # fmt: skip
    directory = RunDirectory(path)
    directory.create(config.model_dump(mode="json"), {"posts": {"hash": ""}})
    for setting in config.grid():
        posts = 20 + 3 * np.arange(generations + 1)
        draws = np.array(
            [config.retrieved(float(setting.coordinates["read_share"]), n) for n in posts.tolist()]
        )
        norms = np.sqrt(law(400.0, 3, posts, draws, scale, strength) + 0.3**2)
        for t in range(generations + 1):
            rows = [
                row("disagreement", float(norms[t])), row("sampling", 0.3),
                row("posts", int(posts[t])), row("retrieved", int(draws[t])),
            ]  # fmt: skip
            with directory.branch(setting.name).writing(t) as folder:
                (folder / "metrics.parquet").write_bytes(parquet(tidy(rows, t)))
                (folder / "samples.jsonl.gz").write_bytes(jsonl_gz([]))
    return path


def test_a_mixture_is_recovered(tmp_path: Path):
    found = pair_web(made(tmp_path / "run", mixture_law, 30.0, 0.3))
    assert found.mixture.scale == pytest.approx(30, rel=1e-3)
    assert found.mixture.strength == pytest.approx(0.3, rel=1e-3)
    assert found.mixture.r2 == pytest.approx(1)
    assert found.mixture.later_r2 == pytest.approx(1, abs=1e-3)
    assert found.retrieval.r2 < 0.99
    assert found.unchanged_r2 < 0
    assert "the mixture law does better" in found.text
    assert set(found.table.point) == {"β = 0.25", "β = 0.5"}
    assert len(plots_web.llm_web_pairing(found.table).axes) == 2


def test_retrieval_is_recovered(tmp_path: Path):
    found = pair_web(made(tmp_path / "run", retrieval_law, 30.0, 6.0))
    assert found.retrieval.scale == pytest.approx(30, rel=1e-3)
    assert found.retrieval.strength == pytest.approx(6, rel=1e-3)
    assert found.retrieval.r2 == pytest.approx(1)
    assert "the retrieval law does better" in found.text


def test_too_short(tmp_path: Path):
    with pytest.raises(ValueError, match="has 4 generations; a law needs 6 or more"):
        pair_web(made(tmp_path / "run", mixture_law, 1.0, 0.5, generations=3))
    with pytest.raises(ValueError, match="is not a run"):
        pair_web(tmp_path / "nowhere")


def test_the_command_knows_a_web_from_a_run(tmp_path: Path, monkeypatch, capsys):
    import sys

    from commensal import cli

    folder = made(tmp_path / "web", mixture_law, 2.0, 0.3)
    monkeypatch.setattr(sys, "argv", ["commensal", "pair", str(folder)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    assert "the mixture law does better" in capsys.readouterr().out
    names = {path.name for path in (folder / "pair").iterdir()}
    assert names == {"report.html", "findings.txt", "distances.parquet", "disagreement.png"}
