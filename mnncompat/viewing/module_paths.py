"""The modules that a node belongs to, as exporters record them: the way from the whole model down to it."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from onnx import NodeProto

DEEPEST = 12
"""Modules that are told apart on the way down; what is nested deeper is one more name."""
_SCOPES = "pkg.torch.onnx.name_scopes"


def module_path(node: NodeProto) -> tuple[str, ...]:
    """Names of the modules around a node, the outermost first.

    torch's exporter records them as metadata (`['', 'head', 'head.hidden', 'linear']`); its older one and TensorFlow's
    write them into the node's name (`/head/hidden/MatMul`). A node without a name is named by what it computes.
    """
    for each in node.metadata_props:
        if each.key == _SCOPES:
            return _bounded(_of_scopes(each.value))
    return path_of_name(node.name or next(filter(None, node.output), ""))


def path_of_name(name: str) -> tuple[str, ...]:
    """Names of the modules in `/head/hidden/MatMul`; empty where the name has none."""
    return _bounded([part for part in name.split("/") if part][:-1]) if "/" in name else ()


def _of_scopes(text: str) -> list[str]:
    """`head`, `hidden` of `['', 'head', 'head.hidden', 'linear']`: each but the last begins with the one before it."""
    try:
        scopes = ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    names = [each for each in scopes[:-1] if isinstance(each, str) and each] if isinstance(scopes, list) else []
    found: list[str] = []
    before = ""
    for name in names:
        found.append(name.removeprefix(f"{before}.") if before else name)
        before = name
    return found


def _bounded(parts: Sequence[str]) -> tuple[str, ...]:
    if len(parts) <= DEEPEST:
        return tuple(parts)
    return (*parts[: DEEPEST - 1], "/".join(parts[DEEPEST - 1 :]))
