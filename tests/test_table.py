"""The vocabulary of conditions, the releases, and what damaged rules are answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import parser

from mnncompat.errors import TableError, UsageError
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.support import releases as releases_module
from mnncompat.support import rule_files
from mnncompat.support.conditions import parse_condition
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.releases import contains, releases, resolve_version
from mnncompat.support.table import SupportTable, describe
from mnncompat.support.three_valued import all_of, any_of

CONV = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,2,H,5] x) => (float[1,3,N,3] y, float[1,3,N,3] z)
<float[3,2,3,3] w> { y = Conv<strides=[1,1], auto_pad="VALID">(x, w) z = Relu(y) }"""
RESIZE = """<ir_version: 8, opset_import: ["" : 13]> g (float[1,2,4,4] x, float[A,B] u) => (float[1,2,8,8] y)
<float[4] s = {1,1,2,2}> { y = Resize<mode="nearest">(x, , s) }"""


def facts(text: str, index: int = 0, **defaults: object) -> NodeFacts:
    text = text.replace("<float[3,2,3,3] w>", f"<float[3,2,3,3] w = {{{','.join(['0.5'] * 54)}}}>")
    return NodeFacts(view_model(from_proto(parser.parse_model(text))).main, index, defaults)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"opset": ">=13,<18"}, True),
        ({"opset": 17}, True),
        ({"opset": "<13"}, False),
        ({"inputs": 2, "outputs": "==1"}, True),
        ({"inputs": ">2"}, False),
        ({"attr": {"auto_pad": "VALID"}}, True),
        ({"attr": {"auto_pad": ["SAME_UPPER", "VALID"]}}, True),
        ({"attr": {"auto_pad": {"not": "VALID"}}}, False),
        ({"attr": {"group": 1}}, True),
        ({"attr": {"group": {"given": False}}}, True),
        ({"attr": {"strides": {"given": True, "length": 2, "all": "==1"}}}, True),
        ({"attr": {"strides": {"any": ">1"}}}, False),
        ({"attr": {"dilations": {"any": ">1"}}}, False),
        ({"attr": {"strides": [[1, 1]]}}, True),
        ({"input": {"0": "runtime", "1": "constant", "2": "absent"}}, True),
        ({"input": {"1": {"is": "constant", "rank": ">3", "dtype": "FLOAT", "elements": 54}}}, True),
        ({"input": {"1": {"dtype": ["INT8", "UINT8"]}}}, False),
        ({"input": {"1": {"value": {"all": ">0"}}}}, True),
        ({"input": {"1": {"value": {"any": "<0"}}}}, False),
        ({"input": {"0": {"dim": {"1": 2, "-1": 5}}}}, True),
        ({"input": {"0": {"dim": {"7": 2}}}}, False),
        ({"input": {"0": {"dim": {"2": 2}}}}, None),
        ({"input": {"0": {"elements": ">1"}}}, None),
        ({"input": {"0": {"value": {"any": "<0"}}}}, None),
        ({"input": {"2": {"rank": 1}}}, False),
        ({"input": {"any": {"rank": 4}, "all": {"dtype": "FLOAT"}}}, True),
        ({"input": {"any": {"rank": 2}}}, False),
        ({"input": {"0": {"producer": "input"}, "1": {"producer": ["initializer"]}}}, True),
        ({"output": {"0": "graph-output", "1": "absent"}}, True),
        ({"output": {"0": "used"}}, True),
        ({"output": {"0": "unused"}}, False),
        ({"output": {"-1": {"rank": 4}}}, True),
        ({"relation": "same-padding-is-odd"}, False),
        ([{"opset": "<13"}, {"inputs": 2}], True),
        ([{"opset": "<13"}, {"inputs": 3}], False),
        ([{"opset": "<13"}, {"input": {"0": {"elements": ">1"}}}], None),
        ({"inputs": 3, "input": {"0": {"elements": ">1"}}}, False),
    ],
)
def test_conditions(when: object, expected: bool | None) -> None:  # noqa: FBT001
    assert parse_condition(when, "here").holds(facts(CONV, group=1)) is expected


@pytest.mark.parametrize(
    "when",
    [
        3,
        {"rank": 2},
        {"opset": "new"},
        {"opset": ">=a"},
        {"attr": "mode"},
        {"attr": {"mode": {"like": "x"}}},
        {"attr": {"axes": {"any": "some"}}},
        {"input": {"first": "present"}},
        {"input": {"0": "used"}},
        {"input": {"0": {"is": "there"}}},
        {"input": {"0": {"size": 3}}},
        {"input": {"0": {"dim": 3}}},
        {"output": {"0": "constant"}},
        {"relation": "looks-odd"},
    ],
)
def test_what_is_not_in_the_vocabulary(when: object) -> None:
    with pytest.raises(TableError, match=r"^file: row"):
        parse_condition(when, "file: row")


def test_three_valued_logic() -> None:
    assert all_of([]) is True
    assert all_of([True, None]) is None
    assert all_of([None, False]) is False
    assert any_of([]) is False
    assert any_of([False, None]) is None
    assert any_of([None, True]) is True


def test_a_malformed_node_is_unknown() -> None:
    text = CONV.replace("strides=[1,1]", "strides=[0,0]").replace("[1,2,H,5]", "[1,2,5,5]")
    assert parse_condition({"relation": "same-padding-is-odd"}, "here").holds(facts(text)) is None


def test_reasons_are_filled_with_actual_values() -> None:
    reason = "{op} {opset} {inputs} {outputs} {attr.auto_pad} {attr.strides} {input.0} {input.0.shape} {input.1.dtype}"
    assert describe(reason, facts(CONV)) == "Conv 17 2 1 VALID [1, 1] x [1, 2, H, 5] FLOAT"
    assert describe("{input.3.rank} {attr.pads} {input.0.elements}", facts(CONV)) == "none unknown unknown"


def test_empty_operands_are_absent() -> None:
    assert parse_condition({"input": {"1": "absent", "2": "constant"}}, "here").holds(facts(RESIZE)) is True


# ---- releases ------------------------------------------------------------------------------------------------------


def test_version_defaults_to_the_installed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases_module, "installed_version", lambda: "3.5.0")
    assert resolve_version() == "3.5.0"
    monkeypatch.setattr(releases_module, "installed_version", lambda: None)
    assert resolve_version() == releases().newest == resolve_version("latest") == "3.6.1"


def test_an_installed_release_that_is_not_known_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases_module, "installed_version", lambda: "3.9.7")
    assert resolve_version() == resolve_version("3.9.7") == "3.9.7"
    assert releases().known("3.9.7") == "3.6.1"
    assert releases().known("3.1.99") == "3.1.4"
    assert releases().known("0.0.1") == "0.1.1.2"
    assert releases().declares("MatMul", "3.9.7")


@pytest.mark.parametrize(("spec", "close"), [("3.6.11", "3.6.1"), ("nine", None), ("", None), ("3.7", None)])
def test_unknown_versions(spec: str, close: str | None) -> None:
    with pytest.raises(UsageError, match="unknown MNN version") as caught:
        resolve_version(spec)
    assert "0.1.1.2 to 3.6.1" in caught.value.hint
    assert close is None or close in caught.value.hint


def test_trailing_zeros_do_not_matter() -> None:
    assert resolve_version("3.6") == resolve_version("3.6.0.0") == "3.6.0"


def test_history_of_operators() -> None:
    known = releases()
    assert known.history("MatMul") == "declared since 0.2.1.6"
    assert known.history("MatMulInteger") == "declared from 2.6.3 to 3.1.2"
    assert known.history("Hardmax") == "no release up to 3.6.1 declares it"
    span = ("2.6.2", "2.6.3", "3.1.2", "3.1.3")
    assert [known.declares("MatMulInteger", version) for version in span] == [False, True, True, False]


@pytest.mark.parametrize(
    ("specifier", "version", "expected"),
    [
        (">=3.0", "3.0.0", True),
        (">=3.0,<3.2.2", "3.2.1", True),
        (">=3.0,<3.2.2", "3.2.2", False),
        ("==3.0", "3.0.0", True),
        ("==3.0.*", "3.0.5", True),
        ("==3.0.*", "3.1.0", False),
        ("!=3.6.1", "3.6.1", False),
    ],
)
def test_specifiers(specifier: str, version: str, expected: bool) -> None:  # noqa: FBT001
    assert contains(specifier, version) is expected


# ---- damaged rules -------------------------------------------------------------------------------------------------

ROW = """code = "MNN101"
name = "a-b"
mnn = ">=3"
when = {}
status = "wrong"
reason = "does"
evidence = ["measured: x"]
"""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[[support]\n", "Relu.toml"),
        ("[support]\n", "must hold"),
        (f"[[support]]\n{ROW}[extra]\n", "must hold"),
        (f"defaults = 3\n[[support]]\n{ROW}", "defaults"),
        (f"[[support]]\n{ROW.replace('status', 'state')}", "row MNN101: unknown key 'state'"),
        (f"[[support]]\n{ROW.replace('wrong', 'bad')}", "row MNN101: status must be one of"),
        (f"[[support]]\n{ROW.replace('code', 'name2').replace('name2', 'advice', 1)}", "row 1: code is missing"),
        (f"[[support]]\n{ROW.replace('>=3', '3 or so')}", "PEP 440"),
        (f"[[support]]\n{ROW.replace('{}', '{ rank = 3 }')}", "unknown predicate 'rank'"),
        (f"[[support]]\n{ROW.replace('[' + chr(34) + 'measured: x' + chr(34) + ']', '[]')}", "evidence is missing"),
    ],
)
def test_damaged_rows(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "Relu.toml").write_text(content)
    with pytest.raises(TableError) as caught:
        SupportTable(tmp_path).rows("Relu")
    assert words in caught.value.message
    assert caught.value.hint


def test_rules_are_found_beside_and_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_files, "__file__", str(tmp_path / "mnncompat" / "support" / "rule_files.py"))
    with pytest.raises(TableError, match="is missing") as caught:
        rule_files.root.__wrapped__()
    assert "install" in caught.value.hint
    for folder in (tmp_path / "rules", tmp_path / "mnncompat" / "_rules"):
        folder.mkdir(parents=True)
        (folder / "declared.json").write_text("{}")
        assert rule_files.root.__wrapped__() == folder


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_damaged_json(content: str, tmp_path: Path) -> None:
    (tmp_path / "declared.json").write_text(content)
    with pytest.raises(TableError):
        rule_files.read_json(tmp_path / "declared.json")


def test_a_missing_file_of_graph_rows(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"graph\.toml"):
        SupportTable(tmp_path).graph_rows()


def test_an_op_type_is_not_a_path(tmp_path: Path) -> None:
    (tmp_path / "Relu.toml").write_text("damaged")
    (tmp_path / "ops").mkdir()
    assert SupportTable(tmp_path).rows("../Relu") == ()
    assert SupportTable(tmp_path).rows("Unheard") == ()


def _node(op: str, inputs: str, output: str, constants: str = "", before: str = "", opset: int = 18) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({output}) <{constants}> {{ {before} {op} }}'


PAD = "y = Pad(x, p, v, a)"
PADS = "int64[4] p = {1, 0, 0, 1}, float v = {2.0}, int64[2] a = "
SEQUENCE = "y = SequenceAt(s, p)"
POOL = 'y = AveragePool<auto_pad="SAME_UPPER", kernel_shape=[3], strides=[2], count_include_pad=1>(x)'


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("axes-name-all-in-order", _node(PAD, "float[3,4] x", "float[4,5] y", PADS + "{0, -1}"), True),
        ("axes-name-all-in-order", _node(PAD, "float[3,4] x", "float[4,5] y", PADS + "{1, 0}"), False),
        ("axes-name-all-in-order", _node(PAD, "float[2,3,4] x", "float[3,3,5] y", PADS + "{0, 2}"), False),
        ("axes-name-all-in-order", _node("y = Pad(x, p)", "float[3] x, int64[2] p", "float[N] y"), None),
        ("axis-is-single", _node("y = ArgMax<axis=-2>(x)", "float[3,1,4] x", "int64[3,1,4] y"), True),
        ("axis-is-single", _node("y = ArgMax<axis=0>(x)", "float[3,1,4] x", "int64[1,1,4] y"), False),
        ("axis-is-single", _node("y = ArgMax<axis=0>(x)", "float[N,1,4] x", "int64[1,1,4] y"), None),
        ("window-reaches-larger-end-padding", _node(POOL, "float[1,2,8] x", "float[1,2,4] y", opset=19), True),
        ("window-reaches-larger-end-padding", _node(POOL, "float[1,2,7] x", "float[1,2,4] y", opset=19), False),
        ("window-reaches-larger-end-padding", _node(POOL, "float[1,2,W] x", "float[1,2,V] y", opset=19), None),
    ],
)
def test_relations(name: str, text: str, expected: bool | None) -> None:  # noqa: FBT001
    assert parse_condition({"relation": name}, "here").holds(facts(text.replace("<>", ""))) is expected


@pytest.mark.parametrize(
    ("sizes", "scale", "expected"),
    [("3,5", 1.5, True), ("4,6", 1.5, False), ("3,5", 2, False), ("H,5", 2, False), ("H,4", 1.5, None)],
)
def test_scaled_sizes(sizes: str, scale: float, expected: bool | None) -> None:  # noqa: FBT001
    node = f'y = Upsample<mode="linear", scales=[1.0, 1.0, {float(scale)}, {float(scale)}]>(x)'
    text = _node(node, f"float[1,2,{sizes}] x", "float[1,2,V,W] y", opset=8).replace("<>", "")
    assert parse_condition({"relation": "scaled-size-is-fractional"}, "here").holds(facts(text)) is expected


@pytest.mark.parametrize(
    ("made", "constants", "expected"),
    [
        ("s = SplitToSequence<axis=1>(x, k)", "int64[3] k = {3, 2, 1}", True),
        ("s = SplitToSequence<axis=1>(x, k)", "int64[3] k = {2, 2, 2}", False),
        ("s = SplitToSequence<axis=1>(x, k)", "int64 k = {4}", True),
        ("s = SplitToSequence<axis=1>(x, k)", "int64 k = {3}", False),
        ("s = SplitToSequence(x)", "int64 k = {3}", False),
        ("s = SequenceConstruct(x, x)", "int64 k = {3}", False),
        ("r = Transpose(x) s = SequenceConstruct(x, r)", "int64 k = {3}", True),
        ("e = SequenceEmpty() s = SequenceInsert(e, x)", "int64 k = {3}", None),
    ],
)
def test_uneven_sequences(made: str, constants: str, expected: bool | None) -> None:  # noqa: FBT001
    text = _node(SEQUENCE, "float[2,6] x", "float[M,N] y", f"int64 p = {{-1}}, {constants}", made)
    found = facts(text, len(made.split(" = ")) - 1, axis=0)
    assert found.node.op_type == "SequenceAt"
    assert parse_condition({"relation": "sequence-is-uneven"}, "here").holds(found) is expected
