"""Which values the inputs of a model are meant for, from what the graph does with them.

An input that indexes a table of 500 rows holds numbers from 0 to 499; one that becomes ``(1 - mask) * -10000`` holds 0
and 1; one that is divided by 255 holds pixels. Every input is followed through the nodes that hand its values on, as
they are or scaled and shifted (Cast, Reshape, Add of a constant, ...), to those that say something about them.

What is followed is a value of the form ``scale * input + offset``, so that what a node asks of it can be told of the
input itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf

from onnx import GraphProto, TensorProto

from mnncompat.graph.view import GraphView
from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use
from mnncompat.inference.domain_rules import RULES
from mnncompat.inference.shape_propagation import Shape

_DOMAINS = ("", "ai.onnx", "com.microsoft")
UNKNOWN_HIGH = 9
"""Largest of whole numbers that nothing bounds, counted from the least."""
_WHOLE = (Kind.IDS, Kind.LENGTH, Kind.COUNT, Kind.SIZE)
_BYTES: Mapping[int, tuple[int, int]] = {TensorProto.INT8: (-128, 127), TensorProto.UINT8: (0, 255)}
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The values of one input.

    Attributes:
        kind: What they are.
        low: Least value; -inf for no bound.
        high: Largest value; inf for no bound.
        values: Values that the graph compares it with: at least one element should have each.
        reasons: What says so, in words, such as ``Gather of word [500, 16]``; empty if nothing does.
        is_clipped: The graph cuts the values at the bounds, so that values beyond them are allowed.
    """

    kind: Kind
    low: float = -inf
    high: float = inf
    values: tuple[float, ...] = ()
    reasons: tuple[str, ...] = ()
    is_clipped: bool = False


def input_domains(view: GraphView, shapes: Mapping[str, Shape | None], sizes: Mapping[str, int]) -> dict[str, Domain]:
    """The domain of every input that a caller has to feed.

    Args:
        view: The main graph.
        shapes: Of its values, see `mnncompat.inference.symbolic_shapes`.
        sizes: Of the dynamic dimensions: a table may have as many rows as a sequence has steps.
    """
    assert isinstance(view.graph, GraphProto)  # noqa: S101 - a function has no declared inputs
    uses = _Uses(view)
    found = {}
    for value in view.graph.input:
        if value.name not in view.initializers:
            claims = list(_claims(uses, value.name, shapes, sizes))
            found[value.name] = _joined(claims, value.type.tensor_type.elem_type)
    return found


class _Uses:
    """Who reads a value, in the main graph and in the graphs that its nodes hold."""

    def __init__(self, view: GraphView) -> None:
        self.readers: dict[str, list[tuple[GraphView, int, int]]] = {}
        for graph in view.scope.graphs():
            if graph.is_function:
                continue
            for index, node in enumerate(graph.nodes):
                for position, name in enumerate(node.input):
                    if name:
                        self.readers.setdefault(name, []).append((graph, index, position))


def _claims(uses: _Uses, name: str, shapes: Mapping[str, Shape | None], sizes: Mapping[str, int]) -> Iterator[Claim]:
    """What the nodes say that an input reaches."""
    pending = [Use(name)]
    seen: set[Use] = set()
    while pending:
        use = pending.pop()
        if use in seen:
            continue
        seen.add(use)
        for view, index, position in uses.readers.get(use.value, ()):
            node = view.nodes[index]
            rule = RULES.get(node.op_type) if node.domain in _DOMAINS else None
            if rule is None:
                continue
            for found in rule(Reading(view, node, position, use, shapes, sizes)):
                if isinstance(found, Use):
                    pending.append(found)
                else:
                    yield found


def _joined(claims: Sequence[Claim], element: int) -> Domain:
    """What all claims leave: a kind, and the narrowest bounds of the claims of that kind.

    Args:
        claims: What the nodes ask.
        element: Declared element type (`onnx.TensorProto.DataType`).
    """
    values = tuple(dict.fromkeys(value for claim in claims for value in claim.values))
    kind = _kind(claims, element)
    named = [claim for claim in claims if claim.kind is kind or (kind in _WHOLE and claim.kind in _WHOLE)]
    if kind is Kind.MASK:
        return Domain(kind=kind, low=0, high=1, reasons=_reasons(named))
    if kind is Kind.INTEGERS:
        least, most = _BYTES.get(element, (0, max([UNKNOWN_HIGH, *(ceil(value) + 1 for value in values)])))
        return Domain(kind=kind, low=least, high=most, values=values, reasons=_reasons(named))
    low: float = max((claim.low for claim in named), default=-inf)
    high: float = min((claim.high for claim in named), default=inf)
    if kind in _WHOLE:
        low, high = float(max(ceil(low), 0) if low <= high else ceil(low)), float(floor(high))
    high = max(high, low)
    reasons = _reasons(named)
    clipped = kind is Kind.BOUNDED and all(reason.startswith("Clip") for reason in reasons)
    return Domain(kind=kind, low=low, high=high, values=values, reasons=reasons, is_clipped=clipped)


def _kind(claims: Sequence[Claim], element: int) -> Kind:
    found = {claim.kind for claim in claims}
    for kind in (*_WHOLE, Kind.MASK):
        if kind in found:
            return kind
    if element == TensorProto.BOOL:
        return Kind.MASK
    if element not in _FLOATS:
        return Kind.INTEGERS
    return next((kind for kind in (Kind.PIXELS, Kind.TIMESTEP, Kind.BOUNDED) if kind in found), Kind.NUMBERS)


def _reasons(claims: Sequence[Claim]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(claim.reason for claim in claims))
