"""Ecosystems against a plain loop on the same random bits, in law, and against the theory.

Statistical comparisons: each test states how many it makes, and its threshold leaves right code a
chance of at most 1e-3 to fail in all of them together (Bonferroni), if seeds were not fixed.
"""

from __future__ import annotations

import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest
import xarray as xr
from scipy import stats

from commensal.sims._keys import stream
from commensal.sims.ecosystem import EcosystemConfig, _numba, _simulate, grid, simulate
from commensal.sims.ecosystem import _process as process
from commensal.theory import ecosystem as theory

FAMILY = 1e-3
LOW = np.uint64(2**32 - 1)
SMALL = {"types": 40, "tokens": 240, "hold": 90.0, "generations": 4, "replicates": 3}


def plain(config: EcosystemConfig, key) -> np.ndarray:
    """Laws (T, M, V) of one run, token by token; random words from JAX itself."""
    law, prior = config.laws
    laws = np.array([prior] * config.models)
    readers = [m for m, n in enumerate(config.sizes) for _ in range(n)]
    path = []
    for t in range(config.generations):
        k = jax.random.fold_in(key, t)
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            words = np.array(
                [
                    jax.random.bits(jax.random.fold_in(k, i), (config.tokens,), jnp.uint64)
                    for i in range(2)
                ]
            )
        # the first 32 bits of a number, then those of the other one
        token, place = (
            [int(a >> s & LOW) << 32 | int(b >> s & LOW) for a, b in words.T] for s in (32, 0)
        )
        shuffled = sorted(range(config.tokens), key=place.__getitem__)
        reader = dict(zip(shuffled, readers, strict=True))
        segments = [[] for _ in range(config.models)]
        for slot in range(config.tokens):
            # each writes as many as it reads
            source = law if t == 0 else laws[readers[slot]] ** config.sharpening
            below, u = 0.0, (token[slot] >> 11) / 2**53 * source.sum()
            kind = -1
            while u >= below:
                kind += 1
                below += source[kind]
            segments[reader[slot]].append(kind)
        for m, segment in enumerate(segments):
            counts = np.bincount(segment, minlength=law.size)
            laws[m] = (counts + config.hold * laws[m]) / (len(segment) + config.hold)
        path.append(laws.copy())
    return np.array(path)


CASES = {
    "one model": {"models": 1},
    "four": {"models": 4},
    "sharpened": {"models": 3, "sharpening": 1.3},
    "unequal": {"sizes": (150, 20, 69, 1)},
    "own laws": {"models": 2, "law": [5.0, 1.0, 2.5], "prior": [1.0, 1.0, 1.0]},
    "a token each": {"models": 6, "tokens": 6},
}


@pytest.fixture(params=["numba", "xla"])
def kernel(request, monkeypatch):
    """Each kernel in turn: that of CPUs, if it can be had, and that of everything else."""
    if request.param == "numba":
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(_simulate, "chosen", lambda numbers: False)


@pytest.mark.parametrize("case", CASES)
def test_token_by_token(case, kernel):
    """The same random words, from JAX's own generator, and lists."""
    config = EcosystemConfig(**(SMALL | {"replicates": 2, "generations": 3} | CASES[case]))
    runs = simulate(config)
    law, _ = config.laws
    share = np.array(config.sizes) / config.tokens
    for r in range(2):
        own = stream(jax.random.key(config.seed), "ecosystem")
        laws = plain(config, jax.random.fold_in(own, r))
        pool = np.einsum("m,tmv->tv", share, laws)
        one = runs.isel(replicate=r)
        assert np.allclose(one.model_perplexity, np.exp(-np.log(laws) @ law), rtol=1e-12)
        assert np.allclose(one.model_chi_square, ((laws - law) ** 2 / law).sum(-1), rtol=1e-11)
        assert np.allclose(one.model_squares, ((laws - law) ** 2).sum(-1), rtol=1e-11)
        assert np.allclose(one.model_simpson, 1 / (laws**2).sum(-1), rtol=1e-12)
        assert np.allclose(one.pool_perplexity, np.exp(-np.log(pool) @ law), rtol=1e-12)
        assert np.allclose(one.perplexity, one.model_perplexity.mean("model"), rtol=1e-13)
    assert np.isclose(runs.hill_shannon, theory.hill_shannon(config.sizes))


def check(found: np.ndarray, expected: np.ndarray, comparisons: int, slack=0.0) -> None:
    """Means over axis 0 by Student's test; ``slack`` is what the theory itself may be off."""
    count = len(found)
    error = found.std(axis=0, ddof=1) / np.sqrt(count)
    limit = stats.t.ppf(1 - FAMILY / comparisons / 2, count - 1)
    away = np.abs(found.mean(axis=0) - expected) - slack
    assert (away <= limit * error).all(), (away / error, limit)


@pytest.mark.parametrize("sizes", [(600,), (300, 300), (60,) * 10, (20, 180, 400), (1,) * 8])
def test_against_the_closed_forms(sizes):
    """Models' and pool's χ² and squares after generations 1, 3 and 6: at most 2 × 3 × (M + 1) <=
    66."""
    config = EcosystemConfig(
        sizes=sizes, types=50, hold=250.0, generations=6, replicates=600, seed=3, chunk=100
    )
    vocabulary = theory.zipf(50)
    runs = simulate(config).sel(generation=[1, 3, 6])
    comparisons = 6 * (len(sizes) + 1)
    for name in ("chi_square", "squares"):
        known = theory.sums(vocabulary, name)
        each = theory.segment_distances(known, sizes, 250.0, 6)[[0, 2, 5]]
        pool = theory.segment_distances(known, sizes, 250.0, 6, of="pool")[[0, 2, 5]]
        check(runs[f"model_{name}"].values, each, comparisons)
        check(runs[f"pool_{name}"].values, pool, comparisons)


@pytest.mark.parametrize("sizes", [(4_000,), (1_000,) * 4, (250,) * 16, (3_000, 800, 200)])
def test_against_the_laplace_transform(sizes):
    """Cross-entropy after generations 1, 4 and 10, of each model and, if equal, of the pool: <= 51.

    The closed form's types are written independently, which is off by some parts in N: 2e-4 nats
    are allowed for (at N = 4,000), a thousandth of what there is to see.
    """
    config = EcosystemConfig(sizes=sizes, types=500, hold=1_500.0, replicates=150, seed=5, chunk=50)
    vocabulary, at = theory.zipf(500), [0, 3, 9]
    runs = simulate(config).isel(generation=at)
    comparisons = 3 * (len(sizes) + 1)
    expected = theory.segment_cross_entropies(vocabulary, sizes, 1_500.0)[at]
    check(np.log(runs.model_perplexity.values), expected, comparisons, 2e-4)
    if len(set(sizes)) == 1:
        cell = (vocabulary, 4_000, len(sizes), 1_500.0)
        pool = theory.expected_cross_entropy(*cell, of="pool")[at]
        check(np.log(runs.pool_perplexity.values), pool, comparisons, 2e-4)


def test_dealing_is_uniform():
    """Every arrangement of readers (2, 2, 1 of them) alike: χ² of one test at FAMILY."""
    sizes = np.array([2, 2, 1])
    with jax.enable_x64(True):
        places = jax.random.bits(jax.random.key(2), (30_000, 5), jnp.uint64)
        writer, ends = jnp.repeat(jnp.arange(3), sizes), jnp.cumsum(sizes)
        dealt = jax.vmap(lambda p: process.deal(p, writer, ends))(places)
    codes = np.asarray(dealt) @ 3 ** np.arange(5)
    _, counts = np.unique(codes, return_counts=True)
    assert len(counts) == 30
    assert stats.chisquare(counts).pvalue > FAMILY


def written(sizes: tuple[int, ...], laws: np.ndarray, generations: int) -> np.ndarray:
    """Counts (generation, reader, type) of texts that numba's kernel writes and deals out."""
    program = pytest.importorskip("commensal.sims.ecosystem._numba_kernel")
    texts, tables, counts = _numba.room(len(sizes), laws.shape[1], sum(sizes))
    found = []
    for t in range(generations):
        counts[:] = 0
        program.write((np.uint32(5), np.uint32(t)), np.array(sizes), laws, texts, tables, counts)
        found.append(counts[:-1].copy())
    return np.array(found)


def test_numba_deals_out_what_a_permutation_does():
    """Three models write a type each: counts against all 5! permutations, χ² at FAMILY."""
    sizes, permutations = (2, 2, 1), list(itertools.permutations([0, 0, 1, 1, 2]))
    tables: dict[tuple[int, ...], int] = {}
    for labels in permutations:
        hands = np.split(np.array(labels), [2, 4])
        table = tuple(np.concatenate([np.bincount(h, minlength=3) for h in hands]).tolist())
        tables[table] = tables.get(table, 0) + 1
    found = written(sizes, np.eye(3), 30_000).reshape(-1, 9)
    seen = [(found == table).all(axis=1).sum() for table in tables]
    assert sum(seen) == len(found)
    expected = np.array(list(tables.values())) * (len(found) / len(permutations))
    assert stats.chisquare(seen, expected).pvalue > FAMILY


def test_numba_deals_out_as_numpy_does():
    """Texts of unlike laws, against NumPy's multinomial and multivariate hypergeometric draws.

    Means and covariances of three readers' counts of four types, 12 and 78 of them, by Welch's
    test with normal deviates: FAMILY in all.
    """
    sizes, generator = (50, 20, 30), np.random.default_rng(7)
    laws = np.array([[0.7, 0.1, 0.1, 0.1], [0.05, 0.05, 0.6, 0.3], [0.0, 0.5, 0.25, 0.25]])
    count, ours, theirs = 20_000, written(sizes, laws, 20_000).reshape(-1, 12), []
    for _ in range(count):
        pool = sum(generator.multinomial(n, q) for n, q in zip(sizes, laws, strict=True))
        hands = []
        for n in sizes:
            hands.append(generator.multivariate_hypergeometric(pool, n))
            pool = pool - hands[-1]
        theirs.append(np.concatenate(hands))
    pairs = np.triu_indices(12)
    samples = []
    for counts in (ours, np.array(theirs)):
        off = counts - np.repeat(sizes, 4) / 100 * np.tile(np.array(sizes) @ laws, 3)
        samples.append(np.hstack([off, off[:, pairs[0]] * off[:, pairs[1]]]))
    spread = np.sqrt(sum(s.var(axis=0) for s in samples) / count)
    away = np.abs(samples[0].mean(axis=0) - samples[1].mean(axis=0)) / spread
    assert away.max() < stats.norm.isf(FAMILY / away.size / 2)
    assert (ours.reshape(-1, 3, 4).sum(axis=2) == sizes).all()


def test_logarithms_and_exponentials_are_rounded_well():
    """Relative to NumPy's: also where sums were compiled first, which may be rounded otherwise."""
    program = pytest.importorskip("commensal.sims.ecosystem._numba_kernel")
    x = np.random.default_rng(3).uniform(-690, 690, 5_000)
    x[:2_000] /= 1_000
    close = {"rtol": 4 * np.finfo(float).eps, "atol": 0}
    np.testing.assert_allclose([program.exp(v) for v in x], np.exp(x), **close)
    np.testing.assert_allclose([program.log(v) for v in np.exp(x)], np.log(np.exp(x)), **close)


ALIKE = {
    "readers beyond a bin": {"models": 500, "tokens": 1_000, "types": 20},
    "one word, several types": {"models": 2, "types": 300_000, "tokens": 100_000, "generations": 2},
    "tiny weights": {"models": 2, "tokens": 400, "types": 30, "hold": 1e-3, "generations": 57},
    "steep powers": {"models": 3, "tokens": 300, "types": 60, "sharpening": 40.0},
    "flat powers": {"models": 3, "tokens": 300, "types": 60, "hold": 0.0, "sharpening": 0.1},
}


@pytest.mark.parametrize("case", ALIKE)
def test_numba_finds_what_xla_does(case, monkeypatch):
    """Tokens are the same, one by one, also where 32 bits do not tell two types apart."""
    pytest.importorskip("numba")
    config = EcosystemConfig(**({"replicates": 2, "generations": 5} | ALIKE[case]))
    ours = simulate(config)
    monkeypatch.setattr(_simulate, "chosen", lambda numbers: False)
    xr.testing.assert_allclose(ours, simulate(config), rtol=1e-12)


def test_numba_is_for_cpus_that_have_it(monkeypatch):
    config = EcosystemConfig(**SMALL)
    numbers = jax.tree.map(np.asarray, process.init(config).given)
    pytest.importorskip("numba")
    assert _numba.chosen(numbers)
    with monkeypatch.context() as change:
        change.setattr(jax, "default_backend", lambda: "gpu")
        assert not _numba.chosen(numbers)
    with monkeypatch.context() as change:
        change.setattr(_numba, "_COUNTS", 200)
        assert _numba.chosen(numbers) == (5 * 40 < 200)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "commensal.sims.ecosystem._numba_kernel", raising=False)
    assert not _numba.chosen(numbers)
    assert simulate(config).sizes["model"] == 4


@pytest.mark.usefixtures("compiled_as_for_users")
def test_chunks_replicates_and_fits_change_nothing():
    config = EcosystemConfig(**SMALL, models=4)
    runs = simulate(config)
    for chunk in (1, 2, 3):
        xr.testing.assert_identical(
            runs.drop_attrs(), simulate(config.model_copy(update={"chunk": chunk})).drop_attrs()
        )
    more = simulate(config.model_copy(update={"replicates": 7, "generations": 6}))
    xr.testing.assert_equal(runs, more.isel(replicate=slice(3), generation=slice(4)))
    other = simulate(config, jax.random.key(1))
    assert not np.isclose(other.perplexity, runs.perplexity).any()


def test_grid_holds_single_runs():
    """Cell i draws from key i of the grid, whatever else is in it, and means are over
    generations."""
    config = EcosystemConfig(**(SMALL | {"replicates": 2}))
    axes = {"models": (1, 4), "tokens": (80, 240), "hold": (50.0, 90.0), "sharpening": (1.0, 1.2)}
    seen: list[tuple[int, int]] = []
    found = grid(config, **axes, progress=lambda *at: seen.append(at))
    assert seen[-1] == (32, 32)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    again = grid(config.model_copy(update={"chunk": 3}), **axes)
    xr.testing.assert_equal(found, again)
    own = stream(jax.random.key(0), "ecosystem grid")
    number = 0
    for m in axes["models"]:
        for n in axes["tokens"]:
            for h in axes["hold"]:
                for s in axes["sharpening"]:
                    for r in range(2):
                        if number in (0, 13, 31):
                            c = EcosystemConfig(
                                **SMALL | {"models": m, "tokens": n, "hold": h}, sharpening=s
                            )
                            laws = plain(c, jax.random.fold_in(own, number))
                            nats = -np.log(laws) @ c.laws[0]
                            cell = found.sel(models=m, tokens=n, hold=h, sharpening=s, replicate=r)
                            assert np.isclose(cell.perplexity, np.exp(nats).mean(), rtol=1e-12)
                            last = np.exp(nats).mean(axis=1)
                            assert np.isclose(cell.slope, last[-1] - last[-2], rtol=1e-8)
                        number += 1


def test_order_of_models_does_not_matter():
    """Exchanged sizes, exchanged laws: means of 400 runs, 3 models, two-sample, 3 comparisons."""
    means = []
    for sizes, seed in (((40, 160, 100), 1), ((100, 40, 160), 2)):
        config = EcosystemConfig(
            **(SMALL | {"tokens": 300, "replicates": 400}), sizes=sizes, seed=seed
        )
        last = simulate(config).model_chi_square.isel(generation=-1).values
        means.append(last[:, np.argsort(sizes)])
    p = stats.ttest_ind(*means, equal_var=False).pvalue
    assert (p > FAMILY / 3).all()


def test_nothing_kept_loses_types_for_ever():
    config = EcosystemConfig(models=2, tokens=40, types=30, hold=0.0, generations=400, replicates=4)
    runs = simulate(config)
    assert np.isposinf(runs.perplexity.isel(generation=-1)).all()
    # ten times N generations: collapsed, to one type
    assert (runs.pool_simpson.isel(generation=-1) == 1).all()
    assert (runs.model_simpson.isel(generation=0) > 3).all()


@pytest.mark.parametrize("changed", [{}, {"models": 1, "replicates": 1}, {"hold": 0.0}])
def test_perplexities_are_drawn(changed, tmp_path):
    """Also where there is one value, or all are infinite."""
    from commensal import plots

    runs = simulate(EcosystemConfig(**(SMALL | changed)))
    fig = plots.ecosystem_perplexities({"these": runs, "again": runs})
    assert len(fig.axes) == 2
    fig.savefig(tmp_path / "drawn.png", dpi=30)


REFUSED = [
    ({"models": 3}, "tokens must be a multiple of models"),
    ({"sizes": [3, 0]}, "sizes must be at least 1 each"),
    ({"sizes": [30, 10], "tokens": 50}, "tokens must be 40 with these sizes, got 50"),
    ({"law": [0.5, 0.5], "prior": [0.2, 0.3, 0.5]}, "law and prior must be of one length"),
    ({"law": [0.5, -0.5]}, "must be two or more numbers above 0"),
    ({"hold": -1.0}, "hold"),
    ({"sharpening": 0.0}, "sharpening"),
    ({"sharpness": 1.0}, "sharpness"),
    ({"exponent": 1e300}, "leave rare types no weight that a number can hold"),
    ({"flatness": -1e300}, "got 1 and -1e.300"),
]


@pytest.mark.parametrize(("settings", "told"), REFUSED)
def test_bad_settings_are_named(settings, told):
    with pytest.raises(pydantic.ValidationError, match=told):
        EcosystemConfig(**settings)


def test_bad_grids_and_keys_are_named():
    config = EcosystemConfig(**SMALL)
    with pytest.raises(ValueError, match="models must name at least one value"):
        grid(config, models=())
    with pytest.raises(ValueError, match="multiple of models"):
        grid(config, models=(7,))
    with pytest.raises(ValueError, match="hold"):
        grid(config, models=(2,), hold=(-1.0,))
    with pytest.raises(ValueError, match="key must be one threefry key"):
        simulate(config, jax.random.key(0, impl="rbg"))
