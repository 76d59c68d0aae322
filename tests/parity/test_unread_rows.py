"""Every row of a small table is read by some draw; of a large one the report says how many were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper, parser

from mnncompat import mnn
from mnncompat.parity import real_data, verify
from mnncompat.parity.real_draws import Feeder, run_reference_on
from mnncompat.parity.reference import Reference
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import input_signature
from mnncompat.parity.unread_rows import OTHER_IDS
from mnncompat.results.failures import Failure

RANDOM = np.random.default_rng(9)


def model(rows: int, shape: str = "1,8", then: str = "y = Identity(t)", inputs: str = "") -> ModelProto:
    text = f'<ir_version: 8, opset_import: ["": 17]> g (int64[{shape}] ids {inputs}) => (float[{shape},4] y)'
    found = parser.parse_model(f"{text} {{ t = Gather(words, ids) {then} }}")
    table = RANDOM.standard_normal((rows, 4)).astype(np.float32)
    found.graph.initializer.append(numpy_helper.from_array(table, "words"))
    return found


def drawn(proto: ModelProto, seed: int = 0, **shapes: tuple[int, ...]) -> Reference:
    found = run_reference_on(
        Feeder(proto, input_signature(proto), shapes, real_data(None), seed=seed), OnnxRunner(proto)
    )
    assert not isinstance(found.outputs, Failure)
    assert len(found.outputs) == len(found.feeds)
    return found


@pytest.mark.parametrize("rows", [2, 20, 100, 120])
@pytest.mark.parametrize("seed", range(3))
def test_every_row_of_a_small_table_is_read(rows: int, seed: int) -> None:
    found = drawn(model(rows), seed)
    assert set(np.concatenate([feed.arrays["ids"].ravel() for feed in found.feeds])) == set(range(rows))
    assert not found.notes


def test_of_a_large_table_it_is_said_how_much_is_read() -> None:
    found = drawn(model(5000))
    assert not any(feed.name.startswith(OTHER_IDS) for feed in found.feeds)
    read = len(set(np.concatenate([feed.arrays["ids"].ravel() for feed in found.feeds])))
    (note,) = found.notes
    assert note.startswith(f"input 'ids': {read} of 5000 ids were drawn; what Gather of words [5000, 4] holds for the")


def test_where_other_ids_are_read_nothing_is_masked() -> None:
    masked = "f = Cast<to=1>(mask) o = Sub(one, f) p = Mul(o, far) u = Unsqueeze(p, two) y = Add(t, u)"
    proto = model(100, then=masked, inputs=", int64[1,8] mask")
    for name, value in {"one": np.float32(1), "far": np.float32(-1e4), "two": np.array([2])}.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    found = drawn(proto)
    others = [feed for feed in found.feeds if feed.name.startswith(OTHER_IDS)]
    assert others
    assert all((feed.arrays["mask"] == 1).all() for feed in others)
    assert not all((feed.arrays["mask"] == 1).all() for feed in found.feeds)


def test_draws_at_other_sizes_stay_the_last_ones() -> None:
    found = drawn(model(100, "n,t"), ids=(1, 8))
    others = [place for place, feed in enumerate(found.feeds) if feed.name.startswith(OTHER_IDS)]
    assert others
    assert max(others) < len(found.feeds) - found.varied
    assert all(feed.arrays["ids"].shape == (1, 8) for feed in found.feeds[: len(found.feeds) - found.varied])


def test_two_exchanged_rows_are_noticed(tmp_path: Path) -> None:
    proto = model(100)
    rows = sorted(set(range(100)) - {int(each) for feed in drawn(proto).feeds[:5] for each in feed.arrays["ids"].flat})
    table = numpy_helper.to_array(proto.graph.initializer[0]).copy()
    table[[rows[0], rows[1]]] = table[[rows[1], rows[0]]]
    wrong = model(100)
    wrong.graph.initializer[0].CopyFrom(numpy_helper.from_array(table, "words"))
    for each, is_right in ((proto, True), (wrong, False)):
        path = tmp_path / f"{is_right}.onnx"
        onnx.save(each, path)
        converted = mnn.convert(path, path.with_suffix(".mnn"), options=mnn.ConvertOptions(), limits=mnn.Limits())
        assert not isinstance(converted, Failure)
        assert verify(proto, converted.path).passed is is_right
