"""Windows of pools and convolutions: where each one starts and ends, as ONNX counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows along one axis.

    Attributes:
        size: Elements of the data, None if dynamic.
        kernel: Elements of a window.
        stride: From one window to the next.
        dilation: From one element of a window to the next.
        begin: Padding before the data.
        end: Padding behind the data, without what rounding up adds.
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
        """Number of windows, None if the size is dynamic. One that starts behind data and begin padding is dropped."""
        if self.size is None:
            return None
        room = self.size + self.begin + self.end - self.extent
        if not self.rounds_up:
            return room // self.stride + 1
        count = ceil(room / self.stride) + 1
        return count - 1 if (count - 1) * self.stride >= self.size + self.begin else count

    @property
    def overhang(self) -> int | None:
        """Padding behind the data that the last window reaches (0 if it ends before), None if the size is dynamic."""
        if self.size is None or self.count is None:
            return None
        return max((self.count - 1) * self.stride + self.extent - self.size - self.begin, 0)

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
    count = len(kernel)
    strides = facts.attribute("strides") or [1] * count
    dilations = facts.attribute("dilations") or [1] * count
    pads = facts.attribute("pads") or [0] * 2 * count
    mode = facts.attribute("auto_pad") or "NOTSET"
    result = []
    for axis in range(count):
        size = sizes[axis]
        known = size if isinstance(size, int) else None
        begin, end = pads[axis], pads[axis + count]
        if mode != "NOTSET":
            total = 0 if mode == "VALID" else _same(known, (kernel[axis] - 1) * dilations[axis] + 1, strides[axis])
            if total is None:
                return None
            begin, end = total // 2, total - total // 2
            if mode == "SAME_LOWER":
                begin, end = end, begin
        result.append(
            Windows(
                size=known,
                kernel=kernel[axis],
                stride=strides[axis],
                dilation=dilations[axis],
                begin=begin,
                end=end,
                rounds_up=bool(facts.attribute("ceil_mode")) and not mode.startswith("SAME"),
            )
        )
    return result


def _same(size: int | None, extent: int, stride: int) -> int | None:
    """Total padding for as many windows as the size divided by the stride, rounded up."""
    if stride == 1:
        return extent - 1
    return None if size is None else max((ceil(size / stride) - 1) * stride + extent - size, 0)
