"""Settings from options and YAML files, and the notation of grids."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def parse_grid(text: str) -> tuple[float, ...]:
    """``start:stop:count`` (both ends included), or numbers separated by commas.

    Raises
    ------
    ValueError
        If the text is neither, or describes no point.

    Examples
    --------
    >>> parse_grid("0:1:5")
    (0.0, 0.25, 0.5, 0.75, 1.0)
    >>> parse_grid("0.1,0.5")
    (0.1, 0.5)
    """
    import numpy as np

    try:
        if ":" in text:
            start, stop, count = text.split(":")
            points = int(count)
            if points < 1:
                raise ValueError(f"a grid of {points} points is empty: {text!r}")
            return tuple(float(x) for x in np.linspace(float(start), float(stop), points))
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        if "is empty" in str(error):
            raise
        raise ValueError(
            f"a grid is start:stop:count or numbers separated by commas, got {text!r}"
        ) from None


def parse_counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"--entities takes whole numbers separated by commas, got {text!r}"
        ) from None


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def settings_of(config: Path | None, **options: Any) -> dict[str, Any]:
    """The config file's settings, overridden by the options that were given."""
    settings: dict[str, Any] = {}
    if config is not None:
        import yaml

        try:
            settings = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            raise ValueError(f"{str(config)!r} does not exist") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{str(config)!r} is not YAML: {error}") from None
        if not isinstance(settings, dict):
            raise ValueError(f"{str(config)!r} must hold settings by name")
        for name in ("alpha", "beta"):
            if isinstance(settings.get(name), str):
                settings[name] = parse_grid(settings[name])
    return settings | _given(**options)


ConfigFile = Annotated[
    Path | None, typer.Option(help="Settings by name in YAML; options given here override it.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything that is drawn. (default: 0)")]
Dim = Annotated[int | None, typer.Option(help="Dimension d. (default: 15)")]
Rank = Annotated[int | None, typer.Option(help="Rank of each private design. (default: 5)")]
PublicRank = Annotated[
    int | None, typer.Option(help="Rank of the public design. (default: as --rank)")
]
DesignName = Annotated[
    str | None, typer.Option(help="gaussian, or misaligned (d = K). (default: gaussian)")
]
Prompts = Annotated[
    str | None,
    typer.Option(help="What models are asked: private or fresh features. (default: private)"),
]
Strength = Annotated[
    float | None, typer.Option(help="Size of private data, misaligned design. (default: 10)")
]
Noise = Annotated[float | None, typer.Option(help="Standard deviation of responses. (default: 1)")]
