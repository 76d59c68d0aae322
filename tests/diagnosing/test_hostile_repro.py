"""A repro that somebody else wrote: nothing outside is read or written, and whatever is in it is one error."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mnncompat.cli import main, repro_cases
from mnncompat.diagnosing.bench import Outcome
from mnncompat.diagnosing.excerpts import Excerpt
from mnncompat.diagnosing.issue_text import issue
from mnncompat.diagnosing.repro import write_repro
from mnncompat.mnn import ConvertOptions
from mnncompat.results.diagnosis import Culprit

CULPRIT = Culprit(nodes=(), status="wrong", stage="", reason="")


def part(name: str = "x", op: str = "Relu") -> Excerpt:
    graph = helper.make_graph(
        [helper.make_node(op, [name], ["y"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ones = np.ones(2, np.float32)
    return Excerpt(model=model, nodes=(0,), feeds={name: ones}, expected={"y": ones})


@pytest.fixture
def repro(tmp_path: Path) -> Path:
    folder = tmp_path / "repro"
    write_repro(folder, part(), Outcome(), CULPRIT, ConvertOptions())
    return folder


def told(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "repro.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def contents(name: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def linked(folder: Path) -> None:
    (folder / "feeds.npz").rename(folder.parent / "outside.npz")
    (folder / "feeds.npz").symlink_to("../outside.npz")


def pipe(folder: Path) -> None:
    (folder / "repro.json").unlink()
    os.mkfifo(folder / "repro.json")


def reference_outside(folder: Path) -> None:
    (folder.parent / "secret").write_bytes(bytes(8))
    model = onnx.load(folder / "model.onnx")
    stored = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[2])
    stored.data_location = TensorProto.EXTERNAL
    stored.external_data.add(key="location", value="../secret")
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def archive(method: int, member: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("input_0.npy", member)
    data = bytearray(held.getvalue())
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + place] = method
    return bytes(data)


def pickled() -> bytes:
    held = io.BytesIO()
    np.save(held, np.array([{}], dtype=object), allow_pickle=True)
    return archive(0, held.getvalue())


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no model": (contents("model.onnx", b"\xff\xff"), "model"),
    "a model that refers to a file outside": (reference_outside, "../secret"),
    "a link": (linked, "a link"),
    "a pipe": (pipe, "no regular file"),
    "deep JSON": (contents("repro.json", b"[" * 100_000), "damaged"),
    "a list": (contents("repro.json", b"[1]"), "damaged"),
    "no archive": (contents("feeds.npz", b"PK\x03\x04nothing"), "damaged"),
    "an unknown compression": (contents("feeds.npz", archive(99, b"x")), "damaged"),
    "pickles": (contents("feeds.npz", pickled()), "damaged"),
    "a header that is no literal": (contents("feeds.npz", archive(0, b"\x93NUMPY\x01\x00\x06\x00((((((")), "damaged"),
    "an unknown option": (told(options={"modelFile": "/etc/passwd"}), "damaged"),
    "an option of another type": (told(options={"weight_bits": "8 --modelFile x"}), "damaged"),
    "versions": (told(versions=["1"]), "damaged"),
    "other inputs": (told(inputs=[]), "damaged"),
    "other outputs": (told(outputs=["gone"]), "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_one_error(name: str, repro: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, expected = HOSTILE[name]
    change(repro)
    before = sorted(repro.iterdir())
    assert main(["diagnose", "--replay", str(repro)]) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert "internal error" not in said
    assert sorted(repro.iterdir()) == before


@pytest.mark.parametrize("given", ["--svg {}", "--repro {}", "--all", "--input x={}", "{}", "--seed 3", "--fp16"])
def test_a_repro_takes_nothing_else(
    given: str, repro: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert main(["diagnose", "--replay", str(repro), *given.format(other).split()]) == 2
    assert "--replay runs a repro as it was recorded, and takes no " in capsys.readouterr().err
    assert not other.exists()


@pytest.mark.parametrize("name", ["model.onnx", "repro.py", "issue.md"])
def test_it_is_not_written_through_links(name: str, repro: Path, tutorial: Path, tmp_path: Path) -> None:
    (repro / name).unlink()
    (repro / name).symlink_to(tmp_path / "victim")
    assert main(["diagnose", str(tutorial), "--repro", str(repro)]) == 2
    assert not (tmp_path / "victim").exists()


def test_a_micro_model_goes_into_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repro_cases, "checkout", lambda: tmp_path / "checkout")
    (tmp_path / "checkout" / "rules" / "cases").mkdir(parents=True)
    folder = tmp_path / "repro"
    write_repro(folder, part(op="../../../victim"), Outcome(), CULPRIT, ConvertOptions())
    assert main(["dev", "new-case", str(folder), "--code", "MNN101", "--name", "x"]) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["checkout", "repro"] or not (
        tmp_path / "victim.toml"
    ).exists()


def test_names_are_words_in_the_text_of_the_issue() -> None:
    text = issue(part("a`\n```\n<img src=x>@all"), Outcome(), CULPRIT, ConvertOptions())
    assert "- input ``` a`\\n```" not in text
    assert "- input ```` a`\\n```\\n<img src=x>@all ```` float32[2]: [1., 1.]" in text
    assert text.count("\n````\n") == 2
