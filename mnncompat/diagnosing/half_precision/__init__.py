"""Half precision before a device shows it: MNN's arithmetic at `precision = low`, simulated under ONNX Runtime."""
