"""What samples are labelled with, and how outputs are scored by it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.errors import UsageError
from mnncompat.parity.archives import DamagedArraysError, arrays_of
from mnncompat.parity.feed_functions import called, function_of

if TYPE_CHECKING:
    Outputs = Sequence[Mapping[str, np.ndarray]]
    Metric = Callable[[Outputs, Sequence[Any]], Mapping[str, float]]

_ARRAYS = (".npy", ".npz")
_FIVE = 5
_WHOLE = re.compile("-?[0-9]{1,18}")
_FORM = "one label a line, `file,label` lines, or integers saved with numpy.save"


def read_labels(path: Path, names: Sequence[str]) -> list[Any]:
    """Labels of samples.

    Args:
        path: `.npy`, an `.npz` with an array `labels` or a single one; else text: a label a line in the order of the
            samples, or lines of a name and a label, separated by a comma or blanks.
        names: Of the samples: those of files as the folder has them.

    Returns:
        A label for each sample: an int, or the text for a metric of the user.

    Raises:
        UsageError: It cannot be read, or does not label the samples.
    """
    found = _of_arrays(path) if path.suffix.lower() in _ARRAYS else _of_text(path, names)
    if len(found) != len(names):
        raise UsageError(f"{path} has {len(found)} labels for {len(names)} samples", hint=_FORM)
    return found


def _of_arrays(path: Path) -> list[Any]:
    try:
        loaded = arrays_of(path)
    except (OSError, DamagedArraysError) as error:
        raise UsageError(f"--labels {path} cannot be read: {error}", hint=_FORM) from error
    if isinstance(loaded, Mapping):
        if "labels" not in loaded and len(loaded) != 1:
            listed = ", ".join(loaded)
            raise UsageError(f"--labels {path} has the arrays {listed}", hint="call one of them `labels`")
        loaded = loaded["labels"] if "labels" in loaded else next(iter(loaded.values()))
    return [each.item() if each.ndim == 0 else each for each in np.asarray(loaded)]


def _of_text(path: Path, names: Sequence[str]) -> list[Any]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--labels {path} cannot be read: {error}", hint=_FORM) from error
    rows = [_parts(line) for line in lines if line and not line.startswith("#")]
    if all(len(row) == 1 for row in rows):
        return [_label(row[0]) for row in rows]
    known = {row[0]: _label(row[-1]) for row in rows}
    missing = [name for name in names if name not in known]
    if missing:
        raise UsageError(f"--labels {path} has no label for {missing[0]}", hint=_FORM)
    return [known[name] for name in names]


def _parts(line: str) -> list[str]:
    if "," in line:
        try:
            return [part.strip() for part in next(csv.reader([line]))]
        except csv.Error as error:
            raise UsageError(f"--labels: {error}", hint=_FORM) from error
    name, _, label = line.rpartition(" ")
    return [name.strip(), label] if name else [line]


def _label(text: str) -> int | str:
    """A whole number, if that is what it is; numbers of more digits than any class has are text."""
    return int(text) if _WHOLE.fullmatch(text) else text


def top_metric(output: str) -> Metric:
    """Top-1 and, of more than five classes, top-5 of an output whose last axis has a score for each class."""

    def metric(outputs: Outputs, labels: Sequence[Any]) -> Mapping[str, float]:
        scores = np.concatenate(
            [np.asarray(each[output], np.float64).reshape(-1, each[output].shape[-1]) for each in outputs]
        )
        wanted = np.asarray(labels)
        if wanted.dtype.kind not in "iu" or len(wanted) != len(scores):
            raise UsageError(
                "top-1 needs one whole number for each sample", hint="--metric FILE.py:FUNCTION for others"
            )
        if wanted.min() < 0 or wanted.max() >= scores.shape[-1]:
            raise UsageError(
                f"labels are {wanted.min()} to {wanted.max()}, and {output!r} has {scores.shape[-1]} classes",
                hint="number the classes from 0",
            )
        order = np.argsort(-scores, axis=-1, kind="stable")
        found = {"top-1": float((order[:, 0] == wanted).mean())}
        if scores.shape[-1] > _FIVE:
            found["top-5"] = float((order[:, :_FIVE] == wanted[:, None]).any(axis=-1).mean())
        return found

    return metric


def own_metric(target: str) -> Metric:
    """The metric of the user: it gets the outputs of all samples and the labels, and returns a number or several.

    Raises:
        UsageError: There is no such function.
    """
    function = function_of("--metric", target)

    def metric(outputs: Outputs, labels: Sequence[Any]) -> Mapping[str, float]:
        value = called("--metric", target, function, [dict(each) for each in outputs], list(labels))
        pairs = value.items() if isinstance(value, Mapping) else [(target.rpartition(":")[2], value)]
        try:
            return {str(name): float(number) for name, number in pairs}
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"--metric {target} returns {type(value).__name__}", hint="return a number, or numbers by name"
            ) from error

    return metric
