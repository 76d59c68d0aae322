"""Rewrites of pools."""
