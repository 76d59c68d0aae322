"""Write the examples of rewrites: ONNX text (https://onnx.ai/onnx/repo-docs/Syntax.html) and weights.

::

    rewritten("default strides", "(float[1,2,8,8] x) => (float[1,2,7,7] y) { y = MaxPool<kernel_shape=[2,2]>(x) }")
    unchanged("of 1", "(float[1,2,8] x) => (float[1,2,7] y) { y = MaxPool<kernel_shape=[2], strides=[1]>(x) }")
    refused("size is an input", "computed at run time", "(int64 n) => (float[M] y) { y = HannWindow(n) }", opset=17)

All three take the same keywords:

* ``opset``: version of ONNX's own domain;
* ``dtype``: element type of the drawn weights;
* ``imports``: replaces the list of opset imports, ``"my.domain" : 1, "" : 13``;
* ``mnn``: the release with the hazard, where newer ones have none;
* any other: an initializer of that name.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from mnncompat.rewrites.core.base import Example

Weight = tuple[int, ...] | NDArray[Any]
"""A shape, whose elements are emitted from a fixed seed (positive if the name starts with ``var``), or an array."""


def rewritten(name: str, text: str, **options: Any) -> Example:
    """An example that must be rewritten.

    Args:
        name: Short, unique within the rewrite.
        text: Inputs, outputs and nodes of the graph; local functions behind it.
        **options: See the module.
    """
    return _example(name, text, None, **options)


def unchanged(name: str, text: str, **options: Any) -> Example:
    """A look-alike without a hazard: it must stay as it is, and there is nothing to say about it."""
    return _example(name, text, "", **options)


def refused(name: str, reason: str, text: str, **options: Any) -> Example:
    """A look-alike with the hazard that cannot be rewritten: the refusal must have these words.

    Raises:
        ValueError: The reason is empty: that would be `unchanged`.
    """
    if not reason:
        raise ValueError(f"{name}: a refusal has a reason")
    return _example(name, text, reason, **options)


def _example(
    name: str,
    text: str,
    refusal: str | None,
    *,
    opset: int = 13,
    dtype: int = TensorProto.FLOAT,
    imports: str = "",
    mnn: str = "3.6.1",
    **weights: Weight,
) -> Example:
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
