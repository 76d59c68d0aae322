"""A micro-model under construction: inputs, constants, nodes; then the serialized form that an exporter would write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

_INITIALIZERS_ARE_INPUTS_TILL = 3  # IR version
_IR_WITHOUT_INPUTS = 4
_RAW_BY_NAME = {"float16", "bool", "int8", "uint8", "int16", "uint16"}


class ModelGenerator:
    """A graph that is built node by node. Names are unique and descriptive.

    Args:
        opset: The opset of the ONNX domain that the model declares.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.feeds: dict[str, np.ndarray] = {}
        self.old_style = False
        """Whether initializers are listed as graph inputs too, as every exporter did before IR version 4."""
        self.typed_data = False
        """Whether initializers are stored in typed fields (`float_data`, `int64_data`), as `make_tensor` does."""
        self.symbolic_batch = False
        """Whether the first dimension of the runtime inputs is the parameter `batch`."""
        self._inputs: dict[str, onnx.ValueInfoProto] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._outputs: list[str] | None = None
        self._names: set[str] = set()

    def name(self, stem: str) -> str:
        """A name that is not in use yet: the stem, or the stem with a number."""
        name, number = stem, 1
        while name in self._names:
            name, number = f"{stem}_{number}", number + 1
        self._names.add(name)
        return name

    def input(self, values: np.ndarray, stem: str = "x") -> str:
        """Add a graph input that is fed with these values."""
        name = self.name(stem)
        values = np.ascontiguousarray(values).reshape(values.shape)
        self.feeds[name] = values
        element = helper.np_dtype_to_tensor_dtype(values.dtype)
        self._inputs[name] = helper.make_tensor_value_info(name, element, values.shape)
        return name

    def initializer(self, values: np.ndarray, stem: str = "w") -> str:
        """Add a constant as an initializer."""
        name = self.name(stem)
        self._initializers.append(self._tensor(np.asarray(values), name))
        return name

    def constant_node(self, values: np.ndarray, stem: str = "constant") -> str:
        """Add a constant as the output of a Constant node, as PyTorch's exporter does without constant folding."""
        name = self.name(stem)
        self._nodes.append(helper.make_node("Constant", [], [name], value=self._tensor(np.asarray(values), "")))
        return name

    def node(self, op: str, inputs: Sequence[str], outputs: Sequence[str] | int = 1, **attributes: Any) -> list[str]:
        """Add a node.

        Args:
            op: Its op type.
            inputs: Names; empty for an optional input that is left out.
            outputs: How many, or stems of their names; an empty stem is an output that is left out.
            attributes: Those that are not None are written.

        Returns:
            The names of its outputs.
        """
        stems = ["y"] * outputs if isinstance(outputs, int) else outputs
        names = [self.name(stem) if stem else "" for stem in stems]
        written = {key: value for key, value in attributes.items() if value is not None}
        self._nodes.append(helper.make_node(op, list(inputs), names, name=f"{op}_{len(self._nodes)}", **written))
        return names

    def outputs(self, names: Sequence[str]) -> None:
        """Declare the graph's outputs. Without it they are the outputs of the last node."""
        self._outputs = [name for name in names if name]

    @property
    def output_names(self) -> list[str]:
        """Names of the graph's outputs."""
        if self._outputs is None:
            return [name for name in self._nodes[-1].output if name]
        return self._outputs

    def model(self) -> onnx.ModelProto:
        """The model, its outputs not yet typed."""
        opsets = [helper.make_opsetid("", self.opset)]
        version = helper.find_min_ir_version_for(opsets)
        old_style = self.old_style and version <= _INITIALIZERS_ARE_INPUTS_TILL
        inputs = list(self._inputs.values())
        if self.symbolic_batch:
            _free_batch(inputs)
        if old_style:
            inputs += [
                helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in self._initializers
            ]
        graph = helper.make_graph(
            self._nodes,
            "main_graph",
            inputs,
            [onnx.ValueInfoProto(name=name) for name in self.output_names],
            self._initializers,
        )
        return helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=version if old_style else max(version, _IR_WITHOUT_INPUTS),
            producer_name="mnncompat",
        )

    def _tensor(self, values: np.ndarray, name: str) -> onnx.TensorProto:
        element = helper.np_dtype_to_tensor_dtype(values.dtype)
        if self.typed_data and values.dtype.name not in _RAW_BY_NAME:
            return helper.make_tensor(name, element, values.shape, values.ravel().tolist())
        return numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)


def _free_batch(inputs: Sequence[onnx.ValueInfoProto]) -> None:
    """Make the first dimensions symbolic: one symbol for those of the same size as that of the first input."""
    free = [each for each in inputs if len(each.type.tensor_type.shape.dim) > 1]
    sizes = [each.type.tensor_type.shape.dim[0].dim_value for each in free]
    for each, size in zip(free, sizes, strict=True):
        each.type.tensor_type.shape.dim[0].dim_param = "batch" if size == sizes[0] else f"{each.name}_size"
