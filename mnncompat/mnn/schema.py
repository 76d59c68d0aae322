"""Names of the numbers in an `.mnn` file: op types, parameters, dtypes and layouts, as MNN's schema has them.

Source: schema/default/MNN.fbs, Type.fbs and Tensor.fbs of https://github.com/alibaba/MNN, at all tags from 3.0.0 to
3.6.1. Within them numbers were added; one op type was renamed, and one (PoolInt8) was dropped without a successor.
"""

from __future__ import annotations

import re

_OP_TYPES = {
    0: """
        AbsVal QuantizedAdd ArgMax AsString InstanceNorm BatchToSpaceND Copy BinaryOp Bnll Cast Concat Const Convolution
        ConvolutionDepthwise Crop CropAndResize ImageProcess Deconvolution DeconvolutionDepthwise Dequantize
        DetectionOutput Dropout Eltwise ELU Unique Exp ExpandDims Fill Flatten Im2Col Gather GatherV2 Im2Seq
        InnerProduct Input Interp Log LRN LSTM MatMul MoE NonMaxSuppression NonMaxSuppressionV2 Normalize Pack Padding
        Permute Pooling Power PReLU PriorBox Proposal QuantizedAvgPool QuantizedBiasAdd QuantizedConcat
        QuantizedDepthwiseConv2D QuantizedLogistic RasterAndInterpolate QuantizedMaxPool Texture RasterDiff
        QuantizedReshape QuantizedSoftmax QuantizeMaxMin QuantizeV2 Range Rank ReduceJoin Reduction ReLU ReLU6
        RequantizationRange Requantize Reshape Resize RNN ROIPooling Scale Selu Seq2Out Shape Sigmoid Size Slice SliceTf
        Softmax SpaceToBatchND SpatialProduct Col2Im Segment Squeeze StridedSlice CastLike StringSplit StringToNumber
        TanH TfQuantizedConv2D Threshold Tile TopKV2 Transpose UnaryOp Unpack Where Moments RNNSequenceGRU BatchMatMul
        Unsqueeze CosineSimilarity DepthToSpace SpaceToDepth ReverseSequence Pooling3D Convolution3D MatrixBandPart
        GatherND DetectionPostProcess UnravelIndex ScatterNd OneHot BroadcastTo Dilation2D Interp3D
    """,
    128: """
        Raster ConvertTensor ArgMin LinSpace RandomUniform TensorArray TensorArraySize TensorArrayRead TensorArrayWrite
        TensorArrayGather TensorArrayScatter TensorArraySplit TensorArrayConcat LSTMBlockCell Reverse ROIAlign
        RandomNormal TensorArrayInsert TensorArrayErase EyeLike CumSum Det CumProd ScatterElements GatherElements Svd
        Histogram DynamicQuant Stft
    """,
    256: """
        Plugin Select ZerosLike Broastcast SetDiff1D ReluGrad Identity PoolGrad SoftmaxGrad Conv2DBackPropFilter
        TrainableParam BatchNorm ConvTranspose3D ZeroGrad
    """,
    299: "Attention FmhaV2 Fmhca SeqLen2Spatial SplitGeLU GroupNorm LinearAttention RoPE",
    512: "Extra ConvInt8 Int8ToFloat DepthwiseConvInt8 PoolInt8 FloatToInt8 EltwiseInt8",
    600: "While If",
    603: "LayerNorm GridSample",
}
_PARAMETERS = {
    1: """
        QuantizedAdd ArgMax AsString Axis BatchNorm BinaryOp Blob CastParam Convolution2D Crop CropAndResize Dequantize
        DetectionOutput Eltwise ExpandDims Fill Flatten Gather GatherV2 InnerProduct Input Interp LRN LSTM MatMul
        NonMaxSuppressionV2 Normalize PackParam Permute Plugin Pool PRelu PriorBox Proposal QuantizedAvgPool
        QuantizedBiasAdd QuantizedConcat QuantizedLogistic QuantizedMatMul QuantizedMaxPool QuantizedRelu QuantizedRelu6
        QuantizedReshape QuantizedSoftmax QuantizeMaxMin QuantizeV2 Range Rank ReduceJoin ReductionParam Relu Relu6
        RequantizationRange Requantize Reshape Resize RoiParameters Scale Selu Size Slice SliceTf SpaceBatch
        SqueezeParam StridedSliceParam TensorConvertInfo TfQuantizedConv2D TopKV2 Transpose UnaryOp MomentsParam
        RNNParam BatchMatMulParam QuantizedFloatParam DepthSpaceParam EltwiseInt8 ReverseSequenceParam Extra Pool3D
        Convolution3D ELU DetectionPostProcessParam OneHotParam PadParam WhileParam IfParam RandomUniform LayerNorm
        TensorArray LSTMBlockCell GridSample LoopParam ImageProcessParam CumSum GroupNorm FmhaV2Param FmhcaParam
        AttentionParam StftParam LinearAttentionParam ShapeParam RoPEParam
    """
}
_DTYPES = {
    1: """
        float32 float64 int32 uint8 int16 int8 string complex64 int64 bool qint8 quint8 qint32 bfloat16 qint16 quint16
        uint16 complex128 float16
    """
}
_LAYOUTS = {0: "NCHW NHWC NC4HW4 NHWC4"}
_RENAMED_IN = (3, 2, 0)
_FORMER = {40: "MVN"}


def _numbered(groups: dict[int, str]) -> dict[int, str]:
    return {first + at: name for first, names in groups.items() for at, name in enumerate(names.split())}


OP_TYPES = _numbered(_OP_TYPES)
"""The enum OpType in 3.6.1, with PoolInt8, which was dropped in 3.3.0."""
PARAMETERS = _numbered(_PARAMETERS)
"""The union OpParameter, with which an op's `main` is described."""
DTYPES = _numbered(_DTYPES)
"""The enum DataType, by numpy's names where numpy has the type."""
LAYOUTS = _numbered(_LAYOUTS)
"""The enum MNN_DATA_FORMAT."""


def op_type(number: int, version: str) -> str:
    """Name of an op type in a file that a release wrote; `OpType 612` if it has none.

    Args:
        number: Of the enum OpType.
        version: The release, empty if it is not known.
    """
    written = tuple(int(part) for part in re.findall("[0-9]{1,9}", version)[:3])
    if number in _FORMER and () < written < _RENAMED_IN:
        return _FORMER[number]
    return OP_TYPES.get(number, f"OpType {number}")
