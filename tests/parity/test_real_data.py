"""Data of the user: what is read, how draws are made of it, and what is refused."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from mnncompat.errors import UsageError
from mnncompat.parity import DRAWS, RealData, compare_models, read_input, real_data
from mnncompat.parity.given_inputs import given_draws
from mnncompat.parity.signature import InputSpec
from mnncompat.results.proof_strength import ProofVerdict

DOUBLED = "g (float[n,3] x) => (float[n,3] y) { y = Add (x, x) }"
PICKED = """g (float[n,3] x, int64[n] i) => (float[m,3] y) {
    table = Constant <value = float[4,3] {1,2,3,4,5,6,7,8,9,10,11,12}> ()
    e = Gather (table, i)
    y = Add (x, e)
}"""
ROOTED = "g (float[2] x) => (float[2] y) { y = Sqrt (x) }"


def model_of(text: str) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\n{text}')


def spec(name: str, dtype: type, *shape: int | str | None) -> InputSpec:
    return InputSpec(name=name, dtype=np.dtype(dtype), shape=shape)


X = spec("x", np.float32, "n", 3)


def rows(size: int, start: float = 0.0) -> np.ndarray:
    return np.arange(start, start + 3 * size, dtype=np.float32).reshape(size, 3)


def archive(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As numpy.savez, with keys that are no names of Python."""
    with zipfile.ZipFile(path, "w") as opened:
        for key, array in arrays.items():
            with opened.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, array)


def names(path: Path, name: str = "x") -> list[str]:
    return [draw.name for draw in given_draws([X], {}, real_data({name: path}))]


def test_an_array_is_one_sample(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", rows(2).astype(np.float64))
    (draw,) = given_draws([X], {}, real_data({"x": tmp_path / "x.npy"}))
    assert (draw.name, draw.shapes) == ("sample 1", {"x": (2, 3)})
    assert draw.arrays["x"].dtype == np.float32


def test_the_arrays_of_an_archive_are_samples_in_natural_order(tmp_path: Path) -> None:
    archive(tmp_path / "x.npz", {"10": rows(1), "2": rows(2), "0": rows(3)})
    draws = given_draws([X], {}, real_data({"x": str(tmp_path / "x.npz")}))
    assert [draw.name for draw in draws] == ["sample 0", "sample 2", "sample 10"]
    assert [draw.shapes["x"] for draw in draws] == [(3, 3), (2, 3), (1, 3)]


def test_an_array_called_as_the_input_is_its_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "feeds.npz", x=rows(2), other=rows(5))
    (draw,) = given_draws([X], {}, real_data({"x": tmp_path / "feeds.npz"}))
    assert draw.arrays["x"].shape == (2, 3)


@pytest.mark.parametrize("key", ["x", "arr_0"])
def test_a_leading_axis_counts_the_samples(tmp_path: Path, key: str) -> None:
    archive(tmp_path / "x.npz", {key: np.stack([rows(2), rows(2, 6)])})
    draws = given_draws([X], {}, real_data({"x": tmp_path / "x.npz"}))
    assert [draw.name for draw in draws] == ["sample 1", "sample 2"]
    np.testing.assert_array_equal(draws[1].arrays["x"], rows(2, 6))


def test_the_files_of_a_folder_are_samples_in_natural_order(tmp_path: Path) -> None:
    for name in ("b10.npy", "b9.npy"):
        np.save(tmp_path / name, rows(1))
    (tmp_path / "README.txt").write_text("ours")
    (tmp_path / ".hidden.npy").write_text("not ours")
    assert names(tmp_path) == ["sample b9.npy", "sample b10.npy"]


def test_samples_of_several_inputs_belong_together(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=rows(1), b=rows(2))
    signature = [X, spec("k", np.int64, 1), spec("z", np.float32, "n", 3)]
    given: dict[str, np.ndarray | Path] = {"k": np.array([7]), "x": tmp_path / "x.npz", "z": tmp_path / "x.npz"}
    first, second = given_draws(signature, {}, real_data(given))
    assert (first.name, second.name) == ("sample a", "sample b")
    assert first.arrays["k"] == second.arrays["k"] == 7
    np.testing.assert_array_equal(second.arrays["z"], rows(2))


def no_file(folder: Path) -> Path:
    return folder / "none.npy"


def no_samples(folder: Path) -> Path:
    return folder


def pickled(folder: Path) -> Path:
    np.save(folder / "x.npy", np.array([{"a": 1}], dtype=object))
    return folder / "x.npy"


def pickled_in_an_archive(folder: Path) -> Path:
    np.savez(folder / "x.npz", x=np.array([{"a": 1}], dtype=object))
    return folder / "x.npz"


def a_pickle(folder: Path) -> Path:
    (folder / "x.npy").write_bytes(pickle.dumps([1, 2]))
    return folder / "x.npy"


def a_text(folder: Path) -> Path:
    (folder / "x.npy").write_text("1 2 3")
    return folder / "x.npy"


def an_empty_archive(folder: Path) -> Path:
    np.savez(folder / "x.npz")
    return folder / "x.npz"


def a_broken_archive(folder: Path) -> Path:
    np.savez(folder / "x.npz", x=rows(9))
    content = (folder / "x.npz").read_bytes()
    (folder / "x.npz").write_bytes(content[: len(content) // 2])
    return folder / "x.npz"


def two_kinds(folder: Path) -> Path:
    np.save(folder / "x.npy", rows(1))
    (folder / "x.png").write_bytes(b"")
    return folder


def of_integers(folder: Path) -> Path:
    np.save(folder / "x.npy", rows(1).astype(np.int32))
    return folder / "x.npy"


def of_another_rank(folder: Path) -> Path:
    np.save(folder / "x.npy", rows(1)[0])
    return folder / "x.npy"


def one_that_does_not_fit(folder: Path) -> Path:
    np.savez(folder / "x.npz", good=rows(1), bad=np.zeros((1, 4), np.float32))
    return folder / "x.npz"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (no_file, "no such file or folder"),
        (no_samples, "no .npy files and no images"),
        (pickled, "pickled"),
        (pickled_in_an_archive, "pickled"),
        (a_pickle, "x.npy"),
        (a_text, "x.npy"),
        (an_empty_archive, "holds no arrays"),
        (a_broken_archive, "cannot be read"),
        (two_kinds, "both arrays and images"),
        (of_integers, "is int32, the model needs float32"),
        (of_another_rank, "is of another rank"),
        (one_that_does_not_fit, r"'sample bad' \[1, 4\] for input 'x' has 4 on axis 1"),
    ],
)
def test_what_gives_no_data_is_refused(tmp_path: Path, made: Callable[[Path], Path], words: str) -> None:
    path = made(tmp_path)
    with pytest.raises(UsageError, match=words):
        names(path)


def test_names_that_are_no_inputs_are_refused() -> None:
    with pytest.raises(UsageError, match="the model has no input 'z'"):
        given_draws([X], {}, real_data({"z": rows(1)}))
    with pytest.raises(UsageError, match="the model has no input 'z'"):
        given_draws([X], {}, real_data([{"x": rows(1)}, {"z": rows(1)}]))


def test_different_numbers_of_samples_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "2.npz", a=rows(1), b=rows(1))
    np.savez(tmp_path / "3.npz", a=rows(1), b=rows(1), c=rows(1))
    data = real_data({"x": tmp_path / "2.npz", "z": tmp_path / "3.npz"})
    with pytest.raises(UsageError, match="x has 2, z has 3"):
        given_draws([X, spec("z", np.float32, "n", 3)], {}, data)


def test_data_alone_need_data() -> None:
    with pytest.raises(UsageError, match="no data to compare on alone"):
        real_data(None, only=True)


def test_steps_for_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", rows(1))
    with pytest.raises(UsageError, match="holds arrays"):
        read_input("x", tmp_path / "x.npy", "scale:255")


# ----------------------------------------------------------------------------------------------------------- in draws


def test_samples_are_draws_beside_the_drawn_ones_each_with_its_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=rows(2), b=rows(4))
    model = model_of(DOUBLED)
    report = compare_models(model, model, inputs={"x": tmp_path / "x.npz"})
    assert report.passed
    assert report.given == ("sample a", "sample b")
    assert report.draws == ("sample a", "sample b", *DRAWS, "normal, batch 1", "normal, batch 3")
    assert [shapes["x"] for shapes in report.shapes] == [(2, 3), (4, 3), *[(2, 3)] * len(DRAWS), (1, 3), (3, 3)]
    assert report.verdict is ProofVerdict.EQUAL


def test_data_alone() -> None:
    model = model_of(DOUBLED)
    report = compare_models(model, model, inputs=real_data({"x": rows(2)}, only=True))
    assert report.passed
    assert report.draws == ("sample 1",)
    assert report.assumptions == ()
    assert (report.verdict, report.sizes[0].sizes) == (ProofVerdict.ONE_SIZE, (2,))


def test_inputs_without_data_are_drawn_beside_each_sample(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=rows(2), b=rows(3), c=rows(2, 5))
    model = model_of(PICKED)
    report = compare_models(model, model, inputs=real_data({"x": tmp_path / "x.npz"}, only=True))
    assert report.passed
    assert report.draws == ("sample a", "sample b", "sample c")
    assert [shapes["i"] for shapes in report.shapes] == [(2,), (3,), (2,)]
    (assumed,) = report.assumptions
    assert (assumed.name, assumed.dtype, assumed.values) == ("i", "int64", "ids below 4")


def test_feeds_are_draws_of_their_own() -> None:
    model = model_of(PICKED)
    feeds = ({"x": rows(size), "i": np.arange(size)} for size in (1, 2))
    report = compare_models(model, model, inputs=feeds)
    assert report.passed
    assert report.given == ("feeds 1", "feeds 2")
    assert report.draws[:3] == ("feeds 1", "feeds 2", "normal")


def test_a_difference_on_one_sample_is_named() -> None:
    other = model_of("g (float[n,3] x) => (float[n,3] y) { c = Clip (x, , high) y = Add (c, c) }")
    other.graph.initializer.append(onnx.numpy_helper.from_array(np.array(500, np.float32), "high"))
    data = RealData(feeds=({"x": rows(1)}, {"x": rows(1, 1000)}))
    report = compare_models(model_of(DOUBLED), other, inputs=data)
    assert not report.passed
    assert all("feeds 2: " in problem for problem in report.problems)


def test_where_only_drawn_inputs_differ_the_report_says_so() -> None:
    other = model_of("g (float[n,3] x) => (float[n,3] y) { c = Relu (x) y = Add (c, c) }")
    report = compare_models(model_of(DOUBLED), other, inputs={"x": rows(2)})
    assert not report.passed
    assert "the given data agree; --data-only judges by them alone" in report.notes


def test_drawn_inputs_that_the_model_refuses_are_left_out_beside_the_data() -> None:
    model = model_of("""g (float[6] x, int64[2] s) => (float[a,b] y) { y = Reshape (x, s) }""")
    given = {"x": np.arange(6, dtype=np.float32), "s": np.array([2, 3])}
    report = compare_models(model, model, inputs=given)
    assert report.passed
    assert report.draws == ("sample 1",)
    assert any(note.startswith("drawn inputs: left out beside the data") for note in report.notes)


def test_data_that_the_model_refuses_are_named() -> None:
    model = model_of(PICKED)
    good, bad = ({"x": rows(1), "i": np.array([which])} for which in (0, 99))
    report = compare_models(model, model, inputs=[good, bad])
    assert not report.passed
    assert "feeds 2: ONNX Runtime: " in report.problems[0]
    assert "99" in report.problems[0]


def test_a_sample_whose_reference_is_not_finite_is_kept() -> None:
    model = model_of(ROOTED)
    report = compare_models(model, model, inputs={"x": np.array([-1.0, 4.0])})
    assert report.passed
    assert "sample 1" in report.draws
