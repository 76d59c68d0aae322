"""Models of one operator that ONNX does not have, in configurations drawn from a seed, and how they are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from evaluation import evaluated
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from rewriting import rewritten

from mnncompat.rewrites.index import rewrite_named

Array = NDArray[Any]
CONTRIB, ML = "com.microsoft", "ai.onnx.ml"
DOUBLE, FLOAT, HALF = TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.FLOAT16
INT32, INT64 = TensorProto.INT32, TensorProto.INT64


@dataclass
class Configuration:
    """One node with its operands.

    Attributes:
        op: Op type.
        inputs: Operands by name, in order; None leaves one out.
        attributes: Those that are None are not stated.
        outputs: Element types of the outputs; 0 leaves one out.
        constants: Operands that are initializers.
        domain: Of the operator.
        opset: Of ONNX's own domain.
        version: Of the operator's domain.
        dynamic: Dimensions of operands by (name, axis) that are declared by a symbol.
        reference: Another model that computes the same, where ONNX Runtime has no kernel.
        valid: Which elements of the first output are compared; all by default.
    """

    op: str
    inputs: dict[str, Array | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[int, ...] = (FLOAT,)
    constants: tuple[str, ...] = ()
    domain: str = CONTRIB
    opset: int = 17
    version: int = 1
    dynamic: dict[tuple[str, int], str] = field(default_factory=dict)
    reference: ModelProto | None = None
    valid: Array | None = None

    def model(self, ranks: Sequence[int] = ()) -> ModelProto:
        """The model; its outputs are declared with these ranks, or without a shape."""
        names = ["" if value is None else name for name, value in self.inputs.items()]
        while names and not names[-1]:
            names.pop()
        results = [f"out{position}" if dtype else "" for position, dtype in enumerate(self.outputs)]
        stated = {name: value for name, value in self.attributes.items() if value is not None}
        given = {name: value for name, value in self.inputs.items() if value is not None}
        graph = helper.make_graph(
            [helper.make_node(self.op, names, results, name="node", domain=self.domain, **stated)],
            "one_node",
            [self._info(name, value) for name, value in given.items() if name not in self.constants],
            [
                helper.make_tensor_value_info(name, dtype, [None] * ranks[position] if ranks else None)
                for position, (name, dtype) in enumerate(
                    each for each in zip(results, self.outputs, strict=True) if each[1]
                )
            ],
            [numpy_helper.from_array(given[name], name) for name in self.constants if name in given],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        if self.domain:
            opsets.append(helper.make_opsetid(self.domain, self.version))
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def feeds(self) -> dict[str, Array]:
        """What to run it with."""
        return {n: v for n, v in self.inputs.items() if v is not None and n not in self.constants}

    def _info(self, name: str, value: Array) -> Any:
        shape = [self.dynamic.get((name, axis), size) for axis, size in enumerate(value.shape)]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), shape)


Draw = Callable[[np.random.Generator], Configuration]


def normal(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> Array:
    """Normal numbers."""
    return np.asarray(rng.normal(0, 1, shape)).astype(dtype)


def pick(rng: np.random.Generator, *values: Any) -> Any:
    """One of the values."""
    return values[int(rng.integers(0, len(values)))]


def maybe(rng: np.random.Generator, value: Array, chance: float = 0.5) -> Array | None:
    """An operand that is sometimes left out."""
    return value if rng.random() < chance else None


def expected(found: Configuration) -> list[Array]:
    """The outputs of ONNX Runtime's own kernel, or of the reference where it has none."""
    model = found.model() if found.reference is None else found.reference
    (values,) = evaluated(model, [found.feeds()])
    return [values[name] for name in (each.name for each in model.graph.output)]


def twin(found: Configuration, right: Sequence[Array]) -> ModelProto:
    """The model after the rewrite alone; asserts that nothing of the operator is left.

    Args:
        found: The configuration.
        right: The right outputs, for their ranks.
    """
    rewrite = rewrite_named("contrib-op-to-onnx")
    assert rewrite is not None
    result = rewritten(rewrite, found.model([each.ndim for each in right]))
    left = [node.op_type for node in result.graph.node if node.domain]
    assert not left, left
    assert all(node.op_type != "SimplifiedLayerNormalization" for node in result.graph.node)
    return result


def assert_same(found: Configuration, reference: list[Array], actual: list[Array]) -> None:
    """Equal up to the rounding of the element type, in terms of the largest element; integers are equal."""
    for position, (right, value) in enumerate(zip(reference, actual, strict=True)):
        assert value.shape == right.shape, f"output {position}: {value.shape}, not {right.shape}"
        assert value.dtype == right.dtype, f"output {position}: {value.dtype}, not {right.dtype}"
        if right.dtype.kind != "f":
            assert np.array_equal(value, right), f"output {position}: {value} not {right}"
            continue
        one, two = right.astype(np.float64), value.astype(np.float64)
        if position == 0 and found.valid is not None:
            one, two = one[found.valid], two[found.valid]
        assert np.array_equal(np.isnan(one), np.isnan(two)), f"output {position}: NaN elsewhere"
        one, two = np.nan_to_num(one), np.nan_to_num(two)
        limit = {2: 4e-3, 4: 2e-5, 8: 1e-9}[right.dtype.itemsize] * max(float(np.abs(one).max(initial=0)), 5e-2)
        apart = float(np.abs(one - two).max(initial=0))
        assert apart <= limit, f"output {position}: {apart} apart, {limit} allowed"
