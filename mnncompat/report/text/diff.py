"""A node-level diff: `-` removed, `+` added, `~` changed."""

from __future__ import annotations

from collections.abc import Sequence

from mnncompat.report.printable import printable
from mnncompat.report.text.page import Page, Style
from mnncompat.results.outcomes import ChangeKind, NodeChange

_MARKS = {
    ChangeKind.REMOVED: ("-", Style.BAD),
    ChangeKind.ADDED: ("+", Style.GOOD),
    ChangeKind.CHANGED: ("~", Style.WARN),
}


def diff_text(changes: Sequence[NodeChange], *, color: bool = False) -> str:
    """Write the difference between two versions of a model.

    Args:
        changes: As `FixResult.changes` has them; the order is kept.
        color: Use ANSI styles.

    Returns:
        One line for each node, with the types of its operands and outputs, below a line for each graph; empty if
        there are no changes::

            @@ main graph @@
            - /fc1/MatMul: MatMul(x: float32[N, 800], w: float32[800, 500]) -> y: float32[N, 500]
            ~ /relu: Relu(y: float32[N, 500, 1, 1]) -> z: float32[N, 500, 1, 1]
                was Relu(y: float32[N, 500])
    """
    page = Page(color=color)
    graph: tuple[str, ...] | None = None
    for change in changes:
        if change.graph != graph:
            graph = change.graph
            page.line(f"@@ {printable('/'.join(graph)) or 'main graph'} @@", style=Style.FAINT)
        mark, style = _MARKS[change.kind]
        page.line(f"{mark} {printable(change.name)}: {node_text(change)}", style=style)
        if change.before:
            page.line(f"was {printable(change.before)}", lead="    ")
    return page.text()


def node_text(change: NodeChange) -> str:
    """`Gemm(x: float32[N, 800], w: float32[500, 800]) -> y: float32[N, 500] [transB=1]`."""
    attributes = ", ".join(f"{name}={value}" for name, value in change.attributes)
    call = f"{change.op_type}({', '.join(change.inputs)}) -> {', '.join(change.outputs)}"
    return printable(f"{call} [{attributes}]" if attributes else call)
