"""What a measurement of texts answers: sentences with their numbers, grounds and intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal.answers import Answer, Answers

_NORMAL = 1.96  # of the normal law's 95 %
_MISSING = 0.05  # share of resamples without a number above which there is no interval
_LITTLE = 0.001  # efficiency
_ALIKE = 0.98  # overlap above which two sources hardly differ
_WHAT = {
    "private": "about their own private texts",
    "public": "about the public texts",
    "all": "about all sources alike",
}
_UNSTABLE = "errors have no limit there: the mix is unstable, or every mix is"
_RESAMPLED = (
    "interval from documents drawn again; for known Gram matrices that of ρ and of overlaps covers "
    "(the tests), and those of α, β and the efficiency (benchmarks.measure)"
)


class Told(NamedTuple):
    """A number with its interval; NaN, and why, where it cannot be told."""

    value: float
    low: float
    high: float
    flag: str = ""

    def said(self, digits: int = 2) -> str:
        """Return the number and its interval in words.

        Examples
        --------
        >>> Told(0.5, 0.4, 0.62).said()
        '0.50 (0.40 to 0.62)'
        """
        if math.isnan(self.value):
            return "cannot be told"
        if math.isnan(self.low):
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


class TextFindings(NamedTuple):
    """All that was computed of a measurement's texts.

    Attributes
    ----------
    names : tuple of str
        Labs, the public source, perhaps the human one.
    labs, dim : int
        K and d.
    sizes, kept : tuple of int
        Documents of each source, and those whose features were computed.
    copies : tuple of float
        Share of each source's kept documents that another source has too.
    features, prompts, weigh : str
    variance : float
        Share of the features' variance in d directions.
    numbers : mapping of str to Told
        Numbers of the theory.
    overlap, low, high : Float[np.ndarray, "S S"]
    others : mapping of int to tuple of float
        Best α and β for other numbers of directions.
    """

    names: tuple[str, ...]
    labs: int
    dim: int
    sizes: tuple[int, ...]
    kept: tuple[int, ...]
    copies: tuple[float, ...]
    features: str
    prompts: str
    weigh: str
    variance: float
    numbers: Mapping[str, Told]
    overlap: Float[np.ndarray, "S S"]
    low: Float[np.ndarray, "S S"]
    high: Float[np.ndarray, "S S"]
    others: Mapping[int, tuple[float, float]]


def answers_of(found: TextFindings, settings: Mapping[str, Any]) -> Answers:
    """Return what is to be said of a measurement."""
    labs = " and ".join(
        filter(None, (", ".join(found.names[: found.labs - 1]), found.names[found.labs - 1]))
    )
    return Answers(
        title=f"Texts of {labs}",
        answers=(
            *_texts(found),
            *_alike(found),
            *_mix(found),
            *_stability(found),
            *_silent(found),
        ),
        settings=dict(settings),
        notes=_NOTES,
    )


_NOTES = (
    "The theory is of linear models on these features that train to the minimum on the same data "
    "in every generation, with one truth for all. Of language models it foretells little beyond "
    "simple baselines (commensal pair).",
    "Intervals, of 95 %, say what other documents of the same kinds would change; not what other "
    "features, or another number of directions, would.",
)


def _texts(found: TextFindings) -> list[Answer]:
    counts = ", ".join(
        f"{name} {size:,}" + (f" ({kept:,} of them used)" if kept < size else "")
        for name, size, kept in zip(found.names, found.sizes, found.kept, strict=True)
    )
    most = int(np.argmax(found.copies))
    share = found.copies[most]
    copied = "No document that was used is in two sources."
    if share > 0:
        copied = (
            f"{share:.0%} of the documents used of {found.names[most]} are in another source too: "
            "the theory counts a copy as one more independent datum."
        )
    return [
        Answer(
            question="How many documents are there?",
            sentence=f"{sum(found.sizes):,} documents: {counts}.",
            name="documents",
            value=sum(found.sizes),
            source="counting",
            premises=("a row of a table is a document; a paragraph of a .txt",),
            checked="every source was read to its end",
        ),
        Answer(
            question="Do sources share documents?",
            sentence=copied,
            name="copies",
            value=share,
            source="comparison letter by letter, but for spaces and capitals",
            premises=("of the documents used alone; paraphrases are not found",),
            checked="by counting",
        ),
        Answer(
            question="How much of the texts does this see?",
            sentence=f"{found.dim} directions hold {found.variance:.1%} of the features' variance; "
            "what follows is of these alone.",
            name="variance_kept",
            value=found.variance,
            source=f"principal directions of {found.features}",
            premises=("all sources pooled with the same weight",),
            checked="variance in the directions, over that of all features",
        ),
    ]


def _alike(found: TextFindings) -> list[Answer]:
    shared: dict[str, Any] = {
        "source": "overlap tr S_i S_j / √(tr S_i² tr S_j²) of Gram matrices, by unbiased estimates",
        "premises": (
            "documents are independent draws; 1 for two samples of one source",
            f"the interval holds for all {_pairs(len(found.names))} at once",
        ),
        "checked": _RESAMPLED,
    }
    above = np.triu(np.ones(found.overlap.shape, dtype=bool), 1)
    if not np.isfinite(found.overlap[above]).all():
        flag = "a source has too few documents for its overlap"
        return [
            Answer(
                question="How alike are they?",
                sentence="How alike the sources are cannot be told.",
                name="overlap_most",
                flag=flag,
                **shared,
            )
        ]
    order = np.argsort(np.where(above, found.overlap, np.nan), axis=None)[: int(above.sum())]
    answers = []
    for which, at in (("most", order[-1]), ("least", order[0])):
        i, j = np.unravel_index(int(at), found.overlap.shape)
        told = Told(float(found.overlap[i, j]), float(found.low[i, j]), float(found.high[i, j]))
        sentence = f"{found.names[i]} and {found.names[j]} are the {which} alike: {told.said()}"
        if told.low > _ALIKE:
            sentence += ", so near to 1 that they count as one source twice"
        answers.append(
            Answer(
                question=f"Which sources are the {which} alike?",
                sentence=f"{sentence}.",
                name=f"overlap_{which}",
                value=told.value,
                low=told.low,
                high=told.high,
                **shared,
            )
        )
    return answers[: 1 if len(order) == 1 else 2]


def _pairs(count: int) -> str:
    pairs = count * (count - 1) // 2
    return f"{pairs} pair{'s' * (pairs > 1)}"


def _one(told: Told, **said: Any) -> Answer:
    return Answer(value=told.value, low=told.low, high=told.high, flag=told.flag, **said)


def _mix(found: TextFindings) -> list[Answer]:
    n = found.numbers
    premises = (
        "linear models; everybody reads everything; many generations; full training",
        f"models are asked {_WHAT[found.prompts]}",
        "private data of different labs are independent, a datum a document"
        if found.weigh == "documents"
        else "every source counts the same",
        "errors are those of prediction on the pool of all sources",
    )
    shared: dict[str, Any] = {
        "source": "`interactive`, Theorem 3; smallest mean error in the limit",
        "premises": premises,
        "checked": f"exact limit, a local optimum; {_RESAMPLED}",
        "claims": ("interactive.thm3", "interactive.fig2_best"),
    }
    half = n["half_efficiency"].said(3)
    gain = n["gain"]
    better = f"Over (½, ½) the best mix gains {gain.said(3)} of efficiency."
    if math.isnan(gain.value):
        better = "What the best mix gains over (½, ½) cannot be told."
    elif gain.low <= _LITTLE:
        better = f"Whether the best mix is worth more than (½, ½) cannot be told: {gain.said(3)}."
    return [
        _one(
            n["alpha"],
            question="How much new, model-written data is best?",
            sentence=f"Best weight of new, model-written data: α = {n['alpha'].said()}.",
            name="alpha",
            **shared,
        ),
        _one(
            n["beta"],
            question="How private should real data be?",
            sentence=f"Best weight of private data within the real: β = {n['beta'].said()}.",
            name="beta",
            **shared,
        ),
        _one(
            n["efficiency"],
            question="How efficient is the best mix?",
            sentence=f"Efficiency {n['efficiency'].said(3)} there, {half} at (½, ½); 1 is what all "
            "real data together would give.",
            name="efficiency",
            **shared,
        ),
        _one(
            gain,
            question="Is it better than (½, ½)?",
            sentence=better,
            name="gain",
            **shared,
        ),
        _one(
            n["consensus"],
            question="How alike do the models become?",
            sentence=f"Models end {n['consensus'].said()} of their size apart at the best mix, "
            f"{n['half_consensus'].said()} at (½, ½); 0 is all alike.",
            name="consensus",
            **shared | {"claims": ("interactive.homogenization",)},
        ),
    ]


def _stability(found: TextFindings) -> list[Answer]:
    radius, bound = found.numbers["radius"], found.numbers["bound"]
    growth = f"ρ = {radius.said()} is the factor of errors per generation at (½, ½)"
    told = "stable" if radius.high < 1 else "unstable" if radius.low > 1 else "cannot be told"
    verdict = f"Whether (½, ½) is stable cannot be told: {growth}."
    if told != "cannot be told":
        verdict = f"(½, ½) is {told}: {growth}."
    linear = "linear models; everybody reads everybody alike; prompts fixed"
    answers = [
        _one(
            radius,
            question="Is (½, ½) stable?",
            sentence=verdict,
            name="radius",
            source="`interactive`, Theorem 3: stable if and only if ρ(Q) < 1",
            premises=(linear, f"models are asked {_WHAT[found.prompts]}"),
            checked=_RESAMPLED,
            claims=("interactive.thm3", "commensal.reduction_spectrum"),
        )
    ]
    rates = {"private": ("α/(α + (1-α)β)", "β > 0"), "public": ("α/(α + (1-α)(1-β))", "β < 1")}
    if found.prompts in rates:
        rate, where = rates[found.prompts]
        answers.append(
            Answer(
                question="Is every mix stable?",
                sentence=f"Every mix with α < 1 and {where} is stable, whatever the texts: ρ is at "
                f"most {rate}, 2/3 at (½, ½).",
                name="rate_bound",
                value=2 / 3,
                source="`interactive`, Lemma 1, and its rate (new here)",
                premises=(linear, f"models are asked {_WHAT[found.prompts]}, at every generation"),
                checked="proved; searched for a violation",
                claims=("interactive.lemma1", "commensal.prompts_rate"),
            )
        )
    return [*answers, *_whatever_the_data(found, bound, linear)]


def _whatever_the_data(found: TextFindings, bound: Told, linear: str) -> list[Answer]:
    safe = found.numbers["safe_share"]
    sentence = (
        f"If real data changed and prompts stayed, errors could grow by {bound.said(3)} a "
        "generation at most."
    )
    if bound.value < 1 + 1e-6:
        sentence = "Everybody is asked the same: no mix and no real data make errors grow."
    human = (
        "the human texts given"
        if len(found.names) > found.labs + 1
        else "human data that cover what the web covers"
    )
    return [
        _one(
            bound,
            question="What is the worst that these prompts allow?",
            sentence=sentence,
            name="bound",
            source="bound for given prompts, whatever the real data, α and β (new here)",
            premises=(linear,),
            checked=f"proved; {_RESAMPLED}",
            claims=("commensal.design_bound",),
        ),
        _one(
            safe,
            question="Which share of fresh human data is safe?",
            sentence=f"A share {safe.said(3)} of fresh human data in the new makes any mix with "
            f"any real data stable ({human})."
            if bound.value >= 1 + 1e-6
            else "No fresh human data are needed for stability.",
            name="safe_share",
            source="φ = (b - 1)/(b - 1 + c), b the bound above, c how well humans cover the web",
            premises=(linear, human),
            checked="proved; searched for a violation",
            claims=("commensal.human_share", "commensal.human_coverage"),
        ),
    ]


def _silent(found: TextFindings) -> list[Answer]:
    here = (found.numbers["alpha"].value, found.numbers["beta"].value)
    away = {
        d: max(abs(x - y) for x, y in zip(mix, here, strict=True))
        for d, mix in found.others.items()
    }
    known = {d: x for d, x in away.items() if math.isfinite(x)}
    answers = []
    if known:
        other = "; ".join(
            f"({found.others[d][0]:.2f}, {found.others[d][1]:.2f}) with {d}" for d in known
        )
        answers.append(
            Answer(
                question="Does the number of directions matter?",
                sentence=f"With {found.dim} directions the best (α, β) is ({here[0]:.2f}, "
                f"{here[1]:.2f}); {other}.",
                name="directions_matter",
                value=max(known.values()),
                source="the same, computed with half and with twice the directions",
                premises=("the same documents",),
                checked="largest change of α or β",
            )
        )
    answers.append(
        Answer(
            question="How large are the errors?",
            sentence="Errors are known only as ratios: texts have no responses, so their noise σ "
            "cannot be told. Efficiency, stability and agreement do not depend on it.",
            name="noise",
            source="`interactive`, sec. 5",
            checked="relative efficiency is the same for every σ and θ (the tests)",
            flag="texts alone say nothing of the noise of responses",
        )
    )
    return answers


_WITHIN = {
    **dict.fromkeys(("alpha", "beta", "efficiency", "half_efficiency", "consensus"), (0.0, 1.0)),
    **dict.fromkeys(("half_consensus", "safe_share"), (0.0, 1.0)),
    **{"bound": (1.0, math.inf), "gain": (0.0, 1.0), "radius": (0.0, math.inf)},
}


def told(name: str, value: float, draws: Float[np.ndarray, "resamples"]) -> Told:
    """Return a number with the interval that resamples give it, cut to what is possible.

    Noise in Gram matrices makes sources look less alike than they are, which biases most of the
    numbers. As much as resampling adds to the bias is taken off; and as this is not all of it, the
    interval is that of a normal law whose variance is the resamples', plus the square of what was
    taken off.
    """
    if math.isnan(value):
        return Told(math.nan, math.nan, math.nan, _UNSTABLE)
    known = draws[np.isfinite(draws)]
    if len(known) < (1 - _MISSING) * len(draws):
        return Told(value, math.nan, math.nan)
    least, most = _WITHIN[name]
    bias = known.mean() - value
    reach = _NORMAL * math.hypot(known.std(ddof=1), bias)
    ends = np.array([0, -reach, reach]) + (value - bias)
    middle, low, high = ends.clip(least, most).tolist()
    return Told(middle, low, high)
