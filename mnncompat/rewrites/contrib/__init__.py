"""Rewrites of ONNX Runtime's own operators into ONNX."""
