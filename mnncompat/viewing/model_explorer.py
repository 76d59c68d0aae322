"""Graphs and numbers of nodes as Google's Model Explorer opens them (github.com/google-ai-edge/model-explorer).

``model.json``          the graphs: a `GraphCollection` of its `graph_builder`
``findings.json``, ...  node data of its `node_data_builder`: one file for each kind of number
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.graph.atomic_files import write_atomically
from mnncompat.viewing.scores import scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.viewing.scores import Scores

GRAPHS = "model.json"
"""Name of the file with the graphs."""
_TITLES = {"original": "original", "fixed": "after the rewrites", "mnn": "MNN's file"}


def write_folder(folder: Path, data: dict[str, Any]) -> list[Path]:
    """Write the files.

    Args:
        folder: Made if it is not there.
        data: Of `mnncompat.viewing.model_data.model_data`.

    Returns:
        The files: the graphs first.

    Raises:
        OutputError: One cannot be written.
    """
    from mnncompat.errors import OutputError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{folder} cannot be made: {reason}", hint="name a folder that can be made") from error
    label = data["model"].rpartition("/")[2] or "model"
    graphs = {"label": label, "graphs": [_graph(kind, graph, data) for kind, graph in data["graphs"].items()]}
    documents: dict[str, Any] = {GRAPHS: graphs}
    documents |= {
        f"{re.sub('[^a-z]+', '-', each.name.lower()).strip('-')}.json": _node_data(each) for each in scores(data)
    }
    written = [folder / name for name in documents]
    for path, document in zip(written, documents.values(), strict=True):
        write_atomically(path, json.dumps(document, indent=1).encode())
    return written


def _graph(kind: str, graph: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    strings = graph["strings"]
    nodes = graph["nodes"]
    producers = {value: (node, at) for node, made in enumerate(nodes["out"]) for at, value in enumerate(made)}
    given = [value for value in graph["inputs"] if value not in producers]
    producers |= {value: (len(nodes["op"]) + at, 0) for at, value in enumerate(given)}
    paths = _namespaces(graph["groups"])
    told = _findings_by_node(kind, data["findings"])
    found = [
        {
            "id": str(node),
            "label": strings[nodes["op"][node]],
            "namespace": "" if nodes["group"][node] < 0 else paths[nodes["group"][node]],
            "attrs": [*_attributes(graph, node), *({"key": key, "value": text} for key, text in told.get(node, ()))],
            "incomingEdges": list(_edges(nodes["in"][node], producers)),
            "outputsMetadata": _outputs(graph, node),
        }
        for node in range(len(nodes["op"]))
    ]
    found += [_terminal(graph, value, len(nodes["op"]) + at) for at, value in enumerate(given)]
    for at, value in enumerate(graph["outputs"]):
        end = _terminal(graph, value, len(found))
        found.append({**end, "label": f"output {at}", "incomingEdges": list(_edges([value], producers))})
    return {"id": _TITLES[kind], "nodes": found}


def _terminal(graph: dict[str, Any], value: int, number: int) -> dict[str, Any]:
    """An input of the model, as a node."""
    metadata = _metadata(graph["strings"], graph["values"], value)
    outputs = [{"id": "0", "attrs": metadata}]
    return {
        "id": str(number),
        "label": "Input",
        "namespace": "",
        "attrs": [{"key": "name", "value": graph["strings"][graph["values"]["name"][value]]}],
        "incomingEdges": [],
        "outputsMetadata": outputs,
    }


def _namespaces(groups: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for label, parent in zip(groups["label"], groups["parent"], strict=True):
        found.append(label if parent < 0 else f"{found[parent]}/{label}")
    return found


def _attributes(graph: dict[str, Any], node: int) -> Iterator[dict[str, str]]:
    strings = graph["strings"]
    yield {"key": "name", "value": strings[graph["nodes"]["name"][node]]}
    flat = graph["nodes"]["attrs"][node]
    for key, value in zip(flat[::2], flat[1::2], strict=True):
        yield {"key": strings[key], "value": strings[value]}


def _outputs(graph: dict[str, Any], node: int) -> list[dict[str, Any]]:
    made = graph["nodes"]["out"][node]
    return [
        {"id": str(at), "attrs": _metadata(graph["strings"], graph["values"], value)} for at, value in enumerate(made)
    ]


def _edges(values: Sequence[int], producers: dict[int, tuple[int, int]]) -> Iterator[dict[str, str]]:
    for at, value in enumerate(values):
        if value in producers:
            node, output = producers[value]
            yield {"sourceNodeId": str(node), "sourceNodeOutputId": str(output), "targetNodeInputId": str(at)}


def _metadata(strings: Sequence[str], values: dict[str, Any], value: int) -> list[dict[str, str]]:
    name, kind = (strings[values[column][value]] for column in ("name", "type"))
    return [{"key": "tensor_name", "value": name}, *([{"key": "tensor_shape", "value": kind}] if kind else [])]


def _findings_by_node(kind: str, columns: dict[str, Any]) -> dict[int, list[tuple[str, str]]]:
    strings = columns["strings"]
    found: dict[int, list[tuple[str, str]]] = {}
    rows = zip(*(columns[name] for name in ("node", "graph", "code", "severity", "message")), strict=True)
    for node, graph, code, severity, message in rows:
        if strings[graph] == kind and node >= 0:
            key = f"{strings[severity]} {strings[code]}"
            found.setdefault(node, []).append((key, strings[message]))
    return found


def _node_data(found: Scores) -> dict[str, Any]:
    low, high = found.gradient
    gradient = [{"stop": 0, "bgColor": low}, {"stop": 1, "bgColor": high}]
    return {
        _TITLES[kind]: {
            "name": found.name,
            "results": {str(node): {"value": value} for node, value in values.items()},
            "gradient": gradient,
        }
        for kind, values in found.values.items()
        if values
    }
