"""Small runs that tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commensal.llm.config import EvolutionConfig, InteractiveConfig, SegmentedConfig, SingleConfig

SMALL: dict[str, Any] = {
    "model": {
        "kind": "scratch",
        "context": 24,
        "pretraining": {"steps": 5, "batch_size": 8, "learning_rate": 3e-3},
    },
    "training": {"steps": 4, "batch_size": 4, "learning_rate": 1e-3},
    "sampling": {"max_new_tokens": 9, "count": 12},
    "measurement": {"prompts": 6},
    "generations": 2,
}


def files_of(path: Path, *, weights: bool = False) -> dict[str, bytes]:
    """Return what a run has measured and written, by default without weights, which it lets go."""
    kept = {".parquet", ".gz", ".npy", *([".safetensors"] if weights else [])}
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.suffix in kept}


def language(number: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": "markov",
        "name": f"language{number}",
        "language": number,
        "vocabulary": 24,
        "successors": 4,
        "prompt_words": 3,
        "completion_words": 8,
        "train": 40,
        "test": 10,
        **more,
    }


def interactive(**more: Any) -> InteractiveConfig:
    settings = {"public": language(0), "tasks": [language(1), language(2)], "alpha": [0, 0.5]}
    return InteractiveConfig.model_validate(SMALL | settings | more)


def single(**more: Any) -> SingleConfig:
    return SingleConfig.model_validate(
        SMALL | {"workflow": "single", "public": language(0), "tasks": [language(1)]} | more
    )


def evolution(**more: Any) -> EvolutionConfig:
    settings = {
        "workflow": "evolution",
        "public": language(0),
        "tasks": [language(1)],
        "arms": [
            {"population": 1},
            {"population": 4},
            {"population": 4, "selection": "none", "reads": "pooled"},
        ],
        "questions": {"kind": "made-up", "count": 24, "wrong": "text", "words": 2},
        "least_tokens": 2,
    }
    return EvolutionConfig.model_validate(SMALL | settings | more)


def segmented(**more: Any) -> SegmentedConfig:
    settings: dict[str, Any] = {
        "workflow": "segmented",
        "public": language(0),
        "tasks": [language(1)],
        "models": [1, 2],
        "block": 6,
        "blocks": 8,
        "validation": 4,
        "epochs": 2,
        "training": {"batch_size": 4, "learning_rate": 1e-3},
    }
    return SegmentedConfig.model_validate(SMALL | settings | more)
