"""Products of matrices, Einsum and Fourier transforms are computed right by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from remedied import assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@QUICK
@given(
    shapes=st.sampled_from(
        [
            ([4], [4]),
            ([2, 4], [4]),
            ([3, 2, 4], [4]),
            ([4], [4, 3]),
            ([3, 1, 2, 4], [3, 4, 5]),
            ([2, 3, 4], [4, 1]),
            ([1, 3, 2, 4], [3, 1, 4, 2]),
        ]
    ),
    dtype=st.sampled_from([np.float32, np.int32, np.int64]),
    constants=st.sampled_from([[], ["a"], ["b"]]),
)
def test_matmul_is_right(prober: Prober, shapes: tuple[list[int], list[int]], dtype: Any, constants: list[str]) -> None:
    model, feeds = one_node(
        "MatMul",
        {"a": random(shapes[0], dtype), "b": random(shapes[1], dtype, seed=1)},
        opset=13,
        constants=constants,
        outputs=[helper.np_dtype_to_tensor_dtype(np.dtype(dtype))],
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    turned=st.tuples(st.booleans(), st.booleans()),
    factors=st.tuples(st.sampled_from([None, 0.5]), st.sampled_from([None, 2.0])),
    addend=st.sampled_from(["none", "full", "row", "column", "one"]),
    constants=st.sampled_from([[], ["b"], ["b", "c"], ["c"]]),
)
def test_gemm_is_right(
    prober: Prober,
    sizes: tuple[int, int, int],
    turned: tuple[bool, bool],
    factors: tuple[float | None, float | None],
    addend: str,
    constants: list[str],
) -> None:
    m, k, n = sizes
    forms = {"full": [m, n], "row": [n], "column": [m, 1], "one": [1]}
    model, feeds = one_node(
        "Gemm",
        {
            "a": random([k, m] if turned[0] else [m, k]),
            "b": random([n, k] if turned[1] else [k, n], seed=1),
            "c": None if addend == "none" else random(forms[addend], seed=2),
        },
        opset=13,
        constants=[name for name in constants if name == "b" or addend != "none"],
        transA=int(turned[0]) or None,
        transB=int(turned[1]) or None,
        alpha=factors[0],
        beta=factors[1],
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    equation=st.sampled_from(
        [
            "ij,jk,kl->il",
            "bij,bjk,bk->bi",
            "ii->i",
            "ii->",
            "iji->j",
            "...ii->...i",
            "ij,ij->",
            "ij,jk",
            "ij->ji",
            "b...i,b...j->b...",
            "iij,jk->ik",
            "ij,jk,ki->",
        ]
    ),
    dtype=st.sampled_from([np.float32, np.int32]),
    size=st.integers(2, 4),
)
def test_einsum_is_right(prober: Prober, equation: str, dtype: Any, size: int) -> None:
    terms = equation.split("->", maxsplit=1)[0].split(",")
    shapes = [[size + (letter == "k") for letter in term.replace("...", "d")] for term in terms]
    model, feeds = one_node(
        "Einsum",
        {f"x{seed}": random(shape, dtype, seed) for seed, shape in enumerate(shapes)},
        opset=12,
        outputs=[helper.np_dtype_to_tensor_dtype(np.dtype(dtype))],
        equation=equation,
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    opset=st.sampled_from([17, 20]),
    length=st.integers(2, 6),
    stated=st.sampled_from([None, 4, 7]),
    last=st.booleans(),
    real=st.booleans(),
    inverse=st.booleans(),
    onesided=st.booleans(),
)
def test_dft_is_right(
    prober: Prober,
    opset: int,
    length: int,
    stated: int | None,
    *,
    last: bool,
    real: bool,
    inverse: bool,
    onesided: bool,
) -> None:
    if inverse and onesided:
        real, stated = False, None if stated is None else 2 * length - 1
    elif onesided:
        real = True
    axis = 2 if last else 1
    shape = [2, 3, length, 1 if real else 2] if last else [2, length, 3, 1 if real else 2]
    operands: dict[str, np.ndarray | None] = {
        "x": random(shape),
        "length": None if stated is None else np.asarray(stated, np.int64),
    }
    if opset > 17:
        operands["axis"] = np.asarray(axis - 4, np.int64)
    model, feeds = one_node(
        "DFT",
        operands,
        opset=opset,
        constants=[name for name in operands if name != "x" and operands[name] is not None],
        outputs=[TensorProto.FLOAT],
        inverse=int(inverse) or None,
        onesided=int(onesided) or None,
        axis=axis if opset == 17 else None,
    )
    assert assert_remedied(model, prober, feeds) >= {"dft-as-matmul"}
