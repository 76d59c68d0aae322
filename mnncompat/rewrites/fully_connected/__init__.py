"""Rewrites of fully connected layers into convolutions."""
