"""How a batch of feature vectors [N, F] is held in four dimensions, and where it comes from.

A `Form` says that the 2-D value equals a 4-D value [N, C, H, W] with its last three axes flattened in some order.
The batch stays first exactly when F equals the number of elements of one sample: a row-major reshape keeps the total
N * C*H*W = rows * F, so F == C*H*W implies rows == N, whatever idiom computed the target shape.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

from onnx import NodeProto

from mnncompat.graph.operator_traits import RESHAPES
from mnncompat.graph.protos import Dim, attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.rewrites.fully_connected.rows import rows_are_samples
from mnncompat.support.head_form import HeadForm

_IN_ORDER = (0, 1, 2)
MEAN_POOL = "GlobalAveragePool"
_POOLS = {"ReduceMean": MEAN_POOL, "ReduceMax": "GlobalMaxPool"}


class EntryKind(Enum):
    """How a region gets its first 4-D value."""

    VALUE = "value"
    RESHAPE = "reshape"
    POOL = "pool"


class Entry(NamedTuple):
    """Where the 4-D value comes from if no node of the region computes it.

    Attributes:
        kind: Take `value` as it is, reshape it, or pool it over H and W.
        value: Name of an existing value.
        op: Pooling operator for `EntryKind.POOL`.
    """

    kind: EntryKind
    value: str
    op: str = ""


class Form(NamedTuple):
    """A 2-D value [N, F] in four dimensions.

    Attributes:
        size: (C, H, W) of the 4-D value; C * H * W == F.
        order: Axes of `size` in the order in which they were flattened: (0, 1, 2) for NCHW, (1, 2, 0) for NHWC.
        batch: First dimension, for the records only.
        entry: Where the 4-D value comes from; None if a node of the region computes it.
        settled: False while F is only known from the weight that it will be multiplied by.
        rank: Rank of the original value: 2, or 1 after an ArgMax without kept dimensions.
    """

    size: tuple[int, int, int]
    order: tuple[int, ...] = _IN_ORDER
    batch: Dim = None
    entry: Entry | None = None
    settled: bool = True
    rank: int = 2

    @property
    def features(self) -> int:
        """F, the number of features of one sample."""
        return math.prod(self.size)

    @property
    def in_order(self) -> bool:
        """True if flattening the 4-D value gives the 2-D value."""
        return self.order == _IN_ORDER

    @property
    def pointwise(self) -> bool:
        """True if H and W are 1."""
        return self.size[1:] == (1, 1)

    def computed(self, features: int | None = None) -> Form:
        """The form of a value that a node of the region computes from this one; pointwise if `features` are given."""
        if features is None:
            return self._replace(entry=None)
        return Form(size=(features, 1, 1), batch=self.batch)


def two_dimensional(view: GraphView, name: str, inputs: int | None = None) -> Form | str:
    """The form of a value of rank 2 that enters a region by a reshape, or why there is none.

    Args:
        view: The graph.
        name: The value.
        inputs: Number of features that its reader needs: it fills in what shape inference could not follow.
    """
    shape = view.shape(name)
    if shape is None:
        return f"the rank of '{name}' is not known"
    if len(shape) != 2:  # noqa: PLR2004 - a batch of feature vectors
        return f"'{name}' has rank {len(shape)}: it is not a batch of feature vectors"
    features = inputs if _is_invented(view, name, shape[1]) else shape[1]
    if not isinstance(features, int):
        return f"feature size not static: '{name}' is {_text(shape)}"
    if features == 0:
        return f"'{name}' has no features"
    return Form(size=(features, 1, 1), batch=shape[0], entry=Entry(kind=EntryKind.RESHAPE, value=name))


def source(view: GraphView, node: NodeProto, head: HeadForm) -> Form | str | None:
    """The form of what a flattening or reducing node computes, why it has none, or None if it is no such node."""
    if node.op_type in _POOLS:
        return _reduced(view, node)
    if node.op_type not in RESHAPES or _rank(view, node) != 2:  # noqa: PLR2004
        return None
    shape, known = view.shape(node.input[0]), view.shape(node.output[0])
    width = known[1] if known is not None and len(known) == 2 else None  # noqa: PLR2004
    if isinstance(width, int) and (shape is None or len(shape) < 2):  # noqa: PLR2004 - no samples to be mixed
        return two_dimensional(view, node.output[0])
    features = None if shape is None else _static_features(shape)
    if shape is None or features is None:
        return f"feature size not static: '{node.input[0]}' is {_text(shape)}"
    if isinstance(width, int) and width != features:
        return mixed(width, features, node.input[0])
    settled = isinstance(width, int) or rows_are_samples(view, node, features)
    base = _base(view, node.input[0], features) if head is HeadForm.SPATIAL else _flat(view, node.input[0], features)
    return base._replace(batch=shape[0], settled=settled)


def mixed(width: int, features: int, name: str) -> str:
    """The reason for refusing rows that are not samples."""
    return f"batch mixed into features: rows have {width} features, but one sample of '{name}' has {features}"


def reduction_axes(view: GraphView, node: NodeProto, rank: int) -> frozenset[int] | None:
    """Axes of a reduction as non-negative numbers, None if they are not constant or not given."""
    axes = attribute(node, "axes")
    if axes is None and len(node.input) > 1 and node.input[1]:
        values = view.stored_value(node.input[1])
        axes = None if values is None else values.reshape(-1).tolist()
    return None if axes is None else frozenset(int(axis) % rank for axis in axes)


def _reduced(view: GraphView, node: NodeProto) -> Form | None:
    """ReduceMean or ReduceMax over H and W without kept dimensions, of NCHW or of NHWC that was transposed from it."""
    value, shape = node.input[0], view.shape(node.input[0])
    if shape is None or len(shape) != 4 or attribute(node, "keepdims", 1) != 0:  # noqa: PLR2004
        return None
    axes = reduction_axes(view, node, 4)
    perm = (0, 1, 2, 3)
    producer = view.producer(value)
    if axes is not None and axes != {2, 3} and producer is not None and producer.op_type == "Transpose":
        perm = tuple(attribute(producer, "perm", (3, 2, 1, 0)))
        value = producer.input[0]
        shape = view.shape(value)
    if axes is None or shape is None or {perm[axis] for axis in axes} != {2, 3} or perm[0] != 0:
        return None
    if not isinstance(shape[1], int) or shape[1] == 0:
        return None
    entry = Entry(kind=EntryKind.POOL, value=value, op=_POOLS[node.op_type])
    return Form(size=(shape[1], 1, 1), batch=shape[0], entry=entry)


def _base(view: GraphView, name: str, features: int) -> Form:
    """Follow reshapes upwards to the nearest value of rank 4, else 3, that holds the same samples."""
    fallback = Form(size=(features, 1, 1), entry=Entry(kind=EntryKind.RESHAPE, value=name))
    best: Form | None = None
    while True:
        shape = view.shape(name)
        if shape is None or _static_features(shape) != features:
            return best or fallback
        sizes = tuple(int(dim) for dim in shape[1:] if dim is not None)
        if len(sizes) == 3:  # noqa: PLR2004 - C, H, W
            return _transposed(view, name) or _taken(name, sizes)
        if len(sizes) == 2 and best is None:  # noqa: PLR2004 - C, L
            best = Form(size=(sizes[0], sizes[1], 1), entry=Entry(kind=EntryKind.RESHAPE, value=name))
        node = view.producer(name)
        if node is None or not is_onnx(node) or node.op_type not in RESHAPES | {"Identity"}:
            return best or fallback
        name = node.input[0]


def _flat(view: GraphView, name: str, features: int) -> Form:
    """[N, C*H*W, 1, 1], reshaped from the value that is flattened unless that has such a form."""
    form = _base(view, name, features)
    if form.pointwise and form.entry is not None and form.entry.kind is EntryKind.VALUE:
        return form
    return Form(size=(features, 1, 1), entry=Entry(kind=EntryKind.RESHAPE, value=name))


def _taken(name: str, sizes: tuple[int, ...]) -> Form:
    return Form(size=(sizes[0], sizes[1], sizes[2]), entry=Entry(kind=EntryKind.VALUE, value=name))


def _transposed(view: GraphView, name: str) -> Form | None:
    """The form of a value that a Transpose made, over the Transpose's input: the weight is permuted instead."""
    node = view.producer(name)
    if node is None or node.op_type != "Transpose" or not is_onnx(node):
        return None
    perm = tuple(attribute(node, "perm", (3, 2, 1, 0)))
    shape = view.shape(node.input[0])
    if perm[0] != 0 or shape is None or _static_features(shape) is None:
        return None
    sizes = tuple(int(dim) for dim in shape[1:] if dim is not None)
    form = _taken(node.input[0], sizes)
    order = tuple(axis - 1 for axis in perm[1:])
    moved = [axis for axis in order if sizes[axis] > 1]
    return form if moved == sorted(moved) else form._replace(order=order)


def _is_invented(view: GraphView, name: str, dim: Dim) -> bool:
    """True for a dimension that the model does not declare dynamic: shape inference failed and invented its name."""
    return view.producer(name) is not None and (dim is None or str(dim).startswith("unk__"))


def _rank(view: GraphView, node: NodeProto) -> int | None:
    if node.op_type == "Flatten":
        return 2
    shape = view.shape(node.output[0])
    if shape is not None:
        return len(shape)
    if node.op_type == "Reshape" and len(node.input) > 1:
        length = view.shape(node.input[1])
        return length[0] if length and isinstance(length[0], int) else None
    return None


def _static_features(shape: tuple[Dim, ...]) -> int | None:
    sizes = [dim for dim in shape[1:] if isinstance(dim, int)]
    if len(shape) < 2 or len(sizes) < len(shape) - 1 or 0 in sizes:  # noqa: PLR2004 - a batch and features
        return None
    return math.prod(sizes)


def _text(shape: tuple[Dim, ...] | None) -> str:
    if shape is None:
        return "of unknown shape"
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"
