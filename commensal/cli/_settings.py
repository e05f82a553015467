"""Settings from options and YAML files, and the notation of grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from commensal._spelling import did_you_mean

MOST = 1_000_000  # points of a grid
_LARGEST = 2**31 - 1  # beyond it nothing ends, and arrays are indexed by 32 bits


def parse_grid(text: str) -> tuple[float, ...]:
    """Parse ``start:stop:count`` (both ends included), or numbers separated by commas.

    Each point is the double nearest to the exact decimal: the fourth of ``0:1:11`` is 0.3, so
    that ``dataset.sel(alpha=0.3)`` finds it.

    Raises
    ------
    ValueError
        If the text is neither, describes no point, or more than a million.

    Examples
    --------
    >>> parse_grid("0:1:5")
    (0.0, 0.25, 0.5, 0.75, 1.0)
    >>> parse_grid("0:1:11")[3] == 0.3
    True
    >>> parse_grid("0.1,0.5")
    (0.1, 0.5)
    """
    if ":" not in text:
        try:
            return tuple(float(part) for part in text.split(","))
        except ValueError:
            raise _no_grid(text) from None
    try:
        start, stop, count = text.split(":")
        first, last, points = Fraction(Decimal(start)), Fraction(Decimal(stop)), int(count)
    except (ValueError, ArithmeticError):
        raise _no_grid(text) from None
    if points < 1:
        raise ValueError(f"a grid of {points} points is empty: {text!r}")
    if points > MOST:
        raise ValueError(f"a grid has at most {MOST:,} points, got {text!r}")
    if points == 1 and first != last:
        raise ValueError(f"a grid of 1 point cannot have both ends of {text!r}")
    step = (last - first) / max(points - 1, 1)
    return tuple(float(first + i * step) for i in range(points))


def _no_grid(text: str) -> ValueError:
    return ValueError(f"a grid is start:stop:count or numbers separated by commas, got {text!r}")


def parse_counts(text: str, option: str = "--models") -> tuple[int, ...]:
    """Parse whole numbers separated by commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{option} takes whole numbers separated by commas, got {text!r}"
        ) from None


def parse_weights(text: str) -> float | tuple[float, ...]:
    """Parse a grid; a grid of one point becomes a number."""
    points = parse_grid(text)
    return points[0] if len(points) == 1 else points


def settings_of(
    known: Mapping[str, Callable[[str], Any] | None], config: Path | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Merge the config file's settings with the options that were given, which take precedence.

    Parameters
    ----------
    known : dict
        Names of all settings, with what reads those that are written as a text.
    config : Path or None
    given : dict
        The options; None for those that were not given.

    Raises
    ------
    ValueError
        If the file cannot be read, names a setting that does not exist, or a number is too large.
    """
    settings = _read(config) if config is not None else {}
    if unknown := [str(name) for name in settings if name not in known]:
        raise ValueError(f"unknown setting {unknown[0]!r}{did_you_mean(unknown[0], known)}")
    settings |= {name: value for name, value in given.items() if value is not None}
    for name, value in settings.items():
        read = known[name]
        if read is not None and isinstance(value, str):
            settings[name] = value = read(value)
        whole = value if isinstance(value, (tuple, list)) else [value]
        if name != "seed" and any(isinstance(x, int) and abs(x) > _LARGEST for x in whole):
            raise ValueError(f"{name}: whole numbers go up to {_LARGEST:,}, got {value}")
    return settings


def _read(config: Path) -> dict[str, Any]:
    import yaml

    try:
        settings = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise ValueError(f"{str(config)!r} does not exist") from None
    except IsADirectoryError:
        raise ValueError(f"{str(config)!r} is a folder, not a file of settings") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(config)!r} is not YAML: {error}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{str(config)!r} must hold settings by name")
    return settings
