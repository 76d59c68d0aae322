"""What a backend of an MNN release registers, and what MNN lowers before it asks the backend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from mnncompat.errors import UsageError
from mnncompat.support import rule_files
from mnncompat.support.releases import releases

NOT_ACCELERATED = "cpu"
"""The backend that every other one falls back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One backend of one release, by op types of MNN.

    Attributes:
        name: Its name.
        compiler: ``geometry``, ``loop`` or ``origin``: which ops are lowered, see `rules/geometry.json`.
        execution: ``op`` or ``graph``: whether values cross between the backend and the CPU within a run.
        registered: Op types that the backend registers.
        cpu: Op types that MNN's CPU backend registers.
        lowered: Op type -> what it becomes before the backend is asked. Views of memory become Raster. Other forms, for
            some shapes and parameters, are in the rules (``may``), and are not considered.
        shape_values: Op type -> inputs whose values determine the shape of the output.
        unread_values: Op type -> inputs of which only the shape matters.
        apart: Op types that `Module` keeps in a module of their own.
    """

    name: str
    compiler: str
    execution: str
    registered: frozenset[str]
    cpu: frozenset[str]
    lowered: Mapping[str, tuple[str, ...]]
    shape_values: Mapping[str, tuple[int, ...]]
    unread_values: Mapping[str, tuple[int, ...]]
    apart: frozenset[str]

    def needs(self, op_type: str) -> tuple[str, ...]:
        """Op types that have to be registered for an op to run."""
        return self.lowered.get(op_type, (op_type,))


def names() -> tuple[str, ...]:
    """Backends that can be asked for, sorted.

    Raises:
        TableError: The rules are damaged.
    """
    return tuple(sorted(_geometry()["backends"]))


def require(wanted: Iterable[str]) -> tuple[str, ...]:
    """The wanted backends, each once.

    Raises:
        UsageError: There is no backend of that name.
    """
    chosen = tuple(dict.fromkeys(wanted))
    for name in chosen:
        if name not in names():
            raise UsageError(f"unknown backend: {name}", hint=f"there are: {', '.join(names())}")
    return chosen


def backend(name: str, version: str) -> Backend:
    """A backend of an MNN release; of the nearest older one that is known if that release is not.

    Raises:
        UsageError: The release has no such backend.
        TableError: The rules are damaged.
    """
    (name,) = require([name])
    data = _geometry()
    position = _position(data["versions"], version)
    entry = data["backends"][name]
    held = _Held(data["versions"], position)
    without = held.ops(entry.get("without", ()))
    registered = held.ops(_registered(entry["registered"])) - without
    if not registered:
        raise UsageError(f"MNN {version} has no backend {name}", hint="use a newer MNN, or another backend")
    return Backend(
        name=name,
        compiler=entry["compiler"],
        execution=entry["execution"],
        registered=registered,
        cpu=held.ops(_registered(NOT_ACCELERATED)),
        lowered=_lowered(data["lowered"], entry["compiler"], held),
        shape_values={op: tuple(row["inputs"]) for op, row in held.rows(data["shape_values"]).items()},
        unread_values={op: tuple(inputs) for op, inputs in data["unread_values"].items()},
        apart=frozenset(data["apart"]),
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """Selects what holds for one release, given by its position among `versions`."""

    versions: Sequence[str]
    position: int

    def ops(self, groups: Iterable[Mapping[str, Any]]) -> frozenset[str]:
        return frozenset(op for group in groups if self._holds(group) for op in group["ops"])

    def rows(self, table: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
        return {op: row for op, rows in table.items() for row in rows if self._holds(row)}

    def _holds(self, row: Mapping[str, Any]) -> bool:
        first, last = row["since"], row["until"] or self.versions[-1]
        return self.versions.index(first) <= self.position <= self.versions.index(last)


def _lowered(tables: Mapping[str, Any], compiler: str, held: _Held) -> dict[str, tuple[str, ...]]:
    chosen = {"origin": (), "geometry": ("geometry",), "loop": ("geometry", "loop")}[compiler]
    return {op: tuple(row["into"]) for table in chosen for op, row in held.rows(tables[table]).items()}


def _position(versions: Sequence[str], version: str) -> int:
    """Position of the release, or of the nearest older one that was read; the oldest one's if all are newer."""
    order = list(releases().dates)
    wanted = order.index(releases().known(version))
    return max((at for at, each in enumerate(versions) if order.index(each) <= wanted), default=0)


def _registered(name: str) -> Sequence[Mapping[str, Any]]:
    groups: Sequence[Mapping[str, Any]] = _backends()["backends"][name]
    return groups


@cache
def _backends() -> dict[str, Any]:
    return rule_files.read_json(rule_files.root() / "backends.json")


@cache
def _geometry() -> dict[str, Any]:
    return rule_files.read_json(rule_files.root() / "geometry.json")
