"""Every tensor that a model stores, wherever the format can hold one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from onnx import AttributeProto, GraphProto, ModelProto, SparseTensorProto, TensorProto


def tensors(proto: ModelProto) -> Iterator[TensorProto]:
    """Every stored tensor of a model, wherever the format can hold one, whatever the type of an attribute says.

    A reader may take a tensor from an attribute that calls itself a number: MNN's does.
    """
    for graph in (proto.graph, *_training_graphs(proto)):
        yield from _graph_tensors(graph)
    for function in proto.functions:
        yield from _attribute_tensors(function.attribute_proto)
        for node in function.node:
            yield from _attribute_tensors(node.attribute)


def _training_graphs(proto: ModelProto) -> Iterator[GraphProto]:
    for training in proto.training_info:
        yield from (training.initialization, training.algorithm)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from _own_tensors(graph)
    for node in graph.node:
        attributes = node.attribute
        if attributes:
            yield from _attribute_tensors(attributes)


def _own_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from _sparse_tensors(sparse)


def _attribute_tensors(attributes: Iterable[AttributeProto]) -> Iterator[TensorProto]:
    """Tensors of attributes, and of the graphs that these hold, depth first."""
    pending: list[Iterator[AttributeProto | GraphProto]] = [iter(attributes)]
    while pending:
        for item in pending[-1]:
            if isinstance(item, GraphProto):
                yield from _own_tensors(item)
                pending.append(chain.from_iterable(node.attribute for node in item.node))
                break
            yield from _stated_tensors(item)
            graphs = [item.g] if item.HasField("g") else []
            graphs += item.graphs
            if graphs:
                pending.append(iter(graphs))
                break
        else:
            pending.pop()


def _stated_tensors(attribute: AttributeProto) -> Iterator[TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    if attribute.HasField("sparse_tensor"):
        yield from _sparse_tensors(attribute.sparse_tensor)
    for sparse in attribute.sparse_tensors:
        yield from _sparse_tensors(sparse)


def _sparse_tensors(sparse: SparseTensorProto) -> Iterator[TensorProto]:
    yield from (
        part for name, part in (("values", sparse.values), ("indices", sparse.indices)) if sparse.HasField(name)
    )


def dense_tensors(proto: ModelProto) -> Iterator[TensorProto]:
    """The initializers of all graphs, and what ``Constant`` nodes state, in functions as well."""
    graphs = [proto.graph]
    nodes = [node for function in proto.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            nodes.extend(graph.node)
            continue
        node = nodes.pop()
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR and node.op_type == "Constant":
                yield attribute.t
            elif attribute.type == AttributeProto.GRAPH:
                graphs.append(attribute.g)
            graphs.extend(attribute.graphs)
