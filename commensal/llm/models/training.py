"""Training for one generation, as one plain loop that reads from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from transformers import (
    PreTrainedModel,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
)

from commensal.llm.config import OptimisationConfig
from commensal.llm.models.precision import autocast, rows_at_once
from commensal.llm.models.pretrained import trainable
from commensal.llm.models.tokens import UNCOUNTED, Encoded, pad


class Diverged(ValueError):
    """A loss is no longer finite, so that further training would mean nothing.

    Attributes
    ----------
    model : int or None
        Whose, counted from 0, where that is known.
    """

    def __init__(self, message: str, model: int | None = None) -> None:
        super().__init__(message)
        self.model = model


def train(
    model: PreTrainedModel,
    examples: Sequence[Encoded],
    optimisation: OptimisationConfig,
    *,
    loss_on: str,
    precision: str,
    seed: int,
    padding: int,
    epoch: int | None = None,
    validate: Callable[[PreTrainedModel], float] | None = None,
    progress: Callable[[float | int, float | int], None] | None = None,
) -> list[float]:
    """Train ``model`` in place with AdamW, whose state starts afresh.

    Parameters
    ----------
    model : PreTrainedModel
    examples : sequence of Encoded
        Seen in a random order; again, in another one, where the steps need more.
    optimisation : OptimisationConfig
    loss_on : str
        ``"text"`` or ``"completion"``.
    precision : str
        ``"auto"``, ``"float32"`` or ``"bfloat16"``.
    seed : int
        Of the order of the examples and of dropout.
    padding : int
        The token that fills batches.
    epoch : int, optional
        Number of examples of an epoch, if batches shall not reach from one into the next: then the
        last batch of an epoch is smaller where it has to be.
    validate : callable, optional
        A loss; of the weights after every epoch and after the last step, those with the lowest
        stay in the model. Without epochs only the last are there to choose from.
    progress : callable, optional
        Called with the steps done and their number.

    Returns
    -------
    list of float
        Mean loss per token, in nats, of each step.

    Raises
    ------
    Diverged
        At the first step whose loss is not finite.
    """
    torch.manual_seed(seed)
    model.train()
    _checkpoint(model, optimisation.checkpointing)
    learns = list(trainable(model).values())
    optimiser, schedule = optimiser_for(learns, optimisation)
    vocabulary = model.config.get_text_config().vocab_size
    losses = []
    best: tuple[float, list[torch.Tensor]] | None = None
    every = None if epoch is None else steps_of(epoch, optimisation)
    for step, batches in enumerate(in_batches(examples, optimisation, seed, epoch), start=1):
        padded = [
            pad(part, padding, loss_on, model.device)
            for batch in batches
            for part in in_parts(batch, vocabulary, optimisation.logits_memory)
        ]
        # over all accumulated tokens, so that the loss does not depend on how they are split
        counted = sum(int((batch.targets[:, 1:] != UNCOUNTED).sum()) for batch in padded)
        total = 0.0
        for batch in padded:
            with autocast(model.device, precision):
                logits = model(input_ids=batch.tokens, use_cache=False).logits
            loss = cross_entropy(logits, batch.targets).sum() / max(counted, 1)
            loss.backward()
            total += loss.item()
        require_finite(total, step, optimisation)
        torch.nn.utils.clip_grad_norm_(learns, optimisation.clip)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(total)
        last = step == optimisation.steps
        if validate is not None and (last or (every and step % every == 0)):
            found = validate(model)
            require_finite(found, step, optimisation)
            if best is None or found < best[0]:
                best = found, [p.detach().clone() for p in learns]
            model.train()
        if progress is not None:
            progress(step, optimisation.steps)
    if best is not None:
        with torch.no_grad():
            for parameter, kept in zip(learns, best[1], strict=True):
                parameter.copy_(kept)
    _checkpoint(model, False)
    model.eval()
    return losses


def _checkpoint(model: PreTrainedModel, on: bool) -> None:
    """Compute states within layers again for their gradients, or keep them."""
    what = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    if on:
        getattr(model, f"{what}_checkpointing_enable")({"use_reentrant": False})
    elif getattr(model, f"is_{what}_checkpointing"):
        getattr(model, f"{what}_checkpointing_disable")()


def require_finite(
    loss: float, step: int, optimisation: OptimisationConfig, model: int | None = None
) -> None:
    """Raise Diverged, with its remedy in words, if the loss of a step is not finite."""
    if not math.isfinite(loss):
        raise Diverged(
            f"the loss of training step {step} of {optimisation.steps} is {loss}: the training "
            f"diverges at a learning rate of {optimisation.learning_rate:g}; lower it",
            model,
        )


def optimiser_for(
    parameters: Iterable[torch.Tensor], optimisation: OptimisationConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Make AdamW and the schedule of its learning rate."""
    optimiser = torch.optim.AdamW(
        list(parameters),
        optimisation.learning_rate,
        betas=(0.9, optimisation.second_moment),
        weight_decay=optimisation.weight_decay,
    )
    warmup = round(optimisation.warmup_ratio * optimisation.steps)
    if optimisation.schedule == "cosine":
        return optimiser, get_cosine_schedule_with_warmup(optimiser, warmup, optimisation.steps)
    return optimiser, get_constant_schedule_with_warmup(optimiser, warmup)


def steps_of(epoch: int, optimisation: OptimisationConfig) -> int:
    """Return the number of steps of an epoch of so many examples.

    Examples
    --------
    >>> steps_of(24, OptimisationConfig(batch_size=16)), steps_of(6, OptimisationConfig())
    (2, 1)
    """
    return math.ceil(epoch / (optimisation.batch_size * optimisation.accumulation))


def in_batches(
    examples: Sequence[Encoded],
    optimisation: OptimisationConfig,
    seed: int,
    epoch: int | None = None,
) -> Iterator[list[list[Encoded]]]:
    """Yield the accumulated batches of each step, in epochs if there are any."""
    rng = np.random.default_rng(seed)
    order: list[int] = []
    left = epoch
    for _ in range(optimisation.steps):
        batches = []
        for _ in range(optimisation.accumulation):
            size = optimisation.batch_size if left is None else min(optimisation.batch_size, left)
            while len(order) < size:
                order += rng.permutation(len(examples)).tolist()
            batches.append([examples[i] for i in order[:size]])
            del order[:size]
            if left is not None and epoch is not None:
                left -= size
                if not left:  # the next batch is of the next epoch
                    left = epoch
                    break
        yield batches


def in_parts(
    batch: Sequence[Encoded], vocabulary: int, logits_memory: float | int
) -> Iterator[Sequence[Encoded]]:
    """Yield the parts of a batch whose logits fit into memory."""
    rows = rows_at_once(batch, vocabulary, logits_memory, len(batch))
    for start in range(0, len(batch), rows):
        yield batch[start : start + rows]


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each next token in nats, (N, L-1); 0 where the target does not count."""
    flat = F.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(),
        targets[:, 1:].flatten(),
        ignore_index=UNCOUNTED,
        reduction="none",
    )
    return flat.view(targets.shape[0], -1)
