"""Puts the micro-model of a row into a model: it reads what the model computes, and what it computes is added there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mnncompat.probe.case import Case
from mnncompat.probe.row_cases import row_cases

PREFIX = "spliced_"
_STEPS_AS_INPUT = 13
_FLOAT = TensorProto.FLOAT


@cache
def cases() -> tuple[Case, ...]:
    """Micro-models of float32 numbers that MNN gets wrong, refuses or dies on."""
    found = []
    for row in row_cases():
        if not row.code or row.is_alike or row.earlier is not None or row.unstable or row.expected:
            continue
        model = row.model()
        values = [*model.graph.input, *model.graph.output]
        if (
            len(model.opset_import) == 1
            and not (model.functions or model.graph.sparse_initializer)
            and all(_is_plain(each) for each in values)
        ):
            found.append(row.case())
    return tuple(each for each in found if each.expected and all(_is_finite(a) for a in each.expected.values()))


def _is_plain(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type == _FLOAT and all(
        each.dim_value > 0 for each in value.type.tensor_type.shape.dim
    )


def _is_finite(array: np.ndarray) -> bool:
    return bool(array.size and np.isfinite(array).all() and np.abs(array).max() < 1e6)


def fitting(model: ModelProto) -> list[Case]:
    """The micro-models whose operators mean the same under the opset of a model."""
    opset = _opset(model)
    return [each for each in cases() if opset >= _STEPS_AS_INPUT and _means_the_same(each, opset)]


def _opset(model: ModelProto) -> int:
    return next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))


def _means_the_same(case: Case, opset: int) -> bool:
    micro = onnx.load_from_string(case.model)
    own = _opset(micro)

    def since(op: str, version: int) -> int:
        try:
            return int(onnx.defs.get_schema(op, version).since_version)
        except onnx.defs.SchemaError:
            return -1

    return all(since(node.op_type, own) == since(node.op_type, opset) > 0 for node in micro.graph.node)


def places(model: ModelProto) -> list[str]:
    """Values of the main graph that are float32, and are read by a node."""
    inferred = onnx.shape_inference.infer_shapes(model)
    read = {name for node in model.graph.node for name in node.input}
    made = {name for node in model.graph.node if node.op_type not in ("Constant", "Identity") for name in node.output}
    return [
        each.name
        for each in inferred.graph.value_info
        if each.type.tensor_type.elem_type == _FLOAT and each.name in read & made
    ]


def spliced(model: ModelProto, case: Case, value: str) -> ModelProto:
    """A copy of a model with a micro-model at a value."""
    copy, micro = ModelProto(), onnx.load_from_string(case.model)
    copy.CopyFrom(model)
    nodes = copy.graph.node
    index = next(number for number, node in enumerate(nodes) if value in node.output)
    for node in list(nodes)[index + 1 :]:
        for place, name in enumerate(node.input):
            if name == value:
                node.input[place] = f"{value}_shifted"
    added, stored = _around(case, micro, value)
    rest = [_copy(node) for node in list(nodes)[index + 1 :]]
    del nodes[index + 1 :]
    nodes.extend([*added, *rest])
    copy.graph.initializer.extend(stored)
    copy.ir_version = max(copy.ir_version, 8)
    return copy


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy


def _around(case: Case, micro: ModelProto, value: str) -> tuple[list[NodeProto], list[TensorProto]]:
    """The nodes before, in and after a micro-model; all their names are new."""
    constants: dict[str, np.ndarray] = {
        "flat": np.array([-1], np.int64),
        "first": np.array(0, np.int64),
        "nothing": np.array(0, np.float32),
        "axis": np.array([0], np.int64),
    }
    stored = [numpy_helper.from_array(array, f"around_{name}") for name, array in constants.items()]
    nodes = [
        helper.make_node("Reshape", [value, "around_flat"], ["around_all"], name="around_reshape"),
        helper.make_node("Gather", ["around_all", "around_first"], ["around_one"], name="around_gather"),
        helper.make_node("Mul", ["around_one", "around_nothing"], ["around_zero"], name="around_mul"),
    ]
    for name, array in case.feeds.items():
        stored.append(numpy_helper.from_array(array, f"around_{name}"))
        nodes.append(
            helper.make_node("Add", [f"around_{name}", "around_zero"], [f"{PREFIX}{name}"], name=f"around_{name}")
        )
    nodes += list(_renamed(micro))
    stored += [_renamed_tensor(each) for each in micro.graph.initializer]
    last = value
    results = case.expected or {}
    for number, (name, array) in enumerate(results.items()):
        draws = np.random.default_rng(number)
        ramp = draws.standard_normal(array.size) / (np.sqrt(np.mean(np.square(array)) * array.size) + 1e-3)
        flat, weights, weighted, total = (f"around_{part}{number}" for part in ("flat", "ramp", "weighted", "total"))
        stored.append(numpy_helper.from_array(ramp.astype(np.float32), weights))
        result = f"{value}_shifted" if number == len(results) - 1 else f"around_shifted{number}"
        nodes += [
            helper.make_node("Reshape", [f"{PREFIX}{name}", "around_flat"], [flat], name=flat),
            helper.make_node("Mul", [flat, weights], [weighted], name=weighted),
            helper.make_node("ReduceSum", [weighted, "around_axis"], [total], name=total, keepdims=0),
            helper.make_node("Add", [last, total], [result], name=f"around_shift{number}"),
        ]
        last = result
    return nodes, stored


def _renamed(micro: ModelProto) -> Iterator[NodeProto]:
    for number, node in enumerate(micro.graph.node):
        copy = _copy(node)
        copy.name = f"{PREFIX}{number}"
        copy.input[:] = [name and f"{PREFIX}{name}" for name in node.input]
        copy.output[:] = [name and f"{PREFIX}{name}" for name in node.output]
        yield copy


def _renamed_tensor(tensor: TensorProto) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(tensor)
    copy.name = f"{PREFIX}{tensor.name}"
    return copy
