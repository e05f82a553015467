"""The report says what a run has, and no more: whole, unfinished and odd runs."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commensal.llm import run
from commensal.llm.corpora import MarkovCorpus, load
from commensal.llm.records.directory import RunDirectoryError, Unsaved
from commensal.llm.reports import write_report
from commensal.llm.reports._reading import floors, read_run
from commensal.llm.reports._tables import changes, loss_tables, samples, timings
from tests.llm.runs import interactive, language, single

GRID: dict[str, Any] = {"alpha": [0, 0.5, 1], "beta": [0.5, 1], "generations": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small finished run, to read only."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMENSAL_CACHE", str(folder / "cache"))
        run(interactive(**GRID), folder / "run", workers=1)
        yield folder / "run"


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """One to spoil."""
    return shutil.copytree(finished, tmp_path / "copy")


def text_of(path: Path) -> str:
    """What a reader sees, without tags; the page must be well formed and need no other file."""
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    parser = _Text()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert {link[1:] for link in parser.links} <= set(parser.ids)
    return re.sub(r"\s+", " ", " ".join(parser.found))


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [str(given["id"])] if "id" in given else []
        self.links += [str(given["href"])] if "href" in given else []
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.found.append(data)


def test_a_finished_run(finished: Path, tmp_path: Path):
    path = write_report(finished, tmp_path / "page.html")
    assert path == tmp_path / "page.html"
    text = text_of(path)
    assert "Unfinished" not in text
    assert (
        "2 language models that train on each other's texts, 6 grid points, 1 generation." in text
    )
    assert re.search(r"from scratch; [\d,]{6,} parameters", text)
    assert re.search(r"One replicate: of 8 published findings none can be told\.", text)
    # what the run says stands first; one replicate has no interval, and is said to have none
    assert re.findall(r'<h2 id="(\w+)"', path.read_text(encoding="utf-8"))[:3] == [
        "says", "findings", "run",
    ]  # fmt: skip
    assert re.search(r"What this run says (Model \d at α .* gains most|No model gains) from", text)
    assert "One replicate has no interval: how much of these differences is noise cannot be" in text
    for heading in ("Published findings", "Losses over the generations", "Timings", "Samples"):
        assert heading in text
    page = path.read_text(encoding="utf-8")
    # losses, likeness and variety for each β, a map, and the points
    assert page.count("data:image/webp;base64,") == 3 * 2 + 2


def test_the_same_run_gives_the_same_page(finished: Path, tmp_path: Path):
    first, second = (write_report(finished, tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()


def test_a_report_needs_no_torch(finished: Path, tmp_path: Path):
    code = (
        "import sys; from commensal.llm.reports import write_report; "
        f"write_report({str(finished)!r}, {str(tmp_path / 'page.html')!r}); "
        "print(sorted({'torch', 'transformers', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.usefixtures("undrawn")
def test_its_place_is_the_run_by_default_and_the_run_goes_on(copy: Path):
    assert write_report(copy) == copy / "report.html"
    before = (copy / "metrics.parquet").read_bytes()
    run(interactive(**GRID), copy, workers=1)
    assert (copy / "metrics.parquet").read_bytes() == before


@pytest.mark.usefixtures("undrawn")
def test_an_unfinished_run_says_so(copy: Path):
    shutil.rmtree(copy / "generations" / "alpha=0.5,beta=0.5")
    text = text_of(write_report(copy))
    assert "Unfinished: 5 of 6 grid points have come to generation 1" in text
    reading = read_run(copy)
    kinds = {c.point.name: c.kind() for c in changes(reading)}
    assert kinds["alpha=0.5,beta=0.5"] == ""
    (half, _) = loss_tables(reading, changes(reading))
    assert half.caption == "β = 0.5"
    assert all("→" not in cells[1][0] and "→" in cells[0][0] for _, *cells in half.rows)


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_has_measured_nothing_says_so(copy: Path):
    shutil.rmtree(copy / "generations")
    (copy / "timings.jsonl").unlink()
    (copy / "environment.json").unlink()
    text = text_of(write_report(copy))
    assert "nothing is measured yet" in text
    assert "Losses over" not in text


@pytest.mark.usefixtures("undrawn")
def test_what_a_model_writes_is_no_html(copy: Path):
    path = copy / "generations" / "start,beta=0.5" / "0000" / "samples.jsonl.gz"
    records = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    for record in records:
        record["completion"] = "<script>alert(1)</script>" + 500 * "x"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    page = write_report(copy).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;xxx" in page
    assert 400 * "x" not in page


def test_a_timing_that_was_cut_short_is_left_out(copy: Path):
    before = timings(read_run(copy))
    assert [one["stage"] for one in before] == ["train", "score", "generate"]
    with (copy / "timings.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"branch": "alpha=0,be')
    assert timings(read_run(copy)) == before


def test_samples_are_of_the_same_prompt(finished: Path):
    found = samples(read_run(finished))
    assert [one.dataset for one in found] == ["language1", "language2", "language0"]
    for one in found:
        whens = [(model, when.split(",")[0]) for model, when, _ in one.written]
        each = ["t = 0"] + 3 * ["t = 1"]
        assert whens == [(model, when) for model in ("model 1", "model 2") for when in each]


def test_the_floor_is_the_entropy_of_the_texts(finished: Path):
    found = floors(read_run(finished))
    corpus = MarkovCorpus.model_validate(language(1, test=2000))
    law = corpus.law()
    words = np.array([law.encode(e.prompt + e.completion) for e in load(corpus, 0).test])
    given = np.take_along_axis(law.next_word(words), words[..., None], axis=-1)[..., 0]
    per_token = -np.log(given[:, corpus.prompt_words :]).sum(axis=1) / (corpus.completion_words + 1)
    error = per_token.std() / np.sqrt(len(per_token))
    assert abs(found["language1"] - per_token.mean()) < 4 * error


@pytest.mark.parametrize(
    ("config", "says", "says_not"),
    [
        (single(), "On its own task the model ends best with", "Published findings"),
        (interactive(measurement={"prompts": 0}), "no fixed prompts", "Samples"),
        (interactive(tasks=[language(1)]), "K = 1: there is no other", "Likeness"),
        (interactive(alpha=[0.25]), "no finished grid point with α = 0.5", "Change of the losses"),
        (interactive(generations=0), "Only generation 0 is there", "First and last"),
    ],
    ids=["single", "no prompts", "K = 1", "one α", "T = 0"],
)
def test_odd_runs(config, says: str, says_not: str, tmp_path: Path):
    run(config, tmp_path / "run", workers=1)
    text = text_of(write_report(tmp_path / "run"))
    assert says in text
    assert says_not not in text
    assert "Unfinished" not in text


@pytest.mark.usefixtures("undrawn")
def test_three_models(tmp_path: Path):
    tasks = [language(k) for k in (1, 2, 3)]
    run(interactive(tasks=tasks, generations=1, alpha=[0, 0.5]), tmp_path / "run", workers=1)
    text = text_of(write_report(tmp_path / "run"))
    assert "model 3 on language1, β = 0.5" in text
    assert "models 2, 3 on language3, α = 0.5, β = 0.5" in text


def test_what_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(RunDirectoryError, match=r"is not a run: no run\.json$"):
        write_report(tmp_path)
    with pytest.raises(RunDirectoryError, match="is not a run"):
        write_report(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_run_is_named_in_one_line(copy: Path):
    path = copy / "generations" / "start,beta=0.5" / "0000" / "samples.jsonl.gz"
    path.unlink()
    with pytest.raises(RunDirectoryError, match=r"samples\.jsonl\.gz' is missing; remove"):
        write_report(copy)
    path.write_bytes(b"damaged")
    with pytest.raises(RunDirectoryError, match=r"samples\.jsonl\.gz' has 7 bytes instead of"):
        write_report(copy)


@pytest.mark.usefixtures("undrawn")
def test_damaged_numbers_are_named_in_one_line(copy: Path):
    path = copy / "generations" / "start,beta=0.5" / "0000" / "metrics.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunDirectoryError, match=r"metrics\.parquet' has 100 bytes instead of"):
        write_report(copy)


@pytest.mark.usefixtures("undrawn")
def test_a_place_that_cannot_be_written_is_said(finished: Path, tmp_path: Path):
    with pytest.raises(Unsaved, match="cannot write"):
        write_report(finished, tmp_path / "nowhere" / "page.html")
