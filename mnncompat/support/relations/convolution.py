"""Relations of convolutions: padding, strides, groups, and the use of their results."""

from __future__ import annotations

from onnx import FunctionProto

from mnncompat.graph.protos import Dim, attribute, dims_of
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.operands import kernel_extents
from mnncompat.support.relations.registry import relation
from mnncompat.support.three_valued import any_of
from mnncompat.support.window_geometry import missing_elements, same_padding

_PAIR = 2

_PACK = 4


@relation(
    holds='(float[1,1,4] x, float[1,1,2] w) => (float[1,1,4] y) { y = Conv<auto_pad="SAME_LOWER">(x, w) }',
    fails='(float[1,1,4] x, float[1,1,3] w) => (float[1,1,4] y) { y = Conv<auto_pad="SAME_LOWER">(x, w) }',
)
def same_padding_is_odd(facts: NodeFacts) -> bool | None:
    """The total padding of ``auto_pad = SAME_*`` is odd on some axis: it matters on which side the extra element is."""
    kernel = kernel_extents(facts)
    if kernel is None:
        return None
    strides = facts.attribute("strides") or [1] * len(kernel)
    shape = facts.shape(facts.node.input[0])
    sizes = shape[2:] if shape is not None else (None,) * len(kernel)
    total = _transposed_padding if facts.node.op_type == "ConvTranspose" else _same_padding
    found = [total(size, extent, stride) for size, extent, stride in zip(sizes, kernel, strides, strict=False)]
    return any_of(None if padding is None else padding % 2 == 1 for padding in found)


def _same_padding(size: Dim, extent: Dim, stride: int) -> int | None:
    padding = same_padding(size, extent, stride, upper=True) if isinstance(extent, int) else None
    return None if padding is None else sum(padding)


def _transposed_padding(_size: Dim, extent: Dim, stride: int) -> int | None:
    return max(extent - stride, 0) if isinstance(extent, int) else None


@relation(
    holds=(
        '(float[1,1,6] x, float[1,1,1] w) => (float[1,1,2] y) { y = Conv<auto_pad="SAME_UPPER", strides=[3]>(x, w) }'
    ),
    fails=(
        '(float[1,1,5] x, float[1,1,1] w) => (float[1,1,2] y) { y = Conv<auto_pad="SAME_UPPER", strides=[3]>(x, w) }'
    ),
)
def same_padding_is_negative(facts: NodeFacts) -> bool | None:
    """With ``auto_pad = SAME_*`` a convolution needs no padding: two or more elements lie after its last window.

    MNN pads by half of the difference, rounded to zero, which is negative: windows start inside the data.
    """
    kernel, shape = kernel_extents(facts), facts.shape(facts.node.input[0])
    if kernel is None:
        return None
    strides = facts.attribute("strides") or [1] * len(kernel)
    sizes = shape[2:] if shape is not None else (None,) * len(kernel)
    found = [
        _leaves_elements_unread(size, extent, stride)
        for size, extent, stride in zip(sizes, kernel, strides, strict=False)
    ]
    return any_of(found)


def _leaves_elements_unread(size: Dim, extent: Dim, stride: int) -> bool | None:
    """Two or more elements after the last window lie in no window."""
    if not isinstance(extent, int):
        return None
    if stride - extent < _PAIR:  # whatever the size is
        return False
    missing = missing_elements(size, extent, stride)
    return None if missing is None else missing <= -_PAIR


@relation(
    holds=(
        '(float[1,1,3] x, float[1,1,1] w) => (float[1,1,N] y) { y = ConvTranspose<auto_pad="SAME_UPPER", '
        "strides=[2]>(x, w) }"
    ),
    fails=(
        '(float[1,1,3] x, float[1,1,2] w) => (float[1,1,N] y) { y = ConvTranspose<auto_pad="SAME_UPPER", '
        "strides=[2]>(x, w) }"
    ),
)
def kernel_is_shorter_than_stride(facts: NodeFacts) -> bool | None:
    """The kernel of a convolution, with its dilation, is shorter than the stride on some axis: windows do not touch."""
    kernel = kernel_extents(facts)
    if kernel is None:
        return None
    strides = facts.attribute("strides") or [1] * len(kernel)
    found = [
        extent < stride if isinstance(extent, int) else None for extent, stride in zip(kernel, strides, strict=False)
    ]
    return any_of(found)


@relation(
    holds=(
        "(float[1,1,3] x, float[1,1,2] w) => (float[1,1,5] y) { y = ConvTranspose<output_shape=[5], "
        "strides=[2]>(x, w) }"
    ),
    fails=(
        "(float[1,1,3] x, float[1,1,2] w) => (float[1,1,4] y) { y = ConvTranspose<output_shape=[4], "
        "strides=[2]>(x, w) }"
    ),
)
def output_shape_padding_is_odd(facts: NodeFacts) -> bool | None:
    """The total padding that ``output_shape`` of a ConvTranspose asks for is odd on some axis."""
    kernel, wanted = kernel_extents(facts), facts.attribute("output_shape")
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
    return any_of(None if padding is None else padding > 0 and padding % 2 == 1 for padding in found)


@relation(
    holds="(float[1,1,4,1,1] x, float[1,1,2,1,1] w) => (float[1,1,2,1,1] y) { y = Conv<dilations=[2, 1, 1]>(x, w) }",
    fails="(float[1,1,4,1,1] x, float[1,1,2,1,1] w) => (float[1,1,3,1,1] y) { y = Conv<dilations=[1, 2, 2]>(x, w) }",
)
def depth_dilation_changes_window_count(facts: NodeFacts) -> bool | None:
    """Without the dilation there would be more windows along the first spatial axis."""
    extents = kernel_extents(facts)
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


@relation(
    holds="(float[1,4,3] x, float[4,1,1] w) => (float[1,2,3] y) { y = ConvTranspose<group=2>(x, w) }",
    fails="(float[1,4,3] x, float[4,2,1] w) => (float[1,4,3] y) { y = ConvTranspose<group=2>(x, w) }",
)
def group_changes_channel_count(facts: NodeFacts) -> bool | None:
    """The groups of a ConvTranspose do not have as many input channels as output channels."""
    group = int(facts.attribute("group") or 1)
    image, weight = (facts.shape(name) for name in facts.node.input[:2])
    if group == 1:
        return False
    if image is None or weight is None or not isinstance(image[1], int) or not isinstance(weight[1], int):
        return None
    return image[1] != weight[1] * group


@relation(
    holds=(
        "(float[1,6,1,1] x, float[3,2,1,1] w) => (float[1,3,1,1] y) <float[3,1,1] b = {1.0, 2.0, 3.0}> { c = "
        "Conv<group=3>(x, w) y = Add(c, b) }"
    ),
    fails=(
        "(float[1,6,1,1] x, float[3,6,1,1] w) => (float[1,3,1,1] y) <float[3,1,1] b = {1.0, 2.0, 3.0}> { c = "
        "Conv<group=1>(x, w) y = Add(c, b) }"
    ),
)
def bias_is_added_to_merged_groups(facts: NodeFacts) -> bool | None:
    """A constant of one element for each channel is added to a grouped convolution that MNN makes an ordinary one.

    MNN does so where each group has fewer input and output channels than there are groups, and fewer than 4 output
    channels; depthwise convolutions stay.
    """
    source, constant = facts.view.producer(facts.node.input[0]), facts.node.input[1]
    if source is None or source.op_type != "Conv" or not facts.is_constant(constant):
        return False
    group = int(attribute(source, "group", 1))
    weight = facts.shape(source.input[1])
    if weight is None or len(weight) != len("OIHW"):
        return False
    if not isinstance(weight[0], int) or not isinstance(weight[1], int):
        return None
    before, behind = weight[1], weight[0] // group
    if not (before < group and behind < min(group, _PACK)) or (before, behind) == (1, 1):
        return False
    return facts.elements(constant) == weight[0]


@relation(
    holds="(float[1,1,4] x, float[1,1,1] w) => (float[1,1,4] z) { y = Conv(x, w) z = Relu(y) }",
    fails="(float[1,1,4] x, float[1,1,1] w) => (float[1,1,4] z) { y = Conv(x, w) z = Sigmoid(y) }",
)
def result_reaches_graph_output(facts: NodeFacts) -> bool:
    """The result is a graph output, or becomes one through Relu, LeakyRelu and Clip only."""
    pending = [name for name in facts.node.output if name]
    while pending:
        name = pending.pop()
        if name in facts.view.outputs:
            return True
        for index in facts.view.consumers.get(name, ()):
            node = facts.view.nodes[index]
            if node.op_type in ("Relu", "LeakyRelu", "Clip") and node.input[0] == name:
                pending.append(node.output[0])
    return False


@relation(
    holds="(float[1,2,L] x, float[1,2,1] w) => (float[1,1,L] y) { h = Abs(x) y = Conv(h, w) }",
    fails="(float[N,2,4] x, float[1,2,1] w) => (float[N,1,4] y) { h = Abs(x) y = Conv(h, w) }",
)
def computed_operand_has_open_sizes(facts: NodeFacts) -> bool | None:
    """Input 0 is computed, and MNN's converter does not know its shape, because a size is open.

    It takes the first axis of an input of the model for 1 where that is not fixed, and leaves other sizes open.
    """
    if facts.view.producer(facts.node.input[0]) is None:
        return False
    shape = facts.shape(facts.node.input[0])
    graph = facts.view.graph
    if shape is None or isinstance(graph, FunctionProto):
        return None
    inputs = [dims_of(value) or () for value in graph.input]
    firsts, others = {dims[0] for dims in inputs if dims}, {size for dims in inputs for size in dims[1:]}
    symbols = {size for size in shape if isinstance(size, str)}
    if symbols - firsts:
        return True
    return None if symbols & others or None in shape else False
