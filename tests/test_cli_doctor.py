"""`commensal doctor` says what is there, what is missing, and the command that brings it."""

from __future__ import annotations

import json
from importlib.metadata import metadata
from pathlib import Path

import pytest

from commensal.cli import _doctor
from commensal.cli._requirements import Requirements, requirements_of
from tests.commands import run

METADATA = """\
Metadata-Version: 2.4
Name: toy
Version: 1.0
Requires-Dist: numpy>=1
Requires-Dist: nowhere-to-be-found>=2
Requires-Dist: other; python_version < "3"
Requires-Dist: scipy>=999; extra == "deep"
Requires-Dist: part[inner]; extra == "deep"
Requires-Dist: toy[deep]; extra == "all"
Provides-Extra: deep
Provides-Extra: all
"""
PART = """\
Metadata-Version: 2.4
Name: part
Version: 2.0
Requires-Dist: numpy
Requires-Dist: absent; extra == "inner"
Provides-Extra: inner
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Requirements:
    """Return the requirements of two packages that are installed in a folder."""
    for name, text in (("toy-1.0", METADATA), ("part-2.0", PART)):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return requirements_of("toy")


def test_what_is_missing_is_read_from_the_metadata(toy: Requirements) -> None:
    assert toy.extras == ["deep", "all"]
    assert toy.missing() == {"nowhere-to-be-found": "not installed"}
    assert toy.command() == "pip install toy"
    deep = toy.missing("deep")
    assert set(deep) == {"scipy", "absent"}
    assert deep["scipy"].endswith(" is installed, needs >=999")
    assert toy.missing("all") == deep
    assert toy.command("all") == "pip install 'toy[all]'"
    assert toy.versions("deep")["part"] == "2.0"
    assert toy.versions("deep")["absent"] is None


def test_a_checkout_without_metadata_says_so() -> None:
    nothing = requirements_of("no-such-package")
    assert list(nothing.missing()) == ["no-such-package"]
    assert nothing.command() == "pip install ."


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch takes seconds to import; here it is as if it were absent."""

    def absent() -> dict:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(_doctor, "_torch_devices", absent)


@pytest.mark.usefixtures("quick")
def test_a_whole_installation(monkeypatch, capsys) -> None:
    code, out, err = run(monkeypatch, capsys, "doctor")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()]
    extras = [f"[{extra}]" for extra in metadata("commensal").get_all("Provides-Extra") or ()]
    assert [name for name in names if name[0] == "["] == extras
    assert "torch      torch is not installed" in out
    assert "64 bits where they are needed; JAX's own setting is 32 bits and left as it is" in out
    assert err == "next: commensal sweep regression --plot\n"
    code, out, err = run(monkeypatch, capsys, "doctor", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["base"]["complete"]
    assert told["base"]["versions"]["jax"]
    assert told["devices"]["jax"]["devices"]
    assert told["cores"]["usable"] >= 1
    assert told["network"] == "not probed"


@pytest.mark.usefixtures("quick")
def test_what_is_lacking_ends_with_1_and_the_command(monkeypatch, capsys, toy) -> None:
    monkeypatch.setattr("commensal.cli._requirements.requirements_of", lambda _: toy)
    code, out, err = run(monkeypatch, capsys, "doctor")
    assert code == 1
    (base,) = [line for line in out.splitlines() if line.startswith("base ")]
    assert "lacks nowhere-to-be-found (not installed): pip install toy" in base
    assert err == "next: commensal doctor\n"


def test_a_package_that_is_missing_is_one_line(monkeypatch, capsys) -> None:
    def absent(*_, **__):
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")

    monkeypatch.setattr("commensal.llm.presets.preset_text", absent)
    code, out, err = run(monkeypatch, capsys, "llm", "presets", "--show", "demo")
    assert (code, out) == (2, "")
    assert err == (
        "commensal: No module named 'scipy': `commensal doctor` says what is missing, and what "
        "brings it\n"
    )


def test_a_package_that_is_broken_is_no_failure() -> None:
    def broken() -> dict:
        raise OSError("libcudart.so.12:\n cannot open shared object file")

    assert _doctor._asked(broken) == {
        "error": "OSError: libcudart.so.12: cannot open shared object file"
    }


def test_a_cache_is_measured(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(bytes(1000))
    (tmp_path / "b").symlink_to(tmp_path / "inner" / "a")  # as in the hub's cache
    found = _doctor._cache(tmp_path)
    assert (found["files"], found["writable"]) == (2, True)
    assert 1000 < found["bytes"] < 2000
    assert _doctor._cache(tmp_path / "none")["files"] == 0
