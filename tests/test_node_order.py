"""Nodes out of order are sorted, told and written in order; cycles are errors that name their nodes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import GraphProto, ModelProto, TensorProto, helper

from mnncompat import check, convert, fix
from mnncompat.cli import main
from mnncompat.errors import ModelError
from mnncompat.graph.model_file import from_proto, load
from mnncompat.graph.ordering import is_sorted, sort_nodes
from mnncompat.parity.runners import OnnxRuntimeRunner

if TYPE_CHECKING:
    from pathlib import Path

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
BRANCH = """agraph (float[2] x, bool c) => (float[2] y) {
    y = If<then_branch = one () => (float[2] p) { p = Exp(q) q = Neg(a) },
           else_branch = two () => (float[2] r) { r = Abs(a) }>(c)
    a = Floor(x)
}"""


def model_of(text: str) -> ModelProto:
    return onnx.parser.parse_model(HEAD + text)


def ops(graph: GraphProto) -> list[str]:
    return [node.op_type for node in graph.node]


def chain(length: int) -> ModelProto:
    """Exp of Exp of ..., the last one first."""
    nodes = [helper.make_node("Exp", [f"v{n}"], [f"v{n + 1}"]) for n in range(length)]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("v0", f"v{length}"))
    return helper.make_model(helper.make_graph(nodes[::-1], "g", [x], [y]))


def test_model_in_memory_is_sorted_in_a_copy() -> None:
    given_model = model_of("agraph (float[2] x) => (float[2] y) { y = Exp(a) a = Neg(x) }")
    model = from_proto(given_model)
    assert ops(model.proto.graph) == ["Neg", "Exp"]
    assert ops(given_model.graph) == ["Exp", "Neg"]
    (told,) = model.unsorted
    assert (told.reader, told.value, told.address, told.root) == ("y", "a", (), ())


def test_sorted_model_is_shared() -> None:
    given_model = model_of("agraph (float[2] x) => (float[2] y) { a = Neg(x) y = Exp(a) }")
    model = from_proto(given_model)
    assert model.proto is given_model
    assert not model.unsorted


def test_branches_and_what_they_capture() -> None:
    model = from_proto(model_of(BRANCH))
    assert ops(model.proto.graph) == ["Floor", "If"]
    then_branch = next(each.g for each in model.proto.graph.node[1].attribute if each.name == "then_branch")
    assert ops(then_branch) == ["Neg", "Exp"]
    assert [(each.address, each.reader, each.value) for each in model.unsorted] == [
        ((), "y", "a"),
        (((1, "then_branch"),), "p", "q"),
    ]


def test_functions_are_sorted() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "my" : 1]> agraph (float[2] x) => (float[2] y) { y = my.f(x) }\n'
        '<domain: "my", opset_import: ["" : 17]> f (x) => (y) { y = Exp(a) a = Neg(x) }'
    )
    model = from_proto(proto)
    assert [node.op_type for node in model.proto.functions[0].node] == ["Neg", "Exp"]
    assert [each.root for each in model.unsorted] == [("function my::f",)]
    assert [item.location.graph for item in check(proto).diagnostics if item.code == "MNN045"] == [("function my::f",)]


@pytest.mark.parametrize(
    ("text", "circle"),
    [
        (
            "agraph (float[2] x) => (float[2] y) { y = Add(x, b) a = Neg(y) b = Exp(a) }",
            "'y' reads 'b' reads 'a' reads 'y'",
        ),
        ("agraph (float[2] x) => (float[2] y) { a = Neg(x) y = Add(a, y) }", "'y' reads 'y'"),
        (
            """agraph (float[2] x, bool c) => (float[2] y) { a = Exp(y)
            y = If<then_branch = p () => (float[2] t) { t = Neg(a) },
                   else_branch = q () => (float[2] e) { e = Abs(x) }>(c) }""",
            "'a' reads 'y' reads 'a'",
        ),
    ],
)
def test_cycle_names_its_nodes(text: str, circle: str) -> None:
    with pytest.raises(ModelError) as error:
        from_proto(model_of(text))
    assert f"the graph has a cycle: {circle}" in str(error.value)
    assert error.value.hint


def test_values_that_nothing_computes_or_several_nodes_compute_stay_errors() -> None:
    with pytest.raises(ModelError, match="'y' reads 'b', which nothing computes"):
        from_proto(model_of("agraph (float[2] x) => (float[2] y) { y = Add(a, b) a = Neg(x) }"))
    with pytest.raises(ModelError, match="'x' is defined more than once"):
        from_proto(model_of("agraph (float[2] x) => (float[2] y) { y = Exp(x) x = Neg(y) }"))


def test_check_tells_and_fix_and_convert_write_them_sorted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "model.onnx", tmp_path / "fixed.onnx"
    onnx.save(model_of(BRANCH), source)
    assert main(["check", str(source), "--output-format", "json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    found = [each for each in result["diagnostics"] if each["code"] == "MNN045"]
    assert [(each["severity"], each["fixable"]) for each in found] == [("info", True)] * 2
    assert main(["fix", str(source), "-o", str(out)]) == 0
    assert is_sorted(onnx.load(out))
    assert not load(out).unsorted
    assert not [each for each in check(out).diagnostics if each.code == "MNN045"]
    converted = convert(source, tmp_path / "model.mnn")
    assert converted.out is not None
    assert converted.parity is not None
    assert converted.parity.passed


def test_fix_reports_it_with_what_else_it_rewrites() -> None:
    proto = model_of("agraph (float[2] x) => (float[2] y) { y = Exp(a) a = Mish(x) }")
    proto.opset_import[0].version = 18
    result = fix(proto)
    assert {each.rewrite for each in result.applied} >= {"sort-nodes"}
    assert is_sorted(result.model.proto)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_order_is_sorted_and_sorted_nodes_keep_theirs(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    names = [f"v{n}" for n in range(size + 1)]
    nodes = [
        helper.make_node("Add", [names[data.draw(st.integers(0, n))] for _ in range(2)], [names[n + 1]])
        for n in range(size)
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in (names[0], names[-1]))
    shuffled = data.draw(st.permutations(nodes))
    model = helper.make_model(helper.make_graph(shuffled, "g", [x], [y]))
    before = model.SerializeToString()
    was_sorted = is_sorted(model)
    sort_nodes(model, "model")
    assert is_sorted(model)
    onnx.checker.check_model(model)
    assert sorted(node.SerializeToString() for node in model.graph.node) == sorted(
        node.SerializeToString() for node in nodes
    )
    if was_sorted:
        assert model.SerializeToString() == before


def test_time_is_linear() -> None:
    def seconds(length: int) -> float:
        model = chain(length)
        begin = time.process_time()
        sort_nodes(model, "model")
        return time.process_time() - begin

    seconds(100)
    short, long = min(seconds(500) for _ in range(5)), min(seconds(8_000) for _ in range(5))
    assert long < 48 * short  # 16 times the nodes; 256 times the time if it were quadratic


def test_value_of_a_sorted_model_is_that_of_the_file(tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    onnx.save(model_of(BRANCH), source)
    result = fix(source)
    x = np.asarray([0.5, -1.5], np.float32)
    for condition in (True, False):
        feed = {"x": x, "c": np.asarray(condition)}
        expected = np.exp(-np.floor(x)) if condition else np.abs(np.floor(x))
        for model in (source, result.model.proto):
            found = OnnxRuntimeRunner(model).run([feed])
            assert isinstance(found, list)
            np.testing.assert_allclose(found[0]["y"], expected, rtol=1e-6)
