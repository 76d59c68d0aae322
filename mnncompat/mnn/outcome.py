"""Results of requests to MNN, or a typed failure. Plain values, without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A converted file.

    Attributes:
        path: Where the `.mnn` was published.
        words: What the converter printed, without the lines that it prints for every model.
        seconds: Wall time of the child process.
    """

    path: Path
    words: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a model computed.

    Attributes:
        outputs: For each of the feeds, in order: output name -> array, logical (NCHW) layout, in the dtype that MNN
            returned (int64 and bool come back as int32, float64 and float16 as float32).
        words: What MNN printed, without the lines that it prints for every model.
        seconds: Wall time of the child process, start-up included.
        inner: Tensors inside the model, of the first of the feeds: name -> array.
        draw_seconds: Processor time of each of the feeds, with handing over the inputs and reading the outputs.
        session: What MNN's Session API gave; None if that was not asked for.
    """

    outputs: list[dict[str, np.ndarray]]
    words: str
    seconds: float
    inner: dict[str, np.ndarray]
    draw_seconds: tuple[float, ...] = ()
    session: SessionRan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRan:
    """What a model computed in MNN's Session API.

    Attributes:
        outputs: For each of the feeds that were asked for: output name -> array; empty if there is a problem.
        lost: Inputs that the Session does not have.
        problem: Why it gives no outputs; empty if it gives some.
        untried: Why it was not run; empty if it was.
    """

    outputs: list[dict[str, np.ndarray]]
    lost: tuple[str, ...] = ()
    problem: str = ""
    untried: str = ""


class Held(NamedTuple):
    """How MNN holds a tensor.

    Attributes:
        layout: `NCHW`, `NHWC` or `NC4HW4` (channels in groups of four).
        dtype: numpy's name of the dtype: `float32`, `int32`, `uint8`, `int8`, ...
    """

    layout: str
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """Tensors inside a model, of one run.

    Attributes:
        values: Name -> array, logical (NCHW) layout; without those that cannot be read.
        held: How MNN holds each of them.
        seconds: Wall time of the child process.
        grown: By how many bytes the process grew at most, the inputs included; None where the system does not say.
    """

    values: dict[str, np.ndarray]
    held: dict[str, Held]
    seconds: float
    grown: int | None = None


class Weights(StrEnum):
    """How a convolution, a fully connected layer or a constant holds its numbers."""

    NONE = "none"
    """There are none, or the op is of another kind."""
    PLAIN = "plain"
    """As an array of one of MNN's types."""
    ENCODED = "encoded"
    """As float16, as integers with scales or sparse (`quanParameter`), or for integer arithmetic (`symmetricQuan`)."""


class MnnOp(NamedTuple):
    """One op of a converted graph.

    Attributes:
        type: MNN's op type (`Convolution`, `Reshape`); `OpType 612` where MNN 3.6.1 has no name for it.
        name: The op's name, mostly that of an ONNX value.
        inputs: Numbers of the values that it reads, unique in its graph.
        outputs: Numbers of the values that it computes.
        values: Names of the values that it computes.
        body: Name of the subgraph that holds it; empty in the main graph.
        parameter: Kind of its parameters (`Convolution2D`); empty if it has none.
        custom: Of an op that MNN itself does not know (`Extra`, `Plugin`): its own type.
        weights: How it holds its weights.
        bits: Of a weight that was rounded, 16 for float16; 0 where it was not, or the op does not say.
        external: True if they are in a file of their own.
    """

    type: str
    name: str
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    values: tuple[str, ...] = ()
    body: str = ""
    parameter: str = ""
    custom: str = ""
    weights: Weights = Weights.NONE
    external: bool = False
    bits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MnnGraph:
    """The graph of an `.mnn` file, as it is written there.

    Attributes:
        ops: The main graph's ops in file order, then those of the subgraphs (bodies of If and Loop).
        outputs: Names of the graph's outputs.
        version: MNN version that wrote the file, empty when the file does not say.
        inputs: The main graph's inputs in file order, with the layouts of the file.
    """

    ops: tuple[MnnOp, ...]
    outputs: tuple[str, ...]
    version: str
    inputs: tuple[MnnInput, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MnnInput:
    """One input of an `.mnn` file.

    Attributes:
        name: Its name.
        shape: Its shape, -1 where it is dynamic. MNN writes a dynamic first dimension as 1 and still takes any batch.
        dtype: numpy's name of the dtype in MNN: `float32`, `int32`, `uint8`, `int8`, ...
        layout: `NCHW`, `NHWC` or `NC4HW4` (channels in groups of four).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MnnInterface:
    """Inputs and outputs of an `.mnn` file, as MNN's loader reports them.

    Attributes:
        inputs: The inputs, in MNN's order.
        outputs: The outputs' names, in MNN's order.
        version: MNN version that wrote the file.
    """

    inputs: tuple[MnnInput, ...]
    outputs: tuple[str, ...]
    version: str
