"""Corpora: complete, deterministic, and well formed; and finding one case of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

from mnncompat.errors import UsageError
from mnncompat.probe.case import Case
from mnncompat.probe.corpora import CORPORA
from mnncompat.probe.judge import judge
from mnncompat.probe.measurement import Aspect
from mnncompat.probe.row_cases import row_cases
from mnncompat.probe.selection import GENERATED, ROWS, Selection, find

AT_LEAST = {"node": 1800, "node-const": 1150, "converted": 80, "operator": 30, "simple": 20}


@pytest.fixture(scope="module")
def corpora() -> dict[str, list[Case]]:
    return {name: list(cases()) for name, cases in CORPORA.items()}


@pytest.mark.parametrize("name", CORPORA)
def test_every_shipped_test_is_a_case(corpora: dict[str, list[Case]], name: str) -> None:
    cases = corpora[name]
    assert len(cases) >= AT_LEAST[name]
    assert all(case.id.startswith(f"{name}:test_") for case in cases)
    assert max(Counter(case.id for case in cases).values()) == 1
    assert sum(case.expected is not None for case in cases) > 0.7 * len(cases)


@pytest.mark.parametrize("name", CORPORA)
def test_feeds_and_expected_outputs_are_those_of_the_graph(corpora: dict[str, list[Case]], name: str) -> None:
    for case in corpora[name]:
        graph = onnx.load_model_from_string(case.model).graph
        if case.expected is not None:
            assert list(case.expected) == [each.name for each in graph.output], case.id
            given = {each.name for each in graph.initializer}
            assert {each.name for each in graph.input} - given <= set(case.feeds), case.id


def test_all_operands_but_the_first_become_initializers(corpora: dict[str, list[Case]]) -> None:
    by_name = {case.id: case for case in corpora["node-const"]}
    case, original = by_name["node-const:test_gemm_all_attributes"], find("node:test_gemm_all_attributes")
    graph = onnx.load_model_from_string(case.model).graph
    assert list(case.feeds) == [each.name for each in graph.input] == ["a"]
    assert [each.name for each in graph.initializer] == ["b", "c"]
    assert original.expected is not None
    np.testing.assert_array_equal((case.expected or {})["y"], original.expected["y"])
    assert "node-const:test_abs" not in by_name


def test_the_order_and_the_bytes_are_the_same_every_time(corpora: dict[str, list[Case]]) -> None:
    for name, cases in corpora.items():
        again = list(CORPORA[name]())
        assert [each.id for each in again] == [each.id for each in cases]
        assert [each.model for each in again] == [each.model for each in cases]


def test_an_expanded_function_is_a_test_of_the_function(corpora: dict[str, list[Case]]) -> None:
    ops = {case.id: case.op for case in corpora["node"]}
    assert ops["node:test_elu_expanded_ver18"] == "Elu"
    assert ops["node:test_elu"] == "Elu"


def test_a_selection_is_by_corpus_and_op() -> None:
    selection = Selection(corpora=("node", "node-const"), ops=frozenset({"Gemm"}))
    cases = list(selection.cases())
    assert {case.op for case in cases} == {"Gemm"}
    assert {case.id.partition(":")[0] for case in cases} == {"node", "node-const"}
    assert selection.size() == len(cases)
    assert next(selection.cases(without={cases[0].id})).id == cases[1].id


def test_the_generated_corpus_can_be_selected() -> None:
    selection = Selection(corpora=(GENERATED,), ops=frozenset({"Relu", "Gemm"}), seed=3, count=6)
    cases = list(selection.cases())
    assert {case.op for case in cases} == {"Relu", "Gemm"}
    assert selection.size() is None
    again = find(cases[-1].id)
    assert (again.model, list(again.feeds)) == (cases[-1].model, list(cases[-1].feeds))


def test_a_generated_case_is_found_whatever_else_the_operator_has() -> None:
    """Clip has two generators, and a small corpus would draw few of each."""
    for identity in ("gen:5:Clip:0021", "gen:5:Clip-hardswish:0004"):
        found = find(identity)
        assert (found.id, found.op) == (identity, "Clip")


def test_the_micro_models_of_the_rows_can_be_selected() -> None:
    whole = [each.id for each in row_cases()]
    assert len(whole) > 750
    gemm = list(Selection(corpora=(ROWS,), ops=frozenset({"Gemm"})).cases())
    assert {case.op for case in gemm} == {"Gemm"}
    coded = list(Selection(corpora=(ROWS,), codes=frozenset({"MNN130"})).cases())
    assert {case.op for case in coded} >= {"Gemm", "Add", "Sum"}
    assert {case.id.split("/")[1] for case in coded} == {"MNN130", "not-MNN130"}
    again = find(gemm[0].id)
    assert (again.id, again.model) == (gemm[0].id, gemm[0].model)
    with pytest.raises(UsageError, match="no micro-model of a row 'MNN999'"):
        Selection(corpora=(ROWS,), codes=frozenset({"MNN999"}))
    with pytest.raises(UsageError, match="a code selects micro-models of rows"):
        Selection(corpora=("node", ROWS), codes=frozenset({"MNN130"}))


def test_a_micro_model_is_fed_what_its_entry_says() -> None:
    case = find("row:Round/MNN232/Round halves")
    np.testing.assert_array_equal(case.feeds["x"], np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5], np.float32))
    np.testing.assert_array_equal((case.expected or {})["y"], [0, 2, 2, 0, -2, -2])
    session = find("row:MatMul/MNN142/MatMul [N,2] x [1,2]")
    assert [feeds["x"].shape[0] for feeds in (*session.earlier, session.feeds)] == [1, 2]
    assert find("row:graph/MNN032/a string").expected is None


def test_constants_are_stored_as_the_entry_says() -> None:
    typed, raw, sparse = (
        onnx.load_model_from_string(find(f"row:graph/{name}").model).graph
        for name in ("MNN020/int8 in int32_data", "not-MNN020/int8 in raw_data", "MNN022/a sparse initializer")
    )
    assert list(typed.initializer[0].int32_data) == [-3, 5, 7]
    assert raw.initializer[0].raw_data == b"\xfd\x05\x07"
    assert [each.values.name for each in sparse.sparse_initializer] == ["c"]


@pytest.mark.parametrize(
    "identity", ["row:Gemm/MNN130/x", "node:test_nothing", "nothing:test_abs", "gen:1:Relu", "gen:1:Nothing:0000", ""]
)
def test_an_unknown_case_is_a_usage_error(identity: str) -> None:
    with pytest.raises(UsageError, match="there is no case"):
        find(identity)


def test_an_unknown_corpus_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="there is no corpus 'nodes'"):
        Selection(corpora=("nodes",))


def test_results_at_random_are_compared_by_type_and_shape_alone(corpora: dict[str, list[Case]]) -> None:
    by_name = {case.id: case for case in corpora["node"]}
    case = by_name["node:test_bernoulli_double_expanded"]
    expected = (case.expected or {})["y"]
    assert judge(case, {"y": 1 - expected}) == (Aspect.NONE, "")
    assert judge(case, {"y": expected[:3]})[0] is Aspect.SHAPE
    assert judge(case, {"y": expected.astype(np.int32)})[0] is Aspect.DTYPE
    assert sum(not np.isfinite(each.atol) for each in corpora["node"]) < 10


def test_a_test_against_the_text_of_its_operator_expects_what_the_text_says(corpora: dict[str, list[Case]]) -> None:
    for name, cases in corpora.items():
        for case in cases:
            if case.id.endswith(":test_resize_downsample_scales_linear_align_corners"):
                assert name in ("node", "node-const")
                np.testing.assert_allclose((case.expected or {})["Y"], [[[[1.0, 4.0]]]], rtol=1e-6)
