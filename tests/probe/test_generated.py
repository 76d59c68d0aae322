"""The generated corpus: valid, deterministic, broad, and quick to generate."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import checker, defs, helper, shape_inference

from mnncompat.probe import Case
from mnncompat.probe.generated import Tally, generated_cases
from mnncompat.probe.generated.expectation import Verdict, agree, expect
from mnncompat.probe.generated.precision import Precision, tolerances
from mnncompat.probe.generated.registry import generators
from mnncompat.probe.generated.schema import admitted, versions
from mnncompat.support import rule_files

SEED = 20
COUNT = 1600
NOT_COMPUTABLE: set[str] = set()
"""Operators that MNN declares and neither runtime computes."""


@pytest.fixture(scope="module")
def corpus() -> tuple[list[Case], Tally]:
    tally = Tally()
    return list(generated_cases(SEED, count=COUNT, tally=tally)), tally


@pytest.fixture(scope="module")
def cases(corpus: tuple[list[Case], Tally]) -> list[Case]:
    return corpus[0]


@pytest.fixture(scope="module")
def models(cases: list[Case]) -> dict[str, onnx.ModelProto]:
    return {case.id: onnx.load_model_from_string(case.model) for case in cases}


def declared() -> set[str]:
    ranges = rule_files.read_json(rule_files.root() / "declared.json")["ops"]
    schemas = {each.name for each in defs.get_all_schemas() if each.domain == ""}
    return {op for op, spans in ranges.items() if spans[-1][1] is None} & schemas


def fingerprint(cases: list[Case]) -> str:
    digest = hashlib.sha256()
    for case in cases:
        digest.update(case.id.encode() + case.model + repr((case.rtol, case.atol)).encode())
        for name, values in [*case.feeds.items(), *(case.expected or {}).items()]:
            digest.update(name.encode() + values.tobytes())
    return digest.hexdigest()


def test_default_size() -> None:
    assert sum(each.weight for each in generators().values()) >= 4000


def test_every_declared_operator_has_cases(cases: list[Case]) -> None:
    counts = Counter(case.op for case in cases)
    assert {op for op in declared() - NOT_COMPUTABLE if counts[op] < 2} == set()
    assert {op for op in declared() - NOT_COMPUTABLE if generators()[op].weight < 6} == set()


def test_few_cases_are_missing(corpus: tuple[list[Case], Tally]) -> None:
    cases, tally = corpus
    assert len(tally.missing) <= len(cases) // 200, tally.missing


def test_no_operator_loses_most_of_its_draws(corpus: tuple[list[Case], Tally]) -> None:
    kept, dropped = Counter[str](), Counter[str]()
    good = {Verdict.AGREED.value, Verdict.RUNTIME.value, Verdict.REFERENCE.value}
    for (op, verdict), count in corpus[1].verdicts.items():
        (kept if verdict in good else dropped)[op] += count
    assert {op for op in kept if dropped[op] > 2 * kept[op] + 6} == set()


def test_ids_are_unique_and_say_what_they_are(cases: list[Case]) -> None:
    assert len({case.id for case in cases}) == len(cases)
    assert all(re.fullmatch(rf"gen:{SEED}:{case.op}(-[a-z]+)?:\d{{4}}", case.id) for case in cases)


def test_models_are_valid(models: dict[str, onnx.ModelProto]) -> None:
    for model in models.values():
        checker.check_model(model)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def test_models_hold_the_operator_at_their_opset(cases: list[Case], models: dict[str, onnx.ModelProto]) -> None:
    for case in cases:
        model = models[case.id]
        assert case.op in {node.op_type for node in model.graph.node}
        assert len(model.graph.node) <= 16
        assert model.opset_import[0].version in {o for opsets in versions(case.op).values() for o in opsets}


def test_feeds_and_expected_values_are_what_the_graph_declares(
    cases: list[Case], models: dict[str, onnx.ModelProto]
) -> None:
    for case in cases:
        graph = models[case.id].graph
        given = {each.name for each in graph.initializer}
        assert list(case.feeds) == [each.name for each in graph.input if each.name not in given]
        assert case.expected is not None
        assert list(case.expected) == [each.name for each in graph.output]
        for value in [each for each in (*graph.input, *graph.output) if each.name not in given]:
            check_declared(value, (case.feeds | case.expected)[value.name])


def check_declared(value: onnx.ValueInfoProto, array: np.ndarray) -> None:
    tensor = value.type.tensor_type
    assert helper.tensor_dtype_to_np_dtype(tensor.elem_type) == array.dtype
    assert len(tensor.shape.dim) == array.ndim
    for dimension, size in zip(tensor.shape.dim, array.shape, strict=True):
        assert dimension.dim_param or dimension.dim_value == size


def test_expected_values_are_finite_somewhere(cases: list[Case]) -> None:
    for case in cases:
        for values in (case.expected or {}).values():
            assert values.size
            assert np.isfinite(values.astype(np.float64)).any()


def test_another_process_draws_the_same() -> None:
    ops = {"Conv", "Reshape", "LSTM", "Relu", "TopK"}
    program = (
        "from test_generated import fingerprint\nfrom mnncompat.probe.generated import generated_cases\n"
        f"print(fingerprint(list(generated_cases(7, ops={sorted(ops)}, count=60))))"
    )
    here = fingerprint(list(generated_cases(7, ops=ops, count=60)))
    environment = os.environ | {"PYTHONHASHSEED": "4321", "PYTHONPATH": str(Path(__file__).parent)}
    there = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert there.stdout.strip() == here


def test_a_case_does_not_depend_on_what_else_is_drawn(cases: list[Case]) -> None:
    alone = list(generated_cases(SEED, ops={"Gather"}, count=5))
    among = [case for case in cases if case.op == "Gather"][: len(alone)]
    assert fingerprint(alone) == fingerprint(among)


def test_another_seed_draws_other_cases() -> None:
    one, other = (list(generated_cases(seed, ops={"Conv", "Add"}, count=30)) for seed in (1, 2))
    assert not {case.model for case in one} & {case.model for case in other}


def test_every_opset_occurs(models: dict[str, onnx.ModelProto]) -> None:
    opsets = Counter(model.opset_import[0].version for model in models.values())
    assert set(range(7, 26)) <= set(opsets)
    usual = sum(opsets[opset] for opset in (11, 12, 13, 17, 18))
    assert usual > 0.35 * sum(opsets.values())


@pytest.mark.parametrize(
    "op", ["Softmax", "ReduceSum", "ReduceMean", "Squeeze", "Split", "Slice", "Pad", "Clip", "TopK"]
)
def test_every_version_of_an_operator_occurs(op: str) -> None:
    found = set()
    for case in generated_cases(SEED, ops={op}, count=30):
        opset = onnx.load_model_from_string(case.model).opset_import[0].version
        found.add(next(since for since, opsets in versions(op).items() if opset in opsets))
    assert found == set(versions(op))


def test_operands_are_constant_and_fed(models: dict[str, onnx.ModelProto]) -> None:
    constant, fed = Counter[str](), Counter[str]()
    for name, model in models.items():
        op = name.split(":")[2].partition("-")[0]
        node = next(each for each in model.graph.node if each.op_type == op)
        inputs = {each.name for each in model.graph.input} - {each.name for each in model.graph.initializer}
        for operand in filter(None, node.input[1:]):
            (fed if operand in inputs else constant)[op] += 1
    for op in ("Add", "Mul", "MatMul", "Gather", "Where", "ScatterND", "GatherElements", "Equal"):
        assert constant[op] >= 2, op
        assert fed[op] >= 2, op
    assert constant.total() > fed.total()


def test_dtypes_and_ranks_spread(cases: list[Case]) -> None:
    dtypes, ranks = Counter[str](), Counter[int]()
    for case in cases:
        first = next(iter(case.feeds.values()), None)
        if first is not None:
            dtypes[first.dtype.name] += 1
            ranks[first.ndim] += 1
    assert {"float32", "float16", "float64", "int32", "int64", "bool", "uint8"} <= set(dtypes)
    assert 0.6 < dtypes["float32"] / dtypes.total() < 0.9
    assert all(ranks[rank] >= 30 for rank in (1, 2, 3, 4, 5))


def test_attributes_are_present_and_absent(models: dict[str, onnx.ModelProto]) -> None:
    with_it, without = defaultdict[tuple[str, str], int](int), defaultdict[tuple[str, str], int](int)
    wanted = {
        ("ReduceMean", "keepdims"),
        ("Softmax", "axis"),
        ("Conv", "dilations"),
        ("Gemm", "alpha"),
        ("Conv", "strides"),
    }
    for name, model in models.items():
        op = name.split(":")[2].partition("-")[0]
        node = next(each for each in model.graph.node if each.op_type == op)
        for _, attribute in {each for each in wanted if each[0] == op}:
            present = attribute in {each.name for each in node.attribute}
            (with_it if present else without)[op, attribute] += 1
    assert all(with_it[each] and without[each] for each in wanted)


def test_values_bring_out_what_the_form_has(cases: list[Case], models: dict[str, onnx.ModelProto]) -> None:
    for case in cases:
        fed = next(iter(case.feeds.values()), np.zeros(0))
        if case.op == "Round":
            assert np.any(np.abs(fed % 1) == 0.5)
        if case.op in {"Less", "Equal"} and fed.dtype.kind == "f":
            assert not np.any((fed == 0) & np.signbit(fed))
        if case.op in {"GatherElements", "GatherND", "ScatterElements"} and "indices" in case.feeds:
            assert case.feeds["indices"].min() >= 0, models[case.id]


def test_admitted_dtypes_follow_the_opset() -> None:
    assert "int32" not in admitted("Clip", 11)
    assert "int32" in admitted("Clip", 13)
    assert "bfloat16" not in admitted("Relu", 14)


def test_answers_that_differ_do_not_agree() -> None:
    values = np.linspace(-1, 1, 12, dtype=np.float32)
    assert agree(values, values + np.float32(1e-7))
    assert not agree(values, values * np.float32(1.01))
    assert not agree(values, values + np.float32(0.01))
    assert not agree(values, values[None])
    assert not agree(np.array([1, 2]), np.array([1, 3]))


def test_an_output_without_a_finite_value_is_no_expectation() -> None:
    graph = helper.make_graph(
        [helper.make_node("Log", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert expect("Log", model, {"x": np.array([-1, -2], np.float32)}).verdict is Verdict.NOT_FINITE


def test_tolerance_follows_the_scale_of_sums_and_not_of_moves() -> None:
    values = np.full(4, 100, np.float32)
    assert tolerances(Precision.ACCUMULATED, [values], [values]) == pytest.approx((1e-3, 0.05), rel=1e-3)
    assert tolerances(Precision.EXACT, [values], [values])[1] < 1e-6
    half = values.astype(np.float16)
    assert tolerances(Precision.ACCUMULATED, [half], [half]) == pytest.approx((1e-2, 0.2), rel=1e-3)
