"""Memory of a model with a large vocabulary: scoring in parts, checkpoints, adapters.

    python -m benchmarks.llm_memory [--quick] [--out FILE]

Each row is a process of its own, whose peak resident memory is read when it ends, less that of a
process that only builds the model. What it should be by counting stands beside it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.machine import describe

WIDTH, LAYERS, HEADS, LENGTH, BATCH = 256, 8, 4, 256, 16


def row(stage: str, setting: str, vocabulary: int) -> None:
    """Do one thing, and print seconds, peak memory and what was trained as JSON."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from commensal.llm.config import LoraConfig, OptimisationConfig
    from commensal.llm.measures.scoring import score
    from commensal.llm.models.pretrained import add_adapters, trainable
    from commensal.llm.models.tokens import Encoded
    from commensal.llm.models.training import train

    torch.manual_seed(0)
    shape = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        vocab_size=vocabulary,
        max_position_embeddings=LENGTH,
        tie_word_embeddings=True,
    )
    model = AutoModelForCausalLM.from_config(shape)
    if setting == "adapters":
        add_adapters(model, LoraConfig(rank=8), 0)
    rng = np.random.default_rng(0)
    texts = [Encoded(tuple(rng.integers(vocabulary, size=LENGTH)), 1) for _ in range(BATCH)]
    memory = 0.5 if setting != "all at once" else 1e6
    began = time.perf_counter()
    if stage == "score":
        rare = np.zeros(vocabulary, bool)
        score(
            model,
            texts,
            padding=0,
            batch_size=BATCH,
            precision="float32",
            rare=rare,
            logits_memory=memory,
        )
    if stage == "train":
        plan = OptimisationConfig(
            steps=1,
            batch_size=BATCH,
            logits_memory=memory,
            checkpointing=setting in ("checkpoints", "adapters"),
        )
        train(model, texts, plan, loss_on="text", precision="float32", seed=0, padding=0)
    seconds = time.perf_counter() - began
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    learnt = sum(p.numel() for p in trainable(model).values())
    print(json.dumps({"seconds": seconds, "peak": peak, "learnt": learnt}))


def main() -> None:
    """Measure every row, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--row", nargs=2)
    given = parser.parse_args()
    vocabulary = 8_000 if given.quick else 128_256
    if given.row:
        stage, setting = given.row
        row(stage, setting, vocabulary)
        return
    rows = [("build", "")] + [("score", s) for s in ("all at once", "parts of 0.5 GB")]
    rows += [("train", s) for s in ("all at once", "parts of 0.5 GB", "checkpoints", "adapters")]
    found = {}
    for one in rows:
        command = [sys.executable, "-m", "benchmarks.llm_memory", "--row", *one]
        done = subprocess.run(
            command + ["--quick"] * given.quick, capture_output=True, text=True, check=True
        )
        found[one] = json.loads(done.stdout.splitlines()[-1])
    nothing = found.pop(("build", ""))["peak"]
    logits = 4 * BATCH * LENGTH * vocabulary / 1e9
    lines = [
        "# Memory of a large vocabulary",
        "",
        f"{BATCH} texts of {LENGTH} tokens, vocabulary {vocabulary:,}, {LAYERS} layers of width "
        f"{WIDTH}; one copy of all logits in float32 takes {logits:.2f} GB. Peak resident memory "
        "less that of building the model.",
        "",
        "| stage | setting | parameters trained | GB | seconds |",
        "|---|---|---|---|---|",
    ]
    for (stage, setting), one in found.items():
        learnt = f"{one['learnt']:,}" if stage == "train" else ""
        gigabytes = (one["peak"] - nothing) / 1e9
        lines.append(f"| {stage} | {setting} | {learnt} | {gigabytes:.2f} | {one['seconds']:.1f} |")
    text = "\n".join([*lines, "", describe(), ""])
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
