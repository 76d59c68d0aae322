"""Sizes as expressions: arithmetic agrees with numbers, and linear forms stay linear."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mnncompat.inference.size_expression import Size, dimension, product, reduced

N, M = dimension("n"), dimension("m")
SIZES = st.fixed_dictionaries({"n": st.integers(1, 50), "m": st.integers(1, 50)})


@given(SIZES, st.integers(1, 9), st.integers(-20, 20))
def test_arithmetic_agrees_with_numbers(sizes: dict[str, int], factor: int, summand: int) -> None:
    n, m = sizes["n"], sizes["m"]
    found = {
        N * factor + summand: n * factor + summand,
        (N - M) * factor: (n - m) * factor,
        N * M: n * m,
        (N + summand) // factor: (n + summand) // factor,
        (N * factor + summand).ceil_div(factor): -(-(n * factor + summand) // factor),
        N % factor: n % factor,
        N.maximum(M): max(n, m),
        N.minimum(summand): min(n, summand),
        product([N, M, Size(3)]): 3 * n * m,
    }
    assert {size: size.evaluate(sizes) for size in found} == found


@given(SIZES, st.integers(0, 5))
def test_a_dimension_is_replaced_wherever_it_stands(sizes: dict[str, int], summand: int) -> None:
    whole = (N * M + N) // 3
    replaced = whole.substitute("n", M + summand)
    assert replaced.dimensions() == {"m"}
    assert replaced.evaluate(sizes) == whole.evaluate(sizes | {"n": sizes["m"] + summand})


def test_what_is_divided_exactly_stays_linear() -> None:
    assert (N * 6 + 4) // 2 == N * 3 + 2
    assert (N * 6).ceil_div(3) == N * 2
    assert ((N * 6 + 4) // 2).is_linear
    assert not ((N + 1) // 2).is_linear
    assert Size(0) == N - N
    assert (N * 0).number == 0


@given(SIZES, st.integers(1, 6), st.integers(1, 6))
def test_common_factors_change_no_statement(sizes: dict[str, int], one: int, two: int) -> None:
    left, right = N * M * (one * 2), M * (two * 2)
    less, fewer = reduced(left, right)
    whole, part = left.evaluate(sizes), right.evaluate(sizes)
    short, shorter = less.evaluate(sizes), fewer.evaluate(sizes)
    assert (whole == part) == (short == shorter)
    assert (whole % part == 0) == (short % shorter == 0)
    assert (left // right).evaluate(sizes) == whole // part
    assert "m" not in less.dimensions() | fewer.dimensions()


def test_products_lose_their_common_factors_and_sums_do_not() -> None:
    assert reduced(N * 4 * M, Size(1024)) == (N * M, Size(256))
    assert reduced(N * M * 60, N * 420) == (M, Size(7))
    assert (N * M) // (N * 2) == M // 2
    assert reduced(N + M, N * 2) == (N + M, N * 2)
    assert reduced(N * 2, Size(0)) == (N * 2, Size(0))


def test_expressions_read_well() -> None:
    assert str(N + M) == "m + n"
    assert str(N * 2 - 1) == "2 * n - 1"
    assert str((N + 1) // 2) == "(n + 1) // 2"
    assert str(Size(7)) == "7"
