"""Emit what will stand in the place of a node, before anything is edited.

A `SubgraphBuilder` is a list of new nodes and constants. Drawing one changes nothing, so that a rewrite can find out
half way that it does not apply; `SubgraphBuilder.write` then puts it into the graph. Every node is checked against the
opset in force: the methods for operators whose form depends on the opset (`unsqueeze`, `reduce`, ...) write the form
that it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from mnncompat.graph.protos import Dim, dims_of
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.view import GraphView
from mnncompat.support.node_facts import NodeFacts

if TYPE_CHECKING:
    from mnncompat.graph.editor import GraphEditor

Operand: TypeAlias = "Value | float | NDArray[Any]"
"""What a node may be given: a value, an array that becomes a constant, or a number of the other operand's type."""


class NotApplicable(Exception):  # noqa: N818 - no error: a finding
    """A rewrite leaves a node alone; the message says which precondition does not hold, with the actual values."""


class Value:
    """A value of the graph or of a builder. Arithmetic operators emit nodes.

    Attributes:
        name: Its name, in the builder.
    """

    __slots__ = ("_builder", "name")
    __array_ufunc__ = None  # arithmetic with an array on the left is left to the operators below

    def __init__(self, builder: SubgraphBuilder, name: str) -> None:
        self._builder = builder
        self.name = name

    @property
    def dtype(self) -> int:
        """Element type (`TensorProto.DataType`).

        Raises:
            NotApplicable: The model does not say it.
        """
        dtype = self._builder.known_dtype(self.name)
        if not dtype:
            raise NotApplicable(f"the type of '{self.name}' is not known")
        return dtype

    @property
    def element(self) -> np.dtype[Any]:
        """Numpy's type of `dtype`."""
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.dtype))

    @property
    def is_float(self) -> bool:
        """True for float16, bfloat16, float and double."""
        return self.dtype in (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)

    @property
    def dims(self) -> tuple[Dim, ...]:
        """Shape, with symbols or None where it is dynamic.

        Raises:
            NotApplicable: Not even the rank is known.
        """
        shape = self._builder.known_shape(self.name)
        if shape is None:
            raise NotApplicable(f"the rank of '{self.name}' is not known")
        return shape

    @property
    def rank(self) -> int:
        """Number of dimensions.

        Raises:
            NotApplicable: It is not known.
        """
        return len(self.dims)

    @property
    def shape(self) -> tuple[int, ...]:
        """Static shape.

        Raises:
            NotApplicable: A dimension is dynamic.
        """
        return tuple(self.dim(axis) for axis in range(self.rank))

    def dim(self, axis: int) -> int:
        """Size of one dimension; negative axes count from the end.

        Raises:
            NotApplicable: It is dynamic, or there is no such axis.
        """
        if not -self.rank <= axis < self.rank:
            raise NotApplicable(f"'{self.name}' has no axis {axis}: its rank is {self.rank}")
        size = self.dims[axis]
        if not isinstance(size, int):
            raise NotApplicable(f"dimension {axis % self.rank} of '{self.name}' is dynamic")
        return size

    @property
    def constant(self) -> NDArray[Any] | None:
        """Value of a constant, None if it is computed at run time."""
        return self._builder.known_constant(self.name)

    def __add__(self, other: Operand) -> Value:
        return self._builder.op("Add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return self._builder.op("Add", self._builder.like(self, other), self)

    def __sub__(self, other: Operand) -> Value:
        return self._builder.op("Sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self._builder.op("Sub", self._builder.like(self, other), self)

    def __mul__(self, other: Operand) -> Value:
        return self._builder.op("Mul", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self._builder.op("Mul", self._builder.like(self, other), self)

    def __truediv__(self, other: Operand) -> Value:
        return self._builder.op("Div", self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self._builder.op("Div", self._builder.like(self, other), self)

    def __neg__(self) -> Value:
        return self._builder.op("Neg", self)

    def __matmul__(self, other: Value) -> Value:
        return self._builder.op("MatMul", self, other)


class SubgraphBuilder:
    """The nodes that will stand in the place of one node.

    Args:
        node: The node to replace.

    Attributes:
        node: The node to replace.
        nodes: What was emitted so far, in topological order.
        constants: New constants by name.
    """

    def __init__(self, node: NodeFacts) -> None:
        self.node = node
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._results: list[str] = []
        self._counts: dict[str, int] = {}
        self._pool: dict[tuple[Any, ...], str] = {}
        self._drawn: set[str] = set()
        self._known: dict[str, ValueInfoProto] = {}
        self._seen = 0  # of `nodes`: those that `_known` tells about
        self._whole = 0  # of `nodes`: those that were inferred together

    # ---- values --------------------------------------------------------------------------------------------------

    @property
    def opset(self) -> int:
        """Version of ONNX's own domain in force."""
        return self.node.opset

    def has(self, position: int) -> bool:
        """True if the node has an input there."""
        return self.node.operand(position) is not None

    def is_output_used(self, position: int) -> bool:
        """True if somebody reads the output there: a node, a nested graph, or the caller of the model."""
        name, view = self.node.result(position), self.node.view
        return name is not None and (name in view.consumers or view.is_external_use(name))

    def input(self, position: int) -> Value:
        """The node's input.

        Raises:
            NotApplicable: It is left out.
        """
        name = self.node.operand(position)
        if name is None:
            raise NotApplicable(f"input {position} is left out")
        return Value(self, name)

    def inputs(self) -> list[Value]:
        """All inputs of the node that are not left out."""
        return [Value(self, name) for name in self.node.node.input if name]

    def integers(self, position: int) -> list[int]:
        """The elements of an input that must be constant.

        Raises:
            NotApplicable: It is left out or computed at run time.
        """
        return [int(each) for each in self.array(position).reshape(-1)]

    def array(self, position: int) -> NDArray[Any]:
        """The value of an input that must be constant.

        Raises:
            NotApplicable: It is left out or computed at run time.
        """
        value = self.input(position)
        constant = value.constant
        if constant is None:
            raise NotApplicable(f"input {position} '{value.name}' is computed at run time")
        return constant

    def value(self, name: str) -> Value:
        """A value of the graph that the node is in, or of this builder."""
        return Value(self, name)

    def constant(self, values: NDArray[Any] | Sequence[int], *, name: str = "") -> Value:
        """A new constant; lists of ints become int64. Equal ones are stored once."""
        array = np.asarray(values) if isinstance(values, (np.ndarray, np.generic)) else np.asarray(values, np.int64)
        key = (array.dtype.str, array.dtype.name, array.shape, array.tobytes())
        if key not in self._pool:
            fresh = self._fresh(name or "constant")
            self.constants[fresh] = array
            self._pool[key] = fresh
        return Value(self, self._pool[key])

    def scalar(self, number: float, like: Value) -> Value:
        """A number as a constant of rank 0, of the element type of another value."""
        return self.constant(np.asarray(number).astype(like.element))

    def like(self, value: Value, other: Operand) -> Value:
        """`other` as a value; numbers take the element type of `value`."""
        if isinstance(other, Value):
            return other
        if isinstance(other, (np.ndarray, np.generic)):
            return self.constant(np.asarray(other))
        return self.scalar(other, value)

    # ---- nodes ---------------------------------------------------------------------------------------------------

    def op(self, op: str, *inputs: Operand | None, **attributes: Any) -> Value:
        """Emit a node of one output.

        Args:
            op: Op type.
            *inputs: Values, arrays, or numbers of the type of the first value; None leaves one out.
            **attributes: Those that are None are left out.

        Raises:
            NotApplicable: The opset has no such operator.
        """
        return self.ops(op, *inputs, count=1, **attributes)[0]

    def ops(self, op: str, *inputs: Operand | None, count: int, **attributes: Any) -> list[Value]:
        """Emit a node of `count` outputs; otherwise like `op`."""
        if not onnx.defs.has(op, self.opset):
            raise NotApplicable(f"ONNX opset {self.opset} has no {op}")
        names = self._operands(inputs)
        stated = {name: value for name, value in attributes.items() if value is not None}
        outputs = [self._fresh(op.lower()) for _ in range(count)]
        self._emit(helper.make_node(op, names, outputs, name=self._fresh(op.lower()), **stated))
        return [Value(self, name) for name in outputs]

    def clone_node(
        self, *inputs: Operand | None, op: str = "", outputs: int | None = None, **attributes: Any
    ) -> list[Value]:
        """The node itself once more, with other inputs (if any are given) or attributes; returns its outputs.

        Args:
            *inputs: All inputs; none for those that it has.
            op: Another op type; foreign attributes are not dropped.
            outputs: Another number of outputs.
            **attributes: New values; None removes one.
        """
        original = self.node.node
        proto = NodeProto()
        proto.CopyFrom(original)
        proto.op_type = op or original.op_type
        proto.domain = ""
        kept = [each for each in original.attribute if each.name not in attributes]
        stated = {name: value for name, value in attributes.items() if value is not None}
        made = helper.make_node(proto.op_type, [], [], **stated).attribute
        del proto.attribute[:]
        proto.attribute.extend([*kept, *made])
        if inputs:
            proto.input[:] = self._operands(inputs)
        count = len(original.output) if outputs is None else outputs
        del proto.output[:]
        proto.output.extend(self._fresh(proto.op_type.lower()) for _ in range(count))
        self._emit(proto)
        return [Value(self, name) for name in proto.output]

    def splice(self, nodes: Sequence[NodeProto], bindings: Mapping[str, Value]) -> dict[str, Value]:
        """Emit copies of nodes, such as a function's body.

        Args:
            nodes: In topological order. Values that they compute get new names; nested graphs may read them.
            bindings: What stands for the names that they read and do not compute. Names without a binding are taken
                for values of the graph that the node is in.

        Returns:
            Every value that they compute, by its name in `nodes`.
        """
        known = dict(bindings)
        for node in nodes:
            proto = NodeProto()
            proto.CopyFrom(node)
            outputs = [self._fresh(name) if name else "" for name in node.output]
            names = {name: value.name for name, value in known.items()}
            proto.input[:] = [names.get(name, name) for name in node.input]
            proto.output[:] = outputs
            proto.name = self._fresh(node.name or node.op_type.lower())
            for _, graph in subgraphs(proto):
                _rename_captured(graph, names)
            known |= {name: Value(self, new) for name, new in zip(node.output, outputs, strict=True) if name}
            self._emit(proto)
        return {name: value for name, value in known.items() if name not in bindings}

    def inline(self, graph: GraphProto, inputs: Sequence[Value]) -> list[Value]:
        """Emit the nodes of a nested graph.

        Args:
            graph: It may read values of the graph that the node is in.
            inputs: What stands for its inputs, in order; the ones that are missing must be initializers too.

        Returns:
            Its outputs.
        """
        bindings = {each.name: self.constant(onnx.numpy_helper.to_array(each)) for each in graph.initializer}
        bindings |= {info.name: value for info, value in zip(graph.input, inputs, strict=False)}
        values = bindings | self.splice(graph.node, bindings)
        return [values.get(info.name) or Value(self, info.name) for info in graph.output]

    def extract_nodes(self, begin: int) -> list[NodeProto]:
        """Take out what was emitted from the node at `begin` on, to put it elsewhere: into a loop's body."""
        taken = self.nodes[begin:]
        del self.nodes[begin:]
        self._drawn.difference_update(name for node in taken for name in node.output)
        self._seen = min(self._seen, begin)
        self._whole = min(self._whole, begin)
        return taken

    def _emit(self, node: NodeProto) -> None:
        self.nodes.append(node)
        self._drawn.update(filter(None, node.output))

    # ---- operators whose form depends on the opset -----------------------------------------------------------------

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """Reshape to `shape` (-1: what remains, 0: as it is)."""
        return self.op("Reshape", value, self.constant(list(shape)))

    def transpose(self, value: Value, perm: Sequence[int]) -> Value:
        """Transpose."""
        return self.op("Transpose", value, perm=list(perm))

    def concat(self, values: Sequence[Value], axis: int) -> Value:
        """Concat; one value as it is."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def cast(self, value: Value, to: int) -> Value:
        """Cast to a `TensorProto.DataType`; a value of that type as it is."""
        return value if self.known_dtype(value.name) == to else self.op("Cast", value, to=to)

    def unsqueeze(self, value: Value, axes: Sequence[int]) -> Value:
        """Unsqueeze."""
        return self._over_axes("Unsqueeze", value, axes, 13)

    def squeeze(self, value: Value, axes: Sequence[int]) -> Value:
        """Squeeze."""
        return self._over_axes("Squeeze", value, axes, 13)

    def reduce(self, op: str, value: Value, axes: Sequence[int], *, keepdims: bool = True) -> Value:
        """A reduction such as ``ReduceSum``; no axes at all reduce nothing."""
        if not axes:
            return value
        since = 13 if op == "ReduceSum" else 18
        return self._over_axes(op, value, axes, since, keepdims=int(keepdims))

    def slice(
        self,
        value: Value,
        starts: Sequence[int],
        ends: Sequence[int],
        axes: Sequence[int],
        steps: Sequence[int] | None = None,
    ) -> Value:
        """Slice.

        Raises:
            NotApplicable: There are steps, and the opset (below 10) has none.
        """
        if self.opset >= 10:  # noqa: PLR2004 - since when they are inputs
            stepped = [] if steps is None else [self.constant(list(steps))]
            return self.op(
                "Slice",
                value,
                self.constant(list(starts)),
                self.constant(list(ends)),
                self.constant(list(axes)),
                *stepped,
            )
        if steps is not None and any(step != 1 for step in steps):
            raise NotApplicable(f"Slice has no steps in opset {self.opset}")
        return self.op("Slice", value, starts=list(starts), ends=list(ends), axes=list(axes))

    def pad(self, value: Value, pads: Sequence[int], number: float = 0.0) -> Value:
        """Pad with a number; `pads` begins with the starts of all axes."""
        if not any(pads):
            return value
        if self.opset >= 11:  # noqa: PLR2004 - since when they are inputs
            return self.op("Pad", value, self.constant(list(pads)), self.scalar(number, value), mode="constant")
        return self.op("Pad", value, mode="constant", pads=list(pads), value=float(number))

    def split(self, value: Value, sizes: Sequence[int], axis: int) -> list[Value]:
        """Split into parts of the given sizes; one part as it is."""
        if len(sizes) == 1:
            return [value]
        if self.opset >= 13:  # noqa: PLR2004 - since when they are an input
            return self.ops("Split", value, self.constant(list(sizes)), count=len(sizes), axis=axis)
        return self.ops("Split", value, count=len(sizes), axis=axis, split=list(sizes))

    def clip(self, value: Value, low: float | None, high: float | None) -> Value:
        """Clip to a range; None for no bound."""
        if self.opset >= 11:  # noqa: PLR2004 - since when they are inputs
            bounds = [None if bound is None else self.scalar(bound, value) for bound in (low, high)]
            return self.op("Clip", value, *bounds)
        return self.op("Clip", value, min=low, max=high)

    def _over_axes(self, op: str, value: Value, axes: Sequence[int], since: int, **attributes: Any) -> Value:
        if self.opset >= since:
            return self.op(op, value, self.constant(list(axes)), **attributes)
        return self.op(op, value, axes=list(axes), **attributes)

    # ---- what is known -------------------------------------------------------------------------------------------

    def known_dtype(self, name: str) -> int | None:
        """Element type of a value of the graph or of the builder, None if unknown."""
        if name in self.constants:
            return int(helper.np_dtype_to_tensor_dtype(self.constants[name].dtype))
        if name in self._drawn:
            return self._emitted_dtype(name) or (self._emitted_dtype(name) if self._infer_whole() else None)
        return self.node.view.dtype(name)

    def known_shape(self, name: str) -> tuple[Dim, ...] | None:
        """Shape of a value of the graph or of the builder, None if not even the rank is known."""
        if name in self.constants:
            return self.constants[name].shape
        if name not in self._drawn:
            return self.node.view.shape(name)
        shape = self._emitted_shape(name)
        if (shape is None or not all(map(_is_settled, shape))) and self._infer_whole():
            shape = self._emitted_shape(name)
        return shape

    def known_constant(self, name: str) -> NDArray[Any] | None:
        """Value of a constant of the graph or of the builder."""
        if name in self.constants:
            return self.constants[name]
        if name in self._drawn:
            return None
        return self.node.constant_value(name)

    def _emitted_dtype(self, name: str) -> int | None:
        info = self._infer().get(name)
        return None if info is None else int(info.type.tensor_type.elem_type) or None

    def _emitted_shape(self, name: str) -> tuple[Dim, ...] | None:
        info = self._infer().get(name)
        return None if info is None else dims_of(info)

    def _infer(self) -> Mapping[str, ValueInfoProto]:
        """What is known of the values emitted so far: of the nodes since the last time from what was known then."""
        if self._seen < len(self.nodes):
            self._known |= self._inferred(self.nodes[self._seen :])
            self._seen = len(self.nodes)
        return self._known

    def _infer_whole(self) -> bool:
        """Infer all nodes together, which follows the arithmetic of shapes from end to end; False if that was done."""
        if self._whole == len(self.nodes):
            return False
        self._known = self._inferred(self.nodes)
        self._whole = self._seen = len(self.nodes)
        return True

    def _inferred(self, nodes: Sequence[NodeProto]) -> dict[str, ValueInfoProto]:
        """Types and shapes of what nodes compute; what they read and do not compute is known already."""
        graph = onnx.GraphProto(name="builder", node=nodes)
        computed = {name for node in nodes for name in node.output}
        read = dict.fromkeys(name for node in nodes for name in node.input if name and name not in computed)
        for name in read:
            constant = self.known_constant(name)
            if constant is not None and constant.size <= 1024:  # noqa: PLR2004 - as in mnncompat.inference.shape_inference
                graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(constant), name))
            elif name in self._drawn:
                graph.input.extend(filter(None, [self._known.get(name)]))
            elif dtype := self.known_dtype(name):
                graph.input.append(helper.make_tensor_value_info(name, dtype, self.known_shape(name)))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        try:
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        except (RuntimeError, onnx.shape_inference.InferenceError):
            inferred = model
        return {value.name: value for value in inferred.graph.value_info}

    # ---- writing -------------------------------------------------------------------------------------------------

    def finish(self, results: Value | Sequence[Value | None]) -> Self:
        """Say which values take the place of the node's outputs.

        Args:
            results: In the order of the outputs; None, or nothing at the end, for one that nobody reads.

        Raises:
            NotApplicable: Somebody reads an output that has no value.
        """
        values = [results] if isinstance(results, Value) else list(results)
        for position, output in enumerate(self.node.node.output):
            value = values[position] if position < len(values) else None
            if value is None and output and self.is_output_used(position):
                raise NotApplicable(f"output {position} '{output}' is used")
            self._results.append("" if value is None or not output else value.name)
        self._drop_dead()
        return self

    def _drop_dead(self) -> None:
        """Take out nodes and constants that no result needs."""
        needed = set(self._results)
        kept: list[NodeProto] = []
        for node in reversed(self.nodes):
            if needed.intersection(filter(None, node.output)):
                kept.append(node)
                needed |= {*node.input, *_captured(node)}
        self.nodes = kept[::-1]
        self._seen = self._whole = len(kept)
        self.constants = {name: array for name, array in self.constants.items() if name in needed}

    def write(self, editor: GraphEditor, index: int) -> None:
        """Replace the node at `index` of the graph under edit."""
        outputs = self.node.node.output
        names: dict[str, str] = {}
        aliases: list[tuple[str, str]] = []
        for result, output in zip(self._results, outputs, strict=True):
            if result and result in self._drawn and result not in names:
                names[result] = output
            elif result:
                aliases.append((result, output))
        editor.remove(index)
        names |= {name: editor.constant(name, array).name for name, array in self.constants.items()}
        emitted = [name for node in self.nodes for name in node.output if name and name not in names]
        names |= {name: editor.unique(name) for name in emitted}
        kept = self.node.node.name
        for node in self.nodes:
            proto = NodeProto()
            proto.CopyFrom(node)
            proto.input[:] = [names.get(name, name) for name in node.input]
            proto.output[:] = [names.get(name, name) for name in node.output]
            proto.name = node.name if node.name in ("", kept) else editor.unique(node.name)
            kept = "" if node.name == kept else kept  # the second one emitted by `clone_node` gets a name of its own
            for _, graph in subgraphs(proto):
                _rename_captured(graph, names)
            editor.insert_proto(index, proto)
        for source, output in aliases:
            label = editor.unique(f"{output}_identity")
            proto = helper.make_node("Identity", [names.get(source, source)], [output], name=label)
            if source in self.constants:
                array = self.constants[source]
                tensor = onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape))
                proto = helper.make_node("Constant", [], [output], name=label, value=tensor)
            editor.insert_proto(index, proto)

    def _operands(self, operands: Sequence[Operand | None]) -> list[str]:
        """Names of operands; those that are left out at the end are not named."""
        first = next((each for each in operands if isinstance(each, Value)), None)
        names = [self._operand(first, each) for each in operands]
        while names and not names[-1]:
            names.pop()
        return names

    def _operand(self, first: Value | None, operand: Operand | None) -> str:
        if operand is None:
            return ""
        if isinstance(operand, (Value, np.ndarray, np.generic)):
            return self.like(cast("Value", first), operand).name
        if first is None:
            raise TypeError("a number takes the type of another operand, and there is none")
        return self.like(first, operand).name

    def _fresh(self, label: str) -> str:
        """A name that means nothing in this builder and its graph; `write` makes it unique in the model."""
        base = f"{self.node.node.name or next(filter(None, self.node.node.output), 'node')}/{label}"
        while True:
            self._counts[base] = self._counts.get(base, 0) + 1
            name = base if self._counts[base] == 1 else f"{base}_{self._counts[base]}"
            if not _is_visible(self.node.view, name):
                return name


def _is_settled(dim: Dim) -> bool:
    """True unless a dimension is unknown, or goes by a name that shape inference made up."""
    return dim is not None and not str(dim).startswith("unk__")


def _is_visible(view: GraphView | None, name: str) -> bool:
    """True if a name stands for a value of the graph, or of one around it."""
    while view is not None:
        if name in view.producers or name in view.initializers or any(name == each.name for each in _inputs(view)):
            return True
        view = view.parent
    return False


def _inputs(view: GraphView) -> Sequence[ValueInfoProto]:
    return view.graph.input if isinstance(view.graph, GraphProto) else ()


def _captured(node: NodeProto) -> list[str]:
    return [
        name for _, graph in subgraphs(node) for inner in graph.node for name in (*inner.input, *_captured(inner))
    ] + [value.name for _, graph in subgraphs(node) for value in graph.output]


def _rename_captured(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give values that a nested graph reads from outside their new names."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    outside = {name: new for name, new in names.items() if name not in own}
    for node in graph.node:
        node.input[:] = [outside.get(name, name) for name in node.input]
        for _, inner in subgraphs(node):
            _rename_captured(inner, outside)
    for value in graph.output:
        value.name = outside.get(value.name, value.name)
