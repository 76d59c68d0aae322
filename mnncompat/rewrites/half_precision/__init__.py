"""Rewrites for half precision: what MNN computes in float16 is kept in its range, and near the float32 result."""
