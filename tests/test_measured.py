"""`check --probe`: each distinct node of a user's model, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from models import array, head, model_of
from onnx import ModelProto, TensorProto, helper

from mnncompat import RunnerError
from mnncompat.checking.checker import check_model
from mnncompat.checking.node_measurements import flagged, measure_nodes, merged
from mnncompat.cli import main
from mnncompat.graph.model_file import from_proto
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.probe.nodes import node_cases_of
from mnncompat.results.diagnostics import Severity


def repeated() -> ModelProto:
    """Three nodes with the same fingerprint, one of which computes an output of the model."""
    weight = np.arange(16, dtype=np.float32).reshape(4, 4)
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["b", "w"], ["c"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    return model_of(nodes, {"x": [4, 4]}, {"y": [4, 4], "c": [4, 4]}, {"w": weight})


def old_softmax() -> ModelProto:
    return model_of([helper.make_node("Softmax", ["x"], ["y"])], {"x": [2, 3, 4]}, {"y": [2, 3, 4]}, {}, opset=11)


def test_nodes_that_are_alike_are_one_case() -> None:
    sites = node_cases_of(from_proto(repeated()))
    cases = [site.case.id if site.case else None for site in sites]
    assert len(sites) == 4
    assert cases[1] != cases[3]  # the same values, but one is an output of the model
    assert cases[0] not in cases[1:]
    assert cases == [site.case.id if site.case else None for site in node_cases_of(from_proto(repeated()))]


def scaled(*factors: float) -> ModelProto:
    """Products of the same input, one after the other, and the roundings of all of them."""
    nodes = [helper.make_node("Mul", [f"x{n}", f"w{n}"], [f"x{n + 1}"]) for n in range(len(factors))]
    nodes += [helper.make_node("Round", [f"x{n + 1}"], [f"y{n}"]) for n in range(len(factors))]
    weights = {f"w{n}": np.full(1, factor, np.float32) for n, factor in enumerate(factors)}
    return model_of(nodes, {"x0": [8]}, {f"y{n}": [8] for n in range(len(factors))}, weights)


def test_one_node_stands_for_those_that_are_alike() -> None:
    model = from_proto(scaled(1.23456, 1.34567, -1.4321, 2.0, 1e30))
    sites = node_cases_of(model)
    one, two, negative, written, huge, *rounded = [site.case.id if site.case else None for site in sites]
    assert one == two, "a trained factor is like another"
    assert len({one, negative, written, huge}) == 4
    assert len(set(rounded)) == 5, "Round may hinge on a single value"
    alone = [site.case.id if site.case else None for site in node_cases_of(model, apart={1})]
    assert alone[0] == one
    assert alone[1] not in (None, one), "and is measured alone where that is asked for"


def test_only_errors_of_the_main_graph_are_measured_apart() -> None:
    model = from_proto(old_softmax())
    assert flagged(check_model(model)) == {0}
    assert flagged(check_model(from_proto(head()))) == frozenset()


def test_constants_are_constants_and_what_is_folded_is_left_out() -> None:
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]
    model = model_of(nodes, {"x": [2, 3]}, {"y": [2, 5]}, {"w": array(5, 3)})
    folded, product = node_cases_of(from_proto(model))
    assert folded.case is None
    assert "constants" in folded.reason
    assert product.case is not None
    graph = ModelProto.FromString(product.case.model).graph
    assert [tensor.dims for tensor in graph.initializer] == [[3, 5]]
    assert list(product.case.feeds) == [graph.input[0].name]


def test_a_model_that_is_right_stays_without_errors(tmp_path: Path) -> None:
    model = from_proto(head())
    version, found = measure_nodes(model, cache=tmp_path)
    assert {each.outcome for _, each in found if each} == {Outcome.OK}
    result = merged(check_model(model), model, version, found)
    assert [item for item in result.diagnostics if item.severity is Severity.ERROR] == []
    assert [item for item in result.diagnostics if item.code == "MNN002"] == []


def test_a_hazard_of_the_table_comes_true(tmp_path: Path) -> None:
    model = from_proto(old_softmax())
    version, found = measure_nodes(model, cache=tmp_path)
    (item,) = merged(check_model(model), model, version, found).diagnostics
    assert item.code == "MNN220"
    assert "measured on MNN" in item.message


def test_what_the_table_does_not_know_is_a_finding(tmp_path: Path) -> None:
    model = from_proto(head())
    version, found = measure_nodes(model, cache=tmp_path)
    (first, good), *others = found
    assert good is not None
    bad = Measurement(id=good.id, op=good.op, outcome=Outcome.CRASH, stage="run", cause="SIGSEGV")
    result = merged(check_model(model), model, version, [(first, bad), *others])
    errors = [item for item in result.diagnostics if item.severity is Severity.ERROR]
    assert [(item.code, item.location.node) for item in errors] == [("MNN003", "conv")]
    assert "crash@run:SIGSEGV" in errors[0].message


def test_where_the_table_is_wrong_the_measurement_wins(tmp_path: Path) -> None:
    model = from_proto(old_softmax())
    version, found = measure_nodes(model, cache=tmp_path)
    right = [(site, Measurement(id="a", op="Softmax", outcome=Outcome.OK)) for site, _ in found]
    (item,) = merged(check_model(model), model, version, right).diagnostics
    assert item.severity is Severity.WARNING
    assert "computes this node right" in item.message


def test_what_was_measured_is_kept(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        measure_nodes(from_proto(repeated()), cache=tmp_path, progress=lambda done, total: told.append((done, total)))
    assert len(told) == 4
    assert {path.suffix for path in tmp_path.iterdir()} - {".lock", ".claims"} == {".tsv"}


def test_a_node_with_subgraphs_is_measured_as_a_whole() -> None:
    def branch(name: str, op: str) -> object:
        out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [2])
        return helper.make_graph([helper.make_node(op, ["x"], [f"{name}_out"])], name, [], [out])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("then", "Relu"), else_branch=branch("else", "Neg"))
    model = model_of([node], {"x": [2]}, {"y": [2]}, {})
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    (site,) = node_cases_of(from_proto(model), inputs={"c": np.array(1, dtype=bool)})
    assert site.case is not None
    assert set(site.case.feeds) == {"x", "c"}


def test_a_model_that_cannot_run_cannot_be_measured(tmp_path: Path) -> None:
    model = model_of([helper.make_node("Thing", ["x"], ["y"], domain="my")], {"x": [2]}, {"y": [2]}, {})
    model.opset_import.append(helper.make_opsetid("my", 1))
    with pytest.raises(RunnerError, match="cannot run the model"):
        measure_nodes(from_proto(model), cache=tmp_path)


def test_the_command(
    tutorial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["check", str(tutorial), "--probe", "--fail-on", "error"]) == 0
    assert "MNN002" not in capsys.readouterr().out
    assert main(["check", str(tutorial), "--probe", "--mnn", "3.0.0"]) == 2
    assert "--probe measures the installed MNN" in capsys.readouterr().err
