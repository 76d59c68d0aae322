"""What one task is: a command, a model, options, and where it has to run. Equal tasks have the same key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mnncompat.support import rule_files

SCHEMA = "1.0"
_PIECE = 1 << 22


class Task(NamedTuple):
    """The work with one model.

    Attributes:
        command: Name of the command.
        path: The model, as the user named it.
        digest: SHA-256 of its contents and of the files with its weights.
        size: Their bytes.
        options: Those that matter for the result, as JSON knows them.
        release: Of MNN that runs it.
        device: Where a converted file is run; empty for this machine alone.
        precision: What MNN computes in there.
        tool: What does the work: version of mnncompat, and of its rules.
    """

    command: str
    path: str
    digest: str
    size: int
    options: Mapping[str, Any]
    release: str
    device: str = ""
    precision: str = ""
    tool: str = ""

    @property
    def key(self) -> str:
        """Equal for tasks from which the same result comes."""
        return hashlib.sha256(json.dumps([SCHEMA, *self], sort_keys=True).encode()).hexdigest()

    def told(self) -> dict[str, Any]:
        """The task, as a file of results tells it."""
        return {
            "command": self.command,
            "model": {"path": self.path, "sha256": self.digest, "bytes": self.size},
            "options": dict(self.options),
            "release": self.release,
            "device": self.device,
            "precision": self.precision,
            "tool": self.tool,
        }


def digest_of(*files: Path) -> tuple[str, int]:
    """SHA-256 of the contents of files, one after the other, and their size in bytes.

    Raises:
        OSError: One cannot be read.
    """
    found, size = hashlib.sha256(), 0
    for number, file in enumerate(files):
        if number:
            found.update(f"\0{file.name}\0".encode(errors="surrogateescape"))
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                found.update(piece)
                size += len(piece)
    return found.hexdigest(), size


@cache
def tool_identity() -> str:
    """Version of mnncompat and what its table says, in one word: what two machines have to agree in."""
    from importlib.metadata import version

    rules = rule_files.root() / "compiled.jsonl"
    digest = digest_of(rules)[0][:12] if rules.is_file() else "uncompiled"
    return f"{version('mnncompat')}+{digest}"


def external_files(model: Path) -> tuple[Path, ...]:
    """The files with weights that a model refers to, as far as they are there; whatever is bad about them is left out.

    Raises:
        OSError: The model cannot be read.
    """
    with model.open("rb") as opened:
        mentioned = _mentions(opened, b"location")
    if not mentioned:
        return ()
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    from mnncompat.graph.external_data import locations

    proto = ModelProto()
    try:
        proto.ParseFromString(model.read_bytes())
    except DecodeError:
        return ()
    folder = model.parent
    inside = [name for name in sorted(locations(proto)) if name and "\0" not in name and _is_inside(name)]
    return tuple(folder / name for name in inside if (folder / name).is_file())


def _is_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _mentions(opened: Any, word: bytes) -> bool:
    before = b""
    while piece := opened.read(_PIECE):
        if word in before + piece:
            return True
        before = piece[-len(word) :]
    return False
