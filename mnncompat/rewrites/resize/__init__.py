"""Rewrites of Resize, GridSample and RoiAlign."""
