"""Classify the test digits with a converted model, as an app would, and compare with what torch answered.

    python deploy.py FILE.mnn [--reference FILE.npz] [--batch N]

Needs numpy and MNN only: the reference beside this script holds the test digits and torch's logits. Exit status: 0 if
MNN gives every image the class that torch gives it, 1 if it does not, 2 if there is nothing to compare.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import MNN
import numpy as np
from digits import Reference
from numpy.typing import NDArray

F = MNN.expr

REFERENCE = Path(__file__).resolve().parent / "test-digits.npz"
INPUT_NAME = "image"
OUTPUT_NAME = "logits"
CLASSES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the model over the test digits and print accuracy and agreement; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        reference = Reference.load(options.reference)
    except FileNotFoundError:
        print(f"error: no reference {options.reference}: `python train.py` makes one in build/", file=sys.stderr)
        return 2
    if not options.model.is_file():
        print(f"error: no model {options.model}: `mnncompat convert MODEL.onnx -o FILE.mnn` makes one", file=sys.stderr)
        return 2
    try:
        logits = Classifier(options.model).logits(reference.digits.images, batch=options.batch)
    except ModelError as error:
        print(f"error: {options.model}: {error}", file=sys.stderr)
        return 2
    return 0 if report(logits, reference) else 1


class ModelError(Exception):
    """The file is not a model of digits, or MNN cannot run it."""


class Classifier:
    """A loaded ``.mnn`` model with the input ``image`` and the output ``logits``."""

    def __init__(self, path: Path) -> None:
        """Load the model at ``path``.

        Raises:
            ModelError: If MNN cannot load it with these names, or it has further inputs.
        """
        try:
            self._module = MNN.nn.load_module_from_file(str(path), [INPUT_NAME], [OUTPUT_NAME])
        except (RuntimeError, SystemError, ValueError) as error:
            names = f"an input {INPUT_NAME!r} and an output {OUTPUT_NAME!r}"
            raise ModelError(f"MNN cannot load it as a model with {names}") from error
        inputs = self._module.get_info()["inputs"]
        if len(inputs) != 1:
            raise ModelError(f"expected the one input {INPUT_NAME!r}, the model has {len(inputs)}")
        self._data_format = inputs[0].data_format

    def logits(self, images: NDArray[np.float32], *, batch: int = 1) -> NDArray[np.float32]:
        """Return float32 ``[N, 10]`` for ``images`` (float32 NCHW ``[N, 1, 28, 28]`` in 0..1), ``batch`` at a time.

        Raises:
            ModelError: If a run fails or gives something else than ten logits for each image.
        """
        return np.concatenate([self._run(images[i : i + batch]) for i in range(0, len(images), batch)])

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run one batch; shapes as in `logits`. The batch size of a model is 1 unless it was exported with an open one.

        MNN reports an open batch size as 1 too, so that only trying shows whether a model takes more.
        """
        pixels = np.ascontiguousarray(images)  # MNN may read it in place: it has to stay alive through the run
        value = F.const(pixels, list(pixels.shape), F.NCHW, F.float)
        if self._data_format == F.NC4HW4:
            value = F.convert(value, F.NC4HW4)
        outputs = self._module.forward([value])
        if len(outputs) != 1:
            raise ModelError(f"no output for a batch of {len(images)} images: is the model's batch size fixed to 1?")
        output = outputs[0]
        if output.data_format == F.NC4HW4:
            output = F.convert(output, F.NCHW)  # read() hands out the memory as it lies there
        logits = np.array(output.read(), dtype=np.float32)
        if logits.size != len(images) * CLASSES:
            raise ModelError(f"expected {CLASSES} logits for each image, got an output of shape {list(output.shape)}")
        return logits.reshape(len(images), CLASSES)


def report(logits: NDArray[np.float32], reference: Reference) -> bool:
    """Print how MNN's ``logits`` (float32 ``[N, 10]``) do; returns whether MNN and torch choose the same classes."""
    chosen, expected = logits.argmax(1), reference.logits.argmax(1)
    agreement = float(np.mean(chosen == expected))
    print(f"images:               {len(logits)}")
    print(f"accuracy:             {np.mean(chosen == reference.digits.labels):.2%}")
    print(f"same class as torch:  {agreement:.2%}")
    print(f"largest difference:   {np.abs(logits - reference.logits).max():.2e} (logits)")
    return agreement == 1


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Classify the test digits with a converted model.")
    parser.add_argument("model", type=Path, metavar="FILE.mnn", help="the converted model")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="default: test-digits.npz beside this script")
    parser.add_argument("--batch", type=_positive, default=1, metavar="N", help="images a run (default: %(default)s)")
    return parser


def _positive(text: str) -> int:
    """Read a command line value that has to be at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
