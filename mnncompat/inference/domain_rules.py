"""What each operator says about the values that it is given; see `mnncompat.inference.input_domains`.

A rule gets a `Reading`: a node that reads ``scale * input + offset`` at one position. It yields a `Claim` about the
input for what the node asks, and a `Use` for each value of that form that the node hands on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf

from onnx import TensorProto

from mnncompat.graph.protos import attribute
from mnncompat.inference.attention_domains import ATTENTION_DOMAINS, counts_keys
from mnncompat.inference.bound_domains import activation, clip, compare, extremum
from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use
from mnncompat.inference.function_domains import FUNCTION_DOMAINS
from mnncompat.inference.mean_domains import weights_of_mean
from mnncompat.inference.state_domains import concat, recurrent, scan
from mnncompat.inference.table_domains import TABLE_DOMAINS

Found = Iterator[Use | Claim]
Rule = Callable[[Reading], Found]

_LARGE = 1e3
"""A summand beyond it takes an element out of a softmax."""
_ADDED = frozenset(
    ("Add", "Cast", "Concat", "Expand", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
)
"""What reads a mask before it takes part in a softmax."""
_MOST_SIZE, _MOST_COUNT = 4, 4
_MOST_DIVISOR = 100_000
"""Larger ones are those of hashes."""
_BYTE = 255.0
_BYTE_DIVISORS = (255.0, 256.0, 127.5, 128.0)
_MEANS = (30.0, 225.0)
"""Means of the channels of images whose values go to 255."""


def _pass(reading: Reading) -> Found:
    if reading.position == 0:
        yield from reading.passed()


def _split(reading: Reading) -> Found:
    if reading.position == 0:
        yield from (use for place in range(len(reading.node.output)) for use in reading.passed(place))


def _cast(reading: Reading) -> Found:
    if attribute(reading.node, "to") == TensorProto.BOOL:
        yield from reading.claim(Kind.MASK, 0, 1, "cast to bool")
    yield from reading.passed()


def _arithmetic(reading: Reading) -> Found:
    """A constant that is added, subtracted, multiplied or divided by."""
    node, use = reading.node, reading.use
    other = reading.constant(1 - reading.position)
    if other is None:
        if node.op_type == "Div" and reading.position == 1:
            yield from reading.claim(Kind.BOUNDED, 0.1, inf, f"a divisor ({node.op_type} {node.name})".rstrip())
        return
    low, high = float(other.min()), float(other.max())
    changed = _changed(node.op_type, use, low, high, is_second=reading.position == 1)
    if changed is None:
        return
    yield from _pixels(reading, low, high)
    if node.op_type == "Sub" and reading.position == 1 and low == high == 1 and use.is_plain:
        yield from reading.claim(Kind.PROBABILITY, 0, 1, f"Sub from 1 ({node.output[0]})")
    yield from _hiding(reading, changed)
    yield changed._replace(value=node.output[0])


def _changed(op: str, use: Use, low: float, high: float, *, is_second: bool) -> Use | None:
    match op:
        case "Add":
            return use._replace(least=use.least + low, most=use.most + high)
        case "Sub" if is_second:
            return use._replace(scale=-use.scale, least=low - use.most, most=high - use.least)
        case "Sub":
            return use._replace(least=use.least - high, most=use.most - low)
        case "Mul":
            factor = low if low == high else (low + high) / 2
        case "Div" if not is_second and low * high > 0:
            factor = 1 / low if low == high else 2 / (low + high)
        case _:
            return None
    ends = sorted((use.least * factor, use.most * factor))
    return use._replace(scale=use.scale * factor, least=ends[0], most=ends[1])


def _hiding(reading: Reading, changed: Use) -> Iterator[Claim]:
    """``(1 - mask) * lowest``: one of 0 and 1 becomes nothing, the other a large negative number, which is added."""
    low, high = sorted((changed.most, changed.scale + changed.most))
    is_exact = changed.least == changed.most and reading.node.op_type in ("Mul", "Div")
    if is_exact and abs(high) < 1 <= _LARGE <= -low and _is_added(reading):
        yield Claim(Kind.MASK, 0, 1, f"becomes 0 or {low:.3g} ({reading.node.op_type})")


def _is_added(reading: Reading) -> bool:
    view, name = reading.view, reading.node.output[0]
    readers = {view.nodes[index].op_type for index in view.consumers.get(name, ())}
    return view.is_external_use(name) or not readers.isdisjoint(_ADDED)


def _pixels(reading: Reading, low: float, high: float) -> Iterator[Claim]:
    """The first step of a normalisation of images."""
    if not reading.use.is_plain or reading.position != 0:
        return
    op = reading.node.op_type
    if low == high and ((op == "Div" and low in _BYTE_DIVISORS) or (op == "Mul" and low and _is_byte(1 / low))):
        yield Claim(Kind.PIXELS, 0, _BYTE, f"{op} by {low:g}")
    elif op in ("Sub", "Add") and _MEANS[0] <= min(abs(low), abs(high)) <= max(abs(low), abs(high)) <= _MEANS[1]:
        yield Claim(
            Kind.PIXELS, 0, _BYTE, f"{op} of means from {min(abs(low), abs(high)):g} to {max(abs(low), abs(high)):g}"
        )


def _is_byte(number: float) -> bool:
    return any(abs(number / each - 1) < 1e-4 for each in _BYTE_DIVISORS)  # noqa: PLR2004 - stored as float32


# ---- what selects --------------------------------------------------------------------------------------------------


def _gather(reading: Reading) -> Found:
    if reading.position == 0:
        yield from reading.passed()
        return
    shape = reading.shape(reading.node.input[0])
    if shape:
        rows = shape[attribute(reading.node, "axis", 0) % len(shape)]
        if rows:
            yield from reading.claim(Kind.IDS, 0, rows - 1, reading.words(0))


def _along_axis(reading: Reading) -> Found:
    """GatherElements and ScatterElements."""
    if reading.position != 1:
        yield from reading.passed()
        return
    shape = reading.shape(reading.node.input[0])
    size = shape[attribute(reading.node, "axis", 0) % len(shape)] if shape else None
    if size:
        yield from reading.claim(Kind.IDS, 0, size - 1, reading.words(0))


def _by_index(reading: Reading) -> Found:
    """GatherND and ScatterND: the smallest axis that is indexed."""
    if reading.position == 0:
        yield from reading.passed()
    shape, indices = (reading.shape(name) for name in reading.node.input[:2])
    if reading.position != 1 or not shape or not indices or not indices[-1]:
        return
    first = attribute(reading.node, "batch_dims", 0)
    sizes = [size for size in shape[first : first + indices[-1]] if size]
    if sizes:
        yield from reading.claim(Kind.IDS, 0, min(sizes) - 1, reading.words(0))


def _one_hot(reading: Reading) -> Found:
    depth = reading.constant(1)
    if reading.position == 0 and depth is not None:
        number = int(depth.reshape(-1)[0])
        yield from reading.claim(Kind.IDS, 0, number - 1, f"OneHot of depth {number}")
    elif reading.position == 1:
        yield from reading.claim(Kind.SIZE, 1, _MOST_SIZE, "depth of a OneHot")


def _modulo(reading: Reading) -> Found:
    """Whole numbers that are wrapped around: all remainders, twice."""
    number = reading.constant(1) if reading.position == 0 else None
    if number is None or number.size != 1 or number.dtype.kind not in "iu":
        return
    divisor = int(number.reshape(-1)[0])
    if 1 < divisor <= _MOST_DIVISOR:
        yield from reading.claim(Kind.IDS, 0, 2 * divisor - 1, f"Mod by {divisor}")


# ---- masks, lengths, counts ----------------------------------------------------------------------------------------


def _where(reading: Reading) -> Found:
    if reading.position == 0:
        yield from reading.claim(Kind.MASK, 0, 1, "condition of a Where")
    else:
        yield from reading.passed()


def _logic(reading: Reading) -> Found:
    yield from reading.claim(Kind.MASK, 0, 1, f"operand of {reading.node.op_type}")


def _reverse_sequence(reading: Reading) -> Found:
    if reading.position == 0:
        yield from reading.passed()
        return
    shape = reading.shape(reading.node.input[0])
    axis = attribute(reading.node, "time_axis", 0)
    steps = shape[axis] if shape and 0 <= axis < len(shape) else None
    if steps:
        yield from reading.claim(Kind.LENGTH, 1, steps, f"lengths of ReverseSequence over {steps} steps")


def _if(reading: Reading) -> Found:
    yield from reading.claim(Kind.MASK, 0, 1, "condition of an If")


def _loop(reading: Reading) -> Found:
    """Trip count, condition, and what is carried into the body."""
    if reading.position == 0:
        yield from reading.claim(Kind.COUNT, 0, _MOST_COUNT, "trips of a Loop")
    elif reading.position == 1:
        yield from reading.claim(Kind.MASK, 0, 1, "condition of a Loop")
    else:
        body = attribute(reading.node, "body")
        if body is not None and reading.position < len(body.input):
            yield reading.use._replace(value=body.input[reading.position].name)


def _size(reading: Reading) -> Found:
    """Operands that say sizes: all but the data."""
    if reading.position == 0 and reading.node.op_type not in ("ConstantOfShape", "Range"):
        yield from reading.passed()
    else:
        yield from reading.claim(Kind.SIZE, 1, _MOST_SIZE, f"sizes of {reading.node.op_type}")


def _top_k(reading: Reading) -> Found:
    shape = reading.shape(reading.node.input[0])
    if reading.position == 0:
        yield from reading.passed()
    elif shape:
        most = shape[attribute(reading.node, "axis", -1)] or _MOST_SIZE
        yield from reading.claim(Kind.SIZE, 1, min(most, _MOST_SIZE), f"number of elements of TopK among {most}")


def _axes(reading: Reading) -> Found:
    """Axes that are computed at run time; the pads of a Pad are sizes."""
    if reading.position == 0:
        yield from reading.passed() if reading.node.op_type in ("Pad", "Squeeze", "Unsqueeze") else ()
    elif reading.node.op_type == "Pad" and reading.position == 1:
        yield from reading.claim(Kind.SIZE, 0, 1, "pads of Pad")
    elif reading.node.op_type == "Pad" and reading.position == 2:  # noqa: PLR2004 - the value
        return
    else:
        shape = reading.shape(reading.node.input[0])
        if shape:
            rank = len(shape) + (reading.node.op_type == "Unsqueeze")
            yield from reading.claim(Kind.IDS, 0, rank - 1, f"axes of {reading.node.op_type} of rank {len(shape)}")


def _sum(reading: Reading) -> Found:
    if reading.position == 0 and counts_keys(reading):
        yield from reading.claim(Kind.IDS, 1, 1, "counts the keys of GroupQueryAttention, all of them")
        return
    yield from weights_of_mean(reading)
    yield from _axes(reading)


def _write_indices(reading: Reading) -> Found:
    """TensorScatter: where the update begins, so that it fits."""
    if reading.position == 0:
        yield from reading.passed()
    cache, update = (reading.shape(name) for name in reading.node.input[:2])
    axis = attribute(reading.node, "axis", -2)
    room = None if not cache or not update else (cache[axis], update[axis])
    if reading.position == 2 and room is not None and None not in room:  # noqa: PLR2004 - cache, update, indices
        most = (room[0] or 0) - (room[1] or 0)
        yield from reading.claim(Kind.IDS, 0, max(most, 0), f"{reading.node.op_type} of {room[1]} into {room[0]}")


_WITH_AXES = ("CumSum", "Pad", "Squeeze", "Unsqueeze")
_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_PASSED = (
    *("Identity", "Reshape", "Flatten", "Transpose", "Dropout", "Floor", "Ceil", "Round"),
    *("DequantizeLinear", "DepthToSpace", "SpaceToDepth"),
)

RULES: Mapping[str, Rule] = {
    **FUNCTION_DOMAINS,
    **ATTENTION_DOMAINS,
    **TABLE_DOMAINS,
    **dict.fromkeys(_PASSED, _pass),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _arithmetic),
    **dict.fromkeys(("And", "Or", "Xor", "Not"), _logic),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), compare),
    **dict.fromkeys(("Max", "Min"), extremum),
    **dict.fromkeys(("Shrink", "ThresholdedRelu"), activation),
    **dict.fromkeys(("GatherElements", "Scatter", "ScatterElements"), _along_axis),
    **dict.fromkeys(("GatherND", "ScatterND"), _by_index),
    **dict.fromkeys((*_WITH_AXES, *(f"Reduce{kind}" for kind in _REDUCTIONS)), _axes),
    "ReduceSum": _sum,
    "TensorScatter": _write_indices,
    **dict.fromkeys(("GRU", "LSTM", "RNN"), recurrent),
    **dict.fromkeys(("ConstantOfShape", "Expand", "Range", "Resize", "Slice", "Tile"), _size),
    "Cast": _cast,
    "Clip": clip,
    "Concat": concat,
    "Gather": _gather,
    "If": _if,
    "Loop": _loop,
    "Mod": _modulo,
    "OneHot": _one_hot,
    "ReverseSequence": _reverse_sequence,
    "Scan": scan,
    "Split": _split,
    "TopK": _top_k,
    "Where": _where,
}
"""By op type; what is not here ends the way of a value."""
