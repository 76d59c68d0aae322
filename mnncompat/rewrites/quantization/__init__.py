"""Rewrites of quantized arithmetic."""
