"""A repro as a micro-model of a row: `mnncompat dev new-case`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.cli.skeletons import checkout
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto

_CODE = re.compile(r"MNN[0-9]{3}")
_OP = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_QUOTES = "'''"
_MOST_ELEMENTS = 512


def write_case(folder: Path, code: str, name: str) -> tuple[Path, str]:
    """Append the model of a repro to the micro-models of its operator; returns the file and the case's id.

    Raises:
        UsageError: It is no repro, its data are large, the name is taken, or this is no checkout.
    """
    from mnncompat.diagnosing.repro import read_repro

    root = checkout()
    if not _CODE.fullmatch(code):
        raise UsageError(f"{code} is no code of a row", hint="`mnncompat dev next-code row --op OP` prints a free one")
    repro = read_repro(folder)
    if sum(array.size for array in repro.part.feeds.values()) > _MOST_ELEMENTS:
        raise UsageError(f"{folder} has large inputs", hint="state a smaller model by hand: CONTRIBUTING.md")
    op = next((node.op_type for node in reversed(repro.part.model.graph.node)), "")
    if not _OP.fullmatch(op):
        raise UsageError(f"{folder} is about '{op}', which is no operator of ONNX", hint="write a model by hand")
    file = root / "rules" / "cases" / f"{op}.toml"
    before = file.read_text() if file.is_file() else ""
    if f'name = "{name}"' in before:
        raise UsageError(f"{file} has a case called {name!r}", hint="choose another name")
    model, feeds = _renamed(repro.part.model, repro.part.feeds)
    if _QUOTES in str(model):
        raise UsageError(f"{folder} has a string with {_QUOTES}", hint="write a model by hand")
    file.write_text(f"{before}\n{_entry(model, feeds, code, name)}".lstrip("\n"))
    return file, f"row:{op}/{code}/{name}"


def _entry(model: ModelProto, feeds: dict[str, np.ndarray], code: str, name: str) -> str:
    import onnx

    values = ", ".join(f"{key} = {_numbers(array)}" for key, array in feeds.items())
    text = str(onnx.printer.to_text(model)).strip()
    return f"[[case]]\ncode = \"{code}\"\nname = \"{name}\"\nfeeds = {{ {values} }}\nmodel = '''\n{text}\n'''\n"


def _numbers(array: np.ndarray) -> str:
    """Values as TOML has them."""
    listed = array.reshape(-1).tolist()
    words = [str(each).lower() if isinstance(each, bool) else repr(each) for each in listed]
    return words[0] if array.ndim == 0 else f"[{', '.join(words)}]"


def _renamed(model: ModelProto, feeds: dict[str, np.ndarray]) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """Names that ONNX text and TOML take, whatever the model's are; bodies keep theirs."""
    copy = type(model)()
    copy.CopyFrom(model)
    if any(each.HasField("g") for node in copy.graph.node for each in node.attribute):
        return copy, dict(feeds)
    new = {"": ""}
    values: list[Any] = [*copy.graph.input, *copy.graph.initializer, *copy.graph.output]
    for value in values:
        new.setdefault(value.name, f"v{len(new)}")
        value.name = new[value.name]
    for number, node in enumerate(copy.graph.node):
        node.name = f"n{number}"
        node.input[:] = [new.setdefault(each, f"v{len(new)}") for each in node.input]
        node.output[:] = [new.setdefault(each, f"v{len(new)}") for each in node.output]
    return copy, {new[name]: array for name, array in feeds.items()}
