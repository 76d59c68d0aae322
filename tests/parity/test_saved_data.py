"""What a comparison saved is judged again as it was; other folders and damaged ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from mnncompat import mnn
from mnncompat.errors import OutputError, UsageError
from mnncompat.parity import FLOAT32, load_data, verify
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.save_data import MANIFEST, Saving
from mnncompat.results.failures import Failure, FailureKind, Stage
from mnncompat.results.parity_report import Comparison, OutputParity, ParityReport, RunnerFailure

LOOSE = replace(FLOAT32, rtol=1e-1)
FEED = np.linspace(1, 2, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    text = '<ir_version: 9, opset_import: ["" : 17]>\ng (float[3,4] x) => (float[3,4] y) { h = Exp (x) y = Tanh (h) }'
    onnx.save(parser.parse_model(text), tmp_path / "model.onnx")
    model, file = tmp_path / "model.onnx", tmp_path / "model.mnn"
    assert isinstance(mnn.convert(model, file, options=mnn.ConvertOptions(), limits=mnn.Limits()), mnn.Converted)
    return model, file


def report(*, failure: Failure | None = None, inconclusive: bool = False) -> ParityReport:
    comparison = Comparison(
        draw="normal",
        expected_shape=(3, 4),
        actual_shape=(3, 4),
        expected_dtype="float32",
        actual_dtype="float32",
        compared=12,
        max_abs=0,
        max_rel=0,
        cosine=1,
        snr_db=1,
        top1=None,
        error_ratio=0,
        discriminative=True,
        problems=(),
        inconclusive=inconclusive,
    )
    return ParityReport(
        outputs=(OutputParity(name="y/0", tolerance=FLOAT32, comparisons=(comparison,), problems=()),),
        failures=() if failure is None else (RunnerFailure(runner="MNN", failure=failure),),
        problems=(),
        draws=("normal",),
        shapes=({"x:0": (3, 4)},),
        notes=("a note",),
        seed=3,
    )


def kept(folder: Path, actual: np.ndarray | None, found: ParityReport) -> Path:
    model = folder / "model.onnx"
    model.write_bytes(b"a model")
    target = folder / "data"
    results = [] if actual is None else [{"y/0": actual}]
    feeds = [NamedFeeds(name="normal", arrays={"x:0": FEED})]
    Saving(target, model, model).save(feeds, [{"y/0": FEED}], results, found, {"y/0": FLOAT32})
    return target


def test_saved_data_are_judged_as_they_were(pair: tuple[Path, Path], tmp_path: Path) -> None:
    model, file = pair
    found = verify(model, file, inputs={"x": FEED}, save_data=tmp_path / "data")
    assert found.passed
    saved = load_data(tmp_path / "data")
    saved.require_same(model=model, mnn_file=file)
    assert saved.judge() == replace(found, speed=None, session=None), (
        "what a draw takes, and what a Session gives, is measured and not kept"
    )
    assert saved.report.given == ("sample 1",)
    np.testing.assert_array_equal(saved.feeds[0].arrays["x"], FEED)
    strict = saved.judge(replace(FLOAT32, rtol=0, atol=0, outliers=0))
    assert not strict.passed
    assert not saved.judge(tolerances={"y": replace(FLOAT32, rtol=0, atol=0, outliers=0)}).passed


def test_a_tolerance_changes_the_verdict(tmp_path: Path) -> None:
    saved = load_data(kept(tmp_path, FEED * np.float32(1.01), report()))
    assert not saved.judge().passed
    assert saved.judge(LOOSE).passed
    assert saved.judge(tolerances={"y/0": LOOSE}).passed
    assert saved.judge(LOOSE).notes == ("a note",)
    with pytest.raises(UsageError, match="names the output 'z'"):
        saved.judge(tolerances={"z": LOOSE})


def test_what_rounding_explained_stays_inconclusive_for_the_same_tolerance_alone(tmp_path: Path) -> None:
    saved = load_data(kept(tmp_path, FEED * np.float32(1.01), report(inconclusive=True)))
    assert not saved.judge().passed, "no draw is left as proof"
    saved = replace(
        saved,
        feeds=[*saved.feeds, NamedFeeds(name="uniform", arrays={"x:0": FEED})],
        expected=[*saved.expected, {"y/0": FEED}],
        actual=[*saved.actual, {"y/0": FEED}],
    )
    again = saved.judge()
    assert again.passed
    assert any("inconclusive, as when the data were saved" in note for note in again.notes)
    assert not saved.judge(replace(FLOAT32, rtol=1e-4)).passed


def test_a_failure_is_kept(tmp_path: Path) -> None:
    crash = Failure(kind=FailureKind.CRASH, stage=Stage.RUN, message="killed by SIGSEGV", words="words")
    again = load_data(kept(tmp_path, None, report(failure=crash))).judge()
    assert not again.passed
    assert again.problems == ("MNN: killed by SIGSEGV",)
    assert again.failures[0].failure == crash


def test_another_model_is_refused(tmp_path: Path) -> None:
    saved = load_data(kept(tmp_path, FEED, report()))
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another model")
    with pytest.raises(UsageError, match="not the file that the data were saved of"):
        saved.require_same(model=other)
    with pytest.raises(UsageError, match="no such file"):
        saved.require_same(mnn_file=tmp_path / "none")


def flipped(folder: Path) -> None:
    content = bytearray((folder / "draw-000.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "draw-000.npz").write_bytes(content)


def without_a_draw(folder: Path) -> None:
    (folder / "draw-000.npz").unlink()


def without_a_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def cut(folder: Path) -> None:
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:100])


def changed(key: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest[key] = value
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flipped, "its checksum is another one"),
        (without_a_draw, "draw-000.npz is missing"),
        (without_a_manifest, "holds no saved data"),
        (cut, "is damaged"),
        (changed("schema_version", "2.0"), "has the version 2.0"),
        (changed("outputs", 3), "is damaged"),
        (changed("outputs", [{"name": "y"}]), "is damaged"),
        (changed("draws", [{"name": "normal", "file": "../model.onnx", "sha256": ""}]), "is missing"),
    ],
)
def test_damaged_data_are_refused(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    folder = kept(tmp_path, FEED, report())
    damage(folder)
    with pytest.raises(UsageError, match=words) as caught:
        load_data(folder)
    assert caught.value.hint


def test_own_data_are_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    folder = kept(tmp_path, FEED, report())
    kept(tmp_path, FEED * 2, report())
    np.testing.assert_array_equal(load_data(folder).actual[0]["y/0"], FEED * 2)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "model.onnx"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other things"):
        kept(tmp_path, FEED, report())
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(pair: tuple[Path, Path]) -> None:
    model, file = pair
    with pytest.raises(OutputError, match="does not exist"):
        verify(model, file, save_data=model.parent / "none" / "data")
    with pytest.raises(OutputError, match="other things"):
        verify(model, file, save_data=model)


def test_nothing_is_left_of_a_save_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kept(tmp_path, FEED, report())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mnncompat.parity.save_data._write", full)
    with pytest.raises(OutputError, match="No space left"):
        kept(tmp_path, FEED * 2, report())
    np.testing.assert_array_equal(load_data(folder).actual[0]["y/0"], FEED)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "model.onnx"]
