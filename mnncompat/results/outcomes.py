"""What `fix` and `convert` return: plain values that `mnncompat.report` renders.

`CheckResult` is in `mnncompat.results.diagnostics`, `ParityReport` in `mnncompat.parity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.results.diagnostics import CheckResult, Diagnostic, Location, Severity

if TYPE_CHECKING:
    from mnncompat.results.failures import Failure
    from mnncompat.results.file_info import FileInterface
    from mnncompat.results.latency import Latency
    from mnncompat.results.parity_report import ParityReport
    from mnncompat.results.proof_strength import ProofVerdict
    from mnncompat.results.recurrent_form import RecurrentForm


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedFix:
    """One node that a rewrite replaced.

    Attributes:
        code: Code of the rewrite.
        rewrite: Its name.
        location: The node, in the model as it was when the rewrite found it.
        message: How it was replaced.
    """

    code: str
    rewrite: str
    location: Location
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFix:
    """A node that a rewrite recognised but did not replace.

    Attributes:
        rewrite: Name of the rewrite.
        location: The node.
        reason: Which precondition does not hold.
    """

    rewrite: str
    location: Location
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """A rewrite that was rolled back: its result was not equal or not valid, or it never reached a fixed point.

    Attributes:
        rewrite: Name of the rewrite.
        reason: What was wrong with its result.
        is_wrong: False if nothing was: what is random, or shows nothing, cannot be compared.
    """

    rewrite: str
    reason: str
    is_wrong: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedFix:
    """Rewrites for half precision that a device judged.

    Attributes:
        device: The device, and its precision.
        rewrites: Their names.
        nodes: How many nodes they replace.
        before: Signal-to-noise ratio of the worst output without them, in dB; None if the model did not run there.
        after: The same with them.
        failure: Why it did not run with them; empty if it did.
        kept: Whether they are applied.
    """

    device: str
    rewrites: tuple[str, ...]
    nodes: int
    before: float | None
    after: float | None
    failure: str = ""
    kept: bool


class ChangeKind(StrEnum):
    """What happened to a node."""

    REMOVED = "removed"
    ADDED = "added"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeChange:
    """One line of a node-level diff.

    Attributes:
        kind: What happened.
        graph: Names from the main graph down to the node's, as in `Location.graph`.
        op_type: Operator, with its domain if it is not ONNX's own.
        name: Name of the node, or of its first output.
        inputs: Names and types of the operands, such as ``x: float32[N, 800]``.
        outputs: Names and types of the outputs.
        before: For `ChangeKind.CHANGED`: the node's former text.
        attributes: Attributes as text.
    """

    kind: ChangeKind
    graph: tuple[str, ...]
    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...] = ()
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixResult:
    """What `mnncompat fix` did; `mnncompat.fixing.transaction.FixedModel` holds the model as well.

    Attributes:
        source: Path of the model as the user gave it.
        applied: Nodes that were replaced, in the order of application.
        refused: Nodes that a rewrite recognised but did not replace, with the reason.
        rolled_back: Rewrites whose result was discarded.
        changes: Node-level difference between the model as it was and as it is.
        proof: Comparison of the rewritten model with the original under ONNX Runtime. If unsafe rewrites changed what
            the model computes, the comparison is with the model after those. None if nothing was applied or no proof
            was wanted.
        approximation: Comparison of the model after the unsafe rewrites that change what it computes with the original;
            None if there were none, or no proof was wanted.
        recorded: Comparison of the model whose noise became inputs with the original, fed with what the original drew;
            None if there was none, or no proof was wanted.
        tried: Rewrites for half precision that a device judged.
        remaining: Findings of a check of the result; None if it was not checked.
        out: File that the result was written to; None if it was not.
        data: Files with weights that `out` refers to: they belong to it.
    """

    source: str
    applied: tuple[AppliedFix, ...] = ()
    refused: tuple[RefusedFix, ...] = ()
    rolled_back: tuple[RolledBack, ...] = ()
    changes: tuple[NodeChange, ...] = ()
    proof: ParityReport | None = None
    approximation: ParityReport | None = None
    recorded: ParityReport | None = None
    tried: tuple[TriedFix, ...] = ()
    remaining: tuple[Diagnostic, ...] | None = None
    out: Path | None = None
    data: tuple[Path, ...] = ()

    def told(self) -> FixResult:
        """What was done, without the models."""
        return FixResult(**{each.name: getattr(self, each.name) for each in fields(FixResult)})

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors that remain."""
        return tuple(each for each in self.remaining or () if each.severity is Severity.ERROR)

    @property
    def changed(self) -> bool:
        """True if anything was applied."""
        return bool(self.applied)

    @property
    def proven(self) -> bool:
        """True if nothing had to be proven or the proof holds, and nothing was rolled back."""
        return not self.rolled_back and (not self.changed or self.proof is None or self.proof.passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A model that a command could not do its work with.

    Attributes:
        source: Path of the model as the user gave it.
        diagnostics: Why: one finding, MNN090 or MNN098.
    """

    source: str
    diagnostics: tuple[Diagnostic, ...]


class Verdict(StrEnum):
    """How a conversion ended."""

    CONVERTED = "converted"
    """The file is published: it loads, runs and agrees; `ParityReport.verdict` says how far, and what was accepted."""
    NOT_PROVEN = "fix-not-proven"
    """A rewrite could not be proven equal."""
    NOT_CONVERTED = "not-converted"
    """MNN refused the model or failed on it."""
    NOT_EQUAL = "not-equal"
    """MNN's file computes other results, or could not be run."""
    NOT_EXERCISED = "not-proven"
    """Nothing differs, but the comparison would not have shown a wrong operator, or what it shows is random."""
    ONE_SIZE = "one-size"
    """MNN's file agrees, but was compared at too few sizes of a dynamic dimension."""
    NO_SESSION = "no-session"
    """MNN's file agrees, but MNN's Session API does not run it as the Module API does, and was required to."""
    OVER_BUDGET = "over-budget"
    """MNN's file agrees, but takes more than is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerWeights:
    """Quantised weights of the original.

    Attributes:
        kinds: Their types: ``int8``, ``uint8``, ``int4``, ``uint4``.
        bytes: What they take there.
    """

    kinds: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAsFloats:
    """A node whose quantised weights became floats.

    Attributes:
        node: Its name.
        reason: Why, in words.
    """

    node: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptQuantized:
    """Quantised weights that are the same integers in the converted file.

    Attributes:
        products: Number of nodes with weights of a few bits and a scale for each block.
        kept: Of how many of these the file holds the integers.
        bits: Bits of the integers that are kept.
        left: The others.
    """

    products: int
    kept: int
    bits: tuple[int, ...]
    left: tuple[LeftAsFloats, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertResult:
    """What `mnncompat convert` did.

    Attributes:
        source: Path of the model as the user gave it.
        out: Where the `.mnn` file was published; None if it was not.
        verdict: How it ended.
        check: Findings on the model as it was given.
        remaining: Findings on the model that was converted: those that the rewrites left.
        accepted: What the proof lacks and the user accepted; empty if the file was not published.
        fix: What was rewritten before the conversion; None if fixing was switched off.
        failure: How the conversion failed; None if it did not.
        parity: ONNX Runtime on the original against MNN on the file; None if an earlier step failed.
        ops: Ops of the converted file by MNN op type; empty if there is none.
        interface: How the converted file is fed; None if there is none.
        bytes: Size of the converted file; 0 if there is none.
        source_bytes: Size of the original, with its external data.
        became_floats: Quantised weights of the original, if the converted file has grown as if they were float32.
        kept_quantized: Quantised weights that stay so; None if that was not asked for, or the model has none.
        shapes: Shapes of inputs that the comparison began with, as the user gave them; the file is not fixed to them.
        words: What the converter printed, without its routine chatter.
        hint: What to try if the result is nearly equal; may be empty.
        added_rewrite: A rewrite on request that nobody asked for, and with which alone the outputs agree; may be empty.
        recurrent: The form of LSTM and GRU in the file; None if none of them has two.
        recurrent_reason: Why it is that form, in words; empty if it was asked for.
        exceeded: What the file takes more than is allowed, in words; with the verdict `OVER_BUDGET` only.
        latency: How long the file takes to run; None if that was not asked for, or the file was not proven.
    """

    source: str
    out: Path | None
    verdict: Verdict
    check: CheckResult
    fix: FixResult | None
    failure: Failure | None = None
    parity: ParityReport | None = None
    remaining: tuple[Diagnostic, ...] = ()
    accepted: tuple[ProofVerdict, ...] = ()
    ops: Mapping[str, int] = field(default_factory=dict)
    interface: FileInterface | None = None
    bytes: int = 0
    source_bytes: int = 0
    became_floats: IntegerWeights | None = None
    kept_quantized: KeptQuantized | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    words: str = ""
    hint: str = ""
    added_rewrite: str = ""
    recurrent: RecurrentForm | None = None
    recurrent_reason: str = ""
    exceeded: tuple[str, ...] = ()
    latency: Latency | None = None

    def told(self) -> ConvertResult:
        """What was done, without the models."""
        held = {each.name: getattr(self, each.name) for each in fields(ConvertResult)}
        return ConvertResult(**held | {"fix": None if self.fix is None else self.fix.told()})
