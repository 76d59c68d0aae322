"""Export a torch module to ONNX: the only module that imports torch (extra `torch`)."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mnncompat.errors import ExportError, UsageError
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.atomic_files import require_writable
from mnncompat.graph.model_file import Model, load, save

# The dynamo exporter writes the exporting machine's paths and source lines into every node.
_DTYPES = ("float32", "float16", "float64", "int64", "int32", "int8", "uint8", "bool")
_PRIVATE_METADATA = ("pkg.torch.onnx.stack_trace",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """How to export.

    Attributes:
        opset: ONNX opset; None for the exporter's default.
        exporter: ``dynamo`` (torch.export) or ``torchscript`` (tracing).
        dynamic_batch: Leave the first dimension of every input dynamic.
        by_name: Inputs are keyword arguments of the module's `forward`, under their names.
        inputs: ``MODULE:FUNCTION``: returns example inputs, a tuple of tensors or a dictionary of keyword arguments;
            the shapes are left out then.
    """

    opset: int | None = None
    exporter: str = "torchscript"
    dynamic_batch: bool = False
    by_name: bool = False
    inputs: str | None = None


def export_module(target: str, shapes: Sequence[str], out: Path, *, options: ExportOptions) -> None:
    """Export what ``MODULE:CALLABLE`` returns.

    Args:
        target: An importable module or a path of a Python file, a colon, and the name of a callable without
            arguments that returns a `torch.nn.Module` (a Module class will do), or of a Module.
        shapes: One for each input: ``1,3,224,224``, ``name:1,3,224,224`` or ``name:int64:1,16``. Floats are drawn from
            the normal distribution, integers are 0 and 1, which every table of embeddings has.
        out: The file to write; complete, or unchanged on failure.
        options: See `ExportOptions`.

    Raises:
        UsageError: The target or a shape does not fit.
        ExportError: torch is missing, or could not export the module.
        OutputError: `out` cannot be written.
    """
    if options.exporter not in ("dynamo", "torchscript"):
        raise UsageError(f"unknown exporter: {options.exporter}", hint="there are: dynamo, torchscript")
    require_writable(out)
    specs = [read_spec(shape, position) for position, shape in enumerate(shapes)]
    torch = _torch()
    module = _module(target, torch)
    example = _example(torch, specs, options)
    with ScratchFolder() as folder:
        file = folder / "model.onnx"
        with _quiet():
            try:
                _export(torch, module, example, file, options)
            except MemoryError:
                raise
            except Exception as error:
                lines = [line for line in str(error).splitlines() if line.strip()]
                reason = lines[0] if lines else type(error).__name__
                raise ExportError(
                    f"torch could not export {target}: {reason}", hint="try the other --exporter or another --opset"
                ) from error
        model = load(file)
        model.load_weights()
    _require_opset(model, options)
    _strip(model)
    save(Model(model.proto), out)


class _Example(NamedTuple):
    """What the module is called with.

    Attributes:
        arguments: By position.
        keywords: By name.
        names: Of all inputs, in order.
    """

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    names: list[str]


def _example(torch: Any, specs: Sequence[InputSpec], options: ExportOptions) -> _Example:
    if options.inputs is not None:
        return _called(torch, options.inputs)
    torch.manual_seed(0)
    # torch.export treats a dimension of 1 as constant, even if it is declared dynamic.
    grows = options.dynamic_batch and options.exporter == "dynamo"
    tensors = [
        _drawn(torch, each._replace(shape=(max(each.shape[0], 2), *each.shape[1:])) if grows else each)
        for each in specs
    ]
    names = [each.name for each in specs]
    if options.by_name:
        return _Example((), dict(zip(names, tensors, strict=True)), names)
    return _Example(tuple(tensors), {}, names)


def _called(torch: Any, target: str) -> _Example:
    """The example inputs that a function returns.

    Raises:
        UsageError: There is no such function, or it returns something else than tensors.
    """
    place, _, name = target.rpartition(":")
    function = getattr(_import(place), name, None) if place and name else None
    if not callable(function):
        raise UsageError(f"--inputs {target} names no function", hint="for instance `model.py:example_inputs`")
    try:
        found = function()
    except MemoryError:
        raise
    except Exception as error:
        raise ExportError(
            f"{target} failed: {type(error).__name__}: {error}", hint="call it in Python first"
        ) from error
    keywords = dict(found) if isinstance(found, dict) else {}
    arguments = () if keywords else tuple(found) if isinstance(found, (tuple, list)) else (found,)
    tensors = [*arguments, *keywords.values()]
    if not tensors or not all(isinstance(each, torch.Tensor) for each in tensors):
        raise UsageError(
            f"--inputs {target} returns something else than tensors",
            hint="return a tuple of tensors, or a dictionary of them by the names of keyword arguments",
        )
    names = list(map(str, keywords)) or [input_name(position) for position in range(len(arguments))]
    return _Example(arguments, keywords, names)


def _drawn(torch: Any, spec: InputSpec) -> Any:
    dtype = getattr(torch, spec.dtype)
    if spec.dtype == "bool" or not dtype.is_floating_point:
        return torch.randint(0, 2, spec.shape).to(dtype)
    return torch.randn(*spec.shape, dtype=dtype)


def _export(torch: Any, module: Any, example: _Example, file: Path, options: ExportOptions) -> None:
    extra: dict[str, Any] = {"dynamo": options.exporter == "dynamo"}
    if options.opset is not None:
        extra["opset_version"] = options.opset
    if options.exporter == "dynamo":
        extra["external_data"] = False
        if options.dynamic_batch:
            batch = torch.export.Dim("batch")
            dynamic = [{0: batch} for _ in example.names]
            extra["dynamic_shapes"] = (
                dict(zip(example.names, dynamic, strict=True)) if example.keywords else tuple(dynamic)
            )
    elif options.dynamic_batch:
        extra["dynamic_axes"] = {name: {0: "batch"} for name in example.names}
    if example.keywords:
        extra["kwargs"] = example.keywords
    with torch.no_grad():
        torch.onnx.export(module, example.arguments, str(file), input_names=example.names, **extra)


def _torch() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
            import torch.onnx
    except ImportError as error:
        raise ExportError("torch is not installed", hint='pip install "mnncompat[torch]"') from error
    return torch


def _module(target: str, torch: Any) -> Any:
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(
            f"{target} is not MODULE:CALLABLE", hint="for instance `model.py:Net` or `package.model:build`"
        )
    found = getattr(_import(place), name, None)
    if found is None:
        raise UsageError(f"{place} has no {name}", hint="name a function or class that returns a torch.nn.Module")
    try:
        module = found if isinstance(found, torch.nn.Module) else found()
    except MemoryError:
        raise
    except Exception as error:
        raise ExportError(
            f"{target} failed: {type(error).__name__}: {error}", hint="it is called without arguments"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"{target} gives a {type(module).__name__}", hint="it has to return a torch.nn.Module")
    return module.eval()


def _import(place: str) -> Any:
    path = Path(place)
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise UsageError(f"{place}: no such file", hint="check the path")
    sys.path.insert(0, str(path.parent) if is_file else "")
    try:
        module = importlib.import_module(path.stem if is_file else place)
    except MemoryError:
        raise
    except Exception as error:
        raise UsageError(
            f"{place} cannot be imported: {type(error).__name__}: {error}", hint="import it in Python first"
        ) from error
    return module


class InputSpec(NamedTuple):
    """One input of a module.

    Attributes:
        name: Its name in the ONNX file.
        dtype: torch's name, such as ``float32`` or ``int64``.
        shape: Its sizes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


def read_spec(text: str, position: int) -> InputSpec:
    """Read ``[NAME:][DTYPE:]1,3,224,224``.

    Raises:
        UsageError: It is none.
    """
    head, _, dims = text.rpartition(":")
    name, _, dtype = head.rpartition(":")
    if dtype not in _DTYPES:
        name, dtype = head, "float32"
    parts = [part.strip() for part in dims.split(",")]
    shape = tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else ()
    if not shape or min(shape) < 1:
        raise UsageError(
            f"--shape {text} is not a shape", hint="write it as 1,3,224,224, NAME:1,3,224,224 or NAME:int64:1,16"
        )
    return InputSpec(name or input_name(position), dtype, shape)


def input_name(position: int) -> str:
    """The name of an input that was given none."""
    return "input" if position == 0 else f"input_{position}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' progress off stdout and their warnings off stderr."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


def _require_opset(model: Model, options: ExportOptions) -> None:
    """The dynamo exporter keeps its own opset, and only logs it, where it cannot convert to the one asked for."""
    from mnncompat.graph.protos import onnx_opset

    written = onnx_opset(model.proto.opset_import)
    if options.opset is not None and written != options.opset:
        raise ExportError(
            f"torch wrote opset {written} instead of {options.opset}",
            hint="try --exporter torchscript or another --opset",
        )


def _strip(model: Model) -> None:
    for node in model.proto.graph.node:
        kept = [item for item in node.metadata_props if item.key not in _PRIVATE_METADATA]
        if len(kept) < len(node.metadata_props):
            pairs = [(item.key, item.value) for item in kept]
            del node.metadata_props[:]
            for key, value in pairs:
                node.metadata_props.add(key=key, value=value)
