"""What a draw takes: medians at the first sizes, of runs that are made anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import parser

from mnncompat import mnn
from mnncompat.parity import verify
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.speed import Timings, speed_of
from mnncompat.results.failures import Failure
from mnncompat.results.parity_report import Speed

if TYPE_CHECKING:
    from pathlib import Path


def feed(size: int) -> NamedFeeds:
    return NamedFeeds(name="normal", arrays={"x": np.zeros((1, size), np.float32)})


def timings(size: int, *seconds: float) -> Timings:
    found = Timings()
    for each in seconds:
        found.add(feed(size).arrays, each)
    return found


def test_medians_without_the_first_run() -> None:
    first, second = timings(4, 9.0, 2.0, 1.0, 3.0), timings(4, 0.5)
    second.add(feed(5).arrays, 0.1)
    assert speed_of([feed(4), feed(5)], first, [feed(4), feed(5)], second) == Speed(reference=2.0, mnn=0.5, runs=1)
    assert speed_of([feed(5)], first, [feed(5)], second) is None
    assert speed_of([feed(4)], first, [feed(4)], None) is None
    assert speed_of([], first, [], second) is None


def test_a_comparison_tells_it(tmp_path: Path) -> None:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[N,65536] x) => (float[N,65536] y) { y = Exp(x) }'
    )
    onnx.save(model, tmp_path / "model.onnx")
    converted = mnn.convert(
        tmp_path / "model.onnx", tmp_path / "model.mnn", options=mnn.ConvertOptions(), limits=mnn.Limits()
    )
    assert not isinstance(converted, Failure)
    speed = verify(model, converted.path).speed
    assert speed is not None
    assert speed.runs == 4, "five draws of the first size"
    assert 0 < speed.reference < 1
    assert 0 < speed.mnn < 1


def test_what_the_clock_does_not_see_is_not_told() -> None:
    assert speed_of([feed(4)], timings(4, 9.0, 2.0), [feed(4)], timings(4, 9.0, 0.0)) is None
