"""Models whose reports the tests look at."""

from __future__ import annotations

import numpy as np
import onnx
from models import array, model_of
from onnx import TensorProto, helper

HOSTILE = (
    "<script>document.title = 'taken'</script>",
    "</script><img src=x onerror=alert(1)>",
    "\u202egnp.exe\u2066",
    "/a/b/" + "long" * 2500,
    "javascript:alert(1)//&quot;'\"`${1}",
    "line\u2028break\nand\ttab",
)


def wrong_in_the_middle() -> onnx.ModelProto:
    """Conv, Relu, a Softmax of opset 11 without axis, which MNN 3.6.1 computes along another one, Conv, Sigmoid."""
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["c1"], name="before", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], name="act"),
        helper.make_node("Softmax", ["r1"], ["m"], name="fault"),
        helper.make_node("Conv", ["m", "k2"], ["c2"], name="after", kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["c2"], ["y"], name="last"),
    ]
    held = {"k1": array(8, 3, 3, 3) * np.float32(0.3), "k2": array(8, 8, 1, 1) * np.float32(3)}
    return model_of(nodes, {"x": [1, 3, 8, 8]}, {"y": None}, held, opset=11)


def with_hostile_names() -> onnx.ModelProto:
    """A chain whose nodes and values have these names, with an attribute and a text of the model of the same kind."""
    nodes = []
    before = "x"
    for name in HOSTILE:
        nodes.append(helper.make_node("Selu", [before], [f"{name} value"], name=name))
        before = f"{name} value"
    nodes.append(helper.make_node("<b>Bold</b>", [before], ["y"], name="foreign", domain="</script>", note=HOSTILE[1]))
    nodes.append(helper.make_node("Hardmax", [before], ["z"], name="<i>hardmax</i>", axis=0))
    graph = helper.make_graph(
        nodes,
        HOSTILE[0],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, "<u>n</u>"])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("</script>", 1)]
    return helper.make_model(graph, opset_imports=imports, doc_string=HOSTILE[1], producer_name=HOSTILE[2])


def deep(count: int) -> onnx.ModelProto:
    """A network of that many nodes at least: layers of sixteen, in modules, each with four branches and a sum.

    Args:
        count: Nodes.
    """
    nodes: list[onnx.NodeProto] = []
    last = "x"

    def add(op: str, operands: list[str], name: str) -> str:
        nodes.append(helper.make_node(op, operands, [f"{name}_output_0"], name=name))
        return f"{name}_output_0"

    while len(nodes) < count:
        at = f"/model/layers.{len(nodes) // 16}"
        norm = add("Mul", [last, "w"], f"{at}/norm/Mul")
        heads = [add("Relu", [add("Mul", [norm, "w"], f"{at}/{each}/Mul")], f"{at}/{each}/Relu") for each in "abcd"]
        joined = add("Add", [last, add("Sum", heads, f"{at}/Sum")], f"{at}/Add")
        hidden = add("Tanh", [add("Mul", [joined, "w"], f"{at}/mlp/Mul")], f"{at}/mlp/Tanh")
        moved = add("Neg", [add("Mul", [hidden, "w"], f"{at}/mlp/Mul_1")], f"{at}/mlp/Neg")
        last = add("Add", [joined, moved], f"{at}/Add_1")
    return model_of(nodes, {"x": [1, 8]}, {last: None}, {"w": np.ones(8, np.float32)}, opset=17)
