"""Which nodes are fully connected layers: Gemm, and MatMul with or without Add, over a constant weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnx import NodeProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import RESHAPES
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.rewrites.fully_connected.forms import Form

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPES = (TensorProto.FLOAT, TensorProto.FLOAT16)


class Weight(NamedTuple):
    """A stored matrix, read through any number of Identity, Transpose and (above those) reshaping nodes.

    Attributes:
        tensor: Name of the stored tensor.
        out_first: True if the tensor, taken as a matrix, is (out, in), False if it is (in, out).
        shape: (out, in).
        dtype: Element type.
    """

    tensor: str
    out_first: bool
    shape: tuple[int, int]
    dtype: int


class Layer(NamedTuple):
    """A fully connected layer: ``y = alpha * x @ weight.T + beta * bias``.

    Attributes:
        node: Index of the Gemm or MatMul.
        value: Name of x, [N, in].
        output: Name of y, [N, out]; that of the Add where one was folded in.
        weight: The weight.
        alpha: Factor of the product.
        bias: Name of the constant bias, of shape [], [1], [out], [1, 1] or [1, out]; None if there is none.
        beta: Factor of the bias.
        folded: Indices of further nodes that the layer takes in (the Add).
    """

    node: int
    value: str
    output: str
    weight: Weight
    alpha: float = 1.0
    bias: str | None = None
    beta: float = 1.0
    folded: tuple[int, ...] = ()


def layer(view: GraphView, index: int) -> Layer | str | None:
    """The layer at a node, the reason why it cannot be one, or None if the node is not of such a type."""
    node = view.nodes[index]
    if not is_onnx(node):
        return None
    if node.op_type == "Gemm":
        return _gemm(view, index, node)
    return _matmul(view, index, node) if node.op_type == "MatMul" else None


def kernel(view: GraphView, found: Layer, form: Form) -> NDArray[np.floating]:
    """The convolution weight (out, C, H, W) of a layer over a value of the given form."""
    matrix = view.stored_value(found.weight.tensor)
    if matrix is None:
        raise AssertionError(found.weight.tensor)
    outputs, inputs = found.weight.shape
    matrix = matrix.reshape(outputs, inputs) if found.weight.out_first else matrix.reshape(inputs, outputs).T
    flattened = [form.size[axis] for axis in form.order]
    restore = [form.order.index(axis) + 1 for axis in range(3)]
    cube = matrix.reshape(-1, *flattened).transpose(0, *restore)
    if found.alpha == 1.0:
        return cube
    return (cube.astype(np.float64) * found.alpha).astype(cube.dtype)


def bias(view: GraphView, found: Layer) -> NDArray[np.floating] | None:
    """The convolution bias (out,) of a layer, or None."""
    values = None if found.bias is None or found.beta == 0.0 else view.stored_value(found.bias)
    if values is None:
        return None
    scaled = (values.astype(np.float64) * found.beta).astype(values.dtype)
    return np.broadcast_to(scaled.reshape(-1), (found.weight.shape[0],)).copy()


def _gemm(view: GraphView, index: int, node: NodeProto) -> Layer | str:
    if attribute(node, "transA", 0):
        return "transA: the batch is the second axis"
    weight = _weight(view, node.input[1], transposed=not attribute(node, "transB", 0))
    if isinstance(weight, str):
        return weight
    addend = node.input[2] if len(node.input) > 2 and node.input[2] else None  # noqa: PLR2004 - optional C
    refusal = None if addend is None else _bias_refusal(view, addend, weight, "C")
    if refusal:
        return refusal
    return Layer(
        node=index,
        value=node.input[0],
        output=node.output[0],
        weight=weight,
        alpha=attribute(node, "alpha", 1.0),
        bias=addend,
        beta=attribute(node, "beta", 1.0),
    )


def _matmul(view: GraphView, index: int, node: NodeProto) -> Layer | str:
    left, right = node.input
    weight = _weight(view, right, transposed=True)
    if isinstance(weight, str):
        is_left = not isinstance(_weight(view, left, transposed=True), str)
        return "the constant is on the left: the batch is the second axis" if is_left else weight
    add = _following_add(view, node.output[0], weight)
    if add is None:
        return Layer(node=index, value=left, output=node.output[0], weight=weight)
    position, addend = add
    output = view.nodes[position].output[0]
    return Layer(node=index, value=left, output=output, weight=weight, bias=addend, folded=(position,))


def _weight(view: GraphView, name: str, *, transposed: bool) -> Weight | str:
    """Follow Identity, Transpose and reshapes to a stored matrix; `transposed`: the value as used is (in, out)."""
    refusal = f"weight not constant: '{name}' is {_origin(_producer(view, name))}"
    out_first, matrix = not transposed, None
    tensor = view.tensor(name)
    while tensor is None:
        node = _producer(view, name)
        if node is None or not is_onnx(node):
            return refusal
        if node.op_type in RESHAPES:
            matrix = matrix or view.shape(name)
            if matrix is None:
                return refusal
        elif node.op_type == "Transpose" and matrix is None:
            out_first ^= list(attribute(node, "perm", (1, 0))) == [1, 0]
        elif node.op_type != "Identity":
            return refusal
        name = node.input[0]
        tensor = view.tensor(name)
    sizes = [size for size in matrix or tensor.dims if isinstance(size, int)]
    if len(sizes) != 2 or 0 in sizes:  # noqa: PLR2004 - a matrix
        return f"weight '{name}' is not a matrix: its shape is {list(tensor.dims)}"
    if tensor.data_type not in _DTYPES:
        return f"weight '{name}' is {TensorProto.DataType.Name(tensor.data_type).lower()}, not float32 or float16"
    rows, columns = sizes
    shape = (rows, columns) if out_first else (columns, rows)
    return Weight(tensor=name, out_first=out_first, shape=shape, dtype=tensor.data_type)


def _producer(view: GraphView, name: str) -> NodeProto | None:
    """The node that computes a value, in this graph or an outer one."""
    node = view.producer(name)
    return _producer(view.parent, name) if node is None and view.parent is not None else node


def _origin(node: NodeProto | None) -> str:
    return "an input of the graph" if node is None else f"computed by {node.op_type}"


def _bias_refusal(view: GraphView, name: str, weight: Weight, what: str) -> str | None:
    shape = view.shape(name)
    if shape is None or not view.is_stored(name):
        return f"{what} is not constant: '{name}'"
    if tuple(shape) not in ((), (1,), (1, 1), (weight.shape[0],), (1, weight.shape[0])):
        return f"{what} varies along the batch: '{name}' has shape {list(shape)}"
    return None


def _following_add(view: GraphView, name: str, weight: Weight) -> tuple[int, str] | None:
    """Index of the Add that is the only user of a product, and its other operand, if that is a bias."""
    users = view.consumers.get(name, [])
    if len(users) != 1 or view.is_external_use(name):
        return None
    node = view.nodes[users[0]]
    if node.op_type != "Add" or not is_onnx(node) or len(set(node.input)) != 2:  # noqa: PLR2004 - two operands
        return None
    other = node.input[1] if node.input[0] == name else node.input[0]
    return None if _bias_refusal(view, other, weight, "bias") else (users[0], other)
