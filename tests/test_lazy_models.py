"""Tensors that stay in the file: read, asked for, rewritten and written as if the whole model were in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mnncompat import check, fix
from mnncompat.cli import main
from mnncompat.converting.handed_model import handed_model
from mnncompat.errors import ModelError
from mnncompat.graph import model_file, payloads
from mnncompat.graph.model_file import Model, load, save
from mnncompat.graph.payloads import held_tensors, is_external
from mnncompat.graph.stored_tensors import tensors
from mnncompat.graph.tensor_values import tensor_array
from mnncompat.graph.wire_format import pieces_of
from mnncompat.parity.runners import OnnxRuntimeRunner

SIZE = 40
SHAPE = (SIZE, SIZE)


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "LEAST_LAZY_BYTES", 1)


def random_floats(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def typed(name: str, array: np.ndarray, element: int) -> TensorProto:
    """A tensor in the field of its type, not in raw bytes."""
    return helper.make_tensor(name, element, array.shape, array.reshape(-1).tolist())


def everywhere() -> ModelProto:
    """A model with large tensors in each field and in each place that can hold one."""
    raw = numpy_helper.from_array(random_floats(0), "raw")
    integers = np.random.default_rng(1).integers(-(2**29), 2**29, SHAPE)
    stored = [
        raw,
        typed("floats", random_floats(2), TensorProto.FLOAT),
        typed("doubles", random_floats(3).astype(np.float64), TensorProto.DOUBLE),
        typed("longs", integers, TensorProto.INT64),
        typed("ints", integers % 1000 - 500, TensorProto.INT32),
        typed("bytes", integers % 100, TensorProto.INT8),
        typed("naturals", integers % 2**20, TensorProto.UINT64),
        numpy_helper.from_array(np.arange(3, dtype=np.float32), "small"),
    ]
    inner = helper.make_graph(
        [helper.make_node("Add", ["x", "inner"], ["in_branch"])],
        "branch",
        [],
        [helper.make_tensor_value_info("in_branch", TensorProto.FLOAT, SHAPE)],
        [numpy_helper.from_array(random_floats(4), "inner")],
    )
    body = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(random_floats(5))),
        helper.make_node("Add", ["a", "c"], ["b"]),
    ]
    function = helper.make_function("own", "AddConstant", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(400, np.float32), "sparse"),
        numpy_helper.from_array(np.arange(400, dtype=np.int64)),
        list(SHAPE),
    )
    names = ["raw", "floats", "constant", "from_sparse"]
    nodes = [
        helper.make_node("Constant", [], ["constant"], value=numpy_helper.from_array(random_floats(6))),
        helper.make_node("Constant", [], ["from_sparse"], sparse_value=sparse),
        helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),  # noqa: FBT003
        helper.make_node("If", ["yes"], ["branched"], then_branch=inner, else_branch=inner, name="if"),
        helper.make_node("AddConstant", ["branched"], ["called"], domain="own", name="call"),
        helper.make_node("Cast", ["doubles"], ["from_doubles"], to=TensorProto.FLOAT, name="cast doubles"),
        helper.make_node("Cast", ["longs"], ["from_longs"], to=TensorProto.FLOAT, name="cast longs"),
        helper.make_node("Cast", ["ints"], ["from_ints"], to=TensorProto.FLOAT, name="cast ints"),
        helper.make_node("Cast", ["bytes"], ["from_bytes"], to=TensorProto.FLOAT, name="cast bytes"),
        helper.make_node("Cast", ["naturals"], ["from_naturals"], to=TensorProto.FLOAT, name="cast naturals"),
        helper.make_node(
            "Sum",
            ["called", *names, *(f"from_{each}" for each in ("doubles", "longs", "ints", "bytes", "naturals"))],
            ["sum"],
            name="sum",
        ),
        helper.make_node("Hardmax", ["sum"], ["y"], axis=-1, name="hardmax"),
    ]
    graph = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, SHAPE)],
        stored,
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=[function], ir_version=8)
    model.training_info.add().algorithm.initializer.append(numpy_helper.from_array(random_floats(7), "trained"))
    return model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(everywhere().SerializeToString())
    return path


def in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelProto:
    """A model as it is read when no file is large."""
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "LEAST_LAZY_BYTES", 1 << 62)
        return load(path).proto


def values(proto: ModelProto) -> list[tuple[str, bytes]]:
    return [(tensor.name, tensor.SerializeToString(deterministic=True)) for tensor in tensors(proto)]


def test_large_tensors_stay_in_the_file_wherever_they_are(file: Path) -> None:
    model = load(file)
    held = [tensor.name for tensor, _ in held_tensors(model.skeleton)]
    assert len(held) == 14  # 7 fields, 2 branches, 2 Constants, sparse values and indices, 1 in training
    assert "small" not in held
    assert model.skeleton.ByteSize() < 6000
    assert file.stat().st_size > 90_000


def test_whoever_asks_gets_what_is_in_the_file(file: Path) -> None:
    wanted = {tensor.name: tensor for tensor in tensors(onnx.load(file)) if tensor.name}
    for tensor, _ in held_tensors(load(file).skeleton):
        if tensor.name:
            np.testing.assert_array_equal(tensor_array(tensor), numpy_helper.to_array(wanted[tensor.name]))
    assert load(file).proto == onnx.load(file)


def test_the_findings_are_those_of_the_model_in_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = check(file)
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "LEAST_LAZY_BYTES", 1 << 62)
        assert lazy.diagnostics == check(file).diagnostics
    assert lazy.diagnostics


def test_a_model_is_written_byte_by_byte_as_protobuf_would(file: Path, tmp_path: Path) -> None:
    save(load(file), tmp_path / "copy.onnx")
    assert (tmp_path / "copy.onnx").read_bytes() == load(file).proto.SerializeToString()


def test_what_is_inserted_and_what_stays_come_out_in_one_file(file: Path) -> None:
    model = load(file)
    model.skeleton.graph.initializer.append(numpy_helper.from_array(random_floats(9), "new"))
    model.skeleton.graph.initializer[0].doc_string = "changed"
    written = b"".join(
        bytes(each if isinstance(each, bytes) else payloads.bytes_of(each)) for each in pieces_of(model.skeleton)
    )
    assert ModelProto.FromString(written) == model.proto


def test_a_fixed_model_is_the_one_that_is_fixed_in_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()
    lazy = fix(file)
    save(lazy.model, file.with_name("lazy.onnx"))
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "LEAST_LAZY_BYTES", 1 << 62)
        whole = fix(file)
    assert lazy.changed
    assert lazy.applied == whole.applied
    assert lazy.proof is not None
    assert lazy.proof.passed
    assert file.read_bytes() == before
    assert values(onnx.load(file.with_name("lazy.onnx"))) == values(whole.model.proto)
    assert lazy.model.proto == whole.model.proto


def test_a_file_may_be_replaced_by_what_was_made_of_it(file: Path) -> None:
    result = fix(file)
    save(result.model, file)
    assert onnx.load(file) == result.model.proto
    save(load(file), file)
    assert onnx.load(file) == result.model.proto


def test_a_fix_in_place_writes_what_a_fix_beside_it_writes(file: Path) -> None:
    assert main(["fix", str(file), "-o", str(file.with_name("out.onnx"))]) == 0
    assert main(["fix", str(file), "--in-place"]) == 0
    assert file.read_bytes() == file.with_name("out.onnx").read_bytes()


def test_external_data_come_back_as_references(file: Path, tmp_path: Path) -> None:
    stored = onnx.load(file)
    onnx.save(stored, tmp_path / "external.onnx", save_as_external_data=True, location="weights", size_threshold=100)
    model = load(tmp_path / "external.onnx")
    references = [list(each.external_data) for each in model.skeleton.graph.initializer if is_external(each)]
    model.load_weights()
    assert any(held_tensors(model.skeleton))
    save(model, tmp_path / "again.onnx")
    again = onnx.load(tmp_path / "again.onnx", load_external_data=False)
    assert [list(each.external_data) for each in again.graph.initializer if each.external_data] == references
    (tmp_path / "other").mkdir()
    save(model, tmp_path / "other" / "moved.onnx")
    moved = onnx.load(tmp_path / "other" / "moved.onnx")
    for mine, theirs in zip(moved.graph.initializer, onnx.load(file).graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(mine), numpy_helper.to_array(theirs))


def test_a_model_too_large_for_one_file_becomes_two(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "_MAX_INLINE_BYTES", 50_000)
    out = file.with_name("out.onnx")
    data = save(load(file), out)
    assert set(data) == {"out.onnx.data"}
    assert out.stat().st_size < 50_000
    for mine, theirs in zip(tensors(onnx.load(out)), tensors(onnx.load(file)), strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(mine), numpy_helper.to_array(theirs))


def test_onnx_runtime_computes_the_same(file: Path) -> None:
    feeds = [{"x": random_floats(8)}]
    held = OnnxRuntimeRunner(load(file).skeleton).run(feeds)
    whole = OnnxRuntimeRunner(file.read_bytes()).run(feeds)
    assert isinstance(held, list)
    assert isinstance(whole, list)
    np.testing.assert_array_equal(held[0]["y"], whole[0]["y"])


def test_a_file_that_changes_while_it_is_worked_on_is_an_error(file: Path) -> None:
    proto = load(file).skeleton  # nobody keeps the model, and so the file is not kept open
    file.write_bytes(everywhere().SerializeToString() + b"\0")
    with pytest.raises(ModelError, match="was changed while it was worked on"):
        payloads.fill(proto)


def test_a_model_cannot_say_that_its_tensors_are_held(file: Path) -> None:
    proto = everywhere()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "0" * 32 + "/0"), ("offset", "0"), ("length", "6400"), ("field", "9")):
        tensor.external_data.add(key=key, value=value)
    tensor.external_data.add(key="elements", value="6400")
    file.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="is missing"):
        load(file)


def cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(1, len(data))]


def other_byte(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + bytes([random.randrange(256)]) + data[place + 1 :]


def other_tag(data: bytes, random: Random) -> bytes:
    """Change a byte near the beginning of a tensor, where tags and lengths are."""
    places = [place for name in (b"floats", b"longs", b"raw", b"ints") if (place := data.find(name)) > 0]
    place = random.choice(places) + random.randrange(-12, 12)
    return data[:place] + bytes([random.randrange(256)]) + data[place + 1 :]


def twice(data: bytes, random: Random) -> bytes:
    """Protobuf merges what is given twice."""
    return data + data[: 0 if random.random() < 0.1 else None]


@pytest.mark.parametrize("damage", [cut, other_byte, other_tag, twice], ids=lambda each: each.__name__)
def test_a_damaged_file_ends_as_it_does_in_memory(
    damage: Callable[[bytes, Random], bytes], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(13)  # noqa: S311 - damage, not secrets
    data = file.read_bytes()
    for _ in range(40):
        file.write_bytes(damage(data, random))
        try:
            whole: ModelProto | str = in_memory(file, monkeypatch)
        except ModelError as error:
            whole = str(error)
        try:
            lazy: ModelProto | str = load(file).proto
        except ModelError as error:
            lazy = str(error)
        assert lazy == whole


def linear(path: Path) -> Path:
    """A model of one product, which MNN refuses only for its Hardmax."""
    weights = numpy_helper.from_array(random_floats(0), "w")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, SIZE]) for name in ("x", "y")]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
        helper.make_node("Hardmax", ["h"], ["y"], axis=-1, name="hardmax"),
    ]
    graph = helper.make_graph(nodes, "main", values[:1], values[1:], [weights])
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return path


def test_mnn_gets_the_weights_from_the_file_that_they_are_in(tmp_path: Path) -> None:
    file = linear(tmp_path / "model.onnx")
    model = load(file)
    (tmp_path / "handed").mkdir()
    handed, data = handed_model(model, tmp_path / "handed" / "model.onnx", is_original=True)
    assert handed.stat().st_size < 1000
    assert [*data.values()] == [file]
    (tensor,) = onnx.load(handed, load_external_data=False).graph.initializer
    place = {entry.key: entry.value for entry in tensor.external_data}
    begin = int(place["offset"])
    assert data[place["location"]].read_bytes()[begin:][: int(place["length"])] == random_floats(0).tobytes()


def with_constants(file: Path) -> Path:
    """Weights in Constant nodes: one in the main graph, one in each branch of an If."""
    held = typed("stated", random_floats(2), TensorProto.FLOAT)
    branches = []
    for seed, name in enumerate(("then", "else")):
        own = numpy_helper.from_array(random_floats(seed), f"{name}_raw")
        nodes = [
            helper.make_node("Constant", [], [f"{name}_w"], value=own),
            helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_y"]),
        ]
        result = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, SHAPE)
        branches.append(helper.make_graph(nodes, name, [], [result]))
    zero = numpy_helper.from_array(np.zeros((), np.float32), "zero")
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["chosen"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Constant", [], ["w"], value=held),
        helper.make_node("MatMul", ["chosen", "w"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "constants", ends[:1], ends[1:], [zero])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return file


def test_weights_in_constants_go_to_mnn_by_reference(tmp_path: Path) -> None:
    file = with_constants(tmp_path / "model.onnx")
    (tmp_path / "handed").mkdir()
    handed, data = handed_model(load(file), tmp_path / "handed" / "model.onnx", is_original=True)
    assert handed.stat().st_size < 3000
    assert [*data.values()] == [file]
    assert main(["convert", str(file), "-o", str(tmp_path / "out.mnn"), "--quiet"]) == 0


@pytest.mark.parametrize(
    ("command", "status"),
    [("check --probe", 1), ("convert --dry-run --time --no-power", 0), ("diagnose", 1)],
)
def test_no_command_reads_the_whole_model(
    command: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(model: Model) -> ModelProto:
        assert model.path is None, "the whole model was read"
        payloads.fill(model.skeleton)
        return model.skeleton

    monkeypatch.setattr(Model, "proto", property(whole))
    assert main([*command.split(), str(linear(tmp_path / "model.onnx"))]) == status


def test_weights_beside_the_converted_file_are_published_with_it(tmp_path: Path) -> None:
    file = linear(tmp_path / "model.onnx")
    out = tmp_path / "out.mnn"
    assert main(["convert", str(file), "-o", str(out), "--external-weights", "--quiet"]) == 0
    assert (tmp_path / "out.mnn.weight").stat().st_size >= 4 * SIZE * SIZE
    assert out.stat().st_size < 4 * SIZE * SIZE
    assert main(["verify", str(file), str(out)]) == 0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="counts pages as Linux does")
def test_pages_of_weights_are_given_back_before_another_process_takes_its_memory(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).standard_normal((512, 1024)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 512])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1024])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    model = load(tmp_path / "model.onnx")
    (tensor,) = model.skeleton.graph.initializer
    array = tensor_array(tensor)
    before = array.sum()
    assert _resident(tmp_path / "model.onnx") >= weights.nbytes
    payloads.forget_pages()
    assert _resident(tmp_path / "model.onnx") == 0
    assert array.sum() == before


def _resident(file: Path) -> int:
    """Bytes of a file that this process has mapped and touched."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        word, *rest = line.split()
        if not word.endswith(":"):
            inside = line.endswith(str(file))
        elif inside and word == "Rss:":
            found += int(rest[0]) * 1024
    return found
