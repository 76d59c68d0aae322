"""Read and write ONNX models: every bad file is a `ModelError`, every output is complete or absent.

Reading never follows an external-data path out of the model's own folder, and does not read external data before
`Model.load_weights`. Writing goes to a temporary file that is renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from mnncompat.errors import ModelError
from mnncompat.files.allowance import begin
from mnncompat.files.inputs import note_beside
from mnncompat.graph import payloads
from mnncompat.graph.external_data import (
    ExternalFiles,
    HeldReferences,
    held,
    locations,
    move_weights_out,
    restore_references,
)
from mnncompat.graph.node_columns import NodeColumns
from mnncompat.graph.ordering import Unsorted, is_sorted, sort_nodes
from mnncompat.graph.ordinary_models import ordinary
from mnncompat.graph.payloads import DataFile, is_external
from mnncompat.graph.restated import is_settled, settle
from mnncompat.graph.stored_tensors import tensors
from mnncompat.graph.text_names import require_text
from mnncompat.graph.validation import check_structure
from mnncompat.graph.wellformed import require_wellformed
from mnncompat.graph.zip_maps import drop_maps, maps_scores

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_REEXPORT = "export the model again, or fetch it again if it was downloaded"
# protobuf cannot serialise messages of 2 GiB and more; keep a distance.
_MAX_INLINE_BYTES = 1_900_000_000
_SAMPLE = 4096
"""Bytes that tell a text file."""
LEAST_LAZY_BYTES = 1 << 24
"""Smaller files are read as a whole: that takes less time than to walk through them."""


class Model:
    """An ONNX model and where it came from.

    Args:
        proto: The model.
        path: File it was read from, or None for a model in memory.
        weights_loaded: False if the model itself refers to files.
        external: What `Model.external` is.
        data: The files of external data that `path` refers to, by location.
        unsorted: Graphs whose nodes were not sorted in the file; in `proto` they are.
        restated: Names of values that the file states more than once, and differently; `proto` has the last.
        files: Files that hold tensors of `proto`; found if they are not given.

    Attributes:
        skeleton: The model, with large tensors held in the files that they were read from
            (`mnncompat.graph.payloads`); those that are stored externally stay references until `load_weights`.
        weights_loaded: True once the model itself refers to no file.
        external: Original references (``location``, ``offset``, ``length``) of held tensors, kept when the weights are
            loaded so that a file written to the same folder can go on using them.
        columns: What the nodes of the graph state, if it was read with the model, for the first that looks at them.
        unmapped: Outputs that are lists of maps in the file; `proto` gives tensors of scores.
    """

    __slots__ = (
        "__weakref__",
        "_files",
        "columns",
        "data",
        "external",
        "path",
        "restated",
        "skeleton",
        "unmapped",
        "unsorted",
        "weights_loaded",
    )

    def __init__(
        self,
        proto: ModelProto,
        path: Path | None = None,
        *,
        weights_loaded: bool = True,
        external: HeldReferences | None = None,
        data: dict[str, Path] | None = None,
        unsorted: tuple[Unsorted, ...] = (),
        restated: tuple[str, ...] = (),
        files: Sequence[DataFile] | None = None,
    ) -> None:
        self.skeleton = proto
        self.path = path
        self.weights_loaded = weights_loaded
        self.external = external or {}
        self.data = data or {}
        self.unsorted = unsorted
        self.restated = restated
        self.columns: NodeColumns | None = None
        self.unmapped: tuple[str, ...] = ()
        self._files = payloads.files_of(proto) if files is None else tuple(files)

    @property
    def proto(self) -> ModelProto:
        """The model with all its tensors in memory, but for external data that was not loaded."""
        payloads.fill(self.skeleton)
        return self.skeleton

    @property
    def name(self) -> str:
        """The path as a string; empty for a model in memory."""
        return str(self.path) if self.path is not None else ""

    def load_weights(self) -> None:
        """Have external data at hand as if they were in the model itself; does nothing if there are none.

        Raises:
            ModelError: The data cannot be read.
        """
        if self.weights_loaded or self.path is None:
            return
        files = ExternalFiles(self.path)
        kept: set[DataFile | None] = {*self._files}
        for tensor in tensors(self.skeleton):
            if is_external(tensor):
                reference = [(entry.key, entry.value) for entry in tensor.external_data]
                kept.add(held(tensor, files, self.external, reference))
        self._files = tuple(each for each in kept if each is not None)
        self.weights_loaded = True

    def take_columns(self) -> NodeColumns | None:
        """`columns`, once: who asks later may have changed the nodes."""
        found, self.columns = self.columns, None
        return found

    def changed(self, proto: ModelProto, *, again: bool = False) -> Model:
        """A model that was made from this one; `again` if what was settled when it was read is still to be told."""
        made = Model(proto, self.path, external=self.external, files=self._files)
        if again:
            made.unsorted, made.restated, made.unmapped = self.unsorted, self.restated, self.unmapped
        return made


def load(path: Path | str) -> Model:
    """Read a model, sort its nodes where they are not, and check its structure.

    Args:
        path: An ``.onnx`` file.

    Returns:
        The model; external data is located and validated, but not read, nor are large tensors in the file itself.

    Raises:
        ModelError: The file cannot be read, is not an ONNX model, or its graph is not valid.
    """
    path = Path(path)
    begin(path)
    proto, own = _read(path)
    found = ordinary(proto)
    if found is not None and not maps_scores(proto):
        data = _external_files(found.stored, path)
        model = Model(proto, path, weights_loaded=not data, data=data, files=own)
        model.columns = found.columns
        return model
    require_text(proto)
    data = _external_files(tensors(proto), path)
    restated, unmapped = settle(proto), drop_maps(proto)
    require_wellformed(proto, str(path))
    unsorted = sort_nodes(proto, str(path))
    check_structure(proto, str(path))
    model = Model(proto, path, weights_loaded=not data, data=data, unsorted=unsorted, restated=restated, files=own)
    model.unmapped = unmapped
    return model


def _external_files(stored: Iterable[TensorProto], path: Path) -> dict[str, Path]:
    """The files that tensors refer to, by location; also where nothing reads the tensor, because MNN might."""
    files = ExternalFiles(path)
    for tensor in stored:
        if is_external(tensor):
            files.locate(tensor)
        elif tensor.external_data and tensor.data_location != TensorProto.EXTERNAL:
            files.require_inside(tensor)
    if files.found:
        note_beside(path, files.found.values())
        begin(path, external=sum(file.stat().st_size for file in set(files.found.values())))
    return files.found


def from_proto(proto: ModelProto) -> Model:
    """Wrap a model in memory after checking its structure.

    The proto is shared, and copied only to sort its nodes or to settle what it states more than once.

    Raises:
        ModelError: The graph is not valid, or a tensor refers to a file.
    """
    found = ordinary(proto)
    if found is not None and not any(map(is_external, found.stored)) and not maps_scores(proto):
        return Model(proto=proto)
    require_text(proto)
    settled = is_settled(proto)
    if not (settled and is_sorted(proto)) or maps_scores(proto):
        given, proto = proto, ModelProto()
        proto.CopyFrom(given)
    restated, unmapped = () if settled else settle(proto), drop_maps(proto)
    require_wellformed(proto, "model")
    unsorted = sort_nodes(proto, "model")
    check_structure(proto, "model")
    for tensor in tensors(proto):
        if is_external(tensor):
            raise ModelError(
                f"tensor '{tensor.name}' refers to an external file, but the model is not a file itself",
                hint="load its external data first, or pass the path of the model",
            )
    model = Model(proto=proto, unsorted=unsorted, restated=restated)
    model.unmapped = unmapped
    return model


def save(model: Model, path: Path | str) -> dict[str, Path]:
    """Write a model; `path` is complete, or unchanged on failure.

    Tensors that were external and have not changed stay where they are if `path` is in the same folder; for another
    folder, or a model too large for one protobuf file, the weights go to ``<path>.data`` beside it.

    Returns:
        The files of external data that it refers to, by location.

    Raises:
        OutputError: The file cannot be written.
    """
    from mnncompat.graph.atomic_files import write_atomically
    from mnncompat.graph.wire_format import pieces_of

    path = Path(path)
    was_external = bool(model.external) or not model.weights_loaded
    same_folder = model.path is not None and _same_folder(path, model.path)
    if not same_folder:
        model.load_weights()
    proto = ModelProto()
    proto.CopyFrom(model.skeleton)
    if was_external and same_folder:
        restore_references(proto, model.external)
    if (was_external and not same_folder) or serialised_bytes(proto) > _MAX_INLINE_BYTES:
        move_weights_out(proto, path)
    write_atomically(path, pieces_of(proto))
    return {each: path.parent / each for each in locations(proto)}


def serialised_bytes(proto: ModelProto) -> int:
    """Bytes of a model when it is serialised with the data that it holds."""
    return int(proto.ByteSize()) + sum(payload.length for _, payload in payloads.held_tensors(proto))


def _read(path: Path) -> tuple[ModelProto, list[DataFile]]:
    """Read a file; a large one is kept open, and its tensors stay where they are."""
    try:
        if path.is_dir():
            raise ModelError(f"{path}: is a directory, not a model", hint="name the .onnx file inside it")
        if path.exists() and not path.is_file():
            raise ModelError(f"{path}: is not a regular file", hint="save the model to a file first")
        if path.stat().st_size < LEAST_LAZY_BYTES:
            return _parse(path, path.read_bytes()), []
        file = payloads.opened(path)
        return _parse(path, _without_payloads(path, file)), [file]
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file", hint="check the path") from None
    except PermissionError:
        raise ModelError(f"{path}: permission denied", hint="make the file readable for you") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}", hint="check the path and the disk") from error


def is_pointer(path: Path) -> bool:
    """Whether a file stands for one that Git LFS has not fetched."""
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS_POINTER)) == _LFS_POINTER
    except OSError:
        return False


def _without_payloads(path: Path, file: DataFile) -> bytes:
    from mnncompat.graph.wire_format import DamagedError, UnusualError, skeleton_of

    try:
        return skeleton_of(file.map, file.number)
    except UnusualError:
        return file.map[:]
    except DamagedError:
        raise _not_a_model(path, file.map[:_SAMPLE]) from None


def _parse(path: Path, data: bytes) -> ModelProto:
    if not data:
        raise ModelError(f"{path}: the file is empty", hint=_REEXPORT)
    if data.startswith(_LFS_POINTER):
        raise ModelError(f"{path}: is a Git LFS pointer, not the model itself", hint="run `git lfs pull`")
    proto = ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, RuntimeError):
        raise _not_a_model(path, data) from None
    if not proto.graph.node and (not proto.ir_version or _is_text(data)):
        raise _not_a_model(path, data)
    return proto


def _not_a_model(path: Path, data: bytes) -> ModelError:
    if _is_text(data):
        return ModelError(f"{path}: is a text file, not an ONNX model", hint="pass the binary .onnx file")
    if data[4:8] == b"MNN\x00" or path.suffix == ".mnn":
        return ModelError(f"{path}: is not an ONNX model", hint="pass the .onnx file that the .mnn file was made from")
    return ModelError(f"{path}: is not an ONNX model, or it is truncated or damaged", hint=_REEXPORT)


def _is_text(data: bytes) -> bool:
    try:
        sample = data[:_SAMPLE].decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < min(len(data), _SAMPLE) - 4:
            return False
        sample = data[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n" for character in sample)


def _same_folder(first: Path, second: Path) -> bool:
    return first.parent.resolve() == second.parent.resolve()
