"""Options of the command line: the fields of the settings, and no text beside theirs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from commensal import cli, sweep
from commensal.cli._options import default_of, form_of
from commensal.sims import ecosystem, gaussian, mixture, regression, selection, words
from tests.commands import ROOT, run

CONFIGS = {
    ("sweep", "regression"): (sweep.RegressionSweep,),
    ("simulate", "regression"): (regression.RegressionConfig,),
    ("simulate", "gaussian"): (gaussian.GaussianConfig, gaussian.PopulationConfig),
    ("simulate", "mixture"): (mixture.MixtureConfig,),
    ("simulate", "ecosystem"): (ecosystem.EcosystemConfig,),
    ("simulate", "selection"): (selection.SelectionConfig,),
    ("simulate", "words"): (words.WordsConfig,),
}
FIELDS = [(c, name) for kinds in CONFIGS.values() for c in kinds for name in c.model_fields]
MATRICES = {"means", "weights", "graph", "dialects"}  # in files only


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def examples(command: Any) -> list[str]:
    lines = [line.strip() for line in command.help.splitlines()]
    return [line for line in lines if line.startswith("commensal ")]


ALL = dict(commands(typer.main.get_command(cli.app)))


@pytest.mark.parametrize(("config", "name"), FIELDS)
def test_every_setting_is_described_by_a_sentence(config, name):
    text = config.model_fields[name].description
    first = text.split("\n\n")[0]
    assert re.match(r"[A-Z]\w+ ", first), text
    assert first.endswith(".")
    assert len(first.split()) >= 4
    assert first.count("``") % 2 == first.count('"') % 2 == 0
    assert not re.search(r"\bNone\b", text)  # a word of Python alone
    # one text: whoever asks Python for help reads it too
    assert " ".join(text.split()) in " ".join(config.__doc__.split())


@pytest.mark.parametrize("path", CONFIGS, ids=" ".join)
def test_every_setting_is_an_option_with_its_default(path):
    options = {option.name: option for option in ALL[path].params}
    for place, config in enumerate(CONFIGS[path]):
        for name, field in config.model_fields.items():
            if name not in options:
                assert name in MATRICES
                continue
            option = options[name]
            assert option.default is None  # what is not given overrides nothing
            assert option.opts == [f"--{name.replace('_', '-')}"]
            assert option.rich_help_panel in ("Mix", "System", "Output", "Numerics", "Population")
            told = re.search(r"\(default: (.*)\)$", option.help)
            if default_of(config, name) == "" or name == "population":
                assert field.default in (None, False) or name == "population"
                continue
            texts = [text.split()[-1] for text in told[1].split("; ")]
            text = texts[min(place, len(texts) - 1)]
            form = form_of(field.annotation, option.opts[0])
            if field.default is True:
                assert text == "on"
            elif form.read is not None:
                assert form.read(text) == field.default
            else:
                assert form.kind(text) == field.default


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "commensal")
def test_no_name_is_cut_off_in_a_narrow_terminal(monkeypatch, capsys, path):
    monkeypatch.setenv("COLUMNS", "60")
    code, page, _ = run(monkeypatch, capsys, *path, "--help")
    assert code == 0
    rows = [line for line in page.splitlines() if line.startswith("│")]
    assert {len(row) for row in rows} == {60}
    starts = [row.removeprefix("│ ").split("  ")[0].split() for row in rows]
    shown = {start[0] for start in starts if start}
    command = ALL[path]
    names = {n for p in command.params for n in [*p.opts, *p.secondary_opts] if n.startswith("-")}
    assert names | {"--help"} <= shown
    assert set(getattr(command, "commands", {})) <= shown
    assert not re.search(r"[\w-]…", page)
    for option in command.params:
        # not one sentence is lost either
        told = " ".join((getattr(option, "help", None) or "").split())
        column = " ".join(" ".join(row.strip("│ ").split("  ")[-1] for row in rows).split())
        assert told.replace(" ", "") in column.replace(" ", "")
    assert ("Examples" in page) == bool(examples(command))


def test_examples_are_commands():
    given = [line for command in ALL.values() for line in examples(command)]
    assert len(given) > 20
    assert all(examples(command) for command in ALL.values() if not hasattr(command, "commands"))
    for line in given:
        program, *args = shlex.split(line)
        assert program == "commensal"
        path = next(tuple(args[:n]) for n in (2, 1) if tuple(args[:n]) in ALL)
        ALL[path].make_context(line, args[len(path) :])  # a usage error where it is none


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("simulat",), "Did you mean 'simulate'?"),
        (("simulate", "gausian"), "Did you mean 'gaussian'?"),
        (("simulate", "gaussian", "--sampels", "3"), "did you mean --samples?"),
        (("sweep", "regression", "--humanshare", "0.1"), "did you mean --human-share?"),
        (("check", "--papr", "news"), "did you mean --paper?"),
        (("check", "--id", "interactive.thm1"), "did you mean interactive.thm1_mean?"),
        (("sweep", "regression", "--k", "3"), "--k; did you mean --models?"),
        (("sweep", "regression", "--n", "3"), "No such option: --n\n"),
        (("simulate", "gaussian", "--n", "3"), "--n; did you mean --samples?"),
        (("sweep", "regression", "--models", "2", "4"), "separated by commas, as in 2,4,8"),
        (("sweep", "regression", "--out", "no/x.nc"), "make it, or leave it out of the name"),
        (("sweep", "regression", "--dim", "0", "--rank", "0"), "wrong besides: 1)"),
        (("sweep", "regression", "--alpha", "50"), "got 50.0; 50 % is written 0.5\n"),
        (("simulate", "llm"), "There are ecosystem, gaussian, "),
        (("audit", "a.txt"), "Missing option '--reference': Human texts"),
        (("advise", "--models", "2"), "missing: real, synthetic, generations"),
        (("llm", "run", "demo", "--out", "r", "--set", "alpha=0:1:3"), "as [0, 0.5, 1]"),
        (("pair", "r", "--loss", "cubic"), "loss must be one of squared, mixture, got 'cubic'"),
        (("pair", "published", "--loss", "mixture"), "--loss goes with a run's folder"),
        (("simulate", "mixture", "--config", "c.yaml"), "'read_shar'; did you mean read_share?"),
        (("sweep", "regression", "--config", "c.yaml"), "unknown setting 'read_shar'"),
    ],
)
def test_what_was_meant(monkeypatch, capsys, tmp_path, args, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text("read_shar: 0.3\n")
    code, out, err = run(monkeypatch, capsys, *args)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_texts_in_a_file_are_read_as_options_are(monkeypatch, capsys, tmp_path):
    config, out = tmp_path / "c.yaml", tmp_path / "s.nc"
    config.write_text("alpha: 0:1:3\nbeta: 0.5\nmodels: 2,3\ndim: 4\nrank: 2\n")
    args = ("sweep", "regression", "--config", str(config), "--out", str(out))
    assert run(monkeypatch, capsys, *args)[0] == 0
    with sweep.load(out) as dataset:
        assert dataset.alpha.values.tolist() == [0, 0.5, 1]
        assert dataset.models.values.tolist() == [2, 3]


def test_a_weight_for_each_generation(monkeypatch, capsys):
    args = ("--models", "2", "--dim", "3", "--rank", "2", "--generations", "3", "--replicates", "9")
    command = ("simulate", "regression", *args, "--alpha")
    assert run(monkeypatch, capsys, *command, "0.5,0.6,0.7")[0] == 0
    code, _, err = run(monkeypatch, capsys, *command, "0.5,0.6")
    assert code == 2
    assert "alpha needs one value per generation, got 2" in err


def complete(*words: str) -> list[str]:
    program = "import sys; sys.argv = ['commensal']; from commensal.cli import main; main()"
    line = " ".join(["commensal", *words])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | {
            "_COMMENSAL_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split()


def test_the_shell_completes():
    assert {"--install-completion", "--show-completion"} <= {
        n for p in ALL[()].params for n in p.opts
    }
    assert complete("simulate", "ga") == ["gaussian"]
    assert complete("simulate", "gaussian", "--sam") == ["--samples"]
    words = ["accumulate", "accumulate_subsample"]
    assert complete("simulate", "gaussian", "--memory", "acc") == words


def test_pages_do_not_wait_for_jax():
    program = """
import sys
from commensal import cli
for args in (["--help"], ["simulate", "--help"], ["sweep", "regression", "--help"]):
    sys.argv = ["commensal", *args]
    try:
        cli.main()
    except SystemExit:
        pass
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)


@pytest.mark.parametrize("flags", [(), ("-OO",)])
def test_texts_are_there_however_commensal_is_installed_and_run(tmp_path, flags):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "commensal", tmp_path / "commensal", ignore=ignored)
    done = subprocess.run(
        [sys.executable, *flags, "-m", "commensal.cli", "sweep", "regression", "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    description = sweep.RegressionSweep.model_fields["human_share"].description
    assert " ".join(description.split()) in done.stdout
