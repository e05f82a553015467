"""The theory laid over runs on reading networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commensal import networks
from commensal.pairing import RunSystem, _fit_run, curves, pair_losses, pair_run, write_pairing
from commensal.pairing._pair_replicates import joined
from commensal.pairing._pair_run import RunPairing
from tests.llm.runs import interactive, language
from tests.pairing.test_run_pairing import NOISE, OFFSET, SCALE, losses_of_theory, system

FOUR = ("isolated", "ring:0.5", "uniform", "ring:0")


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(_fit_run, "_GRID", np.linspace(-0.6, 0.6, 3))


def on_networks(generations: int = 3) -> RunSystem:
    """One mix of three models on four networks."""
    s = system(models=3, generations=generations)
    four = np.full(4, 0.5)
    return s._replace(
        synthetic=s.synthetic[:4],
        alpha=four,
        beta=four,
        initial_beta=np.ones(4),
        reads=np.stack([networks.named(name, 3) for name in FOUR]),
        networks=FOUR,
    )


def test_the_uniform_network_changes_nothing():
    s = system(models=3, generations=2)
    named = s._replace(reads=np.full((9, 3, 3), 1 / 3))
    for one, other in zip(curves(s, 0.7, 1.6)[:2], curves(named, 0.7, 1.6)[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tau", [0.7, np.inf])
def test_isolated_models_are_models_alone(tau: float):
    """Whoever the others are: against systems of one model each."""
    s = on_networks()
    together = curves(s, tau, 1.6)
    for k in range(3):
        alone = s._replace(
            private=s.private[k : k + 1],
            synthetic=s.synthetic[:1, k : k + 1],
            truths=s.truths[np.ix_([k, 3], [k, 3])],
            reads=None,
            networks=(),
            **{name: getattr(s, name)[:1] for name in ("alpha", "beta", "initial_beta")},
        )
        found = curves(alone, tau, 1.6)
        for one, other in zip(together[:2], found[:2], strict=True):
            np.testing.assert_allclose(one[0, :, k, [k, 3]].T, other[0, :, 0], atol=1e-10)


def test_a_network_is_predicted_by_a_fit_to_the_others():
    s = on_networks()
    found = pair_losses(s, losses_of_theory(s, 0.7, 1.6), ["a", "b", "c", "web"], resamples=10)
    x = found.fits["finite"].scalars
    np.testing.assert_allclose(
        [x.noise, x.loss_per_error, *x.offset], [NOISE, SCALE, OFFSET], rtol=0.05
    )
    told = found.rows["finite_held_out"] - found.rows["observed"]
    assert np.abs(told).max() < 0.02
    assert found.rows["reads"].unique().tolist() == list(FOUR)
    assert "held out: each network predicted by a fit to the others" in found.text
    assert "so do table and rule, which know no network" in found.text
    # a constant that is the mean of the others ranks in reverse: no lead over it is told
    scopes = found.beside.loc[found.beside["scope"] == "elsewhere"]
    ranked = scopes.loc[scopes["measure"] == "rank", "baseline"]
    assert ranked.tolist() == ["minimiser"]
    together = joined({0: found, 1: found}).scores.set_index(["prediction", "measure"])
    ranks = together.xs("rank_over_points", level="measure").index
    assert set(ranks) == {"finite", "minimiser"}


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunPairing]:
    from commensal.llm import run

    folder = tmp_path_factory.mktemp("pairing")
    config = interactive(
        tasks=[language(k) for k in (1, 2)], alpha=[0.5, 1.0], reads=["isolated", "ring:0"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fit_run, "_GRID", np.linspace(-0.6, 0.6, 3))
        patch.setenv("COMMENSAL_CACHE", str(folder / "cache"))
        run(config, folder / "run", workers=1)
        return folder, pair_run(folder / "run", dim=4, texts=20, resamples=5)


def test_a_run_on_networks_end_to_end(paired: tuple[Path, RunPairing]):
    import pandas as pd

    folder, found = paired
    s = found.system
    assert s.networks == ("isolated", "ring:0") * 2
    assert s.reads is not None
    np.testing.assert_array_equal(s.reads[:2], [np.eye(2), np.eye(2)[::-1]])
    table = pd.read_parquet(folder / "run" / "metrics.parquet").query("metric == 'loss'")
    key = ["alpha", "beta", "reads", "generation", "model", "dataset"]
    both = found.rows.merge(table, on=key)
    assert len(both) == len(found.rows) == 4 * 3 * 2 * 3
    np.testing.assert_array_equal(both["observed"], both["value"])


def test_every_network_has_figures_of_its_own(paired: tuple[Path, RunPairing]):
    folder, found = paired
    written = {path.name for path in write_pairing(found, folder / "pair", "networks")}
    for name in ("isolated", "ring:0"):
        assert {f"changes_reads={name}.png", f"curves_beta=0.5_reads={name}.png"} <= written
    page = (folder / "pair" / "report.html").read_text(encoding="utf-8")
    assert "Losses at β = 0.5 of ring:0, theory fitted to all grid points" in page


def test_one_network_for_all_is_laid_over_too(tmp_path: Path, monkeypatch):
    from commensal.llm import run

    monkeypatch.setenv("COMMENSAL_CACHE", str(tmp_path / "cache"))
    run(interactive(reads="shares:3,1", generations=1), tmp_path / "run", workers=1)
    found = pair_run(tmp_path / "run", dim=4, texts=10, resamples=5)
    assert found.system.reads is not None
    np.testing.assert_allclose(found.system.reads, np.tile([0.75, 0.25], (2, 2, 1)))
    assert found.system.networks == ()
    assert "reads" not in found.rows
