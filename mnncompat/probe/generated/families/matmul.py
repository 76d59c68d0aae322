"""Matrix products: MatMul, MatMul + Add, Gemm, Einsum."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

Shape = tuple[int, ...]
_MULTIPLIED = {"float32": 88.0, "float16": 7.0, "float64": 2.0, "int32": 2.0, "int64": 1.0}
_BROADCAST_GEMM = 7


@generator("MatMul", weight=110, precision=Precision.ACCUMULATED)
def matmul(sample: Sample) -> None:
    """Linear layers on 2-D to 4-D inputs, attention products, vectors, broadcast batches; with a bias or not."""
    dtype = sample.dtype(_MULTIPLIED)
    left, right = _product_shapes(sample)
    linear = len(right) == 2  # noqa: PLR2004 - a weight
    a = sample.input(sample.normal(left, dtype), "a")
    b = sample.operand(sample.normal(right, dtype), "b", constant=0.85 if linear else 0.15)
    if sample.chance(0.05):
        a, b = b, a
        if not _compatible(right, left):
            sample.resample()
        left, right = right, left
    (y,) = sample.emit(a, b)
    if len(left) > 1 and len(right) > 1 and sample.chance(0.25):
        _bias(sample, y, np.dtype(dtype), np.matmul(np.zeros(left, np.int8), np.zeros(right, np.int8)).shape)


def _product_shapes(sample: Sample) -> tuple[Shape, Shape]:
    m, k, n = sample.dim(), sample.channels(), sample.channels()
    batch, heads = sample.batch(), sample.pick((1, 2, 3, 4))
    return sample.weighted(
        {
            ((batch, k), (k, n)): 4.0,
            ((batch, m, k), (k, n)): 4.0,
            ((batch, heads, m, k), (k, n)): 1.0,
            ((batch, m, k), (batch, k, n)): 2.0,
            ((batch, heads, m, k), (batch, heads, k, n)): 3.0,
            ((batch, heads, m, k), (1, 1, k, n)): 0.5,
            ((batch, 1, m, k), (heads, k, n)): 0.5,
            ((m, k), (batch, k, n)): 0.6,
            ((k,), (k, n)): 0.5,
            ((m, k), (k,)): 0.5,
            ((k,), (k,)): 0.3,
            ((batch, 2, heads, m, k), (batch, 2, heads, k, n)): 0.3,
        }
    )


def _compatible(left: Shape, right: Shape) -> bool:
    return left[-1] == right[-2 if len(right) > 1 else -1]


def _bias(sample: Sample, y: str, dtype: np.dtype[Any], shape: Shape) -> None:
    """Add a bias: a row as in a linear layer; or a mask, a column, a residual of another shape."""
    forms: dict[Shape, float] = {
        shape[-1:]: 8.0,
        (1, shape[-1]): 1.0,
        shape: 1.5,
        (*shape[:-1], 1): 0.7,
        (1,): 0.7,
        (): 0.5,
    }
    chosen = sample.weighted(forms)
    pair = [y, sample.operand(sample.normal(chosen, dtype), "bias", constant=0.85)]
    sample.node("Add", pair[::-1] if sample.chance(0.5) else pair)


@generator("Gemm", weight=110, precision=Precision.ACCUMULATED)
def gemm(sample: Sample) -> None:
    """`transB=1` with constant weights is every exporter's linear layer; then the other combinations."""
    dtype = sample.dtype(_MULTIPLIED)
    m, k, n = sample.batch() if sample.chance(0.6) else sample.dim(), sample.channels(), sample.channels()
    typical = sample.chance(0.55)
    trans_a, trans_b = (0, 1) if typical else (sample.pick((0, 0, 1)), sample.pick((0, 1)))
    attributes: dict[str, Any] = {
        "transA": trans_a or sample.pick((None, 0)),
        "transB": trans_b or sample.pick((None, 0)),
    }
    attributes |= {
        name: value if value != 1.0 else sample.pick((None, 1.0))
        for name in ("alpha", "beta")
        if (value := sample.weighted({1.0: 8.0, 0.5: 1.0, 2.0: 0.3}))
    }
    inputs = [sample.input(sample.normal((k, m) if trans_a else (m, k), dtype), "a")]
    weight = sample.normal((n, k) if trans_b else (k, n), dtype)
    inputs.append(sample.operand(weight, "b", constant=0.85))
    if sample.version < 11 or not sample.chance(0.2):  # noqa: PLR2004 - C is optional since Gemm 11
        forms: dict[Shape, float] = {(n,): 9.0, (m, n): 1.0, (1, n): 0.7, (m, 1): 0.5, (1,): 0.3, (): 0.3}
        chosen = sample.weighted(forms)
        inputs.append(sample.operand(sample.normal(chosen, dtype), "c", constant=0.88))
    sample.emit(*inputs, **attributes)


_EQUATIONS = {
    equation: weight
    for weight, equations in {
        4.0: ("bhid,bhjd->bhij", "bhij,bhjd->bhid"),
        3.0: ("ij,jk->ik", "bij,bjk->bik"),
        2.0: ("bqc,bkc->bqk", "bnd,de->bne", "bchw,bkc->bkhw"),
        1.0: (
            "nctkv,kvw->nctw",
            "nkctv,kvw->nctw",
            "i,j->ij",
            "ij->ji",
            "ij->i",
            "ij,ij->ij",
            "ij,ij->i",
            "bij,bij->b",
            "...ij,...jk->...ik",
            "bhwc,hkc->bhwk",
            "bhwc,wkc->bhwk",
            "ij,kj->ik",
        ),
        0.5: ("ij->", "i,i->", "bmghw,bmchw->bgchw", "ij,jk", "bcij->bcji"),
        0.3: ("ii->i", "bi,ij,bj->b"),
    }.items()
    for equation in equations
}
"""Equations by weight."""


@generator("Einsum", weight=44, precision=Precision.ACCUMULATED)
def einsum(sample: Sample) -> None:
    """Equations from attention, graph and detection models."""
    dtype = sample.dtype({"float32": 90.0, "float16": 6.0, "float64": 2.0, "int32": 2.0})
    equation = sample.weighted(_EQUATIONS)
    sizes: dict[str, int] = {}
    inputs: list[str] = []
    for term in equation.split("->")[0].split(","):
        letters = term.replace("...", "")
        dims = [sizes.setdefault(letter, sample.dim(2, 8)) for letter in letters]
        shape = (2, *dims) if term != letters else tuple(dims)
        values = sample.normal(shape, dtype)
        inputs.append(sample.operand(values, "w", constant=0.3) if inputs else sample.input(values))
    sample.emit(*inputs, equation=equation)


@generator("MatMulInteger", weight=6, precision=Precision.EXACT)
def matmul_integer(sample: Sample) -> None:
    """Dynamic quantisation's product: uint8 activations, int8 or uint8 weights, zero points or none."""
    m, k, n = sample.dim(), sample.dim(), sample.dim()
    kind = sample.pick(("int8", "uint8"))
    inputs = [sample.input(sample.uniform((m, k), 0, 255, "uint8"), "a")]
    inputs.append(sample.initializer(sample.uniform((k, n), 0 if kind == "uint8" else -128, 127, kind), "b"))
    if sample.chance(0.7):
        inputs.append(sample.operand(np.array(sample.integer(0, 200), np.uint8), "a_zero_point", constant=0.5))
        inputs.append(sample.initializer(np.array(0, kind), "b_zero_point"))
    sample.emit(*inputs)
