"""Searches for sizes that depend on the values of an input, which a Session of MNN does not compute.

A Session computes the shapes of all tensors before it runs. Where an operator needs the numbers of an operand for that
(``REGISTER_SHAPE_INPUTS`` in MNN's ``source/shape``), they have to be constant, or computed from sizes alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mnncompat.graph.operator_traits import SIZES
from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.support.model_scope import HazardLocation, Scope

_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
_NUMBERS: dict[str, Sequence[int]] = {
    "CenterCropPad": (1,),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "CumSum": (1,),
    "Expand": (1,),
    "NonZero": (0,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (2, 3),
    "ReverseSequence": (1,),
    "SequenceAt": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unique": (0,),
    "Unsqueeze": (1,),
    **dict.fromkeys(_REDUCTIONS, (1,)),
}
"""Operands of which MNN needs the numbers before it knows the shape of the result."""


def size_from_values(scope: Scope) -> Iterator[HazardLocation]:
    """Nodes of the main graph whose result's shape MNN computes from numbers that an input of the model decides."""
    view = scope.model.main
    known: dict[str, bool] = {}
    found: Counter[str] = Counter()
    first: tuple[int, str] | None = None
    for index, node in view.nodes_of(*_NUMBERS):
        if not is_onnx(node):
            continue
        read = [node.input[position] for position in _NUMBERS[node.op_type] if position < len(node.input)]
        open_ = [name for name in read if name and not _is_known(view, name, known)]
        if open_:
            first = first or (index, open_[0])
            found[node.op_type] += 1
    if first is not None:
        what = ", ".join(f"{count} {op}" for op, count in sorted(found.items()))
        yield HazardLocation(view=view, position=first[0], values={"what": what, "tensor": first[1]})


def _is_known(view: GraphView, name: str, known: dict[str, bool]) -> bool:
    """Whether a value is constant, or computed from constants and sizes alone, which a Session has."""
    pending = [name]
    while pending:
        current = pending[-1]
        node = view.producer(current)
        if current in known:
            pending.pop()
        elif node is None:
            known[current] = view.tensor(current) is not None
        elif node.op_type in SIZES:
            known[current] = True
        elif view.producers[current] in view.held:
            known[current] = False
        else:
            missing = [each for each in node.input if each and each not in known]
            if not missing:
                known[current] = all(known[each] for each in node.input if each)
            pending += missing
    return known[name]


def most_boxes_in_session(scope: Scope) -> Iterator[HazardLocation]:
    """Nodes of NonMaxSuppression in the main graph."""
    for index, _ in scope.model.main.nodes_of("NonMaxSuppression"):
        yield HazardLocation(view=scope.model.main, position=index)
