"""Export the trained network to ONNX, check the file and print its graph.

    python export.py [--head fc|conv] [--exporter torchscript|dynamo] [--opset N]
                     [--dynamic-batch|--static-batch] [--checkpoint FILE] [--out FILE]

``--head conv`` puts the same weights into the convolution head, so that both files are the same function. The input
is ``image`` (float32 ``[N, 1, 28, 28]`` in 0..1), the output ``logits`` (float32 ``[N, 10]``); N is 1 if it is static.
"""

import argparse
import contextlib
import io
import logging
import math
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch
from network import IMAGE_SHAPE, DigitNetwork, FullyConnectedHead, with_convolution_head

OUTPUT = Path(__file__).resolve().parent / "build"
CHECKPOINT = OUTPUT / "mnist-fc.pt"
OPSET = 13

INPUT_NAME = "image"
OUTPUT_NAME = "logits"
BATCH_NAME = "batch"

LARGEST_SHOWN = 16
"""Initializers with more elements are printed without their values."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Export, check and print the network that the command line asks for; returns the exit status."""
    options = _parser().parse_args(arguments)
    out: Path = options.out or OUTPUT / f"mnist-{options.head}.onnx"
    if not options.checkpoint.is_file():
        print(f"error: no checkpoint {options.checkpoint}: run train.py first", file=sys.stderr)
        return 2
    network = load(options.checkpoint, head=options.head)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        export(network, out, exporter=options.exporter, opset=options.opset, dynamic_batch=options.dynamic_batch)
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(describe(onnx.load(out)))
    print(f"wrote {out.name}: {out.stat().st_size:,} bytes, opset {options.opset}")
    return 0


class ExportError(Exception):
    """The exporter failed, or did something else than it was asked for."""


def load(checkpoint: Path, *, head: str) -> DigitNetwork:
    """Read the trained network in evaluation mode, with the head ``fc`` or ``conv``."""
    network = DigitNetwork(FullyConnectedHead())
    network.load_state_dict(torch.load(checkpoint, weights_only=True))
    if head == "conv":
        network = with_convolution_head(network)
    return network.eval()


def export(network: DigitNetwork, out: Path, *, exporter: str, opset: int, dynamic_batch: bool) -> None:
    """Write ``network`` to ``out`` as one checked ONNX file with the weights inside.

    Raises:
        ExportError: If the exporter fails, or the file is invalid or of another opset than ``opset``.
    """
    write = {"torchscript": _write_torchscript, "dynamo": _write_dynamo}[exporter]
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        unchecked = Path(folder) / out.name
        with _quiet() as messages:
            try:
                write(network, unchecked, opset, dynamic_batch=dynamic_batch)
            except Exception as error:  # the exporters raise what they like
                first_line = str(error).strip().partition("\n")[0]
                reason = f"{type(error).__name__}: {first_line}"
                raise ExportError(f"the {exporter} exporter failed at opset {opset}: {reason}") from error
        _check(unchecked, opset, said=messages.getvalue())
        unchecked.replace(out)


def describe(model: onnx.ModelProto) -> str:
    """Return the graph of ``model`` as ONNX text, with a weight's type and shape in place of its values."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    large = [tensor for tensor in shown.graph.initializer if math.prod(tensor.dims) > LARGEST_SHOWN]
    weights = []
    for tensor in large:
        shown.graph.initializer.remove(tensor)
        element = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        weights.append(f"{element}{list(tensor.dims)} {tensor.name}")
    return "\n".join([onnx.printer.to_text(shown), "weights not shown:", *(f"   {weight}" for weight in weights)])


def _write_torchscript(network: DigitNetwork, out: Path, opset: int, *, dynamic_batch: bool) -> None:
    """Export by tracing (the exporter of 2019, still there as ``dynamo=False``)."""
    torch.onnx.export(
        network,
        (torch.zeros(1, *IMAGE_SHAPE),),
        out,
        dynamo=False,
        opset_version=opset,
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
        dynamic_axes={INPUT_NAME: {0: BATCH_NAME}, OUTPUT_NAME: {0: BATCH_NAME}} if dynamic_batch else None,
    )


def _write_dynamo(network: DigitNetwork, out: Path, opset: int, *, dynamic_batch: bool) -> None:
    """Export through ``torch.export`` (the default exporter of today)."""
    batch = 2 if dynamic_batch else 1  # torch.export takes a dimension of 1 for a constant
    torch.onnx.export(
        network,
        (torch.zeros(batch, *IMAGE_SHAPE),),
        out,
        dynamo=True,
        opset_version=opset,
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
        dynamic_shapes={INPUT_NAME: {0: torch.export.Dim(BATCH_NAME)}} if dynamic_batch else None,
        external_data=False,
        verbose=False,
    )


def _check(out: Path, opset: int, *, said: str) -> None:
    """Refuse a file that the ONNX checker refuses, or that is of another opset than ``opset``.

    The dynamo exporter writes opset 18 and converts down; when that fails it keeps 18 and only logs it.
    """
    model = onnx.load(out)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the exported file is invalid: {error}") from error
    written = {entry.domain: entry.version for entry in model.opset_import}[""]
    if written != opset:
        last_line = said.strip().rpartition("\n")[2]
        raise ExportError(f"asked for opset {opset}, the exporter wrote {written}: {last_line}")


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """Keep the exporters' progress, log and deprecation messages off the terminal; yields where they go."""
    messages = io.StringIO()
    logger = logging.getLogger("torch.onnx")
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [logging.StreamHandler(messages)], False
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(messages), contextlib.redirect_stderr(messages):
            warnings.simplefilter("ignore")
            yield messages
    finally:
        logger.handlers, logger.propagate = handlers, propagate


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Export the trained digit network to ONNX.")
    parser.add_argument("--head", choices=["fc", "conv"], default="fc", help="form of the head (default: %(default)s)")
    parser.add_argument(
        "--exporter", choices=["torchscript", "dynamo"], default="torchscript", help="default: %(default)s"
    )
    parser.add_argument("--opset", type=int, default=OPSET, help="ONNX operator set (default: %(default)s)")
    batch = parser.add_mutually_exclusive_group()
    batch.add_argument(
        "--dynamic-batch", action="store_true", default=True, help="leave the batch size open (the default)"
    )
    batch.add_argument("--static-batch", action="store_false", dest="dynamic_batch", help="fix the batch size to 1")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: build/mnist-fc.pt")
    parser.add_argument("--out", type=Path, help="default: build/mnist-HEAD.onnx")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
