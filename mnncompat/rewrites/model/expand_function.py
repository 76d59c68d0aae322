"""Operators as the simpler ones by which ONNX defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, FunctionProto, NodeProto, helper

from mnncompat.graph.protos import is_onnx, onnx_opset
from mnncompat.graph.validation import all_nodes
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnncompat.support.node_facts import NodeFacts


class ExpandFunction(NodeRewrite):
    """Write an operator as the simpler ones by which ONNX defines it.

    **What.** Operators whose schema has a function body, or makes one from the types of the operands.

    **Why.** MNN's converter does not use function bodies: it refuses every operator that it does not declare.

    **Before and after**::

        y = Mish(x)
        y = x * Tanh(Softplus(x))

    **Algebra.** The body is the operator's definition.

    **Refuses** if there is no body for the model's opset, and if the types of the operands are not
    known where the body depends on them.

    **Source.** https://onnx.ai/onnx/operators/ ("Function Body")
    """

    code = "MNN804"
    name = "expand-function"
    summary = "written as the operators by which ONNX defines it"
    op_types = ()

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the body."""
        return expanded(node, new)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """An operator that MNN lacks, and one with a function body that MNN declares."""
        return (
            rewritten(
                "no attributes",
                "(float[2,3,4] x) => (float[2,3,4] y) { y = Mish(x) }",
                becomes="Mul, Softplus, Tanh",
                opset=22,
            ),
            unchanged("MNN declares it", "(float[2,5] x) => (float[2,5] y) { y = Softplus(x) }"),
        )


def expanded(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """Emit the body of an operator; returns the values of its outputs.

    Raises:
        NotApplicable: There is no body for the model's opset.
    """
    schema = _schema(node)
    body = _body(node, schema)
    bindings = {name: new.value(operand) for name, operand in zip(body.input, node.node.input, strict=False) if operand}
    defaults = (*(each.default_value for each in schema.attributes.values()), *body.attribute_proto)
    given = {each.name: each for each in (*defaults, *node.node.attribute) if each.name}
    absent = set(body.input) - bindings.keys()
    values = new.splice([_bound(each, given, absent) for each in body.node], bindings)
    results = [values.get(name) or bindings.get(name) for name in body.output]
    return results[: len(node.node.output)]


def _schema(node: NodeFacts) -> Any:  # onnx's stub lacks the methods for versions
    op, domain = node.node.op_type, "" if is_onnx(node.node) else node.node.domain
    version = node.opset
    if domain:
        imports = node.view.scope.proto.opset_import
        version = next((entry.version for entry in imports if entry.domain == domain), 0)
    try:
        return onnx.defs.get_schema(op, version, domain)
    except onnx.defs.SchemaError:
        raise NotApplicable(f"{domain or 'ONNX'} {version} has no {op}") from None


def _body(node: NodeFacts, schema: Any) -> FunctionProto:
    """The body of an operator for the opset of the model that holds it."""
    for version, depends in _versions(schema, schema.since_version if schema.domain else node.opset):
        body = FunctionProto()
        if depends:
            types = [_type(node, name) for name in node.node.input]
            data = schema.get_context_dependent_function_with_opset_version(
                version, node.node.SerializeToString(), types
            )
        else:
            data = schema.get_function_with_opset_version(version)
        if data:
            body.ParseFromString(data)
            unstated = node.opset if schema.domain else version
            written_for = onnx_opset(body.opset_import) or unstated
            if all(_is_same(each, written_for, node.opset) for each in all_nodes(body.node)):
                return body
    raise NotApplicable(f"ONNX opset {node.opset} has no function body of {node.node.op_type}")


def _versions(schema: Any, opset: int) -> list[tuple[int, bool]]:
    """Opsets for which there is a body, newest first, and whether it depends on the operands' types."""
    versions = [(version, False) for version in schema.function_opset_versions]
    versions += [(version, True) for version in schema.context_dependent_function_opset_versions]
    return sorted((each for each in versions if each[0] <= opset), reverse=True)


def _type(node: NodeFacts, name: str) -> bytes:
    if not name:
        return onnx.TypeProto().SerializeToString()
    dtype = node.view.dtype(name)
    if not dtype:
        raise NotApplicable(f"the type of '{name}' is not known")
    return helper.make_tensor_type_proto(dtype, node.view.shape(name)).SerializeToString()


def _is_same(node: NodeProto, version: int, opset: int) -> bool:
    """True if an operator takes the same operands and attributes in both opsets."""
    if not is_onnx(node) or not all(onnx.defs.has(node.op_type, each, "") for each in (version, opset)):
        return False
    one, two = (onnx.defs.get_schema(node.op_type, each, "") for each in (version, opset))
    return [each.name for each in one.inputs] == [each.name for each in two.inputs[: len(one.inputs)]] and set(
        one.attributes
    ) <= set(two.attributes)


def _bound(node: NodeProto, given: Mapping[str, AttributeProto], absent: set[str]) -> NodeProto:
    """A node of the body, with the attributes of the operator and without operands that are left out."""
    result = NodeProto()
    result.CopyFrom(node)
    del result.attribute[:]
    for item in node.attribute:
        if not item.ref_attr_name:
            copy = result.attribute.add()
            copy.CopyFrom(item)
            if item.type == AttributeProto.GRAPH:
                inner = [_bound(each, given, absent) for each in item.g.node]
                del copy.g.node[:]
                copy.g.node.extend(inner)
        elif item.ref_attr_name in given:
            copy = result.attribute.add()
            copy.CopyFrom(given[item.ref_attr_name])
            copy.name = item.name
    result.input[:] = ["" if name in absent else name for name in node.input]
    return result
