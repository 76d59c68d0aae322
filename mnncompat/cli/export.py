"""`mnncompat export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, note
from mnncompat.cli.declared import argument, option
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_memory, parse_timeout


def export(
    target: Annotated[
        str,
        argument(
            metavar="MODULE:CALLABLE",
            help="Returns a torch.nn.Module; MODULE is importable or a .py file.",
            show_default=False,
        ),
    ],
    *,
    shape: Annotated[
        list[str],
        option("--shape", metavar="[NAME:]DIMS", help="Shape of an input, in order: `image:1,3,224,224`. Repeatable."),
    ],
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
    export_options = ExportOptions(opset=opset, exporter=exporter, dynamic_batch=dynamic_batch)
    export_module(target, shape, out, options=export_options)
    note(f"wrote {out}")
