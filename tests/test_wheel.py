"""What an index would serve: the source archive, the wheel made of it, and its base installation.

The base installation is a folder with links to what the wheel's own requirements name, and to what
these require, and nothing else: no torch, no numba, no tests. Python runs on it without its own
site-packages. That does not check whether pip finds such versions, nor the oldest ones allowed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.commands import Done, run_apart
from tests.test_package import ROOT

pytest.importorskip("hatchling")


def hatch(hook: str, source: Path, out: Path) -> Path:
    """Run a hook of the build backend (PEP 517), as pip and build do."""
    code = f"from hatchling.build import {hook}; print({hook}({str(out)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel that is made of the source archive alone."""
    out = tmp_path_factory.mktemp("dist")
    with tarfile.open(hatch("build_sdist", ROOT, out)) as archive:
        archive.extractall(out, filter="data")
    (source,) = (path for path in out.iterdir() if path.is_dir())
    return hatch("build_wheel", source, out)


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the unpacked wheel and links to all that it needs."""
    folder = tmp_path_factory.mktemp("base")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (metadata,) = folder.glob("*.dist-info/METADATA")
    lines = Parser().parsestr(metadata.read_text(encoding="utf-8")).get_all("Requires-Dist") or []
    for name in needed(lines):
        of = distribution(name)
        for top in {file.parts[0] for file in of.files or ()} - {"..", "__pycache__"}:
            link = folder / top
            if not link.exists():  # packages may share a folder
                link.symlink_to(Path(str(of.locate_file(top))))
    return folder


def needed(lines: list[str]) -> set[str]:
    """Return the names of what is required without extras, and of what that requires in turn."""
    found: set[str] = set()
    pending = [Requirement(line) for line in lines]
    while pending:
        one = pending.pop()
        if one.name in found or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        found.add(one.name)
        pending += map(Requirement, distribution(one.name).requires or ())
    return found


def run_on(base: Path, folder: Path, *commands: tuple[str, ...]) -> Done:
    """Run commands on the base installation alone."""
    # -S: no site-packages; -P: not what stands in the working folder
    return run_apart(commands, folder, base, ("-S", "-s", "-P"), COLUMNS="100")


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "commensal"]
    try:
        found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files belong to the package is not known")
    package = {name for name in found.split("\0") if name and (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == package
    # what is no Python: templates, presets, published tables
    kinds = {Path(name).suffix for name in package}
    assert {".jinja", ".yaml", ".csv", ".json"} <= kinds


def test_the_metadata_say_what_an_index_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
        (points,) = (n for n in archive.namelist() if n.endswith("/entry_points.txt"))
        assert "commensal = commensal.cli:main" in archive.read(points).decode()
        assert any(n.endswith("licenses/LICENSE") for n in archive.namelist())
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    versions = {
        line.rpartition(" ")[2]
        for line in metadata.get_all("Classifier") or ()
        if line.startswith("Programming Language :: Python :: 3.")
    }
    assert versions == {"3.11", "3.12", "3.13"}


def test_doctor_works_where_the_base_is_not_whole(base: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in base.iterdir():
        if path.name != "jax" and not path.name.startswith("jax-"):  # its metadata
            (broken / path.name).symlink_to(path)
    done = run_on(broken, tmp_path, ("doctor",))
    assert done.codes == [1], done.err.decode()
    (line,) = [x for x in done.out.decode().splitlines() if x.startswith("base ")]
    assert "lacks jax (not installed): pip install commensal (has h5netcdf" in line
    assert done.err.decode() == "next: commensal doctor\n"


def test_the_base_installation_works_without_torch(base: Path, tmp_path: Path) -> None:
    assert not [
        name for name in ("torch", "transformers", "numba", "tests") if (base / name).exists()
    ]
    cell = ("--alpha", "0.5", "--beta", "0.5", "--models", "2", "--dim", "3", "--rank", "2")
    commands = [
        ("sweep", "regression", *cell, "--out", "sweep.nc"),
        ("figure", "sweep.nc"),
        ("simulate", "gaussian", "--generations", "2", "--replicates", "4", "--out", "runs.nc"),
        ("check", "--id", "news.kl_unit", "--jobs", "1"),
        ("llm", "presets"),
        ("doctor", "--json"),
        ("llm", "run", "demo", "--out", "run"),
    ]
    done = run_on(base, tmp_path, *commands)
    said = done.err.decode()
    assert done.codes == [0] * (len(commands) - 1) + [2], said
    assert "commensal: language models need torch: pip install 'commensal[llm]'" in said
    written = {path.name for path in tmp_path.iterdir()}
    assert {"sweep_stability.png", "runs.nc"} <= written
    out = done.out.decode()
    told = json.loads(out[out.index("\n{\n") :])
    assert Path(told["folder"]) == base / "commensal"
    assert told["base"]["complete"]
    assert told["extras"]["llm"]["missing"]["torch"] == "not installed"
    assert told["devices"]["torch"] == {"error": "torch is not installed"}
    assert told["precision"]["computes_in_64_bits"]
