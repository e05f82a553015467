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
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import torch
import transformers
import xarray as xr
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.machine import describe
from commensal.llm.config import OptimisationConfig, SamplingConfig
from commensal.llm.corpora import MarkovCorpus, load
from commensal.llm.measures.scoring import score
from commensal.llm.models.sampling import Completion, sample, sample_after
from commensal.llm.models.tokens import Encoded, encode, marks_of, train_tokenizer
from commensal.llm.models.training import train
from commensal.llm.models.training_vmapped import train_together
from commensal.sims import gaussian, mixture
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
        with jax.default_device(processor):
            there = run()
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


def simulations(card: Card) -> Iterator[str]:
    """Time sweeps, lineages and mixtures."""
    yield "| what | time | rate | asked |"
    yield "|---|---|---|---|"
    points, total = (11, 0.0) if card.small else (101, 0.0)
    for models in (2, 8) if card.small else (2, 4, 8, 16, 32):
        w, axis = sweep_of(models, points)
        took = card.seconds(lambda w=w, axis=axis: regression.grid(w, axis, axis))
        total += took
        rate = points**2 / took
        yield f"| sweep, K = {models}, {points}² cells | {took:.3f} s | {rate:,.0f} cells/s | |"
    yield f"| all of them | {total:.3f} s | | 0.1 s |"
    replicates = 10_000 if card.small else 4_000_000
    config = gaussian.GaussianConfig(
        samples=100, generations=100, replicates=replicates, record=(100,), chunk=replicates
    )
    took = card.seconds(lambda: gaussian.simulate(config))
    rate = 100 * replicates / took
    what = f"{took:.3f} s | {rate:.2e} lineage-generations/s"
    yield f"| Gaussian lineages, n = 100, d = 1 | {what} | 1e9 |"
    # a lineage is read and written once a generation if each step is a kernel of its own
    share = 16 * rate / card.ceilings.bytes
    yield f"| the same as bytes of state | | {share:.1%} of a copy's rate | |"
    runs = 20 if card.small else 2000
    system = mixture.MixtureConfig(
        models=8, generations=200, replicates=runs, kernel="xla", record=(200,)
    )
    took = card.seconds(lambda: mixture.simulate(system))
    yield f"| mixtures, K = 8 | {took:.3f} s | {200 * runs / took:,.0f} run-generations/s | |"


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


def apart(
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
                write = functools.partial(apart, model, longest, count, places, engine)
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
