"""Scores as a tensor, not as a list of maps."""

from __future__ import annotations

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import unchanged
from mnncompat.rewrites.core.model_rewrite import SettledWhenRead


class ScoresWithoutMap(SettledWhenRead):
    """Give the scores of a classifier as a tensor.

    **What.** ZipMap, which scikit-learn's exporter puts behind classifiers unless it is told ``zipmap=False``.

    **Why.** MNN has tensors only; a list of maps from labels to scores is none.

    **Before and after**::

        label, scores = TreeEnsembleClassifier(x)  maps = ZipMap(scores)
        label, maps = TreeEnsembleClassifier(x)

    **Algebra.** None: the map of a sample holds a row of the tensor, with the labels in the order of its columns. The
    output keeps its name, and is float32 of shape (batch, labels).

    **Source.** https://onnx.ai/onnx/operators/onnx_aionnxml_ZipMap.html
    """

    code = "MNN972"
    name = "scores-without-map"
    summary = "a tensor of scores"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Scores that are a tensor; text cannot state maps, see `tests/rewrites/test_zip_maps.py`."""
        return (unchanged("a tensor", "(float[2,3] x) => (float[2,3] y) { y = Softmax<axis=1>(x) }"),)
