"""The releases of MNN, and the operators that each one declares.

`rules/declared.json` holds the op names that the ONNX converter of every release registers. Declared is not
supported: what a release does with an operator that it declares is stated by `mnncompat.support.table`.
"""

from __future__ import annotations

import operator
import os
import re
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

from mnncompat.errors import UsageError
from mnncompat.support import rule_files

Range = tuple[str, str | None]
"""First and last release, both inclusive; None if the newest release is still in it."""


class Releases(NamedTuple):
    """Every known release, oldest first, and the operators that it declares.

    Attributes:
        dates: Release date (ISO 8601) by version.
        ops: Ranges of releases that declare an op, by op name.
    """

    dates: dict[str, str]
    ops: dict[str, tuple[Range, ...]]

    @property
    def newest(self) -> str:
        """The newest known release."""
        return next(reversed(self.dates))

    def known(self, version: str) -> str:
        """The newest known release that is not newer than `version`; the oldest one if all are newer."""
        if version in self.dates:
            return version
        wanted = _order(version)
        older = [release for release in self.dates if _order(release) <= wanted]
        return older[-1] if older else next(iter(self.dates))

    def declares(self, op: str, version: str) -> bool:
        """True if the converter of that release (or the nearest known older one) registers `op`."""
        order = _positions(tuple(self.dates))
        position = order[self.known(version)]
        return any(
            order[first] <= position and (last is None or position <= order[last])
            for first, last in self.ops.get(op, ())
        )

    def history(self, op: str) -> str:
        """When `op` was declared, in words."""
        ranges = self.ops.get(op, ())
        if not ranges:
            return f"no release up to {self.newest} declares it"
        spans = [f"since {first}" if last is None else f"from {first} to {last}" for first, last in ranges]
        return f"declared {' and '.join(spans)}"


@cache
def _positions(versions: tuple[str, ...]) -> dict[str, int]:
    return {version: position for position, version in enumerate(versions)}


@cache
def releases() -> Releases:
    """Read `rules/declared.json`.

    Raises:
        TableError: The file is missing or damaged.
    """
    data = rule_files.read_json(rule_files.root() / "declared.json")
    ops = {op: tuple((first, last) for first, last in ranges) for op, ranges in data["ops"].items()}
    return Releases(dates=dict(data["versions"]), ops=ops)


@lru_cache(maxsize=4096)
def declares(op: str, version: str) -> bool:
    """`Releases.declares` of `rules/declared.json`.

    Raises:
        TableError: As `releases`.
    """
    return releases().declares(op, version)


def installed_version() -> str | None:
    """Version of the installed MNN wheel, read from its metadata without importing it; None if there is none."""
    stated = _stated_version(tuple(sys.path))
    if stated is not None:
        return stated
    import importlib.metadata

    try:
        return importlib.metadata.version("MNN")
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _stated_version(path: tuple[str, ...]) -> str | None:
    """What the first MNN on the path states in its metadata, as pip installs it; None if none is found like that.

    `importlib.metadata` takes longer to import than all rows to read.
    """
    for folder in path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - a path object for each costs more
        except OSError:
            continue
        for name in names:
            if _METADATA.fullmatch(name):
                return _metadata_version(os.path.join(folder, name, "METADATA"))  # noqa: PTH118 - costs less
    return None


def _metadata_version(file: str) -> str | None:
    try:
        with open(file, encoding="utf-8") as stream:  # noqa: PTH123 - likewise
            return next((line[8:].strip() for line in stream if line.startswith("Version:")), None)
    except (OSError, UnicodeDecodeError):
        return None


def resolve_version(spec: str | None = None) -> str:
    """The MNN release that a model is checked against.

    An installed release that is newer than the newest known one, or lies between two, is taken as it is: its declared
    ops are then those of the nearest known older release.

    Args:
        spec: A release, ``latest`` for the newest known one, or None for the installed one (the newest known one
            if MNN is not installed).

    Raises:
        UsageError: There is no such release.
    """
    known = releases()
    if spec is None:
        return installed_version() or known.newest
    if spec == "latest":
        return known.newest
    found = _same_release(spec, known)
    if found is not None:
        return found
    hint = f"known are {next(iter(known.dates))} to {known.newest}"
    near = _neighbours(spec, known)
    raise UsageError(f"unknown MNN version: {spec}", hint=f"{hint}; next to it: {' and '.join(near)}" if near else hint)


def _neighbours(spec: str, known: Releases) -> list[str]:
    """The releases before and after a version; none if the text is no version, or is beyond what is known."""
    from packaging.version import InvalidVersion, Version

    try:
        wanted = Version(spec)
    except InvalidVersion:
        return []
    ordered = sorted(known.dates, key=Version)
    before = [each for each in ordered if Version(each) < wanted]
    after = [each for each in ordered if Version(each) > wanted]
    return [before[-1], after[0]] if before and after else []


def require_installed(spec: str | None, what: str, *, configured: bool = False) -> None:
    """Reject a release that is not the installed one, for a command that runs the installed one.

    Args:
        spec: The release that the user gave, None for none.
        what: What runs the installed release, for the message.
        configured: True if `spec` comes from pyproject.toml.

    Raises:
        UsageError: `spec` is another release, or no release.
    """
    installed = installed_version()
    if spec is None or installed is None or resolve_version(spec) == installed:
        return
    message = f"{what} measures the installed MNN, {installed}, not {spec}"
    if configured:
        raise UsageError(
            f'{message}: [tool.mnncompat] in pyproject.toml has mnn = "{spec}"',
            hint=f"add --mnn {installed}, or change the configuration",
        )
    raise UsageError(message, hint="leave out --mnn")


def _same_release(spec: str, known: Releases) -> str | None:
    if spec in known.dates:
        return spec
    if not _NUMERIC.fullmatch(spec):
        return spec if spec == installed_version() else None
    candidates = [*known.dates, *filter(None, [installed_version()])]
    return next((release for release in candidates if _order(release) == _order(spec)), None)


@cache
def contains(specifier: str, version: str) -> bool:
    """True if a PEP 440 specifier holds for the nearest known release that is not newer than `version`.

    Raises:
        ValueError: It is not a specifier.
    """
    release = _order(releases().known(version))
    clauses = [_CLAUSE.fullmatch(clause.strip()) for clause in specifier.split(",")]
    if not all(clauses):  # wildcards and the like: rare, and packaging takes 9 ms to import
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(specifier).contains(releases().known(version), prereleases=True)
    return all(COMPARISONS[clause[1]](release, _order(clause[2])) for clause in clauses if clause is not None)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
"""The comparisons of a range or a specifier, by their signs."""

_METADATA = re.compile(r"mnn-[^-]+\.dist-info", re.IGNORECASE)
_NUMERIC = re.compile(r"\d+(?:\.\d+)*")
_CLAUSE = re.compile(r"(>=|<=|!=|==|>|<)\s*(\d+(?:\.\d+)*)")


@cache
def _order(version: str) -> tuple[int, ...]:
    """Release segments without trailing zeros, which compare as PEP 440 compares them."""
    numbers = [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
