"""The audit as a whole: what it finds, what it does not find by chance, and what it refuses."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from commensal.sims.words import WordsConfig, simulate
from commensal.texts import audit, conditions
from commensal.texts.auditing._audit_page import write_audit
from commensal.texts.auditing._fail_on import alarms, condition
from tests.texts.test_audit_indices import zipf_texts

FAST = {"resamples": 79}


def human(seed: int, count: int = 360) -> list[str]:
    return zipf_texts(np.random.default_rng(seed), count, words=800)


def of_law(law: np.ndarray, count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(law), (count, 20), p=law / law.sum())
    return [" ".join(f"w{i}" for i in row) for row in drawn]


@pytest.fixture(scope="module")
def narrowed() -> tuple[list[str], list[str], list[str]]:
    """Words that survive 12 generations of copying, a human sample, and the survivors' texts."""
    runs = simulate(WordsConfig(words=800, tokens=3_000, generations=12, replicates=1, seed=3))
    law = runs["law"].values
    alive = law * runs["survivors"].values[0]
    return of_law(alive, 200, 1), of_law(law, 500, 2), of_law(alive, 200, 4)


def test_a_known_narrowing_is_found_and_its_words_are_lost(narrowed) -> None:
    ours, theirs, older = narrowed
    found = audit(ours, theirs, **FAST)
    row = found.table.set_index("index").loc["rare_retention"]
    assert row["verdict"] == "narrower"
    assert row["generated"] < 0.6
    assert row["high"] < 0 < 1 + row["low"]
    assert found.answers["narrower_indices"].value >= 3
    assert found.answers["effective_share"].high < 0.7
    assert found.answers["generated_share"].value >= 0
    again = audit(ours, theirs, previous=older, resamples=159)
    older_rows = again.table[again.table["role"] == "previous"]
    assert not (older_rows["verdict"] == "narrower").any()
    # all of it is like the previous texts, if these are told from human ones at all
    share = again.answers["share_like_previous"]
    assert math.isnan(share.value) or share.high > 0.9


def test_halves_of_one_source_are_not_told_apart() -> None:
    # each audit finds anything with probability 5 %: of 8, more than 3 with 0.04 %
    wrong = 0
    for seed in range(8):
        texts = human(seed)
        found = audit(texts[:120], texts[120:], seed=seed, resamples=79)
        yes = found.answers["told_apart"].sentence.startswith("Yes")
        wrong += yes or bool((found.table["verdict"] != "cannot be told").any())
    assert wrong <= 3


def test_no_number_depends_on_the_order_of_documents() -> None:
    texts, reference = human(1, 130), human(2)
    one = audit(texts, reference, **FAST)
    other = audit(texts[::-1], reference[::-1], **FAST)
    assert one.answers.record() == other.answers.record()
    assert one.table.equals(other.table)


def test_neighbours_are_as_alike_read_backwards() -> None:
    from commensal.texts._sampling import SampledTexts
    from commensal.texts.auditing._dependence import neighbours

    places = np.arange(130)
    for seed in range(20):  # by plain sums nine of ten differ in the last digit
        texts = human(seed, 130)
        one, other = (
            neighbours(SampledTexts("a", read, 130, places, places))
            for read in (texts, texts[::-1])
        )
        assert one == other


def test_an_exchange_of_labels_turns_differences_round() -> None:
    from commensal.texts.auditing._counts import matched
    from commensal.texts.auditing._measuring import differences, embedded, measure_of

    texts, reference = human(3, 100), human(4)
    pool = matched(texts, reference[:100], reference[100:], 10**6, np.random.default_rng(0))
    measure = measure_of(pool, embedded(pool))
    mask = np.repeat([True, False], pool.pairs)
    names = list(measure(mask, ~mask))
    turned = differences(measure(~mask, mask))
    straight = differences(measure(mask, ~mask))
    for name, a, b in zip(names, straight, turned, strict=True):
        if name == "drift":
            assert a == pytest.approx(b)
        elif "retention" in name:
            assert (1 + a) * (1 + b) == pytest.approx(1)
        else:
            assert a == pytest.approx(-b)


def test_conditions_are_read_and_decide_by_values() -> None:
    assert str(condition("vendi >= 3e1", ["vendi"])) == "vendi>=30"
    for text, why in (
        ("vendi", "no condition such as"),
        ("vendi<1e", "no condition such as"),
        ("vend<1", "did you mean vendi"),
        ("q<1", "there are vendi, drift"),
    ):
        with pytest.raises(ValueError, match=why):
            condition(text, ["vendi", "drift"])
    met = alarms([condition("vendi<3", ["vendi"])], {"vendi": (2.0, " ± 0.5")})
    assert met == ("vendi<3: vendi is 2 ± 0.5",)
    assert not alarms([condition("vendi<2", ["vendi"])], {"vendi": (2.0, "")})
    with pytest.raises(ValueError, match=r"vendi cannot be told \(too few\)"):
        alarms([condition("vendi<2", ["vendi"])], {"vendi": (math.nan, "too few")})
    assert "share_like_previous" not in conditions(previous=False)


def test_every_condition_that_is_offered_has_a_number() -> None:
    texts, reference = human(5, 100), human(6)
    names = conditions(previous=True, model=False, against=False)
    wanted = [f"{name}>1e9" for name in names if name != "law_generations"]
    older = zipf_texts(np.random.default_rng(7), 200, words=60)  # told from human texts
    found = audit(texts, reference, previous=older, fail_on=wanted, resamples=159)
    assert found.alarms == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "more", "why"),
    [
        (["one text"], None, {}, "has 1 document; an audit resamples documents, and needs"),
        (None, ["a b c"] * 30, {}, "has 30 documents; an audit .* at least 80"),
        (None, "same", {}, "are the same texts"),
        (["word"] * 100, None, {}, "only 0 documents"),
        ([], None, {}, "has no texts"),
        (None, None, {"fail_on": ["rare_retentoin<1"]}, "did you mean rare_retention"),
        (None, None, {"fail_on": ["perplexity<1"]}, "there is no 'perplexity'"),
        (None, None, {"level": 0.7}, "level must be"),
        (None, None, {"resamples": 10}, "resamples must be at least 79"),
        (None, None, {"against": "nothing.json"}, "does not exist"),
    ],
)
def test_what_cannot_be_audited_is_one_line(ours, theirs, more, why) -> None:
    ours = human(8, 120) if ours is None else ours
    theirs = ours if theirs == "same" else human(9) if theirs is None else theirs
    with pytest.raises(ValueError, match=why) as caught:
        audit(ours, theirs, **{**FAST, **more})
    assert "\n" not in str(caught.value)


def test_a_script_without_spaces_is_audited_by_characters() -> None:
    rng = np.random.default_rng(0)
    signs = [chr(0x4E00 + i) for i in range(400)]
    p = 1 / np.arange(1.0, 401)
    texts = ["".join(rng.choice(signs, 20, p=p / p.sum())) for _ in range(300)]
    found = audit(texts[:100], texts[100:], **FAST)
    assert any("characters are the tokens" in note for note in found.answers.notes)
    assert found.answers.settings["token"] == "character"


def test_texts_are_copied_only_when_asked_and_are_escaped(tmp_path: Path) -> None:
    mark = "<script>alert(1)</script> zyxw"
    ours = [f"{mark} {text}" for text in human(10, 100)]
    reference = human(11)
    plain = audit(ours, reference, **FAST)
    asked = audit(ours, reference, samples=True, **FAST)
    assert len(plain.phrases) == 0
    assert any("zyxw" in phrase for phrase in asked.phrases["phrase"])
    for found, folder in ((plain, tmp_path / "a"), (asked, tmp_path / "b")):
        files = write_audit(found, folder)
        assert {file.name for file in files} == {
            "report.html",
            "answers.json",
            "indices.parquet",
            "survival.parquet",
            "audit.png",
        }
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert "<script>alert" not in page
        assert ("zyxw" in page) == (found is asked)
        assert "zyxw" not in (folder / "answers.json").read_text(encoding="utf-8")


def test_phrases_of_a_profile_are_counted(tmp_path: Path) -> None:
    import json

    one = {
        "top_repetitive_words": [],
        "top_bigrams": [{"ngram": "silent lantern", "frequency": 9}],
    }
    file = tmp_path / "profile.json"
    file.write_text(json.dumps({"a": one, "b": one}))
    ours = [f"silent lantern {text}" for text in human(12, 100)]
    with pytest.raises(ValueError, match=r"2 profiles; name one, as in .*:a"):
        audit(ours, human(13), against=file, **FAST)
    found = audit(ours, human(13), against=f"{file}:a", **FAST)
    row = found.table.set_index("index").loc["in_profile"]
    assert row["verdict"] == "different"
    assert row["generated"] > row["reference"] == 0


def test_a_large_corpus_is_sampled_and_said(monkeypatch) -> None:
    from commensal.texts.auditing import _audit

    monkeypatch.setattr(_audit, "_MOST", 100)
    seen: list[float] = []
    found = audit(
        human(14, 150), human(15, 400), progress=lambda done, of: seen.append(done / of), **FAST
    )
    assert any("100 of 150 documents were drawn" in note for note in found.answers.notes)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def articles(seed: int, count: int) -> list[dict[str, str]]:
    """Documents of articles, each of which has some words of its own, as a subject has."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        subject = rng.choice(2_000, 30)
        for _ in range(6):
            common = rng.choice(300, 12, p=(p := 1 / np.arange(1, 301)) / p.sum())
            words = [*(f"w{i}" for i in common), *(f"s{i}" for i in rng.choice(subject, 8))]
            rows.append({"text": " ".join(words), "article": f"{seed}-{number}"})
    return rows


def test_groups_are_compared_where_documents_are_parts_of_wholes(tmp_path: Path) -> None:
    # by groups each of 2 audits finds anything with 5 %: both of them with 0.25 %
    found = []
    for seed, group in ((0, None), (0, "article"), (1, "article")):
        files = []
        for name, rows in (("ours", articles(seed, 24)), ("human", articles(seed + 10, 48))):
            files.append(tmp_path / f"{name}{seed}.jsonl")
            files[-1].write_text("\n".join(map(json.dumps, rows)))
        one = audit(*files, group=group, seed=seed, **FAST)
        found.append(bool((one.table["verdict"] != "cannot be told").any()))
        said, premise = one.answers["exchangeable"], one.answers["told_apart"].premises[0]
        if group:
            assert said.value == 24
            assert "groups are exchangeable" in premise
        else:
            assert "stand next to each other are alike" in said.flag
            assert "their order speaks against" in premise
    assert found[0]
    assert not all(found[1:])


def test_a_narrowing_is_found_by_groups_too(tmp_path: Path) -> None:
    poor = [row | {"text": re.sub(r"s(\d)\d*", r"s\1", row["text"])} for row in articles(0, 24)]
    files = []
    for name, rows in (("ours", poor), ("human", articles(1, 48))):
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text("\n".join(map(json.dumps, rows)))
    found = audit(*files, previous=files[0], group="article", resamples=159)
    mine = found.table[found.table["role"] == "reference"].set_index("index")
    assert (mine.loc[["distinct_1", "entropy_1"], "verdict"] == "narrower").all()
    assert found.answers["share_like_previous"].high > 0.9


def test_groups_that_are_none_are_refused() -> None:
    texts, reference = human(16, 100), human(17)
    for given, pattern, why in (
        (texts, "heading:x.*", "no documents of generated or reference share a group"),
        (texts, "heading:(", "is no regular expression"),
        (["chapter", *texts], "heading:chapter", "has 1 group by .*needs at least 20"),
    ):
        with pytest.raises(ValueError, match=why):
            audit(given, reference, group=pattern, **FAST)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A language model of 17 words, and an embedder of its hidden states, as folders."""
    pytest.importorskip("sentence_transformers", reason="extra llm")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    from tests.llm.test_training import model_of, tokenizer

    folder = tmp_path_factory.mktemp("models")
    model_of("gpt2").save_pretrained(folder / "model")
    tokenizer().save_pretrained(folder / "model")
    words = Transformer(str(folder / "model"), max_seq_length=16)
    pooled = Pooling(words.get_word_embedding_dimension())
    SentenceTransformer(modules=[words, pooled]).save(str(folder / "embedder"))
    return folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_model_and_an_embedder_from_folders(models: Path) -> None:
    import torch

    from commensal.texts import _models
    from tests.llm.test_training import model_of, tokenizer

    text = "w1 w2 w3"
    ids = torch.tensor([[1, *tokenizer()(text)["input_ids"]]])
    with torch.inference_mode():
        plain = model_of("gpt2").eval()(input_ids=ids, labels=ids).loss * (ids.shape[1] - 1)
    given = _models.losses(str(models / "model"), [text, text])
    np.testing.assert_allclose(given, float(plain), rtol=1e-5)
    rng = np.random.default_rng(0)
    ours, theirs = (zipf_texts(rng, count, words=14) for count in (90, 240))
    found = audit(
        ours, theirs, model=str(models / "model"), embedder=str(models / "embedder"), **FAST
    )
    table = found.table.set_index("index")
    assert 0 < table.loc["perplexity", "generated"] < 2 * np.log(20)
    assert math.isfinite(table.loc["drift", "p"])
    words = audit(ours, theirs, **FAST).table.set_index("index")
    assert table.loc["vendi", "generated"] != words.loc["vendi", "generated"]
    assert table.loc["distinct_2", "generated"] == words.loc["distinct_2", "generated"]
    assert "perplexity" not in words.index


def test_a_model_that_is_not_there_is_one_line(monkeypatch, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="extra llm")
    # the Hub is not asked, again and again, for what is not there
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for option in ("model", "embedder"):
        with pytest.raises(ValueError, match="no-such-folder") as caught:
            audit(human(18, 60), human(19, 120), **{option: "no-such-folder/x"}, **FAST)
        assert "\n" not in str(caught.value)
