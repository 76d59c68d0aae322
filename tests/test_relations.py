"""Every relation finds what its examples say, in a model that ONNX accepts, and a row names it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import parser

from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.support import rule_files
from mnncompat.support.conditions import parse_condition
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations import registry
from mnncompat.support.relations.registry import Relation, all_relations, relation_named, relation_names
from mnncompat.support.table import SupportTable

FOLDER = Path(registry.__file__).parent
TABLE = SupportTable()


def facts(text: str, result: str = "y") -> NodeFacts:
    """The node of a model in ONNX text that computes a value, in any of its graphs."""
    views = view_model(from_proto(parser.parse_model(text))).graphs()
    view = next(each for each in views if result in each.producers)
    index = view.producers[result]
    return NodeFacts(view, index, TABLE.file(view.nodes[index].op_type).defaults)


@pytest.mark.parametrize("relation", all_relations(), ids=lambda relation: relation.name)
def test_examples(relation: Relation) -> None:
    for example, expected in ((relation.holds, True), (relation.fails, False)):
        text = relation.text_of(example)
        onnx.checker.check_model(parser.parse_model(text), full_check=True)
        assert relation.test(facts(text)) is expected, example


@pytest.mark.parametrize("relation", all_relations(), ids=lambda relation: relation.name)
def test_what_is_said_to_exclude_a_relation_does_not_where_it_holds(relation: Relation) -> None:
    where = facts(relation.text_of(relation.holds))
    assert relation.first is None or relation.first(where) is not False
    assert relation.within is None or not where.lacks(relation.within)
    assert relation.behind is None or not relation.behind.isdisjoint(where.ops_before)


@pytest.mark.parametrize("relation", all_relations(), ids=lambda relation: relation.name)
def test_a_relation_explains_itself(relation: Relation) -> None:
    assert relation.explanation.partition("\n")[0].endswith(".")
    assert relation.name.count("-") > 1, "a name says what is compared: subject, verb, object"


def test_every_relation_is_named_by_a_row() -> None:
    rows = "\n".join(path.read_text() for path in rule_files.root().glob("ops/*.toml"))
    assert {name for name in relation_names() if f'"{name}"' not in rows} == set()


def test_what_the_sources_say_is_what_is_registered() -> None:
    defined = [
        (node.name.replace("_", "-"), path.stem)
        for path in sorted(FOLDER.glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(each, ast.Call) and ast.unparse(each.func) == "relation" for each in node.decorator_list)
    ]
    assert len(dict(defined)) == len(defined), "two relations of one name"
    assert [(each.name, registry.family_of(each)) for each in all_relations()] == defined


def test_a_row_imports_the_module_of_its_relation_only() -> None:
    program = (
        "import sys; from mnncompat.support.conditions import parse_condition\n"
        "parse_condition({'relation': 'einsum-repeats-index'}, '')\n"
        "print(sorted(n.rpartition('.')[2] for n in sys.modules if n.startswith('mnncompat.support.relations.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "['einsum', 'registry']"


def test_a_name_that_no_relation_has() -> None:
    assert relation_named("operand-shapes-agree") is None


def _node(op: str, inputs: str, output: str, constants: str = "", before: str = "", opset: int = 18) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({output}) <{constants}> {{ {before} {op} }}'


PAD = "y = Pad(x, p, v, a)"
PADS = "int64[4] p = {1, 0, 0, 1}, float v = {2.0}, int64[2] a = "
SEQUENCE = "y = SequenceAt(s, p)"
POOL = 'y = AveragePool<auto_pad="SAME_UPPER", kernel_shape=[3], strides=[2], count_include_pad=1>(x)'


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pad-axes-list-all-in-order", _node(PAD, "float[3,4] x", "float[4,5] y", PADS + "{0, -1}"), True),
        ("pad-axes-list-all-in-order", _node(PAD, "float[3,4] x", "float[4,5] y", PADS + "{1, 0}"), False),
        ("pad-axes-list-all-in-order", _node(PAD, "float[2,3,4] x", "float[3,3,5] y", PADS + "{0, 2}"), False),
        ("pad-axes-list-all-in-order", _node("y = Pad(x, p)", "float[3] x, int64[2] p", "float[N] y"), None),
        ("axis-has-one-element", _node("y = ArgMax<axis=-2>(x)", "float[3,1,4] x", "int64[3,1,4] y"), True),
        ("axis-has-one-element", _node("y = ArgMax<axis=0>(x)", "float[3,1,4] x", "int64[1,1,4] y"), False),
        ("axis-has-one-element", _node("y = ArgMax<axis=0>(x)", "float[N,1,4] x", "int64[1,1,4] y"), None),
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
    found = facts(text)
    assert found.node.op_type == "SequenceAt"
    assert parse_condition({"relation": "sequence-elements-differ-in-shape"}, "here").holds(found) is expected


@pytest.mark.parametrize(
    "made",
    [
        "t = GreaterOrEqual(a, b) i = Cast<to=7>(t)",
        "l = HardSigmoid(a) i = Cast<to=7>(l)",
        "n = Shape(a) m = Expand(n, shape) d = DepthToSpace<blocksize=1>(m) f = Flatten(d) i = Reshape(f, flat)",
    ],
    ids=["truth", "bounded", "moved"],
)
def test_indices_that_cannot_be_negative(made: str) -> None:
    text = f"""<ir_version: 8, opset_import: ["" : 17]> g (float[3] x, float[1] a, float[1] b) => (float[1] y)
        <int64[4] shape = {{1, 1, 1, 1}}, int64[1] flat = {{1}}> {{ {made} y = GatherElements(x, i) }}"""
    never_negative = relation_named("indices-are-never-negative")
    assert never_negative is not None
    assert never_negative.test(facts(text)) is True
