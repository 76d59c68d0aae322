"""Names of the domains of operators that are not ONNX's own, and that are written with ONNX's operators."""

from __future__ import annotations

CONTRIB_DOMAIN = "com.microsoft"
"""ONNX Runtime's own."""
ML_DOMAIN = "ai.onnx.ml"
"""Trees, linear models and encoders, which exporters of scikit-learn write."""
STAND_IN_DOMAIN = "mnncompat.stand-in"
"""Under which inference asks for the results of such operators."""
IN_ONNX_DOMAIN = ("SimplifiedLayerNormalization",)
"""Operators that ONNX Runtime puts into ONNX's domain, though ONNX has none of that name."""
