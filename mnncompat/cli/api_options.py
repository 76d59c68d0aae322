"""Options about what is stored: forms of layers for MNN's two APIs, and quantised weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from mnncompat.cli import options
from mnncompat.cli.declared import option
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.converting.gate_options import GateOptions

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


class StorageOptions(NamedTuple):
    """How weights are stored."""

    external_weights: options.ExternalWeights = False
    keep_quantized: KeepQuantized = False

    def applied(self, gate: GateOptions) -> GateOptions:
        """What is asked for, with these.

        Raises:
            UsageError: Options exclude each other.
        """
        from dataclasses import replace

        from mnncompat.mnn import ConvertOptions

        converter = gate.converter or ConvertOptions()
        if self.keep_quantized and self.external_weights:
            raise UsageError(
                "--keep-quantized and --external-weights exclude each other",
                hint="weights of a few bits need a seventh of the space: leave out --external-weights",
            )
        if self.keep_quantized and converter.weight_bits:
            raise UsageError(
                "--keep-quantized and --weight-bits exclude each other",
                hint="--weight-bits rounds every weight anew; --keep-quantized keeps those that the model has rounded",
            )
        converter = replace(converter, external_weights=self.external_weights)
        return replace(gate, converter=converter, keep_quantized=self.keep_quantized)


AS_FLOATS = StorageOptions()
"""As they are by default."""
