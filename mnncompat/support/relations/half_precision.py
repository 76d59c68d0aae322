"""Relations of nodes whose results in float16 are wrong whatever the values are."""

from __future__ import annotations

from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.operand_conditions import is_used
from mnncompat.support.recurrent_layers import is_loop
from mnncompat.support.relations.recurrent import sequence_has_one_step
from mnncompat.support.relations.registry import relation

_LAYER = (
    "(float[{steps},1,2] x) => (float[{steps},1,1,1] y, float[1,1,1] h) <float[1,3,2] w = {{0, 1, 2, 3, 4, 5}}, "
    "float[1,3,1] r = {{1, 2, 3}}> {{ y, h = GRU<hidden_size=1, linear_before_reset=1>(x, w, r) }}"
)


@relation(holds=_LAYER.format(steps=3), fails=_LAYER.format(steps=1))
def loop_of_recurrent_layer_collects_steps(facts: NodeFacts) -> bool:
    """MNN's converter writes the layer as a loop over several steps, and Y, in which it collects the states, is used.

    Y_h and Y_c are values that the loop carries, which are right.
    """
    sequence = facts.result(0)
    return sequence is not None and is_used(facts, sequence) and is_loop(facts) and not sequence_has_one_step(facts)
