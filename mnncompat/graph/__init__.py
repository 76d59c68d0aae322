"""ONNX models: read, validate, view, edit, compare and write them."""
