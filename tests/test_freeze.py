"""Dynamic inputs are fixed to the shapes that the user names, and shape arithmetic is computed."""

from __future__ import annotations

import onnx
import pytest
from onnx import ModelProto, parser

from mnncompat import UsageError, fix

VIEW = """<ir_version: 8, opset_import: ["": 13]>
view (float[N,3,H,W] x, float[N,4] z) => (float[N,M] y, float[N,4] u) <int64 zero = {0}, int64[1] rest = {-1}> {
  shape = Shape(x)
  batch = Gather<axis=0>(shape, zero)
  axis = Constant<value = int64[1] {0}>()
  first = Unsqueeze(batch, axis)
  target = Concat<axis=0>(first, rest)
  y = Reshape(x, target)
  u = Relu(z)
}"""
NESTED = """<ir_version: 8, opset_import: ["": 13]>
nested (float[N,3] x, bool c) => (float[A,B] y) {
  y = If(c) <
    then_branch = one () => (float[P,Q] a) { s = Shape(x) a = Expand(x, s) },
    else_branch = two () => (float[P,Q] b) { b = Neg(x) }
  >
}"""


def dims(model: ModelProto) -> dict[str, list[int | str]]:
    values = (*model.graph.input, *model.graph.output)
    return {
        value.name: [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in values
    }


def test_symbols_are_fixed_together_and_shape_arithmetic_is_computed() -> None:
    result = fix(parser.parse_model(VIEW), freeze={"x": (2, 3, 4, 5)})
    assert result.proven
    assert [each.rewrite for each in result.applied] == ["freeze-shapes"]
    assert "takes no other shape" in result.applied[0].message
    assert dims(result.model.proto) == {"x": [2, 3, 4, 5], "z": [2, 4], "y": [2, 60], "u": [2, 4]}
    assert [node.op_type for node in result.model.proto.graph.node] == ["Constant", "Reshape", "Relu"]


def test_nested_graphs_are_folded_too() -> None:
    result = fix(parser.parse_model(NESTED), freeze={"x": (2, 3)})
    assert result.proven
    (branch,) = [item.g for item in result.model.proto.graph.node[-1].attribute if item.name == "then_branch"]
    assert "Shape" not in [node.op_type for node in branch.node]
    onnx.checker.check_model(result.model.proto, full_check=True)


def test_a_static_shape_is_nothing_to_do() -> None:
    model = fix(parser.parse_model(VIEW), freeze={"x": (2, 3, 4, 5)}).model.proto
    again = fix(model, freeze={"x": (2, 3, 4, 5)})
    assert not again.applied
    assert again.model.proto == model


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"w": (1,)}, "no input 'w'"),
        ({"x": (1, 3, 4)}, "does not fit"),
        ({"x": (1, 4, 4, 4)}, "does not fit"),
        ({"x": (0, 3, 4, 4)}, "does not fit"),
        ({"x": (1, 3, 4, 4), "z": (2, 4)}, "does not fit"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(shapes: dict[str, tuple[int, ...]], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fix(parser.parse_model(VIEW), freeze=shapes)
