"""What random nodes draw while a model runs, as arrays that its rewritten form can be fed with.

The original runs as it is, except that what its random nodes draw is given out as well. So no step is shared with the
rewrite that is to be proven: it removes these nodes, here they do their work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, helper

from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import GraphAddress
from mnncompat.graph.tensor_values import array_tensor, element_dtype
from mnncompat.inference.model_view import view_model
from mnncompat.inference.noise_inputs import noise_of, without_functions
from mnncompat.inference.random_nodes import random_nodes
from mnncompat.parity.input_plan import NamedFeeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import GraphProto

    from mnncompat.inference.noise_inputs import NoiseInput


class NoiseRecorder:
    """A model that gives out what its random nodes draw.

    Args:
        model: The model; it is not changed.

    Attributes:
        model: The same with further outputs.
        left: Outputs that depend on what other random nodes draw, with these.
        names: Inputs of the rewritten model that take the noise.
    """

    def __init__(self, model: ModelProto) -> None:
        whole = without_functions(view_model(Model(proto=model)))
        noise = noise_of(whole)
        self.model = ModelProto()
        self.model.CopyFrom(whole.proto)
        self._inputs = {_exposed(self.model.graph, each): each for each in noise.inputs}
        self.names = {each.name for each in noise.inputs}
        refused = {each.label for each, _ in noise.refused}
        labels = {name: [each.label for each in nodes] for name, nodes in random_nodes(whole).items()}
        self.left = {
            name: tuple(label for label in found if label in refused)
            for name, found in labels.items()
            if refused.intersection(found)
        }

    @property
    def recorded(self) -> dict[str, str]:
        """Results of random nodes -> the outputs that give them out."""
        return {each.source.node.output[0]: name for name, each in self._inputs.items()}

    def with_noise(self, feeds: Sequence[NamedFeeds], outputs: Sequence[Mapping[str, np.ndarray]]) -> list[NamedFeeds]:
        """What to feed the rewritten model with, so that it computes what this one did.

        Args:
            feeds: Of this model.
            outputs: Of this model, for each of the feeds.
        """
        return [
            NamedFeeds(name=feed.name, arrays={**feed.arrays, **self._noise(drawn)})
            for feed, drawn in zip(feeds, outputs, strict=True)
        ]

    def _noise(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {each.name: _fed(each, outputs[name]) for name, each in self._inputs.items()}


def _fed(each: NoiseInput, drawn: np.ndarray) -> np.ndarray:
    """The numbers that were drawn; of Bernoulli, numbers below and above any probability."""
    numbers = np.where(drawn != 0, -1.0, 2.0) if each.source.node.op_type == "Bernoulli" else drawn
    return np.asarray(numbers.astype(element_dtype(each.element)))


def _exposed(main: GraphProto, each: NoiseInput) -> str:
    """Add an output to a graph, and to the Ifs around a node, that has what the node draws; its name."""
    source = each.source
    element = source.view.dtype(source.node.output[0]) or each.element
    name = source.node.output[0]
    address = source.view.address
    while address:
        (*outer, (index, branch)) = address
        node = _graph_at(main, tuple(outer)).node[index]
        for item in node.attribute:
            inner = name if item.name == branch else _nothing(item.g, each, element)
            item.g.output.append(helper.make_tensor_value_info(inner, element, None))
        name = f"{each.name}_drawn_{len(outer)}"
        node.output.append(name)
        address = tuple(outer)
    if name not in {value.name for value in main.output}:
        main.output.append(helper.make_tensor_value_info(name, element, None))
    return name


def _nothing(graph: GraphProto, each: NoiseInput, element: int) -> str:
    """Add zeros to a branch that does not draw: nobody reads them where it is taken."""
    shape = [dim if isinstance(dim, int) else 1 for dim in each.shape]
    zeros = array_tensor(np.zeros(shape, element_dtype(element)))
    name = f"{each.name}_not_drawn"
    graph.node.append(helper.make_node("Constant", [], [name], value=zeros))
    return name


def _graph_at(graph: GraphProto, address: GraphAddress) -> GraphProto:
    for index, name in address:
        graph = next(item.g for item in graph.node[index].attribute if item.name == name)
    return graph
