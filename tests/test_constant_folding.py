"""What counts as known before the model runs."""

from __future__ import annotations

import onnx
import pytest

from mnncompat import fix
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.inference.model_view import view_model

NOISE = {
    "RandomNormal": "RandomNormal <shape = [4, 6]> ()",
    "RandomNormalLike": "RandomNormalLike (c)",
    "RandomUniform": "RandomUniform <shape = [4, 6]> ()",
    "RandomUniformLike": "RandomUniformLike (c)",
    "Bernoulli": "Bernoulli (c)",
}


def noisy(call: str) -> onnx.ModelProto:
    """Noise that is enlarged in a mode that MNN lacks, and added to the input."""
    return onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,1,8,12] x) => (float[1,1,8,12] y) <int64[4] t = {{1, 1, 4, 6}}, float[4] s = {{1, 1, 2, 2}}>
        {{
            n = Constant <value = int64[2] {{4, 6}}> ()
            c = ConstantOfShape <value = float[1] {{0.5}}> (n)
            r = {call}
            p = Reshape (r, t)
            e = Resize <mode = "cubic", coordinate_transformation_mode = "half_pixel"> (p, , s)
            y = Add (x, e)
        }}
    """)


@pytest.mark.parametrize("op", NOISE)
def test_what_is_drawn_anew_in_every_run_is_no_constant(op: str) -> None:
    model = noisy(NOISE[op])
    view = view_model(from_proto(model)).main
    assert not is_constant(view, "r")
    assert constant_value(view, "p") is None


@pytest.mark.parametrize("op", NOISE)
def test_no_fix_stores_one_draw(op: str) -> None:
    fixed = fix(noisy(NOISE[op]), mnn="3.6.1", prove=False)
    assert "fold-constants" not in {applied.rewrite for applied in fixed.applied}
    assert op in {node.op_type for node in fixed.model.proto.graph.node}


def test_a_body_may_read_what_is_not_known() -> None:
    view = view_model(
        from_proto(
            onnx.parser.parse_model("""
                <ir_version: 8, opset_import: ["" : 17]>
                g (float[2] x) => (float[2] y) <int64 zero = {0}, float[2] c = {1, 2}>
                {
                    s = SequenceConstruct (c)
                    m = SequenceMap (s) <body = b (float[2] e) => (float[2] r) { r = Add (e, x) }>
                    y = SequenceAt (m, zero)
                }
            """)
        )
    ).main
    assert is_constant(view, "s")
    assert not is_constant(view, "m")
