"""A run's trained models as transformers opens them, in a folder or on the Hugging Face Hub.

The module is private, as ``commensal.llm.export`` is the function.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import commensal
from commensal.llm.config import GridPoint, TrainedConfig
from commensal.llm.models.loading import base_of
from commensal.llm.models.pretrained import fill, loaded, merge_adapters
from commensal.llm.records.branch import RunDirectoryError
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of, metrics
from commensal.llm.session import quiet
from commensal.saving import staged, write

_BESIDE = ("config.yaml", "environment.json", "report.html")


class OpenedModels(NamedTuple):
    """Models of one grid point of a run, and the tokenizer that they share."""

    models: list[PreTrainedModel]
    """One for each model of the population, in float32 and for evaluation."""
    tokenizer: PreTrainedTokenizerBase
    generation: int
    """Generation whose weights they have."""


def open_models(
    path: str | Path, point: str | None = None, *, generation: int | None = None
) -> OpenedModels:
    """Open the models that a run has trained, to measure or to prompt them oneself.

    Parameters
    ----------
    path : str or Path
        Folder of the run.
    point : str, optional
        Name of the grid point, such as "alpha=0.5,beta=0"; may be left out where there is one.
    generation : int, optional
        By default the last one whose weights were kept.

    Returns
    -------
    OpenedModels
        On the CPU. Low-rank adapters are merged into the weights.

    Raises
    ------
    RunDirectoryError
        If the folder holds no run that trains models, or no weights of that generation.
    ValueError
        If there is no such grid point, or the base model cannot be loaded.
    """
    directory, config = RunDirectory(Path(path)), config_of(path, TrainedConfig)
    known = {one.name: one for one in config.grid()}
    if point is None and len(known) == 1:
        point = next(iter(known))
    if point not in known:
        raise ValueError(f"name a grid point of the run: {', '.join(map(repr, known))}")
    return _opened(directory, config, known[point], generation)


def kept_generations(path: str | Path) -> dict[str, list[int]]:
    """List the generations whose weights a run has kept, by grid point.

    Parameters
    ----------
    path : str or Path
        Folder of the run.

    Raises
    ------
    RunDirectoryError
        If the folder holds no run that trains models.
    """
    directory, config = RunDirectory(Path(path)), config_of(path, TrainedConfig)
    return {point.name: _kept(directory, config, point) for point in config.grid()}


def _kept(directory: RunDirectory, config: TrainedConfig, point: GridPoint) -> list[int]:
    start, branch = directory.branch(point.start), directory.branch(point.name)
    every = range(config.generations + 1)
    return [t for t in every if (branch if t else start).weights(t, 0).exists()]


def _count(directory: RunDirectory, point: GridPoint, generation: int) -> int:
    """Return the number of models whose weights a generation has kept."""
    branch = directory.branch(point.name if generation else point.start)
    return sum(1 for _ in branch.folder(generation).glob("model-*.safetensors"))


def _opened(
    directory: RunDirectory, config: TrainedConfig, point: GridPoint, generation: int | None
) -> OpenedModels:
    there = _kept(directory, config, point)
    if not there or (generation is not None and generation not in there):
        which = "any generation" if generation is None else f"generation {generation}"
        have = f"it has those of {', '.join(map(str, there))}" if there else "it has none"
        raise RunDirectoryError(
            f"{str(directory.path)!r} has no weights of {which} at {point.name!r}; {have} "
            "(the setting keep says which stay)"
        )
    generation = there[-1] if generation is None else generation
    branch = directory.branch(point.name if generation else point.start)
    branch.check(generation)
    replicate = config.resources_of(point)
    its = config.of_replicate(replicate)
    base, own = base_of(its), directory.bases(replicate)
    models = []
    with quiet():
        if its.model.pretrained:
            tokenizer = base.tokenizer(())[0]
        else:
            tokenizer = loaded(AutoTokenizer.from_pretrained, str(directory.tokenizer(replicate)))
        for model in range(_count(directory, point, generation)):
            network = base.opened(own[model if len(own) > 1 else 0])
            fill(network, branch.weights(generation, model))
            models.append(merge_adapters(network).eval())
    return OpenedModels(models, tokenizer, generation)


def export(
    path: str | Path,
    out: str | Path,
    *,
    hub: str | None = None,
    public: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write a run's last models as folders that transformers opens, and push them to the Hub.

    Beside them are the settings, the metrics, the report if it was written, and a model card.

    Parameters
    ----------
    path : str or Path
        Folder of the run.
    out : str or Path
        New folder.
    hub : str, optional
        Repository of the Hugging Face Hub, "user/name"; made where there is none. By default
        nothing is uploaded.
    public : bool
        Whether a repository that is made is public.
    progress : callable, optional
        Called with the number of models that are written, and of all.

    Returns
    -------
    list of str
        Folders of the models within ``out``.

    Raises
    ------
    RunDirectoryError
        If the folder holds no run that trains models, or no weights.
    ValueError
        If ``out`` exists, or the Hub refuses.
    """
    out = Path(out)
    if out.exists():
        raise ValueError(f"{str(out)!r} exists already; choose another folder")
    directory, config = RunDirectory(Path(path)), config_of(path, TrainedConfig)
    points = [point for point in config.grid() if _kept(directory, config, point)]
    if not points:
        raise RunDirectoryError(f"{str(path)!r} has kept no weights (the setting keep)")
    last = {point.name: _kept(directory, config, point)[-1] for point in points}
    total = sum(_count(directory, point, last[point.name]) for point in points)
    made: list[str] = []
    with staged(out) as folder:
        for point in points:
            found = _opened(directory, config, point, None)
            for number, model in enumerate(found.models, 1):
                its = Path("models", point.name, f"model-{number}")
                model.save_pretrained(folder / its)
                found.tokenizer.save_pretrained(folder / its)
                made.append(str(its))
                if progress is not None:
                    progress(len(made), total)
        for name in _BESIDE:
            if (directory.path / name).is_file():
                shutil.copyfile(directory.path / name, folder / name)
        metrics(path).to_parquet(folder / "metrics.parquet")
        write(folder / "README.md", _card(config, made, hub or out.name).encode())
    if hub is not None:
        _push(out, hub, public)
    return made


def _card(config: TrainedConfig, models: list[str], name: str) -> str:
    """Write the model card: what the models are, and how one is opened."""
    head: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["commensal", "model-collapse", "synthetic-data"],
    }
    if config.model.pretrained:
        head["base_model"] = getattr(config.model, "name", None)
    count = f"{config.generations} generation{'' if config.generations == 1 else 's'}"
    facts = [f"| {what} | {said} |" for what, said in config.training_facts(None)]
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n",
            f"# {name.rpartition('/')[2]}\n",
            "Language models that were trained on each other's output, generation after "
            f"generation: {count} of the workflow "
            f"`{config.workflow_name()}` of commensal {commensal.__version__}. They are the "
            "subject of an experiment, and are not meant to be used.\n",
            "| | |\n|---|---|",
            *facts,
            "",
            "All settings are in `config.yaml` (`commensal llm run config.yaml` computes it "
            "again), measurements in `metrics.parquet`, versions in `environment.json`.\n",
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            f'where = {{"subfolder": "{models[-1]}"}}',
            f'model = AutoModelForCausalLM.from_pretrained("{name}", **where)',
            f'tokenizer = AutoTokenizer.from_pretrained("{name}", **where)',
            "```\n",
            "## Models\n",
            *(f"- `{one}`" for one in models),
            "",
        ]
    )


def _push(folder: Path, hub: str, public: bool) -> None:
    """Upload a folder to the Hub.

    Raises
    ------
    ValueError
        If it refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi()
    try:
        api.create_repo(hub, private=not public, exist_ok=True)
        api.upload_folder(repo_id=hub, folder_path=folder, commit_message="Models of a run")
    except LocalTokenNotFoundError:
        raise ValueError(f"log in to the Hub first: hf auth login; {folder} is written") from None
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        said = " ".join(str(error).split())
        raise ValueError(
            f"the Hub did not take {hub!r}: {said}; {folder} is written: hf upload {hub} {folder}"
        ) from error
