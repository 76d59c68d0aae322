"""Products of uint8 and int8 under ONNX Runtime are what the operators' definitions say, on every CPU."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.parity import exact_products
from mnncompat.parity.exact_products import OPERANDS, with_exact_products
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

DEPTH = 64
CONTRIB = "com.microsoft"
HEADER = f'<ir_version: 9, opset_import: ["" : 17, "{CONTRIB}" : 1, "own" : 1]>'
NOTHING = np.zeros(0)
"""An operand that is left out."""


def model_of(
    op: str, operands: Mapping[str, Array], constants: set[str], kind: int, domain: str = "", **attributes: Any
) -> tuple[ModelProto, dict[str, Array]]:
    """One node as a model, and what it is fed."""
    present = {name: array for name, array in operands.items() if array is not NOTHING}
    feeds = {name: array for name, array in present.items() if name not in constants}
    names = [name if name in present else "" for name in operands]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], domain=domain, **attributes)],
        "graph",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feeds.items()
        ],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(array, name) for name, array in present.items() if name in constants],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), feeds


def run(model: ModelProto | Path | bytes, feeds: Mapping[str, Array]) -> Array:
    found = OnnxRuntimeRunner(model).run([feeds])
    assert not isinstance(found, Failure), found
    return found[0]["y"]


def extreme(dtype: Any, shape: tuple[int, ...]) -> Array:
    """255 or 127: two products of these are more than int16 holds."""
    return np.full(shape, np.iinfo(dtype).max, dtype)


def one(value: float) -> Array:
    return np.asarray(value, np.float32)


def shifted(array: Array) -> Array:
    return (array.astype(np.int16) + 128).astype(np.uint8)


def convolved(x: Array, w: Array, groups: int) -> Array:
    """A convolution without padding, of images in integers."""
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))
    parts = zip(np.split(windows, groups, axis=1), np.split(w, groups), strict=True)
    return np.concatenate([np.einsum("nchwij,ocij->nohw", part, kernel) for part, kernel in parts], axis=1)


ALL = [
    pytest.param(set(), id="runtime"),
    pytest.param({"b", "bs", "bz", "w", "ws", "wz"}, id="constant weights"),
    pytest.param({"a", "as", "az"}, id="constant activations"),
]
MIXED = pytest.mark.parametrize(("left", "right"), [(np.uint8, np.int8), (np.int8, np.uint8), (np.int8, np.int8)])


@MIXED
@pytest.mark.parametrize("constants", ALL)
@pytest.mark.parametrize("rows", [1, 4])
def test_the_largest_products_are_exact(left: Any, right: Any, constants: set[str], rows: int) -> None:
    a, b = extreme(left, (rows, DEPTH)), extreme(right, (DEPTH, 16))
    model, feeds = model_of("MatMulInteger", {"a": a, "b": b}, constants, TensorProto.INT32)
    np.testing.assert_array_equal(run(model, feeds), a.astype(np.int32) @ b)


@MIXED
@pytest.mark.parametrize("constants", ALL)
@pytest.mark.parametrize("groups", [1, 4, 16])
def test_the_largest_convolutions_are_exact(left: Any, right: Any, constants: set[str], groups: int) -> None:
    x, w = extreme(left, (1, 16, 5, 5)), extreme(right, (16, 16 // groups, 3, 3))
    model, feeds = model_of("ConvInteger", {"a": x, "w": w}, constants, TensorProto.INT32, group=groups)
    np.testing.assert_array_equal(run(model, feeds), convolved(x.astype(np.int32), w.astype(np.int32), groups))


@pytest.mark.parametrize("constants", ALL)
def test_the_largest_quantised_products_are_exact(constants: set[str]) -> None:
    a, b = extreme(np.uint8, (4, DEPTH)), extreme(np.int8, (DEPTH, 16))
    operands = {"a": a, "as": one(1), "az": np.asarray(0, np.uint8)}
    operands |= {"b": b, "bs": np.ones(16, np.float32), "bz": np.zeros(16, np.int8)}
    operands |= {"ys": one(2**14), "yz": np.asarray(0, np.uint8)}
    model, feeds = model_of("QLinearMatMul", operands, constants, TensorProto.UINT8)
    np.testing.assert_array_equal(run(model, feeds), np.full((4, 16), np.rint(DEPTH * 255 * 127 / 2**14), np.uint8))


@pytest.mark.parametrize("constants", ALL)
@pytest.mark.parametrize(("groups", "channels"), [(1, 16), (16, 1)])
def test_the_largest_quantised_convolutions_are_exact(constants: set[str], groups: int, channels: int) -> None:
    x, w = extreme(np.uint8, (1, 16, 5, 5)), extreme(np.int8, (16, channels, 3, 3))
    scale = 2.0**15 / groups
    operands = {"a": x, "as": one(1), "az": np.asarray(0, np.uint8)}
    operands |= {"w": w, "ws": one(1), "wz": np.asarray(0, np.int8)}
    operands |= {"ys": one(scale), "yz": np.asarray(0, np.uint8)}
    model, feeds = model_of("QLinearConv", operands, constants, TensorProto.UINT8, group=groups)
    wanted = np.rint(9 * channels * 255 * 127 / scale)
    np.testing.assert_array_equal(run(model, feeds), np.full((1, 16, 3, 3), wanted, np.uint8))


@pytest.mark.parametrize("constants", ALL)
@pytest.mark.parametrize("op", ["QGemm", "MatMulIntegerToFloat"])
@pytest.mark.parametrize("has_zero", [False, True])
def test_the_largest_products_of_onnx_runtimes_own_operators_are_exact(
    op: str, constants: set[str], *, has_zero: bool
) -> None:
    a, b = extreme(np.uint8, (4, DEPTH)), extreme(np.int8, (DEPTH, 16))
    az, bz = np.asarray(0, np.uint8), np.asarray(-1, np.int8)
    if op == "QGemm":
        operands = {"a": a, "as": one(1), "az": az, "b": b, "bs": one(1), "bz": bz}
    else:
        zeros = {"az": az, "bz": bz} if has_zero else {}
        operands = {"a": a, "b": b, "as": one(1), "bs": one(1), **zeros}
    model, feeds = model_of(op, operands, constants, TensorProto.FLOAT, CONTRIB)
    wanted = DEPTH * 255 * (128 if "bz" in operands else 127)
    np.testing.assert_array_equal(run(model, feeds), np.full((4, 16), wanted, np.float32))


@pytest.mark.parametrize("constants", ALL)
@pytest.mark.parametrize("zero", [None, 3])
def test_a_product_that_quantises_its_operand_is_exact(constants: set[str], zero: int | None) -> None:
    a = np.full((4, DEPTH), 255, np.float32)
    a[:, 0] = 0
    zeros = {} if zero is None else {"bz": np.full(16, zero, np.int8)}
    operands = {"a": a, "b": extreme(np.int8, (DEPTH, 16)), "bs": np.ones(16, np.float32), **zeros}
    model, feeds = model_of("DynamicQuantizeMatMul", operands, constants, TensorProto.FLOAT, CONTRIB)
    wanted = np.full((4, 16), (DEPTH - 1) * 255 * (127 - (zero or 0)), np.float32)
    np.testing.assert_allclose(run(model, feeds), wanted, rtol=1e-6)


@pytest.mark.parametrize("constant", [False, True])
def test_a_recurrent_cell_that_quantises_its_operands_is_that_of_unsigned_weights(*, constant: bool) -> None:
    rng = np.random.default_rng(3)
    weights = {"w": rng.integers(64, 128, (1, 8, 64)).astype(np.int8), "wz": np.zeros(1, np.int8)}
    weights |= {"r": rng.integers(-128, -63, (1, 16, 64)).astype(np.int8), "rz": np.full((1, 64), 7, np.int8)}

    def computed(own: Mapping[str, Array]) -> Array:
        operands = {"x": np.linspace(0, 1, 24, dtype=np.float32).reshape(3, 1, 8), "w": own["w"]}
        operands |= {"r": own["r"], **dict.fromkeys(("b", "lengths", "h", "c", "p"), NOTHING)}
        operands |= {"ws": np.full(1, 1 / 512, np.float32), "wz": own["wz"]}
        operands |= {"rs": np.full((1, 64), 1 / 512, np.float32), "rz": own["rz"]}
        constants = {*own, "ws", "rs"} if constant else set()
        model, feeds = model_of("DynamicQuantizeLSTM", operands, constants, TensorProto.FLOAT, CONTRIB, hidden_size=16)
        return run(model, feeds)

    np.testing.assert_array_equal(computed(weights), computed({name: shifted(each) for name, each in weights.items()}))


def test_quantised_attention_is_that_of_unsigned_weights() -> None:
    rng = np.random.default_rng(3)
    weight, zero = rng.integers(64, 128, (DEPTH, 3 * DEPTH)).astype(np.int8), np.asarray(0, np.int8)

    def computed(w: Array, wz: Array) -> Array:
        operands: dict[str, Array] = {"x": np.arange(3 * DEPTH, dtype=np.uint8).reshape(1, 3, DEPTH) | 128, "w": w}
        operands |= {"b": np.zeros(3 * DEPTH, np.float32), "xs": one(1 / 64), "ws": one(1 / 4096), "mask": NOTHING}
        operands |= {"xz": np.asarray(3, np.uint8), "wz": wz}
        model, feeds = model_of("QAttention", operands, {"w", "wz"}, TensorProto.FLOAT, CONTRIB, num_heads=2)
        return run(model, feeds)

    np.testing.assert_array_equal(computed(weight, zero), computed(shifted(weight), shifted(zero)))


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.tuples(*[st.sampled_from([np.uint8, np.int8])] * 2),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 70), st.integers(1, 20)),
    batch=st.lists(st.integers(1, 3), max_size=2).map(tuple),
    zeros=st.tuples(st.sampled_from(["none", "one"]), st.sampled_from(["none", "one", "per column"])),
    constants=st.sets(st.sampled_from(["a", "b", "az", "bz"])),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_product_of_integers_is_its_definition(
    kinds: tuple[Any, Any],
    sizes: tuple[int, int, int],
    batch: tuple[int, ...],
    zeros: tuple[str, str],
    constants: set[str],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)

    def drawn(kind: Any, shape: tuple[int, ...]) -> Array:
        limits = np.iinfo(kind)
        return rng.choice([limits.min, limits.max, int(rng.integers(limits.min, limits.max + 1))], shape).astype(kind)

    rows, depth, columns = sizes
    a, b = drawn(kinds[0], (*batch, rows, depth)), drawn(kinds[1], (depth, columns))
    forms = {"none": NOTHING, "one": drawn(kinds[0], ())}, {"none": NOTHING, "one": drawn(kinds[1], ())}
    az, bz = forms[0][zeros[0]], {**forms[1], "per column": drawn(kinds[1], (columns,))}[zeros[1]]
    model, feeds = model_of("MatMulInteger", {"a": a, "b": b, "az": az, "bz": bz}, constants, TensorProto.INT32)
    lessened = [each.astype(np.int64) - (0 if zero is NOTHING else zero) for each, zero in ((a, az), (b, bz))]
    np.testing.assert_array_equal(run(model, feeds), lessened[0] @ lessened[1])


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.sampled_from([(np.uint8, np.int8), (np.int8, np.uint8)]),
    groups=st.sampled_from([1, 2, 4]),
    pad=st.integers(0, 2),
    zeros=st.tuples(st.booleans(), st.booleans()),
    constants=st.sets(st.sampled_from(["a", "w", "az", "wz"])),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_convolution_of_integers_is_its_definition(
    kinds: tuple[Any, Any], groups: int, pad: int, zeros: tuple[bool, bool], constants: set[str], seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def drawn(kind: Any, shape: tuple[int, ...]) -> Array:
        return rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, shape).astype(kind)

    x, w = drawn(kinds[0], (2, 8, 5, 4)), drawn(kinds[1], (4, 8 // groups, 3, 3))
    xz, wz = (drawn(kind, ()) if has_zero else NOTHING for kind, has_zero in zip(kinds, zeros, strict=True))
    model, feeds = model_of(
        "ConvInteger", {"a": x, "w": w, "az": xz, "wz": wz}, constants, TensorProto.INT32, group=groups, pads=[pad] * 4
    )
    image = np.pad(x.astype(np.int64) - (0 if xz is NOTHING else xz), [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    kernel = w.astype(np.int64) - (0 if wz is NOTHING else wz)
    np.testing.assert_array_equal(run(model, feeds), convolved(image, kernel, groups))


# ------------------------------------------------------------------------------------------ where products may stand

PRODUCT = f"agraph (uint8[4, {DEPTH}] x) => (int32[4, 16] y) {{ y = MatMulInteger(x, w) }}"
WEIGHT = extreme(np.int8, (DEPTH, 16))
X = extreme(np.uint8, (4, DEPTH))
WANTED = np.full((4, 16), DEPTH * 255 * 127, np.int32)


def parsed(text: str) -> ModelProto:
    model: ModelProto = parser.parse_model(f"{HEADER}\n{text}")
    model.graph.initializer.append(numpy_helper.from_array(WEIGHT, "w"))
    return model


def kinds_multiplied(model: ModelProto) -> list[tuple[int | None, ...]]:
    """Types of the operands of every product of integers."""
    return [
        tuple(view.dtype(name) for name in node.input[:2])
        for view in view_model(from_proto(model)).graphs()
        for node in view.nodes
        if node.op_type == "MatMulInteger"
    ]


IN_BRANCHES = f"""agraph (uint8[4, {DEPTH}] x) => (int32[4, 16] y) {{
    c = Constant <value = bool {{1}}> ()
    y = If (c) <
        then_branch = b1 () => (int32[4, 16] p) {{ p = MatMulInteger(x, w) }},
        else_branch = b2 () => (int32[4, 16] q) {{ n = Identity(w)
            q = MatMulInteger(x, n) }}
    >
}}"""
IN_BOTH = f"""agraph (uint8[4, {DEPTH}] x) => (int32[4, 16] y) {{
    c = Constant <value = bool {{1}}> ()
    a = MatMulInteger(x, w)
    b = MatMulInteger(x, w)
    d = If (c) <
        then_branch = b1 () => (int32[4, 16] p) {{ p = MatMulInteger(x, w) }},
        else_branch = b2 () => (int32[4, 16] q) {{ q = Identity(a) }}
    >
    s = Max(a, b)
    y = Max(s, d)
}}"""
COMPUTED = f"""agraph (uint8[4, {DEPTH}] x) => (int32[4, 16] y) {{
    f = Cast <to = 1> (w)
    one = Constant <value = float {{1.0}}> ()
    zero = Constant <value = int8 {{0}}> ()
    n = QuantizeLinear(f, one, zero)
    y = MatMulInteger(x, n)
}}"""
IN_FUNCTION = f"""agraph (uint8[4, {DEPTH}] x) => (int32[4, 16] y) {{ y = own.Outer(x, w) }}
<domain: "own", opset_import: ["" : 17, "own" : 1]> Outer (a, b) => (c) {{ c = own.Inner(a, b) }}
<domain: "own", opset_import: ["" : 17]> Inner (a, b) => (c) {{ n = Identity(b)
    c = MatMulInteger(a, n) }}"""
PLACES = {
    "main graph": PRODUCT,
    "opset 10": PRODUCT,
    "branches": IN_BRANCHES,
    "a graph and its branch": IN_BOTH,
    "behind what computes it": COMPUTED,
    "a function of a function": IN_FUNCTION,
}


@pytest.mark.parametrize("place", PLACES)
def test_products_are_found_everywhere(place: str) -> None:
    model = parsed(PLACES[place])
    if place == "opset 10":
        model.ir_version, model.opset_import[0].version = 5, 10
    before = model.SerializeToString()
    copy = with_exact_products(model)
    assert copy is not None
    assert model.SerializeToString() == before
    assert set(kinds_multiplied(copy)) == {(TensorProto.UINT8, TensorProto.UINT8)}
    assert copy.graph.input == model.graph.input
    assert copy.graph.output == model.graph.output
    np.testing.assert_array_equal(run(model, {"x": X}), WANTED)
    np.testing.assert_array_equal(run(model.SerializeToString(), {"x": X}), WANTED)


def test_a_weight_is_shifted_once_in_a_graph() -> None:
    copy = with_exact_products(parsed(IN_BOTH))
    assert copy is not None
    assert [node.op_type for node in copy.graph.node].count("Add") == 1


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("external", [False, True])
def test_products_of_a_file_are_exact(tmp_path: Path, *, external: bool, in_memory: bool) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(parsed(PRODUCT), path, save_as_external_data=external, location="weights.bin", size_threshold=0)
    given = onnx.load(path, load_external_data=False) if in_memory else path
    found = OnnxRuntimeRunner(given, folder=tmp_path if in_memory else None).run([{"x": X}])
    assert not isinstance(found, Failure)
    np.testing.assert_array_equal(found[0]["y"], WANTED)


def test_a_file_beside_the_working_directory_finds_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(parsed(PRODUCT), tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    found = OnnxRuntimeRunner("m.onnx").run([{"x": X}])
    assert not isinstance(found, Failure)
    np.testing.assert_array_equal(found[0]["y"], WANTED)


@pytest.mark.parametrize(
    "text",
    [
        "agraph (float[2] x) => (float[2] y) { y = Neg(x) }",
        "agraph (uint8[2, 3] x, uint8[3, 2] z) => (int32[2, 2] y) { y = MatMulInteger(x, z) }",
        "agraph (int8[2, 3] x, int8[3, 2] z) => (int32[2, 2] y) { y = MatMulInteger(x, z) }",
        "agraph (float[2] x) => (float[2] y) { y = own.MatMulInteger(x) }",
    ],
)
def test_other_models_are_left_as_they_are(text: str) -> None:
    assert with_exact_products(parser.parse_model(f"{HEADER}\n{text}")) is None


def test_a_file_without_such_operators_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = parser.parse_model(f"{HEADER}\nagraph (float[2] x) => (float[2] y) {{ y = Neg(x) }}")
    onnx.save(model, tmp_path / "model.onnx")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(onnx, "load", refuse)
    monkeypatch.setattr(onnx, "load_model_from_string", refuse)
    assert with_exact_products(tmp_path / "model.onnx") is None
    assert with_exact_products(model.SerializeToString()) is None


@pytest.mark.parametrize("content", [None, b"", b"MatMulInteger and no model"])
def test_what_is_no_model_fails_in_onnx_runtimes_words(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    failure = OnnxRuntimeRunner(path).run([{}])
    assert isinstance(failure, Failure)
    assert failure.message.startswith("ONNX Runtime: ")


def test_the_table_has_every_operator_of_onnx_that_may_multiply_both_types() -> None:
    """By ONNX's own schemas: two operands of one byte, each of a type of its own."""
    bytes_only = re.compile(r"tensor\((u?int8|float8\w*)\)")
    found = {}
    for schema in onnx.defs.get_all_schemas():
        kinds = {
            each.type_param_str
            for each in schema.type_constraints
            if {"tensor(int8)", "tensor(uint8)"} <= set(each.allowed_type_strs)
            and all(map(bytes_only.fullmatch, each.allowed_type_strs))
        }
        inputs = [(each.type_str, each.name, place) for place, each in enumerate(schema.inputs)]
        read = [(kind, place) for kind, name, place in inputs if kind in kinds and not name.endswith("zero_point")]
        zeros = {kind: place for kind, name, place in inputs if name.endswith("zero_point")}
        if len(read) > 1:
            found[schema.name] = tuple((place, zeros[kind]) for kind, place in read)
    assert found == {op: operands for op, operands in OPERANDS.items() if "::" not in op}


@pytest.mark.parametrize("op", [op for op in OPERANDS if "::" in op])
def test_every_other_operator_of_the_table_is_shifted(op: str) -> None:
    """Whatever ONNX Runtime makes of it on this CPU."""
    count = max(place for pair in OPERANDS[op] for place in pair) + 1
    node = helper.make_node(op.split("::")[1], [f"v{place}" for place in range(count)], ["y"], domain=CONTRIB)
    last = OPERANDS[op][-1][0]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT8 if place == last else TensorProto.UINT8, None)
        for place, name in enumerate(node.input)
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    copy = with_exact_products(helper.make_model(helper.make_graph([node], "graph", inputs, outputs)))
    assert copy is not None
    changed = {place for place, name in enumerate(copy.graph.node[-1].input) if name != node.input[place]}
    assert changed == set(OPERANDS[op][-1])


def test_a_file_is_searched_for_what_is_in_every_name() -> None:
    assert [op for op in OPERANDS if not any(part in op for part in exact_products.PRODUCTS)] == []
