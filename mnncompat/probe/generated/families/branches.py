"""If, Loop and Scan with the bodies that traced and scripted models hold."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_ARITHMETIC = ("Add", "Sub", "Mul")


def _info(name: str, element: int, shape: tuple[int, ...] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def _branch(sample: Sample, name: str, captured: str, shape: tuple[int, ...]) -> onnx.GraphProto:
    """A branch that computes from a value of the outer graph, or returns a constant."""
    output = f"{name}_out"
    weights = numpy_helper.from_array(sample.normal(shape[-1:]))
    form = sample.weighted({"arithmetic": 6.0, "activation": 3.0, "identity": 2.0})
    if form == "arithmetic":
        nodes = [helper.make_node("Constant", [], [f"{name}_w"], value=weights)]
        nodes.append(helper.make_node(sample.pick(_ARITHMETIC), [captured, f"{name}_w"], [output]))
    elif form == "activation":
        nodes = [helper.make_node(sample.pick(("Relu", "Neg", "Abs")), [captured], [output])]
    else:
        nodes = [helper.make_node("Identity", [captured], [output])]
    return helper.make_graph(nodes, name, [], [_info(output, TensorProto.FLOAT, shape)])


@generator("If", weight=20, precision=Precision.ARITHMETIC)
def branch(sample: Sample) -> None:
    """The condition fed, or computed from a value or a size; both branches use the outer graph."""
    shape = sample.shape(1, 4)
    x = sample.input(sample.normal(shape))
    form = sample.weighted({"fed": 5.0, "sum": 3.0, "size": 1.5})
    if form == "fed":
        condition = sample.input(np.array(sample.chance(0.5)), "condition")
    elif form == "sum":
        (largest,) = sample.node("ReduceMax", [x], keepdims=0)
        (condition,) = sample.node("Greater", [largest, sample.initializer(np.array(0.5, np.float32), "threshold")])
    else:
        (count,) = sample.node("Size", [x])
        (condition,) = sample.node("Equal", [count, sample.initializer(np.array(sample.pick((1, 12))), "expected")])
    branches = [_branch(sample, name, x, shape) for name in ("then", "else")]
    sample.emit(condition, then_branch=branches[0], else_branch=branches[1])


@generator("Loop", weight=26, precision=Precision.ARITHMETIC)
def loop(sample: Sample) -> None:
    """A counted loop with a state, at times with a scan output; the count constant or fed."""
    shape = sample.shape(1, 2)
    trips = sample.integer(1, 5)
    scanned, by_counter = sample.chance(0.5), sample.chance(0.3)
    nodes, outputs = _body(sample, shape, by_counter=by_counter)
    if scanned:
        nodes.append(helper.make_node("Identity", ["state_out"], ["scan_out"]))
        outputs.append(_info("scan_out", TensorProto.FLOAT, shape))
    inputs = [_info("i", TensorProto.INT64, ()), _info("go", TensorProto.BOOL, ())]
    body = helper.make_graph(nodes, "body", [*inputs, _info("state_in", TensorProto.FLOAT, shape)], outputs)
    count = sample.operand(np.array(trips), "trip_count", constant=0.7)
    go = sample.constant(np.array(True), "condition") if sample.chance(0.7) else ""  # noqa: FBT003 - a tensor's value
    state = sample.input(sample.normal(shape), "state")
    sample.emit(count, go, state, outputs=["final", "scanned"] if scanned else ["final"], body=body)


def _body(
    sample: Sample, shape: tuple[int, ...], *, by_counter: bool
) -> tuple[list[onnx.NodeProto], list[onnx.ValueInfoProto]]:
    outputs = [_info("go_out", TensorProto.BOOL, ()), _info("state_out", TensorProto.FLOAT, shape)]
    nodes = [helper.make_node("Identity", ["go"], ["go_out"])]
    if by_counter:
        nodes.append(helper.make_node("Cast", ["i"], ["step"], to=TensorProto.FLOAT))
    else:
        step = numpy_helper.from_array(np.array(sample.pick((0.5, 1.5, -0.5)), np.float32))
        nodes.append(helper.make_node("Constant", [], ["step"], value=step))
    nodes.append(helper.make_node(sample.pick(("Add", "Mul", "Sub")), ["state_in", "step"], ["state_out"]))
    return nodes, outputs


@generator("Scan", weight=4, precision=Precision.ARITHMETIC, oldest=9)
def scan(sample: Sample) -> None:
    """A running sum over the first axis."""
    shape = sample.shape(1, 2)
    inputs = [_info(name, TensorProto.FLOAT, shape) for name in ("sum_in", "next")]
    outputs = [_info(name, TensorProto.FLOAT, shape) for name in ("sum_out", "scan_out")]
    nodes = [
        helper.make_node("Add", ["sum_in", "next"], ["sum_out"]),
        helper.make_node("Identity", ["sum_out"], ["scan_out"]),
    ]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    initial = sample.constant(np.zeros(shape, np.float32), "initial")
    members = sample.input(sample.normal((sample.integer(2, 5), *shape)), "members")
    sample.emit(initial, members, outputs=["final", "sums"], body=body, num_scan_inputs=1)
