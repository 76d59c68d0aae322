"""What a rewrite is: it finds places in a graph, says why it refuses others, and replaces the nodes it matched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from onnx import ModelProto

from mnncompat.graph.view import GraphView
from mnncompat.results.diagnostics import Applicability, Severity

if TYPE_CHECKING:
    from mnncompat.graph.editor import GraphEditor
    from mnncompat.rewrites.core.expected import Refused, Rewritten, Unchanged
    from mnncompat.support.target import Target


class Match(NamedTuple):
    """A place where a rewrite applies.

    Attributes:
        rewrite: Name of the rewrite.
        nodes: Indices of all nodes that would be replaced; matches that share a node are not applied together.
        notes: (node index, message) for each layer that the user would recognise; the message says what becomes of it.
        plan: What `Rewrite.apply` needs; private to the rewrite.
    """

    rewrite: str
    nodes: frozenset[int]
    notes: tuple[tuple[int, str], ...]
    plan: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A node that looks like the rewrite's business but must be left alone.

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
        expected: What the rewrite must make of it.
        mnn: The release with the hazard.
    """

    name: str
    build: Callable[[], ModelProto]
    expected: Rewritten | Unchanged | Refused
    mnn: str = "3.6.1"


class Rewrite(ABC):
    """One graph rewrite. The subclass's docstring explains it to the user: what, why, before and after, source."""

    code: ClassVar[str]
    name: ClassVar[str]
    summary: ClassVar[str]
    severity: ClassVar[Severity] = Severity.WARNING
    applicability: ClassVar[Applicability] = Applicability.SAFE
    approximate: ClassVar[bool] = False
    """True if what it makes differs by more than rounding: it is judged by its signal-to-noise ratio."""
    adds_inputs: ClassVar[bool] = False
    """True if the result has further inputs: it is compared with the original on what that draws itself."""
    op_types: ClassVar[tuple[str, ...]]
    """Empty for any."""
    is_whole: ClassVar[bool] = False
    """True if it changes a model as a whole, wherever the trouble is."""
    is_remedy: ClassVar[bool] = False
    """True if rows of the table find its places: it makes no findings of its own."""
    needs_hazard: ClassVar[bool] = False
    """True if a rewrite that searches finds nothing unless the table found a hazard: `check` spares its import."""
    on_request: ClassVar[bool] = False
    """True if only an option of the command line asks for it: neither a row nor ``--select`` does."""
    converter_options: ClassVar[tuple[tuple[str, Any], ...]] = ()
    """(field of `mnncompat.mnn.ConvertOptions`, value) of what the converter has to be told along with it."""
    before: ClassVar[tuple[tuple[str, str], ...]] = ()
    """(name, reason) of each rewrite that comes second where both want the same node in the same round."""

    @abstractmethod
    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:
        """Yield the matches and refusals in one graph (subgraphs are visited separately).

        Args:
            view: The graph.
            target: What it is rewritten for.
        """

    @abstractmethod
    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Replace what `match` found; `editor` holds the graph that the match was found in."""

    def match_node(self, view: GraphView, index: int, target: Target) -> Match | Refusal | None:
        """What it makes of one node, whatever the table says; None if that is not its way to look."""
        del view, index, target
        return None

    def require_fit(self, model: ModelProto) -> None:
        """Refuse a model that does not fit what the rewrite was made with.

        Raises:
            UsageError: It does not.
        """
        del model

    def suggestion(self, model: ModelProto, applied: Collection[str]) -> str:
        """What to try where the converted model is close to the original, but not close enough; empty if it is no help.

        Args:
            model: The original.
            applied: Names of the rewrites that were applied before the conversion.
        """
        del model, applied
        return ""

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Models that must be rewritten and look-alikes that must be left."""
        return ()
