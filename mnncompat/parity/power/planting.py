"""One copy of a model in which any operator can be made wrong, by a number that is fed.

Behind every result ``y`` of operator k stands

    If(switch == k):  y * factor      factor: 1.08 for a fixed pseudo-random half of the elements, 1 for the others
    else:             y

A plain factor would prove less: a normalisation that follows takes it out again. Where few elements matter, they may
all lie in the other half, which can be chosen instead. Integers are rounded after the product, and cut at the bounds of
their type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from mnncompat.graph.tensor_values import array_tensor, element_dtype
from mnncompat.parity.power.operators import FLOATS

if TYPE_CHECKING:
    from mnncompat.graph.protos import GraphAddress
    from mnncompat.parity.power.operators import Operator

FACTOR = 1.08
"""How wrong an element of the half becomes. 1.01 is missed by six of the 47 products of PP-OCRv4 recognition: that is
below what its tolerance, and MNN's own rounding, let pass."""
SWITCH = "power/switch"
"""The further input, int64, no dimensions: the number of the operator that is wrong."""
OFF = -1
"""The number of none."""
HALF = "power/half"
"""Another input, int64, no dimensions: 0 for the half with the first element, 1 for the other one."""
_FACTORS = "power/factors"
_PERIOD = 65521
"""A prime number, so that the half does not repeat along rows or channels."""
_CONTRIB, _RANGE = "com.microsoft", 11
"""ONNX Runtime's own Range, for models below the opset from which on ONNX has one."""


def plant(model: ModelProto, operators: Sequence[Operator]) -> None:
    """Add the switch and the faults, in place.

    Args:
        model: Without local functions.
        operators: Of this model; their positions are the numbers that the switch takes.
    """
    domain = _domain_of_range(model)
    for operator in operators:
        node = _graph_at(model.graph, operator.address).node[operator.position]
        for name, _ in operator.results:
            place = list(node.output).index(name)
            node.output[place] = _exact(name)
    by_graph: dict[GraphAddress, dict[int, list[NodeProto]]] = {}
    for number, operator in enumerate(operators):
        if operator.results:
            by_graph.setdefault(operator.address, {})[operator.position] = list(
                _switched(number, operator.results, domain)
            )
    for address in sorted(by_graph, key=len, reverse=True):  # inner graphs first: positions in outer ones stay
        _insert(_graph_at(model.graph, address), by_graph[address])
    model.graph.input.extend(helper.make_tensor_value_info(name, TensorProto.INT64, []) for name in (SWITCH, HALF))
    model.graph.initializer.append(array_tensor(_factors(), _FACTORS))
    model.ir_version = max(model.ir_version, 4)  # before it, initializers have to be inputs as well
    if domain and all(entry.domain != domain for entry in model.opset_import):
        model.opset_import.add(domain=domain, version=1)


def _domain_of_range(model: ModelProto) -> str:
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    return "" if opset >= _RANGE else _CONTRIB


def _factors() -> np.ndarray:
    wrong = np.random.default_rng(0).permutation(_PERIOD) < _PERIOD // 2
    wrong[0] = True
    return np.where(np.concatenate([wrong, ~wrong]), FACTOR, 1.0).astype(np.float32)


def _graph_at(graph: GraphProto, address: GraphAddress) -> GraphProto:
    for index, name in address:
        graph = next(item.g for item in graph.node[index].attribute if item.name == name)
    return graph


def _insert(graph: GraphProto, behind: dict[int, list[NodeProto]]) -> None:
    nodes = GraphProto()
    for index, node in enumerate(graph.node):
        nodes.node.add().CopyFrom(node)
        nodes.node.extend(behind.get(index, ()))
    del graph.node[:]
    graph.node.extend(nodes.node)


def _exact(name: str) -> str:
    return f"{name}/exact"


def _switched(number: int, results: Iterable[tuple[str, int]], domain: str) -> Iterator[NodeProto]:
    results = list(results)
    own = f"power/{number}"
    yield _constant(np.int64(number), f"{own}/number")
    yield helper.make_node("Equal", [SWITCH, f"{own}/number"], [f"{own}/on"])
    wrong, right = GraphProto(name=f"{own}/wrong"), GraphProto(name=f"{own}/right")
    for name, element in results:
        planted, exact = f"{name}/planted", f"{name}/unplanted"
        wrong.node.extend(_planted(_exact(name), element, planted, domain))
        right.node.append(helper.make_node("Identity", [_exact(name)], [exact]))
        wrong.output.append(helper.make_tensor_value_info(planted, element, None))
        right.output.append(helper.make_tensor_value_info(exact, element, None))
    names = [name for name, _ in results]
    yield helper.make_node("If", [f"{own}/on"], names, then_branch=wrong, else_branch=right)


def _planted(name: str, element: int, result: str, domain: str) -> Iterator[NodeProto]:
    """Multiply by the factors of one half: element i by the one at i modulo the period."""
    at = f"{result}/"
    yield helper.make_node("Size", [name], [f"{at}size"])
    yield _constant(np.int64(0), f"{at}0")
    yield _constant(np.int64(1), f"{at}1")
    yield _constant(np.int64(_PERIOD), f"{at}period")
    yield helper.make_node("Range", [f"{at}0", f"{at}size", f"{at}1"], [f"{at}i"], domain=domain)
    yield helper.make_node("Div", [f"{at}i", f"{at}period"], [f"{at}rounds"])
    yield helper.make_node("Mul", [f"{at}rounds", f"{at}period"], [f"{at}before"])
    yield helper.make_node("Sub", [f"{at}i", f"{at}before"], [f"{at}place"])
    yield helper.make_node("Mul", [HALF, f"{at}period"], [f"{at}start"])
    yield helper.make_node("Add", [f"{at}place", f"{at}start"], [f"{at}chosen"])
    yield helper.make_node("Gather", [_FACTORS, f"{at}chosen"], [f"{at}flat"])
    yield helper.make_node("Shape", [name], [f"{at}shape"])
    yield helper.make_node("Reshape", [f"{at}flat", f"{at}shape"], [f"{at}factor"])
    if element == TensorProto.FLOAT:
        yield helper.make_node("Mul", [name, f"{at}factor"], [result])
    elif element in FLOATS:
        yield helper.make_node("Cast", [f"{at}factor"], [f"{at}cast"], to=element)
        yield helper.make_node("Mul", [name, f"{at}cast"], [result])
    else:
        yield from _planted_integers(name, element, result, at)


def _planted_integers(name: str, element: int, result: str, at: str) -> Iterator[NodeProto]:
    limits = np.iinfo(element_dtype(element))
    yield helper.make_node("Cast", [name], [f"{at}wide"], to=TensorProto.DOUBLE)
    yield helper.make_node("Cast", [f"{at}factor"], [f"{at}precise"], to=TensorProto.DOUBLE)
    yield helper.make_node("Mul", [f"{at}wide", f"{at}precise"], [f"{at}product"])
    yield _constant(np.float64(0.5), f"{at}half")
    yield helper.make_node("Add", [f"{at}product", f"{at}half"], [f"{at}sum"])
    yield helper.make_node("Floor", [f"{at}sum"], [f"{at}rounded"])
    yield _constant(np.float64(limits.min), f"{at}least")
    yield _constant(np.float64(limits.max), f"{at}most")
    yield helper.make_node("Max", [f"{at}rounded", f"{at}least"], [f"{at}from"])
    yield helper.make_node("Min", [f"{at}from", f"{at}most"], [f"{at}to"])
    yield helper.make_node("Cast", [f"{at}to"], [result], to=element)


def _constant(value: np.generic, name: str) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=array_tensor(np.asarray(value)))
