"""Rewrites of the operators of ai.onnx.ml into ONNX's own."""
