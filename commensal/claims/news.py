"""`news`: the arithmetic of its tables and figures, checked against themselves (unreviewed)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, stated

known = Register()

GENERATIONS = np.arange(6.0)
PERPLEXITY = np.array([12.3, 14.1, 16.8, 19.5, 22.7, 25.9])
FOUR_GRAMS = np.array([8.2, 7.6, 6.9, 6.1, 5.3, 4.6])
DIVERGENCE = np.array([0.00, 0.12, 0.28, 0.49, 0.73, 1.01])
"""Columns of the article's first table; ``DIVERGENCE`` is the KL divergence from human text."""
COLUMNS = {
    "rare-token perplexity": (PERPLEXITY, 0.05),
    "distinct 4-grams": (FOUR_GRAMS, 0.05),
    "KL divergence": (DIVERGENCE, 0.005),
    "distinct 4-grams lost": (8.2 - FOUR_GRAMS, 0.05),
}
"""Columns of the first table, each with half of its last printed digit."""
COMPANIES = {
    "synthetic data": (15.0, 5.0, 10.0),
    "rare knowledge retained": (72.0, 92.0, 88.0),
    "diversity lost": (28.0, 8.0, 12.0),
}
"""Columns of the second table in per cent: GPT-4o, Claude 3.5 Sonnet, Gemini Ultra 2.0."""


@known.claim(
    id="news.perplexity_doubled",
    where="first table and its takeaway",
    kind="published",
    verdict="holds",
    premises=("printed numbers",),
    statement="By generation five the perplexity of rare tokens has doubled.",
    latex=r"25.9 / 12.3 \ge 2",
    printed=2.0,
    mutations={"2.2 times": 2.2, "1.9 times": 1.9},
    remark="It has grown 2.11 times. The study quoted above the table has 'over 40 %' after five "
    "generations: the table is not that study's, and has no source.",
)
def _perplexity_doubled(form, trial: Trial) -> Evidence:
    del trial
    least = (PERPLEXITY[5] - 0.05) / (PERPLEXITY[0] + 0.05)
    most = (PERPLEXITY[5] + 0.05) / (PERPLEXITY[0] - 0.05)
    holds = bool(form <= least and most < 1.1 * form)
    told = f"{least:.3f} to {most:.3f} times, for {form}"
    return stated(holds, told, least=float(least), most=float(most))


@known.claim(
    id="news.four_grams_lost",
    where="first table and its takeaway",
    kind="published",
    verdict="holds",
    premises=("printed numbers",),
    statement="By generation five the number of distinct 4-grams has dropped by 44 %.",
    latex=r"1 - 4.6 / 8.2 = 0.44",
    printed=0.44,
    mutations={"42 %": 0.42, "46 %": 0.46},
    remark="The study quoted above the table has 35 % after five generations, of another measure.",
)
def _four_grams_lost(form, trial: Trial) -> Evidence:
    del trial
    lost = float(1 - FOUR_GRAMS[5] / FOUR_GRAMS[0])
    told = f"dropped by {lost:.2%}, for {form:.0%}"
    return stated(round(lost, 2) == form, told, dropped=lost)


@known.claim(
    id="news.exponential",
    where="first table and its takeaway",
    kind="published",
    verdict="fails",
    premises=("printed numbers",),
    breaks=("none",),
    statement="The table shows exponential degradation, not a linear decay.",
    latex=r"y_t = a e^{bt}",
    printed=("rare-token perplexity", "distinct 4-grams", "KL divergence"),
    mutations={
        "perplexity alone": ("rare-token perplexity",),
        "perplexity and divergence": ("rare-token perplexity", "KL divergence"),
    },
    remark="Each curve is fitted by least squares with two parameters; for the divergence, which "
    "starts at 0, the exponential is a(e^(bt) - 1). The 4-grams fall along a straight line (rms "
    "0.06 million; the exponential 0.15), by 0.6 to 0.8 each time and least in the first. The "
    "divergence follows a power t^1.39 at least as well as an exponential. Six points without "
    "repetitions cannot say more.",
    fault="substantive",
    doubt="solid",
)
def _exponential(form, trial: Trial) -> Evidence:
    del trial
    from scipy.optimize import curve_fit

    numbers, better = {}, []
    for name in form:
        y, _ = COLUMNS[name]
        offset = float(y[0] == 0)

        def curve(t, a, b, offset=offset):
            return a * (np.exp(b * t) - offset)

        guess = (y[0] or 1.0, 0.1)
        (a, b), _ = curve_fit(curve, GENERATIONS, y, p0=guess)
        bent = float(np.sqrt(np.mean((curve(GENERATIONS, a, b) - y) ** 2)))
        line = np.polynomial.Polynomial.fit(GENERATIONS, y, 1)
        straight = float(np.sqrt(np.mean((line(GENERATIONS) - y) ** 2)))
        numbers |= {f"{name}: exponential, rms": bent, f"{name}: line, rms": straight}
        better.append((name, bent < straight))
    against = [name for name, yes in better if not yes]
    told = f"a line fits better: {', '.join(against)}" if against else "the exponential fits better"
    return stated(not against, told, **numbers)


@known.claim(
    id="news.kl_superlinear",
    where="first table and its takeaway",
    kind="published",
    verdict="holds",
    premises=("printed numbers",),
    statement="The KL divergence from human text grows super-linearly.",
    latex=r"\Delta^2 KL_t > 0",
    printed="KL divergence",
    mutations={
        "4-grams lost": "distinct 4-grams lost",
        "perplexity": "rare-token perplexity",
    },
    remark="Each step is larger than the one before, beyond what rounding could do. The perplexity "
    "does not grow so: two pairs of its steps are equal.",
)
def _kl_superlinear(form, trial: Trial) -> Evidence:
    del trial
    y, half = COLUMNS[form]
    bends = np.diff(y, 2)
    least, doubt = float(bends.min()), 4 * half  # weights 1, -2, 1
    told = f"second differences at least {least:.3g}, rounding at most {doubt:.3g}"
    return stated(least > doubt, told, **{"smallest second difference": least, "rounding": doubt})


@known.claim(
    id="news.kl_unit",
    where="first table",
    kind="published",
    verdict="holds as corrected",
    premises=("printed numbers",),
    breaks=("none",),
    statement="Rare tokens suffer most (the tails go first), so the mean loss over all tokens, the "
    "KL divergence, stays below theirs, the logarithm of their perplexity's growth.",
    latex=r"KL_t \le \ln(PP_t / PP_0)",
    printed=1.0,
    correction="In nats the two columns contradict the mechanism from generation three on (1.01 "
    "against 0.74 at the fifth): common tokens would have lost more than rare ones. Only if the "
    "divergence is in bits do they agree.",
    correction_latex=r"KL_t \ln 2 \le \ln(PP_t / PP_0)",
    corrected=float(np.log(2)),
    mutations={"decimal": float(np.log(10)), "0.8 nats": 0.8},
    remark="The article names no unit, no direction and no baseline model. KL(human ‖ model), "
    "relative to the baseline, is the mean over all tokens of the rise in the loss.",
    fault="wording",
    doubt="solid",
)
def _kl_unit(form, trial: Trial) -> Evidence:
    del trial
    rare = np.log(PERPLEXITY / PERPLEXITY[0])[1:]
    everywhere = form * DIVERGENCE[1:]
    over = [t + 1 for t, yes in enumerate(everywhere > rare) if yes]
    told = f"above the rare tokens' at t = {over}" if over else "below the rare tokens' throughout"
    last = {"divergence at t = 5, nats": float(everywhere[-1])}
    return stated(not over, told, **last, **{"rare tokens' loss, nats": float(rare[-1])})


@known.claim(
    id="news.market_growth",
    where="Industry Impact & Market Dynamics",
    kind="published",
    verdict="holds as corrected",
    premises=("printed numbers",),
    breaks=("none",),
    statement="Growth from 5.1 billion dollars in 2024 to 28.5 billion in 2028 is 41 % a year.",
    latex=r"(28.5 / 5.1)^{1/4} - 1 = 0.41",
    printed=(0.41, 4),
    correction="It is 54 % a year: 41 % takes five years, not the four from 2024 to 2028.",
    correction_latex=r"(28.5 / 5.1)^{1/4} - 1 = 0.54",
    corrected=(0.54, 4),
    fault="misprint",
    doubt="solid",
    mutations={"52 %": (0.52, 4), "54 % over five years": (0.54, 5)},
)
def _market_growth(form, trial: Trial) -> Evidence:
    del trial
    rate, years = form
    found = float((28.5 / 5.1) ** (1 / years) - 1)
    told = f"{found:.1%} a year over {years} years, for {rate:.0%}"
    return stated(round(found, 2) == rate, told, **{"a year": found})


@known.claim(
    id="news.retention_and_drop",
    where="second table",
    kind="published",
    verdict="fails",
    premises=("printed numbers",),
    breaks=("none",),
    statement="Rare knowledge retained and diversity lost are two measurements.",
    latex=r"r_i + d_i \ne 100",
    printed=("rare knowledge retained", "diversity lost"),
    mutations={
        "synthetic data and retention": ("synthetic data", "rare knowledge retained"),
        "synthetic data and diversity": ("synthetic data", "diversity lost"),
    },
    remark="They add up to 100 in all three rows: one column was computed from the other. Also, "
    "the discriminator's 12 % is after ten generations in the text, after five in the table.",
    fault="substantive",
    doubt="solid",
)
def _retention_and_drop(form, trial: Trial) -> Evidence:
    del trial
    sums = np.array(COMPANIES[form[0]]) + np.array(COMPANIES[form[1]])
    told = f"their sums: {', '.join(f'{s:g}' for s in sums)}"
    return stated(bool(np.ptp(sums) > 0), told, **{"spread of the sums": float(np.ptp(sums))})


@known.claim(
    id="news.more_synthetic_less_retained",
    where="second table and its takeaway",
    kind="published",
    verdict="fails",
    premises=("printed numbers",),
    breaks=("none",),
    statement="The larger the synthetic share, the less rare knowledge is retained, by the "
    "article's own figures.",
    printed=((100.0, 78.0),),
    mutations={"the companies alone": ()},
    remark="The three companies are in that order. But purely synthetic training is said to retain "
    "78 %, more than GPT-4o's 72 % with 15 % synthetic data: the figures are not of one measure, "
    "or not comparable.",
    fault="substantive",
    doubt="solid",
)
def _more_synthetic_less_retained(form, trial: Trial) -> Evidence:
    del trial
    pairs = zip(COMPANIES["synthetic data"], COMPANIES["rare knowledge retained"], strict=True)
    rows = sorted([*pairs, *form])
    kept = [retained for _, retained in rows]
    told = ", ".join(f"{share:g} %: {retained:g} %" for share, retained in rows)
    wrong = sum(b >= a for a, b in pairwise(kept))
    return stated(not wrong, told, **{"pairs out of order": wrong})
