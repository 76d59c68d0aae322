"""The table of operators of other domains is what the code and the installed ONNX Runtime say."""

from __future__ import annotations

import foreign_operators

from mnncompat.rewrites.contrib.contrib_op_to_onnx import EMITTERS, ML_EMITTERS


def test_the_document_is_what_the_code_says() -> None:
    assert foreign_operators.DOCUMENT.read_text() == foreign_operators.document(), "run `make docs`"


def test_what_is_refused_belongs_to_twins() -> None:
    assert {*foreign_operators.REFUSED, *foreign_operators.DEFINED} <= {*EMITTERS, *ML_EMITTERS}
