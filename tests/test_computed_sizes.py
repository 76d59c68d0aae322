"""Shapes that depend on sizes that the graph computes."""

from __future__ import annotations

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from mnncompat import check, convert
from mnncompat.graph.model_file import from_proto
from mnncompat.graph.protos import Dim
from mnncompat.inference.model_view import view_model


def text(
    body: str, *, opset: int = 17, inputs: str = "float[1,3,6,8] x", output: str = "float[a,b,c,d] y"
) -> ModelProto:
    header = f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({output})'
    return onnx.parser.parse_model(f"{header} {{ {body} }}")


def shape_of(model: ModelProto, name: str = "r") -> tuple[Dim, ...] | None:
    return view_model(from_proto(model)).main.shape(name)


POSITIONS = """
    minus = Constant <value = int64[1] {-1}> ()
    zero = Constant <value = int64[1] {0}> ()
    two = Constant <value = int64[1] {2}> ()
    half = Constant <value = float {0.5}> ()
    scale = Constant <value = float[4] {1.0, 1.0, 1.5, 1.5}> ()
    four = Constant <value = int64[1] {4}> ()
"""


def position_embedding(side: int, mode: str) -> ModelProto:
    """A table of positions for a square of patches, enlarged as torch's exporter writes ``int(positions ** 0.5)``."""
    body = f"""{POSITIONS}
        s = Shape (x)
        one = Constant <value = int64 {{1}}> ()
        n = Gather (s, one)
        root = Pow (n, half)
        whole = Cast <to = 7> (root)
        side = Unsqueeze (whole, zero)
        target = Concat <axis = 0> (zero, side, side, four)
        p = Reshape (x, target)
        t = Transpose <perm = [0, 3, 1, 2]> (p)
        r = Resize <mode = "{mode}", coordinate_transformation_mode = "half_pixel"> (t, , scale)
        y = Relu (r)
    """
    return text(body, inputs=f"float[1,{side * side},4] x", output="float[a,b,c,d] y")


@settings(deadline=None, max_examples=20)
@given(side=st.integers(1, 9))
def test_the_root_of_a_number_of_positions_is_a_size(side: int) -> None:
    enlarged = int(side * 1.5)
    assert shape_of(position_embedding(side, "linear")) == (1, 4, enlarged, enlarged)


def test_an_enlarging_cubic_resize_behind_a_computed_size_is_found_and_mended() -> None:
    model = position_embedding(4, "cubic")
    assert "MNN306" in {finding.code for finding in check(model, mnn="3.6.1").diagnostics}
    assert convert(model, None).verdict == "converted"


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_a_target_of_expand_with_a_place_for_any_size(opset: int) -> None:
    """As torch's exporter writes ``x.expand(2, -1)``."""
    body = """
        wanted = Constant <value = int64[2] {2, -1}> ()
        minus = Constant <value = int64 {-1}> ()
        s = Shape (wanted)
        ones = ConstantOfShape <value = int64[1] {1}> (s)
        any = Mul (ones, minus)
        is_any = Equal (wanted, any)
        target = Where (is_any, ones, wanted)
        r = Expand (x, target)
        y = Relu (r)
    """
    assert shape_of(text(body, opset=opset, inputs="float[1,3] x", output="float[a,b] y")) == (2, 3)


def test_known_sizes_are_picked_beside_unknown_ones() -> None:
    body = """
        s = Shape (x)
        two = Constant <value = int64[1] {2}> ()
        minus = Constant <value = int64[1] {-1}> ()
        wanted = Constant <value = int64[1] {4}> ()
        n = Gather (s, two)
        f = Cast <to = 1> (n)
        root = Sqrt (f)
        side = Cast <to = 7> (root)
        target = Concat <axis = 0> (minus, wanted, side)
        r = Reshape (x, target)
        y = Relu (r)
    """
    shape = shape_of(text(body, inputs="float[n,3,9] x", output="float[a,b,c] y"))
    assert shape is not None
    assert shape[1:] == (4, 3)


@pytest.mark.parametrize("inputs", ["float[1,n,4] x", "float[1,16,4] x, int64 m"])
def test_what_depends_on_the_input_stays_unknown(inputs: str) -> None:
    model = position_embedding(4, "linear")
    del model.graph.input[:]
    model.graph.input.extend(text("y = Relu (x)", inputs=inputs, output="float[a,b,c,d] y").graph.input)
    if "m" in [value.name for value in model.graph.input]:
        next(node for node in model.graph.node if node.op_type == "Pow").input[0] = "m"
    shape = shape_of(model)
    assert shape is None or not isinstance(shape[2], int)


def test_the_model_itself_stays_as_it_is() -> None:
    model = position_embedding(4, "linear")
    before = model.SerializeToString()
    assert shape_of(model) == (1, 4, 6, 6)
    assert model.SerializeToString() == before


def test_arithmetic_that_fails_is_left_to_inference() -> None:
    body = """
        a = Constant <value = int64[1] {6}> ()
        b = Constant <value = int64[2] {1, 2}> ()
        c = Constant <value = int64[3] {1, 2, 3}> ()
        d = Add (b, c)
        target = Concat <axis = 0> (a, d)
        r = Reshape (x, target)
        y = Relu (r)
    """
    model = text(body, inputs="float[6] x", output="float[a,b,c,d] y")
    assert shape_of(model) in (None, (None,) * 4)
