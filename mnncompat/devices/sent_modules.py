"""Which of mnncompat's modules the worker on a device is made of: those that its imports lead to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_NAME = "mnncompat"


@cache
def sources(root: str) -> dict[str, str]:
    """The text of a module and of all that it imports of mnncompat, by full name; packages have none.

    Args:
        root: Full name of the module.
    """
    found: dict[str, str] = {}
    pending = [root]
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = _file(name).read_text(encoding="utf-8")
            pending += [each for each in _imported(ast.parse(found[name])) if _file(each).is_file()]
    return dict(sorted(found.items()))


def _file(name: str) -> Path:
    return _PACKAGE.parent / f"{name.replace('.', '/')}.py"


def _imported(tree: ast.AST) -> Iterator[str]:
    """Names of modules, and of what may be one, wherever they are imported but for the checker of types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == _NAME:
            yield node.module or ""
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.partition(".")[0] == _NAME)
        yield from _imported(node)
