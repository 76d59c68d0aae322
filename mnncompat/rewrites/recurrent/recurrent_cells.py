"""One step of RNN, GRU and LSTM, emitted as the operators that ONNX defines it by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

Activation = Callable[["Value"], "Value"]
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
# Names of ONNX's activations in lower case -> op type and defaults of alpha and beta (None: it has none).
_FORMS: dict[str, tuple[str, float | None, float | None]] = {
    "relu": ("Relu", None, None),
    "tanh": ("Tanh", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "softsign": ("Softsign", None, None),
    "softplus": ("Softplus", None, None),
    "elu": ("Elu", 1.0, None),
    "leakyrelu": ("LeakyRelu", 0.01, None),
    "thresholdedrelu": ("ThresholdedRelu", 1.0, None),
    "hardsigmoid": ("HardSigmoid", 0.2, 0.5),
    "affine": ("", 1.0, 0.0),
    "scaledtanh": ("Tanh", 1.0, 1.0),
}
_STATED = ("affine", "scaledtanh")


class Weights(NamedTuple):
    """The weights of a cell of one direction; n gates of size h.

    Attributes:
        recurrent: (h, n * h), the transpose of R.
        bias: (n * h,) of the recurrence, None if it is zero.
        peepholes: Of the input, output and forget gates, (h,) each; empty if there are none.
        product: The product of a state and the recurrent weights, where it is not that of matrices of floats.
    """

    recurrent: Value
    bias: Value | None
    peepholes: Sequence[Value]
    product: Callable[[Value], Value] | None = None


def require_sizes(node: NodeFacts, new: SubgraphBuilder, directions: int) -> None:
    """Check that weights, bias and peepholes are of the sizes that ONNX defines, as far as theirs are known.

    Args:
        node: The node.
        new: Its operands.
        directions: How many there are.

    Raises:
        NotApplicable: One has other sizes.
    """
    gates, size = GATES[node.node.op_type], new.input(2).dim(2)
    wanted = {1: (gates * size, None), 2: (gates * size, size), 3: (2 * gates * size,), 7: (3 * size,)}
    for position, sizes in wanted.items():
        if not new.has(position):
            continue
        dims = new.input(position).dims
        pairs = zip(dims, (directions, *sizes), strict=False)
        if len(dims) != 1 + len(sizes) or any(isinstance(a, int) and b is not None and a != b for a, b in pairs):
            raise NotApplicable(f"operand {position} has the shape {list(dims)}, which ONNX does not allow")


class Cell:
    """The cell of one direction.

    Args:
        node: The node.
        new: Where to emit nodes.
        direction: Number of the direction.
        directions: How many there are.
        weights: Of this direction.

    Raises:
        NotApplicable: An activation is not ONNX's.
    """

    def __init__(
        self, node: NodeFacts, new: SubgraphBuilder, direction: int, directions: int, weights: Weights
    ) -> None:
        self._new = new
        self._op = kind_of(node)
        self._weights = weights
        self._clip: float | None = node.attribute("clip")
        self._couples = bool(node.attribute("input_forget"))
        self._resets_after = bool(node.attribute("linear_before_reset"))
        count = len(_DEFAULTS[self._op])
        functions = activations(node, new, directions)
        self._functions = functions[direction * count : (direction + 1) * count]

    def step(self, gates: Value, state: Sequence[Value]) -> list[Value]:
        """The next state.

        Args:
            gates: Contribution of the input, (batch, n * h), including the bias of the input.
            state: The last output, and for LSTM the last cell; (batch or 1, h).
        """
        if self._op == "LSTM":
            return self._lstm(gates, state[0], state[1])
        return [self._gru(gates, state[0]) if self._op == "GRU" else self._rnn(gates, state[0])]

    def _rnn(self, gates: Value, last: Value) -> Value:
        return self._act(0, self._biased(gates + last @ self._weights.recurrent))

    def _gru(self, gates: Value, last: Value) -> Value:
        new, size = self._new, last.dim(-1)
        of_input = new.split(gates, [2 * size, size], 1)
        if self._resets_after:
            of_last = new.split(self._biased(last @ self._weights.recurrent), [2 * size, size], 1)
            update, reset = new.split(self._act(0, of_input[0] + of_last[0]), [size, size], 1)
            hidden = self._act(1, of_input[1] + reset * of_last[1])
        else:
            both, alone = self._parts(self._weights.recurrent, [2 * size, size])
            biases = self._parts(self._weights.bias, [2 * size, size]) if self._weights.bias is not None else []
            first = of_input[0] + last @ both
            update, reset = new.split(self._act(0, first + biases[0] if biases else first), [size, size], 1)
            second = of_input[1] + (reset * last) @ alone
            hidden = self._act(1, second + biases[1] if biases else second)
        return hidden + update * (last - hidden)

    def _lstm(self, gates: Value, last: Value, cell: Value) -> list[Value]:
        size = last.dim(-1)
        product = self._weights.product
        recurrence = last @ self._weights.recurrent if product is None else product(last)
        parts = self._new.split(self._biased(gates + recurrence), [size] * 4, 1)
        of_input, of_output, of_forget, of_cell = parts
        peepholes = self._weights.peepholes
        if peepholes:
            of_input, of_forget = of_input + peepholes[0] * cell, of_forget + peepholes[2] * cell
        enters = self._act(0, of_input)
        stays = 1.0 - enters if self._couples else self._act(0, of_forget)
        cell = stays * cell + enters * self._act(1, of_cell)
        if peepholes:
            of_output = of_output + peepholes[1] * cell
        return [self._act(0, of_output) * self._functions[2](cell), cell]

    def _biased(self, value: Value) -> Value:
        return value if self._weights.bias is None else value + self._weights.bias

    def _parts(self, value: Value, sizes: Sequence[int]) -> list[Value]:
        """Parts of weights along their last axis; parts of a constant are constants."""
        constant, axis = value.constant, value.rank - 1
        if constant is None:
            return self._new.split(value, sizes, axis)
        ends = [sum(sizes[: each + 1]) for each in range(len(sizes))]
        return [
            self._new.constant(constant[..., end - size : end].copy()) for end, size in zip(ends, sizes, strict=True)
        ]

    def _act(self, position: int, value: Value) -> Value:
        if self._clip:
            value = self._new.clip(value, -self._clip, self._clip)
        return self._functions[position](value)


def kind_of(node: NodeFacts) -> str:
    """RNN, GRU or LSTM; variants of these end in the name."""
    return next((each for each in GATES if node.node.op_type.endswith(each)), node.node.op_type)


def activations(node: NodeFacts, new: SubgraphBuilder, directions: int) -> list[Activation]:
    """The activations of all directions, in order, with the alphas and betas that they take.

    Raises:
        NotApplicable: One is not ONNX's, or lacks numbers that have no default.
    """
    default = _DEFAULTS[kind_of(node)] * directions
    names = node.attribute("activations") if node.given("activations") else default
    alphas, betas = (list(node.attribute(name) or ()) for name in ("activation_alpha", "activation_beta"))
    if len(names) < len(default):
        raise NotApplicable(f"{len(names)} activations are stated for {len(default)}")
    return [_activation(new, name, alphas, betas) for name in names]


def _activation(new: SubgraphBuilder, name: str, alphas: list[float], betas: list[float]) -> Activation:
    form = _FORMS.get(name.lower())
    if form is None:
        raise NotApplicable(f"the activation '{name}' is none of ONNX's")
    op, alpha, beta = form
    stated = bool(alphas and betas)
    if alpha is not None:
        alpha = alphas.pop(0) if alphas else alpha
    if beta is not None:
        beta = betas.pop(0) if betas else beta
    kind = name.lower()
    if kind in _STATED and not stated:
        raise NotApplicable(f"alpha and beta of the activation '{name}' are not stated, and have no default")
    if kind == "affine":
        return lambda value: value * (alpha or 0.0) + (beta or 0.0)
    if kind == "scaledtanh":
        return lambda value: new.op("Tanh", value * (beta or 0.0)) * (alpha or 0.0)
    return lambda value: new.op(op, value, alpha=alpha, beta=beta)
