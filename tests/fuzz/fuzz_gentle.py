"""Mutations that leave a model readable: what is wrong then shows in rules, rewrites and inference, not in the reader.

Most other mutants are refused when they are read. These keep types, counts and data together as far as one part is
concerned, and change how the parts fit: sizes, values, operands, opsets, what is constant and what is not.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from fuzz_mutations import Mutation, attributes, graphs, nodes, tensors, values
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

_SIZES: tuple[Any, ...] = (0, 1, 1, 2, 3, 4, 5, 8, "N", "M", None, -1, 10**6, 2**31, 2**40)
_SMALL = (0, 1, 1, 2, 3, 4, 7, 16, -1, -2, -3, 64, 2**31, 2**63 - 1, -(2**63))
_REALS = (0.0, -1.0, 0.5, 2.0, 1e-30, 3e38, float("inf"), float("nan"))
_OPSETS = (7, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
_KINDS = (*_FLOATS, TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8, TensorProto.BOOL)
_OTHER_KINDS = (*_KINDS, TensorProto.STRING, TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT8E4M3FN)
_MOST = 5000
"""Elements of a tensor that is written anew."""
_PEERS = (
    ("Add", "Sub", "Mul", "Div", "Pow", "Mod", "And", "Equal", "Less", "BitShift", "PRelu"),
    ("Relu", "Abs", "Not", "Erf", "Softmax", "Hardmax", "Gelu", "IsInf", "Det", "NonZero"),
    ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp", "ArgMax", "CumSum", "Unsqueeze", "Squeeze"),
    ("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "Conv", "ConvTranspose", "ConvInteger", "DeformConv"),
    ("MatMul", "MatMulInteger", "Gemm", "LSTM", "GRU", "RNN", "Attention", "LayerNormalization", "GroupNormalization"),
    ("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "Compress", "OneHot", "TopK", "Unique"),
    ("Reshape", "Expand", "Tile", "Concat", "Split", "Slice", "Pad", "Transpose", "Resize", "Trilu", "Range"),
    ("QuantizeLinear", "DequantizeLinear", "Cast", "CastLike", "BitCast", "EyeLike", "ConstantOfShape", "DFT"),
    ("SequenceConstruct", "SequenceAt", "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement"),
)


def _fresh(kind: int, dims: list[int], name: str, random: Random) -> TensorProto:
    """A tensor of that type and those dimensions, with data that fill them."""
    count = int(np.prod(dims)) if dims else 1
    if kind == TensorProto.STRING:
        texts: list[Any] = [random.choice((b"a", b"", b"1.5", b"\xff")) for _ in range(count)]
        return helper.make_tensor(name, kind, dims, texts)
    numbers = [random.choice(_REALS if kind in _FLOATS else (0, 1, 1, 2, 3, 7)) for _ in range(count)]
    with np.errstate(all="ignore"):
        array = np.array(numbers).astype(helper.tensor_dtype_to_np_dtype(kind)).reshape(dims)
    return numpy_helper.from_array(array, name)


def number_of_an_attribute(model: ModelProto, random: Random) -> None:
    """One number, or one element more or less."""
    item = random.choice(attributes(model))
    if item.type == AttributeProto.INT:
        item.i = random.choice(_SMALL)
    elif item.type == AttributeProto.FLOAT:
        item.f = random.choice(_REALS)
    elif item.type == AttributeProto.INTS:
        changed = [*item.ints] or [1]
        changed[random.randrange(len(changed))] = random.choice(_SMALL)
        item.ints[:] = random.choice((changed, changed, [*item.ints, 1], [*item.ints][:-1]))
    elif item.type == AttributeProto.STRING:
        item.s = random.choice((item.s[:-1], item.s.upper(), b"SAME_LOWER", b"cubic", b"reflect", b"reverse", b"i->i"))


def exchanged_attributes(model: ModelProto, random: Random) -> None:
    """Two attributes of two nodes change places, with or without their names."""
    one, two = random.choice(attributes(model)), random.choice(attributes(model))
    names, kept = (one.name, two.name), AttributeProto.FromString(one.SerializeToString())
    one.CopyFrom(two)
    two.CopyFrom(kept)
    if random.random() < 0.5:
        one.name, two.name = names


def stored_otherwise(model: ModelProto, random: Random) -> None:
    """A tensor of another size, rank or type, with data that fill it."""
    tensor = random.choice(tensors(model))
    dims = [*tensor.dims]
    match random.randrange(5):
        case 0 | 1 if dims:
            dims[random.randrange(len(dims))] = random.choice((0, 1, 2, 3, 5, 8))
        case 2:
            dims.insert(random.choice((0, len(dims))), random.choice((0, 1, 2)))
        case 3 if dims:
            dims.pop(random.randrange(len(dims)))
    while dims and np.prod(dims) > _MOST:
        dims.pop()
    kind = tensor.data_type if random.random() < 0.7 else random.choice(_OTHER_KINDS)
    tensor.CopyFrom(_fresh(kind, dims, tensor.name, random))


def stored_numbers(model: ModelProto, random: Random) -> None:
    """Other elements of a tensor."""
    tensor = random.choice([each for each in tensors(model) if each.data_type in _KINDS])
    array = numpy_helper.to_array(tensor).copy().reshape(-1)
    for _ in range(random.choice((1, 1, 3))):
        number = random.choice(_REALS if tensor.data_type in _FLOATS else _SMALL)
        with np.errstate(all="ignore"):
            array[random.randrange(len(array))] = np.array(number).astype(array.dtype)
    tensor.CopyFrom(numpy_helper.from_array(array.reshape(tuple(tensor.dims)), tensor.name))


def computed_or_stored(model: ModelProto, random: Random) -> None:
    """An initializer becomes an input, an input an initializer, or an initializer a Constant."""
    graph = model.graph
    if graph.input and random.random() < 0.4:
        value = graph.input.pop(random.randrange(len(graph.input)))
        kind = value.type.tensor_type
        dims = [dim.dim_value if 0 < dim.dim_value < 100 else 2 for dim in kind.shape.dim][:4]
        graph.initializer.append(_fresh(kind.elem_type, dims, value.name, random))
        return
    tensor = graph.initializer.pop(random.randrange(len(graph.initializer)))
    if random.random() < 0.5:
        graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    else:
        sizes = [dim if random.random() < 0.7 else random.choice(("A", None)) for dim in tensor.dims]
        graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, sizes))


def declared_sizes(model: ModelProto, random: Random) -> None:
    """One size or one axis of a declared shape, or the shapes of all inputs."""
    if random.random() < 0.2:
        for value in model.graph.input:
            for place, dim in enumerate(value.type.tensor_type.shape.dim):
                dim.dim_param = f"d{place}"
        return
    shape = random.choice(values(model)).type.tensor_type.shape
    if shape.dim and random.random() < 0.7:
        dim, size = random.choice(shape.dim), random.choice(_SIZES)
        dim.Clear()
        if isinstance(size, str):
            dim.dim_param = size
        elif size is not None:
            dim.dim_value = size
    elif shape.dim and random.random() < 0.5:
        shape.dim.pop()
    else:
        shape.dim.add(dim_value=random.choice((0, 1, 2)))


def undeclared(model: ModelProto, random: Random) -> None:  # noqa: ARG001 - a mutation
    """Nothing is declared of results: mutations before this one do not contradict them."""
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def other_operand(model: ModelProto, random: Random) -> None:
    """An operand that is computed before the node, or a new one."""
    graph = random.choice(graphs(model))
    index = random.randrange(len(graph.node))
    node = graph.node[index]
    before = [value.name for value in model.graph.input] + [tensor.name for tensor in graph.initializer]
    before += [name for each in list(graph.node)[:index] for name in each.output if name]
    if random.random() < 0.2:
        dims = [random.choice((0, 1, 2, 3)) for _ in range(random.randrange(4))]
        model.graph.initializer.append(_fresh(random.choice(_OTHER_KINDS), dims, "new", random))
        before = ["new"]
    if node.input and random.random() < 0.8:
        node.input[random.randrange(len(node.input))] = random.choice(before)
    else:
        node.input.append(random.choice(before))


def peer(model: ModelProto, random: Random) -> None:
    """An operator of the same family, or another opset."""
    if random.random() < 0.4:
        model.opset_import[0].version = random.choice(_OPSETS)
        return
    node = random.choice(nodes(model))
    family = next((each for each in _PEERS if node.op_type in each), random.choice(_PEERS))
    node.op_type = random.choice(family)


def through_a_sequence(model: ModelProto, random: Random) -> None:
    """An operand goes into a sequence or an optional, and comes out of it or not."""
    graph = model.graph
    index = random.choice([place for place, node in enumerate(graph.node) if node.input])
    node = graph.node[index]
    place = random.randrange(len(node.input))
    taken = node.input[place]
    node.input[place] = "taken"
    match random.randrange(3):
        case 0:
            graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "first"))
            made = [helper.make_node("SequenceConstruct", [taken], ["held"])]
            made.append(helper.make_node("SequenceAt", ["held", "first"], ["taken"]))
        case 1:
            made = [helper.make_node("Optional", [taken], ["held"])]
            made.append(helper.make_node("OptionalGetElement", ["held"], ["taken"]))
        case _:
            made = [helper.make_node("SequenceConstruct", [taken, taken], ["taken"])]
    for each in reversed(made):
        graph.node.insert(index, each)


def function_around_a_node(model: ModelProto, random: Random) -> None:
    """A node in a local function, its attributes given by the caller or not; sometimes an overload."""
    node = random.choice([each for each in model.graph.node if not any(item.HasField("g") for item in each.attribute)])
    inner = NodeProto.FromString(node.SerializeToString())
    inner.input[:] = [f"a{place}" if name else "" for place, name in enumerate(node.input)]
    inner.output[:] = [f"b{place}" for place in range(len(node.output))]
    names = [item.name for item in inner.attribute]
    if random.random() < 0.5:
        for item in inner.attribute:
            kind, name = item.type, item.name
            item.Clear()
            item.name, item.type, item.ref_attr_name = name, kind, random.choice((name, name, "gone"))
    domain = random.choice(("my", "my", "", "ai.onnx", "com.microsoft"))
    operands = [f"a{place}" for place in range(len(node.input))]
    made = helper.make_function(domain, node.op_type, operands, inner.output, [inner], model.opset_import, names)
    made.overload = node.overload = random.choice(("", "", "other"))
    model.functions.append(made)
    node.domain = domain
    model.opset_import.append(helper.make_opsetid(domain, 1))


def behind_itself(model: ModelProto, random: Random) -> None:
    """The graph a second time, behind one of its outputs."""
    graph = model.graph
    begin, end = random.choice(graph.input).name, random.choice(graph.output).name
    again = GraphProto.FromString(graph.SerializeToString()).node
    made = {name for node in again for name in node.output}
    for node in again:
        node.input[:] = [end if name == begin else f"{name}_2" if name in made else name for name in node.input]
        node.output[:] = [name and f"{name}_2" for name in node.output]
        node.name = node.name and f"{node.name}_2"
    graph.node.extend(again)
    graph.output.append(helper.make_tensor_value_info(f"{end}_2", TensorProto.FLOAT, None))


GENTLE: tuple[Mutation, ...] = (
    *(number_of_an_attribute,) * 4,
    *(stored_otherwise, stored_otherwise, stored_numbers, stored_numbers, declared_sizes, declared_sizes),
    *(other_operand, other_operand, other_operand, computed_or_stored, computed_or_stored, peer, peer),
    *(exchanged_attributes, through_a_sequence, function_around_a_node, behind_itself),
)
