"""What a GPU gives: numbers against the processor's, speed beside what the card could do, memory.

    make gpu PYTHON=python3
    python -m benchmarks.gpu [--small] [--minutes 7.5] [--out FOLDER]

Nothing is downloaded: models have random weights. The sections run one after another, and the
table is written after each, so that one that fails or is cut off takes no other with it. Without a
GPU --small runs every section in small on the processor, to see that it works; its numbers say
nothing of a GPU.
"""

from __future__ import annotations

import argparse
import functools
import gc
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
import xarray as xr
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.machine import describe
from commensal._blocks import forced_blocks
from commensal.llm.config import OptimisationConfig, SamplingConfig
from commensal.llm.corpora import MarkovCorpus, load
from commensal.llm.measures.scoring import score
from commensal.llm.models.sampling import Completion, sample, sample_after
from commensal.llm.models.tokens import Encoded, encode, marks_of, train_tokenizer
from commensal.llm.models.training import train
from commensal.llm.models.training_vmapped import train_together
from commensal.sims import _threefry, gaussian, mixture
from commensal.sweep import RegressionSweep
from commensal.theory import regression

SIZES = {  # width, layers, heads, width within, vocabulary
    "0.2 M": (64, 3, 4, 176, 512),
    "30 M": (384, 8, 6, 1024, 32_000),
    "0.3 B": (1024, 16, 16, 2816, 32_000),
    "1.2 B": (2048, 16, 32, 8192, 128_256),
}
LENGTH = 512  # tokens of a text


class Ceilings(NamedTuple):
    """Measured limits of the device: operations and bytes a second."""

    half: float
    """Matrix products in bfloat16."""
    double: float
    """Matrix products in float64."""
    bytes: float
    """Read and written by a copy."""


class Card:
    """Device, sizes, and what was said so far."""

    def __init__(self, small: bool) -> None:
        self.small = small
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.ceilings = self._measured()

    def seconds(self, run: Callable[[], Any], repeats: int = 3) -> float:
        """Return the best of so many seconds, after one that compiles; all results are awaited."""
        times = []
        for _ in range(1 + (1 if self.small else repeats)):
            began = time.perf_counter()
            run()
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
        return min(times[1:])

    def _measured(self) -> Ceilings:
        n = 512 if self.small else 8192

        def product(kind: torch.dtype, side: int) -> float:
            a, b = (torch.randn(side, side, device=self.device).to(kind) for _ in "ab")
            return 2 * side**3 / self.seconds(lambda: torch.mm(a, b))

        x = torch.zeros(n * n * (1 if self.small else 16), device=self.device)
        y = torch.empty_like(x)
        copied = 2 * 4 * x.numel() / self.seconds(lambda: y.copy_(x))
        return Ceilings(product(torch.bfloat16, n), product(torch.float64, n // 2), copied)

    def peak(self) -> float:
        """Return the most bytes that torch had since the last call; NaN without a GPU."""
        if self.device.type != "cuda":
            return float("nan")
        found = float(torch.cuda.max_memory_allocated())
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return found


def sweep_of(models: int, points: int) -> tuple[regression.RegressionWorkflow, np.ndarray]:
    axis = np.linspace(0, 1, points)
    config = RegressionSweep(alpha=(0.0,), beta=(0.0,), models=(models,))
    return config.workflow(models), axis


def numbers(card: Card) -> Iterator[str]:
    """Compare simulations and sweeps on the GPU with the same on the processor."""
    yield "| what | largest relative difference | allowed |"
    yield "|---|---|---|"
    processor = jax.devices("cpu")[0]

    def differs(run: Callable[[], np.ndarray]) -> float:
        here = run()
        jax.clear_caches()
        # for all threads; the context `jax.default_device` would hold in this one alone
        jax.config.update("jax_default_device", processor)
        try:
            there = run()
        finally:
            jax.config.update("jax_default_device", None)
        jax.clear_caches()
        assert (np.isnan(here) == np.isnan(there)).all()
        return float(np.nanmax(np.abs(here - there) / (np.abs(there) + 1e-12)))

    def limits(models: int) -> np.ndarray:
        w, axis = sweep_of(models, 11)
        return regression.grid(w, axis, axis).mse

    def lineages(dtype: Literal["float32", "float64"]) -> np.ndarray:
        config = gaussian.GaussianConfig(generations=20, replicates=1000, dtype=dtype, seed=1)
        return recorded(gaussian.simulate(config))

    rows: list[tuple[str, Callable[[], np.ndarray], float]] = [
        ("sweep, K = 2", lambda: limits(2), 1e-9),
        ("sweep, K = 8", lambda: limits(8), 1e-9),
        ("Gaussian lineages, float32", lambda: lineages("float32"), 1e-4),
        ("Gaussian lineages, float64", lambda: lineages("float64"), 1e-10),
        (
            "mixtures",
            lambda: recorded(
                mixture.simulate(
                    mixture.MixtureConfig(generations=50, replicates=50, kernel="xla", seed=1)
                )
            ),
            1e-9,
        ),
    ]
    for name, run, allowed in rows:
        found = differs(run)
        verdict = "" if found <= allowed else ": **more than allowed**"
        yield f"| {name} | {found:.1e} | {allowed:.0e}{verdict} |"


def recorded(found: xr.Dataset) -> np.ndarray:
    """Return all numbers that a simulation has recorded, in one row."""
    numeric = [found[name].values for name in sorted(map(str, found.data_vars))]
    return np.concatenate([one.ravel() for one in numeric if one.dtype.kind == "f"])


def operations_of(models: int, points: int) -> float:
    """Count sums and products of a sweep's matrix products, each cell through all doublings.

    Rank 5 of 15 as in :func:`sweep_of`, so that the web has rank 10 or 15.
    """
    d, r, s = 15, 5, min(15, 5 * models)
    settle = 40 * 8 * s**3  # W and the resolvent: four products a doubling
    along = 2 * d * (d * s + 2 * d * r + r * s)
    told = 2 * s * (3 * r * s + 2 * d * r)
    half = 2 * d * (2 * s * s + d * (s + 2 * r) + d * (models + 1))
    return (points - 2) * points * (settle + models * (along + told + half))


def simulations(card: Card) -> Iterator[str]:
    """Time sweeps, lineages and mixtures, in blocks of this device and in a CPU's."""
    yield "| what | time | rate | share of the ceiling | in a CPU's blocks | asked |"
    yield "|---|---|---|---|---|---|"
    points, total = (11, 0.0) if card.small else (101, 0.0)
    memory = 2**36 if card.small else None  # in small, the blocks of a GPU of 64 GiB
    both = (2, 8) if card.small else (2, 32)  # to compile is most of the time

    def times(run: Callable[[], Any], twice: bool, repeats: int = 3) -> tuple[float, str]:
        with nullcontext() if memory is None else forced_blocks(memory):
            took = card.seconds(run, repeats)
        if not twice:
            return took, ""
        with forced_blocks(0):
            small = card.seconds(run, 1)
        return took, f"{small:.3f} s ({small / took:.1f}×)"

    for models in (2, 8) if card.small else (2, 4, 8, 16, 32):
        w, axis = sweep_of(models, points)
        took, small = times(lambda w=w, axis=axis: regression.grid(w, axis, axis), models in both)
        total += took
        share = operations_of(models, points) / took / card.ceilings.double
        yield (
            f"| sweep, K = {models}, {points}² cells | {took:.3f} s | {points**2 / took:,.0f} "
            f"cells/s | {share:.1%} of float64 | {small} | |"
        )
    yield f"| all of them | {total:.3f} s | | | | 0.1 s |"
    replicates = 40_000 if card.small else 4_000_000
    config = gaussian.GaussianConfig(
        samples=100, generations=100, replicates=replicates, record=(100,), chunk=replicates
    )
    took, small = times(lambda: gaussian.simulate(config), True)
    rate = 100 * replicates / took
    # a lineage is read and written once a generation if each step is a kernel of its own
    share = 16 * rate / card.ceilings.bytes
    yield (
        f"| Gaussian lineages, n = 100, d = 1 | {took:.3f} s | {rate:.2e} lineage-generations/s | "
        f"{share:.1%} of a copy | {small} | 1e9 |"
    )
    for runs, twice in ((256, True),) if card.small else ((256, True), (4096, False)):
        system = mixture.MixtureConfig(
            models=8, generations=20 if card.small else 100, replicates=runs, kernel="xla",
            keep="summary", record=(20 if card.small else 100,),
        )  # fmt: skip
        took, small = times(lambda system=system: mixture.simulate(system), twice, 1)
        rate = system.generations * runs / took
        # a draw reads and writes two places of an arrangement, and reads two likelihoods
        posted = system.points + system.models * system.posts * np.arange(system.generations)
        draws = system.models * runs * (system.read_share * posted).astype(int).sum()
        share = draws * (4 * 2 + 2 * 8) / took / card.ceilings.bytes
        yield (
            f"| mixtures, K = 8, {runs:,} runs | {took:.3f} s | {rate:,.0f} run-generations/s | "
            f"{share:.1%} of a copy | {small} | |"
        )


def random_bits(card: Card) -> Iterator[str]:
    """Time a random word of our threefry beside JAX's generators: sums of some of each key."""
    yield "| generator | ns per word of 32 bits | to ours | words |"
    yield "|---|---|---|---|"
    # on a CPU a batch's words stay in a core's cache, as in the simulators
    blocks, rounds = (2**14, 64) if card.small else (2**22, 64)
    keys = {name: jax.random.key(1, impl=name) for name in ("threefry2x32", "rbg")}

    def of_jax(key: jax.Array) -> tuple[jax.Array, ...]:
        return (jax.random.bits(key, (2 * blocks,), "uint32"),)

    def written_out(key: jax.Array) -> tuple[jax.Array, ...]:
        row = jnp.zeros((), "u4")
        return _threefry._block(_threefry.words(key), row, jnp.arange(blocks, dtype="u4"))

    rows: list[tuple[str, str, bool, Callable[[jax.Array], tuple[jax.Array, ...]]]] = [
        ("ours", "threefry2x32", True, lambda key: _threefry.bits(key, blocks)),
        ("ours, without the branch that makes it one kernel", "threefry2x32", True, written_out),
        ("`jax.random.bits`, 64 bits", "threefry2x32", True, lambda key: halves(key, blocks)),
        ("`jax.random.bits`, 32 bits", "threefry2x32", True, of_jax),
        ("`jax.random.bits`, not partitionable", "threefry2x32", False, of_jax),
        ("`jax.random.bits`, rbg", "rbg", True, of_jax),
    ]
    first = 0.0
    with jax.enable_x64(True):
        few = jnp.stack(_threefry.bits(keys["threefry2x32"], 1000))
        same = bool((few == jnp.stack(halves(keys["threefry2x32"], 1000))).all())
    for name, kind, partitionable, make in rows:

        def summed(key: jax.Array, make=make) -> jax.Array:
            def more(t: Any, total: jax.Array) -> jax.Array:
                return sum((x.sum(dtype="u4") for x in make(jax.random.fold_in(key, t))), total)

            return jax.lax.fori_loop(0, rounds, more, jnp.zeros((), "u4"))

        with jax.enable_x64(True), jax.threefry_partitionable(partitionable):
            call = jax.jit(summed)
            took = card.seconds(lambda f=call, kind=kind: f(keys[kind]).block_until_ready(), 10)
        each = 1e9 * took / (2 * blocks * rounds)
        first = first or each
        said = {"ours": "", "`jax.random.bits`, 64 bits": "ours" if same else "**not ours**"}
        yield f"| {name} | {each:.4f} | {each / first:.1f}× | {said.get(name, '')} |"


def halves(key: jax.Array, blocks: int) -> tuple[jax.Array, jax.Array]:
    """Return the high and the low halves of JAX's 64 random bits."""
    wide = jax.random.bits(key, (blocks,), "uint64")
    return (wide >> 32).astype("uint32"), wide.astype("uint32")


def network(size: str, device: torch.device) -> PreTrainedModel:
    width, layers, heads, inner, vocabulary = SIZES[size]
    torch.manual_seed(0)
    shape = LlamaConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(heads // 4, 1),
        vocab_size=vocabulary,
        max_position_embeddings=2 * LENGTH,
        tie_word_embeddings=True,
    )
    with device:
        return AutoModelForCausalLM.from_config(shape)


def texts_of(size: str, count: int, length: int) -> list[Encoded]:
    rng = np.random.default_rng(0)
    return [Encoded(tuple(rng.integers(4, SIZES[size][-1], size=length)), 1) for _ in range(count)]


def tokenizer_of(vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer whose words are numbers."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    marks = {"<pad>": 0, "<bos>": 1, "<eos>": 2, "<unk>": 3}
    words = marks | {str(i): i for i in range(4, vocabulary)}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    )


def language_models(card: Card) -> Iterator[str]:
    """Time training, writing and scoring of models of every size."""
    yield (
        "| parameters | train, tokens/s | of the peak | GB | write, tokens/s | of the bytes | GB | "
        "score, tokens/s | of the peak | GB |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    kind = "bfloat16" if card.device.type == "cuda" else "float32"
    length = 32 if card.small else LENGTH
    for size in list(SIZES)[: 1 if card.small else None]:
        model = network(size, card.device)
        count = sum(p.numel() for p in model.parameters())
        batch, steps = (4, 2) if card.small else (16 if count > 5e8 else 64, 4)
        texts = texts_of(size, batch * steps, length)
        plan = OptimisationConfig(steps=steps, batch_size=batch, learning_rate=1e-4)
        card.peak()

        def learn(model=model, texts=texts, plan=plan) -> None:
            train(model, texts, plan, loss_on="text", precision=kind, seed=0, padding=0)

        rare = np.zeros(SIZES[size][-1], bool)

        def test(model=model, texts=texts, batch=batch, rare=rare) -> None:
            score(model, texts, padding=0, batch_size=batch, precision=kind, rare=rare)

        # an operation is a product or a sum: two for each weight that a token meets, and twice
        # that again for the gradients; attention comes on top, and is not counted
        tokens = batch * steps * length
        took = card.seconds(learn, 1)
        cells = [f"{tokens / took:,.0f}", f"{6 * count * tokens / took / card.ceilings.half:.0%}"]
        cells.append(f"{card.peak() / 1e9:.1f}")
        prompts = [" ".join(map(str, range(4, 20)))] * (8 if card.small else 512)
        made = 8 if card.small else 128
        settings = SamplingConfig(max_new_tokens=made, batch_size=len(prompts))
        words = tokenizer_of(SIZES[size][-1])
        took = card.seconds(
            lambda model=model, words=words, prompts=prompts, settings=settings: (
                sample(model, words, prompts, settings, np.random.default_rng(0)) and None
            ),
            1,
        )
        read = 2 * count * made / took / card.ceilings.bytes
        cells += [f"{len(prompts) * made / took:,.0f}", f"{read:.0%}", f"{card.peak() / 1e9:.1f}"]
        took = card.seconds(test, 1)
        cells += [f"{tokens / took:,.0f}", f"{2 * count * tokens / took / card.ceilings.half:.0%}"]
        cells.append(f"{card.peak() / 1e9:.1f}")
        yield f"| {count:,} | {' | '.join(cells)} |"
        del model
        gc.collect()


def written(
    model: PreTrainedModel, longest: int, count: int, places: int, engine: str
) -> list[Completion]:
    """Let a model write texts, each token of which ends its text with one probability."""
    vocabulary = model.config.vocab_size
    prompts = [tuple(range(4, 5 + i % 16)) for i in range(count)]
    settings = SamplingConfig.model_validate(
        {"max_new_tokens": longest, "batch_size": places, "engine": engine}
    )
    # random weights draw nearly any token alike, so that so large a part of them ends a text
    ends = range(4, vocabulary, longest // 10)
    words = tokenizer_of(vocabulary)
    return sample_after(model, words, prompts, settings, np.random.default_rng(0), ends=ends)


def engines(card: Card) -> Iterator[str]:
    """Let both engines write texts that end at very different lengths, on average at a tenth."""
    yield "| parameters | places | tokens a text | batches, tokens/s | continuous | ratio | same |"
    yield "|---|---|---|---|---|---|---|"
    longest, count = (40, 32) if card.small else (200, 512)
    for size in list(SIZES)[:1] if card.small else list(SIZES)[1:]:
        model = network(size, card.device).eval()
        parameters = sum(p.numel() for p in model.parameters())
        for places in (8,) if card.small else (32, 128):
            found, rates = [], []
            for engine in ("batches", "continuous"):
                write = functools.partial(written, model, longest, count, places, engine)
                found.append(write())
                tokens = sum(len(text.tokens) for text in found[-1])
                rates.append(tokens / card.seconds(write, 1))
            same = np.mean([one == other for one, other in zip(*found, strict=True)])
            yield (
                f"| {parameters:,} | {places} | {tokens / count:.0f} of {longest} | "
                f"{rates[0]:,.0f} | {rates[1]:,.0f} | {rates[1] / rates[0]:.2f} | {same:.0%} |"
            )
        del model
        gc.collect()


def precisions(card: Card) -> Iterator[str]:
    """Compare losses of training in bfloat16 with those in float32."""
    yield "| precision | loss before | after 30 steps | difference from float32 |"
    yield "|---|---|---|---|"
    corpus = load(MarkovCorpus(language=1, name="language", completion_words=24), 0)
    tokenizer = train_tokenizer([corpus], "words", 0)
    texts = encode(tokenizer, corpus.train, 64)
    tests = encode(tokenizer, corpus.test, 64)
    padding, size = marks_of(tokenizer).padding, "0.2 M"
    plan = OptimisationConfig(steps=3 if card.small else 30, batch_size=16, learning_rate=1e-3)
    rare = np.zeros(len(tokenizer), bool)
    first = None
    for kind in ("float32", "bfloat16"):
        model = network(size, card.device)
        model.resize_token_embeddings(len(tokenizer))

        def loss(model=model, kind=kind) -> float:
            found = score(model, tests, padding=padding, batch_size=64, precision=kind, rare=rare)
            return float(np.asarray(found.loss).mean())

        before = loss()
        train(model, texts, plan, loss_on="text", precision=kind, seed=0, padding=padding)
        after = loss()
        first = after if first is None else first
        yield f"| {kind} | {before:.4f} | {after:.4f} | {after - first:+.4f} |"


def together(card: Card) -> Iterator[str]:
    """Train several tiny models in one step, and one after the other."""
    yield "| K | one by one, ms per step | together | ratio | asked |"
    yield "|---|---|---|---|---|"
    size, steps = "0.2 M", 2 if card.small else 20
    plan = OptimisationConfig(steps=steps, batch_size=16, learning_rate=1e-3)
    kind = "bfloat16" if card.device.type == "cuda" else "float32"
    for count in (2,) if card.small else (2, 4, 8):
        models = [network(size, card.device) for _ in range(count)]
        texts = [texts_of(size, 16 * steps, 32) for _ in range(count)]

        def apart(models=models, texts=texts) -> None:
            for model, own in zip(models, texts, strict=True):
                train(model, own, plan, loss_on="text", precision=kind, seed=0, padding=0)

        def whole(models=models, texts=texts, count=count) -> None:
            train_together(
                models, texts, plan,
                loss_on="text", precision=kind, seeds=range(count), padding=0,
            )  # fmt: skip

        one, all_of_them = card.seconds(apart) / steps, card.seconds(whole) / steps
        asked = "3" if count == 8 else ""
        times = f"{1e3 * one:.1f} | {1e3 * all_of_them:.1f} | {one / all_of_them:.1f}"
        yield f"| {count} | {times} | {asked} |"


SECTIONS = {
    "The GPU's numbers against the processor's": numbers,
    "Sweeps and simulations": simulations,
    "Random bits": random_bits,
    "Language models": language_models,
    "Texts that end at different lengths": engines,
    "bfloat16 against float32": precisions,
    "Models together": together,
}


def main() -> None:
    """Run every section, and write the table after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="in small, also without a GPU")
    parser.add_argument("--minutes", type=float, default=7.5, help="begin no section after these")
    parser.add_argument("--out", type=Path, help="folder of the table")
    args = parser.parse_args()
    if not (torch.cuda.is_available() or args.small):
        raise SystemExit("there is no GPU here; --small runs the same in small on the processor")
    warnings.filterwarnings("ignore")
    transformers.utils.logging.set_verbosity_error()
    began, card = time.monotonic(), Card(args.small)
    name = torch.cuda.get_device_name() if card.device.type == "cuda" else "cpu, in small"
    half, double, copied = card.ceilings
    lines = [
        f"# {name}",
        "",
        f"{describe()}; torch {torch.__version__}, transformers {transformers.__version__}",
        "",
        f"Measured ceilings: {half / 1e12:,.1f} TFLOP/s in bfloat16, {double / 1e12:,.2f} in "
        f"float64, a copy {copied / 1e12:,.2f} TB/s. Shares below are of these.",
    ]
    for title, section in SECTIONS.items():
        lines += ["", f"## {title}", ""]
        if time.monotonic() - began > 60 * args.minutes:
            lines.append("Not begun: the time was up.")
        else:
            try:
                for line in section(card):
                    lines.append(line)
                    print(line, flush=True)
            except Exception as error:  # the others are measured all the same
                said = " ".join(str(error).split())[:300]
                lines += ["", f"Failed: {type(error).__name__}: {said}"]
                print(lines[-1], flush=True)
            lines.append(f"\n{time.monotonic() - began:.0f} s since the beginning.")
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            file = f"gpu-{name.replace(', ', '-').replace(' ', '-').lower()}.md"
            (args.out / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
