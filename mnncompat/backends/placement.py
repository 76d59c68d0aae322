"""A converted graph on a backend: which ops run where, and in how many partitions.

What MNN does, and what this module reproduces (source/core/Pipeline.cpp, source/geometry/GeometryComputerUtils.cpp and
express/module/PipelineModule.cpp):

1. Ops whose inputs are constants, or matter by their shape only (Shape, Rank), are computed on the CPU when a session
   is resized, and so are ops that depend on them alone. They cost nothing in a run, and are no fallback.
2. The other ops are lowered, as far as the backend's compiler says so.
3. The backend is asked for each op, then the CPU. If neither has it, there is no session.

Ops whose output shape depends on values that are only known in a run, and those that MNN lists as breaking a module
(NonMaxSuppressionV2, Where, ...), are a module of their own: no partition extends across their bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from mnncompat.results.backend_placement import Fallback, Placement

if TYPE_CHECKING:
    from mnncompat.backends.registry import Backend
    from mnncompat.mnn import MnnGraph, MnnOp

Origin = Callable[["MnnOp"], tuple[str, ...]]
"""Returns the names of the ONNX nodes that an op comes from."""

_NOT_OPS = frozenset({"Input", "Const", "TrainableParam"})
_CONTROL_FLOW = frozenset({"If", "While"})


class Where(Enum):
    """Where an op runs."""

    DIRECT = "direct"
    LOWERED = "lowered"
    ON_CPU = "on_cpu"
    NOWHERE = "nowhere"
    AT_RESIZE = "at_resize"
    CONTROL_FLOW = "control_flow"


@dataclass(slots=True)
class _Group:
    ops: list[MnnOp] = field(default_factory=list)
    nodes: dict[str, None] = field(default_factory=dict)


def place(graph: MnnGraph, backend: Backend, origin: Origin = lambda _op: ()) -> Placement:
    """Determine where each op of a converted graph runs.

    A partition is a maximal run of ops, in the order of the file (which is the order of execution), that all run on
    the backend or all do not; ops of step 1 do not count. Control flow and modules of their own end a run. Bodies
    are counted as graphs of their own.

    Args:
        graph: The converted graph.
        backend: The backend.
        origin: Returns the nodes that an op comes from.
    """
    counts = dict.fromkeys(Where, 0)
    groups: dict[str, _Group] = {}
    partitions = 0
    for body in dict.fromkeys(op.body for op in graph.ops):
        ops = [op for op in graph.ops if op.body == body]
        placed = list(_placed(ops, backend))
        for op, where, _apart in placed:
            counts[where] += 1
            if where in (Where.ON_CPU, Where.NOWHERE):
                group = groups.setdefault(op.type, _Group())
                group.ops.append(op)
                group.nodes.update(dict.fromkeys(origin(op)))
        partitions += _runs(placed)
    return Placement(
        **{where.value: count for where, count in counts.items()},
        partitions=partitions,
        fallbacks=tuple(_fallback(op_type, group, backend) for op_type, group in groups.items()),
    )


def where_each_runs(graph: MnnGraph, backend: Backend) -> dict[int, Where]:
    """Where each op of a converted graph runs, by its position; without inputs and constants."""
    places = {id(op): at for at, op in enumerate(graph.ops)}
    found: dict[int, Where] = {}
    for body in dict.fromkeys(op.body for op in graph.ops):
        of_body = [op for op in graph.ops if op.body == body]
        found.update((places[id(op)], where) for op, where, _ in _placed(of_body, backend))
    return found


def where_runs(op_type: str, backend: Backend) -> Where:
    """Where an op runs that is not computed at resize."""
    if op_type in _CONTROL_FLOW:
        return Where.CONTROL_FLOW
    missing = [each for each in backend.needs(op_type) if each not in backend.registered]
    if not missing:
        return Where.LOWERED if op_type in backend.lowered and backend.needs(op_type) != (op_type,) else Where.DIRECT
    return Where.ON_CPU if backend.cpu.issuperset(missing) else Where.NOWHERE


def _placed(ops: Sequence[MnnOp], backend: Backend) -> Iterator[tuple[MnnOp, Where, bool]]:
    """Each op of one graph, where it runs, and whether it is a module of its own."""
    known: set[int] = {index for op in ops if op.type == "Const" for index in op.outputs}
    for op in ops:
        if op.type in _NOT_OPS:
            continue
        unread = backend.unread_values.get(op.type, ())
        if op.type not in _CONTROL_FLOW and all(at in unread or index in known for at, index in enumerate(op.inputs)):
            known.update(op.outputs)
            yield op, Where.AT_RESIZE, False
            continue
        decisive = [op.inputs[at] for at in backend.shape_values.get(op.type, ()) if at < len(op.inputs)]
        yield op, where_runs(op.type, backend), op.type in backend.apart or not known.issuperset(decisive)


def _runs(placed: Sequence[tuple[MnnOp, Where, bool]]) -> int:
    """Count partitions."""
    runs, side = 0, None
    for _op, where, apart in placed:
        if where is Where.AT_RESIZE:
            continue
        if where is Where.CONTROL_FLOW:
            side = None
            continue
        accelerated = where in (Where.DIRECT, Where.LOWERED)
        runs += side is not accelerated or apart
        side = None if apart else accelerated
    return runs


def _fallback(op_type: str, group: _Group, backend: Backend) -> Fallback:
    needs = backend.needs(op_type)
    missing = tuple(each for each in needs if each not in backend.registered)
    return Fallback(
        op_type=op_type,
        count=len(group.ops),
        lowered=() if needs == (op_type,) else needs,
        missing=missing,
        on_cpu=backend.cpu.issuperset(missing),
        nodes=tuple(group.nodes),
    )
