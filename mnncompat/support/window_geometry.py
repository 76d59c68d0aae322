"""Windows of pools and convolutions: where each one starts and ends, and the padding of ``auto_pad = SAME_*``.

ONNX and MNN read the same attributes differently, and each reading has a name here:

| | ONNX | MNN |
| --- | --- | --- |
| windows of a node | `windows_of` | `mnn_pool_windows`: no dilations, SAME_LOWER as SAME_UPPER |
| number of windows | `Windows.count` | with ceil_mode, `Windows.count_rounded_up` |
| elements that SAME adds | `same_padding`: none if negative | convolutions: half of `missing_elements`, negative too |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows along one axis.

    Attributes:
        size: Elements of the data, None if dynamic.
        kernel: Elements of a window.
        stride: From one window to the next.
        dilation: From one element of a window to the next.
        begin: Padding before the data.
        end: Padding after the data, without what rounding up adds.
        rounds_up: The last window may reach beyond the padding (``ceil_mode``).
    """

    size: int | None
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int
    rounds_up: bool = False

    @property
    def extent(self) -> int:
        """From the first to the last element of a window."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def count(self) -> int | None:
        """Number of windows, None if the size is dynamic. One that starts after data and begin padding is dropped."""
        if not self.rounds_up or self.count_rounded_up is None:
            return self.count_rounded_down
        return self.count_rounded_up - 1 if self.last_starts_behind_data else self.count_rounded_up

    @property
    def count_rounded_down(self) -> int | None:
        """Number of windows that lie in data and padding, None if the size is dynamic."""
        return None if self.size is None else self._start_range(self.size) // self.stride + 1

    @property
    def count_rounded_up(self) -> int | None:
        """Number of windows with the last one in part outside; it may start after the data: MNN keeps it then."""
        return None if self.size is None else -(-self._start_range(self.size) // self.stride) + 1

    @property
    def last_starts_behind_data(self) -> bool | None:
        """Rounded up, the last window holds no data: ONNX drops it. None if the size is dynamic."""
        if self.size is None or self.count_rounded_up is None:
            return None
        return (self.count_rounded_up - 1) * self.stride >= self.size + self.begin

    @property
    def overhang(self) -> int | None:
        """Padding after the data that the last window reaches (0 if it ends before), None if the size is dynamic."""
        if self.size is None or self.count is None:
            return None
        return max((self.count - 1) * self.stride + self.extent - self.size - self.begin, 0)

    def _start_range(self, size: int) -> int:
        """From the first position at which a window may start to the last."""
        return size + self.begin + self.end - self.extent

    def positions(self) -> NDArray[np.int64]:
        """Position in the padded data of every element of every window: (count, kernel).

        Raises:
            ValueError: The size is dynamic.
        """
        if self.count is None:
            raise ValueError("the number of windows is dynamic")
        starts = np.arange(self.count, dtype=np.int64)[:, None] * self.stride
        return starts + np.arange(self.kernel, dtype=np.int64) * self.dilation


def windows_of(facts: NodeFacts, kernel: Sequence[int], sizes: Sequence[Dim]) -> list[Windows] | None:
    """The windows of a pool or a convolution, by spatial axis, with ``auto_pad`` resolved.

    Args:
        facts: The node.
        kernel: Kernel size by axis.
        sizes: Size of the data by axis.

    Returns:
        None if the padding depends on a dynamic size.
    """
    dilations = facts.attribute("dilations") or [1] * len(kernel)
    mode = facts.attribute("auto_pad") or "NOTSET"
    rounds_up = bool(facts.attribute("ceil_mode")) and not mode.startswith("SAME")
    found = _windows(facts, kernel, dilations, sizes, mode)
    known = [replace(each, rounds_up=rounds_up) for each in found if each is not None]
    return known if len(known) == len(found) else None


def mnn_pool_windows(facts: NodeFacts) -> list[Windows | None]:
    """The windows of a pool as MNN reads its attributes, by spatial axis; None where the size is dynamic.

    Dilations are ignored, and ``SAME_LOWER`` is read as ``SAME_UPPER``.

    Args:
        facts: The pool.
    """
    kernel = facts.attribute("kernel_shape") or []
    shape = facts.shape(facts.node.input[0])
    sizes = [None] * len(kernel) if shape is None else shape[len("NC") :]
    is_same = str(facts.attribute("auto_pad")).startswith("SAME")
    found = _windows(facts, kernel, [1] * len(kernel), sizes, "SAME_UPPER" if is_same else "NOTSET")
    return [None if each is None or each.size is None else each for each in found]


def _windows(
    facts: NodeFacts, kernel: Sequence[int], dilations: Sequence[int], sizes: Sequence[Dim], mode: str
) -> list[Windows | None]:
    """By axis; None where the padding depends on a dynamic size."""
    count = len(kernel)
    strides = facts.attribute("strides") or [1] * count
    pads = (facts.attribute("pads") if mode == "NOTSET" else None) or [0] * 2 * count
    found: list[Windows | None] = []
    for axis in range(count):
        size = sizes[axis]
        window = Windows(
            size=size if isinstance(size, int) else None,
            kernel=kernel[axis],
            stride=strides[axis],
            dilation=dilations[axis],
            begin=pads[axis],
            end=pads[axis + count],
        )
        if mode.startswith("SAME"):
            padding = same_padding(size, window.extent, window.stride, upper=mode == "SAME_UPPER")
            found.append(None if padding is None else replace(window, begin=padding[0], end=padding[1]))
        else:
            found.append(window)
    return found


def same_padding(size: Dim, extent: int, stride: int, *, upper: bool) -> tuple[int, int] | None:
    """Padding before and after the data for as many windows as the size divided by the stride, rounded up.

    Args:
        size: Elements of the data; a symbol or None if dynamic.
        extent: From the first to the last element of a window.
        stride: From one window to the next.
        upper: The odd element is after the data (``SAME_UPPER``), not before it (``SAME_LOWER``).

    Returns:
        None if it depends on a dynamic size.
    """
    missing = missing_elements(size, extent, stride)
    return None if missing is None else split_padding(max(missing, 0), upper=upper)


def missing_elements(size: Dim, extent: int, stride: int) -> int | None:
    """How many elements the data lacks for as many windows as the size divided by the stride, rounded up.

    Negative if elements are left over behind the last window. None if the number depends on a dynamic size.
    """
    if stride == 1:
        return extent - 1
    return (-(-size // stride) - 1) * stride + extent - size if isinstance(size, int) else None


def split_padding(total: int, *, upper: bool) -> tuple[int, int]:
    """Padding before and after the data: halves of a total, the odd element after (`upper`) or before it."""
    less, more = total // 2, total - total // 2
    return (less, more) if upper else (more, less)
