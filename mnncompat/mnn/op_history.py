"""Since which release MNN's schema has an op type.

Source: the enum OpType of schema/default/MNN.fbs of https://github.com/alibaba/MNN, at the 114 tags from 0.1.1.2 to
3.6.1. What an op's parameters may say, and what a release computes of them, is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mnncompat.mnn.schema import OP_TYPES

FIRST_RELEASE = "0.1.1.2"
_ADDED = {
    "0.1.1.5": "Unsqueeze",
    "0.2.0.0": "Select ZerosLike Broastcast SetDiff1D ReluGrad PoolGrad SoftmaxGrad Conv2DBackPropFilter",
    "0.2.0.3": "ConvInt8 Int8ToFloat DepthwiseConvInt8 PoolInt8 FloatToInt8",
    "0.2.0.4": "CosineSimilarity",
    "0.2.0.5": "DepthToSpace SpaceToDepth",
    "0.2.0.8": "EltwiseInt8",
    "0.2.1.0": "ReverseSequence Pooling3D Convolution3D Extra",
    "0.2.1.1": "MatrixBandPart GatherND",
    "0.2.1.5": "DetectionPostProcess",
    "0.2.1.6": "InstanceNorm UnravelIndex ScatterNd OneHot BroadcastTo Dilation2D ArgMin LinSpace TrainableParam "
    "BatchNorm",
    "0.2.2.3": "Plugin",
    "1.1.0": "Raster RandomUniform While If LayerNorm",
    "1.1.2": "TensorArray TensorArraySize TensorArrayRead TensorArrayWrite TensorArrayGather TensorArrayScatter "
    "TensorArraySplit TensorArrayConcat",
    "1.1.3": "LSTMBlockCell",
    "1.1.5": "Reverse GridSample",
    "1.2.2": "Unique Segment",
    "1.2.5": "ImageProcess Im2Col ROIAlign",
    "1.2.6": "RandomNormal TensorArrayInsert TensorArrayErase EyeLike CumSum",
    "1.2.8": "Col2Im Det",
    "2.0.0": "CumProd",
    "2.0.1": "ScatterElements GatherElements",
    "2.0.3": "Svd",
    "2.0.4": "Histogram",
    "2.1.2": "Interp3D ConvTranspose3D ZeroGrad",
    "2.2.2": "Identity",
    "2.3.0": "Copy",
    "2.8.0": "RasterAndInterpolate Texture RasterDiff",
    "2.8.2": "FmhaV2 Fmhca SeqLen2Spatial SplitGeLU GroupNorm",
    "2.8.4": "DynamicQuant",
    "2.9.0": "Attention",
    "3.0.0": "CastLike",
    "3.0.2": "Stft",
    "3.2.0": "MoE",
    "3.4.1": "LinearAttention",
    "3.6.1": "RoPE",
}
"""Names whose number meant another op type before are listed where they got it."""
_SINCE = {name: release for release, names in _ADDED.items() for name in names.split()}
_KNOWN = frozenset(OP_TYPES.values()) | {"MVN"}


class Since(NamedTuple):
    """The first release with some op types.

    Attributes:
        release: Its version; empty if an op type has no name.
        because: The op types that no release before has.
    """

    release: str
    because: tuple[str, ...]


def least_release(op_types: Iterable[str]) -> Since:
    """The first release whose schema has all of these op types.

    Args:
        op_types: Names as `mnncompat.mnn.schema` has them.
    """
    wanted = sorted(set(op_types))
    unknown = tuple(name for name in wanted if name not in _KNOWN)
    if unknown:
        return Since("", unknown)
    release = max((_SINCE.get(name, FIRST_RELEASE) for name in wanted), key=_order, default=FIRST_RELEASE)
    return Since(release, tuple(name for name in wanted if _SINCE.get(name, FIRST_RELEASE) == release))


def _order(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
