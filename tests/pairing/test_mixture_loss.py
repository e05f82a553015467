"""Cross-entropy of mixed laws: against sums over words, and models that learn from counts."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commensal.pairing import RunSystem, _fit_run, curves, mixture_loss, pair_losses
from commensal.pairing._fit_run import Fitter
from commensal.pairing._grams import truths_about
from tests.pairing.test_run_pairing import system

MIXES = np.array([(a, b) for a in (0.0, 0.5, 1.0) for b in (0.0, 0.5, 1.0)])


@given(st.floats(1e-12, 1), st.floats(0, 40))
def test_digits(share: float, cost: float) -> None:
    w, b = mpmath.mpf(share), mpmath.mpf(cost)
    exact = -mpmath.log(w + (1 - w) * mpmath.exp(-b))
    assert abs(float(mixture_loss(share, cost)) - float(exact)) <= 4e-15 * (1 + float(exact))


@given(st.integers(0, 10**6), st.floats(0.01, 0.99))
def test_no_mixture_loses_more(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    p, r = rng.dirichlet(np.full(rng.integers(2, 30), 0.5), 2) + 1e-9
    p, r = p / p.sum(), r / r.sum()
    cost = float(p @ np.log(p / r))
    lost = p @ np.log(p / (share * p + (1 - share) * r))
    assert lost <= mixture_loss(share, cost) * (1 + 1e-9) + 1e-12
    assert mixture_loss(share, cost) <= (1 - share) * cost + 1e-12  # better than by convexity of KL


def counted(steps: float, contexts: int = 5, generations: int = 4) -> tuple[RunSystem, np.ndarray]:
    """Losses of two models that learn laws over disjoint words, one for each context, from counts.

    Infinitely many texts; a model takes its mixture's relative frequencies (which minimise
    cross-entropy), or goes so far towards them as the flow of squared errors would.
    """
    rng = np.random.default_rng(11)
    often = rng.dirichlet(np.ones(contexts), 3) + 0.02
    often /= often.sum(axis=1, keepdims=True)
    laws = np.zeros((3, contexts, 12))  # dataset, context, word: dataset j says words 4j to 4j + 3
    for j in range(3):
        laws[j, :, 4 * j : 4 * j + 4] = rng.dirichlet(np.ones(4), contexts)
    task, base = laws[:2], laws[2]
    out = np.empty((len(MIXES), generations + 1, 2, 3))
    for s, (alpha, beta) in enumerate(MIXES):
        model = np.stack([base, base])
        for t in range(generations + 1):
            a, b = (alpha, beta) if t else (0.0, 1.0)
            web = (often[:2, :, None] * model).mean(axis=0)
            counts = (1 - a) * b * often[:2, :, None] * task + a * web
            counts += (1 - a) * (1 - b) * often[2, :, None] * base
            total = counts.sum(axis=-1, keepdims=True)
            kept = np.exp(-steps * total)
            model = kept * model + (1 - kept) * counts / total
            with np.errstate(divide="ignore", invalid="ignore"):
                lost = np.where(laws > 0, laws * np.log(laws / model[:, None]), 0.0)
            out[s, t] = np.einsum("mc,kmcy->km", often, lost)
    eye = [np.diag(x) for x in often]
    alone = np.ones(len(MIXES))
    return (
        RunSystem(
            np.stack(eye[:2]), eye[2], np.repeat(np.stack(eye[:2])[None], len(MIXES), axis=0),
            MIXES[:, 0], MIXES[:, 1], alone, generations, truths_about(2, base_knows_public=True),
        ),
        out,
    )  # fmt: skip


@pytest.mark.parametrize("steps", [3.0, np.inf])
def test_shares_are_those_of_models_that_count(steps: float) -> None:
    s, measured = counted(steps)
    found = curves(s, steps, steps, shares=True)
    told = np.einsum(
        "stkmi,mi->stkm", mixture_loss(found.shares.clip(0, 1), 300.0), found.frequencies
    )
    known = measured < 100  # an infinite loss: what a model has never seen and has unlearnt
    assert known.mean() > 0.5
    np.testing.assert_allclose(told[known], measured[known], atol=1e-9)
    assert (told[~known] > 30).all()


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(_fit_run, "_GRID", np.linspace(-0.6, 0.6, 3))
    monkeypatch.setattr(_fit_run, "_COSTS", np.linspace(2.0, 4.5, 11))


def test_the_fit_finds_the_scalars_again(quick) -> None:
    s = system()
    found = curves(s, 0.7, 1.6, shares=True)
    each = mixture_loss(found.shares.clip(0, 1), 3.25)
    losses = 1.3 + np.einsum("stkmi,mi->stkm", each, found.frequencies) + 0.1 * found.variance
    fit = Fitter(s, losses, loss="mixture").fit()
    x = fit.scalars
    given = [0.7, 1.6, (0.1 / 3.25) ** 0.5, 3.25, 1.3]
    np.testing.assert_allclose([*x[:4], *x.offset], given, rtol=0.03)
    np.testing.assert_allclose(fit.predicted, losses, atol=0.02)
    squared = Fitter(s, losses).fit()
    missed = [np.sqrt(((f.predicted - losses) ** 2).mean()) for f in (fit, squared)]
    assert missed[1] > 5 * missed[0]


def test_the_report_names_the_loss(quick) -> None:
    s = system(generations=2)
    losses = 1.3 + curves(s, 0.7, 1.6).expected
    for loss, said in (("squared", "a + b × error"), ("mixture", "a - log(share + (1 - share)")):
        found = pair_losses(s, losses, ["a", "b", "web"], loss=loss, resamples=10)
        assert f"loss = {said}" in found.text
    with pytest.raises(ValueError, match="loss must be one of squared, mixture, got 'log'"):
        Fitter(s, losses, loss="log")


@pytest.mark.parametrize(("share", "cost"), [(-0.1, 1.0), (1.1, 1.0), (0.5, -1.0)])
def test_what_is_no_share_or_no_cost_is_refused(share: float, cost: float):
    with pytest.raises(ValueError, match=r"a share is from 0 to 1|a cost is 0 or more"):
        mixture_loss([share], cost)
