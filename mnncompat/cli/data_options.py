"""Options that give real data to a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from mnncompat.cli.declared import option
from mnncompat.errors import UsageError
from mnncompat.files.allowance import reading

if TYPE_CHECKING:
    from mnncompat.parity import RealData

Inputs = Annotated[
    list[str] | None,
    option(
        "--input",
        metavar="NAME=PATH",
        help="Real data for an input: a .npy, an .npz with samples, a folder of .npy files, an image, or a folder of "
        "images. Compared beside the drawn inputs. Repeatable.",
    ),
]
Preprocessing = Annotated[
    list[str] | None,
    option(
        "--preprocess",
        metavar="NAME=STEPS",
        help="How images become an input: "
        "`image=resize:224,crop:224,color:rgb,scale:255,mean:0.485/0.456/0.406,std:0.229/0.224/0.225,layout:nchw`. "
        "Repeatable.",
    ),
]
Feeds = Annotated[
    list[str] | None,
    option(
        "--feeds",
        metavar="MODULE:FUNCTION",
        help="A function that yields dictionaries of arrays by input name: `feeds.py:draws`. Repeatable.",
    ),
]
DataOnly = Annotated[
    bool, option("--data-only", help="Compare on --input and --feeds alone, not on drawn inputs as well.")
]


class SampleOptions(NamedTuple):
    """Real data beside the drawn inputs."""

    data: Inputs = None
    preprocess: Preprocessing = None
    feeds: Feeds = None

    def read(self) -> RealData:
        """Read what ``--input name=path`` names and ``--feeds`` yields.

        Raises:
            UsageError: An option is malformed, or what it names gives no arrays.
        """
        return _read(self.data, self.preprocess, self.feeds, only=False)


class DataOptions(NamedTuple):
    """Real data beside the drawn inputs, or instead of them."""

    data: Inputs = None
    preprocess: Preprocessing = None
    feeds: Feeds = None
    data_only: DataOnly = False

    def read(self) -> RealData:
        """As `SampleOptions.read`."""
        return _read(self.data, self.preprocess, self.feeds, only=self.data_only)


NO_SAMPLES, NO_DATA = SampleOptions(), DataOptions()
"""As they are by default."""


def _read(
    inputs: Sequence[str] | None, preprocessing: Sequence[str] | None, feeds: Sequence[str] | None, *, only: bool
) -> RealData:
    from mnncompat.parity.feed_functions import call_feeds
    from mnncompat.parity.real_data import RealData, read_input, real_data

    paths = named_values("--input", inputs, "NAME=PATH")
    steps = named_values("--preprocess", preprocessing, "NAME=resize:224,scale:255")
    for name in steps:
        if name not in paths:
            raise UsageError(f"--preprocess {name}: there are no images for it", hint=f"add --input {name}=FOLDER")
    with reading(map(Path, paths.values())):
        read = {name: read_input(name, Path(path), steps.get(name)) for name, path in paths.items()}
        called = tuple(each for target in feeds or () for each in call_feeds(target))
    return real_data(RealData(inputs=read, feeds=called), only=only)


def named_values(option: str, values: Sequence[str] | None, form: str) -> dict[str, str]:
    """What ``NAME=...`` options say, by name.

    Args:
        option: The option, for messages.
        values: What is given.
        form: How it is written.

    Raises:
        UsageError: One names no input, or two name the same.
    """
    found: dict[str, str] = {}
    for value in values or ():
        name, equals, rest = value.partition("=")
        if not equals or not name or not rest:
            raise UsageError(f"{option} {value} names no input", hint=f"write it as {form}")
        if name in found:
            raise UsageError(f"{option} names {name} twice", hint="several samples: an .npz, or a folder")
        found[name] = rest
    return found
