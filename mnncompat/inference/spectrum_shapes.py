"""How Fourier transforms change shapes."""

from __future__ import annotations

from onnx import NodeProto

from mnncompat.inference.reshaping_shapes import Function
from mnncompat.inference.shape_propagation import Propagation, Shape
from mnncompat.inference.size_expression import Size

_PARTS = Size(2)
"""The real and the imaginary part, along the last axis."""


def _stft(run: Propagation, node: NodeProto) -> list[Shape | None]:
    """Frames of a signal [batch, samples] or [batch, samples, 1 or 2]; ONNX pads nothing."""
    shape, step = run.shape(node.input[0]), run.integers(node.input[1])
    length = _length(run, node)
    if shape is None or len(shape) < len(("batch", "samples")):
        return [None]
    frames = None
    if length is not None and shape[1] is not None:
        run.require("at-least", shape[1], length, shape)
        frames = (shape[1] - length) // step[0] + 1 if step and step[0] > 0 else None
    return [(shape[0], frames, _bins(run, node, length, onesided=1), _PARTS)]


def _length(run: Propagation, node: NodeProto) -> Size | None:
    """Samples of a frame: stated, or as many as the window has."""
    given = [name for name in node.input[3:4] if name]
    if given:
        value = run.value(given[0])
        return value[0] if value else None
    window = run.shape(node.input[2]) if len(node.input) > len(("signal", "step")) and node.input[2] else None
    return window[0] if window else None


def _dft(run: Propagation, node: NodeProto) -> list[Shape | None]:
    """A transform along an axis, which is operand 2 since opset 20 and an attribute before."""
    shape = run.shape(node.input[0])
    if shape is None:
        return [None]
    axes = run.integers(node.input[2]) if len(node.input) > len(("x", "length")) else None
    axis = axes[0] if axes else run.attribute(node, "axis", -2 if run.view.opset >= _AXIS_IS_OPERAND else 1)
    if not -len(shape) <= axis < len(shape):
        return [None]
    axis %= len(shape)
    value = run.value(node.input[1]) if len(node.input) > 1 and node.input[1] else None
    length = value[0] if value else shape[axis] if len(node.input) < len(("x", "length")) or not node.input[1] else None
    sizes = [*shape[:-1], _PARTS]
    sizes[axis] = _bins(run, node, length, onesided=0)
    return [tuple(sizes)]


_AXIS_IS_OPERAND = 20


def _bins(run: Propagation, node: NodeProto, length: Size | None, *, onesided: int) -> Size | None:
    if length is None or not run.attribute(node, "onesided", onesided):
        return length
    return length // 2 + 1


SPECTRA: dict[str, Function] = {"DFT": _dft, "STFT": _stft}
