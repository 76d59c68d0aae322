"""The graph of a converted file as plain data, in the form of `mnncompat.viewing.onnx_graph`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mnncompat.viewing.groups import Group, grouped
from mnncompat.viewing.module_paths import path_of_name
from mnncompat.viewing.onnx_graph import COLUMNS
from mnncompat.viewing.strings import Strings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.mnn import MnnGraph, MnnOp

_GIVEN = frozenset({"Const", "TrainableParam"})
_LOWERED = re.compile(r"_raster_\d+$")
"""What MNN appends to the name of an op that it lowers."""


def mnn_graph_data(graph: MnnGraph, title: str) -> dict[str, Any]:
    """The ops of a converted file.

    Args:
        graph: What the file holds.
        title: What it is called.

    Returns:
        As `OnnxGraph.data`. The file states no shapes, and sizes of weights are not read: types are empty.
    """
    return _Reader(graph).data(title)


def op_times(graph: MnnGraph, seconds: Sequence[tuple[str, str, float]]) -> list[float | None]:
    """What each op of a file took, with what MNN lowered it into.

    Args:
        graph: The file's.
        seconds: Name, type and seconds of what ran.

    Returns:
        Seconds of each op; None of those that did not run, such as views and constants.
    """
    places = {op.name: at for at, op in enumerate(graph.ops) if not op.body and op.name}
    found: list[float | None] = [None] * len(graph.ops)
    for name, _, took in seconds:
        at = places.get(name, places.get(_LOWERED.sub("", name)))
        if at is not None:
            found[at] = (found[at] or 0.0) + took
    return found


class _Reader:
    """Numbers the ops and values of a file."""

    def __init__(self, graph: MnnGraph) -> None:
        self._graph = graph
        self._strings = Strings()
        self._values: dict[tuple[str, int], int] = {}
        self._names: list[int] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self._labels: list[str] = []

    def data(self, title: str) -> dict[str, Any]:
        root = Group("", "module")
        for index, op in enumerate(self._graph.ops):
            self._add(op)
            inside = root if not op.body else root.inner(op.body, op.body, "body")
            for part in path_of_name(op.name or next(iter(op.values), "")):
                inside = inside.inner(part, part, "module")
            if op.type not in _GIVEN:
                inside.members.append(index)
        groups = grouped(root, [op.type for op in self._graph.ops], self._labels)
        count = len(self._names)
        return {
            "title": title,
            "nodes": {**self._columns, "group": groups.pop("of")},
            "inputs": [],
            "outputs": self._outputs(),
            "values": {"name": self._names, "type": [self._strings.number("")] * count, "bytes": [0] * count},
            "groups": groups,
            "strings": self._strings.table(),
        }

    def _add(self, op: MnnOp) -> None:
        self._labels.append(op.name or next(iter(op.values), f"{op.type}_{len(self._labels)}"))
        names = (*op.values, *[""] * (len(op.outputs) - len(op.values)))
        entry = {
            "op": self._strings.number(op.type),
            "name": self._strings.number(self._labels[-1]),
            "attrs": [each for pair in _facts(op) for each in self._strings.numbers(pair)],
            "in": [self._number(op.body, value) for value in op.inputs],
            "out": [self._number(op.body, value, name) for value, name in zip(op.outputs, names, strict=False)],
            "bytes": 0,
            "hidden": int(op.type in _GIVEN),
            "held": [],
        }
        for column, told in entry.items():
            self._columns[column].append(told)

    def _number(self, body: str, value: int, name: str = "") -> int:
        found = self._values.setdefault((body, value), len(self._names))
        if found == len(self._names):
            self._names.append(self._strings.number(name))
        elif name:
            self._names[found] = self._strings.number(name)
        return found

    def _outputs(self) -> list[int]:
        """Numbers of the values that the file gives."""
        main = [op for op in self._graph.ops if not op.body]
        named = {name: value for op in main for value, name in zip(op.outputs, op.values, strict=False)}
        return [self._values["", named[name]] for name in self._graph.outputs if name in named]


def _facts(op: MnnOp) -> list[tuple[str, str]]:
    """What the file says of an op beside its type."""
    bits = f", {op.bits} bits" if op.bits else ""
    apart = ", in a file of their own" if op.external else ""
    weights = "" if op.weights == "none" else f"{op.weights}{bits}{apart}"
    told = {"parameters": op.parameter, "type of its own": op.custom, "weights": weights}
    return [(name, text) for name, text in told.items() if text]
