"""Commands that make what the explorer shows, ready to be pasted into a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from commensal.sweep import RegressionSweep

GRIDS = ("alpha", "beta", "models", "reads", "memory", "tasks")


def sweep_command(config: Mapping[str, Any]) -> str:
    """Write the command that makes a sweep again from the settings in its file.

    Examples
    --------
    >>> sweep_command({"alpha": [0, 0.25, 0.5], "beta": [0.3], "models": [2, 4], "seed": 0})
    'commensal sweep regression --alpha 0:0.5:3 --beta 0.3 --models 2,4'
    """
    matrices = [one for one in config.get("reads", ()) if not isinstance(one, str)]
    if matrices:  # which no option can take
        settings = json.dumps({name: value for name, value in config.items() if value is not None})
        made = f"cat > settings.yaml <<'END'\n{settings}\nEND\n"
        return f"{made}commensal sweep regression --config settings.yaml"
    words = ["commensal", "sweep", "regression"]
    for name, value in config.items():
        if value is None or _same(value, RegressionSweep.model_fields[name].default):
            continue
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif name == "grams":  # the file keeps what was in it, and not where it was
            words += [option, "GRAMS.npz"]
        else:
            words += [option, _text(name, value)]
    return shlex.join(words)


def _same(value: Any, default: Any) -> bool:
    return (
        tuple(value) == default
        if isinstance(value, Sequence) and value != default
        else (value == default)
    )


def _text(name: str, value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if name == "reads":
        return " ".join(value)
    return _grid(value) if name in ("alpha", "beta") else ",".join(map(str, value))


def _grid(values: Sequence[float | int]) -> str:
    first, last = (Fraction(repr(float(value))) for value in (values[0], values[-1]))
    step = (last - first) / max(len(values) - 1, 1)
    even = all(abs(float(first + i * step) - one) < 1e-12 for i, one in enumerate(values))
    if len(values) > 2 and even:
        return f"{values[0]:g}:{values[-1]:g}:{len(values)}"
    return ",".join(f"{value:g}" for value in values)
