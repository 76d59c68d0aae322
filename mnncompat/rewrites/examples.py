"""Write the examples of rewrites: ONNX text (https://onnx.ai/onnx/repo-docs/Syntax.html) and weights.

::

    taken("default strides", "(float[1,2,8,8] x) => (float[1,2,7,7] y) { y = MaxPool<kernel_shape=[2,2]>(x) }")
    left("size is an input", "computed at run time", "(int64 n) => (float[M] y) { y = HannWindow(n) }", opset=17)
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from mnncompat.rewrites.base import Example

Weight = tuple[int, ...] | NDArray[Any]
"""A shape, whose elements are drawn from a fixed seed (positive if the name starts with ``var``), or an array."""


def taken(
    name: str,
    text: str,
    *,
    opset: int = 13,
    dtype: int = TensorProto.FLOAT,
    imports: str = "",
    mnn: str = "3.6.1",
    **weights: Weight,
) -> Example:
    """An example that must be rewritten.

    Args:
        name: Short, unique within the rewrite.
        text: Inputs, outputs and nodes of the graph; local functions behind it.
        opset: Version of ONNX's own domain.
        dtype: Element type of the drawn weights.
        imports: Replaces the list of opset imports, ``"my.domain" : 1, "" : 13``.
        mnn: The release that is in trouble, where newer ones are not.
        **weights: Initializers.
    """
    return Example(name=name, build=partial(_build, text, weights, opset, dtype, imports), mnn=mnn)


def left(
    name: str,
    refusal: str,
    text: str,
    *,
    opset: int = 13,
    dtype: int = TensorProto.FLOAT,
    imports: str = "",
    mnn: str = "3.6.1",
    **weights: Weight,
) -> Example:
    """A look-alike that must be left: with these words, or, if they are empty, because nothing is in trouble."""
    return Example(name=name, build=partial(_build, text, weights, opset, dtype, imports), refusal=refusal, mnn=mnn)


def _build(text: str, weights: dict[str, Weight], opset: int, dtype: int, imports: str) -> ModelProto:
    opsets = imports or f'"": {opset}'
    model = parser.parse_model(f"<ir_version: 8, opset_import: [{opsets}]>\nexample {text}")
    draws = np.random.default_rng(0)
    element = helper.tensor_dtype_to_np_dtype(dtype)
    for name, weight in weights.items():
        values = weight
        if isinstance(weight, tuple):
            low, high = (0.5, 1.5) if name.startswith("var") else (-1.0, 1.0)
            values = draws.uniform(low, high, weight).astype(element)
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return model
