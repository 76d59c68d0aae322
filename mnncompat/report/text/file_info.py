"""What `mnncompat info` tells, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mnncompat.report.measures import counted, size
from mnncompat.report.printable import printable
from mnncompat.report.text.page import Page, Style
from mnncompat.report.text.table import write_table
from mnncompat.results.file_info import MnnFileInfo, OnnxFileInfo

if TYPE_CHECKING:
    from mnncompat.results.file_info import TensorInfo, TrialRun

_LABEL = "  {:<12}"
_COLUMNS = ("name", "dtype", "shape", "layout", "in ONNX")
_HALF_BITS = 16


def file_info_text(found: MnnFileInfo | OnnxFileInfo, *, color: bool = False, width: int | None = None) -> str:
    """The facts about a file, as text.

    Args:
        found: The facts.
        color: Use ANSI styles.
        width: Columns to wrap at, None for no wrapping.
    """
    page = Page(color=color, width=width)
    if isinstance(found, MnnFileInfo):
        _mnn(page, found)
    else:
        _onnx(page, found)
    return page.text()


def _mnn(page: Page, found: MnnFileInfo) -> None:
    writer = f"written by MNN {found.version}" if found.version else "the file does not say which MNN wrote it"
    page.line(f"{found.path}: {writer}", style=Style.BOLD)
    _fact(page, "size", _sizes(found.bytes, found.external_bytes, f"{found.path.name}.weight"))
    _tensors(page, "inputs", found.inputs)
    _outputs(page, found)
    _fact(page, "APIs", _apis(found.trial))
    for each in found.inputs:
        if each.ignored:
            _fact(page, "", f"no op reads the input {each.name!r}: a Session does not have it, a Module wants it")
    if found.trial.peak_bytes is not None and found.trial.outputs:
        _fact(
            page, "memory", f"{size(found.trial.peak_bytes)} at most to load it and run it once at {_at(found.trial)}"
        )
    _fact(page, "ops", f"{sum(found.ops.values())}: {_counts(found.ops)}")
    if found.bodies:
        _fact(page, "subgraphs", f"{len(found.bodies)}: bodies of Loop and If, which only a Module runs")
    _fact(page, "weights", _weights(found))
    _fact(page, "least MNN", _least(found))


def _onnx(page: Page, found: OnnxFileInfo) -> None:
    page.line(f"{found.path}: ONNX IR {found.ir_version}, {_opsets(found.opsets)}", style=Style.BOLD)
    if found.producer:
        _fact(page, "producer", found.producer)
    _fact(page, "size", _sizes(found.bytes, found.external_bytes, "external data"))
    _tensors(page, "inputs", found.inputs)
    _tensors(page, "outputs", found.outputs)
    held = ", ".join(f"{size(count)} of {dtype}" for dtype, count in found.parameter_bytes.items())
    _fact(page, "parameters", f"{found.parameters:,}" + (f" ({held})" if held else ""))
    _fact(page, "nodes", f"{found.nodes}: {_counts(found.ops)}" if found.nodes else "0")
    if found.functions:
        _fact(page, "functions", str(found.functions))


def _fact(page: Page, label: str, text: str) -> None:
    page.line(text, lead=_LABEL.format(label))


def _sizes(own: int, beside: int, where: str) -> str:
    return size(own) + (f", and {size(beside)} in {where}" if beside else "")


def _tensors(page: Page, title: str, tensors: Sequence[TensorInfo]) -> None:
    if not tensors:
        _fact(page, title, "none")
        return
    page.line(title, lead="  ")
    rows = [_row(each) for each in tensors]
    told = 3 + any(tensor.layout for tensor in tensors) + any(tensor.original for tensor in tensors)
    write_table(page, _COLUMNS[:told], [row[:told] for row in rows], left=told, indent="    ")


def _row(tensor: TensorInfo) -> tuple[str, str, str, str, str]:
    other = tensor.original if tensor.original != tensor.dtype else "the same"
    name = printable(tensor.name)
    return name, tensor.dtype, _shape(tensor.shape), tensor.layout, other if tensor.original else ""


def _shape(shape: Sequence[int | str | None] | None) -> str:
    if shape is None:
        return "?"
    return printable("[" + ", ".join("?" if each is None else str(each) for each in shape) + "]")


def _outputs(page: Page, found: MnnFileInfo) -> None:
    trial = found.trial
    if trial.outputs:
        _tensors(page, f"outputs, with inputs at {_at(trial)}", trial.outputs)
        return
    _fact(page, "outputs", ", ".join(found.outputs))
    _fact(page, "", f"not run at {_at(trial)}: {trial.problem}")
    other = "--shape NAME:1,3,224,224 gives other sizes, --model MODEL.onnx those that the model's nodes allow"
    _fact(page, "", other)


def _at(trial: TrialRun) -> str:
    shapes = ", ".join(f"{name} {_shape(shape)}" for name, shape in trial.shapes.items()) or "no inputs"
    if trial.sizes_of:
        return f"{shapes} (sizes that the nodes of {printable(trial.sizes_of)} allow)"
    return f"{shapes} (sizes chosen)" if trial.chosen else shapes


def _apis(trial: TrialRun) -> str:
    if trial.problem:
        return "not known: the file was not run"
    session = "yes" if trial.session_runs else f"{'NO' if trial.session_tried else 'not tried'}: {trial.session}"
    return f"Module yes; Session {session}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _weights(found: MnnFileInfo) -> str:
    told = [
        f"{'float16' if bits == _HALF_BITS else f'{bits} bits'} in {counted(count, 'op')}"
        for bits, count in found.weight_bits.items()
    ]
    return "; ".join(told) or "as they were: none is encoded in fewer bits"


def _least(found: MnnFileInfo) -> str:
    names = ", ".join(found.least_because)
    if not found.least_release:
        return f"not known: {names}"
    why = f"the first whose schema has {names}" if names else "whose schema has all of its op types"
    return f"{found.least_release}, {why}; what a release computes is not compared"


def _opsets(opsets: Mapping[str, int]) -> str:
    return "opset " + ", ".join(f"{domain} {version}" for domain, version in opsets.items())
