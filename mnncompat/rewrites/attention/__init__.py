"""Rewrites of attention and rotary embeddings."""
