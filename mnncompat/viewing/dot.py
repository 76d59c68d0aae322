"""A graph with its findings in Graphviz's language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mnncompat.report.printable import shortened
from mnncompat.viewing.onnx_graph import OnnxGraph

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model
    from mnncompat.results.diagnostics import Diagnostic

_COLORS = {"error": "#d55e00", "warning": "#e69f00", "info": "#56b4e9"}
_LONGEST = 60


def dot(model: Model, findings: Sequence[Diagnostic]) -> str:
    """Write a model as `dot` reads it: modules are clusters, and nodes with findings are coloured.

    Args:
        model: The model.
        findings: About it; the worst of a node is its colour, and all are its tooltip.
    """
    graph = OnnxGraph(model)
    data = graph.data(model.name)
    told: dict[int, list[Diagnostic]] = {}
    for each in findings:
        if each.location.index is not None:
            number = graph.nodes.get((each.location.graph, each.location.index))
            if number is not None:
                told.setdefault(number, []).append(each)
    lines = [
        "digraph model {",
        '  graph [rankdir=TB, fontname="sans-serif", compound=true];',
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif", fontsize=11];',
        '  edge [fontname="sans-serif", fontsize=9, color="#6b7785"];',
        *_members(data, told),
        *_edges(data),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _members(data: dict[str, Any], told: dict[int, list[Diagnostic]]) -> Iterator[str]:
    """Nodes in their clusters; a cluster is closed when all in it are written."""
    groups, nodes = data["groups"], data["nodes"]
    inner: dict[int, list[int]] = {}
    for place, parent in enumerate(groups["parent"]):
        inner.setdefault(parent, []).append(place)
    own: dict[int, list[int]] = {}
    for node, home in enumerate(nodes["group"]):
        if not nodes["hidden"][node]:
            own.setdefault(home, []).append(node)
    waiting: list[int | str] = [-1]
    while waiting:
        group = waiting.pop()
        if isinstance(group, str):  # the end of a cluster
            yield group
            continue
        if group >= 0:
            label = _quoted(shortened(groups["label"][group], _LONGEST))
            yield f'  subgraph cluster_{group} {{ label={label}; style=rounded; color="#b6bec9";'
            waiting.append("  }")
        yield from (_node(data, node, told.get(node, ())) for node in own.get(group, ()))
        waiting += reversed(inner.get(group, ()))
    for side, name in (("inputs", "in"), ("outputs", "out")):
        for at, value in enumerate(data[side]):
            yield f"  {name}{at} [label={_value(data, value)}, shape=oval];"


def _node(data: dict[str, Any], node: int, told: Sequence[Diagnostic]) -> str:
    strings, nodes = data["strings"], data["nodes"]
    name = shortened(strings[nodes["name"][node]], _LONGEST)
    label = _quoted(f"{strings[nodes['op'][node]]}\n{name}")
    if not told:
        return f"  n{node} [label={label}];"
    worst = min(told, key=lambda each: each.severity.rank)
    tip = _quoted("\n".join(f"{each.code} {each.name}: {shortened(each.message, 300)}" for each in told))
    return f'  n{node} [label={label}, fillcolor="{_COLORS[worst.severity.value]}", tooltip={tip}];'


def _edges(data: dict[str, Any]) -> Iterator[str]:
    nodes = data["nodes"]
    shown = [node for node, is_hidden in enumerate(nodes["hidden"]) if not is_hidden]
    made = {value: f"n{node}" for node in shown for value in nodes["out"][node]}
    made |= {value: f"in{at}" for at, value in enumerate(data["inputs"]) if value not in made}
    for node in shown:
        for value in dict.fromkeys(nodes["in"][node]):
            if value in made:
                kind = data["strings"][data["values"]["type"][value]]
                yield f"  {made[value]} -> n{node} [label={_quoted(kind)}];"
    for at, value in enumerate(data["outputs"]):
        if value in made:
            yield f"  {made[value]} -> out{at};"


def _value(data: dict[str, Any], value: int) -> str:
    name, kind = (data["strings"][data["values"][column][value]] for column in ("name", "type"))
    return _quoted(f"{shortened(name, _LONGEST)}\n{kind}")


def _quoted(text: str) -> str:
    """A string of Graphviz's language: a backslash stands for itself, and line breaks are breaks of the label."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
