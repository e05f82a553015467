"""Simulate models that repeat words over many generations and replicates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from commensal.sims._keys import check_key, stream
from commensal.sims._simulate import Arrays, Plan, Progress, carry_out, origin
from commensal.sims.words._config import WordsConfig
from commensal.sims.words._process import batch_width, prepared, run, run_keys

PAPER = "commensal, extends Suresh et al., arXiv 2412.17646"
_LONG = {
    "richness": "words in the text",
    "heterozygosity": "chance that two tokens are different words",
}


def simulate(
    config: WordsConfig | None = None,
    key: PRNGKeyArray | None = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    """Run K models that are fitted to the words of what models wrote, and write the next text.

    Parameters
    ----------
    config : WordsConfig or None
        Settings; None for the defaults.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    progress : callable or None
        Called as ``progress(done, total)`` at the start and after each chunk of replicates.
    out : path or None
        A NetCDF file to write. With it the simulation is resumable: finished chunks wait in
        ``<out>.partial`` until all are done, and a finished file is read, not computed anew.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.

    Returns
    -------
    xarray.Dataset
        Runs, dimensions (replicate, generation), from generation 1 on: ``richness``, the number of
        words in what all models wrote, int64, and ``heterozygosity``, the chance that two of its
        tokens are different words, float64. ``model_...`` (..., model) are of what each model
        wrote, ``pool_...`` of all that is kept for the next models. ``survivors`` (replicate, word)
        are the words that are in the last generation's text, and ``law`` (word) or (model, word)
        has the humans' frequencies.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.
    OutputFileError
        If ``out`` cannot be written, or holds something else. It is a ValueError.

    Notes
    -----
    Humans write the first corpus, K n tokens. In each later generation a token is a human's with
    probability h; otherwise it is a copy of a token that was chosen at random from what its writer
    reads: the last corpus, or all so far, of the models that it reads. So counts are multinomial
    with the frequencies of what was read, exactly. Memory "accumulate" keeps K n T tokens for each
    run of a batch.

    Replicate r has a key of its own, number r of those that follow from ``key``: no number depends
    on ``chunk``, on the cores, or on how many replicates follow, and the first generations of a
    longer run are those of a shorter one.

    Examples
    --------
    >>> runs = simulate(WordsConfig(words=100, tokens=300, replicates=3, generations=4))
    >>> dict(runs.sizes)
    {'replicate': 3, 'generation': 4, 'model': 1, 'word': 100}
    >>> bool((runs.richness.diff("generation") <= 0).all())
    True
    """
    config = config or WordsConfig()
    key = check_key(config.seed, key)
    width = batch_width(config)
    rules, numbers = prepared(config, np.arange(config.replicates))
    with jax.enable_x64(True):
        keys = np.asarray(run_keys(stream(key, "words"), numbers.run))

    def batch(start: int) -> Arrays:
        # the last one is filled up: another width would be compiled anew
        at = np.minimum(np.arange(start, start + width), config.replicates - 1)
        # settings are the thread's own
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            mine = numbers._replace(run=numbers.run[at])
            seen, left = run(keys[at], mine, rules=rules, generations=config.generations)
            named = {k: np.asarray(x).swapaxes(0, 1) for k, x in seen._asdict().items()}
            return named | {"survivors": np.asarray(left)}

    plan = Plan("words", config, key, width, batch, lambda found: as_dataset(config, key, found))
    return carry_out(plan, progress, out, overwrite)


def as_dataset(config: WordsConfig, key: PRNGKeyArray, found: Arrays) -> xr.Dataset:
    """Make a dataset of all runs."""
    whose = {"": "of all models", "model_": "of each model", "pool_": "of all that is kept"}
    dims = ("replicate", "generation", "model")
    variables: dict[str, Any] = {}
    for prefix, of in whose.items():
        for name, long in _LONG.items():
            values = found[prefix + name]
            told = {"long_name": f"{long}, {of}", "units": "1"}
            variables[prefix + name] = (dims[: values.ndim], values, told)
    told = {"long_name": "whether a word is in the last generation's text", "units": "1"}
    variables["survivors"] = (("replicate", "word"), found["survivors"], told)
    laws = config.laws
    told = {"long_name": "frequency of a word among humans", "units": "1"}
    variables["law"] = (
        (("model", "word"), laws, told) if config.dialects else (("word",), laws[0], told)
    )
    coords = {
        "replicate": np.arange(config.replicates),
        "generation": np.arange(1, config.generations + 1),
        "model": np.arange(config.models),
    }
    return xr.Dataset(variables, coords, origin(PAPER, config, key))
