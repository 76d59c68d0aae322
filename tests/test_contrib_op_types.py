"""Types and shapes of results of ONNX Runtime's own operators are those that ONNX Runtime computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto

from mnncompat import convert
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.parity.runners import OnnxRunner

FEEDS = {
    "x": np.arange(72, dtype=np.uint8).reshape(1, 4, 6, 3),
    "c": np.arange(3, dtype=np.uint8),
    "m": np.ones((4, 6, 3), bool),
    "f": np.arange(8, dtype=np.uint8).reshape(4, 2),
    "p": np.ones((4, 2), np.float32),
    "i": np.ones((1, 3, 5, 5), np.float32),
}
CALLS = [
    "QLinearSoftmax<axis=1, opset=13>(x,s,z,s,z)",
    "QLinearSigmoid(x,s,z,s,z)",
    "QLinearLeakyRelu(x,s,z,s,z)",
    "QLinearAdd(x,s,z,c,s,z,s,z)",
    "QLinearMul(c,s,z,x,s,z,s,z)",
    "QLinearConcat<axis=3>(s,z,x,s,z,x,s,z)",
    "QLinearWhere(m,x,s,z,c,s,z,s,z)",
    "QLinearAveragePool<kernel_shape=[2,3]>(x,s,z,s,z)",
    "QLinearAveragePool<kernel_shape=[2,3], pads=[1,0,1,0], channels_last=1>(x,s,z,s,z)",
    "NhwcMaxPool<kernel_shape=[2,2], strides=[2,2]>(x)",
    "QLinearGlobalAveragePool<channels_last=0>(x,s,z,s,z)",
    "QLinearGlobalAveragePool<channels_last=1>(x,s,z,s,z)",
    "QLinearConv<kernel_shape=[1,1], channels_last=1>(x,s,z,w,t,n,s,z)",
    "QLinearConv(x,s,z,v,t,n,s,z)",
    "QGemm<transB=1>(f,s,z,b,t,n,,s,z)",
    "QGemm<transB=1>(f,s,z,b,t,n)",
    "MatMulIntegerToFloat(f,d,s,s,z,z)",
    "DynamicQuantizeMatMul(p,d,s,z)",
    "FusedMatMul<alpha=0.5>(p,g)",
    "FusedMatMul<transB=1>(p,p)",
    'FusedGemm<transB=1, activation="Relu">(p,p,e)',
    'FusedConv<activation="Relu">(i,k)',
    "FastGelu(p)",
    "QuickGelu(p)",
    "BiasGelu(p,h)",
    "Gelu(p)",
    "SkipLayerNormalization(p,p,h)",
    "DequantizeLinear(x,s,z)",
]
# Of which the rank is not known before the operators ahead of them are rewritten.
UNKNOWN = [
    "QLinearConv<channels_last=1>(x,s,z,w,t,n,s,z)",
    "QLinearAdd(x,s,z)",
]


def model(call: str) -> ModelProto:
    return onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]> g
        (uint8[1,4,6,3] x, uint8[3] c, bool[4,6,3] m, uint8[4,2] f, float[4,2] p, float[1,3,5,5] i) => (float q)
        <float s = {{0.02}}, uint8 z = {{9}}, float[3] t = {{0.1,0.2,0.3}}, int8[3] n = {{0,0,0}},
        int8[3,3,1,1] w = {{1,2,3,4,5,6,7,8,9}}, int8[3,4,1,1] v = {{1,2,3,4,5,6,7,8,9,10,11,12}},
        int8[3,2] b = {{1,2,3,4,5,6}}, uint8[2,5] d = {{1,2,3,4,5,6,7,8,9,10}}, float[2] h = {{1,2}}, float[4] e =
        {{1,2,3,4}}, float[2,1] g = {{1,2}}, float[1,3,2,2] k = {{1,2,3,4,5,6,7,8,9,10,11,12}}> {{
        y = com.microsoft.{call} q = Identity(y) }}"""
    )


@pytest.mark.parametrize("call", CALLS)
def test_stand_in_has_the_type_and_shape(call: str) -> None:
    proto = model(call)
    view = view_model(from_proto(proto)).main
    assert len(view.nodes) == len(view.inferred_graph.node if view.inferred_graph else [])
    dtype = view.dtype("y") or TensorProto.UNDEFINED
    proto.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("q", dtype, None))
    results = OnnxRunner(proto).run([FEEDS])
    assert isinstance(results, list), results
    assert results[0]["q"].shape == view.shape("y")


@pytest.mark.parametrize("call", UNKNOWN)
def test_nothing_is_guessed(call: str) -> None:
    assert view_model(from_proto(model(call))).main.shape("y") is None


def test_a_function_of_the_model_is_not_replaced() -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]> g (float[2,3] x) => (float[a] y)
        { r = com.microsoft.FastGelu(x) y = Identity(r) }
        <domain: "com.microsoft", opset_import: ["": 17]> FastGelu (x) => (y) { y = Shape(x) }"""
    )
    assert view_model(from_proto(proto)).main.shape("r") == (2,)


def test_quantised_operators_in_a_row_are_rewritten_at_once() -> None:
    """Without types from end to end, each round of a fix would reach one node further."""
    sums = "".join(f"v{number + 1} = com.microsoft.QLinearAdd(v{number},s,z,x,s,z,s,z) " for number in range(60))
    chain = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]> g (uint8[2,3] x) => (uint8[2,3] y)
        <float s = {{0.02}}, uint8 z = {{9}}> {{ v0 = Identity(x) {sums} y = Identity(v60) }}"""
    )
    assert convert(chain, None).verdict == "converted"
