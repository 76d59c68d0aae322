"""GELU as ONNX defines it, where MNN's approximation is not good enough."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.validation import all_nodes
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from onnx import ModelProto

    from mnncompat.graph.view import GraphView
    from mnncompat.support.node_facts import NodeFacts
    from mnncompat.support.target import Target


class ExactGelu(NodeRewrite):
    """Write Gelu with Erf.

    **What.** `mnncompat convert MODEL --exact-gelu`. Gelu of opset 20 and newer with ``approximate = "none"``.

    **Why.** MNN runs the operator Gelu by an approximation that is off by up to 4.7e-4, whatever options the converter
    has. The option also makes the converter not fuse Erf in arithmetic to it.

    **Before and after**::

        y = Gelu(x)
        y = x * 0.5 * (1 + Erf(x / sqrt(2)))

    **Algebra.** The definition. Not applied by `fix`: the approximation is one operator, and good enough for most
    models. `convert` applies it where the outputs agree only with it, and says so; `--no-exact-gelu` forbids that.

    **Refuses** ``approximate = "tanh"``, which MNN computes as it is.

    **Source.** https://onnx.ai/onnx/operators/onnx__Gelu.html
    """

    code = "MNN809"
    name = "exact-gelu"
    summary = "written with Erf"
    on_request = True
    last_resort = True
    converter_options = (("gelu_approximation", False),)
    op_types = ("Gelu",)

    def applies_to(self, view: GraphView, index: int, target: Target) -> bool:  # noqa: ARG002 - the user asked
        """True for Gelu of ONNX's own domain."""
        return is_onnx(view.nodes[index])

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the definition."""
        if node.attribute("approximate") == "tanh":
            raise NotApplicable("approximate is tanh")
        x = new.input(0)
        return x * 0.5 * (new.op("Erf", x * math.sqrt(0.5)) + 1.0)

    def suggestion(self, model: ModelProto, applied: Collection[str]) -> str:  # noqa: ARG002 - whatever was rewritten
        """The option, if the model has GELU in any form."""
        nodes = all_nodes([*model.graph.node, *(node for function in model.functions for node in function.node)])
        if not any(node.op_type in ("Gelu", "Erf") for node in nodes):
            return ""
        return "MNN approximates GELU, by up to 4.7e-4: `--exact-gelu` (in Python exact_gelu=True) computes it with Erf"
