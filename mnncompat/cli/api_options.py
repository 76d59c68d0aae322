"""Options about what is stored: forms of layers for MNN's two APIs, and quantised weights."""

from __future__ import annotations

from typing import Annotated

from mnncompat.cli.declared import option

RequireSession = Annotated[
    bool,
    option(
        "--require-session/--no-require-session",
        help="Exit with 1 unless MNN's Session API (MNN::Interpreter) runs the file as the Module API does.",
    ),
]
Recurrent = Annotated[
    str,
    option(
        "--recurrent",
        metavar="FORM",
        help="LSTM and GRU as MNN's own `ops`, which a Session runs too, or as `loops`, whose weights can be rounded "
        "to few bits. `auto`: ops where they are right and the weights are not rounded to few bits.",
    ),
]
KeepQuantized = Annotated[
    bool,
    option(
        "--keep-quantized",
        help="Store the weights of MatMulNBits as the same integers with the same scales, in MNN's own weight "
        "quantisation, instead of as floats.",
    ),
]
