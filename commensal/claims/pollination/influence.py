"""`pollination`: directed influence of deployed models over release dates (sec. 4, app. B.3)."""

from __future__ import annotations

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, stated

known = Register()

# commensal.llm.fingerprint is imported late, for pandas is slow to import.


@known.claim(
    id="pollination.influence_asymmetry",
    where="sec. 4; fig. 5",
    kind="published",
    proof="measured there",
    verdict="holds",
    premises=("public profiles",),
    statement="Across families, newer models hold more of older models' fingerprints, weighted by "
    "the source, than older ones of newer models'.",
    latex=r"\overline{I}(\text{old} \to \text{new}) > \overline{I}(\text{new} \to \text{old})",
    printed=("score", 1),
    remark="The difference is 0.13 [0.04, 0.21] with models resampled (0.11 with the other "
    "candidates for the six dates in doubt), with p = 0.01 against dates in random order; with log "
    "scores it is 0.03 [0.02, 0.05]. But all of it is in the weights: counted without them it is "
    "0.001 [-0.003, 0.005]. Scores lie on few words: in ten models a single one has over half of "
    "the weight (for three all of it: “aethel”, “steepling”, “vespera”), as English at large "
    "hardly has it. And a number for each model, without any tie between two, accounts for 98 % of "
    "the difference.",
    mutations={"without weights": ("equal", 1), "the other way": ("score", -1)},
)
def _influence_asymmetry(form, trial: Trial) -> Evidence:
    from commensal.llm.fingerprint import asymmetry, deployed

    weights, sign = form
    numbers: dict[str, float] = {}
    seed = int(trial.rng().integers(2**32))
    for dates in ("date", "other_date"):
        found = deployed(dates)
        assert found.models.dates is not None
        one = asymmetry(
            found.influence[weights],
            found.models.codes(),
            found.models.dates,
            resamples=trial.pick(300, 5000),
            seed=seed,
        )
        numbers |= {
            f"difference, {dates}": one.difference.value,
            f"least, {dates}": min(sign * one.difference.low, sign * one.difference.high),
            f"p, {dates}": one.p_value,
            f"explained, {dates}": one.explained,
        }
    holds = all(numbers[f"least, {dates}"] > 0 for dates in ("date", "other_date"))
    text = ", ".join(f"{numbers[f'difference, {d}']:+.3f}" for d in ("date", "other_date"))
    return stated(holds, f"old to new minus new to old: {text} (other dates)", **numbers)


@known.claim(
    id="commensal.influence_single_words",
    where="on `pollination`, app. B.3, eq. (1)",
    kind="published",
    proof="proved here",
    verdict="holds",
    premises=("public profiles",),
    statement="Score-weighted influence rests on single words: in a third of the 27 models one of "
    "their 1,000 words has more than half of the weight.",
    latex=r"\max_f w(f) > \tfrac12 \sum_f w(f)",
    printed=9,
    remark="The scores are ratios to a frequency in English that may be next to nothing. For three "
    "models one word has all of the weight (“vespera”, “aethel”, “steepling”), so that I says "
    "little more than whether another model wrote it. Log scores or ranks do not have this fault.",
    mutations={"in half of them": 14},
)
def _influence_single_words(form, trial: Trial) -> Evidence:
    from commensal.llm.fingerprint import deployed

    share = deployed().heaviest["share"].to_numpy()
    found, most = int((share > 0.5).sum()), float(share.max())
    text = f"{found} of {share.size} models; the largest share is {most:.4f}"
    return stated(found >= form, text, models=found, largest=most)


@known.claim(
    id="commensal.influence_single_models",
    where="on `pollination`, sec. 4, fig. 5",
    kind="published",
    proof="proved here",
    verdict="holds",
    premises=("public profiles",),
    statement="The direction of influence needs no tie between two models: one number for each of "
    "the 27 accounts for nearly all of the difference between old and new.",
    latex=r"I(A \to B) - I(B \to A) \approx g_A - g_B",
    printed=0.95,
    remark="One number per model accounts for 98 % with scores as weights and for 99 % with log "
    "scores. Where models do copy from single older ones (simulated in the tests), it is 55 to 65 "
    "%. So fig. 5 shows that older models put their weight on commoner words, for whatever reason.",
    mutations={"all of it": 0.9999},
)
def _influence_single_models(form, trial: Trial) -> Evidence:
    from commensal.llm.fingerprint import asymmetry, deployed

    found = deployed()
    assert found.models.dates is not None
    family, dates = found.models.codes(), found.models.dates
    shares = {
        weights: asymmetry(found.influence[weights], family, dates, resamples=1).explained
        for weights in ("score", "log")
    }
    text = ", ".join(f"{weights} {share:.3f}" for weights, share in shares.items())
    return stated(min(shares.values()) >= form, f"by single models: {text}", **shares)


@known.claim(
    id="pollination.influence_peak",
    where="sec. 4; fig. 5",
    kind="published",
    proof="measured there",
    verdict="holds",
    premises=("public profiles",),
    statement="Influence peaks at positive lags.",
    latex=r"\arg\max_{\Delta t} \overline{I}(\Delta t) > 0",
    printed=lambda influence: influence,
    remark="In bins of 2, 3, 4 and 6 months the highest of all is at 21 months or more. Yet it "
    "does not fall again within the two years there are: it rises with the lag, as the scores of "
    "the oldest models lie on words that all models use.",
    mutations={"target's weights": lambda influence: influence.T},
)
def _influence_peak(form, trial: Trial) -> Evidence:
    from commensal.llm.fingerprint import asymmetry, deployed

    found = deployed()
    assert found.models.dates is not None
    peaks = []
    for width in (2, 3, 4, 6):
        bins = asymmetry(
            form(found.influence["score"]),
            found.models.codes(),
            found.models.dates,
            width=width,
            resamples=1,
        ).bins
        peaks.append(float(bins["middle"].iloc[int(np.argmax(bins["mean"]))]))
    text = f"peaks at lags of {', '.join(f'{p:g}' for p in peaks)} months"
    return stated(min(peaks) > 0, text, least=min(peaks), greatest=max(peaks))


@known.claim(
    id="pollination.influence_distinguishes",
    where="sec. 4",
    kind="numerical",
    proof="stated there",
    verdict="fails",
    premises=("weights alike",),
    breaks=("weights alike",),
    statement="The asymmetry distinguishes pollination from a shared corpus: models that only draw "
    "on one corpus are equally like older and newer ones.",
    latex=r"\text{one corpus, no flow} \implies "
    r"\overline{I}(\text{old} \to \text{new}) = \overline{I}(\text{new} \to \text{old})",
    printed=lambda date: 1.5 - date,
    remark="In the counterexample models draw features from one law, independently of each other. "
    "If older ones put more of their weight on features that are common in it, they seem to "
    "influence the newer ones, as in fig. 5. What is symmetric is the number of shared features, "
    "with or without a flow: eq. (1) takes its direction from the source's weights alone. Only "
    "models that weigh alike, whatever their date, give none.",
    fault="substantive",
    doubt="solid",
    mutations={"all weigh alike": lambda date: 1.0 + 0 * date},
)
def _influence_distinguishes(form, trial: Trial) -> Evidence:
    """Draw features by popularity, with weights a power of it that may follow the date."""
    from commensal.llm.fingerprint import asymmetry

    rng, models, features, size = trial.rng(), 24, 2000, 300
    dates = np.linspace(0, 1, models)
    family = rng.permutation(models) % 4
    popularity = np.arange(1, features + 1) ** -0.7
    has = np.zeros((models, features))
    for row in has:
        row[rng.choice(features, size, replace=False, p=popularity / popularity.sum())] = 1
    weight = has * popularity[None, :] ** form(dates)[:, None]
    influence = weight @ has.T / weight.sum(axis=1, keepdims=True)
    found = asymmetry(influence, family, dates, width=0.25, resamples=trial.pick(300, 2000))
    d = found.difference
    text = f"no flow, and a difference of {d.value:+.3f}, p = {found.p_value:.3f}"
    small = abs(d.value) < 0.03
    return stated(small, text, difference=d.value, low=d.low, high=d.high, p=found.p_value)
