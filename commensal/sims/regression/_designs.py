"""Features and truth of a run, as its config describes them or as they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from commensal.designs import Designs, truth
from commensal.sims.regression._config import RegressionConfig


def draw_designs(config: RegressionConfig) -> Designs:
    """Draw the features that a config describes, for the theory or to be changed and passed back.

    Parameters
    ----------
    config : RegressionConfig
        Settings of the system.

    Returns
    -------
    Designs
        Features, float64, with human ones wherever ``human_share`` is positive.

    Examples
    --------
    >>> from commensal.theory import regression
    >>> config = RegressionConfig(models=2, dim=6, rank=3, human_share=0.2)
    >>> grams = draw_designs(config).grams()
    >>> w = regression.RegressionWorkflow(
    ...     **grams, alpha=config.alpha, beta=config.beta, human_share=config.human_share
    ... )
    >>> regression.trajectory(w, truth(6), generations=3).mean.shape
    (4, 2, 6)
    """
    return _with_human(config, config.draw(config.models))


def given_or_drawn(
    config: RegressionConfig, designs: Designs | None, theta: Any
) -> tuple[Designs, Float[np.ndarray, "d"]]:
    """Return features and true parameter, drawn where none are given."""
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


def _with_human(config: RegressionConfig, designs: Designs) -> Designs:
    """Add human features to ``designs`` where human data have a share and no features are given."""
    if designs.human is not None or not np.any(np.asarray(config.human_share) > 0):
        return designs
    *_, k, _, d = designs.synthetic.shape
    # all prompts, each at 1/√K: their Gram matrix is the mean synthetic one
    stacked = designs.synthetic.reshape(*designs.synthetic.shape[:-3], -1, d) / np.sqrt(k)
    return designs._replace(human=stacked)


def _checked_designs(config: RegressionConfig, designs: Designs) -> Designs:
    """Return ``designs`` in float64, if their shapes and values make sense together."""
    given: dict[str, Any] = {
        name: None if features is None else np.asarray(features, dtype=float)
        for name, features in designs._asdict().items()
    }
    if given["private"].ndim != 3 or 0 in given["private"].shape:
        raise ValueError(f"designs.private must have shape (K, n, d), got {given['private'].shape}")
    k, _, d = given["private"].shape
    for name, models, may_vary in (
        ("private", (k,), False),
        ("public", (), False),
        ("synthetic", (k,), True),
        ("human", (), True),
    ):
        features = given[name]
        if features is None:
            continue
        *leading, _, last = features.shape if features.ndim > 1 else (None, None)
        once, varying = tuple(leading) == models, may_vary and tuple(leading[1:]) == models
        if last != d or not (once or varying):
            shape = ", ".join(map(str, (*models, "n", d)))
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
