"""A location as text, and a model's path in the form that other tools expect."""

from __future__ import annotations

from pathlib import Path

from mnncompat.report.printable import printable
from mnncompat.results.diagnostics import Location

IN_MEMORY = "model in memory"
"""Shown instead of a path for a model in memory."""


def model_name(path: str) -> str:
    """The path as the user gave it, printable."""
    return printable(path) if path else IN_MEMORY


def node_name(location: Location) -> str:
    """`/head/Gemm (Gemm)`, with enclosing subgraphs in front; empty for a finding about the whole model."""
    path = printable(location.path)
    op_type = printable(location.op_type)
    if path and op_type:
        return f"{path} ({op_type})"
    return path or op_type


def full_name(location: Location) -> str:
    """`model.onnx: /head/Gemm (Gemm)`."""
    node = node_name(location)
    return f"{model_name(location.model)}: {node}" if node else model_name(location.model)


def relative(path: str) -> str:
    """The path with forward slashes, relative to the working directory if it is inside."""
    found = Path(path)
    try:
        folder = Path.cwd()
    except OSError:  # it was removed
        return found.as_posix()
    if found.is_absolute() and found.is_relative_to(folder):
        found = found.relative_to(folder)
    return found.as_posix()


def uri(path: str) -> str:
    """The path as a URI reference: relative and percent-encoded, `file://` if it is outside the working directory."""
    from urllib.parse import quote

    name = relative(path or IN_MEMORY)
    encoded = quote(_bytes(name), safe="/")
    return f"file://{encoded}" if name.startswith("/") else encoded


def _bytes(path: str) -> bytes:
    """The path's bytes: a file name that is not UTF-8 has them as surrogates."""
    try:
        return path.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return path.encode(errors="surrogatepass")
