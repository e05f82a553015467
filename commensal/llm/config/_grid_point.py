"""The points of a run's grid."""

from __future__ import annotations

from typing import NamedTuple


def named(name: str, replicate: int) -> str:
    """Return the name of a folder with its replicate, which the first one does not say.

    Examples
    --------
    >>> named("alpha=1", 0), named("alpha=1", 2)
    ('alpha=1', 'alpha=1,replicate=2')
    """
    return f"{name},replicate={replicate}" if replicate else name


class GridPoint(NamedTuple):
    """One point of a run's grid.

    Examples
    --------
    >>> from commensal.llm.presets import read_config
    >>> [point.name for point in read_config("demo").grid()][:2]
    ['alpha=0,beta=0', 'alpha=0.5,beta=0']
    """

    name: str
    """Name of the point's folder."""
    coordinates: dict[str, float | str]
    """Values of the point's columns in the table of metrics."""
    start: str
    """Folder of generation 0, which grid points may share."""
    seed: int
    """Seed of everything drawn at this point: texts, their order, samples. Base model and corpora
    depend on the run's seed, and on the replicate where that has its own."""

    @property
    def replicate(self) -> int:
        """Number of the replicate."""
        return int(self.coordinates.get("replicate", 0))
