"""What `mnncompat info` tells about a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """An input or an output.

    Attributes:
        name: Its name.
        shape: Its sizes: a number, a name, or None where nothing is said; None if the rank is not known.
        dtype: Its dtype, in numpy's words: what an application hands over or reads.
        layout: `NCHW`, `NHWC` or `NC4HW4` (channels in groups of four); empty of an ONNX file, which has one layout.
        original: Its dtype in the ONNX model; empty if there is no model to compare with.
        ignored: True for an input that no op of the file reads.
    """

    name: str
    shape: tuple[int | str | None, ...] | None
    dtype: str
    layout: str = ""
    original: str = ""
    ignored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInterface:
    """How a converted file is fed, as the file itself tells.

    Attributes:
        inputs: Its inputs.
        least_release: The first release of MNN whose schema has all its op types.
    """

    inputs: tuple[TensorInfo, ...]
    least_release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRun:
    """What MNN did with a file, in this run: one set of inputs of zeros.

    Attributes:
        shapes: Of the inputs that were handed over.
        outputs: The outputs as MNN gave them; empty if it did not run.
        problem: Why the Module API gave nothing; empty if it did.
        session: `yes`, or why MNN's Session API gives nothing.
        session_runs: True if it does.
        session_tried: False if it was not tried, for instance as Python cannot feed it.
        lost: Inputs that a Session does not have.
        peak_bytes: By how much the process grew at most, from before the file was loaded; None if the system does not
            say.
        chosen: True if sizes were chosen for dynamic dimensions.
        sizes_of: Name of the ONNX model beside the file whose nodes say the sizes; empty if that was not needed.
    """

    shapes: Mapping[str, tuple[int, ...]]
    outputs: tuple[TensorInfo, ...] = ()
    problem: str = ""
    session: str = ""
    session_runs: bool = False
    session_tried: bool = True
    lost: tuple[str, ...] = ()
    peak_bytes: int | None = None
    chosen: bool = False
    sizes_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MnnFileInfo:
    """An `.mnn` file.

    Attributes:
        path: The file.
        bytes: Its size.
        external_bytes: Size of the weights beside it (`FILE.mnn.weight`); 0 if it has none.
        version: Release that wrote it; empty if it does not say.
        ops: Op type -> number of ops, the most frequent first, `Input` and `Const` left out.
        constants: Number of `Const` ops.
        bodies: Names of the subgraphs (bodies of If and Loop).
        weight_bits: Bits of weights that are encoded -> number of ops with such weights; 16 is float16.
        inputs: The inputs, as MNN's loader tells them.
        outputs: The outputs' names, in file order.
        least_release: The first release whose schema has all its op types; empty if none is known to.
        least_because: Op types that no release before that has.
        trial: What MNN did with it.
    """

    path: Path
    bytes: int
    external_bytes: int
    version: str
    ops: Mapping[str, int]
    constants: int
    bodies: tuple[str, ...]
    weight_bits: Mapping[int, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[str, ...]
    least_release: str
    least_because: tuple[str, ...]
    trial: TrialRun

    @property
    def needs_module(self) -> bool:
        """True if the Module API runs it, and the Session API does not."""
        return not self.trial.problem and not self.trial.session_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFileInfo:
    """An ONNX model.

    Attributes:
        path: The file.
        bytes: Its size.
        external_bytes: Size of its external data.
        ir_version: Version of the format.
        producer: Who wrote it, with the version; empty if it does not say.
        opsets: Domain -> version; the default domain is `ai.onnx`.
        ops: Op type, with its domain unless that is the default one -> number of nodes, bodies and functions included;
            the most frequent first.
        nodes: Number of nodes.
        functions: Number of functions of the model's own.
        parameters: Number of elements of the initializers.
        parameter_bytes: dtype -> bytes of the initializers.
        inputs: The inputs that are not initializers.
        outputs: The outputs.
    """

    path: Path
    bytes: int
    external_bytes: int
    ir_version: int
    producer: str
    opsets: Mapping[str, int]
    ops: Mapping[str, int]
    nodes: int
    functions: int
    parameters: int
    parameter_bytes: Mapping[str, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
