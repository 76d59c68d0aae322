"""Classes that something clips in every draw: had MNN computed them wrongly, no draw would show it.

A rectifier that is 0 for one class of ten on all inputs shows nothing of that class's weights, while a fault in the
operator as a whole moves the other nine. Where what is clipped can be compared as well (`flattened`), the class is
proven all the same. MNN's converter mostly merges a rectifier into the convolution before it; then nothing else
remains but other inputs, and to say so.

Classes are the indices along the first axis behind the batch and, but for images, along the last axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnncompat.errors import ModelError
from mnncompat.graph.protos import is_onnx
from mnncompat.parity.metrics import allowance
from mnncompat.parity.power.faulty_model import inlined
from mnncompat.parity.power.saturation import CLIPPING, HANDED_ON, Saturating, Steep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from onnx import ModelProto, NodeProto

    from mnncompat.parity.power.flattened import Flattened
    from mnncompat.results.parity_report import Tolerance

    Outputs = Mapping[str, np.ndarray]

_POOLS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMax", "ReduceMean", "ReduceSum")
_JOINED = ("Concat", "Dropout")
_MOST_NUMBERS = 5
_IMAGE_RANK = 4
_STEEP = 0.01
"""Slope of a function from which on a class counts as alive."""
_STILL = 0.01
"""Share of what is allowed by which a class may move that counts as clipped."""
_FEWEST = 4
"""Numbers of a class from which on it is known to have two values only."""


class FlatClasses(NamedTuple):
    """Classes of an output that are clipped in every draw.

    Attributes:
        output: Its name.
        axis: Along which they are.
        indices: Of the classes.
        size: Number of all classes.
    """

    output: str
    axis: int
    indices: tuple[int, ...]
    size: int

    @property
    def label(self) -> str:
        """``class 3 of output 'y'``."""
        numbers = ", ".join(map(str, self.indices[:_MOST_NUMBERS]))
        left = len(self.indices) - _MOST_NUMBERS
        more = f" and {left} more" if left > 0 else ""
        noun = "class" if len(self.indices) == 1 else "classes"
        return f"{noun} {numbers}{more} of output '{self.output}' (clipped in every draw)"


def flat_classes(
    expected: Sequence[Outputs], draws: Sequence[str], tolerances: Mapping[str, Tolerance], without: Collection[object]
) -> list[FlatClasses]:
    """Find them; an output that is clipped as a whole has none: it is dead, and so are the operators before it.

    Args:
        expected: For each draw, what the reference computed.
        draws: Names of the draws.
        tolerances: Of the outputs that count.
        without: Pairs of draws and outputs that do not count.
    """
    found = []
    for name, tolerance in tolerances.items():
        values = [each[name] for each, draw in zip(expected, draws, strict=True) if (draw, name) not in without]
        values = [each for each in values if each.size and each.ndim == values[0].ndim]
        if values and values[0].dtype.kind == "f" and values[0].ndim > 1:
            found += list(_flat(name, values, tolerance))
    return found


def _flat(name: str, values: Sequence[np.ndarray], tolerance: Tolerance) -> Iterator[FlatClasses]:
    ends = min(float(each.min()) for each in values), max(float(each.max()) for each in values)
    for axis in (1,) if values[0].ndim >= _IMAGE_RANK else dict.fromkeys((1, values[0].ndim - 1)):
        size = values[0].shape[axis]
        same = [each for each in values if each.shape[axis] == size]
        if size == 1 or sum(each.size for each in same) < _FEWEST * size:
            continue
        others = tuple(each for each in range(values[0].ndim) if each != axis)
        low = np.min([each.min(axis=others) for each in same], axis=0)
        high = np.max([each.max(axis=others) for each in same], axis=0)
        still = np.ones(size, bool)
        for value in same:
            still &= _is_flat(value, others, (low, high), ends, tolerance)
            if not still.any():
                break
        if still.any() and not still.all():
            yield FlatClasses(name, axis, tuple(np.flatnonzero(still).tolist()), size)


def _is_flat(
    value: np.ndarray,
    others: tuple[int, ...],
    bounds: tuple[np.ndarray, np.ndarray],
    ends: tuple[float, float],
    tolerance: Tolerance,
) -> np.ndarray:
    """Whether each class has one number only, or two that are the ends of the output's range.

    Args:
        value: The output in one draw.
        others: The axes but that of the classes.
        bounds: The smallest and the largest number of each class in all draws.
        ends: Those of the output.
        tolerance: Of the output.
    """
    exact = value.astype(np.float64)
    near = _STILL * allowance(np.where(np.isfinite(exact), exact, 0), tolerance)
    low, high = (np.expand_dims(each.astype(np.float64), others) for each in bounds)
    with np.errstate(invalid="ignore"):
        is_end = np.minimum(exact - low, high - exact) <= near
        is_cut = (high - low <= near) | ((low - ends[0] <= near) & (ends[1] - high <= near))
    return np.asarray((is_end & is_cut).all(axis=others))


def clipped_outputs(model: ModelProto, names: Collection[str]) -> frozenset[str]:
    """Those of some outputs before which a function is flat somewhere, looking through pools and what hands it on.

    Args:
        model: The model; its weights need not be loaded.
        names: Outputs.
    """
    try:
        nodes = inlined(model).graph.node
    except ModelError:  # functions that ONNX cannot write where they are called: they are not looked into
        nodes = model.graph.node
    producers = {name: node for node in nodes if node.op_type != "Constant" for name in node.output}
    return frozenset(name for name in names if _is_clipped(producers, name))


def _is_clipped(producers: Mapping[str, NodeProto], output: str) -> bool:
    pending, seen = [output], {output}
    while pending:
        node = producers.get(pending.pop())
        if node is None or not is_onnx(node):
            continue
        if node.op_type in CLIPPING:
            return True
        computed = [name for name in node.input if name in producers]
        joins = node.op_type in _JOINED or (len(computed) == 1 and node.op_type in (*HANDED_ON, *_POOLS))
        pending += [name for name in computed if joins and name not in seen]
        seen.update(computed)
    return False


def unproven(found: Sequence[FlatClasses], compared: Sequence[Flattened]) -> list[FlatClasses]:
    """Without the classes that are compared before the function.

    Args:
        found: The classes.
        compared: What is compared there. Where it has another shape than the output, its slices are other ones.
    """
    slices = {each.output: each.slices for each in compared}
    left = []
    for each in found:
        known = slices.get(each.output)
        if known is None:
            left.append(each)
        elif each.axis in known:
            indices = tuple(index for index in each.indices if index not in known[each.axis])
            left += [each._replace(indices=indices)] if indices else []
    return left


def goal_of(classes: FlatClasses, goal: Saturating | None, outputs: Outputs) -> Saturating | None:
    """What a search for inputs on which the classes move aims at: an element of each that is not flat.

    Args:
        classes: They are clipped in every draw.
        goal: Where their output is flattened, if that is known.
        outputs: Of a draw.
    """
    if goal is None or goal.slope is None or goal.function not in CLIPPING:
        return None
    shape = outputs[classes.output].shape
    slope, steep = goal.slope, goal.steep

    def taken(value: np.ndarray) -> list[np.ndarray]:
        own = value if value.ndim == len(shape) else value.reshape(shape)
        return [np.take(own.astype(np.float64), index, classes.axis) for index in classes.indices]

    def distance(value: np.ndarray) -> float:
        dead = [each for each in taken(value) if not (slope(each)[1] > _STEEP).any()]
        return 1 + len(dead) + sum(map(steep.distance, dead)) if dead else 0.0

    return goal._replace(steep=Steep(distance, lambda value: steep.side(np.stack(taken(value)))))
