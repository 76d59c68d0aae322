"""What earlier runs of a model left, and what says so; see `mnncompat.inference.domain_rules`.

A state is what a recurrent layer begins with, or what new steps are appended to and is handed out again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import inf

from onnx import GraphProto, ValueInfoProto

from mnncompat.graph.protos import attribute, dims_of
from mnncompat.graph.view import GraphView
from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use

Found = Iterator[Use | Claim]

_LENGTHS = 4
"""Operand of a recurrent layer that says how many steps count."""
_STATES: Mapping[str, tuple[int, ...]] = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}
"""Operands that hold what earlier steps left."""
_HANDED_ON = frozenset(("Cast", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"))
_NAMED = re.compile(r"(^|[^a-z])(states?|hidden|cells?|caches?|past|memory)([^a-z]|$|n$|in$|out$)", re.IGNORECASE)


def recurrent(reading: Reading) -> Found:
    """Lengths, and what the layer begins with."""
    node = reading.node
    if reading.position in _STATES.get(node.op_type, ()):
        yield from reading.claim(Kind.STATE, -inf, inf, f"what {node.op_type} begins with")
    elif reading.position == _LENGTHS:
        shape = reading.shape(node.input[0])
        steps = shape[1 if attribute(node, "layout", 0) else 0] if shape else None
        if steps:
            yield from reading.claim(Kind.LENGTH, 1, steps, f"lengths of {node.op_type} over {steps} steps")


def concat(reading: Reading) -> Found:
    """A cache: new steps are appended to it, and it is handed out."""
    node = reading.node
    has_new = any(reading.constant(place) is None for place in range(1, len(node.input)))
    if reading.position == 0 and has_new and _is_handed_out(reading.view, node.output[0]):
        yield from reading.claim(Kind.STATE, -inf, inf, f"Concat of {reading.use.value} and what is new, handed out")
    yield from reading.passed()


def scan(reading: Reading) -> Found:
    """States of a Scan, and what is carried into its body."""
    body = attribute(reading.node, "body")
    scanned = int(attribute(reading.node, "num_scan_inputs", 0))
    if reading.position < len(reading.node.input) - scanned:
        yield from reading.claim(Kind.STATE, -inf, inf, "what Scan begins with")
    if body is not None and reading.position < len(body.input):
        yield reading.use._replace(value=body.input[reading.position].name)


def _is_handed_out(view: GraphView, name: str) -> bool:
    """Whether a value is an output of its graph, as it is or in part."""
    pending, seen = [name], set[str]()
    while pending:
        value = pending.pop()
        if value in view.outputs:
            return True
        seen.add(value)
        for index in view.consumers.get(value, ()):
            node = view.nodes[index]
            if node.op_type in _HANDED_ON and node.input[0] == value:
                pending.extend(each for each in node.output if each and each not in seen)
    return False


def named_state(graph: GraphProto, value: ValueInfoProto) -> Iterator[Claim]:
    """An input that is called a state, where an output has its type and shape."""
    shape, element = dims_of(value), value.type.tensor_type.elem_type
    if not shape or not _NAMED.search(value.name):
        return
    for other in graph.output:
        dims = dims_of(other)
        if dims is not None and other.type.tensor_type.elem_type == element and _alike(shape, dims):
            yield Claim(Kind.STATE, -inf, inf, f"called a state, and {other.name} has its shape")
            return


def _alike(one: tuple[int | str | None, ...], two: tuple[int | str | None, ...]) -> bool:
    """The same rank, and no two numbers that differ."""
    pairs = zip(one, two, strict=False)
    return len(one) == len(two) and all(a == b or not isinstance(a, int) or not isinstance(b, int) for a, b in pairs)
