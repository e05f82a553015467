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

from commensal.llm.config import LanguageModel, LanguagePosts, ScratchModel, WebConfig
from commensal.llm.corpora import Example
from commensal.llm.models.loading import architecture, cache_folder, load_folder
from commensal.llm.models.tokens import encode, marks_of, word_tokenizer
from commensal.llm.models.training import Diverged, train
from commensal.llm.records.directory import staged
from commensal.llm.seeds import generator, seed_of
from commensal.llm.web.asking import Place
from commensal.llm.web.local import LoadedResponder

_SLACK = 1.15  # room for posts that run on


class TaughtResponder(LoadedResponder):
    """A model that is taught before the run, unless the run has taught it already."""

    @staticmethod
    def check(config: WebConfig, model: LanguageModel) -> None:
        """Do nothing, as the model is made for the run."""

    @classmethod
    def opened(cls, model: LanguageModel, place: Place) -> TaughtResponder:
        """Teach the model, or load it from the run's folder or from the cache."""
        folder = place.folder / "models" / str(place.at)
        return cls(
            place.config,
            *open_taught(place.config, place.at, folder, place.device, place.progress),
        )


def answer_law(
    model: LanguageModel, counts: Float[np.ndarray, "*batch B"]
) -> Float[np.ndarray, "*batch B"]:
    """Compute the law of the language in which a model should answer: (s π_b + m_b)/(s + k).

    Parameters
    ----------
    model : LanguageModel
    counts : Float[np.ndarray, "*batch B"]
        m, posts that were read in each language.

    Examples
    --------
    >>> print(answer_law(LanguageModel(prior=(1, 0), strength=2), np.array([1.0, 1.0])))
    [0.75 0.25]
    """
    own = model.strength * np.array(model.shares)
    return (own + counts) / (model.strength + counts.sum(axis=-1, keepdims=True))


def most_read(config: WebConfig) -> int:
    """Return k_T of the grid point that reads most."""
    n = max(config.take_part or (len(config.models),))
    first = 0 if config.languages is None else sum(config.languages.counts)
    return config.retrieved(max(config.read_share), first + n * config.generations)


def context_needed(config: WebConfig, languages: LanguagePosts) -> int:
    """Count the tokens of the longest prompt and its answer."""
    frame = len(config.ask([]).split())
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
    words = [*config.ask([]).split(), *config.post.format(post="").split(), *laws[0].words]
    tokenizer = word_tokenizer(words)
    examples = lessons(config, at, model.training.examples)
    depends = {
        "model": model.model_dump(mode="json", exclude={"label"}),
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


def lessons(config: WebConfig, at: int, count: int) -> list[Example]:
    """Draw prompts and answers that teach a model its law.

    Half of the prompts show 0 to k posts, any number as often as another, the others more often
    few; k exceeds k_T, so that no run reaches the edge of what was taught.
    """
    model, languages = config.taught(at)
    rng = generator(config.seed, "lessons", at)
    laws, b = languages.laws(), len(languages.counts)
    most = math.ceil(_SLACK * most_read(config))
    few, any_number = (most + 1) ** rng.random(count) - 1, (most + 1) * rng.random(count)
    sizes = np.where(rng.random(count) < 0.5, few, any_number).astype(int)
    shares = rng.dirichlet(np.ones(b), size=count)
    posted = [rng.choice(b, size=k, p=p) for k, p in zip(sizes, shares, strict=True)]
    counts = np.stack([np.bincount(row, minlength=b) for row in posted]).astype(float)
    ends = answer_law(model, counts).cumsum(axis=1)
    answers = (rng.random((count, 1)) > ends[:, :-1]).sum(axis=1)
    wanted = np.concatenate([*posted, answers])
    texts = np.empty(len(wanted), dtype=object)
    for one, law in enumerate(laws):
        places = np.flatnonzero(wanted == one)
        drawn = law.sample(rng, len(places), languages.words + 1)
        # some posts are shorter or longer, as models' own will be: else a model may count
        # positions, and be lost after the first odd one
        shift = rng.choice([-1, 0, 1], size=len(places), p=[0.1, 0.8, 0.1])
        shift[places >= len(wanted) - count] = 0  # answers
        for place, row, more in zip(places, drawn, shift, strict=True):
            texts[place] = law.decode(row[: max(languages.words + more, 1)])
    found, start = [], 0
    for row, answer in zip(posted, texts[-count:], strict=True):
        posts = [str(text) for text in texts[start : start + len(row)]]
        start += len(row)
        found.append(Example(config.ask(posts), f" {answer}"))
    return found


def language_shares(languages: LanguagePosts, texts: Sequence[str]) -> Float[np.ndarray, " B"]:
    """Compute the share of texts in each language, by the language of most of a text's words.

    A text that fits several languages alike, or none, counts for each of them in equal parts. NaN
    of no texts.
    """
    laws = languages.laws()
    own = [{w for w, used in zip(law.words, law.used, strict=True) if used} for law in laws]
    total = np.zeros(len(laws))
    for text in texts:
        hits = np.array([sum(word in known for word in text.split()) for known in own])
        best = hits == hits.max()
        total += best / best.sum()
    return total / (len(texts) or math.nan)
