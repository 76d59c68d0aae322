"""Replace a region by convolutions: one node per step, reshapes where values enter and leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray
from onnx import TensorProto

from mnncompat.graph.editor import GraphEditor
from mnncompat.graph.protos import Dim
from mnncompat.graph.view import GraphView
from mnncompat.rewrites.fully_connected.carry import Carried, Operand, Use
from mnncompat.rewrites.fully_connected.forms import Entry, EntryKind, Form
from mnncompat.rewrites.fully_connected.layers import Layer, bias, kernel
from mnncompat.rewrites.fully_connected.plan import Region, Step, needs_two_dimensions

_FLATTENED_SINCE_1 = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_FLATTEN_TAKES_ALL_OPSET = 9


class RegionBuilder:
    """Builds one region into a graph under edit.

    Args:
        view: The graph as it was read: source of constants and types.
        region: What to build.
        editor: The same graph under edit.
    """

    def __init__(self, view: GraphView, region: Region, editor: GraphEditor) -> None:
        self._view = view
        self._region = region
        self._editor = editor
        self._held: dict[str, gs.Tensor] = {}
        self._entered: dict[Entry, gs.Tensor] = {}
        self._pointwise: dict[str, gs.Tensor] = {}

    def build(self) -> None:
        """Insert the new nodes and remove the old ones."""
        originals = {step.output: self._editor.tensor(step.output) for step in self._region.steps}
        for step in self._region.steps:
            self._step(step)
            for index in step.nodes:
                self._editor.remove(index)
            if step.output in self._region.exits:
                self._leave(step, originals[step.output])

    def _step(self, step: Step) -> None:
        if isinstance(step.what, Carried) and step.what.alias:
            self._held[step.output] = self._operand(step.what.operands[0], step.node)
            return
        if isinstance(step.what, Layer):
            op, inputs, attributes = self._convolution(step.what)
        else:
            op = self._view.nodes[step.node].op_type
            inputs = [self._operand(operand, step.node) for operand in step.what.operands]
            attributes = self._editor.attributes(step.node) | dict(step.what.attributes)
        output = self._output(step)
        self._editor.insert(step.node, op, inputs, [output], attributes, name=self._name(step))
        self._held[step.output] = output

    def _output(self, step: Step) -> gs.Tensor:
        """The 4-D value of a step. It keeps the name, by which `verify` finds scores, if no 2-D value needs that."""
        dims = _dims(step.form)
        if step.output in self._region.exits or not step.form.pointwise:
            return self._editor.variable(f"{step.output}_4d", self._view.dtype(step.output), dims)
        return self._editor.reshaped(step.output, dims)

    def _convolution(self, layer: Layer) -> tuple[str, list[gs.Tensor], dict[str, Any]]:
        form = self._region.forms[layer.value]
        editor, stored = self._editor, layer.weight.tensor
        key = ("fully-connected", stored, layer.weight.out_first, layer.alpha, form.size, form.order)
        height, width = form.size[1:]
        inputs = [
            self._operand(Operand(use=Use.FOUR_D, name=layer.value), layer.node),
            editor.shared_constant(key, f"{stored}_{height}x{width}", lambda: kernel(self._view, layer, form)),
        ]
        values = bias(self._view, layer)
        if values is not None:
            bias_key = ("fully-connected bias", layer.bias, layer.beta, values.size)
            inputs.append(editor.shared_constant(bias_key, f"{layer.bias}_conv", lambda: values))
        attributes = {
            "kernel_shape": [height, width],
            "strides": [1, 1],
            "pads": [0, 0, 0, 0],
            "dilations": [1, 1],
            "group": 1,
        }
        return "Conv", inputs, attributes

    def _operand(self, operand: Operand, at: int) -> gs.Tensor:
        if operand.use is Use.KEPT:
            return self._editor.tensor(operand.name) if operand.name else gs.Variable.empty()
        if operand.use is Use.CONSTANT:
            key = ("reshaped", operand.name, operand.shape)
            return self._editor.shared_constant(key, f"{operand.name}_4d", lambda: self._reshaped(operand))
        if operand.use is Use.POINTWISE and not self._region.forms[operand.name].pointwise:
            return self._as_pointwise(operand.name, at)
        return self._hold(operand.name, at)

    def _reshaped(self, operand: Operand) -> NDArray[Any]:
        values = self._view.stored_value(operand.name)
        if values is None:
            raise AssertionError(operand.name)
        return values.reshape(operand.shape)

    def _hold(self, name: str, at: int) -> gs.Tensor:
        """The 4-D value of a name; it enters the region here if no step computes it."""
        if name not in self._held:
            self._held[name] = self._enter(self._region.forms[name], name, at)
        return self._held[name]

    def _enter(self, form: Form, name: str, at: int) -> gs.Tensor:
        entry = form.entry
        if entry is None:
            raise AssertionError(name)
        tensor = self._editor.tensor(entry.value)
        if entry.kind is EntryKind.VALUE:
            return tensor
        if entry in self._entered:
            return self._entered[entry]
        output = self._editor.variable(f"{name}_4d", self._view.dtype(entry.value), _dims(form))
        if entry.kind is EntryKind.POOL:
            self._editor.insert(at, entry.op, [tensor], [output], name=f"{name}_pool")
        else:
            self._reshape(tensor, output, [-1, *form.size], at)
        self._entered[entry] = output
        return output

    def _as_pointwise(self, name: str, at: int) -> gs.Tensor:
        """The value as [N, F, 1, 1], reshaped if its planes are larger than 1 x 1."""
        if name not in self._pointwise:
            form = self._region.forms[name]
            held = self._editor.tensor(name) if needs_two_dimensions(form) else self._hold(name, at)
            dims = (form.batch, form.features, 1, 1)
            output = self._editor.variable(f"{name}_pointwise", self._view.dtype(name), dims)
            self._reshape(held, output, [-1, form.features, 1, 1], at)
            self._pointwise[name] = output
        return self._pointwise[name]

    def _leave(self, step: Step, original: gs.Tensor) -> None:
        held, form = self._held[step.output], step.form
        if not form.in_order:
            held = self._restore_order(step, held)
        if form.rank == 1:
            self._reshape(held, original, [-1], step.node)
        elif self._view.dtype(step.output) not in _FLATTENED_SINCE_1 and self._view.opset < _FLATTEN_TAKES_ALL_OPSET:
            self._reshape(held, original, [-1, form.features], step.node)
        else:  # Flatten needs no shape operand: one op less in MNN than a Reshape
            self._editor.insert(step.node, "Flatten", [held], [original], {"axis": 1}, name=f"{original.name}_flatten")

    def _restore_order(self, step: Step, held: gs.Tensor) -> gs.Tensor:
        perm = [0, *(axis + 1 for axis in step.form.order)]
        dims = [step.form.batch, *(step.form.size[axis] for axis in step.form.order)]
        output = self._editor.variable(f"{step.output}_ordered", self._view.dtype(step.output), dims)
        self._editor.insert(
            step.node, "Transpose", [held], [output], {"perm": perm}, name=f"{step.output}_ordered_transpose"
        )
        return output

    def _reshape(self, value: gs.Tensor, output: gs.Tensor, target: list[int], at: int) -> None:
        key = ("target", tuple(target))
        label = "x".join("n" if size == -1 else str(size) for size in target)
        shape = self._editor.shared_constant(key, f"shape_{label}", lambda: np.array(target, dtype=np.int64))
        self._editor.insert(at, "Reshape", [value, shape], [output], name=f"{output.name}_reshape")

    def _name(self, step: Step) -> str:
        original = self._view.nodes[step.node].name or step.output
        return f"{original}_conv" if isinstance(step.what, Layer) else f"{original}_4d"


def _dims(form: Form) -> tuple[Dim, ...]:
    return (form.batch, *form.size)
