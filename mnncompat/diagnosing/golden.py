"""Golden values: what ONNX Runtime computes inside a model, in as many runs as memory asks for."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper

from mnncompat.graph.protos import dims_of
from mnncompat.graph.tensor_values import data_type_of, element_dtype
from mnncompat.inference.shape_inference import infer
from mnncompat.parity.runners import OnnxRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView

HELD_BYTES = 256_000_000
"""Bytes of values that are held in memory at once, here and in each child; beyond it they are kept in files."""
_ITEM = 4


class GoldenValues(Mapping[str, np.ndarray]):
    """Values by name; large ones are mapped from files.

    Args:
        folder: Where files go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, np.ndarray] = {}
        self._bytes = 0

    def __getitem__(self, name: str) -> np.ndarray:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, name: str, array: np.ndarray) -> None:
        """Keep a value."""
        self._bytes += array.nbytes
        if self._bytes > HELD_BYTES and array.nbytes >= mmap.PAGESIZE:
            descriptor, path = mkstemp(dir=self._folder, prefix="golden-", suffix=".npy")
            with os.fdopen(descriptor, "wb") as file:
                np.save(file, array)
            array = np.load(path, mmap_mode="r")
        self._held[name] = array


def golden_values(
    model: ModelProto,
    parts: Sequence[Sequence[str]],
    feeds: Mapping[str, np.ndarray],
    *,
    folder: Path,
    data: Path | None = None,
) -> GoldenValues | Failure:
    """Run a model with values inside it as outputs.

    Args:
        model: The model.
        parts: The values of each run, see `parts_of`.
        feeds: Input name -> array.
        folder: For values that do not fit into memory.
        data: Folder of the model's external data.
    """
    found = GoldenValues(folder)
    for chunk in parts:
        with _showing(model, chunk):
            runner = OnnxRunner(model, folder=data)
            outputs = runner.run([feeds])
        if isinstance(outputs, Failure):
            return outputs
        for name in chunk:
            found.add(name, outputs[0][name])
    return found


def parts_of(model: ModelProto, view: GraphView, feeds: Mapping[str, np.ndarray]) -> list[list[str]]:
    """The values of a main graph, as many at a time as memory holds; those of types that numpy does not have left out.

    Args:
        model: The model.
        view: Its main graph.
        feeds: Input name -> array.
    """
    names = [name for node in view.nodes for name in node.output if name]
    is_known = all(view.dtype(name) is not None and _is_static(view.shape(name)) for name in names)
    known = {} if is_known else inferred_for(model, feeds)
    shown = [name for name in names if _is_tensor(known.get(name)) or view.dtype(name) is not None]
    sizes = [_bytes(dims_of(known[name]) if name in known else view.shape(name), feeds) for name in shown]
    return list(chunks(shown, sizes, HELD_BYTES))


def are_same(one: Mapping[str, np.ndarray], two: Mapping[str, np.ndarray]) -> bool:
    """Whether two draws hold the same bits."""
    if one is two:
        return True
    pairs = [(one[name], two[name]) for name in one if name in two]
    alike = len(pairs) == len(one) == len(two) and all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
    return alike and all(a.tobytes() == b.tobytes() for a, b in pairs)


def chunks(names: Sequence[str], sizes: Sequence[int], most: int) -> Iterator[list[str]]:
    """Neighbours together, as long as their sizes add up to no more than `most`."""
    chunk: list[str] = []
    total = 0
    for name, size in zip(names, sizes, strict=True):
        if chunk and total + size > most:
            yield chunk
            chunk, total = [], 0
        chunk.append(name)
        total += size
    if chunk:
        yield chunk


@contextlib.contextmanager
def _showing(model: ModelProto, names: Sequence[str]) -> Iterator[None]:
    """Let a model have these values as its only outputs for a while: a copy would take its memory once more."""
    before = list(model.graph.output)
    declared = {each.name: each for each in before}
    del model.graph.output[:]
    model.graph.output.extend(declared.get(name, ValueInfoProto(name=name)) for name in names)
    try:
        yield
    finally:
        del model.graph.output[:]
        model.graph.output.extend(before)


def inferred_for(model: ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, ValueInfoProto]:
    """What inference knows of values in a run on these feeds."""
    before = list(model.graph.input)
    fixed = [
        helper.make_tensor_value_info(each.name, data_type_of(feeds[each.name].dtype), feeds[each.name].shape)
        if each.name in feeds
        else each
        for each in before
    ]
    del model.graph.input[:]
    model.graph.input.extend(fixed)
    try:
        inferred = infer(model)
    finally:
        del model.graph.input[:]
        model.graph.input.extend(before)
    if inferred is None:
        return {}
    return {each.name: each for each in (*inferred.graph.value_info, *inferred.graph.output)}


def _is_static(shape: Sequence[int | str | None] | None) -> bool:
    return shape is not None and all(isinstance(size, int) for size in shape)


def _is_tensor(value: ValueInfoProto | None) -> bool:
    return value is not None and _is_number(value.type.tensor_type.elem_type)


def _is_number(kind: int) -> bool:
    try:
        return element_dtype(kind).kind in "biuf"
    except KeyError:
        return False


def _bytes(shape: Sequence[int | str | None] | None, feeds: Mapping[str, np.ndarray]) -> int:
    sizes = [size for size in shape or () if isinstance(size, int)]
    if shape is None or len(sizes) < len(shape):
        return max((array.nbytes for array in feeds.values()), default=_ITEM)
    return _ITEM * prod(sizes)
