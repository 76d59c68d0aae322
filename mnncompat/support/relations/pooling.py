"""Relations about how windows, batches and equations lie to each other, where MNN's arithmetic differs from ONNX's.

See `mnncompat.support.relations.catalog`, which registers what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from onnx import FunctionProto

from mnncompat.graph.protos import Dim, dims_of
from mnncompat.graph.view import GraphView
from mnncompat.support.node_facts import NodeFacts

_SATURATED = ("Sigmoid", "Tanh")


class _Window(NamedTuple):
    """A pool's window along one axis, in elements."""

    size: int
    kernel: int
    stride: int
    before: int
    behind: int

    @property
    def steps(self) -> int:
        """Size of the result as MNN computes it: rounded up, whatever the last window covers."""
        return -(-(self.size + self.before + self.behind - self.kernel) // self.stride) + 1

    @property
    def steps_down(self) -> int:
        """Size of the result rounded down."""
        return (self.size + self.before + self.behind - self.kernel) // self.stride + 1


def _windows(facts: NodeFacts) -> Iterator[_Window | None]:
    kernel, shape = facts.attribute("kernel_shape") or [], facts.shape(facts.node.input[0])
    count = len(kernel)
    strides = facts.attribute("strides") or [1] * count
    pads = facts.attribute("pads") or [0] * 2 * count
    same = str(facts.attribute("auto_pad")).startswith("SAME")
    for axis, extent in enumerate(kernel):
        size = None if shape is None else shape[axis + len("NC")]
        if not isinstance(size, int):
            yield None
            continue
        before, behind = (pads[axis], pads[axis + count]) if not same else _same(size, extent, strides[axis])
        yield _Window(size, extent, strides[axis], before, behind)


def _same(size: int, extent: int, stride: int) -> tuple[int, int]:
    """Padding before and behind the data of ``SAME_UPPER``, which MNN takes ``SAME_LOWER`` for."""
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def _any(truths: Iterable[bool | None]) -> bool | None:
    found = list(truths)
    return True if True in found else None if None in found else False


def ceil_window_starts_in_padding(facts: NodeFacts) -> bool | None:
    """Rounded up, the last window of an axis starts behind the data: ONNX drops it, MNN keeps it."""
    return _any(
        None if window is None else (window.steps - 1) * window.stride >= window.size + window.before
        for window in _windows(facts)
    )


def window_reaches_larger_end_padding(facts: NodeFacts) -> bool | None:
    """The last window of an axis covers more padding behind the data than there is before it."""
    upwards = bool(facts.attribute("ceil_mode"))
    return _any(None if window is None else _covers(window, upwards=upwards) for window in _windows(facts))


def _covers(window: _Window, *, upwards: bool) -> bool:
    steps = window.steps if upwards else window.steps_down
    end = (steps - 1) * window.stride - window.before + window.kernel
    return window.behind > window.before and end > window.size + window.before


def unpool_enlarges(facts: NodeFacts) -> bool | None:
    """A MaxUnpool's result is larger than its window and strides give."""
    result = facts.result(0)
    shape = None if result is None else facts.shape(result)
    if shape is None:
        return None
    inferred = (
        None if window is None else (window.size - 1) * window.stride - window.before - window.behind + window.kernel
        for window in _windows(facts)
    )
    pairs = zip(shape[len("NC") :], inferred, strict=False)
    return _any(size != wanted if isinstance(size, int) and wanted is not None else None for size, wanted in pairs)


def batches_match_in_number_only(facts: NodeFacts) -> bool | None:
    """The operands of a product have as many matrices each, in batches of other shapes: both are broadcast."""
    shapes = [facts.shape(name) for name in facts.node.input[:2]]
    if shapes[0] is None or shapes[1] is None:
        return None
    batches = [_significant(shape[:-2]) for shape in (shapes[0], shapes[1])]
    if () in batches:
        return False
    counts = [_count(batch) for batch in batches]
    if None in counts:
        return None
    return counts[0] == counts[1] and batches[0] != batches[1]


def _significant(batch: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """A batch without its leading ones, which mean nothing."""
    first = next((axis for axis, dim in enumerate(batch) if dim != 1), len(batch))
    return batch[first:]


def _count(batch: tuple[Dim, ...]) -> int | None:
    count = 1
    for dim in batch:
        if not isinstance(dim, int):
            return None
        count *= dim
    return count


def einsum_is_implicit(facts: NodeFacts) -> bool:
    """The equation names no result: it has no arrow."""
    return "->" not in str(facts.attribute("equation"))


def axis_counts_to_first(facts: NodeFacts) -> bool | None:
    """Attribute ``axis`` names the first axis, counted from the end."""
    axis, shape = facts.attribute("axis"), facts.shape(facts.node.input[0])
    if axis is None or axis >= 0:
        return False
    return None if shape is None else axis == -len(shape)


def axis_is_single(facts: NodeFacts) -> bool | None:
    """The axis that attribute ``axis`` names has one element."""
    shape = facts.shape(facts.node.input[0])
    if not shape:
        return None
    size = shape[facts.attribute("axis") % len(shape)]
    return size == 1 if isinstance(size, int) else None


def sequence_is_single(facts: NodeFacts) -> bool:
    """The sequences of a recurrent operator (axis 0 of input 0) are known to be one step long."""
    shape = facts.shape(facts.node.input[0])
    return shape is not None and shape[:1] == (1,)


def sequence_length_is_open(facts: NodeFacts) -> bool | None:
    """The length of the sequences of a recurrent operator (axis 0 of input 0) is a symbol or unknown.

    MNN's converter takes axis 0 of an input of the model for 1 where that is not fixed, and leaves other sizes open.
    Behind a Pad that makes the sequence longer it takes it for more.
    """
    shape = facts.shape(facts.node.input[0])
    if not _has_open_first_axis(facts.view):
        return False
    producer = facts.view.producer(facts.node.input[0])
    if producer is not None and producer.op_type == "Pad" and shape and len(producer.input) > 1:
        widths = facts.constant(producer.input[1])
        if widths is not None and widths.size == 2 * len(shape) and widths[0] + widths[len(shape)] > 0:
            return False
    return None if not shape else not isinstance(shape[0], int)


def _has_open_first_axis(view: GraphView) -> bool:
    """An input of the model has a first axis of no fixed size; so may what a subgraph or a function is given."""
    if view.parent is not None or isinstance(view.graph, FunctionProto):
        return True
    shapes = [dims_of(value) for value in view.graph.input if value.name not in view.initializers]
    return any(shape is None or (shape and not isinstance(shape[0], int)) for shape in shapes)


def whole_number_decides(facts: NodeFacts) -> bool:
    """A whole number that is not negative becomes a condition, which only Loop and If read: not 0 is true.

    Rounded, and made positive by Relu or Abs, in either order.
    """
    ops = _chain(facts, ("Relu", "Abs", "Identity", "Ceil", "Floor", "Round"))
    return (
        _only_decides(facts) and not ops.isdisjoint(("Ceil", "Floor", "Round")) and not ops.isdisjoint(("Relu", "Abs"))
    )


def size_decides(facts: NodeFacts) -> bool:
    """A size of a tensor, which is not negative, becomes a condition, which only Loop and If read: not 0 is true."""
    through = ("Identity", "Cast", "Gather", "Reshape", "Slice", "Squeeze", "Unsqueeze", "Shape", "Size")
    return _only_decides(facts) and not _chain(facts, through).isdisjoint(("Shape", "Size"))


def _only_decides(facts: NodeFacts) -> bool:
    """Loop and If read the result, and nobody else does."""
    readers = facts.view.consumers.get(facts.node.output[0], [])
    ops = {facts.view.nodes[index].op_type for index in readers}
    return bool(ops) and ops <= {"Loop", "If"} and not facts.view.is_external_use(facts.node.output[0])


def size_of_result_matters(facts: NodeFacts) -> bool:
    """Somebody reads the result who tells large numbers apart, and is not the Max of it and the operand."""
    view, (result, operand) = facts.view, (facts.node.output[0], facts.node.input[0])
    if view.is_external_use(result):
        return True
    readers = [view.nodes[index] for index in view.consumers.get(result, ())]
    return any(
        reader.op_type not in _SATURATED and not (reader.op_type == "Max" and operand in reader.input)
        for reader in readers
    )


def _chain(facts: NodeFacts, through: tuple[str, ...]) -> set[str]:
    """Op types of the nodes that lead to input 0, as long as they are among some."""
    found: set[str] = set()
    node = facts.view.producer(facts.node.input[0])
    while node is not None and node.op_type in through:
        found.add(node.op_type)
        node = facts.view.producer(node.input[0])
    return found


VALUE_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        ceil_window_starts_in_padding,
        window_reaches_larger_end_padding,
        unpool_enlarges,
        batches_match_in_number_only,
        einsum_is_implicit,
        axis_counts_to_first,
        axis_is_single,
        sequence_is_single,
        sequence_length_is_open,
        whole_number_decides,
        size_decides,
        size_of_result_matters,
    )
}
