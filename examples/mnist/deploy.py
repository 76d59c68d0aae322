"""Classify digits with a converted model through the code that `mnncompat snippet` wrote beside it, as an app would.

    python deploy.py FILE.mnn --image digit.png      # which digit it is
    python deploy.py FILE.mnn [--reference FILE.npz] # the test digits, and what torch answered

Needs numpy, MNN and Pillow only. The code beside FILE.mnn comes from

    mnncompat snippet FILE.mnn --preprocess image=resize:28x28,color:gray,scale:255 -o FILE.py

Exit status: 0 if MNN gives every image the class that torch gives it, 1 if it does not, 2 if there is nothing to run.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from digits import Reference
from numpy.typing import NDArray

REFERENCE = Path(__file__).resolve().parent / "test-digits.npz"
STEPS = "resize:28x28,color:gray,scale:255"
CLASSES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Classify one image, or the test digits; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        code = emitted(options.model)
        if options.image is not None:
            print(f"{options.image.name}: {classify(code, options.image)}")
            return 0
        reference = Reference.load(options.reference)
        return 0 if report(logits(code, reference.digits.images), reference) else 1
    except (OSError, ModelError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


class ModelError(Exception):
    """There is no code for the file, or the file is no model of digits."""


def emitted(model: Path) -> ModuleType:
    """Load the code beside a converted file.

    Raises:
        ModelError: One of the two does not exist, or MNN does not load the file.
    """
    place = model.with_suffix(".py")
    for file, how in (
        (model, "mnncompat convert MODEL.onnx -o"),
        (place, f"mnncompat snippet {model} --preprocess image={STEPS} -o"),
    ):
        if not file.is_file():
            raise ModelError(f"no {file}: `{how} {file}` makes it")
    spec = importlib.util.spec_from_file_location("emitted", place)
    if spec is None or spec.loader is None:
        raise ModelError(f"{place} is no Python")
    code = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(code)
    except Exception as error:
        raise ModelError(f"{place}: {error}") from error
    return code


def classify(code: ModuleType, path: Path) -> int:
    """The digit that an image file shows, bright on dark."""
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return int(code.run(code.prepare_image(pixels))["logits"].argmax())


def logits(code: ModuleType, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 ``[N, 10]`` for ``images`` (float32 NCHW ``[N, 1, 28, 28]`` in 0..1), one at a time.

    Raises:
        ModelError: A run gives something else than ten logits.
    """
    found = [code.run(image[None]).get("logits") for image in images]
    if any(each is None or each.size != CLASSES for each in found):
        raise ModelError("expected an output `logits` of ten numbers for each image")
    return np.concatenate([np.reshape(each, (1, CLASSES)) for each in found])


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
    parser = argparse.ArgumentParser(description="Classify digits with a converted model.")
    parser.add_argument("model", type=Path, metavar="FILE.mnn", help="the converted model")
    parser.add_argument("--image", type=Path, metavar="FILE", help="one image, instead of the test digits")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="default: test-digits.npz beside this script")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
