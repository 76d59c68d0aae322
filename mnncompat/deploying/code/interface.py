"""What code about a file has to know: names that are identifiers, dtypes, layouts, and the API that runs it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mnncompat.errors import ModelError, UsageError

if TYPE_CHECKING:
    from mnncompat.deploying.code.images import CodeImage
    from mnncompat.results.file_info import MnnFileInfo, TensorInfo

_WORDS = """
    abstract alignas alignof and and_eq as asm assert auto bitand bitor bool break case catch char char16_t char32_t
    class companion compl const const_cast constexpr continue data decltype default delete do double dynamic_cast else
    enum explicit export extern false final finally float for friend fun goto id if import in inline int interface
    internal is lambda long mutable name namespace native new nil noexcept not not_eq null nullptr object open operator
    or or_eq out override package path private protected public register reinterpret_cast return self session shape
    short signed sizeof static static_assert static_cast struct super suspend switch template this thread_local throw
    true try typealias typedef typeid typename typeof union unsigned using val value var vararg virtual void volatile
    wchar_t when while xor xor_eq YES NO
    NULL EOF errno linux unix stdin stdout stderr I int8_t uint8_t int32_t int64_t
    Array FILE INPUTS Image Inputs MNN Model NCHW NHWC OUTPUTS Outputs Path array arrayOf arrays close compute create
    destroy expr found given handle inputs module net nn np outputs precision result results run std threads values zip
"""
"""Of the languages, macros of their headers, and names that the code uses itself."""
_RESERVED = frozenset(_WORDS.split())


class Api(StrEnum):
    """MNN's two APIs."""

    MODULE = "module"
    """`MNN::Express::Module`, which runs every file."""
    SESSION = "session"
    """`MNN::Interpreter` and its Session: the older one, which most applications use; it runs no subgraphs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTensor:
    """An input or an output.

    Attributes:
        name: As the file has it.
        identifier: A name that every language takes, unique in the file.
        dtype: numpy's name of its dtype.
        layout: `NCHW`, `NHWC` or `NC4HW4`.
        shape: Its sizes; -1 where it is dynamic.
        example: Its shape in the run that was tried.
    """

    name: str
    identifier: str
    dtype: str
    layout: str
    shape: tuple[int, ...]
    example: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A file as code sees it.

    Attributes:
        file: Its name, without folders.
        version: The release of MNN that wrote it.
        inputs: Those that the API has.
        outputs: All.
        api: The API to use.
        precision: `high`, `normal` or `low`.
        threads: Number of threads.
        external: True if its weights are in a file beside it.
        images: Inputs that are prepared from images.
    """

    file: str
    version: str
    inputs: tuple[CodeTensor, ...]
    outputs: tuple[CodeTensor, ...]
    api: Api
    precision: str
    threads: int
    external: bool
    images: tuple[CodeImage, ...] = ()

    @property
    def tried(self) -> str:
        """Sizes of the inputs that the shapes of the outputs are of; empty if none is dynamic."""
        if all(-1 not in each.shape for each in self.inputs):
            return ""
        return "with " + ", ".join(f"{comment(each.name)} {shape_words(each.example)}" for each in self.inputs)


def interface_of(
    found: MnnFileInfo, *, api: Api | None, precision: str, threads: int, preprocess: Mapping[str, str]
) -> Interface:
    """What to write code about.

    Args:
        found: The file, which ran.
        api: The API to use; None for a Session where one runs the file, else a Module.
        precision: `high`, `normal` or `low`.
        threads: Number of threads.
        preprocess: Inputs that are images -> how they are prepared, as `--preprocess` takes it.

    Raises:
        ModelError: MNN does not run the file.
        UsageError: The API does not run it, or an input does not take such images.
    """
    trial = found.trial
    if trial.problem:
        raise ModelError(
            f"MNN does not run {found.path}: {trial.problem}",
            hint="sizes that it takes are those of --model MODEL.onnx, or of --shape NAME:1,3,224,224",
        )
    if api is Api.SESSION and not trial.session_runs:
        does = "does not run" if trial.session_tried else "was not tried with"
        raise UsageError(f"a Session {does} {found.path}: {trial.session}", hint="--api module")
    chosen = api or (Api.SESSION if trial.session_runs else Api.MODULE)
    names = _Names()
    lost = trial.lost if chosen is Api.SESSION else ()
    inputs = tuple(_tensor(each, names, trial.shapes[each.name]) for each in found.inputs if each.name not in lost)
    outputs = tuple(_tensor(each, names, _sizes(each)) for each in trial.outputs)
    return Interface(
        file=found.path.name,
        version=found.version,
        inputs=inputs,
        outputs=outputs,
        api=chosen,
        precision=precision,
        threads=threads,
        external=bool(found.external_bytes),
        images=_images(inputs, preprocess),
    )


def _images(inputs: tuple[CodeTensor, ...], preprocess: Mapping[str, str]) -> tuple[CodeImage, ...]:
    if not preprocess:
        return ()
    from mnncompat.deploying.code.images import code_images

    return code_images(inputs, preprocess)


def _tensor(tensor: TensorInfo, names: _Names, example: tuple[int, ...]) -> CodeTensor:
    return CodeTensor(
        name=tensor.name,
        identifier=names.identifier(tensor.name),
        dtype=tensor.dtype,
        layout=tensor.layout,
        shape=_sizes(tensor),
        example=example,
    )


def _sizes(tensor: TensorInfo) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else -1 for size in tensor.shape or ())


class _Names:
    """Identifiers that were given."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def identifier(self, name: str) -> str:
        """An identifier for a tensor."""
        plain = re.sub(r"[^0-9a-zA-Z]+", "_", name).strip("_") or "tensor"
        plain = f"t{plain}" if plain[0].isdigit() else plain
        plain = f"{plain[:_LONGEST]}_" if plain in _RESERVED or keyword.iskeyword(plain) else plain[:_LONGEST]
        found = next(each for each in _numbered(plain) if self._taken.isdisjoint(_forms(each)))
        self._taken.update(_forms(found))
        return found


_LONGEST = 40


def _forms(identifier: str) -> tuple[str, str]:
    """What the code calls by it: names of methods have no underscores, and a shape stands beside in Kotlin."""
    plain = identifier.lower().replace("_", "")
    return plain, f"{plain}shape"


def _numbered(plain: str) -> Iterable[str]:
    yield plain
    number = 2
    while True:
        yield f"{plain}_{number}"
        number += 1


def literal(text: str, *, dollar: bool = False) -> str:
    """A string in double quotes as C, C++ and Objective-C read it; Python and Kotlin get `escaped`.

    What is not printable ASCII is written as its UTF-8 bytes in octal. So are question marks: until C++17, two of them
    begin a trigraph, and `??/` is a backslash, which would take the closing quote along.

    Args:
        text: The text.
        dollar: Escape dollars, which Kotlin replaces.
    """
    parts = []
    for byte in text.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        if char in '"\\' or (dollar and char == "$"):
            parts.append(f"\\{char}")
        else:
            plain = char.isprintable() and char.isascii() and char != "?"
            parts.append(char if plain else f"\\{byte:03o}")
    return '"' + "".join(parts) + '"'


def escaped(text: str, *, dollar: bool = False) -> str:
    """A string in double quotes with UTF-16 escapes, as Python and Kotlin read it."""
    parts = []
    for char in text:
        if char in '"\\' or (dollar and char == "$"):
            parts.append(f"\\{char}")
        elif char.isascii() and char.isprintable():
            parts.append(char)
        else:
            parts += [f"\\u{unit:04x}" for unit in _units(char)] if dollar else [_python(char)]
    return '"' + "".join(parts) + '"'


def _units(char: str) -> list[int]:
    raw = char.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def _python(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"  # noqa: PLR2004


def comment(text: str) -> str:
    """A text that ends no comment and no line, in any of the languages."""
    plain = "".join(char if char.isprintable() else "?" for char in text)
    plain = plain.replace("\\", "/").replace('"""', "'''").replace("*/", "* /").replace("/*", "/ *")
    return plain.replace("??/", "?? /")  # a backslash until C++17: the next line would belong to the comment


def shape_words(shape: Collection[int]) -> str:
    """`[1, 3, ?, ?]`."""
    return "[" + ", ".join("?" if size < 0 else str(size) for size in shape) + "]"
