"""Relations of convolutions and pools: padding, strides and the constants that MNN folds into a convolution.

See `mnncompat.support.relations.catalog`, which registers what is here.
"""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto

from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts

_PAIR = 2
_FOLDED_ACTIVATIONS = ("Relu", "Clip")
# What computes channel-packed values by itself, and what passes the layout of its operands on.
_PACKED = frozenset(
    [
        "Conv",
        "ConvTranspose",
        "MaxPool",
        "AveragePool",
        "LpPool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Resize",
        "BatchNormalization",
        "InstanceNormalization",
    ]
)
_KEEP_LAYOUT = frozenset(
    [
        "Relu",
        "Clip",
        "LeakyRelu",
        "Sigmoid",
        "Tanh",
        "HardSwish",
        "HardSigmoid",
        "Elu",
        "Abs",
        "Neg",
        "Exp",
        "Sqrt",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Concat",
        "Flatten",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Identity",
        "Dropout",
    ]
)


def _kernel(facts: NodeFacts) -> list[Dim] | None:
    """Kernel size with dilation, by spatial axis."""
    kernel: list[Dim] | None = facts.attribute("kernel_shape")
    if not kernel and facts.operand(1) is not None:
        shape = facts.shape(facts.node.input[1])
        kernel = None if shape is None else list(shape[2:])
    if not kernel:
        return None
    dilations = facts.attribute("dilations") or [1] * len(kernel)
    return [
        (size - 1) * dilation + 1 if isinstance(size, int) else None
        for size, dilation in zip(kernel, dilations, strict=False)
    ]


def same_padding_is_odd(facts: NodeFacts) -> bool | None:
    """The total padding of ``auto_pad = SAME_*`` is odd on some axis, so that the side of the extra element matters."""
    kernel = _kernel(facts)
    if kernel is None:
        return None
    strides = facts.attribute("strides") or [1] * len(kernel)
    shape = facts.shape(facts.node.input[0])
    sizes = shape[2:] if shape is not None else (None,) * len(kernel)
    total = _transposed_padding if facts.node.op_type == "ConvTranspose" else _same_padding
    found = [total(size, extent, stride) for size, extent, stride in zip(sizes, kernel, strides, strict=False)]
    if any(padding is not None and padding % 2 for padding in found):
        return True
    return None if None in found else False


def _same_padding(size: Dim, extent: Dim, stride: int) -> int | None:
    if not isinstance(extent, int):
        return None
    if stride == 1:
        return extent - 1
    return max((-(-size // stride) - 1) * stride + extent - size, 0) if isinstance(size, int) else None


def _transposed_padding(_size: Dim, extent: Dim, stride: int) -> int | None:
    return max(extent - stride, 0) if isinstance(extent, int) else None


def same_padding_is_negative(facts: NodeFacts) -> bool | None:
    """``auto_pad = SAME_*`` leaves two or more elements behind the last window of a convolution: no padding is needed.

    MNN pads by half of what is missing, rounded to zero: windows start behind the beginning of the data.
    """
    kernel, shape = _kernel(facts), facts.shape(facts.node.input[0])
    if kernel is None:
        return None
    strides = facts.attribute("strides") or [1] * len(kernel)
    sizes = shape[2:] if shape is not None else (None,) * len(kernel)
    found = [_leaves_over(size, extent, stride) for size, extent, stride in zip(sizes, kernel, strides, strict=False)]
    return True if True in found else None if None in found else False


def _leaves_over(size: Dim, extent: Dim, stride: int) -> bool | None:
    """Two or more elements, which lie in no window, are left behind the last one."""
    if not isinstance(extent, int):
        return None
    if stride - extent < _PAIR:
        return False
    if not isinstance(size, int):
        return None
    last = (-(-size // stride) - 1) * stride
    return size - last - extent >= _PAIR


def kernel_is_shorter_than_stride(facts: NodeFacts) -> bool | None:
    """The windows of a convolution do not touch on some axis."""
    kernel = _kernel(facts)
    if kernel is None:
        return None
    strides = facts.attribute("strides") or [1] * len(kernel)
    found = [
        extent < stride if isinstance(extent, int) else None for extent, stride in zip(kernel, strides, strict=False)
    ]
    return True if True in found else None if None in found else False


def output_shape_padding_is_odd(facts: NodeFacts) -> bool | None:
    """The total padding that ``output_shape`` of a ConvTranspose asks for is odd on some axis."""
    kernel, wanted = _kernel(facts), facts.attribute("output_shape")
    shape = facts.shape(facts.node.input[0])
    if kernel is None or shape is None or not wanted:
        return None
    strides = facts.attribute("strides") or [1] * len(kernel)
    extra = facts.attribute("output_padding") or [0] * len(kernel)
    rows = zip(shape[2:], kernel, strides, extra, wanted[-len(kernel) :], strict=False)
    found = [
        stride * (size - 1) + more + extent - result if isinstance(size, int) and isinstance(extent, int) else None
        for size, extent, stride, more, result in rows
    ]
    if any(padding is not None and padding > 0 and padding % 2 for padding in found):
        return True
    return None if None in found else False


def ceil_mode_adds_output(facts: NodeFacts) -> bool | None:
    """Rounding the output size up differs from rounding it down on some axis."""
    kernel, shape = _kernel(facts), facts.shape(facts.node.input[0])
    if kernel is None or shape is None:
        return None
    count = len(kernel)
    strides = facts.attribute("strides") or [1] * count
    pads = facts.attribute("pads") or [0] * 2 * count
    found = [
        (size + pads[axis] + pads[axis + count] - extent) % strides[axis] != 0
        if isinstance(size, int) and isinstance(extent, int)
        else None
        for axis, (size, extent) in enumerate(zip(shape[2:], kernel, strict=False))
    ]
    return True if True in found else None if None in found else False


def depth_dilation_changes_count(facts: NodeFacts) -> bool | None:
    """Along the first spatial axis there are more windows if its dilation is left out of account."""
    extents = _kernel(facts)
    dilation = (facts.attribute("dilations") or [1])[0]
    extent = extents[0] if extents else None
    if dilation == 1 or extent == 1:
        return False
    stride = (facts.attribute("strides") or [1])[0]
    if stride == 1:
        return True
    shape = facts.shape(facts.node.input[0])
    size = None if shape is None else shape[2]
    if extents is None or not isinstance(extent, int) or not isinstance(size, int):
        return None
    pads = facts.attribute("pads") or [0] * 2 * len(extents)
    room, dense = size + pads[0] + pads[len(extents)], (extent - 1) // dilation + 1
    return bool((room - dense) // stride != (room - extent) // stride)


def _constant_and_other(facts: NodeFacts, position: int) -> tuple[tuple[Dim, ...], NodeProto] | None:
    """Shape of the constant operand at `position`, and the node that computes the other one."""
    if len(facts.node.input) != len(("a", "b")):
        return None
    other = facts.view.producer(facts.node.input[1 - position])
    name = facts.node.input[position]
    if other is None or not facts.is_constant(name):
        return None
    shape = facts.shape(name)
    return None if shape is None else (shape, other)


def _is_convolution(facts: NodeFacts, node: NodeProto) -> bool:
    return node.op_type in ("Conv", "ConvTranspose") and facts.is_constant(node.input[1])


def _output_channels(facts: NodeFacts, node: NodeProto) -> int | None:
    weight = facts.shape(node.input[1])
    if weight is None or not isinstance(weight[0], int) or not isinstance(weight[1], int):
        return None
    if node.op_type == "Conv":
        return weight[0]
    group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    return weight[1] * int(group)


def _count(shape: tuple[Dim, ...]) -> int:
    count = 1
    for dim in shape:
        count *= dim if isinstance(dim, int) else 0
    return count


def _is_only_user(facts: NodeFacts, name: str) -> bool:
    return len(facts.view.consumers.get(name, ())) == 1


def folds_as_convolution_bias(facts: NodeFacts) -> bool | None:
    """A constant of as many elements as a convolution has channels is added to its result, along another axis.

    MNN takes it for the bias by its element count, also behind a Reshape (`ConvBiasAdd.cpp`).
    """
    found = _constant_and_other(facts, 1)
    if found is None:
        return False
    shape, node = found
    reshaped = node.op_type == "Reshape"
    source = facts.view.producer(node.input[0]) if reshaped else node
    if source is None or not _is_convolution(facts, source) or facts.rank(source.input[1]) == len("NCL"):
        return False
    channels = _output_channels(facts, source)
    if channels is None:
        return None
    if channels == 1 or _count(shape) != channels or not _is_only_user(facts, node.output[0]):
        return False
    return _lies_off_channels(facts, shape, node.output[0], source)


def _lies_off_channels(facts: NodeFacts, constant: tuple[Dim, ...], result: str, source: NodeProto) -> bool | None:
    """The constant's one long axis is not the channel axis of the convolution that `result` comes from."""
    behind = len(constant) - 1 - next(axis for axis, dim in enumerate(constant) if dim != 1)
    if result == source.output[0]:
        rank = facts.rank(source.input[1])
        return None if rank is None else behind != rank - len("NC")
    after, spatial = facts.shape(result), facts.shape(source.output[0])
    if after is None or spatial is None:
        return None
    inner, wanted = _count(after[len(after) - behind :]), _count(spatial[len("NC") :])
    return inner != wanted if inner and wanted else None


def folds_before_activation(facts: NodeFacts) -> bool | None:
    """A constant of as many elements as a convolution has channels is added after Relu or Clip of its result.

    MNN folds the activation into the convolution first, then the constant into the bias: the order is lost.
    """
    found = _constant_and_other(facts, 1)
    if found is None or found[1].op_type not in _FOLDED_ACTIVATIONS:
        return False
    shape, activation = found
    node = facts.view.producer(activation.input[0])
    if node is None or not _is_convolution(facts, node):
        return False
    channels, rank = _output_channels(facts, node), facts.rank(node.input[1])
    alone = all(_is_only_user(facts, name) for name in (activation.output[0], node.output[0]))
    outside = facts.view.is_external_use(activation.output[0])
    return None if channels is None else _count(shape) == channels and rank != len("NCL") and alone and not outside


def folds_as_matmul_bias(facts: NodeFacts) -> bool | None:
    """A constant of as many elements as a matrix product has columns is added to it, along another axis."""
    for position in (0, 1):
        found = _constant_and_other(facts, position)
        if found is not None and found[1].op_type in ("MatMul", "Gemm"):
            return _lies_across(facts, found[0], found[1].output[0])
    return False


def folds_as_gemm_bias(facts: NodeFacts) -> bool | None:
    """The constant C of a Gemm has as many elements as there are columns, along the rows."""
    name = facts.operand(2)
    shape = None if name is None else facts.shape(name)
    if name is None or shape is None or not facts.is_constant(name):
        return False
    return _lies_across(facts, shape, facts.node.output[0])


def _lies_across(facts: NodeFacts, constant: tuple[Dim, ...], result: str) -> bool | None:
    shape = facts.shape(result)
    if shape is None or not shape or not isinstance(shape[-1], int):
        return None if _count(constant) > 1 and constant[-1] == 1 else False
    return _count(constant) == shape[-1] and shape[-1] > 1 and constant[-1] != shape[-1]


def single_constant_before_packed(facts: NodeFacts) -> bool | None:
    """A constant of one element, and of the result's rank, comes first, a channel-packed (NC4HW4) value second.

    The value may have lost or changed its shape since it was packed: behind Flatten it still is. If it has nothing but
    channels, the constant is read right.
    """
    found = _constant_and_other(facts, 0)
    if found is None or _count(found[0]) != 1:
        return False
    shape = facts.shape(facts.node.input[1])
    if len(found[0]) != len("NCHW") and (shape is None or len(shape) < len("NC") or len(found[0]) != len(shape)):
        return False
    if shape is not None and all(dim == 1 for axis, dim in enumerate(shape) if axis != 1):
        return False
    return _is_packed(facts, facts.node.input[1])


def _is_packed(facts: NodeFacts, name: str) -> bool:
    """Convolutions, pools and their like compute channel-packed values; elementwise operators keep the layout."""
    pending, seen = [name], set[str]()
    while pending:
        name = pending.pop()
        node = facts.view.producer(name)
        if name in seen or (node is not None and node.op_type in _PACKED):
            continue
        seen.add(name)
        if node is None or node.op_type not in _KEEP_LAYOUT:
            return False
        operands = node.input[:1] if node.op_type in ("Reshape", "Clip", "Dropout") else node.input
        pending.extend(operand for operand in operands if operand and not facts.is_constant(operand))
    return True


WINDOW_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        same_padding_is_odd,
        same_padding_is_negative,
        kernel_is_shorter_than_stride,
        output_shape_padding_is_odd,
        ceil_mode_adds_output,
        depth_dilation_changes_count,
        folds_as_convolution_bias,
        folds_before_activation,
        folds_as_matmul_bias,
        folds_as_gemm_bias,
        single_constant_before_packed,
    )
}
