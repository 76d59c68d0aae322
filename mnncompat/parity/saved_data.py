"""Feeds and outputs of a comparison that were saved (`mnncompat.parity.save_data`), judged without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.errors import UsageError
from mnncompat.parity.archives import DamagedArraysError, archive_of
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.judge import Judge, agreement_on_data, problems_of, tolerances_by_output
from mnncompat.parity.save_data import DRAW, MANIFEST, SCHEMA_VERSION, sha256
from mnncompat.parity.scores import Choice, Scores
from mnncompat.parity.size_coverage import Dimension, coverage
from mnncompat.results.failures import Failure, FailureKind, Stage
from mnncompat.results.parity_report import (
    InputAssumption,
    ParityReport,
    RunnerFailure,
    Tolerance,
    UndeterminedOutput,
)
from mnncompat.results.proof_strength import Power

if TYPE_CHECKING:
    from mnncompat.parity.outliers import Examined
    from mnncompat.results.parity_report import Comparison

    Outputs = list[dict[str, np.ndarray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedData:
    """A folder that was saved, as it was read.

    Attributes:
        model: Path of the reference when it was saved; empty for a model in memory.
        mnn_file: Path of the converted file.
        hashes: SHA-256 of both files, where known, by "model" and "mnn_file".
        feeds: The draws.
        expected: For each draw, what the reference computed.
        actual: For each draw, what MNN computed; empty if it failed.
        tolerances: By output.
        half: Outputs that are float16.
        report: Failures, notes, seed, assumptions, power, draws of data and random outputs, without judged outputs.
        dimensions: The dynamic dimensions of the inputs; empty in data of older versions.
        inconclusive: Outputs and draws that rounding explained.
        excused: Outputs and draws whose outliers were excused.
        scores: What outputs of whole numbers are made from.
    """

    model: str
    mnn_file: str
    hashes: Mapping[str, str | None]
    feeds: list[NamedFeeds]
    expected: Outputs
    actual: Outputs
    tolerances: Mapping[str, Tolerance]
    half: frozenset[str]
    report: ParityReport
    dimensions: tuple[Dimension, ...]
    inconclusive: frozenset[tuple[str, str]]
    excused: frozenset[tuple[str, str]]
    scores: Scores

    def require_same(self, *, model: Path | None = None, mnn_file: Path | None = None) -> None:
        """Files that are given are those that were run.

        Raises:
            UsageError: One cannot be read, or has changed.
        """
        for key, path in (("model", model), ("mnn_file", mnn_file)):
            if path is None:
                continue
            if not path.is_file():
                raise UsageError(f"{path}: no such file", hint="with --load-data it can be left out")
            if self.hashes[key] != sha256(path):
                raise UsageError(
                    f"{path} is not the file that the data were saved of", hint="run `mnncompat verify` again"
                )

    def judge(
        self, tolerance: Tolerance | None = None, tolerances: Mapping[str, Tolerance] | None = None
    ) -> ParityReport:
        """Judge the outputs again, without running anything.

        What rounding explained when the data were saved is inconclusive for the same tolerance; for another one nothing
        is, because that takes runs. Likewise the power is known for the same tolerances alone.

        Args:
            tolerance: Of outputs that are not named in `tolerances`; None for that of the time when they were saved.
            tolerances: By output name.

        Raises:
            UsageError: A name is not one of an output.
        """
        overrides = tolerances or {}
        chosen = tolerances_by_output(list(self.tolerances), self.half, tolerance, overrides)
        if tolerance is None:
            chosen = {name: chosen[name] if name in overrides else each for name, each in self.tolerances.items()}
        chosen = {name: self._fitted(name, each) for name, each in chosen.items()}
        other = {name for name, each in chosen.items() if each != self.tolerances[name]}
        judge = Judge(chosen, self._explain, unexplained=other, scores=self.scores)
        random = {each.name for each in self.report.undetermined}
        outputs = judge.outputs(self.feeds, self.expected, self.actual, without=random) if self.actual else ()
        problems = problems_of(outputs, self.report.failures, self.report.undetermined)
        report = replace(self.report, outputs=outputs, problems=problems)
        report = replace(report, sizes=coverage(report, self.dimensions), power=None if other else report.power)
        return replace(report, notes=(*report.notes, *judge.notes, *agreement_on_data(report)))

    def _fitted(self, name: str, tolerance: Tolerance) -> Tolerance:
        """A tolerance that follows the output's size, as it does when the data are saved; no finer than that was."""
        if not tolerance.scaled:
            return tolerance
        return replace(tolerance, atol=min(tolerance.atol, self.tolerances[name].atol), scaled=False)

    def _explain(
        self, _: Sequence[NamedFeeds], name: str, draws: Sequence[Examined], tolerance: Tolerance
    ) -> tuple[tuple[Comparison, ...], list[str]]:
        judged: list[Comparison] = []
        notes: list[str] = []
        for draw in draws:
            comparison, place = draw.comparison, (self.scores.labels.get(name, name), draw.comparison.draw)
            if not comparison.passed and draw.beyond is not None and place in self.excused:
                comparison = draw.excused(tolerance)
                notes.append(f"output {name!r}, {comparison.draw}: outliers, as when the data were saved")
            elif not comparison.passed and place in self.inconclusive:
                comparison = replace(comparison, problems=(), inconclusive=True, discriminative=False)
                notes.append(f"output {name!r}, {comparison.draw}: inconclusive, as when the data were saved")
            judged.append(comparison)
        return tuple(judged), notes


def load_data(folder: Path) -> SavedData:
    """Read a folder that `Saving` wrote.

    Raises:
        UsageError: There is none, it is damaged, or a newer mnncompat wrote it.
    """
    manifest = _manifest(folder)
    try:
        return _read(folder, manifest)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        told = f"{type(error).__name__}: {error}"
        raise UsageError(f"{folder / MANIFEST} is damaged: {told}", hint="save the data again") from error


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise UsageError(f"{folder} holds no saved data", hint="make them with `mnncompat verify --save-data DIR`")
    try:
        manifest = json.loads(path.read_text())
        version = str(manifest["schema_version"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{path} is damaged: {error}", hint="save the data again") from error
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise UsageError(
            f"{path} has the version {version}; this mnncompat reads {SCHEMA_VERSION}", hint="save the data again"
        )
    return dict(manifest)


def _read(folder: Path, manifest: Mapping[str, Any]) -> SavedData:
    inputs = [str(each["name"]) for each in manifest["inputs"]]
    used = {str(each["name"]): Tolerance(**each["tolerance"]) for each in manifest["outputs"]}
    tolerances = {name: replace(each, scaled=False) for name, each in used.items()}
    draws = [(str(each["name"]), _arrays(folder, each)) for each in manifest["draws"]]
    failures = tuple(_failure(each) for each in manifest["failures"])
    return SavedData(
        model=str(manifest["model"]["path"]),
        mnn_file=str(manifest["mnn_file"]["path"]),
        hashes={key: manifest[key]["sha256"] for key in ("model", "mnn_file")},
        feeds=[NamedFeeds(name=name, arrays=_named(arrays, "input", inputs)) for name, arrays in draws],
        expected=[_named(arrays, "expected", tolerances) for _, arrays in draws],
        actual=[] if failures else [_named(arrays, "actual", tolerances, all_of_them=False) for _, arrays in draws],
        tolerances=tolerances,
        half=frozenset(each["name"] for each in manifest["outputs"] if each["dtype"] == "float16"),
        report=ParityReport(
            outputs=(),
            failures=failures,
            problems=(),
            draws=tuple(name for name, _ in draws),
            shapes=tuple({each: arrays[f"input_{n}"].shape for n, each in enumerate(inputs)} for _, arrays in draws),
            notes=tuple(map(str, manifest["notes"])),
            seed=int(manifest["seed"]),
            assumptions=tuple(_assumption(each) for each in manifest["assumptions"]),
            given=tuple(map(str, manifest["given"])),
            power=_power(manifest.get("power")),
            undetermined=tuple(_undetermined(each) for each in manifest["undetermined"]),
        ),
        dimensions=tuple(_dimension(each) for each in manifest.get("dimensions", ())),
        inconclusive=_places(manifest["inconclusive"]),
        excused=_places(manifest.get("outliers", ())),
        scores=_scores(manifest.get("scores", {"labels": {}, "choices": {}})),
    )


def _places(found: Sequence[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    return frozenset((str(each["output"]), str(each["draw"])) for each in found)


def _scores(found: Mapping[str, Any]) -> Scores:
    choices = {str(name): Choice(**each) for name, each in found["choices"].items()}
    return Scores(labels={str(name): str(label) for name, label in found["labels"].items()}, choices=choices, types={})


def _failure(found: Mapping[str, Any]) -> RunnerFailure:
    kind, stage = FailureKind(found["kind"]), Stage(found["stage"])
    failure = Failure(kind=kind, stage=stage, message=str(found["message"]), words=str(found["words"]))
    return RunnerFailure(runner=str(found["runner"]), failure=failure)


def _power(found: Mapping[str, Any] | None) -> Power | None:
    if found is None:
        return None
    exercised, silent, untried = (tuple(map(str, found[key])) for key in ("exercised", "silent", "untried"))
    return Power(
        exercised=exercised,
        silent=silent,
        untried=untried,
        remembered=bool(found["remembered"]),
        seconds=float(found["seconds"]),
    )


def _dimension(found: Mapping[str, Any]) -> Dimension:
    places = tuple((str(name), int(axis)) for name, axis in found["places"])
    needed, settled = int(found["needed"]), str(found["settled"])
    return Dimension(title=str(found["title"]), places=places, needed=needed, settled=settled)


def _assumption(found: Mapping[str, Any]) -> InputAssumption:
    lists = {name: tuple(found.get(name, ())) for name in ("shape", "reasons", "relations")}
    return InputAssumption(**{**found, **lists})


def _undetermined(found: Mapping[str, Any]) -> UndeterminedOutput:
    return UndeterminedOutput(name=str(found["name"]), nodes=tuple(map(str, found["nodes"])))


def _named(
    arrays: Mapping[str, np.ndarray], side: str, names: Sequence[str] | Mapping[str, Any], *, all_of_them: bool = True
) -> dict[str, np.ndarray]:
    keys = {name: f"{side}_{place}" for place, name in enumerate(names)}
    return {name: arrays[key] for name, key in keys.items() if all_of_them or key in arrays}


def _arrays(folder: Path, draw: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of one draw, if the file is as it was written."""
    name = str(draw["file"])
    path = folder / name
    if not DRAW.fullmatch(name) or not path.is_file():
        raise UsageError(f"{path} is missing", hint="save the data again")
    if sha256(path) != draw["sha256"]:
        raise UsageError(f"{path} is damaged: its checksum is another one", hint="save the data again")
    try:
        return archive_of(path)
    except (OSError, DamagedArraysError) as error:
        raise UsageError(f"{path} is damaged: {error}", hint="save the data again") from error
