"""What was found about a model on its draws, kept in the user's cache so that a second run does not pay again.

A file is named by a hash of everything that the findings depend on: the model with its external data, the draws, the
tolerances, the release of ONNX Runtime, and `VERSION`. It holds JSON and the inputs that were searched, as arrays. A
file that cannot be read, or does not have this form, is as good as none; so is a folder that cannot be written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sys
import zipfile
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.errors import MnncompatError
from mnncompat.files.user_cache import cache_folder
from mnncompat.graph.atomic_files import write_atomically
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.power.flattened import Flattened
from mnncompat.parity.power.shell import digest_of
from mnncompat.parity.power.trials import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto

    from mnncompat.results.parity_report import Tolerance

VERSION = 4
"""Of what is planted, and of the files."""
_MOST_FILES = 100
_MOST_BYTES = 1 << 24
_TEXT = "findings"


@dataclass(slots=True, kw_only=True)
class Findings:
    """What faults moved.

    Attributes:
        labels: Of the operators.
        idle: Positions of those in branches that are never taken at these sizes; they do not count.
        records: What the fault of each one moved, by position.
        searched: Draws that were added because they show more.
        notes: What a reader should know.
        flattened: Outputs with classes that are saturated in every draw.
    """

    labels: tuple[str, ...] = ()
    idle: frozenset[int] = frozenset()
    records: dict[int, Record] = field(default_factory=dict)
    searched: list[NamedFeeds] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    flattened: list[Flattened] = field(default_factory=list)


class KeptFindings:
    """The file of one model on its draws.

    Args:
        model: The model, with references to external data or without.
        folder: Where external data lie.
        feeds: The draws.
        tolerances: Of the outputs that count.
        planted: False if no faults are planted: findings then are the saturated classes alone, which a file with
            planted faults has as well.
    """

    def __init__(
        self,
        model: ModelProto,
        folder: Path | None,
        feeds: Sequence[NamedFeeds],
        tolerances: Mapping[str, Tolerance],
        *,
        planted: bool = True,
    ) -> None:
        base = cache_folder()
        self._file: Path | None = None
        self._others: tuple[Path, ...] = ()
        if base is not None:
            whole = base / "power" / f"{_key(model, folder, feeds, tolerances)}.npz"
            self._file = whole if planted else whole.with_suffix(".classes.npz")
            self._others = () if planted else (whole,)

    def load(self) -> Findings | None:
        """What was found before; None if nothing was."""
        files = (*self._others, self._file) if self._file is not None else ()
        return next((found for file in files if (found := _loaded(file)) is not None), None)

    def save(self, found: Findings) -> None:
        """Write the file, unless it would be large; the oldest files make room for it."""
        if self._file is None or sum(array.nbytes for array in _arrays(found).values()) > _MOST_BYTES:
            return
        with contextlib.suppress(OSError, MnncompatError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, _written(found), cache=True)
            _make_room(self._file.parent)


def _loaded(file: Path) -> Findings | None:
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
            return _read(json.loads(arrays[_TEXT].tobytes()), arrays)
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile):
        return None


def _make_room(folder: Path) -> None:
    files = sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)
    for file in files[:-_MOST_FILES]:
        file.unlink(missing_ok=True)


def _written(found: Findings) -> bytes:
    text = {
        "labels": found.labels,
        "idle": sorted(found.idle),
        "notes": found.notes,
        "records": {str(number): record for number, record in found.records.items()},
        "searched": [{"name": feed.name, "inputs": list(feed.arrays)} for feed in found.searched],
        "flattened": [(each.output, each.function, each.value, list(each.slices.items())) for each in found.flattened],
    }
    arrays: dict[str, Any] = _arrays(found)
    arrays[_TEXT] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


def _arrays(found: Findings) -> dict[str, np.ndarray]:
    arrays = {
        f"{place}/{number}": array
        for place, feed in enumerate(found.searched)
        for number, array in enumerate(feed.arrays.values())
    }
    return arrays | {f"flattened/{place}": each.expected for place, each in enumerate(found.flattened)}


def _read(text: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Findings:
    return Findings(
        labels=tuple(str(each) for each in text["labels"]),
        idle=frozenset(int(each) for each in text["idle"]),
        notes=tuple(str(each) for each in text["notes"]),
        records={
            int(number): {str(draw): tuple(str(each) for each in moved) for draw, moved in record.items()}
            for number, record in text["records"].items()
        },
        searched=[
            NamedFeeds(
                name=str(feed["name"]),
                arrays={str(name): arrays[f"{place}/{number}"] for number, name in enumerate(feed["inputs"])},
            )
            for place, feed in enumerate(text["searched"])
        ],
        flattened=[
            Flattened(
                output=str(output),
                function=str(function),
                value=str(value),
                expected=arrays[f"flattened/{place}"],
                slices={int(axis): [int(each) for each in indices] for axis, indices in slices},
            )
            for place, (output, function, value, slices) in enumerate(text["flattened"])
        ],
    )


def _key(
    model: ModelProto, folder: Path | None, feeds: Sequence[NamedFeeds], tolerances: Mapping[str, Tolerance]
) -> str:
    digest = hashlib.sha256()
    runtime = getattr(sys.modules.get("onnxruntime"), "__version__", "")  # loaded: the reference has run
    about = [VERSION, runtime, [(name, asdict(each)) for name, each in tolerances.items()]]
    digest.update(json.dumps(about).encode())
    digest.update(digest_of(model, folder))
    for feed in feeds:
        for name, array in feed.arrays.items():
            digest.update(json.dumps([feed.name, name, array.dtype.str, array.shape]).encode())
            digest.update(array.tobytes())
    return digest.hexdigest()
