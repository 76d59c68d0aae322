"""Small models that a fuzzer found: each is one finding, refusal or error, and in linear time where it is large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

import mnncompat
from mnncompat.errors import ModelError, RunnerError
from mnncompat.graph.model_file import from_proto
from mnncompat.graph.tensor_values import array_tensor, tensor_array
from mnncompat.inference import evaluation, long_values, shape_inference
from mnncompat.inference.constant_folding import constant_value
from mnncompat.inference.inlined_functions import written_out
from mnncompat.inference.model_view import view_model
from mnncompat.parity.float_limits import float_limits
from mnncompat.parity.output_scale import fitted
from mnncompat.parity.power.clipped_classes import clipped_outputs
from mnncompat.results.parity_report import Tolerance

SCAN = """y = Scan<num_scan_inputs={count}, scan_input_axes=[{axes}],
    body = step (float[2] e) => (float[2] s) {{ s = Identity(e) }}>(x)"""
TERMS, OPERANDS = ",".join(["ij"] * 100), ", ".join("x" * 100)
EINSUM = f'(float[2,2] x) => (float[2,2] y) {{ y = Einsum<equation="{TERMS}->ij">({OPERANDS}) }}'
REFUSED: dict[str, tuple[int, str, str]] = {
    "an operator that the opset does not have": (
        7,
        "(double[2] x) => (double[2] y) <double[3,3] k = {1,2,3,4,5,6,7,8,9}> { y = CumProd(x, k) }",
        "opset 7 has no operator CumProd",
    ),
    "an element type that nobody knows": (
        13,
        "(int32[2] x) => (int32[2] y) { y = BitCast<to=99>(x) }",
        "ONNX has no element type 99",
    ),
    "weights of other sizes": (
        14,
        """(float[2,1,3] x) => (float[2,1,1,2] y) <float[1,8,3] w = {0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0},
        float[0,8,2] r = {}> { y = LSTM<hidden_size=2, clip=1.0>(x, w, r) }""",
        "operand 2 has the shape [0, 8, 2]",
    ),
    "a Scan of more than it has": (
        16,
        f"(float[3,2] x) => (float[3,2] y) {{ {SCAN.format(count=2, axes='0')} }}",
        "it scans 2 of 1 operands",
    ),
    "a zero point of another size": (
        10,
        """(uint8[1,1,2,2] x) => (int32[1,2,1,1] y) <uint8[2,1,2,2] w = {1,1,1,1,1,1,1,1}, uint8 zero = {1},
        uint8[6] zeros = {1,2,3,4,5,6}> { y = ConvInteger(x, w, zero, zeros) }""",
        "cannot be broadcast together",
    ),
    "a mode that Resize does not have": (
        13,
        """(float[2,1,4,4] x) => (float[4,1,4,4] y) <float[4] s = {2.0,1.0,1.0,1.0}>
        { y = Resize<mode="cubism">(x, , s) }""",
        "mode 'cubism', which ONNX does not have",
    ),
    "less than one group": (
        21,
        """(float[1,4,3] x, float[4] s, float[4] b) => (float[1,4,3] y)
        { y = GroupNormalization<num_groups=-1>(x, s, b) }""",
        "num_groups -1",
    ),
    "bits of a string": (
        18,
        """(int32[2] x) => (int32[2] y) <string s = {"1.5"}> { y = BitwiseAnd(x, s) }""",
        "an operand of object",
    ),
    "an Einsum of very many operands": (
        17,
        EINSUM,
        "100 operands",
    ),
    "a mode of scores that Attention does not have": (
        24,
        """(float[1,2,2,8] q, float[1,2,2,8] k) => (float[1,2,2,8] y, float[1,2,2,2] s)
        { y, a, b, s = Attention<qk_matmul_output_mode=-4>(q, k, k) }""",
        "qk_matmul_output_mode -4",
    ),
    "a grid that nobody can hold": (
        20,
        "(float[2,2,3] x, int64[4] s) => (float[2,9223372036854775807,6,2] y) { y = AffineGrid(x, s) }",
        "is no constant that a model should hold",
    ),
    "fewer weights than n-grams": (
        9,
        """(int32[12] x) => (float[3] y) { y = TfIdfVectorizer<max_gram_length=2, max_skip_count=0, min_gram_length=2,
        mode="TF", ngram_counts=[0, 0], ngram_indexes=[0, 1, 2], pool_int64s=[5, 6, 7, 8, 6, 7],
        weights=[1.0, 2.0]>(x) }""",
        "there are 2 weights and 3 n-grams",
    ),
    "a pool that holds parts of n-grams": (
        9,
        """(int32[12] x) => (float[2] y) { y = TfIdfVectorizer<max_gram_length=2, max_skip_count=0, min_gram_length=1,
        mode="TF", ngram_counts=[0, 1], ngram_indexes=[0, 1], pool_int64s=[5, 6, 7, 8]>(x) }""",
        "the pool holds 3 elements of n-grams of 2",
    ),
    "a result without elements": (
        13,
        """(float[1,2,5] x) => (float[N,C,L] y) <float[3] s = {0.5, 2.0, 1.0}>
        { y = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(x, , s) }""",
        "axis 0 of the result would have 0 elements",
    ),
    "sizes of floats": (
        18,
        """(float[4] x) => (float[2] y) <float[3] n = {3.0e38, 2.0, 0.0}> { y, b, c = Split<axis=0>(x, n) }""",
        "operand 1 'n' is of type float",
    ),
    "a result that is declared of another rank": (
        19,
        """(float[1,1,2,2] x) => (float[3,4,5] y) <float[4] s = {1.0, 1.0, 2.3, 2.9}>
        { y = Resize<coordinate_transformation_mode="half_pixel_symmetric", mode="linear">(x, , s) }""",
        "Inferred shape and existing shape differ in rank",
    ),
    "a scale that is none": (
        19,
        """(float[1,1,4,4] x) => (float[N,C,H,W] y) <float[4] s = {1.0, 1.0, -1.0, 2.0}>
        { y = Resize<coordinate_transformation_mode="half_pixel_symmetric", mode="linear">(x, , s) }""",
        "axis 2 is scaled by -1",
    ),
    "scales in rows": (
        13,
        """(float[1,1,4,4] x, float[1,1,2,2] s) => (float[1,1,8,8] y)
        { y = Resize<coordinate_transformation_mode="half_pixel_symmetric", mode="linear">(x, , s) }""",
        "operand 2 has the shape [1, 1, 2, 2]",
    ),
    "a scale of another shape": (
        23,
        """(float[2,3,8,5] x) => (float[2,3,8,5] y) <float[3,4,1] w = {1,1,1,1,1,1,1,1,1,1,1,1}>
        { y = RMSNormalization<axis=1>(x, w) }""",
        "ONNX's reference evaluator cannot compute the node: ValueError",
    ),
}


def parsed(opset: int, text: str) -> ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {text}')


@pytest.mark.parametrize("name", REFUSED)
def test_a_rewrite_refuses_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNNCOMPAT_TRACEBACK", "1")
    opset, text, expected = REFUSED[name]
    hints = [each.hint or "" for each in mnncompat.check(parsed(opset, text)).diagnostics]
    assert any(expected in hint for hint in hints), hints


@pytest.mark.parametrize(("op", "name"), [("Cast", "to"), ("EyeLike", "dtype"), ("QuantizeLinear", "output_dtype")])
def test_an_attribute_names_an_element_type(op: str, name: str) -> None:
    """As ONNX Runtime, which refuses such a model."""
    second = ", s" if op == "QuantizeLinear" else ""
    text = "(float[2,2] x, float s) => (float[2,2] y) { y = %s<%s=%d>(x%s) }"
    with pytest.raises(ModelError, match=f"attribute '{name}' with 99: that is no element type"):
        from_proto(parsed(21, text % (op, name, 99, second)))
    from_proto(parsed(21, text % (op, name, 3, second)))


def test_a_negative_number_of_axes() -> None:
    """ONNX's inference ends the process."""
    text = "(float[2,3,4] x, int64[2,1] i) => (float[2,4] y) { y = GatherND<batch_dims=%d>(x, i) }"
    with pytest.raises(ModelError, match="attribute 'batch_dims' with -3: it is a number of axes"):
        from_proto(parsed(13, text % -3))
    from_proto(parsed(13, text % 1))


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_a_version_that_no_domain_has(domain: str) -> None:
    model = parsed(17, "(float[2] x) => (float[2] y) { y = Relu(x) }")
    model.opset_import[0].CopyFrom(helper.make_opsetid(domain, 2**40))
    with pytest.raises(ModelError, match=r"opset 1099511627776 of ai\.onnx: there is no such"):
        from_proto(model)


@pytest.mark.parametrize("op", ["EyeLike", "RegexFullMatch"])
def test_an_operand_of_a_type_that_nobody_knows(op: str) -> None:
    """ONNX's inference of these two ends the process."""
    text = """<ir_version: 8, opset_import: ["" : 20, "my" : 1]> g (float[2,2] x) => (float[2,2] y) {
        a = my.Foo(x) y = EyeLike(a) b = Relu(x) c = EyeLike(b) }""".replace("EyeLike", op)
    model = onnx.parser.parse_model(text)
    inferred = shape_inference.infer(model)
    assert inferred is not None
    assert [node.op_type for node in inferred.graph.node] == ["Foo", op, "Relu", op]
    known = {value.name for value in inferred.graph.value_info}
    assert "b" in known
    assert "c" in known
    assert mnncompat.check(model).nodes == 4


@pytest.mark.parametrize(
    "before",
    [
        "MaxPool<kernel_shape=[9,9]>(x)",
        "Conv(x, w)",
        "Pad(x, pads)",
        "ConvTranspose<pads=[9,9,9,9]>(x, x)",
        "Relu(late)",
    ],
)
def test_a_slice_of_a_negative_size(before: str) -> None:
    """ONNX's inference ends the process there, ONNX Runtime's too."""
    graph = """(float[1,1,3,3] x, float[1,1,9,9] w) => (float[1,1,H,W] y)
        <int64[1] zero = {0}, int64[1] end = {5}, int64[1] axis = {2}, int64[8] pads = {0,0,-5,0,0,0,0,0}>
        { late = AveragePool<kernel_shape=[6,1]>(x) p = %s y = Slice(p, zero, end, axis) }"""
    nested = """(bool c, float[1,1,3,3] x, float[1,1,9,9] w) => (float[1,1,H,W] y)
        <int64[1] zero = {0}, int64[1] end = {5}, int64[1] axis = {2}, int64[8] pads = {0,0,-5,0,0,0,0,0}>
        { late = AveragePool<kernel_shape=[6,1]>(x) p = %s y = If(c) <
        then_branch = t () => (float[1,1,H,W] a) { a = Slice(p, zero, end, axis) },
        else_branch = e () => (float[1,1,I,J] b) { b = Neg(p) }> }"""
    for text in (graph, nested):
        with pytest.raises(ModelError, match=r"Slice reads 'p', which would have the shape \[1, 1, -"):
            mnncompat.check(parsed(13, text % before))
        ends = text.replace("int64[1] end = {5}, ", "").replace("[1,1,9,9] w)", "[1,1,9,9] w, int64[1] end)")
        assert mnncompat.check(parsed(13, ends % before)).nodes >= 3


def test_slices_that_are_right_are_inferred_as_before() -> None:
    text = """(float[N,3,-1,8] x) => (float[N,3,H,2] y) <int64[1] zero = {0}, int64[1] end = {2}, int64[1] axis = {3}>
        { a = Relu(x) y = Slice(a, zero, end, axis) s = Shape(y) t = Slice(s, zero, end) z = Reshape(y, t) }"""
    view = view_model(from_proto(parsed(13, text))).main
    assert view.shape("x") == ("N", 3, None, 8)
    y, z = view.shape("y"), view.shape("z")
    assert y is not None
    assert (y[0], y[1], y[3]) == ("N", 3, 2)
    assert z == ("N", 3)
    assert [node.op_type for node in view.nodes] == ["Relu", "Slice", "Shape", "Slice", "Reshape"]
    inferred = view.inferred_graph
    assert inferred is not None
    assert [node.input[0] for node in inferred.node] == ["x", "a", "y", "s", "y"]


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_a_function_that_calls_the_operator_of_its_own_name(domain: str) -> None:
    """Both domains are ONNX's own: it calls itself."""
    text = (
        """<ir_version: 10, opset_import: ["" : 17, "ai.onnx" : 17]> g (float[2] x) => (float[2] y) { y = Relu(x) }"""
    )
    model = onnx.parser.parse_model(text)
    body = [helper.make_node("Relu", ["a"], ["b"])]
    model.functions.append(helper.make_function(domain, "Relu", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    with pytest.raises(ModelError, match="the function 'Relu' calls itself"):
        from_proto(model)


def calling(operands: int, results: int = 1) -> ModelProto:
    """Calls of a function of one operand and one result."""
    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function("my", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    nodes = [helper.make_node("F", ["x"] * operands, [f"y{result}" for result in range(results)], domain="my")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [2])], [declared("y0")])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=[function], ir_version=10)


@pytest.mark.parametrize(("operands", "results", "told"), [(2, 1, "2 operands"), (1, 3, "3 results")])
def test_a_call_with_more_than_the_function_has(operands: int, results: int, told: str) -> None:
    """ONNX's inliner fails an assertion; ONNX Runtime refuses the model."""
    from_proto(calling(1))
    with pytest.raises(ModelError, match=f"node 'y0' has {told}, and the function 'F' 1"):
        from_proto(calling(operands, results))


def test_overloads_are_functions_of_their_own() -> None:
    """As for ONNX Runtime."""
    model = calling(1)
    other = helper.make_function("my", "F", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], [])
    other.opset_import.extend(model.functions[0].opset_import)
    other.overload = "negative"
    model.functions.append(other)
    model.graph.node[0].overload = "negative"
    read = from_proto(model).proto
    assert [(each.name, each.overload) for each in read.functions] == [("F", ""), ("F.negative", "")]
    assert read.graph.node[0].op_type == "F.negative"
    assert model.functions[1].overload == "negative"
    fixed = mnncompat.fix(model)
    assert [node.op_type for node in fixed.model.proto.graph.node] == ["Neg"]
    model.functions.append(other)
    with pytest.raises(ModelError, match=r"two functions are called 'F\.negative'"):
        from_proto(model)


def test_a_function_of_another_opset_stays() -> None:
    model = calling(1)
    model.functions[0].opset_import[0].version = 13
    (left,) = mnncompat.fix(model).rolled_back
    assert left.rewrite == "inline-functions"
    assert "leaves calls of the function 'F', which imports other opsets" in left.reason


@pytest.mark.parametrize(("parts", "results"), [(1, 3), (0, 1), (-1, 2)])
def test_a_split_into_fewer_parts_than_it_has_results(parts: int, results: int) -> None:
    """ONNX's inference ends the process."""
    names = ", ".join("abc"[:results])
    text = f"(float[7,2] x) => (float[N,2] a) {{ {names} = Split<num_outputs={parts}>(x) }}"
    with pytest.raises(ModelError, match=f"'num_outputs' with {parts}, and {results} results"):
        from_proto(parsed(18, text))


def test_a_scale_beyond_all_sizes() -> None:
    text = """(float[N,2,4,3] x) => (float[A,B,C,D] y) <float[4] s = {1.0, 1.0, %s, 0.6}>
        { y = Resize<mode="cubic", exclude_outside=1>(x, , s) }"""
    for scale in ("3.4e38", "-1.0", "0.0"):
        assert mnncompat.check(parsed(13, text % scale)).nodes == 1
    model = parsed(13, text % "2.0")
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([1, 1, np.inf, 1], np.float32), "s"))
    assert mnncompat.check(model).nodes == 1


@pytest.mark.parametrize(
    "equation", [b"\xff\xfe", "é->é".encode(), b"i1,1j->ij", b"ij->", b"i j , j k -> i k", b"...i->...", b"ij-"]
)
def test_an_equation_of_other_labels_than_letters(equation: bytes) -> None:
    """ONNX's inference of the first never ended; ONNX Runtime takes letters alone."""
    model = parsed(17, '(float[2,2] x) => (float[2,2] y) { y = Einsum<equation="ij,jk->ik">(x, x) }')
    model.graph.node[0].attribute[0].s = equation
    if set(equation) <= set(b"ijk .,->") and not equation.endswith(b"-"):
        assert mnncompat.check(model).nodes == 1
        return
    with pytest.raises(ModelError, match="labels are letters"):
        from_proto(model)


def test_branches_that_give_other_numbers_of_values() -> None:
    model = parsed(
        17,
        """(bool c, float[2] x) => (float[2] y) { y = If(c) <then_branch = t () => (float[2] a) { a = Relu(x) },
        else_branch = e () => (float[2] b) { b = Neg(x) }> }""",
    )
    model.graph.node[0].attribute[1].g.output.append(declared("x"))
    with pytest.raises(ModelError, match="If\\) has 1 results, and its else_branch gives 2 values"):
        from_proto(model)


def test_trees_whose_lists_have_other_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNNCOMPAT_TRACEBACK", "1")
    lists: dict[str, Any] = {"nodes_treeids": [0, 0], "nodes_nodeids": [0], "nodes_modes": ["LEAF"], "n_targets": 1}
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **lists)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])], [declared("y")]
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    (found,) = mnncompat.check(helper.make_model(graph, opset_imports=imports, ir_version=8)).diagnostics
    assert "do not fit together" in (found.hint or "")
    node.attribute[0].CopyFrom(helper.make_attribute("nodes_treeids", 0.5))
    graph.node[0].CopyFrom(node)
    with pytest.raises(ModelError, match="attribute 'nodes_treeids' of type FLOAT, not INTS"):
        from_proto(helper.make_model(graph, opset_imports=imports, ir_version=8))


def test_strings_that_are_no_text_keep_their_bytes() -> None:
    stored = TensorProto(
        name="s", data_type=TensorProto.STRING, dims=[3], string_data=[b"a", b"\xff\x00b", "é".encode()]
    )
    array = tensor_array(stored)
    assert array.tolist() == ["a", "\udcff\x00b", "é"]
    assert array_tensor(array, "s") == stored
    graph = helper.make_graph(
        [helper.make_node("Identity", ["s"], ["y"]), helper.make_node("ReduceSum", ["x"], ["z"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [stored],
    )
    assert mnncompat.check(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])).nodes == 2


def test_a_long_name_of_an_operator_is_no_file() -> None:
    model = parsed(17, "(float[2] x) => (float[2] y) { y = Relu(x) }")
    model.graph.node[0].op_type = "R" * 5000
    assert mnncompat.check(model).diagnostics[0].status == "refused"


def chain(length: int, size: int) -> ModelProto:
    nodes = [helper.make_node("Add", [f"{step}" if step else "w", "w"], [f"{step + 1}"]) for step in range(length)]
    graph = helper.make_graph(
        nodes, "g", [], [declared(f"{length}")], [numpy_helper.from_array(np.ones(size, np.float32), "w")]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def declared(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def counted_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is evaluated from now on."""
    steps: list[str] = []
    bounded = evaluation._require_bounded

    def counting(node: NodeProto, operands: Sequence[Any], opset: int) -> None:
        steps.append(node.output[0])
        bounded(node, operands, opset)

    monkeypatch.setattr(evaluation, "_require_bounded", counting)
    return steps


def test_a_chain_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order in which its values are asked for; and only so much of it is."""
    view = view_model(from_proto(chain(60, 4))).main
    steps = counted_steps(monkeypatch)
    values = [constant_value(view, f"{step}") for step in range(60, 0, -1)]
    assert [float(value[0]) for value in values if value is not None] == [float(step + 1) for step in range(60, 0, -1)]
    assert len(steps) == 60
    monkeypatch.setattr(evaluation, "_MOST_COMPUTED", 10 * evaluation._STEP - 4 * 8 * 4)
    view = view_model(from_proto(chain(60, 4))).main
    assert constant_value(view, "9") is not None
    assert constant_value(view, "20") is None


def test_what_follows_from_a_failure_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = chain(40, 4)
    model.graph.node[10].op_type = "Nope"
    view = view_model(from_proto(model)).main
    steps = counted_steps(monkeypatch)
    assert [constant_value(view, f"{step}") for step in range(40, 10, -1)] == [None] * 30
    assert len(steps) <= 11
    assert constant_value(view, "10") is not None


def test_long_vectors_are_not_followed_by_inference() -> None:
    for length, is_long in ((100_000, True), (1_000, False)):
        model = chain(50, length)
        kinds = shape_inference._kinds(model)
        graph = shape_inference._skeleton(model, kinds).graph
        lengthens = long_values.may_lengthen(kinds)
        assert long_values.has_long_values(graph, lengthens=lengthens) is is_long


def test_thousands_of_nested_graphs_are_not_inferred() -> None:
    body = GraphProto(name="b", node=[helper.make_node("Relu", ["x"], ["t"])], output=[declared("t")])
    one = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    few, many = GraphProto(node=[one]), GraphProto(node=[one] * 4000)
    assert not shape_inference._has_many_scopes(few)
    assert shape_inference._has_many_scopes(many)


def test_a_target_that_doubles_is_followed_once() -> None:
    nodes = [helper.make_node("Shape", ["x"], ["s0"])]
    nodes += [helper.make_node("Concat", [f"s{step}"] * 2, [f"s{step + 1}"], axis=0) for step in range(16)]
    nodes.append(helper.make_node("Reshape", ["x", "s16"], ["y"]))
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])
    graph = helper.make_graph(nodes, "g", [value], [declared("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert mnncompat.check(model).nodes == 18


def test_nested_graphs_are_sorted_inside_out() -> None:
    inner = GraphProto(name="i", output=[declared("b")])
    inner.node.extend([helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Neg", ["late"], ["a"])])
    outer = GraphProto(name="o", output=[declared("r")])
    outer.node.extend([helper.make_node("If", ["c"], ["r"], then_branch=inner, else_branch=inner)])
    graph = helper.make_graph(
        [
            helper.make_node("If", ["c"], ["y"], then_branch=outer, else_branch=outer),
            helper.make_node("Exp", ["x"], ["late"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]), helper.make_tensor_value_info("c", 9, [])],
        [declared("y")],
    )
    model = from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert [node.op_type for node in model.proto.graph.node] == ["Exp", "If"]
    assert [each.address for each in model.unsorted] == [
        (),
        *[((1, one), (0, two)) for one in ("else_branch", "then_branch") for two in ("else_branch", "then_branch")],
    ]
    body = model.proto.graph.node[1].attribute[0].g.node[0].attribute[0].g
    assert [node.op_type for node in body.node] == ["Neg", "Relu"]


def test_an_operator_of_a_later_ai_onnx_ml(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX has no schema for it there, so nobody has looked at the types of its attributes."""
    monkeypatch.setenv("MNNCOMPAT_TRACEBACK", "1")
    graph = "g (float[1,2] x) => (float[1,1] y) { y = ai.onnx.ml.TreeEnsemble<nodes_splits=[1.0, 2.0]>(x) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 2]> {graph}')
    told = [each.hint for each in mnncompat.check(model).diagnostics]
    assert any("opset 2 of ai.onnx.ml has no operator TreeEnsemble" in (each or "") for each in told)


def test_functions_that_onnx_cannot_write_where_they_are_called() -> None:
    """The type of a call's result is not known, and the function has another opset: ONNX ends in an assertion."""
    text = """<ir_version: 10, opset_import: ["" : 17, "my" : 1]>
    g (float[3] x, float[3] z) => (float[3] y) { b = my.Less(x, z)  y = Cast<to = 1>(b) }
    <opset_import: ["" : 13], domain: "my"> Less (a, c) => (d) { d = Less(a, c) }"""
    model = onnx.parser.parse_model(text)
    with pytest.raises(ModelError, match="ONNX cannot write the functions where they are called"):
        written_out(model)
    assert clipped_outputs(model, ["y"]) == frozenset()


@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn", "float16", "float32"])
def test_floats_that_numpy_knows_by_kind_alone(name: str) -> None:
    values = np.array([0.5, 2.0]).astype(getattr(ml_dtypes, name, name))
    assert float(float_limits(values.dtype).max) >= 448
    assert fitted(Tolerance(rtol=0.1, atol=0.1), [values]).atol <= 0.1


@pytest.mark.parametrize("axis", [2**31, 2**63 - 1, -(2**40)])
def test_an_axis_beyond_all_tensors(axis: int) -> None:
    """ONNX's inference cut it to 32 bits, and wrote outside of the shape of the mean."""
    node = helper.make_node("LayerNormalization", ["x", "s"], ["y", "m"], axis=axis)
    inputs = [helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", [2, 3]), ("s", [3]))]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", 1, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match="no tensor has so many axes"):
        mnncompat.check(model)


NONSENSE = {
    "axes of what has none": (
        19,
        """(x) => (float[1,1,8,8] y) <int64[2] n = {8, 8}>
        { y = Resize<axes=[2, 3], mode="nearest">(x, , , n) }""",
    ),
    "axes in two dimensions": (
        18,
        """(float[2,3] x) => (float[2,M] y) <int64[2] p = {1, 2}, int64[1,1] a = {1}>
        { y = Pad(x, p, , a) }""",
    ),
    "an axis beyond": (
        18,
        """(x) => (float[2,M] y) <int64[2] p = {1, 2}, int64[1] a = {7}>
        { y = Pad(x, p, , a) }""",
    ),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_axes_that_name_nothing_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNNCOMPAT_TRACEBACK", "1")
    opset, text = NONSENSE[name]
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {text}')
    if not model.graph.input[0].type.tensor_type.elem_type:
        model.graph.input[0].type.tensor_type.shape.SetInParent()
    mnncompat.check(model)


def test_a_product_with_a_scalar_is_refused() -> None:
    text = "(float[2,6] x) => (float[2,6] y) <float s = {2.0}> { y = com.microsoft.FusedMatMul(x, s) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]> g {text}')
    told = [each.hint or "" for each in mnncompat.check(model).diagnostics]
    assert any("which no matrix product takes" in each for each in told), told


def test_a_list_of_graphs_is_not_rewritten() -> None:
    """Graphsurgeon passes by such an attribute, which no operator of ONNX has."""
    inner = onnx.parser.parse_graph("g () => (float[2] y) { y = Hardmax(x) }")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    node.attribute.add(name="lists", type=onnx.AttributeProto.GRAPHS, graphs=[inner])
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:]))
    with pytest.raises(ModelError, match=r"in a list of graphs \(attribute 'lists\[0\]' of node 0\)"):
        mnncompat.fix(model, prove=False)


NOT_ALLOWED = {
    "an attribute of another opset": (
        22,
        "(float[1,10,10,2] x) => (float[1,10,10,2] y) { y = DFT<axis=1, inverse=1>(x) }",
        "has no attribute 'axis'",
    ),
    "a switch that is neither on nor off": (
        17,
        "(int32[2,3] x) => (int32[] y) { y = ReduceL2<axes=[1], keepdims=4>(x) }",
        "'keepdims' is 4",
    ),
    "integers in a norm": (
        23,
        "(int32[2,3] x, int32[3] w) => (int32[2,3] y) { y = RMSNormalization<axis=-1>(x, w) }",
        "of type int32",
    ),
    "values of another size": (
        23,
        "(float[2,3,4,8] q, float[2,3,6,8] k) => (float[] y) { y = Attention<softcap=1.0>(q, k, q) }",
        "Incompatible dimensions",
    ),
    "a bias of rank 4": (
        17,
        """(float[1,2,5,5] x) => (float[1,3,10,10] y) <float[2,3,1,1] w = {1, 1, 1, 1, 1, 1}> {
        y = ConvTranspose<strides=[2, 2], output_shape=[10, 10], auto_pad="SAME_UPPER">(x, w, x) }""",
        "Incompatible dimensions",
    ),
    "bytes that no reduction takes": (
        17,
        """(int8[3,4] a, int8[3,4] b) => (int8[3] y) { y = Einsum<equation="bi,bi->b">(a, b) }""",
        "unsupported type: tensor(int8)",
    ),
    "operands that an older Gemm must have": (
        10,
        """(float[3,5] a, float[3,5] b) => (float[3,3] y) {
        y = com.microsoft.FusedGemm<activation="Relu", transB=1>(a, b) }""",
        "input 2 is marked single but has an empty string",
    ),
}


@pytest.mark.parametrize("name", NOT_ALLOWED)
def test_what_onnx_does_not_allow_is_not_rewritten(name: str) -> None:
    opset, text, reason = NOT_ALLOWED[name]
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]> g {text}')
    result = mnncompat.fix(model, prove=False)
    assert not result.applied
    assert not result.rolled_back
    assert any("ONNX does not allow" in each.reason and reason in each.reason for each in result.refused), (
        result.refused
    )


def test_a_time_axis_beyond_the_operand_claims_nothing() -> None:
    text = "(float[3,2] x, int64[2] n) => (float[3,2] y) { y = ReverseSequence<time_axis=3>(x, n) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {text}')
    with pytest.raises(RunnerError, match="time_axis"):
        mnncompat.fix(model)


def test_names_of_a_wide_scan_are_found_at_once() -> None:
    names = {letter: [f"{letter}{i}" for i in range(1500)] for letter in "xypq"}
    takes, gives = (", ".join(f"float[3] {each}" for each in names[letter]) for letter in "pq")
    body = " ".join(f"{q} = Relu({p})" for p, q in zip(names["p"], names["q"], strict=True))
    text = f"""({", ".join(f"float[N,3] {x}" for x in names["x"])}) => (float[N,3] y0) <float[3] s = {{0, 0, 0}}> {{
    last, {", ".join(names["y"])} = Scan<
    body = b (float[3] h, {takes}) => (float[3] g, {gives}) {{ g = Tanh(h) {body} }},
    num_scan_inputs=1500>(s, {", ".join(names["x"])}) }}"""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {text}')
    result = mnncompat.fix(model, prove=False)
    nodes = next(each for each in result.model.proto.graph.node if each.op_type == "Loop").attribute[0].g.node
    assert max(len(node.name) for node in nodes) < len("gather_1500") + 1
