"""Functions in place of their calls: sizes and values are followed through them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper, parser

from mnncompat.inference.inlined_functions import without_functions
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.reference import run_reference
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.parity.signature import input_signature
from mnncompat.results.failures import Failure

TEXT = """<ir_version: 9, opset_import: ["" : 17, "my" : 1]>
g (int64[B,L] ids, float[N,T,4] c, float[B,P,8] past) => (float[A,C] y, float[A,C,D] z)
<int64[2] s = {13, 16}> {
    word = my.embed(table, ids) y = my.fixed(c, s) z = my.grown(past, word)
}
<opset_import: ["" : 17], domain: "my"> embed (t, i) => (e) { e = Gather(t, i) }
<opset_import: ["" : 17], domain: "my"> fixed (c, s) => (r) { r = Reshape(c, s) }
<opset_import: ["" : 17], domain: "my"> grown (past, new) => (m) {
    ax = Constant<value_ints = [1]>() all = Concat<axis = 1>(past, new)
    first = Constant<value_ints = [0]>() last = Constant<value_ints = [12]>() s = Slice(all, first, last, ax)
    p = Constant<value_ints = [0, 12, 8]>() m = Reshape(s, p)
}"""
ROWS = 30_000


def model() -> onnx.ModelProto:
    found: onnx.ModelProto = parser.parse_model(TEXT)
    weight = np.random.default_rng(0).standard_normal((ROWS, 8)).astype(np.float32)
    found.graph.initializer.append(numpy_helper.from_array(weight, "table"))
    return found


def test_sizes_and_domains_are_followed_through_functions() -> None:
    proto = model()
    planner = InputPlanner(proto, input_signature(proto), {}, {}, seed=0, memory=1 << 30)
    found = run_reference(planner, OnnxRuntimeRunner(proto))
    assert not isinstance(found.outputs, Failure), found.outputs.message
    assumed = {each.name: each for each in found.assumptions}
    assert assumed["ids"].values == f"ids below {ROWS}"
    assert np.prod(assumed["c"].shape) == 13 * 16
    assert assumed["past"].shape[1] + assumed["ids"].shape[1] >= 12


def test_large_weights_are_not_copied_and_the_model_stays_as_it_is() -> None:
    proto = model()
    before = proto.SerializeToString()
    lean = without_functions(proto)
    assert proto.SerializeToString() == before
    assert not lean.functions
    assert lean.ByteSize() < len(before) / 100
    (table,) = (each for each in lean.graph.initializer if each.name == "table")
    assert list(table.dims) == [ROWS, 8]


def test_a_model_without_functions_is_itself() -> None:
    proto = model()
    del proto.functions[:]
    assert without_functions(proto) is proto
