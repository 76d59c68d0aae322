"""Searches for what runs in MNN's Module API only; `mnncompat.support.model_conditions` registers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.support.model_scope import HazardLocation, Scope
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.recurrent_layers import SLOWEST, compared, is_right_as_op, recurrent_layers
from mnncompat.support.relations.control_flow import condition_is_known

_SIZES = ("Shape", "Size")


def subgraph_by_size_in_file(scope: Scope) -> Iterator[HazardLocation]:
    """Nodes of If and Loop, which become subgraphs of the file, where the condition of an If depends on a size."""
    return _subgraphs(scope, by_size=True)


def subgraph_in_file(scope: Scope) -> Iterator[HazardLocation]:
    """Nodes of If and Loop, which become subgraphs of the file, where no If of unknown condition depends on a size."""
    return _subgraphs(scope, by_size=False)


def _subgraphs(scope: Scope, *, by_size: bool) -> Iterator[HazardLocation]:
    found = list(_counted(scope, ("If", "Loop"), _is_subgraph))
    if found and by_size is any(
        is_onnx(node) and _is_subgraph(NodeFacts(view, index, {})) and _depends_on_size(view, node.input[0])
        for view, index, node in scope.nodes(("If",))
        if node.input
    ):
        yield from found


def _depends_on_size(view: GraphView, condition: str) -> bool:
    """Whether a condition is computed from the size of something, in its graph or in those around it."""
    pending, seen = [condition], set[str]()
    while pending:
        name = pending.pop()
        scope: GraphView | None = view
        while scope is not None and name not in scope.producers:
            scope = scope.parent
        if name in seen or scope is None:
            continue
        seen.add(name)
        node = scope.nodes[scope.producers[name]]
        if node.op_type in _SIZES:
            return True
        pending += filter(None, node.input)
    return False


def _is_subgraph(facts: NodeFacts) -> bool:
    return facts.node.op_type == "Loop" or not condition_is_known(facts)


def recurrent_as_loop(scope: Scope) -> Iterator[HazardLocation]:
    """LSTM and GRU that become loops by default: constant weights, several steps; their own ops are right and fast."""
    return _loops(scope, right=True, slow=False)


def recurrent_as_loop_for_time(scope: Scope) -> Iterator[HazardLocation]:
    """The same where their own ops are right, but take more than twice as long (`rules/recurrent.json`)."""
    return _loops(scope, right=True, slow=True)


def recurrent_as_loop_alone(scope: Scope) -> Iterator[HazardLocation]:
    """The same where MNN's own op of one of them does not compute what the layer asks for."""
    return _loops(scope, right=False, slow=False)


LOOPS = (recurrent_as_loop, recurrent_as_loop_alone, recurrent_as_loop_for_time)


def _loops(scope: Scope, *, right: bool, slow: bool) -> Iterator[HazardLocation]:
    layers = list(recurrent_layers(scope.graphs))
    if not layers or all(map(is_right_as_op, layers)) is not right:
        return
    times = compared(layers)
    if right and (times.ratio > SLOWEST) is not slow:
        return
    values = {"what": _listed(Counter(facts.node.op_type for facts in layers)), "time": times.words}
    yield HazardLocation(view=layers[0].view, position=layers[0].index, values=values)


def _counted(scope: Scope, ops: tuple[str, ...], wanted: Callable[[NodeFacts], bool]) -> Iterator[HazardLocation]:
    """One location for all nodes of some operators that are wanted: the first, with how many there are."""
    found: Counter[str] = Counter()
    first: tuple[GraphView, int] | None = None
    for view, index, node in scope.nodes(ops):
        if is_onnx(node) and wanted(NodeFacts(view, index, {})):
            first = first or (view, index)
            found[node.op_type] += 1
    if first is not None:
        yield HazardLocation(view=first[0], position=first[1], values={"what": _listed(found)})


def input_not_read(scope: Scope) -> Iterator[HazardLocation]:
    """Inputs of the model that no node reads and that are no outputs."""
    main = scope.model.main
    for name in main.input_names:
        if name in main.initializers:
            continue
        if name not in main.consumers and name not in main.captured and name not in main.outputs:
            yield HazardLocation(view=main, values={"input": name})


def _listed(found: Mapping[str, int]) -> str:
    """`1 If`, `2 Loop and 1 If`."""
    return " and ".join(f"{count} {op}" for op, count in sorted(found.items()))
