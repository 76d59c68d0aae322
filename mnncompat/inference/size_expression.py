"""Sizes as expressions over the dynamic dimensions of a model: ``past + new``, ``height // 8``, ``2 * n``.

A `Size` is a linear combination of atoms: a dimension by name, or an operation that is not linear (a quotient, a
product of two dimensions, a maximum), which is kept and evaluated when the dimensions are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import gcd, prod


@dataclass(frozen=True, slots=True)
class Operation:
    """What is not linear in its operands.

    Attributes:
        kind: ``div`` (rounded down), ``ceil`` (quotient rounded up), ``mod``, ``mul``, ``max`` or ``min``.
        left: First operand.
        right: Second operand.
    """

    kind: str
    left: Size
    right: Size

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The value for given dimensions.

        Raises:
            ZeroDivisionError: A divisor is zero.
        """
        left, right = self.left.evaluate(sizes), self.right.evaluate(sizes)
        match self.kind:
            case "div":
                return left // right
            case "ceil":
                return -(-left // right)
            case "mod":
                return left % right
            case "mul":
                return left * right
            case "max":
                return max(left, right)
        return min(left, right)


Atom = str | Operation


@dataclass(frozen=True, slots=True)
class Size:
    """A whole number that depends on dynamic dimensions: ``constant + sum(factor * atom)``.

    Attributes:
        constant: What does not depend on any.
        terms: (atom, factor), in a fixed order, no factor of zero.
    """

    constant: int = 0
    terms: tuple[tuple[Atom, int], ...] = ()

    @property
    def number(self) -> int | None:
        """The value if it depends on nothing, else None."""
        return None if self.terms else self.constant

    @property
    def is_linear(self) -> bool:
        """True if every atom is a dimension."""
        return all(isinstance(atom, str) for atom, _ in self.terms)

    def dimensions(self) -> frozenset[str]:
        """Names of the dimensions that the value depends on."""
        return frozenset(_dimensions(self))

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The value for given dimensions.

        Raises:
            KeyError: A dimension is not given.
            ZeroDivisionError: A divisor is zero.
        """
        return self.constant + sum(
            factor * (sizes[atom] if isinstance(atom, str) else atom.evaluate(sizes)) for atom, factor in self.terms
        )

    def __add__(self, other: Size | int) -> Size:
        other = as_size(other)
        if not self.terms or not other.terms:
            return Size(self.constant + other.constant, self.terms or other.terms)
        factors: dict[Atom, int] = dict(self.terms)
        for atom, factor in other.terms:
            factors[atom] = factors.get(atom, 0) + factor
        terms = sorted(((atom, factor) for atom, factor in factors.items() if factor), key=lambda term: str(term[0]))
        return Size(self.constant + other.constant, tuple(terms))

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size | int) -> Size:
        return self + -as_size(other)

    def __mul__(self, other: Size | int) -> Size:
        other = as_size(other)
        for one, two in ((self, other), (other, self)):
            if two.number is not None:
                if two.number == 0:
                    return Size()
                return Size(one.constant * two.number, tuple((atom, factor * two.number) for atom, factor in one.terms))
        return _atom("mul", self, other)

    def __floordiv__(self, other: Size | int) -> Size:
        if self == other:
            return Size(1)
        one, two = reduced(self, as_size(other))
        exact = one._exact(two)
        return exact if exact is not None else _atom("div", one, two)

    def ceil_div(self, other: Size | int) -> Size:
        """The quotient rounded up."""
        exact = self._exact(as_size(other))
        return exact if exact is not None else _atom("ceil", self, as_size(other))

    def _exact(self, other: Size) -> Size | None:
        """The quotient by a number that divides every factor; None if there is none."""
        number = other.number
        if not number or any(part % number for part in (self.constant, *(factor for _, factor in self.terms))):
            return None
        return Size(self.constant // number, tuple((atom, factor // number) for atom, factor in self.terms))

    def __mod__(self, other: Size | int) -> Size:
        return _atom("mod", self, as_size(other))

    def maximum(self, other: Size | int) -> Size:
        """The larger of two."""
        return self if self == as_size(other) else _atom("max", self, as_size(other))

    def minimum(self, other: Size | int) -> Size:
        """The smaller of two."""
        return self if self == as_size(other) else _atom("min", self, as_size(other))

    def substitute(self, name: str, value: Size) -> Size:
        """The expression with a dimension replaced by what it equals."""
        result = Size(self.constant)
        for atom, factor in self.terms:
            if isinstance(atom, str):
                result += (value if atom == name else Size(0, ((atom, 1),))) * factor
            else:
                left, right = atom.left.substitute(name, value), atom.right.substitute(name, value)
                result += operation(atom.kind, left, right) * factor
        return result

    def __str__(self) -> str:
        words = [f"{'' if factor == 1 else f'{factor} * '}{_text(atom)}" for atom, factor in self.terms]
        return " + ".join([*words, *([str(self.constant)] if self.constant or not words else [])]).replace("+ -", "- ")


def dimension(name: str) -> Size:
    """The size of a dynamic dimension."""
    return Size(0, ((name, 1),))


def as_size(value: Size | int) -> Size:
    """A number as a size; a size as it is."""
    return value if isinstance(value, Size) else Size(int(value))


def operation(kind: str, left: Size, right: Size) -> Size:
    """Combine two sizes; simplified where possible. See `Operation.kind`."""
    match kind:
        case "div":
            return left // right
        case "ceil":
            return left.ceil_div(right)
        case "mul":
            return left * right
        case "mod":
            return left % right
        case "max":
            return left.maximum(right)
    return left.minimum(right)


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes: the number of elements of a shape."""
    result = Size(1)
    for size in sizes:
        result *= size
    return result


def reduced(left: Size, right: Size) -> tuple[Size, Size]:
    """Two products without the factors that both have: ``height * width``, 256 of ``4 * height * width``, 1024.

    An equality, a quotient rounded down, and one being a multiple of the other stay what they are, as no size is 0.

    Returns:
        The products; the two sizes as they are if one is a sum.
    """
    one, two = _factors(left), _factors(right)
    if one is None or two is None:
        return left, right
    number = gcd(one[0], two[0])
    shared = one[1] & two[1]
    if number == 1 and not shared:
        return left, right
    return _product_of(one[0] // number, one[1] - shared), _product_of(two[0] // number, two[1] - shared)


def _factors(size: Size) -> tuple[int, Counter[Atom]] | None:
    """The number and the atoms that a product consists of; None for a sum, a negative number and nothing."""
    if not size.terms:
        return (size.constant, Counter()) if size.constant > 0 else None
    (atom, factor), *others = size.terms
    if size.constant or others or factor < 0:
        return None
    if isinstance(atom, str) or atom.kind != "mul":
        return factor, Counter([atom])
    left, right = _factors(atom.left), _factors(atom.right)
    if left is None or right is None:
        return factor, Counter([atom])
    return factor * left[0] * right[0], left[1] + right[1]


def _product_of(number: int, atoms: Counter[Atom]) -> Size:
    return product(Size(0, ((atom, 1),)) for atom in atoms.elements()) * number


def _atom(kind: str, left: Size, right: Size) -> Size:
    found = Operation(kind, left, right)
    if left.number is not None and right.number is not None and (kind == "mul" or right.number):
        return Size(found.evaluate({}))
    return Size(0, ((found, 1),))


def _dimensions(size: Size) -> Iterator[str]:
    for atom, _ in size.terms:
        if isinstance(atom, str):
            yield atom
        else:
            yield from _dimensions(atom.left)
            yield from _dimensions(atom.right)


_SIGNS = {"div": "//", "mod": "%", "mul": "*"}


def _text(atom: Atom) -> str:
    if isinstance(atom, str):
        return atom
    sign = _SIGNS.get(atom.kind)
    if sign is None:
        return f"{atom.kind}({atom.left}, {atom.right})"
    return f"{_enclosed(atom.left)} {sign} {_enclosed(atom.right)}"


def _enclosed(size: Size) -> str:
    text = str(size)
    return f"({text})" if " " in text else text


def elements(shape: Iterable[int]) -> int:
    """Number of elements of a concrete shape."""
    return prod(shape)
