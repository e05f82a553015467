"""Metrics told to trackers: each number once, through interruptions and failures."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accelerate.tracking
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commensal.llm import metrics, resume, run, tracking
from commensal.llm.tracking import metrics_of, trackers_of
from tests.llm.runs import files_of, interactive

POINTS = [point.name for point in interactive().grid()]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read what TensorBoard would draw of one grid point, by name."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        tag: [(one.step, one.value) for one in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def check_tensorboard(path: Path) -> None:
    table = metrics(path)
    for point in interactive().grid():
        at = point.coordinates
        own = table[(table["alpha"] == at["alpha"]) & (table["beta"] == at["beta"])]
        expected: dict[str, list[tuple[int, float]]] = {}
        for generation, rows in own.groupby("generation"):
            for name, value in metrics_of(rows).items():
                expected.setdefault(name, []).append((generation, pytest.approx(value, rel=1e-6)))
        assert scalars(path / "tensorboard" / point.name) == expected
        assert "loss/language1/model 1" in expected
        assert "similarity/language0/models 1 and 2" in expected
        assert [step for step, _ in expected["train_loss/model 2"]] == [0, 1, 2]


def test_each_number_is_told_once_though_the_run_is_interrupted(tmp_path: Path) -> None:
    run(interactive(), tmp_path / "plain", workers=1)
    seen = []

    def stop(done: float, total: float) -> None:
        seen.append(done)
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interactive(), tmp_path / "told", track="tensorboard", workers=1, progress=stop)
    told = json.loads((tmp_path / "told" / "tracking.json").read_text())["tensorboard"]
    assert 0 < sum(one["told"] for one in told.values()) < 3 * len(POINTS)
    resume(tmp_path / "told", track="tensorboard", workers=1)
    check_tensorboard(tmp_path / "told")
    again = resume(tmp_path / "told", track="tensorboard", workers=1)
    check_tensorboard(tmp_path / "told")
    assert len(again) == len(metrics(tmp_path / "plain"))
    assert files_of(tmp_path / "told") == files_of(tmp_path / "plain")


def test_a_tracker_that_fails_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(accelerate.tracking.TensorBoardTracker):
        def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
            if step == 1:
                raise OSError("no route\nto host")
            super().log(values, step, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(accelerate.tracking, "TensorBoardTracker", Failing)
        with pytest.warns(UserWarning, match="told no more, and is when the run is .* to host"):
            found = run(interactive(), tmp_path, track="tensorboard", workers=1)
    assert set(found["generation"]) == {0, 1, 2}
    resume(tmp_path, track="tensorboard")
    check_tensorboard(tmp_path)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_run_there_is_gone_on_with_by_its_id(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []

    class Recorded:
        def __init__(self, project: str, **options: Any) -> None:
            assert project == "commensal"
            self.options = options
            given = options.get("run_id") or options.get("id")
            number = given or f"id {options.get('name') or options.get('run_name')}"
            self.tracker = SimpleNamespace(id=number, info=SimpleNamespace(run_id=number))

        def start(self) -> None:
            calls.append(("start", self.tracker.id))

        def store_init_configuration(self, values: dict[str, Any]) -> None:
            calls.append(("settings", values["training.steps"], values["alpha"]))

        def log(self, values: dict[str, float], step: int, **more: Any) -> None:
            calls.append(("log", more.get("run_id", self.tracker.id), step, len(values)))

        def finish(self) -> None:
            calls.append(("finish", self.tracker.id))

    monkeypatch.setattr(
        accelerate.tracking, {"wandb": "WandBTracker"}.get(name, "MLflowTracker"), Recorded
    )
    monkeypatch.setattr(tracking, "find_spec", lambda name: name)

    def stop(done: float, total: float) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interactive(), tmp_path / "run", track=name, workers=1, progress=stop)
    resume(tmp_path / "run", track=name, workers=1)
    logged = [call[1:3] for call in calls if call[0] == "log"]
    begins = f"id {'run ' if name == 'mlflow' else ''}"
    assert sorted(logged) == sorted((begins + point, t) for point in POINTS for t in range(3))
    started = [call[1] for call in calls if call[0] == "start"]
    assert sorted(call[1] for call in calls if call[0] == "finish") == sorted(started)
    if name == "mlflow":
        assert [call for call in calls if call[0] == "settings"] == [
            ("settings", "4", str(point.coordinates["alpha"])) for point in interactive().grid()
        ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("comet", "there is no tracker 'comet'; known: tensorboard, wandb, mlflow"),
        ("tensorboard, wandb", "tracker 'wandb' needs a package: pip install wandb"),
    ],
)
def test_trackers_that_are_refused(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tracking.find_spec
    monkeypatch.setattr(
        tracking, "find_spec", lambda name: None if name == "wandb" else found(name)
    )
    with pytest.raises(ValueError, match=told):
        run(interactive(), tmp_path / "run", track=text)
    assert not (tmp_path / "run").exists()
    assert trackers_of("tensorboard,tensorboard") == ("tensorboard",)
