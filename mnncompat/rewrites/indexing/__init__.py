"""Rewrites of operators that gather, scatter, select and compare positions."""
