"""`mnncompat report`: everything that is cheap, as a page, for Model Explorer and for Graphviz."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from viewing.opened_page import Opened

from mnncompat.cli import main


def test_pages_of_what_was_measured(opened: Callable[..., Opened], reported: Path) -> None:
    report = opened(reported)
    assert "Converts: MNN's file computes what the model computes" in report.text()
    names = [
        each.split("\n")[0] for each in report.page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    ]
    pages = ["Summary", "Findings", "Graph", "Parity", "Layers", "Ranges", "Placement", "Environment"]
    assert [name.rstrip("0123456789 ") for name in names] == pages
    report.page.get_by_role("link", name="Parity").click()
    assert "Worst elements" in report.text()
    report.page.get_by_role("button", name="normal, batch 3").click()
    assert "Draw normal, batch 3" in report.text()
    report.page.get_by_role("link", name="Placement").click()
    assert "nnapi" in report.text()
    report.page.get_by_role("link", name="Ranges").click()
    assert "No value of" in report.text()
    report.page.get_by_role("link", name="Layers").click()
    report.page.get_by_role("button", name="/features/pool1/MaxPool (MaxPool)").click()
    assert "/features/pool1/MaxPool" in report.page.get_by_role("complementary", name="Details").inner_text()


def test_a_page_that_was_not_measured_is_not_there(opened: Callable[..., Opened], checked: Path) -> None:
    shown = opened(checked).page.get_by_role("navigation").inner_text()
    assert not {"Parity", "Layers", "Ranges", "Placement"} & set(shown.split())


def test_two_graphs_side_by_side(opened: Callable[..., Opened], reported: Path) -> None:
    report = opened(reported, "#graph=fixed&compare=original&overlay=changes&node=/head/hidden/MatMul_conv")
    details = report.page.get_by_role("complementary", name="Details")
    assert "1x1 convolution" in details.inner_text()
    assert "MatMul /head/hidden/MatMul" in details.inner_text()
    assert report.page.locator("canvas").count() == 2
    details.get_by_role("button", name="MatMul /head/hidden/MatMul").click()
    assert "1.6 MB of weights" in details.inner_text()
    assert "graph=original" in report.page.url
    report.page.get_by_label("beside").select_option("mnn")
    assert report.page.locator("figcaption").all_inner_texts() == ["Original", "MNN's graph"]


def test_the_time_of_ops_is_told(opened: Callable[..., Opened], reported: Path) -> None:
    report = opened(reported, "#graph=mnn&overlay=time&node=/features/conv2/Conv_output_0")
    assert "µs of a run" in report.text("aside") or "ms of a run" in report.text("aside")
    assert "Time under MNN" in report.text(".legend")


def test_model_explorer_reads_the_folder(tutorial: Path, tmp_path: Path) -> None:
    from dacite import Config, from_dict
    from model_explorer import graph_builder, node_data_builder

    assert main(["report", str(tutorial), str(tmp_path), "--to", "model-explorer", "--quiet"]) == 0
    strict = Config(strict=True)
    told: dict[str, Any] = json.loads((tmp_path / "model.json").read_text())
    collection = from_dict(graph_builder.GraphCollection, told, config=strict)
    ids = {graph.id: {node.id for node in graph.nodes} for graph in collection.graphs}
    assert set(ids) == {"original", "after the rewrites", "MNN's file"}
    for graph in collection.graphs:
        assert all(edge.sourceNodeId in ids[graph.id] for node in graph.nodes for edge in node.incomingEdges)
    original = next(graph for graph in collection.graphs if graph.id == "original")
    product = next(node for node in original.nodes if node.label == "MatMul")
    assert product.namespace == "head"
    assert any(str(each.value).startswith("MatMul 800 -> 500") for each in product.attrs)
    for name in ("findings", "error-added-db", "error-accumulated-db", "largest-value", "time-ms", "bytes-of-weights"):
        document = json.loads((tmp_path / f"{name}.json").read_text())
        data = {
            graph: from_dict(node_data_builder.GraphNodeData, each, config=strict) for graph, each in document.items()
        }
        assert data
        assert all(set(each.results) <= ids[graph] for graph, each in data.items())
        assert node_data_builder.ModelNodeData(graphsData=data).to_json_string()


def test_graphviz_gets_the_findings(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tutorial), "--to", "dot", "--quiet"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("digraph")
    assert text.count("{") == text.count("}")
    colored = next(line for line in text.splitlines() if 'label="MatMul\\n' in line)
    assert "#e69f00" in colored
    assert "MNN801" in colored


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "pdf"], "unknown kind of report"),
        (["--to", "model-explorer"], "writes a folder"),
        (["out.html", "--html", "other.html"], "names the page"),
        (["other.onnx"], "names a model"),
        (["missing/out.html"], "missing"),
    ],
)
def test_what_cannot_be_done(words: list[str], told: str, tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tutorial), *words]) == 2
    assert told in capsys.readouterr().err
