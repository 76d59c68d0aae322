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
from mnncompat.graph.model_file import load
from mnncompat.mnn import ConvertOptions
from mnncompat.parity.archives import archive_of

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.diagnosing.bench import Bench, Outcome
    from mnncompat.results.diagnosis import Culprit

_SCRIPT = Path(__file__).with_name("repro_script.txt")
_MODEL, _FEEDS, _EXPECTED, _TOLD = "model.onnx", "feeds.npz", "expected.npz", "repro.json"
_WRITES = "`mnncompat diagnose MODEL --repro DIR` writes one"
_FILES = ("model.onnx", "feeds.npz", "expected.npz", "actual.npz", "repro.json", "repro.py", "issue.md")
_LEFT = ("model.mnn", "computed.npz", ".__convert_external_data.bin")
_VERSION = 1
_PRECISION = "high"
_RTOL = 1e-3
"""What the script allows, unless the fault is smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repro:
    """A repro that was read.

    Attributes:
        part: The model, its inputs, and what ONNX Runtime computed.
        symptom: What it shows.
        options: Of the conversion.
        versions: With which it was written.
        device: The device that showed it, and the precision: `arm64:a76 low`; empty for the machine that wrote it.
    """

    part: Excerpt
    symptom: str
    options: ConvertOptions
    versions: Mapping[str, str]
    device: str = ""


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
    other = [name for name in _FILES if (folder / name).is_symlink() or not _is_new_or_regular(folder / name)]
    if other:
        raise OutputError(f"{folder / other[0]} is no regular file", hint="give a new folder")


def _is_new_or_regular(path: Path) -> bool:
    return path.is_file() or not path.exists()


def write_repro(
    folder: Path,
    part: Excerpt,
    outcome: Outcome,
    culprit: Culprit,
    options: ConvertOptions,
    where: Where | None = None,
) -> None:
    """Write a repro.

    Args:
        folder: Where.
        part: The model and its data, minimal.
        outcome: What MNN does with it.
        culprit: What it shows.
        options: Of the conversion.
        where: The device that shows it; None for this machine.

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
        "device": "" if where is None else str(where.device),
        "precision": _PRECISION if where is None else where.precision.value,
        "threads": 1 if where is None else where.threads,
        "rtol": min(_RTOL, _shown(part, outcome) / 2),
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
        (folder / "issue.md").write_text(issue(part, outcome, culprit, options, where), encoding="utf-8")
        (folder / "repro.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}", hint="give another one") from error


def read_repro(folder: Path) -> Repro:
    """Read a repro, which somebody else may have written.

    Raises:
        UsageError: It is none, or is damaged.
        ModelError: Its model is malformed, or refers to a file outside.
    """
    for name in (_MODEL, _FEEDS, _EXPECTED, _TOLD):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise UsageError(f"{folder} is no repro: {name} is {_missing(path)}", hint=_WRITES)
    model = load(folder / _MODEL)
    model.load_weights()
    try:
        told = json.loads((folder / _TOLD).read_text(encoding="utf-8"))
        feeds = _arrays(folder / _FEEDS, "input", told["inputs"])
        expected = _arrays(folder / _EXPECTED, "output", told["outputs"])
        _require_fed(model.proto, feeds, expected)
        nodes = tuple(range(len(model.proto.graph.node)))
        return Repro(
            part=Excerpt(model=model.proto, nodes=nodes, feeds=feeds, expected=expected),
            symptom=str(told["symptom"]),
            options=ConvertOptions(**told["options"]),
            versions={str(name): str(each) for name, each in told["versions"].items()},
            device=f"{told['device']} {told['precision']}" if told.get("device") else "",
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{folder} is no repro, or is damaged: {error}", hint=_WRITES) from error


def _missing(path: Path) -> str:
    if path.is_symlink():
        return "a link: a repro holds its files itself"
    return "no regular file" if path.exists() else "missing"


def _require_fed(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Its data must be those of the model.

    Raises:
        ValueError: They are not.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    wanted = [value.name for value in model.graph.input if value.name not in stored]
    if sorted(feeds) != sorted(wanted):
        raise ValueError(f"its data are for {sorted(feeds)}, but the inputs of its model are {sorted(wanted)}")
    strange = next((name for name in expected if name not in {value.name for value in model.graph.output}), None)
    if strange is not None:
        raise ValueError(f"it has data for '{strange}', which is no output of its model")
    kinds = {array.dtype.kind for array in (*feeds.values(), *expected.values())}
    if kinds - set("biufV"):
        raise ValueError("its data are no numbers")


def replayed(repro: Repro, bench: Bench) -> Outcome:
    """Convert and run a repro again."""
    return bench.attempt(repro.part, repro.options)


def _shown(part: Excerpt, outcome: Outcome) -> float:
    """The largest difference as a share of the value and the size of its output, which is what the script looks at."""
    found = [_RTOL * 2]
    for name, right in part.expected.items():
        actual = outcome.outputs.get(name)
        if (
            name in outcome.deviations
            and outcome.deviations[name].is_wrong
            and actual is not None
            and actual.size == right.size > 0
        ):
            wanted = right.astype(np.float64).reshape(-1)
            size = np.abs(wanted) + np.sqrt(np.mean(np.square(wanted)))
            with np.errstate(all="ignore"):
                share = np.abs(actual.astype(np.float64).reshape(-1) - wanted) / size
            largest = float(share[np.isfinite(share)].max(initial=0.0))
            found += [largest] if largest > 0 else []
    return min(found)


def _numbered(word: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Names in an archive are numbers: those of a model may be anything."""
    return {f"{word}_{number}": array for number, array in enumerate(arrays.values())}


def _arrays(path: Path, word: str, names: list[str]) -> dict[str, np.ndarray]:
    archive = archive_of(path)
    return {name: archive[f"{word}_{number}"] for number, name in enumerate(names)}


def _stated(options: ConvertOptions) -> dict[str, Any]:
    usual = ConvertOptions()
    names = ConvertOptions.__dataclass_fields__
    return {name: getattr(options, name) for name in names if getattr(options, name) != getattr(usual, name)}
