"""Which axes a Resize or an Upsample changes, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.resize.resampling import Numbers, Resized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.graph.protos import Dim
    from mnncompat.support.node_facts import NodeFacts

_ROI, _SCALES, _SIZES = 1, 2, 3
_MOST = 1 << 24
"""Elements along an axis; float32 tells positions beyond it no longer apart."""


def resized_axes(node: NodeFacts, new: SubgraphBuilder) -> list[Resized]:
    """The axes that a node resizes, in order.

    Raises:
        NotApplicable: A size is dynamic, or the size of the result is not known.
    """
    rank = new.input(0).rank
    axes = [axis % rank for axis in node.attribute("axes") or range(rank)]
    shape = new.known_shape(node.node.output[0])
    scales, sizes = _scales(node, new, len(axes)), _sizes(new, axes, shape)
    if scales is None:
        if sizes is None:
            raise NotApplicable("neither scales nor sizes are known")
        scales = _scales_of_sizes(node, new, axes, sizes)
    found = []
    for position, axis in enumerate(axes):
        scale, begin, end = scales[position], _roi(node, new, position), _roi(node, new, position + len(axes))
        if not isinstance(scale, Value) and not 0 < float(scale[0]) < np.inf:
            raise NotApplicable(f"axis {axis} is scaled by {float(scale[0]):g}")
        if _is_unscaled(node, new, axis, scale, shape):
            continue
        size = new.input(0).dim(axis)
        result = _result(axis, size, scale, shape)
        if not 0 < result <= _MOST:
            raise NotApplicable(f"axis {axis} of the result would have {result} elements")
        if (size, result) != (1, 1):
            found.append(Resized(axis=axis, size=size, result=result, scale=scale, start=begin, stop=end))
    return found


def amounts_of(node: NodeFacts, new: SubgraphBuilder, count: int) -> tuple[list[Numbers] | None, list[Numbers] | None]:
    """Scales and sizes of each axis as float32 of shape (1,), as far as the node states them."""
    scales = _scales(node, new, count)
    return scales, _elements(new, _SIZES, count) if scales is None and new.has(_SIZES) else None


def _is_unscaled(node: NodeFacts, new: SubgraphBuilder, axis: int, scale: Numbers, shape: Sequence[Dim] | None) -> bool:
    """Scaled by 1: the axis is not changed, whatever its size."""
    if isinstance(scale, Value) or float(scale[0]) != 1:
        return False
    if node.attribute("coordinate_transformation_mode") == "tf_crop_and_resize":
        dim = new.input(0).dims[axis]
        return dim == 1 and (shape is None or shape[axis] == 1)
    return True


def _result(axis: int, size: int, scale: Numbers, shape: Sequence[Dim] | None) -> int:
    stated = None if shape is None else shape[axis]
    if isinstance(stated, int):
        return stated
    if isinstance(scale, Value):
        raise NotApplicable(
            f"the scale of axis {axis} is computed at run time, and the size of the result is not known"
        )
    return int(np.float32(size) * np.float32(scale[0]))


def _scales(node: NodeFacts, new: SubgraphBuilder, count: int) -> list[Numbers] | None:
    """Each axis' scale, as stated; None if sizes are stated."""
    stated = node.attribute("scales")
    if stated:
        return [np.asarray([each], np.float32) for each in stated]
    position = 1 if node.node.op_type == "Upsample" or len(node.node.input) < _SCALES + 1 else _SCALES
    return _elements(new, position, count) if new.has(position) else None


def _elements(new: SubgraphBuilder, position: int, count: int) -> list[Numbers] | None:
    """The elements of an input as numbers, or as nodes that pick them; None if it is empty."""
    value = new.input(position)
    if value.shape is not None and len(value.shape) != 1:
        raise NotApplicable(
            f"operand {position} has the shape {list(value.shape)}, and states one number for each axis"
        )
    array = value.constant
    if array is not None:
        flat = array.astype(np.float32).reshape(-1)
        return [flat[index : index + 1] for index in range(count)] if len(flat) == count else None
    if value.dims == (0,):
        return None
    value = new.cast(value, TensorProto.FLOAT)
    return [new.slice(value, [index], [index + 1], [0]) for index in range(count)]


def _sizes(new: SubgraphBuilder, axes: Sequence[int], shape: Sequence[Dim] | None) -> list[Numbers] | None:
    """Each axis' size as float32, as stated, or as the model states it for the result."""
    if not new.has(_SIZES):
        return None
    stated = new.node.attribute("keep_aspect_ratio_policy") or "stretch"
    if new.input(_SIZES).constant is None and stated == "stretch" and shape is not None:
        found = [shape[axis] for axis in axes]
        if all(isinstance(dim, int) for dim in found):
            return [np.asarray([dim], np.float32) for dim in found]
    return _elements(new, _SIZES, len(axes))


def _scales_of_sizes(
    node: NodeFacts, new: SubgraphBuilder, axes: Sequence[int], sizes: Sequence[Numbers]
) -> list[Numbers]:
    dims = new.input(0).dims
    policy = node.attribute("keep_aspect_ratio_policy") or "stretch"
    if policy == "stretch":
        return [_ratio(new, axis, dims[axis], size) for axis, size in zip(axes, sizes, strict=True)]
    ratios = [_ratio(new, axis, new.input(0).dim(axis), size) for axis, size in zip(axes, sizes, strict=True)]
    numbers = [ratio for ratio in ratios if not isinstance(ratio, Value)]
    if len(numbers) == len(ratios):
        extreme = min if policy == "not_larger" else max
        return [np.asarray([extreme(float(ratio[0]) for ratio in numbers)], np.float32)] * len(axes)
    joined = new.concat([ratio if isinstance(ratio, Value) else new.constant(ratio) for ratio in ratios], 0)
    return [new.reduce("ReduceMin" if policy == "not_larger" else "ReduceMax", joined, [0])] * len(axes)


def _ratio(new: SubgraphBuilder, axis: int, dim: Dim, size: Numbers) -> Numbers:
    if not isinstance(dim, int):
        raise NotApplicable(f"dimension {axis} of '{new.input(0).name}' is dynamic, and sizes are stated")
    return size / np.float32(dim) if isinstance(size, np.ndarray) else size / np.asarray([dim], np.float32)


def _roi(node: NodeFacts, new: SubgraphBuilder, index: int) -> Numbers:
    """A bound of the cut-out, as stated; that of the whole axis if none is stated."""
    count = 2 * len(node.attribute("axes") or new.input(0).dims)
    crops = node.attribute("coordinate_transformation_mode") == "tf_crop_and_resize"
    found = _elements(new, _ROI, count) if crops and new.has(_ROI) else None
    return np.asarray([0.0 if index < count // 2 else 1.0], np.float32) if found is None else found[index]
