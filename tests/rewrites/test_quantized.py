"""Quantised operators are computed right by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evaluation import evaluated
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from remedied import assert_remedied, one_node, random
from rewriting import TARGET

from mnncompat.fixing.selection import choose_rewrites
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = {
    np.uint8: TensorProto.UINT8,
    np.int8: TensorProto.INT8,
    np.uint16: TensorProto.UINT16,
    np.int16: TensorProto.INT16,
}
BYTES = [np.uint8, np.int8]


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def scales(count: tuple[int, ...], seed: int = 7) -> np.ndarray:
    """Positive numbers that are powers of two, so that halves are met and every product is exact."""
    return np.asarray(np.exp2(np.random.default_rng(seed).integers(-4, 0, count)), np.float32)


@QUICK
@given(
    op=st.sampled_from(["QuantizeLinear", "DequantizeLinear"]),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    form=st.sampled_from(["one", "axis", "block"]),
    kind=st.sampled_from(list(KINDS)),
    axis=st.integers(-1, 0),
    constants=st.sampled_from([[], ["scale", "zero"]]),
)
def test_quantisation_is_right(
    prober: Prober, op: str, shape: list[int], form: str, kind: Any, axis: int, constants: list[str]
) -> None:
    count: tuple[int, ...] = () if form == "one" else (shape[axis],)
    if form == "block":
        blocks = list(shape)
        blocks[axis] = -(-shape[axis] // 2)  # ONNX Runtime takes a single number for one scale of everything
        assume(np.prod(blocks) > 1)
        count = tuple(blocks)
    quantises = op == "QuantizeLinear"
    model, feeds = one_node(
        op,
        {
            "x": random(shape) if quantises else random(shape, kind),
            "scale": scales(count),
            "zero": random(count, kind, seed=1),
        },
        opset=21,
        constants=constants,
        outputs=[KINDS[kind] if quantises else TensorProto.FLOAT],
        axis=axis,
        block_size=2 if form == "block" else None,
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), sign=st.sampled_from([-1, 0, 1]))
def test_dynamic_quantisation_is_right(prober: Prober, shape: list[int], sign: int) -> None:
    value = random(shape)
    model, feeds = one_node(
        "DynamicQuantizeLinear",
        {"x": sign * np.abs(value) if sign else value},
        opset=11,
        outputs=[TensorProto.UINT8, TensorProto.FLOAT, TensorProto.UINT8],
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    kinds=st.sampled_from([(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)]),
    inner=st.sampled_from([3, 300]),
    batch=st.lists(st.integers(1, 2), max_size=2),
    by_column=st.booleans(),
    constants=st.sampled_from([[], ["b", "zero_b"], ["zero_a", "b", "zero_b"]]),
)
def test_integer_product_is_right(
    prober: Prober, kinds: tuple[Any, Any], inner: int, batch: list[int], constants: list[str], *, by_column: bool
) -> None:
    model, feeds = one_node(
        "MatMulInteger",
        {
            "a": random([*batch, 2, inner], kinds[0]),
            "b": random([inner, 3], kinds[1], seed=1),
            "zero_a": random([], kinds[0], seed=2),
            "zero_b": random([3] if by_column else [], kinds[1], seed=3),
        },
        opset=10,
        constants=constants,
        outputs=[TensorProto.INT32],
    )
    assert assert_remedied(model, prober, feeds) >= {"integer-product-in-float"}


@QUICK
@given(
    kind=st.sampled_from(BYTES),
    by_column=st.booleans(),
    convolves=st.booleans(),
    bias=st.booleans(),
    constant=st.booleans(),
)
def test_quantised_product_is_right(
    prober: Prober, kind: Any, *, by_column: bool, convolves: bool, bias: bool, constant: bool
) -> None:
    count = (3,) if by_column else ()
    operands: dict[str, Any] = {
        "x": random([1, 2, 5, 5] if convolves else [4, 6], kind),
        "x_scale": scales(()),
        "x_zero": random([], kind, seed=1),
        "w": random([3, 2, 3, 3] if convolves else [6, 3], kind, seed=2),
        "w_scale": scales(count, seed=3),
        "w_zero": np.zeros(count, kind),
        "y_scale": np.asarray(64.0, np.float32),
        "y_zero": random([], kind, seed=4),
    }
    if convolves:
        operands["bias"] = random([3], np.int32, seed=5) if bias else None
    model, feeds = one_node(
        "QLinearConv" if convolves else "QLinearMatMul",
        operands,
        opset=10,
        constants=[name for name in operands if name != "x" and operands[name] is not None] if constant else [],
        outputs=[KINDS[kind]],
        pads=[1, 1, 1, 1] if convolves else None,
    )
    assert assert_remedied(model, prober, feeds) >= {"quantized-product-in-float"}


@settings(QUICK, max_examples=10)
@given(
    size=st.integers(1, 4),
    mode=st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
    groups=st.sampled_from([1, 4]),
    stride=st.sampled_from([1, 2]),
)
def test_integer_convolution_is_exact(prober: Prober, size: int, mode: str, groups: int, stride: int) -> None:
    """As many channels as MNN's fast convolutions need."""
    model, feeds = one_node(
        "ConvInteger",
        {
            "x": random([1, 16, 12, 12], np.uint8),
            "w": random([16, 16 // groups, size, size], np.int8, seed=1),
            "zero": random([], np.uint8, seed=2),
        },
        opset=10,
        constants=["w", "zero"],
        outputs=[TensorProto.INT32],
        auto_pad=mode,
        pads=[1, 0, 1, 2] if mode == "NOTSET" else None,
        group=groups,
        strides=[stride, stride],
    )
    assert assert_remedied(model, prober, feeds) >= {"integer-product-in-float"}


@QUICK
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    kind=st.sampled_from(list(KINDS)),
    several=st.booleans(),
    zero=st.integers(-100, 227),
    seed=st.integers(0, 99),
)
def test_a_pair_without_its_rounding_is_off_by_half_a_step(
    shape: list[int], kind: Any, *, several: bool, zero: int, seed: int
) -> None:
    """And by nothing where it saturates: values below the range become its lower end."""
    draws = np.random.default_rng(seed)
    count = (shape[1],) if several else ()
    scale = np.exp2(draws.integers(-9, -4, count)).astype(np.float32)
    limits = np.iinfo(kind)
    centre = np.full(count, np.clip(zero, limits.min, limits.max), kind)
    x = (draws.standard_normal(shape) * scale.max() * 200).astype(np.float32)
    axis: dict[str, Any] = {"axis": 1} if several else {}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **axis),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **axis),
    ]
    stored = [numpy_helper.from_array(scale, "s"), numpy_helper.from_array(centre, "z")]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph(nodes, "pair", value[:1], value[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    fixed = fix_model(from_proto(model), target=TARGET, rewrites=choose_rewrites(unsafe=True), prove=False)
    assert [each.rewrite for each in fixed.applied] == ["drop-rounding"]
    (before,), (after,) = evaluated(model, [{"x": x}]), evaluated(fixed.model.proto, [{"x": x}])
    spread = scale.reshape([-1 if axis == 1 else 1 for axis in range(len(shape))]) if several else scale
    assert np.all(np.abs(before["y"] - after["y"]) <= spread * 0.5001)
    outside = (x / spread + zero < limits.min - 1) | (x / spread + zero > limits.max + 1)
    if limits.min <= zero <= limits.max:
        np.testing.assert_allclose(after["y"][outside], before["y"][outside], rtol=1e-5)


@QUICK
@given(
    op=st.sampled_from(["Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "LayerNormalization"]),
    axes=st.integers(1, 3),
    position=st.integers(1, 4),
    kind=st.sampled_from(BYTES),
    zero=st.booleans(),
)
def test_what_is_dequantised_for_the_converter_is_right(
    prober: Prober,
    op: str,
    axes: int,
    position: int,
    kind: Any,
    zero: bool,  # noqa: FBT001
) -> None:
    operands = {"x": random([1, 2, *[4, 5, 3][:axes]])}
    names = ["x", *"abcd"[: {"BatchNormalization": 4}.get(op, 2)]]
    assume(position < len(names))
    shapes = {"Conv": [3, 2, *[2] * axes], "ConvTranspose": [2, 3, *[2] * axes]}
    length = {"Conv": 3, "ConvTranspose": 3, "LayerNormalization": operands["x"].shape[-1]}.get(op, 2)
    for each in names[1:]:
        shape = shapes[op] if each == "a" and op in shapes else [length]
        operands[each] = np.abs(random(shape, seed=ord(each))) + np.float32(0.5)
    stated = {"kernel_shape": [2] * axes} if op in shapes else {}
    model, feeds = one_node(op, operands, opset=17, constants=names[1:], **stated)
    name, graph = names[position], model.graph
    stored = {each.name: each for each in graph.initializer}
    graph.initializer.remove(stored[name])
    drawn = np.abs(random(operands[name].shape, kind)).astype(kind) // 2 + 1
    parameters = {"q": drawn, "scale": np.float32(0.02)} | ({"zero": np.array(0, kind)} if zero else {})
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), each) for each, value in parameters.items())
    graph.node.insert(0, helper.make_node("DequantizeLinear", list(parameters), [name]))
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    form=st.sampled_from(["cast", "one", "axis", "block"]),
    kind=st.sampled_from([TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2]),
    axis=st.integers(-1, 0),
    zero=st.booleans(),
)
def test_constants_of_narrow_types_are_stored_as_floats(
    prober: Prober,
    shape: list[int],
    form: str,
    kind: int,
    axis: int,
    zero: bool,  # noqa: FBT001
) -> None:
    whole = kind in (TensorProto.INT4, TensorProto.UINT4)
    assume(form != "block" or (whole and shape[axis] > 1))
    count: tuple[int, ...] = {"axis": (shape[axis],), "block": tuple(shape)}.get(form, ())
    if form == "block":
        count = tuple(-(-size // 2) if place == axis % len(shape) else size for place, size in enumerate(shape))
    element = helper.tensor_dtype_to_np_dtype(kind)
    stored = {"q": np.abs(np.round(random(shape))).astype(element)}
    if form != "cast":
        stored["scale"] = scales(count)
        if zero:
            stored["zero"] = np.full(count, 1 if whole else 0).astype(element)
    model, feeds = one_node("Add", {"x": random(shape), "w": random(shape)}, opset=21, constants=["w"])
    model.ir_version = 10
    del model.graph.initializer[:]
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in stored.items())
    stated: dict[str, Any] = {"to": TensorProto.FLOAT} if form == "cast" else {"axis": axis % len(shape)}
    if form == "block":
        stated["block_size"] = 2
    op = "Cast" if form == "cast" else "DequantizeLinear"
    model.graph.node.insert(0, helper.make_node(op, list(stored), ["w"], **stated))
    assert assert_remedied(model, prober, feeds) == {"fold-constants"}


def foreign(
    op: str, inputs: dict[str, Any], fed: list[str], kind: int, version: int = 13, **attributes: Any
) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """A model of one operator of ONNX Runtime's own domain, and what to feed it."""
    constants = [name for name, value in inputs.items() if name not in fed and value is not None]
    given = {name: None if value is None else np.asarray(value) for name, value in inputs.items()}
    model, feeds = one_node(op, given, opset=version, constants=constants, outputs=[kind], domain="com.microsoft")
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model.graph.node[0].attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return model, feeds


def scale(draws: np.random.Generator) -> np.float32:
    return np.float32(draws.uniform(0.005, 0.05))


def measures(names: str, draws: np.random.Generator, kind: Any) -> dict[str, Any]:
    """A scale and a zero point for each of the names."""
    pairs = [({f"{name}s": scale(draws), f"{name}z": random([], kind, int(draws.integers(99)))}) for name in names]
    return {key: value for pair in pairs for key, value in pair.items()}


@QUICK
@given(
    op=st.sampled_from(["QLinearAdd", "QLinearMul"]),
    kind=st.sampled_from(BYTES),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    dropped=st.integers(0, 3),
    constant=st.booleans(),
    seed=st.integers(0, 99),
)
def test_quantised_arithmetic_is_right(
    prober: Prober, op: str, kind: Any, shape: list[int], dropped: int, seed: int, *, constant: bool
) -> None:
    known = measures("abc", np.random.default_rng(seed), kind)
    inputs = {
        "a": random(shape, kind, seed),
        "as": known["as"],
        "az": known["az"],
        "b": random(shape[dropped:], kind, seed + 1),
        "bs": known["bs"],
        "bz": known["bz"],
        "cs": known["cs"],
        "cz": known["cz"],
    }
    model, feeds = foreign(op, inputs, ["a"] if constant else ["a", "b"], KINDS[kind])
    assert assert_remedied(model, prober, feeds) >= {"contrib-op-to-onnx"}


@QUICK
@given(
    op=st.sampled_from(["QLinearSigmoid", "QLinearLeakyRelu", "QLinearGlobalAveragePool", "QLinearAveragePool"]),
    kind=st.sampled_from(BYTES),
    shape=st.lists(st.integers(2, 5), min_size=4, max_size=4),
    last=st.integers(0, 1),
    opset=st.sampled_from([11, 13, 18]),
    seed=st.integers(0, 99),
)
def test_quantised_activations_and_pools_are_right(
    prober: Prober, op: str, kind: Any, shape: list[int], last: int, opset: int, seed: int
) -> None:
    inputs = {"a": random(shape, kind, seed), **measures("ac", np.random.default_rng(seed), kind)}
    attributes: dict[str, Any] = {"channels_last": last} if op.endswith("Pool") else {}
    if op == "QLinearAveragePool":
        attributes |= {"kernel_shape": [2, 2], "pads": [1, 0, 0, 1]}
    model, feeds = foreign(op, inputs, ["a"], KINDS[kind], opset, **attributes)
    assert assert_remedied(model, prober, feeds) >= {"contrib-op-to-onnx"}


@QUICK
@given(
    kind=st.sampled_from(BYTES),
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    opset=st.sampled_from([11, 13]),
    inner=st.sampled_from([11, 13]),
    axis=st.integers(-2, 1),
    seed=st.integers(0, 99),
)
def test_quantised_softmax_is_right(
    prober: Prober, kind: Any, shape: list[int], opset: int, inner: int, axis: int, seed: int
) -> None:
    low = np.asarray(np.iinfo(kind).min, kind)
    inputs = {
        "a": random(shape, kind, seed),
        **measures("a", np.random.default_rng(seed), kind),
        "cs": np.float32(1 / 256),
        "cz": low,
    }
    attributes = {"axis": axis, "opset": inner}
    model, feeds = foreign("QLinearSoftmax", inputs, ["a"], KINDS[kind], opset, **attributes)
    assert assert_remedied(model, prober, feeds) >= {"contrib-op-to-onnx"}


@QUICK
@given(
    kinds=st.sampled_from([(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)]),
    to_float=st.booleans(),
    swapped=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    by_column=st.booleans(),
    alpha=st.sampled_from([None, 0.5]),
    has_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_quantised_gemm_is_right(
    prober: Prober,
    kinds: tuple[Any, Any],
    swapped: tuple[int, int],
    alpha: float | None,
    seed: int,
    *,
    to_float: bool,
    by_column: bool,
    has_bias: bool,
) -> None:
    draws, columns = np.random.default_rng(seed), [3] if by_column else []
    inputs = {
        "a": random([5, 2] if swapped[0] else [2, 5], kinds[0], seed),
        **measures("a", draws, kinds[0]),
        "b": random([3, 5] if swapped[1] else [5, 3], kinds[1], seed),
        "bs": draws.uniform(0.01, 0.05, columns).astype(np.float32),
        "bz": random(columns, kinds[1], seed),
        "w": np.asarray([900, -70, 8], np.int32) if has_bias else None,
    }
    if not to_float:
        inputs |= {"cs": np.float32(0.7), "cz": random([], kinds[0], seed + 2)}
    attributes: dict[str, Any] = {"transA": swapped[0], "transB": swapped[1]}
    if alpha is not None:
        attributes["alpha"] = alpha
    kind = TensorProto.FLOAT if to_float else KINDS[kinds[0]]
    model, feeds = foreign("QGemm", inputs, ["a"], kind, **attributes)
    assert assert_remedied(model, prober, feeds) >= {"contrib-op-to-onnx"}
