"""The traits of operators are those that ONNX's schemas and its reference evaluator show."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper
from onnx.defs import OpSchema
from onnx.reference import ReferenceEvaluator

from mnncompat.graph import operator_traits as traits
from mnncompat.probe.generated.families.unary import ARITHMETIC, TRANSCENDENTAL

OPSET = 24
TABLES = {name: value for name, value in vars(traits).items() if name.isupper()}
# Needs a model's sizes to be called; that they are not negative is their definition.
OF_OTHER_OPERANDS = {"NonMaxSuppression"}


@cache
def schemas() -> dict[str, OpSchema]:
    return {each.name: each for each in onnx.defs.get_all_schemas() if each.domain == ""}


def applied(op: str, *kinds: int) -> ModelProto:
    inputs = [helper.make_tensor_value_info(f"x{at}", kind, [2, 3]) for at, kind in enumerate(kinds)]
    output = onnx.ValueInfoProto(name="y")
    node = helper.make_node(op, [each.name for each in inputs], ["y"])
    graph = helper.make_graph([node], op, inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


@pytest.mark.parametrize("name", TABLES)
def test_names_operators_of_onnx(name: str) -> None:
    assert TABLES[name]
    assert set(TABLES[name]) <= schemas().keys()


def test_random_operators_are_those_that_onnx_calls_nondeterministic() -> None:
    random = {
        name
        for name, each in schemas().items()
        if each.node_determinism.name == "NonDeterministic"  # type: ignore[attr-defined] # onnx's stub lacks it
    }
    holds_graph = {
        name
        for name, each in schemas().items()
        if any(each.type == OpSchema.AttrType.GRAPH for each in each.attributes.values())
    }
    # AffineGrid is computed from its operands; Dropout is random in training only.
    assert random - holds_graph - {"AffineGrid", "Dropout"} == traits.RANDOM


def test_variadic_operators_are_those_of_any_number_of_tensors() -> None:
    variadic = OpSchema.FormalParameterOption.Variadic
    found = {name for name, each in schemas().items() if each.inputs and each.inputs[0].option == variadic}
    assert found - {"Concat", "Einsum", "SequenceConstruct", "Loop", "Scan"} == set(traits.VARIADIC)


@pytest.mark.parametrize("op", sorted(traits.FLOAT_FUNCTIONS))
def test_functions_take_and_give_floats_of_one_shape(op: str) -> None:
    assert [len(schemas()[op].inputs), len(schemas()[op].outputs)] == [1, 1]
    inferred = onnx.shape_inference.infer_shapes(applied(op, TensorProto.FLOAT), strict_mode=True).graph.output[0]
    assert inferred.type.tensor_type.elem_type == TensorProto.FLOAT
    assert [each.dim_value for each in inferred.type.tensor_type.shape.dim] == [2, 3]


def test_the_probe_draws_the_same_functions() -> None:
    to_bool_or_integer = traits.LOGIC | {"IsNaN", "IsInf", "BitwiseNot"}
    assert ARITHMETIC.keys() - to_bool_or_integer == traits.FLOAT_FUNCTIONS - traits.TRANSCENDENTAL
    assert TRANSCENDENTAL.keys() == traits.TRANSCENDENTAL


@pytest.mark.parametrize("op", sorted(traits.NEVER_NEGATIVE - OF_OTHER_OPERANDS))
def test_results_are_never_negative(op: str) -> None:
    kind = TensorProto.BOOL if op in traits.LOGIC else TensorProto.FLOAT
    model = applied(op, *[kind] * schemas()[op].min_input)
    values = np.array([[-3.0, -0.5, 0.0], [0.5, 2.0, -7.0]], np.float32)
    feeds = {each.name: values if kind == TensorProto.FLOAT else values > 0 for each in model.graph.input}
    with np.errstate(all="ignore"):
        (result,) = ReferenceEvaluator(model).run(None, feeds)
    assert not (np.asarray(result).astype(np.float64) < 0).any()
