"""Where a node comes from in the program that the model was exported from, as exporters record it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from onnx import NodeProto

_TRACE = "pkg.torch.onnx.stack_trace"
_SCOPES = "pkg.torch.onnx.name_scopes"
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)\s*\n?\s*(?P<code>.*)')
_OLD_FRAME = re.compile(r"^\s*(?P<file>[^\s(]+\.py)\((?P<line>\d+)\): (?P<function>\S+)", re.MULTILINE)
_NOT_OWN = ("site-packages", "dist-packages", "<frozen", "<string>", "/torch/")


def sources(nodes: Iterable[NodeProto]) -> tuple[str, ...]:
    """Lines of the program, and paths of modules, one for each place.

    Args:
        nodes: The nodes, in order.
    """
    return tuple(dict.fromkeys(line for node in nodes for line in _of(node)))


def _of(node: NodeProto) -> Iterator[str]:
    props = {each.key: each.value for each in node.metadata_props}
    module = _module(props.get(_SCOPES, "")) or _module_of_name(node.name)
    told = f" (module {module})" if module else ""
    frames = [each.groupdict() for each in _FRAME.finditer(props.get(_TRACE, ""))]
    if not frames:  # torch's older exporter names the innermost frame first
        frames = [{**each.groupdict(), "code": ""} for each in _OLD_FRAME.finditer(node.doc_string)][::-1]
    own = [each for each in frames if not any(part in each["file"] for part in _NOT_OWN)] or frames
    if own:
        last = own[-1]
        code = f": {last['code'].strip()}" if last["code"].strip() else ""
        yield f"{last['file']}:{last['line']}, in {last['function']}{code}{told}"
    elif module:
        yield f"module {module}"


def _module(scopes: str) -> str:
    """The innermost module of `['', 'head', 'head.hidden', 'linear']`: the last entry is the operator."""
    try:
        found = ast.literal_eval(scopes)
    except (SyntaxError, ValueError):
        return ""
    names = [each for each in found[:-1] if isinstance(each, str) and each] if isinstance(found, list) else []
    return names[-1] if names else ""


def _module_of_name(name: str) -> str:
    """`head.hidden` of `/head/hidden/MatMul`, as torch's older exporter names nodes."""
    return ".".join(name.strip("/").split("/")[:-1]) if name.startswith("/") else ""
