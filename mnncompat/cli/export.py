"""`mnncompat export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, note
from mnncompat.cli.declared import argument, option
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_memory, parse_timeout
from mnncompat.errors import UsageError

Target = Annotated[
    str,
    argument(
        metavar="MODULE:CALLABLE",
        help="Returns a torch.nn.Module; MODULE is importable or a .py file.",
        show_default=False,
    ),
]
InputShapes = Annotated[
    list[str] | None,
    option(
        "--shape",
        metavar="[NAME:][DTYPE:]DIMS",
        help="An input, in order: `image:1,3,224,224`, `ids:int64:1,16`. Repeatable.",
    ),
]
ExampleInputs = Annotated[
    str | None,
    option(
        "--inputs",
        metavar="MODULE:FUNCTION",
        help="A function that returns example inputs instead: a tuple of tensors, or a dictionary of keywords.",
    ),
]
ByName = Annotated[bool, option("--by-name", help="Inputs are keyword arguments of `forward`, under their names.")]


def export(  # noqa: PLR0913 - options
    target: Target,
    *,
    shape: InputShapes = None,
    inputs: ExampleInputs = None,
    by_name: ByName = False,
    output: options.Out = None,
    opset: Annotated[int | None, option("--opset", help="ONNX opset. [default: the exporter's own]")] = None,
    exporter: Annotated[str, option("--exporter", help="dynamo or torchscript.")] = "torchscript",
    dynamic_batch: Annotated[bool, option("--dynamic-batch", help="Leave the first dimension dynamic.")] = False,
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """Export a torch module to ONNX (needs the extra `torch`).

    The module is put into evaluation mode; the file is checked before it is written.
    """
    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), whole=True)
    from mnncompat.converting.torch_export import ExportOptions, export_module

    out = output or Path(f"{target.rpartition(':')[2]}.onnx")
    if bool(shape) == bool(inputs):
        raise UsageError("the inputs are not clear", hint="give --shape for each of them, or --inputs MODULE:FUNCTION")
    export_options = ExportOptions(
        opset=opset, exporter=exporter, dynamic_batch=dynamic_batch, by_name=by_name, inputs=inputs
    )
    export_module(target, shape or (), out, options=export_options)
    note(f"wrote {out}")
