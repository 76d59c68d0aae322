"""Operators that cut, join and pad: Slice, Split, Concat, Pad, Trilu, ReverseSequence, CenterCropPad."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import ANYTHING, Sample

Shape = tuple[int, ...]
_OPERANDS_OF_SLICE = 10
_OPERANDS_OF_SPLIT = 13
_OPERANDS_OF_PAD = 11
_FAR = 2**63 - 1
_FAR_32 = 2**31 - 1


@generator("Slice", weight=110, precision=Precision.EXACT)
def cut(sample: Sample) -> None:
    """One axis mostly; negative bounds, open ends (2^31-1, 2^63-1), steps, reversal; axes and steps left out."""
    shape = sample.shape(1, 5, least=2)
    x = sample.input(sample.normal(shape, sample.dtype(ANYTHING)), "data")
    operands = sample.version >= _OPERANDS_OF_SLICE
    axes = sample.axes(len(shape), 2, negative=0.25 if operands else 0.0)
    no_axes = sample.chance(0.1)
    if no_axes:
        axes = list(range(len(axes)))
    steps = [sample.weighted({1: 7.0, 2: 2.0, -1: 0.8, 3: 0.3}) if operands else 1 for _ in axes]
    fed = sample.chance(0.08)
    bounds = [_bounds(sample, shape[axis], step, plain=fed) for axis, step in zip(axes, steps, strict=True)]
    starts, ends = [start for start, _ in bounds], [end for _, end in bounds]
    if not operands:
        sample.emit(x, starts=starts, ends=ends, axes=None if no_axes else axes)
        return
    kind = np.int64 if sample.chance(0.9) else np.int32
    far = np.iinfo(kind).max
    inputs = [
        sample.operand(np.clip(items, -far, far).astype(kind), stem, constant=0.0 if fed else 1.0)
        for items, stem in ((starts, "starts"), (ends, "ends"))
    ]
    stepped = any(step != 1 for step in steps) or sample.chance(0.5)
    if not no_axes:
        inputs.append(sample.constant(np.array(axes, kind), "axes"))
    elif stepped:
        inputs.append("")
    if stepped:
        inputs.append(sample.constant(np.array(steps, kind), "steps"))
    sample.emit(x, *inputs)


def _bounds(sample: Sample, size: int, step: int, *, plain: bool) -> tuple[int, int]:
    start = sample.integer(0, size - 1)
    if step < 0:
        return sample.pick((size - 1, -1)), -(size + 1) if plain else sample.pick((-_FAR, -(size + 1)))
    end = sample.integer(start + 1, size)
    if plain:
        return start, end
    form = sample.weighted({"plain": 5.0, "open": 3.0, "negative end": 1.5, "negative start": 1.5})
    if form == "open":
        return start, sample.pick((_FAR, _FAR_32, size, _FAR))
    if form == "negative end" and end < size:
        return start, end - size
    if form == "negative start":
        return start - size, _FAR
    return start, end


@generator("Split", weight=80, precision=Precision.EXACT)
def split(sample: Sample) -> None:
    """Equal parts (sizes left out) or given sizes; as an attribute, as an operand, by `num_outputs`."""
    parts = sample.weighted({2: 6.0, 3: 2.5, 4: 1.0, 1: 0.3})
    shape = list(sample.shape(1, 4))
    axis = sample.axis(len(shape), negative=0.35 if sample.opset >= 11 else 0.0)  # noqa: PLR2004 - negative axes since 11
    uneven = sample.chance(0.4)
    sizes = [sample.integer(1, 4) for _ in range(parts)] if uneven else [sample.integer(1, 5)] * parts
    shape[axis] = sum(sizes)
    inputs = [sample.input(sample.normal(shape, sample.dtype(ANYTHING)))]
    stated = uneven or sample.chance(0.5)
    attributes: dict[str, Any] = {}
    if sample.version < _OPERANDS_OF_SPLIT:
        attributes["split"] = sizes if stated else None
    elif stated:
        inputs.append(sample.integers(sizes, "split"))
    elif sample.version >= 18:  # noqa: PLR2004 - num_outputs since 18, required without sizes
        attributes["num_outputs"] = parts
    if axis != 0 or sample.chance(0.5):
        attributes["axis"] = axis
    names = sample.emit(*inputs, outputs=parts, **attributes)
    if parts > 1 and sample.chance(0.1):
        sample.outputs(names[:1])


@generator("Concat", weight=60, precision=Precision.EXACT)
def concat(sample: Sample) -> None:
    """Two to four operands, different sizes along the axis, a constant among them now and then."""
    shape = sample.shape(1, 5)
    axis = sample.axis(len(shape), negative=0.4 if sample.opset >= 11 else 0.0)  # noqa: PLR2004 - negative axes since 11
    dtype = sample.dtype(ANYTHING)
    inputs: list[str] = []
    for _ in range(sample.weighted({2: 6.0, 3: 2.0, 4: 1.0, 1: 0.3})):
        dims = list(shape)
        dims[axis] = sample.dim(1, 8) if sample.chance(0.5) else shape[axis]
        inputs.append(sample.operand(sample.normal(dims, dtype), constant=0.2 if inputs else 0.1))
    if not sample.feeds:
        sample.resample()
    sample.emit(*inputs, axis=axis)


@generator("Pad", weight=80, precision=Precision.EXACT)
def pad(sample: Sample) -> None:
    """Images padded by constants or mirrored; pads as attribute or operand, a value or none, axes or none."""
    shape = sample.shape(1, 5, least=3)
    mode = sample.weighted({None: 3.0, "constant": 4.0, "reflect": 2.0, "edge": 1.5, "wrap": 0.3})
    if mode == "wrap" and sample.version < 19:  # noqa: PLR2004 - wrap since 19
        mode = "reflect"
    dtype = sample.dtype({"float32": 85.0, "float16": 7.0, "int64": 4.0, "int32": 3.0, "float64": 1.0})
    x = sample.input(sample.normal(shape, dtype), "data")
    spatial = max(len(shape) - 2, 1) if sample.chance(0.75) else len(shape)
    axes = list(range(len(shape) - spatial, len(shape)))
    amounts = [0 if shape[axis] < 3 else sample.weighted({0: 2.0, 1: 5.0, 2: 2.0}) for axis in axes * 2]  # noqa: PLR2004
    fed = sample.chance(0.07)
    if mode in {None, "constant"} and not fed and sample.chance(0.06):
        amounts[sample.integer(0, len(amounts) - 1)] = -1
    full = [0] * (2 * len(shape))
    for index, axis in enumerate(axes):
        full[axis], full[axis + len(shape)] = amounts[index], amounts[index + len(axes)]
    value = sample.pick((None, 0.0, 0.0, 1.0, -2.0)) if mode in {None, "constant"} else None
    if sample.version < _OPERANDS_OF_PAD:
        sample.emit(x, mode=mode, pads=full, value=value)
        return
    by_axes = sample.version >= 18 and sample.chance(0.2)  # noqa: PLR2004 - axes since 18
    inputs = [x, sample.integers(amounts if by_axes else full, "pads", constant=0.0 if fed else 1.0)]
    if value is not None:
        inputs.append(sample.operand(np.array(value, dtype), "constant_value", constant=0.95))
    elif by_axes or sample.chance(0.2):
        inputs.append("")
    if by_axes:
        inputs.append(sample.integers([axis - len(shape) for axis in axes] if sample.chance(0.4) else axes, "axes"))
    sample.emit(*inputs, mode=mode)


@generator("Trilu", weight=26, precision=Precision.EXACT)
def trilu(sample: Sample) -> None:
    """Causal masks: upper or lower, diagonal left out or given."""
    shape = sample.shape(2, 4)
    dtype = sample.dtype({"float32": 7.0, "int64": 1.5, "bool": 1.0, "float16": 1.0, "int32": 0.5})
    inputs = [sample.input(sample.normal(shape, dtype))]
    if sample.chance(0.6):
        inputs.append(sample.operand(np.array(sample.pick((0, 1, 1, -1, 2))), "k", constant=0.92))
    sample.emit(*inputs, **sample.attributes(upper=(0, 1, 0)))


@generator("ReverseSequence", weight=12, precision=Precision.EXACT)
def reverse_sequence(sample: Sample) -> None:
    """Time first by default; lengths constant or fed."""
    time, batch = sample.dim(2, 8), sample.integer(1, 4)
    time_first = sample.chance(0.6)
    features = (sample.dim(),) if sample.chance(0.6) else ()
    shape = (time, batch, *features) if time_first else (batch, time, *features)
    x = sample.input(sample.normal(shape, sample.dtype({"float32": 8.0, "int64": 1.0, "float16": 1.0})))
    lengths = sample.operand(sample.uniform((batch,), 1, time, "int64"), "sequence_lens", constant=0.5)
    attributes = {"batch_axis": 1, "time_axis": 0} if time_first else {"batch_axis": 0, "time_axis": 1}
    sample.emit(x, lengths, **(attributes if not time_first or sample.chance(0.6) else {}))


@generator("CenterCropPad", weight=4, precision=Precision.EXACT)
def center_crop_pad(sample: Sample) -> None:
    """Images cropped or padded around the centre."""
    shape = sample.shape(3, 4, least=2)
    axes = sample.axes(len(shape), 2, negative=0.3)
    sizes = sample.integers([sample.dim(2, 8) for _ in axes], "shape")
    sample.emit(sample.input(sample.normal(shape, sample.dtype())), sizes, axes=axes)
