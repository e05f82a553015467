"""Advice on a mix of human and synthetic documents: best, stable, safe, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from commensal import page, plots
from commensal._grams import checked_grams, read_grams
from commensal.answers import Answers
from commensal.planning.advice import _says_errors, _says_mix, _says_stability, _says_words
from commensal.planning.advice._advise_config import AdviseConfig
from commensal.planning.advice._errors import mean_errors
from commensal.planning.advice._numbers import Numbers, numbers
from commensal.planning.advice._plan import DocumentPlan
from commensal.planning.advice._variants import OUTCOMES, gain, random_designs, sensitivity
from commensal.planning.advice._vocabulary import law_of
from commensal.planning.advice._wording import percent
from commensal.theory import regression

_UNLIKE = 3.0  # times richer: documents whose Gram matrices may not be per document


@dataclass(frozen=True, kw_only=True)
class Advice:
    """Answers to the questions of a plan, and the tables from which pictures are drawn.

    Attributes
    ----------
    settings : AdviseConfig
        What was asked.
    answers : Answers
        Sentences with their numbers, sources, premises, intervals and checks.
    errors : xarray.Dataset
        ``mean``, ``low`` and ``high`` by ``generation``, and ``best``, the mean with the best
        weights, in units of the error on human documents alone; ``settled`` and ``until``.
    sensitivity : xarray.Dataset
        Each outcome with each ``input`` on its ``side``, low and high; ``value`` has the inputs',
        ``base`` the outcomes of the plan itself.
    designs : xarray.Dataset or None
        Random systems with the same weights: ``radius``, and the share of
        ``stable`` ones with its interval. None for a measured system, where nothing is published,
        and where everything is kept.

    Examples
    --------
    >>> found = advise(12_000, 30_000, models=3, generations=6, designs=2, words=1000)
    >>> round(found.answers["margin"].value, 3), round(found.answers["error"].value, 3)
    (0.118, 1.036)
    """

    settings: AdviseConfig
    answers: Answers
    errors: xr.Dataset
    sensitivity: xr.Dataset
    designs: xr.Dataset | None

    def pictures(self) -> dict[str, Figure]:
        """Draw the error by generation and the sensitivities, by their captions."""
        return {
            "Expected error by generation, and where 95 % of models lie": plots.planned_errors(
                self.errors
            ),
            "What each input changes": plots.sensitivities(self.sensitivity),
        }

    def tables(self) -> list[page.Part]:
        """Return the sensitivities, and the random systems, as sections of a page."""
        parts: list[page.Part] = [
            page.Section("sensitivity", "Sensitivity to every input", [self._sensitivities()])
        ]
        if self.designs is not None:
            parts.append(page.Section("designs", "Random systems", [self._designs()]))
        return parts

    def write(self, folder: str | Path, made_by: str = "") -> list[Path]:
        """Write ``report.html``, ``answers.json`` and the pictures to a folder.

        Returns
        -------
        list of Path
            All files.

        Raises
        ------
        Unsaved
            If they cannot be written.
        """
        from commensal.saving import save_figure

        drawn = self.pictures()
        files = self.answers.write(folder, drawn, self.tables(), made_by)
        for name, figure in zip(("errors", "sensitivity"), drawn.values(), strict=True):
            files.append(Path(folder) / f"{name}.png")
            save_figure(figure, files[-1])
        return files

    def _sensitivities(self) -> page.Table:
        found = self.sensitivity
        names = [name for name in OUTCOMES if not np.isnan(found[name]).all()]
        rows = [["as given", "", *(_shown(float(found["base"].sel(outcome=n))) for n in names)]]
        for at, name in enumerate(found["input"].values):
            for side in range(2):
                value = float(found["value"][at, side])
                cells = [_shown(float(found[outcome][at, side])) for outcome in names]
                rows.append([str(name).replace("_", " "), f"{value:,g}", *cells])
        headings = ["input", "value", *(OUTCOMES[name] for name in names)]
        return page.Table(headings, rows, numbers=range(1, len(headings)))

    def _designs(self) -> page.Table:
        found = self.designs
        assert found is not None
        rows = []
        for i, prompts in enumerate(found["prompts"].values):
            for j, count in enumerate(found["rows"].values):
                stable, low, high = (float(found[name][i, j]) for name in ("stable", "low", "high"))
                radius = found["radius"][i, j].quantile([0.05, 0.5, 0.95]).values
                about = "their own documents" if prompts == "private" else "something else"
                rows.append(
                    [f"prompts about {about}, {count} different documents",
                     f"{percent(stable)} [{percent(low)}, {percent(high)}]",
                     percent(float(found["growing"][i, j])),
                     f"{radius[1]:.2f} ({radius[0]:.2f} to {radius[2]:.2f})"]
                )  # fmt: skip
        caption = (
            f"{found.sizes['design']} systems of each kind, Gaussian features in "
            f"{found.attrs['dim']} directions, the weights of the plan. ρ: median, and 5 to 95 %."
        )
        headings = ["kind of system", "stable", "growing", "ρ"]
        return page.Table(headings, rows, caption=caption, numbers=(1, 2, 3))


def advise(
    real: int,
    synthetic: int,
    models: int,
    generations: int,
    *,
    system: str | Path | Mapping[str, Any] | None = None,
    progress: Callable[[str, float, float], None] | None = None,
    **settings: Any,
) -> Advice:
    r"""Say what a mix of human documents and of those that models write will do.

    Each of K models has human documents, its own and those that all have; in every generation it
    publishes documents, and is trained anew on its human documents, on what all models published
    and on human documents that are newly collected. How that is put into the theory's terms is
    said in docs/how-to/advise.md.

    Parameters
    ----------
    real : int
        Number of human documents that each model has from the start, at least 1.
    synthetic : int
        Number of documents that each model publishes in a generation, at least 0.
    models : int
        Number of models K, at least 1.
    generations : int
        Number of generations T, at least 1.
    system : path, mapping or None
        Gram matrices XᵀX/n of one document: ``private`` (K, d, d), ``public`` (d, d), ``synthetic``
        (K, d, d) and perhaps ``human`` (d, d), in any common unit. None: documents cover all
        directions alike.
    progress : callable or None
        Called with what is computed, how much of it is done, and how much there is.
    **settings
        Other settings, as in :class:`AdviseConfig`: ``fresh``, ``reads``, ``memory``, ...

    Returns
    -------
    Advice
        Answers, and the tables behind the pictures. A number outside the theory is NaN, and its
        answer says why.

    Raises
    ------
    ValueError
        If a setting is out of range, or the system is for another K or no Gram matrices.

    Examples
    --------
    >>> found = advise(12_000, 30_000, models=3, generations=6, designs=2, words=1000)
    >>> print(found.answers["margin"].sentence)
    Stable: a disturbance shrinks to 0.882 of itself in each generation (ρ = 0.882, margin 0.118 to 1).
    >>> found.answers["generations_until"].flag
    'it is never reached: the error settles at 1.14'
    """  # noqa: E501
    tell = progress or (lambda *_: None)
    path = None if system is None or isinstance(system, Mapping) else Path(system)
    wanted = AdviseConfig(
        real=real, synthetic=synthetic, models=models, generations=generations, system=path,
        **settings,
    )  # fmt: skip
    plan = DocumentPlan(wanted, _grams_of(system, wanted.models))
    if wanted.counts is not None:
        law_of(plan)  # what is wrong with the file is said before the work
    tell("the plan", 0, 1)
    found = numbers(plan)
    tell("the plan", 1, 1)
    changed = sensitivity(found, lambda done, of: tell("sensitivities", done, of))
    drawn = None
    if plan.grams is None and wanted.synthetic and wanted.memory != "accumulate":
        drawn = random_designs(plan, lambda done, of: tell("random systems", done, of))
        drawn.attrs["dim"] = wanted.dim
    alike = found.efficiency
    if wanted.synthetic_share is not None and wanted.memory == "replace":
        other = plan.varied(synthetic_share=None)
        alike = numbers(other, base=found, search=False).efficiency
    told = [
        _says_mix.best_mix(found),
        _says_mix.efficiency(found, alike),
        _says_stability.stability(found),
        _says_stability.whatever(found),
        *([_says_stability.random_systems(drawn)] if drawn is not None else []),
        _says_stability.safe_human(found),
        _says_errors.error(found),
        _says_errors.settled_error(found),
        _says_errors.until(found),
        _says_errors.distance(found, _distance(plan)),
        _says_words.vocabulary(found),
        *_says_words.more_documents(found, gain(found, "real"), "real"),
        *_says_words.more_documents(found, gain(found, "fresh"), "fresh"),
        _says_mix.together(found),
        _says_errors.most_sensitive(changed),
    ]
    return Advice(
        settings=wanted,
        answers=Answers(
            title=_title(wanted),
            answers=tuple(told),
            settings=_settings(found),
            notes=tuple(_notes(plan)),
        ),
        errors=_table(found),
        sensitivity=changed,
        designs=drawn,
    )


def _grams_of(system: Any, models: int) -> Mapping[str, np.ndarray] | None:
    if system is None:
        return None
    if isinstance(system, Mapping):
        found, shown = checked_grams(system, where="system: "), "system"
        if missing := {"private", "public", "synthetic"} - set(found):
            raise ValueError(f"system lacks {', '.join(sorted(missing))}")
    else:
        found, shown = read_grams(system, stacklevel=3), repr(str(system))
    if (count := len(found["private"])) != models:
        raise ValueError(f"{shown} describes K = {count}, not {models}")
    return found


def _distance(plan: DocumentPlan) -> float:
    if plan.settings.models == 1 or plan.settings.memory != "replace":
        return np.nan
    found = regression.consensus_distance(plan.workflow, plan.settings.generations)
    return float(np.asarray(found)[-1])


def _table(found: Numbers) -> xr.Dataset:
    t = np.arange(found.plan.settings.generations + 1)
    parts = {name: getattr(found.errors, name)[t] for name in ("mean", "low", "high")}
    parts["best"] = np.full(len(t), np.nan)
    if found.best is not None:
        weighed = found.plan.weighing(found.best)
        parts["best"] = mean_errors(weighed)[0][t] / found.plan.real_error
    return xr.Dataset(
        {name: ("generation", values) for name, values in parts.items()}
        | {"settled": found.errors.settled, "until": found.plan.settings.until},
        {"generation": t},
        attrs={"kind": "planned errors"},
    )


def _title(s: AdviseConfig) -> str:
    many = f"{s.models} models" if s.models > 1 else "One model"
    return f"{many}, {s.real:,} human and {s.synthetic:,} synthetic documents each"


def _settings(found: Numbers) -> dict[str, Any]:
    plan = found.plan
    a, b, phi = plan.mixed
    parts = dict(zip(("private", "public", "synthetic", "new human"), plan.parts, strict=True))
    unused = {"counts"} if plan.settings.counts is None else {"words", "exponent"}
    if plan.grams is not None:
        unused |= {"dim", "designs"}
    given = plan.settings.model_dump(mode="json", exclude=unused)
    return {name: value for name, value in given.items() if value is not None} | {
        "training batch": ", ".join(f"{percent(share)} {name}" for name, share in parts.items()),
        "alpha": round(a, 6),
        "beta": round(b, 6),
        "phi": round(phi, 6),
    }


def _notes(plan: DocumentPlan) -> list[str]:
    s = plan.settings
    every = "every document counts the same" if s.synthetic_share is None else "as the share says"
    notes = [
        f"In use: {_parts(plan)} ({every}). Each model publishes {s.synthetic:,} documents in a "
        f"generation, and {'all read all alike' if plan.alike else f'who reads whom is {s.reads}'}."
    ]
    notes.append(
        "The theory is linear: how far it holds for language models is said in "
        "docs/explanation/limits.md."
    )
    if plan.grams is not None:
        traces = {name: float(np.trace(g, axis1=-2, axis2=-1).mean())
                  for name, g in plan.each.items()}  # fmt: skip
        least, most = min(traces.values()), max(traces.values())
        if least <= 0 or most / least > _UNLIKE:
            said = ", ".join(f"{name} {trace:.3g}" for name, trace in traces.items())
            notes.append(
                f"Documents of the system are not equally rich (traces: {said}): is every Gram "
                "matrix that of one document, XᵀX/n?"
            )
    return notes


def _parts(plan: DocumentPlan) -> str:
    names = ("own human documents", "common human documents", "documents of models",
             "newly collected human documents")  # fmt: skip
    return ", ".join(
        f"{percent(share)} {name}" for share, name in zip(plan.parts, names, strict=True) if share
    )


def _shown(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
