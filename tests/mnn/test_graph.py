"""The reader of `.mnn` files: what it finds in files that MNN wrote, and in files that nobody should trust."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from mnncompat import mnn
from mnncompat.errors import ModelError
from mnncompat.mnn import ConvertOptions, Limits, MnnGraph, MnnInput, MnnOp, Weights, schema
from mnncompat.results.failures import Failure
from mnncompat.support.releases import installed_version

WRITE = Callable[..., Path]
CONV = "agraph (float[1,3,16,16] x) => (float[1,8,16,16] z) { y = Conv<pads = [1,1,1,1]>(x, w) z = Relu(y) }"


@pytest.fixture
def weight() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)


def converted(path: Path, limits: Limits, options: ConvertOptions | None = None) -> Path:
    target = path.with_suffix(".mnn")
    result = mnn.convert(path, target, options=options or ConvertOptions(), limits=limits)
    assert not isinstance(result, Failure), result
    return target


# ---- files that MNN wrote ------------------------------------------------------------------------------------------


def test_ops_are_listed_and_counted(onnx_file: WRITE, weight: np.ndarray, limits: Limits) -> None:
    path = converted(onnx_file(CONV, w=weight), limits)
    graph = mnn.read_graph(path)
    assert graph.outputs == ("z",)
    assert graph.version == installed_version()
    assert graph.inputs == (MnnInput(name="x", shape=(1, 3, 16, 16), dtype="float32", layout="NCHW"),)
    assert [(op.type, op.parameter, op.inputs, op.outputs) for op in graph.ops] == [
        ("Input", "Input", (), (0,)),
        ("ConvertTensor", "TensorConvertInfo", (0,), (1,)),
        ("Convolution", "Convolution2D", (1,), (2,)),
        ("ConvertTensor", "TensorConvertInfo", (2,), (3,)),
    ]
    assert (graph.ops[0].values, graph.ops[3].values) == (("x",), ("z",))
    assert mnn.count_ops(path) == {"ConvertTensor": 2, "Convolution": 1, "Input": 1}
    assert mnn.read_values(path) == {name for op in graph.ops for name in op.values} >= {"x", "z"}


@pytest.mark.parametrize(
    ("options", "weights", "bits"),
    [
        (ConvertOptions(), Weights.PLAIN, 0),
        (ConvertOptions(fp16=True), Weights.ENCODED, 16),
        (ConvertOptions(weight_bits=8), Weights.ENCODED, 8),
        (ConvertOptions(weight_bits=4, weight_asymmetric=False), Weights.ENCODED, 4),
    ],
    ids=["float32", "float16", "int8", "int4"],
)
def test_how_weights_are_held(
    onnx_file: WRITE, weight: np.ndarray, limits: Limits, options: ConvertOptions, weights: Weights, bits: int
) -> None:
    graph = mnn.read_graph(converted(onnx_file(CONV, w=weight), limits, options))
    assert {op.type: op.weights for op in graph.ops} == {
        "Input": Weights.NONE,
        "ConvertTensor": Weights.NONE,
        "Convolution": weights,
    }
    assert {op.bits for op in graph.ops if op.type == "Convolution"} == {bits}
    assert not any(op.external for op in graph.ops)


def test_constants_that_are_not_finite(onnx_file: WRITE, limits: Limits) -> None:
    far = np.array([-np.inf, np.inf, np.nan, 1], np.float32)
    path = onnx_file("agraph (float[2,4] x, bool[2,4] mask) => (float[2,4] y) { y = Where(mask, x, far) }", far=far)
    model = onnx.load(path)
    named = "a -inf, nan"
    model.graph.output[0].name = model.graph.node[0].output[0] = named
    onnx.save(model, path)
    graph = mnn.read_graph(converted(path, limits))
    assert sorted((op.type, op.weights.value) for op in graph.ops) == [
        ("Const", "plain"),
        ("Input", "none"),
        ("Input", "none"),
        ("Select", "none"),
    ]
    assert graph.outputs == (named,)
    assert [(each.name, each.shape, each.dtype) for each in graph.inputs] == [
        ("x", (2, 4), "float32"),
        ("mask", (2, 4), "int32"),
    ]


def test_bodies_have_values_of_their_own(onnx_file: WRITE, limits: Limits) -> None:
    path = onnx_file("""agraph (float[N,4] x) => (float y) {
        t = ReduceSum<keepdims = 0>(x)
        zero = Constant<value = float {0.0}>()
        c = Greater(t, zero)
        y = If(c) <
            then_branch = then_body () => (float a) { a = Exp(t) },
            else_branch = else_body () => (float b) { s = Abs(t) b = Sqrt(s) }
        >
    }""")
    graph = mnn.read_graph(converted(path, limits))
    bodies = list(dict.fromkeys(op.body for op in graph.ops))
    assert bodies[0] == ""
    assert len(bodies) == 3
    assert [op.parameter for op in graph.ops if op.type == "If"] == ["IfParam"]
    computed = {body: [op.type for op in graph.ops if op.body == body and op.inputs] for body in bodies[1:]}
    assert sorted(computed.values()) == [["UnaryOp"], ["UnaryOp", "UnaryOp"]]
    assert all(len(op.values) == len(op.outputs) for op in graph.ops)


def test_names_of_values_of_a_large_graph(tmp_path: Path, limits: Limits) -> None:
    count = 400
    names = ["x", *(f"a value with a long name, the {at}th of them" for at in range(count))]
    nodes = [helper.make_node(("Exp", "Neg")[at % 2], [names[at]], [names[at + 1]]) for at in range(count)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in (names[0], names[-1])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    graph = mnn.read_graph(converted(path, limits))
    assert [op.values for op in graph.ops] == [(name,) for name in names]


def test_weights_are_not_copied_to_the_heap(tmp_path: Path) -> None:
    size = 2_000_000
    path = tmp_path / "model.mnn"
    path.write_bytes(net([described(11, kind=KIND["Blob"], main=blob(np.ones(size, np.float32)))]))
    tracemalloc.start()
    graph = mnn.read_graph(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert graph.ops[0].weights is Weights.PLAIN
    assert peak < 4 * size / 10


def test_metadata_adds_no_op(onnx_file: WRITE, limits: Limits) -> None:
    path = onnx_file("agraph (float[2] x) => (float[2] z) { z = Neg(x) }")
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"names": "cat, dog"})
    onnx.save(model, path)
    assert mnn.count_ops(converted(path, limits)) == {"Input": 1, "UnaryOp": 1}


# ---- files that are built here: flatbuffers' own builder against our reader ------------------------------------------

Write = Callable[[flatbuffers.Builder], int]
KIND = {name: number for number, name in schema.PARAMETERS.items()}


def described(
    op_type: int,
    *,
    kind: int = 0,
    main: Write | None = None,
    name: str = "op",
    inputs: Sequence[int] = (),
    outputs: Sequence[int] = (),
) -> Write:
    """Writes a table Op."""

    def write(builder: flatbuffers.Builder) -> int:
        text = builder.CreateString(name)
        lists = [integers(builder, inputs), integers(builder, outputs)]
        value = None if main is None else main(builder)
        builder.StartObject(8)
        builder.PrependUOffsetTRelativeSlot(0, lists[0], 0)
        builder.PrependUint8Slot(1, kind, 0)
        if value is not None:
            builder.PrependUOffsetTRelativeSlot(2, value, 0)
        builder.PrependUOffsetTRelativeSlot(3, text, 0)
        builder.PrependUOffsetTRelativeSlot(4, lists[1], 0)
        builder.PrependInt32Slot(5, op_type, 0)
        return int(builder.EndObject())

    return write


def blob(values: np.ndarray) -> Write:
    """Writes a table Blob of float32."""

    def write(builder: flatbuffers.Builder) -> int:
        held = builder.CreateNumpyVector(values)
        builder.StartObject(10)
        builder.PrependUOffsetTRelativeSlot(7, held, 0)
        return int(builder.EndObject())

    return write


def table_with(fields: dict[int, object], size: int) -> Write:
    """Writes a table of strings, lists of int64 (external places) and other tables."""

    def write(builder: flatbuffers.Builder) -> int:
        places = {field: written(builder, value) for field, value in fields.items()}
        builder.StartObject(size)
        for field, place in places.items():
            builder.PrependUOffsetTRelativeSlot(field, place, 0)
        return int(builder.EndObject())

    return write


def written(builder: flatbuffers.Builder, value: object) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(value))
    assert callable(value)
    return int(value(builder))


def integers(builder: flatbuffers.Builder, values: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.array(values, np.int32)))


def offsets(builder: flatbuffers.Builder, places: Sequence[int]) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())


def net(
    ops: Iterable[Write], *, version: str = "3.6.1", tensors: Sequence[str] = (), bodies: Sequence[Write] = ()
) -> bytes:
    """A buffer with a table Net."""
    builder = flatbuffers.Builder(1024)
    lists = [offsets(builder, [op(builder) for op in ops]), offsets(builder, [body(builder) for body in bodies])]
    names = offsets(builder, [builder.CreateString(name) for name in tensors])
    info = table_with({2: version}, 3)(builder)
    builder.StartObject(12)
    builder.PrependUOffsetTRelativeSlot(2, info, 0)
    builder.PrependUOffsetTRelativeSlot(3, lists[0], 0)
    builder.PrependUOffsetTRelativeSlot(7, names, 0)
    builder.PrependUOffsetTRelativeSlot(10, lists[1], 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def read(content: bytes, folder: Path) -> MnnGraph:
    path = folder / "built.mnn"
    path.write_bytes(content)
    return mnn.read_graph(path)


_DUMP = """
import sys, _tools
model, target = sys.argv[1:]
_tools.mnnconvert(["MNNConvert", "-f", "MNN", "--modelFile", model, "--JsonFile", target, "--bizCode", "MNN"])
"""


def test_mnn_calls_every_number_as_we_do(tmp_path: Path) -> None:
    version = installed_version()
    assert version is not None
    parameters = [described(0, kind=kind, main=table_with({}, 0)) for kind in schema.PARAMETERS]
    path, dumped = tmp_path / "all.mnn", tmp_path / "all.json"
    path.write_bytes(net([*map(described, schema.OP_TYPES), *parameters], version=version))
    subprocess.run([sys.executable, "-c", _DUMP, path, dumped], check=True, capture_output=True, timeout=60)
    told = json.loads(dumped.read_text())["oplists"]
    ops = mnn.read_graph(path).ops
    assert len(told) == len(ops) == len(schema.OP_TYPES) + len(schema.PARAMETERS)
    theirs = dict(zip(schema.OP_TYPES, (each.get("type", "AbsVal") for each in told), strict=False))
    unnamed = {number for number, name in theirs.items() if name == number}
    ours = {number: op.type for number, op in zip(schema.OP_TYPES, ops, strict=False) if number not in unnamed}
    assert {number: name for number, name in theirs.items() if number not in unnamed} == ours
    assert unnamed <= {156, 305, 306, 516}, "added after 3.0.0, or dropped before 3.6.1"
    assert [each["main_type"] for each in told[len(theirs) :]] == [op.parameter for op in ops[len(theirs) :]]


@pytest.mark.parametrize(
    ("number", "version", "name"),
    [
        (40, "3.6.1", "MoE"),
        (40, "3.2.0", "MoE"),
        (40, "3.1.3", "MVN"),
        (40, "3.0.0", "MVN"),
        (40, "", "MoE"),
        (40, "9" * 6000, "MoE"),
        (0, "3.6.1", "AbsVal"),
        (604, "3.6.1", "GridSample"),
        (602, "3.6.1", "OpType 602"),
        (612, "3.6.1", "OpType 612"),
        (-1, "3.6.1", "OpType -1"),
    ],
)
def test_names_of_numbers(number: int, version: str, name: str, tmp_path: Path) -> None:
    graph = read(net([described(number)], version=version), tmp_path)
    assert [op.type for op in graph.ops] == [name]
    assert graph.version == version


def test_what_stands_in_an_op(tmp_path: Path) -> None:
    place = np.array([0, 40, 8], np.int64)
    ops = [
        described(34, kind=KIND["Input"], name="in", outputs=[0]),
        described(
            512,
            kind=KIND["Extra"],
            main=table_with({0: "Custom", 1: "Engine"}, 5),
            name="mine",
            inputs=[0],
            outputs=[1],
        ),
        described(256, kind=KIND["Plugin"], main=table_with({0: "Plugged"}, 2)),
        described(12, kind=KIND["Convolution2D"], main=table_with({6: place}, 7)),
        described(
            12, kind=KIND["Convolution2D"], main=table_with({3: table_with({}, 15), 6: place}, 7), outputs=[-1, 2, 7]
        ),
        described(33, kind=KIND["InnerProduct"], main=table_with({3: np.ones(4, np.float32)}, 8)),
        described(33, kind=KIND["InnerProduct"], main=table_with({3: np.ones(0, np.float32)}, 8)),
        described(33, kind=KIND["InnerProduct"], main=table_with({7: table_with({}, 15)}, 8)),
        described(12, kind=200),
    ]
    graph = read(net(ops, tensors=("a", "b", "c")), tmp_path)
    apart = MnnOp("Convolution", "op", parameter="Convolution2D", external=True)
    dense = MnnOp("InnerProduct", "op", parameter="InnerProduct")
    assert graph.ops == (
        MnnOp("Input", "in", (), (0,), ("a",), parameter="Input"),
        MnnOp("Extra", "mine", (0,), (1,), ("b",), parameter="Extra", custom="Custom"),
        MnnOp("Plugin", "op", parameter="Plugin", custom="Plugged"),
        apart._replace(weights=Weights.PLAIN),
        apart._replace(weights=Weights.ENCODED, outputs=(-1, 2, 7), values=("c",)),
        dense._replace(weights=Weights.PLAIN),
        dense,
        dense._replace(weights=Weights.ENCODED),
        MnnOp("Convolution", "op", parameter="OpParameter 200"),
    )
    assert graph.inputs == (MnnInput(name="in", shape=(), dtype="float32", layout="NC4HW4"),)


# ---- files that nobody should trust ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"abc", "no .mnn file"),
        (b"nothing" * 10, "no .mnn file"),
        (b"\0" * 100, "no .mnn file"),
        (b"\xff" * 100, "no .mnn file"),
        (struct.pack("<IHHi", 8, 4, 4, 4), "no list of ops"),
    ],
)
def test_what_is_no_mnn_file(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as raised:
        read(content, tmp_path)
    assert "convert the model again" in raised.value.hint


def test_an_onnx_model_is_no_mnn_file(onnx_file: WRITE, weight: np.ndarray) -> None:
    with pytest.raises(ModelError, match=r"no \.mnn file"):
        mnn.read_graph(onnx_file(CONV, w=weight))


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.mnn", tmp_path / ("long" * 100), Path("a\0b")):
        with pytest.raises(ModelError):
            mnn.count_ops(path)


SMALL = net(
    [
        described(34, kind=KIND["Input"], name="in", outputs=[0]),
        described(11, kind=KIND["Blob"], main=blob(np.ones(3, np.float32)), outputs=[1]),
        described(
            12, kind=KIND["Convolution2D"], main=table_with({1: np.ones(9, np.float32)}, 7), inputs=[0, 1], outputs=[2]
        ),
    ],
    tensors=("a", "b", "c"),
    bodies=[table_with({0: "body"}, 6)],
)


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    assert len(read(SMALL, tmp_path).ops) == 3
    unread = len(SMALL) - len(SMALL.rstrip(b"\0"))
    for length in range(len(SMALL) - unread):
        with pytest.raises(ModelError):
            read(SMALL[:length], tmp_path)


def test_every_damaged_byte_is_an_error_or_a_graph(tmp_path: Path) -> None:
    for at in range(len(SMALL)):
        for value in (SMALL[at] ^ 1, SMALL[at] ^ 0xFF):
            try_to_read(SMALL[:at] + bytes([value]) + SMALL[at + 1 :], tmp_path)


NUMBERS = st.sampled_from((0, 1, 4, 2**31, 2**32 - 4)) | st.integers(0, 2**32 - 1)


@given(damage=st.dictionaries(st.integers(0, len(SMALL) - 4), NUMBERS, min_size=2, max_size=12))
def test_damage_in_many_places_is_an_error_or_a_graph(
    damage: dict[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(SMALL)
    for at, number in damage.items():
        damaged[at : at + 4] = struct.pack("<I", number)
    try_to_read(bytes(damaged), tmp_path_factory.getbasetemp())


def try_to_read(content: bytes, folder: Path) -> None:
    try:
        graph = read(content, folder)
    except ModelError:
        return
    assert isinstance(graph, MnnGraph)


def test_an_op_that_is_listed_a_million_times_over_is_refused(tmp_path: Path) -> None:
    """Each of 100,000 entries is the same op with 100,000 inputs: 400 kB that stand for 40 GB."""

    def write() -> bytes:
        builder = flatbuffers.Builder(1024)
        op = described(0, inputs=range(100_000))(builder)
        ops = offsets(builder, [op] * 100_000)
        builder.StartObject(12)
        builder.PrependUOffsetTRelativeSlot(3, ops, 0)
        builder.Finish(builder.EndObject())
        return bytes(builder.Output())

    with pytest.raises(ModelError, match="more is described than a file of this size can hold"):
        read(write(), tmp_path)
