"""Squared errors or cross-entropy of mixed laws: two losses for one theory, beside two runs."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from commensal.pairing import RunSystem, direction
from commensal.pairing._fit_run import Fitter
from commensal.pairing._grams import truths_about

RUNS = Path(__file__).resolve().parents[1] / "runs"
MIXES = np.array([(a, b) for a in (0.0, 0.5, 1.0) for b in (0.0, 0.5, 1.0)])
LAWS = {"squared": "squared errors", "mixture": "mixed laws"}
ROLES = {"own": "C0", "another's": "C1", "public": "C2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="one replicate of one run, no search")
    args = parser.parse_args()

    runs = {"demo": "demo"} if args.quick else {"demo": "demo", "languages": "other languages"}
    fig, axes = plt.subplots(
        len(runs), 3, figsize=(11, 3.6 * len(runs)), squeeze=False, layout="constrained"
    )
    for row, (name, title) in zip(axes, runs.items(), strict=True):
        measured, told = laid_over(RUNS / name, args.quick)
        draw(row, title, measured, told)
        tell(title, measured, told)
    fig.suptitle("Theory held out: each α predicted by a fit to the other two")
    fig.savefig(args.out, dpi=110)


def laid_over(folder: Path, quick: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return losses (replicate, mix, generation, model, dataset) as measured and as predicted."""
    metrics = pd.read_parquet(folder / "metrics.parquet").query("metric == 'loss'")
    grams = np.load(folder / "grams.npz")
    datasets, generations = ["task1", "task2", "public"], int(metrics["generation"].max())
    each = {
        "replicate": range(len(grams["public"])),
        "alpha": (0.0, 0.5, 1.0),
        "beta": (0.0, 0.5, 1.0),
        "generation": range(generations + 1),
        "model": range(2),
        "dataset": datasets,
    }
    index = pd.MultiIndex.from_product(each.values(), names=list(each))
    losses = metrics.set_index(index.names)["value"].reindex(index).to_numpy()
    losses = losses.reshape(-1, len(MIXES), generations + 1, 2, 3)[: 1 if quick else None]
    told = {law: np.empty_like(losses) for law in LAWS}
    for r, measured in enumerate(losses):
        system = RunSystem(
            grams["private"][r],
            grams["public"][r],
            np.repeat(grams["written"][r][None], len(MIXES), axis=0),
            MIXES[:, 0],
            MIXES[:, 1],
            np.ones(len(MIXES)),
            generations,
            truths_about(2, base_knows_public=True),
        )
        for law, predicted in told.items():
            fitter = Fitter(system, measured, loss=law)
            for alpha in (0.0, 0.5, 1.0):
                here = MIXES[:, 0] == alpha
                predicted[r, here] = fitter.fit(~here).predicted[here]
    return losses, told


def roles() -> np.ndarray:
    return np.array([["own", "another's", "public"], ["another's", "own", "public"]])


def draw(row: np.ndarray, title: str, measured: np.ndarray, told: dict[str, np.ndarray]) -> None:
    change = (measured[:, :, -1] - measured[:, :, 0]).mean(axis=0)
    for ax, (law, name) in zip(row[:2], LAWS.items(), strict=True):
        said = (told[law][:, :, -1] - told[law][:, :, 0]).mean(axis=0)
        for role, colour in ROLES.items():
            at = roles() == role
            ax.plot(change[:, at].ravel(), said[:, at].ravel(), "o", color=colour, ms=4, label=role)
        ends = [min(change.min(), said.min()), max(change.max(), said.max())]
        ax.plot(ends, ends, color="0.6", lw=1)
        ax.set(xlabel="measured change (nats)", ylabel="predicted", title=f"{title}: {name}")
    row[0].legend(title="task or data", frameon=False)
    at = int(np.flatnonzero((MIXES == (0.5, 0.0)).all(axis=1))[0])
    own = roles() == "own"
    for values, style, label in (
        (measured, "ko-", "measured"),
        (told["squared"], "C3--", LAWS["squared"]),
        (told["mixture"], "C4-", LAWS["mixture"]),
    ):
        row[2].plot(values[:, at][:, :, own].mean(axis=(0, 2)), style, ms=4, label=label)
    row[2].set(xlabel="generation", ylabel="loss on own task (nats)", title="α = ½, β = 0")
    row[2].legend(frameon=False)


def tell(title: str, measured: np.ndarray, told: dict[str, np.ndarray]) -> None:
    change = measured[:, :, -1] - measured[:, :, 0]
    said = {law: x[:, :, -1] - x[:, :, 0] for law, x in told.items()}
    at = int(np.flatnonzero((MIXES == (0.5, 0.0)).all(axis=1))[0])
    forgotten = {law: x[:, at][:, roles() == "own"].mean() for law, x in said.items()}
    off = {law: ((x - change) ** 2).mean(axis=(1, 2, 3)) ** 0.5 for law, x in said.items()}
    right = {law: (direction(x) == direction(change)).mean() for law, x in said.items()}
    lead = off["squared"] - off["mixture"]
    if len(lead) > 1:
        half = stats.t.ppf(0.975, len(lead) - 1) * lead.std(ddof=1) / len(lead) ** 0.5
        shown = f" [{lead.mean() - half:.2f}, {lead.mean() + half:.2f}]"
    else:
        shown = ""
    print(
        f"On {title} ({len(lead)} replicates) squared errors miss held-out changes by "
        f"{off['squared'].mean():.2f} nats and mixed laws by {off['mixture'].mean():.2f}, "
        f"{lead.mean():.2f}{shown} less; directions {right['squared']:.0%} and "
        f"{right['mixture']:.0%}; own loss at α = ½, β = 0: measured "
        f"{change[:, at][:, roles() == 'own'].mean():+.2f}, predicted "
        f"{forgotten['squared']:+.2f} and {forgotten['mixture']:+.2f}."
    )


if __name__ == "__main__":
    main()
