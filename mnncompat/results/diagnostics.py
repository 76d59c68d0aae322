"""What a finding is: severity, location, reason, remedy.

These are plain values. Nothing here reads a model, prints or exits; `mnncompat.report` renders them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.results.backend_placement import BackendReport


class Severity(Enum):
    """How much a finding matters.

    * ``ERROR``: the target MNN refuses the node, crashes on it or computes wrong results.
    * ``WARNING``: MNN runs the node, but less well than possible (more operators, fewer backends), or only in part.
    * ``INFO``: no hazard is known, or nothing is known about the node.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """Order for sorting and thresholds: 0 is the most severe."""
        return ("error", "warning", "info").index(self.value)


class Category(Enum):
    """What a finding is about; a model with correct results passes a check, whatever else could be better.

    * ``CORRECTNESS``: whether MNN takes the model, and computes what it computes.
    * ``PERFORMANCE``: the results are right, but MNN could be faster.
    * ``SIZE``: the results are right, but the file could be smaller.
    """

    CORRECTNESS = "correctness"
    PERFORMANCE = "performance"
    SIZE = "size"


class Applicability(Enum):
    """Whether a rewrite may be applied without asking.

    * ``SAFE``: the rewritten model is equal for every input that the declared shapes allow.
    * ``UNSAFE``: the rewrite narrows something (fixes a dynamic dimension, drops a quantisation step, ...).
    """

    SAFE = "safe"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where in a model a finding is.

    Attributes:
        model: Path of the model as the user gave it; empty for a model in memory.
        graph: Names from the main graph down to the one that holds the node: ``()`` for the main graph,
            ``("if_1.then_branch",)`` for a branch, ``("function my.domain::Act",)`` for a local function.
        index: Position of the node in its graph, from 0; None for a finding about the whole model.
        node: Name of the node, or of its first output where it has none.
        op_type: Operator, with its domain in front where that is not ONNX's own (``com.microsoft::Gelu``).
        outputs: Names of the values that the node computes.
    """

    model: str = ""
    graph: tuple[str, ...] = ()
    index: int | None = None
    node: str = ""
    op_type: str = ""
    outputs: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """``branch/node`` style name, unique in the model; empty for the whole model."""
        return "/".join((*self.graph, self.node)) if self.node else "/".join(self.graph)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding.

    Attributes:
        code: Stable code such as ``MNN212``; `mnncompat rule CODE` explains it.
        name: Readable name of the same rule, such as ``pool-without-strides``.
        severity: See `Severity`.
        message: One line: the cause and what the target MNN does, with the actual values.
        location: Where.
        status: What MNN does: ``refused``, ``crash``, ``error`` (at load or run), ``wrong``, ``partial``, ``told``,
            ``unknown``, ``rewrite`` for a node that a rewrite would improve, or of a backend ``placement`` and
            ``fallback``.
        category: See `Category`.
        remedy: Name of the rewrite that removes the finding, or None.
        fixable: True if that rewrite matches here: `mnncompat fix` applies it.
        may_fix: True if it was not tried here, or matches beside another one: `mnncompat fix` may apply it.
        hint: What to do next if no rewrite applies; may be empty.
        evidence: What the statement rests on: probe cases, source lines at a tag.
    """

    code: str
    name: str
    severity: Severity
    message: str
    location: Location
    status: str
    category: Category = Category.CORRECTNESS
    remedy: str | None = None
    fixable: bool = False
    may_fix: bool = False
    hint: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def is_certain(self) -> bool:
        """False where the model does not say whether the rule holds, or nothing is known about the node."""
        return self.status != "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A finding that is not reported as one, because somebody said so.

    Attributes:
        diagnostic: The finding.
        by: ``baseline`` if a baseline knows it, ``configuration`` if the configuration ignores the rule on this node.
        reason: Why it is ignored, as the configuration states it; empty for a baseline.
    """

    diagnostic: Diagnostic
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfRange:
    """How near a value comes to the limits of float16, in the draw in which it comes nearest.

    Attributes:
        location: The node that computes it.
        value: Its name.
        draw: Name of the draw.
        largest: Its largest element in size, as ONNX defines it.
        reach: The same as a share of 65504, the largest float16; of a convolution by Winograd's transforms that of what
            is computed inside, if that is more. Above 1 it overflows, or may where it is computed inside.
        snr_db: Predicted signal-to-noise ratio, in dB.
        lost: Whether it is predicted to hold infinities or NaN that it has not in float32.
    """

    location: Location
    value: str
    draw: str
    largest: float
    reach: float
    snr_db: float
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What `mnncompat check` found in one model.

    Attributes:
        model: Path of the model as the user gave it.
        mnn_version: The MNN release that the model was checked against.
        nodes: Number of nodes checked, in all graphs, subgraphs and functions.
        diagnostics: Findings, most severe first, then in graph order.
        backends: Where the converted model's ops run, for each backend that was asked for.
        suppressed: Findings that a baseline knows, or that the configuration ignores on a node.
        ranges: Of the values that the converted file holds, where inputs were given for precision low; those that come
            nearest to the limits of float16 first.
    """

    model: str
    mnn_version: str
    nodes: int
    diagnostics: tuple[Diagnostic, ...] = field(default=())
    backends: tuple[BackendReport, ...] = field(default=())
    suppressed: tuple[Suppressed, ...] = field(default=())
    ranges: tuple[HalfRange, ...] = field(default=())

    def at_least(self, severity: Severity) -> tuple[Diagnostic, ...]:
        """Return the findings that are at least as severe as `severity`."""
        return tuple(item for item in self.diagnostics if item.severity.rank <= severity.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInfo:
    """A rule explained, whether it comes from the table, the graph checks or a rewrite.

    Attributes:
        code: Stable code, such as ``MNN212``.
        name: Readable name.
        summary: One line.
        severity: Severity of the findings it makes.
        explanation: Markdown: what it finds, why that is a hazard, what to do.
        category: See `Category`.
        remedy: Name of the rewrite that removes the finding, or None.
        applicability: Of the rewrite; None where there is none.
        op_types: Operators that it is about.
        mnn: PEP 440 specifier of the releases it holds for; empty for all.
        evidence: Measurements and source lines that it rests on.
    """

    code: str
    name: str
    summary: str
    severity: Severity
    explanation: str
    category: Category = Category.CORRECTNESS
    remedy: str | None = None
    applicability: Applicability | None = None
    op_types: tuple[str, ...] = ()
    mnn: str = ""
    evidence: tuple[str, ...] = ()

    def finding(
        self,
        at: Location,
        message: str,
        *,
        status: str,
        hint: str = "",
        evidence: tuple[str, ...] = (),
    ) -> Diagnostic:
        """A finding of this rule; see `Diagnostic` for the arguments."""
        return Diagnostic(
            code=self.code,
            name=self.name,
            severity=self.severity,
            message=message,
            location=at,
            status=status,
            category=self.category,
            hint=hint,
            evidence=evidence,
        )
