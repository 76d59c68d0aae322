"""Whether ONNX itself refuses a node, for what the model says about its operands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import captured

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_MOST_READ = 1024
"""Elements of a constant that inference is shown."""


def why_invalid(node: NodeFacts) -> str | None:
    """What ONNX's strict inference objects to, in one line.

    Args:
        node: A node; nothing is said about operators that are not ONNX's.

    Returns:
        The objection; None if there is none, or if the type of a value that it reads is not known.
    """
    proto, view = node.node, node.view
    if not is_onnx(proto):
        return None
    try:
        onnx.defs.get_schema(proto.op_type, node.opset, "")
    except onnx.defs.SchemaError:
        return f"opset {node.opset} has no operator {proto.op_type}"
    inner = [name for _, graph in subgraphs(proto) for name in captured(graph)]
    graph = onnx.GraphProto(name="node", node=[proto])
    for name in dict.fromkeys(filter(None, (*proto.input, *inner))):
        try:
            constant = view.stored_value(name)
        except ValueError as error:  # data in a file beside the model, of another size
            return f"operand '{name}': {error}"
        if constant is not None and constant.size <= _MOST_READ:
            graph.initializer.append(array_tensor(np.asarray(constant), name))
        elif dtype := view.dtype(name):
            graph.input.append(helper.make_tensor_value_info(name, dtype, view.shape(name)))
        else:
            return None
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.opset)])
    try:
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError) as error:
        return " ".join(str(error).split())
    return None
