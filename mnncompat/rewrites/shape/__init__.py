"""Rewrites of operators that change shapes: Pad, Reshape, Slice, Split."""
