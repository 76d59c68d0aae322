"""Rewrites of If, Scan, SequenceMap and optionals."""
