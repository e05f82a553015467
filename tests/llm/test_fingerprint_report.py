"""`commensal fingerprint` from file to page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commensal.cli._fingerprint import Baseline, fingerprint
from commensal.llm import fingerprint as fp
from commensal.llm.fingerprint import _plots
from commensal.llm.fingerprint._analysis import write_tables

PROFILES = Path(__file__).parents[3] / "shared" / "data" / "slop_profiles.json"


def test_the_papers_models_side_by_side(tmp_path: Path) -> None:
    found = fp.analyse(fp.deployed(), resamples=15)
    page = fp.write_report(found, tmp_path / "report.html").read_text()
    assert "−0.572 [−0.697, −0.446]" in page  # published, beside what is recomputed
    assert "−0.568" in page
    assert "Which choice gives the published overlap?" in page
    assert not re.search(r"\bnan\b|None", re.sub(r"base64,[^\"]*", "", page))
    assert page.count('src="data:image/webp') == 3
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    for name in ("fig3_densities", "fig4_matrix", "fig5_influence"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    names = {path.name for path in write_tables(found, tmp_path)}
    assert {"pairs.parquet", "statistics.csv", "choices.csv", "asymmetry.csv"} <= names
    pairs = pd.read_parquet(tmp_path / "pairs.parquet")
    assert len(pairs) == 351
    square = pd.read_csv(tmp_path / "similarity.csv", index_col="model")
    assert np.allclose(square, square.T)


def small(tmp_path: Path, dates: str = "") -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    profiles = {
        f"v/m{i}": {
            "top_repetitive_words": [
                {"word": f"w{v}", "score": float(1 + v)} for v in rng.choice(50, 20, replace=False)
            ]
        }
        for i in range(6)
    }
    path, families = tmp_path / "profiles.json", tmp_path / "families.csv"
    path.write_text(json.dumps(profiles))
    rows = [f"m{i},{'xy'[i % 2]}{dates and f',{dates}{i + 1}'}" for i in range(6)]
    families.write_text("\n".join([f"model,family{dates and ',date'}", *rows]))
    return path, families


def test_families_of_one_model_are_compared_without_pairs_within(tmp_path: Path) -> None:
    path, families = small(tmp_path)
    names = ("human", "generation 1", "generation 2")
    families.write_text("model,family\n" + "".join(f"m{i},{n}\n" for i, n in enumerate(names)))
    out = tmp_path / "out"
    fingerprint(path, out, families, resamples=5)
    page = (out / "report.html").read_text()
    assert "No family has two models" in page
    assert not re.search(r"\bnan\b|None", re.sub(r"base64,[^\"]*", "", page))
    assert not (out / "fig3_densities.png").exists()
    assert not (out / "statistics.csv").exists()
    assert len(pd.read_parquet(out / "pairs.parquet")) == 3
    # one family of two beside one of one has a pair within
    families.write_text("model,family\nm0,human\nm1,v\nm2,v\nm3,v\n")
    prints, models = fp.read_profiles(path), fp.read_models(families)
    found = fp.analyse(fp.compare(prints, models), resamples=5)
    assert found.pairs.within.sum() == 3
    assert len(found.intervals)


@pytest.mark.parametrize("dates", ["", "2024-0"])
def test_profiles_with_and_without_dates(tmp_path: Path, dates: str) -> None:
    path, families = small(tmp_path, dates)
    out = tmp_path / "deep" / "out"
    fingerprint(path, out, families, resamples=8)
    assert (out / "report.html").exists()
    assert (out / "influence_bins.csv").exists() == bool(dates)
    assert not (out / "choices.csv").exists()
    assert "published" not in (out / "report.html").read_text()


def test_unknown_model(tmp_path: Path) -> None:
    path, families = small(tmp_path)
    families.write_text(families.read_text().replace("m3,", "n3,"))
    with pytest.raises(ValueError, match="no fingerprint of model 'n3'"):
        fingerprint(path, tmp_path / "out", families, resamples=5)
    assert not (tmp_path / "out").exists()


def test_texts_of_a_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"{a}{b}{c}" for a in ("mora", "tali", "rune") for b in "aeiou" for c in "stlr"]
    records = [
        {
            "generation": t,
            "model": k,
            "prompt": f"p{p}",
            "completion": " ".join(rng.choice(words[10 * k : 10 * k + 40], 30)),
        }
        for t in range(3)
        for k in range(3)
        for p in range(4)
    ]
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    fingerprint(path, tmp_path / "out", baseline=Baseline.pooled, resamples=8)
    bins = pd.read_csv(tmp_path / "out" / "influence_bins.csv")
    assert set(bins["high"] - bins["low"]) == {1}  # generations
    assert "generations" in (tmp_path / "out" / "report.html").read_text()
    table = tmp_path / "texts.csv"
    pd.DataFrame({"model": ["a"], "text": ["hum"]}).to_csv(table, index=False)
    with pytest.raises(ValueError, match="no column 'family', which says"):
        fingerprint(table, tmp_path / "out", resamples=5)


def test_unequal_amounts_are_said_and_can_be_made_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All models write by one law; half of them write ten times as much."""
    rng = np.random.default_rng(3)
    words = [f"{a}{b}{c}" for a in ("mora", "tali", "rune") for b in "aeiou" for c in "stlrmn"]
    law = 1 / np.arange(1, len(words) + 1) ** 1.5
    rows = [
        {
            "model": f"m{m}",
            "family": "xy"[m // 4],
            "prompt": p,
            "text": " ".join(rng.choice(words, 20 if m < 4 else 200, p=law / law.sum())),
        }
        for m in range(8)
        for p in range(8)
    ]
    table = tmp_path / "texts.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    deltas = []
    for equal in (False, True):
        out = tmp_path / str(equal)
        fingerprint(table, out, baseline=Baseline.pooled, resamples=5, equal_amounts=equal)
        told = capsys.readouterr().out
        page = (out / "report.html").read_text()
        assert ("not equal amounts" in told) == (not equal) == ("not equal amounts" in page)
        square = pd.read_csv(out / "similarity.csv", index_col="model").to_numpy()
        within = [square[i, j] for i in range(4, 8) for j in range(i) if j >= 4]
        across = square[4:, :4].mean()
        deltas.append(np.mean(within) - across)
    assert deltas[0] > 0.2  # those that write much look like a family
    assert abs(deltas[1]) < 0.1
    known = fp.read_texts(table)
    cut = fp.equal_amounts(known)
    assert len(cut) == len(known)
    assert set(cut.groupby("model")["text"].apply(lambda t: sum(map(len, t.str.split())))) == {160}
    path, families = small(tmp_path)
    with pytest.raises(ValueError, match="--equal-amounts goes with texts"):
        fingerprint(path, tmp_path / "o", families, equal_amounts=True)


def test_many_models_are_drawn_without_names() -> None:
    models = fp.Models(tuple(f"m{i}" for i in range(60)), tuple(f"f{i % 3}" for i in range(60)))
    similarity = np.random.default_rng(0).random((60, 60))
    fig = _plots.similarity_matrix(similarity, models)
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == ["f0", "f1", "f2"]
    with pytest.raises(ValueError, match="no dates"):
        _plots.influence_over_lags({}, {}, models)


@pytest.mark.skipif(not PROFILES.exists(), reason=f"no {PROFILES}")
def test_the_profiles_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fingerprint(PROFILES, tmp_path / "out", resamples=10)
    assert "Cliff's δ = −0.568" in capsys.readouterr().out
    assert (tmp_path / "out" / "choices.csv").exists()


def test_a_runs_folder_is_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two models over three generations, read back and compared by the command."""
    from commensal.llm import run
    from tests.llm.runs import interactive

    monkeypatch.setenv("COMMENSAL_CACHE", str(tmp_path / "cache"))
    run(interactive(alpha=[0, 0.5], measurement={"prompts": 10}), tmp_path / "run", workers=1)
    texts = fp.read_run_texts(tmp_path / "run", "alpha=0.5,beta=0.5")
    assert len(texts) == 2 * 3 * 3 * 10  # models, generations, datasets, prompts
    assert set(texts["family"]) == {"model 0", "model 1"}
    assert sorted(set(texts["date"])) == [0, 1, 2]
    other = fp.read_run_texts(tmp_path / "run", "alpha=0,beta=0.5")
    first, again = (t.query("date == 0")["text"].tolist() for t in (texts, other))
    assert first == again
    assert texts.query("date == 2")["text"].tolist() != other.query("date == 2")["text"].tolist()
    with pytest.raises(ValueError, match=r"no grid point 'x'; there are: alpha=0,beta=0.5; "):
        fp.read_run_texts(tmp_path / "run", "x")
