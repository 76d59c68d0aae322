"""Mutations that know what a model is made of. Each changes a model in place; what does not apply does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Mutation = Callable[[ModelProto, Random], None]

NUMBERS = (
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    255,
    4096,
    10**6,
    10**9,
    2**31 - 1,
    2**31,
    -(2**31),
    2**40,
    2**62,
    2**63 - 1,
    -(2**63),
)
REALS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 3e38, float("inf"), float("-inf"), float("nan"))
NAMES = ("", "x", "y", "a b", "x\n::error file=a,line=1::pwned", "\x1b[31mred", "é" * 300, "n" * 5000, "../x", "%s%n{}")
LOCATIONS = (
    "gone.bin",
    "/etc/passwd",
    "../x",
    "a\0b",
    "n" * 300,
    "",
    ".",
    "dir/../../x",
    "C:\\x",
    "loop",
    "model.onnx",
)
_KINDS: list[Any] = list(AttributeProto.AttributeType.values())
TYPES = (0, 1, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 22, 23, 24, 25, 77, 2**31 - 1, -1)
OPSETS = (0, -1, 1, 6, 9, 12, 13, 17, 22, 99, 2**31, 2**40, 2**63 - 1, -(2**63))


def graphs(model: ModelProto) -> list[GraphProto]:
    """The main graph and those that nodes hold, as far down as three levels."""
    found = [model.graph]
    for _ in range(3):
        inner = (a.g for graph in found for node in graph.node for a in node.attribute if a.HasField("g"))
        found += [graph for graph in inner if not any(graph is each for each in found)]
    return found


def nodes(model: ModelProto) -> list[NodeProto]:
    """Every node, those of functions included."""
    return [n for g in graphs(model) for n in g.node] + [n for f in model.functions for n in f.node]


def tensors(model: ModelProto) -> list[TensorProto]:
    """Every stored tensor."""
    found = [tensor for graph in graphs(model) for tensor in graph.initializer]
    found += [each for graph in graphs(model) for s in graph.sparse_initializer for each in (s.values, s.indices)]
    return found + [a.t for node in nodes(model) for a in node.attribute if a.HasField("t")]


def values(model: ModelProto) -> list[ValueInfoProto]:
    """Every declared value."""
    return [value for g in graphs(model) for value in (*g.input, *g.output, *g.value_info)]


def attributes(model: ModelProto) -> list[AttributeProto]:
    """Every attribute."""
    return [attribute for node in nodes(model) for attribute in node.attribute]


def _names(model: ModelProto) -> list[str]:
    return [name for node in nodes(model) for name in (*node.input, *node.output)] or ["x"]


def node_operands(model: ModelProto, random: Random) -> None:
    """Operands and results: dropped, repeated, emptied, exchanged, invented."""
    node = random.choice(nodes(model))
    names = node.input if random.random() < 0.6 else node.output
    match random.randrange(6):
        case 0:
            del names[:]
        case 1:
            names.extend([random.choice(_names(model))] * random.choice((1, 2, 40)))
        case 2 if names:
            names[random.randrange(len(names))] = ""
        case 3 if names:
            names[random.randrange(len(names))] = random.choice(_names(model))
        case 4 if names:
            names.pop(random.randrange(len(names)))
        case _:
            names.append(random.choice(NAMES))


def node_kind(model: ModelProto, random: Random) -> None:
    """Another operator, domain or name."""
    node = random.choice(nodes(model))
    match random.randrange(3):
        case 0:
            schemas = onnx.defs.get_all_schemas()
            node.op_type = random.choice([*(schema.name for schema in schemas), *NAMES])
        case 1:
            node.domain = random.choice(("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "my", *NAMES))
        case _:
            node.name = random.choice((*NAMES, *(each.name for each in nodes(model))))


def node_order(model: ModelProto, random: Random) -> None:
    """Nodes deleted, repeated, moved."""
    graph = random.choice(graphs(model))
    index = random.randrange(len(graph.node))
    match random.randrange(3):
        case 0:
            del graph.node[index]
        case 1:
            graph.node.append(graph.node[index])
        case _:
            shuffled = [NodeProto.FromString(node.SerializeToString()) for node in graph.node]
            random.shuffle(shuffled)
            del graph.node[:]
            graph.node.extend(shuffled)


def _any_attribute(name: str, random: Random, graph: GraphProto) -> AttributeProto:
    value = random.choice(
        (
            random.choice(NUMBERS),
            random.choice(REALS),
            random.choice(NAMES),
            [random.choice(NUMBERS) for _ in range(random.choice((1, 2, 4, 9)))],
            [random.choice(REALS) for _ in range(3)],
            ["a", "b"],
            numpy_helper.from_array(np.zeros((2, 0, 3), np.float32)),
            numpy_helper.from_array(np.array(["a", "b"], dtype=object)),
            graph,
            helper.make_tensor_type_proto(1, [2, 3]),
        )
    )
    return helper.make_attribute(name, value)


def attribute_value(model: ModelProto, random: Random) -> None:
    """Another value of the same kind, often an extreme one."""
    item = random.choice(attributes(model))
    item.i = random.choice(NUMBERS) if item.HasField("i") else item.i
    item.f = random.choice(REALS) if item.HasField("f") else item.f
    if item.HasField("s"):
        item.s = random.choice((b"", b"\xff\xfe", b"NOTSET", b"SAME_UPPER", b"linear", b"...i,ij->", b"x" * 3000))
    if item.ints:
        changed = list(item.ints)
        changed[random.randrange(len(changed))] = random.choice(NUMBERS)
        item.ints[:] = random.choice((changed, changed[:-1], changed * 2, []))
    if item.strings:
        item.strings[:] = random.choice(([], [b"\xff"], [*item.strings, b"Nope"], [*item.strings][:-1]))


def attribute_kind(model: ModelProto, random: Random) -> None:
    """Another kind: a wrong type field, a consistent attribute of a wrong type; dropped, doubled or a reference."""
    node = random.choice([node for node in nodes(model) if node.attribute])
    index = random.randrange(len(node.attribute))
    item = node.attribute[index]
    match random.randrange(6):
        case 0:
            item.type = random.choice(_KINDS)
        case 1 | 2:
            item.CopyFrom(_any_attribute(item.name, random, model.graph))
        case 3:
            del node.attribute[index]
        case 4:
            node.attribute.append(item)
        case _:
            item.ref_attr_name = "q"


def attribute_added(model: ModelProto, random: Random) -> None:
    """An attribute that another operator has, of any kind."""
    names = ("axis", "axes", "pads", "to", "perm", "value", "mode", "shape", "body", "then_branch", "group", "strides")
    node = random.choice(nodes(model))
    node.attribute.append(_any_attribute(random.choice((*names, *NAMES)), random, model.graph))


def tensor_dims(model: ModelProto, random: Random) -> None:
    """Dimensions that do not match the data."""
    tensor = random.choice(tensors(model))
    dims = [*tensor.dims] or [1]
    dims[random.randrange(len(dims))] = random.choice(NUMBERS)
    tensor.dims[:] = random.choice((dims, dims[:-1], dims * 2, [], [2**20] * 4, [0, 2**62, 2**62], [1] * 80))


def tensor_data(model: ModelProto, random: Random) -> None:
    """Data that do not match the dimensions or the type."""
    tensor = random.choice(tensors(model))
    match random.randrange(5):
        case 0:
            tensor.data_type = random.choice(TYPES)
        case 1:
            tensor.raw_data = tensor.raw_data[:-1] if random.random() < 0.5 else tensor.raw_data + b"\x80"
        case 2:
            tensor.ClearField("raw_data")
        case 3:
            tensor.int32_data.extend([1, -5])
            tensor.string_data.append(b"\xff")
        case _:
            array = np.full([min(max(dim, 0), 9) for dim in tensor.dims[:4]], random.choice(NUMBERS), np.int64)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def external(model: ModelProto, random: Random) -> None:
    """A tensor said to be in a file."""
    tensor = random.choice(tensors(model))
    tensor.data_location = TensorProto.EXTERNAL
    if random.random() < 0.5:
        tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value=random.choice(LOCATIONS))
    for key in ("offset", "length", "checksum"):
        if random.random() < 0.4:
            tensor.external_data.add(key=key, value=random.choice((*map(str, NUMBERS), "", "x", "1e9", "9" * 5000)))


def declared(model: ModelProto, random: Random) -> None:
    """Declared types and shapes."""
    value = random.choice(values(model))
    tensor = value.type.tensor_type
    match random.randrange(6):
        case 0:
            tensor.elem_type = random.choice(TYPES)
        case 1 if tensor.shape.dim:
            random.choice(tensor.shape.dim).dim_value = random.choice(NUMBERS)
        case 2 if tensor.shape.dim:
            random.choice(tensor.shape.dim).dim_param = random.choice(NAMES)
        case 3:
            tensor.ClearField("shape")
        case 4:
            value.ClearField("type")
        case _:
            kind = helper.make_tensor_type_proto(random.choice((1, 7, 77)), [2, None, "n"])
            others = (helper.make_sequence_type_proto(kind), helper.make_optional_type_proto(kind))
            value.type.CopyFrom(random.choice((*others, helper.make_sparse_tensor_type_proto(1, [2, 3]))))


def value_names(model: ModelProto, random: Random) -> None:
    """Names of inputs, outputs, initializers and graphs."""
    graph = random.choice(graphs(model))
    named: list[Any] = [*graph.input, *graph.output, *graph.initializer, *graph.value_info, graph]
    random.choice(named).name = random.choice((*NAMES, *_names(model)))


def value_list(model: ModelProto, random: Random) -> None:
    """Inputs, outputs, initializers: dropped or repeated."""
    graph = random.choice(graphs(model))
    listed: Any = random.choice(
        [each for each in (graph.input, graph.output, graph.initializer, graph.value_info) if each]
    )
    if random.random() < 0.5:
        del listed[random.randrange(len(listed))]
    else:
        listed.add().CopyFrom(random.choice(listed))


def opsets(model: ModelProto, random: Random) -> None:
    """Opset imports and the IR version."""
    match random.randrange(4):
        case 0:
            model.opset_import[0].version = random.choice(OPSETS)
        case 1:
            domain = random.choice(("", "ai.onnx", "ai.onnx.ml", "com.microsoft", *NAMES))
            model.opset_import.add(domain=domain, version=random.choice(OPSETS))
        case 2:
            del model.opset_import[0]
        case _:
            model.ir_version = random.choice(NUMBERS)


def functions(model: ModelProto, random: Random) -> None:
    """Local functions: recursive, nested, doubled, empty, and named as operators."""
    called = random.choice(nodes(model))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    depth = random.choice((1, 2, 31))
    for level in range(depth):
        inner = helper.make_node(f"F{level + 1}", ["a"], ["b"], domain="my")
        twice = helper.make_node(f"F{level + 1}", ["b"], ["c"], domain="my")
        model.functions.append(helper.make_function("my", f"F{level}", ["a"], ["c"], [inner, twice], imports))
    last = [helper.make_node(random.choice(("F0", "Relu", "F1")), ["a"], ["c"], domain=random.choice(("my", "")))]
    model.functions.append(helper.make_function("my", f"F{depth}", ["a"], ["c"], last, imports))
    if random.random() < 0.2:
        model.functions.append(model.functions[0])
    if random.random() < 0.8:
        called.domain, called.op_type = "my", "F0"
        model.opset_import.append(helper.make_opsetid("my", 1))
        del called.input[1:], called.output[1:], called.attribute[:]


def nested(model: ModelProto, random: Random) -> None:
    """The model as a branch of an If or the body of a Loop, one or many levels deep."""
    for _ in range(random.choice((1, 1, 2, 12))):
        body = GraphProto()
        body.CopyFrom(model.graph)
        del body.input[:]
        results = [f"{each.name}_n" for each in body.output]
        condition = numpy_helper.from_array(np.array(random.random() < 0.5), "condition")
        if random.random() < 0.7:
            outer = helper.make_node("If", ["condition"], results, then_branch=body, else_branch=body)
        else:
            trips = numpy_helper.from_array(np.array(random.choice(NUMBERS), np.int64), "trips")
            outer = helper.make_node("Loop", ["trips", "condition"], results, body=body)
            model.graph.initializer.append(trips)
        del model.graph.node[:]
        model.graph.initializer.append(condition)
        model.graph.node.append(outer)
        for each, name in zip(model.graph.output, results, strict=True):
            each.name = name


def bomb(model: ModelProto, random: Random) -> None:
    """A node whose result is enormous, in front of an output or beside everything."""
    size = random.choice((10**8, 10**9, 10**10, 2**40, 2**62, 2**63 - 1))
    big = [size] if random.random() < 0.5 else [2**16, 2**16, 3]
    made = dict(_bombs(size, big))
    op = random.choice(sorted(made))
    operands, attributes = made[op]
    names = []
    for position, array in enumerate(operands):
        names.append(f"bomb_{position}" if array is not None else "")
        if array is not None:
            model.graph.initializer.append(numpy_helper.from_array(array, names[-1]))
    node = helper.make_node(op, names, ["bomb"], name="bomb", **attributes)
    model.graph.node.insert(0, node)
    if random.random() < 0.7:
        model.graph.node.append(helper.make_node(random.choice(("Identity", "Shape", "Neg")), ["bomb"], ["exploded"]))
        model.graph.output.append(helper.make_tensor_value_info("exploded", random.choice((1, 7)), None))


def _bombs(size: int, big: list[int]) -> Iterator[tuple[str, tuple[list[np.ndarray | None], dict[str, Any]]]]:
    one, ints = np.ones((1,), np.float32), np.array(big, np.int64)
    scalar = np.array(size, np.int64)
    image = np.ones((1, 1, 2, 2), np.float32)
    yield "Expand", ([one, ints], {})
    yield "ConstantOfShape", ([ints], {})
    yield "Range", ([np.array(0, np.int64), scalar, np.array(1, np.int64)], {})
    yield "Tile", ([np.ones([1] * len(big), np.float32), ints], {})
    yield "Pad", ([one, np.array([0, size], np.int64)], {})
    yield "Resize", ([image, None, None, np.array([1, 1, 2**15, min(size, 2**20)], np.int64)], {})
    yield "OneHot", ([np.array([0, 1], np.int64), scalar, np.array([0, 1], np.float32)], {})
    yield "HannWindow", ([scalar], {})
    yield "EyeLike", ([np.zeros((2**14, 2**10), np.uint8)[:2, :2]], {"k": size})


def repeated_concat(model: ModelProto, random: Random) -> None:
    """A chain that doubles a value, or a long one that keeps it."""
    op, count = random.choice((("Concat", 45), ("Concat", 25), ("Add", 2000)))
    seed = numpy_helper.from_array(np.arange(2, dtype=np.int64), "chain_0")
    model.graph.initializer.append(seed)
    attributes: dict[str, Any] = {"axis": 0} if op == "Concat" else {}
    for step in range(count):
        operands = [f"chain_{step}"] * 2
        model.graph.node.append(helper.make_node(op, operands, [f"chain_{step + 1}"], **attributes))
    model.graph.output.append(helper.make_tensor_value_info(f"chain_{count}", 7, None))


MUTATIONS: tuple[Mutation, ...] = (
    *(node_operands, node_operands, node_kind, node_order, attribute_value, attribute_value, attribute_kind),
    *(attribute_kind, attribute_added, tensor_dims, tensor_data, tensor_data, external, declared, declared),
    *(value_names, value_list, opsets, functions, nested, bomb, repeated_concat),
)
