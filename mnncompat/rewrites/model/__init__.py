"""Rewrites of models as a whole, and of what any operator may need."""
