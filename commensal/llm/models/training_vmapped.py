"""Training of all models in one vectorised step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.func import functional_call, stack_module_state
from transformers import PreTrainedModel

from commensal.llm.config import OptimisationConfig
from commensal.llm.models.precision import autocast
from commensal.llm.models.pretrained import dropouts
from commensal.llm.models.tokens import UNCOUNTED, Encoded, pad
from commensal.llm.models.training import (
    cross_entropy,
    in_batches,
    optimiser_for,
    require_finite,
)


def train_together(
    models: Sequence[PreTrainedModel],
    examples: Sequence[Sequence[Encoded]],
    optimisation: OptimisationConfig,
    *,
    loss_on: str,
    precision: str,
    seeds: Sequence[int],
    padding: int,
    progress: Callable[[float | int, float | int], None] | None = None,
) -> list[list[float]]:
    """Train models of one shape in place, each on its own examples, all in one step.

    Each model takes the steps that :func:`commensal.llm.models.training.train` would make it
    take, to float tolerance: the same batches, rate and clipping. Worth it where one model's step
    is too small to fill the device.

    Parameters
    ----------
    models : sequence of PreTrainedModel
    examples : sequence of sequences of Encoded
        One for each model.
    optimisation, loss_on, precision, padding, progress
        As in :func:`commensal.llm.models.training.train`.
    seeds : sequence of int
        One for each model.

    Returns
    -------
    list of list of float
        Losses of each model's steps.

    Raises
    ------
    ValueError
        If a model uses dropout: its masks would not be the ones of separate training.
    Diverged
        At the first step at which a model's loss is not finite.
    """
    for model in models:
        for module in model.modules():
            # attention has it as a number, not as a module
            shares = (
                [module.p] if isinstance(module, torch.nn.Dropout) else dropouts(module).values()
            )
            if any(share > 0 for share in shares):
                raise ValueError("training together needs models without dropout")
    device = models[0].device
    model = copy.deepcopy(models[0]).to("meta")  # pyright: ignore[reportArgumentType]
    model.tie_weights()  # moving to meta has cut the tie
    model.config.pad_token_id = None  # or it looks for padding, which vmap cannot trace
    model.config._attn_implementation = "eager"
    parameters, buffers = stack_module_state(list(models))  # pyright: ignore[reportArgumentType]
    leaves = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
    optimiser, schedule = optimiser_for(leaves.values(), optimisation)

    def loss_of(p: Any, b: Any, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = functional_call(
            model, (p, b), (), {"input_ids": tokens, "use_cache": False}
        ).logits
        return cross_entropy(logits, targets).sum()

    losses: list[list[float]] = [[] for _ in models]
    plans = [in_batches(e, optimisation, s) for e, s in zip(examples, seeds, strict=True)]
    for step, batches in enumerate(zip(*plans, strict=True), start=1):
        counted = torch.zeros(len(models), device=device)
        padded = []
        for parts in zip(*batches, strict=True):
            # one length for all models; padding at the end changes nothing before it
            whole = pad([e for part in parts for e in part], padding, loss_on, device)
            shape = (len(models), len(parts[0]), -1)
            tokens, targets = whole.tokens.view(shape), whole.targets.view(shape)
            counted += (targets[:, :, 1:] != UNCOUNTED).sum(dim=(1, 2))
            padded.append((tokens, targets))
        totals = torch.zeros(len(models), device=device)
        for tokens, targets in padded:
            with autocast(device, precision):
                sums = torch.vmap(loss_of)(leaves, buffers, tokens, targets)
            loss = sums / counted.clamp(min=1)
            loss.sum().backward()
            totals += loss.detach()
        _clip(leaves, optimisation.clip)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        for k, (model_losses, total) in enumerate(zip(losses, totals.tolist(), strict=True)):
            require_finite(total, step, optimisation, k)
            model_losses.append(total)
        if progress is not None:
            progress(step, optimisation.steps)
    with torch.no_grad():
        for k, trained in enumerate(models):
            own = dict(trained.named_parameters())
            for name, leaf in leaves.items():
                own[name].copy_(leaf[k])
            trained.eval()
    return losses


def _clip(leaves: dict[str, torch.Tensor], largest: float) -> None:
    """Clip each model's gradient on its own, as torch.nn.utils.clip_grad_norm_ does."""
    gradients = [leaf.grad for leaf in leaves.values() if leaf.grad is not None]
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
    factor = (largest / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.view(-1, *[1] * (gradient.dim() - 1)))
