"""Options of the converter, and limits of a child process."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mnncompat.errors import UsageError

_TARGET_VERSION = re.compile(r"[0-9]\.[0-9]")
_LOWEST_WEIGHT_BITS, _HIGHEST_WEIGHT_BITS = 2, 8
_BLOCK_STEP = 16
_MOST_SECONDS = 10**9

MIB = 1024 * 1024
"""Bytes in a mebibyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one child process may use before it is killed.

    Attributes:
        seconds: Wall time. Processor time is limited to a little more, so that a child that outlives its parent ends.
        memory_bytes: Private writable memory (`RLIMIT_DATA`: heap, anonymous maps, stacks). `RLIMIT_AS` would also
            count address space that is only reserved: measured, the idle worker has 50 MiB of data and 123 MiB of
            address space, and every further thread adds up to 64 MiB of the latter without touching it. macOS accepts
            the limit and does not enforce it.
        output_bytes: How much may be printed; more counts as a flood. Only the first and the last 64 KiB are kept.
        file_bytes: The largest file that may be written.
    """

    seconds: float = 300.0
    memory_bytes: int = 8192 * MIB
    output_bytes: int = 16 * MIB
    file_bytes: int = 16384 * MIB

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: A limit is not positive, or time is not a number that a clock can count.
        """
        if not 0 < self.seconds <= _MOST_SECONDS:
            raise UsageError(
                f"{self.seconds:g} is no limit of time", hint="give a positive number of seconds, e.g. 300"
            )
        if min(self.memory_bytes, self.output_bytes, self.file_bytes) < 1:
            raise UsageError("a limit of memory, output or files is below 1 byte", hint="give a positive size")

    def with_memory(self, memory_bytes: int | None) -> Limits:
        """These limits, with more memory where more is asked for; never with less."""
        return replace(self, memory_bytes=max(self.memory_bytes, memory_bytes or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """Options that are passed to the converter.

    Attributes:
        fp16: Store weights of convolutions as float16.
        weight_bits: Quantise weights to this many bits, 2 to 8; 0 leaves them as they are.
        weight_block: Input channels per quantisation block, a multiple of 16; None is one scale per output channel.
        weight_asymmetric: Quantise with a zero point; None is the converter's default (3.6.1: with).
        target_version: `MAJOR.MINOR` of the oldest MNN that has to read the file; None is the converter's own version.
        optimize_level: 0, 1 or 2 (2: "some case may be wrong", says the converter); None is its default, 1.
        optimize_prefer: 0 normal, 1 smallest, 2 fastest; None is the converter's default, 0.
        static_model: Fix all shapes in the file.
        keep_input_format: False lets inputs become NC4HW4; None is the converter's default, True.
        gelu_approximation: False computes GELU with erf; None is the converter's default, the approximation (off by
            up to 4.7e-4).
        external_weights: Write weights into a file of their own, `.weight` after the name of the other; the converter
            then needs little memory. It does so by itself above 2 GB.
        recurrent_ops: True writes LSTM and GRU of several steps as MNN's own ops, not as loops over a subgraph, which
            run in the Module API only. MNN's converter has the option since 3.2.2, and wrote no such loops before.

    Raises:
        UsageError: A value that the converter would ignore, misread or abort on.

    Source: tools/converter/source/common/cli.cpp and WeightQuantAndCoding.cpp at 3.6.1.
    """

    fp16: bool = False
    weight_bits: int = 0
    weight_block: int | None = None
    weight_asymmetric: bool | None = None
    target_version: str | None = None
    optimize_level: int | None = None
    optimize_prefer: int | None = None
    static_model: bool = False
    keep_input_format: bool | None = None
    gelu_approximation: bool | None = None
    external_weights: bool = False
    recurrent_ops: bool = False

    def __post_init__(self) -> None:
        self._check_weights()
        self._check_levels()
        self._check_target_version()

    def _check_weights(self) -> None:
        if self.weight_bits != 0 and not _LOWEST_WEIGHT_BITS <= self.weight_bits <= _HIGHEST_WEIGHT_BITS:
            raise UsageError(
                f"MNN cannot quantise weights to {self.weight_bits} bits",
                hint=f"give {_LOWEST_WEIGHT_BITS} to {_HIGHEST_WEIGHT_BITS} bits, or 0 to keep the weights as they are",
            )
        if self.weight_block is not None and (self.weight_block < _BLOCK_STEP or self.weight_block % _BLOCK_STEP):
            raise UsageError(
                f"a weight block of {self.weight_block} input channels would be ignored by MNN",
                hint=f"give a multiple of {_BLOCK_STEP}, e.g. 32 or 128",
            )
        if self.weight_bits == 0 and (self.weight_block is not None or self.weight_asymmetric is not None):
            raise UsageError(
                "a weight block or an asymmetric scheme has no effect without quantised weights",
                hint="also give the number of weight bits, e.g. 8",
            )

    def _check_levels(self) -> None:
        for name, value in (("optimize level", self.optimize_level), ("optimize preference", self.optimize_prefer)):
            if value not in (None, 0, 1, 2):
                raise UsageError(f"MNN has no {name} {value}", hint="give 0, 1 or 2")

    def _check_target_version(self) -> None:
        if self.target_version is not None and not _TARGET_VERSION.fullmatch(self.target_version):
            raise UsageError(
                f"MNN cannot target the version {self.target_version!r}",
                hint="write MAJOR.MINOR without a patch number, e.g. 2.8: the converter reads a decimal number",
            )

    def argv(self) -> list[str]:
        """Arguments for the converter, without the files. Flags are only given where they differ from its default."""
        numbers = {
            "weightQuantBits": self.weight_bits or None,
            "weightQuantBlock": self.weight_block,
            "weightQuantAsymmetric": _as_number(self.weight_asymmetric),
            "targetVersion": self.target_version,
            "optimizeLevel": self.optimize_level,
            "optimizePrefer": self.optimize_prefer,
            "keepInputFormat": _as_number(self.keep_input_format),
            "useGeluApproximation": _as_number(self.gelu_approximation),
        }
        flags = {
            "fp16": self.fp16,
            "saveStaticModel": self.static_model,
            "saveExternalData": self.external_weights,
            "useOriginRNNImpl": self.recurrent_ops,
        }
        return [f"--{name}={value}" for name, value in numbers.items() if value is not None] + [
            f"--{name}" for name, wanted in flags.items() if wanted
        ]


def _as_number(switch: bool | None) -> int | None:  # noqa: FBT001 - the converter reads 0 and 1, not false and true
    return None if switch is None else int(switch)
