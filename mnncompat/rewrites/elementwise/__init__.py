"""Rewrites of elementwise operators, comparisons and casts."""
