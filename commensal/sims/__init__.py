"""Simulators of the stochastic processes, in JAX, independent of all closed forms.

*Steps.* Each process is three pure functions: ``init(config, key)`` gives a state of one batch of
replicates, ``step(state, key)`` the next one, and ``observe(state)`` what is recorded of it. A
state holds all that a step needs, and goes through ``jax.jit``, ``jax.lax.scan`` and ``jax.vmap``
as it is (in ``with jax.enable_x64(True):``). With one key at every step the numbers are those of
``simulate``, which is a scan over steps.

*Files.* ``simulate(config, out="runs.nc")`` writes a file and keeps finished chunks beside it until
then, so that the same call goes on where a killed one was.

*Seeds.* Each simulator draws from a stream of its own under a seed: what two simulators give with
one seed is independent. A key given in the place of a seed is used in the same way. (The regression
sim and the sweep share the *features* of a seed on purpose, those of :mod:`commensal.designs`.)

*Processes.* JAX runs threads from its first use on. A process that is forked afterwards may wait
for a lock for ever, so start pools of processes by "spawn", which begins each of them anew:

.. code-block:: python

    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    if __name__ == "__main__":  # the new processes import this file
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            runs = list(pool.map(simulate, configs))

One process uses all cores already; a pool pays for many runs that are too small for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.sims import ecosystem, gaussian, mixture, regression, selection, words

__all__ = ["ecosystem", "gaussian", "mixture", "regression", "selection", "words"]

__getattr__, __dir__ = attach(__name__, __all__)
