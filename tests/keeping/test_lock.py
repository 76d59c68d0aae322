"""What was proven is kept, and what becomes worse is named."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import detector, head
from onnx import ModelProto, numpy_helper

from mnncompat.cli import main
from mnncompat.converting.lock_file import lock_text, read_lock
from mnncompat.converting.lock_record import sample
from mnncompat.converting.regressions import changes, regressions
from mnncompat.errors import UsageError
from mnncompat.results.kept_record import OutputRecord, Record

BEFORE = Record(
    path="a.onnx",
    sha256="1",
    mnn="3.6.1",
    options="",
    converted=True,
    verdict="equal",
    size=1000,
    session=True,
    exercised=20,
    tried=20,
    nodes=("Convolution conv1", "ReLU act", "Convolution conv2"),
    outputs={"y": OutputRecord(dtype="float32", snr_db=90.0, top1=1.0, sample=(1.0, -2.0, 3.0, 0.5))},
    latency_ratio=1.1,
)


def with_output(**values: object) -> Record:
    return replace(BEFORE, outputs={"y": replace(BEFORE.outputs["y"], **values)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (replace(BEFORE, converted=False, verdict="different"), "no file is published any more: different"),
        (replace(BEFORE, verdict="within"), "was equal, is within a ratio only"),
        (replace(BEFORE, session=False), "Session API"),
        (replace(BEFORE, exercised=18), "exercises fewer operators: 20 of 20 before, 18 of 20 now"),
        (replace(BEFORE, errors=("MNN220",)), "MNN220 is an error"),
        (replace(BEFORE, size=2000), "grown from 1000 to 2000 bytes (2.00 times)"),
        (
            replace(BEFORE, nodes=("Raster conv1", "ReLU act", "Convolution conv2")),
            "other ops: Convolution conv1 is gone; Raster conv1 is new",
        ),
        (replace(BEFORE, nodes=(*BEFORE.nodes, "ReLU more")), "more ops: 3 before, 4 now: ReLU more is new"),
        (replace(BEFORE, outputs={}), ""),
        (replace(BEFORE, outputs={"z": BEFORE.outputs["y"]}), "output 'y' is gone"),
        (with_output(dtype="int32"), "was float32, is int32"),
        (with_output(top1=0.9), "top-1 100.0% before, 90.0% now"),
        (replace(with_output(sample=(3.0, 1.0, -2.0, 0.5)), sha256="2"), "the model computes something else"),
        (replace(with_output(sample=(1.0, -2.0)), sha256="2"), "the model computes something else"),
        (replace(BEFORE, latency_ratio=0.9), "slower"),
        (replace(BEFORE, fallbacks=("nnapi: Scale norm",)), "falls back: nnapi: Scale norm"),
    ],
)
def test_what_is_worse_is_named(now: Record, told: str) -> None:
    found = regressions(BEFORE, now)
    assert [told in each for each in found] == ([True] if told else [])


@pytest.mark.parametrize(
    "now",
    [
        BEFORE,
        replace(BEFORE, size=1040, sha256="2"),
        replace(BEFORE, size=900, nodes=BEFORE.nodes[:2]),
        replace(BEFORE, exercised=19),
        replace(BEFORE, mnn="3.7.0"),
        replace(with_output(sample=(1.01, -2.1, 3.05, 0.45)), sha256="2"),
        with_output(snr_db=70.0),
        replace(BEFORE, latency_ratio=1.0),
    ],
)
def test_what_is_not_worse_passes(now: Record) -> None:
    assert regressions(BEFORE, now) == []


def test_what_has_changed_is_told() -> None:
    now = replace(BEFORE, sha256="2", mnn="3.7.0", options="fp16=True", size=900)
    assert changes(BEFORE, now) == [
        *("the model's file is another one", "MNN 3.6.1 -> 3.7.0", "options: none -> fp16=True"),
        "smaller: 1000 -> 900 bytes",
    ]
    assert changes(BEFORE, BEFORE) == []
    assert changes(replace(BEFORE, verdict="within"), BEFORE) == ["was within, is equal"]
    assert changes(BEFORE, replace(BEFORE, verdict="within")) == []


texts = st.text(max_size=12)
numbers = st.floats(allow_nan=False)
outputs = st.builds(
    OutputRecord,
    dtype=texts,
    snr_db=numbers,
    top1=st.none() | numbers,
    sample=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4).map(tuple),
)
records = st.builds(
    Record,
    path=texts,
    sha256=texts,
    mnn=texts,
    options=texts,
    converted=st.booleans(),
    verdict=texts,
    size=st.integers(0, 2**60),
    session=st.none() | st.booleans(),
    errors=st.lists(texts, max_size=3).map(tuple),
    fallbacks=st.lists(texts, max_size=3).map(tuple),
    nodes=st.lists(texts, max_size=3).map(tuple),
    outputs=st.dictionaries(texts, outputs, max_size=3),
    latency_ratio=st.none() | numbers,
)


@settings(max_examples=60, deadline=None)
@given(found=st.lists(records, max_size=3, unique_by=lambda record: record.path))
def test_a_file_says_what_was_written(found: list[Record], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("lock") / "mnncompat.lock"
    kept = {each.path: each for each in found}
    file.write_text(lock_text(kept), encoding="utf-8")
    assert read_lock(file) == kept


@pytest.mark.parametrize(
    "text", ["x", "version = 2", "version = 1\nmodel = 3", "version = 1\n[[model]]\npath = 1", "version = 1\n[[model]]"]
)
def test_what_is_no_lock_file_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "mnncompat.lock").write_text(text)
    with pytest.raises(UsageError, match="lock"):
        read_lock(tmp_path / "mnncompat.lock")


def test_samples_are_spread_and_rounded() -> None:
    assert sample(np.arange(1000, dtype=np.float32))[:2] == (0.0, 32.0)
    assert sample(np.array([np.nan, np.inf, 1.23456789])) == (0.0, 0.0, 1.2346)
    assert sample(np.array(["a"], dtype=object)) == ()


def tuned(proto: ModelProto, share: float) -> ModelProto:
    """The model, trained further by so much."""
    draws = np.random.default_rng(0)
    changed = ModelProto()
    changed.CopyFrom(proto)
    for tensor in changed.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            moved = array * (1 + share * draws.standard_normal(array.shape))
            tensor.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), tensor.name))
    return changed


def permuted(proto: ModelProto) -> ModelProto:
    changed = ModelProto()
    changed.CopyFrom(proto)
    for tensor in changed.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.ndim == 2:
            mixed = np.random.default_rng(0).permutation(array.reshape(-1)).reshape(array.shape)
            tensor.CopyFrom(numpy_helper.from_array(mixed, tensor.name))
    return changed


def test_regressions_are_caught_and_what_is_unchanged_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    proto = head()
    onnx.save(proto, tmp_path / "head.onnx")
    words = ["ci", "head.onnx", "-q", "--output-format", "json"]

    def item(status: int, *more: str) -> dict[str, Any]:
        assert main([*words, *more]) == status
        (found,) = json.loads(capsys.readouterr().out)["results"]
        return dict(found)

    assert item(1)["state"] == "not kept"
    assert not (tmp_path / "mnncompat.lock").exists()
    assert item(0, "--update")["state"] == "new"
    (table,) = tomllib.loads((tmp_path / "mnncompat.lock").read_text())["model"]
    assert (table["path"], table["verdict"], table["session"]) == ("head.onnx", "equal", True)
    unchanged = item(0)
    assert (unchanged["was"], unchanged["verdict"], unchanged["state"]) == ("equal", "equal", "as before")
    assert (unchanged["worse"], unchanged["otherwise"], unchanged["gone"], unchanged["new"]) == ([], [], [], [])
    onnx.save(tuned(proto, 0.01), tmp_path / "head.onnx")
    assert item(0)["otherwise"] == ["the model's file is another one"]
    onnx.save(permuted(proto), tmp_path / "head.onnx")
    assert any("computes something else" in each for each in item(1)["worse"])
    assert not (tmp_path / "head.mnn").exists()


def test_an_op_that_falls_back_and_a_larger_file_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("a", "b", "c"):
        onnx.save(detector(), tmp_path / "models" / f"{name}.onnx")
    (tmp_path / "models" / "damaged.onnx").write_bytes(b"\x08\x08")
    settings = """[tool.mnncompat]\nbackend = ["nnapi"]\nexclude = ["damaged.onnx"]\nignore = ["MNN1"]\n
        [[tool.mnncompat.models]]\npath = "models/*.onnx"\n"""
    (tmp_path / "pyproject.toml").write_text(f"{settings}\nfp16 = true\n")
    assert main(["ci", "--update", "-q"]) == 0
    assert capsys.readouterr().out.endswith(": 3 new\n")
    assert main(["ci", "-q"]) == 0
    assert capsys.readouterr().out == "3 models under MNN 3.6.1 against mnncompat.lock: 3 as before\n"

    onnx.save(detector("Elu"), tmp_path / "models" / "b.onnx")
    (tmp_path / "pyproject.toml").write_text(
        f"{settings}\nfp16 = true\n[[tool.mnncompat.models]]\npath = 'models/c.onnx'\nfp16 = false\n"
    )
    assert main(["ci", "-q", "--output-format", "json"]) == 1
    found = {each["source"]: each for each in json.loads(capsys.readouterr().out)["results"]}
    assert {name: each["state"] for name, each in found.items()} == {
        "models/a.onnx": "as before",
        "models/b.onnx": "worse",
        "models/c.onnx": "worse",
    }
    assert any(each.startswith("falls back: nnapi: ELU r") for each in found["models/b.onnx"]["worse"])
    before, now = found["models/c.onnx"]["sizes"]
    assert now > 1.5 * before
    assert any(
        each.startswith(f"the file has grown from {before} to {now} bytes") for each in found["models/c.onnx"]["worse"]
    )
