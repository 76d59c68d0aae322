"""Diagnosis: which node makes a converted model compute something else than the original.

diagnose(model, file)     -> Diagnosis: the culprit, why, what helps, and a table of all nodes

The `.mnn` file itself is looked into: MNN's `Module` runs any part of a file, from given tensors to wanted ones.
Tensors of the file that have the name of an ONNX value are compared with what ONNX Runtime computes there: as the file
computes them (*accumulated*), and fed with right values (*own*: what the node adds by itself).
"""
