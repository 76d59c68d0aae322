"""Images as code sees them: which inputs are fed with images, and how each is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnncompat.deploying.image_steps import OWN_RESIZE, normalisation
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.deploying.code.interface import CodeTensor
    from mnncompat.parity.images import Preprocess

_FORMATS = {"rgb": "RGB", "bgr": "BGR", "gray": "GRAY"}
_DTYPES = ("float32", "uint8")
_RANKS = (3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeImage:
    """An input that is an image.

    Attributes:
        tensor: The input.
        steps: How it is prepared, as the user wrote it.
        preprocess: The same.
        first: True if the channels come first.
    """

    tensor: CodeTensor
    steps: str
    preprocess: Preprocess
    first: bool

    @property
    def own(self) -> bool:
        """Whether the code resizes, and not ImageProcess."""
        return self.preprocess.resize is not None and self.preprocess.filter in OWN_RESIZE

    @property
    def dest(self) -> str:
        """Format of the result."""
        return _FORMATS[self.preprocess.color]

    @property
    def numbers(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """`mean` and `normal` of ImageProcess."""
        return normalisation(self.preprocess)

    @property
    def batch(self) -> bool:
        """Whether there is an axis of one image."""
        return len(self.tensor.shape) == _RANKS[1]


def code_images(tensors: tuple[CodeTensor, ...], declared: Mapping[str, str]) -> tuple[CodeImage, ...]:
    """The inputs that are prepared.

    Args:
        tensors: All inputs.
        declared: Name of an input -> how it is prepared, as `--preprocess` takes it.

    Raises:
        UsageError: There is no such input, it is no image, or the steps are malformed.
    """
    from mnncompat.parity.images import parse_preprocess

    known = {each.name: each for each in tensors}
    found = []
    for name, steps in declared.items():
        if name not in known:
            hint = f"its inputs are: {', '.join(map(repr, known)) or 'none'}"
            raise UsageError(f"--preprocess {name}: the file has no input {name!r}", hint=hint)
        tensor = known[name]
        if tensor.dtype not in _DTYPES or len(tensor.shape) not in _RANKS:
            raise UsageError(
                f"--preprocess {name}: the input is {tensor.dtype} of {len(tensor.shape)} axes, which no image is",
                hint="images are float32 or uint8, of 3 axes, or 4 with a batch",
            )
        preprocess = parse_preprocess(f"--preprocess {name}", steps)
        found.append(CodeImage(tensor=tensor, steps=steps, preprocess=preprocess, first=_is_first(tensor, preprocess)))
    return tuple(found)


def _is_first(tensor: CodeTensor, preprocess: Preprocess) -> bool:
    if preprocess.layout:
        return not preprocess.layout.endswith("hwc")
    if tensor.shape[-3] in (1, 3):
        return True
    return tensor.shape[-1] not in (1, 3)
