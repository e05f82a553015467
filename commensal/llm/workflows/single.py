"""One model that trains on its own output, with one of three ways to keep past data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from commensal.llm.config import GridPoint, SingleConfig, TrainingConfig
from commensal.llm.corpora import Example
from commensal.llm.generation import Generation
from commensal.llm.workflows.interactive import Drawn, Pools, measure, mixture, train_on_drawn


class Single:
    """The single workflow: replace, accumulate, or accumulate and subsample.

    ``replace`` trains generation t on what generation t - 1 wrote alone (Shumailov et al. 2024);
    ``accumulate`` on the real data and on all that was ever written, with steps in proportion
    (Gerstgrasser et al. 2024); ``accumulate_subsample`` on a sample of that of the first size
    (Kazdan et al. 2025).

    Parameters
    ----------
    config : SingleConfig
    """

    def __init__(self, config: SingleConfig) -> None:
        self.config = config

    def models(self, point: GridPoint) -> int:
        """Return 1, as there is one model."""
        return 1

    def reads_web(self, point: GridPoint) -> bool:
        """Return True, as every memory uses what the model wrote."""
        return True

    def make(self, generation: Generation) -> None:
        """Draw, train, measure, write."""
        train_on_drawn(generation, self.draw)
        measure(generation)

    def draw(
        self, point: GridPoint, generation: int, pools: Pools, rng: np.random.Generator
    ) -> Drawn:
        """Draw real data at first; later call the method that is named as the memory."""
        if generation == 0:
            return Drawn(mixture(*self._real(pools), _count(self.config.first_training), rng))
        memory: Memorised = getattr(self, str(point.coordinates["memory"]))
        return memory(generation, pools, _count(self.config.training), rng)

    def replace(self, generation: int, pools: Pools, count: int, rng: np.random.Generator) -> Drawn:
        """Draw from what the generation before wrote, alone."""
        return Drawn(mixture([pools.web(generation - 1)], [1.0], count, rng))

    def accumulate(
        self, generation: int, pools: Pools, count: int, rng: np.random.Generator
    ) -> Drawn:
        """Take the real data and all that was written since, with steps in proportion."""
        everything = [*mixture(*self._real(pools), count, rng), *_written(generation, pools)]
        return Drawn(everything, passes=max(1, round(len(everything) / count)))

    def accumulate_subsample(
        self, generation: int, pools: Pools, count: int, rng: np.random.Generator
    ) -> Drawn:
        """Draw from the real data and all that was written since, in a sample of fixed size."""
        sources, weights = self._real(pools)
        sources, weights = [*sources, _written(generation, pools)], [*weights, float(generation)]
        return Drawn(mixture(sources, weights, count, rng))

    def _real(self, pools: Pools) -> tuple[list[Sequence[Example]], list[float]]:
        """Return the sources of real data, and their weights."""
        return [pools.private, pools.public], [self.config.beta, 1 - self.config.beta]


Memorised = Callable[[int, Pools, int, np.random.Generator], Drawn]


def _count(training: TrainingConfig) -> int:
    return training.examples_drawn or training.examples


def _written(generation: int, pools: Pools) -> list[Example]:
    """Collect the texts of all generations before."""
    return [example for t in range(generation) for example in pools.web(t)]
