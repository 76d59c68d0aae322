"""Builds small ONNX models node by node, each in the form that its opset asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CONSTANT_OF_ANY_TYPE = 9
STORAGES = ("initializer", "constant", "identity", "identity of constant")
_AXES_ARE_INPUTS = {"Squeeze": 13, "Unsqueeze": 13, "ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18}
_IR_OF_OPSET = ((9, 4), (15, 8), (19, 9), (99, 10))


class GraphBuilder:
    """A model that is being built.

    Attributes:
        opset: Version of the ONNX domain.
        dtype: Element type of all data: float32 or float16.
        rng: Source of all weights.
    """

    def __init__(self, opset: int, dtype: int = TensorProto.FLOAT, *, seed: int = 0, ir_version: int = 0) -> None:
        self.opset = opset
        self.dtype = dtype
        self.rng = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self._ir_version = ir_version or next(ir for last, ir in _IR_OF_OPSET if opset <= last)
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._initializers: list[TensorProto] = []
        self._overridable: list[ValueInfoProto] = []
        self._count = 0

    @property
    def element(self) -> np.dtype[Any]:
        """The numpy type of all data."""
        return helper.tensor_dtype_to_np_dtype(self.dtype)

    def input(self, shape: Sequence[int | str | None], name: str = "") -> str:
        name = name or self._name("x")
        self._inputs.append(helper.make_tensor_value_info(name, self.dtype, shape))
        return name

    def output(self, value: str, shape: Sequence[int | str | None], dtype: int | None = None) -> None:
        self._outputs.append(helper.make_tensor_value_info(value, self.dtype if dtype is None else dtype, shape))

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return that."""
        output = self._name(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def over_axes(self, op: str, value: str, axes: Sequence[int], **attributes: Any) -> str:
        """A node that takes axes: as an attribute or as an input, whichever the opset has."""
        if self.opset >= _AXES_ARE_INPUTS[op]:
            return self.node(op, value, self.ints(axes), **attributes)
        return self.node(op, value, axes=list(axes), **attributes)

    def random(self, *shape: int, low: float = -1.0, high: float = 1.0) -> NDArray[Any]:
        return self.rng.uniform(low, high, shape).astype(self.element)

    def ints(self, values: Sequence[int], storage: str = "initializer") -> str:
        return self.constant(np.array(values, dtype=np.int64), storage)

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, dtype=self.element))

    def constant(self, values: NDArray[Any], storage: str = "initializer") -> str:
        """Store a constant in one of `STORAGES`, or as an "overridable" initializer that is a graph input as well."""
        if storage.endswith("constant") and (self.opset >= _CONSTANT_OF_ANY_TYPE or values.dtype == self.element):
            name = self.node("Constant", value=numpy_helper.from_array(values))
        else:
            name = self._name("w")
            self._initializers.append(numpy_helper.from_array(values, name))
        if storage == "overridable":
            self._overridable.append(_info(self._initializers[-1]))
        return self.node("Identity", name) if storage.startswith("identity") else name

    def build(self) -> ModelProto:
        inputs = [*self._inputs, *self._overridable]
        if self._ir_version <= 3:
            inputs = [*self._inputs, *(_info(tensor) for tensor in self._initializers)]
        graph = helper.make_graph(self.nodes, "head", inputs, self._outputs, self._initializers)
        model = helper.make_model(
            graph, ir_version=self._ir_version, opset_imports=[helper.make_opsetid("", self.opset)]
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count}"


def _info(tensor: TensorProto) -> ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
