"""Language models: tokens per second, all models in one step, and a plain loop beside ours.

    python -m benchmarks.llm [--quick] [--sizes tiny,small] [--device cpu] [--out FILE]

All in one process, one after the other. The plain loop is what one would write first: a
transformers Trainer per model, generate prompt by prompt, a loss text by text, on the same data.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from benchmarks.machine import describe
from commensal.llm.config import OptimisationConfig, SamplingConfig, ScratchModel
from commensal.llm.corpora import Corpus, MarkovCorpus, load
from commensal.llm.measures.scoring import rare_tokens, score
from commensal.llm.models.loading import architecture
from commensal.llm.models.sampling import sample
from commensal.llm.models.tokens import encode, marks_of, train_tokenizer
from commensal.llm.models.training import train
from commensal.llm.models.training_vmapped import train_together

BATCH = {"tiny": 16, "small": 16, "medium": 16}


def seconds_of(run: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """The best of so many, after one that warms up."""
    run()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times)


class Generation:
    """Data, tokenizer and models of one size."""

    def __init__(self, size: str, models: int, device: torch.device) -> None:
        languages = [
            MarkovCorpus(language=k, name=f"language{k}", completion_words=24)
            for k in range(models)
        ]
        self.corpora: list[Corpus] = [load(language, 0) for language in languages]
        self.tokenizer = train_tokenizer(self.corpora, "words", 0)
        self.padding = marks_of(self.tokenizer).padding
        self.device = device
        torch.manual_seed(0)
        config = architecture(ScratchModel.model_validate({"size": size}), self.tokenizer)
        self.models = [AutoModelForCausalLM.from_config(config).to(device) for _ in range(models)]
        self.texts = [encode(self.tokenizer, c.train, 64) for c in self.corpora]
        self.tests = [encode(self.tokenizer, c.test, 64) for c in self.corpora]

    @property
    def length(self) -> int:
        return len(self.texts[0][0].tokens)

    def train(self, plan: OptimisationConfig, models: int) -> None:
        for k in range(models):
            train(
                self.models[k], self.texts[k], plan,
                loss_on="text", precision="auto", seed=k, padding=self.padding,
            )  # fmt: skip

    def train_together(self, plan: OptimisationConfig, models: int) -> None:
        train_together(
            self.models[:models], self.texts[:models], plan,
            loss_on="text", precision="auto", seeds=range(models), padding=self.padding,
        )  # fmt: skip

    def generate(self, count: int, batch: int) -> None:
        prompts = [e.prompt for e in self.corpora[0].train[:count]]
        settings = SamplingConfig(max_new_tokens=25, batch_size=batch)
        sample(self.models[0], self.tokenizer, prompts, settings, np.random.default_rng(0))

    def score(self, count: int) -> None:
        rare = rare_tokens(self.texts[0], len(self.tokenizer), 0.05)
        score(
            self.models[0], self.texts[0][:count],
            padding=self.padding, batch_size=64, precision="auto", rare=rare,
        )  # fmt: skip


def plain_generation(stage: Generation, steps: int, count: int, tested: int) -> float:
    """A generation of all models as one would first write it; seconds."""
    began = time.perf_counter()
    for k, model in enumerate(stage.models):
        rows = [{"input_ids": list(e.tokens), "labels": list(e.tokens)} for e in stage.texts[k]]
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder, max_steps=steps, per_device_train_batch_size=BATCH["tiny"],
                report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
                use_cpu=stage.device.type == "cpu", dataloader_pin_memory=False,
                learning_rate=1e-3,
            )  # fmt: skip
            Trainer(model, arguments, train_dataset=rows).train()  # pyright: ignore
        model.eval()
        for example in stage.corpora[k].train[:count]:
            ids = stage.tokenizer(example.prompt, return_tensors="pt").to(stage.device)
            with torch.no_grad():
                model.generate(
                    input_ids=ids["input_ids"], attention_mask=ids["attention_mask"],
                    do_sample=True, max_new_tokens=25, pad_token_id=stage.padding,
                )  # fmt: skip
        for texts in stage.tests:
            for example in texts[:tested]:
                tokens = torch.tensor([example.tokens], device=stage.device)
                with torch.no_grad():
                    model(input_ids=tokens, labels=tokens).loss.item()
    return time.perf_counter() - began


def our_generation(stage: Generation, steps: int, count: int, tested: int) -> float:
    """The same with commensal; seconds."""
    began = time.perf_counter()
    stage.train(OptimisationConfig(steps=steps, batch_size=BATCH["tiny"]), len(stage.models))
    for k, model in enumerate(stage.models):
        prompts = [e.prompt for e in stage.corpora[k].train[:count]]
        settings = SamplingConfig(max_new_tokens=25)
        sample(model, stage.tokenizer, prompts, settings, np.random.default_rng(0))
        rare = rare_tokens(stage.texts[k], len(stage.tokenizer), 0.05)
        for texts in stage.tests:
            score(
                model, texts[:tested],
                padding=stage.padding, batch_size=64, precision="auto", rare=rare,
            )  # fmt: skip
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--sizes", default="tiny,small")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.utils.logging.set_verbosity_error()
    device = torch.device(args.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    steps, count, repeats = (3, 32, 1) if args.quick else (20, 512, 3)
    lines = [
        "# Language models",
        "",
        f"{describe()}; torch {torch.__version__} on {name}, {torch.get_num_threads()} threads, "
        f"transformers {transformers.__version__}",
        "",
        "Thousands of tokens per second; texts of 30 tokens, batches of 16 (training), 128 "
        "(generation), 64 (scoring).",
        "",
        "| size | train | generate | one prompt at a time | score |",
        "|---|---|---|---|---|",
    ]
    for size in args.sizes.split(","):
        stage = Generation(size, 1, device)
        plan = OptimisationConfig(steps=steps, batch_size=BATCH[size])
        trained = (
            plan.examples
            * stage.length
            / seconds_of(lambda s=stage, p=plan: s.train(p, 1), device, repeats)
        )
        made = count * 25 / seconds_of(lambda s=stage: s.generate(count, 128), device, repeats)
        few = max(count // 32, 4)
        alone = few * 25 / seconds_of(lambda s=stage, n=few: s.generate(n, 1), device, 1)
        scored = count * stage.length / seconds_of(lambda s=stage: s.score(count), device, repeats)
        cells = " | ".join(f"{x / 1e3:.1f}" for x in (trained, made, alone, scored))
        lines.append(f"| {size} | {cells} |")
    lines += ["", "All models in one step (`training.together`) against one after the other:", ""]
    lines += ["| size | K | one by one, ms per step | together | ratio |", "|---|---|---|---|---|"]
    for size in args.sizes.split(","):
        stage = Generation(size, 2 if args.quick else 8, device)
        for k in (2,) if args.quick else (2, 4, 8):
            plan = OptimisationConfig(steps=steps, batch_size=BATCH[size])
            apart = seconds_of(lambda s=stage, k=k, p=plan: s.train(p, k), device, repeats)
            whole = seconds_of(lambda s=stage, k=k, p=plan: s.train_together(p, k), device, repeats)
            lines.append(
                f"| {size} | {k} | {apart / steps * 1e3:.1f} | {whole / steps * 1e3:.1f} | "
                f"{apart / whole:.2f}x |"
            )
    stage = Generation("tiny", 2, device)
    settings = (3, 8, 8) if args.quick else (50, 256, 100)
    ours = copy.deepcopy(stage)
    our_generation(ours, 2, 8, 8)
    ours_seconds = our_generation(ours, *settings)
    plain_generation(stage, 2, 2, 2)
    plain_seconds = plain_generation(stage, *settings)
    lines += [
        "",
        f"A whole generation of two tiny models ({settings[0]} steps, {settings[1]} completions, "
        f"{settings[2]} tests per task): plain loop {plain_seconds:.1f} s, commensal "
        f"{ours_seconds:.2f} s, ratio {plain_seconds / ours_seconds:.1f}x.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
