"""Relations: named comparisons of several operands, attributes and neighbours, by operator family."""
