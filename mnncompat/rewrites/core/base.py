"""Base class of rewrites: find matches in a graph, refuse look-alikes with a reason, replace the matched nodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from onnx import ModelProto

from mnncompat.graph.view import GraphView
from mnncompat.results.diagnostics import Applicability, Category, Severity
from mnncompat.support.deployment import HIGH

if TYPE_CHECKING:
    from mnncompat.graph.editor import GraphEditor
    from mnncompat.rewrites.core.expected import Refused, Rewritten, Unchanged
    from mnncompat.support.target import Target


class Match(NamedTuple):
    """Nodes that a rewrite would replace.

    Attributes:
        rewrite: Name of the rewrite.
        nodes: Indices of all nodes that would be replaced; matches that share a node are not applied together.
        notes: (node index, message) for each layer that the user would recognise; the message says how it is rewritten.
        plan: What `Rewrite.apply` needs; private to the rewrite.
    """

    rewrite: str
    nodes: frozenset[int]
    notes: tuple[tuple[int, str], ...]
    plan: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A node that the rewrite is meant for but cannot replace.

    Attributes:
        rewrite: Name of the rewrite.
        index: Index of the node in its graph.
        reason: Which precondition does not hold, with the actual values.
    """

    rewrite: str
    index: int
    reason: str


class Example(NamedTuple):
    """A model that documents and tests a rewrite.

    Attributes:
        name: Short, unique within the rewrite.
        build: Makes the model; called anew for each use.
        expected: The outcome that the rewrite must have.
        mnn: The release with the hazard.
        precision: What MNN computes in, where the hazard is.
    """

    name: str
    build: Callable[[], ModelProto]
    expected: Rewritten | Unchanged | Refused
    mnn: str = "3.6.1"
    precision: str = HIGH


class Rewrite(ABC):
    """One graph rewrite. The subclass's docstring explains it to the user: what, why, before and after, source."""

    code: ClassVar[str]
    name: ClassVar[str]
    summary: ClassVar[str]
    severity: ClassVar[Severity] = Severity.WARNING
    category: ClassVar[Category] = Category.CORRECTNESS
    applicability: ClassVar[Applicability] = Applicability.SAFE
    approximate: ClassVar[bool] = False
    """True if its result differs by more than rounding: the result is judged by its signal-to-noise ratio."""
    adds_inputs: ClassVar[bool] = False
    """True if the result has more inputs: it is compared with the original on what that draws itself."""
    op_types: ClassVar[tuple[str, ...]]
    """Empty for any."""
    is_whole: ClassVar[bool] = False
    """True if it changes a model as a whole, wherever the hazard is."""
    for_half_precision: ClassVar[bool] = False
    """True if it is for `precision = low` alone: a device or a simulation, if there is one, judges it."""
    needs_device: ClassVar[bool] = False
    """True if some models lose by it: it is applied only where a device or a simulation shows that the model gains."""
    is_remedy: ClassVar[bool] = False
    """True if rows of the table find its nodes: the rewrite makes no findings of its own."""
    needs_hazard: ClassVar[bool] = False
    """True if a rewrite that searches itself matches nothing unless the table found a hazard: `check` may skip it."""
    on_request: ClassVar[bool] = False
    """True if only an option of the command line enables it: neither a row nor ``--select`` does."""
    last_resort: ClassVar[bool] = False
    """True if `convert` enables it where the outputs agree with it only."""
    converter_options: ClassVar[tuple[tuple[str, Any], ...]] = ()
    """(field of `mnncompat.mnn.ConvertOptions`, value) of each converter option that must be set together with it."""
    before: ClassVar[tuple[tuple[str, str], ...]] = ()
    """(name, reason) of each rewrite that comes after this one where both match the same node in the same round."""

    @abstractmethod
    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:
        """Yield the matches and refusals in one graph (subgraphs are visited separately).

        Args:
            view: The graph.
            target: The MNN release and architecture to rewrite for.
        """

    @abstractmethod
    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Replace what `match` found; `editor` holds the graph that the match was found in."""

    def match_node(self, view: GraphView, index: int, target: Target) -> Match | Refusal | None:
        """Match or refuse one node whatever the table says; None if the rewrite does not work node by node."""
        del view, index, target
        return None

    def require_fit(self, model: ModelProto) -> None:
        """Reject a model that does not fit the arguments of the rewrite.

        Raises:
            UsageError: The model does not fit.
        """
        del model

    def suggestion(self, model: ModelProto, applied: Collection[str]) -> str:
        """Advice if the converted model is close to the original, but not close enough; empty if it is no remedy.

        Args:
            model: The original.
            applied: Names of the rewrites that were applied before the conversion.
        """
        del model, applied
        return ""

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Models that must be rewritten, and look-alikes that must stay unchanged or be refused."""
        return ()
