"""Graphs that a command works on, kept in a folder until its report is written.

A command may work on its models in processes of their own, and forgets each model when it is done with it: what the
page draws is written down where the model is at hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.errors import ModelError
from mnncompat.viewing.distributions import distributions
from mnncompat.viewing.links import converted_links, rewritten_links
from mnncompat.viewing.mnn_graph import mnn_graph_data, op_times
from mnncompat.viewing.onnx_graph import OnnxGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import MnnGraph
    from mnncompat.viewing.links import Fused

GRAPHS = "graphs.json"
"""Name of what is kept."""
_FIXED, _FILE = "fixed", "mnn"


def keep(
    folder: Path,
    original: Model,
    *,
    fixed: Model | None = None,
    file: Path | None = None,
    data: Path | None = None,
    backends: Sequence[str] = (),
    seconds: Sequence[tuple[str, str, float]] = (),
    fused: Fused | None = None,
) -> None:
    """Write down the graphs of a model.

    Args:
        folder: Of this model; made if it is not there.
        original: The model as it was given.
        fixed: The model after its rewrites; None if nothing was rewritten.
        file: The converted file; None if there is none. One that cannot be read is left out.
        data: Where the comparison of the file saved inputs and outputs; None if it did not.
        backends: Backends on which its ops are placed.
        seconds: What the ops of the file took: name, type, seconds.
        fused: See `mnncompat.viewing.links.converted_links`.
    """
    given = OnnxGraph(original)
    graphs: dict[str, Any] = {"original": given.data("original")}
    links: dict[str, Any] = {}
    places = {"original": _places(given)}
    last = given
    if fixed is not None:
        last = OnnxGraph(fixed)
        graphs[_FIXED] = last.data("after the rewrites")
        links[_FIXED] = rewritten_links(given, last)
        places[_FIXED] = _places(last)
    if file is not None and file.is_file():
        graphs |= _converted(file, links, backends, seconds, lambda graph: converted_links(last, graph, fused))
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"graphs": graphs, "links": links, "places": places}
    kept["distributions"] = {} if data is None else distributions(data)
    (folder / GRAPHS).write_text(json.dumps(kept, separators=(",", ":")))


def kept_graphs(folder: Path | None) -> dict[str, Any]:
    """What was kept of a model: `graphs`, `links`, `places`, `distributions`; all empty if nothing was."""
    path = None if folder is None else folder / GRAPHS
    if path is None or not path.is_file():
        return {"graphs": {}, "links": {}, "places": {}, "distributions": {}}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _converted(
    file: Path,
    links: dict[str, Any],
    backends: Sequence[str],
    seconds: Sequence[tuple[str, str, float]],
    pairs: Callable[[MnnGraph], list[int]],
) -> dict[str, Any]:
    from mnncompat import mnn
    from mnncompat.viewing.placed import placed

    try:
        graph = mnn.read_graph(file)
    except ModelError:
        return {}
    links[_FILE] = {"pairs": pairs(graph)}
    data = mnn_graph_data(graph, "MNN's file")
    if backends:
        data["placed"] = placed(graph, backends)
    if seconds:
        data["seconds"] = op_times(graph, seconds)
    return {_FILE: data}


def _places(graph: OnnxGraph) -> dict[str, int]:
    """Number of the first node of each graph of a model, by the way to it."""
    found: dict[str, int] = {}
    for (path, index), number in graph.nodes.items():
        found.setdefault(json.dumps(path), number - index)
    return found
