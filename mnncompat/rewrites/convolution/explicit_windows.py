"""Pools and convolutions whose strides and paddings are written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnncompat.graph.operator_traits import CONVOLUTIONS, POOLS
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.window_geometry import Windows, split_padding, windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts


class ExplicitWindows(NodeRewrite):
    """Write strides, kernel and padding of a pool or a convolution into its attributes.

    **What.** MaxPool, AveragePool, LpPool, Conv and ConvTranspose that leave ``strides``, ``pads`` or ``kernel_shape``
    out, or that state ``auto_pad``, ``output_shape`` or a ``ceil_mode`` whose last window would start after the data.

    **Why.** MNN reads only what is stated: absent strides are 0, and a division by them kills the process;
    ``SAME_LOWER`` pads at the wrong side; 3-D operators ignore ``auto_pad``.

    **Before and after**::

        MaxPool(kernel_shape = [2, 2], auto_pad = SAME_LOWER)
        MaxPool(kernel_shape = [2, 2], strides = [1, 1], pads = [1, 1, 0, 0])

    **Algebra.** None: ONNX derives the same numbers. For n elements, extent k and stride s, SAME pads
    ``max((ceil(n / s) - 1) * s + k - n, 0)`` in total, the odd one after (SAME_UPPER) or before (SAME_LOWER).

    **Refuses** if the padding depends on a dynamic size.

    **Why this form.** The operator is kept: no other form is as fast.

    **Source.** https://onnx.ai/onnx/operators/onnx__MaxPool.html,
    https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
    """

    code = "MNN880"
    name = "explicit-windows"
    summary = "strides and padding are written out"
    op_types = POOLS + CONVOLUTIONS
    before = (
        ("conv-1d-as-2d", "both are needed, and attributes are written out before they are copied"),
        ("conv-3d-by-planes", "it reads strides, kernel and pads, which are then written out"),
        ("conv-bias-to-op", "both are needed, and attributes are written out before they are copied"),
        ("conv-transpose-3d-by-planes", "it refuses auto_pad and output_shape, which are then written as pads"),
        ("dilated-pool", "it reads strides, kernel and pads, which are then written out"),
        ("max-pool-indices", "it reads strides, kernel and pads, which are then written out"),
        ("pool-3d-by-planes", "it reads strides, kernel and pads, which are then written out"),
        ("pool-in-float", "both are needed, and attributes are written out before they are copied"),
        ("pool-pad-to-op", "the pads that it moves into a Pad are then written out"),
    )

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the node with the attributes that ONNX derives."""
        kernel = list(node.attribute("kernel_shape") or new.input(1).shape[2:])
        if node.node.op_type == "ConvTranspose":
            stated = _transposed(node, kernel, new)
        else:
            sizes = new.input(0).dims[2:]
            windows = windows_of(node, kernel, sizes)
            if windows is None:
                raise NotApplicable(f"auto_pad {node.attribute('auto_pad')} depends on the dynamic size {list(sizes)}")
            given = node.given("ceil_mode")
            ends, stated = _rounded(node, windows) if given else ([each.end for each in windows], {})
            stated |= {"strides": [each.stride for each in windows], "pads": [each.begin for each in windows] + ends}
        outputs = 2 if new.is_output_used(1) else 1
        return list(new.clone_node(outputs=outputs, auto_pad=None, kernel_shape=kernel, **stated))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Attributes that MNN needs stated, and models that stay unchanged or are refused."""
        return (
            *_pools(),
            *_convolutions(),
            unchanged(
                "one element left over",
                """(float[1,2,4,6] x) => (float[1,3,2,2] y)
                { y = Conv<kernel_shape=[1,2], strides=[2,3], auto_pad="SAME_UPPER">(x, w) }""",
                w=(3, 2, 1, 2),
            ),
            refused(
                "depends on a dynamic size",
                "dynamic size",
                """(float[1,2,8,W] x) => (float[1,2,8,V] y)
                { y = MaxPool<kernel_shape=[2,2], strides=[1,2], auto_pad="SAME_LOWER">(x) }""",
            ),
            unchanged(
                "nothing to state",
                "(float[1,2,8,8] x) => (float[1,2,4,4] y) { y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }",
            ),
        )


def _pools() -> tuple[Example, ...]:
    """Pools."""
    return (
        rewritten(
            "no strides",
            "(float[1,2,8,8] x) => (float[1,2,7,7] y) { y = MaxPool<kernel_shape=[2,2]>(x) }",
            becomes="MaxPool",
        ),
        rewritten(
            "no strides, dynamic",
            "(float[N,2,8] x) => (float[N,2,7] y) { y = LpPool<kernel_shape=[2]>(x) }",
            becomes="LpPool",
        ),
        rewritten(
            "3-D",
            "(float[1,2,4,5,6] x) => (float[1,2,3,4,5] y) { y = AveragePool<kernel_shape=[2,2,2]>(x) }",
            becomes="AveragePool",
            opset=19,
        ),
        rewritten(
            "same lower",
            """(float[1,2,7,8] x) => (float[1,2,4,4] y)
            { y = MaxPool<kernel_shape=[2,3], strides=[2,2], auto_pad="SAME_LOWER">(x) }""",
            becomes="MaxPool",
        ),
        rewritten(
            "last window behind the data",
            """(float[1,2,2,2] x) => (float[1,2,1,1] y)
            { y = MaxPool<kernel_shape=[3,3], strides=[3,3], pads=[1,1,1,1], ceil_mode=1>(x) }""",
            becomes="MaxPool",
            opset=22,
        ),
    )


def _convolutions() -> tuple[Example, ...]:
    """Convolutions, forward and transposed."""
    return (
        rewritten(
            "3-D convolution",
            """(float[1,2,4,5,6] x) => (float[1,3,4,5,6] y)
            { y = Conv<kernel_shape=[2,3,3], auto_pad="SAME_LOWER">(x, w) }""",
            becomes="Conv",
            w=(3, 2, 2, 3, 3),
        ),
        rewritten(
            "transposed, output_shape",
            """(float[1,2,4,5] x) => (float[1,3,8,10] y)
            { y = ConvTranspose<strides=[2,2], output_shape=[8,10]>(x, w) }""",
            becomes="ConvTranspose",
            w=(2, 3, 3, 3),
        ),
        rewritten(
            "elements left over",
            """(float[1,2,6,8] x) => (float[1,3,2,2] y)
            { y = Conv<kernel_shape=[1,2], strides=[3,4], auto_pad="SAME_UPPER">(x, w) }""",
            becomes="Conv",
            w=(3, 2, 1, 2),
        ),
        rewritten(
            "transposed, with gaps",
            """(float[1,2,4,5] x) => (float[1,3,7,9] y)
            { y = ConvTranspose<kernel_shape=[1,1], strides=[2,2], auto_pad="SAME_LOWER">(x, w) }""",
            becomes="ConvTranspose",
            w=(2, 3, 1, 1),
        ),
    )


def _rounded(node: NodeFacts, windows: Sequence[Windows]) -> tuple[list[int], dict[str, Any]]:
    """Padding after the data, and ``ceil_mode`` if it must stay: a dynamic number of windows, or a counted average.

    An average that counts padding does not count the elements that rounding up adds.
    """
    counts = node.node.op_type == "LpPool" or node.attribute("count_include_pad") == 1
    ends = [each.end for each in windows]
    if all(each.count is not None and each.count == each.count_rounded_down for each in windows):
        return ends, {"ceil_mode": None}
    if counts or any(each.overhang is None for each in windows):
        return ends, {}
    return [each.overhang or 0 for each in windows], {"ceil_mode": None}


def _transposed(node: NodeFacts, kernel: Sequence[int], new: SubgraphBuilder) -> dict[str, Any]:
    """Strides, pads and output_padding of a ConvTranspose; ``output_shape`` is removed."""
    count = len(kernel)
    strides = node.attribute("strides") or [1] * count
    mode = node.attribute("auto_pad") or "NOTSET"
    wanted = node.attribute("output_shape")
    if wanted is None and mode in ("NOTSET", "VALID"):
        return {"strides": strides, "pads": node.attribute("pads") or [0] * 2 * count}
    dilations = node.attribute("dilations") or [1] * count
    extra = node.attribute("output_padding") or [0] * count
    begins, ends, more = [], [], []
    for axis in range(count):
        total = (kernel[axis] - 1) * dilations[axis] + 1 + extra[axis] - strides[axis]
        if wanted is not None:
            total += strides[axis] * new.input(0).dim(axis + 2) - wanted[axis - count]
        if wanted is None:
            total = max(total, 0)
        elif total < 0 and extra[axis] - total >= strides[axis]:
            raise NotApplicable(f"axis {axis + 2} lacks {-total} elements: kernel {kernel}, strides {strides}")
        more.append(extra[axis] - min(total, 0))
        total = max(total, 0)
        begin, end = split_padding(total, upper=mode == "SAME_UPPER")
        begins.append(begin)
        ends.append(end)
    padding = more if more != extra else node.attribute("output_padding")
    return {"strides": strides, "pads": begins + ends, "output_padding": padding, "output_shape": None}
