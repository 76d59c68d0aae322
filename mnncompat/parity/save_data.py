"""Keep the feeds and the outputs of a comparison in a folder (`mnncompat.parity.saved_data` judges them again).

``draw-000.npz``, ...     of each draw: ``input_N``, ``expected_N`` and ``actual_N``; N is the position of the input or
                          the output in the manifest. An output that is missing on the other side has no ``actual_N``.
``mnncompat-data.json``   the manifest: names, dtypes, tolerances, hashes; `SCHEMA_VERSION` is its version
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.errors import OutputError
from mnncompat.graph.atomic_files import require_folder_around, umask
from mnncompat.parity.scores import NO_SCORES

if TYPE_CHECKING:
    import onnx

    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.scores import Scores
    from mnncompat.parity.size_coverage import Dimension
    from mnncompat.results.parity_report import Comparison, ParityReport, Tolerance

    Outputs = list[dict[str, np.ndarray]]

MANIFEST = "mnncompat-data.json"
"""Name of the manifest."""
SCHEMA_VERSION = "1.2"
"""Of the manifest. The second number grows with additions, the first with anything that breaks a reader."""
DRAW = re.compile(r"draw-[0-9]+\.npz")
"""Names of the files of draws."""


class Saving:
    """Where the data of one comparison go.

    Args:
        folder: It does not exist, or is empty, or holds what was saved before and nothing else.
        model: The reference.
        mnn_file: The converted file.

    Raises:
        OutputError: The folder holds something else, or cannot be made.
    """

    def __init__(self, folder: Path, model: Path | str | onnx.ModelProto, mnn_file: Path) -> None:
        self._folder = _behind(folder)
        self._model = None if not isinstance(model, Path | str) else Path(model)
        self._mnn_file = mnn_file
        _require_replaceable(self._folder)

    def save(
        self,
        feeds: Sequence[NamedFeeds],
        expected: Outputs,
        actual: Outputs,
        report: ParityReport,
        tolerances: Mapping[str, Tolerance],
        dimensions: Sequence[Dimension] = (),
        scores: Scores = NO_SCORES,
    ) -> None:
        """Write everything, or nothing.

        Args:
            feeds: The draws; with the noise that MNN was fed with, if it takes the reference's noise as inputs.
            expected: For each draw, what the reference computed.
            actual: For each draw, what MNN computed; empty if it failed.
            report: What was found.
            tolerances: By output.
            dimensions: The dynamic ones.
            scores: What outputs of whole numbers are made from, some of which are among the outputs.

        Raises:
            OutputError: The folder cannot be written.
        """
        inputs = list(feeds[0].arrays) if feeds else []
        outputs = list(tolerances)
        with _replacing(self._folder) as folder:
            draws = []
            for number, feed in enumerate(feeds):
                file = folder / f"draw-{number:03d}.npz"
                arrays = {f"input_{place}": feed.arrays[name] for place, name in enumerate(inputs)}
                arrays |= {f"expected_{place}": expected[number][name] for place, name in enumerate(outputs)}
                found = actual[number] if actual else {}
                arrays |= {f"actual_{place}": found[name] for place, name in enumerate(outputs) if name in found}
                _write(file, arrays)
                draws.append({"name": feed.name, "file": file.name, "sha256": sha256(file)})
            manifest = {
                "schema_version": SCHEMA_VERSION,
                "model": _identity(self._model),
                "mnn_file": _identity(self._mnn_file),
                "inputs": [{"name": name, "dtype": feeds[0].arrays[name].dtype.name} for name in inputs],
                "outputs": [
                    {"name": name, "dtype": expected[0][name].dtype.name, "tolerance": asdict(tolerances[name])}
                    for name in outputs
                ],
                "scores": {
                    "labels": dict(scores.labels),
                    "choices": {name: asdict(each) for name, each in scores.choices.items()},
                },
                "draws": draws,
                "dimensions": [asdict(each) for each in dimensions],
                **_findings(report),
            }
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _findings(report: ParityReport) -> dict[str, Any]:
    """What a report says beside the arrays."""
    return {
        "failures": [{"runner": each.runner, **asdict(each.failure)} for each in report.failures],
        "notes": list(report.notes),
        "seed": report.seed,
        "power": None if report.power is None else asdict(report.power),
        "given": list(report.given),
        "undetermined": [asdict(each) for each in report.undetermined],
        "assumptions": [asdict(each) for each in report.assumptions],
        "inconclusive": _places(report, lambda each: each.inconclusive),
        "outliers": _places(report, lambda each: each.outliers > 0),
    }


def _places(report: ParityReport, test: Callable[[Comparison], bool]) -> list[dict[str, str]]:
    """Outputs and draws of which something is true."""
    return [
        {"output": output.name, "draw": each.draw}
        for output in report.outputs
        for each in output.comparisons
        if test(each)
    ]


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _identity(path: Path | None) -> dict[str, str | None]:
    return {"path": "", "sha256": None} if path is None else {"path": str(path), "sha256": sha256(path)}


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _behind(folder: Path) -> Path:
    """The folder that a link stands for, or the path itself, absolute.

    Raises:
        OutputError: There is something that is no folder.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(
                f"cannot write {folder}: it is no folder, and holds other things than saved data",
                hint="name a new or an empty folder",
            )
        return folder.resolve() if folder.is_symlink() else folder.absolute()
    except (OSError, RuntimeError, ValueError) as error:  # a name that is too long, or a loop of links
        raise OutputError(
            f"cannot write {str(folder)[:100]}: {getattr(error, 'strerror', None) or error}",
            hint="name a new or an empty folder",
        ) from error


def _require_replaceable(folder: Path) -> None:
    if not folder.exists():
        require_folder_around(folder)
        return
    names = {each.name for each in folder.iterdir()}
    if names and (MANIFEST not in names or any(name != MANIFEST and not DRAW.fullmatch(name) for name in names)):
        raise OutputError(
            f"cannot write {folder}: it holds other things than saved data", hint="name a new or an empty folder"
        )


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder beside the target that takes its place if no error occurs."""
    import tempfile

    made: list[Path] = []
    try:
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=".mnncompat-", suffix=".tmp"))
        made.append(folder)
        yield folder
        folder.chmod(0o777 & ~umask())
        before = Path(tempfile.mkdtemp(dir=target.parent, prefix=".mnncompat-", suffix=".old"))
        made.append(before)
        _exchange(target, folder, before)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}", hint="check space and permissions"
        ) from error
    finally:
        for each in made:
            shutil.rmtree(each, ignore_errors=True)


def _exchange(target: Path, folder: Path, before: Path) -> None:
    """Put a folder in the place of another one, which is moved away; on failure it stays where it is."""
    if not target.exists():
        folder.replace(target)
        return
    _require_replaceable(target)
    target.replace(before)
    try:
        folder.replace(target)
    except OSError:
        before.replace(target)
        raise
