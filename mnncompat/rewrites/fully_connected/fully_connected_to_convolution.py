"""Fully connected heads as convolutions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mnncompat.graph.view import GraphView
from mnncompat.results.diagnostics import Category
from mnncompat.rewrites.core.base import Example, Match, Refusal, Rewrite
from mnncompat.rewrites.fully_connected.choice import form_of, gains, is_needed, may_gain
from mnncompat.rewrites.fully_connected.layers import Layer
from mnncompat.rewrites.fully_connected.plan import Region, plan

if TYPE_CHECKING:
    from mnncompat.graph.editor import GraphEditor
    from mnncompat.support.target import Target


class FullyConnectedToConvolution(Rewrite):
    """Write a fully connected head as convolutions: an HxW kernel and 1x1, or 1x1 alone.

    **What.** Finds Gemm, and MatMul with or without Add, over a constant weight, whose input is a batch of feature
    vectors [N, F]: a Flatten, Reshape or Squeeze of [N, C, H, W] (or [N, C, L]) that keeps the batch first, by whatever
    shape arithmetic; a ReduceMean or ReduceMax over H and W; an NHWC transpose before any of these; or a value of
    rank 2. Activations, Dropout, BatchNormalization, arithmetic with a constant per feature or between two rewritten
    branches, Concat, Softmax, LogSoftmax, ArgMax and ArgMin over the features are carried in four dimensions, and one
    reshape at the end restores the original shape.

    **Which form, and where.** By the target:

    - Releases before 0.2.1.6 have no MatMul for ONNX models: every head is written in the *spatial* form, the first
      layer with a kernel of the features' height and width.
    - A backend that registers Convolution but no MatMul or no Reshape (`--backend`: NNAPI, OpenGL) gets the spatial
      form too, because it runs nothing else.
    - Else a head is written in the *flat* form, all 1x1, where a BatchNormalization follows a layer and the head has at
      most two million weights, where a layer reads a mean over 16 or more positions of a map (not with `--precision
      low`: in float16 the pool that takes its place adds up less exactly), or where the table has an error for a layer.
      Any other head stays as it is: MNN makes a 1x1 convolution of each layer by itself.
    - `--head spatial` and `--head flat` (also in the configuration) ask for a form, for every head.

    **What it gains.** Measured with MNN 3.6.1 on x86-64 (Module API, batch 1 and 8, one and two threads; original /
    rewritten, above 1 the rewrite wins; medians over the heads in `rules/heads.json`, of which
    `python tests/benchmarks/heads.py` measures any again):

    | head | flat | spatial, H x W above 1x1 |
    |---|---|---|
    | a mean over 16 or more positions before a layer | 1.15 | 1.12 |
    | a normalisation behind a layer | 1.04 | 0.91 |
    | the same, more than two million weights | 1.00 | 0.67 |
    | neither | 1.00 | 0.89 |

    MNN computes a mean over the map in the plain layout, and a pool in that of the convolutions around it. Behind a
    layer it leaves a normalisation as an operator of its own, between changes of layout; behind a Conv that becomes
    part of the weights. Above 1x1 the spatial form was slower than the flat one, or as fast. Other processors and
    backends were not measured: `mnncompat convert --time` measures a model on this machine.

    **Before and after** (the tutorial's head, for 0.2.0.4 and for 3.6.1)::

        [N,50,4,4] -Flatten-> [N,800] -MatMul-> [N,500] -BN,Relu-> -Gemm-> [N,10]
        [N,50,4,4] -Conv 4x4-> [N,500,1,1] -BN,Relu-> -Conv 1x1-> [N,10,1,1] -Flatten-> [N,10]
        [N,50,4,4] -Reshape-> [N,800,1,1] -Conv 1x1-> -BN,Relu-> -Conv 1x1-> -Flatten-> [N,10]

    **Algebra.** With features flattened in the order c, h, w::

        y[n,o] = sum_f x[n,f] W[o,f] = sum_{c,h,w} X[n,c,h,w] W[o, (c*H + h)*W + w]

    which is a valid convolution over the whole plane with the kernel ``W.reshape(out, C, H, W)``. After an NHWC
    transpose the order is h, w, c, and the kernel ``W.reshape(out, H, W, C).transpose(0, 3, 1, 2)``. The flat form
    needs no order: ``W.reshape(out, F, 1, 1)``. A reshape keeps the number of elements, so rows of F = C*H*W features
    are samples, whichever way the target shape was computed.

    **Refuses** if the weight is not constant, Gemm has transA, the features of a sample are not static, rows
    are not samples ("batch mixed into features"), or the bias varies along the batch.

    **Source.** https://onnx.ai/onnx/operators/onnx__Gemm.html, https://onnx.ai/onnx/operators/onnx__Conv.html;
    the converter's own lowering: MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxGemm.cpp and
    tools/converter/source/optimizer/postconvert/ (MatMul to convolution).
    """

    code = "MNN801"
    name = "fully-connected-to-convolution"
    summary = "a fully connected head runs faster, or on more releases and backends, as convolutions"
    category = Category.PERFORMANCE
    op_types = ("Gemm", "MatMul")
    before = (
        (
            "round-by-floor",
            "a Round is carried in four dimensions as one node; the arithmetic in its place would end the chain",
        ),
    )

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:
        """Yield one match for each connected region of layers, and the layers that are refused though MNN needs it."""
        if view.is_function or not _may_match(view, target):
            return
        regions, refusals = plan(view, form_of(target))
        for region in regions:
            layers = (index for step in region.steps if isinstance(step.what, Layer) for index in step.nodes)
            if gains(view, region, target) or is_needed(view, layers, target):
                nodes = frozenset(index for step in region.steps for index in step.nodes)
                yield Match(rewrite=self.name, nodes=nodes, notes=_notes(view, region), plan=(view, region))
        for index, reason in sorted(refusals.items()):
            if is_needed(view, [index], target):
                yield Refusal(rewrite=self.name, index=index, reason=reason)

    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Replace a region by convolutions."""
        from mnncompat.rewrites.fully_connected.build import RegionBuilder

        view, region = match.plan
        RegionBuilder(view, region, editor).build()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Models that must be rewritten, and look-alikes that must stay unchanged or be refused."""
        from mnncompat.rewrites.fully_connected.examples import EXAMPLES
        from mnncompat.rewrites.fully_connected.look_alikes import LOOK_ALIKES

        return (*EXAMPLES, *LOOK_ALIKES)


def _may_match(view: GraphView, target: Target) -> bool:
    """False where no head gains (`gains`), and none is needed (`is_needed`), whatever the regions are."""
    layers = [index for index, _ in view.nodes_of("Gemm", "MatMul")]
    if not layers or may_gain(view):
        return bool(layers)
    return is_needed(view, [*layers, *(index for index, _ in view.nodes_of("Add"))], target)


def _notes(view: GraphView, region: Region) -> tuple[tuple[int, str], ...]:
    notes = []
    for step in region.steps:
        if isinstance(step.what, Layer):
            outputs, inputs = step.what.weight.shape
            form = region.forms[step.what.value]
            over = "" if form.pointwise else f" over {form.size[0]}x{form.size[1]}x{form.size[2]}"
            kernel = f"{form.size[1]}x{form.size[2]}"
            op = view.nodes[step.node].op_type
            notes.append((step.node, f"{op} {inputs} -> {outputs}{over} can be a {kernel} convolution"))
    return tuple(notes)
