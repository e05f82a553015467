"""Every example in README.md and on the pages of docs/ runs, in the order in which it is read."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import forked

ROOT = Path(__file__).parents[1]
# The pages that hold an example; notebooks have a test of their own.
PAGES = [
    page.relative_to(ROOT).as_posix()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if re.search(r"^```(python|console|bash)\b", page.read_text(encoding="utf-8"), re.MULTILINE)
]
# Whose commands are typed into a shell, which finds `commensal` where it was installed.
TYPED = ("README.md", "docs/start/install.md")
SECONDS = 300  # for one command

# A block after an HTML comment "not run: <reason>" is left out: it needs a model, or hours.
BLOCK = re.compile(
    r"(?P<skip><!--\s*not run:\s*(?!-->)\S(?:(?!-->).)*-->\s*)?"
    r"^```(?P<language>python|console|bash)\b[^\n]*\n(?P<body>.*?)^```\s*$",
    re.MULTILINE | re.DOTALL,
)


class Example(NamedTuple):
    language: str
    source: str
    line: int  # of the page, counted from 1


def examples(text: str) -> list[Example]:
    """Python blocks, and the commands ``$ commensal ...`` of console blocks, in order."""
    found = []
    for block in BLOCK.finditer(text):
        if block["skip"]:
            continue
        first = text.count("\n", 0, block.start("body")) + 1
        if block["language"] == "python":
            found.append(Example("python", block["body"], first))
            continue
        for command in re.finditer(r"^\$ (commensal\b(?:\\\n|.)*)", block["body"], re.MULTILINE):
            line = first + block["body"].count("\n", 0, command.start())
            found.append(Example("console", command[1], line))
    return found


def run_python(example: Example, page: str, namespace: dict[str, Any]) -> None:
    # blank lines in front give tracebacks the line numbers of the page
    source = "\n" * (example.line - 1) + example.source
    exec(compile(source, str(ROOT / page), "exec", dont_inherit=True), namespace)


def told_of_lost_precision(*args: str) -> None:
    warnings.filterwarnings("error", "Explicitly requested dtype", UserWarning)
    forked.command(*args)


def run_command(example: Example, page: str, kept: Path) -> None:
    """Run a command without a shell, in a process that has imported what it needs.

    A run of a preset that several pages begin with the same command is computed once; it
    is kept in the folder ``kept`` as that command left it, and the other pages get a copy.
    """
    args = shlex.split(example.source, comments=True)
    assert not set("|&;<>$`*~") & set("".join(args)), f"{page}:{example.line} needs a shell"
    trains = args[1:3] == ["llm", "run"] and "--out" in args and not Path(args[3]).exists()
    out = Path(args[args.index("--out") + 1]) if trains else None
    known = kept / hashlib.sha256(shlex.join(args).encode()).hexdigest()
    if out is not None and known.exists():
        shutil.copytree(known, out)
        return
    done = forked.run(told_of_lost_precision, *args[1:], seconds=SECONDS)
    assert done.code == 0, (
        f"{page}:{example.line}: $ {example.source}\nexit code {done.code}\n{done.out}{done.err}"
    )
    if out is not None:
        shutil.copytree(out, known)


def run_in_shell(example: Example, page: str) -> None:
    bin_folder = Path(sys.executable).parent  # where `commensal` was installed, active or not
    environment = os.environ | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "error:Explicitly requested dtype:UserWarning",  # lost precision
    }
    done = subprocess.run(
        example.source,
        shell=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, (
        f"{page}:{example.line}: $ {example.source}\nexit code {done.returncode}\n{done.stdout}"
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(
    page: str, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = examples((ROOT / page).read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for example in found:
        if example.language == "python":
            run_python(example, page, namespace)
        elif page in TYPED:
            run_in_shell(example, page)
        else:
            run_command(example, page, kept)


def test_the_readme_has_examples() -> None:
    found = examples((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {example.language for example in found} == {"python", "console"}


def test_examples_are_found() -> None:
    text = """
```python
x = 1
```
<!-- not run: downloads a model -->
```python
x = 2
```
```console
$ commensal sweep \\
    --out a.nc
written
$ ls
```
    """
    assert examples(text) == [
        Example("python", "x = 1\n", 3),
        Example("console", "commensal sweep \\\n    --out a.nc", 10),
    ]


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") < 150
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
