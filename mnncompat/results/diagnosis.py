"""What `mnncompat diagnose` returns: which node makes a converted model wrong, and the table that shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.results.diagnostics import Diagnostic, Location

if TYPE_CHECKING:
    from mnncompat.results.failures import Failure


class DiagnosisVerdict(StrEnum):
    """What was found."""

    AGREES = "agrees"
    """The outputs agree: there is no culprit."""
    CULPRIT = "culprit"
    """At least one node, or group of nodes that MNN fused, is to blame."""
    ACCUMULATED = "accumulated"
    """The outputs differ, but every node by itself is within its tolerance."""
    UNEXPLAINED = "unexplained"
    """The outputs differ, and what was seen of the file does not say why."""


class Role(StrEnum):
    """What a layer has to do with the difference."""

    CULPRIT = "culprit"
    SUFFERS = "suffers"
    """It is computed from what a culprit got wrong."""
    ROUGH = "rough"
    """It is beyond its tolerance by itself, but the outputs do not show it."""
    FINE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far a value of MNN's is from that of ONNX Runtime.

    Attributes:
        error_ratio: The largest ratio of a difference to what the tolerance allows; infinite where nothing can be
            compared.
        snr_db: Ratio of signal to noise in dB; infinite if there is no noise, NaN where nothing can be compared.
        max_abs: Largest difference.
        cosine: Cosine of the angle between both, as vectors.
        low: Smallest finite value that MNN computed.
        high: Largest finite value that MNN computed.
        problem: What is wrong apart from values: another shape, NaN or infinities; empty if nothing is.
    """

    error_ratio: float
    snr_db: float
    max_abs: float
    cosine: float
    low: float = math.nan
    high: float = math.nan
    problem: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether it is beyond its tolerance."""
        return not self.error_ratio <= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A node, or a group of nodes between whose values MNN's file has no tensor: the converter fused or folded them.

    Attributes:
        number: Position in the order of computation, from 1.
        nodes: The ONNX nodes.
        values: The ONNX values that the file has a tensor of, by the same name.
        mnn_ops: Op types of the file between these tensors and those before them.
        shape: Of the first value.
        dtype: numpy's name of its type.
        low: Its smallest finite value under ONNX Runtime.
        high: Its largest finite value under ONNX Runtime.
        accumulated: Its error as the file computes it from the inputs of the model; None if that was not seen.
        own: Its error when it is fed with the right values: what it adds by itself; None if that was not measured.
        born: `NaN`, `Inf` or `NaN and Inf` if MNN has such values here, and neither ONNX Runtime nor the values before
            it have; else empty.
        role: What it has to do with the difference.
        note: A remark, such as why something was not measured.
        host_accumulated: Of a diagnosis on a device: the same on this machine; None if it was not measured.
        host_own: See `host_accumulated`.
    """

    number: int
    nodes: tuple[Location, ...]
    values: tuple[str, ...]
    mnn_ops: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    accumulated: Deviation | None = None
    own: Deviation | None = None
    born: str = ""
    role: Role = Role.FINE
    note: str = ""
    host_accumulated: Deviation | None = None
    host_own: Deviation | None = None

    @property
    def op_types(self) -> tuple[str, ...]:
        """Op types of the nodes."""
        return tuple(each.op_type for each in self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One way in which the neighbourhood of the culprit was run again.

    Attributes:
        what: What was different: `optimize level 0`, `exact GELU`, `rewritten by softmax-axis`.
        option: Option of `mnncompat convert` that does the same to the whole model; empty if there is none.
        helps: Whether the result was right.
        detail: What came out.
    """

    what: str
    option: str
    helps: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """What is to blame.

    Attributes:
        nodes: The ONNX nodes; where they are several, MNN fused them, or which of them it is cannot be told.
        status: `wrong`, `refused`, `crash`, `hang`, `memory`, `error`, `no-file`, ...
        stage: `convert`, `load` or `run`; empty for `wrong`.
        reason: What was seen, in one line.
        outputs: Outputs of the model that it makes wrong.
        draws: Draws in which it does.
        shown_by: How it is known that it is this one, one line each.
        isolated: What happens when it is cut out, converted and run alone, in one line; empty if that was not tried.
        in_file: Whether the converter computes it correctly alone, so that the file must differ from the model here.
        attempts: Switches and rewrites that were tried on it.
        findings: What the table says about its nodes.
        sources: Where in the source of the model it comes from, as the exporter recorded it.
    """

    nodes: tuple[Location, ...]
    status: str
    reason: str
    stage: str = ""
    outputs: tuple[str, ...] = ()
    draws: tuple[str, ...] = ()
    shown_by: tuple[str, ...] = ()
    isolated: str = ""
    in_file: bool = False
    attempts: tuple[Attempt, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Why a converted model computes something else than the original.

    Attributes:
        source: Path of the ONNX model as the user gave it.
        file: Path of the `.mnn` file; empty if the model was converted for this.
        verdict: What was found.
        culprits: The first one is to blame first.
        layers: The table, in the order of computation; empty if the file could not be looked into.
        draw: The draw that the table is about.
        shapes: Input -> shape in that draw.
        outputs: Output -> its error there.
        runner: What computed the values that were compared with ONNX Runtime's: `MNN`, or `MNN on arm64:a76 low`.
        draws: All draws that were compared.
        failing: Those of them that differ.
        seed: Of the draws.
        failure: How conversion, loading or running failed as a whole; None if it did not.
        attempts: Switches that were tried on the whole model, where no node alone is to blame.
        notes: Remarks for the reader.
        versions: Of MNN, ONNX Runtime, ONNX, numpy and Python, and the platform.
        seconds: What it took.
        complete: False if it was interrupted: what was found until then.
        repro: Folder of the repro that was written; None if none was.
        rewritten: Whether the model was rewritten before it was converted.
        every_layer: Whether reports for people show every layer, not only the telling ones.
    """

    source: str
    file: str
    verdict: DiagnosisVerdict
    culprits: tuple[Culprit, ...] = ()
    layers: tuple[Layer, ...] = ()
    draw: str = ""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: dict[str, Deviation] = field(default_factory=dict)
    runner: str = "MNN"
    draws: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    seed: int = 0
    failure: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    complete: bool = True
    repro: Path | None = None
    rewritten: bool = False
    every_layer: bool = False
