"""Wrong settings end in one line, before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from commensal.cli._console import in_one_line
from commensal.llm import presets
from commensal.llm.corpora import PRESETS
from commensal.llm.presets import preset_names, read_config
from tests.llm.runs import interactive, language, single


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_possible(name: str):
    assert read_config(name).generations >= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trainings.steps=3", "trainings: there is no such setting"),
        ("training.steps=-1", "training.steps: Input should be greater than or equal to 0, got -1"),
        ("training.steps=many", "training.steps: Input should be a valid integer"),
        ("alpha=1.5", "alpha: Input should be less than or equal to 1, got 1.5"),
        ("alpha=[0.5,0.5]", r"alpha: needs one value or more, each once, got \[0.5, 0.5\]"),
        ("tasks=[]", "tasks: Tuple should have at least 1 item"),
        ("model.size=huge", "size: Input should be 'tiny', 'small' or 'medium', got huge"),
        ("model.kind=magic", "Input tag 'magic' found using 'kind' does not match"),
        ("tasks.0.name=public", "two corpora have the name 'public'"),
        ("sampling.max_new_tokens=40", "max_new_tokens must be below the context of 32 tokens"),
        ("model.context=16", "need a context of"),
        ("sampling.top_p=0", "top_p: Input should be greater than 0, got 0"),
        ("public=wikipedia", "public: there is no corpus 'wikipedia'; known: sciq, gsm8k, arc, bo"),
        ("workflow=dance", "Input tag 'dance' found using 'workflow'"),
    ],
)
def test_an_impossible_setting_is_named(change: str, message: str):
    with pytest.raises(ValidationError) as error:
        read_config("demo", [change])
    text = in_one_line(error.value)
    assert "\n" not in text
    import re

    assert re.search(message, text), text


@pytest.mark.parametrize(
    ("preset", "change", "meant"),
    [
        ("demo", "trainings.steps=3", "did you mean training?"),
        ("demo", "training.stepz=3", "did you mean training.steps?"),
        ("demo", "training.lr=0.1", "did you mean training.learning_rate?"),
        ("demo", "training.x=1", "; training has steps, batch_size, "),
        (
            "demo",
            "model.pretraining.learning_rat=1",
            "did you mean model.pretraining.learning_r",
        ),
        ("demo", "tasks.1.trian=3", "did you mean tasks.1.train?"),
        ("demo", "max_new_tokens=3", "did you mean sampling.max_new_tokens?"),
        ("demo", "alhpa=1", "did you mean alpha?"),
        ("demo", "steps=3", "did you mean training.steps or initial_training.steps or model.pret"),
        ("demo", "tasks.0.path=x", "only kind: file has tasks.0.path"),
        ("demo", "model.name=gpt2", "only kind: pretrained has model.name"),
        ("demo", "arms=1", "only workflow: evolution has arms"),
        ("demo", "quux=1", "there is no setting quux"),
        ("paper", "model.size=small", "only kind: scratch has model.size"),
        ("evolution", "arms.0.populaton=4", "did you mean arms.0.population?"),
        ("remedies", "remedies.4.filter.treshold=1", "did you mean remedies.4.filter.threshold?"),
        ("web", "models.2.training.stps=3", "did you mean models.2.training.steps?"),
        ("web-api", "models.0.timeuot=3", "did you mean models.0.timeout?"),
    ],
)
def test_what_may_have_been_meant(preset: str, change: str, meant: str):
    with pytest.raises(ValidationError) as error:
        read_config(preset, [change])
    text = in_one_line(error.value)
    assert meant in text, text
    assert "\n" not in text
    assert ", got" not in text


def test_a_corpus_by_its_name_can_be_changed():
    config = read_config("paper", ["public.limit=7", "tasks.1.test_split=validation"])
    assert config.public == PRESETS["bookcorpus"].model_copy(update={"limit": 7})
    assert config.tasks[0] == PRESETS["sciq"]
    assert config.tasks[1] == PRESETS["gsm8k"].model_copy(update={"test_split": "validation"})


def test_what_kind_is_not_said(tmp_path: Path):
    """A file without a section is given one by ``--set``."""
    settings = yaml.safe_load((Path(presets.__file__).parent / "demo.yaml").read_text())
    del settings["model"]
    path = tmp_path / "some.yaml"
    path.write_text(yaml.safe_dump(settings))
    made = read_config(path, ["model.size=small", "model.context=32"]).model
    assert (made.kind, made.size, made.context) == ("scratch", "small", 32)
    named = read_config(path, ["model.name=folder"]).model
    assert (named.kind, named.name) == ("pretrained", "folder")
    del settings["public"]["kind"]
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(ValidationError) as error:
        read_config(path, ["model.context=32"])
    assert in_one_line(error.value) == "interactive.public: needs kind: markov, file, hub"


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("demi", [], "there is no preset and no file 'demi'; presets: .*demo"),
        ("demo", ["seed"], "a change is path.to.setting=value, got 'seed'"),
        ("demo", ["tasks.9.name=x"], "cannot change 'tasks.9.name': there is no such place"),
        ("demo", ["training.steps.deeper=1"], "cannot change"),
    ],
)
def test_an_impossible_config_is_named(name: str, changes: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        read_config(name, changes)


def test_settings_that_exclude_each_other():
    with pytest.raises(ValidationError, match="training together needs dropout 0"):
        interactive(
            training={"together": True}, model={"kind": "scratch", "dropout": 0.1, "context": 24}
        )
    with pytest.raises(ValidationError, match="one model has one task, got 2"):
        single(tasks=[language(1), language(2)])


def test_one_number_is_a_grid_of_one():
    assert interactive(alpha=0.5, beta=1).alpha == (0.5,)
    assert single(memory="replace").memory == ("replace",)


def test_reading_settings_needs_no_torch():
    code = (
        "import sys; from commensal.llm.presets import read_config; read_config('demo'); "
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
