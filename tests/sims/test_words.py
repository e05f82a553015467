"""Models that repeat words against a plain loop on the same random bits, and the closed forms.

Statistical comparisons: each test states how many it makes, and its threshold leaves right code a
chance of at most 1e-3 to fail in all of them together (Bonferroni), if seeds were not fixed.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest
import xarray as xr
from scipy import stats

from commensal import networks
from commensal.sims._keys import stream
from commensal.sims.words import WordsConfig, init, observe, simulate, step
from commensal.sims.words._process import most_human
from commensal.theory import words as theory

FAMILY = 1e-3
READS = ((0.5, 0.5, 0.0), (0.2, 0.2, 0.6), (0.3, 0.7, 0.0))


def plain(config: WordsConfig, key) -> list[np.ndarray]:
    """Texts (K, n) of one run, token by token; random words from JAX itself."""
    size, corpora = config.models * config.tokens, []
    for t in range(config.generations):
        drawn = rows(jax.random.fold_in(key, t), size)
        text = np.zeros((config.models, config.tokens), int)
        # the first tokens of each text are humans', as many as would be by their chance
        human = (drawn[2].reshape(text.shape) < config.human_share).sum(axis=1)
        width = config.tokens if t == 0 else most_human(config)
        for i in range(size):
            model, token = divmod(i, config.tokens)
            if t == 0 or token < human[model]:
                law = config.laws[model if len(config.laws) > 1 else 0]
                u = drawn[3, model * width + token]
                text[model, token] = np.searchsorted(np.cumsum(law) / np.sum(law), u, "right")
                continue
            kept = corpora if config.memory == "accumulate" else corpora[-1:]
            reads = config.network(config.models)
            if reads is None:
                read = np.concatenate([corpus.ravel() for corpus in kept])
            else:
                writer = np.searchsorted(np.cumsum(reads[model])[:-1], drawn[1, i], "right")
                read = np.concatenate([corpus[writer] for corpus in kept])
            text[model, token] = read[int(drawn[0, i] * len(read))]
        corpora.append(text)
    return corpora


def rows(key, size: int) -> np.ndarray:
    """Uniform numbers (4, size) by the block cipher of JAX itself, from counters (row, token)."""
    from jax.extend.random import threefry_2x32

    found = []
    for row in range(4):
        counters = np.array([[row] * size, range(size)], np.uint32)
        high, low = np.asarray(
            threefry_2x32(jax.random.key_data(key), jnp.asarray(counters.ravel()))
        ).reshape(2, size)
        found.append(high * 2.0**-32 + (low >> 11) * 2.0**-53)
    return np.array(found)


CASES = {
    "one model": {},
    "three": {"models": 3},
    "human tokens": {"models": 2, "human_share": 0.3},
    "accumulating": {"memory": "accumulate", "human_share": 0.2},
    "a network": {"models": 3, "reads": READS},
    "a network that keeps": {"models": 3, "reads": READS, "memory": "accumulate"},
    "dialects": {"models": 2, "dialects": ((1, 2, 0), (0, 5, 1)), "human_share": 0.4},
    "counts with a gap": {"counts": (0, 5, 0, 0, 1, 3, 0)},
    "one word": {"counts": (2,)},
}


@pytest.mark.parametrize("case", CASES)
def test_token_by_token(case):
    """The same random words, from JAX's own generator, and lists."""
    given = {"tokens": 30, "generations": 4, "replicates": 2} | CASES[case]
    if not given.keys() & {"counts", "dialects"}:
        given["words"] = 20
    config = WordsConfig(**given)
    runs = simulate(config)
    own = stream(jax.random.key(config.seed), "words")
    for r in range(2):
        corpora = plain(config, jax.random.fold_in(own, r))
        pool: list[np.ndarray] = []
        for t, text in enumerate(corpora):
            one = runs.isel(replicate=r, generation=t)
            pool = [*pool, text] if config.memory == "accumulate" else [text]
            for name, what in (("", text), ("pool_", np.array(pool))):
                counts = np.bincount(what.ravel())
                assert one[f"{name}richness"] == (counts > 0).sum()
                share = counts / counts.sum()
                assert np.isclose(one[f"{name}heterozygosity"], 1 - (share**2).sum(), atol=1e-15)
            for m in range(config.models):
                assert one.model_richness[m] == len(set(text[m]))
        left = set(np.flatnonzero(runs.survivors[r]))
        assert left == set(corpora[-1].ravel().tolist())


def check(found: np.ndarray, expected: np.ndarray, comparisons: int, slack: float = 0.0) -> None:
    """Means over axis 0 by Student's test; ``slack`` is what the theory itself may be off."""
    count = len(found)
    error = found.std(axis=0, ddof=1) / np.sqrt(count)
    limit = stats.t.ppf(1 - FAMILY / comparisons / 2, count - 1)
    away = np.abs(found.mean(axis=0) - expected) - slack
    assert (away <= limit * error).all(), (away / error, limit)


AT = [1, 2, 5, 15, 40]
SETTINGS = {
    "replace": {},
    "three models": {"models": 3, "tokens": 700},
    "human share": {"human_share": 0.1},
    "accumulate": {"memory": "accumulate"},
    "accumulate, human share": {"memory": "accumulate", "human_share": 0.2},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_against_the_closed_forms(name):
    """Richness, and heterozygosity of text and pool, at five generations: 3 × 5 comparisons.

    The formula for richness is that of many tokens: half a word in 500 is allowed for, 1/700 of it.
    A wrong memory, half the human share, and one generation off must all be seen.
    """
    config = WordsConfig(generations=40, replicates=400, seed=2, **SETTINGS[name])
    runs = simulate(config).sel(generation=AT)
    how = {"human_share": config.human_share, "memory": config.memory, "models": config.models}
    law = config.laws[0]
    expected = theory.expected_richness(law, config.tokens, AT, **how)
    check(runs.richness.values, expected, 15, slack=0.5)
    for change in (
        {"memory": "replace" if config.memory == "accumulate" else "accumulate"},
        {"human_share": config.human_share / 2 if config.human_share else 0.005},
        {"models": config.models + 1},
    ):
        wrong = theory.expected_richness(law, config.tokens, AT, **(how | change))
        with pytest.raises(AssertionError):
            check(runs.richness.values, wrong, 15, slack=0.5)
    if config.memory == "accumulate" and config.human_share:
        return
    for of, prefix in (("text", ""), ("pool", "pool_")):
        values = runs[f"{prefix}heterozygosity"].values
        exact = theory.expected_heterozygosity(law, config.tokens, AT, of=of, **how)
        check(values, exact, 15)
        with pytest.raises(AssertionError):  # the first generation is one more
            check(values, exact / (1 - 1 / config.tokens) ** 3, 15)


def test_words_survive_by_their_expected_count():
    """Groups of words with λ = 1, 3 and 10, alive after 12 generations: 3 comparisons.

    A word of λ = 10 is 1/1000 of all tokens, so the limit of many is off by less than 1e-3.
    """
    counts = np.repeat([1.0, 3.0, 10.0], [3_000, 1_000, 400])
    config = WordsConfig(counts=counts.tolist(), tokens=10_000, generations=12, replicates=60)
    alive = simulate(config).survivors.values
    groups = np.array([alive[:, counts == c].mean(axis=1) for c in (1.0, 3.0, 10.0)]).T
    expected = theory.survival([1.0, 3.0, 10.0], 12)
    check(groups, expected, 3, slack=1e-3)
    with pytest.raises(AssertionError):  # the known bound, half of it
        check(groups, -np.expm1(-np.array([1.0, 3.0, 10.0]) / 12), 3, slack=1e-3)


def test_shares_that_settle_have_the_variance_of_theory():
    """Accumulated words of 20 first counts, their mean count after 30 generations: 1 comparison.

    Of the variance: squares about the known mean, in runs of one word against all others.
    """
    first, tokens = 20, 4_000
    config = WordsConfig(
        counts=(first, tokens - first), tokens=tokens, generations=30, memory="accumulate",
        replicates=3_000,
    )  # fmt: skip
    key = jax.random.key(4)
    squares = []
    for batch in range(3):
        state = init(config.model_copy(update={"chunk": 200}), key, batch)
        state = step(state, key)
        start = state.now.pool[:, 0, 0]
        for _ in range(29):
            state = step(state, key)
        mean = state.now.pool[:, 0, 0] / 30
        # given the first count c the variance is proportional to it
        squares.append((mean - start) ** 2 / (start * (1 - start / tokens)))
    values = np.concatenate(squares)[:, None]
    check(values, theory.share_variance(1.0, 30)[None], 1)
    with pytest.raises(AssertionError):  # from i = 1 on
        check(values, theory.share_variance(1.0, 30)[None] + 1, 1)


def test_networks_lose_diversity_as_the_pairs_say():
    """Heterozygosity of each of three models, and of all, at four generations: 16 comparisons."""
    config = WordsConfig(
        models=3, tokens=60, words=12, reads=READS, human_share=0.05, generations=25,
        replicates=3_000, seed=6,
    )  # fmt: skip
    runs, at = simulate(config), np.array([1, 3, 9, 25])
    path = theory.network_heterozygosity(config.laws[0], 60, 25, READS, 0.05)[at - 1]
    some = runs.sel(generation=at)
    check(some.heterozygosity.values, path.mean(axis=(1, 2)), 16)
    check(some.model_heterozygosity.values, np.diagonal(path, axis1=1, axis2=2), 16)
    wrong = theory.network_heterozygosity(config.laws[0], 60, 25, np.eye(3), 0.05)
    with pytest.raises(AssertionError):  # each alone
        check(some.model_heterozygosity.values, np.diagonal(wrong[at - 1], axis1=1, axis2=2), 16)


def test_what_is_read_is_what_survives():
    """Each of three models begins with a word of its own; which one is left: 3 comparisons."""
    config = WordsConfig(
        models=3, tokens=6, dialects=np.eye(3).tolist(), reads=READS, generations=600,
        replicates=2_000, seed=3,
    )  # fmt: skip
    runs = simulate(config)
    assert (runs.richness[:, -1] == 1).all()
    shares = theory.fixation_shares(READS)
    check(runs.survivors.values.astype(float), shares, 3)
    with pytest.raises(AssertionError):  # what they read: the right vector
        check(runs.survivors.values.astype(float), np.full(3, 1 / 3), 3)


@pytest.mark.usefixtures("compiled_as_for_users")
def test_nothing_depends_on_chunks_replicates_or_generations():
    config = WordsConfig(models=2, human_share=0.1, generations=4, replicates=5)
    runs = simulate(config)
    for chunk in (1, 2, 3):
        xr.testing.assert_identical(
            runs.drop_attrs(), simulate(config.model_copy(update={"chunk": chunk})).drop_attrs()
        )
    more = simulate(config.model_copy(update={"replicates": 7, "generations": 6}))
    before = more.isel(replicate=slice(5), generation=slice(4))
    xr.testing.assert_equal(runs.drop_vars("survivors"), before.drop_vars("survivors"))
    other = simulate(config, jax.random.key(1))
    assert (other.heterozygosity != runs.heterozygosity).any()


def test_nothing_is_written_at_the_start():
    state = init(WordsConfig(replicates=2))
    seen = observe(state)
    assert seen.richness.tolist() == [0, 0]
    assert state.now.pool is None


def test_no_room_for_one_more_corpus():
    config, key = WordsConfig(memory="accumulate", generations=2, replicates=2), jax.random.key(0)
    state = init(config, key)
    for _ in range(2):
        state = step(state, key)
    with pytest.raises(ValueError, match="generation 2 is the last one"):
        step(state, key)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"counts": (1.0, -1.0)}, "counts must be finite, at least 0, and not all 0"),
        ({"counts": (0.0, 0.0)}, "counts must be finite, at least 0, and not all 0"),
        ({"counts": ()}, "counts must have rows of one length"),
        ({"counts": (1.0, 2.0), "words": 3}, "words must be 2 with these counts, got 3"),
        ({"counts": (1.0,), "dialects": ((1.0,),)}, "counts and dialects exclude each other"),
        ({"models": 2, "dialects": ((1.0,),)}, r"dialects must be 2 rows \(models\), got 1"),
        ({"models": 2, "reads": ((1.0,),)}, "reads is a network of 1 models, not 2"),
        ({"models": 2, "reads": ((1.0, 0.1), (0.0, 1.0))}, "row 0 sums to 1.1"),
        (
            {"tokens": 2**20, "generations": 4_000, "memory": "accumulate"},
            "models × tokens × generations must be below 2³¹",
        ),
        ({"human_share": 1.1}, "less than or equal to 1"),
    ],
)
def test_bad_settings_are_named(given, said):
    with pytest.raises(pydantic.ValidationError, match=said):
        WordsConfig(**given)


def test_dialects_that_all_read_alike_are_the_uniform_network():
    """|z| < 4.5 in seven generations: a true formula fails once in 20,000 times."""
    dialects = np.eye(3)
    config = WordsConfig(
        models=3, tokens=40, dialects=dialects, human_share=0.2, generations=8, replicates=2000
    )
    found = simulate(config).heterozygosity.values[:, 1:]
    path = theory.network_heterozygosity(dialects, 40, 8, networks.uniform(3), 0.2)
    expected = path.mean(axis=(1, 2))[1:]
    z = (found.mean(axis=0) - expected) / (found.std(axis=0, ddof=1) / np.sqrt(len(found)))
    assert np.abs(z).max() < 4.5
