"""Report servers' bad answers, as metrics of a run and in a line on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from commensal.llm.web.asking import Responses

# A warning that nobody handles goes to the terminal, above the progress bar.
_log = logging.getLogger("commensal.llm.web")


def bad_answers(answer: Responses) -> dict[str, int]:
    """Compute one model's metrics: ``answers`` of the server, bad ones by kind, ``left_out``.

    Answers that were asked for again count too; ``left_out`` and ``kept_bad`` are of the L
    responses.

    Examples
    --------
    >>> from commensal.llm.web.asking import Response
    >>> told = Responses([Response("yes")], 0, None, {"answers": 2, "empty": 1})
    >>> bad_answers(told)
    {'answers': 2, 'answers_empty': 1, 'left_out': 0, 'kept_bad': 0}
    """
    found = {
        name if name == "answers" else f"answers_{name}": count
        for name, count in (answer.counts or {}).items()
    }
    bad = [response for response in answer.responses if response.bad is not None]
    out = sum(response.left_out for response in bad)
    return found | {"left_out": out, "kept_bad": len(bad) - out}


def summary(where: str, shown: Sequence[str], answers: Sequence[Responses]) -> str | None:
    """Write one line on the bad answers of a generation; None: there are none.

    Examples
    --------
    >>> from commensal.llm.web.asking import Response
    >>> told = Responses([Response("yes")], 0, None, {"answers": 3, "empty": 2, "cut": 0})
    >>> summary("generation 4", ["a"], [told])
    'generation 4: bad answers: a: 2 of 3 (2 empty)'
    """
    parts, out, kept = [], 0, 0
    for name, answer in zip(shown, answers, strict=True):
        counts = dict(answer.counts or {})
        total = counts.pop("answers", 0)
        if bad := {kind: count for kind, count in counts.items() if count}:
            kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in bad.items())
            parts.append(f"{name}: {sum(bad.values())} of {total} ({kinds})")
        numbers = bad_answers(answer)
        out, kept = out + numbers["left_out"], kept + numbers["kept_bad"]
    if not parts:
        return None
    ends = [f"{n} {what}" for n, what in ((out, "left out"), (kept, "used all the same")) if n]
    return "; ".join([f"{where}: bad answers: {', '.join(parts)}", *ends])


def tell_served(shown: str, asked: str, served: str) -> None:
    """Warn that a server names another model than the one that was asked for."""
    _log.warning("%s: asked for the model %r, answered by %r", shown, asked, served)


def tell(where: str, shown: Sequence[str], answers: Sequence[Responses]) -> None:
    """Print the line on the terminal, if there is one."""
    line = summary(where, shown, answers)
    if line is not None:
        _log.warning("%s", line)
