"""What ONNX's operators have in common: one name for each fact about op types that several modules ask for.

Facts about ONNX only. What one pass of MNN or one rewrite treats alike stays where that is, with its source.
"""

from __future__ import annotations

# ---- families ------------------------------------------------------------------------------------------------------

CONVOLUTIONS = ("Conv", "ConvTranspose")
MATRIX_PRODUCTS = ("MatMul", "Gemm")
POOLS = ("MaxPool", "AveragePool", "LpPool")
"""Over windows; the global ones are apart."""
RECURRENT = ("RNN", "GRU", "LSTM")
RESIZES = ("Resize", "Upsample")
RANDOM = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
)
"""Their results differ from run to run, even if all operands are constants."""

# ---- element by element --------------------------------------------------------------------------------------------

ARITHMETIC = frozenset(("Add", "Sub", "Mul", "Div"))
VARIADIC = ("Max", "Min", "Sum", "Mean")
"""Elementwise of one operand and more."""
COMPARISONS = frozenset(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"))
LOGIC = frozenset(("And", "Not", "Or", "Xor"))
ROUNDINGS = frozenset(("Ceil", "Floor", "Round"))
CASTS = ("Cast", "CastLike")
TRANSCENDENTAL = frozenset(
    (
        *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Gelu"),
        *("Log", "Mish", "Selu", "Sigmoid", "Sin", "Sinh", "Softplus", "Sqrt", "Swish", "Tan", "Tanh"),
    )
)
"""Functions of one number that libraries approximate, each in its own way."""
FLOAT_FUNCTIONS = TRANSCENDENTAL | frozenset(
    (
        *("Abs", "Ceil", "Floor", "HardSigmoid", "HardSwish", "LeakyRelu", "Neg", "Reciprocal", "Relu", "Round"),
        *("Shrink", "Sign", "Softsign", "ThresholdedRelu"),
    )
)
"""All functions of one floating-point number, by attributes at most: float in, the same float out."""

# ---- shapes --------------------------------------------------------------------------------------------------------

SIZES = ("Shape", "Size")
"""Of their operand they read the shape only."""
FINDERS = ("Compress", "NonMaxSuppression", "NonZero")
"""Their results are as long as what they find in data, which may be nothing."""
RESHAPES = frozenset(("Flatten", "Reshape", "Squeeze", "Unsqueeze"))
"""The elements of the first operand, all in their order, in another shape."""
MOVES = RESHAPES | frozenset(
    (
        *("Compress", "DepthToSpace", "Expand", "Gather", "GatherElements", "GatherND", "Identity"),
        *("ReverseSequence", "Slice", "SpaceToDepth", "Split", "Tile", "Transpose"),
    )
)
"""Each element of the results is one of the first operand's."""

# ---- signs ---------------------------------------------------------------------------------------------------------

NEVER_NEGATIVE = (
    COMPARISONS
    | LOGIC
    | frozenset(
        (
            *("Abs", "ArgMax", "ArgMin", "Exp", "HardSigmoid", "IsInf", "IsNaN", "NonMaxSuppression", "NonZero"),
            *("ReduceL1", "ReduceL2", "ReduceSumSquare", "Relu", "Shape", "Sigmoid", "Size", "Softmax", "Softplus"),
            "Sqrt",
        )
    )
)
"""No element of the result is below zero, whatever the operands are; truth counts as 0 and 1."""
