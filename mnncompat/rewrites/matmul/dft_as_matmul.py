"""Fourier transforms as products with constant matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from mnncompat.inference.constant_folding import LARGEST_BYTES
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_AXIS_INPUT = 20
_COMPLEX = 2


class DftAsMatmul(NodeRewrite):
    """Write DFT as one MatMul with a constant matrix.

    **What.** Transforms of real and complex signals, forward and inverse, one-sided or not, along any axis, cut or
    zero-padded to a stated length.

    **Why.** MNN's converter does not know DFT.

    **Before and after**::

        y = DFT(x)                           x: (..., n, 1 or 2)
        y = Reshape(MatMul(Reshape(x, (..., n * c)), M), (..., frequencies, 2))

    **Algebra.** A transform is linear: row k of M is the transform of the k-th unit vector, real and imaginary parts
    being vectors of their own. An axis that is not the last but one is moved there and back.

    **Refuses** lengths, axes and numbers of parts that are computed at run time, matrices of more than 64 MB, and
    one-sided inverse transforms of other than n / 2 + 1 frequencies, where ONNX Runtime and ONNX's reference differ.

    **Source.** https://onnx.ai/onnx/operators/onnx__DFT.html
    """

    code = "MNN918"
    name = "dft-as-matmul"
    summary = "written as MatMul with a constant matrix"
    op_types = ("DFT",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the product."""
        value = new.input(0)
        axis, rank = _axis(node, new) % value.rank, value.rank
        if axis == rank - 1:
            raise NotApplicable("the axis is that of real and imaginary parts")
        matrix = _matrix(node, new, value.dim(axis), value.dim(rank - 1))
        order = [each for each in range(rank - 1) if each != axis] + [axis, rank - 1]
        moved = value if axis == rank - 2 else new.transpose(value, order)
        kept = [0] * (rank - 2)
        flat = new.cast(new.reshape(moved, [*kept, -1]), TensorProto.FLOAT)
        parts = 1 if node.attribute("inverse") and node.attribute("onesided") else _COMPLEX
        result = new.reshape(new.cast(flat @ new.constant(matrix), value.dtype), [*kept, -1, parts])
        return result if axis == rank - 2 else new.transpose(result, [int(each) for each in np.argsort(order)])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Real and complex, both directions, and models that stay unchanged or are refused."""
        return (
            *_transforms(),
            *_look_alikes(),
        )


def _transforms() -> tuple[Example, ...]:
    """Real and complex, both directions."""
    return (
        rewritten(
            "real, one-sided, dynamic batch",
            "(float[N,8,1] x) => (float[N,5,2] y) {y = DFT<onesided=1>(x)}",
            becomes="MatMul, 2 Reshape",
            opset=17,
        ),
        rewritten(
            "complex, another axis, cut",
            "(float[2,6,3,2] x) => (float[2,4,3,2] y) <int64 n = {4}> { y = DFT<axis=1>(x, n) }",
            becomes="MatMul, 2 Reshape, 2 Transpose",
            opset=17,
        ),
        rewritten(
            "inverse, filled up, axis as an operand",
            "(float[2,5,2] x) => (float[2,7,2] y) <int64 n = {7}, int64 a = {-2}> { y = DFT<inverse=1>(x, n, a) }",
            becomes="MatMul, 2 Reshape",
            opset=20,
        ),
    )


def _look_alikes() -> tuple[Example, ...]:
    """Models without the hazard, and models that are refused."""
    return (
        refused(
            "length is dynamic",
            "dimension 1 of 'x' is dynamic",
            "(float[1,N,1] x) => (float[1,N,2] y) { y = DFT(x) }",
            opset=17,
        ),
        refused(
            "length is an input",
            "computed at run time",
            "(float[1,8,1] x, int64 n) => (float[1,N,2] y) { y = DFT(x, n) }",
            opset=17,
        ),
        refused(
            "frequencies that do not fit",
            "5 frequencies are given for a length of 4",
            "(float[1,5,2] x) => (float[1,4,1] y) <int64 n = {4}> { y = DFT<inverse=1, onesided=1>(x, n) }",
            opset=20,
        ),
        refused(
            "too large",
            "matrix of 268 MB",
            "(float[1,4096,2] x) => (float[1,4096,2] y) { y = DFT(x) }",
            opset=17,
        ),
        unchanged(
            "MNN declares it",
            "(float[1,32] x, float[8] w) => (float[1,7,8,2] y) <int64 s = {4}> { y = STFT<onesided=0>(x, s, w) }",
            opset=17,
        ),
    )


def _axis(node: NodeFacts, new: SubgraphBuilder) -> int:
    if node.opset < _AXIS_INPUT:
        return int(node.attribute("axis")) if node.given("axis") else 1
    return new.integers(2)[0] if new.has(2) else -2


def _matrix(node: NodeFacts, new: SubgraphBuilder, length: int, parts: int) -> NDArray[Any]:
    """The transforms of unit vectors: (length * parts, frequencies * parts of the result), float32."""
    inverse, onesided = bool(node.attribute("inverse")), bool(node.attribute("onesided"))
    size = new.integers(1)[0] if new.has(1) else 2 * (length - 1) if inverse and onesided else length
    if inverse and onesided and length != size // 2 + 1:
        raise NotApplicable(f"{length} frequencies are given for a length of {size}, not {size // 2 + 1}")
    megabytes = 4 * parts * length * _COMPLEX * size // (2 if onesided else 1)
    if megabytes > LARGEST_BYTES:
        raise NotApplicable(f"it would take a matrix of {megabytes // 10**6} MB")
    units = np.eye(length * parts).reshape(-1, length, parts)
    signal = units[..., 0] + 1j * units[..., 1] if parts == _COMPLEX else units[..., 0].astype(np.complex128)
    if inverse and onesided:
        return _flat(np.fft.irfft(signal, n=size, axis=1)[..., np.newaxis])
    result = (np.fft.ifft if inverse else np.fft.fft)(signal, n=size, axis=1)
    if onesided:
        result = result[:, : size // 2 + 1]
    return _flat(np.stack([result.real, result.imag], axis=-1))


def _flat(result: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(result.reshape(len(result), -1).astype(np.float32))
