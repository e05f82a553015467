"""Chat data: turn messages into a prompt and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from commensal.llm.corpora._corpus import Example, Marked

Turn = dict[str, str]
Chat = Callable[[list[Turn]], Example]

# Some templates write today's date, by which a text would differ from one day to the next. They
# get a day in 2024, under either of the names by which templates ask.
_DATE = "26 Jul 2024"
_NOW = (
    "{% macro strftime_now(form) %}{{ form.replace('%d', '26').replace('%b', 'Jul')"
    ".replace('%B', 'July').replace('%m', '07').replace('%Y', '2024').replace('%y', '24') }}"
    "{% endmacro %}"
)


def turns_of(value: Any) -> list[Turn]:
    """Return the messages of a conversation, up to the assistant's last.

    Parameters
    ----------
    value : list of mapping
        Messages with ``role`` and ``content``, a text or a list of parts ``{"type": "text", "text":
        ...}``.

    Raises
    ------
    ValueError
        If it is no such list, or the assistant says nothing.
    """
    if not isinstance(value, list | tuple):
        raise ValueError(f"messages must be a list, got {type(value).__name__}")
    turns = [_turn(message, at) for at, message in enumerate(value, 1)]
    while turns and turns[-1]["role"] != "assistant":
        turns.pop()
    if not turns:
        raise ValueError("no message has the role 'assistant'")
    if not turns[-1]["content"].strip():
        raise ValueError("the assistant's last message is empty")
    return turns


def _turn(message: Any, at: int) -> Turn:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise ValueError(f"message {at} has no 'role'")
    content = message.get("content")
    if isinstance(content, list | tuple) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content
    ):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise ValueError(f"message {at} has no text as its 'content'")
    return {"role": message["role"], "content": content}


def plain(turns: list[Turn]) -> Example:
    r"""Write messages as running text, for models that have no chat template.

    Examples
    --------
    >>> plain([{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}])
    Example(prompt='User: Why?\n\nAssistant:', completion=' So.')
    """
    before = "".join(f"{t['role'].capitalize()}: {t['content'].strip()}\n\n" for t in turns[:-1])
    return Example(f"{before}Assistant:", f" {turns[-1]['content'].strip()}")


def chat_of(tokenizer: Any) -> Chat:
    """Return a function that writes messages by a tokenizer's chat template, or as running text.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Tokenizer, with its chat template if it has one.

    Returns
    -------
    callable
        Function from messages, the last of them the assistant's, to an example. The marks that
        begin and end every text are left to whoever encodes it. It raises ValueError if the
        template refuses the messages.
    """
    if not getattr(tokenizer, "chat_template", None):
        return plain

    template = tokenizer.get_chat_template()
    dated = (_NOW if "strftime_now" in template else "") + template

    def rendered(turns: list[Turn], **options: Any) -> str:
        try:
            return tokenizer.apply_chat_template(
                turns, chat_template=dated, tokenize=False, date_string=_DATE, **options
            )
        except Exception as error:  # whatever a template raises
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"the chat template refuses the messages: {reason}") from None

    def written(turns: list[Turn]) -> Example:
        prompt = rendered(turns[:-1], add_generation_prompt=True)
        whole = rendered(turns)
        if not whole.startswith(prompt):
            # some templates put into the prompt what they leave out of a finished answer
            prompt = rendered(turns[:-1])
        if not whole.startswith(prompt):
            raise ValueError("the chat template writes a prompt otherwise once it is answered")
        completion = whole[len(prompt) :].rstrip()
        if tokenizer.eos_token:
            completion = completion.removesuffix(tokenizer.eos_token)
        if tokenizer.bos_token:
            prompt = prompt.removeprefix(tokenizer.bos_token)
        return Example(Marked(prompt), Marked(completion))

    return written
