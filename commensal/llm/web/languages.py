"""Tiny models that answer from what they read, by a law that is known.

A model that has only seen texts of one language would not heed posts in another. These are taught
to: a prompt shows k posts, m_b of them in language b, and the answer is drawn from language b with
probability (s π_b + m_b)/(s + k). So a run of them is, up to what they have not learnt, a mixture
process with B components like that of `webdynamics` sec. 3.2, but one whose models carry nothing
over from one generation to the next.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Float
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from commensal._outputs import cache_folder
from commensal.llm.config import LanguageModel, LanguagePosts, ScratchModel, WebConfig
from commensal.llm.corpora import Example
from commensal.llm.models.loading import architecture, load_folder
from commensal.llm.models.sampling import sample_after
from commensal.llm.models.tokens import encode, encode_prompts, marks_of, word_tokenizer
from commensal.llm.models.training import Diverged, train
from commensal.llm.records.directory import staged
from commensal.llm.seeds import generator, seed_of
from commensal.llm.web.asking import Place
from commensal.llm.web.law import answer_law
from commensal.llm.web.local import LoadedResponder

_SLACK = 1.15  # room for posts that run on
_PROMPTS, _ANSWERS = 60, 8  # of the calibration


class TaughtResponder(LoadedResponder):
    """A model that is taught before the run, unless the run has taught it already."""

    @staticmethod
    def check(config: WebConfig, model: LanguageModel) -> None:
        """Do nothing, as the model is made for the run."""

    @classmethod
    def opened(cls, model: LanguageModel, place: Place) -> TaughtResponder:
        """Teach the model, or load it from the run's folder or from the cache."""
        replicate = f",replicate={place.replicate}" if place.replicate else ""
        folder = place.folder / "models" / f"{place.at}{replicate}"
        return cls(
            place.config,
            *open_taught(place.config, place.at, folder, place.device, place.progress),
        )


def most_read(config: WebConfig) -> int:
    """Return k_T of the grid point that reads most."""
    last = config.generations
    models = config.models[: max(config.take_part or (len(config.models),))]
    human = 0 if config.languages is None else sum(config.languages.counts)
    human += config.posts.each_step * last
    written = sum(model.posted(last) for model in models) * len(config.queries)
    own = [model.read_share for model in models if model.read_share is not None]
    return config.retrieved(max([*config.read_share, *own]), human + written)


def context_needed(config: WebConfig, languages: LanguagePosts) -> int:
    """Count the tokens of the longest prompt and its answer."""
    frame = max(len(config.ask([], q).split()) for q in range(len(config.queries)))
    each = len(config.post.format(post="").split()) + languages.words
    answer = config.sampling.max_new_tokens + 2
    return frame + math.ceil(_SLACK * most_read(config)) * each + answer


def open_taught(
    config: WebConfig,
    at: int,
    folder: Path,
    device: torch.device,
    progress: Callable[[float | int], None],
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load model number ``at`` of a run; teach it if it is not in ``folder`` yet.

    A model is also kept under the hash of all that it depends on (``COMMENSAL_CACHE``), for
    other runs.
    """
    if folder.exists():
        return load_folder(folder, device), AutoTokenizer.from_pretrained(folder)
    model, languages = config.taught(at)
    laws = languages.laws()
    asked = [word for q in range(len(config.queries)) for word in config.ask([], q).split()]
    words = [*asked, *config.post.format(post="").split(), *laws[0].words]
    tokenizer = word_tokenizer(words)
    examples, _ = lessons(config, at, model.training.examples)
    depends = {
        "model": model.model_dump(mode="json", exclude={"label", "read_share", "posting_rate"}),
        "lessons": [list(example) for example in examples],
        "words": tokenizer.get_vocab(),
        "context": context_needed(config, languages),
        "seed": seed_of(config.seed, "model", at),
        "versions": [torch.__version__, transformers.__version__],
        "device": [device.type, torch.get_num_threads()],
    }
    name = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:24]
    cached = cache_folder() / "taught" / name
    if (cached / "model.safetensors").is_file():
        taught = load_folder(cached, device)
    else:
        try:
            taught = _teach(config, at, tokenizer, examples, device, progress)
        except Diverged as error:
            raise Diverged(f"models.{at}.training: {error}") from None
        with staged(cached) as temporary:
            taught.save_pretrained(temporary)
    with staged(folder) as temporary:
        taught.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    return taught, tokenizer


def _teach(
    config: WebConfig,
    at: int,
    tokenizer: PreTrainedTokenizerBase,
    examples: list[Example],
    device: torch.device,
    progress: Callable[[float | int], None],
) -> PreTrainedModel:
    model, languages = config.taught(at)
    context = context_needed(config, languages)
    shape = ScratchModel(
        architecture=model.architecture, size=model.size, context=context, tokenizer="words"
    )
    seed = seed_of(config.seed, "model", at)
    torch.manual_seed(seed)
    made: Any = AutoModelForCausalLM.from_config(architecture(shape, tokenizer)).to(device)
    train(
        made,
        encode(tokenizer, examples, context),
        model.training,
        loss_on="text",
        precision="float32",
        seed=seed,
        padding=marks_of(tokenizer).padding,
        progress=lambda step, steps: progress(step / steps),
    )
    return made.eval()


def lessons(
    config: WebConfig, at: int, count: int, purpose: str = "lessons"
) -> tuple[list[Example], Float[np.ndarray, "N B"]]:
    """Draw prompts and answers that teach a model its law, and the law at each prompt.

    Half of the prompts show 0 to k posts, any number as often as another, the others more often
    few; k exceeds k_T, so that no run reaches the edge of what was taught. Each ``purpose`` draws
    others.
    """
    model, languages = config.taught(at)
    rng = generator(config.seed, purpose, at)
    laws, b = languages.laws(), len(languages.counts)
    most = math.ceil(_SLACK * most_read(config))
    few, any_number = (most + 1) ** rng.random(count) - 1, (most + 1) * rng.random(count)
    sizes = np.where(rng.random(count) < 0.5, few, any_number).astype(int)
    shares = rng.dirichlet(np.ones(b), size=count)
    posted = [rng.choice(b, size=k, p=p) for k, p in zip(sizes, shares, strict=True)]
    counts = np.stack([np.bincount(row, minlength=b) for row in posted]).astype(float)
    law = answer_law(model, counts)
    ends = law.cumsum(axis=1)
    answers = (rng.random((count, 1)) > ends[:, :-1]).sum(axis=1)
    wanted = np.concatenate([*posted, answers])
    texts = np.empty(len(wanted), dtype=object)
    for one, language in enumerate(laws):
        places = np.flatnonzero(wanted == one)
        drawn = language.sample(rng, len(places), languages.words + 1)
        # some posts are shorter or longer, as models' own will be: else a model may count
        # positions, and be lost after the first odd one
        shift = rng.choice([-1, 0, 1], size=len(places), p=[0.1, 0.8, 0.1])
        shift[places >= len(wanted) - count] = 0  # answers
        for place, row, more in zip(places, drawn, shift, strict=True):
            texts[place] = language.decode(row[: max(languages.words + more, 1)])
    found, start = [], 0
    for number, (row, answer) in enumerate(zip(posted, texts[-count:], strict=True)):
        posts = [str(text) for text in texts[start : start + len(row)]]
        start += len(row)
        query = number % len(config.queries)
        found.append(Example(config.ask(posts, query), f" {answer}"))
    return found, law


def calibration(config: WebConfig, at: int, responder: LoadedResponder) -> dict[str, float]:
    """Measure how well a taught model has learnt its law, on prompts that it was not taught.

    Returns
    -------
    dict of str to float
        ``calibration_slope``: by how much the shares of languages in answers move where the law's
        move by one (1: as taught; 0: the model does not heed what it reads).
        ``calibration_error``: mean over prompts of the squared distance between the model's law
        and the one that it was taught, unbiased, so that it may be below 0.
    """
    _, languages = config.taught(at)
    examples, law = lessons(config, at, _PROMPTS, "held out")
    prompts = encode_prompts(responder.tokenizer, [e.prompt for e in examples], 1 << 30)
    # many posts that are a word too long do not fit; in a run prompts are cut, and the law is not
    room = context_needed(config, languages) - config.sampling.max_new_tokens
    fitting = [i for i, prompt in enumerate(prompts) if len(prompt) <= room]
    law, prompts = law[fitting], [prompts[i] for i in fitting]
    rng = generator(config.seed, "calibration", at)
    repeated = [prompt for prompt in prompts for _ in range(_ANSWERS)]
    texts = sample_after(responder.model, responder.tokenizer, repeated, config.sampling, rng)
    answers = languages_of(languages, texts).reshape(len(prompts), _ANSWERS, -1)
    centred = law - law.mean(axis=0)
    off = answers - law[:, None]
    pairs = (off.sum(axis=1) ** 2).sum(axis=-1) - (off**2).sum(axis=(1, 2))
    return {
        "calibration_slope": float((centred * answers.mean(axis=1)).sum() / (centred**2).sum()),
        "calibration_error": float(pairs.mean() / (_ANSWERS * (_ANSWERS - 1))),
    }


def languages_of(languages: LanguagePosts, texts: Sequence[str]) -> Float[np.ndarray, "N B"]:
    """Tell the language of each text by that of most of its words: 1 there, and 0 elsewhere.

    A text that fits several languages alike, or none, counts for each of them in equal parts.
    """
    own = [
        {w for w, used in zip(law.words, law.used, strict=True) if used} for law in languages.laws()
    ]
    hits = np.array([[sum(w in known for w in text.split()) for known in own] for text in texts])
    best = hits.reshape(len(texts), len(own)) == hits.reshape(len(texts), len(own)).max(
        axis=1, keepdims=True
    )
    return best / best.sum(axis=1, keepdims=True)


def language_shares(languages: LanguagePosts, texts: Sequence[str]) -> Float[np.ndarray, " B"]:
    """Compute the share of texts in each language; NaN of no texts."""
    return languages_of(languages, texts).sum(axis=0) / (len(texts) or math.nan)
