"""The culprit is named first, whichever op of the file the fault is in; a right file has none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest
from branching import two_branches
from jsonschema import Draft202012Validator
from known_faults import FAULTS
from models import array, model_of
from onnx import helper
from planting import Site, plant, sites

from mnncompat import fix, mnn
from mnncompat.cli import main
from mnncompat.diagnosing.diagnose import diagnose
from mnncompat.diagnosing.diagnose_options import DiagnoseOptions
from mnncompat.diagnosing.draws import Drawing
from mnncompat.diagnosing.excerpts import excerpt
from mnncompat.graph.model_file import Model, from_proto, load
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import Converted, ConvertOptions, Limits
from mnncompat.parity import real_data
from mnncompat.report import OutputFormat, render
from mnncompat.results.diagnosis import Diagnosis, DiagnosisVerdict, Role

OPTIONS = DiagnoseOptions(
    drawing=Drawing(shapes={}, data=real_data(None)), converter=ConvertOptions(), limits=Limits(seconds=30)
)


@pytest.fixture(scope="module")
def model() -> Model:
    return from_proto(two_branches())


@pytest.fixture(scope="module")
def converted(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    return convert(model.proto, folder)


def convert(proto: onnx.ModelProto, folder: Path) -> Path:
    source, out = folder / "model.onnx", folder / "model.mnn"
    onnx.save(proto, source)
    assert isinstance(mnn.convert(source, out, options=ConvertOptions(), limits=Limits()), Converted)
    return out


def names(found: Diagnosis) -> list[str]:
    """Names of the nodes that are to blame first."""
    return [each.node for each in found.culprits[0].nodes] if found.culprits else []


def planted(converted: Path, out: Path, node_value: str, what: str) -> Site:
    site = next(each for each in sites(converted) if node_value in each.values and each.what == what)
    assert plant(converted, site, out, np.random.default_rng(3))
    return site


def test_a_right_file_has_no_culprit(model: Model, converted: Path) -> None:
    found = diagnose(model, converted, OPTIONS)
    assert found.verdict is DiagnosisVerdict.AGREES
    assert found.complete
    assert not found.culprits
    assert all(each.own is not None and not each.own.is_wrong for each in found.layers)
    assert sorted(node.node for each in found.layers for node in each.nodes) == sorted(
        node.name for node in model.proto.graph.node
    )


@pytest.mark.parametrize(
    ("value", "what", "node", "outputs"),
    [
        ("r1", "weights", "trunk", ["left_out", "right_out"]),
        ("c2", "weights", "left", ["left_out"]),
    ],
)
def test_the_op_with_the_fault_is_named(
    model: Model, converted: Path, tmp_path: Path, value: str, what: str, node: str, outputs: Sequence[str]
) -> None:
    wrong = tmp_path / "wrong.mnn"
    planted(converted, wrong, value, what)
    found = diagnose(model, wrong, OPTIONS)
    assert found.verdict is DiagnosisVerdict.CULPRIT
    assert node in names(found)
    assert sorted(found.culprits[0].outputs) == sorted(outputs)
    assert any("put right, the outputs agree" in each for each in found.culprits[0].shown_by)
    roles = {each.values[0]: each.role for each in found.layers}
    assert roles[value] is Role.CULPRIT
    assert set(roles.values()) <= {Role.CULPRIT, Role.SUFFERS, Role.FINE}


def test_what_mnn_computes_wrongly_is_found_without_a_file() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], name="conv", kernel_shape=[1, 1]),
        helper.make_node("Softmax", ["c"], ["s"], name="soft"),
        helper.make_node("Mul", ["s", "c"], ["y"], name="scaled"),
    ]
    proto = model_of(nodes, {"x": [1, 3, 4, 5]}, {"y": [1, 6, 4, 5]}, {"k": array(6, 3, 1, 1)}, opset=11)
    found = diagnose(from_proto(proto), None, OPTIONS)
    assert names(found) == ["soft"]


def test_the_command_says_it_in_text_and_json(
    model: Model, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, wrong = tmp_path / "m.onnx", tmp_path / "wrong.mnn"
    onnx.save(model.proto, source)
    planted(converted, wrong, "c2", "weights")
    assert main(["diagnose", str(source), str(wrong), "-q"]) == 1
    text = capsys.readouterr().out
    assert "culprit: left (Conv)" in text
    assert "layers more: --all" not in text  # the model has few layers
    assert main(["diagnose", str(source), str(wrong), "-q", "--output-format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    schema = json.loads((files("mnncompat.report") / "output.schema.json").read_text())
    Draft202012Validator(schema).validate(document)
    (result,) = document["results"]
    assert result["verdict"] == "culprit"
    assert result["culprits"][0]["nodes"][0]["node"] == "left"
    assert main(["diagnose", str(source), str(converted), "-q"]) == 0


def test_every_format_has_the_culprit(model: Model, converted: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.mnn"
    planted(converted, wrong, "c2", "weights")
    found = diagnose(model, wrong, OPTIONS)
    for each in OutputFormat:
        assert "left" in render([found], each)


def test_an_interruption_leaves_the_layers_that_were_done(
    model: Model, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, wrong = tmp_path / "m.onnx", tmp_path / "wrong.mnn"
    onnx.save(model.proto, source)
    planted(converted, wrong, "c2", "weights")

    def interrupted(step: str) -> None:
        if step.startswith("look inside: each one by itself"):
            raise KeyboardInterrupt

    monkeypatch.setattr("mnncompat.cli.diagnose.note", interrupted)
    assert main(["diagnose", str(source), str(wrong), "--output-format", "json", "--svg", str(tmp_path / "e.svg")]) == 2
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert not result["complete"]
    accumulated = {each["values"][0]: each["accumulated"] for each in result["layers"]}
    assert set(accumulated) >= {"r1", "c2"}
    assert all(each["own"] is None for each in result["layers"])
    assert (tmp_path / "e.svg").stat().st_size
    assert main(["diagnose", str(source), str(wrong)]) == 2
    text = capsys.readouterr().out
    assert "interrupted: this is what was found until then" in text
    assert "left (Conv)" in text


def test_a_missing_file_is_an_error(tutorial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", str(tutorial), str(tmp_path / "none.mnn")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_the_picture_marks_the_culprit(model: Model, converted: Path, tmp_path: Path) -> None:
    from xml.etree import ElementTree as ET

    source, wrong, picture = tmp_path / "m.onnx", tmp_path / "wrong.mnn", tmp_path / "error.svg"
    onnx.save(model.proto, source)
    planted(converted, wrong, "c2", "weights")
    assert main(["diagnose", str(source), str(wrong), "-q", "--svg", str(picture)]) == 1
    root = ET.fromstring(picture.read_text())  # noqa: S314 - our own picture
    texts = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    titles = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert texts[0] == "culprit: left (Conv)"
    assert sum("culprit" in each for each in titles) == 1


def test_verify_and_convert_name_the_node(
    model: Model, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, wrong = tmp_path / "m.onnx", tmp_path / "wrong.mnn"
    onnx.save(model.proto, source)
    planted(converted, wrong, "c2", "weights")
    assert main(["verify", str(source), str(wrong), "--no-power", "--diagnose"]) == 1
    text = capsys.readouterr().out
    assert "NOT equal" in text
    assert "culprit: left (Conv)" in text
    assert main(["verify", str(source), str(converted), "--no-power", "--diagnose"]) == 0
    assert "culprit" not in capsys.readouterr().out
    onnx.save(FAULTS["Hardmax"](), source)
    assert main(["convert", str(source), "--no-fix", "--dry-run", "--diagnose", "-q"]) == 1
    assert "culprit: fault (Hardmax)" in capsys.readouterr().out


def test_convert_looks_into_the_file_that_it_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "m.onnx"
    onnx.save(FAULTS["Mod of floats"](), source)
    monkeypatch.setattr(f"{diagnose.__module__}.converted", lambda *_, **__: pytest.fail("converted again"))
    assert main(["convert", str(source), "--no-fix", "--dry-run", "--no-power", "--diagnose", "-q"]) == 1
    assert "culprit: fault (Mod)" in capsys.readouterr().out


def largest_written_to_a_place(rows: int | str) -> onnx.ModelProto:
    """ScatterElements that keeps the largest update, whose rewrite needs to know the sizes."""
    nodes = [helper.make_node("ScatterElements", ["x", "i", "u"], ["y"], name="sc", axis=1, reduction="max")]
    model = model_of(nodes, {"x": [rows, 4], "i": [rows, 4], "u": [rows, 4]}, {"y": [rows, 4]}, {}, opset=18)
    model.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return model


@pytest.mark.parametrize("rows", [3, "rows"])
def test_what_fix_would_do_is_said_with_the_sizes_that_it_needs(rows: int | str, tmp_path: Path) -> None:
    onnx.save(largest_written_to_a_place(rows), tmp_path / "model.onnx")
    found = diagnose(load(tmp_path / "model.onnx"), None, OPTIONS)
    (helping,) = (each for each in found.culprits[0].attempts if each.what.startswith("rewritten by"))
    assert helping.helps
    if rows == 3:
        assert helping.option == "mnncompat fix"
        return
    assert helping.what.endswith(", at the sizes of this draw")
    command, *sizes = helping.option.split(" --shape ")
    assert (command, [each.partition(":")[0] for each in sizes]) == ("mnncompat fix", ["x", "i", "u"])
    shapes = {name: tuple(map(int, dims.split(","))) for name, _, dims in (each.partition(":") for each in sizes)}
    assert "scatter-reduction" in {each.rewrite for each in fix(tmp_path / "model.onnx", freeze=shapes).applied}
    assert "scatter-reduction" not in {each.rewrite for each in fix(tmp_path / "model.onnx").applied}


def test_scalars_of_a_cut_out_stay_scalars() -> None:
    nodes = [helper.make_node("Gather", ["x", "i"], ["y"], axis=0), helper.make_node("Relu", ["y"], ["z"])]
    model = model_of(nodes, {"x": [3, 4]}, {"z": [4]}, {"i": np.array(1, np.int64)})
    x = array(3, 4)
    part = excerpt(view_model(from_proto(model)).main, (0,), {"x": x, "y": x[1], "z": x[1]})
    assert part is not None
    (index,) = part.model.graph.initializer
    assert list(index.dims) == []
