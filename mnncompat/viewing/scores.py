"""What was found about each node as a number, for viewers that colour nodes by numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

_SEVERITIES = {"info": 1.0, "warning": 2.0, "error": 3.0}
_MOST_DB = 140.0
"""Beyond what float32 resolves: more is as good as exact."""


class Scores(NamedTuple):
    """One kind of number.

    Attributes:
        name: What it is, for people.
        gradient: Colours of the smallest and of the largest number.
        values: Graph -> node -> number.
    """

    name: str
    gradient: tuple[str, str]
    values: dict[str, dict[int, float]]


def scores(data: dict[str, Any]) -> list[Scores]:
    """All kinds of numbers that were measured of a model.

    Args:
        data: Of `mnncompat.viewing.model_data.model_data`.

    Returns:
        Findings (3 is an error, 2 a warning, 1 info), the error that each layer adds and that has accumulated (noise
        relative to the signal in dB; higher is worse), the largest value of each layer, the time of each op under MNN,
        and bytes of weights. What a node has, the nodes of the other graphs have that come from it.
    """
    kinds = [kind for kind in ("original", "fixed", "mnn") if kind in data["graphs"]]
    found = [Scores("findings", ("#56b4e9", "#d55e00"), _findings(data["findings"]))]
    layers = _layers(data)
    if layers is not None:
        graph, nodes, told = layers
        for field, name in (("own", "error added"), ("accumulated", "error accumulated")):
            values = [(each, _noise(layer.get(field))) for each, layer in zip(nodes, told, strict=True)]
            found.append(Scores(f"{name}, dB", ("#00224e", "#fee838"), {graph: _of_nodes(values)}))
        reached = [(each, _reach(layer)) for each, layer in zip(nodes, told, strict=True)]
        found.append(Scores("largest value", ("#00224e", "#fee838"), {graph: _of_nodes(reached)}))
    seconds = data["graphs"].get("mnn", {}).get("seconds", ())
    took = {node: 1e3 * each for node, each in enumerate(seconds) if each is not None}
    found.append(Scores("time, ms", ("#eaf0f8", "#d55e00"), {"mnn": took}))
    weights = {kind: _bytes(data["graphs"][kind]) for kind in kinds if kind != "mnn"}
    found.append(Scores("bytes of weights", ("#eaf0f8", "#0072b2"), weights))
    return [_spread(each, kinds, data["links"]) for each in found if any(each.values.values())]


def _findings(columns: dict[str, Any]) -> dict[str, dict[int, float]]:
    strings = columns["strings"]
    found: dict[str, dict[int, float]] = {}
    for node, graph, severity in zip(columns["node"], columns["graph"], columns["severity"], strict=True):
        if node >= 0:
            values = found.setdefault(strings[graph], {})
            values[node] = max(values.get(node, 0.0), _SEVERITIES[strings[severity]])
    return found


def _layers(data: dict[str, Any]) -> tuple[str, Sequence[list[int]], Sequence[dict[str, Any]]] | None:
    told = next((each["layers"] for each in data["results"] if each.get("layers")), None)
    return None if not data["layers"] or not told else (data["layers"]["graph"], data["layers"]["nodes"], told)


def _noise(deviation: dict[str, Any] | None) -> float:
    ratio = math.nan if deviation is None else _number(deviation["snr_db"])
    return math.nan if math.isnan(ratio) else -min(max(ratio, 0.0), _MOST_DB)


def _reach(layer: dict[str, Any]) -> float:
    return max(abs(_number(layer["low"])), abs(_number(layer["high"])))


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(str(value).replace("Infinity", "inf"))


def _of_nodes(values: Iterable[tuple[list[int], float]]) -> dict[int, float]:
    return {node: value for nodes, value in values if math.isfinite(value) for node in nodes if node >= 0}


def _bytes(graph: dict[str, Any]) -> dict[int, float]:
    return {node: float(count) for node, count in enumerate(graph["nodes"]["bytes"]) if count}


def _spread(found: Scores, kinds: Sequence[str], links: dict[str, Any]) -> Scores:
    """The same, with the numbers of nodes in one graph on those that come from them in the next, and back."""
    values = {kind: dict(found.values.get(kind, {})) for kind in kinds}
    steps = list(itertools.pairwise(kinds))
    for before, after in [*steps, *reversed(steps)]:
        pairs = links[after]["pairs"]
        for here, there in zip(pairs[::2], pairs[1::2], strict=True):
            for (source, at), (target, to) in (((before, there), (after, here)), ((after, here), (before, there))):
                if at in values[source] and to not in found.values.get(target, {}):
                    values[target][to] = max(values[source][at], values[target].get(to, -math.inf))
    return found._replace(values=values)
