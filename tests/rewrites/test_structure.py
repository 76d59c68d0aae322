"""The notation in which examples state the structure of their result."""

import pytest
from onnx import parser
from structure import structure

MODELS = (
    ("{ y = Neg(x) }", "Neg"),
    ("{ a = Relu(x) b = Abs(a) y = Relu(b) }", "Abs, 2 Relu"),
    ("{ }", "no nodes"),
    ("{ c = Constant<value = float {1}>() unread = Neg(x) y = Neg(x) }", "Constant, 2 Neg"),
    (
        """{ y = If(b) <
        then_branch = one () => (float p) { a = Neg(x) p = Neg(a) },
        else_branch = two () => (float q) { q = If(b) <
            then_branch = three () => (float r) { r = Abs(x) },
            else_branch = four () => (float s) { s = Exp(x) }> }> }""",
        "If{2 Neg | If{Abs | Exp}}",
    ),
    (
        """{ a = my.gain(x) y = my.Relu(a) }
        <domain: "my", opset_import: ["": 13]> gain (u) => (v) { w = Neg(u) v = Neg(w) }
        <domain: "my", opset_import: ["": 13]> Relu (u) => (v) { v = Abs(u) }""",
        "my::Relu, my::gain; function Relu: Abs; function gain: 2 Neg",
    ),
)


@pytest.mark.parametrize(("nodes", "expected"), MODELS, ids=[expected for _, expected in MODELS])
def test_every_node_counts(nodes: str, expected: str) -> None:
    header = '<ir_version: 8, opset_import: ["": 13, "my": 1]>'
    assert structure(parser.parse_model(f"{header} example (float x, bool b) => (float y) {nodes}")) == expected
