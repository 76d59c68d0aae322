"""Write the examples of rewrites: ONNX text (https://onnx.ai/onnx/repo-docs/Syntax.html) and weights.

::

    rewritten(
        "columns before rows",
        '(float[N,2,4,6] x) => (float[N,8,2,3] y) { y = SpaceToDepth<blocksize=2, mode="CRD">(x) }',
        becomes="2 Reshape, Transpose",
        opset=28,
    )
    unchanged("of 1", "(float[1,2,8] x) => (float[1,2,7] y) { y = MaxPool<kernel_shape=[2], strides=[1]>(x) }")
    refused(
        "length is an input",
        "computed at run time",
        "(float[1,8,1] x, int64 n) => (float[1,N,2] y) { y = DFT(x, n) }",
        opset=17,
    )

All three take the same keywords:

* ``opset``: version of ONNX's own domain;
* ``dtype``: element type of the drawn weights;
* ``imports``: replaces the list of opset imports, ``"my.domain" : 1, "" : 13``;
* ``mnn``: the release with the hazard, where newer ones have none;
* ``precision``: what MNN computes in, where the hazard is;
* any other: an initializer of that name.

``becomes`` states the structure of the result: its op types in alphabetical order, each with its number unless that is
1. A result can be right and still hold redundant nodes, such as two reshapes in a row or a cast back and forth: a test
compares the structure with this statement.

* Numbers, not a sequence: a graph has many valid orders, and two lines are enough for a hundred nodes.
* The nodes of subgraphs follow their operator, one list for each subgraph: ``If{Abs, Reshape | Exp}``.
* Local functions follow the graph: ``my::gain, Relu; function gain: Mul``. Operators of other domains than ONNX's own
  have the domain in front.
* Every node counts, including Constant nodes and nodes whose results are unused, so that leftovers are visible.
  Initializers do not count.
* It is the result of this rewrite alone, in one pass. What other rewrites simplify afterwards is stated in their own
  examples, so that a change shows in the examples of the rewrite that was changed.
* A graph without nodes is ``no nodes``. A long list can be wrapped: line breaks and indentation count as one space.

``tests/rewrites/test_examples.py`` says what to write if it is missing or wrong.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from onnx import ModelProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.rewrites.core.base import Example
from mnncompat.support.deployment import HIGH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.rewrites.core.expected import Refused, Rewritten, Unchanged

Weight: TypeAlias = "tuple[int, ...] | NDArray[Any]"
"""A shape, whose elements are drawn from a fixed seed (positive if the name starts with ``var``), or an array."""


def rewritten(name: str, text: str, *, becomes: str = "", **options: Any) -> Example:
    """An example that must be rewritten.

    Args:
        name: Short, unique within the rewrite.
        text: Inputs, outputs and nodes of the graph; local functions after it.
        becomes: Structure of the result, see the module.
        **options: See the module.
    """
    from mnncompat.rewrites.core.expected import Rewritten

    return _example(name, text, Rewritten(" ".join(becomes.split())), **options)


def unchanged(name: str, text: str, **options: Any) -> Example:
    """A look-alike without the hazard: it must stay unchanged, without a refusal."""
    from mnncompat.rewrites.core.expected import Unchanged

    return _example(name, text, Unchanged(), **options)


def refused(name: str, reason: str, text: str, **options: Any) -> Example:
    """A model with the hazard that cannot be rewritten: the refusal must contain these words.

    Raises:
        ValueError: The reason is empty: that would be `unchanged`.
    """
    from mnncompat.rewrites.core.expected import Refused

    if not reason:
        raise ValueError(f"{name}: a refusal has a reason")
    return _example(name, text, Refused(reason), **options)


def _example(
    name: str,
    text: str,
    expected: Rewritten | Unchanged | Refused,
    *,
    opset: int = 13,
    dtype: int = TensorProto.FLOAT,
    imports: str = "",
    mnn: str = "3.6.1",
    precision: str = HIGH,
    **weights: Weight,
) -> Example:
    build = partial(_build, text, weights, opset, dtype, imports)
    return Example(name=name, build=build, expected=expected, mnn=mnn, precision=precision)


def _build(text: str, weights: dict[str, Weight], opset: int, dtype: int, imports: str) -> ModelProto:
    opsets = imports or f'"": {opset}'
    from onnx import helper, parser

    model = parser.parse_model(f"<ir_version: 8, opset_import: [{opsets}]>\nexample {text}")
    draws = np.random.default_rng(0)
    element = helper.tensor_dtype_to_np_dtype(dtype)
    for name, weight in weights.items():
        values = weight
        if isinstance(weight, tuple):
            low, high = (0.5, 1.5) if name.startswith("var") else (-1.0, 1.0)
            values = draws.uniform(low, high, weight).astype(element)
        model.graph.initializer.append(array_tensor(np.asarray(values), name))
    return model
