"""Types and shapes of operators that ONNX's inference says nothing about: a function for each, which inference calls.

Each function gets the node with the types of its operands, and returns element type and dimensions of each result. A
dimension is a size, a symbol, or None if nothing is known; a shape is None if not even the rank is known. The functions
are registered with ONNX's inference under a domain of their own, in the weightless copy that inference works on: the
schemas of ONNX and of ONNX Runtime are left alone, and so are the checks of models against them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import TensorProto, TensorShapeProto, TypeProto

from mnncompat.graph.protos import Dim
from mnncompat.inference.attention_shapes import ATTENTION_SHAPES
from mnncompat.inference.foreign_calls import Call, Result, ShapeFunction, like, over, times
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN, ML_DOMAIN, STAND_IN_DOMAIN
from mnncompat.inference.ml_shapes import ML_SHAPES
from mnncompat.inference.negative_sizes import GUARD, known_sizes

_REGISTERED: set[str] = set()
_BYTES = (TensorProto.INT8, TensorProto.UINT8)

# ---- normalisations and embeddings ---------------------------------------------------------------------------------


def _means(call: Call, axis: int, element: int) -> Result:
    shape = call.shape(0)
    if shape is None:
        return element, None
    axis %= len(shape)
    return element, (*shape[:axis], *[1] * (len(shape) - axis))


def _simplified(call: Call) -> Sequence[Result]:
    """The result has the type of the scale; the inverse deviation is float32."""
    deviation = _means(call, int(call.attribute("axis", -1)), TensorProto.FLOAT)
    return [(call.dtype(1), call.shape(0)), deviation]


def _skip(call: Call) -> Sequence[Result]:
    same = (call.dtype(0), call.shape(0))
    mean = _means(call, -1, TensorProto.FLOAT)
    return [same, mean, mean, same]


def _embedding(call: Call) -> Sequence[Result]:
    ids, table = call.shape(0), call.shape(2)
    element = call.dtype(2)
    if element in (TensorProto.INT8, TensorProto.UINT8):
        element = TensorProto.FLOAT
    shape = None if ids is None or table is None else (*ids, table[-1])
    return [(element, shape), (TensorProto.INT32, None if ids is None else (ids[0],)), (element, shape)]


def _bias_split(call: Call) -> Sequence[Result]:
    shape = call.shape(0)
    return [(call.dtype(0), None if shape is None else (*shape[:-1], over(shape[-1], 2)))]


def _mean_of_images(call: Call) -> Sequence[Result]:
    shape = call.shape(0)
    if shape is None:
        return [(call.dtype(0), None)]
    ones = (1,) * (len(shape) - 2)
    last = call.attribute("channels_last", 0)
    return [(call.dtype(0), (shape[0], *ones, shape[-1]) if last else (*shape[:2], *ones))]


# ---- products ------------------------------------------------------------------------------------------------------


def _block_product(call: Call) -> Sequence[Result]:
    shape, columns = call.shape(0), call.attribute("N")
    return [(call.dtype(0), None if shape is None else (*shape[:-1], columns))]


def _gather_blocks(call: Call) -> Sequence[Result]:
    data, indices = call.shape(0), call.shape(1)
    if data is None or indices is None:
        return [(call.dtype(2), None)]
    axis, along = (int(call.attribute(name, value)) % len(data) for name, value in _AXES)
    if call.dtype(0) == TensorProto.UINT8:  # two or four of them are in a byte
        data = tuple(
            times(dim, 8 // int(call.attribute("bits", 4))) if place == along else dim for place, dim in enumerate(data)
        )
    return [(call.dtype(2), (*data[:axis], *indices, *data[axis + 1 :]))]


_AXES = (("gather_axis", 0), ("quantize_axis", 1))


def _fused_product(call: Call) -> Sequence[Result]:
    """FusedMatMul: also with the batch between rows and columns."""
    shapes = [call.shape(0), call.shape(1)]
    if any(each is None for each in shapes):
        return [(call.dtype(0), None)]
    arranged = []
    for letter, shape in zip("AB", shapes, strict=True):
        dims = list(shape or ())
        if call.attribute(f"transBatch{letter}", 0) and len(dims) > 2:  # noqa: PLR2004 - with a batch
            dims = [*dims[1:-1], dims[0], dims[-1]]
        if call.attribute(f"trans{letter}", 0) and len(dims) > 1:
            dims = [*dims[:-2], dims[-1], dims[-2]]
        arranged.append(dims)
    one, two = arranged
    rows, columns = (one[-2:-1] if len(one) > 1 else []), (two[-1:] if len(two) > 1 else [])
    return [(call.dtype(0), (*_broadcast(one[:-2], two[:-2]), *rows, *columns))]


def _broadcast(one: Sequence[Dim], two: Sequence[Dim]) -> list[Dim]:
    rank = max(len(one), len(two))
    pairs = zip([1] * (rank - len(one)) + [*one], [1] * (rank - len(two)) + [*two], strict=True)
    return [b if a == 1 else a if b in (1, a) else b if isinstance(b, int) else a for a, b in pairs]


def _gemm_gelu(call: Call) -> Sequence[Result]:
    shape, weight = call.shape(0), call.shape(1)
    return [(call.dtype(0), None if shape is None or weight is None else (*shape[:-1], weight[-1]))]


# ---- the rest ------------------------------------------------------------------------------------------------------


def _lstm(call: Call) -> Sequence[Result]:
    shape, recurrent = call.shape(0), call.shape(2)
    if shape is None or recurrent is None:
        return [(TensorProto.FLOAT, None)] * 3
    states = (TensorProto.FLOAT, (recurrent[0], shape[1], recurrent[1]))
    return [(TensorProto.FLOAT, (shape[0], recurrent[0], shape[1], recurrent[1])), states, states]


def _unfold(call: Call) -> Sequence[Result]:
    shape, size = call.shape(0), int(call.attribute("size", 1))
    if shape is None:
        return [(call.dtype(0), None)]
    axis, step = int(call.attribute("dim", -1)) % len(shape), int(call.attribute("step", 1))
    length = shape[axis]
    count = (length - size) // step + 1 if isinstance(length, int) else None
    return [(call.dtype(0), (*shape[:axis], count, *shape[axis + 1 :], size))]


def _crop(call: Call) -> Sequence[Result]:
    shape, rois, size = call.shape(0), call.shape(1), call.constant(3) or (None, None)
    return [(call.dtype(0), None if shape is None or rois is None else (rois[0], shape[1], *size))]


_CONTRIB: dict[str, ShapeFunction] = {
    "BiasSplitGelu": _bias_split,
    "CropAndResize": _crop,
    "DynamicQuantizeLSTM": _lstm,
    "EmbedLayerNormalization": _embedding,
    "FusedMatMul": _fused_product,
    "GatherBlockQuantized": _gather_blocks,
    "GemmFastGelu": _gemm_gelu,
    "Inverse": like(),
    "MatMulNBits": _block_product,
    "QEmbedLayerNormalization": _embedding,
    "RotaryEmbedding": like(),
    "QLinearGlobalAveragePool": _mean_of_images,
    "SkipLayerNormalization": _skip,
    "SkipSimplifiedLayerNormalization": _skip,
    "TransposeMatMul": _fused_product,
    "UnfoldTensor": _unfold,
    **ATTENTION_SHAPES,
}
SHAPE_FUNCTIONS: dict[tuple[str, str], ShapeFunction] = {
    ("", "SimplifiedLayerNormalization"): _simplified,
    **{(CONTRIB_DOMAIN, op): function for op, function in _CONTRIB.items()},
    **{(ML_DOMAIN, op): function for op, function in ML_SHAPES.items()},
    (STAND_IN_DOMAIN, GUARD): known_sizes,
}
"""By domain and op type."""


def stand_in(domain: str, op: str) -> str:
    """The name under which ONNX's inference calls the function of an operator; it is registered when it is asked for.

    No other domain has an operator of that name: ONNX's reference evaluator asks for names alone.
    """
    name = f"{domain or 'ONNX'}::{op}"
    if name not in _REGISTERED:
        onnx.defs.register_schema(_schema(name, SHAPE_FUNCTIONS[domain, op]))
        _REGISTERED.add(name)
    return name


def _schema(name: str, function: ShapeFunction) -> onnx.defs.OpSchema:
    """Any number of operands and results of any type; inference asks for no more."""
    schema = onnx.defs.OpSchema
    any_number: dict[str, Any] = {
        "param_option": schema.FormalParameterOption.Variadic,
        "is_homogeneous": False,
        "min_arity": 0,
    }
    made = schema(
        name,
        STAND_IN_DOMAIN,
        1,
        inputs=[schema.FormalParameter("inputs", "T", **any_number)],
        outputs=[schema.FormalParameter("outputs", "T", **any_number)],
        type_constraints=[("T", ["tensor(float)"], "")],
    )
    made.set_type_and_shape_inference_function(lambda context: _infer(context, function))
    return made


def _infer(context: Any, function: ShapeFunction) -> None:
    try:
        results = function(Call(context))
    except (IndexError, TypeError, ValueError, ZeroDivisionError):  # malformed: nothing is known of it
        return
    for position, result in enumerate(results):
        if result is not None and position < context.get_num_outputs() and result[0]:
            context.set_output_type(position, _tensor_type(*result))


def _tensor_type(element: int, shape: Sequence[Dim] | None) -> TypeProto:
    """The type of a tensor; `onnx.helper`, which makes one too, imports numpy."""
    found = TypeProto()
    found.tensor_type.elem_type = element
    if shape is not None:
        found.tensor_type.shape.CopyFrom(TensorShapeProto())
    for size in shape or ():
        dim = found.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        elif size is not None:
            dim.dim_value = size
    return found
