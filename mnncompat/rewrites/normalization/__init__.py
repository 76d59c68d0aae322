"""Rewrites of normalizations, activations like GELU and Softmax, and losses."""
