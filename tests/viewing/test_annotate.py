"""`fix --annotate`: findings as metadata of nodes."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mnncompat.cli import main


def _told(model: onnx.ModelProto) -> dict[str, dict[str, str]]:
    return {node.name: {each.key: each.value for each in node.metadata_props} for node in model.graph.node}


def test_findings_are_metadata_of_their_nodes(tutorial: Path, tmp_path: Path) -> None:
    out, plain = tmp_path / "out.onnx", tmp_path / "plain.onnx"
    assert main(["fix", str(tutorial), "--mnn", "0.2.0.4", "--annotate", "-o", str(out), "--quiet"]) == 0
    assert main(["fix", str(tutorial), "--mnn", "0.2.0.4", "-o", str(plain), "--quiet"]) == 0
    found = onnx.load(out)
    onnx.checker.check_model(found, full_check=True)
    told = _told(found)
    assert told["/features/conv1/Conv"]["mnncompat.MNN002"].startswith("info: unmeasured-op: Conv is declared")
    for node in found.graph.node:
        del node.metadata_props[:]
    assert found == onnx.load(plain)


def test_it_is_repeatable_and_keeps_what_others_wrote(tutorial: Path, tmp_path: Path) -> None:
    model = onnx.load(tutorial)
    model.graph.node[0].metadata_props.add(key="mine", value="kept")
    model.graph.node[0].metadata_props.add(key="mnncompat.MNN999", value="of an earlier run")
    onnx.save(model, tmp_path / "mine.onnx")
    once, twice = tmp_path / "once.onnx", tmp_path / "twice.onnx"
    words = ["--ignore", "fully-connected-to-convolution", "--mnn", "0.2.0.4", "--annotate", "--quiet", "-o"]
    main(["fix", str(tmp_path / "mine.onnx"), *words, str(once)])
    main(["fix", str(once), *words, str(twice)])
    assert once.read_bytes() == twice.read_bytes()
    first = onnx.load(once).graph.node[0]
    assert [each.key for each in first.metadata_props] == ["mine", "mnncompat.MNN002"]


def test_it_needs_a_place(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", str(tutorial), "--annotate", "--diff"]) == 2
    assert "goes nowhere" in capsys.readouterr().err
