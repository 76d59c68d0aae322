"""What the converter says, without its routine."""

from __future__ import annotations

import pytest

from mnncompat.mnn.converter_log import last_line, relevant_lines

ROUTINE = """The device supports: i8sdot:0, fp16:0, i8mm: 0, sve2: 0, sme2: 0
Start to Convert Other Model Format To MNN Model..., target version: 3.6
[03:02:07] :46: ONNX Model ir version: 9
[03:02:07] :47: ONNX Model opset version: 17
Start to Optimize the MNN Net...
FuseLayerNorm as p2o.Add.235
inputTensors : [ x, ]
outputTensors: [ z, ]
Converted Success!
"""


def test_a_plain_conversion_says_nothing() -> None:
    assert relevant_lines(ROUTINE) == ""


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("[03:02:07] :220: These Op Not Support: ONNX::Hardmax ", "These Op Not Support: ONNX::Hardmax"),
        ("[03:25:10] :304:", ""),
        ("[03:25:10] /a/b.cpp:304: said", "said"),
        ("Check failed: x != nullptr ==> y", "Check failed: x != nullptr ==> y"),
        ("The model has subgraphs, please use MNN::Express::Module to run it",) * 2,
        ("free(): invalid next size (normal)", "free(): invalid next size (normal)"),
    ],
)
def test_what_is_said_about_the_model_is_kept_without_stamps(line: str, kept: str) -> None:
    assert relevant_lines(ROUTINE + line + "\n" + line + "\n") == kept


def test_the_last_line_decides() -> None:
    assert last_line("a warning\nthe reason") == "the reason"
    assert last_line("") == ""
