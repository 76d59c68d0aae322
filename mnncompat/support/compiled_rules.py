"""The rows of `rules/` as JSON, in one file that names what it was made of: TOML takes ten times as long to read.

``rules/compiled.jsonl`` holds one line for each file of rows, ``[name, checksum, contents]``. A line counts only while
the checksum of its TOML file is the same; otherwise the TOML is read. What it holds was accepted as a row when it was
written, by `mnncompat dev compile-rules`; ``tests/test_rules_data.py`` fails if it is behind.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

FILE = "compiled.jsonl"


def compiled(root: Path, name: str, source: bytes) -> dict[str, Any] | None:
    """What a TOML file says, from the compiled one; None if that is missing, damaged or behind.

    Args:
        root: The folder `rules/`.
        name: Of the file, such as ``Add`` or ``graph``.
        source: The bytes of the TOML file.
    """
    whole = _contents(root)
    head = f'["{name}",{zlib.crc32(source)},'.encode()
    begin = 0 if whole.startswith(head) else whole.find(b"\n" + head) + 1
    if not begin and not whole.startswith(head):
        return None
    end = whole.find(b"\n", begin)
    try:
        contents = json.loads(whole[begin + len(head) : end - 1])
    except ValueError:
        return None
    return contents if isinstance(contents, dict) else None


def compile_rules(root: Path) -> bytes:
    """The contents of the compiled file.

    Args:
        root: The folder `rules/`.

    Raises:
        TableError: A file of rows is damaged.
    """
    import tomllib

    from mnncompat.support.table import SupportTable

    table = SupportTable(root, trusted=False)
    table.graph_rows()
    lines = []
    for name in (*table.ops(), "graph"):
        if name != "graph":
            table.rows(name)
        source = (root / "graph.toml" if name == "graph" else root / "ops" / f"{name}.toml").read_bytes()
        line = [name, zlib.crc32(source), tomllib.loads(source.decode())]
        lines.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False, allow_nan=False))
    return "\n".join([*lines, ""]).encode()


@cache
def _contents(root: Path) -> bytes:
    try:
        return (root / FILE).read_bytes()
    except OSError:
        return b""
