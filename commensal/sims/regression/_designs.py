"""Features and truth of a run: those that its config describes, or those that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from commensal.designs import Designs, gaussian, misaligned, truth
from commensal.sims.regression._config import Config


def draw_designs(config: Config) -> Designs:
    """Features that a config describes, to hand on to the theory or to change and give back.

    Parameters
    ----------
    config : Config

    Returns
    -------
    Designs
        Float64. With human features wherever ``human_share`` is positive.

    Examples
    --------
    >>> from commensal.theory import regression
    >>> config = Config(entities=2, dim=6, rank=3, human_share=0.2)
    >>> grams = draw_designs(config).grams()
    >>> w = regression.Workflow(
    ...     **grams, alpha=config.alpha, beta=config.beta, human_share=config.human_share
    ... )
    >>> regression.trajectory(w, truth(6), generations=3).mean.shape
    (4, 2, 6)
    """
    if config.design == "misaligned":
        designs = misaligned(config.entities, config.strength)
    else:
        designs = gaussian(
            config.entities,
            config.dim,
            config.rank,
            config.seed,
            public_rank=config.public_rank,
            prompts=config.prompts,
            human_rank=config.human_rank,
        )
    return _with_human(config, designs)


def given_or_drawn(
    config: Config, designs: Designs | None, theta: Any
) -> tuple[Designs, Float[np.ndarray, "d"]]:
    if designs is None:
        designs = draw_designs(config)
    else:
        designs = _with_human(config, _checked_designs(config, designs))
    theta = np.asarray(truth(designs.dim, config.seed) if theta is None else theta, dtype=float)
    if theta.shape != (designs.dim,):
        raise ValueError(f"theta must have shape {(designs.dim,)}, got {theta.shape}")
    if not np.all(np.isfinite(theta)):
        raise ValueError("theta has entries that are not finite")
    return designs, theta


def _with_human(config: Config, designs: Designs) -> Designs:
    """``designs`` with human features where a share of the data is human and none are given."""
    if designs.human is not None or not np.any(np.asarray(config.human_share) > 0):
        return designs
    *_, k, _, d = designs.synthetic.shape
    # all prompts, each at 1/√K: their Gram matrix is the mean synthetic one
    stacked = designs.synthetic.reshape(*designs.synthetic.shape[:-3], -1, d) / np.sqrt(k)
    return designs._replace(human=stacked)


def _checked_designs(config: Config, designs: Designs) -> Designs:
    """``designs`` in float64, if their shapes and values make sense together."""
    given: dict[str, Any] = {
        name: None if features is None else np.asarray(features, dtype=float)
        for name, features in designs._asdict().items()
    }
    if given["private"].ndim != 3 or 0 in given["private"].shape:
        raise ValueError(f"designs.private must have shape (K, n, d), got {given['private'].shape}")
    k, _, d = given["private"].shape
    for name, entities, may_vary in (
        ("private", (k,), False),
        ("public", (), False),
        ("synthetic", (k,), True),
        ("human", (), True),
    ):
        features = given[name]
        if features is None:
            continue
        *leading, _, last = features.shape if features.ndim > 1 else (None, None)
        once, varying = tuple(leading) == entities, may_vary and tuple(leading[1:]) == entities
        if last != d or not (once or varying):
            shape = ", ".join(map(str, (*entities, "n", d)))
            wanted = f"({shape}) or (T, {shape})" if may_vary else f"({shape})"
            raise ValueError(f"designs.{name} must have shape {wanted}, got {features.shape}")
        if not once and leading[0] != max(config.generations, 1):
            raise ValueError(
                f"designs.{name} describes {leading[0]} generations, "
                f"but generations = {config.generations}"
            )
        if not np.all(np.isfinite(features)):
            raise ValueError(f"designs.{name} has entries that are not finite")
    return Designs(**given)
