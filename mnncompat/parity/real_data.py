"""Data that a user gives for a model's inputs: what ``--input``, ``--feeds`` and ``inputs=`` take.

=======================  =============================================================================================
``NAME=x.npy``           one sample
``NAME=x.npz``           the array called NAME, if there is one; else every array is a sample
``NAME=folder``          of .npy files or of images; every file is a sample
``NAME=cat.png``         one sample, prepared as ``--preprocess`` says (`mnncompat.parity.images`)
=======================  =============================================================================================

Samples are in the natural order of their names: ``2`` before ``10``. Where an .npz gives one array with one axis more
than the input has, its first axis counts the samples.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mnncompat.errors import UsageError
from mnncompat.parity.archives import DamagedArraysError, arrays_of
from mnncompat.parity.images import SUFFIXES, Preprocess, decode, parse_preprocess

_SAVE = "save one array with numpy.save, several with numpy.savez"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one draw feeds one input with.

    Attributes:
        name: What reports call it.
        array: As it was given; for an image its pixels, uint8, (height, width, channels).
    """

    name: str
    array: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class InputData:
    """The samples of one input.

    Attributes:
        samples: At least one.
        may_be_stacked: A single array with one axis more than the input holds one sample in each row.
        preprocess: The samples are pixels that are prepared like this; None for arrays.
    """

    samples: tuple[Sample, ...]
    may_be_stacked: bool = False
    preprocess: Preprocess | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RealData:
    """Everything that a user gives to be fed.

    Attributes:
        inputs: By input name. Samples of several inputs belong together in their order.
        feeds: Draws of their own: input name -> array.
        only: Compare on these data alone; otherwise on drawn inputs as well.
    """

    inputs: Mapping[str, InputData] = field(default_factory=dict)
    feeds: tuple[Mapping[str, np.ndarray], ...] = ()
    only: bool = False

    def __bool__(self) -> bool:
        """Whether there are any data."""
        return bool(self.inputs or self.feeds)

    def of(self, names: Collection[str]) -> RealData:
        """The data of some inputs; what is of other inputs is left out."""
        feeds = [{name: array for name, array in each.items() if name in names} for each in self.feeds]
        inputs = {name: each for name, each in self.inputs.items() if name in names}
        return replace(self, inputs=inputs, feeds=tuple(each for each in feeds if each))


Given = Mapping[str, "np.ndarray | Path | str | InputData"] | Iterable[Mapping[str, np.ndarray]] | RealData
"""What functions take as ``inputs``: for each input an array or a path, or a series of feeds (input name -> array)."""


def real_data(given: Given | None, *, only: bool = False) -> RealData:
    """Read what a caller gives.

    Args:
        given: See `Given`; None for no data.
        only: Compare on these data alone.

    Raises:
        UsageError: A file cannot be read, or holds no arrays; or there are no data to compare on alone.
    """
    match given:
        case None:
            data = RealData()
        case RealData():
            data = given
        case Mapping():
            data = RealData(inputs={name: _input(name, value) for name, value in given.items()})
        case _:
            data = RealData(feeds=tuple(given))
    if only and not data:
        raise UsageError("there are no data to compare on alone", hint="give some with --input or --feeds")
    return replace(data, only=True) if only else data


def _input(name: str, value: np.ndarray | Path | str | InputData) -> InputData:
    if isinstance(value, InputData):
        return value
    if isinstance(value, str | Path):
        return read_input(name, Path(value))
    return InputData(samples=(Sample(name="sample 1", array=np.asarray(value)),))


def read_input(name: str, path: Path, preprocess: Preprocess | str | None = None) -> InputData:
    """Read the samples of one input.

    Args:
        name: The input.
        path: See the table at the top of this module.
        preprocess: How images are prepared, see `mnncompat.parity.images`.

    Raises:
        UsageError: The path does not exist, or what is there are no arrays or images.
    """
    if isinstance(preprocess, str):
        preprocess = parse_preprocess(f"--preprocess {name}={preprocess}", preprocess)
    if not path.exists():
        raise UsageError(f"--input {name}={path}: no such file or folder", hint="check the path")
    files = _files(name, path) if path.is_dir() else [path]
    if any(_is_image(each) for each in files):
        return _read_images(name, files, preprocess)
    if preprocess is not None:
        raise UsageError(f"--preprocess {name}: {path} holds arrays", hint="only images are prepared; leave it out")
    if path.is_dir():
        samples = tuple(Sample(name=f"sample {each.name}", array=_one_array(name, each)) for each in files)
        return InputData(samples=samples)
    loaded = _load(name, path)
    if isinstance(loaded, np.ndarray):
        return InputData(samples=(Sample(name="sample 1", array=loaded),))
    return _of_archive(name, path, loaded)


def image_files(name: str, path: Path) -> list[Path]:
    """The images that ``--input name=path`` names; empty if it names arrays.

    Raises:
        UsageError: A folder that holds neither, or both.
    """
    files = _files(name, path) if path.is_dir() else [path]
    return [each for each in files if _is_image(each)]


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts ``2`` before ``10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name) if part]


def _files(name: str, folder: Path) -> list[Path]:
    found = [each for each in folder.iterdir() if each.is_file() and not each.name.startswith(".")]
    arrays = [each for each in found if each.suffix.lower() == ".npy"]
    images = [each for each in found if _is_image(each)]
    if arrays and images:
        raise UsageError(f"--input {name}: {folder} holds both arrays and images", hint="keep them in two folders")
    if not arrays and not images:
        raise UsageError(
            f"--input {name}: {folder} holds no .npy files and no images",
            hint=f"images are files that end in {', '.join(sorted(SUFFIXES))}",
        )
    return sorted(arrays or images, key=lambda each: natural(each.name))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _read_images(name: str, files: Sequence[Path], preprocess: Preprocess | None) -> InputData:
    if preprocess is None:
        raise UsageError(
            f"--input {name}: {files[0]} is an image, and nothing says how the model wants it",
            hint=f"say it, as for the training: --preprocess {name}=resize:224x224,scale:255",
        )
    samples = tuple(Sample(name=f"sample {each.name}", array=decode(each, preprocess)) for each in files)
    return InputData(samples=samples, preprocess=preprocess)


def _of_archive(name: str, path: Path, arrays: Mapping[str, np.ndarray]) -> InputData:
    if not arrays:
        raise UsageError(f"--input {name}: {path} holds no arrays", hint=_SAVE)
    if name in arrays:
        arrays = {name: arrays[name]}
    if len(arrays) == 1:
        return InputData(samples=(Sample(name="sample 1", array=next(iter(arrays.values()))),), may_be_stacked=True)
    keys = sorted(arrays, key=natural)
    return InputData(samples=tuple(Sample(name=f"sample {key}", array=arrays[key]) for key in keys))


def _one_array(name: str, path: Path) -> np.ndarray:
    loaded = _load(name, path)
    if not isinstance(loaded, np.ndarray):
        raise UsageError(f"--input {name}: {path} holds several arrays", hint=_SAVE)
    return loaded


def _load(name: str, path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """An array, or the arrays of an archive. Pickled objects are refused: loading one runs code."""
    try:
        return arrays_of(path)
    except DamagedArraysError as error:
        if "pickle" in str(error).lower():
            raise UsageError(
                f"--input {name}: {path} is no array of numbers, or pickled: {error}",
                hint="pickles are not loaded; save arrays of numbers with numpy.save",
            ) from error
        raise UsageError(f"--input {name}: {path} cannot be read: {error}", hint=_SAVE) from error
    except OSError as error:
        raise UsageError(f"--input {name}: {path} cannot be read: {error}", hint=_SAVE) from error
