"""Continuous batching by transformers: each text that ends makes room for another at once.

It writes the texts of the engine in batches, as every prompt brings its own random numbers: a token
is drawn by the number of its prompt and its place, whatever else is written in the same step.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import torch
import transformers
from jaxtyping import Float, Int
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel

from commensal.llm.config import SamplingConfig
from commensal.llm.models.draws import inverted, warpers
from commensal.llm.session import ran_out

_CHANGED = (
    "sampling.engine: continuous was tested with transformers 5.17 and 5.23, and version "
    f"{transformers.__version__} lacks parts that it needs: install one of those, or set "
    "sampling.engine to batches"
)
try:
    from transformers import ContinuousBatchingConfig
    from transformers.generation.continuous_batching import cb_logits_processors as _theirs
except ImportError as error:
    raise ValueError(_CHANGED) from error

_KNOWN = {field.name for field in fields(ContinuousBatchingConfig)}
_READ = 512
"""Most tokens of prompts that a step reads, without flash attention: it makes a mask of them all
against the whole cache."""
_READ_BY_FLASH = 8192
_SWITCHES = "auto_switch_to_flash"
_PAGE, _PAGE_OF_FLASH = 16, 256  # its kernels want multiples of 256


class DrawsByRequest(_theirs.ContinuousBatchingLogitsProcessor):
    """Sampler that finds each request's uniform number by its prompt and its place in the text.

    Parameters
    ----------
    uniforms : Float[torch.Tensor, "N steps"]
        In [0, 1), on the model's device.
    prompts : sequence of int
        Length of each prompt, in tokens; the request of prompt i is called ``str(i)``.
    """

    supported_kwargs: dict[str, type] = {}  # noqa: RUF012 - as the base class has it
    ignored_kwargs = ()

    def __init__(self, uniforms: Float[torch.Tensor, "N steps"], prompts: Sequence[int]) -> None:
        self.steps = uniforms.shape[1]
        self.uniforms = uniforms.flatten()
        self.prompts = prompts

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Let rows that no request uses read the first number."""
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: Any) -> Int[torch.Tensor, " requests"]:
        """Return the place of each request's next number among all of them."""
        places = []
        for request in requests_with_new_token:
            state, row = request.state, int(request.state.request_id)
            # a request that had to make room begins anew, with all that it has as its prompt
            step = len(state.initial_tokens) + len(state.generated_tokens) - self.prompts[row]
            places.append(row * self.steps + step)
        return torch.tensor(places, dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """Return scores that leave one token: 0 for it and -inf for all others."""
        return inverted(scores, self.uniforms[tensor_arg[: len(scores)].long()])


def written_continuously(
    model: PreTrainedModel,
    encoded: Sequence[Sequence[int]],
    uniforms: torch.Tensor,
    sampling: SamplingConfig,
    *,
    ends: Sequence[int],
    padding: int,
) -> list[list[int]]:
    """Write after each prompt, in at most ``sampling.batch_size`` places at a time.

    Parameters
    ----------
    model : PreTrainedModel
    encoded : sequence of sequence of int
        Prompts, one at least, which leave room for the answer.
    uniforms : Float[torch.Tensor, "N steps"]
        In [0, 1): one number for each prompt and token.
    sampling : SamplingConfig
    ends : sequence of int
        Tokens that end a text.
    padding : int
        Token that fills batches.

    Returns
    -------
    list of list of int
        Tokens of each text, with the one that ended it.

    Raises
    ------
    ValueError
        If the engine cannot begin, or stopped before all texts were written.
    MemoryError or RuntimeError
        If memory ran out, as torch says it.
    """
    generation = GenerationConfig(
        do_sample=False,  # DrawsByRequest leaves one token to choose from
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=padding,
        eos_token_id=list(ends) or None,
    )
    draws = DrawsByRequest(uniforms.to(model.device), [len(prompt) for prompt in encoded])
    with _as_it_was(model):
        try:
            manager: Any = model.init_continuous_batching(  # pyright: ignore[reportCallIssue]
                generation_config=generation,
                continuous_batching_config=_sizes(model, encoded, sampling),
            )
            manager.logit_processor = _theirs.ContinuousBatchingLogitsProcessorList(
                LogitsProcessorList([*warpers(sampling), draws])  # pyright: ignore
            )
            manager.logit_processor.tensors_required = 1  # the places of the numbers
            status = manager.background_thread_status
            for i, prompt in enumerate(encoded):
                manager.add_request(list(prompt), request_id=str(i), eos_token_id=list(ends))
        except (AttributeError, TypeError) as error:
            raise ValueError(_CHANGED) from error
        except ValueError as error:
            raise ValueError(_told("cannot begin", error)) from error
        try:
            manager.start()
            manager.stop()  # once all is written
        finally:
            if manager.is_running():  # interrupted
                manager.stop(hard_stop=True)
        results = list(iter(manager.get_result, None))
        fatal = status.fatal_error
    if fatal is not None and ran_out(fatal):
        raise fatal
    failed = [result.error for result in results if result.error is not None]
    written = {result.request_id: result.generated_tokens for result in results}
    if fatal is not None or failed or len(written) < len(encoded):
        error = fatal or RuntimeError(failed[0] if failed else "texts are missing")
        raise ValueError(_told("stopped", error)) from fatal
    return [written[str(i)] for i in range(len(encoded))]


def _told(what: str, error: Exception) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"transformers' continuous batching {what} ({type(error).__name__}: {said}); "
        "sampling.engine: batches writes the same texts"
    )


def _sizes(
    model: PreTrainedModel, encoded: Sequence[Sequence[int]], sampling: SamplingConfig
) -> ContinuousBatchingConfig:
    """Size the cache by what can be needed at once; transformers would take all free memory."""
    flash = "flash" in str(model.config._attn_implementation)
    page = _PAGE_OF_FLASH if flash else _PAGE
    places = min(sampling.batch_size, len(encoded))
    longest = max(map(len, encoded))
    pages = -(-(longest + sampling.max_new_tokens) // page)
    options: dict[str, Any] = {
        "page_size" if "page_size" in _KNOWN else "block_size": page,
        "num_blocks": places * pages,
        "max_batch_tokens": max(places, min(places * longest, _READ_BY_FLASH if flash else _READ)),
        "max_requests_per_batch": places,
        "safety_margin": 0.0,  # there is room for all
        "allow_block_sharing": False,
        "use_async_batching": False,  # there a request's tokens are known a step too late
    }
    if _SWITCHES in _KNOWN:
        options[_SWITCHES] = False
    if not flash:
        options["max_blocks_per_request"] = 0
    return ContinuousBatchingConfig(**options)


@contextmanager
def _as_it_was(model: PreTrainedModel) -> Iterator[None]:
    """Leave attention, mode and random numbers as they were, and keep transformers' log quiet."""
    attention, training = str(model.config._attn_implementation), model.training
    log = logging.getLogger("ContinuousBatchingLogger")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it would write a failure's traceback beside our line
    # it collects garbage twice, 0.4 s each with all that is loaded: only new objects are looked at
    ours = gc.get_freeze_count() == 0
    if ours:
        gc.freeze()
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):  # it seeds torch's generators anew
            if _SWITCHES not in _KNOWN and "flash" not in attention:
                # where it cannot be told to, it leaves alone only what is paged already
                model.set_attn_implementation(f"paged|{attention}")
            yield
    finally:
        if ours:
            gc.unfreeze()
        log.setLevel(level)
        if model.config._attn_implementation != attention:
            model.set_attn_implementation(attention)
        model.train(training)
