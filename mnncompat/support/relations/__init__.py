"""Relations: named comparisons of several operands, attributes and neighbours, one module for a family of operators."""
