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
from math import ceil, floor, inf, isinf

from onnx import GraphProto, TensorProto

from mnncompat.graph.operator_traits import SIZES
from mnncompat.graph.protos import ONNX_DOMAINS
from mnncompat.graph.view import GraphView
from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use
from mnncompat.inference.domain_rules import RULES
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN, ML_DOMAIN
from mnncompat.inference.shape_propagation import Shape
from mnncompat.inference.state_domains import named_state

_DOMAINS = (*ONNX_DOMAINS, CONTRIB_DOMAIN, ML_DOMAIN)
UNKNOWN_HIGH = 9
"""Largest of whole numbers that nothing bounds, counted from the least."""
_WHOLE = (Kind.IDS, Kind.LENGTH, Kind.COUNT, Kind.SIZE)
_BYTES: Mapping[int, tuple[int, int]] = {TensorProto.INT8: (-128, 127), TensorProto.UINT8: (0, 255)}
_OF_INTEGERS = (Kind.PIXELS, Kind.TIMESTEP)
"""Kinds of floating-point numbers that whole ones may be of, too."""
_OF_FLOATS = (*_OF_INTEGERS, Kind.PROBABILITY, Kind.STATE, Kind.BOUNDED)
_READ = Claim(Kind.NUMBERS, -inf, inf, "")
"""A node reads the values as numbers, and says nothing more."""
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The values of one input.

    Attributes:
        kind: What they are.
        low: Least value; -inf for no bound.
        high: Largest value; inf for no bound.
        values: Values that the graph treats in different ways: at least one element should have each.
        reasons: What says so, in words, such as ``Gather of word [500, 16]``; empty if nothing does.
        is_clipped: The graph cuts the values at the bounds, so that values beyond them are allowed.
        step: Of floating-point ids that the graph multiplies: the distance of one to the next.
    """

    kind: Kind
    low: float = -inf
    high: float = inf
    values: tuple[float, ...] = ()
    reasons: tuple[str, ...] = ()
    is_clipped: bool = False
    step: float = 1.0


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
            claims = [*_claims(uses, value.name, shapes, sizes), *named_state(view.graph, value)]
            found[value.name] = _joined(claims, value.type.tensor_type.elem_type)
    return found


class _Uses:
    """Who reads a value, in the main graph and in the graphs that its nodes hold."""

    def __init__(self, view: GraphView) -> None:
        self.readers: dict[str, list[tuple[GraphView, int, int]]] = {}
        self.handed_out: set[str] = set()
        for graph in view.scope.graphs():
            if graph.is_function:
                continue
            self.handed_out.update(graph.output_names)
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
        if use.value in uses.handed_out:
            yield _READ
        for view, index, position in uses.readers.get(use.value, ()):
            node = view.nodes[index]
            rule = RULES.get(node.op_type) if node.domain in _DOMAINS else None
            if rule is None:
                if node.op_type not in SIZES:
                    yield _READ
                continue
            told = list(rule(Reading(view, node, position, use, shapes, sizes)))
            pending += [each for each in told if isinstance(each, Use)]
            yield from (each for each in told if isinstance(each, Claim))
            if not told:
                yield _READ


def _joined(claims: Sequence[Claim], element: int) -> Domain:
    """What all claims leave: a kind, and the narrowest bounds of the claims of that kind.

    Args:
        claims: What the nodes ask.
        element: Declared element type (`onnx.TensorProto.DataType`).
    """
    is_float = element in _FLOATS
    if is_float and any(claim is _READ or claim.kind is Kind.PROBABILITY for claim in claims):
        claims = [claim for claim in claims if not claim.is_weak]
    kind = _kind(claims, element)
    told = [claim.values if is_float else claim.exact or claim.values for claim in claims]
    values = tuple(dict.fromkeys(value for each in told for value in each))
    named = [claim for claim in claims if claim.kind is kind or (kind in _WHOLE and claim.kind in _WHOLE)]
    clips = [claim for claim in claims if claim.kind is Kind.BOUNDED and claim.reason.startswith("Clip")]
    if kind is Kind.MASK:
        return Domain(kind=kind, low=0, high=1, reasons=_reasons(named))
    step = min((claim.step for claim in named), default=1.0)
    if kind is Kind.IDS and is_float and step < 1:
        low, high = _bounds(named)
        return Domain(kind=kind, low=low, high=max(high, low), reasons=_reasons(named), step=step)
    if kind in _WHOLE:
        is_clipped = bool(clips) and all(claim.is_clipped for claim in named)
        return _whole(kind, [*named, *clips] if is_clipped else named, values, is_clipped=is_clipped)
    thresholds = [claim for claim in claims if claim.kind is Kind.THRESHOLD]
    bounds = [claim for claim in claims if claim.kind is Kind.BOUNDED]
    if kind is Kind.INTEGERS:
        return _integers(bounds, thresholds, element, values, is_clipped=len(clips) == len(bounds) > 0)
    if kind is Kind.PROBABILITY:
        named += bounds
    reasons = _reasons([*named, *thresholds])
    low, high = _bounds(named)
    is_clipped = kind is Kind.BOUNDED and len(clips) == len(named)
    return Domain(kind=kind, low=low, high=max(high, low), values=values, reasons=reasons, is_clipped=is_clipped)


def _bounds(claims: Sequence[Claim]) -> tuple[float, float]:
    return max((claim.low for claim in claims), default=-inf), min((claim.high for claim in claims), default=inf)


def _whole(kind: Kind, claims: Sequence[Claim], values: tuple[float, ...], *, is_clipped: bool) -> Domain:
    """Whole numbers that select, count or size."""
    low, high = _bounds(claims)
    low = float(max(ceil(low), 0) if low <= high else ceil(low))
    high = max(float(floor(high)), low)
    return Domain(kind=kind, low=low, high=high, values=values, reasons=_reasons(claims), is_clipped=is_clipped)


def _integers(
    bounds: Sequence[Claim],
    thresholds: Sequence[Claim],
    element: int,
    values: tuple[float, ...],
    *,
    is_clipped: bool,
) -> Domain:
    """Whole numbers of which little is known: their type, what cuts them, what they are compared with."""
    least, most = _BYTES.get(element, (0, max([UNKNOWN_HIGH, *(ceil(value) + 1 for value in values)])))
    low, high = _bounds(bounds)
    low = least if isinf(low) else max(ceil(low), least)
    high = max(most if isinf(high) else min(floor(high), most) if element in _BYTES else floor(high), low)
    reasons = _reasons([*bounds, *thresholds])
    return Domain(kind=Kind.INTEGERS, low=low, high=high, values=values, reasons=reasons, is_clipped=is_clipped)


def _kind(claims: Sequence[Claim], element: int) -> Kind:
    found = {claim.kind for claim in claims}
    for kind in (*_WHOLE, Kind.MASK):
        if kind in found:
            return kind
    if element == TensorProto.BOOL:
        return Kind.MASK
    if element in _FLOATS:
        return next((kind for kind in _OF_FLOATS if kind in found), Kind.NUMBERS)
    return next((kind for kind in _OF_INTEGERS if kind in found and element not in _BYTES), Kind.INTEGERS)


def _reasons(claims: Sequence[Claim]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(claim.reason for claim in claims if claim.reason))
