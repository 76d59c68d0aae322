"""A file from outside the model's folder is never read, wherever a model refers to it from."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from mnncompat import verify
from mnncompat.cli import main
from mnncompat.errors import ModelError
from mnncompat.graph.model_file import load, save
from mnncompat.graph.stored_tensors import tensors
from mnncompat.inference.model_view import view_model

SECRET = np.arange(1, 65, dtype=np.float32) * 1.2345


def external(location: str, **more: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[64], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def model() -> ModelProto:
    """y = x + w, with an initializer w."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"], name="add")],
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [64])],
        [numpy_helper.from_array(np.zeros(64, np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


# ---- every place of the format ---------------------------------------------------------------------------------------


def places(descriptor: Any, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """Chains of fields from a message of that type to a tensor; a type is entered once in each chain."""
    for field in descriptor.fields:
        if field.message_type is None:
            continue
        if field.message_type.name == "TensorProto":
            yield (*path, field)
        elif field.message_type.name not in {each.message_type.name for each in path if each.message_type}:
            yield from places(field.message_type, (*path, field))


def put(message: Message, path: tuple[FieldDescriptor, ...], tensor: TensorProto) -> None:
    for field in path:
        held = getattr(message, field.name)
        message = held.add() if field.is_repeated else held
    message.CopyFrom(tensor)


PLACES = list(places(ModelProto.DESCRIPTOR))


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(field.name for field in path))
def test_every_place_that_may_hold_a_tensor_is_looked_at(path: tuple[FieldDescriptor, ...], tmp_path: Path) -> None:
    proto = model()
    put(proto, path, external("/etc/passwd"))
    assert any(tensor.external_data for tensor in tensors(proto))
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError):
        load(tmp_path / "model.onnx")


def test_there_are_places() -> None:
    names = {".".join(field.name for field in path) for path in PLACES}
    assert {
        "graph.initializer",
        "graph.sparse_initializer.values",
        "graph.node.attribute.t",
        "graph.node.attribute.sparse_tensors.indices",
        "functions.node.attribute.t",
        "functions.attribute_proto.tensors",
        "training_info.algorithm.initializer",
    } <= names
    assert len(names) > 30


# ---- in whole models, through every command --------------------------------------------------------------------------


def in_initializer(proto: ModelProto, tensor: TensorProto) -> None:
    proto.graph.initializer[0].CopyFrom(tensor)


def constant(proto: ModelProto) -> AttributeProto:
    del proto.graph.initializer[:]
    node = helper.make_node("Constant", [], ["w"], name="constant")
    proto.graph.node.insert(0, node)
    return proto.graph.node[0].attribute.add(name="value")


def in_constant(proto: ModelProto, tensor: TensorProto) -> None:
    attribute = constant(proto)
    attribute.type = AttributeProto.TENSOR
    attribute.t.CopyFrom(tensor)


def in_constant_that_says_float(proto: ModelProto, tensor: TensorProto) -> None:
    attribute = constant(proto)
    attribute.type = AttributeProto.FLOAT
    attribute.t.CopyFrom(tensor)


def in_constant_that_says_nothing(proto: ModelProto, tensor: TensorProto) -> None:
    constant(proto).t.CopyFrom(tensor)


def in_function(proto: ModelProto, tensor: TensorProto) -> None:
    del proto.graph.initializer[:]
    inner = helper.make_node("Constant", [], ["w"])
    attribute = inner.attribute.add(name="value", type=AttributeProto.INTS)
    attribute.t.CopyFrom(tensor)
    nodes = [inner, helper.make_node("Add", ["x", "w"], ["y"])]
    proto.functions.append(helper.make_function("mine", "Plus", ["x"], ["y"], nodes, [helper.make_opsetid("", 17)]))
    proto.opset_import.append(helper.make_opsetid("mine", 1))
    del proto.graph.node[:]
    proto.graph.node.append(helper.make_node("Plus", ["x"], ["y"], domain="mine"))


def in_branch(proto: ModelProto, tensor: TensorProto) -> None:
    del proto.graph.initializer[:]
    out = helper.make_tensor_value_info("b", TensorProto.FLOAT, [64])
    branch = helper.make_graph([helper.make_node("Identity", ["w"], ["b"])], "branch", [], [out], [tensor])
    proto.graph.initializer.append(numpy_helper.from_array(np.asarray(1, np.bool_), "c"))
    node = helper.make_node("If", ["c"], ["w2"], then_branch=branch, else_branch=branch)
    for attribute in node.attribute:
        attribute.type = AttributeProto.INT
    proto.graph.node.insert(0, node)
    proto.graph.node[1].input[1] = "w2"


def in_sparse_initializer(proto: ModelProto, tensor: TensorProto) -> None:
    del proto.graph.initializer[:]
    indices = numpy_helper.from_array(np.arange(64, dtype=np.int64), "i")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [64]))


HOLDERS: tuple[Callable[[ModelProto, TensorProto], None], ...] = (
    in_initializer,
    in_constant,
    in_constant_that_says_float,
    in_constant_that_says_nothing,
    in_function,
    in_branch,
    in_sparse_initializer,
)
REFUSED = r"external data of tensor 'w'|but holds a value in the field '[tg]'|states no type that ONNX has"
"""Some holders are malformed in themselves, which is told first; either way nothing follows the reference."""
COMMANDS = {
    "check": ["check", "{model}", "--backend", "nnapi"],
    "probe": ["check", "{model}", "--probe"],
    "fix": ["fix", "{model}", "-o", "{out}.onnx"],
    "convert": ["convert", "{model}", "-o", "{out}.mnn"],
    "no-fix": ["convert", "{model}", "-o", "{out}.mnn", "--no-fix"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: holder.__name__)
@pytest.mark.parametrize("location", ["{secret}", "../secret.bin", "link.bin", "folder/secret.bin"])
def test_no_command_reads_a_file_outside(
    command: str,
    holder: Callable[[ModelProto, TensorProto], None],
    location: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inner = tmp_path / "model"
    inner.mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(SECRET.tobytes())
    (inner / "link.bin").symlink_to(secret)
    (inner / "folder").symlink_to(tmp_path)
    proto = model()
    holder(proto, external(location.format(secret=secret)))
    (inner / "model.onnx").write_bytes(proto.SerializeToString())
    words = [word.format(model=inner / "model.onnx", out=inner / "out") for word in COMMANDS[command]]
    assert main(words) == 2
    assert re.search(REFUSED, capsys.readouterr().err)
    assert sorted(path.name for path in inner.iterdir()) == ["folder", "link.bin", "model.onnx"]


def trailing_slash(_folder: Path) -> TensorProto:
    return external("w.bin/")


def nul(_folder: Path) -> TensorProto:
    return external("w.bin\0x")


def backslash(_folder: Path) -> TensorProto:
    return external("..\\w.bin")


def drive(_folder: Path) -> TensorProto:
    return external("C:w.bin")


def of_memory(folder: Path) -> TensorProto:
    (folder / "*").mkdir()
    (folder / "*" / "_ORT_MEM_ADDR_").mkdir()
    (folder / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(bytes(256))
    return external("*/_ORT_MEM_ADDR_/*", offset="0", length="256")


def twice(_folder: Path) -> TensorProto:
    tensor = external("w.bin")
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def nowhere(_folder: Path) -> TensorProto:
    return external("")


def itself(_folder: Path) -> TensorProto:
    return external(".")


def long_name(_folder: Path) -> TensorProto:
    return external("n" * 5000)


def loop(folder: Path) -> TensorProto:
    (folder / "loop").symlink_to("loop")
    return external("loop")


def beyond(_folder: Path) -> TensorProto:
    return external("w.bin", offset="4", length="256")


def far_beyond(_folder: Path) -> TensorProto:
    return external("w.bin", offset=str(2**63), length="256")


def below(_folder: Path) -> TensorProto:
    return external("w.bin", offset="-256", length="256")


def fewer(_folder: Path) -> TensorProto:
    return external("w.bin", length="8")


def more(_folder: Path) -> TensorProto:
    return external("w.bin", length="255")


def strings(_folder: Path) -> TensorProto:
    tensor = external("w.bin")
    tensor.data_type = TensorProto.STRING
    return tensor


def no_number(_folder: Path) -> TensorProto:
    return external("w.bin", length="many")


def pipe(folder: Path) -> TensorProto:
    os.mkfifo(folder / "pipe")
    return external("pipe")


def zeros(folder: Path) -> TensorProto:
    if os.geteuid() == 0:
        os.mknod(folder / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    else:
        (folder / "zero").symlink_to("/dev/zero")
    return external("zero")


STRANGE: dict[Callable[[Path], TensorProto], str] = {
    trailing_slash: "there cannot be",
    nul: "there cannot be",
    backslash: "leaves the model's folder",
    drive: "has an absolute path",
    of_memory: "there cannot be",
    twice: "states something twice",
    nowhere: "names no file",
    itself: "is not a regular file",
    long_name: "there cannot be",
    loop: "there cannot be",
    beyond: "too short",
    far_beyond: "malformed offset",
    below: "malformed offset",
    fewer: "its shape needs 256",
    more: "its shape needs 256",
    strings: "cannot be stored in a file",
    no_number: "malformed length",
    pipe: "is not a regular file",
    zeros: "is not a regular file|is a link out",
}


@pytest.mark.parametrize("holder", [in_initializer, in_constant_that_says_float], ids=lambda each: each.__name__)
@pytest.mark.parametrize("make", STRANGE, ids=lambda make: make.__name__)
def test_strange_references_are_refused(
    make: Callable[[Path], TensorProto], holder: Callable[[ModelProto, TensorProto], None], tmp_path: Path
) -> None:
    proto = model()
    (tmp_path / "w.bin").write_bytes(bytes(256))
    holder(proto, make(tmp_path))
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match=f"{STRANGE[make]}|{REFUSED.partition('|')[2]}"):
        load(tmp_path / "model.onnx")


@pytest.mark.parametrize(("offset", "length"), [("0", None), ("8", None), ("0", "0"), ("256", "256")])
def test_a_shape_says_how_much_of_a_file_is_read(offset: str, length: str | None, tmp_path: Path) -> None:
    """As for ONNX Runtime: a length may be left out, and 0 says as little."""
    entries = {"offset": offset} | ({} if length is None else {"length": length})
    proto = model()
    numbers = np.arange(200, dtype=np.float32)
    (tmp_path / "w.bin").write_bytes(numbers.tobytes())
    in_initializer(proto, external("w.bin", **entries))
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    first = int(offset) // 4
    expected = numbers[first : first + 64].reshape(external("w.bin").dims)
    read = load(path)
    view = view_model(read).main
    for _ in range(2):
        name = next(each.name for each in read.skeleton.graph.initializer)
        assert np.array_equal(np.asarray(view.stored_value(name)), expected)
        read.load_weights()
    assert numpy_helper.to_array(read.proto.graph.initializer[0]).tolist() == expected.tolist()


def test_a_reference_of_a_tensor_that_is_inline_counts_too(tmp_path: Path) -> None:
    proto = model()
    proto.graph.initializer[0].external_data.add(key="location", value="../secret")
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="leaves the model's folder"):
        load(tmp_path / "model.onnx")
    proto.graph.initializer[0].external_data[0].value = "left-over.bin"
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    assert load(tmp_path / "model.onnx").weights_loaded


def test_a_link_out_is_allowed_to_the_folder_of_the_file_behind_the_model_alone(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    for each in (blobs, snapshot, blobs / "deeper"):
        each.mkdir()
    proto = model()
    in_initializer(proto, external("w.bin"))
    (blobs / "1").write_bytes(proto.SerializeToString())
    (snapshot / "model.onnx").symlink_to(blobs / "1")
    for file, allowed in ((blobs / "2", True), (blobs / "deeper" / "2", False), (tmp_path / "2", False)):
        file.write_bytes(SECRET.tobytes())
        (snapshot / "w.bin").unlink(missing_ok=True)
        (snapshot / "w.bin").symlink_to(file)
        if allowed:
            loaded = load(snapshot / "model.onnx")
            loaded.load_weights()
            np.testing.assert_array_equal(numpy_helper.to_array(loaded.proto.graph.initializer[0]), SECRET)
        else:
            with pytest.raises(ModelError, match="link out of the model's folder"):
                load(snapshot / "model.onnx")


def test_a_model_in_memory_refers_to_no_file(tmp_path: Path) -> None:
    proto = model()
    in_initializer(proto, external("w.bin"))
    with pytest.raises(ModelError, match="refers to an external file"):
        verify(proto, tmp_path / "out.mnn")


def test_what_is_saved_says_where_its_data_are(tmp_path: Path) -> None:
    proto = model()
    in_constant(proto, external("w.bin"))
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    (tmp_path / "w.bin").write_bytes(SECRET.tobytes())
    loaded = load(tmp_path / "model.onnx")
    assert loaded.data == {"w.bin": tmp_path / "w.bin"}
    assert save(loaded, tmp_path / "same.onnx") == {"w.bin": tmp_path / "w.bin"}
    (tmp_path / "other").mkdir()
    assert save(loaded, tmp_path / "other" / "out.onnx") == {}
    np.testing.assert_array_equal(
        numpy_helper.to_array(onnx.load(tmp_path / "other" / "out.onnx").graph.node[0].attribute[0].t), SECRET
    )
