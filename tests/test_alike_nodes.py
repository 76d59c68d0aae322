"""What is decided once for nodes that look alike is what each node says by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnncompat.graph.model_file import from_proto, load
from mnncompat.inference.model_view import view_model
from mnncompat.probe.row_cases import row_cases
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.table import SupportTable

ONE_BY_ONE = SupportTable()
TOGETHER = SupportTable()
VERSION = "3.6.1"


def decided(table: SupportTable, path: Path) -> list[tuple[tuple[str, bool], ...]]:
    return [
        tuple((each.row.code, each.certain) for each in table.match(view, index, VERSION))
        for view in view_model(load(path)).graphs()
        for index in range(len(view.nodes))
    ]


def by_itself(path: Path) -> list[tuple[tuple[str, bool], ...]]:
    found = []
    for view in view_model(load(path)).graphs():
        for index, node in enumerate(view.nodes):
            file = ONE_BY_ONE.file(node.op_type)
            facts = NodeFacts(view, index, file.defaults)
            truths = ((row.code, row.holds_for(VERSION) and row.holds(facts)) for row in file.rows)
            found.append(tuple((code, truth is True) for code, truth in truths if truth is not False))
    return found


def test_every_row_says_of_its_micro_models_what_it_says_alone(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    for case in row_cases():
        file.write_bytes(case.model().SerializeToString())
        assert decided(TOGETHER, file) == by_itself(file), case.id


def test_nodes_that_look_alike_get_their_own_values_in_the_reason() -> None:
    import onnx

    text = """<ir_version: 8, opset_import: ["" : 11]> g (float[1,8,1,1] x) => (float[1,8,1,1] y, float[1,8,1,1] z) {
        a = Relu(x) y = Softmax(a) z = Softmax(y) }"""
    view = view_model(from_proto(onnx.parser.parse_model(text))).main
    table = SupportTable()
    codes = [{each.row.code for each in table.match(view, index, VERSION)} for index in (1, 2)]
    assert codes[0] == codes[1] != set()


@pytest.mark.parametrize("version", ["2.9.0", "3.0.0", "3.6.1"])
def test_releases_are_told_apart(version: str) -> None:
    import onnx

    text = '<ir_version: 8, opset_import: ["" : 13]> g (float[2] a, float[2] b) => (bool[2] y) { y = Less(a, b) }'
    view = view_model(from_proto(onnx.parser.parse_model(text))).main
    alone = [each.row.code for each in SupportTable().match(view, 0, version)]
    for other in ("3.6.1", "2.9.0", version):
        TOGETHER.match(view, 0, other)
    assert [each.row.code for each in TOGETHER.match(view, 0, version)] == alone
