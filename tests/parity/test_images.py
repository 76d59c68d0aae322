"""Images as inputs: the steps, their order, and what is refused. Needs Pillow: pip install "mnncompat[images]"."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnncompat.errors import UsageError
from mnncompat.parity import read_input, real_data
from mnncompat.parity.given_inputs import given_draws
from mnncompat.parity.images import Preprocess, parse_preprocess
from mnncompat.parity.resampling import sampled
from mnncompat.parity.signature import InputSpec


def spec(dtype: type, *shape: int | str | None) -> InputSpec:
    return InputSpec(name="x", dtype=np.dtype(dtype), shape=shape)


FLOATS = spec(np.float32, "n", 3, "h", "w")


def picture(height: int = 4, width: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(folder: Path, pixels: np.ndarray, name: str = "cat.png") -> Path:
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def fed(path: Path, steps: str, wanted: InputSpec = FLOATS) -> np.ndarray:
    (draw,) = given_draws([wanted], {}, real_data({"x": read_input("x", path, steps)}))
    return draw.arrays["x"]


def test_the_steps_in_their_order(tmp_path: Path) -> None:
    pixels = picture()
    steps = "std:0.5/0.25/2,mean:0.1/0.2/0.3,scale:255,color:bgr,crop:2x4"
    expected = pixels[1:3, 1:5, ::-1].astype(np.float32) / np.float32(255)
    mean, std = np.array([0.1, 0.2, 0.3], np.float32), np.array([0.5, 0.25, 2], np.float32)
    expected = (expected - mean) / std
    np.testing.assert_array_equal(fed(saved(tmp_path, pixels), steps), expected.transpose(2, 0, 1)[None])


@pytest.mark.parametrize(
    ("steps", "size"),
    [("resize:8", (8, 12)), ("resize:8x5", (8, 5)), ("resize:8,crop:8", (8, 8)), ("resize:3", (3, 4))],
)
def test_sizes(tmp_path: Path, steps: str, size: tuple[int, int]) -> None:
    assert fed(saved(tmp_path, picture()), steps).shape == (1, 3, *size)


def test_a_smaller_image_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = fed(saved(tmp_path, stripes), "resize:8")
    assert np.abs(small - 127.5).max() < 8


@pytest.mark.parametrize(
    ("wanted", "steps", "shape"),
    [
        (spec(np.float32, 1, 3, 4, 6), "scale:255", (1, 3, 4, 6)),
        (spec(np.float32, 1, 4, 6, 3), "scale:255", (1, 4, 6, 3)),
        (spec(np.float16, "n", "h", "w", "c"), "layout:nhwc", (1, 4, 6, 3)),
        (spec(np.float32, 3, None, None), "scale:255", (3, 4, 6)),
        (spec(np.float32, None, None, 3), "scale:255", (4, 6, 3)),
        (spec(np.float32, 1, 1, 4, 6), "color:gray", (1, 1, 4, 6)),
    ],
)
def test_layouts(tmp_path: Path, wanted: InputSpec, steps: str, shape: tuple[int, ...]) -> None:
    array = fed(saved(tmp_path, picture()), steps, wanted)
    assert array.shape == shape
    assert array.dtype == wanted.dtype


def test_an_input_of_bytes_gets_the_bytes(tmp_path: Path) -> None:
    pixels = picture()
    array = fed(saved(tmp_path, pixels), "layout:nhwc", spec(np.uint8, 1, "h", "w", 3))
    np.testing.assert_array_equal(array, pixels[None])


def test_an_image_is_turned_as_it_was_taken(tmp_path: Path) -> None:
    pixels = picture()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    expected = np.rot90(pixels, -1).transpose(2, 0, 1)[None]
    np.testing.assert_array_equal(fed(tmp_path / "x.png", "layout:nchw"), expected)


def test_images_of_a_folder_are_samples(tmp_path: Path) -> None:
    saved(tmp_path, picture(4, 6), "2.png")
    saved(tmp_path, picture(5, 5), "10.JPG")
    draws = given_draws([FLOATS], {}, real_data({"x": read_input("x", tmp_path, "scale:255")}))
    assert [(draw.name, draw.shapes["x"]) for draw in draws] == [
        ("sample 2.png", (1, 3, 4, 6)),
        ("sample 10.JPG", (1, 3, 5, 5)),
    ]


def test_the_steps_are_read() -> None:
    assert parse_preprocess("", "resize:224, crop:200x100,scale:255,mean:0.5,std:1/2/3,layout:hwc,color:bgr") == (
        Preprocess(resize=224, crop=(200, 100), scale=255, mean=(0.5,), std=(1, 2, 3), layout="hwc", color="bgr")
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "says nothing"),
        ("rotate:90", "no step 'rotate'"),
        ("resize", "'resize' is not understood"),
        ("resize:0", "'resize:0' is not understood"),
        ("resize:axb", "is not understood"),
        ("crop:-3", "is not understood"),
        ("scale:0", "is not understood"),
        ("scale:1/2", "is not understood"),
        ("std:0.1/0/0.1", "is not understood"),
        ("mean:nan", "is not understood"),
        ("mean:1/2", "mean has 2 numbers for 3 channels"),
        ("color:gray,std:1/2/3", "std has 3 numbers for 1 channels"),
        ("color:RGB", "is not understood"),
        ("layout:cnhw", "is not understood"),
        ("scale:1,scale:2", "scale is given twice"),
    ],
)
def test_steps_that_do_not_exist_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_preprocess("--preprocess x=...", text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("wanted", "steps", "words"),
    [
        (spec(np.int64, 1, 3, 4, 6), "scale:255", "is int64, which no image is"),
        (spec(np.float32, "n", 16), "scale:255", "is no image"),
        (spec(np.uint8, 1, 3, 4, 6), "scale:255", "takes bytes"),
        (spec(np.float32, 1, 3, 224, 224), "scale:255", "is 4x6, the model has 224x224"),
        (spec(np.float32, 1, 1, 4, 6), "scale:255", "has 3 on axis 1, the model has 1"),
        (spec(np.float32, 3, 4, 6), "layout:nchw", "the input has 3 axes"),
        (spec(np.float32, 1, "h", "w", 3), "layout:nchw", "layout:nchw does not fit input 'x', whose shape says nhwc"),
        (FLOATS, "crop:5", "smaller than the crop"),
    ],
)
def test_images_that_do_not_fit_are_refused(tmp_path: Path, wanted: InputSpec, steps: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        fed(saved(tmp_path, picture()), steps, wanted)
    assert caught.value.hint


@pytest.mark.parametrize("shape", [(1, 3, "h", "w"), (1, "h", "w", 3)])
def test_an_image_needs_steps(shape: tuple[int | str, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing says how the model wants it") as caught:
        real_data({"x": (path := saved(tmp_path, picture()))})
    advised = caught.value.hint.partition("--preprocess x=")[2]
    assert sorted(fed(path, advised, spec(np.float32, *shape)).shape) == [1, 3, 224, 224]


def test_a_damaged_image_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, picture(64, 64))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError, match="cannot be read as an image"):
        fed(path, "scale:255")


def test_more_than_eight_bits_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, np.full((4, 4), 40000, np.uint16), "deep.png")
    with pytest.raises(UsageError, match="more than 8 bits"):
        fed(path, "color:gray")


def test_without_pillow_the_hint_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, picture())
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError, match="Pillow is not installed") as caught:
        fed(path, "scale:255")
    assert "mnncompat[images]" in caught.value.hint


def test_nearest_is_pillow_s() -> None:
    """Which pixel is taken where a place lies between two depends on how places are summed up."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        height, width, rows, columns = map(int, rng.integers(1, 120, 4))
        pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        expected = np.asarray(Image.fromarray(pixels).resize((columns, rows), Image.Resampling.NEAREST))
        np.testing.assert_array_equal(sampled(pixels, (rows, columns), "nearest"), expected)
