"""How much memory a model takes at given sizes, and how much there is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path

from onnx import GraphProto

from mnncompat.graph.tensor_values import element_dtype
from mnncompat.graph.view import GraphView
from mnncompat.inference.shape_propagation import Shape
from mnncompat.inference.size_expression import Size
from mnncompat.results.failures import Failure, FailureKind

DEFAULT_LIMIT = 1_500_000_000
"""Bytes that a run may take at most, where nothing else is said; less than the command as a whole may take."""
COMFORTABLE = 200_000_000
"""Bytes beyond the weights that the first sizes should take: with noise in the arithmetic a run takes up to four times
as much, and some hundred runs are made."""
_OVERHEAD = 1.5
"""What a runtime takes above the tensors that are alive: packed weights, work space, an allocator's rounding."""
_ITEM = 4
_OUT = re.compile(r"failed to allocate memory|bad.alloc|out of memory|MemoryError|cannot allocate", re.IGNORECASE)


def default_limit() -> int:
    """Bytes that a run may take: the smaller of half of what is free and `DEFAULT_LIMIT`."""
    free = _free()
    return DEFAULT_LIMIT if free is None else min(DEFAULT_LIMIT, free // 2)


def _free() -> int | None:
    """Bytes that Linux says are available; None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return None if found is None else int(found.split()[1]) * 1024


class Estimator:
    """Estimates what a run of a model takes, at one choice of sizes after the other.

    Args:
        view: The main graph.
        shapes: Of its values. A size that is unknown counts as the largest of the node's operands does.
    """

    def __init__(self, view: GraphView, shapes: Mapping[str, Shape | None]) -> None:
        self._shapes = shapes
        self._items = _items(view)
        self._given = [name for name in shapes if name not in view.producers]
        taken = _Bytes(self._items, shapes, {})
        self.fixed = int(_OVERHEAD * sum(taken.of(name) or 0 for name in self._given))
        """Bytes of weights, and of inputs without dynamic dimensions, with the overhead; a part of all others."""
        last = {name: index for index, node in enumerate(view.nodes) for name in node.input}
        self._steps: list[tuple[list[str], list[str], list[str]]] = []
        for index, node in enumerate(view.nodes):
            operands, results = list(node.input), [name for name in node.output if name]
            over = [name for name in {*operands, *results} if name in view.producers and last.get(name, -1) <= index]
            self._steps.append((operands, results, [name for name in over if name not in view.outputs]))

    def bytes(self, sizes: Mapping[str, int]) -> int:
        """Bytes that a run takes at most: what is alive at once, with a runtime's overhead.

        Args:
            sizes: Of the dynamic dimensions.
        """
        taken = _Bytes(self._items, self._shapes, sizes)
        alive = {name: taken.of(name) or 0 for name in self._given}
        total = most = sum(alive.values())
        for operands, results, over in self._steps:
            largest = max((alive.get(name, 0) for name in operands), default=0)
            for name in results:
                known = taken.of(name)
                alive[name] = largest if known is None else known
                total += alive[name]
            most = max(most, total)
            total -= sum(alive.pop(name, 0) for name in over)
        return int(_OVERHEAD * most)


class _Bytes:
    """How many bytes values take at given sizes; values share most of their shapes, and these their sizes."""

    def __init__(self, items: Mapping[str, int], shapes: Mapping[str, Shape | None], sizes: Mapping[str, int]) -> None:
        self._items, self._shapes, self._sizes = items, shapes, sizes
        self._counts: dict[int, int | None] = {}
        self._numbers: dict[int, int] = {}

    def of(self, name: str) -> int | None:
        """Bytes of one value, None if its shape is not known."""
        shape = self._shapes.get(name)
        if shape is None:
            return None
        if id(shape) not in self._counts:
            self._counts[id(shape)] = self._count(shape)
        count = self._counts[id(shape)]
        return None if count is None else count * self._items.get(name, _ITEM)

    def _count(self, shape: Shape) -> int | None:
        try:
            return None if None in shape else prod(max(self._number(size), 0) for size in shape if size is not None)
        except (KeyError, ZeroDivisionError):
            return None

    def _number(self, size: Size) -> int:
        if id(size) not in self._numbers:
            self._numbers[id(size)] = size.evaluate(self._sizes)
        return self._numbers[id(size)]


def _items(view: GraphView) -> dict[str, int]:
    """Bytes of an element, by value, where the model declares a type of another size than float32 has."""
    if not isinstance(view.graph, GraphProto):
        return {}
    declared = {v.name: v.type.tensor_type.elem_type for v in (*view.graph.input, *view.graph.value_info)}
    declared |= {tensor.name: tensor.data_type for tensor in view.graph.initializer}
    sizes = {kind: _item(kind) for kind in set(declared.values())}
    return {name: sizes[kind] for name, kind in declared.items() if sizes[kind] != _ITEM}


def _item(kind: int) -> int:
    try:
        return element_dtype(kind).itemsize
    except (KeyError, TypeError, ValueError):
        return _ITEM


def is_out_of_memory(failure: Failure) -> bool:
    """Whether a failure says that there was not enough memory, whatever words it has for it."""
    return failure.kind is FailureKind.MEMORY or says_out_of_memory(f"{failure.message} {failure.words}")


def says_out_of_memory(words: str) -> bool:
    """Whether the words of a runtime or an allocator are about memory."""
    return bool(_OUT.search(words))


def give_back() -> None:
    """Hand memory that was freed back to the system, where the C library does not do so itself (glibc)."""
    import ctypes

    with suppress(OSError, TypeError, AttributeError):  # no C library of that name, or another one
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def bounded(extra: int | None) -> Iterator[None]:
    """Keep this process from taking more than so many bytes in addition, on Linux; an allocation fails then.

    Args:
        extra: Bytes; None for no bound.
    """
    pages = Path("/proc/self/statm")
    if extra is None or not pages.exists():
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(pages.read_text().split()[0]) * resource.getpagesize() + extra
    bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
