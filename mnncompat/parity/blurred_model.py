"""A model with noise behind its arithmetic, see `mnncompat.parity.rounding`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from mnncompat.graph.operator_traits import CONVOLUTIONS, MATRIX_PRODUCTS, RECURRENT, RESIZES, TRANSCENDENTAL
from mnncompat.graph.protos import attribute, is_onnx, onnx_opset
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.inference.shape_inference import infer

if TYPE_CHECKING:
    from collections.abc import Sequence

NOISE = 1e-6
"""Eight units in the last place of 1: the possible error of a sum of some hundred terms in float32."""
_NOISE, _WINOGRAD = "blur/noise", "blur/winograd"
_ZERO, _ONE, _MINUS_ONE = "blur/0", "blur/1", "blur/-1"
_BOUNDED = {
    **dict.fromkeys(("HardSigmoid", "Sigmoid", "Softmax"), (_ONE,)),
    **dict.fromkeys(("Cos", "Erf", "Sin", "Softsign", "Tanh"), (_ONE, _MINUS_ONE)),
}
"""Functions of which no result is beyond 1; nor below -1, or negative as others of them are not."""
_WHERE = 9
"""The opset from which on ONNX has Where."""
_ROUNDED = frozenset(
    (
        *(*CONVOLUTIONS, *MATRIX_PRODUCTS, *RECURRENT, *RESIZES, *TRANSCENDENTAL),
        *("AveragePool", "BatchNormalization", "Div", "Einsum", "GlobalAveragePool", "GlobalLpPool", "GridSample"),
        *("GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization", "LogSoftmax", "LpNormalization"),
        *("LpPool", "MeanVarianceNormalization", "Pow", "RMSNormalization", "ReduceL1", "ReduceL2", "ReduceLogSum"),
        *("ReduceLogSumExp", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare", "RoiAlign", "Softmax"),
    )
)


def blur(model: ModelProto, seed: int, *, winograd: float = NOISE) -> ModelProto | None:
    """A copy of a model with noise behind every node of the main graph whose float results are rounded.

    Args:
        model: The model.
        seed: Of the noise.
        winograd: The noise behind convolutions that MNN computes in Winograd's form.

    Returns:
        The copy; None if no node is perturbed.
    """
    inferred = infer(model)
    values = [] if inferred is None else [*inferred.graph.value_info, *inferred.graph.output]
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    opset = onnx_opset(model.opset_import) or 0
    count = 0
    for node in model.graph.node:
        copy = result.graph.node.add()
        copy.CopyFrom(node)
        if node.op_type not in _ROUNDED or not is_onnx(node):
            continue
        for position, name in enumerate(node.output):
            if name and name in floats:
                copy.output[position] = exact = f"{name}/exact"
                size = _WINOGRAD if _is_winograd(node) else _NOISE
                bound = _BOUNDED.get(node.op_type, ())
                steps = _noise(exact, name, seed * len(model.graph.node) + count, size)
                result.graph.node.extend(steps if opset < _WHERE else _within(steps, exact, name, bound))
                count += 1
    if not count:
        return None
    for each, noise in ((_NOISE, NOISE), (_WINOGRAD, winograd), (_ZERO, 0.0), (_ONE, 1.0), (_MINUS_ONE, -1.0)):
        result.graph.initializer.append(array_tensor(np.asarray(noise, np.float32), each))
    return result


def _is_winograd(node: NodeProto) -> bool:
    """Whether MNN may compute a convolution in Winograd's form, see its ConvolutionWinogradBridge.cpp."""
    kernel = attribute(node, "kernel_shape", ())
    ones = (*attribute(node, "strides", ()), *attribute(node, "dilations", ()), attribute(node, "group", 1))
    return node.op_type == "Conv" and len(kernel) == 2 and kernel[0] == kernel[1] > 1 and set(ones) == {1}  # noqa: PLR2004


def _noise(exact: str, name: str, seed: int, size: str) -> list[NodeProto]:
    parts = {each: f"{name}/blur/{each}" for each in ("drawn", "size", "mean", "scale", "scaled", "step")}
    return [
        helper.make_node("RandomUniformLike", [exact], [parts["drawn"]], low=-1.0, high=1.0, seed=float(seed)),
        helper.make_node("Abs", [exact], [parts["size"]]),
        helper.make_node("ReduceMean", [parts["size"]], [parts["mean"]], keepdims=0),
        helper.make_node("Add", [parts["size"], parts["mean"]], [parts["scale"]]),
        helper.make_node("Mul", [parts["scale"], size], [parts["scaled"]]),
        helper.make_node("Mul", [parts["drawn"], parts["scaled"]], [parts["step"]]),
        helper.make_node("Add", [exact, parts["step"]], [name]),
    ]


def _within(steps: list[NodeProto], exact: str, name: str, bounds: Sequence[str]) -> list[NodeProto]:
    """Keep results with noise not negative where no exact one is, and within bounds."""
    parts = {each: f"{name}/blur/{each}" for each in ("free", "minus", "below", "sum", "some", "above")}
    steps[-1].output[0] = parts["free"]
    kept = [
        helper.make_node("Neg", [exact], [parts["minus"]]),
        helper.make_node("Relu", [parts["minus"]], [parts["below"]]),
        helper.make_node("ReduceSum", [parts["below"]], [parts["sum"]], keepdims=0),
        helper.make_node("Greater", [parts["sum"], _ZERO], [parts["some"]]),
        helper.make_node("Relu", [parts["free"]], [parts["above"]]),
        helper.make_node("Where", [parts["some"], parts["free"], parts["above"]], [f"{name}/blur/within/0"]),
    ]
    for number, bound in enumerate(bounds):
        value, is_beyond = f"{name}/blur/within/{number}", f"{name}/blur/beyond/{number}"
        order = [value, bound] if bound == _ONE else [bound, value]
        kept.append(helper.make_node("Greater", order, [is_beyond]))
        kept.append(helper.make_node("Where", [is_beyond, bound, value], [f"{name}/blur/within/{number + 1}"]))
    kept[-1].output[0] = name
    return [*steps, *kept]
