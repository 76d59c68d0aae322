"""A repro: a folder with the smallest model that shows a fault, its data, a script, and the text of an issue."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from mnncompat.diagnosing.environment import versions
from mnncompat.diagnosing.excerpts import Excerpt
from mnncompat.diagnosing.issue_text import issue
from mnncompat.diagnosing.minimize import symptom
from mnncompat.errors import OutputError, UsageError
from mnncompat.graph.atomic_files import require_folder_around
from mnncompat.mnn import ConvertOptions

if TYPE_CHECKING:
    from mnncompat.diagnosing.bench import Bench, Outcome
    from mnncompat.results.diagnosis import Culprit

_SCRIPT = Path(__file__).with_name("repro_script.txt")
_FILES = ("model.onnx", "feeds.npz", "expected.npz", "actual.npz", "repro.json", "repro.py", "issue.md")
_LEFT = ("model.mnn", "computed.npz", ".__convert_external_data.bin")
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Repro:
    """A repro that was read.

    Attributes:
        part: The model, its inputs, and what ONNX Runtime computed.
        symptom: What it shows.
        options: Of the conversion.
        versions: With which it was written.
        culprit: Op types of its nodes.
    """

    part: Excerpt
    symptom: str
    options: ConvertOptions
    versions: Mapping[str, str]
    culprit: tuple[str, ...]


def require_repro_folder(folder: Path) -> None:
    """A folder that may be written: it is new, empty, or a repro.

    Raises:
        OutputError: It holds something else, or cannot be made.
    """
    require_folder_around(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is no folder", hint="give another one")
    strange = [each.name for each in folder.iterdir() if each.name not in (*_FILES, *_LEFT)] if folder.is_dir() else []
    if strange:
        raise OutputError(f"{folder} holds {strange[0]}, which is no part of a repro", hint="give a new folder")


def write_repro(folder: Path, part: Excerpt, outcome: Outcome, culprit: Culprit, options: ConvertOptions) -> None:
    """Write a repro.

    Args:
        folder: Where.
        part: The model and its data, minimal.
        outcome: What MNN does with it.
        culprit: What it shows.
        options: Of the conversion.

    Raises:
        OutputError: It cannot be written.
    """
    told: dict[str, Any] = {
        "version": _VERSION,
        "symptom": symptom(outcome),
        "inputs": list(part.feeds),
        "outputs": list(part.expected),
        "argv": options.argv(),
        "options": _stated(options),
        "rtol": 1e-3,
        "nodes": [node.op_type for node in part.model.graph.node],
        "from": [each.path for each in culprit.nodes],
        "versions": versions(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(part.model.SerializeToString())
        np.savez(folder / "feeds.npz", **_numbered("input", part.feeds))
        np.savez(folder / "expected.npz", **_numbered("output", part.expected))
        if outcome.outputs:
            np.savez(folder / "actual.npz", **_numbered("output", outcome.outputs))
        shutil.copyfile(_SCRIPT, folder / "repro.py")
        (folder / "issue.md").write_text(issue(part, outcome, culprit, options), encoding="utf-8")
        (folder / "repro.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}", hint="give another one") from error


def read_repro(folder: Path) -> Repro:
    """Read a repro.

    Raises:
        UsageError: It is none, or is damaged.
    """
    try:
        told = json.loads((folder / "repro.json").read_text(encoding="utf-8"))
        model = onnx.load(folder / "model.onnx")
        feeds = _arrays(folder / "feeds.npz", "input", told["inputs"])
        expected = _arrays(folder / "expected.npz", "output", told["outputs"])
        part = Excerpt(model=model, nodes=tuple(range(len(model.graph.node))), feeds=feeds, expected=expected)
        return Repro(
            part=part,
            symptom=str(told["symptom"]),
            options=ConvertOptions(**told["options"]),
            versions=told["versions"],
            culprit=tuple(told["nodes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder} is no repro, or is damaged: {error}", hint="`mnncompat diagnose MODEL --repro DIR` writes one"
        ) from error


def replayed(repro: Repro, bench: Bench) -> Outcome:
    """Convert and run a repro again."""
    return bench.attempt(repro.part, repro.options)


def _numbered(word: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Names in an archive are numbers: those of a model may be anything."""
    return {f"{word}_{number}": array for number, array in enumerate(arrays.values())}


def _arrays(path: Path, word: str, names: list[str]) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return {name: archive[f"{word}_{number}"] for number, name in enumerate(names)}


def _stated(options: ConvertOptions) -> dict[str, Any]:
    usual = ConvertOptions()
    names = ConvertOptions.__dataclass_fields__
    return {name: getattr(options, name) for name in names if getattr(options, name) != getattr(usual, name)}
