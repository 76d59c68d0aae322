"""The vocabulary of conditions, the releases, and the errors for damaged rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import parser

from mnncompat.errors import TableError, UsageError
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.support import releases as releases_module
from mnncompat.support import rule_files
from mnncompat.support.condition_values import parse_count
from mnncompat.support.conditions import parse_condition
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.reason_text import describe
from mnncompat.support.releases import contains, releases, resolve_version
from mnncompat.support.table import SupportTable
from mnncompat.support.three_valued import all_of, any_of, negation

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
        ({"attr": {"group": {"range": ">=1"}}}, True),
        ({"attr": {"group": {"range": "<1"}}}, False),
        ({"attr": {"unheard": {"range": "<1"}}}, False),
        ({"attr": {"unheard": {"all": "<1"}}}, True),
        ({"attr": {"unheard": {"any": "<1"}}}, False),
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
    ("when", "words"),
    [
        (3, "must be a table"),
        ([], "an empty list"),
        ([{"opset": 7}, {}], "makes the others pointless"),
        ([{"opset": 7}, {"opset": 7}], "a value twice"),
        ({"rank": 2}, "unknown predicate 'rank'; allowed are opset"),
        # ranges
        ({"opset": "new"}, "is not a range"),
        ({"opset": ">=a"}, "is not a range"),
        ({"opset": ">=1_0"}, "is not a range"),
        ({"opset": "=>7"}, "is not a range"),
        ({"opset": ">=7;<9"}, "is not a range"),
        ({"opset": ">=inf"}, "is not a range"),
        ({"opset": ">=7,"}, "is not a range"),
        ({"opset": True}, "is not a range"),
        ({"opset": [13, 18]}, "is not a range"),
        ({"inputs": ">3,<2"}, "nothing lies in"),
        ({"inputs": ">2,<3"}, "nothing lies in"),
        ({"outputs": "<0"}, "nothing lies in"),
        ({"inputs": 1.5}, "nothing lies in"),
        ({"inputs": "==2,!=2"}, "nothing lies in"),
        ({"input": {"0": {"rank": "<0"}}}, "nothing lies in"),
        ({"input": {"0": {"value": {"any": ">2,<2"}}}}, "nothing lies in"),
        ({"attr": {"strides": {"all": ">=2,<2"}}}, "nothing lies in"),
        # attributes
        ({"attr": "mode"}, "attr must be a table"),
        ({"attr": {}}, "attr is an empty table"),
        ({"attr": {"mode": {}}}, "attr.mode is an empty table"),
        ({"attr": {"mode": {"like": "x"}}}, "unknown test of attr.mode 'like'; allowed are given, is, not"),
        ({"attr": {"axes": {"any": "some"}}}, "is not a range"),
        ({"attr": {"size": ">1"}}, "would be compared as a string"),
        ({"attr": {"size": {"not": ["a", "!=1"]}}}, "would be compared as a string"),
        ({"attr": {"size": [[">1", "2"]]}}, "would be compared as a string"),
        ({"attr": {"size": {"given": "true"}}}, "must be true or false"),
        ({"attr": {"size": {"given": 1}}}, "must be true or false"),
        ({"attr": {"size": {"given": False, "is": 3}}}, "has its default"),
        ({"attr": {"size": True}}, "write 1 or 0"),
        ({"attr": {"size": "linear "}}, "begins or ends with a space"),
        ({"attr": {"size": []}}, "an empty list"),
        ({"attr": {"size": {"not": []}}}, "an empty list"),
        ({"attr": {"size": [1, 1]}}, "a value twice"),
        ({"attr": {"size": [1, "2"]}}, "of one type"),
        ({"attr": {"size": [1, [2]]}}, "of one type"),
        ({"attr": {"size": [[1, "2"]]}}, "of one type"),
        ({"attr": {"size": {"is": {"any": 3}}}}, "is no value of an attribute"),
        ({"attr": {"size": 0.1}}, "not equal to any float32"),
        ({"attr": {"size": float("nan")}}, "not equal to any float32"),
        ({"attr": {"size": 1e300}}, "not equal to any float32"),
        # attributes with a default, which tells their type
        ({"attr": {"axis": "1"}}, "attr.axis = '1' cannot be: the attribute's default is 1"),
        ({"attr": {"axis": 1.0}}, "cannot be"),
        ({"attr": {"axis": [[1]]}}, "cannot be"),
        ({"attr": {"mode": {"not": 1}}}, "cannot be"),
        ({"attr": {"mode": {"length": 3}}}, "is a string"),
        ({"attr": {"mode": {"range": 3}}}, "is a string"),
        ({"attr": {"axis": {"any": ">1"}}}, "is one number"),
        ({"attr": {"axis": {"length": 1}}}, "is one number"),
        ({"attr": {"pads": {"range": ">1"}}}, "is a list"),
        ({"attr": {"pads": 1}}, "cannot be"),
        # operands and results
        ({"input": {}}, "input is an empty table"),
        ({"input": {"0": {}}}, "input.0 is an empty table"),
        ({"input": {"first": "present"}}, "a position is"),
        ({"input": {"01": "present"}}, "a position is"),
        ({"input": {"-0": "present"}}, "a position is"),
        ({"input": {"0": "used"}}, "unknown state of input.0 'used'; allowed are present, absent, constant, runtime"),
        ({"input": {"0": {"is": "there"}}}, "unknown state"),
        ({"input": {"0": ["constant", "runtime"]}}, "unknown state"),
        ({"input": {"0": ">1"}}, "unknown state"),
        ({"input": {"0": {"size": 3}}}, "unknown property of input.0 'size'"),
        ({"input": {"any": "absent"}}, "about those that are present"),
        ({"output": {"all": {"is": "present", "rank": 3}}}, "about those that are present"),
        ({"input": {"2": {"is": "absent", "rank": 3}}}, "what is left out has none"),
        ({"output": {"0": {"is": "absent", "rank": 3}}}, "what is left out has none"),
        ({"input": {"0": {"is": "runtime", "value": {"any": 0}}}}, "only constants have one"),
        ({"input": {"0": {"rank": "<3", "dim": {"0": 1, "-3": 1}}}}, "it has no axis -3 then"),
        ({"output": {"0": {"rank": 1, "dim": {"1": 1}}}}, "it has no axis 1 then"),
        ({"input": {"0": {"dim": 3}}}, "must be a table"),
        ({"input": {"0": {"dim": {}}}}, "is an empty table"),
        ({"input": {"0": {"dim": {"last": 3}}}}, "an axis is"),
        ({"input": {"0": {"value": ">3"}}}, "must be a table"),
        ({"input": {"0": {"value": {}}}}, "is an empty table"),
        ({"input": {"0": {"value": {"some": ">3"}}}}, "allowed are any, all"),
        ({"input": {"0": {"dtype": "float"}}}, "unknown dtype"),
        ({"input": {"0": {"dtype": ["FLOAT", "FLAOT16"]}}}, "close to it: FLOAT16"),
        ({"input": {"0": {"dtype": "UNDEFINED"}}}, "unknown dtype"),
        ({"input": {"0": {"dtype": 1}}}, "unknown dtype"),
        ({"input": {"0": {"dtype": []}}}, "an empty list"),
        ({"input": {"0": {"producer": []}}}, "an empty list"),
        ({"input": {"0": {"producer": "relu"}}}, "neither an op type nor one of input, initializer, outer"),
        ({"input": {"0": {"producer": "Identity"}}}, "is looked through"),
        ({"input": {"0": {"producer": 3}}}, "neither an op type"),
        ({"output": {"0": "constant"}}, "allowed are present, absent, used, unused, graph-output"),
        ({"output": {"0": {"producer": "Relu"}}}, "unknown property"),
        ({"output": {"0": {"value": {"any": 3}}}}, "unknown property"),
        # relations
        ({"relation": "einsum-repeats-indices"}, "unknown relation 'einsum-repeats-indices'; close to it: einsum-repe"),
        ({"relation": []}, "an empty list"),
        ({"relation": 3}, "unknown relation 3"),
        ({"relation": ["result-has-no-elements", "result-has-no-elements"]}, "a value twice"),
        ({"relation": [["result-has-no-elements"]]}, "unknown relation"),
    ],
)
def test_what_the_row_language_rejects(when: object, words: str) -> None:
    with pytest.raises(TableError, match=r"^file: row") as caught:
        parse_condition(when, "file: row", {"axis": 1, "mode": "linear", "pads": [0, 0], "epsilon": 0.5})
    assert words in caught.value.message
    assert "docs/row-language.md" in caught.value.hint


def test_values_of_the_type_of_the_default_are_read() -> None:
    defaults = {"axis": 1, "mode": "linear", "pads": [0, 0], "epsilon": 0.5}
    when = {"attr": {"axis": [0, 2], "mode": "nearest", "pads": {"is": [[1, 1]], "any": ">0"}, "epsilon": 1}}
    assert parse_condition(when, "here", defaults).text.startswith("attr.axis = [0, 2], attr.mode")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (3, (3,), (2, 4)),
        ("3", (3,), (2, 4)),
        (">=2, <5", (2, 4), (1, 5)),
        ("!=0,!=1,!=2", (3,), (0, 1, 2)),
        ("<1", (0,), (1, 2)),
    ],
)
def test_ranges(text: object, inside: tuple[int, ...], outside: tuple[int, ...]) -> None:
    matches = parse_count(text, "here", "rank")
    assert all(matches(number) is True for number in inside)
    assert all(matches(number) is False for number in outside)
    assert matches(None) is None


def test_three_valued_logic() -> None:
    assert all_of([]) is True
    assert all_of([True, None]) is None
    assert all_of([None, False]) is False
    assert any_of([]) is False
    assert any_of([False, None]) is None
    assert any_of([None, True]) is True
    assert [negation(truth) for truth in (True, None, False)] == [False, None, True]


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

QUOTE = '"'
DEFAULTS = "[defaults]\naxis = 1\n"
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
        ("support = [3]\n", "must hold"),
        (
            f"[[support]]\n{ROW.replace('status', 'state')}",
            "row MNN101: unknown key 'state'; close to it: status",
        ),
        (f"[[support]]\n{ROW.replace('wrong', 'bad')}", "row MNN101: unknown status 'bad'; allowed are supported"),
        (f"[[support]]\n{ROW.replace('code', 'advice')}", "row 1: code is missing"),
        (f"[[support]]\n{ROW.replace('when = {}', '')}", "when is missing"),
        (f"[[support]]\n{ROW.replace('>=3', '3 or so')}", "PEP 440"),
        (f"[[support]]\n{ROW.replace('{}', '{ rank = 3 }')}", "unknown predicate 'rank'"),
        (
            f"[[support]]\n{ROW.replace('{}', '{ attr.axis = ' + QUOTE + '1' + QUOTE + ' }')}",
            "attr.axis = '1' cannot be",
        ),
        (f"[[support]]\n{ROW.replace('[' + QUOTE + 'measured: x' + QUOTE + ']', '[]')}", "evidence is missing"),
        (f"[[support]]\n{ROW.replace('[' + QUOTE, QUOTE).replace(QUOTE + ']', QUOTE)}", "evidence must be a list"),
        (f"[[support]]\n{ROW.replace('measured: x', '')}", "evidence must be a list of strings"),
        (f"[[support]]\n{ROW}arch = {QUOTE}x86_64{QUOTE}", "arch must be a list"),
        (f"[[support]]\n{ROW}arch = []", "arch is an empty list"),
        (f"[[support]]\n{ROW}arch = [{QUOTE}amd64{QUOTE}]", "unknown arch 'amd64'; allowed are x86_64"),
        (f"[[support]]\n{ROW}precision = {QUOTE}low{QUOTE}", "precision must be a list"),
        (f"[[support]]\n{ROW}precision = [{QUOTE}half{QUOTE}]", "unknown precision 'half'; allowed are high"),
        (f"[[support]]\n{ROW}unless = {{}}", "unless is empty"),
        (f"[[support]]\n{ROW.replace('{}', '{ opset = 7 }')}unless = {{ opset = 7 }}", "unless is what when is"),
        (f"[[support]]\n{ROW}find = {QUOTE}training-op{QUOTE}", "unknown key 'find'"),
        (f"[[support]]\n{ROW}obstacle = {QUOTE}bad luck{QUOTE}", "unknown obstacle 'bad luck'"),
        (f"[[support]]\n{ROW}remedy = 3", "remedy must be a string"),
        (f"[[support]]\n{ROW.replace('wrong', 'supported')}", "code says nothing where MNN is right"),
        (
            f"[[support]]\n{ROW.replace('does', 'does {op.name}')}",
            "unknown placeholder {op.name}; allowed are op, opset",
        ),
        (f"[[support]]\n{ROW.replace('does', 'does {input.x}')}", "unknown placeholder {input.x}"),
        (f"[[support]]\n{ROW.replace('does', 'does {input.1.size}')}", "unknown placeholder {input.1.size}"),
        (f"[[support]]\n{ROW.replace('does', 'does {attr}')}", "unknown placeholder {attr}"),
        (f"[[support]]\n{ROW.replace('does', 'does {attr.mode.length}')}", "unknown placeholder {attr.mode.length}"),
        (f"[[support]]\n{ROW.replace('does', 'does {tensor}')}", "unknown placeholder {tensor}"),
        (f"[[support]]\n{ROW.replace('does', 'does {op')}", "a brace that belongs to no placeholder"),
    ],
)
def test_damaged_rows(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    is_whole = content.startswith("[[support]]\n") and "[extra]" not in content
    (tmp_path / "ops" / "Relu.toml").write_text(f"{DEFAULTS if is_whole else ''}{content}")
    with pytest.raises(TableError) as caught:
        SupportTable(tmp_path).rows("Relu")
    assert words in caught.value.message
    assert caught.value.hint


GRAPH_ROW = """[[graph]]
code = "MNN099"
name = "a-b"
mnn = ">=3"
find = "training-op"
status = "wrong"
reason = "does {op}"
evidence = ["measured: x"]
"""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            GRAPH_ROW.replace("training-op", "training-ops"),
            "row MNN099: unknown search 'training-ops'; close to it: tr",
        ),
        (GRAPH_ROW.replace('find = "training-op"', ""), "find is missing"),
        (GRAPH_ROW.replace("{op}", "{tensor}"), "unknown placeholder {tensor}; allowed are domain, op"),
        (GRAPH_ROW + "when = {}", "unknown key 'when'"),
    ],
)
def test_damaged_rows_about_models(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "graph.toml").write_text(GRAPH_ROW)
    assert len(SupportTable(tmp_path).graph_rows()) == 1
    (tmp_path / "graph.toml").write_text(content)
    with pytest.raises(TableError) as caught:
        SupportTable(tmp_path).graph_rows()
    assert words in caught.value.message


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
