"""What rewrites are made of: base classes, the subgraph builder, examples, and the index that finds them."""
