"""Fixing is a transaction: to a fixed point, proven equal, and a wrong rewrite is rolled back and named."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import models
import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from models import array, head, model_of
from onnx import NodeProto, helper

from mnncompat import RunnerError, UsageError, fix
from mnncompat.fixing.selection import choose_rewrites
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.editor import GraphEditor
from mnncompat.graph.model_file import from_proto
from mnncompat.graph.validation import all_graphs, all_nodes
from mnncompat.graph.view import GraphView
from mnncompat.parity import compare_models
from mnncompat.results.diagnostics import Applicability
from mnncompat.rewrites.core.base import Match, Refusal, Rewrite
from mnncompat.rewrites.index import all_rewrites
from mnncompat.support.target import Target


@pytest.fixture(autouse=True)
def same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever tests ran before."""
    monkeypatch.setattr(models, "RNG", np.random.default_rng(7))


class PlantedRewrite(Rewrite):
    """A rewrite for the tests: it replaces every Relu."""

    code = "MNN899"
    name = "planted"
    summary = "for the tests"
    op_types = ("Relu",)

    def find(self, view: GraphView, target: Target) -> Iterator[Match | Refusal]:
        for index, node in enumerate(view.nodes):
            if node.op_type == "Relu":
                yield Match(rewrite=self.name, nodes=frozenset([index]), notes=((index, "planted"),), plan=index)

    def apply(self, match: Match, editor: GraphEditor) -> None:
        raise NotImplementedError


class WrongRewrite(PlantedRewrite):
    """Turns Relu into something close to it."""

    name = "planted-wrong"

    def apply(self, match: Match, editor: GraphEditor) -> None:
        node = editor.edit(match.plan)
        node.op, node.attrs["alpha"] = "LeakyRelu", 0.001


class EqualRewrite(PlantedRewrite):
    """Turns Relu into an equal Clip."""

    name = "planted-equal"

    def apply(self, match: Match, editor: GraphEditor) -> None:
        node = editor.edit(match.plan)
        node.op = "Clip"
        node.inputs.append(editor.constant("zero", np.zeros((), np.float32)))


class WrongElu(PlantedRewrite):
    """Turns Elu into something close to it."""

    name = "planted-wrong-elu"

    def find(self, view: GraphView, target: Target) -> Iterator[Match | Refusal]:
        for index, node in enumerate(view.nodes):
            if node.op_type == "Elu":
                yield Match(rewrite=self.name, nodes=frozenset([index]), notes=((index, "planted"),), plan=index)

    def apply(self, match: Match, editor: GraphEditor) -> None:
        node = editor.edit(match.plan)
        node.op, node.attrs["alpha"] = "ThresholdedRelu", 0.05


class InvalidRewrite(PlantedRewrite):
    """Makes something that is not ONNX."""

    name = "planted-invalid"

    def apply(self, match: Match, editor: GraphEditor) -> None:
        editor.edit(match.plan).op = "NoSuchOperator"


class CrashingRewrite(PlantedRewrite):
    """Fails."""

    name = "planted-crash"

    def apply(self, match: Match, editor: GraphEditor) -> None:
        raise KeyError("oops")


class EndlessRewrite(PlantedRewrite):
    """Finds its own result again and again."""

    name = "planted-endless"

    def apply(self, match: Match, editor: GraphEditor) -> None:
        editor.edit(match.plan).attrs.clear()


class UnsafeRewrite(EqualRewrite):
    """Needs to be asked for."""

    name = "planted-unsafe"
    applicability = Applicability.UNSAFE


class ApproximateRewrite(WrongRewrite):
    """A replacement that is close to Relu, and declared approximate."""

    name = "planted-approximate"
    applicability = Applicability.UNSAFE
    approximate = True


class RuinousRewrite(EqualRewrite):
    """A replacement that is declared approximate, but loses the signal."""

    name = "planted-ruinous"
    applicability = Applicability.UNSAFE
    approximate = True

    def apply(self, match: Match, editor: GraphEditor) -> None:
        node = editor.edit(match.plan)
        node.op = "Sign"


BAD: dict[str, tuple[type[Rewrite], str]] = {
    "wrong": (WrongRewrite, "not equal under ONNX Runtime"),
    "invalid": (InvalidRewrite, "not valid ONNX"),
    "crash": (CrashingRewrite, "it failed: KeyError"),
    "endless": (EndlessRewrite, "still finds something"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_rewrite_is_rolled_back_by_name_and_the_others_stay(case: str) -> None:
    planted, reason = BAD[case]
    model = head()
    before = model.SerializeToString(deterministic=True)
    result = fix_model(from_proto(model), rewrites=[*all_rewrites(), planted()])
    assert [item.rewrite for item in result.rolled_back] == [planted.name]
    assert reason in result.rolled_back[0].reason
    assert {item.rewrite for item in result.applied} == {"fully-connected-to-convolution"}
    assert result.proof is not None
    assert result.proof.passed
    assert not result.proven  # something was given up: the exit status must tell
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("case", BAD)
def test_with_nothing_good_left_the_model_is_the_one_that_was_given(case: str) -> None:
    model = from_proto(head())
    result = fix_model(model, rewrites=[BAD[case][0]()])
    assert result.model is model
    assert not result.changed
    assert len(result.rolled_back) == 1


def test_without_a_proof_a_wrong_rewrite_gets_through() -> None:
    """Only the proof catches it: without a proof the wrong rewrite stays, so the test above can fail."""
    result = fix_model(from_proto(head()), rewrites=[WrongRewrite()], prove=False)
    assert result.changed
    assert result.proof is None


def test_what_approximates_is_judged_by_its_noise_and_the_rest_is_proven_from_there() -> None:
    result = fix_model(from_proto(head()), rewrites=[*choose_rewrites(), ApproximateRewrite()])
    assert [each.rewrite for each in result.applied] == ["planted-approximate", *["fully-connected-to-convolution"] * 2]
    assert result.proven
    assert result.approximated is not None
    assert "LeakyRelu" in [node.op_type for node in result.approximated.proto.graph.node]
    assert result.approximation is not None
    worst = result.approximation.outputs[0].worst
    assert worst is not None
    assert 20 < worst.snr_db < 100
    assert not compare_models(head(), result.model.proto).passed
    assert compare_models(result.approximated.proto, result.model.proto).passed


def test_what_approximates_too_roughly_is_rolled_back_and_the_others_stay() -> None:
    result = fix_model(from_proto(head()), rewrites=[*choose_rewrites(), RuinousRewrite()])
    assert [each.rewrite for each in result.rolled_back] == ["planted-ruinous"]
    assert {each.rewrite for each in result.applied} == {"fully-connected-to-convolution"}
    assert result.approximated is None
    assert result.proof is not None
    assert result.proof.passed


def test_a_wrong_rewrite_cannot_hide_behind_one_that_approximates() -> None:
    model = head()
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Elu"
    model.graph.node.insert(list(model.graph.node).index(relu), helper.make_node("Relu", [relu.input[0]], ["first"]))
    relu.input[0] = "first"
    result = fix_model(from_proto(model), rewrites=[ApproximateRewrite(), WrongElu()])
    assert [each.rewrite for each in result.rolled_back] == ["planted-wrong-elu"]
    assert "not equal under ONNX Runtime" in result.rolled_back[0].reason
    assert [each.rewrite for each in result.applied] == ["planted-approximate"]


def test_two_rewrites_of_one_node_are_applied_one_after_the_other() -> None:
    result = fix_model(from_proto(head()), rewrites=[*all_rewrites(), EqualRewrite()])
    assert result.proven
    operators = [node.op_type for node in result.model.proto.graph.node]
    assert "Clip" in operators
    assert "Relu" not in operators
    assert "MatMul" not in operators


def test_nothing_to_fix_returns_the_same_model() -> None:
    model = from_proto(model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": [2]}, {"y": [2]}, {}))
    result = fix_model(model)
    assert result.model is model
    assert result.proven
    assert result.changes == ()


def test_fixing_twice_changes_nothing_more() -> None:
    once = fix(head())
    twice = fix(once.model.proto)
    assert once.changed
    assert not twice.changed
    assert twice.refused == ()


def test_the_diff_names_what_went_and_what_came() -> None:
    changes = {(change.kind.value, change.op_type) for change in fix(head()).changes}
    assert {("removed", "MatMul"), ("removed", "Gemm"), ("removed", "Add"), ("added", "Conv")} <= changes
    conv = next(change for change in fix(head()).changes if change.op_type == "Conv")
    assert conv.inputs[1].endswith("float32[7, 80, 1, 1]")


def test_no_reference_is_no_rewrites_fault() -> None:
    """A model that ONNX Runtime cannot run is neither proven nor disproven."""
    model = head()
    model.graph.node.append(helper.make_node("Thing", ["y"], ["z"], domain="my"))
    model.graph.output[0].name = "z"
    model.opset_import.append(helper.make_opsetid("my", 1))
    with pytest.raises(RunnerError, match="cannot be proven"):
        fix(model)
    assert fix(model, prove=False).changed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {"fully-connected-to-convolution", "planted"}),
        ({"select": ["MNN801"]}, {"fully-connected-to-convolution"}),
        ({"select": ["MNN8"]}, {"fully-connected-to-convolution", "planted"}),
        ({"select": ["planted"]}, {"planted"}),
        ({"ignore": ["planted"]}, {"fully-connected-to-convolution"}),
        ({"select": ["MNN8"], "ignore": ["MNN801"]}, {"planted"}),
        ({"unsafe": True}, {"fully-connected-to-convolution", "planted", "planted-unsafe"}),
    ],
)
def test_choice(arguments: dict[str, Any], expected: set[str]) -> None:
    known: Iterable[Rewrite] = [*all_rewrites(), PlantedRewrite(), UnsafeRewrite()]
    ours = [r for r in known if r.code == "MNN801" or r.name.startswith("planted")]
    assert {rewrite.name for rewrite in choose_rewrites(rewrites=ours, **arguments)} == expected


def test_choosing_what_does_not_exist_is_an_error() -> None:
    with pytest.raises(UsageError, match="no rewrite is called 'MNN123'"):
        choose_rewrites(select=["MNN123"])


def test_subgraphs_are_fixed_too() -> None:
    """A fully connected layer in a branch, its weight and its input captured from outside."""
    flatten = helper.make_node("Flatten", ["x"], ["f"])
    gemm = helper.make_node("Gemm", ["f", "w"], ["out_a"])
    relu = helper.make_node("Relu", ["out_a"], ["out_then"])
    then = helper.make_graph([gemm, relu], "then", [], [helper.make_tensor_value_info("out_then", 1, ["n", 4])])
    other = helper.make_node("Gemm", ["f", "w"], ["out_else"], alpha=0.5)
    otherwise = helper.make_graph([other], "else", [], [helper.make_tensor_value_info("out_else", 1, ["n", 4])])
    branch = helper.make_node("If", ["cond"], ["y"], then_branch=then, else_branch=otherwise)
    model = model_of([flatten, branch], {"x": ["n", 2, 3, 3]}, {"y": ["n", 4]}, {"w": array(18, 4)})
    model.graph.input.append(helper.make_tensor_value_info("cond", onnx.TensorProto.BOOL, []))
    for chosen in (True, False):
        result = fix(model, head="spatial", inputs={"cond": np.array(chosen)})
        assert len(result.applied) == 2
        assert result.proven
    onnx.checker.check_model(result.model.proto, full_check=True)
    inner = [node.op_type for a in result.model.proto.graph.node[-1].attribute for node in a.g.node]
    assert inner.count("Conv") == 2
    assert "Gemm" not in inner


def test_an_error_crosses_to_another_process_with_its_hint() -> None:
    error = pickle.loads(pickle.dumps(UsageError("no such rule", hint="see the list")))  # noqa: S301 - our own
    assert isinstance(error, UsageError)
    assert (error.message, error.hint) == ("no such rule", "see the list")


def nested_ifs(levels: int, path: str = "") -> NodeProto:
    """If with a constant condition in If, in both branches; only the innermost compute anything."""
    held: dict[str, Any] = {}
    for side in ("then", "else"):
        name = path + side[0]
        leaf = helper.make_node("Relu" if side == "then" else "Neg", ["x"], [f"v{name}"])
        node = nested_ifs(levels - 1, name) if levels else leaf
        result = helper.make_tensor_value_info(f"v{name}", onnx.TensorProto.FLOAT, [2])
        held[f"{side}_branch"] = helper.make_graph([node], f"g{name}", [], [result])
    return helper.make_node("If", ["yes"], [f"v{path}"], name=f"n{path}", **held)


def test_what_is_nested_in_a_replaced_node_is_reported_once() -> None:
    model = model_of([nested_ifs(3)], {"x": [2]}, {"v": [2]}, {"yes": np.ones((), bool)})
    result = fix(model)
    assert [node.op_type for node in result.model.proto.graph.node] == ["Relu"]
    assert [each.rewrite for each in result.applied] == ["constant-if"] * 4
    assert {each.location.node for each in result.applied} == {"n", "n/nt", "n/nt/ntt", "n/nt/ntt/nttt"}


def test_names_stay_unique_where_one_is_asked_for_again_and_again() -> None:
    names = {"a", "a_3"}
    editor = GraphEditor(gs.Graph(), names)
    assert [editor.unique("a") for _ in range(3)] == ["a_2", "a_4", "a_5"]
    assert [editor.unique("a_2"), editor.unique("b")] == ["a_2_2", "b"]


def test_nested_graphs_and_nodes_are_walked_depth_first() -> None:
    main = helper.make_graph([nested_ifs(1), helper.make_node("Abs", ["v"], ["w"], name="last")], "main", [], [])
    assert [graph.name for graph in all_graphs(main)] == ["main", "ge", "gee", "get", "gt", "gte", "gtt"]
    found = [node.name or node.op_type for node in all_nodes(main.node)]
    assert found == ["n", "ne", "Neg", "Relu", "nt", "Neg", "Relu", "last"]
