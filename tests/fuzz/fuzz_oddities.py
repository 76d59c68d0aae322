"""Mutations with parts of the format that exporters hardly use: sparse tensors, shadowing functions, metadata."""

from __future__ import annotations

from random import Random

import numpy as np
from fuzz_mutations import LOCATIONS, NAMES, NUMBERS, Mutation, nodes, tensors, values
from onnx import AttributeProto, GraphProto, ModelProto, SparseTensorProto, TensorProto, helper, numpy_helper

_INDICES: tuple[list[int] | list[list[int]], ...] = ([0, 2, 5], [5, 2, 0], [-1, 0, 1], [[0, 0], [0, 1], [1, 2]], [])
_SYMBOLS = ("", "N", "a*b", "floor(x/2)", "-1", "?", "N" * 1000, "2**99999999", "((((", "(N-1)//0", "x\n", "\x1b[31m")


def sparse(model: ModelProto, random: Random) -> None:
    """A sparse tensor as initializer, in place of one, or in an attribute; its indices may lie outside."""
    name = random.choice([*(tensor.name for tensor in model.graph.initializer), "sparse"])
    stored = numpy_helper.from_array(np.array([random.choice(NUMBERS) % 1000] * 3, np.float32), name)
    indices = numpy_helper.from_array(np.array(random.choice(_INDICES), np.int64), "indices")
    made = SparseTensorProto(values=stored, indices=indices, dims=random.choice(([10], [2, 3], [0], [-1], [2**40] * 2)))
    if random.random() < 0.2:
        made.values.data_location = TensorProto.EXTERNAL
        made.values.external_data.add(key="location", value=random.choice(LOCATIONS))
    if random.random() < 0.5:
        model.graph.sparse_initializer.append(made)
        return
    item = random.choice(nodes(model)).attribute.add(name=random.choice(("sparse_value", "value", "x")))
    item.type = AttributeProto.SPARSE_TENSOR
    item.sparse_tensor.CopyFrom(made)


def stored_oddly(model: ModelProto, random: Random) -> None:
    """Segments, strings that are no text, a name that is another one's, very many axes."""
    tensor = random.choice(tensors(model))
    match random.randrange(4):
        case 0:
            tensor.segment.end = random.choice((1, -1, 2**40))
        case 1:
            tensor.data_type = TensorProto.STRING
            tensor.ClearField("raw_data")
            tensor.string_data.extend([b"\xff", b"a\0", b"x" * 10_000])
        case 2:
            tensor.name = random.choice(tensors(model)).name
        case _:
            tensor.dims.extend([1] * random.choice((1, 8, 61, 64, 1000)))


def shadowing_function(model: ModelProto, random: Random) -> None:
    """A local function with the name of an operator that the model uses, sometimes calling itself."""
    node = random.choice(nodes(model))
    inputs = [f"a{position}" for position in range(len(node.input))]
    outputs = [f"b{position}" for position in range(len(node.output))]
    body = [helper.make_node("Identity", inputs[:1] or [""], [each]) for each in outputs]
    if random.random() < 0.3:
        body = [helper.make_node(node.op_type, inputs, outputs, domain=node.domain)]
    if body and random.random() < 0.3:
        body[0].attribute.add(name="axis", type=AttributeProto.INT, ref_attr_name=random.choice(("axis", "gone")))
    domain = random.choice((node.domain, node.domain, "", "ai.onnx", "com.microsoft"))
    imports = [helper.make_opsetid("", random.choice((13, 17, 21)))]
    names = [item.name for item in node.attribute] if random.random() < 0.5 else []
    model.functions.append(helper.make_function(domain, node.op_type, inputs, outputs, body, imports, names))


def annotated(model: ModelProto, random: Random) -> None:
    """Metadata, quantization annotations, training graphs: nothing that the model computes with."""
    match random.randrange(3):
        case 0:
            for _ in range(random.choice((1, 500))):
                model.metadata_props.add(key=random.choice(NAMES), value=random.choice(NAMES))
            model.producer_name, model.doc_string = random.choice(NAMES), "\x1b[2J\0"
        case 1:
            annotation = model.graph.quantization_annotation.add(tensor_name=random.choice(("x", "gone", "")))
            annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value=random.choice(NAMES))
        case _:
            training = model.training_info.add()
            training.algorithm.CopyFrom(model.graph)
            for tensor in training.algorithm.initializer:
                tensor.data_location = TensorProto.EXTERNAL
                tensor.external_data.add(key="location", value=random.choice(LOCATIONS))


def symbols(model: ModelProto, random: Random) -> None:
    """Declared dimensions: huge, negative, and symbols that look like expressions."""
    kind = random.choice(values(model)).type.tensor_type
    kind.elem_type = kind.elem_type or TensorProto.FLOAT
    del kind.shape.dim[:]
    for _ in range(random.choice((1, 4, 70, 1000))):
        dim = kind.shape.dim.add()
        if random.random() < 0.5:
            dim.dim_value = random.choice(NUMBERS)
        else:
            dim.dim_param = random.choice(_SYMBOLS)


def graph_in_attribute(model: ModelProto, random: Random) -> None:
    """The whole model, without its inputs, outputs or nodes, as an attribute of one of its nodes."""
    body = GraphProto.FromString(model.graph.SerializeToString())
    body.ClearField(random.choice(("node", "output", "input", "initializer")))
    node = random.choice(nodes(model))
    name = random.choice(("then_branch", "else_branch", "body", "pads", "value"))
    node.attribute.append(helper.make_attribute(name, [body, body] if random.random() < 0.3 else body))
    node.op_type = random.choice((node.op_type, "If", "Loop", "Scan", "SequenceMap"))


def wide(model: ModelProto, random: Random) -> None:
    """Thousands of inputs, operands, attributes or readers."""
    count = random.choice((300, 3000))
    name = random.choice([*(value.name for value in model.graph.input), "x"])
    match random.randrange(4):
        case 0:
            model.graph.input.extend(helper.make_tensor_value_info(f"wide{i}", 1, ["N", i % 3]) for i in range(count))
        case 1:
            model.graph.node.append(helper.make_node("Concat", [name] * count, ["wide"], axis=0))
        case 2:
            random.choice(nodes(model)).attribute.extend(helper.make_attribute(f"a{i}", i) for i in range(count))
        case _:
            model.graph.node.extend(helper.make_node("Shape", [name], [f"wide{i}"]) for i in range(count))


ODDITIES: tuple[Mutation, ...] = (
    *(sparse, stored_oddly, stored_oddly, shadowing_function, annotated, symbols, graph_in_attribute, wide),
)
