"""Would `verify` notice? Faults planted in models, each converted and compared with the original: `make mutation`.

A fault counts if it moves an output beyond its tolerance on realistic inputs, under ONNX Runtime. It has to be caught,
or to lie in an operator that the report names as one that the inputs do not exercise.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import ModelProto
from plants import Plant, plants
from subjects import SUBJECTS, Subject

import mnncompat
from mnncompat import mnn
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity import FLOAT32, verify
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.judge import Judge
from mnncompat.parity.output_scale import coarse_outputs
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.scores import Scores, scores_of
from mnncompat.parity.signature import output_names
from mnncompat.results.failures import Failure
from mnncompat.results.parity_report import ParityReport

FEEDS = 4
CAUGHT, SILENT, UNMOVED, MISSED = "caught", "named as not exercised", "does not show on realistic inputs", "MISSED"
REFUSED, CRASHED = "caught: not converted", "caught: does not run"


class Tried(NamedTuple):
    """What became of a fault."""

    subject: str
    kind: str
    node: str
    outcome: str
    shown: float
    """How many times the tolerance it moves an output on realistic inputs; infinite if it fails otherwise."""


def tried(name: str, count: int | None = None, seed: int = 0) -> list[Tried]:
    """Plant faults in one subject and look whether they are noticed."""
    subject = SUBJECTS[name]
    original = subject.build()
    fixed = mnncompat.fix(original, shapes=subject.shapes, inputs=subject.inputs or None).model.proto
    report = _verified(original, fixed, subject, seed)
    if not isinstance(report, ParityReport) or not report.passed:
        raise RuntimeError(f"{name}: the model itself does not pass: {report}")
    found = plants(fixed, count or subject.plants, seed)
    shown = [_shown(fixed, each.model, subject) for each in found]
    return [
        Tried(name, each.kind, each.node, _outcome(original, each, subject, seed) if by > 1 else UNMOVED, by)
        for each, by in zip(found, shown, strict=True)
    ]


def _outcome(original: ModelProto, plant: Plant, subject: Subject, seed: int) -> str:
    report = _verified(original, plant.model, subject, seed)
    if isinstance(report, Failure):
        return REFUSED
    if not report.passed:
        return CRASHED if report.failures else CAUGHT
    power = report.power
    return SILENT if power is not None and plant.node in (*power.silent, *power.untried) else MISSED


def _verified(original: ModelProto, model: ModelProto, subject: Subject, seed: int) -> ParityReport | Failure:
    """Convert a model, and compare the file with the original."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        converted = mnn.convert(path, path.with_suffix(".mnn"), options=ConvertOptions(), limits=Limits(seconds=120))
        if isinstance(converted, Failure):
            return converted
        return verify(original, converted.path, shapes=subject.shapes, inputs=subject.inputs or None, seed=seed)


def _shown(original: ModelProto, planted: ModelProto, subject: Subject) -> float:
    """How many times its tolerance a fault moves an output, or the scores of one, on realistic inputs; 0 if no more."""
    draws = np.random.default_rng(7)
    feeds = [NamedFeeds(name=str(place), arrays=subject.feeds(draws)) for place in range(FEEDS)]
    scores: Scores = scores_of(original)
    first, second = (scores.exposed(each) for each in (original, planted))
    expected, actual = (OnnxRunner(each).run([feed.arrays for feed in feeds]) for each in (first, second))
    assert not isinstance(expected, Failure), expected
    if isinstance(actual, Failure):
        return math.inf
    names = output_names(first)
    judge = Judge(dict.fromkeys(names, FLOAT32), coarse=coarse_outputs(first, names), scores=scores)
    failed = [each for each in judge.outputs(feeds, expected, actual) if not each.passed]
    return max((each.error_ratio for output in failed for each in output.comparisons), default=0.0)


def table(rows: list[Tried]) -> str:
    """One line for each fault, and the sums: model, kind, place, how far it shows, outcome."""
    lines = [f"{row.subject:16}{row.kind:12}{row.node:48}{row.shown:9.3g}  {row.outcome}" for row in rows]
    counts = Counter(row.outcome for row in rows)
    return "\n".join([*lines, "", *(f"{count:5}  {outcome}" for outcome, count in counts.most_common())])


def main(names: list[str]) -> int:
    """Try the subjects that are named, or all; 1 if a fault was missed."""
    rows: list[Tried] = []
    for name in names or SUBJECTS:
        rows += tried(name)
        sys.stderr.write(f"{name}: {len(rows)} faults so far\n")
    sys.stdout.write(f"{table(rows)}\n{len(rows)} faults in {len({row.subject for row in rows})} models\n")
    return int(any(row.outcome == MISSED for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
