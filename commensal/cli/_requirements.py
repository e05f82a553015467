"""Read the requirements of an installed package and of its extras from its metadata."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution, version
from typing import NamedTuple

_UNKNOWN = "not installed as a package: what it needs is not known"


class Requirements(NamedTuple):
    """What a package needs, as its metadata say."""

    package: str
    lines: list[str]
    """Requirements in the form of PEP 508; empty where there are no metadata."""
    extras: list[str]
    known: bool
    """Whether there are metadata."""

    def needed(self, extra: str = "") -> dict[str, str]:
        """Return what is needed here, by an extra alone or without any: name and versions.

        Of a requirement that names extras of another package, such as ``jax[cuda12]``, those
        are needed too.
        """
        from packaging.requirements import Requirement

        found: dict[str, str] = {}
        for line in self.lines:
            one = Requirement(line)
            marker = one.marker
            always = marker is None or marker.evaluate({"extra": ""})
            here = marker is None or marker.evaluate({"extra": extra})
            if not (here and (always != bool(extra))):
                continue
            if one.name == self.package:  # an extra that is made of others
                for inner in one.extras:
                    found |= self.needed(inner)
                continue
            found[one.name] = str(one.specifier)
            for inner in one.extras:
                found |= requirements_of(one.name).needed(inner)
        return found

    def versions(self, extra: str = "") -> dict[str, str | None]:
        """Return the installed version of each, None where it is not installed."""
        return {name: _version(name) for name in sorted(self.needed(extra), key=str.lower)}

    def missing(self, extra: str = "") -> dict[str, str]:
        """Return what is lacking, and why: it is not installed, or its version does not fit."""
        from packaging.specifiers import SpecifierSet

        if not self.known:
            return {} if extra else {self.package: _UNKNOWN}
        found = {}
        for name, specifier in self.needed(extra).items():
            has = _version(name)
            if has is None:
                found[name] = "not installed"
            elif not SpecifierSet(specifier).contains(has, prereleases=True):
                found[name] = f"{has} is installed, needs {specifier}"
        return found

    def command(self, extra: str = "") -> str:
        """Return the command that brings what is lacking."""
        if not self.known:
            return "pip install ."
        return f"pip install '{self.package}[{extra}]'" if extra else f"pip install {self.package}"


def requirements_of(package: str) -> Requirements:
    """Read what an installed package needs; nothing is known of one that is not installed."""
    try:
        of = distribution(package)
    except PackageNotFoundError:
        return Requirements(package, [], [], known=False)
    extras = of.metadata.get_all("Provides-Extra") or []
    return Requirements(package, list(of.requires or []), list(extras), known=True)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
