"""`check_model`: what it finds, where, and in which order; `tests/rules` holds the micro-models of the rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from mnncompat.checking.checker import check_model
from mnncompat.checking.rule_docs import all_rules, explain
from mnncompat.errors import UsageError
from mnncompat.graph.editor import GraphEditor
from mnncompat.graph.model_file import from_proto, load
from mnncompat.graph.view import GraphView
from mnncompat.report import OutputFormat, render
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Severity
from mnncompat.rewrites.core.base import Match, Refusal, Rewrite
from mnncompat.support import rule_files
from mnncompat.support.table import SupportTable
from mnncompat.support.target import Target


def check(model: ModelProto | str, **options: Any) -> CheckResult:
    proto = parser.parse_model(model) if isinstance(model, str) else model
    return check_model(from_proto(proto), **{"mnn_version": "3.6.1", **options})


def codes(result: CheckResult) -> list[str]:
    return [item.code for item in result.diagnostics if item.severity is not Severity.INFO]


def graph(body: str, inputs: str, outputs: str, imports: str = '"": 17', functions: str = "") -> str:
    return f"<ir_version: 8, opset_import: [{imports}]> g ({inputs}) => ({outputs}) {{ {body} }} {functions}"


# ---- declared ------------------------------------------------------------------------------------------------------


def test_undeclared_operators_of_an_old_release() -> None:
    text = graph("f = Flatten(x) y = MatMul(f, w)", "float[N,3,4,4] x, float[48,5] w", "float[N,5] y")
    result = check(text, mnn_version="0.2.0.4")
    error = result.at_least(Severity.ERROR)
    assert [(item.code, item.status) for item in error] == [("MNN001", "refused")]
    assert error[0].message == "MatMul is not in MNN 0.2.0.4 (declared since 0.2.1.6)"
    assert codes(check(text)) == []


def test_the_file_of_an_undeclared_operator_says_what_to_do() -> None:
    def hint(body: str) -> str:
        return check(graph(body, "float[3] x", "bool[3] y", '"": 18')).diagnostics[0].hint

    assert "Greater(Abs(x)" in hint("y = IsInf(x)")
    assert "Greater(Neg(x)" in hint("y = IsInf<detect_positive = 0>(x)")
    mish = check(graph("y = Mish(x)", "float[3] x", "float[3] y", '"": 18')).diagnostics[0]
    assert mish.hint == "use Mul(x, Tanh(Softplus(x)))"
    assert mish.evidence[0] == "rules/declared.json: Mish"


def test_an_operator_without_a_file_is_explained_by_onnx(tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "graph.toml").write_bytes((rule_files.root() / "graph.toml").read_bytes())
    mish = check(graph("y = Mish(x)", "float[3] x", "float[3] y", '"": 18'), table=SupportTable(tmp_path))
    assert "simpler operators" in mish.diagnostics[0].hint


def test_an_operator_that_the_opset_does_not_have() -> None:
    nowhere = check(graph("y = Mish(x)", "float[3] x", "float[3] y", '"": 17'))
    assert nowhere.diagnostics[0].hint == "ONNX opset 17 has no operator Mish"


def test_an_unknown_version_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        check(graph("y = Relu(x)", "float[3] x", "float[3] y"), mnn_version="3.99")


# ---- unknown -------------------------------------------------------------------------------------------------------


def test_unknown_operators_are_reported_once_and_quietly() -> None:
    text = graph("a = IsNaN(x) b = Relu(i) c = Relu(b) y = Relu(c)", "float[3] x, int32[3] i", "int32[3] y")
    unknown = [item for item in check(text).diagnostics if item.severity is Severity.INFO]
    assert [(item.code, item.location.index) for item in unknown] == [("MNN002", 1)]


def test_what_the_model_does_not_say_is_reported_quietly() -> None:
    text = graph("a = Softmax(x) y = Softmax(a)", "float x_, float[N] z", "float y", '"": 11').replace(
        "float x_", "float[] x"
    )
    proto = parser.parse_model(text)
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    unknown = [item for item in check(proto).diagnostics if item.code == "MNN220"]
    assert [(item.severity, item.status, item.location.index) for item in unknown] == [
        (Severity.INFO, "unknown", 0),
        (Severity.INFO, "unknown", 1),
    ]
    assert all(item.message.startswith("cannot tell from the model whether this holds: ") for item in unknown)


def test_text_names_what_the_model_does_not_say_in_one_line() -> None:
    nodes = " ".join(f"v{n + 1} = Softmax(v{n})" for n in range(30))
    proto = parser.parse_model(graph(f"{nodes} y = Softmax(v30)", "float[N] v0", "float[M] y", '"": 11'))
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    lines = render([check(proto)], OutputFormat.TEXT).splitlines()
    told = [line for line in lines if "cannot tell from the model" in line]
    assert told == ["info cannot tell from the model whether these hold: MNN220 (31 nodes); --verbose lists them"]
    assert len(lines) < 8


# ---- subgraphs and functions ---------------------------------------------------------------------------------------

BRANCHES = """<ir_version: 8, opset_import: ["" : 17]> g (bool c, float[1,3,8,8] x) => (float[1,3,7,7] y) {
y = If (c) <then_branch = t () => (float[1,3,7,7] a) { a = MaxPool<kernel_shape = [2,2]>(x) },
else_branch = e () => (float[1,3,7,7] b) { b = MaxPool<kernel_shape = [2,2], strides = [1,1]>(x) }> }"""
FUNCTION = '<domain: "my.dom", opset_import: ["": 17]> Pool (a) => (b) { b = MaxPool<kernel_shape = [2,2]>(a) }'


def test_subgraphs_are_looked_at() -> None:
    result = check(BRANCHES)
    assert codes(result) == ["MNN101"]
    assert result.diagnostics[0].location.graph == ("y.then_branch",)
    assert result.nodes == 3


def test_called_functions_are_looked_at() -> None:
    text = graph("y = my.dom.Pool(x)", "float[1,3,8,8] x", "float[1,3,7,7] y", '"": 17, "my.dom": 1', FUNCTION)
    result = check(text)
    assert codes(result) == ["MNN013", "MNN101"]
    assert result.diagnostics[1].location.graph == ("function my.dom::Pool",)


def test_functions_that_are_not_called_do_not_matter() -> None:
    result = check(graph("y = Relu(x)", "float[3] x", "float[3] y", '"": 17, "my.dom": 1', FUNCTION))
    assert codes(result) == []
    assert result.nodes == 1


# ---- rows about whole models ---------------------------------------------------------------------------------------


def test_the_first_opset_import_counts_where_an_operator_depends_on_it() -> None:
    def verdict(imports: str, body: str) -> list[str]:
        return codes(check(graph(body, "float[2,3,4] x", "float[2,3,4] y", imports)))

    assert verdict('"ai.onnx.ml": 1, "": 13', "y = Softmax<axis = 1>(x)") == ["MNN010"]
    assert verdict('"": 13, "ai.onnx.ml": 1', "y = Softmax<axis = 1>(x)") == []
    assert verdict('"ai.onnx.ml": 1, "": 13', "y = Softmax(x)") == []
    assert verdict('"ai.onnx.ml": 1, "": 13', "y = Relu(x)") == []
    assert verdict('"ai.onnx.ml": 13, "": 17', "y = Softmax<axis = 1>(x)") == []


def test_domains() -> None:
    def verdict(op: str, domain: str, functions: str = "") -> list[str]:
        imports = f'"": 17, "{domain}": 1'
        return codes(check(graph(f"y = {domain}.{op}(x)", "float[3] x", "float[3] y", imports, functions)))

    relu = '<domain: "my.dom", opset_import: ["": 17]> Relu (a) => (b) { b = Neg(a) }'
    assert verdict("Relu", "my.dom") == ["MNN011"]
    assert verdict("Relu", "my.dom", relu) == ["MNN014"]
    assert verdict("FastGelu", "com.microsoft") == ["MNN012"]
    assert verdict("Gelu", "com.microsoft") == []


def stored(dtype: int, field: str) -> ModelProto:
    tensor = TensorProto(name="c", data_type=dtype, dims=[3])
    if field == "raw_data":
        tensor.raw_data = np.ones(3, helper.tensor_dtype_to_np_dtype(dtype)).tobytes()
    else:
        getattr(tensor, field).extend([1, 1, 1])
    model = parser.parse_model(graph("d = Cast<to = 1>(c) y = Mul(x, d)", "float[3] x", "float[3] y"))
    model.graph.initializer.append(tensor)
    return model


@pytest.mark.parametrize(
    ("dtype", "field", "expected"),
    [
        (TensorProto.INT8, "int32_data", ["MNN020"]),
        (TensorProto.BOOL, "int32_data", ["MNN020"]),
        (TensorProto.UINT8, "int32_data", []),
        (TensorProto.INT32, "int32_data", []),
        (TensorProto.INT8, "raw_data", []),
        (TensorProto.FLOAT16, "int32_data", ["MNN021"]),
        (TensorProto.INT16, "int32_data", ["MNN021"]),
        (TensorProto.UINT32, "uint64_data", ["MNN021"]),
        (TensorProto.UINT64, "uint64_data", []),
        (TensorProto.FLOAT16, "raw_data", []),
    ],
)
def test_storage(dtype: int, field: str, expected: list[str]) -> None:
    assert codes(check(stored(dtype, field))) == expected
    as_node = stored(dtype, field)
    tensor = as_node.graph.initializer.pop()
    as_node.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=tensor))
    assert codes(check(as_node)) == expected


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (TensorProto.BOOL, [1], []),
        (TensorProto.INT8, [-3], []),
        (TensorProto.BOOL, [1, 0], []),
        (TensorProto.INT8, [-3, 5], ["MNN020"]),
        (TensorProto.INT8, [-3, -1], []),
        (TensorProto.BOOL, [0, 1], ["MNN020"]),
    ],
)
def test_bytes_that_are_read_for_what_they_are(dtype: int, values: list[int], expected: list[str]) -> None:
    model = stored(dtype, "int32_data")
    size = len(values)
    tensor = model.graph.initializer[0]
    del tensor.int32_data[:], tensor.dims[:]
    tensor.int32_data.extend(values)
    tensor.dims.append(size)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = size
    assert codes(check(model)) == expected


def test_sparse_tensors() -> None:
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("c", TensorProto.FLOAT, [2], [1.0, 2.0]),
        helper.make_tensor("i", TensorProto.INT64, [2], [1, 3]),
        [5],
    )
    model = parser.parse_model(graph("y = Add(x, x)", "float[5] x", "float[5] y"))
    model.graph.node[0].input[1] = "c"
    as_node = ModelProto()
    as_node.CopyFrom(model)
    model.graph.sparse_initializer.append(sparse)
    assert codes(check(model)) == ["MNN022"]
    as_node.graph.node.insert(0, helper.make_node("Constant", [], ["c"], sparse_value=sparse))
    assert codes(check(as_node)) == ["MNN023"]


@pytest.mark.parametrize(
    ("value", "body", "expected"),
    [
        (2**31, "d = Cast<to = 1>(c) y = Mul(x, d)", ["MNN024"]),
        (-(2**40), "d = Cast<to = 1>(c) y = Mul(x, d)", ["MNN024"]),
        (2**30, "d = Cast<to = 1>(c) y = Mul(x, d)", []),
        (2**63 - 1, "z = Constant<value_ints = [0]>() y = Slice(x, z, c)", []),
        (
            2**63 - 1,
            "z = Constant<value_ints = [0]>() s = Slice(x, z, c) d = Cast<to = 1>(c) y = Mul(s, d)",
            ["MNN024"],
        ),
        (
            2**63 - 1,
            """b = Constant<value = float[1,3,4] {0, 0, 1, 1, 0, 1, 2, 2, 1, 1, 3, 3}>()
               l = Constant<value_ints = [1, 1, 3]>() o = Constant<value_int = 2>() s = Reshape(x, l)
               n = NonMaxSuppression(b, s, c) k = Gather<axis = 1>(n, o) y = Cast<to = 1>(k)""",
            [],
        ),
    ],
)
def test_int64_range(value: int, body: str, expected: list[str]) -> None:
    model = parser.parse_model(graph("y = Relu(x)", "float[3] x", "float[N] y"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), "c"))
    del model.graph.node[:]
    model.graph.node.extend(parser.parse_graph(f"g (float[3] x) => (float[N] y) {{ {body} }}").node)
    assert codes(check(model)) == expected


def test_tensors_without_elements() -> None:
    assert codes(check(graph("y = Relu(x)", "float[0,3] x", "float[0,3] y"))) == ["MNN031", "MNN031"]
    assert codes(check(graph("y = Relu(x)", "float[N,3] x", "float[N,3] y"))) == []


@pytest.mark.parametrize(
    ("body", "inputs", "outputs", "version", "expected"),
    [
        ("y = ReduceMax(x)", "float[0,3] x", "float[1,1] y", "3.6.1", ["MNN033", "MNN031"]),
        ("y = ReduceSum(x)", "float[0,3] x", "float[1,1] y", "3.6.1", ["MNN031"]),
        ("y = ReduceSum(x)", "float[0,3] x", "float[1,1] y", "3.2.0", ["MNN034", "MNN031"]),
        ("y = Identity(x)", "string[3] x", "string[3] y", "3.6.1", ["MNN032", "MNN032"]),
        ("y = SequenceConstruct(x, x)", "float[3] x", "seq(float[3]) y", "3.6.1", ["MNN032"]),
        ("s = SequenceConstruct(x, x) y = ConcatFromSequence<axis = 0>(s)", "float[3] x", "float[6] y", "3.6.1", []),
    ],
)
def test_values_that_mnn_does_not_have(body: str, inputs: str, outputs: str, version: str, expected: list[str]) -> None:
    model = graph(body, inputs, outputs)
    found = [item for item in check(model, mnn_version=version).diagnostics if item.code.startswith("MNN03")]
    assert [item.code for item in found] == expected


@pytest.mark.parametrize(
    ("dtype", "body", "expected"),
    [
        (TensorProto.INT4, "c = Cast<to = 1>(w) y = Add(x, c)", ["MNN025"]),
        (TensorProto.BFLOAT16, "c = Concat<axis = 0>(w, w) y = Cast<to = 1>(c)", ["MNN026"]),
        (TensorProto.BFLOAT16, "c = Cast<to = 1>(w) y = Add(x, c)", []),
        (TensorProto.FLOAT16, "c = Cast<to = 1>(w) y = Add(x, c)", []),
    ],
)
def test_constants_of_narrow_types(dtype: int, body: str, expected: list[str]) -> None:
    model = parser.parse_model(graph("y = Relu(x)", "float[3] x", "float[N] y", '"": 21'))
    values = np.array([1, 2, 3]).astype(helper.tensor_dtype_to_np_dtype(dtype))
    model.graph.initializer.append(numpy_helper.from_array(values, "w"))
    del model.graph.node[:]
    model.graph.node.extend(parser.parse_graph(f"g (float[3] x) => (float[N] y) {{ {body} }}").node)
    assert [code for code in codes(check(model)) if code.startswith("MNN02")] == expected


def test_pass_through_outputs() -> None:
    text = graph("y = Identity(x) z = Relu(x)", "float[3] x", "float[3] y, float[3] z")
    assert codes(check(text, mnn_version="3.0.0")) == ["MNN030"]
    assert codes(check(text)) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("s = Flatten(x) y = Sigmoid(s)", ["MNN035"]),
        ("s = Flatten(x) c = Identity(s) y = Sigmoid(c)", ["MNN035"]),
        ("s = Flatten(x) y = Softmax(s)", []),
        ("s = Flatten(x) t = Sigmoid(s) y = Mul(s, t)", ["MNN035"]),
        ("s = Flatten(x) t = Sigmoid(s) y = Add(s, t)", []),
        ("t = Flatten(x) s = Neg(t) y = Sigmoid(s)", ["MNN035"]),
        ("t = Transpose<perm = [0,2,1]>(x) n = Relu(t) s = Flatten(n) c = Neg(s) y = Abs(c)", ["MNN035"]),
        ("t = Flatten(x) s = Neg(t) y = Softmax(s)", []),
        ("t = Flatten(x) s = Neg(t) r = Elu(t) u = Sigmoid(s) y = Add(u, r)", []),
        ("t = Flatten(x) s = Elu(t) y = Sigmoid(s)", []),
    ],
)
def test_operators_moved_before_an_output(body: str, expected: list[str]) -> None:
    assert codes(check(graph(body, "float[2,3,4] x", "float[2,12] s, float[2,12] y"))) == expected


def test_a_model_without_nodes() -> None:
    """ONNX Runtime runs it; MNN refuses it."""
    for text in ("g (float[N,2] x) => (float[N,2] x) {}", "g (float[2] x) => (float[2] c) <float[2] c = {1, 2}> {}"):
        result = check(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
        assert "MNN055" in codes(result)


# ---- rewrites ------------------------------------------------------------------------------------------------------


class Fake(Rewrite):
    """Replaces a Hardmax with the Relu behind it; refuses the rest."""

    code: ClassVar[str] = "MNN899"
    name: ClassVar[str] = "fake"
    summary: ClassVar[str] = "a fake"
    op_types: ClassVar[tuple[str, ...]] = ("Hardmax",)

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:
        for index, node in enumerate(view.nodes):
            if node.op_type != "Hardmax":
                continue
            behind = view.consumers.get(node.output[0], [])
            if behind:
                notes = ((index, "would become something else"),)
                yield Match(rewrite=self.name, nodes=frozenset((index, behind[0])), notes=notes, plan=None)
            else:
                yield Refusal(rewrite=self.name, index=index, reason="nothing reads it")

    def apply(self, match: Match, editor: GraphEditor) -> None:
        raise AssertionError


REWRITTEN = graph("h = Hardmax(x) r = Relu(h) y = Hardmax(r)", "float[2,3] x", "float[2,3] y")


def by_index(result: CheckResult, index: int) -> list[Diagnostic]:
    return [item for item in result.diagnostics if item.location.index == index]


def test_a_match_becomes_a_finding_and_a_remedy() -> None:
    error, note = by_index(check(REWRITTEN, rewrites=[Fake()]), 0)
    assert (error.code, error.remedy, error.fixable) == ("MNN001", "fake", True)
    assert (note.code, note.status, note.severity, note.fixable) == ("MNN899", "rewrite", Severity.WARNING, True)
    assert note.message == "would become something else"


def test_a_refusal_becomes_a_hint() -> None:
    (error,) = by_index(check(REWRITTEN, rewrites=[Fake()]), 2)
    assert not error.fixable
    assert error.hint.startswith("fake: nothing reads it")


def test_order_is_severity_then_place() -> None:
    result = check(REWRITTEN, rewrites=[Fake()])
    ranks = [(item.severity.rank, item.location.index or 0) for item in result.diagnostics]
    assert ranks == sorted(ranks)
    assert check(REWRITTEN, rewrites=[Fake()]) == result


def test_the_tutorial_by_hand_is_clean(tutorial_by_hand: Path) -> None:
    assert codes(check_model(load(tutorial_by_hand), mnn_version="3.6.1")) == []


def test_the_tutorial_on_the_release_of_its_time(tutorial: Path) -> None:
    result = check_model(load(tutorial), mnn_version="0.2.0.4")
    assert {item.message.split(" is ")[0] for item in result.at_least(Severity.ERROR)} >= {"MatMul"}


# ---- rules explained -----------------------------------------------------------------------------------------------


def test_every_code_is_explained() -> None:
    infos = all_rules()
    assert [info.code for info in infos] == sorted({info.code for info in infos})
    for info in infos:
        assert info.summary
        assert info.explanation
    pools = explain("MNN101")
    assert pools is not None
    assert set(pools.op_types) == {"MaxPool", "AveragePool", "LpPool"}
    assert explain("MNN999") is None


@pytest.mark.parametrize(("scale", "expected"), [(2.0, True), (1.5, True), (0.5, False), (1.0, False)])
def test_of_dynamic_sizes_constant_scales_tell(scale: float, *, expected: bool) -> None:
    body = (
        "r = Constant<value = float[0] {}>() "
        f"s = Constant<value = float[4] {{1.0, 1.0, {scale}, {scale}}}>() "
        'y = Resize<mode = "cubic", coordinate_transformation_mode = "half_pixel">(x, r, s)'
    )
    result = check(graph(body, "float[N,2,H,W] x", "float[N,2,P,Q] y"))
    assert ("MNN306" in codes(result)) is expected


def test_operators_of_training_are_told_apart() -> None:
    imports = '"": 17, "ai.onnx.preview.training": 1, "other": 1'
    body = "y = ai.onnx.preview.training.Adam(r, t, x, g, v, h)"
    inputs = "float r, int64 t, float[2] x, float[2] g, float[2] v, float[2] h"
    assert codes(check(graph(body, inputs, "float[2] y", imports))) == ["MNN015"]
    assert codes(check(graph("y = other.Adam(x)", "float[2] x", "float[2] y", imports))) == ["MNN012"]


def test_only_what_may_find_nothing_makes_reductions_and_pads_doubtful() -> None:
    def said(body: str, inputs: str, output: str) -> set[str]:
        found = check(graph(body, inputs, output, '"": 13')).diagnostics
        return {item.code for item in found} & {"MNN274", "MNN275", "MNN277"}

    reduced = "y = ReduceMax<keepdims = 0>(u)"
    assert said(f"u = Compress<axis = 0>(x, c) {reduced}", "float[6] x, bool[6] c", "float y") == {"MNN274"}
    assert said(f"u = Unique(x) {reduced}", "float[6] x", "float y") == set()  # it always finds something
    padded = "r = Reshape(x, s) y = Pad(r, p, v)"
    assert (
        said(padded, "float[N,3] x, int64[K] s, int64[4] p, float v", "float[A,B] y") == set()
    )  # cannot tell, nor may
