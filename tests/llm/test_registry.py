"""A kind is known by its config class alone, and the face of commensal.llm is lazy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, get_args

import pytest

from commensal import llm
from commensal.llm.config import (
    WORKFLOWS,
    ExperimentConfig,
    GridPoint,
    InteractiveConfig,
    TrainedConfig,
    part,
    validated,
)
from commensal.llm.config._single import Memory
from commensal.llm.corpora import load
from commensal.llm.corpora._configs import TextCorpus
from commensal.llm.corpora._divided import Opened
from commensal.llm.experiment import Experiment, experiment_of
from commensal.llm.generation import Generation
from commensal.llm.records.directory import RunDirectoryError
from commensal.llm.records.results import config_of
from commensal.llm.reports._contents import Contents
from commensal.llm.workflows import Workflow, workflow_of
from commensal.llm.workflows.interactive import measure
from commensal.llm.workflows.single import Single
from tests.llm.runs import SMALL, language, single


class ToyConfig(TrainedConfig):
    """K models that never read each other."""

    makes: ClassVar[str] = f"{__name__}:Toy"
    report: ClassVar[str] = f"{__name__}:report"

    workflow: Literal["toy"] = "toy"

    def grid(self) -> list[GridPoint]:
        return [GridPoint("all", {"toy": "all"}, "start", self.seed)]


class Toy:
    def __init__(self, config: ToyConfig) -> None:
        self.config = config

    def models(self, point: GridPoint) -> int:
        return len(self.config.tasks)

    def reads_web(self, point: GridPoint) -> bool:
        return False

    def make(self, generation: Generation) -> None:
        data = [generation.resources.encode(task.train) for task in generation.resources.tasks]
        generation.train(data, self.config.training)
        measure(generation)


def report(run) -> Contents:
    return Contents("A toy", [], [], "", [], "", "", False, [])


@pytest.fixture(autouse=True, scope="module")
def _forgotten() -> Iterator[None]:
    yield
    del WORKFLOWS["toy"]


def toy() -> ExperimentConfig:
    settings = SMALL | {"generations": 1, "workflow": "toy"}
    return validated(settings | {"public": language(0), "tasks": [language(1), language(2)]})


def test_a_workflow_needs_no_entry_anywhere(tmp_path: Path):
    config = toy()
    assert isinstance(config, ToyConfig)
    table = llm.run(config, tmp_path / "run", workers=1)
    assert set(table["toy"]) == {"all"}
    assert config_of(tmp_path / "run") == config.model_copy(update={"threads": 1})
    page = llm.write_report(tmp_path / "run").read_text()
    assert "A toy" in page
    assert "llama, tiny, from scratch" in page
    with pytest.raises(RunDirectoryError, match="is a run of workflow toy, not interactive"):
        config_of(tmp_path / "run", InteractiveConfig)


@pytest.mark.parametrize("kind", WORKFLOWS.values(), ids=WORKFLOWS)
def test_what_a_workflow_names_is_there(kind: type[ExperimentConfig]):
    assert callable(part(kind.report))
    assert callable(part(kind.experiment))
    if issubclass(kind, TrainedConfig):
        assert callable(part(kind.makes))


def test_the_parts_of_a_run_keep_their_contracts():
    assert isinstance(workflow_of(single()), Workflow)
    assert isinstance(experiment_of(single()), Experiment)
    for memory in get_args(Memory):
        assert callable(getattr(Single, memory))


def test_a_part_that_is_not_there_is_named():
    with pytest.raises(TypeError, match=r"'commensal.llm.workflows.gone:Gone'.* is not there"):
        part("commensal.llm.workflows.gone:Gone")
    with pytest.raises(TypeError, match=r"'commensal\.llm\.seeds:gone'"):
        part("commensal.llm.seeds:gone")


def test_a_workflow_says_all_that_is_needed_and_has_a_name_of_its_own():
    with pytest.raises(TypeError, match="is workflow 'half' and does not say its makes"):

        class HalfConfig(TrainedConfig):
            report: ClassVar[str] = f"{__name__}:report"
            workflow: Literal["half"] = "half"

    with pytest.raises(TypeError, match="is workflow 'single', and so is SingleConfig"):

        class OtherConfig(ToyConfig):
            workflow: Literal["single"] = "single"  # pyright: ignore

    assert "half" not in WORKFLOWS


class ListCorpus(TextCorpus):
    """Texts that are written out."""

    test_setting: ClassVar[str] = "tests"

    kind: Literal["list"] = "list"
    texts: tuple[str, ...]

    def places(self) -> tuple[str, None]:
        return "texts", None

    def opened(self, place: str) -> Opened:
        return Opened("a list", lines=[f"{text}\n" for text in self.texts])


def test_a_text_corpus_is_one_class():
    texts = tuple(f"one two three {i}" for i in range(40))
    corpus = load(ListCorpus(name="list", texts=texts, prompt_words=2, completion_words=2), 0)
    words = [(e.prompt + e.completion).split() for e in (*corpus.train, *corpus.test)]
    assert sorted(row[-1] for row in words) == sorted(map(str, range(40)))
    with pytest.raises(ValueError, match="a list has 0 examples of 4 words"):
        load(ListCorpus(name="list", texts=("",), prompt_words=2, completion_words=2), 0)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import commensal.llm", "torch transformers pandas pydantic"),
        ("from commensal.llm import read_config; read_config('demo')", "torch transformers pandas"),
        ("from commensal.llm import metrics, write_report", "torch transformers matplotlib"),
    ],
)
def test_what_is_not_used_is_not_loaded(statement: str, absent: str):
    program = f"{statement}\nimport sys\nprint(sorted(set({absent.split()}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_the_face():
    assert set(llm.__all__) <= set(dir(llm))
    assert all(callable(getattr(llm, name)) for name in llm.__all__)
    with pytest.raises(AttributeError, match=r"module 'commensal.llm' has no attribute 'gone'"):
        llm.gone  # noqa: B018


def test_a_run_of_an_earlier_version_is_said_to_be_one(tmp_path: Path):
    (tmp_path / "run.json").write_text(
        '{"format": 1, "identity": "", "corpora": {}, '
        '"config": {"workflow": "single", "scheme": ["replace"]}}'
    )
    said = "was written by an earlier version, whose names have changed; run it again"
    for read in (llm.metrics, llm.write_report, llm.resume):
        with pytest.raises(RunDirectoryError, match=said) as error:
            read(tmp_path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("preset", "old", "new"),
    [("web", "beta=0.5", "read_share"), ("web", "entities=1", "take_part")],
)
def test_a_setting_of_an_earlier_version_is_said_to_be_renamed(preset: str, old: str, new: str):
    with pytest.raises(ValueError, match=f"it is called {new} now"):
        llm.read_config(preset, [old])
