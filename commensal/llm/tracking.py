"""Metrics of a run in TensorBoard, Weights & Biases or MLflow, by the trackers of accelerate."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from commensal.llm.config import ExperimentConfig, GridPoint
from commensal.llm.experiment import Progress
from commensal.llm.records.directory import RunDirectory
from commensal.saving import write

if TYPE_CHECKING:  # accelerate takes a second to import, and few runs are tracked
    from accelerate.tracking import GeneralTracker

TRACKERS = ("tensorboard", "wandb", "mlflow")
"""Names of the trackers, and of the packages that they need."""
_PROJECT = "commensal"
_PAUSE = 2.0  # seconds at least between two looks into the folder


def trackers_of(text: str | None) -> tuple[str, ...]:
    """Return the trackers that a text names, such as "tensorboard,wandb".

    Raises
    ------
    ValueError
        If there is no such tracker, or its package is not installed.

    Examples
    --------
    >>> trackers_of(None)
    ()
    >>> trackers_of("tensor board")
    Traceback (most recent call last):
    ...
    ValueError: there is no tracker 'tensor board'; known: tensorboard, wandb, mlflow
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(","))) if text else ()
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"there is no tracker {name!r}; known: {', '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise ValueError(f"tracker {name!r} needs a package: pip install {name}")
    return names


@contextmanager
def tracked(
    names: Sequence[str], directory: RunDirectory, config: ExperimentConfig, progress: Progress
) -> Iterator[Progress]:
    """Tell trackers of each generation soon after it is whole.

    Every grid point is a run of its own there, whose steps are generations. What was told is
    written to ``tracking.json``, so that a resumed run goes on in the same place. A tracker that
    fails is left out with a warning, and is told what it missed when the run is resumed.

    Parameters
    ----------
    names : sequence of str
        Some of :data:`TRACKERS`; often none.
    directory : RunDirectory
    config : ExperimentConfig
    progress : callable
        Called as before.

    Yields
    ------
    callable
        To be called with the progress in place of ``progress``.
    """
    if not names:
        yield progress
        return
    from accelerate import PartialState

    PartialState(cpu=True)  # which accelerate's trackers ask; it would take a GPU otherwise
    path = directory.path / "tracking.json"
    notes = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    all_of_them = [_Tracking(name, directory, config, notes) for name in names]
    busy, last = threading.Lock(), -_PAUSE

    def look() -> None:
        for one in all_of_them:
            one.look()

    def told(done: float | int, total: float | int) -> None:
        nonlocal last
        progress(done, total)
        if time.monotonic() - last > _PAUSE and busy.acquire(blocking=False):
            try:
                look()
            finally:
                last = time.monotonic()
                busy.release()

    try:
        yield told
    finally:
        with busy:
            look()
            for one in all_of_them:
                one.close()


def metrics_of(table: pd.DataFrame) -> dict[str, float]:
    """Name each number of a generation for a tracker.

    Parameters
    ----------
    table : pandas.DataFrame
        Metrics of one generation of one grid point, tidy.

    Returns
    -------
    dict
        Values, but for NaN, by ``metric/dataset/model``, such as ``loss/public/model 1``; the
        part that a number does not depend on is left out.
    """
    found = {}
    for row in table.astype(object).where(table.notna(), None).to_dict("records"):
        models = [int(row[key]) + 1 for key in ("model", "other") if row.get(key) is not None]
        whose = {0: [], 1: ["model {}"], 2: ["models {} and {}"]}[len(models)]
        data = [] if row.get("dataset") is None else [str(row["dataset"])]
        if row["value"] is not None:
            name = "/".join([str(row["metric"]), *data, *whose]).format(*models)
            found[name] = float(row["value"])
    return found


class _Tracking:
    """One tracker, and what it was told of each grid point of a run."""

    def __init__(
        self, name: str, directory: RunDirectory, config: ExperimentConfig, notes: dict[str, Any]
    ) -> None:
        self.name, self.directory, self.config = name, directory, config
        self.points = config.grid()
        self.notes = notes
        """What each tracker was told, shared by all of them."""
        self.open: dict[str, GeneralTracker] = {}
        self.working = True

    def look(self) -> None:
        """Tell what is whole and was not told yet."""
        for point in self.points:
            if not self.working:
                return
            try:
                self._tell(point)
            except Exception as error:  # of another's program or server; the run goes on without
                self.working = False
                warnings.warn(
                    f"{self.name} was told no more, and is when the run is resumed: "
                    f"{' '.join(str(error).split()) or type(error).__name__}",
                    stacklevel=2,
                )

    def _tell(self, point: GridPoint) -> None:
        start, branch = self.directory.branch(point.start), self.directory.branch(point.name)
        note = self.notes.setdefault(self.name, {}).setdefault(point.name, {"told": 0})
        missing = note["told"]
        while missing <= self.config.generations:
            its = branch if missing else start
            if not its.finished(missing):
                return
            tracker = self._opened(point, note)
            extra = {"run_id": note["id"]} if self.name == "mlflow" else {}
            tracker.log(metrics_of(its.metrics(missing)), step=missing, **extra)
            missing += 1
            note["told"] = missing
            write(self.directory.path / "tracking.json", json.dumps(self.notes, indent=1).encode())
        if point.name in self.open:
            self._finish(self.open.pop(point.name))

    def _opened(self, point: GridPoint, note: dict[str, Any]) -> GeneralTracker:
        """Return the tracker's run of a grid point; one that an earlier session began goes on."""
        from accelerate.tracking import MLflowTracker, TensorBoardTracker, WandBTracker

        if point.name in self.open:
            return self.open[point.name]
        folder = self.directory.path.resolve()
        settings = self.config.model_dump(mode="json") | point.coordinates
        if self.name == "tensorboard":
            tracker = TensorBoardTracker(point.name, folder / "tensorboard")
        elif self.name == "wandb":
            named = {"name": point.name, "group": folder.name, "id": note.get("id")}
            again = {"resume": "allow", "reinit": "create_new", "settings": {"silent": True}}
            tracker = WandBTracker(_PROJECT, **named, **again, dir=str(folder), config=settings)
        else:
            name = f"{folder.name} {point.name}"
            tracker = MLflowTracker(_PROJECT, run_id=note.get("id"), run_name=name)
        tracker.start()
        if not note["told"]:
            if self.name == "tensorboard":
                tracker.log({"settings": f"```yaml\n{yaml.safe_dump(settings)}```"}, step=0)
            elif self.name == "mlflow":
                flat = pd.json_normalize(settings).iloc[0].to_dict()
                tracker.store_init_configuration({k: str(v) for k, v in flat.items()})
        its_run: Any = tracker.tracker
        if self.name == "wandb":
            note["id"] = its_run.id
        elif self.name == "mlflow":
            note["id"] = its_run.info.run_id
            tracker.finish()  # one is open at a time, and is written to by its id all the same
        self.open[point.name] = tracker
        return tracker

    def _finish(self, tracker: GeneralTracker) -> None:
        if self.name != "mlflow":
            tracker.finish()

    def close(self) -> None:
        """Finish what is open."""
        for tracker in self.open.values():
            try:
                self._finish(tracker)
            except Exception as error:
                warnings.warn(f"{self.name} did not end well: {error}", stacklevel=2)
        self.open.clear()
