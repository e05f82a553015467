"""Gram matrices of a run's datasets, from the hidden states of its base model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal.pairing._curves import RunSystem

if TYPE_CHECKING:
    from commensal.llm.config import GridPoint, InteractiveConfig
    from commensal.llm.corpora import Example
    from commensal.llm.resources import RunResources


class FeatureMoments(NamedTuple):
    """Moments of the features of one dataset, per token."""

    mean: Float[np.ndarray, "hidden"]
    second: Float[np.ndarray, "hidden hidden"]


def whitened(
    real: Sequence[FeatureMoments], others: Sequence[FeatureMoments], dim: int
) -> tuple[Float[np.ndarray, "real d d"], Float[np.ndarray, "others d d"], float]:
    """Return Gram matrices per token in the principal directions of the real datasets' features.

    Parameters
    ----------
    real : sequence of FeatureMoments
        Pooled with equal weights: their mean is the centre, and the mean of their Gram matrices
        the identity.
    others : sequence of FeatureMoments
        Seen in the same coordinates.
    dim : int
        d, how many directions.

    Returns
    -------
    (Float[numpy.ndarray, "real d d"], Float[numpy.ndarray, "others d d"], float)
        And the share of the pooled variance that lies in these directions.

    Raises
    ------
    ValueError
        If the features have fewer directions.

    Examples
    --------
    >>> a, b = (FeatureMoments(np.array([m, 0.0]), np.diag([m**2 + 1.0, 4.0])) for m in (-1.0, 1.0))
    >>> real, others, share = whitened([a, b], [b], dim=2)
    >>> real.mean(axis=0).round(12), share
    (array([[1., 0.],
           [0., 1.]]), 1.0)
    """
    centre = np.mean([m.mean for m in real], axis=0)

    def centred(m: FeatureMoments) -> np.ndarray:
        across = np.outer(m.mean, centre)
        return m.second - across - across.T + np.outer(centre, centre)

    values, vectors = np.linalg.eigh(np.mean([centred(m) for m in real], axis=0))
    values, vectors = values[::-1], vectors[:, ::-1]
    known = int((values > 1e-10 * values[0]).sum()) if values[0] > 0 else 0
    if not 1 <= dim <= known:
        raise ValueError(
            f"dim must lie between 1 and {known}, the directions in which the features vary, "
            f"got {dim}"
        )
    axes = vectors[:, :dim] / np.sqrt(values[:dim])

    def gram(m: FeatureMoments) -> np.ndarray:
        found = axes.T @ centred(m) @ axes
        return (found + found.T) / 2

    share = float(values[:dim].sum() / values.clip(0).sum())
    nothing = np.zeros((0, dim, dim))
    return (
        np.stack([gram(m) for m in real]),
        np.stack([gram(m) for m in others]) if others else nothing,
        share,
    )


def truths_about(models: int, base_knows_public: bool) -> Float[np.ndarray, "datasets datasets"]:
    """Return the covariance of the datasets' true parameters about the base.

    Every dataset has a true parameter of its own, all alike and independent. A base that was
    pretrained on the public data is at theirs, so that the others, seen from it, have a
    correlation of one half; any other base is taken for the point that all lie around.

    Examples
    --------
    >>> truths_about(2, base_knows_public=True)
    array([[1. , 0.5, 0. ],
           [0.5, 1. , 0. ],
           [0. , 0. , 0. ]])
    """
    if not base_knows_public:
        return np.eye(models + 1)
    out = (np.eye(models + 1) + 1) / 2
    out[-1] = out[:, -1] = 0
    return out


def system_of(
    folder: Path,
    config: InteractiveConfig,
    points: Sequence[GridPoint],
    *,
    dim: int,
    layer: int,
    texts: int,
    progress: Callable[[float, float], None] | None = None,
) -> tuple[RunSystem, float]:
    """Return the theory's inputs from a run, and the share of variance in its d directions."""
    from commensal.llm.models.tokens import written_in
    from commensal.llm.opening import open_resources
    from commensal.llm.records.directory import RunDirectory

    resources = open_resources(folder, config, config.resources_of(points[0]))
    written: dict[str, list[list[Example]]] = {}
    for start in dict.fromkeys(point.start for point in points):
        branch = RunDirectory(folder).branch(start)
        records = branch.samples(0) if branch.finished(0) else []
        web = [
            [r for r in records if r["kind"] == "web" and r["model"] == k][:texts]
            for k in range(len(resources.tasks))
        ]
        written[start] = [[written_in(r) for r in of_model] for of_model in web]
    return system_from(
        resources, config, points, written, dim=dim, layer=layer, texts=texts, progress=progress
    )


def system_from(
    resources: RunResources,
    config: InteractiveConfig,
    points: Sequence[GridPoint],
    written: Mapping[str, Sequence[Sequence[Example]]],
    *,
    dim: int,
    layer: int,
    texts: int,
    progress: Callable[[float, float], None] | None = None,
) -> tuple[RunSystem, float]:
    """Return the same from the texts and the base alone, and from what is ``written`` already.

    ``written`` are texts of each start's models; where there are none, the real texts of the task
    stand for them.
    """
    from commensal.llm.measures.features import hidden_states

    models = range(len(resources.tasks))
    parts: list[Sequence[Example]] = [c.train[:texts] for c in (*resources.tasks, resources.public)]
    where: dict[str, list[int]] = {}
    for start in dict.fromkeys(point.start for point in points):
        where[start] = []
        for k in models:
            web = written[start][k] if start in written else []
            where[start].append(len(parts) if web else k)
            if web:
                parts.append(web)

    def moments(place: int) -> FeatureMoments:
        count, mean, second = 0, np.zeros(1), np.zeros((1, 1))
        for rows in hidden_states(
            resources.base,
            resources.encode(parts[place]),
            padding=resources.padding,
            loss_on=config.training.loss_on,
            layer=layer,
            batch_size=config.measurement.batch_size,
            precision=config.training.precision,
        ):
            count += len(rows)
            mean, second = mean + rows.sum(axis=0), second + rows.T @ rows
        if progress is not None:
            progress(float(place + 1), float(len(parts)))
        if not count:
            raise ValueError(f"the texts of dataset {place + 1} have no tokens to learn")
        return FeatureMoments(mean / count, second / count)

    found = [moments(place) for place in range(len(parts))]
    datasets = len(models) + 1
    real, others, share = whitened(found[:datasets], found[datasets:], dim)
    grams = np.concatenate([real, others])
    alpha, beta = (
        np.array([float(s.coordinates[name]) for s in points]) for name in ("alpha", "beta")
    )
    first = beta if config.initial_beta is None else np.full_like(beta, config.initial_beta)
    system = RunSystem(
        private=real[:-1],
        public=real[-1],
        synthetic=np.stack([grams[where[s.start]] for s in points]),
        alpha=alpha,
        beta=beta,
        initial_beta=first,
        generations=config.generations,
        truths=truths_about(len(models), not config.model.pretrained),
        memory=config.memory,
        window=config.window,
        **_networks(config, points),
        **_humans(config, [len(task.train) for task in resources.tasks]),
    )
    return system, share


def _humans(config: InteractiveConfig, counts: Sequence[int]) -> dict[str, Any]:
    """Return what human texts there are; nothing where there are none.

    Fresh ones are about all tasks in turn; those seen before are drawn from all private texts, of
    which each task has so many.
    """
    if not config.human_share:
        return {}
    each = np.ones(len(counts)) if config.human_texts == "fresh" else np.array(counts, float)
    return {
        "human_share": config.human_share,
        "human_texts": config.human_texts,
        "human_tasks": np.append(each / each.sum(), 0.0),
    }


def _networks(config: InteractiveConfig, points: Sequence[GridPoint]) -> dict[str, Any]:
    """Return the reading networks of grid points; nothing where all read all alike, as usual."""
    names = tuple(str(point.coordinates.get("reads", "")) for point in points)
    if not any(names):
        return {}
    found = {"reads": np.stack([config.network(point) for point in points])}
    return found | ({"networks": names} if len(set(names)) > 1 else {})
