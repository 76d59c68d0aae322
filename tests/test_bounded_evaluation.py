"""Values are not computed where they would be enormous: the size is known before."""

from __future__ import annotations

import resource
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mnncompat.graph.model_file import from_proto
from mnncompat.inference.constant_folding import constant_value
from mnncompat.inference.evaluation import evaluate
from mnncompat.inference.model_view import view_model

INTS = {"big": [2**63 - 1], "many": [10**9], "square": [2**16, 2**16], "few": [3], "pads": [0, 10**10]}
FLOATS = {"one": np.ones(1, np.float32), "column": np.ones((20000, 1), np.float32)}
BOMBS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "Expand": (["one", "big"], {}),
    "ConstantOfShape": (["many"], {}),
    "Range": (["zero", "billion", "unit"], {}),
    "Tile": (["plane", "square"], {}),
    "Pad": (["one", "pads"], {}),
    "OneHot": (["few", "billion", "pair"], {}),
    "HannWindow": (["billion"], {}),
    "MatMul": (["column", "row"], {}),
    "Add": (["column", "row"], {}),
}


def stored() -> dict[str, TensorProto]:
    arrays = {name: np.array(value, np.int64) for name, value in INTS.items()} | dict(FLOATS)
    arrays |= {"zero": np.array(0), "billion": np.array(10**9), "unit": np.array(1)}
    arrays |= {"plane": np.ones((1, 1), np.float32), "row": FLOATS["column"].T.copy()}
    arrays |= {"pair": np.array([0, 1], np.float32)}
    return {name: numpy_helper.from_array(value, name) for name, value in arrays.items()}


@pytest.mark.parametrize("op", BOMBS)
def test_too_large(op: str) -> None:
    operands, attributes = BOMBS[op]
    nodes = [helper.make_node(op, operands, ["made"], **attributes), helper.make_node("Shape", ["made"], ["y"])]
    read = {name: tensor for name, tensor in stored().items() if name in operands}
    tracemalloc.start()
    assert evaluate(nodes, read, 17, "y") is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000_000


def test_a_size_that_is_computed_first() -> None:
    """The bound looks at values, not at the model: 10^9 comes out of a product."""
    nodes = [
        helper.make_node("Mul", ["many", "few"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["made"]),
        helper.make_node("ReduceSum", ["made"], ["y"], keepdims=0),
    ]
    assert evaluate(nodes, {name: stored()[name] for name in ("many", "few")}, 17, "y") is None


def test_small_values_are_computed() -> None:
    nodes = [helper.make_node("Expand", ["one", "few"], ["a"]), helper.make_node("CumSum", ["a", "zero"], ["y"])]
    found = evaluate(nodes, {name: stored()[name] for name in ("one", "few", "zero")}, 17, "y")
    assert found is not None
    assert found.tolist() == [1, 2, 3]


def chain(op: str, length: int) -> ModelProto:
    attributes: dict[str, Any] = {"axis": 0} if op == "Concat" else {}
    nodes = [helper.make_node(op, [f"v{i}"] * 2, [f"v{i + 1}"], **attributes) for i in range(length)]
    nodes.append(helper.make_node("Shape", [f"v{length}"], ["y"]))
    graph = helper.make_graph(
        nodes, "g", [], [helper.make_tensor_value_info("y", 7, [1])], [numpy_helper.from_array(np.arange(2), "v0")]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("op", "size"), [("Concat", 2**46), ("Add", 2)])
def test_inference_follows_no_long_values(op: str, size: int) -> None:
    """A chain of Concat doubles a value: ONNX's data propagation would list 2^46 numbers."""
    begin = time.process_time()
    view = view_model(from_proto(chain(op, 45))).main
    assert view.shape("v45") == (size,)
    assert constant_value(view, "y").tolist() == [size]  # type: ignore[union-attr]
    assert time.process_time() - begin < 20


@pytest.mark.parametrize(
    ("op", "operands"),
    [("ConstantOfShape", [[10**9]]), ("Expand", [1, [10**9]]), ("Tile", [[1], [10**9]]), ("Range", [0, 10**9, 1])],
)
@pytest.mark.parametrize("is_stored", [True, False])
def test_inference_lists_no_values_that_grow(op: str, operands: list[Any], *, is_stored: bool) -> None:
    """ONNX's data propagation would take 137 bytes for each element, as long as there is memory."""
    tensors = [numpy_helper.from_array(np.array(each), f"o{i}") for i, each in enumerate(operands)]
    constants = [helper.make_node("Constant", [], [each.name], value=each) for each in tensors]
    nodes = [helper.make_node(op, [each.name for each in tensors], ["v"]), helper.make_node("Cast", ["v"], ["y"], to=7)]
    graph = helper.make_graph(
        nodes if is_stored else [*constants, *nodes],
        *("g", [], [helper.make_tensor_value_info("y", 7, [None])]),
        tensors if is_stored else [],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert view_model(from_proto(proto)).main.shape("y") == (10**9,)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize(
    ("op", "attributes"), [("Identity", {}), ("Neg", {}), ("Cast", {"to": 1}), ("Relu", {}), ("Reshape", {})]
)
def test_a_long_chain_needs_no_recursion(op: str, attributes: dict[str, Any]) -> None:
    """Twice as long as Python's stack is deep."""
    import mnncompat

    extra = ["shape"] if op == "Reshape" else []
    nodes = [helper.make_node(op, [f"v{i}", *extra], [f"v{i + 1}"], **attributes) for i in range(2000)]
    nodes.append(helper.make_node("Add", ["v2000", "x"], ["y"]))
    kinds = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    stored_values = [np.array([2, 3]), np.ones((2, 3), np.float32)]
    for inner in ("shape", "v0"):
        inputs = [kinds[0]] if inner == "v0" else [kinds[0], helper.make_tensor_value_info("v0", 1, [2, 3])]
        names = ("shape", "v0")[: 1 + (inner == "v0")]
        weights = [numpy_helper.from_array(value, name) for name, value in zip(names, stored_values, strict=False)]
        graph = helper.make_graph(nodes, "g", inputs, [kinds[1]], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        assert mnncompat.check(model).nodes == 2001
